//! The life of prekeys: made, refilled, replaced, used, deleted, and what survives a copy that was put back.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use hermes_engine::{Event, Input, LinkEvent, Order, Range, Table, UnreadableCause, View, limits, query};
use hermes_relay::{Outcome, Policy, Registration, Relay, Request, store::memory::MemoryStore};
use hermes_tests::duo::{Peer, carry, greet, settle};
use hermes_wire::{
    RunId,
    drop::Open,
    mailbox::{PrekeyStock, Register},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The relay's rules on a store in memory, which can be put back from a copy.
struct RealRelay {
    relay: Relay<MemoryStore>,
    /// Every prekey it was ever offered.
    offered: BTreeMap<PrekeyId, PrekeyEntry>,
}

impl RealRelay {
    fn new() -> Self {
        Self { relay: Self::start(MemoryStore::new()), offered: BTreeMap::new() }
    }

    fn start(store: MemoryStore) -> Relay<MemoryStore> {
        Relay::new(store, Policy { registration: Registration::Open, ..Policy::default() }).unwrap()
    }

    fn copy(&self) -> MemoryStore {
        self.relay.store().clone()
    }

    fn restore(&mut self, copy: MemoryStore) {
        self.relay = Self::start(copy);
    }

    fn ask(&mut self, peer: &Peer, request: Request) -> Outcome {
        self.relay.apply(peer.now, vec![request]).unwrap().pop().unwrap()
    }

    /// The owner comes, and uploads what it has. An id must be one key for ever.
    fn connect(&mut self, owner: &mut Peer) {
        let query::MailboxSettings { mailbox, instance, drop_key, .. } =
            query::mailbox(&owner.store).unwrap();
        let version = hermes_wire::VERSION;
        let run = RunId([9; 16]);
        let register = Register { version, instance, run, registration_token: None, drop_key };
        let outcome = self.ask(owner, Request::Register { mailbox, register });
        let Outcome::Registered { registered, .. } = outcome else { panic!("{outcome:?}") };
        owner.link(LinkEvent::Registered {
            relay_time: registered.relay_time,
            next_prekey_id: registered.next_prekey_id,
            stock: registered.stock,
            head: registered.head,
            claim: registered.claim,
            replaced: registered.replaced,
        });
        self.settle_claims(owner);
        let below = query::prekey_floor(&owner.store).unwrap();
        self.ask(owner, Request::DropPrekeys { mailbox, below });
        loop {
            let entries = query::prekeys_to_publish(&owner.store).unwrap();
            if entries.is_empty() {
                return;
            }
            for entry in &entries {
                let before = self.offered.insert(entry.id, entry.clone());
                assert!(before.is_none_or(|before| before == *entry), "{:?} was given twice", entry.id);
            }
            let outcome = self.ask(owner, Request::PutPrekeys { mailbox, entries });
            let Outcome::PrekeysStored(through) = outcome else { panic!("{outcome:?}") };
            owner.link(LinkEvent::PrekeysStored(through));
        }
    }

    fn settle_claims(&mut self, owner: &mut Peer) {
        let mailbox = query::mailbox(&owner.store).unwrap().mailbox;
        while let Some(claim) = owner.claim_asked() {
            match self.ask(owner, Request::Claim { mailbox, claim }) {
                Outcome::Claimed { claim, stock } => {
                    owner.link(LinkEvent::Claimed(claim));
                    stock.into_iter().for_each(|stock| owner.link(LinkEvent::PrekeyStock(stock)));
                }
                Outcome::ClaimRefused(held) => {
                    owner.link(LinkEvent::ClaimRefused { held, replaced: false });
                }
                outcome => panic!("{outcome:?}"),
            }
        }
    }

    /// Somebody new follows an invite: fetches keys and greets.
    fn greet(&mut self, guest: &mut Peer, host: &mut Peer) {
        guest.now = host.now;
        let (chat, fetch) = guest.accept(&host.invite());
        let destination = query::fetches(&guest.store).unwrap().pop().unwrap().destination;
        let version = hermes_wire::VERSION;
        let hermes_engine::query::Place::Mailbox(mailbox, token) = destination.place else {
            panic!("a contact has a mailbox")
        };
        let open = Open { version, mailbox, token };
        let outcome = self.ask(guest, Request::Open(open));
        let Outcome::Opened(entry) = outcome else { panic!("{outcome:?}") };
        let outcome = self.ask(guest, Request::FetchPrekeys { entry, fetch });
        let Outcome::Bundle { bundle, .. } = outcome else { panic!("{outcome:?}") };
        guest.link(LinkEvent::Bundle(chat, fetch, Box::new(bundle)));
    }
}

/// Time passes as for a daemon that is always connected.
fn live(relay: &mut RealRelay, peer: &mut Peer, days: u32) {
    for _ in 0..days {
        peer.now = peer.now.after(DAY);
        peer.turn(Input::Tick);
        relay.connect(peer);
    }
}

fn rows(peer: &Peer, table: Table, wanted: impl Fn(&ciborium::Value) -> bool) -> usize {
    let mut rows = 0;
    let count = &mut |_: &[u8], value: hermes_engine::Value| {
        rows += usize::from(wanted(&ciborium::from_reader(value.as_slice()).unwrap()));
        ControlFlow::Continue(())
    };
    peer.store.scan(table, &Range::all(), Order::Ascending, count).unwrap();
    rows
}

/// One-time secrets that the account keeps.
fn one_time_secrets(peer: &Peer) -> usize {
    rows(peer, Table::Prekey, |record| {
        let fields = record.as_map().unwrap();
        let kind = fields.iter().find(|(name, _)| name.as_text() == Some("kind")).unwrap();
        kind.1.as_text().unwrap().starts_with("OneTime")
    })
}

fn uploads(peer: &Peer) -> usize {
    rows(peer, Table::Upload, |_| true)
}

fn stock(one_time: u32, one_time_kem: u32) -> LinkEvent {
    let count = |kind| match kind {
        PrekeyKind::OneTime => one_time,
        PrekeyKind::OneTimeKem => one_time_kem,
        _ => 1,
    };
    LinkEvent::PrekeyStock(PrekeyKind::ALL.map(|kind| PrekeyStock { kind, count: count(kind) }).to_vec())
}

#[test]
fn one_time_keys_are_refilled_when_few_are_left() {
    let mut bob = Peer::new("bob", 2);
    let (low, full) = (limits::ONE_TIME_PREKEYS_LOW, limits::ONE_TIME_PREKEYS);
    bob.link(stock(low, low));
    assert_eq!(uploads(&bob), 0);
    bob.link(stock(low - 1, low));
    assert_eq!(uploads(&bob), (full - low + 1) as usize);
    // What is on its way counts.
    bob.link(stock(low - 2, low));
    assert_eq!(uploads(&bob), (full - low + 1) as usize);
    bob.link(stock(full, 0));
    assert_eq!(uploads(&bob), (full - low + 1 + full) as usize);
}

#[test]
fn every_kind_that_is_given_out_again_is_replaced() {
    let mut bob = Peer::new("bob", 2);
    bob.now = bob.now.after(DAY * 2 - Duration::from_millis(1));
    bob.turn(Input::Tick);
    assert_eq!(uploads(&bob), 0);
    bob.now = bob.now.after(Duration::from_millis(1));
    bob.turn(Input::Tick);
    assert_eq!(uploads(&bob), 3);
}

#[test]
fn used_one_time_secrets_are_deleted_with_the_first_message() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    let before = one_time_secrets(&bob);
    greet(&mut alice, &mut bob);
    let first = alice.flying(&bob).remove(0);
    assert_eq!(one_time_secrets(&bob), before);
    bob.take(first.contact, first.body);
    assert_eq!(one_time_secrets(&bob), before - 2, "X25519 and ML-KEM");
}

