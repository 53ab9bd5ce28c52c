//! What a relay swallowed shows: in the numbers of what arrived, and in what nobody confirmed.

use std::{collections::BTreeSet, ops::ControlFlow, ops::RangeInclusive, time::Duration};

use hermes_engine::{
    ChatId, Command, ContactChange, FindingKind, LinkEvent, MessageState, Order, Range, Reference, Table,
    UnreadableCause, View, limits, query,
};
use hermes_protocol::{Body, ChatPlace, Content, MessageId, Newer};
use hermes_tests::duo::{Flying, Peer, carry, paired, settle};
use hermes_wire::{Refusal, Sequence, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const MINUTE: Duration = Duration::from_secs(60);

/// Alice sends so many texts, a minute apart. The relay says that it has them, and gives them to the test.
fn swallow(alice: &mut Peer, bob: &Peer, texts: usize) -> Vec<Flying> {
    let mut flying = Vec::new();
    for n in 1..=texts {
        alice.now = alice.now.after(MINUTE);
        alice.send("bob", &format!("text {n}")).unwrap();
        let sent = alice.flying(bob).pop().unwrap();
        alice.link(LinkEvent::Deposited(sent.key));
        flying.push(sent);
    }
    flying
}

/// What Alice would send if her engine let her: texts that follow each other.
fn contents(alice: &Peer, numbers: impl Iterator<Item = u64>) -> Vec<Content> {
    let mut previous = [0; 32];
    let content = |number: u64| {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let content = text(alice, MessageId(id), Some(ChatPlace { counter: number, previous }));
        previous = content.hash();
        content
    };
    numbers.map(content).collect()
}

fn text(alice: &Peer, id: MessageId, place: Option<ChatPlace>) -> Content {
    let body = Body::Text { text: format!("{id}"), reply_to: None, ttl: None };
    Content { id, sent: alice.now, place, body, newer: Newer::default() }
}

fn forge(alice: &mut Peer, bob: &mut Peer, content: &Content) {
    let forged = alice.forge_content(bob, content);
    bob.take(forged.contact, forged.body);
}

fn take(bob: &mut Peer, flying: &Flying) {
    bob.take(flying.contact, flying.body.clone());
}

fn received(bob: &Peer) -> query::ReceivedAudit {
    bob.audit(Some("alice")).chats.remove(0).received
}

fn chat(peer: &Peer) -> ChatId {
    query::contacts(&peer.store).unwrap()[0].chat
}

fn missing(bob: &Peer) -> Vec<RangeInclusive<u64>> {
    query::missing(&bob.store, chat(bob), usize::MAX).unwrap()
}

fn findings(bob: &Peer) -> Vec<(FindingKind, u64)> {
    received(bob).findings.iter().map(|finding| (finding.kind, finding.count)).collect()
}

fn rows(peer: &Peer, table: Table) -> usize {
    let mut rows = 0;
    let count = &mut |_: &[u8], _| {
        rows += 1;
        ControlFlow::Continue(())
    };
    peer.store.scan(table, &Range::all(), Order::Ascending, count).unwrap();
    rows
}

#[test]
fn what_arrived_in_order_is_complete() {
    let (mut alice, mut bob) = paired();
    for text in ["one", "two", "three"] {
        alice.send("bob", text).unwrap();
        bob.send("alice", text).unwrap();
    }
    settle(&mut alice, &mut bob);
    for (peer, other) in [(&alice, "bob"), (&bob, "alice")] {
        let audit = peer.audit(None);
        let [chat] = &audit.chats[..] else { panic!("{audit:?}") };
        assert_eq!((chat.name.as_str(), chat.sent.messages, chat.sent.unconfirmed.len()), (other, 3, 0));
        let received = &chat.received;
        assert_eq!((received.messages, received.through, received.highest, received.missing), (3, 3, 3, 0));
        assert!(received.gaps.is_empty() && received.findings.is_empty(), "{received:?}");
        assert!(chat.unreadable.is_empty() && audit.unreadable.is_empty(), "{audit:?}");
        assert_eq!(
            (peer.summary().missing, rows(peer, Table::Gap), rows(peer, Table::Unconfirmed)),
            (0, 0, 0)
        );
    }
    assert!(query::audit(&bob.store, Some("carol")).unwrap().is_none());
}

#[test]
fn what_was_refused_while_its_sender_was_blocked_is_not_missing_and_can_still_come() {
    let (mut alice, mut bob) = paired();
    for change in [ContactChange::Block, ContactChange::Unblock] {
        bob.command(Command::Contact("alice".into(), change)).unwrap();
    }
    settle(&mut alice, &mut bob);
    let contents = contents(&alice, 1..=6);
    forge(&mut alice, &mut bob, &contents[3]);
    assert_eq!((received(&bob).missing, received(&bob).refused, bob.summary().missing), (0, 3, 0));
    forge(&mut alice, &mut bob, &contents[1]);
    let gaps = received(&bob).gaps.into_iter().map(|gap| (gap.first, gap.last, gap.while_blocked));
    assert_eq!(gaps.collect::<Vec<_>>(), [(1, 1, true), (3, 3, true)]);
    assert_eq!((received(&bob).missing, received(&bob).refused, received(&bob).unlisted), (0, 2, 0));
    forge(&mut alice, &mut bob, &contents[5]);
    assert_eq!((received(&bob).missing, received(&bob).refused, bob.summary().missing), (1, 2, 1));
    for arrived in [0, 2, 4] {
        forge(&mut alice, &mut bob, &contents[arrived]);
    }
    let all = received(&bob);
    assert_eq!((all.missing, all.refused, all.gaps.len(), all.findings.len()), (0, 0, 0, 0));
    assert_eq!(rows(&bob, Table::Gap), 0);
}

#[test]
fn what_the_relay_swallowed_shows_with_its_time() {
    let (mut alice, mut bob) = paired();
    let flying = swallow(&mut alice, &bob, 5);
    bob.now = alice.now;
    for arrived in [0, 4] {
        take(&mut bob, &flying[arrived]);
    }
    let received = received(&bob);
    assert_eq!((received.through, received.highest, received.missing, received.unlisted), (1, 5, 3, 0));
    let log = query::log(&bob.store, "alice", None, 9).unwrap().unwrap();
    let beside = |message: &query::MessageView| query::Beside {
        reference: message.reference.clone(),
        sent: message.sent,
        stored: message.stored,
    };
    let gap = query::GapView {
        first: 2,
        last: 4,
        before: Some(beside(&log[0])),
        after: beside(&log[1]),
        while_blocked: false,
    };
    assert_eq!(received.gaps, [gap]);
    assert_eq!(log[1].sent.since(log[0].sent), MINUTE * 4);
    assert_eq!((log[0].missing_before, log[1].missing_before), (0, 3));
    assert_eq!((bob.summary().missing, missing(&bob)), (3, vec![2..=4]));

    // The sender has no receipt for them.
    carry(&mut bob, &mut alice);
    let sent = alice.audit(Some("bob")).chats.remove(0).sent;
    let waits: Vec<_> = sent.unconfirmed.iter().map(|message| message.reference.number).collect();
    assert_eq!((sent.messages, waits), (5, vec![2, 3, 4]));
    let taken = log[0].sent.after(MINUTE);
    assert_eq!(sent.unconfirmed[0].relayed, taken);
    // It is on the disk like everything else.
    bob.restart();
    assert_eq!((bob.summary().missing, missing(&bob)), (3, vec![2..=4]));
}

#[test]
fn the_first_messages_of_a_chat_can_be_missing() {
    let (mut alice, mut bob) = paired();
    let flying = swallow(&mut alice, &bob, 3);
    take(&mut bob, &flying[2]);
    let gap = received(&bob).gaps.remove(0);
    assert_eq!((gap.first, gap.last, gap.before), (1, 2, None));
    assert_eq!(received(&bob).through, 0);
    // Both ends of the gap are checked.
    take(&mut bob, &flying[1]);
    take(&mut bob, &flying[0]);
    assert_eq!((missing(&bob), findings(&bob)), (vec![], vec![]));
}

/// Whatever the order of arrival and whatever comes twice, what is missing is what has not come.
#[test]
fn late_messages_fill_and_split_gaps() {
    const TEXTS: u64 = 9;
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut alice, mut bob) = paired();
        let mut flying: Vec<_> = (1..=TEXTS).zip(swallow(&mut alice, &bob, 9)).collect();
        for at in (1..flying.len()).rev() {
            flying.swap(at, (rng.next_u64() % (at as u64 + 1)) as usize);
        }
        let mut arrived = BTreeSet::new();
        for (number, message) in &flying {
            take(&mut bob, message);
            if rng.next_u32() % 3 == 0 {
                take(&mut bob, message);
            }
            arrived.insert(*number);
            let highest = *arrived.last().unwrap();
            let expected: Vec<_> = (1..highest).filter(|number| !arrived.contains(number)).collect();
            let found: Vec<_> = missing(&bob).into_iter().flatten().collect();
            assert_eq!(found, expected, "seed {seed}: {arrived:?} have arrived");
            let received = received(&bob);
            let through = expected.first().map_or(highest, |first| first - 1);
            assert_eq!((received.through, received.highest), (through, highest), "seed {seed}");
            assert_eq!(received.missing, expected.len() as u64, "seed {seed}");
            assert_eq!(bob.summary().missing, received.missing, "seed {seed}");
        }
        assert_eq!((rows(&bob, Table::Gap), findings(&bob)), (0, vec![]), "seed {seed}");
        settle(&mut alice, &mut bob);
        assert!(alice.audit(None).chats[0].sent.unconfirmed.is_empty(), "seed {seed}");
    }
}

