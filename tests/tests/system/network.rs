//! The real programs on the system's own network code, in namespaces: cut off, on a narrow path, at another address, asleep,
//! with a relay that has moved, behind a router that forgets. Said to be skipped where no namespaces can be made. And on a bad
//! road, which takes none.

use std::{path::Path, sync::Arc, time::Instant};

use crate::{skip::skipped_because, writer::setting};
use hermes_tests::world::{
    Account, Home, Log, Relay, World,
    road::{Conditions, Road},
    router::Router,
    wait::until,
    wires::Wires,
};
use rustix::process::Signal;

const RELAY: u8 = 0;
const ALICE: u8 = 1;
const BOB: u8 = 2;
/// Bytes of a packet that IPv6 gets through everywhere (RFC 8200, section 5), and many tunnels no more than that.
const NARROW: u16 = 1_280;
/// Nearly as long as a text may be, so that it takes many packets.
const LONG: usize = 16_000;
/// The relay's name, in a domain that is nobody's (RFC 2606, section 2).
const NAME: &str = "relay.test";
/// Messages each way on a bad road, unless `HERMES_ROAD_TEXTS` says otherwise.
const TEXTS: usize = 12;
/// Seconds of silence after which a router forgets: far fewer than pass between two signs of life of a connection.
const FORGETS_AFTER: u32 = 2;

#[test]
fn messages_flow_again_after_all_that_happens_to_a_network() {
    let wires = match Wires::lay(3) {
        Ok(wires) => wires,
        Err(error) => {
            return skipped_because("a network", &format!("no namespaces can be made here: {error}"));
        }
    };
    let directory = tempfile::Builder::new().prefix("hm").tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    if let Err(error) = wires.name(NAME, wires.address(RELAY)) {
        return skipped_because("a network", &format!("no names can be given here: {error}"));
    }
    let mut relay =
        Relay::start_inside(&place("relay"), (wires.namespace(RELAY), wires.address(RELAY)), Log::Own);
    let address = relay.address().to_string();
    let named = address.replace(&wires.address(RELAY).to_string(), NAME);
    assert_ne!(named, address);
    let mut talk = Talk::between(&wires, directory.path(), &named);

    wires.cut(ALICE);
    talk.both_write("while one is cut off");
    until("the relay has the other's", || outbox(&talk.bob) == 0);
    assert!(outbox(&talk.alice) > 0, "nothing can have left");
    wires.mend(ALICE);
    talk.both_read();

    wires.cut(RELAY);
    talk.both_write("while the relay is cut off");
    wires.mend(RELAY);
    talk.both_read();

    wires.narrow(ALICE, NARROW);
    talk.both_write(&"on a narrow path ".repeat(LONG / 17));
    talk.both_read();

    wires.renumber(BOB);
    talk.both_write("from another address");
    talk.both_read();

    talk.bob.home.daemon().signal(Signal::STOP);
    talk.alice_writes("while the other sleeps");
    until("the relay has it", || outbox(&talk.alice) == 0);
    talk.bob.home.daemon().signal(Signal::CONT);
    talk.both_write("awake again");
    talk.both_read();

    wires.renumber(RELAY);
    talk.both_write("while the relay is nowhere");
    relay.move_to(wires.next_address(RELAY));
    wires.name(NAME, wires.next_address(RELAY)).unwrap();
    talk.both_write("to a relay that has moved");
    talk.both_read();
}

/// What the connection is seen under changes at each pause, and the way back is closed until the host speaks again.
#[test]
fn messages_flow_through_a_router_that_forgets() {
    let routed = Wires::lay(3).and_then(|wires| {
        let router = Router::before(&wires, ALICE, FORGETS_AFTER)?;
        router.count_ports(&wires, RELAY)?;
        Ok((wires, router))
    });
    let (wires, router) = match routed {
        Ok(routed) => routed,
        Err(error) => {
            return skipped_because("a router", &format!("none can be made here (nftables?): {error}"));
        }
    };
    let directory = tempfile::Builder::new().prefix("hm").tempdir().unwrap();
    let place = directory.path().join("relay");
    let relay = Relay::start_inside(&place, (wires.namespace(RELAY), wires.address(RELAY)), Log::Own);
    let mut talk = Talk::between(&wires, directory.path(), &relay.address().to_string());
    talk.both_write("before it forgets");
    talk.both_read();
    let first: [Writers; 3] =
        [("the host", Talk::alice_writes), ("the other", Talk::bob_writes), ("both", Talk::both_write)];
    for (who, write) in first {
        let mut before = 0;
        // Counted first: whatever the host says by itself in between is not forgotten yet, and both are looked at again.
        until("the router has forgotten", || {
            before = router.ports(&wires, RELAY);
            router.has_forgotten()
        });
        write(&mut talk, &format!("{who} spoke first"));
        talk.both_read();
        assert!(router.ports(&wires, RELAY) > before, "the relay saw {before} ports before and after");
    }
}

