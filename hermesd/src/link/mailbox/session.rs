//! One connection, from its registration to its end.

use std::{collections::VecDeque, mem, time::Duration};

use futures_util::FutureExt;
use hermes_engine::{
    GuestEvent, GuestId, LinkEvent, PresenceDue,
    query::{self, Claiming, MailboxSettings},
};
use hermes_link::{
    frame::{FrameReader, FrameWriter},
    quinn::Connection,
};
use hermes_wire::{
    MoveClaim, RelayAddress, VERSION,
    limits::{CREDIT_BYTES, CREDIT_ENVELOPES},
    mailbox::{Credit, Deliver, Register, Registered, ToClient, ToRelay},
    prekey::{PrekeyId, PrekeyKind},
};
use rand::RngExt;
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    super::{
        Link,
        board::{MailboxState, Reason},
        liveness::Liveness,
        pace::Pace,
    },
    End, Whose,
    deliveries::{Pending, Settles, burst, first, until_committed},
    go_away, refused,
    uploads::BlobUpload,
};
use crate::{
    limits::{BEAT_LEAST, BEAT_MOST, CLAIM_LEAST, CLAIM_MOST, CLAIM_REFUSALS, PING, SETTLE},
    random::rng,
};

pub(super) struct Session<'a> {
    pub(super) link: &'a Link,
    /// Which mailbox, if it is one at another relay.
    pub(super) guest: Option<GuestId>,
    control: FrameReader<ToClient>,
    pub(super) writer: FrameWriter<ToRelay>,
    /// What the relay may still deliver.
    pub(super) credit: Credit,
    /// Commits to come, in order.
    pub(super) pending: VecDeque<Pending>,
    /// The upload under way, if there is one, with the kinds of what the relay has not confirmed yet.
    pub(super) uploading: Option<Vec<PrekeyKind>>,
    /// The blob under way.
    pub(super) blob: BlobUpload,
    /// Whether the registration took the place of another run of the daemon.
    replaced: bool,
    /// The claim that the relay was asked to take last.
    asked: Option<Box<MoveClaim>>,
    /// How often it has refused, since it took one.
    refusals: u32,
    /// How often the relay is heard, if a contact chose it.
    pub(super) pace: &'a mut Option<Pace>,
    /// Wakes it, if it is to one at another relay; since before anything was read.
    wanted: watch::Receiver<u64>,
    /// Whether the relay has taken a claim on this connection: nothing is fetched or put before.
    pub(super) settled: bool,
}

impl<'a> Session<'a> {
    pub(super) async fn register(
        link: &'a Link,
        whose: Whose,
        connection: &Connection,
        settings: &MailboxSettings,
        pace: &'a mut Option<Pace>,
    ) -> Result<(Self, Registered), End> {
        let (send, receive) = connection.open_bi().await.map_err(|_| End::Broken(Reason::Lost))?;
        let mut session = Self {
            link,
            guest: whose.guest,
            control: FrameReader::new(receive),
            writer: FrameWriter::new(send),
            credit: Credit { envelopes: 0, bytes: 0 },
            pending: VecDeque::new(),
            uploading: None,
            blob: BlobUpload::None,
            replaced: false,
            asked: None,
            refusals: 0,
            pace,
            wanted: link.wakes.guests_wanted(),
            settled: false,
        };
        session.writer.send(&ToRelay::Register(registration(whose, settings))).await?;
        match session.control.next().await? {
            Some(ToClient::Registered(registered)) => Ok((session, registered)),
            Some(ToClient::Refused(refusal)) => Err(refused(refusal)),
            Some(ToClient::GoAway(delay)) => Err(go_away(delay)),
            Some(_) => Err(End::Broken(Reason::Misbehaved)),
            None => Err(End::Broken(Reason::Lost)),
        }
    }

    /// Commits the registration, and with it what is to be claimed.
    pub(super) async fn registered(
        &mut self,
        registered: Registered,
        relay: &RelayAddress,
    ) -> Result<(), End> {
        if let Some(guest) = self.guest {
            return self.guest_registered(guest, relay.clone(), &registered).await;
        }
        self.link.board.set_stock(registered.stock.clone());
        self.link.board.set_relay_clock(registered.relay_time);
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

    /// A mailbox at another relay is open at once: the store is known to be the newest before it is asked for.
    async fn guest_registered(
        &mut self,
        guest: GuestId,
        relay: RelayAddress,
        registered: &Registered,
    ) -> Result<(), End> {
        let Registered { relay_time, head, .. } = *registered;
        let event = LinkEvent::Guest(guest, GuestEvent::Registered { relay, relay_time, head });
        let committed = self.link.tell_and_follow(vec![event]).await?;
        until_committed(committed).await;
        self.settled = true;
        tracing::info!("connected to a mailbox at another relay");
        self.link.board.set(Some(guest), MailboxState::Connected);
        self.revoke().await?;
        self.grant(Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES });
        self.upload_blob().await
    }

