//! Answers, reactions, edits and withdrawals.

use super::*;
use crate::tui::model::{Focus, Purpose, Target};

/// With a message of bob's and, the newest, one of our own.
fn bench() -> Bench {
    let theirs = Message { id: "1".into(), ..incoming("bob#1", "lunch?") };
    let mut own = Message { id: "2".into(), ..incoming("bob#2", "at tvelve") };
    (own.direction, own.state, own.received_at) = (Direction::Out, Some(MessageState::Read), None);
    let mut bench = Bench::with(80, 24, vec![theirs, own], false);
    bench.draw();
    bench.requests();
    bench
}

fn target(id: &str, words: &str) -> Target {
    Target { id: id.into(), reference: format!("bob#{id}"), words: words.into() }
}

/// What was handed over.
fn said(bench: &mut Bench) -> Vec<Said> {
    let said = bench.requests().into_iter().filter_map(|request| match request {
        Request::Say(sending) => Some(sending.said),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_message_is_answered() {
    let mut bench = bench();
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Up);
    assert!(bench.draw()[23].starts_with("r reply"));
    bench.key(KeyCode::Char('r'));
    let rows = bench.draw();
    assert!(rows[21].ends_with("↪ bob#1 “lunch?”") && rows[22].contains("> write to bob"), "{rows:#?}");
    bench.write("gladly");
    bench.key(KeyCode::Enter);
    let reply_to = Some(target("1", "lunch?"));
    assert_eq!(said(&mut bench), [Said::Text { text: "gladly".into(), reply_to }]);
    assert_eq!(bench.model.open.as_ref().unwrap().draft.purpose, Purpose::New);

    bench.key(KeyCode::Up);
    bench.key(KeyCode::Enter);
    bench.write("kept");
    bench.key(KeyCode::Esc);
    bench.key(KeyCode::Enter);
    assert_eq!(
        said(&mut bench),
        [Said::Text { text: "kept".into(), reply_to: None }],
        "Esc makes it a new one"
    );
}

#[test]
fn only_own_messages_are_edited_and_what_was_being_written_comes_back() {
    let mut bench = bench();
    bench.write("half a thought");
    bench.press(KeyCode::Up, KeyModifiers::ALT);
    bench.key(KeyCode::Char('e'));
    let rows = bench.draw();
    assert!(rows[21].contains("edit bob#2") && rows[22].ends_with("> at tvelve"), "{rows:#?}");
    bench.key(KeyCode::Esc);
    assert!(bench.draw()[22].ends_with("> half a thought"));

    bench.press(KeyCode::Up, KeyModifiers::ALT);
    bench.key(KeyCode::Char('e'));
    bench.control('u');
    bench.write("at twelve");
    bench.key(KeyCode::Enter);
    assert_eq!(said(&mut bench), [Said::Edit { target: target("2", "at tvelve"), text: "at twelve".into() }]);
    assert!(bench.draw()[22].ends_with("> half a thought"));

    bench.press(KeyCode::Up, KeyModifiers::ALT);
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('e'));
    assert!(bench.draw()[23].starts_with("only your own"));
    assert_eq!(bench.model.focus, Focus::Messages);
}

#[test]
fn an_edit_that_is_refused_is_an_edit_again() {
    let mut bench = bench();
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('e'));
    bench.write("!");
    bench.key(KeyCode::Enter);
    let request = bench.requests().remove(0);
    let problem = Problem::new(ErrorCode::OutboxFull, "it is full", "wait");
    bench.model.answered(Answer::Refused(request, problem));
    let rows = bench.draw();
    assert!(rows[21].contains("edit bob#2") && rows[22].ends_with("> at tvelve!"), "{rows:#?}");
    assert_eq!(rows[23], "error: it is full → wait");
}

#[test]
fn a_digit_an_emoji_or_nothing_is_a_reaction() {
    for (keys, emoji) in [("+1", Some("👍")), ("+0", None), ("+🦀\n", Some("🦀"))] {
        let mut bench = bench();
        bench.key(KeyCode::Up);
        for key in keys.chars() {
            bench.key(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        let emoji = emoji.map(str::to_owned);
        assert_eq!(said(&mut bench), [Said::React { target: target("2", "at tvelve"), emoji }], "{keys}");
        assert_eq!(bench.model.focus, Focus::Messages);
    }
    let mut bench = bench();
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('+'));
    let rows = bench.draw().concat();
    assert!(rows.contains("react:") && rows.contains("1 👍") && rows.contains("to bob#2"), "{rows}");
    bench.key(KeyCode::Enter);
    bench.key(KeyCode::Esc);
    assert_eq!(said(&mut bench), [], "nothing was typed");
}

#[test]
fn a_message_is_withdrawn_after_a_question() {
    let mut bench = bench();
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('d'));
    assert!(bench.draw().concat().contains("Withdraw bob#2?"));
    bench.key(KeyCode::Char('n'));
    assert_eq!(said(&mut bench), []);
    bench.key(KeyCode::Char('d'));
    bench.key(KeyCode::Char('y'));
    let request = bench.requests().remove(0);
    let Request::Say(sending) = &request else { panic!("{request:?}") };
    let Sending { id, said, .. } = &**sending;
    assert_eq!(*said, Said::Unsend { target: target("2", "at tvelve") });
    assert_eq!(bench.control('q'), Flow::Stay, "the daemon does not know of it yet");
    bench.key(KeyCode::Esc);

    let message = Box::new(Message { id: "2".into(), body: Body::Withdrawn, ..incoming("bob#2", "") });
    bench.model.answered(Answer::Changed { id: id.clone(), message });
    assert!(bench.draw().concat().contains("(message withdrawn)"));
    assert_eq!(bench.control('q'), Flow::Leave);
}