#[test]
fn all_arrives_on_a_bad_road() {
    let texts = setting("HERMES_ROAD_TEXTS").unwrap_or(TEXTS);
    let seed = setting("HERMES_ROAD_SEED").unwrap_or_else(rand::random::<u64>);
    let world = World::new();
    let road = Road::to(world.relay.address(), seed);
    let settle = |name: &str| {
        let home = world.home(name);
        home.start();
        Account::create(&home, name, &road.address_of(world.relay.address()))
    };
    let mut talk = Talk { alice: settle("alice"), bob: settle("bob"), sent: Vec::new() };
    talk.alice.pair(&talk.bob);
    let bad = Conditions { loss: 0.1, repetition: 0.1, overtaking: 0.3, rate: None };
    for conditions in [bad, Conditions { rate: Some(100_000), ..bad }] {
        road.set(conditions);
        for number in 0..texts {
            talk.both_write(&format!("{number} {}", "on a bad road ".repeat(number * 30)));
        }
        talk.both_read();
        println!("{conditions:?}: {:?} so far", road.counts());
    }
    let counts = road.counts();
    assert!(counts.lost > 0 && counts.repeated > 0, "{counts:?}");

    road.set(Conditions { loss: 1.0, ..Conditions::default() });
    talk.both_write("while nothing passes");
    road.set(Conditions::default());
    talk.both_write("and again");
    talk.both_read();
}

/// In words, and what has them write.
type Writers = (&'static str, fn(&mut Talk, &str));

struct Talk {
    alice: Account,
    bob: Account,
    /// By whom, and what.
    sent: Vec<(String, String)>,
}

impl Talk {
    /// Of two hosts that know each other.
    fn between(wires: &Wires, directory: &Path, relay: &str) -> Self {
        let settle = |host: u8, name: &str| {
            let home = Home::new(directory.join(name), Log::Own).inside(wires.namespace(host));
            let home = Arc::new(home);
            home.start();
            Account::create(&home, name, relay)
        };
        let (alice, bob) = (settle(ALICE, "alice"), settle(BOB, "bob"));
        alice.pair(&bob);
        Self { alice, bob, sent: Vec::new() }
    }

    fn both_write(&mut self, text: &str) {
        self.alice_writes(text);
        self.bob_writes(text);
    }

    fn bob_writes(&mut self, text: &str) {
        self.bob.send("alice", text);
        self.sent.push(("bob".to_owned(), text.to_owned()));
    }

    fn alice_writes(&mut self, text: &str) {
        self.alice.send("bob", text);
        self.sent.push(("alice".to_owned(), text.to_owned()));
    }

    /// Waits until both have all, once and in order, and know it of each other.
    fn both_read(&self) {
        let began = Instant::now();
        for (reader, author) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            let sent = self.sent.iter().filter(|(by, _)| *by == author.name);
            let texts: Vec<_> = sent.map(|(_, text)| text.clone()).collect();
            until(&format!("{} has it all", reader.name), || {
                reader.received(&author.name).len() == texts.len()
            });
            assert_eq!(reader.received(&author.name), texts);
            until(&format!("{} knows", author.name), || author.all_delivered(&reader.name));
        }
        let last = self.sent.last().map(|(_, text)| text.chars().take(30).collect::<String>());
        println!("{:?} until both have all to {last:?}", began.elapsed());
    }
}

fn outbox(account: &Account) -> u64 {
    account.status().expect("the daemon runs").outbox
}
