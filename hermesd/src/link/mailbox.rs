//! The connection to the account's own mailbox: registers, claims it for this store, uploads prekeys, takes deliveries,
//! acknowledges commits.

use std::{collections::VecDeque, mem, time::Duration};

use futures_util::FutureExt;
use hermes_engine::{
    LinkEvent,
    query::{self, Claiming, MailboxSettings},
};
use hermes_link::{
    client::{self, ConnectError},
    credential::MailboxCredential,
    frame::{FrameReader, FrameWriter, ReadError, WriteError},
    quinn::{Connection, ConnectionError, Endpoint},
};
use hermes_wire::{
    Advice, InstanceId, MoveClaim, Refusal, VERSION,
    limits::{CREDIT_BYTES, CREDIT_ENVELOPES},
    mailbox::{Credit, Deliver, Register, Registered, ToClient, ToRelay},
    prekey::{PrekeyId, PrekeyKind},
};
use rand::RngExt;
use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Link, LinkError,
    backoff::Backoff,
    board::{MailboxState, Reason, bounded},
    liveness::Liveness,
};
use crate::{
    account::Committed,
    limits::{
        CLAIM_LEAST, CLAIM_MOST, CLAIM_REFUSALS, COPY_PAUSE, DELIVERY_BATCH, DELIVERY_BATCH_BYTES, PING,
        REGISTRATION, RETRY_LAST, SETTLE,
    },
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

/// A commit that the relay has to hear of.
struct Pending {
    committed: oneshot::Receiver<Committed>,
    settles: Settles,
}

/// What a commit settles.
enum Settles {
    /// Deliveries, whose credit is then renewed.
    Deliveries(Credit),
    /// An upload, after which the next may go.
    Upload,
    /// An answer about the store claim, after which the next step is known.
    Claim,
}

struct Session<'a> {
    link: &'a Link,
    control: FrameReader<ToClient>,
    writer: FrameWriter<ToRelay>,
    /// What the relay may still deliver.
    credit: Credit,
    /// Commits to come, in order.
    pending: VecDeque<Pending>,
    /// The upload under way, if there is one, with the kinds of what the relay has not confirmed yet.
    uploading: Option<Vec<PrekeyKind>>,
    /// Whether the registration took the place of another run of the daemon.
    replaced: bool,
    /// The claim that the relay was asked to take last.
    asked: Option<Box<MoveClaim>>,
    /// How often it has refused, since it took one.
    refusals: u32,
    /// Whether the relay has taken a claim on this connection: nothing is fetched or put before.
    settled: bool,
}

impl<'a> Session<'a> {
    async fn register(
        link: &'a Link,
        connection: &Connection,
        settings: &MailboxSettings,
    ) -> Result<(Self, Registered), End> {
        let (send, receive) = connection.open_bi().await.map_err(|_| End::Broken(Reason::Lost))?;
        let mut session = Self {
            link,
            control: FrameReader::new(receive),
            writer: FrameWriter::new(send),
            credit: Credit { envelopes: 0, bytes: 0 },
            pending: VecDeque::new(),
            uploading: None,
            replaced: false,
            asked: None,
            refusals: 0,
            settled: false,
        };
        let register = Register {
            version: VERSION,
            instance: settings.instance,
            run: link.run,
            registration_token: settings.registration_token.clone(),
            drop_key: settings.drop_key,
        };
        session.writer.send(&ToRelay::Register(register)).await?;
        match session.control.next().await? {
            Some(ToClient::Registered(registered)) => Ok((session, registered)),
            Some(ToClient::Refused(refusal)) => Err(refused(refusal)),
            Some(ToClient::GoAway(delay)) => Err(go_away(delay)),
            Some(_) => Err(End::Broken(Reason::Misbehaved)),
            None => Err(End::Broken(Reason::Lost)),
        }
    }

    /// Commits the registration, and with it what is to be claimed.
    async fn registered(&mut self, registered: Registered) -> Result<(), End> {
        self.link.board.set_stock(registered.stock.clone());
        let event = LinkEvent::Registered {
            relay_time: registered.relay_time,
            next_prekey_id: registered.next_prekey_id,
            stock: registered.stock,
            head: registered.head,
            claim: registered.claim,
            replaced: registered.replaced,
        };
        self.replaced = registered.replaced;
        let committed = self.link.tell_and_follow(vec![event]).await?;
        until_committed(committed).await;
        self.claim().await
    }

    /// Does the next thing about the store claim.
    async fn claim(&mut self) -> Result<(), End> {
        match self.link.read(query::claiming).await? {
            Claiming::Stopped => Err(End::CopyStopped),
            Claiming::Ask(asked) => {
                // Woken twice, it is asked once.
                if self.asked.as_ref() != Some(&asked) {
                    self.writer.push(&ToRelay::Claim((*asked).clone()));
                    self.asked = Some(asked);
                }
                Ok(())
            }
            Claiming::Settled if self.settled => Ok(()),
            Claiming::Settled => self.settled().await,
        }
    }

