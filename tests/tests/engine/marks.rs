//! Replies, reactions, edits, and messages that are withdrawn.

use std::time::Duration;

use hermes_engine::{
    Command, CommandError, Event, FailureReason, FindingKind, Input, MarkKind, MessageChange, MessageState,
    Reference, Reply, Send, Text,
    query::{self, MessageDirection, MessageView, Quote, QuotedFrom},
};
use hermes_protocol::{Body, ChatPlace, Content, MessageId, Newer};
use hermes_tests::{
    duo::{Flying, Peer, carry, deliver, paired, settle},
    sim::Crowd,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn at(chat: &str, number: u64) -> Reference {
    Reference::new(chat, number)
}

fn mark(peer: &mut Peer, chat: &str, number: u64, change: MessageChange) -> Result<Reply, CommandError> {
    peer.command(Command::Message(at(chat, number), change))
}

fn like(emoji: &str) -> MessageChange {
    MessageChange::React(Some(emoji.to_owned()))
}

fn edit(text: &str) -> MessageChange {
    MessageChange::Edit(text.to_owned())
}

fn log(peer: &Peer, chat: &str) -> Vec<MessageView> {
    query::log(&peer.store, chat, None, 99).unwrap().unwrap()
}

fn first(peer: &Peer, chat: &str) -> MessageView {
    log(peer, chat).remove(0)
}

fn answer(peer: &mut Peer, to: Reference, text: &str) -> Result<Reply, CommandError> {
    let reply_to = Some(to.clone());
    let send = Send { to: vec![to.chat], text: text.to_owned(), reply_to, ttl: None, idempotency: None };
    peer.command(Command::Send(send))
}

fn reactions(message: &MessageView) -> Vec<(&str, u32, bool)> {
    message.reactions.iter().map(|shown| (shown.emoji.as_str(), shown.count, shown.me)).collect()
}

#[test]
fn only_what_has_a_text_of_its_own_takes_a_number() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "first").unwrap();
    settle(&mut alice, &mut bob);
    mark(&mut bob, "alice", 1, like("👍")).unwrap();
    mark(&mut alice, "bob", 1, edit("first, corrected")).unwrap();
    settle(&mut alice, &mut bob);
    alice.send("bob", "second").unwrap();
    settle(&mut alice, &mut bob);
    for (peer, chat) in [(&alice, "bob"), (&bob, "alice")] {
        let named: Vec<_> = log(peer, chat).iter().map(|message| message.reference.to_string()).collect();
        assert_eq!(named, [format!("{chat}#1"), format!("{chat}#2")]);
        // They are there by names of their own, and nothing can be done with them.
        for note in [1, 2] {
            let reference = Reference { note, ..at(chat, 1) };
            let found = query::message_at(&peer.store, &reference).unwrap().unwrap();
            assert!(matches!(found.text, Text::Action(_)) && found.reference == reference);
        }
        assert!(query::message_at(&peer.store, &Reference { note: 3, ..at(chat, 1) }).unwrap().is_none());
    }
    let note = Reference { note: 1, ..at("alice", 1) };
    let refused = bob.command(Command::Message(note.clone(), like("👍"))).unwrap_err();
    assert_eq!(refused, CommandError::NothingToChange(note));
}

/// Nothing is missing and nothing contradicts anything, at either end.
fn assert_whole(alice: &Peer, bob: &Peer) {
    for peer in [alice, bob] {
        for chat in peer.audit(None).chats {
            assert_eq!((chat.received.missing, chat.received.findings.len()), (0, 0), "{chat:?}");
            assert!(chat.sent.unconfirmed.is_empty(), "{chat:?}");
        }
        assert_eq!(peer.summary().unreadable, 0);
    }
}

/// Whether any row of the store has these bytes. Nothing is sealed in memory.
fn holds(peer: &Peer, text: &str) -> bool {
    use hermes_engine::{Order, Range, Table, View};
    let mut found = false;
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Outbox) {
        let scanned = peer.store.scan(table, &Range::all(), Order::Ascending, &mut |_, value| {
            found |= value.windows(text.len()).any(|window| window == text.as_bytes());
            std::ops::ControlFlow::Continue(())
        });
        scanned.unwrap();
    }
    found
}

/// Bob has one message of Alice's.
fn talking() -> (Peer, Peer) {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "deploy tonihgt").unwrap();
    settle(&mut alice, &mut bob);
    (alice, bob)
}

