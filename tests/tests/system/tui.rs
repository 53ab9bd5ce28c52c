//! `hermesctl tui` in a real terminal, whose keys are pressed and whose screen is read.

mod terminal;

use hermes_api::{Direction, MessageState};
use hermes_tests::world::{Account, World};

use self::terminal::Terminal;
use super::skip::skipped;

/// A terminal with a shell in it, and the screen of an account in that; nothing where there is no tmux.
fn open(world: &World, account: &Account, arguments: &str) -> Option<Terminal> {
    let Some(terminal) = Terminal::start(&world.place("tmux"), account) else {
        skipped("hermesctl tui in a real terminal", "tmux");
        return None;
    };
    terminal.until_prompt();
    terminal.press(&[&format!("hermesctl tui {arguments}"), "Enter"]);
    terminal.until("Ctrl-Q quit");
    Some(terminal)
}

#[test]
fn a_conversation_on_a_whole_screen() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.send("bob", "first \u{1b}[31mred\u{202e}");
    world.until("bob has it", || bob.unread().len() == 1);
    let Some(terminal) = open(&world, &bob, "alice") else { return };
    terminal.until("alice: first ␛[31mred\u{fffd}");
    terminal.until("alice is there");
    world.until("what was shown is read", || bob.unread().is_empty());
    alice.send("bob", "second");
    terminal.until("alice: second");

    what_is_written_reaches_the_other_side(&terminal, &world, &alice);
    what_is_said_about_messages_is_seen(&terminal, &world, &alice);
    it_fits_any_size(&terminal);
    a_daemon_that_goes_away_is_waited_for(&terminal, &alice, &bob);
    the_terminal_is_given_back(&terminal);
}

fn what_is_written_reaches_the_other_side(terminal: &Terminal, world: &World, alice: &Account) {
    terminal.press(&["answer", "M-Enter", "in two rows"]);
    terminal.until("in two rows");
    terminal.press(&["Enter"]);
    terminal.until("in two rows  (delivered)");
    // Lines that are pasted are one text, and nothing is sent before Enter.
    terminal.paste("pasted\nin three\nlines");
    terminal.until("lines");
    terminal.press(&["Enter"]);
    terminal.until("lines  (delivered)");
    world.until("both are there", || alice.unread() == ["answer\nin two rows", "pasted\nin three\nlines"]);
}

fn what_is_said_about_messages_is_seen(terminal: &Terminal, world: &World, alice: &Account) {
    // From the text to the newest message, which is bob's, and on to alice's second.
    terminal.press(&["Up", "e", "C-u", "corrected", "Enter"]);
    terminal.until("edited");
    world.until("alice has the edit", || {
        alice.received("bob").contains(&"pasted\nin three\ncorrected".to_owned())
    });

    terminal.press(&["Up", "Up", "Up"]);
    terminal.until("r reply");
    terminal.press(&["+", "1"]);
    terminal.until("👍");
    let of_second = || {
        let history = alice.history("bob");
        history.into_iter().rfind(|message| message.direction == Direction::Out).unwrap()
    };
    world.until("alice has the reaction", || {
        of_second().reactions.iter().any(|reaction| reaction.emoji == "👍")
    });
    terminal.press(&["r"]);
    terminal.until("↪ alice#");
    terminal.press(&["an answer", "Enter"]);
    let answered = || {
        let history = alice.history("bob");
        history.last().and_then(|last| last.reply_to.clone()).is_some_and(|quote| quote.id == of_second().id)
    };
    world.until("alice sees what is answered", answered);

    terminal.press(&["C-f", "red", "Enter"]);
    terminal.until("1 found");
    terminal.press(&["Enter"]);
    terminal.until("r reply");
    terminal.press(&["Escape"]);
    terminal.until("Enter send");
    terminal.press(&["F2"]);
    terminal.until("safety number");
    terminal.press(&["Escape"]);
}

fn it_fits_any_size(terminal: &Terminal) {
    for (columns, rows) in [(40, 12), (200, 50), (12, 4), (80, 24)] {
        terminal.resize(columns, rows);
        match columns {
            12 => terminal.until("too"),
            _ => terminal.until("write to alice"),
        }
    }
}

fn a_daemon_that_goes_away_is_waited_for(terminal: &Terminal, alice: &Account, bob: &Account) {
    bob.home.stop();
    terminal.until("hermesd went away");
    terminal.press(&["patience", "Enter"]);
    terminal.until("(not yet taken by hermesd)");
    terminal.press(&["C-q"]);
    terminal.until("lose what was written?");
    terminal.press(&["Escape"]);
    bob.home.start();
    terminal.until("patience  (delivered)");
    assert_eq!(alice.unread().iter().filter(|text| *text == "patience").count(), 1);
    let last = bob.history("alice").pop().unwrap();
    assert!(matches!(last.state, Some(MessageState::Delivered | MessageState::Read)));
}

fn the_terminal_is_given_back(terminal: &Terminal) {
    terminal.press(&["C-z"]);
    terminal.until_prompt();
    terminal.until("Stopped");
    terminal.press(&["fg", "Enter"]);
    terminal.until("patience  (delivered)");
    terminal.press(&["C-q"]);
    terminal.until_prompt();
    terminal.press(&["echo left with $?", "Enter"]);
    terminal.until("left with 0");
    // Asked to end from outside.
    terminal.press(&["sh -c 'echo $$ > pid; exec hermesctl tui alice'", "Enter"]);
    terminal.until("patience  (delivered)");
    terminal.press(&["C-z"]);
    terminal.until_prompt();
    terminal.press(&["kill $(cat pid); fg; echo left with $?", "Enter"]);
    terminal.until("left with 130");
    assert!(!terminal.screen().contains("patience"), "the screen of before is back");
}
