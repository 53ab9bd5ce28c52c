//! The one thread that owns an account's engine and store.
//!
//! It takes what waits in the queue, commits all of it at once, and only then hands out replies, events and wakes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use hermes_engine::{
    ChangeOutcome, CommandId, Effect, Engine, Event, Input, Privacy, ReadError, Step, Store, View,
};
use hermes_wire::Timestamp;
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc, oneshot, watch},
    time::{error::Elapsed, timeout},
};

use super::{
    passing::Passing,
    presences::Presences,
    wakes::Wakes,
    work::{CommandFailure, Committed, Work},
};
use crate::{
    clock::now,
    limits::{
        BATCH_BYTES, BATCH_INPUTS, CHECKPOINT_BUSY, CHECKPOINT_IDLE, CLOCK_LOOK, REOPEN_FIRST, REOPEN_LAST,
        TICK,
    },
    random::rng,
    store::{Erased, OpenError, SqliteStore, StoreError},
};

/// A store the owner can work with.
pub(super) trait AccountStore: Store<Error = StoreError> {
    /// Erases used keys from the disk. Called when nothing has happened for a while after a commit, and now and then
    /// in a row of commits without a pause.
    fn rest(&mut self) -> Result<Erased, StoreError>;

    /// An account was loaded from the store: nothing older is needed.
    fn loaded(&self);
}

impl AccountStore for SqliteStore {
    fn rest(&mut self) -> Result<Erased, StoreError> {
        self.checkpoint()
    }

    fn loaded(&self) {
        if let Err(error) = self.forget_copies() {
            tracing::warn!(%error, "the copy that an upgrade kept could not be erased; the next start tries again");
        }
    }
}

/// How a store is opened again after it failed.
pub(super) trait Reopen {
    type Store: AccountStore;

    fn reopen(&self) -> Result<Self::Store, OpenError>;
}

/// Whether the account can commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It can. The number rises each time the engine was loaded anew: whatever was not committed before is lost, and
    /// the link has to ask for it again.
    Well(u64),
    /// It cannot, for this reason; it is tried again unless the store is damaged.
    Failed(String),
}

/// Where effects go.
pub(super) struct Outlets {
    pub(super) events: broadcast::Sender<Event>,
    pub(super) wakes: Arc<Wakes>,
    pub(super) passing: Passing,
    pub(super) presences: Arc<Presences>,
    pub(super) health: watch::Sender<Health>,
}

pub(super) struct Owner<R: Reopen> {
    source: R,
    /// `None` after a failure.
    open: Option<(Engine, R::Store)>,
    queue: mpsc::Receiver<Work>,
    outlets: Outlets,
    /// What others may learn, as the configuration says now.
    privacy: watch::Receiver<Privacy>,
    loads: u64,
    next_command: u64,
    /// When the engine wants to hear of the time, before [`TICK`] is over.
    due: Option<Timestamp>,
    /// [`CHECKPOINT_BUSY`], or what a test puts there.
    pub(super) rest_at_latest: Duration,
}

/// Those who wait for a commit.
#[derive(Default)]
struct Waiting {
    replies: Vec<(CommandId, oneshot::Sender<Result<hermes_engine::Reply, CommandFailure>>)>,
    commits: Vec<oneshot::Sender<Committed>>,
}

/// Why the engine is gone.
type Failure = ReadError<StoreError>;

impl<R: Reopen> Owner<R> {
    pub(super) fn new(
        source: R,
        store: R::Store,
        queue: mpsc::Receiver<Work>,
        outlets: Outlets,
        privacy: watch::Receiver<Privacy>,
    ) -> Result<Self, Failure> {
        let engine = load(&store)?;
        Ok(Self {
            source,
            open: Some((engine, store)),
            queue,
            outlets,
            privacy,
            loads: 0,
            next_command: 0,
            due: None,
            rest_at_latest: CHECKPOINT_BUSY,
        })
    }

    /// Works until it is told to stop or nobody is left to tell it, and then leaves everything in the store's file:
    /// closing would not do it, as readers may still have it open. `runtime` only keeps the time.
    pub(super) fn run(mut self, runtime: &Handle) {
        self.work(runtime);
        self.rest();
    }

