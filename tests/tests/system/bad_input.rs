//! What people, peers, relays and disks do wrong: one clear sentence, what to do, the documented exit code, and
//! nothing lost.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, UdpSocket},
    os::unix::{
        fs::{PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use crate::writer::setting;
use hermes_tests::{
    damage::{PAGE, exchange_pages},
    world::{Account, World, wait},
};
use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rustix::fs::{FlockOperation, flock};

/// Bytes of the longest text.
const TEXT_BYTES: usize = 16 * 1024;
/// Mutations of a store, one at a time, unless `HERMES_FLIPS` says otherwise. Many more, of a store alone, are those of
/// hermesd/src/store/corruption.rs.
const FLIPS: usize = 25;
/// Bytes of SQLite's header. What becomes of a file without it is another test's.
const HEADER: usize = 100;
/// Another user: nobody.
const NOBODY: u32 = 65_534;
/// Envelopes in a mailbox of a small relay.
const MAILBOX: usize = 20;
/// A depositor comes back to a full mailbox only after a minute.
const FULL_PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn a_relay_with_another_key_is_not_trusted() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let right = world.relay.address().to_string();
    let (place, pin) = right.split_once('#').expect("an address has a pin");
    let wrong_pin = format!("{}{}", if pin.starts_with('b') { 'c' } else { 'b' }, &pin[1..]);
    let wrong = format!("{place}#{wrong_pin}");
    alice.home.ctl(&["init", "--name", "carol", "--relay", &wrong]).refused(1).says(&["key"]);
    // A relay without a certificate has no name that it could be known by.
    let named = alice.home.ctl(&["init", "--name", "dave", "--relay", place]);
    named.refused(1).says(&["no certificate", "whole address"]);
    let half = format!("{place}#");
    for broken in [&half, "hermes://nowhere:0", "hermes://no where", "https://relay.example", ""] {
        alice.home.ctl(&["init", "--name", "dave", "--relay", broken]).refused(2).says(&["relay address"]);
    }
    // The right address puts it right.
    let carol = Account::create(&alice.home, "carol", &right);
    carol.pair(&bob);
    still_talking(&carol, &bob);
    still_talking(&alice, &bob);
    // An account that people know is not made anew.
    alice.home.ctl(&["init", "--name", "alice", "--relay", &right]).refused(1).says(&["exists"]);
}

#[test]
fn an_invite_works_once_in_time_for_someone_else() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let carol = world.account("carol");

    let used = alice.invite();
    carol.ctl(&["accept", &used]).ok();
    world.until("carol is a contact", || alice.can_write_to("carol"));
    let dave = world.account("dave");
    dave.ctl(&["accept", &used]).refused(1).says(&["used", "invite"]);

    let short = alice.ctl(&["invite", "--expires", "1s", "--json"]).ok().json();
    let expiry = short["expires_at"].as_u64().expect("an invite says when it expires");
    world.until("the invite has expired", || now_ms() > expiry);
    let short = short["invite"].as_str().expect("an invite is text");
    dave.ctl(&["accept", short]).refused(1).says(&["expired", "invite"]);

    let own = alice.invite();
    alice.ctl(&["accept", &own]).refused(1).says(&["own"]);
    let cut = &own[..own.len() - 5];
    for garbage in
        ["hello", "hermes-invite:", "hermes-invite:AAAA", "hermes-invite:!!", cut, &format!("{own}{own}")]
    {
        dave.ctl(&["accept", garbage]).refused(2).says(&["invite"]);
    }

    // Whatever was refused left nothing behind: the good invite still works.
    alice.pair(&dave);
    still_talking(&alice, &bob);
    still_talking(&alice, &dave);
}

#[test]
fn what_cannot_be_sent_is_refused_and_not_stored() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.ctl(&["send", "nobody", "hi"]).refused(5).says(&["nobody", "hermesctl contact ls"]);
    alice.ctl(&["log", "nobody"]).refused(5).says(&["nobody"]);
    let long = "x".repeat(TEXT_BYTES + 1);
    alice.ctl_with_input(&["send", "bob", "-"], long.as_bytes()).refused(1).says(&["16"]);
    alice.ctl_with_input(&["send", "bob", "-"], b"").refused(2);
    alice.ctl_with_input(&["send", "bob", "-"], b"\xff\xfe not UTF-8").expect(2).says(&["UTF-8"]);
    alice.ctl(&["send", "bob", "hi", "--id", &"k".repeat(1_000)]).refused(2);
    assert_eq!(alice.sent("bob"), Vec::<String>::new());
    still_talking(&alice, &bob);
}