/// What Alice would send if her engine let her, as her message of this count.
fn forged(alice: &mut Peer, bob: &Peer, counter: u64, body: Body) -> Flying {
    let mut id = [8; 16];
    id[..8].copy_from_slice(&counter.to_be_bytes());
    let place = Some(ChatPlace { counter, previous: [0; 32] });
    let content = Content { id: MessageId(id), sent: alice.now, place, body, newer: Newer::default() };
    alice.forge_content(bob, &content)
}

#[test]
fn an_answer_names_its_question_at_both_ends() {
    let (mut alice, mut bob) = talking();
    answer(&mut bob, at("alice", 1), "yes").unwrap();
    settle(&mut alice, &mut bob);
    let quoted = |peer: &Peer, chat| log(peer, chat)[1].reply_to.clone().unwrap();
    let id = first(&alice, "bob").id;
    let quote = |chat: &str, from| Quote {
        id,
        reference: Some(at(chat, 1)),
        from: Some(from),
        text: Some("deploy tonihgt".to_owned()),
    };
    assert_eq!(quoted(&bob, "alice"), quote("alice", QuotedFrom::Contact));
    assert_eq!(quoted(&alice, "bob"), quote("bob", QuotedFrom::Me));
    let elsewhere = Send {
        to: vec!["alice".to_owned(), "carol".to_owned()],
        text: "yes".to_owned(),
        reply_to: Some(at("alice", 1)),
        ttl: None,
        idempotency: None,
    };
    let refused = bob.command(Command::Send(elsewhere));
    assert!(matches!(refused, Err(CommandError::ReplyElsewhere(_))), "{refused:?}");
    assert!(matches!(answer(&mut bob, at("alice", 9), "yes"), Err(CommandError::UnknownMessage(_))));
}

#[test]
fn a_reaction_replaces_the_one_before_and_can_be_taken_back() {
    let (mut alice, mut bob) = talking();
    mark(&mut bob, "alice", 1, like("👍")).unwrap();
    mark(&mut alice, "bob", 1, like("👍")).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(reactions(&first(&alice, "bob")), [("👍", 2, true)]);
    assert_eq!(reactions(&first(&bob, "alice")), [("👍", 2, true)]);
    mark(&mut bob, "alice", 1, like("🎉")).unwrap();
    carry(&mut bob, &mut alice);
    let told = alice.events().into_iter().any(|event| {
        matches!(event, Event::Marked { reference, what: MarkKind::Reaction } if reference == at("bob", 1))
    });
    assert!(told);
    settle(&mut alice, &mut bob);
    let shown = first(&alice, "bob");
    assert_eq!(reactions(&shown), [("🎉", 1, false), ("👍", 1, true)]);
    assert_eq!(shown.reactions[0].by[0].contact.as_deref(), Some("bob"));
    mark(&mut bob, "alice", 1, MessageChange::React(None)).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(reactions(&first(&alice, "bob")), [("👍", 1, true)]);
    // Nothing that is as asked is said again; nothing is read, and nothing listed.
    let again = mark(&mut bob, "alice", 1, MessageChange::React(None));
    assert!(matches!(again, Ok(Reply::Marked { said: None, .. })), "{again:?}");
    assert_eq!((alice.summary().unread, log(&alice, "bob").len()), (0, 1));
    for bad in ["", "two words", "\u{1b}[2J", &"x".repeat(33)] {
        assert!(matches!(mark(&mut bob, "alice", 1, like(bad)), Err(CommandError::BadReaction(_))), "{bad}");
    }
    assert_whole(&alice, &bob);
}

#[test]
fn the_newest_edit_counts_in_whatever_order_they_arrive() {
    let (mut alice, mut bob) = talking();
    for text in ["deploy tonight", "deploy tomorrow", "deploy on Monday"] {
        mark(&mut alice, "bob", 1, edit(text)).unwrap();
    }
    let flying = alice.flying(&bob);
    let [one, two, three] = flying.try_into().unwrap();
    deliver(&mut alice, &mut bob, vec![three, one.clone(), two, one]);
    settle(&mut alice, &mut bob);
    for (peer, chat) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(peer.texts(chat), ["deploy on Monday"]);
        assert!(first(peer, chat).edited.is_some());
    }
    assert_eq!(bob.summary().unread, 1, "it was unread and is");
    let again = mark(&mut alice, "bob", 1, edit("deploy on Monday"));
    assert!(matches!(again, Ok(Reply::Marked { said: None, .. })), "{again:?}");
    assert_whole(&alice, &bob);
}