#[test]
fn one_time_secrets_that_nobody_used_die_in_the_end() {
    let mut bob = Peer::new("bob", 2);
    let kept = one_time_secrets(&bob);
    bob.now = bob.now.after(limits::PREKEY_VALIDITY + limits::PREKEY_RETENTION);
    bob.register(0);
    assert_eq!(one_time_secrets(&bob), kept);
    bob.now = bob.now.after(Duration::from_millis(1));
    bob.register(0);
    assert_eq!(one_time_secrets(&bob), 0);
}

#[test]
fn secrets_die_too_when_the_relay_had_lost_their_keys() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::new("bob", 2));
    greet(&mut alice, &mut bob);
    // The relay says that it has nothing; keys of every kind are made anew.
    bob.link(LinkEvent::PrekeyStock(Vec::new()));
    bob.publish();
    bob.register(0);
    bob.now = bob.now.after(limits::PREKEY_RETENTION + Duration::from_millis(1));
    bob.register(0);
    carry(&mut alice, &mut bob);
    // The invite of the greeting is over as well; its keys are looked at where it is not.
    let signed = rows(&bob, Table::Prekey, |record| {
        let fields = record.as_map().unwrap();
        let field = |wanted: &str| fields.iter().find(|(name, _)| name.as_text() == Some(wanted)).unwrap();
        field("kind").1.as_text() == Some("Signed") && field("replaced").1.is_null()
    });
    assert_eq!(signed, 1, "only the newest lives on");
}