#[test]
fn a_message_that_is_sent_again_in_another_envelope_fills_its_gap() {
    let (mut alice, mut bob) = paired();
    let flying = swallow(&mut alice, &bob, 3);
    for arrived in [0, 2] {
        take(&mut bob, &flying[arrived]);
    }
    // As alice sealed them: same ids, same places.
    let log = query::log(&alice.store, "bob", None, 9).unwrap().unwrap();
    let mut previous = [0; 32];
    let again: Vec<_> = (1..)
        .zip(&log)
        .map(|(counter, message)| {
            let body = Body::Text { text: format!("text {counter}"), reply_to: None, ttl: None };
            let place = Some(ChatPlace { counter, previous });
            let (id, sent) = (message.id, message.sent);
            let content = Content { id, sent, place, body, newer: Newer::default() };
            previous = content.hash();
            content
        })
        .collect();
    forge(&mut alice, &mut bob, &again[1]);
    forge(&mut alice, &mut bob, &again[0]);
    assert_eq!(bob.texts("alice"), ["text 1", "text 3", "text 2"]);
    assert_eq!((missing(&bob), findings(&bob), received(&bob).through), (vec![], vec![], 3));
}

#[test]
fn a_number_beyond_belief_is_not_believed() {
    let (mut alice, mut bob) = paired();
    let far = |counter| Some(ChatPlace { counter, previous: [7; 32] });
    for (n, counter) in [(1, 1 << 60), (2, u64::MAX), (3, limits::NUMBER_JUMP + 1)] {
        let content = text(&alice, MessageId([n; 16]), far(counter));
        forge(&mut alice, &mut bob, &content);
    }
    assert_eq!(findings(&bob), [(FindingKind::NumberImplausible, 3)]);
    assert_eq!((received(&bob).highest, bob.summary().missing, rows(&bob, Table::Gap)), (0, 0, 0));
    // All three are shown, and what follows is counted as ever.
    alice.send("bob", "honest").unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!((bob.texts("alice").len(), received(&bob).through), (4, 1));
    // As far as is believed, it costs one row.
    let content = text(&alice, MessageId([4; 16]), far(limits::NUMBER_JUMP + 1));
    forge(&mut alice, &mut bob, &content);
    assert_eq!((bob.summary().missing, rows(&bob, Table::Gap)), (limits::NUMBER_JUMP - 1, 1));
}

