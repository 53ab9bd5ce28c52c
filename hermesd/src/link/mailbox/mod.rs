//! The connection to a mailbox. The account's own: registers, claims it for this store, uploads prekeys and blobs, takes
//! deliveries, acknowledges commits. One at another relay: the same without claims and prekeys.

mod deliveries;
mod session;
mod uploads;

use std::time::Duration;

use hermes_engine::{
    GuestEvent, GuestId, LinkEvent,
    query::{self, Claiming, MailboxSettings},
};
use hermes_link::{
    client::{self, ConnectError},
    credential::MailboxCredential,
    frame::{ReadError, WriteError},
    quinn::{Connection, ConnectionError, Endpoint},
};
use hermes_wire::{Advice, InstanceId, Refusal, RelayAddress, RunId};
use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use self::{deliveries::until_committed, session::Session};
use super::{
    Link, LinkError,
    backoff::Backoff,
    board::{MailboxState, Reason, bounded},
    pace::Pace,
};
use crate::{
    limits::{COPY_PAUSE, REGISTRATION, RETRY_LAST},
    random::rng,
};

/// Which mailbox a connection is to, and as which run of the daemon.
#[derive(Clone, Copy)]
pub(super) struct Whose {
    /// The one at another relay; otherwise the account's own.
    pub(super) guest: Option<GuestId>,
    /// Another one for each mailbox: with the same, relays that compare would know them for one account's.
    pub(super) run: RunId,
}

impl Whose {
    /// The account's own mailbox.
    pub(super) fn own(run: RunId) -> Self {
        Self { guest: None, run }
    }

    /// One at another relay.
    pub(super) fn guest(guest: GuestId) -> Self {
        Self { guest: Some(guest), run: RunId::random(&mut rng()) }
    }

    /// What is to be made of a relay's word that another copy of the account's store has connected: only the account's
    /// own relay is believed, the other one shows with its mailbox.
    fn copy_seen(self) -> Option<LinkEvent> {
        self.guest.is_none().then_some(LinkEvent::CopySeen)
    }
}

/// Why a connection ended.
enum End {
    /// Another connection took over, of the installation with this id.
    Superseded(InstanceId),
    /// Another copy of the store is at work, and this one is behind.
    CopyStopped,
    /// The relay says no for good.
    Barred(Refusal),
    /// To be tried again after a wait of our choosing.
    Broken(Reason),
    /// To be tried again after the relay's wait.
    Later(Reason, Duration),
    /// The link itself cannot go on.
    Link(LinkError),
}

/// One attempt to stay connected.
struct Attempt<'a> {
    relay: &'a RelayAddress,
    /// Of all connections together: a relay that ends them is heard no more often.
    pace: &'a mut Option<Pace>,
    /// Since when the relay has had the registration.
    connected: Option<Instant>,
}

/// Stays connected. Returns when another installation, or another copy of the store, has taken the mailbox over; or when
/// another relay will not have it.
pub(super) async fn run(
    link: &Link,
    whose: Whose,
    endpoint: &Endpoint,
    settings: &MailboxSettings,
) -> Result<(), LinkError> {
    let guest = whose.guest;
    let credential = MailboxCredential::from_seed(&settings.mailbox_seed)?;
    if guest.is_none() && link.read(query::claiming).await? == Claiming::Stopped {
        link.board.set_mailbox(MailboxState::Stopped(Reason::CopyStopped));
        return Ok(());
    }
    let mut backoff = Backoff::default();
    let mut last = None;
    let mut pace = guest.map(|_| Pace::new(Instant::now()));
    let mut in_vain = 0;
    loop {
        link.board.set(guest, MailboxState::Connecting(last.take()));
        let relay = address(link, whose, settings, in_vain).await?;
        let mut attempt = Attempt { relay: &relay, pace: &mut pace, connected: None };
        let end = match client::connect_mailbox(endpoint, &relay, &credential).await {
            Ok(connection) => {
                let end = session(link, whose, &connection, settings, &mut attempt).await;
                connection.close(0u32.into(), b"");
                end
            }
            Err(error) => broken(&error),
        };
        in_vain += 1;
        if let Some(since) = attempt.connected {
            backoff.succeeded(since, Instant::now());
            in_vain = 0;
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
                if let Some(event) = whose.copy_seen() {
                    link.tell(vec![event]).await?;
                }
                (Reason::CopySeen, later(COPY_PAUSE))
            }
            End::Superseded(instance) => {
                tracing::error!("another installation of this account has taken over; this one stops");
                let refusal = Refusal::Superseded { instance };
                link.board.set(guest, MailboxState::Stopped(Reason::Refused(refusal)));
                return Ok(());
            }
            End::Barred(refusal) => {
                let reason = Reason::Refused(refusal.clone());
                if let Some(guest) = guest {
                    let tried = settings.registration_token.clone();
                    let refused = GuestEvent::Refused(refusal, tried);
                    until_committed(link.tell_and_follow(vec![LinkEvent::Guest(guest, refused)]).await?)
                        .await;
                    if link.read(move |view| query::guest_mailbox(view, guest)).await?.is_none() {
                        link.board.set(Some(guest), MailboxState::Stopped(reason));
                        return Ok(());
                    }
                }
                // The relay's operator may change its mind; the user sees the reason meanwhile.
                (reason, later(RETRY_LAST))
            }
            End::Broken(reason) => (reason, backoff.next(Instant::now(), &mut rng())),
            End::Later(reason, wait) => (reason, later(wait)),
        };
        tracing::info!(%reason, wait_ms = wait.as_millis(), "not connected to the mailbox");
        last = Some(reason.clone());
        link.board.set(guest, MailboxState::Waiting(reason));
        sleep(wait).await;
    }
}

