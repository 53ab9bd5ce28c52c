//! Contact requests as people meet them: a link that is published, who uses it, and what becomes of that.

use hermes_tests::world::World;

#[test]
fn who_uses_a_public_link_waits_until_the_user_says_yes() {
    let world = World::new();
    let alice = world.account("alice");
    let [bob, carol] = ["bob", "carol"].map(|name| world.account(name));
    let made = alice.ctl(&["invite", "--requests"]).ok().says(&["requests ls"]);
    let link = made.stdout.trim().to_owned();
    alice.ctl(&["requests", "ls"]).ok().says(&["Nobody waits", "Public link"]);

    for asker in [&bob, &carol] {
        let asked = asker.ctl(&["accept", &link]).ok().says(&["contact rename pending"]);
        assert!(asked.stdout.contains("has been asked"), "{asked:#?}");
        asker.ctl(&["contact", "rename", "pending", "alice"]).ok();
        asker.ctl(&["send", "alice", &format!("{} here, about the boat", asker.name), "--wait=relayed"]).ok();
        let listed = asker.ctl(&["contact", "ls"]).ok().stdout;
        assert!(listed.starts_with("alice\tasked\tunverified"), "{listed}");
        let peers = asker.ctl(&["peers"]).ok().stdout;
        assert!(peers.contains("never") && peers.contains("asked"), "{peers}");
    }
    // More than may be said before: it waits on his side.
    for number in 1..=6 {
        bob.send("alice", &number.to_string());
    }
    let waiting = bob.ctl(&["outbox", "ls"]).ok().stdout;
    assert!(waiting.contains("has been asked"), "{waiting}");
    let asks = |texts: usize| {
        let requests = alice.ctl(&["requests", "ls", "--json"]).ok().json();
        let requests = requests["requests"].as_array().expect("a list").clone();
        requests.len() == 2 && requests[0]["messages"].as_array().is_some_and(|said| said.len() == texts)
    };
    world.until("both are listed", || asks(5));

    // Nobody hears of it but who asks for the list, also after a crash.
    alice.home.kill();
    alice.home.start();
    alice.until_connected();
    let listed = alice.ctl(&["requests", "ls"]).ok();
    println!("{}\n{}", listed.stdout, listed.stderr);
    assert!(listed.stdout.contains("bob here, about the boat") && asks(5), "{listed:#?}");
    assert_eq!((alice.unread(), alice.ctl(&["contact", "ls"]).ok().stdout.as_str()), (Vec::new(), ""));
    alice.ctl(&["send", "bob", "hi"]).refused(5);
    alice.ctl(&["status"]).ok();
    assert!(!bob.all_delivered("alice"));

    let accepted =
        alice.ctl(&["requests", "accept", "bob", "--as", "robert"]).ok().says(&["contact verify robert"]);
    println!("{}\n{}", accepted.stdout, accepted.stderr);
    world.until("all of it has arrived", || bob.all_delivered("alice"));
    assert_eq!(alice.received("robert"), ["bob here, about the boat", "1", "2", "3", "4", "5", "6"]);
    alice.ctl(&["send", "robert", "which boat?", "--wait=delivered"]).ok();
    let trust = bob.ctl(&["contact", "show", "alice", "--json"]).ok().json()["contact"]["trust"].clone();
    assert_eq!(trust, "unverified");

    alice.ctl(&["requests", "reject", "carol"]).ok();
    alice.ctl(&["requests", "accept", "carol"]).refused(5).says(&["requests ls"]);
    alice.ctl(&["requests", "close"]).ok();
    carol.send("alice", "hello?");
    world.until("the relay refuses carol", || {
        carol.history("alice").last().is_some_and(|message| message.error.is_some())
    });
    assert_eq!(alice.ctl(&["requests", "ls"]).ok().stdout, "");
    alice.ctl(&["requests", "close"]).refused(5);
}
