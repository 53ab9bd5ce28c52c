//! A session bus, and who may show notifications on it.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock, Mutex},
};

use futures_util::StreamExt;
use hermes_tests::world::wait::until;
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinHandle};
use zbus::{Connection, MessageStream, connection::Builder};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

const NAME: &str = "org.freedesktop.Notifications";

/// A bus of the test's own. It starts no services: the user's would come up without a screen.
pub struct SessionBus {
    directory: TempDir,
    address: String,
    daemon: Option<Ended>,
}

/// A program that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl SessionBus {
    /// `None` where there is no `dbus-daemon`.
    pub fn start() -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("hm").tempdir().unwrap();
        let address = format!("unix:path={}", directory.path().join("bus").display());
        let configuration = format!(
            "<busconfig><type>session</type><listen>{address}</listen><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>\
             </policy></busconfig>"
        );
        fs::write(directory.path().join("bus.conf"), configuration).unwrap();
        let mut bus = Self { directory, address, daemon: None };
        bus.try_start().then_some(bus)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn start_again(&mut self) {
        assert!(self.try_start());
    }

    pub fn stop(&mut self) {
        self.daemon = None;
        // What a bus that was killed leaves would keep the next one from its place.
        let _ = fs::remove_file(self.directory.path().join("bus"));
    }

    fn try_start(&mut self) -> bool {
        let daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--print-address=1", "--config-file"])
            .arg(self.directory.path().join("bus.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut daemon) = daemon else { return false };
        // It says its address once it listens there.
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.daemon = Some(Ended(daemon));
        assert!(line.starts_with(&self.address), "{line}");
        true
    }

    fn connect(&self) -> Connection {
        RUNTIME.block_on(async { Builder::address(self.address.as_str()).build().await.unwrap() })
    }
}

/// A notification as its server hears it.
#[derive(Clone, Debug)]
pub struct Note {
    pub title: String,
    pub body: String,
    /// The one whose place it takes, or 0.
    pub replaces: u32,
    pub id: u32,
    /// All that was said.
    pub whole: String,
}

/// A notification server that remembers and shows nothing. It takes the body for markup, as most do.
pub struct Server {
    notes: Arc<Mutex<Vec<Note>>>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Notify<'a> =
    (&'a str, u32, &'a str, &'a str, &'a str, Vec<&'a str>, HashMap<&'a str, zbus::Variant<'a>>, i32);

impl Server {
    pub fn start(bus: &SessionBus) -> Self {
        let connection = bus.connect();
        let notes = Arc::<Mutex<Vec<Note>>>::default();
        let serving =
            RUNTIME.spawn(serve(MessageStream::from(&connection), connection.clone(), notes.clone()));
        RUNTIME.block_on(connection.request_name(NAME)).unwrap();
        Self { notes, serving }
    }

    pub fn notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap().clone()
    }

    /// Waits until there is something to be found among the notifications.
    #[track_caller]
    pub fn until<T>(&self, what: &str, find: impl Fn(&[Note]) -> Option<T>) -> T {
        let mut found = None;
        until(what, || {
            found = find(&self.notes());
            found.is_some()
        });
        found.unwrap()
    }
}

async fn serve(mut calls: MessageStream, bus: Connection, notes: Arc<Mutex<Vec<Note>>>) {
    while let Some(Ok(call)) = calls.next().await {
        let header = call.header();
        match header.member().map(|member| member.as_str().to_owned()).as_deref() {
            Some("GetCapabilities") => bus.reply(&header, &vec!["body", "body-markup"]).await.unwrap(),
            Some("Notify") => {
                let body = call.body();
                let said: Notify<'_> = body.deserialize().unwrap();
                let whole = format!("{said:?}");
                let (_, replaces, _, title, text, ..) = said;
                let id = {
                    let mut notes = notes.lock().unwrap();
                    let id = if replaces == 0 { u32::try_from(notes.len()).unwrap() + 1 } else { replaces };
                    notes.push(Note { title: title.into(), body: text.into(), replaces, id, whole });
                    id
                };
                bus.reply(&header, &id).await.unwrap();
            }
            _ => {}
        }
    }
}

/// A real notification server on a screen that nobody sees.
pub struct Dunst {
    bus: Connection,
    _dunst: Ended,
    _screen: Ended,
}

impl Dunst {
    /// `None` where it, or the screen, is not installed.
    pub fn start(bus: &SessionBus) -> Option<Self> {
        let screen = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "800x600x24"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut screen = Ended(screen.ok()?);
        let mut display = String::new();
        BufReader::new(screen.0.stdout.take().unwrap()).read_line(&mut display).unwrap();
        let dunst = Command::new("dunst")
            .args(["-config", "/dev/null"])
            .env("DISPLAY", format!(":{}", display.trim()))
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let dunst = Self { _dunst: Ended(dunst.ok()?), _screen: screen, bus: bus.connect() };
        until("dunst is there", || dunst.is_there());
        Some(dunst)
    }

    fn is_there(&self) -> bool {
        let bus = "org.freedesktop.DBus";
        let asked =
            self.bus.call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "NameHasOwner", &NAME);
        RUNTIME.block_on(asked).unwrap().body().deserialize().unwrap()
    }

    /// How many notifications are on the screen.
    pub fn displayed(&self) -> u32 {
        let what = ("org.dunstproject.cmd0", "displayedLength");
        let properties = Some("org.freedesktop.DBus.Properties");
        let asked =
            self.bus.call_method(Some(NAME), "/org/freedesktop/Notifications", properties, "Get", &what);
        let body = RUNTIME.block_on(asked).unwrap().body();
        let value: zbus::Variant<'_> = body.deserialize().unwrap();
        u32::try_from(&value).unwrap()
    }
}
