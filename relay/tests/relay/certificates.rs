//! A relay that has a certificate beside its own key.

use std::path::Path;

use hermes_link::{
    client,
    introduction::{IntroductionError, introduce},
};
use hermes_wire::{
    RelayName, RelayPin,
    mailbox::{ToClient, ToRelay},
};

use crate::common::{
    authority::{Authority, Files, NOW},
    client::{Mailbox, owner},
    program::{Running, hermes_relay, order, order_json},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};

fn start(directory: &Path, files: &Files) -> Running {
    let config = files.config("127.0.0.1");
    let arguments = ["--json", "--registration", "open", "--listen", "127.0.0.1:0", "--config"];
    Running::with(hermes_relay(directory, &[&arguments[..], &[config.to_str().unwrap()]].concat()))
}

async fn ask(relay: &Running, authority: &Authority) -> Result<RelayPin, IntroductionError> {
    let name: RelayName = relay.ready["name"].as_str().unwrap().parse().unwrap();
    introduce(&client::endpoint().unwrap(), &name, &authority.known).await
}

/// Asks until the answer is the one that is waited for: a signal is not answered.
async fn until(
    relay: &Running,
    authority: &Authority,
    expected: impl Fn(&Result<RelayPin, IntroductionError>) -> bool,
) {
    let asking = async { while !expected(&ask(relay, authority).await) {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), asking).await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_read_again_while_clients_stay_connected() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::new(directory.path());
    let [old, new] = [Authority::new(), Authority::new()];
    files.put(&old.certify("127.0.0.1", NOW));
    let relay = start(&directory.path().join("relay"), &files);
    let address = relay.address();
    assert_eq!(ask(&relay, &old).await.unwrap(), address.pin());
    let end = order_json(&directory.path().join("relay"), &["status"])["certificate_not_after"].as_u64();
    assert_eq!(end, Some(7_258_118_400_000), "the first day of 2200");
    let (bob, credential) = owner(1);
    let mut mailbox = Mailbox::connect(&address, &credential, bob.register(None)).await;

    files.put(&new.certify("127.0.0.1", NOW));
    relay.hang_up();
    until(&relay, &new, |said| matches!(said, Ok(pin) if *pin == address.pin())).await;
    assert!(ask(&relay, &old).await.is_err());
    // Whoever has the address asks for no certificate, neither to stay nor to come.
    assert_eq!(mailbox.ask(ToRelay::Ping).await, ToClient::Pong);
    let (carol, credential) = owner(2);
    Mailbox::connect(&address, &credential, carol.register(None)).await;
    assert_eq!(mailbox.ask(ToRelay::Ping).await, ToClient::Pong);
}

#[tokio::test]
async fn a_certificate_that_is_no_good_leaves_the_relay_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::new(directory.path());
    let authority = Authority::new();
    // There is none yet.
    let relay = start(&directory.path().join("relay"), &files);
    let address = relay.address();
    assert!(matches!(ask(&relay, &authority).await, Err(IntroductionError::NoCertificate)));
    let (bob, credential) = owner(1);
    let mut mailbox = Mailbox::connect(&address, &credential, bob.register(None)).await;

    files.put(&authority.certify("127.0.0.1", NOW));
    relay.hang_up();
    until(&relay, &authority, |said| said.is_ok()).await;
    // For another name, and of the past: the first is the operator's mistake and not shown, the second the clients' business.
    files.put(&authority.certify("elsewhere.example", NOW));
    relay.hang_up();
    assert_eq!(ask(&relay, &authority).await.unwrap(), address.pin());
    files.put(&authority.certify("127.0.0.1", 2000..2001));
    relay.hang_up();
    until(&relay, &authority, |said| matches!(said, Err(IntroductionError::Expired))).await;
    assert_eq!(mailbox.ask(ToRelay::Ping).await, ToClient::Pong);
}

/// Whoever opens a pipe waits for its other end, unless he says that he does not.
#[tokio::test]
async fn a_pipe_in_place_of_a_certificate_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::new(directory.path());
    mknodat(CWD, &files.chain, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let state = directory.path().join("relay");
    let relay = start(&state, &files);
    assert!(order_json(&state, &["status"])["certificate_not_after"].is_null());
    let authority = Authority::new();
    std::fs::remove_file(&files.chain).unwrap();
    files.put(&authority.certify("127.0.0.1", NOW));
    relay.hang_up();
    until(&relay, &authority, |said| said.is_ok()).await;
}

/// systemd's `reload` is the same whether there is a certificate or not.
#[tokio::test]
async fn a_relay_without_a_certificate_outlives_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Running::start(directory.path(), "127.0.0.1:0");
    assert!(relay.ready["name"].is_null());
    let (bob, credential) = owner(1);
    let mut mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
    for _ in 0..3 {
        relay.hang_up();
        assert_eq!(mailbox.ask(ToRelay::Ping).await, ToClient::Pong);
    }
}

#[test]
fn check_config_says_what_is_wrong_with_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::new(directory.path());
    let authority = Authority::new();
    let check = |config: &Path| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hermes-relay"))
            .arg("check-config")
            .arg(config)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let config = files.config("relay.example:443");
    let fails = |part: &str| {
        let (code, text) = check(&config);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(part), "{text}");
    };
    fails("fullchain.pem: No such file or directory");
    let [mine, other] = [(); 2].map(|()| authority.certify("relay.example", NOW));
    files.put(&mine);
    assert_eq!(check(&config).0, Some(0));
    std::fs::write(&files.key, &other.key).unwrap();
    fails("privkey.pem: the key is not the one of the certificate");
    std::fs::write(&files.chain, "nothing").unwrap();
    fails("fullchain.pem: it holds no certificates");
    files.put(&authority.certify("elsewhere.example", NOW));
    fails("the certificate is not for relay.example");
    // A certificate without its key is half a setting, and the relay does not start with it.
    std::fs::write(&config, "public_address = 'h'\ncertificate = 'c'\n").unwrap();
    fails("certificate_key must be set");
    let state = directory.path().join("relay");
    assert_eq!(order(&state, &["--config", config.to_str().unwrap()]).status.code(), Some(2));
}
