//! Store claims: whether this store is the newest of its mailbox, and what to do when it is not.
//!
//! The relay keeps the newest claim of a mailbox. A store that does not know the claim it finds there is behind: it was
//! put back from an old copy, or a second copy of it has been at work. Its sessions may have been used further than it
//! knows, and sealing with them again would use message keys twice. So nothing is sealed until the relay has taken a
//! new epoch from this store, and then every contact gets a new session.
//!
//! A relay can hide the newest claim or show an older one; that it cannot invent one is all that its signature is for.
//! What is at stake when this finds nothing is bounded by the random salts of message keys.

use ed25519_dalek::SigningKey;
use hermes_wire::{Claim, ClaimNonce, MoveClaim, SignedClaim, StoreEpoch, Timestamp};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    account,
    effect::{CommandError, Effect, Event, Reply},
    limits,
    row::{ContactRecord, Counters, RenewalReason, StoreStanding},
    rows::{self, ClaimsKey, ReadError, StoreResult},
    store::{Range, Table, View},
    turn::Turn,
};

/// What this store has claimed, beside its counters. Written before the relay hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimsRecord {
    /// Under which it claims.
    epoch: StoreEpoch,
    /// The claim that the epoch's first one replaced.
    succeeds: Option<ClaimNonce>,
    /// The newest that the relay is known to have taken.
    confirmed: Option<Claim>,
    /// Asked for, and not known to have been taken.
    pending: Option<PendingClaim>,
    /// Epochs that were left for another, the last one at the end.
    past: Vec<StoreEpoch>,
    /// Outbox positions from here on were given after the newest claim was taken: what stands there may have been sealed
    /// with sessions that another copy has used further.
    claimed_before: u64,
    /// When it was last found to have been put back from an old copy.
    pub(crate) restored: Option<Restored>,
    /// When another copy was last seen, until the user has taken note.
    pub(crate) copy_seen: Option<Timestamp>,
}

/// A claim on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PendingClaim {
    expected: Option<Claim>,
    next: Claim,
}

/// A recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restored {
    pub(crate) at: Timestamp,
    /// Contacts whose sessions had to be renewed.
    pub(crate) contacts: u64,
}

/// What the claim at the relay says about this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is the newest, as far as the relay knows. An older claim of its own means that the relay itself was restored.
    Newest,
    /// It knows less than another store did.
    Behind,
    /// It was the newest until another copy, which knew less, took its place.
    Ousted,
}

impl ClaimsRecord {
    pub(crate) fn draw(rng: &mut dyn CryptoRng) -> Self {
        Self {
            epoch: StoreEpoch::random(rng),
            succeeds: None,
            confirmed: None,
            pending: None,
            past: Vec::new(),
            claimed_before: 0,
            restored: None,
            copy_seen: None,
        }
    }

    /// A claim on its way that the relay holds has been noted as taken before.
    fn weigh(&self, held: Option<&Claim>) -> Verdict {
        let Some(held) = held else { return Verdict::Newest };
        let ousted = |claim: Option<Claim>| claim.is_some_and(|claim| held.succeeds == Some(claim.nonce));
        let (confirmed, pending) = (self.confirmed, self.pending.map(|pending| pending.next));
        let older = match confirmed {
            _ if self.past.contains(&held.epoch) => true,
            Some(confirmed) => held.epoch == self.epoch && held.counter < confirmed.counter,
            None => false,
        };
        if confirmed.as_ref() == Some(held) || older {
            Verdict::Newest
        } else if held.epoch != self.epoch && (ousted(confirmed) || ousted(pending)) {
            Verdict::Ousted
        } else {
            Verdict::Behind
        }
    }

    /// Asks for the next claim of the epoch. One that is on its way from the same place is asked for again instead: the
    /// relay may have taken it already.
    fn ask_next(&mut self, held: Option<Claim>, rng: &mut dyn CryptoRng) {
        let same = |pending: &PendingClaim| pending.expected == held && pending.next.epoch == self.epoch;
        if self.pending.as_ref().is_some_and(same) {
            return;
        }
        let known = [self.confirmed, self.pending.map(|pending| pending.next), held];
        let own = known.into_iter().flatten().filter(|claim| claim.epoch == self.epoch);
        let counter = own.map(|claim| claim.counter).max().unwrap_or(0).saturating_add(1);
        let next =
            Claim { epoch: self.epoch, counter, nonce: ClaimNonce::random(rng), succeeds: self.succeeds };
        self.pending = Some(PendingClaim { expected: held, next });
    }

