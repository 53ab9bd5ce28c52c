//! A home directory with a daemon of a few lines in it, and the program that talks to it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A request as the daemon heard it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Like `POST /v1/accounts/alice/messages`.
    pub route: String,
    pub body: Value,
    /// The idempotency key of its head.
    pub key: Option<String>,
}

/// What the daemon does with a request.
pub enum Answer {
    Json(u16, Value),
    /// The same, from a daemon of this build of the API, or from one that does not say.
    Built(Option<&'static str>, Value),
    /// Bytes that end with the connection.
    Text(String),
    /// The connection breaks as if the daemon had been killed.
    Die,
}

/// A daemon that answers as a closure says, in a home of its own.
pub struct World {
    pub home: TempDir,
    pub heard: Arc<Mutex<Vec<Heard>>>,
    pub arrivals: Receiver<String>,
}

impl World {
    pub fn without_daemon() -> Self {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
        Self { home, heard: Arc::default(), arrivals: channel().1 }
    }

    pub fn with_daemon(answer: impl Fn(&Heard) -> Answer + Send + 'static) -> Self {
        let mut world = Self::without_daemon();
        let listener = UnixListener::bind(world.home.path().join("run/hermesd.sock")).unwrap();
        let (arrived, arrivals) = channel();
        world.arrivals = arrivals;
        let heard = world.heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &answer, &heard, &arrived);
            }
        });
        world
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermesctl"));
        command
            .args(arguments)
            .env_clear()
            .env("HERMES_HOME", self.home.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--no-autostart").output().unwrap()
    }

    pub fn pipe_in(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = spawn(self.command(arguments).arg("--no-autostart").stdin(Stdio::piped()));
        // A command that has all it needs ends without reading.
        let _unread = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    pub fn heard(&self, route: &str) -> Vec<Heard> {
        self.heard.lock().unwrap().iter().filter(|heard| heard.route == route).cloned().collect()
    }
}

pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn serve(
    mut stream: UnixStream,
    answer: &impl Fn(&Heard) -> Answer,
    heard: &Mutex<Vec<Heard>>,
    arrived: &Sender<String>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let route = line.rsplit_once(' ').map_or(line.clone(), |(route, _)| route.to_owned());
    let mut length = 0;
    let mut key = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("idempotency-key:") {
            key = Some(value.trim().to_owned());
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request =
        Heard { route: route.clone(), body: serde_json::from_slice(&body).unwrap_or(Value::Null), key };
    heard.lock().unwrap().push(request.clone());
    let answer = answer(&request);
    let _ = arrived.send(route);
    if let Answer::Text(body) = &answer {
        let _ = stream.write_all(format!("HTTP/1.1 200 X\r\nconnection: close\r\n\r\n{body}").as_bytes());
    }
    let built = |build| format!("hermes-build: {build}\r\n");
    let (status, build, body) = match answer {
        Answer::Json(status, body) => (status, built(hermes_api::BUILD), Some(body)),
        Answer::Built(build, body) => (200, build.map_or_else(String::new, built), Some(body)),
        Answer::Text(_) | Answer::Die => (200, String::new(), None),
    };
    if let Some(body) = body {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\n{build}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all((head + &body).as_bytes());
    }
}

pub fn ok(body: Value) -> Answer {
    Answer::Json(200, body)
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn result(to: &str, state: &str) -> Value {
    json!({"to": to, "id": "9f".repeat(16), "ref": format!("{to}#43"), "state": state, "error": null})
}

pub fn refused(to: &str, code: &str) -> Value {
    let error = json!({"code": code, "message": "no such contact", "hint": "hermesctl contact ls"});
    json!({"to": to, "id": null, "ref": null, "state": "failed", "error": error})
}

pub fn message(reference: &str, text: &str) -> Value {
    let chat = reference.split('#').next().unwrap();
    json!({
        "ref": reference, "id": format!("{:0>32}", reference.split('#').next_back().unwrap()), "chat": chat,
        "direction": "in", "from": chat, "kind": "text", "text": text, "sent_at": 0, "received_at": 0,
        "state": null, "error": null, "read": false, "no_one_time_prekey": false,
    })
}

pub fn status_of(accounts: &[&str]) -> Value {
    let accounts: Vec<Value> = accounts
        .iter()
        .map(|name| {
            json!({
                "name": name, "fingerprint": "ab".repeat(32), "relay": "hermes://h:1#p", "unread": 0, "outbox": 0,
                "connection": {"state": "connected", "since": 0, "reason": null}, "unreadable": 0,
                "one_time_prekeys": 100,
            })
        })
        .collect();
    json!({"v": 1, "version": "0.1.0", "pid": 1, "started_at": 0, "capabilities": [], "accounts": accounts})
}

pub const SEND: &str = "POST /v1/accounts/alice/messages";
pub const READ: &str = "POST /v1/accounts/alice/read";

/// Installs a copy of the program beside a hermesd that is a shell script. Another process writes both: a file that this
/// one had open for writing could not be run while a fork of another test still holds it.
pub fn installed_beside(world: &World, hermesd: &str) -> std::path::PathBuf {
    let place = world.home.path().join("bin");
    let install = "mkdir \"$1\" && cp \"$2\" \"$1/hermesctl\" && printf %s \"$3\" > \"$1/hermesd\" && chmod 755 \"$1/hermesd\"";
    let program = env!("CARGO_BIN_EXE_hermesctl");
    let installed =
        Command::new("sh").args(["-c", install, "sh"]).arg(&place).args([program, hermesd]).status();
    assert!(installed.unwrap().success());
    place.join("hermesctl")
}