#[test]
fn a_peer_that_makes_gaps_by_the_thousand_fills_no_disk() {
    let (mut alice, mut bob) = paired();
    let all = contents(&alice, 1..=2 * limits::GAPS + 100);
    for content in all.iter().skip(1).step_by(2) {
        forge(&mut alice, &mut bob, content);
    }
    let (gaps, made) = (limits::GAPS, limits::GAPS + 50);
    let state = received(&bob);
    assert_eq!((state.missing, state.gaps.len() as u64, state.unlisted), (made, gaps, 50));
    assert_eq!((rows(&bob, Table::Gap) as u64, bob.summary().missing), (gaps, made));
    assert_eq!((findings(&bob), state.through), (vec![], 0));
    // What comes late is taken off the count where no row tells it apart; then everything is told apart again.
    for content in all.iter().step_by(2).rev() {
        forge(&mut alice, &mut bob, content);
    }
    let state = received(&bob);
    assert_eq!((state.missing, state.unlisted, state.through), (0, 0, 2 * gaps + 100));
    assert_eq!((rows(&bob, Table::Gap), findings(&bob)), (0, vec![]));
}

#[test]
fn a_gap_that_splits_when_there_is_no_room_is_still_counted() {
    let (mut alice, mut bob) = paired();
    let wide = 2 * limits::GAPS;
    let all = contents(&alice, 1..=wide + 10);
    for content in all[9..].iter().step_by(2) {
        forge(&mut alice, &mut bob, content);
    }
    let before = received(&bob);
    assert_eq!(before.gaps.len() as u64, limits::GAPS);
    forge(&mut alice, &mut bob, &all[4]);
    let after = received(&bob);
    assert_eq!((after.missing, after.gaps.len()), (before.missing - 1, before.gaps.len()));
    assert_eq!((after.gaps[0].first, after.gaps[0].last), (1, 4));
    assert_eq!(after.unlisted, before.unlisted + 4);
    assert_eq!(after.through, 0);
}

