//! What an operator does to a relay: closing a mailbox, tokens, watching, stopping, copying.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use hermes_relay::{
    Limits, Outcome, Policy, Registration, Relay, Request, StoreError,
    store::{
        Usage,
        fjall::{FjallStore, RawRow},
        memory::MemoryStore,
    },
};
use hermes_wire::{
    DropKey, Refusal, Sequence, Timestamp, codec,
    drop::FromDrop,
    mailbox::{ToClient, ToRelay},
};
use tokio::runtime::Runtime;

use crate::common::{
    Ask, NOW, Owner, PLENTY,
    client::{Drop, Mailbox, owner},
    counting::Counting,
    deposit, prekeys,
    program::{Running, hermes_relay, order, order_json},
};

fn policy() -> Policy {
    Policy { registration: Registration::Open, limits: Limits::default() }
}

/// Closes a mailbox, as far as the rules go.
fn close<S: hermes_relay::Store>(relay: &mut Relay<S>, owner: &Owner) -> Outcome {
    let nobody = DropKey(Owner::with_claims(99).mailbox.0);
    relay.ask(NOW, Request::CloseMailbox { mailbox: owner.mailbox, blobs: Vec::new(), drop_key: nobody })
}

#[test]
fn a_closed_mailbox_is_shut_for_everybody_and_stays_so() {
    let mut relay = Relay::new(MemoryStore::new(), policy()).unwrap();
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    assert_eq!(close(&mut relay, &bob), Outcome::Absent);
    for owner in [&bob, &carol] {
        relay.registers(NOW, owner);
        relay.ask(NOW, Request::PutPrekeys { mailbox: owner.mailbox, entries: prekeys() });
    }
    let inside = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.deposits(NOW, &inside, &[deposit(1, b"a"), deposit(2, b"b")]);

    assert_eq!(close(&mut relay, &bob), Outcome::MailboxClosed);
    let mut relay = Relay::new(relay.into_store(), policy()).unwrap();
    assert!(relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap().is_empty());
    assert_eq!(relay.registers(NOW, &bob), Outcome::Refused(Refusal::RegistrationRefused));
    assert_eq!(relay.opens(NOW, bob.open(&bob.token(2))), Err(Refusal::NoEntry));
    // Who was inside is out as well.
    assert_eq!(relay.deposits(NOW, &inside, &[deposit(3, b"c")]), [Err(Refusal::NoEntry)]);
    let fetch = Request::FetchPrekeys { entry: inside, fetch: hermes_wire::FetchId([1; 16]) };
    assert_eq!(relay.ask(NOW, fetch), Outcome::Refused(Refusal::NoEntry));
    let row = hermes_relay::Store::mailbox(relay.store(), bob.mailbox).unwrap().unwrap();
    assert_eq!((row.stored, row.stock), (Usage::default(), [0; 5]));

    // Nobody else is touched.
    assert!(relay.opens(NOW, carol.open(&carol.token(1))).is_ok());
}

#[test]
fn a_closed_mailbox_looks_like_an_absent_one_after_the_same_work() {
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let mut relay = Relay::new(Counting::new(MemoryStore::new()), policy()).unwrap();
    relay.registers(NOW, &bob);
    close(&mut relay, &bob);
    let mut work = |owner: &Owner| {
        let before = relay.store().reads.get();
        assert_eq!(relay.opens(NOW, owner.open(&owner.token(1))), Err(Refusal::NoEntry));
        relay.store().reads.get() - before
    };
    assert_eq!(work(&bob), work(&carol));
}