    /// The store is the newest: what it sealed may leave, and the mailbox be emptied into it. What was taken before comes
    /// again and is acknowledged then: the stored cursor proves nothing about a relay that was restored from an old
    /// copy.
    async fn settled(&mut self) -> Result<(), End> {
        self.settled = true;
        tracing::info!("connected to the mailbox");
        self.link.newest.send_replace(true);
        let floor = self.link.read(query::prekey_floor).await?;
        if floor > PrekeyId(0) {
            self.writer.push(&ToRelay::DropPrekeys(floor));
        }
        self.grant(Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES });
        self.upload().await
    }

    async fn claim_answered(&mut self, event: LinkEvent) -> Result<(), End> {
        self.asked = None;
        let committed = self.link.tell_and_follow(vec![event]).await?;
        self.pending.push_back(Pending { committed, settles: Settles::Claim });
        Ok(())
    }

    /// Serves both streams until the connection ends.
    async fn serve(&mut self, connection: &Connection) -> Result<std::convert::Infallible, End> {
        match self.serve_streams(connection).await {
            Err(End::Broken(Reason::Lost)) => Err(self.last_word()),
            end => end,
        }
    }

    /// Why the connection ended, if the relay said so: its close may be noticed before its last frame is read.
    fn last_word(&mut self) -> End {
        while let Some(Ok(Some(frame))) = self.control.next().now_or_never() {
            match frame {
                ToClient::Refused(refusal) => return refused(refusal),
                ToClient::GoAway(delay) => return go_away(delay),
                _ => {}
            }
        }
        End::Broken(Reason::Lost)
    }

    async fn serve_streams(&mut self, connection: &Connection) -> Result<std::convert::Infallible, End> {
        let link = self.link;
        let mut liveness = Liveness::new(connection);
        let mut ping = every(PING);
        let mut awaiting = false;
        let (settle_by, claim_due) = (sleep(SETTLE), sleep(until_next_claim()));
        tokio::pin!(settle_by, claim_due);
        // The relay opens the stream with its first delivery, which may be long in coming.
        let mut deliveries: Option<FrameReader<Deliver>> = None;
        loop {
            tokio::select! {
                written = self.writer.flush(), if self.writer.pending() > 0 => written?,
                frame = self.control.next() => self.control_frame(frame?).await?,
                stream = connection.accept_uni(), if deliveries.is_none() => {
                    deliveries = Some(FrameReader::new(stream?));
                }
                batch = burst(&mut deliveries) => self.deliver(batch?).await?,
                settled = first(&mut self.pending) => self.settle(settled).await?,
                () = link.wakes.prekeys_wanted() => self.upload().await?,
                () = link.wakes.claim_wanted() => self.claim().await?,
                () = &mut claim_due => {
                    link.tell(vec![LinkEvent::ClaimDue]).await?;
                    claim_due.as_mut().reset(Instant::now() + until_next_claim());
                }
                () = &mut settle_by, if !self.settled => {
                    return Err(End::Broken(Reason::Unreachable("the relay does not answer".to_owned())));
                }
                _ = ping.tick() => {
                    if awaiting && !liveness.heard() {
                        return Err(End::Broken(Reason::Lost));
                    }
                    // Also keeps the question open whether the relay is there: an idle client would not notice that
                    // it restarted.
                    self.writer.push(&ToRelay::Ping);
                    awaiting = true;
                }
            }
        }
    }

    async fn control_frame(&mut self, frame: Option<ToClient>) -> Result<(), End> {
        match frame {
            Some(ToClient::PrekeysStored(through)) => {
                // Before the commit: a stock that the relay tells next has them in it.
                self.link.board.add_stock(&self.uploading.as_mut().map(mem::take).unwrap_or_default());
                let committed = self.link.tell_and_follow(vec![LinkEvent::PrekeysStored(through)]).await?;
                self.pending.push_back(Pending { committed, settles: Settles::Upload });
                Ok(())
            }
            Some(ToClient::PrekeyStock(stock)) => {
                self.link.board.set_stock(stock.clone());
                Ok(self.link.tell(vec![LinkEvent::PrekeyStock(stock)]).await?)
            }
            Some(ToClient::Claimed(claim)) => {
                self.refusals = 0;
                self.claim_answered(LinkEvent::Claimed(claim)).await
            }
            Some(ToClient::ClaimRefused(held)) => {
                self.refusals = self.refusals.saturating_add(1);
                if self.refusals > CLAIM_REFUSALS {
                    return Err(End::Broken(Reason::Misbehaved));
                }
                let replaced = self.replaced;
                self.claim_answered(LinkEvent::ClaimRefused { held, replaced }).await
            }
            Some(ToClient::Pong | ToClient::Revoked(_)) => Ok(()),
            Some(ToClient::GoAway(delay)) => Err(go_away(delay)),
            Some(ToClient::Refused(refusal)) => Err(refused(refusal)),
            // No blob was uploaded.
            Some(ToClient::Registered(_) | ToClient::BlobStored(..) | ToClient::BlobRefused(..)) => {
                Err(End::Broken(Reason::Misbehaved))
            }
            None => Err(End::Broken(Reason::Lost)),
        }
    }

    /// Hands a burst to the account's thread as one item, so that one commit takes it all.
    async fn deliver(&mut self, batch: Vec<Deliver>) -> Result<(), End> {
        let mut used = Credit { envelopes: 0, bytes: 0 };
        let mut events = Vec::with_capacity(batch.len());
        for frame in batch {
            events.push(match frame {
                Deliver::Envelope(delivered) => {
                    let bytes = u32::try_from(delivered.body.len()).unwrap_or(u32::MAX);
                    used.envelopes = used.envelopes.saturating_add(1);
                    used.bytes = used.bytes.saturating_add(bytes);
                    LinkEvent::Delivered(delivered)
                }
                Deliver::Gone(first, last) => LinkEvent::Gone(first, last),
            });
        }
        // A relay that sends more than it was allowed would have us hold without bound.
        let left =
            self.credit.envelopes.checked_sub(used.envelopes).zip(self.credit.bytes.checked_sub(used.bytes));
        let Some((envelopes, bytes)) = left else { return Err(End::Broken(Reason::Misbehaved)) };
        self.credit = Credit { envelopes, bytes };
        let committed = self.link.tell_and_follow(events).await?;
        self.pending.push_back(Pending { committed, settles: Settles::Deliveries(used) });
        Ok(())
    }

    /// A commit is done: only now the relay may forget, and send more.
    async fn settle(&mut self, (committed, settles): (Committed, Settles)) -> Result<(), End> {
        if let Some(sequence) = committed.ack {
            self.writer.push(&ToRelay::Ack(sequence));
        }
        match settles {
            Settles::Deliveries(used) => {
                self.grant(used);
                Ok(())
            }
            Settles::Upload => {
                self.uploading = None;
                self.upload().await
            }
            Settles::Claim => self.claim().await,
        }
    }

    fn grant(&mut self, credit: Credit) {
        self.credit.envelopes = self.credit.envelopes.saturating_add(credit.envelopes);
        self.credit.bytes = self.credit.bytes.saturating_add(credit.bytes);
        self.writer.push(&ToRelay::Credit(credit));
    }

    /// Uploads one frame of prekeys, if there are any and no upload is under way.
    async fn upload(&mut self) -> Result<(), End> {
        if self.uploading.is_some() || !self.settled {
            return Ok(());
        }
        let prekeys = self.link.read(query::prekeys_to_publish).await?;
        if !prekeys.is_empty() {
            self.uploading = Some(prekeys.iter().map(|prekey| prekey.kind).collect());
            self.writer.push(&ToRelay::PutPrekeys(prekeys));
        }
        // Until its first keys are up, an account cannot be written to, and whoever waits for it waits for that.
        if self.link.read(query::summary).await?.registered {
            self.link.board.set_mailbox(MailboxState::Connected);
        }
        Ok(())
    }
}