#[test]
fn the_choice_stays_on_the_screen_and_ends_below_the_last_message() {
    let mut bench = Bench::with(80, 12, numbered(1..=50), false);
    bench.draw();
    bench.key(KeyCode::Up);
    for number in (1..=49).rev() {
        bench.key(KeyCode::Up);
        let rows = bench.draw();
        assert!(rows.concat().contains(&format!("text {number}")), "{number}: {rows:#?}");
    }
    bench.key(KeyCode::PageDown);
    let chosen = bench.model.open.as_ref().unwrap().chosen.clone().unwrap();
    assert!((6..=9).contains(&chosen.parse::<u64>().unwrap()), "{chosen}");
    bench.key(KeyCode::End);
    assert_eq!(bench.model.focus, Focus::Text);
    assert!(bench.draw().concat().contains("text 50"));
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Down);
    assert_eq!(bench.model.focus, Focus::Text);
}

#[test]
fn who_has_a_message_is_told() {
    use hermes_api::{MessageDetails, Person, Recipient};
    let mut bench = bench();
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('i'));
    assert_eq!(bench.requests(), [Request::Message("2".into())]);
    let person = Person { name: "carol".into(), fingerprint: "ab".repeat(32), contact: true, me: false };
    let mut message = bench.model.open.as_ref().unwrap().messages[1].clone();
    message.reactions = vec![Reaction { emoji: "👍".into(), count: 3, me: false, by: vec!["bob".into()] }];
    let recipients = vec![Recipient { person, state: MessageState::Delivered }];
    bench.model.answered(Answer::Message(Box::new(MessageDetails { v: V1, message, recipients })));
    let rows = bench.draw().concat();
    assert!(rows.contains("delivered carol") && rows.contains("bob and 2 more"), "{rows}");
}

#[test]
fn a_refused_text_never_becomes_what_another_message_says() {
    let mut bench = bench();
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('r'));
    bench.write("refused");
    bench.key(KeyCode::Enter);
    let request = bench.requests().remove(0);
    bench.write("next");
    bench.press(KeyCode::Up, KeyModifiers::ALT);
    bench.key(KeyCode::Char('e'));
    let problem = Problem::new(ErrorCode::OutboxFull, "it is full", "wait");
    bench.model.answered(Answer::Refused(request.clone(), problem.clone()));
    let rows = bench.draw();
    assert!(rows[21].contains("edit bob#2") && rows[22].ends_with("> at tvelve"), "{rows:#?}");
    bench.key(KeyCode::Esc);
    assert_eq!(bench.model.open.as_ref().unwrap().draft.text.text(), "refused\nnext");

    let mut bench = self::bench();
    let Request::Say(sending) = &request else { panic!("{request:?}") };
    bench.model.sending.push_back((**sending).clone());
    bench.write("next");
    bench.model.answered(Answer::Refused(request, problem));
    let draft = &bench.model.open.as_ref().unwrap().draft;
    assert_eq!(
        (draft.text.text(), &draft.purpose),
        ("refused\nnext", &Purpose::Reply(target("1", "lunch?")))
    );
}

#[test]
fn a_lock_leaves_nothing_of_what_others_wrote() {
    let mut bench = bench();
    bench.write("mine");
    bench.key(KeyCode::Enter);
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Up);
    bench.key(KeyCode::Char('r'));
    assert!(bench.draw().concat().contains("lunch?"));
    let locked = Problem::new(ErrorCode::Locked, "alice is locked", "hermesctl unlock");
    bench.model.reached(Reach::Refused(locked));
    let rows = bench.draw();
    assert!(!rows.concat().contains("lunch") && !rows.concat().contains("mine"), "{rows:#?}");
    assert!(rows[0].contains("is locked") && rows[23].contains("hermesctl unlock"), "{rows:#?}");
    bench.requests();
    bench.model.reached(Reach::Listening);
    assert!(bench.requests().contains(&log(Side::Newest)));
}

#[test]
fn a_message_of_line_breaks_has_an_end() {
    let text = format!("first{}last", "\n".repeat(16_000));
    let mut bench = Bench::with(80, 24, vec![incoming("bob#1", &text)], false);
    assert!(bench.draw().concat().contains("more bytes: hermesctl read"));
    for _ in 0..9 {
        bench.key(KeyCode::PageUp);
    }
    assert!(bench.draw().concat().contains("bob: first"));
}
