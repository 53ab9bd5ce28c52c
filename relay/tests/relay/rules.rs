//! The relay's rules, over the store in memory: what each promise means, and how each refusal comes about.

use std::time::Duration;

use crate::common::{
    Ask, DAY, NOW, Owner, PLENTY, at, counting::Counting, deposit, prekey, prekeys, summary,
};
use hermes_relay::{
    Limits, Outcome, Policy, Registration, Relay, Request, Store, entry,
    limits::{RECENT_OF_MAILBOX, REMOVED_BYTES, REMOVED_CONTACTS, REMOVED_ROWS, Rate, SWEEP_REMINDERS},
    store::{Hour, TokenHash, TokenRow, memory::MemoryStore},
};
use hermes_wire::{
    ContactId, DropKey, FetchId, MailboxId, Refusal, Sequence, Timestamp, codec,
    mailbox::Credit,
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
    refusal::FullScope,
    token::{DropToken, Permission},
};
use serde_bytes::{ByteArray, ByteBuf};

fn relay(limits: Limits) -> Relay<MemoryStore> {
    let policy = Policy { registration: Registration::Open, limits };
    Relay::new(MemoryStore::new(), policy).unwrap()
}

/// A relay where Bob has a mailbox.
fn with_bob(limits: Limits) -> (Relay<MemoryStore>, Owner) {
    let (mut relay, bob) = (relay(limits), Owner::new(1));
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { .. }));
    (relay, bob)
}

fn fetch<S: Store>(relay: &mut Relay<S>, now: Timestamp, entry: &hermes_relay::Entry, id: u8) -> Outcome {
    relay.ask(now, Request::FetchPrekeys { entry: entry.clone(), fetch: FetchId([id; 16]) })
}

#[test]
fn sequences_are_gapless_in_order_of_commit_and_survive_a_restart() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    assert_eq!(relay.deposits(NOW, &entry, &[deposit(1, b"a"), deposit(2, b"b")]), [Ok(()), Ok(())]);
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(relay.into_store(), policy).unwrap();
    assert_eq!(relay.deposits(NOW, &entry, &[deposit(3, b"c")]), [Ok(())]);
    let delivered = relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap();
    assert_eq!(summary(&delivered), [(1, 1), (2, 2), (3, 3)]);
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { registered, acked: Sequence(0) }
        if registered.head == Sequence(3)));
}

#[test]
fn unacked_envelopes_come_again_and_acked_ones_never() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.deposits(NOW, &entry, &[deposit(1, b"a"), deposit(2, b"b"), deposit(3, b"c")]);
    for _ in 0..2 {
        assert_eq!(relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap().len(), 3);
    }
    assert_eq!(relay.acks(&bob, 2), Outcome::Acked);
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { acked: Sequence(2), .. }));
    assert_eq!(summary(&relay.deliver(bob.mailbox, Sequence(2), PLENTY).unwrap()), [(3, 3)]);
    // An older ack changes nothing; one of what was never assigned is refused.
    assert_eq!(relay.acks(&bob, 1), Outcome::Acked);
    assert_eq!(relay.acks(&bob, 4), Outcome::Refused(Refusal::BadFrame));
}

#[test]
fn an_ack_in_the_group_of_its_deposit_takes_it_out() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let requests = vec![
        Request::Deposit { entry: entry.clone(), deposits: vec![deposit(1, b"a"), deposit(2, b"b")] },
        Request::Ack { mailbox: bob.mailbox, upto: Sequence(1) },
        Request::Deposit { entry, deposits: vec![deposit(1, b"a"), deposit(3, b"c")] },
    ];
    relay.apply(NOW, requests).unwrap();
    assert_eq!(summary(&relay.deliver(bob.mailbox, Sequence(1), PLENTY).unwrap()), [(2, 2), (3, 3)]);
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes, 2);
}

#[test]
fn a_repeated_deposit_is_one_deposit_until_a_day_after_its_ack() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.deposits(NOW, &entry, &[deposit(1, b"a")]);
    assert_eq!(relay.deposits(NOW, &entry, &[deposit(1, b"a")]), [Ok(())]);
    assert_eq!(relay.deposits(NOW, &entry, &[deposit(1, b"b")]), [Err(Refusal::IdConflict)]);
    relay.acks(&bob, 1);
    relay.sweeps(at(DAY - 1));
    assert_eq!(relay.deposits(at(DAY - 1), &entry, &[deposit(1, b"a")]), [Ok(())]);
    assert!(relay.deliver(bob.mailbox, Sequence(1), PLENTY).unwrap().is_empty());
    relay.sweeps(at(DAY + 3_600_000));
    relay.deposits(at(DAY + 3_600_000), &entry, &[deposit(1, b"a")]);
    assert_eq!(summary(&relay.deliver(bob.mailbox, Sequence(1), PLENTY).unwrap()), [(2, 2)]);
}

