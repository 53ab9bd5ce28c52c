//! A client of the daemon: one connection for each request, which a local socket makes as cheap as keeping one.

mod backup;
mod chat;
mod config;
mod events;
mod group;
mod keys;
mod mark;
mod peer;
mod raw;
mod request;

pub use self::backup::Download;

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{
    AcceptInvite, AcceptedInvite, Audit, AuditQuery, BUILD, ContactDetails, Contacts, CreateAccount,
    CreateInvite, CreatedAccount, CreatedInvite, DaemonStatus, ErrorCode, Failure, ForeignSocket, InboxQuery,
    LogQuery, MessageDetails, MessagePage, Problem, Profile, ReadMessages, ReadReceipt, Recover, Recovered,
    RemoveAccount, RemovedAccount, RenameContact, SendMessage, SentMessages, SetKeyPolicy, SetProfile,
    Shutdown, VerifyContact, limits, routes,
    socket::{self, Found, InspectError},
};

pub use self::{
    events::EventStream,
    raw::{RawReply, RawRequest},
};

/// A daemon that was not made together with this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherBuild {
    /// It says of which build of the API it is.
    Another,
    /// It does not say, as it did before there was word of it: it is older.
    Silent,
}

/// Nothing was answered yet, or by a daemon of this build.
const SAME: u8 = 0;
/// By one of another.
const ANOTHER: u8 = 1;
/// By one that does not say.
const SILENT: u8 = 2;

/// A client of the daemon behind one socket. Holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    key: Option<String>,
    /// What the last answer told of the daemon's build: [`SAME`], [`ANOTHER`] or [`SILENT`]. Shared by all copies.
    build: Arc<AtomicU8>,
}