/// The deliveries that have arrived, at least one, up to a limit. Cancel-safe: what is read is returned at once.
async fn burst(deliveries: &mut Option<FrameReader<Deliver>>) -> Result<Vec<Deliver>, End> {
    let Some(stream) = deliveries else { return std::future::pending().await };
    let mut bytes = 0;
    let mut batch = vec![stream.next().await?.ok_or(End::Broken(Reason::Lost))?];
    while batch.len() < DELIVERY_BATCH && bytes < DELIVERY_BATCH_BYTES {
        let Some(frame) = stream.buffered()? else { break };
        if let Deliver::Envelope(delivered) = &frame {
            bytes += delivered.body.len();
        }
        batch.push(frame);
    }
    Ok(batch)
}

/// The oldest commit to come. Cancel-safe.
async fn first(pending: &mut VecDeque<Pending>) -> (Committed, Settles) {
    let Some(oldest) = pending.front_mut() else { return std::future::pending().await };
    let committed = until_committed(&mut oldest.committed).await;
    match pending.pop_front() {
        Some(Pending { settles, .. }) => (committed, settles),
        None => std::future::pending().await,
    }
}

/// A commit that failed is waited for in vain: the account is about to be loaded anew, and the link with it.
async fn until_committed(committed: impl Future<Output = Result<Committed, RecvError>>) -> Committed {
    match committed.await {
        Ok(committed) => committed,
        Err(_) => std::future::pending().await,
    }
}

/// Drawn anew each time, whatever the account does meanwhile.
fn until_next_claim() -> Duration {
    rng().random_range(CLAIM_LEAST..=CLAIM_MOST)
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
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
