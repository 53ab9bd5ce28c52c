//! The real programs on the system's own network code, in namespaces: cut off, on a narrow path, at another address, asleep.
//! Said to be skipped where no namespaces can be made.

use std::sync::Arc;

use crate::skip::skipped_because;
use hermes_tests::world::{Account, Home, Log, Relay, wait::until, wires::Wires};
use rustix::process::Signal;

const RELAY: u8 = 0;
const ALICE: u8 = 1;
const BOB: u8 = 2;
/// Bytes of a packet that IPv6 gets through everywhere (RFC 8200, section 5), and many tunnels no more than that.
const NARROW: u16 = 1_280;
/// Nearly as long as a text may be, so that it takes many packets.
const LONG: usize = 16_000;

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
    let relay =
        Relay::start_inside(&place("relay"), (wires.namespace(RELAY), wires.address(RELAY)), Log::Own);
    let settle = |host: u8, name: &str| {
        let home = Arc::new(Home::new(place(name), Log::Own).inside(wires.namespace(host)));
        home.start();
        Account::create(&home, name, &relay.address().to_string())
    };
    let mut talk = Talk { alice: settle(ALICE, "alice"), bob: settle(BOB, "bob"), sent: Vec::new() };
    talk.alice.pair(&talk.bob);

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
}

struct Talk {
    alice: Account,
    bob: Account,
    /// By whom, and what.
    sent: Vec<(String, String)>,
}

impl Talk {
    fn both_write(&mut self, text: &str) {
        self.alice_writes(text);
        self.bob.send("alice", text);
        self.sent.push(("bob".to_owned(), text.to_owned()));
    }

    fn alice_writes(&mut self, text: &str) {
        self.alice.send("bob", text);
        self.sent.push(("alice".to_owned(), text.to_owned()));
    }

    /// Waits until both have all, once and in order, and know it of each other.
    fn both_read(&self) {
        for (reader, author) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            let sent = self.sent.iter().filter(|(by, _)| *by == author.name);
            let texts: Vec<_> = sent.map(|(_, text)| text.clone()).collect();
            until(&format!("{} has it all", reader.name), || {
                reader.received(&author.name).len() == texts.len()
            });
            assert_eq!(reader.received(&author.name), texts);
            until(&format!("{} knows", author.name), || author.all_delivered(&reader.name));
        }
    }
}

fn outbox(account: &Account) -> u64 {
    account.status().expect("the daemon runs").outbox
}
