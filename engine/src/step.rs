//! The spine: an engine takes an input and becomes a step; a step is committed and becomes an engine.

use hermes_wire::Timestamp;
use rand_core::CryptoRng;

use crate::{
    account::{self, Account, NewAccount},
    changes::ChangeSet,
    claim::ClaimsRecord,
    effect::Effect,
    input::Input,
    presence::{Moment, Privacy},
    row::Counters,
    rows::{AccountKey, ClaimsKey, CountersKey, CountersRow, Key, ReadError, Row, StoreResult},
    store::{Store, Table, View},
    turn::{Receipts, Turn},
};

/// A client between two commits. Its only state outside the store is what every step needs: secrets and counters.
pub struct Engine {
    pub(crate) account: Account,
    pub(crate) counters: Counters,
    /// Whether the relay has taken a claim from this store since it was loaded. From then on, and until it is loaded
    /// again, it cannot have been put back from an old copy.
    claimed: bool,
    /// Who is there. A step that is not committed loses it, as a restart does.
    moment: Moment,
    privacy: Privacy,
    /// What the account calls itself.
    profile: String,
}

/// What follows from inputs, not yet true.
#[must_use = "nothing in a step has happened until it is committed"]
pub struct Step {
    next: Engine,
    changes: ChangeSet,
    effects: Vec<Effect>,
    /// Messages whose delivery the commit will confirm to their senders, by chat.
    receipts: Receipts,
}

impl Engine {
    /// The first step of a new account.
    pub fn create(new: NewAccount, now: Timestamp, rng: &mut dyn CryptoRng) -> Step {
        let (record, counters) = new.draw(now, rng);
        let mut changes = ChangeSet::default();
        changes.put(Table::Account, AccountKey.to_bytes(), record.to_value());
        changes.put(Table::Account, CountersKey.to_bytes(), CountersRow(counters).to_value());
        changes.put(Table::Account, ClaimsKey.to_bytes(), ClaimsRecord::draw(rng).to_value());
        let next = Self {
            profile: record.name.clone(),
            account: Account::open(&record),
            counters,
            claimed: false,
            moment: Moment::default(),
            privacy: Privacy::default(),
        };
        Step { next, changes, effects: Vec::new(), receipts: Receipts::new() }
    }

    /// The engine as the store has it.
    pub fn load<V: View>(view: &V) -> StoreResult<Self, V> {
        let record = account::record(view)?;
        Ok(Self {
            profile: account::profile(view, &record)?,
            account: Account::open(&record),
            counters: account::counters(view)?,
            claimed: false,
            moment: Moment::default(),
            privacy: Privacy::default(),
        })
    }

    /// The same engine, which tells others no more than `privacy` allows.
    #[must_use]
    pub fn with_privacy(self, privacy: Privacy) -> Self {
        Self { privacy, ..self }
    }

    /// What `act` would change, for those who only want to know.
    pub(crate) fn consider<V: View>(
        self,
        view: &V,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        act: impl FnOnce(&mut Turn<'_, V>) -> StoreResult<(), V>,
    ) -> StoreResult<ChangeSet, V> {
        let step = Step {
            next: self,
            changes: ChangeSet::default(),
            effects: Vec::new(),
            receipts: Receipts::new(),
        };
        Ok(step.turn(view, now, rng, act)?.changes)
    }

    /// Works out what follows from `input`. Hostile input is no error: it is a step that records a refusal. An error
    /// means that the store could not be read; the engine is gone and has to be loaded again.
    pub fn handle<V: View>(
        self,
        input: Input,
        view: &V,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> StoreResult<Step, V> {
        let step = Step {
            next: self,
            changes: ChangeSet::default(),
            effects: Vec::new(),
            receipts: Receipts::new(),
        };
        step.then(input, view, now, rng)
    }
}

impl Step {
    /// Adds what follows from another input, so that a backlog drains in one commit. `view` is the same as before:
    /// committed rows; the step's own changes are seen through it.
    pub fn then<V: View>(
        self,
        input: Input,
        view: &V,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> StoreResult<Self, V> {
        self.turn(view, now, rng, |turn| turn.handle(input))
    }

    /// Makes the step true: seals the delivery receipts it owes, writes everything in one transaction, and only then
    /// hands out the effects. After an error there is no engine; load it again.
    pub fn commit<S: Store>(
        self,
        store: &mut S,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Engine, Vec<Effect>), ReadError<S::Error>> {
        let step = self.turn(&*store, now, rng, |turn| turn.confirm_deliveries())?;
        if !step.changes.is_empty() {
            store.commit(&step.changes).map_err(ReadError::Store)?;
        }
        Ok((step.next, step.effects))
    }

    fn turn<V: View>(
        mut self,
        view: &V,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
        act: impl FnOnce(&mut Turn<'_, V>) -> StoreResult<(), V>,
    ) -> StoreResult<Self, V> {
        let before = self.next.counters;
        let mut turn = Turn {
            account: &self.next.account,
            counters: &mut self.next.counters,
            claimed: &mut self.next.claimed,
            moment: &mut self.next.moment,
            privacy: self.next.privacy,
            profile: &mut self.next.profile,
            changes: &mut self.changes,
            effects: &mut self.effects,
            receipts: &mut self.receipts,
            view,
            now,
            rng,
        };
        let told = turn.effects.len();
        act(&mut turn)?;
        turn.log_events(told)?;
        if self.next.counters != before {
            let row = CountersRow(self.next.counters);
            self.changes.put(Table::Account, CountersKey.to_bytes(), row.to_value());
        }
        Ok(self)
    }
}