#[test]
fn only_the_author_edits_and_withdraws() {
    let (mut alice, mut bob) = talking();
    for change in [edit("mine"), MessageChange::Unsend, MessageChange::Cancel] {
        let refused = mark(&mut bob, "alice", 1, change);
        assert!(matches!(refused, Err(CommandError::NotAuthor(_))), "{refused:?}");
    }
    // A program without scruples.
    let message = first(&alice, "bob").id;
    let forgeries = [Body::Edit { message, text: "mine".to_owned() }, Body::Unsend { message, place: None }];
    for (counter, body) in (1..).zip(forgeries) {
        let forged = forged(&mut bob, &alice, counter, body);
        alice.take(forged.contact, forged.body);
    }
    assert_eq!(alice.texts("bob"), ["deploy tonihgt"]);
    assert_eq!(alice.summary().unreadable, 0);
}

#[test]
fn a_withdrawn_message_is_gone_at_both_ends_with_its_edits_and_reactions() {
    let (mut alice, mut bob) = talking();
    mark(&mut alice, "bob", 1, edit("deploy tonight")).unwrap();
    answer(&mut bob, at("alice", 1), "yes").unwrap();
    mark(&mut bob, "alice", 1, like("👍")).unwrap();
    settle(&mut alice, &mut bob);
    mark(&mut alice, "bob", 1, MessageChange::Unsend).unwrap();
    settle(&mut alice, &mut bob);
    for (peer, chat) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(peer.texts(chat), ["(withdrawn)", "yes"]);
        assert!(first(peer, chat).reactions.is_empty() && first(peer, chat).edited.is_none());
        assert!(!holds(peer, "deploy"), "nor in the edits");
        assert_eq!(log(peer, chat)[1].reply_to.as_ref().unwrap().text, None);
    }
    // It stays so, and says why.
    assert!(matches!(mark(&mut bob, "alice", 1, like("👍")), Err(CommandError::NothingToChange(_))));
    assert!(matches!(mark(&mut alice, "bob", 1, edit("x")), Err(CommandError::NothingToChange(_))));
    let again = mark(&mut alice, "bob", 1, MessageChange::Unsend);
    assert!(matches!(again, Ok(Reply::Marked { said: None, .. })), "{again:?}");
    assert_whole(&alice, &bob);
}

#[test]
fn what_comes_before_its_message_waits_for_it() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "one").unwrap();
    mark(&mut alice, "bob", 1, like("🙂")).unwrap();
    mark(&mut alice, "bob", 1, edit("two")).unwrap();
    mark(&mut alice, "bob", 1, edit("three")).unwrap();
    let mut flying = alice.flying(&bob);
    let text = flying.remove(0);
    flying.reverse();
    deliver(&mut alice, &mut bob, flying);
    assert!(log(&bob, "alice").is_empty());
    deliver(&mut alice, &mut bob, vec![text]);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["three"]);
    assert_eq!(reactions(&first(&bob, "alice")), [("🙂", 1, false)]);
    // Nothing waits any more, so that nothing takes anybody's room.
    mark(&mut alice, "bob", 1, edit("four")).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["four"]);
    assert_whole(&alice, &bob);
}

#[test]
fn what_was_withdrawn_before_it_came_is_never_shown() {
    let (mut alice, mut bob) = paired();
    alice.send("bob", "not for you").unwrap();
    mark(&mut alice, "bob", 1, edit("not for you either")).unwrap();
    mark(&mut alice, "bob", 1, MessageChange::Unsend).unwrap();
    alice.send("bob", "hello").unwrap();
    let mut flying = alice.flying(&bob);
    // The text was taken back before it left; the edit and the withdrawal have.
    assert_eq!(flying.len(), 3);
    let edited = flying.remove(0);
    deliver(&mut alice, &mut bob, flying);
    deliver(&mut alice, &mut bob, vec![edited]);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["hello"]);
    assert!(!holds(&bob, "not for you"));
    let audit = bob.audit(Some("alice")).chats.remove(0).received;
    assert_eq!((audit.missing, audit.through, audit.highest, audit.findings.len()), (0, 4, 4, 0));
    assert_whole(&alice, &bob);
}