/// Else an owner could fill the disk with those of its own envelopes, which it takes as fast as they come.
#[test]
fn of_a_mailbox_only_so_many_deposits_are_remembered_when_their_envelopes_are_gone() {
    let receipts_remembered = Rate { burst: 4, period: Duration::from_secs(3_600) };
    let (mut relay, bob) = with_bob(Limits { receipts_remembered, ..Limits::default() });
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let remembered = |relay: &Relay<MemoryStore>| -> Vec<u32> {
        let receipt = |id: &u32| relay.store().receipt(bob.mailbox, deposit(*id, b"").envelope).unwrap();
        (1..=9).filter(|id| receipt(id).is_some()).collect()
    };
    for id in 1..=6 {
        assert_eq!(relay.deposits(NOW, &entry, &[deposit(id, b"")]), [Ok(())]);
        assert_eq!(relay.acks(&bob, u64::from(id)), Outcome::Acked);
    }
    assert_eq!(remembered(&relay), [1, 2, 3, 4]);
    // One that waits is remembered as long as it does.
    relay.deposits(NOW, &entry, &[deposit(7, b"")]);
    assert_eq!(remembered(&relay), [1, 2, 3, 4, 7]);
    let later = Request::Ack { mailbox: bob.mailbox, upto: Sequence(7) };
    assert_eq!(relay.ask(at(3_600_000), later), Outcome::Acked);
    assert_eq!(remembered(&relay), [1, 2, 3, 4, 7], "an hour earns one");
    relay.sweeps(at(2 * DAY));
    assert_eq!(remembered(&relay), [0; 0]);
}

#[test]
fn credit_bounds_what_is_delivered() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.deposits(NOW, &entry, &[deposit(1, &[0; 600]), deposit(2, &[0; 600]), deposit(3, &[0; 600])]);
    let sequences = |envelopes, bytes| {
        summary(&relay.deliver(bob.mailbox, Sequence(0), Credit { envelopes, bytes }).unwrap())
    };
    assert_eq!(sequences(2, 10_000), [(1, 1), (2, 2)]);
    assert_eq!(sequences(9, 1_199), [(1, 1)]);
    assert_eq!(sequences(9, 599), []);
    assert_eq!(sequences(0, 10_000), []);
}

#[test]
fn what_waited_too_long_is_gone_and_its_owner_hears_of_it() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.deposits(NOW, &entry, &[deposit(1, b"a"), deposit(2, b"b")]);
    relay.deposits(at(29 * DAY), &entry, &[deposit(3, b"c")]);
    relay.sweeps(at(30 * DAY - 1));
    assert_eq!(relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap().len(), 3);
    relay.sweeps(at(30 * DAY + 3_600_000));
    assert_eq!(summary(&relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap()), [(1, 2), (3, 3)]);
    relay.sweeps(at(60 * DAY));
    assert_eq!(summary(&relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap()), [(1, 3)]);
    assert_eq!(relay.acks(&bob, 3), Outcome::Acked);
    assert!(relay.deliver(bob.mailbox, Sequence(3), PLENTY).unwrap().is_empty());
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes, 0);
}

#[test]
fn a_mailbox_is_emptied_in_pieces_and_what_is_acknowledged_stays_away() {
    const MANY: u64 = 2 * REMOVED_ROWS + 10;
    let (mut relay, bob) = with_many(&[1], MANY);
    let stored =
        |relay: &Relay<MemoryStore>| relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes;
    // However many acks share a commit, they share its limit; but not for what came last and nobody has to look for.
    let acks = [MANY - 5, MANY - 3].map(|upto| Request::Ack { mailbox: bob.mailbox, upto: Sequence(upto) });
    assert_eq!(relay.apply(NOW, acks.to_vec()).unwrap(), [Outcome::Acked, Outcome::Acked]);
    assert_eq!(stored(&relay), MANY - REMOVED_ROWS - 2);
    let waiting = [(MANY - 2, MANY - 2), (MANY - 1, MANY - 1), (MANY, MANY)];
    for after in [0, 1, REMOVED_ROWS, REMOVED_ROWS + 1, MANY - 3] {
        assert_eq!(
            summary(&relay.deliver(bob.mailbox, Sequence(after), PLENTY).unwrap()),
            waiting,
            "{after}"
        );
    }
    assert!(
        matches!(relay.registers(NOW, &bob), Outcome::Registered { acked, .. } if acked == Sequence(MANY - 3))
    );
    // A restart in between forgets none of it.
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(relay.into_store(), policy).unwrap();
    assert_eq!(relay.ask(NOW, Request::Sweep), Outcome::Swept { more: true });
    assert_eq!(stored(&relay), MANY - 2 * REMOVED_ROWS - 2);
    relay.sweeps(NOW);
    assert_eq!(stored(&relay), 3);
    let rows = relay.store().envelopes(bob.mailbox, Sequence(0), PLENTY).unwrap();
    assert_eq!(rows.first().map(|row| row.sequence), Some(Sequence(MANY - 2)));
    // Deposits made again are still known, wherever they went.
    let entry = relay.opens(at(DAY - 1), bob.open(&bob.token(1))).unwrap();
    for id in [1, MANY / 2, MANY - 3].map(|id| u32::try_from(id).unwrap()) {
        assert_eq!(relay.deposits(at(DAY - 1), &entry, &[deposit(id, b"")]), [Ok(())]);
    }
    assert_eq!(stored(&relay), 3);
    assert_eq!(relay.acks(&bob, MANY), Outcome::Acked);
    assert_eq!(relay.store().contact(bob.mailbox, ContactId([1; 16])).unwrap(), None);
    relay.sweeps(at(3 * DAY));
    for id in 1..=u32::try_from(MANY).unwrap() {
        let envelope = deposit(id, b"").envelope;
        assert_eq!(relay.store().receipt(bob.mailbox, envelope).unwrap(), None, "{id}");
    }
}