    fn work(&mut self, runtime: &Handle) {
        let mut next_tick = Instant::now();
        // Since when the disk may keep used keys: an earlier process may have left some.
        let mut unrested = Some(Instant::now());
        loop {
            let idle = if unrested.is_some() { CHECKPOINT_IDLE } else { TICK };
            // Looked at anew once a minute: the clock that says when something is due may be set.
            let due = self.due.map(|due| due.since(now()).min(CLOCK_LOOK));
            let until_tick = next_tick.saturating_duration_since(Instant::now());
            let until_tick = due.map_or(until_tick, |due| due.min(until_tick));
            let flow = match self.receive(runtime, idle.min(until_tick)) {
                Ok(None) => return,
                Ok(Some(work)) => {
                    let mut batch = self.gather(work);
                    // However much there is to do, what is due is not put off.
                    batch.due = self.due.take_if(|due| *due <= now()).is_some();
                    unrested.get_or_insert_with(Instant::now);
                    self.step(batch)
                }
                Err(_) if Instant::now() < next_tick && self.due.take_if(|due| *due <= now()).is_some() => {
                    unrested.get_or_insert_with(Instant::now);
                    self.step(Batch { due: true, ..Batch::default() })
                }
                Err(_) if Instant::now() >= next_tick => {
                    self.due = None;
                    next_tick = Instant::now() + TICK;
                    unrested.get_or_insert_with(Instant::now);
                    self.step(Batch { tick: true, ..Batch::default() })
                }
                Err(_) => {
                    unrested = self.rest();
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() || (self.open.is_none() && self.recover(runtime).is_break()) {
                return;
            }
            if unrested.is_some_and(|since| since.elapsed() >= self.rest_at_latest) {
                unrested = self.rest();
            }
        }
    }

    /// The next item; an error when none came in time.
    fn receive(&mut self, runtime: &Handle, patience: Duration) -> Result<Option<Work>, Elapsed> {
        // A timeout finds its clock through the runtime, so it is made inside.
        runtime.block_on(async { timeout(patience, self.queue.recv()).await })
    }

    /// Adds what waits behind `first`, up to a limit: a commit costs a sync of the disk, however much is in it.
    fn gather(&mut self, first: Work) -> Batch {
        let mut batch = Batch::default();
        batch.add(first);
        while batch.has_room() {
            match self.queue.try_recv() {
                Ok(work) => batch.add(work),
                Err(_) => break,
            }
        }
        batch
    }

    fn step(&mut self, batch: Batch) -> ControlFlow<()> {
        let stop = batch.stop;
        if let Some(reason) = batch.damaged.clone() {
            self.open = None;
            tracing::error!(%reason, "a scrub found damage; the account stops");
            batch.fail(&CommandFailure::Damaged(reason.clone()));
            return self.end(reason, stop);
        }
        let Some((engine, store)) = self.open.take() else {
            batch.fail(&CommandFailure::Store("the store is closed".to_owned()));
            return ControlFlow::Continue(());
        };
        let (inputs, waiting) = batch.into_inputs(&mut self.next_command);
        let engine = engine.with_privacy(*self.privacy.borrow());
        match commit(engine, store, inputs) {
            Ok((engine, store, effects)) => {
                self.open = Some((engine, store));
                self.dispatch(effects, waiting);
            }
            Err(failure) => {
                tracing::error!(%failure, "commit failed; the account is loaded anew");
                self.outlets.health.send_replace(Health::Failed(failure.to_string()));
                waiting.fail(&failure.to_string());
                if damaged(&failure) {
                    return self.end(failure.to_string(), stop);
                }
            }
        }
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn dispatch(&mut self, effects: Vec<Effect>, mut waiting: Waiting) {
        let mut ack = None;
        let mut guests = BTreeMap::new();
        let mut strays = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Reply(id, reply) => waiting.reply(id, reply.map_err(CommandFailure::Refused)),
                Effect::Event(event) => {
                    note(&event);
                    if let Event::ContactReady { .. } = event {
                        self.outlets.wakes.key_packages();
                    }
                    if self.is_news(&event) {
                        self.tell(event);
                    }
                }
                Effect::Outbox(chat) => self.outlets.wakes.outbox(chat),
                Effect::Fetch(chat) => self.outlets.wakes.fetch(chat),
                Effect::Prekeys => self.outlets.wakes.prekeys(),
                Effect::Revocations => self.outlets.wakes.revocations(),
                Effect::Claim => self.outlets.wakes.claim(),
                Effect::Blobs => self.outlets.wakes.blobs(),
                Effect::Due(at) => self.due = Some(self.due.map_or(at, |due| due.min(at))),
                Effect::Ephemeral(ephemeral) => self.outlets.passing.send(*ephemeral),
                Effect::Ack(sequence) => ack = ack.max(Some(sequence)),
                Effect::GuestAck(guest, sequence) => {
                    let ack = guests.entry(guest).or_insert(sequence);
                    *ack = sequence.max(*ack);
                }
                Effect::GuestStrays(guest) => {
                    strays.insert(guest);
                }
                Effect::Guests => self.outlets.wakes.guests(),
            }
        }
        // At the latest with the next beat.
        for (chat, name) in self.outlets.presences.expire(now()) {
            self.tell(Event::Presence { chat, name, here: false });
        }
        for committed in waiting.commits {
            // The connection may be gone; the next one is sent the same again, and acknowledges it.
            let _ = committed.send(Committed { ack, guests: guests.clone(), strays: strays.clone() });
        }
    }

    /// Contacts say again and again that they are there.
    fn is_news(&self, event: &Event) -> bool {
        match event {
            Event::Presence { chat, name, here } => self.outlets.presences.note(*chat, name, *here, now()),
            _ => true,
        }
    }

    fn tell(&self, event: Event) {
        // An error means that nobody listens.
        drop(self.outlets.events.send(event));
    }

    /// From when on the disk may keep used keys, if not all are erased: it is tried again.
    fn rest(&mut self) -> Option<Instant> {
        let (_, store) = self.open.as_mut()?;
        match store.rest() {
            Ok(Erased::All) => return None,
            Ok(Erased::LogInUse) => tracing::debug!("a query holds the write-ahead log; it is emptied later"),
            Err(error) => {
                tracing::warn!(%error, "used keys could not be erased from the disk; it is tried again")
            }
        }
        Some(Instant::now())
    }

    /// Opens the store again, waiting longer each time, and answers everyone meanwhile that it failed.
    fn recover(&mut self, runtime: &Handle) -> ControlFlow<()> {
        let mut delay = REOPEN_FIRST;
        loop {
            match self.reopen() {
                Ok(open) => {
                    self.open = Some(open);
                    self.loads += 1;
                    self.outlets.health.send_replace(Health::Well(self.loads));
                    tracing::info!("the account is open again");
                    return ControlFlow::Continue(());
                }
                Err(reason) => {
                    // The reason has the account's name in its path; hermesctl status shows it.
                    tracing::error!("the store cannot be opened again");
                    self.outlets.health.send_replace(Health::Failed(reason.clone()));
                    self.answer_for(runtime, delay, &CommandFailure::Store(reason))?;
                }
            }
            delay = (delay * 2).min(REOPEN_LAST);
        }
    }

    fn reopen(&self) -> Result<(Engine, R::Store), String> {
        let store = self.source.reopen().map_err(|error| error.to_string())?;
        let engine = load(&store).map_err(|error| error.to_string())?;
        Ok((engine, store))
    }

    fn answer_for(&mut self, runtime: &Handle, delay: Duration, failure: &CommandFailure) -> ControlFlow<()> {
        let end = Instant::now() + delay;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.receive(runtime, left) {
                Ok(Some(Work::Damaged(reason))) => return self.end(reason, false),
                Ok(Some(work)) => fail(work, failure)?,
                Ok(None) => return ControlFlow::Break(()),
                Err(_) => return ControlFlow::Continue(()),
            }
        }
    }