#[test]
fn a_full_mailbox_is_reported_and_loses_nothing() {
    let limits = format!("[limits]\nmailbox_envelopes = {MAILBOX}\ncontact_percent = 100\n");
    let world = World::with_relay_config(&limits);
    let (alice, bob) = world.pair("alice", "bob");
    world.until("what pairing left is acknowledged", || alice.is_connected() && bob.is_connected());
    bob.ctl(&["send", "alice", "hi", "--wait"]).ok();
    bob.home.stop();
    // What bob had not acknowledged when he stopped still takes its place, so the last few may not fit.
    let mut texts = Vec::new();
    let full = loop {
        assert!(texts.len() <= MAILBOX, "a mailbox for {MAILBOX} envelopes took more");
        let text = texts.len().to_string();
        let sent = alice.ctl(&["send", "bob", &text, "--wait=relayed", "--timeout", "90s"]);
        texts.push(text);
        if sent.code != Some(0) {
            break sent;
        }
    };
    assert!(texts.len() > MAILBOX / 2, "hardly anything fitted: {texts:?}");
    full.refused(1).says(&["full", "bob"]);
    // The last one waits here until there is room.
    alice.send("bob", "and another");
    texts.push("and another".to_owned());
    assert_eq!(alice.sent("bob"), texts);
    bob.home.start();
    wait::until_within(FULL_PATIENCE, "bob has everything", || bob.unread() == texts);
    still_talking(&alice, &bob);
}

#[test]
fn a_store_that_is_in_use_is_left_to_its_user() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.send("bob", "before");

    // A second daemon of the same user.
    let second = world.second_daemon(&alice.home);
    second.start();
    assert_eq!(second.wait().code(), Some(3));
    let said = fs::read_to_string(second.log()).expect("it said why");
    let pid = alice.home.daemon().pid().expect("the daemon runs").to_string();
    assert!(said.contains("running") && said.contains(&pid), "{said}");
    still_talking(&alice, &bob);

    // Any other process.
    alice.home.stop();
    let lock = File::options().read(true).write(true).open(alice.home.store("alice").with_extension("lock"));
    let lock = lock.expect("the store has a lock file");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("nobody has the lock");
    troubled(&alice, 3, &["store"]);
    // By hand: a program that another test is just starting has the file too, until it runs.
    flock(&lock, FlockOperation::Unlock).expect("it was locked");
    alice.home.start();
    still_talking(&alice, &bob);
}

/// What is done to a store, and in words.
type Damage = (&'static str, fn(&mut Vec<u8>));

#[test]
fn a_damaged_or_newer_store_is_refused_and_left_as_it_is() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.send("bob", "before");
    world.until("it is delivered", || alice.all_delivered("bob"));
    alice.home.stop();
    let store = alice.home.store("alice");
    let good = fs::read(&store).expect("the store can be read");

    let damages: [Damage; 5] = [
        ("cut off", |bytes| bytes.truncate(50)),
        ("empty", |bytes| bytes.clear()),
        ("another file", |bytes| bytes[..16].copy_from_slice(b"no SQLite file!!")),
        ("zeros behind the header", |bytes| bytes[100..].fill(0)),
        ("flipped bits everywhere", |bytes| bytes[100..].iter_mut().for_each(|byte| *byte ^= 0x10)),
    ];
    for (what, damage) in damages {
        println!("{what}");
        let mut bytes = good.clone();
        damage(&mut bytes);
        refused_and_left_alone(&alice, &bytes, &["damaged"]);
    }
    // The SQLite header keeps the schema's version here.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&1_000_i32.to_be_bytes());
    refused_and_left_alone(&alice, &newer, &["newer"]);

    fs::write(&store, &good).expect("the store can be restored");
    alice.home.start();
    assert_eq!(alice.sent("bob"), ["before"]);
    still_talking(&alice, &bob);
}

#[test]
fn a_store_with_one_damage_is_whole_or_named_but_never_believed() {
    let flips = setting("HERMES_FLIPS").unwrap_or(FLIPS);
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    // Long ones, so that they are a large part of the store.
    let texts: Vec<_> = (0..30).map(|number| number.to_string().repeat(TEXT_BYTES / 2)).collect();
    texts.iter().for_each(|text| drop(alice.send("bob", text)));
    world.until("they are delivered", || alice.all_delivered("bob"));
    alice.home.stop();
    // What an old copy would do must not reach the relay.
    world.relay.process().terminate();
    let store = alice.home.store("alice");
    let good = fs::read(&store).expect("the store can be read");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut named = 0;
    let began = Instant::now();
    for _ in 0..flips {
        let mut bytes = good.clone();
        let what = mutate(&mut bytes, &mut rng);
        without_log(&store);
        fs::write(&store, bytes).expect("the store can be written");
        named += usize::from(is_named(&alice, &texts, &what));
    }
    assert!(named > 0, "not one of {flips} mutations was noticed");
    println!("{named} of {flips} mutations were noticed, in {:?}", began.elapsed());
    without_log(&store);
    fs::write(&store, good).expect("the store can be restored");
    world.relay.process().start();
    alice.home.start();
    assert_eq!(alice.sent("bob"), texts);
    still_talking(&alice, &bob);
}

