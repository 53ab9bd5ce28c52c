//! The API over a real socket: what is no request, what is refused, and how the daemon ends.

use std::os::unix::fs::PermissionsExt;

use futures_util::FutureExt;
use hermes_api::{Client, ErrorCode, Failure};
use hermes_config::SocketPath;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinHandle,
};

use super::*;

struct World {
    home: TempDir,
    daemon: Daemon,
    serving: JoinHandle<()>,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let daemon = Daemon::of_tests(home.path());
        let socket = SocketPath::new(&home.path().join("run/d.sock")).unwrap();
        let socket = LocalSocket::bind(&socket).unwrap();
        let serving = tokio::spawn(serve(socket, daemon.clone()));
        Self { home, daemon, serving }
    }

    fn client(&self) -> Client {
        Client::new(self.home.path().join("run/d.sock"))
    }

    /// Sends bytes as they are; the status and the body of what comes back.
    async fn raw(&self, request: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(self.home.path().join("run/d.sock")).await.unwrap();
        // A server that refuses early may close before it has read all.
        let _ = stream.write_all(request).await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        let reply = String::from_utf8(reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn post(&self, path: &str, body: &[u8]) -> (u16, ErrorCode) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: d\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, body) = self.raw(&[head.as_bytes(), body].concat()).await;
        let failure: Failure = serde_json::from_str(&body).unwrap();
        assert!(!failure.error.message.is_empty() && !failure.error.hint.is_empty(), "{body}");
        (status, failure.error.code)
    }
}

fn create(name: &str, relay: String) -> hermes_api::CreateAccount {
    hermes_api::CreateAccount {
        name: name.into(),
        relay,
        registration_token: None,
        keys: None,
        passphrase: None,
        timeout_ms: 0,
    }
}