    /// What is left to do with a damaged store: opening it again would find the same damage.
    fn end(&mut self, reason: String, stopping: bool) -> ControlFlow<()> {
        self.outlets.health.send_replace(Health::Failed(reason.clone()));
        if !stopping {
            self.answer_until_stopped(&CommandFailure::Damaged(reason));
        }
        ControlFlow::Break(())
    }

    fn answer_until_stopped(&mut self, failure: &CommandFailure) {
        while let Some(work) = self.queue.blocking_recv() {
            if fail(work, failure).is_break() {
                return;
            }
        }
    }
}

fn load(store: &impl AccountStore) -> Result<Engine, Failure> {
    let engine = Engine::load(store)?;
    store.loaded();
    Ok(engine)
}

/// One step for all inputs, one commit for the step.
fn commit<S: Store>(
    engine: Engine,
    mut store: S,
    inputs: Vec<Input>,
) -> Result<(Engine, S, Vec<Effect>), ReadError<S::Error>> {
    let mut inputs = inputs.into_iter();
    let Some(first) = inputs.next() else { return Ok((engine, store, Vec::new())) };
    let step = engine.handle(first, &store, now(), &mut rng())?;
    let step = inputs.try_fold(step, |step, input| next(step, input, &store))?;
    let (engine, effects) = step.commit(&mut store, now(), &mut rng())?;
    Ok((engine, store, effects))
}

