//! What waits is not lost: a long absence of the receiver, a relay that goes away under load.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use hermes_api::{SendMessage, Wait};
use hermes_tests::world::{Account, World, wait};
use tokio::{runtime::Runtime, task::JoinSet};

/// Messages that wait for their receiver.
const BACKLOG: usize = 5_000;
/// Requests to the daemon at a time.
const LANES: usize = 16;
/// For the backlog to move; a machine may be slow and busy.
const PATIENCE: Duration = Duration::from_secs(300);
/// Restarts of the relay under load.
const RESTARTS: usize = 3;

#[test]
fn a_long_absence_is_made_up_for_in_order() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.home.stop();

    let start = Instant::now();
    send_many(&alice, "bob");
    wait::until_within(PATIENCE, "the relay has everything", || {
        alice.status().is_some_and(|status| status.outbox == 0)
    });
    println!("{BACKLOG} messages sent to the relay in {:.1?}", start.elapsed());

    let start = Instant::now();
    bob.home.start();
    wait::until_within(PATIENCE, "bob has everything", || {
        bob.status().is_some_and(|status| status.unread >= BACKLOG as u64)
    });
    println!("{BACKLOG} messages received in {:.1?}", start.elapsed());

    // The lanes race each other to the daemon; what it accepted first is first in its own log.
    let (sent, received) = (alice.sent("bob"), bob.received("alice"));
    assert_eq!(sent.len(), BACKLOG);
    assert!(received == sent, "bob's order is not alice's");
    for lane in 0..LANES {
        let prefix = format!("lane {lane} ");
        let numbers: Vec<_> = received.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
        let expected: Vec<_> = (lane..BACKLOG).step_by(LANES).map(|number| number.to_string()).collect();
        assert_eq!(numbers, expected, "lane {lane}");
    }
    wait::until_within(PATIENCE, "alice knows that everything is delivered", || alice.all_delivered("bob"));
}

#[test]
fn a_relay_that_restarts_under_load_is_found_again() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let (done, sent) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);

    thread::scope(|scope| {
        scope.spawn(|| send_until(&done, &alice, "bob", &sent[0]));
        scope.spawn(|| send_until(&done, &bob, "alice", &sent[1]));
        let ended = Finally(&done);
        for restart in 0..RESTARTS {
            let before = counts(&sent);
            world.until("both write", || {
                counts(&sent).iter().zip(before).all(|(count, before)| *count > before)
            });
            world.relay.restart();
            let start = Instant::now();
            let at_restart = counts(&sent);
            world.until("what is written after the restart arrives on both sides", || {
                arrived(&bob, "alice") > at_restart[0] && arrived(&alice, "bob") > at_restart[1]
            });
            println!("restart {restart}: messages arrive again after {:.1?}", start.elapsed());
        }
        drop(ended);
    });

    for (from, to, sent) in [(&alice, &bob, &sent[0]), (&bob, &alice, &sent[1])] {
        wait::until_within(PATIENCE, "everything is delivered", || from.all_delivered(&to.name));
        let expected: Vec<_> = (0..sent.load(Ordering::Relaxed)).map(|number| number.to_string()).collect();
        assert_eq!(to.received(&from.name), expected);
    }
}

/// Lets the writers end even when this thread fails.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn counts(sent: &[AtomicUsize; 2]) -> [usize; 2] {
    sent.each_ref().map(|count| count.load(Ordering::Relaxed))
}

fn arrived(account: &Account, from: &str) -> usize {
    account
        .try_history(from)
        .map_or(0, |messages| messages.iter().filter(|message| message.received_at.is_some()).count())
}

/// Sends numbers, each wrapped in its lane's name, through the daemon's API.
fn send_many(from: &Account, to: &str) {
    let runtime = Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (client, account, to) = (from.home.client(), from.name.clone(), to.to_owned());
            lanes.spawn(async move {
                for number in (lane..BACKLOG).step_by(LANES) {
                    let message = message(&to, format!("lane {lane} {number}"), format!("backlog-{number}"));
                    client.send(&account, &message).await.expect("the daemon takes every message");
                }
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane.expect("no lane fails");
        }
    });
}

/// Sends numbers one after the other until told to stop.
fn send_until(done: &AtomicBool, from: &Account, to: &str, sent: &AtomicUsize) {
    let runtime = Runtime::new().expect("a runtime can be made");
    let client = from.home.client();
    while !done.load(Ordering::Relaxed) {
        let number = sent.load(Ordering::Relaxed);
        let message = message(to, number.to_string(), format!("load-{number}"));
        runtime.block_on(client.send(&from.name, &message)).expect("the daemon takes every message");
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

fn message(to: &str, text: String, id: String) -> SendMessage {
    let to = vec![to.to_owned()];
    SendMessage { to, text, id, reply_to: None, ttl_seconds: None, wait: Wait::None, timeout_ms: 0 }
}
