//! A changed identity key as its user meets it: real daemons, a real relay, the real command line.

use hermes_tests::{impostor::Impostor, remote::Remote, world::World};

#[test]
fn somebody_else_in_a_contacts_place_stops_sending_until_the_user_decides() {
    let world = World::new();
    let bob = world.account("bob");
    // Alice is an engine of this test, so that her permission can be stolen.
    let mut alice = Remote::new("alice", 1, world.relay.address());
    alice.pair(&bob.invite());
    world.until("they are paired", || bob.can_write_to("alice"));
    bob.send("alice", "to the real one");
    let eve = |seed, texts: &[&str]| {
        let invite = bob.invite().parse().expect("an invite");
        let mut eve = Impostor::from_afar(&invite, &alice.bundle(), alice.peer.now, seed);
        texts.iter().for_each(|text| alice.deposit(&eve.seal(text)));
    };
    let trust = |wanted: &str| {
        let shown = bob.ctl(&["contact", "show", "alice", "--json"]);
        shown.code == Some(0) && shown.json()["contact"]["trust"] == wanted
    };

    eve(2, &["first"]);
    world.until("bob's daemon has noticed", || trust("changed"));
    bob.home.kill();
    bob.home.start();
    assert_eq!(bob.unread(), Vec::<String>::new());
    let shown = bob.ctl(&["contact", "show", "alice"]).ok().says(&["accept-key", "refuse-key"]);
    assert!(shown.stdout.contains("identity changed") && shown.stdout.contains("1 message\n"), "{shown:#?}");
    println!("{}\n{}", shown.stdout, shown.stderr);
    let refused = bob.ctl(&["send", "alice", "to whom?"]).refused(6);
    println!("{}", refused.stderr);
    refused.says(&["contact show alice", "contact verify alice", "contact accept-key alice"]);
    let verify = bob.ctl(&["contact", "verify", "alice", "--yes"]).refused(6);
    println!("{}\n{}", verify.stdout, verify.stderr);
    let details = bob.ctl(&["contact", "show", "alice", "--json"]).ok().json();
    let new = details["key_change"]["safety_number"].as_str().expect("a number");
    let is_new = bob.ctl(&["contact", "verify", "alice", "--number", new]).refused(6);
    println!("{}", is_new.stderr);
    is_new.says(&["accept-key"]);

    // Bob asks, and it was not alice.
    let kept = bob.ctl(&["contact", "refuse-key", "alice"]).ok();
    println!("{}", kept.stdout);
    assert!(trust("verified"));
    assert_eq!(bob.unread(), Vec::<String>::new());
    bob.send("alice", "to the real one again");

    // Another time it was.
    eve(3, &["one", "two"]);
    world.until("bob's daemon holds both", || {
        let shown = bob.ctl(&["contact", "show", "alice", "--json"]);
        shown.code == Some(0) && shown.json()["key_change"]["held"] == 2
    });
    let accepted = bob.ctl(&["contact", "accept-key", "alice"]).ok();
    println!("{}\n{}", accepted.stdout, accepted.stderr);
    assert_eq!(bob.unread(), ["one", "two"]);
    assert!(trust("unverified"));
    bob.send("alice", "hello again");

    // A sender that nobody watches.
    bob.ctl(&["contact", "policy", "alice", "accept"]).ok();
    eve(4, &["and another key"]);
    world.until("it is read at once", || bob.unread() == ["one", "two", "and another key"]);
    assert!(trust("unverified"));
    let log = std::fs::read_to_string(bob.home.log()).expect("a log");
    for line in ["sending to it stopped", "was accepted, as its policy says"] {
        assert!(log.contains(line), "{log}");
    }
}
