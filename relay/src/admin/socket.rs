//! The operator's socket: one order a connection, one line each way.
//!
//! Both ends block: an order is rare, and a backup is a long read of the disk.

use std::{
    fs,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hermes_link::credential::RelayIdentity;
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::{self, JoinHandle},
};

use super::{Answer, Order, Problem, desk::Desk};
use crate::{
    backup,
    limits::{OPERATOR_PATIENCE, OPERATORS, ORDER_BYTES},
};

/// Listens for orders until [`Self::close`].
pub struct AdminSocket {
    path: PathBuf,
    serving: JoinHandle<()>,
    /// Connections of those who wait until the relay has stopped: closed with it.
    waiting: Arc<Mutex<Vec<UnixStream>>>,
}

impl AdminSocket {
    /// Listens at `path`. What a relay that was killed left there is taken away: the store's lock says that it is dead.
    pub(crate) fn listen(path: PathBuf, desk: Arc<Desk>, identity: Arc<RelayIdentity>) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let waiting = Arc::default();
        let serving = tokio::spawn(serve(listener, desk, identity, Arc::clone(&waiting)));
        Ok(Self { path, serving, waiting })
    }

    /// Takes no further orders. Those who wait for the relay's end go on waiting until what this returns is dropped. To
    /// be called while the store's lock is still held: the socket could be another relay's afterwards.
    pub fn close(self) -> impl Sized {
        self.serving.abort();
        // Whoever starts next takes it away otherwise.
        let _ = fs::remove_file(&self.path);
        self.waiting
    }
}

async fn serve(
    listener: tokio::net::UnixListener,
    desk: Arc<Desk>,
    identity: Arc<RelayIdentity>,
    waiting: Arc<Mutex<Vec<UnixStream>>>,
) {
    let turns = Arc::new(Semaphore::new(OPERATORS));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // No descriptors left, for one: it may pass.
            Err(error) => {
                tracing::warn!(%error, "an operator's command could not be taken");
                tokio::time::sleep(OPERATOR_PATIENCE).await;
                continue;
            }
        };
        let (desk, identity, waiting) = (desk.clone(), identity.clone(), waiting.clone());
        task::spawn_blocking(move || {
            let _turn = turn;
            // The operator sees what is wrong with its end.
            let _ = stream.into_std().and_then(|stream| answer(stream, &desk, &identity, &waiting));
        });
    }
}

fn answer(
    stream: UnixStream,
    desk: &Desk,
    identity: &RelayIdentity,
    waiting: &Mutex<Vec<UnixStream>>,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(OPERATOR_PATIENCE))?;
    stream.set_write_timeout(Some(OPERATOR_PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(ORDER_BYTES)).read_line(&mut line)?;
    let Ok(order) = serde_json::from_str::<Order>(&line) else {
        let problem =
            Problem::new("the running relay does not know this order; it may be of another version");
        return write_line(&stream, &Answer::Problem(problem));
    };
    let answer = Handle::current().block_on(desk.carry_out(order.clone()));
    write_line(&stream, &answer)?;
    match order {
        Order::Backup if answer == Answer::Done => {
            let written = backup::write(BufWriter::new(&stream), &identity.to_pem(), desk.store());
            // The other end sees that the end is missing.
            written.map(drop).map_err(|error| io::Error::other(error.to_string()))
        }
        Order::Drain => {
            waiting.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn write_line(mut stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Sends an order to the relay that runs with the socket at `path`. `None`: none does. What follows the answer can be
/// read from the reader.
pub fn send(path: &Path, order: &Order) -> io::Result<Option<(Answer, BufReader<UnixStream>)>> {
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reader = BufReader::new(stream);
    let mut answer = String::new();
    reader.read_line(&mut answer)?;
    Ok(Some((serde_json::from_str(&answer)?, reader)))
}