#[test]
fn a_sweep_of_many_full_mailboxes_takes_many_commits() {
    const EACH: u64 = REMOVED_ROWS - 1_000;
    let (mut relay, bob) = with_many(&[1, 2, 3], EACH);
    let owners = [bob, Owner::new(2), Owner::new(3)];
    let stored = |relay: &Relay<MemoryStore>| -> u64 {
        owners
            .iter()
            .map(|owner| relay.store().mailbox(owner.mailbox).unwrap().unwrap().stored.envelopes)
            .sum()
    };
    let late = at(31 * DAY);
    for left in [3 * EACH - REMOVED_ROWS, 3 * EACH - 2 * REMOVED_ROWS] {
        assert_eq!(relay.ask(late, Request::Sweep), Outcome::Swept { more: true });
        assert_eq!(stored(&relay), left);
    }
    relay.sweeps(late);
    assert_eq!(stored(&relay), 0);
    for owner in &owners {
        let delivered = relay.deliver(owner.mailbox, Sequence(0), PLENTY).unwrap();
        assert_eq!(summary(&delivered), [(1, EACH)]);
    }
}

/// Nor is what a sweep has seen to passed by the next, of which there is one for every few.
#[test]
fn a_sweep_of_many_goes_on_where_the_one_before_it_ended() {
    let (mut relay, bob) = with_bob(Limits::default());
    let mailbox = bob.mailbox;
    let mut revoke = |contact: u128, until| {
        relay.ask(NOW, Request::Revoke { mailbox, contact: ContactId(contact.to_be_bytes()), until })
    };
    (0..1_000).for_each(|contact| drop(revoke(contact, at(DAY))));
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(Counting::new(relay.into_store()), policy).unwrap();
    relay.sweeps(at(2 * DAY));
    assert_eq!(relay.store().mailbox(mailbox).unwrap().unwrap().revoked, 0);
    // Each begins with the last one of the one before.
    assert!(
        relay.store().passed.get() <= 1_000 / SWEEP_REMINDERS,
        "{} were passed",
        relay.store().passed.get()
    );
    // What comes before that is found all the same, as after a clock that was set back.
    for (contact, until) in [(1, at(DAY)), (2, NOW)] {
        let contact = ContactId([contact; 16]);
        relay.ask(NOW, Request::Revoke { mailbox, contact, until });
    }
    relay.sweeps(at(DAY / 2));
    assert_eq!(relay.store().mailbox(mailbox).unwrap().unwrap().revoked, 1);
    relay.sweeps(at(2 * DAY));
    assert_eq!(relay.store().mailbox(mailbox).unwrap().unwrap().revoked, 0);
}

#[test]
fn large_envelopes_are_deleted_in_smaller_pieces() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let body = vec![0; 64 * 1024 - 1];
    let many = u32::try_from(REMOVED_BYTES).unwrap() / (64 * 1024) + 10;
    for id in 1..=many {
        assert_eq!(relay.deposits(NOW, &entry, &[deposit(id, &body)]), [Ok(())]);
    }
    assert_eq!(relay.acks(&bob, many.into()), Outcome::Acked);
    let stored = relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes;
    assert_eq!(stored, 9, "the one that does not fit goes with the rest");
    relay.sweeps(NOW);
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes, 0);
}

/// A relay where owners have so many empty envelopes each, deposited as fast as the rate allows. Bob is the first.
#[test]
fn owners_who_keep_up_are_no_part_of_that_limit_nor_is_the_sweep() {
    const EACH: u64 = 200;
    let owners: Vec<u8> = (1..=25).collect();
    let (mut relay, _) = with_many(&owners, EACH);
    let stored = |relay: &Relay<MemoryStore>, owner: u8| {
        relay.store().mailbox(Owner::new(owner).mailbox).unwrap().unwrap().stored.envelopes
    };
    let ack = |owner: u8, upto| Request::Ack { mailbox: Owner::new(owner).mailbox, upto: Sequence(upto) };
    let acks: Vec<_> = owners.iter().map(|owner| ack(*owner, EACH)).collect();
    assert!(relay.apply(NOW, acks).unwrap().iter().all(|outcome| *outcome == Outcome::Acked));
    assert!(EACH * 25 > REMOVED_ROWS && owners.iter().all(|owner| stored(&relay, *owner) == 0));

    const MANY: u64 = 2 * REMOVED_ROWS;
    let (mut relay, _) = with_many(&[1, 2], MANY);
    relay.apply(NOW, vec![ack(1, MANY)]).unwrap();
    let outcomes = relay.apply(NOW, vec![ack(2, MANY), Request::Sweep]).unwrap();
    assert_eq!(outcomes, [Outcome::Acked, Outcome::Swept { more: true }]);
    assert_eq!((stored(&relay, 1), stored(&relay, 2)), (0, MANY - REMOVED_ROWS));
}