/// Why a request got no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens at the socket. A daemon may be started and the same request repeated.
    #[error("hermesd is not running (nothing listens on {socket})")]
    NotRunning {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket is not to be trusted.
    #[error("the daemon's socket is not trusted: {0}")]
    Foreign(#[from] ForeignSocket),
    /// The socket is there and cannot be used.
    #[error("cannot reach hermesd at {socket}: {source}")]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke before the answer was whole. Whether the daemon acted is unknown, so only a request that
    /// carries an idempotency key, or that changes nothing, may be repeated.
    #[error("hermesd went away before it answered: {0}")]
    Broken(#[source] hyper::Error),
    /// The daemon did not answer in the time it had.
    #[error("hermesd did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The answer is no document of this API.
    #[error("hermesd answered something this program does not understand: {0}")]
    Garbled(String),
    /// The daemon says no.
    #[error(transparent)]
    Refused(#[from] Problem),
}

impl ClientError {
    /// The error with its stable code and what to do about it.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Refused(problem) => return problem.clone(),
            Self::NotRunning { .. } => {
                (ErrorCode::DaemonUnreachable, "start it with: hermesctl daemon start")
            }
            Self::Foreign(_) => (
                ErrorCode::ForeignSocket,
                "remove it, or name another one with --socket; nothing was sent to whoever owns it",
            ),
            Self::Unreachable { .. } => (
                ErrorCode::DaemonUnreachable,
                "check the socket's permissions, or name another one with --socket",
            ),
            Self::Broken(_) => (ErrorCode::DaemonUnreachable, "look at its log, then try again"),
            Self::Silent(_) => {
                (ErrorCode::DaemonUnreachable, "look at its log; hermesctl daemon stop ends it")
            }
            Self::Garbled(_) => (
                ErrorCode::DaemonVersion,
                "hermesd and hermesctl may be of different versions: hermesctl daemon stop, then try again",
            ),
        };
        Problem::new(code, self.to_string(), hint)
    }
}

impl Client {
    /// A client of the daemon that listens at `socket`. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), key: None, build: Arc::default() }
    }

    /// The same client, whose next request that changes something is carried out once, however often it is repeated
    /// under this key: 1 to [`limits::IDEMPOTENCY_KEY_BYTES`] bytes of ASCII.
    pub fn under(&self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// How the daemon that answered last was not made together with this program, as after an upgrade of one of them.
    pub fn other_build(&self) -> Option<OtherBuild> {
        match self.build.load(Ordering::Relaxed) {
            ANOTHER => Some(OtherBuild::Another),
            SILENT => Some(OtherBuild::Silent),
            _ => None,
        }
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How the daemon and its accounts are doing.
    pub async fn status(&self) -> Result<DaemonStatus, ClientError> {
        self.get(routes::STATUS.to_owned()).await
    }

    /// Makes an account.
    pub async fn create_account(&self, account: &CreateAccount) -> Result<CreatedAccount, ClientError> {
        self.post(routes::ACCOUNTS.to_owned(), account, account.timeout_ms).await
    }

    /// Removes an account from the machine.
    pub async fn remove_account(&self, account: &str) -> Result<RemovedAccount, ClientError> {
        let remove = RemoveAccount { account: account.to_owned() };
        self.post(routes::fill(routes::REMOVE_ACCOUNT, &[account], &[]), &remove, 0).await
    }

    /// What the account calls itself.
    pub async fn profile(&self, account: &str) -> Result<Profile, ClientError> {
        self.get(routes::fill(routes::PROFILE, &[account], &[])).await
    }

    /// Has the account call itself otherwise.
    pub async fn set_profile(&self, account: &str, profile: &SetProfile) -> Result<Profile, ClientError> {
        self.post(routes::fill(routes::PROFILE, &[account], &[]), profile, 0).await
    }

    /// Makes an invite.
    pub async fn create_invite(
        &self,
        account: &str,
        invite: CreateInvite,
    ) -> Result<CreatedInvite, ClientError> {
        self.post(routes::fill(routes::INVITES, &[account], &[]), &invite, 0).await
    }

    /// Accepts an invite.
    pub async fn accept(&self, account: &str, invite: &AcceptInvite) -> Result<AcceptedInvite, ClientError> {
        self.post(routes::fill(routes::ACCEPT, &[account], &[]), invite, invite.timeout_ms).await
    }

    /// Goes on with this copy of an account's store.
    pub async fn recover(&self, account: &str, recover: Recover) -> Result<Recovered, ClientError> {
        self.post(routes::fill(routes::RECOVER, &[account], &[]), &recover, recover.timeout_ms).await
    }

    /// Lists the contacts.
    pub async fn contacts(&self, account: &str) -> Result<Contacts, ClientError> {
        self.get(routes::fill(routes::CONTACTS, &[account], &[])).await
    }

    /// One contact in full.
    pub async fn contact(&self, account: &str, contact: &str) -> Result<ContactDetails, ClientError> {
        self.get(routes::fill(routes::CONTACT, &[account, contact], &[])).await
    }

    /// Marks a contact verified if the safety number is the one that belongs to it.
    pub async fn verify(
        &self,
        account: &str,
        contact: &str,
        verify: &VerifyContact,
    ) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::VERIFY, &[account, contact], &[]), verify, 0).await
    }

    /// Takes back that a contact is verified.
    pub async fn unverify(&self, account: &str, contact: &str) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::UNVERIFY, &[account, contact], &[]), &(), 0).await
    }

    /// Takes the identity key that waits as the contact's.
    pub async fn accept_key(&self, account: &str, contact: &str) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::ACCEPT_KEY, &[account, contact], &[]), &(), 0).await
    }

    /// Stays with the identity key that the contact had.
    pub async fn refuse_key(&self, account: &str, contact: &str) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::REFUSE_KEY, &[account, contact], &[]), &(), 0).await
    }

    /// Gives a contact another name.
    pub async fn rename(
        &self,
        account: &str,
        contact: &str,
        rename: &RenameContact,
    ) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::RENAME, &[account, contact], &[]), rename, 0).await
    }

    /// Says what happens when a contact's identity key changes.
    pub async fn set_key_policy(
        &self,
        account: &str,
        contact: &str,
        policy: SetKeyPolicy,
    ) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::KEY_POLICY, &[account, contact], &[]), &policy, 0).await
    }

    /// Sends a message.
    pub async fn send(&self, account: &str, message: &SendMessage) -> Result<SentMessages, ClientError> {
        self.post(routes::fill(routes::MESSAGES, &[account], &[]), message, message.timeout_ms).await
    }

    /// One message in full, by its reference or its id.
    pub async fn message(&self, account: &str, message: &str) -> Result<MessageDetails, ClientError> {
        self.get(routes::fill(routes::MESSAGE, &[account, message], &[])).await
    }

    /// Lists unread messages. Marks nothing.
    pub async fn inbox(&self, account: &str, query: &InboxQuery) -> Result<MessagePage, ClientError> {
        let query = [
            ("from", query.from.clone()),
            ("since_ms", query.since_ms.map(|since| since.to_string())),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("after", query.after.clone()),
        ];
        self.get(routes::fill(routes::INBOX, &[account], &query)).await
    }

    /// Marks messages read.
    pub async fn mark_read(&self, account: &str, read: &ReadMessages) -> Result<ReadReceipt, ClientError> {
        self.post(routes::fill(routes::READ, &[account], &[]), read, 0).await
    }

    /// Lists a chat's messages, both ways.
    pub async fn log(&self, account: &str, chat: &str, query: &LogQuery) -> Result<MessagePage, ClientError> {
        let query = [
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("before", query.before.clone()),
            ("after", query.after.clone()),
        ];
        self.get(routes::fill(routes::LOG, &[account, chat], &query)).await
    }

    /// Says what is missing.
    pub async fn audit(&self, account: &str, query: &AuditQuery) -> Result<Audit, ClientError> {
        self.get(routes::fill(routes::AUDIT, &[account], &[("chat", query.chat.clone())])).await
    }

    /// Asks the daemon to stop.
    pub async fn shutdown(&self) -> Result<Shutdown, ClientError> {
        self.call(Method::POST, &routes::fill(routes::SHUTDOWN, &[], &[]), Bytes::new(), limits::REPLY).await
    }

    async fn get<R: DeserializeOwned>(&self, path: String) -> Result<R, ClientError> {
        self.call(Method::GET, &path, Bytes::new(), limits::REPLY).await
    }

    async fn get_waiting<R: DeserializeOwned>(&self, path: String, wait_ms: u64) -> Result<R, ClientError> {
        let wait = Duration::from_millis(wait_ms).min(limits::WAIT);
        self.call(Method::GET, &path, Bytes::new(), limits::REPLY + wait).await
    }

    async fn post<R: DeserializeOwned>(
        &self,
        path: String,
        body: &impl Serialize,
        wait_ms: u64,
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Garbled(error.to_string()))?;
        let wait = Duration::from_millis(wait_ms).min(limits::WAIT);
        self.call(Method::POST, &path, Bytes::from(body), limits::REPLY + wait).await
    }

    async fn call<R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<R, ClientError> {
        let exchange = async {
            let response = self.request(method, path, body, patience).await?;
            let success = response.status().is_success();
            Ok::<_, ClientError>((success, collect(response).await?))
        };
        let (success, body) =
            tokio::time::timeout(patience, exchange).await.map_err(|_| ClientError::Silent(patience))??;
        if !success {
            return Err(refusal(&body));
        }
        serde_json::from_slice(&body).map_err(|error| ClientError::Garbled(error.to_string()))
    }

    /// Sends one request over a new connection and returns the head of the answer.
    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        self.exchange(method, path, Full::new(body), patience).await
    }

    async fn exchange<B>(
        &self,
        method: Method,
        path: &str,
        body: B,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Broken)?;
        // Ends by itself with the request or with the event stream that reads from it; its error reaches both.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "hermesd")
            .header(header::CONTENT_TYPE, "application/json");
        let request = match &self.key {
            Some(key) => request.header(routes::IDEMPOTENCY_KEY, key),
            None => request,
        };
        let request = request.body(body).map_err(|error| ClientError::Garbled(error.to_string()))?;
        let response = tokio::time::timeout(patience, sender.send_request(request))
            .await
            .map_err(|_| ClientError::Silent(patience))?
            .map_err(ClientError::Broken)?;
        let build = match response.headers().get(routes::BUILD) {
            Some(build) if build == BUILD => SAME,
            Some(_) => ANOTHER,
            None => SILENT,
        };
        self.build.store(build, Ordering::Relaxed);
        Ok(response)
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        match socket::inspect(&self.socket) {
            Ok(Found::Ours) => {}
            Ok(Found::Nothing) => return Err(ClientError::NotRunning { socket: self.socket.clone() }),
            Err(InspectError::Foreign(foreign)) => return Err(foreign.into()),
            Err(InspectError::Io(error)) => return Err(unreachable(error)),
        }
        let stream = match UnixStream::connect(&self.socket).await {
            Ok(stream) => stream,
            // A socket that outlived its daemon refuses; one that its daemon has just removed is not found.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) =>
            {
                return Err(ClientError::NotRunning { socket: self.socket.clone() });
            }
            Err(error) => return Err(unreachable(error)),
        };
        let peer = stream.peer_cred().map_err(unreachable)?;
        socket::check_peer(&self.socket, peer.uid())?;
        Ok(stream)
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), limits::REPLY_BYTES);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ClientError::Garbled(format!("an answer of more than {} bytes", limits::REPLY_BYTES)))
        }
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(ClientError::Broken(*error)),
            Err(error) => Err(ClientError::Garbled(error.to_string())),
        },
    }
}

