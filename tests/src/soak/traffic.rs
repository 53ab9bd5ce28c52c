//! What everybody does, and what was accepted of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hermes_api::{Client, InboxQuery, Message, React, ReadMessages, SendMessage, Wait};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Runtime;

use super::{
    Plan,
    crowd::{CIRCLE, Circle, Crowd, Member, until},
};

/// Stands in every text, and nowhere else.
pub(super) const CANARY: &str = "soaked canary 6b1f0c";
/// Who write at the same time; each has circles of its own, so that there is one order of what each member says.
const WRITERS: usize = 32;
/// Messages that somebody reads at once.
const READ: u32 = 50;

/// A chat of a circle and who writes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// From one member, by number, to another; one of them is the hub.
    Pair { from: usize, to: usize },
    /// From a member to the group.
    Group { from: usize },
}

/// How many texts of each stream were accepted. They are numbered from 1.
#[derive(Debug)]
pub(super) struct Ledger(Vec<Mutex<BTreeMap<Stream, u64>>>);

impl Ledger {
    pub(super) fn new(crowd: &Crowd) -> Self {
        Self(crowd.circles.iter().map(|_| Mutex::default()).collect())
    }

    /// What a circle said.
    pub(super) fn of(&self, circle: usize) -> BTreeMap<Stream, u64> {
        self.0[circle].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn total(&self) -> u64 {
        (0..self.0.len()).flat_map(|circle| self.of(circle).into_values()).sum()
    }

    fn next(&self, circle: usize, stream: Stream) -> u64 {
        self.of(circle).get(&stream).map_or(1, |said| said + 1)
    }

    fn accept(&self, circle: usize, stream: Stream, number: u64) {
        self.0[circle].lock().unwrap_or_else(PoisonError::into_inner).insert(stream, number);
    }
}

/// The text of a stream with a number.
pub(super) fn text(circle: usize, stream: Stream, number: u64) -> String {
    match stream {
        Stream::Pair { from, to } => format!("{CANARY} c{circle} {from} to {to} #{number}"),
        Stream::Group { from } => format!("{CANARY} c{circle} {from} to all #{number}"),
    }
}

/// Everybody begins.
pub(super) fn start(
    runtime: &Runtime,
    plan: &Plan,
    crowd: &Arc<Crowd>,
    ledger: &Arc<Ledger>,
    stop: &Arc<AtomicBool>,
) -> Vec<thread::JoinHandle<()>> {
    let writers = WRITERS.min(crowd.circles.len());
    let pause = Duration::from_secs(1) * u32::try_from(writers).unwrap_or(1) / plan.actions_per_second.max(1);
    let writer = |writer: usize| {
        let (crowd, ledger, stop) = (Arc::clone(crowd), Arc::clone(ledger), Arc::clone(stop));
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed ^ (writer as u64 + 1));
        let runtime = runtime.handle().clone();
        thread::spawn(move || {
            runtime.block_on(async {
                while !stop.load(Ordering::Relaxed) {
                    let nth = rng.random_range(0..(crowd.circles.len() - writer).div_ceil(writers));
                    let circle = writer + nth * writers;
                    act(circle, &crowd.circles[circle], &ledger, &mut rng).await;
                    tokio::time::sleep(pause).await;
                }
            });
        })
    };
    (0..writers).map(writer).collect()
}

async fn act(number: usize, circle: &Circle, ledger: &Ledger, rng: &mut ChaCha8Rng) {
    let member = rng.random_range(1..CIRCLE);
    match rng.random_range(0..100) {
        0..40 => say(number, circle, ledger, Stream::Pair { from: 0, to: member }).await,
        40..70 => say(number, circle, ledger, Stream::Pair { from: member, to: 0 }).await,
        70..85 => say(number, circle, ledger, Stream::Group { from: rng.random_range(0..CIRCLE) }).await,
        85..95 => read(&circle.members[rng.random_range(0..CIRCLE)]).await,
        _ => react(&circle.members[rng.random_range(0..CIRCLE)]).await,
    }
}

/// Says the next text of a stream until it is accepted, under one idempotency key: a daemon may be killed when it has
/// stored it and not yet said so.
async fn say(number: usize, circle: &Circle, ledger: &Ledger, stream: Stream) {
    let (from, to) = match stream {
        Stream::Pair { from, to } => (from, circle.members[to].name.clone()),
        Stream::Group { from } => (from, circle.group.clone()),
    };
    let next = ledger.next(number, stream);
    let text = text(number, stream, next);
    let message = SendMessage {
        to: vec![to],
        id: text.replace(' ', "_"),
        text,
        ttl_seconds: None,
        reply_to: None,
        wait: Wait::None,
        timeout_ms: 0,
    };
    let Member { name, client } = &circle.members[from];
    until(&format!("{name} can say {:?}", message.text), async || {
        let result = client.send(name, &message).await?.results.remove(0);
        result.error.map_or(Ok(result.id.is_some()), |problem| Err(problem.into()))
    })
    .await;
    ledger.accept(number, stream, next);
}

/// Reads what is unread, as far as the daemon is there.
async fn read(member: &Member) {
    let refs =
        unread(&member.client, &member.name).await.into_iter().map(|message| message.reference).collect();
    let _away = member.client.mark_read(&member.name, &ReadMessages { refs }).await;
}

/// Reacts to something unread, as far as the daemon is there.
async fn react(member: &Member) {
    if let Some(message) = unread(&member.client, &member.name).await.pop() {
        let react = React { emoji: Some("👍".to_owned()) };
        let _away = member.client.react(&member.name, &message.id, &react).await;
    }
}

async fn unread(client: &Client, account: &str) -> Vec<Message> {
    let query = InboxQuery { limit: Some(READ), ..InboxQuery::default() };
    client.inbox(account, &query).await.map_or_else(|_| Vec::new(), |page| page.messages)
}