/// Each contact is a row of its own to be read and written, and owners can make any number of contacts.
#[test]
fn envelopes_of_very_many_contacts_are_deleted_in_pieces() {
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(Counting::new(MemoryStore::new()), policy).unwrap();
    let owners: Vec<_> =
        (0..=REMOVED_CONTACTS / RECENT_OF_MAILBOX).map(|seed| Owner::new(seed as u8)).collect();
    for owner in &owners {
        relay.registers(NOW, owner);
        for number in 0..RECENT_OF_MAILBOX as u32 {
            let contact = ContactId(u128::from(number).to_be_bytes());
            let entry = relay.opens(NOW, owner.open(&DropToken { contact, ..owner.token(1) })).unwrap();
            assert_eq!(relay.deposits(NOW, &entry, &[deposit(number, b"")]), [Ok(())]);
        }
    }
    let upto = Sequence(RECENT_OF_MAILBOX as u64);
    let acks = owners.iter().map(|owner| Request::Ack { mailbox: owner.mailbox, upto });
    let outcomes = relay.apply(NOW, acks.collect()).unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Acked));
    assert_eq!(relay.store().commits.last(), Some(&REMOVED_CONTACTS));
    relay.sweeps(NOW);
    let row = |owner: &Owner| relay.store().mailbox(owner.mailbox).unwrap().unwrap();
    assert!(owners.iter().all(|owner| row(owner).stored.envelopes == 0));
}

fn with_many(owners: &[u8], many: u64) -> (Relay<MemoryStore>, Owner) {
    let deposits = Rate { burst: u32::MAX, period: Duration::from_nanos(1) };
    let mut relay = relay(Limits { deposits, ..Limits::default() });
    for owner in owners.iter().map(|seed| Owner::new(*seed)) {
        relay.registers(NOW, &owner);
        let entry = relay.opens(NOW, owner.open(&owner.token(1))).unwrap();
        let deposits: Vec<_> = (1..=u32::try_from(many).unwrap()).map(|id| deposit(id, b"")).collect();
        assert!(relay.deposits(NOW, &entry, &deposits).iter().all(Result::is_ok));
    }
    (relay, Owner::new(owners[0]))
}

#[test]
fn full_means_refused_and_one_contact_cannot_fill_a_mailbox() {
    let limits = Limits { mailbox_envelopes: 4, ..Limits::default() };
    let (mut relay, bob) = with_bob(limits);
    let [one, two, three] = [1, 2, 3].map(|contact| relay.opens(NOW, bob.open(&bob.token(contact))).unwrap());
    let full = |scope| Err(Refusal::MailboxFull { scope, retry_ms: 60_000 });
    let answers =
        relay.deposits(NOW, &one, &[deposit(1, b""), deposit(2, b""), deposit(3, b""), deposit(4, b"")]);
    // The first refusal that may be retried ends the list: what follows must not overtake it.
    assert_eq!(answers, [Ok(()), Ok(()), full(FullScope::Contact)]);
    assert_eq!(relay.deposits(NOW, &two, &[deposit(5, b""), deposit(6, b"")]), [Ok(()), Ok(())]);
    assert_eq!(relay.deposits(NOW, &three, &[deposit(7, b"")]), [full(FullScope::Mailbox)]);
    // A repeat of what is stored is no new deposit.
    assert_eq!(relay.deposits(NOW, &one, &[deposit(1, b"")]), [Ok(())]);
    relay.acks(&bob, 4);
    assert_eq!(relay.deposits(NOW, &one, &[deposit(3, b"")]), [Ok(())]);
}

#[test]
fn bytes_count_as_well() {
    let limits = Limits { mailbox_bytes: 1_000, contact_percent: 100, ..Limits::default() };
    let (mut relay, bob) = with_bob(limits);
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let answers = relay.deposits(NOW, &entry, &[deposit(1, &[0; 1_000]), deposit(2, b"x")]);
    assert!(matches!(answers[..], [Ok(()), Err(Refusal::MailboxFull { scope: FullScope::Mailbox, .. })]));
}

#[test]
fn a_body_over_the_limit_is_refused_for_good_and_the_next_goes_on() {
    let (mut relay, bob) = with_bob(Limits { envelope_bytes: 1_024, ..Limits::default() });
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let answers = relay.deposits(NOW, &entry, &[deposit(1, &[0; 1_025]), deposit(2, &[0; 1_024])]);
    assert_eq!(answers, [Err(Refusal::TooLarge { max: 1_024 }), Ok(())]);
}

#[test]
fn each_contact_has_its_own_rate() {
    let deposits = Rate { burst: 2, period: Duration::from_millis(100) };
    let (mut relay, bob) = with_bob(Limits { deposits, ..Limits::default() });
    let one = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let two = relay.opens(NOW, bob.open(&bob.token(2))).unwrap();
    let limited = Err(Refusal::RateLimited { retry_ms: 100 });
    assert_eq!(
        relay.deposits(NOW, &one, &[deposit(1, b""), deposit(2, b""), deposit(3, b"")]),
        [Ok(()), Ok(()), limited]
    );
    assert_eq!(relay.deposits(NOW, &two, &[deposit(4, b"")]), [Ok(())]);
    assert_eq!(relay.deposits(at(100), &one, &[deposit(3, b"")]), [Ok(())]);
}

#[test]
fn a_repeat_costs_as_much_as_a_deposit() {
    let deposits = Rate { burst: 2, period: Duration::from_millis(100) };
    let (mut relay, bob) = with_bob(Limits { deposits, ..Limits::default() });
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let limited = Err(Refusal::RateLimited { retry_ms: 100 });
    let again = deposit(1, b"a");
    assert_eq!(
        relay.deposits(NOW, &entry, &[again.clone(), again.clone(), again.clone()]),
        [Ok(()), Ok(()), limited]
    );
    assert_eq!(relay.deposits(at(100), &entry, &[again]), [Ok(())]);
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes, 1);
}