#[test]
fn tokens_are_listed_and_a_revoked_one_makes_no_account() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let token = order_json(state, &["token", "new", "--uses", "3"])["token"].as_str().unwrap().to_owned();
    let relay = Running::with(hermes_relay(state, &["--json", "--listen", "127.0.0.1:0"]));
    let listed = order_json(state, &["token", "ls"])["tokens"].clone();
    let listed = listed.as_array().unwrap().iter().find(|token| token["uses"] == 3).unwrap().clone();
    assert_eq!(order_json(state, &["status"])["registrations_left"], 4, "three, and the first start's own");

    let runtime = Runtime::new().unwrap();
    let register = |seed| {
        let (person, credential) = owner(seed);
        let register = person.register(Some(&token));
        let address = relay.address();
        runtime.block_on(async move { Mailbox::try_connect(&address, &credential, register).await.err() })
    };
    assert_eq!(register(1), None);
    let id = listed["id"].as_str().unwrap();
    assert!(order(state, &["token", "revoke", id]).status.success());
    assert_eq!(register(2), Some(Some(ToClient::Refused(Refusal::RegistrationRefused))));
    assert_eq!(register(1), None, "who has an account needs no token");
    assert_eq!(order(state, &["token", "revoke", "nonsense"]).status.code(), Some(5));
}

#[test]
fn a_mailbox_is_deleted_under_its_connected_owner() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let relay = Running::start(state, "127.0.0.1:0");
    let runtime = Runtime::new().unwrap();
    let (bob, credential) = owner(1);
    let id = bob.mailbox.to_string();
    runtime.block_on(async {
        let mut mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
        let mut alice = Drop::connect(&relay.address(), bob.open(&forever(&bob))).await.unwrap();
        alice.deposit(&deposit(1, b"hi")).await;
        let shown = order_json(state, &["mailbox", "show", &id]);
        assert_eq!((&shown["envelopes"], &shown["connected"]), (&1.into(), &true.into()));
        assert_eq!(
            order(state, &["mailbox", "delete", &id]).status.code(),
            Some(1),
            "it has to be confirmed"
        );
        assert!(order(state, &["mailbox", "delete", &id, "--yes"]).status.success());

        let last = mailbox.answers.next().await.unwrap();
        assert_eq!(last, Some(ToClient::Refused(Refusal::RegistrationRefused)));
        let refused = FromDrop::DepositRefused(deposit(2, b"hi").envelope, Refusal::NoEntry);
        assert_eq!(alice.deposit(&deposit(2, b"hi")).await, refused);
    });
    let shown = order_json(state, &["mailbox", "show", &id]);
    assert_eq!((&shown["envelopes"], &shown["closed"]), (&0.into(), &true.into()));
    assert_eq!(order_json(state, &["verify"])["findings"], serde_json::json!([]));
}