fn refusal(body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Failure>(body) {
        Ok(failure) => ClientError::Refused(failure.error),
        Err(error) => ClientError::Garbled(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
        task::JoinHandle,
    };

    use super::*;
    use crate::{Event, Exit};

    /// A daemon that answers one request with fixed bytes and returns the request.
    fn answering(reply: impl Into<Vec<u8>>) -> (tempfile::TempDir, Client, JoinHandle<String>) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("d.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let reply = reply.into();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(&reply).await.unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        (home, Client::new(path), served)
    }

    fn http(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_request_goes_out_as_the_route_says() {
        let (_home, client, served) = answering(http("200 OK", r#"{"v":1,"messages":[],"more":false}"#));
        let query = InboxQuery { from: Some("bob b".into()), limit: Some(3), ..InboxQuery::default() };
        let page = client.inbox("alice", &query).await.unwrap();
        assert!(page.messages.is_empty() && !page.more);
        let request = served.await.unwrap();
        assert!(
            request.starts_with("GET /v1/accounts/alice/inbox?from=bob%20b&limit=3 HTTP/1.1\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_daemon_of_another_build_is_noticed() {
        let page = r#"{"v":1,"messages":[],"more":false}"#;
        for (build, other) in [
            (Some(BUILD), None),
            (Some("0123456789abcdef"), Some(OtherBuild::Another)),
            (None, Some(OtherBuild::Silent)),
        ] {
            let header = build.map(|build| format!("200 OK\r\n{}: {build}", routes::BUILD));
            let (_home, client, _served) = answering(http(header.as_deref().unwrap_or("200 OK"), page));
            client.under("key").inbox("alice", &InboxQuery::default()).await.unwrap();
            assert_eq!(client.other_build(), other, "{build:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_code_and_hint() {
        let body = r#"{"v":1,"error":{"code":"contact-not-found","message":"no bob","hint":"contact ls"}}"#;
        let (_home, client, _served) = answering(http("404 Not Found", body));
        let problem = client.contacts("alice").await.unwrap_err().problem();
        assert_eq!(problem, Problem::new(ErrorCode::ContactNotFound, "no bob", "contact ls"));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error_not_a_panic() {
        for reply in [
            http("200 OK", r#"{"v":2,"messages":[],"more":false}"#),
            http("200 OK", "<html>"),
            http("500 Oh", "oh"),
        ] {
            let (_home, client, _served) = answering(reply.clone());
            let error = client.inbox("alice", &InboxQuery::default()).await.unwrap_err();
            assert_eq!(error.problem().code, ErrorCode::DaemonVersion, "{reply}: {error}");
        }
        for reply in ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
            let (_home, client, _served) = answering(reply);
            let error = client.status().await.unwrap_err();
            assert!(matches!(error, ClientError::Broken(_)), "{reply}: {error}");
            assert_eq!(error.problem().code.exit(), Exit::Daemon);
        }
    }

    #[tokio::test]
    async fn nobody_at_the_socket_is_not_running() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("d.sock");
        let client = Client::new(&path);
        assert!(matches!(client.status().await, Err(ClientError::NotRunning { .. })));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(
            matches!(client.status().await, Err(ClientError::NotRunning { .. })),
            "a dead daemon's socket"
        );
    }

    #[tokio::test]
    async fn events_arrive_until_the_daemon_ends_the_stream() {
        let events = "event: lagged\ndata: {\"v\":1,\"event\":\"lagged\"}\n\n: alive\n\n";
        let (_home, client, _served) =
            answering(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{events}"));
        let mut stream = client.events("alice").await.unwrap();
        assert_eq!(stream.next().await.unwrap(), Some(Event::Lagged { first: 0, last: 0 }));
        assert_eq!(stream.next().await.unwrap(), None);
    }
}