#[test]
fn a_repeated_fetch_costs_as_much_too() {
    let deposits = Rate { burst: 2, period: Duration::from_millis(100) };
    let (mut relay, bob) = with_bob(Limits { deposits, ..Limits::default() });
    relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries: prekeys() });
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    for _ in 0..2 {
        assert!(matches!(fetch(&mut relay, NOW, &entry, 1), Outcome::Bundle { .. }));
    }
    let limited = Outcome::Refused(Refusal::RateLimited { retry_ms: 100 });
    assert_eq!(fetch(&mut relay, NOW, &entry, 1), limited);
    assert!(matches!(fetch(&mut relay, at(100), &entry, 1), Outcome::Bundle { .. }));
}

#[test]
fn an_ack_reads_what_it_deletes_however_much_is_behind_it() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    (1..=200).for_each(|id| drop(relay.deposits(NOW, &entry, &[deposit(id, b"")])));
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(Counting::new(relay.into_store()), policy).unwrap();
    assert_eq!(relay.acks(&bob, 5), Outcome::Acked);
    assert!(relay.store().envelopes.get() <= 16, "{} were read", relay.store().envelopes.get());
    assert_eq!(relay.acks(&bob, 199), Outcome::Acked);
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().stored.envelopes, 1);
}

#[test]
fn absent_wrong_and_revoked_are_one_answer_after_the_same_work() {
    let (mut relay, bob) = with_bob(Limits::default());
    let stranger = Owner::new(2);
    let revoked = Request::Revoke { mailbox: bob.mailbox, contact: ContactId([9; 16]), until: at(365 * DAY) };
    assert_eq!(relay.ask(NOW, revoked), Outcome::Revoked(ContactId([9; 16])));
    let mut forged = stranger.open(&stranger.token(1));
    forged.mailbox = bob.mailbox;

    let store = Counting::new(relay.into_store());
    for open in [stranger.open(&stranger.token(1)), forged, bob.open(&bob.token(9))] {
        store.reads.set(0);
        assert_eq!(entry::open(&store, NOW, &open).unwrap(), Err(Refusal::NoEntry));
        assert_eq!(store.reads.get(), 2);
    }
    store.reads.set(0);
    assert!(entry::open(&store, NOW, &bob.open(&bob.token(1))).unwrap().is_ok());
    assert_eq!(store.reads.get(), 2);
}

#[test]
fn a_revocation_reaches_those_who_are_in_already_and_ends_with_their_tokens() {
    let (mut relay, bob) = with_bob(Limits::default());
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let contact = ContactId([1; 16]);
    relay.ask(NOW, Request::Revoke { mailbox: bob.mailbox, contact, until: at(365 * DAY) });
    assert_eq!(relay.deposits(NOW, &entry, &[deposit(1, b"")]), [Err(Refusal::NoEntry)]);
    // An earlier end does not shorten it.
    relay.ask(NOW, Request::Revoke { mailbox: bob.mailbox, contact, until: NOW });
    relay.sweeps(at(364 * DAY));
    assert_eq!(relay.opens(at(364 * DAY), bob.open(&bob.token(1))), Err(Refusal::NoEntry));
    relay.sweeps(at(366 * DAY));
    assert_eq!(relay.store().contact(bob.mailbox, contact).unwrap(), None);
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().revoked, 0);
}

#[test]
fn an_end_that_is_put_off_again_and_again_is_one_reminder() {
    let (mut relay, bob) = with_bob(Limits::default());
    let contact = ContactId([1; 16]);
    for day in 1..=50 {
        relay.ask(NOW, Request::Revoke { mailbox: bob.mailbox, contact, until: at(day * DAY) });
    }
    assert_eq!(relay.store().due(None, Hour(u64::MAX), 99).unwrap().len(), 1);
    relay.sweeps(at(49 * DAY));
    assert!(relay.store().contact(bob.mailbox, contact).unwrap().is_some());
    relay.sweeps(at(51 * DAY));
    assert_eq!(relay.store().contact(bob.mailbox, contact).unwrap(), None);
    assert_eq!(relay.store().due(None, Hour(u64::MAX), 99).unwrap(), []);
}

#[test]
fn a_token_is_told_expired_only_when_it_is_genuine() {
    let (mut relay, bob) = with_bob(Limits::default());
    let token = bob.token(1);
    assert_eq!(relay.opens(at(366 * DAY), bob.open(&token)), Err(Refusal::TokenExpired));
    let mut forged = Owner::new(2).open(&token);
    forged.mailbox = bob.mailbox;
    assert_eq!(relay.opens(at(366 * DAY), forged), Err(Refusal::NoEntry));
    // One that expires while its holder is in.
    let entry = relay.opens(NOW, bob.open(&token)).unwrap();
    assert_eq!(relay.deposits(at(366 * DAY), &entry, &[deposit(1, b"")]), [Err(Refusal::TokenExpired)]);
}

