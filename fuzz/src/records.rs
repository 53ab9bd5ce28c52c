//! Rows of a store that are not what the engine wrote: a store is sealed, but who has its key may put anything there, and so
//! may another version.
//!
//! An input is what is done to a real row, so that most of it still is one.

use std::{ops::ControlFlow, sync::OnceLock};

use hermes_engine::{
    ChangeSet, Command, CommandId, Engine, Input, LinkEvent, Order, Range, Send, Store, Table, Value, View,
    query,
};
use hermes_tests::{
    duo::{self, Peer},
    sim::MemoryStore,
};
use hermes_wire::{
    Sequence, Timestamp,
    mailbox::PrekeyStock,
    prekey::{PrekeyId, PrekeyKind},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::seeds::Seed;

/// Edits of one input, so that it has its end.
const EDITS: usize = 8;
/// As much of a list as is asked for.
const MANY: usize = 100;

/// A store after a pairing and a few messages, and every row in it.
struct Account {
    store: MemoryStore,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    now: Timestamp,
}

/// Of each four bytes behind the first two, which name a row, what the first says is done at the place that the next two
/// name, with the last.
pub const FLIP: u8 = 0;
/// Ends there.
pub const CUT: u8 = 1;
/// Something in between.
pub const INSERT: u8 = 2;
/// All of another row.
pub const SWAP: u8 = 3;

/// Whatever stands in a row, reads and turns give an error or an answer.
pub fn record(input: &[u8]) {
    let Some((row, edits)) = input.split_first_chunk::<2>() else { return };
    let account = Account::get();
    let (table, key, value) = &account.rows[usize::from(u16::from_be_bytes(*row)) % account.rows.len()];
    let mut value = value.clone();
    for edit in edits.as_chunks().0.iter().take(EDITS) {
        account.edit(&mut value, *edit);
    }
    let mut store = account.store.clone();
    let mut changes = ChangeSet::default();
    changes.put(*table, key.clone(), Value::new(value));
    store.commit(&changes).expect("memory");
    read(&store);
    turn(&mut store, account.now);
}

/// Everything that a shell shows.
fn read(store: &MemoryStore) {
    let _ = (query::summary(store), query::contacts(store), query::chats(store), query::names(store));
    let _ = (query::groups(store), query::requests(store), query::peers(store), query::waiting(store, None));
    let _ = (query::audit(store, None), query::newest_event(store), query::consumers(store));
    let _ = query::inbox(store, &query::InboxFilter::default());
    let _ = (query::log(store, "bob", None, MANY), query::contact_named(store, "bob"));
    let _ = (query::mailbox(store), query::uploads(store), query::fetches(store), query::guests(store));
    let _ = (query::prekeys_to_publish(store), query::revocations(store), query::claiming(store));
    for chat in query::outbox_chats(store).unwrap_or_default() {
        let _ = (query::outbox(store, chat, None, MANY), query::destination(store, chat));
    }
}

/// What an engine does with it.
fn turn(store: &mut MemoryStore, now: Timestamp) {
    let send = Send {
        to: vec!["bob".to_owned()],
        text: "hello".to_owned(),
        reply_to: None,
        ttl: None,
        idempotency: None,
    };
    let registered = LinkEvent::Registered {
        relay_time: now,
        next_prekey_id: PrekeyId(1),
        stock: PrekeyKind::ALL.map(|kind| PrekeyStock { kind, count: 1_000 }).to_vec(),
        head: Sequence(1),
        claim: None,
        replaced: false,
    };
    let inputs =
        [Input::Link(registered), Input::Command(CommandId(1), Command::Send(send)), Input::Tick, Input::Due];
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for input in inputs {
        let Ok(engine) = Engine::load(store) else { return };
        let Ok(step) = engine.handle(input, store, now, &mut rng) else { continue };
        let _committed = step.commit(store, now, &mut rng);
    }
}

impl Account {
    fn get() -> &'static Self {
        static ACCOUNT: OnceLock<Account> = OnceLock::new();
        ACCOUNT.get_or_init(Self::make)
    }

    fn make() -> Self {
        let (mut alice, mut bob) = duo::paired();
        for number in 0..3 {
            alice.send("bob", &format!("to Bob {number}")).expect("sent");
            bob.send("alice", &format!("to Alice {number}")).expect("sent");
        }
        duo::settle(&mut alice, &mut bob);
        alice.invite();
        alice.invite_requests();
        // One on its way, and one that somebody swallows.
        alice.send("bob", "on its way").expect("sent");
        bob.send("alice", "swallowed").expect("sent");
        let rows = rows(&alice);
        Self { rows, now: alice.now, store: alice.store }
    }

    fn edit(&self, value: &mut Vec<u8>, [what, high, low, with]: [u8; 4]) {
        let place = usize::from(u16::from_be_bytes([high, low]));
        let at = place % (value.len() + 1);
        match what % 4 {
            FLIP => {
                if let Some(byte) = value.get_mut(at) {
                    *byte ^= with;
                }
            }
            CUT => value.truncate(at),
            INSERT => drop(value.splice(at..at, [with; 3])),
            _ => value.clone_from(&self.rows[place % self.rows.len()].2),
        }
    }
}

fn rows(peer: &Peer) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for table in Table::ALL {
        let found = peer.store.scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
            rows.push((table, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        });
        found.expect("memory");
    }
    rows
}

/// A little of everything: fuzzing finds the rows by itself.
pub fn seeds() -> Vec<Seed> {
    [
        ("as-it-is", vec![0, 0]),
        ("account-flipped", vec![0, 0, FLIP, 0, 9, 1]),
        ("empty", vec![0, 5, CUT, 0, 0, 0]),
        ("cut", vec![0, 9, CUT, 0, 30, 0]),
        ("longer", vec![0, 20, INSERT, 0, 1, 255]),
        ("of-another-table", vec![0, 12, SWAP, 0, 3, 0]),
        ("number-of-items", vec![0, 30, FLIP, 0, 0, 31]),
        ("endless", vec![0, 40, FLIP, 0, 0, 28, INSERT, 0, 1, 159]),
    ]
    .map(|(name, bytes)| ("store_record", name, bytes))
    .into()
}