#[test]
fn a_crash_at_any_commit_gives_no_id_twice() {
    use hermes_tests::sim::Doom;
    for doom in [Doom::BeforeCommit, Doom::AfterCommit] {
        let mut relay = RealRelay::new();
        let mut bob = Peer::unregistered("bob", 2);
        relay.connect(&mut bob);
        for _ in 0..3 {
            bob.now = bob.now.after(DAY * 2);
            bob.die_at(Input::Tick, doom);
            relay.connect(&mut bob);
        }
        // 203 at first, three every other day; what a crash undid was not offered.
        let ids: Vec<u64> = relay.offered.keys().map(|id| id.0).collect();
        assert_eq!(ids, (1..=203 + 3 * 3).collect::<Vec<_>>(), "{doom:?}");
    }
}

#[test]
fn a_relay_put_back_from_an_old_copy_gets_keys_that_live() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::unregistered("bob", 2));
    let mut relay = RealRelay::new();
    relay.connect(&mut bob);
    let copy = relay.copy();
    // By then the secrets of every key that the copy gives out again and again are gone.
    live(&mut relay, &mut bob, 50);
    let highest = *relay.offered.last_key_value().unwrap().0;
    relay.restore(copy);
    relay.connect(&mut bob);
    let anew: Vec<_> = relay.offered.range(PrekeyId(highest.0 + 1)..).map(|(_, entry)| entry.kind).collect();
    assert_eq!(anew, [PrekeyKind::Signed, PrekeyKind::SignedFf, PrekeyKind::LastResortKem]);
    relay.greet(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.contacts(), ["alice"]);
    // Once is enough.
    relay.connect(&mut bob);
    assert_eq!(relay.offered.len() as u64, highest.0 + 3);
}

#[test]
fn a_store_put_back_from_an_old_copy_gives_no_id_twice() {
    let (mut alice, mut bob) = (Peer::new("alice", 1), Peer::unregistered("bob", 2));
    let mut relay = RealRelay::new();
    relay.connect(&mut bob);
    let copy = bob.snapshot();
    live(&mut relay, &mut bob, 4);
    let highest = *relay.offered.last_key_value().unwrap().0;
    bob.put_back(&copy);
    // The copy's own time: its keys are not due yet.
    bob.now = hermes_wire::Timestamp(bob.now.0 - 3 * 86_400_000);
    relay.connect(&mut bob);
    let anew = relay.offered.range(PrekeyId(highest.0 + 1)..).count();
    assert_eq!(anew, 203, "numbers go on where the relay is, and all is made anew");
    // The relay gives out no key that only the lost store knew.
    relay.greet(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.contacts(), ["alice"]);
}

#[test]
fn one_time_keys_that_a_relay_gives_out_again_are_put_on_record() {
    let (mut alice, mut carol) = (Peer::new("alice", 1), Peer::new("carol", 3));
    let mut bob = Peer::unregistered("bob", 2);
    let mut relay = RealRelay::new();
    relay.connect(&mut bob);
    let copy = relay.copy();
    relay.greet(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    relay.restore(copy);
    relay.connect(&mut bob);
    relay.greet(&mut carol, &mut bob);
    carry(&mut carol, &mut bob);
    assert_eq!(bob.events(), [Event::Unreadable(UnreadableCause::PrekeyGone)]);
}

#[test]
fn a_relay_that_always_forgets_is_not_fed_for_ever() {
    let mut bob = Peer::new("bob", 2);
    for _ in 0..limits::PREKEY_SECRETS + 10 {
        bob.last_prekey = PrekeyId(0);
        bob.register(0);
    }
    assert!(rows(&bob, Table::Prekey, |_| true) <= 3 * limits::PREKEY_SECRETS + 200);
}