#[test]
fn the_key_that_stands_in_for_an_absent_mailbox_lets_nobody_in() {
    let (mut relay, bob) = with_bob(Limits::default());
    let mut token = bob.token(9);
    token.permission = Permission::DepositAndPrekeys;
    let mut open = Owner::with_mailbox(2, MailboxId([77; 32])).open(&token);
    // The base point's secret scalar is one, so anyone can sign with it: R is the point itself, S = 1 + k mod L
    // (RFC 8032, section 5.1.6).
    let mut signature = [0x66; 64];
    signature[0] = 0x58;
    signature[32..].copy_from_slice(&[
        0xa5, 0xf3, 0x88, 0x93, 0xed, 0xa2, 0x9c, 0x15, 0xfb, 0x4f, 0x74, 0x35, 0x2d, 0xc4, 0xf2, 0x3a, 0xfe,
        0x1a, 0xf1, 0x23, 0x9f, 0x15, 0xe5, 0xc5, 0x07, 0xf3, 0x0b, 0xc8, 0x24, 0x9d, 0x3a, 0x05,
    ]);
    let signed = (ByteBuf::from(codec::encode(&token)), ByteArray::new(signature));
    open.token = codec::decode(&codec::encode(&signed), 512).unwrap();
    let base_point: [u8; 32] = signature[..32].try_into().unwrap();
    assert_eq!(open.token.verify(open.mailbox, DropKey(base_point)), Ok(token), "the forgery is a good one");
    assert_eq!(relay.opens(NOW, open), Err(Refusal::NoEntry));
}

#[test]
fn another_version_is_told_which_ones_there_are() {
    let (mut relay, bob) = with_bob(Limits::default());
    let version = Refusal::Version { min: 1, max: 1 };
    let mut open = bob.open(&bob.token(1));
    open.version = 2;
    assert_eq!(relay.opens(NOW, open), Err(version.clone()));
    let mut register = bob.register(None);
    register.version = 0;
    let request = Request::Register { mailbox: bob.mailbox, register };
    assert_eq!(relay.ask(NOW, request), Outcome::Refused(version));
}

#[test]
fn one_time_prekeys_are_handed_out_once_and_the_rest_again() {
    let (mut relay, bob) = with_bob(Limits::default());
    let put = Request::PutPrekeys { mailbox: bob.mailbox, entries: prekeys() };
    assert_eq!(relay.ask(NOW, put), Outcome::PrekeysStored(PrekeyId(6)));
    let mut ids = Vec::new();
    let mut counts = Vec::new();
    for contact in 1..=3 {
        let entry = relay.opens(NOW, bob.open(&bob.token(contact))).unwrap();
        let Outcome::Bundle { bundle, stock } = fetch(&mut relay, NOW, &entry, 1) else { panic!() };
        // A repeat returns the same bundle and uses nothing up.
        assert_eq!(
            fetch(&mut relay, NOW, &entry, 1),
            Outcome::Bundle { bundle: bundle.clone(), stock: None }
        );
        let one_time = bundle.one_time.map(|entry| entry.id.0);
        ids.push((bundle.signed.id.0, bundle.ff.id.0, bundle.kem.id.0, one_time));
        counts.push(stock.map(|stock| stock.iter().map(|stock| stock.count).collect::<Vec<_>>()));
    }
    assert_eq!(ids, [(1, 2, 6, Some(4)), (1, 2, 3, Some(5)), (1, 2, 3, None)]);
    // In the order of the kinds: signed, one-time, one-time KEM, last resort, ffdhe.
    assert_eq!(counts, [Some(vec![1, 1, 0, 1, 1]), Some(vec![1, 0, 0, 1, 1]), None]);
}

#[test]
fn prekey_ids_only_rise() {
    let (mut relay, bob) = with_bob(Limits::default());
    let mailbox = bob.mailbox;
    let mut put = |entries| relay.ask(NOW, Request::PutPrekeys { mailbox, entries });
    put(prekeys());
    // A repeat after a lost answer, with more at its end: only the new ones are taken.
    let again = [prekeys(), vec![prekey(PrekeyKind::OneTime, 7)]].concat();
    assert_eq!(put(again), Outcome::PrekeysStored(PrekeyId(7)));
    assert_eq!(put(vec![prekey(PrekeyKind::Signed, 1)]), Outcome::PrekeysStored(PrekeyId(7)));
    let unordered = vec![prekey(PrekeyKind::OneTime, 9), prekey(PrekeyKind::OneTime, 8)];
    assert_eq!(put(unordered), Outcome::Refused(Refusal::BadFrame));
    assert_eq!(put(vec![]), Outcome::Refused(Refusal::BadFrame));
    assert_eq!(put(vec![prekey(PrekeyKind::Signed, 10)]), Outcome::PrekeysStored(PrekeyId(10)));
    let row = relay.store().mailbox(mailbox).unwrap().unwrap();
    assert_eq!(row.stock, [1, 3, 1, 1, 1]);
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    assert!(matches!(fetch(&mut relay, NOW, &entry, 1), Outcome::Bundle { bundle, .. }
        if bundle.signed.id == PrekeyId(10)));
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { registered, .. }
        if registered.next_prekey_id == PrekeyId(11)));
}

