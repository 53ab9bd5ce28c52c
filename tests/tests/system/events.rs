//! Programs that listen: each hears all, and one with a name goes on where it was.

use std::{future::Future, time::Duration};

use hermes_api::{AckEvents, ErrorCode, Event, EventFrame, EventQuery, EventStream, ForgetConsumer};
use hermes_tests::world::{World, wait::DEADLINE};
use tokio::time::timeout;

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

async fn next(stream: &mut EventStream) -> EventFrame {
    timeout(DEADLINE, stream.next_frame()).await.expect("an event comes").unwrap().expect("it goes on")
}

async fn texts(stream: &mut EventStream, count: usize) -> Vec<(u64, String)> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let frame = next(stream).await;
        if let Event::Received { message } = frame.event {
            let body = serde_json::to_value(&message.body).unwrap();
            texts.push((frame.seq.expect("it is kept"), body["text"].as_str().unwrap().to_owned()));
        }
    }
    texts
}

fn words(texts: &[(u64, String)]) -> Vec<&str> {
    texts.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn a_consumer_hears_what_it_missed_and_others_hear_it_too() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let client = bob.home.client();
    let as_bot = EventQuery { consumer: Some("bot".to_owned()), ..EventQuery::default() };
    let ack = |seq| AckEvents { consumer: "bot".to_owned(), seq };

    let first = run(async {
        let mut bot = client.listen(&bob.name, &as_bot).await.unwrap();
        let mut follower = client.events(&bob.name).await.unwrap();
        let mut other = client.events(&bob.name).await.unwrap();
        let busy = client.listen(&bob.name, &as_bot).await.unwrap_err().problem();
        assert_eq!(busy.code, ErrorCode::ConsumerBusy);
        alice.send("bob", "one");
        alice.send("bob", "two");
        let heard = texts(&mut bot, 2).await;
        assert_eq!(words(&heard), ["one", "two"]);
        assert_eq!(texts(&mut follower, 2).await, heard);
        assert_eq!(texts(&mut other, 2).await, heard);
        client.ack_events(&bob.name, &ack(heard[0].0)).await.unwrap();
        heard
    });

    // Nobody listens, and the daemon dies.
    alice.send("bob", "three");
    world.until("bob has all", || bob.unread().len() == 3);
    bob.home.kill();
    bob.home.start();

    run(async {
        let mut bot = client.listen(&bob.name, &as_bot).await.unwrap();
        let heard = texts(&mut bot, 2).await;
        assert_eq!(words(&heard), ["two", "three"]);
        assert_eq!(heard[0], first[1], "an event keeps its number");
        drop(bot);
        let state = client.ack_events(&bob.name, &ack(heard[1].0)).await.unwrap();
        assert_eq!(state.acknowledged, heard[1].0);
        let ahead = client.ack_events(&bob.name, &ack(heard[1].0 + 1_000)).await.unwrap_err().problem();
        assert_eq!(ahead.code, ErrorCode::EventNotFound);
        let consumers = client.consumers(&bob.name).await.unwrap();
        assert_eq!(consumers.consumers[0].acknowledged, heard[1].0);
        // The connection that was dropped is gone as soon as the daemon has noticed.
        let gone = ForgetConsumer { consumer: "bot".to_owned() };
        timeout(DEADLINE, async {
            while let Err(error) = client.forget_consumer(&bob.name, &gone).await {
                assert_eq!(error.problem().code, ErrorCode::ConsumerBusy);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("it is noticed");
        let unknown = client.ack_events(&bob.name, &ack(1)).await.unwrap_err().problem();
        assert_eq!(unknown.code, ErrorCode::ConsumerNotFound);
    });
}

#[test]
fn a_listener_hears_what_it_asked_for() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let carol = world.account("carol");
    alice.pair(&carol);
    let client = alice.home.client();
    let query = |kind: &str, contact: &str| EventQuery {
        kind: Some(kind.to_owned()),
        contact: Some(contact.to_owned()),
        ..EventQuery::default()
    };
    run(async {
        let mut received = client.listen(&alice.name, &query("received", "bob")).await.unwrap();
        carol.ctl(&["send", "alice", "from carol", "--wait"]).ok();
        bob.ctl(&["send", "alice", "from bob", "--wait"]).ok();
        assert_eq!(words(&texts(&mut received, 1).await), ["from bob"]);
        let mut states = client.listen(&alice.name, &query("state,received", "carol")).await.unwrap();
        alice.ctl(&["send", "bob", "carol", "hi", "--wait"]).ok();
        let Event::State { reference, .. } = next(&mut states).await.event else { panic!("no state") };
        assert!(reference.starts_with("carol#"), "{reference}");
        for (query, code) in [
            (query("gossip", "bob"), ErrorCode::Usage),
            (query("state", "nobody"), ErrorCode::ContactNotFound),
            (EventQuery { group: Some("bob".to_owned()), ..query("state", "bob") }, ErrorCode::Usage),
            (
                EventQuery { consumer: Some("a b".to_owned()), ..EventQuery::default() },
                ErrorCode::BadConsumerName,
            ),
        ] {
            let problem = client.listen(&alice.name, &query).await.unwrap_err().problem();
            assert_eq!(problem.code, code, "{query:?}: {problem}");
        }
    });
}
