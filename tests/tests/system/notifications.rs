//! What a daemon shows on the desktop: over a real session bus, to a server of the test's own and to dunst.

mod desktop;

use std::{collections::BTreeSet, fs};

use hermes_tests::world::{World, wait::until};

use self::desktop::{Dunst, Note, Server, SessionBus};
use super::skip::skipped;

#[test]
fn messages_are_announced_once_in_few_words_and_never_in_the_way() {
    let Some(mut bus) = SessionBus::start() else {
        return skipped("notifications over a session bus", "dbus-daemon");
    };
    let server = Server::start(&bus);
    let world = World::new();
    let alice = world.account("alice");
    let carol = world.account("carol");
    let bob = world.account_with_session_bus("bob", bus.address());
    alice.pair(&bob);
    carol.pair(&bob);

    alice.send("bob", "<b>hi</b> & \u{1b}[31mred");
    let hi = server.until("alice's message is announced", |notes| notes.first().cloned());
    assert_eq!((hi.title.as_str(), hi.replaces), ("alice", 0));
    assert_eq!(hi.body, "&lt;b&gt;hi&lt;/b&gt; &amp; ␛[31mred");

    // Both are looked at together, or the muted one first.
    bob.ctl(&["chat", "mute", "alice", "1h"]).ok();
    alice.send("bob", "quiet");
    world.until("it is there", || bob.unread().len() == 2);
    carol.send("bob", "loud");
    server.until("carol's message is announced", |notes| {
        notes.iter().find(|note| note.title == "carol" && note.body == "loud").cloned()
    });
    assert_eq!(server.notes().len(), 2, "{:?}", server.notes());

    a_flood_after_an_absence_is_one_summary(&world, &server, &alice, &bob);

    // Without a bus messages arrive as ever, and a new one is found.
    drop(server);
    bus.stop();
    alice.ctl(&["send", "bob", "no bus", "--wait=delivered"]).ok();
    world.until("it was looked for in vain", || {
        fs::read_to_string(bob.home.log()).is_ok_and(|log| log.contains("notifications cannot be shown"))
    });
    bus.start_again();
    let server = Server::start(&bus);
    // What comes soon after that is left out: one is looked for again with later messages only.
    world.until("the new bus is found", || {
        carol.ctl(&["send", "bob", "a new bus", "--wait=delivered"]).ok();
        !server.notes().is_empty()
    });
}

/// What the server hears, it may keep.
#[test]
fn a_desktop_hears_no_more_than_it_is_to() {
    const TEXT: &str = "blue giraffe";
    const SENDER: &str = "gallimimus";
    /// More than are announced one by one.
    const SOME: usize = 6;
    let Some(bus) = SessionBus::start() else {
        return skipped("previews over a session bus", "dbus-daemon");
    };
    let server = Server::start(&bus);
    let world = World::new();
    let sender = world.account(SENDER);
    let bob = world.account_with_session_bus("bob", bus.address());
    sender.pair(&bob);
    let is_summary = |note: &Note| note.title.ends_with("new messages");
    // Whether the text is said, where there is one message, and whether its author's name is.
    for (preview, text, name) in [("full", true, true), ("name-only", false, true), ("none", false, false)] {
        bob.ctl(&["config", "set", "notifications.preview", preview]).ok();
        bob.home.stop();
        bob.home.start();
        let before = server.notes().len();
        sender.send("bob", TEXT);
        server.until("it is announced", |notes| notes.get(before).cloned());
        bob.home.stop();
        (0..SOME).for_each(|_| drop(sender.send("bob", TEXT)));
        world.until("the relay has them", || sender.status().is_some_and(|status| status.outbox == 0));
        bob.home.start();
        let said = server.until("they are announced", |notes| {
            notes[before..].iter().any(is_summary).then(|| notes[before..].to_vec())
        });
        for note in said {
            let single = !is_summary(&note);
            assert_eq!(note.whole.contains(TEXT), text && single, "{preview}: {note:?}");
            assert_eq!(note.whole.contains(SENDER), name, "{preview}: {note:?}");
        }
    }
}

fn a_flood_after_an_absence_is_one_summary(
    world: &World,
    server: &Server,
    alice: &hermes_tests::world::Account,
    bob: &hermes_tests::world::Account,
) {
    const FLOOD: usize = 30;
    bob.ctl(&["chat", "mute", "alice", "off"]).ok();
    let before = server.notes().len();
    bob.home.stop();
    for number in 0..FLOOD {
        alice.send("bob", &number.to_string());
    }
    bob.home.start();
    world.until("all are there", || bob.unread().len() == FLOOD + 3);
    // On a slow machine the first ones may come long before the others.
    let announced = |notes: &[Note]| {
        let new = &notes[before..];
        let last = new.last()?.title.strip_suffix(" new messages")?.parse::<usize>().ok()?;
        let single = new.iter().filter(|note| note.title == "alice").count();
        (single + last == FLOOD).then(|| new.to_vec())
    };
    let new = server.until("all of them are announced", announced);
    let seen: BTreeSet<u32> = new.iter().map(|note| note.id).collect();
    assert!(seen.len() <= 5, "{new:?}");
    assert_eq!(
        new.last().unwrap().body,
        format!("alice: {}", new.last().unwrap().title.split(' ').next().unwrap())
    );
}

#[test]
fn dunst_shows_a_message() {
    let Some(bus) = SessionBus::start() else { return skipped("notifications in dunst", "dbus-daemon") };
    let Some(dunst) = Dunst::start(&bus) else { return skipped("notifications in dunst", "Xvfb and dunst") };
    let world = World::new();
    let alice = world.account("alice");
    let bob = world.account_with_session_bus("bob", bus.address());
    alice.pair(&bob);
    alice.send("bob", "in a real window");
    until("dunst shows one notification", || dunst.displayed() == 1);
}