#[test]
fn lost_prekeys_are_not_given_out_any_more() {
    let (mut relay, bob) = with_bob(Limits::default());
    let mailbox = bob.mailbox;
    relay.ask(NOW, Request::PutPrekeys { mailbox, entries: prekeys() });
    let dropped = relay.ask(NOW, Request::DropPrekeys { mailbox, below: PrekeyId(7) });
    assert_eq!(dropped, Outcome::PrekeysDropped);
    assert_eq!(relay.store().mailbox(mailbox).unwrap().unwrap().stock, [0; 5]);
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    assert!(matches!(fetch(&mut relay, NOW, &entry, 1), Outcome::Refused(Refusal::Busy { .. })));
    // Their ids are not taken again, and newer keys stay when it is said once more.
    assert_eq!(
        relay.ask(NOW, Request::PutPrekeys { mailbox, entries: prekeys() }),
        Outcome::PrekeysStored(PrekeyId(6))
    );
    relay.ask(NOW, Request::PutPrekeys { mailbox, entries: vec![prekey(PrekeyKind::Signed, 7)] });
    relay.ask(NOW, Request::DropPrekeys { mailbox, below: PrekeyId(7) });
    assert_eq!(relay.store().mailbox(mailbox).unwrap().unwrap().stock, [1, 0, 0, 0, 0]);
}

#[test]
fn more_prekeys_than_a_relay_keeps_are_taken_and_left_out() {
    let (mut relay, bob) = with_bob(Limits::default());
    let batches: Vec<Vec<PrekeyEntry>> = (0..9)
        .map(|batch| (1..=24).map(|id| prekey(PrekeyKind::OneTime, batch * 24 + id)).collect())
        .collect();
    let outcomes: Vec<Outcome> = batches
        .into_iter()
        .map(|entries| relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries }))
        .collect();
    assert_eq!(outcomes[7], Outcome::PrekeysStored(PrekeyId(192)));
    // The owner is told that they are stored, so that it does not send them again for ever.
    assert_eq!(outcomes[8], Outcome::PrekeysStored(PrekeyId(216)));
    let row = relay.store().mailbox(bob.mailbox).unwrap().unwrap();
    assert_eq!((row.last_prekey, row.stock[1]), (PrekeyId(216), 200));
    let last_kept = relay.store().prekey_after(bob.mailbox, PrekeyKind::OneTime, PrekeyId(199)).unwrap();
    assert_eq!(last_kept.map(|entry| entry.id), Some(PrekeyId(200)));
    assert_eq!(relay.store().prekey_after(bob.mailbox, PrekeyKind::OneTime, PrekeyId(200)).unwrap(), None);
}

#[test]
fn expired_prekeys_are_passed_over() {
    let (mut relay, bob) = with_bob(Limits::default());
    let mut entries = prekeys();
    entries[3].expiry = at(DAY);
    relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries });
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let Outcome::Bundle { bundle, stock } = fetch(&mut relay, at(2 * DAY), &entry, 1) else { panic!() };
    assert_eq!(bundle.one_time.unwrap().id, PrekeyId(5));
    assert_eq!(stock.unwrap()[1].count, 0);
    let after_all = at(181 * DAY);
    let other = relay.opens(after_all, bob.open(&bob.token(2))).unwrap();
    assert!(matches!(fetch(&mut relay, after_all, &other, 1), Outcome::Refused(Refusal::Busy { .. })));
}

/// All others wait while it is looked for what is next. An owner can have any number of prekeys deleted.
#[test]
fn what_is_gone_of_an_owners_prekeys_is_not_passed_again() {
    let (relay, bob) = with_bob(Limits::default());
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(Counting::new(relay.into_store()), policy).unwrap();
    let mailbox = bob.mailbox;
    let (mut next, mut most) = (1, 0);
    for _ in 0..10 {
        relay.store().reads.set(0);
        // Of one kind that is replaced, and of two that are given out, as many as there may be.
        for (kind, count) in
            [(PrekeyKind::Signed, 24), (PrekeyKind::OneTime, 200), (PrekeyKind::OneTimeKem, 200)]
        {
            let entries: Vec<_> = (next..next + count).map(|id| prekey(kind, id)).collect();
            next += count;
            for entries in entries.chunks(24) {
                relay.ask(NOW, Request::PutPrekeys { mailbox, entries: entries.to_vec() });
            }
        }
        relay.ask(NOW, Request::DropPrekeys { mailbox, below: PrekeyId(next) });
        most = most.max(relay.store().reads.get());
    }
    assert_eq!(relay.store().passed.get(), 0);
    // Each that was kept is looked up once.
    assert!(most < 2 * 424, "{most} reads");
    assert_eq!(relay.store().mailbox(mailbox).unwrap().unwrap().stock, [0; 5]);
}

#[test]
fn an_invite_is_used_as_often_as_it_says_and_lets_its_pairing_finish() {
    let (mut relay, bob) = with_bob(Limits::default());
    relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries: prekeys() });
    let mut invite = bob.token(1);
    (invite.uses, invite.expiry) = (Some(1), at(DAY));
    let entry = relay.opens(NOW, bob.open(&invite)).unwrap();
    let Outcome::Bundle { bundle, .. } = fetch(&mut relay, NOW, &entry, 1) else { panic!() };
    assert_eq!(fetch(&mut relay, NOW, &entry, 2), Outcome::Refused(Refusal::InviteUsed));
    // Whoever fetched first may fetch again, as long as the invite lives; and finish for some weeks more.
    relay.sweeps(at(DAY / 2));
    assert!(
        matches!(fetch(&mut relay, at(DAY / 2), &entry, 1), Outcome::Bundle { bundle: again, .. } if again == bundle)
    );
    let late = at(2 * DAY);
    relay.sweeps(late);
    assert_eq!(fetch(&mut relay, late, &entry, 1), Outcome::Refused(Refusal::TokenExpired));
    let entry = relay.opens(late, bob.open(&invite)).unwrap();
    assert_eq!(relay.deposits(late, &entry, &[deposit(1, b"hello")]), [Ok(())]);
    relay.acks(&bob, 1);
    assert_eq!(relay.store().contact(bob.mailbox, ContactId([1; 16])).unwrap(), None);
}

