//! The connection to the account's own mailbox: registers, claims it for this store, uploads prekeys and blobs, takes
//! deliveries, acknowledges commits.

mod deliveries;
mod session;
mod uploads;

use std::time::Duration;

use hermes_engine::{
    LinkEvent,
    query::{self, Claiming, MailboxSettings},
};
use hermes_link::{
    client::{self, ConnectError},
    credential::MailboxCredential,
    frame::{ReadError, WriteError},
    quinn::{Connection, ConnectionError, Endpoint},
};
use hermes_wire::{Advice, InstanceId, Refusal};
use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use self::session::Session;
use super::{
    Link, LinkError,
    backoff::Backoff,
    board::{MailboxState, Reason, bounded},
};
use crate::{
    limits::{COPY_PAUSE, REGISTRATION, RETRY_LAST},
    random::rng,
};

/// Why a connection ended.
enum End {
    /// Another connection took over, of the installation with this id.
    Superseded(InstanceId),
    /// Another copy of the store is at work, and this one is behind.
    CopyStopped,
    /// To be tried again after a wait of our choosing.
    Broken(Reason),
    /// To be tried again after the relay's wait.
    Later(Reason, Duration),
    /// The link itself cannot go on.
    Link(LinkError),
}

/// Stays connected. Returns when another installation, or another copy of the store, has taken the mailbox over.
pub(super) async fn run(
    link: &Link,
    endpoint: &Endpoint,
    settings: &MailboxSettings,
) -> Result<(), LinkError> {
    let credential = MailboxCredential::from_seed(&settings.mailbox_seed)?;
    if link.read(query::claiming).await? == Claiming::Stopped {
        link.board.set_mailbox(MailboxState::Stopped(Reason::CopyStopped));
        return Ok(());
    }
    let mut backoff = Backoff::default();
    let mut last = None;
    loop {
        link.board.set_mailbox(MailboxState::Connecting(last.take()));
        let mut connected = None;
        let end = match client::connect_mailbox(endpoint, &settings.relay, &credential).await {
            Ok(connection) => {
                let end = session(link, &connection, settings, &mut connected).await;
                connection.close(0u32.into(), b"");
                end
            }
            Err(error) => broken(&error),
        };
        if let Some(since) = connected {
            backoff.succeeded(since, Instant::now());
        }
        let (reason, wait) = match end {
            End::Link(error) => return Err(error),
            End::CopyStopped => {
                tracing::error!("another copy of this account's store is at work; this one stops");
                link.board.set_mailbox(MailboxState::Stopped(Reason::CopyStopped));
                return Ok(());
            }
            End::Superseded(instance) if instance == settings.instance => {
                tracing::error!("another copy of this account's store has connected");
                link.tell(vec![LinkEvent::CopySeen]).await?;
                (Reason::CopySeen, later(COPY_PAUSE))
            }
            End::Superseded(instance) => {
                tracing::error!("another installation of this account has taken over; this one stops");
                let refusal = Refusal::Superseded { instance };
                link.board.set_mailbox(MailboxState::Stopped(Reason::Refused(refusal)));
                return Ok(());
            }
            End::Broken(reason) => (reason, backoff.next(Instant::now(), &mut rng())),
            End::Later(reason, wait) => (reason, later(wait)),
        };
        tracing::info!(%reason, wait_ms = wait.as_millis(), "not connected to the mailbox");
        last = Some(reason.clone());
        link.board.set_mailbox(MailboxState::Waiting(reason));
        sleep(wait).await;
    }
}

/// A wait, longer at random.
fn later(wait: Duration) -> Duration {
    wait.mul_f64(rng().random_range(1.0..=1.5))
}

fn broken(error: &ConnectError) -> End {
    End::Broken(Reason::from(error))
}

/// One connection from registration to its end, which is never a success.
async fn session(
    link: &Link,
    connection: &Connection,
    settings: &MailboxSettings,
    connected: &mut Option<Instant>,
) -> End {
    let end = async {
        let (mut session, registered) = timeout(REGISTRATION, Session::register(link, connection, settings))
            .await
            .map_err(|_| End::Broken(Reason::Unreachable("the relay does not answer".to_owned())))??;
        *connected = Some(Instant::now());
        session.registered(registered).await?;
        session.serve(connection).await
    };
    match end.await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

fn refused(refusal: Refusal) -> End {
    match (&refusal, refusal.advice()) {
        (Refusal::Superseded { instance }, _) => End::Superseded(*instance),
        (_, Advice::RetryAfter(wait)) => End::Later(Reason::Refused(refusal), bounded(wait)),
        // The relay's operator may change its mind; the user sees the reason meanwhile.
        (_, Advice::Permanent | Advice::CatchUp) => End::Later(Reason::Refused(refusal), RETRY_LAST),
    }
}

fn go_away(delay_ms: u32) -> End {
    End::Later(Reason::GoneAway, bounded(Duration::from_millis(u64::from(delay_ms))))
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        Self::Broken(match error {
            ReadError::Malformed(_) => Reason::Misbehaved,
            _ => Reason::Lost,
        })
    }
}

impl From<WriteError> for End {
    fn from(_: WriteError) -> Self {
        Self::Broken(Reason::Lost)
    }
}

impl From<ConnectionError> for End {
    fn from(_: ConnectionError) -> Self {
        Self::Broken(Reason::Lost)
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}