/// Where the mailbox is. The relay of one at another relay may have been named by several contacts: each address has its
/// turn, after the one that led to it last.
async fn address(
    link: &Link,
    whose: Whose,
    settings: &MailboxSettings,
    in_vain: usize,
) -> Result<RelayAddress, LinkError> {
    let Some(guest) = whose.guest else { return Ok(settings.relay.clone()) };
    let addresses = link.read(move |view| query::guest_addresses(view, guest)).await?;
    let turn = in_vain % addresses.len().max(1);
    // None when the mailbox has just been given up, and this task is about to end.
    Ok(addresses.into_iter().nth(turn).unwrap_or_else(|| settings.relay.clone()))
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
    whose: Whose,
    connection: &Connection,
    settings: &MailboxSettings,
    attempt: &mut Attempt<'_>,
) -> End {
    let end = async {
        let registering = Session::register(link, whose, connection, settings, attempt.pace);
        let (mut session, registered) = timeout(REGISTRATION, registering)
            .await
            .map_err(|_| End::Broken(Reason::Unreachable("the relay does not answer".to_owned())))??;
        attempt.connected = Some(Instant::now());
        session.registered(registered, attempt.relay).await?;
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
        (_, Advice::Permanent | Advice::CatchUp) => End::Barred(refusal),
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

#[cfg(test)]
mod tests {
    use hermes_wire::{DropKey, MailboxId, RelayPin, Sequence, VERSION};

    use super::{session::registration, *};

    fn settings(number: u8) -> MailboxSettings {
        MailboxSettings {
            relay: RelayAddress::new("relay.test", 4433, RelayPin([number; 32])).unwrap(),
            instance: InstanceId([number; 16]),
            registration_token: None,
            mailbox_seed: [number; 32].into(),
            mailbox: MailboxId([number; 32]),
            drop_key: DropKey([number; 32]),
            cursor: Sequence(0),
        }
    }

    /// Relays that compare what they hear do not find two mailboxes to be one account's.
    #[test]
    fn mailboxes_of_one_daemon_have_nothing_in_common() {
        let run = RunId::random(&mut rng());
        let all = [Whose::own(run), Whose::guest(GuestId([1; 16])), Whose::guest(GuestId([2; 16]))];
        let said: Vec<_> =
            all.iter().zip(1..).map(|(whose, number)| registration(*whose, &settings(number))).collect();
        for (at, one) in said.iter().enumerate() {
            for other in said.iter().skip(at + 1) {
                assert_eq!((one.version, other.version), (VERSION, VERSION));
                assert_ne!(one.run, other.run);
                assert_ne!(one.instance, other.instance);
                assert_ne!(one.drop_key, other.drop_key);
            }
        }
    }

    #[test]
    fn only_the_own_relay_is_believed_that_there_is_a_copy() {
        assert!(matches!(Whose::own(RunId([1; 16])).copy_seen(), Some(LinkEvent::CopySeen)));
        assert!(Whose::guest(GuestId([1; 16])).copy_seen().is_none());
    }
}
