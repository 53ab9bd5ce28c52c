//! `hermesctl doctor` and `hermesctl bugreport`: what is found, what is advised, and what is never told.

use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use serde_json::{Value, json};

use crate::world::*;

/// Texts that a report must not have, each in a place of its own.
const CANARIES: [&str; 9] = [
    "canaryaccount",
    "canaryhost",
    "canarypin",
    "canaryfingerprint",
    "canarycontact",
    "canaryreason",
    "canaryhint",
    "canarysecret",
    "canaryfield",
];

fn account(change: Value) -> Value {
    let mut account = json!({
        "name": "canaryaccount", "fingerprint": "canaryfingerprint",
        "relay": "hermes://canaryhost.invalid:4433#canarypin", "unread": 0, "outbox": 0, "unreadable": 0, "missing": 0,
        "connection": {"state": "connected", "since": 0, "reason": null},
        "one_time_prekeys": 100, "one_time_kem_prekeys": 100, "renewals": 1,
        "last_renewal": {"contact": "canarycontact", "at": 0, "reason": "canaryreason"},
        "keys": {"kind": "passphrase", "protection": "protects everything", "locked": false},
    });
    account.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    account
}

fn refused(code: &str) -> Value {
    let reason = json!({"code": code, "message": "canaryreason", "hint": "canaryhint"});
    json!({"connection": {"state": "offline", "since": 0, "reason": reason}})
}

/// A daemon with one account, and a clock that is `ahead_ms` ahead of its relay's.
fn daemon(account: Value, ahead_ms: i64, measure: &'static str) -> World {
    World::with_daemon(move |heard| match heard.route.as_str() {
        "GET /v1/status" => {
            let version = env!("CARGO_PKG_VERSION");
            ok(
                json!({"v": 1, "version": version, "pid": 1, "started_at": 0, "capabilities": [], "accounts": [account.clone()]}),
            )
        }
        "GET /v1/diagnosis" => ok(json!({
            "v": 1, "supervised": false,
            "measures": [{"name": "files", "state": measure, "detail": "files of others"}],
            "accounts": [{"name": "canaryaccount", "relay_clock": {"relay": 1_000_000_000, "local": 1_000_000_000 + ahead_ms}}],
        })),
        _ => {
            Answer::Json(404, json!({"v": 1, "error": {"code": "unknown-route", "message": "?", "hint": ""}}))
        }
    })
}

fn doctor(world: &World) -> (i32, Value) {
    // Neither a service manager nor a desktop of this machine is to be looked at.
    let output = world.command(&["doctor", "--json"]).env("PATH", "/nowhere").output().unwrap();
    (code(&output), serde_json::from_slice(&output.stdout).unwrap())
}

fn verdict<'a>(document: &'a Value, check: &str) -> (&'a str, &'a str) {
    let found = document["checks"].as_array().unwrap().iter().find(|one| one["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {document}"));
    (found["verdict"].as_str().unwrap(), found["text"].as_str().unwrap())
}

#[test]
fn a_healthy_one_is_exit_0_and_has_looked_at_everything() {
    let world = daemon(account(json!({})), 0, "on");
    let (exit, document) = doctor(&world);
    assert_eq!((exit, &document["ok"], &document["v"]), (0, &json!(true), &json!(1)), "{document}");
    for check in [
        "configuration",
        "daemon",
        "socket",
        "disk",
        "hardening",
        "service",
        "notifications",
        "relay",
        "relay key",
        "clock",
        "keys",
        "prekeys",
        "store",
    ] {
        assert_eq!(verdict(&document, check).0, "ok", "{check}");
    }
    let text = world.command(&["doctor"]).env("PATH", "/nowhere").output().unwrap();
    assert!(stdout(&text).ends_with("Everything is in order.\n"), "{}", stdout(&text));
}