/// Damages a store, and says how: a flipped bit, most of the time; the end cut off; two pages in each other's place.
fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..5) {
        0 => {
            bytes.truncate(rng.random_range(HEADER..bytes.len()));
            format!("cut to {} bytes", bytes.len())
        }
        1 => {
            let pages = bytes.len() / PAGE;
            let (first, second) = (rng.random_range(1..pages - 1), rng.random_range(1..pages));
            exchange_pages(bytes, first, second);
            format!("pages {first} and {second} exchanged")
        }
        _ => {
            let (at, bit) = (rng.random_range(HEADER..bytes.len()), rng.random_range(0..8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} flipped")
        }
    }
}

/// Starts the daemon on a damaged store. Whether it is told of the damage; all that was there is there when it is not.
#[track_caller]
fn is_named(alice: &Account, texts: &[String], what: &str) -> bool {
    let daemon = alice.home.daemon();
    daemon.start();
    wait::until("the daemon answers or ends", || alice.home.answers() || daemon.ended().is_some());
    let named = match daemon.ended() {
        Some(status) => {
            assert!(matches!(status.code(), Some(3 | 4)), "{what}: {status}");
            true
        }
        None => {
            // A row that lies where nobody looks for it is missed only by a scrub.
            wait::until("the store was read from end to end", || scrubbed(alice).is_some());
            let damage = scrubbed(alice) == Some(Err(()));
            match alice.ctl(&["log", "bob", "-n", "100", "--json"]) {
                log if log.code == Some(0) && damage => {
                    alice.ctl(&["send", "bob", "hi"]).refused(3).says(&["damaged"]);
                }
                log if log.code == Some(0) => assert_eq!(alice.sent("bob"), texts, "{what}"),
                log => {
                    let code = log.json_error()["error"]["code"].clone();
                    assert!(code == "store-corrupt" || code == "contact-not-found", "{what}: {log:?}");
                    assert!(damage, "{what}: the scrub found nothing: {log:?}");
                }
            }
            damage
        }
    };
    daemon.kill();
    named
}

/// Removes what a killed daemon left beside its store.
fn without_log(store: &Path) {
    for name in ["store.db-wal", "store.db-shm"] {
        let _gone = fs::remove_file(store.with_file_name(name));
    }
}

/// Whether a scrub found the store whole; nothing while it has not ended.
fn scrubbed(account: &Account) -> Option<Result<(), ()>> {
    let status = account.status()?;
    if status.store.scrubbed_at.is_some() {
        return Some(Ok(()));
    }
    status.connection.reason.is_some_and(|reason| reason.message.contains("damaged")).then_some(Err(()))
}

#[test]
fn without_its_key_a_store_stays_closed() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.send("bob", "before");
    alice.home.stop();
    let key = alice.home.key_file("alice");
    let aside = key.with_extension("aside");

    fs::rename(&key, &aside).expect("the key file can be moved");
    troubled(&alice, 4, &["key", "alice.key"]);
    assert!(!key.exists(), "no new key may take the place of the lost one");
    fs::write(&key, "not a key").expect("a file can be written");
    private(&key);
    troubled(&alice, 4, &["alice.key"]);
    fs::remove_file(&key).expect("the file can be removed");
    fs::rename(&aside, &key).expect("the key file can be moved back");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("permissions can be changed");
    troubled(&alice, 4, &["chmod 600"]);

    private(&key);
    alice.home.start();
    assert_eq!(alice.sent("bob"), ["before"]);
    still_talking(&alice, &bob);
}

#[test]
fn a_dead_daemon_is_named_and_not_replaced_unasked() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.home.kill();
    for command in [&["inbox"][..], &["send", "bob", "hi"], &["status"], &["contact", "ls"], &["invite"]] {
        alice.ctl(command).refused(3).says(&["not running", "hermesctl daemon start"]);
    }
    assert!(!alice.home.answers(), "--no-autostart started a daemon");
    alice.home.start();
    assert_eq!(alice.sent("bob"), Vec::<String>::new());
    still_talking(&alice, &bob);
}