#[tokio::test]
async fn every_refusal_has_the_one_shape() {
    let world = World::new();
    let messages = "/v1/accounts/alice/messages";
    let in_order = br#"[["bob"],"hi",null,"",null,"none",0]"#;
    for body in
        [&b""[..], b"{", b"[]", in_order, b"{\"to\":1}", b"\xff\xfe", br#"{"to":[],"text":"","id":"","x":1}"#]
    {
        assert_eq!(world.post(messages, body).await, (400, ErrorCode::Usage), "{body:?}");
    }
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    assert_eq!(world.post(messages, &deep).await, (400, ErrorCode::Usage));
    let large = vec![b' '; hermes_api::limits::REQUEST_BYTES + 1];
    assert_eq!(world.post(messages, &large).await, (413, ErrorCode::MessageTooLarge));
    assert_eq!(world.post("/v2/what", b"").await, (404, ErrorCode::UnknownRoute));
    assert_eq!(world.post(routes::STATUS, b"").await, (405, ErrorCode::MethodNotAllowed));
    let send = br#"{"to":["bob"],"text":"hi","id":"1"}"#;
    assert_eq!(world.post(messages, send).await, (404, ErrorCode::NoAccount));
    for (body, code) in [
        (r#"{"name":"../x","relay":"hermes://h:1"}"#, ErrorCode::BadAccountName),
        (r#"{"name":"alice","relay":"hermes://h:1#p"}"#, ErrorCode::BadRelayAddress),
    ] {
        assert_eq!(world.post(routes::ACCOUNTS, body.as_bytes()).await, (400, code));
    }
    assert!(world.client().status().await.unwrap().accounts.is_empty());
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection_only() {
    let world = World::new();
    let (status, _) = world.raw(b"SSH-2.0-OpenSSH\r\n\r\n").await;
    assert_eq!(status, 400);
    world.client().status().await.unwrap();
}

#[tokio::test]
async fn an_account_lives_without_its_relay_and_survives_a_restart() {
    let world = World::new();
    // A port of this machine where nobody listens.
    let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let relay = format!("hermes://127.0.0.1:{unused}#{}", "a".repeat(51) + "q");
    let asked = create("alice", relay);
    let made = world.client().create_account(&asked).await.unwrap().account;
    assert_eq!(made.connection.state, hermes_api::ConnectionState::Registering);
    // The same again is the same account. Another token or relay makes another one, as nothing depends on the first.
    assert_eq!(world.client().create_account(&asked).await.unwrap().account.fingerprint, made.fingerprint);
    let token = Some(hermes_api::RegistrationToken::new("t"));
    let with_token = hermes_api::CreateAccount { registration_token: token, ..asked.clone() };
    let second = world.client().create_account(&with_token).await.unwrap().account;
    assert_ne!(second.fingerprint, made.fingerprint);
    let elsewhere =
        hermes_api::CreateAccount { relay: asked.relay.replace("127.0.0.1", "127.0.0.2"), ..asked };
    let third = world.client().create_account(&elsewhere).await.unwrap().account;
    assert_ne!(third.fingerprint, second.fingerprint);
    assert_eq!(third.relay, elsewhere.relay);

    let contacts = world.client().contacts("bob").await.unwrap_err().problem();
    assert_eq!(contacts.code, ErrorCode::AccountNotFound);
    world.client().shutdown().await.unwrap();
    world.serving.await.unwrap();
    world.daemon.close_accounts().await;

    let daemon = Daemon::of_tests(world.home.path());
    daemon.open_accounts().await.unwrap();
    assert!(daemon.account("alice").await.is_ok());
    daemon.close_accounts().await;
    std::fs::remove_file(world.home.path().join("config/keys/alice.key")).unwrap();
    let daemon = Daemon::of_tests(world.home.path());
    assert_eq!(daemon.open_accounts().await.unwrap_err().code, ErrorCode::Locked);
}

#[tokio::test]
async fn an_account_that_was_repaired_opens_without_a_restart() {
    let world = World::new();
    let relay = format!("hermes://127.0.0.1:9#{}", "a".repeat(51) + "q");
    for name in ["alice", "bob"] {
        let (name, relay) = (name.to_owned(), relay.clone());
        let asked = create(&name, relay);
        world.client().create_account(&asked).await.unwrap();
    }
    world.daemon.close_accounts().await;

    let key = world.home.path().join("config/keys/alice.key");
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    let daemon = Daemon::of_tests(world.home.path());
    daemon.open_accounts().await.unwrap();
    assert!(daemon.account("bob").await.is_ok());
    let problem = daemon.account("alice").await.err().unwrap();
    assert_eq!((problem.code, problem.hint.contains("chmod 600")), (ErrorCode::Locked, true));
    mode(0o600);
    // Whoever asks first may leave before the answer; the account is not lost for that.
    assert!(daemon.account("alice").now_or_never().is_none());
    assert!(daemon.account("alice").await.is_ok());
    daemon.close_accounts().await;
}

#[tokio::test]
async fn every_operation_that_is_described_is_served() {
    let world = World::new();
    let ask = async |method: &str, path: &str, headers: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: d\r\nconnection: close\r\n{headers}content-length: 0\r\n\r\n"
        );
        world.raw(request.as_bytes()).await
    };
    let (status, body) = ask("GET", routes::OPENAPI, "").await;
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    for (path, item) in document["paths"].as_object().unwrap() {
        // A daemon that has ended serves nothing.
        for method in item.as_object().unwrap().keys().filter(|_| path != routes::SHUTDOWN) {
            let filled = path.replace(['{', '}'], "");
            let (status, body) = ask(&method.to_uppercase(), &filled, "").await;
            let unknown = status == 404 && body.contains("unknown-route");
            assert!(status != 405 && !unknown, "{method} {path}: {status} {body}");
        }
    }
    for key in ["", &"x".repeat(hermes_api::limits::IDEMPOTENCY_KEY_BYTES + 1)] {
        let (status, body) =
            ask("POST", "/v1/accounts/alice/recover", &format!("idempotency-key: {key}\r\n")).await;
        assert_eq!((status, body.contains("bad-idempotency-key")), (400, true), "{body}");
    }
}
