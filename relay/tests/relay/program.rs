//! The program itself: what it prints, how it fails, and that a kill takes nothing it acknowledged.

use std::path::Path;

use crate::common::{
    client::{Drop, Mailbox, owner},
    deposit,
    program::{Running, hermes_relay},
};
use hermes_wire::Timestamp;

#[test]
fn the_first_start_prints_an_address_and_a_token_and_the_next_the_same_address() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("relay");
    let start = || Running::with(hermes_relay(&state, &["--json", "--listen", "127.0.0.1:0"]));
    let first = start();
    assert_eq!(first.ready["v"], 1);
    assert_eq!(first.ready["token"].as_str().unwrap().len(), 32);
    let listen: std::net::SocketAddr = first.ready["listen"].as_str().unwrap().parse().unwrap();
    assert_eq!(first.address().port(), listen.port());
    let pin = first.address().pin();
    drop(first);
    assert_eq!(start().address().pin(), pin);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("relay");
    let running = Running::start(&state, "127.0.0.1:0");
    let fails = |state: &Path, arguments: &[&str], code: i32, part: &str| {
        let output = hermes_relay(state, arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(part), "{text}");
    };
    let listen = running.ready["listen"].as_str().unwrap();
    fails(&state, &["--listen", "127.0.0.1:0"], 3, "another relay is running");
    fails(&directory.path().join("other"), &["--listen", listen], 1, "is in use by another program");
    let config = directory.path().join("config.toml");
    std::fs::write(&config, "[limits]\nmailbox_gib = 1\n").unwrap();
    fails(&state, &["--config", config.to_str().unwrap()], 2, "mailbox_gib");
    let damaged = directory.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("relay.key"), "nothing").unwrap();
    fails(&damaged, &[], 3, "does not hold the relay's key");
}

#[test]
fn a_token_can_be_made_whether_the_relay_runs_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let new = || {
        let output = hermes_relay(directory.path(), &["token", "new", "--json"]).output().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        line["token"].as_str().unwrap().to_owned()
    };
    let before = new();
    let running = Running::with(hermes_relay(directory.path(), &["--json", "--listen", "127.0.0.1:0"]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (seed, token) in [(1, before), (2, new())] {
        let (person, credential) = owner(seed);
        let register = person.register(Some(&token));
        runtime.block_on(Mailbox::connect(&running.address(), &credential, register));
    }
}

/// Kills the relay in the middle of a stream of deposits, again and again. Whatever it sent a receipt for must be there,
/// once and in order.
#[test]
fn a_kill_takes_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bob, credential) = owner(1);
    let mut token = bob.token(1);
    token.expiry = Timestamp(u64::MAX);
    let mut acknowledged = 0;
    for round in 0..5 {
        let relay = Running::start(directory.path(), "127.0.0.1:0");
        acknowledged = runtime.block_on(async {
            let mut mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
            let head = mailbox.registered.head.0;
            assert!(head >= acknowledged, "round {round}: {acknowledged} receipts, {head} stored");
            for sequence in 1..=head {
                assert_eq!(mailbox.receive().await, (sequence, (sequence as u32).to_be_bytes().to_vec()));
            }
            let mut alice = Drop::connect(&relay.address(), bob.open(&token)).await.unwrap();
            // What was stored without a receipt is deposited again, which must not store it twice.
            let first = (acknowledged + 1) as u32;
            let some: Vec<_> = (first..first + 20).map(|id| deposit(id, &id.to_be_bytes())).collect();
            let receipts = alice.deposit_all(&some).await.len() as u64;
            // Twenty more whose receipts nobody waits for.
            for id in first + 20..first + 40 {
                let request = hermes_wire::drop::ToDrop::Deposit(deposit(id, &id.to_be_bytes()));
                alice.requests.push(&request);
            }
            alice.requests.flush().await.unwrap();
            acknowledged + receipts
        });
    }
    assert_eq!(acknowledged, 100);
}