#[test]
fn a_socket_of_someone_else_is_not_talked_to() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can make a socket that belongs to someone else");
        return;
    }
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.home.kill();
    let socket = alice.home.socket();
    let _gone = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a socket can be made");
    chown(&socket, Some(NOBODY), Some(NOBODY)).expect("root can give a socket away");
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    alice.ctl(&["send", "bob", "for bob only"]).refused(3).says(&["run/hermesd.sock"]);
    let heard = listener.accept().map(|(mut stream, _)| {
        let mut heard = Vec::new();
        let _ended = stream.read_to_end(&mut heard);
        heard
    });
    assert!(heard.as_ref().map_or(true, Vec::is_empty), "the stranger heard {heard:?}");

    drop(listener);
    fs::remove_file(&socket).expect("the socket can be removed");
    alice.home.start();
    still_talking(&alice, &bob);
}

#[test]
fn garbage_at_every_door_stops_nobody() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let request = |line: &str, body: &str| {
        format!(
            "{line} HTTP/1.1\r\nhost: hermesd\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut inputs: Vec<Vec<u8>> = [
        request("POST /v1/accounts/alice/messages", &deep),
        request("POST /v1/accounts/alice/messages", "{\"to\":[\"bob\"],\"text\":7,\"id\":\"x\"}"),
        request(
            "POST /v1/accounts/alice/messages",
            &format!("{{\"to\":[\"bob\"],\"text\":\"{}\",\"id\":\"x\"}}", "y".repeat(1 << 20)),
        ),
        request("POST /v1/accounts/..%2f..%2fetc/messages", "{}"),
        request("GET /v1/accounts/alice/log/%00%ff", ""),
        request("GET /v1/accounts/alice/inbox?limit=99999999999999999999&after=zz", ""),
        request("DELETE /v1/status", ""),
        "GET ".repeat(100_000),
        "POST /v1/accounts HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    inputs.extend((0..20).map(|_| random_bytes(&mut rng)));
    for input in &inputs {
        let mut stream = UnixStream::connect(alice.home.socket()).expect("the daemon listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        // The daemon may hang up in the middle.
        let _written = stream.write_all(input).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let _answer = stream.read_to_end(&mut Vec::new());
    }

    let relay = SocketAddr::from(([127, 0, 0, 1], world.relay.address().port()));
    let outside = UdpSocket::bind("127.0.0.1:0").expect("a socket can be made");
    for _ in 0..1_000 {
        let mut packet = random_bytes(&mut rng);
        packet.truncate(1_400);
        if let Some(first) = packet.first_mut() {
            // Every second one has the form of a QUIC Initial of version 1.
            *first |= if rng.random() { 0xc0 } else { 0x40 };
        }
        outside.send_to(&packet, relay).expect("a packet can be sent");
    }
    assert_eq!(alice.sent("bob"), Vec::<String>::new());
    still_talking(&alice, &bob);
}

/// Both ways, with everything that was there before.
#[track_caller]
fn still_talking(alice: &Account, bob: &Account) {
    for (from, to) in [(alice, bob), (bob, alice)] {
        let before = to.received(&from.name);
        from.send(&to.name, &format!("still here, message {}", from.sent(&to.name).len()));
        wait::until(&format!("{} hears all of {}", to.name, from.name), || {
            to.received(&from.name) == from.sent(&to.name)
        });
        assert!(to.received(&from.name).starts_with(&before), "something is lost");
    }
}

/// Tries an account whose store or key is in trouble, alone in its daemon, which then has nothing to run for: the
/// daemon ends and says why, and so does the command line that would start it.
#[track_caller]
fn troubled(account: &Account, code: i32, says: &[&str]) {
    let daemon = account.home.daemon();
    daemon.start();
    assert_eq!(daemon.wait().code(), Some(code));
    for command in [&["inbox"][..], &["send", "bob", "hi"]] {
        account.home.ctl_with_autostart(&account.arguments(command)).refused(code).says(says);
    }
}

/// Puts these bytes in the store's place: they are refused, and still there afterwards.
#[track_caller]
fn refused_and_left_alone(account: &Account, bytes: &[u8], says: &[&str]) {
    let store = account.home.store(&account.name);
    fs::write(&store, bytes).expect("the store can be written");
    troubled(account, 3, says);
    let after = fs::read(&store).expect("the store can be read");
    let changed: Vec<_> =
        (0..bytes.len().max(after.len())).filter(|at| bytes.get(*at) != after.get(*at)).collect();
    assert!(
        changed.is_empty(),
        "the store was changed at {:?} and {} places more",
        &changed[0],
        changed.len() - 1
    );
}

fn private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions can be changed");
}

fn random_bytes(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..4_000)];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    u64::try_from(since.as_millis()).expect("the clock is before the end of time")
}