#[test]
fn without_a_daemon_the_rest_is_still_looked_at() {
    let world = World::without_daemon();
    fs::create_dir_all(world.home.path().join("config/keys")).unwrap();
    let key = world.home.path().join("config/keys/alice.key");
    fs::write(&key, "x").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(world.home.path().join("config/config.toml"), "[daemn]\n").unwrap();
    fs::set_permissions(world.home.path().join("run"), fs::Permissions::from_mode(0o770)).unwrap();
    let (exit, document) = doctor(&world);
    assert_eq!(exit, 1);
    for (check, says) in [
        ("configuration", "line 1 sets daemn"),
        ("daemon", "not trusted"),
        ("socket", "others can write"),
        ("key files", "others can read"),
    ] {
        let (verdict, text) = verdict(&document, check);
        assert!(verdict == "fail" && text.contains(says), "{check}: {text}");
    }
}

/// Where another copy goes on, this one is not called the newest; where a store does not open, its relay is not known.
#[test]
fn nothing_is_claimed_that_the_fault_denies() {
    let (exit, document) = doctor(&daemon(account(refused("superseded")), 0, "on"));
    assert_eq!(exit, 1);
    assert_eq!(verdict(&document, "relay").0, "fail");
    assert!(!document.to_string().contains("newest copy"), "{document}");

    let mut closed = refused("locked");
    closed["relay"] = json!("");
    closed["fingerprint"] = json!("");
    let world = daemon(account(closed), 0, "on");
    let (exit, document) = doctor(&world);
    assert_eq!((exit, verdict(&document, "account")), (1, ("fail", "canaryreason")), "{document}");
    assert!(!document.to_string().contains("not connected to"), "{document}");
    let report = stdout(&world.command(&["bugreport"]).env("PATH", "/nowhere").output().unwrap());
    assert!(report.contains("account 1: does not open: locked"), "{report}");
}