#[test]
fn what_was_refused_is_missing_where_no_row_says_so() {
    let (mut alice, mut bob) = paired();
    let let_in = |alice: &mut Peer, bob: &mut Peer| {
        for change in [ContactChange::Block, ContactChange::Unblock] {
            bob.command(Command::Contact("alice".into(), change)).unwrap();
        }
        settle(alice, bob);
    };
    let all = contents(&alice, 1..=2 * limits::GAPS + 20);
    let_in(&mut alice, &mut bob);
    // A wide gap that was refused, and so many others that one has no row.
    for content in all[9..].iter().step_by(2).take(limits::GAPS as usize + 1) {
        forge(&mut alice, &mut bob, content);
    }
    let counts = |bob: &Peer| {
        let received = received(bob);
        assert_eq!(bob.summary().missing, received.missing);
        (received.refused, received.missing, received.unlisted)
    };
    assert_eq!(counts(&bob), (9, limits::GAPS, 1));
    // Splits it: what is above has no row.
    forge(&mut alice, &mut bob, &all[4]);
    assert_eq!(counts(&bob), (4, limits::GAPS + 4, 5));
    let_in(&mut alice, &mut bob);
    forge(&mut alice, &mut bob, &all[all.len() - 1]);
    assert_eq!(counts(&bob), (4, limits::GAPS + 13, 14));
}

#[test]
fn a_store_put_back_from_an_old_copy_shows() {
    let (mut alice, mut bob) = paired();
    let mut messages = swallow(&mut alice, &bob, 1);
    let copy = alice.snapshot();
    messages.extend(swallow(&mut alice, &bob, 1));
    messages.iter().for_each(|message| take(&mut bob, message));
    alice.restore(&copy);
    for text in ["another second", "a third"] {
        alice.send("bob", text).unwrap();
        let sent = alice.flying(&bob).pop().unwrap();
        take(&mut bob, &sent);
    }
    // The second was sealed under a key that was used; the third names it.
    assert_eq!(bob.texts("alice"), ["text 1", "text 1", "a third"]);
    assert_eq!((findings(&bob), missing(&bob)), (vec![(FindingKind::HistoryMismatch, 1)], vec![]));
    let finding = received(&bob).findings[0];
    let third = Reference::new("alice", 3);
    assert_eq!((finding.first.reference("alice"), finding.last.reference("alice")), (third.clone(), third));
    // From there the history is one again.
    alice.send("bob", "a fourth").unwrap();
    let sent = alice.flying(&bob).pop().unwrap();
    take(&mut bob, &sent);
    assert_eq!(findings(&bob), [(FindingKind::HistoryMismatch, 1)]);
}