#[test]
fn a_relay_is_watched_and_stopped_by_its_operator() {
    let directory = tempfile::tempdir().unwrap();
    let (state, config) = (directory.path().join("relay"), directory.path().join("relay.toml"));
    fs::write(&config, "monitor = \"127.0.0.1:0\"").unwrap();
    assert!(order(&state, &["status"]).status.code() == Some(3), "it does not run");
    let arguments = ["--json", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let mut relay = Running::with(hermes_relay(&state, &arguments));
    let monitor = relay.ready["monitor"].as_str().unwrap().to_owned();
    let runtime = Runtime::new().unwrap();
    let (bob, credential) = owner(1);
    let token = relay.ready["token"].as_str().unwrap();
    let mut mailbox =
        runtime.block_on(Mailbox::connect(&relay.address(), &credential, bob.register(Some(token))));

    let metrics = http(&monitor, "/metrics");
    for line in [
        "hermes_relay_owners_connected 1",
        "hermes_relay_mailboxes 1",
        "hermes_relay_requests_total{request=\"register\",outcome=\"done\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains(&bob.mailbox.to_string()));
    assert!(http(&monitor, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(http(&monitor, "/readyz").starts_with("HTTP/1.1 200"));

    assert!(order(&state, &["drain"]).status.success());
    assert!(relay.wait().success());
    let last = runtime.block_on(mailbox.answers.next()).unwrap();
    assert!(matches!(last, Some(ToClient::GoAway(_))), "{last:?}");
    assert_eq!(order(&state, &["drain"]).status.code(), Some(3));
}

#[test]
fn a_backup_of_a_running_relay_is_a_relay() {
    let directory = tempfile::tempdir().unwrap();
    let [state, other, file] = ["relay", "other", "backup"].map(|name| directory.path().join(name));
    let file = file.to_str().unwrap();
    let runtime = Runtime::new().unwrap();
    let (bob, credential) = owner(1);
    let relay = Running::start(&state, "127.0.0.1:0");
    let pin = relay.address().pin();
    runtime.block_on(async {
        let mut mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
        mailbox.ask(ToRelay::PutPrekeys(prekeys())).await;
        let mut alice = Drop::connect(&relay.address(), bob.open(&forever(&bob))).await.unwrap();
        alice.deposit_all(&[deposit(1, b"before")]).await;
        assert!(order(&state, &["backup", file]).status.success());
        alice.deposit_all(&[deposit(2, b"after")]).await;
    });
    assert_eq!(order(&state, &["backup", file]).status.code(), Some(1), "it is there already");
    assert_eq!(order(&state, &["restore", file]).status.code(), Some(1), "here is a relay");
    drop(relay);

    assert!(order(&other, &["restore", file]).status.success());
    assert_eq!(order_json(&other, &["verify"])["findings"], serde_json::json!([]));
    let relay = Running::start(&other, "127.0.0.1:0");
    assert_eq!(relay.address().pin(), pin);
    runtime.block_on(async {
        let mut mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
        assert_eq!(mailbox.receive().await, (1, b"before".to_vec()));
        let one_time = mailbox.registered.stock.iter().filter(|stock| stock.kind.is_one_time());
        assert!(one_time.clone().count() == 2 && one_time.clone().all(|stock| stock.count == 0));
    });
}

#[test]
fn a_backup_that_is_not_whole_is_not_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let [state, other, file] = ["relay", "other", "backup"].map(|name| directory.path().join(name));
    let no_relay = order(&state, &["backup", file.to_str().unwrap()]);
    assert_eq!(no_relay.status.code(), Some(3), "nothing is made by a backup");
    drop(Running::start(&state, "127.0.0.1:0"));
    order_json(&state, &["token", "new"]);
    order_json(&state, &["token", "ls"]);
    assert!(order(&state, &["backup", file.to_str().unwrap()]).status.success());
    let whole = fs::read(&file).unwrap();
    let no_good = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let output = order(&other, &["restore", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!other.join("relay.key").exists() && !other.join("store").exists());
    };
    for cut in (0..whole.len()).step_by(97) {
        no_good(&whole[..cut]);
    }
    no_good(&[&whole[..], b"x"].concat());
    for at in (0..whole.len()).step_by(31) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        no_good(&flipped);
    }
    no_good(b"hello");
    fs::write(&file, &whole).unwrap();
    assert!(order(&other, &["restore", file.to_str().unwrap()]).status.success());
}

#[test]
fn what_does_not_add_up_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = FjallStore::open(directory.path()).unwrap();
    let mut relay = Relay::new(store.clone(), policy()).unwrap();
    let bob = Owner::new(1);
    relay.registers(NOW, &bob);
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    relay.deposits(NOW, &entry, &[deposit(1, b"a")]);
    assert!(store.verify().unwrap().findings.is_empty());
    let mut row = hermes_relay::Store::mailbox(&store, bob.mailbox).unwrap().unwrap();
    row.stored.envelopes = 7;
    let row =
        RawRow { table: "mailboxes".to_owned(), key: bob.mailbox.0.to_vec(), value: codec::encode(&row) };
    let nameless = RawRow { key: Vec::new(), ..row.clone() };
    let filled = store.fill([Ok::<_, StoreError>(nameless)]);
    assert!(matches!(filled, Err(StoreError::Damaged { table: "mailboxes" })), "{filled:?}");
    store.fill([Ok::<_, StoreError>(row)]).unwrap();
    let findings = store.verify().unwrap().findings;
    assert!(findings[0].contains("7 envelopes"), "{findings:?}");
}

#[test]
fn the_unit_leaves_the_relay_little_to_do_harm_with() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/hermes-relay.service");
    let arguments = ["security", "--offline=true", "--threshold=15", "--no-pager"];
    // Older ones judge a running service only.
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(judged) if String::from_utf8_lossy(&judged.stdout).contains("exposure level") => {
            assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
        }
        _ => eprintln!("skipped: no systemd-analyze that judges a file"),
    }
}

fn forever(owner: &Owner) -> hermes_wire::token::DropToken {
    hermes_wire::token::DropToken { expiry: Timestamp(u64::MAX), ..owner.token(1) }
}

fn http(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