#[test]
fn a_cancelled_message_does_not_leave_and_leaves_no_gap() {
    let (mut alice, mut bob) = talking();
    alice.send("bob", "wrong window").unwrap();
    alice.send("bob", "right window").unwrap();
    let under_way = alice.flying(&bob).remove(0);
    mark(&mut alice, "bob", 2, MessageChange::Cancel).unwrap();
    let cancelled = MessageDirection::Sent(MessageState::Failed(FailureReason::Cancelled));
    assert_eq!(log(&alice, "bob")[1].direction, cancelled);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["deploy tonihgt", "right window"]);
    assert_whole(&alice, &bob);
    // The relay had it all the same: it is confirmed and shown to nobody.
    bob.take(under_way.contact, under_way.body);
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["deploy tonihgt", "right window"]);
    assert_eq!(log(&alice, "bob")[1].direction, cancelled, "and stays what it is");
    assert_whole(&alice, &bob);
    let again = mark(&mut alice, "bob", 2, MessageChange::Cancel);
    assert!(matches!(again, Ok(Reply::Marked { said: None, .. })), "{again:?}");
    let late = mark(&mut alice, "bob", 3, MessageChange::Cancel);
    assert!(matches!(late, Err(CommandError::HasLeft(_))), "{late:?}");
    for change in [edit("x"), like("👍")] {
        assert!(matches!(mark(&mut alice, "bob", 2, change), Err(CommandError::NotSent(_))));
    }
}

#[test]
fn a_cancelled_message_may_arrive_before_the_word_that_withdraws_it() {
    let (mut alice, mut bob) = talking();
    alice.send("bob", "wrong window").unwrap();
    let under_way = alice.flying(&bob).remove(0);
    bob.take(under_way.contact, under_way.body);
    mark(&mut alice, "bob", 2, MessageChange::Cancel).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["deploy tonihgt", "(withdrawn)"]);
    assert_whole(&alice, &bob);
}

#[test]
fn an_edit_keeps_the_time_after_which_a_text_is_deleted() {
    let (mut alice, mut bob) = paired();
    let (to, text) = (vec!["bob".to_owned()], "burn this".to_owned());
    let send = Send { to, text, reply_to: None, ttl: Some(HOUR), idempotency: None };
    alice.command(Command::Send(send)).unwrap();
    settle(&mut alice, &mut bob);
    bob.command(Command::MarkRead(vec![at("alice", 1)])).unwrap();
    mark(&mut alice, "bob", 1, edit("burn that")).unwrap();
    mark(&mut bob, "alice", 1, like("🔥")).unwrap();
    settle(&mut alice, &mut bob);
    assert_eq!(bob.texts("alice"), ["burn that"]);
    for (peer, chat) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        peer.now = peer.now.after(HOUR);
        peer.turn(Input::Tick);
        assert_eq!(peer.texts(chat), ["(expired)"]);
        assert!(!holds(peer, "burn"), "not in the edits either");
        assert!(first(peer, chat).reactions.is_empty());
    }
    assert!(matches!(mark(&mut alice, "bob", 1, edit("x")), Err(CommandError::NothingToChange(_))));
}

#[test]
fn an_edited_text_is_said_again_word_for_word_in_another_session() {
    let (mut alice, mut bob) = paired();
    let old = bob.snapshot();
    alice.send("bob", "first").unwrap();
    answer(&mut alice, at("bob", 1), "second").unwrap();
    mark(&mut alice, "bob", 1, edit("First")).unwrap();
    mark(&mut alice, "bob", 2, like("👍")).unwrap();
    settle(&mut alice, &mut bob);
    // Bob's store is put back from before, and both find another session.
    bob.restore(&old);
    alice.send("bob", "third").unwrap();
    for _ in 0..6 {
        hermes_tests::duo::serve_fetches(&mut alice, &mut bob);
        hermes_tests::duo::serve_fetches(&mut bob, &mut alice);
        settle(&mut alice, &mut bob);
    }
    assert_eq!(bob.texts("alice"), ["First", "second", "third"]);
    let log = log(&bob, "alice");
    let second = log.iter().find(|message| message.text == Text::Plain("second".to_owned())).unwrap();
    assert_eq!(second.reply_to.as_ref().unwrap().text.as_deref(), Some("First"));
    assert_eq!(reactions(second), [("👍", 1, false)]);
    let received = bob.audit(Some("alice")).chats.remove(0).received;
    let mismatch = received.findings.iter().any(|found| found.kind == FindingKind::HistoryMismatch);
    assert!(received.missing == 0 && !mismatch, "{received:?}");
}