    /// Does the next thing about the store claim.
    pub(super) async fn claim(&mut self) -> Result<(), End> {
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
        self.revoke().await?;
        self.grant(Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES });
        self.link.tell(vec![LinkEvent::PresenceDue(PresenceDue::Connected)]).await?;
        self.give_key_packages().await?;
        self.upload_prekeys().await?;
        self.upload_blob().await
    }

    /// Tells the relay which permissions it is to refuse. To say so twice does nothing.
    async fn revoke(&mut self) -> Result<(), End> {
        let guest = self.guest;
        for (contact, until) in self.link.read(move |view| query::revocations_at(view, guest)).await? {
            self.writer.push(&ToRelay::Revoke(contact, until));
        }
        Ok(())
    }

    async fn claim_answered(&mut self, event: LinkEvent) -> Result<(), End> {
        self.asked = None;
        let committed = self.link.tell_and_follow(vec![event]).await?;
        self.pending.push_back(Pending { committed, settles: Settles::Claim });
        Ok(())
    }

    /// Serves both streams until the connection ends.
    pub(super) async fn serve(&mut self, connection: &Connection) -> Result<std::convert::Infallible, End> {
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
        // What wakes the connection to the account's own mailbox wakes one connection only.
        let own = self.guest.is_none();
        let mut liveness = Liveness::new(connection);
        let mut ping = every(PING);
        let mut awaiting = false;
        let (settle_by, claim_due) = (sleep(SETTLE), sleep(until_next_claim()));
        let beat = sleep(until_next_beat());
        tokio::pin!(settle_by, claim_due, beat);
        // The relay opens the stream with its first delivery, which may be long in coming.
        let mut deliveries: Option<FrameReader<Deliver>> = None;
        loop {
            let pace = *self.pace;
            tokio::select! {
                written = self.writer.flush(), if self.writer.pending() > 0 => written?,
                frame = async { ready(pace).await; self.control.next().await } => {
                    self.count(1);
                    self.control_frame(frame?).await?;
                }
                stream = connection.accept_uni(), if deliveries.is_none() => {
                    deliveries = Some(FrameReader::new(stream?));
                }
                batch = async { ready(pace).await; burst(&mut deliveries).await } => {
                    let batch = batch?;
                    self.count(batch.len());
                    self.deliver(batch).await?;
                }
                settled = first(&mut self.pending) => self.settle(settled).await?,
                () = link.wakes.prekeys_wanted(), if own => self.upload_prekeys().await?,
                () = link.wakes.uploads_wanted(), if own => self.upload_blob().await?,
                Ok(()) = self.wanted.changed(), if !own => {
                    self.revoke().await?;
                    self.upload_blob().await?;
                }
                () = self.blob.may_go_on() => self.upload_blob().await?,
                () = link.wakes.key_packages_wanted(), if own && self.settled => self.give_key_packages().await?,
                () = link.wakes.revocations_wanted(), if own && self.settled => self.revoke().await?,
                () = link.wakes.claim_wanted(), if own => self.claim().await?,
                () = &mut claim_due, if own => {
                    link.tell(vec![LinkEvent::ClaimDue]).await?;
                    claim_due.as_mut().reset(Instant::now() + until_next_claim());
                }
                () = &mut beat, if own => {
                    if self.settled {
                        link.tell(vec![LinkEvent::PresenceDue(PresenceDue::Beat)]).await?;
                    }
                    beat.as_mut().reset(Instant::now() + until_next_beat());
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

    fn count(&mut self, frames: usize) {
        if let Some(pace) = self.pace.as_mut() {
            pace.count(frames, Instant::now());
        }
    }

    async fn control_frame(&mut self, frame: Option<ToClient>) -> Result<(), End> {
        match frame {
            // A mailbox at another relay has no prekeys and no claim.
            Some(
                ToClient::PrekeysStored(_)
                | ToClient::PrekeyStock(_)
                | ToClient::Claimed(_)
                | ToClient::ClaimRefused(_),
            ) if self.guest.is_some() => Err(End::Broken(Reason::Misbehaved)),
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
            Some(ToClient::Revoked(contact)) => {
                let event = match self.guest {
                    None => LinkEvent::Revoked(contact),
                    Some(guest) => LinkEvent::Guest(guest, GuestEvent::Revoked(contact)),
                };
                Ok(self.link.tell(vec![event]).await?)
            }
            Some(ToClient::Pong) => Ok(()),
            Some(ToClient::GoAway(delay)) => Err(go_away(delay)),
            Some(ToClient::Refused(refusal)) => Err(refused(refusal)),
            Some(ToClient::BlobStored(blob, stored)) => self.blob_stored(blob, stored).await,
            Some(ToClient::BlobRefused(blob, refusal)) => self.blob_refused(blob, refusal).await,
            Some(ToClient::Registered(_)) => Err(End::Broken(Reason::Misbehaved)),
            None => Err(End::Broken(Reason::Lost)),
        }
    }
}

/// What a relay is told of whose mailbox it is.
pub(super) fn registration(whose: Whose, settings: &MailboxSettings) -> Register {
    Register {
        version: VERSION,
        instance: settings.instance,
        run: whose.run,
        registration_token: settings.registration_token.clone(),
        drop_key: settings.drop_key,
    }
}

/// Waits until a relay is to be heard again. Cancel-safe.
async fn ready(pace: Option<Pace>) {
    if let Some(pace) = pace {
        pace.ready().await;
    }
}

/// Drawn anew each time, whatever the account does meanwhile.
fn until_next_claim() -> Duration {
    rng().random_range(CLAIM_LEAST..=CLAIM_MOST)
}

fn until_next_beat() -> Duration {
    rng().random_range(BEAT_LEAST..=BEAT_MOST)
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