#[test]
fn a_protection_that_a_key_turns_off_says_which() {
    let world = daemon(account(json!({})), 0, "off");
    fs::create_dir_all(world.home.path().join("config")).unwrap();
    fs::write(world.home.path().join("config/config.toml"), "keys.passphrase_command = [\"true\"]\n")
        .unwrap();
    let output = world.command(&["doctor"]).env("PATH", "/nowhere").output().unwrap();
    assert!(
        stdout(&output).contains("hermesctl config unset keys.passphrase_command"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn each_fault_has_its_line_and_its_exit_code() {
    for (change, ahead_ms, measure, check, expected, exit) in [
        (json!({}), 60_000, "on", "clock", "warn", 0),
        (json!({}), -7_200_000, "on", "clock", "fail", 1),
        (json!({}), 0, "off", "hardening", "warn", 0),
        (
            json!({"keys": {"kind": "file", "protection": "little", "locked": false}}),
            0,
            "on",
            "keys",
            "ok",
            0,
        ),
        (json!({"one_time_kem_prekeys": 0}), 0, "on", "prekeys", "warn", 0),
        (json!({"store": {"state": "stopped"}}), 0, "on", "store", "fail", 1),
        (json!({"missing": 2}), 0, "on", "messages", "warn", 0),
        (refused("relay-key-mismatch"), 0, "on", "relay key", "fail", 1),
        (refused("relay-unreachable"), 0, "on", "relay UDP", "fail", 1),
    ] {
        let (found, document) = doctor(&daemon(account(change), ahead_ms, measure));
        assert_eq!(verdict(&document, check).0, expected, "{check}: {document}");
        assert_eq!(found, exit, "{check}");
        let advice = document["checks"].as_array().unwrap().iter().find(|one| one["check"] == check).unwrap();
        assert!(
            !advice["advice"].as_str().unwrap_or_default().is_empty() || check == "hardening",
            "{advice}"
        );
    }
}

#[test]
fn a_daemon_of_another_build_is_warned_of() {
    for (build, how) in [(None, "older than"), (Some("0123456789abcdef"), "of another build than")] {
        let world = World::with_daemon(move |heard| {
            let version = env!("CARGO_PKG_VERSION");
            let status = json!({"v": 1, "version": version, "pid": 1, "started_at": 0, "capabilities": [], "accounts": []});
            let diagnosis = json!({"v": 1, "supervised": false, "measures": [], "accounts": []});
            Answer::Built(build, if heard.route == "GET /v1/status" { status } else { diagnosis })
        });
        let (exit, document) = doctor(&world);
        let (verdict, text) = verdict(&document, "daemon");
        assert!(exit == 0 && verdict == "warn" && text.contains(how), "{document}");
    }
}

#[test]
fn a_relay_that_says_nothing_over_udp_is_told_from_one_that_does() {
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap();
    let mut change = refused("relay-unreachable");
    change["relay"] = json!(format!("hermes://{address}#canarypin"));
    let answering = std::thread::spawn(move || {
        let mut packet = [0; 2000];
        let (_, from) = relay.recv_from(&mut packet).unwrap();
        // Version negotiation.
        relay.send_to(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], from).unwrap();
        relay
    });
    let (_, document) = doctor(&daemon(account(change.clone()), 0, "on"));
    // A port that closes sooner would answer a second question by a refusal, which may overtake the answer to the first.
    let relay = answering.join().unwrap();
    assert_eq!(verdict(&document, "relay UDP").0, "ok", "{document}");
    drop(relay);
    until_refused(address);
    let (_, document) = doctor(&daemon(account(change), 0, "on"));
    assert!(verdict(&document, "relay UDP").1.contains("nothing listens"), "{document}");
}

/// Waits until nobody has the port: a program that another test was just starting may have it a little longer.
fn until_refused(address: SocketAddr) {
    let asking = UdpSocket::bind("127.0.0.1:0").unwrap();
    asking.connect(address).unwrap();
    asking.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let refused =
        (0..300).any(|_| asking.send(b"?").and_then(|_| asking.recv(&mut [0])).is_err_and(is_refused));
    assert!(refused, "somebody has {address}");
}

#[test]
fn a_report_tells_what_is_wrong_and_of_nobody() {
    for change in [json!({}), refused("relay-unreachable")] {
        let world = daemon(account(change), 0, "on");
        let home = world.home.path();
        fs::create_dir_all(home.join("config")).unwrap();
        fs::create_dir_all(home.join("state")).unwrap();
        let config = "default_account = \"canaryaccount\"\n[daemon]\nlog = \"debug\"\n[keys]\npassphrase_command = [\"canarysecret\"]\n";
        fs::write(home.join("config/config.toml"), config).unwrap();
        let log = "2026-11-27T23:43:01.154554Z  WARN hermesd::link: not connected to the mailbox reason=canaryfield\n\
                   hermesd: cannot open /home/canarysecret\n";
        fs::write(home.join("state/hermesd.log"), log).unwrap();
        for arguments in [&["bugreport"][..], &["bugreport", "--json"]] {
            let output = world
                .command(arguments)
                .env("PATH", "/nowhere")
                .env("USER", "canaryaccount")
                .output()
                .unwrap();
            assert_eq!(code(&output), 0, "{}", stderr(&output));
            let report = stdout(&output);
            for canary in CANARIES {
                assert!(!report.contains(canary), "{canary}: {report}");
            }
            assert!(!report.contains(&home.display().to_string()), "{report}");
            assert!(!report.contains(&machine_name()), "{report}");
            for known in ["daemon.log", "debug", "not connected to the mailbox", "hermesctl"] {
                assert!(report.contains(known), "{known}: {report}");
            }
        }
    }
}

/// The machine's name; something that no report has where there is none.
fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    // A name of a few letters may be part of a word.
    if name.len() > 6 { name.to_owned() } else { "\u{0}".to_owned() }
}

#[test]
fn a_report_goes_into_a_new_file_that_is_its_owners() {
    let world = World::without_daemon();
    let path = world.home.path().join("report.txt");
    let run = || {
        world.command(&["bugreport", "-o", path.to_str().unwrap()]).env("PATH", "/nowhere").output().unwrap()
    };
    let output = run();
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().contains("hermesd is not running"));
    assert_eq!(code(&run()), 1, "what is there is not overwritten");
}