    /// Asks for the first claim of another epoch.
    fn ask_epoch(&mut self, held: Option<Claim>, rng: &mut dyn CryptoRng) {
        let same = |pending: &PendingClaim| pending.expected == held && pending.next.epoch != self.epoch;
        if self.pending.as_ref().is_some_and(same) {
            return;
        }
        let next = Claim {
            epoch: StoreEpoch::random(rng),
            counter: 1,
            nonce: ClaimNonce::random(rng),
            succeeds: held.map(|held| held.nonce),
        };
        self.pending = Some(PendingClaim { expected: held, next });
    }

    /// Enters the epoch of a claim that the relay has taken.
    fn enter(&mut self, claim: &Claim) {
        self.past.push(self.epoch);
        let surplus = self.past.len().saturating_sub(limits::PAST_EPOCHS);
        self.past.drain(..surplus);
        (self.epoch, self.succeeds) = (claim.epoch, claim.succeeds);
    }

    /// What is on its way, for the relay.
    pub(crate) fn to_send(&self, mailbox: &SigningKey) -> Option<MoveClaim> {
        let PendingClaim { expected, next } = self.pending?;
        Some(MoveClaim { expected, next: SignedClaim::issue(next, mailbox) })
    }
}

impl<V: View> Turn<'_, V> {
    /// The relay said which claim it holds: on a new connection, or because it expected another one. `replaced` says
    /// whether the connection took the place of another run of this account's daemon.
    pub(crate) fn claim_held(&mut self, held: Option<&SignedClaim>, replaced: bool) -> StoreResult<(), V> {
        let mut claims = self.claims()?;
        let held = self.verified(held);
        if let Some(held) = held.filter(|held| claims.pending.is_some_and(|pending| pending.next == *held)) {
            self.claim_taken(&mut claims, held)?;
        }
        let verdict = claims.weigh(held.as_ref());
        match (self.counters.standing, verdict) {
            (StoreStanding::Stopped { .. }, _) => {}
            (StoreStanding::TakingOver, _) | (StoreStanding::Restoring, Verdict::Newest) => {
                claims.ask_epoch(held, self.rng);
            }
            (StoreStanding::Newest, Verdict::Newest) => claims.ask_next(held, self.rng),
            (StoreStanding::Newest, Verdict::Behind) if !replaced && !*self.claimed => {
                self.counters.standing = StoreStanding::Restoring;
                claims.ask_epoch(held, self.rng);
            }
            // Only a reconnect during the recovery. If the claim has moved meanwhile, somebody moved it.
            (StoreStanding::Restoring, Verdict::Behind) if !replaced && claims.expects(held) => {}
            // Somebody is connected, or has moved the claim while this store was in use, or has ousted it.
            (StoreStanding::Newest | StoreStanding::Restoring, Verdict::Behind | Verdict::Ousted) => {
                claims.pending = None;
                self.counters.standing = StoreStanding::Stopped { since: self.now };
                self.event(Event::CopyStopped);
            }
        }
        self.effects.push(Effect::Claim);
        self.put(&ClaimsKey, &claims);
        Ok(())
    }

    /// The relay has taken a claim.
    pub(crate) fn claimed(&mut self, claim: &Claim) -> StoreResult<(), V> {
        let mut claims = self.claims()?;
        if claims.pending.is_some_and(|pending| pending.next == *claim) {
            self.claim_taken(&mut claims, *claim)?;
            self.put(&ClaimsKey, &claims);
        }
        Ok(())
    }

    /// It is time for the next claim. The time is drawn at random by the shell, whatever is sent or received.
    pub(crate) fn claim_due(&mut self) -> StoreResult<(), V> {
        let mut claims = self.claims()?;
        if self.counters.standing == StoreStanding::Newest && claims.pending.is_none() {
            claims.ask_next(claims.confirmed, self.rng);
            self.put(&ClaimsKey, &claims);
            self.effects.push(Effect::Claim);
        }
        Ok(())
    }

    /// Another daemon took this one's place at the relay with this very installation's id, which stands in the store
    /// and nowhere else.
    pub(crate) fn copy_seen(&mut self) -> StoreResult<(), V> {
        let mut claims = self.claims()?;
        claims.copy_seen = Some(self.now);
        self.put(&ClaimsKey, &claims);
        self.event(Event::CopySeen);
        Ok(())
    }

    /// The user's word: this copy goes on, or, where it does so anyway, the alarms were read.
    pub(crate) fn recover(&mut self) -> StoreResult<Result<Reply, CommandError>, V> {
        match self.counters.standing {
            StoreStanding::Stopped { .. } => {
                self.counters.standing = StoreStanding::TakingOver;
                Ok(Ok(Reply::TakingOver))
            }
            StoreStanding::TakingOver | StoreStanding::Restoring => Ok(Ok(Reply::TakingOver)),
            StoreStanding::Newest => {
                let mut claims = self.claims()?;
                if claims.copy_seen.is_none() && claims.restored.is_none() {
                    return Ok(Err(CommandError::NothingToRecover));
                }
                (claims.copy_seen, claims.restored) = (None, None);
                self.put(&ClaimsKey, &claims);
                Ok(Ok(Reply::AlarmEnded))
            }
        }
    }

    fn claims(&self) -> StoreResult<ClaimsRecord, V> {
        self.get(&ClaimsKey)?.ok_or(ReadError::Corrupt(Table::Account))
    }

    /// A claim that the mailbox did not sign counts as none, and is told of.
    fn verified(&mut self, held: Option<&SignedClaim>) -> Option<Claim> {
        let claim = held?.verify(self.account.mailbox);
        if claim.is_err() {
            self.event(Event::ForeignClaim);
        }
        claim.ok()
    }

    fn claim_taken(&mut self, claims: &mut ClaimsRecord, claim: Claim) -> StoreResult<(), V> {
        (claims.confirmed, claims.pending) = (Some(claim), None);
        *self.claimed = true;
        if claim.epoch != claims.epoch {
            claims.enter(&claim);
            self.renew_everything(claims)?;
        }
        claims.claimed_before = self.counters.next_position;
        Ok(())
    }

    /// The account begins anew with everyone: what it knows of its sessions is not what its contacts know. A pairing that
    /// is not finished goes on as it is; there is no other way to reach that contact.
    fn renew_everything(&mut self, claims: &mut ClaimsRecord) -> StoreResult<(), V> {
        self.counters.standing = StoreStanding::Newest;
        self.lose_groups()?;
        self.lose_request_sessions()?;
        let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
        let contacts = self.scan::<ContactRecord>(&Range::all(), limit)?;
        let mut renewed: u64 = 0;
        for (chat, _) in contacts.iter().filter(|(_, contact)| contact.answered) {
            self.withdraw_from(*chat, claims.claimed_before)?;
            self.take_back_key_packages(*chat)?;
            self.renew_session(*chat, RenewalReason::Restored)?;
            renewed = renewed.saturating_add(1);
        }
        claims.restored = Some(Restored { at: self.now, contacts: renewed });
        self.event(Event::StoreRestored);
        Ok(())
    }
}

impl ClaimsRecord {
    fn expects(&self, held: Option<Claim>) -> bool {
        self.pending.is_some_and(|pending| pending.expected == held)
    }
}

/// What a mailbox's link does next about claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claiming {
    /// To ask the relay for this.
    Ask(Box<MoveClaim>),
    /// Nothing; the store is the newest, and may be served.
    Settled,
    /// To end: another copy works.
    Stopped,
}

/// What the link does next about claims.
pub fn claiming<V: View>(view: &V) -> StoreResult<Claiming, V> {
    let counters: Counters = account::counters(view)?;
    if matches!(counters.standing, StoreStanding::Stopped { .. }) {
        return Ok(Claiming::Stopped);
    }
    let mailbox = SigningKey::from_bytes(account::record(view)?.mailbox.expose());
    let asked = claims(view)?.to_send(&mailbox);
    Ok(asked.map_or(Claiming::Settled, |asked| Claiming::Ask(Box::new(asked))))
}

/// The store's claims.
pub(crate) fn claims<V: View>(view: &V) -> StoreResult<ClaimsRecord, V> {
    rows::get(view, &ClaimsKey)?.ok_or(ReadError::Corrupt(Table::Account))
}