fn next<V: View>(step: Step, input: Input, view: &V) -> Result<Step, ReadError<V::Error>> {
    step.then(input, view, now(), &mut rng())
}

/// What an operator should find in the log, without anyone's name.
fn note(event: &Event) {
    if let Event::IdentityChanged { outcome, .. } = event {
        match outcome {
            ChangeOutcome::Stopped => {
                tracing::warn!("a contact's identity key changed; sending to it stopped")
            }
            ChangeOutcome::Accepted => {
                tracing::warn!("a contact's identity key changed and was accepted, as its policy says");
            }
        }
    }
}

fn damaged(failure: &Failure) -> bool {
    match failure {
        ReadError::Store(StoreError::Corrupt(_)) | ReadError::Corrupt(_) | ReadError::NoAccount => true,
        ReadError::Store(
            StoreError::Full | StoreError::Failed(_) | StoreError::Interrupted | StoreError::Closed,
        ) => false,
    }
}

fn fail(work: Work, failure: &CommandFailure) -> ControlFlow<()> {
    match work {
        Work::Command(_, reply) => {
            // Whoever asked may have left.
            let _ = reply.send(Err(failure.clone()));
            ControlFlow::Continue(())
        }
        Work::Link(..) | Work::Damaged(_) => ControlFlow::Continue(()),
        Work::Stop => ControlFlow::Break(()),
    }
}

/// What goes into one commit.
#[derive(Default)]
struct Batch {
    work: Vec<Work>,
    inputs: usize,
    bytes: usize,
    due: bool,
    tick: bool,
    damaged: Option<String>,
    stop: bool,
}

impl Batch {
    fn add(&mut self, work: Work) {
        self.inputs += work.inputs();
        self.bytes += work.bytes();
        match work {
            Work::Damaged(reason) => self.damaged = Some(reason),
            work => {
                self.stop |= matches!(work, Work::Stop);
                self.work.push(work);
            }
        }
    }

    fn has_room(&self) -> bool {
        self.inputs < BATCH_INPUTS && self.bytes < BATCH_BYTES && !self.stop
    }

    fn fail(self, failure: &CommandFailure) {
        for work in self.work {
            let _ = fail(work, failure);
        }
    }

    fn into_inputs(self, next_command: &mut u64) -> (Vec<Input>, Waiting) {
        let mut inputs = Vec::with_capacity(self.inputs + 1);
        let mut waiting = Waiting::default();
        for work in self.work {
            match work {
                Work::Command(command, reply) => {
                    let id = CommandId(*next_command);
                    *next_command += 1;
                    inputs.push(Input::Command(id, command));
                    waiting.replies.push((id, reply));
                }
                Work::Link(events, committed) => {
                    inputs.extend(events.into_iter().map(Input::Link));
                    waiting.commits.extend(committed);
                }
                Work::Damaged(_) | Work::Stop => {}
            }
        }
        if self.due {
            inputs.push(Input::Due);
        }
        if self.tick {
            inputs.push(Input::Tick);
        }
        (inputs, waiting)
    }
}

impl Waiting {
    fn reply(&mut self, id: CommandId, reply: Result<hermes_engine::Reply, CommandFailure>) {
        if let Some(at) = self.replies.iter().position(|(waiting, _)| *waiting == id) {
            let (_, sender) = self.replies.swap_remove(at);
            // Whoever asked may have left.
            let _ = sender.send(reply);
        }
    }

    fn fail(self, reason: &str) {
        for (_, reply) in self.replies {
            let _ = reply.send(Err(CommandFailure::Store(reason.to_owned())));
        }
    }
}