#[test]
fn edits_have_a_limit_and_words_about_nothing_do_not_pile_up() {
    let (mut alice, mut bob) = talking();
    for n in 0..hermes_engine::limits::EDITS {
        mark(&mut alice, "bob", 1, edit(&n.to_string())).unwrap();
    }
    let refused = mark(&mut alice, "bob", 1, edit("once more"));
    assert!(matches!(refused, Err(CommandError::TooManyEdits(..))), "{refused:?}");
    settle(&mut alice, &mut bob);
    let rows = |peer: &Peer| {
        use hermes_engine::{Order, Range, Table, View};
        let mut rows = 0;
        let scanned = peer.store.scan(Table::Mark, &Range::all(), Order::Ascending, &mut |_, _| {
            rows += 1;
            std::ops::ControlFlow::Continue(())
        });
        scanned.unwrap();
        rows
    };
    assert_eq!(rows(&bob), 0, "the text stands with its message");
    let most = u64::from(hermes_engine::limits::EARLY_MARKS);
    for counter in 100..=(100 + most) {
        let mut message = MessageId([7; 16]);
        message.0[..8].copy_from_slice(&counter.to_be_bytes());
        let forged = forged(&mut alice, &bob, counter, Body::Edit { message, text: "?".to_owned() });
        bob.take(forged.contact, forged.body);
    }
    // Each with a row that says since when, and one with how many.
    assert_eq!(rows(&bob), 2 * most + 1);
    bob.now = bob.now.after(hermes_engine::limits::EARLY_LIFETIME + HOUR);
    bob.turn(Input::Tick);
    assert_eq!(rows(&bob), 0, "what is too old for its message goes");
}

#[test]
fn a_stranger_to_a_message_cannot_have_it_taken_for_withdrawn() {
    let mut crowd = Crowd::new(1, 3);
    crowd.create(&[1, 2]);
    // A member withdraws what another has written, before anybody has it.
    crowd.try_say(1, "hello");
    let message = crowd.log(1).pop().unwrap().id;
    let place = Some(ChatPlace { counter: 1, previous: [0; 32] });
    let (id, sent) = (MessageId([5; 16]), hermes_wire::Timestamp(0));
    let body = Body::Unsend { message, place: None };
    crowd.post_content(2, &Content { id, sent, place, body, newer: Newer::default() });
    crowd.settle();
    assert_eq!(crowd.heard(0), ["hello"]);
    assert!(query::message(crowd.store(0), &message).unwrap().is_some(), "under its own id");
}

#[test]
fn a_text_of_nothing_to_see_is_none() {
    let (mut alice, _bob) = talking();
    for blank in ["", " ", "\n\t\u{a0}", "\u{200b}\u{feff}\u{3164}"] {
        assert!(matches!(alice.send("bob", blank), Err(CommandError::EmptyText)), "{blank:?}");
        assert!(matches!(mark(&mut alice, "bob", 1, edit(blank)), Err(CommandError::EmptyText)));
    }
    assert!(alice.send("bob", " x ").is_ok());
}

#[test]
fn members_of_a_group_answer_react_edit_and_withdraw() {
    let mut crowd = Crowd::new(1, 3);
    crowd.create(&[1, 2]);
    crowd.say(1, "lunhc?");
    crowd.settle();
    let number = |crowd: &Crowd, client: usize, text: &str| {
        let log = crowd.log(client);
        let is = |message: &&MessageView| message.text == Text::Plain(text.to_owned());
        log.iter().find(is).unwrap().reference.number
    };
    for client in [0, 2] {
        let at = number(&crowd, client, "lunhc?");
        crowd.mark(client, at, like("🍜")).unwrap();
        let refused = crowd.mark(client, at, edit("mine"));
        assert!(matches!(refused, Err(CommandError::NotAuthor(_))), "{refused:?}");
    }
    let own = number(&crowd, 1, "lunhc?");
    crowd.mark(1, own, edit("lunch?")).unwrap();
    crowd.settle();
    for client in 0..3 {
        let at = number(&crowd, client, "lunch?");
        let message = crowd.log(client).into_iter().find(|message| message.reference.number == at).unwrap();
        assert_eq!(reactions(&message), [("🍜", 2, client != 1)], "{client}");
    }
    // A member without scruples withdraws what another has written.
    let message = crowd.log(1).into_iter().find(|message| message.reference.number == own).unwrap().id;
    let body = Body::Unsend { message, place: None };
    let place = Some(ChatPlace { counter: 2, previous: [0; 32] });
    let sent = hermes_wire::Timestamp(0);
    crowd.post_content(2, &Content { id: MessageId([5; 16]), sent, place, body, newer: Newer::default() });
    crowd.settle();
    assert_eq!(crowd.heard(0), ["lunch?"]);
    crowd.mark(1, own, MessageChange::Unsend).unwrap();
    crowd.settle();
    for client in 0..3 {
        let texts: Vec<_> = crowd.log(client).into_iter().map(|message| message.text).collect();
        assert!(texts.contains(&Text::Withdrawn) && !texts.contains(&Text::Plain("lunch?".to_owned())));
    }
}