#[test]
fn an_owners_own_invites_do_not_fill_the_disk() {
    let (mut relay, bob) = with_bob(Limits::default());
    relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries: prekeys() });
    let mut fetched = 0;
    let full = loop {
        let mut invite = bob.token(0);
        invite.contact.0[..4].copy_from_slice(&u32::to_be_bytes(fetched));
        (invite.uses, invite.expiry) = (Some(1), at(DAY));
        let entry = relay.opens(NOW, bob.open(&invite)).unwrap();
        match fetch(&mut relay, NOW, &entry, 1) {
            Outcome::Bundle { .. } => fetched += 1,
            other => break other,
        }
    };
    let scope = FullScope::Mailbox;
    assert_eq!(full, Outcome::Refused(Refusal::MailboxFull { scope, retry_ms: 60_000 }));
    assert_eq!(fetched, hermes_relay::limits::REMEMBERED_FETCHES);
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.sweeps(at(2 * DAY));
    assert!(matches!(fetch(&mut relay, at(2 * DAY), &entry, 1), Outcome::Bundle { .. }));
    assert_eq!(relay.store().mailbox(bob.mailbox).unwrap().unwrap().fetched, 1);
}

#[test]
fn an_invite_has_a_small_share_beside_the_contacts_own() {
    let (mut relay, bob) = with_bob(Limits { mailbox_envelopes: 20, ..Limits::default() });
    let mut invite = bob.token(1);
    invite.uses = Some(1);
    let mut stored = 0;
    for token in [invite, bob.token(2)] {
        let entry = relay.opens(NOW, bob.open(&token)).unwrap();
        let deposits: Vec<_> =
            (0..20).map(|id| deposit(u32::from(token.contact.0[0]) * 100 + id, b"")).collect();
        let answers = relay.deposits(NOW, &entry, &deposits);
        let scope = FullScope::Contact;
        assert_eq!(answers.last(), Some(&Err(Refusal::MailboxFull { scope, retry_ms: 60_000 })));
        stored += answers.len() - 1;
    }
    assert_eq!(stored, 2 + 10);
}

#[test]
fn fetching_needs_its_permission_and_has_a_rate() {
    let (mut relay, bob) = with_bob(Limits::default());
    relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries: prekeys() });
    let mut token = bob.token(1);
    token.permission = Permission::Deposit;
    let entry = relay.opens(NOW, bob.open(&token)).unwrap();
    assert_eq!(fetch(&mut relay, NOW, &entry, 1), Outcome::Refused(Refusal::NoEntry));
    let entry = relay.opens(NOW, bob.open(&bob.token(2))).unwrap();
    for id in 0..6 {
        assert!(matches!(fetch(&mut relay, NOW, &entry, id), Outcome::Bundle { .. }));
    }
    let limited = Outcome::Refused(Refusal::RateLimited { retry_ms: 600_000 });
    assert_eq!(fetch(&mut relay, NOW, &entry, 6), limited);
}

#[test]
fn a_registration_token_is_good_for_its_uses_and_never_again() {
    let mut relay = Relay::new(MemoryStore::new(), Policy::default()).unwrap();
    let token = TokenHash::of("welcome");
    let add = || Request::AddToken { token, row: TokenRow { uses: 1, expiry: at(DAY) } };
    let register =
        |owner: &Owner, token| Request::Register { mailbox: owner.mailbox, register: owner.register(token) };
    let refused = Outcome::Refused(Refusal::RegistrationRefused);
    let (alice, bob) = (Owner::new(1), Owner::new(2));
    assert_eq!(relay.ask(NOW, register(&alice, Some("welcome"))), refused);
    relay.ask(NOW, add());
    assert_eq!(relay.ask(NOW, register(&alice, None)), refused);
    assert_eq!(relay.ask(at(DAY + 1), register(&alice, Some("welcome"))), refused);
    assert!(matches!(relay.ask(NOW, register(&alice, Some("welcome"))), Outcome::Registered { .. }));
    // A file with the token that was not removed in time must not revive it.
    relay.ask(NOW, add());
    assert_eq!(relay.ask(NOW, register(&bob, Some("welcome"))), refused);
    // Whoever is known needs none.
    assert!(matches!(relay.ask(NOW, register(&alice, None)), Outcome::Registered { .. }));
}

#[test]
fn closed_and_full_relays_take_nobody_new() {
    let policy =
        |registration, mailboxes| Policy { registration, limits: Limits { mailboxes, ..Limits::default() } };
    let mut relay = Relay::new(MemoryStore::new(), policy(Registration::Open, 1)).unwrap();
    assert!(matches!(relay.registers(NOW, &Owner::new(1)), Outcome::Registered { .. }));
    assert!(matches!(relay.registers(NOW, &Owner::new(2)), Outcome::Refused(Refusal::Busy { .. })));
    let mut relay = Relay::new(relay.into_store(), policy(Registration::Closed, 9)).unwrap();
    assert!(matches!(relay.registers(NOW, &Owner::new(1)), Outcome::Registered { .. }));
    assert_eq!(relay.registers(NOW, &Owner::new(2)), Outcome::Refused(Refusal::RegistrationRefused));
}