#[test]
fn a_message_that_does_not_fit_its_gap_is_found() {
    for wrong in [2, 4] {
        let (mut alice, mut bob) = paired();
        let mut all = contents(&alice, 1..=5);
        forge(&mut alice, &mut bob, &all[0]);
        forge(&mut alice, &mut bob, &all[4]);
        let at = wrong - 1;
        match wrong {
            // It names another predecessor than the one that is here.
            2 => all[at].place.as_mut().unwrap().previous = [7; 32],
            // It is another message than the one that its successor names.
            _ => all[at].sent = Timestamp(0),
        }
        forge(&mut alice, &mut bob, &all[2]);
        assert_eq!(findings(&bob), []);
        forge(&mut alice, &mut bob, &all[at]);
        assert_eq!(findings(&bob), [(FindingKind::HistoryMismatch, 1)], "{wrong}");
        assert_eq!(bob.texts("alice").len(), 4, "it is stored all the same");
    }
}

#[test]
fn a_number_used_twice_is_found() {
    let (mut alice, mut bob) = paired();
    let all = contents(&alice, 1..=3);
    all.iter().for_each(|content| forge(&mut alice, &mut bob, content));
    let mut again = all[1].clone();
    // A copy is no finding, another message is.
    forge(&mut alice, &mut bob, &again);
    assert_eq!(findings(&bob), []);
    again.id = MessageId([3; 16]);
    forge(&mut alice, &mut bob, &again);
    assert_eq!(findings(&bob), [(FindingKind::NumberRepeated, 1)]);
    assert_eq!((received(&bob).through, received(&bob).messages), (3, 4));
}

#[test]
fn a_message_without_a_number_is_said_to_have_none() {
    let (mut alice, mut bob) = paired();
    for (n, place) in [(1, None), (2, Some(ChatPlace { counter: 0, previous: [0; 32] }))] {
        let content = text(&alice, MessageId([n; 16]), place);
        forge(&mut alice, &mut bob, &content);
    }
    assert_eq!(findings(&bob), [(FindingKind::Unnumbered, 2)]);
    assert_eq!((received(&bob).messages, received(&bob).highest), (2, 0));
}

#[test]
fn a_message_waits_for_its_receipt_from_when_the_relay_took_it() {
    let (mut alice, mut bob) = paired();
    let waiting = |alice: &Peer| alice.audit(None).chats.remove(0).sent.unconfirmed.len();
    alice.send("bob", "one").unwrap();
    assert_eq!(waiting(&alice), 0, "it has not left");
    let one = alice.flying(&bob).remove(0);
    alice.link(LinkEvent::Deposited(one.key));
    assert_eq!(waiting(&alice), 1);
    // A receipt may overtake the relay's.
    alice.send("bob", "two").unwrap();
    let two = alice.flying(&bob).remove(0);
    take(&mut bob, &two);
    carry(&mut bob, &mut alice);
    alice.link(LinkEvent::Deposited(two.key));
    assert_eq!(waiting(&alice), 1);
    // What the relay refused is known not to arrive.
    alice.send("bob", "three").unwrap();
    let three = alice.flying(&bob).remove(0);
    alice.link(LinkEvent::DepositRefused(three.key, Refusal::NoEntry));
    assert_eq!(waiting(&alice), 1);
    take(&mut bob, &one);
    carry(&mut bob, &mut alice);
    assert_eq!(waiting(&alice), 0);
    let states: Vec<_> = query::log(&alice.store, "bob", None, 9)
        .unwrap()
        .unwrap()
        .into_iter()
        .map(|message| message.direction)
        .collect();
    let delivered = query::MessageDirection::Sent(MessageState::Delivered);
    assert_eq!(states[..2], [delivered.clone(), delivered]);
}

#[test]
fn envelopes_that_say_nothing_are_counted_where_they_belong() {
    let (mut alice, mut bob) = paired();
    let mut flying = swallow(&mut alice, &bob, 1).remove(0);
    let byte = flying.body.last_mut().unwrap();
    *byte ^= 1;
    take(&mut bob, &flying);
    take(&mut bob, &flying);
    let first = bob.head + 1;
    bob.link(LinkEvent::Gone(Sequence(first), Sequence(first + 4)));
    // Part of these was counted.
    bob.link(LinkEvent::Gone(Sequence(first), Sequence(first + 6)));
    let audit = bob.audit(None);
    let counts = |counts: &[query::UnreadableCount]| -> Vec<_> {
        counts.iter().map(|count| (count.cause, count.envelopes)).collect()
    };
    assert_eq!(counts(&audit.chats[0].unreadable), [(UnreadableCause::Forged, 2)]);
    assert_eq!(counts(&audit.unreadable), [(UnreadableCause::Expired, 7)]);
}
