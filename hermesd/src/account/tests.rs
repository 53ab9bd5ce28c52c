//! The account's thread over a store that can be made to fail or to wait: one commit for what waits, replies and
//! acknowledgements after it, and none without it.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    sync::{Mutex, mpsc as sync_mpsc},
    time::Duration,
};

use hermes_engine::{ChangeSet, Engine, NewAccount, Order, Range, Store, Table, Value, View};
use hermes_wire::{RelayAddress, RelayPin, Sequence, Timestamp, prekey::PrekeyId};

use super::{owner::AccountStore, *};
use crate::{clock::now, limits::BATCH_INPUTS, random::rng, store::Erased};

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Shared by all openings of one store.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rows: Rows,
    commits: usize,
    /// Commits before each rest.
    rests: Vec<usize>,
    broken: bool,
    /// Each commit says that it has begun, and waits for a word.
    gate: Option<(sync_mpsc::Sender<()>, sync_mpsc::Receiver<()>)>,
}

impl View for Disk {
    type Error = StoreError;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.0.lock().unwrap().rows.get(&(table, key.to_vec())).cloned().map(Value::new))
    }

    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let state = self.0.lock().unwrap();
        let from = Bound::Included((table, range.from.clone()));
        let inside = |key: &[u8]| range.to.as_deref().is_none_or(|to| key < to);
        let rows = state.rows.range((from, Bound::Unbounded));
        let mut rows: Vec<_> = rows.take_while(|((t, key), _)| *t == table && inside(key)).collect();
        if order == Order::Descending {
            rows.reverse();
        }
        for ((_, key), value) in rows {
            if visit(key, Value::new(value.clone())).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Store for Disk {
    fn commit(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        let mut state = self.0.lock().unwrap();
        if let Some((begun, go)) = &state.gate {
            begun.send(()).unwrap();
            go.recv().unwrap();
        }
        if state.broken {
            return Err(StoreError::Full);
        }
        state.commits += 1;
        for (table, key, value) in changes.iter() {
            match value {
                Some(value) => state.rows.insert((table, key.to_vec()), value.to_vec()),
                None => state.rows.remove(&(table, key.to_vec())),
            };
        }
        Ok(())
    }
}

impl AccountStore for Disk {
    fn rest(&mut self) -> Result<Erased, StoreError> {
        let mut state = self.0.lock().unwrap();
        let commits = state.commits;
        state.rests.push(commits);
        Ok(Erased::All)
    }

    fn loaded(&self) {}
}

impl Reopen for Disk {
    type Store = Self;

    fn reopen(&self) -> Result<Self, OpenError> {
        match self.0.lock().unwrap().broken {
            true => Err(OpenError::Missing(PathBuf::new())),
            false => Ok(self.clone()),
        }
    }
}

struct World {
    disk: Disk,
    work: mpsc::Sender<Work>,
    health: watch::Receiver<Health>,
    owner: Option<Owner<Disk>>,
}

impl World {
    fn new() -> Self {
        let mut disk = Disk::default();
        let relay = RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap();
        let new = NewAccount { name: "alice".into(), relay, registration_token: None };
        Engine::create(new, now(), &mut rng()).commit(&mut disk, now(), &mut rng()).unwrap();
        disk.0.lock().unwrap().commits = 0;
        let (work, queue) = mpsc::channel(WORK_QUEUE);
        let (health, watched) = watch::channel(Health::Well(0));
        let outlets = Outlets {
            events: broadcast::channel(EVENTS).0,
            wakes: Arc::default(),
            passing: Passing::new().0,
            presences: Arc::default(),
            health,
        };
        let owner =
            Owner::new(disk.clone(), disk.clone(), queue, outlets, watch::channel(Privacy::default()).1)
                .unwrap();
        Self { disk, work, health: watched, owner: Some(owner) }
    }

    fn run(&mut self) -> JoinHandle<()> {
        let (owner, runtime) = (self.owner.take().unwrap(), Handle::current());
        thread::spawn(move || owner.run(&runtime))
    }

    async fn invite(&self) -> oneshot::Receiver<Result<Reply, CommandFailure>> {
        let (reply, answer) = oneshot::channel();
        let command = Command::CreateInvite { validity: Duration::from_secs(60) };
        self.work.send(Work::Command(command, reply)).await.unwrap();
        answer
    }

    async fn register(&self) -> oneshot::Receiver<Committed> {
        let event = LinkEvent::Registered {
            relay_time: Timestamp(1),
            next_prekey_id: PrekeyId(0),
            stock: Vec::new(),
            head: Sequence(0),
            claim: None,
            replaced: false,
        };
        // The account is registered once its keys are up.
        self.link(vec![event, LinkEvent::PrekeysStored(PrekeyId(1_000))]).await
    }

    async fn gone(&self, through: u64) -> oneshot::Receiver<Committed> {
        self.link(vec![LinkEvent::Gone(Sequence(1), Sequence(through))]).await
    }

    async fn link(&self, events: Vec<LinkEvent>) -> oneshot::Receiver<Committed> {
        let (done, committed) = oneshot::channel();
        self.work.send(Work::Link(events, Some(done))).await.unwrap();
        committed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_one_commit() {
    let mut world = World::new();
    let registered = world.register().await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(world.invite().await);
    }
    let gone = world.gone(9).await;
    world.work.send(Work::Stop).await.unwrap();
    let thread = world.run();
    for answer in answers {
        assert!(matches!(answer.await.unwrap(), Ok(Reply::Invite { .. })));
    }
    registered.await.unwrap();
    assert_eq!(gone.await.unwrap().ack, Some(Sequence(9)));
    thread.join().unwrap();
    assert_eq!(world.disk.0.lock().unwrap().commits, 1);
}

/// The queue is full from the start and never empty, so that the thread has no pause in which it could rest.
#[tokio::test(flavor = "multi_thread")]
async fn used_keys_are_erased_between_commits_without_a_pause() {
    for (busy, rests) in [(Duration::ZERO, vec![1, 2, 3, 3]), (Duration::MAX, vec![3])] {
        let mut world = World::new();
        world.owner.as_mut().unwrap().rest_at_latest = busy;
        for batch in 1..=3 {
            let gone = |_| LinkEvent::Gone(Sequence(1), Sequence(batch));
            world.link((0..BATCH_INPUTS).map(gone).collect()).await;
        }
        world.work.send(Work::Stop).await.unwrap();
        let thread = world.run();
        thread.join().unwrap();
        assert_eq!(world.disk.0.lock().unwrap().rests, rests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_acknowledges_the_highest_of_what_it_took() {
    let mut world = World::new();
    let (nothing, high, low) = (world.register().await, world.gone(9).await, world.gone(5).await);
    world.work.send(Work::Stop).await.unwrap();
    let thread = world.run();
    assert_eq!(nothing.await.unwrap().ack, Some(Sequence(9)));
    assert_eq!(high.await.unwrap().ack, Some(Sequence(9)));
    assert_eq!(low.await.unwrap().ack, Some(Sequence(9)));
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_before_the_commit() {
    let mut world = World::new();
    let mut registered = world.register().await;
    let mut answer = world.invite().await;
    world.work.send(Work::Stop).await.unwrap();
    let ((begun, has_begun), (go, gate)) = (sync_mpsc::channel(), sync_mpsc::channel());
    world.disk.0.lock().unwrap().gate = Some((begun, gate));
    let thread = world.run();
    has_begun.recv().unwrap();
    assert!(answer.try_recv().is_err());
    assert!(registered.try_recv().is_err());
    go.send(()).unwrap();
    thread.join().unwrap();
    assert!(answer.await.unwrap().is_ok());
    assert!(registered.await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_confirms_nothing_and_is_loaded_anew() {
    let mut world = World::new();
    let mut health = world.health.clone();
    let (registered, answer, gone) = (world.register().await, world.invite().await, world.gone(9).await);
    world.disk.0.lock().unwrap().broken = true;
    let before = world.disk.0.lock().unwrap().rows.clone();
    let thread = world.run();
    assert!(matches!(answer.await.unwrap(), Err(CommandFailure::Store(_))));
    assert!(registered.await.is_err());
    assert!(gone.await.is_err());
    assert!(world.disk.0.lock().unwrap().rows == before);

    // While it cannot be opened, commands hear so, and what the link brings is not confirmed.
    assert!(matches!(world.invite().await.await.unwrap(), Err(CommandFailure::Store(_))));
    assert!(world.gone(9).await.await.is_err());

    world.disk.0.lock().unwrap().broken = false;
    health.wait_for(|health| *health == Health::Well(1)).await.unwrap();
    world.register().await.await.unwrap();
    assert!(world.invite().await.await.unwrap().is_ok());
    assert_eq!(world.gone(9).await.await.unwrap().ack, Some(Sequence(9)));
    world.work.send(Work::Stop).await.unwrap();
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_found_damaged_takes_nothing_more() {
    let mut world = World::new();
    let mut health = world.health.clone();
    let before = world.invite().await;
    world.work.send(Work::Damaged("damaged".to_owned())).await.unwrap();
    let thread = world.run();
    assert!(matches!(before.await.unwrap(), Err(CommandFailure::Damaged(_))));
    health.wait_for(|health| *health == Health::Failed("damaged".to_owned())).await.unwrap();
    assert!(matches!(world.invite().await.await.unwrap(), Err(CommandFailure::Damaged(_))));
    assert!(world.gone(9).await.await.is_err());
    assert_eq!(world.disk.0.lock().unwrap().commits, 0);
    world.work.send(Work::Stop).await.unwrap();
    thread.join().unwrap();
}
