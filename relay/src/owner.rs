//! A mailbox connection: its owner registers, manages prekeys and contacts, and is sent what waits.
//!
//! Two loops share the connection. The control loop answers frames one after the other; the delivery loop sends
//! envelopes as far as the owner's credit goes. Neither waits for the other, so a full deliver stream never blocks the
//! acks that would empty it.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use hermes_link::{
    close,
    frame::{FrameReader, FrameWriter, ReadError, WriteError},
    quinn::{Connection, VarInt},
    server,
};
use hermes_wire::{
    MailboxId, MoveClaim, Refusal, Sequence,
    blob::PutBlob,
    limits::{CREDIT_BYTES, CREDIT_ENVELOPES},
    mailbox::{Credit, Deliver, Passing, ToClient, ToRelay},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    connected::{Entry, Joined, News},
    fresh::Fresh,
    limits::{ANSWER, FIRST_FRAME, FIRST_FRAME_BYTES, LAST_FRAME, RETURN_JITTER_MS},
    places::Place,
    relay::{self, Outcome, Request},
    serve::Shared,
    store::Store,
};

/// Why a mailbox connection ends: what the owner is told last, and the code of the close.
struct Farewell(Option<ToClient>, VarInt);

/// Serves the connection with that number, in the order in which they were accepted.
pub(crate) async fn serve(
    shared: &Shared,
    connection: &Connection,
    (mailbox, place): (MailboxId, &mut Place),
    accepted: u64,
) {
    let until = Instant::now() + FIRST_FRAME;
    let opened = timeout_at(until, connection.accept_bi()).await;
    let Ok(Ok((send, receive))) = opened else {
        return connection.close(close::TOO_SLOW, b"");
    };
    let reader = FrameReader::limited(receive, FIRST_FRAME_BYTES);
    let writer = FrameWriter::new(send);
    let mut control = Control { shared, mailbox, reader, writer, acked: Sequence(0), unconfirmed: None };
    let Farewell(last, code) = control.run(connection, (accepted, place), until).await;
    if let Some(last) = last {
        // Whoever reads nothing would otherwise keep its place for ever.
        let _ = timeout(LAST_FRAME, control.say_last(&last)).await;
    }
    connection.close(code, b"");
}

struct Control<'a> {
    shared: &'a Shared,
    mailbox: MailboxId,
    reader: FrameReader<ToRelay>,
    writer: FrameWriter<ToClient>,
    /// What the owner has said that it has.
    acked: Sequence,
    /// The same, if it has said so since a ping was answered last.
    unconfirmed: Option<Sequence>,
}

impl Control<'_> {
    async fn run(
        &mut self,
        connection: &Connection,
        (accepted, arrived): (u64, &mut Place),
        until: Instant,
    ) -> Farewell {
        let Ok(first) = timeout_at(until, self.reader.next()).await else {
            return Farewell(None, close::TOO_SLOW);
        };
        let register = match first {
            Ok(Some(ToRelay::Register(register))) => register,
            Ok(Some(_)) | Err(ReadError::Malformed(_)) => return Farewell::bad_frame(),
            Ok(None) | Err(_) => return Farewell(None, close::DONE),
        };
        self.shared.take_in_new_tokens(&register).await;
        let entry = Entry { accepted, instance: register.instance, run: register.run };
        let request = Request::Register { mailbox: self.mailbox, register };
        let (mut registered, acked) = match self.shared.committer.submit(request).await {
            Outcome::Registered { registered, acked } => (registered, acked),
            Outcome::Refused(refusal) => return Farewell(Some(ToClient::Refused(refusal)), close::REFUSED),
            _ => return Farewell::bad_frame(),
        };
        arrived.belongs_to_owner();
        self.acked = acked;
        let head = registered.head;
        self.reader.lift_limit();
        server::widen(connection);
        server::widen_sending(connection);
        let Some(mut joined) = self.shared.connected.join(self.mailbox, entry) else {
            return Farewell(None, close::DONE);
        };
        registered.replaced = joined.replaced;
        if let Err(farewell) = self.say(&ToClient::Registered(registered)).await {
            return farewell;
        }
        let Ok(deliver) = connection.open_uni().await else { return Farewell(None, close::DONE) };
        let (purse, told) = (Purse::empty(), AtomicU64::new(head.0));
        let Some(passing) = joined.passing.take() else { return Farewell(None, close::DONE) };
        let delivery = Delivery {
            shared: self.shared,
            mailbox: self.mailbox,
            purse: &purse,
            told: &told,
            news: joined.news.clone(),
            fresh: joined.fresh.clone(),
            passing,
            after: acked,
            head: acked,
            writer: FrameWriter::new(deliver),
        };
        tokio::select! {
            farewell = self.answer(&joined, &purse, &told) => farewell,
            _ = delivery.run() => Farewell(None, close::DONE),
        }
    }

    /// Answers the owner, and tells it what it did not ask for.
    async fn answer(&mut self, joined: &Joined, purse: &Purse, told: &AtomicU64) -> Farewell {
        let mut news = joined.news.clone();
        let mut fetches = 0;
        // One for all of it: all connections share what it waits for.
        let mut drain = pin!(self.shared.drain_began());
        loop {
            tokio::select! {
                frame = self.reader.next() => match frame {
                    Ok(Some(frame)) => {
                        joined.heard();
                        if let Err(farewell) = self.answer_one(frame, purse, told).await {
                            return farewell;
                        }
                    }
                    Err(ReadError::Malformed(_)) => return Farewell::bad_frame(),
                    Ok(None) | Err(_) => return Farewell(None, close::DONE),
                },
                Ok(()) = news.changed() => {
                    let news = news.borrow_and_update().clone();
                    if let Some(instance) = news.superseded {
                        let refusal = Refusal::Superseded { instance };
                        return Farewell(Some(ToClient::Refused(refusal)), close::SUPERSEDED);
                    }
                    if news.closed {
                        let refusal = Refusal::RegistrationRefused;
                        return Farewell(Some(ToClient::Refused(refusal)), close::REFUSED);
                    }
                    if news.fetches > fetches {
                        fetches = news.fetches;
                        if let Err(farewell) = self.say(&ToClient::PrekeyStock(news.stock)).await {
                            return farewell;
                        }
                    }
                }
                () = &mut drain => {
                    let delay = rand::random_range(0..=RETURN_JITTER_MS);
                    return Farewell(Some(ToClient::GoAway(delay)), close::DRAINING);
                }
            }
        }
    }

    async fn answer_one(&mut self, frame: ToRelay, purse: &Purse, told: &AtomicU64) -> Result<(), Farewell> {
        let mailbox = self.mailbox;
        let answer = match frame {
            ToRelay::Ping => Some(self.pong().await),
            ToRelay::Credit(credit) => {
                purse.earn(credit);
                None
            }
            ToRelay::Register(_) => return Err(Farewell::bad_frame()),
            ToRelay::PutPrekeys(entries) => self.ask(Request::PutPrekeys { mailbox, entries }).await,
            ToRelay::PutBlob(put) => return self.put_blob(put).await,
            ToRelay::DropPrekeys(below) => self.ask(Request::DropPrekeys { mailbox, below }).await,
            ToRelay::Revoke(contact, until) => self.ask(Request::Revoke { mailbox, contact, until }).await,
            ToRelay::Ack(upto) => self.acknowledge(upto, Sequence(told.load(Ordering::SeqCst))).await,
            ToRelay::Claim(claim) => return self.claim(claim).await,
        };
        match answer {
            Some(ToClient::Refused(Refusal::BadFrame)) => Err(Farewell::bad_frame()),
            Some(answer) => self.say(&answer).await,
            None => Ok(()),
        }
    }

    /// Of what the owner was told here, `told`, it is taken in by and by that it has it. Of anything else the rules are asked: what
    /// an earlier connection was told is good, and for what never was this connection ends, and no other of the mailbox.
    async fn acknowledge(&mut self, upto: Sequence, told: Sequence) -> Option<ToClient> {
        if upto <= self.acked {
            return None;
        }
        if upto <= told {
            self.shared.committer.acknowledge(self.mailbox, upto);
            self.unconfirmed = Some(upto);
        } else if let Some(refused) = self.ask(Request::Ack { mailbox: self.mailbox, upto }).await {
            return Some(refused);
        }
        self.acked = upto;
        None
    }

    /// The answer to a ping says that what the owner acknowledged before is taken in.
    async fn pong(&mut self) -> ToClient {
        let Some(upto) = self.unconfirmed.take() else { return ToClient::Pong };
        let again = Request::Ack { mailbox: self.mailbox, upto };
        self.ask(again).await.unwrap_or(ToClient::Pong)
    }

    /// Moves the store claim on, and tells what is left of the prekeys if that dropped them.
    async fn claim(&mut self, claim: MoveClaim) -> Result<(), Farewell> {
        match self.shared.committer.submit(Request::Claim { mailbox: self.mailbox, claim }).await {
            Outcome::Claimed { claim, stock } => {
                self.say(&ToClient::Claimed(claim)).await?;
                match stock {
                    Some(stock) => self.say(&ToClient::PrekeyStock(stock)).await,
                    None => Ok(()),
                }
            }
            Outcome::ClaimRefused(held) => self.say(&ToClient::ClaimRefused(held)).await,
            Outcome::Refused(Refusal::BadFrame) => Err(Farewell::bad_frame()),
            Outcome::Refused(refusal) => self.say(&ToClient::Refused(refusal)).await,
            _ => Ok(()),
        }
    }

    async fn put_blob(&mut self, put: PutBlob) -> Result<(), Farewell> {
        let (mailbox, blob) = (self.mailbox, put.blob);
        match self.shared.committer.submit(Request::PutBlob { mailbox, put }).await {
            Outcome::BlobStored(upto) => self.say(&ToClient::BlobStored(blob, upto)).await,
            Outcome::Refused(Refusal::BadFrame) => Err(Farewell::bad_frame()),
            Outcome::Refused(refusal) => self.say(&ToClient::BlobRefused(blob, refusal)).await,
            _ => Ok(()),
        }
    }

    /// Writes a frame, and does not wait for ever until the owner takes it: meanwhile it would hear nothing else, not
    /// even that it was superseded.
    async fn say(&mut self, frame: &ToClient) -> Result<(), Farewell> {
        match timeout(ANSWER, self.writer.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Farewell(None, close::DONE)),
            Err(_) => Err(Farewell(None, close::TOO_SLOW)),
        }
    }

    async fn say_last(&mut self, frame: &ToClient) {
        if self.writer.send(frame).await.is_ok() {
            self.writer.finish();
            self.writer.finished().await;
        }
    }

    async fn ask(&self, request: Request) -> Option<ToClient> {
        match self.shared.committer.submit(request).await {
            Outcome::PrekeysStored(id) => Some(ToClient::PrekeysStored(id)),
            Outcome::Revoked(contact) => Some(ToClient::Revoked(contact)),
            Outcome::Refused(refusal) => Some(ToClient::Refused(refusal)),
            _ => None,
        }
    }
}

impl Farewell {
    fn bad_frame() -> Self {
        Self(Some(ToClient::Refused(Refusal::BadFrame)), close::BAD_FRAME)
    }
}

/// The owner's credit, earned in one loop and spent in the other.
struct Purse {
    credit: Mutex<Credit>,
    earned: Notify,
    /// Whether more credit may be waited for. An owner that keeps up earns some with each envelope, and it is nothing to wake
    /// anybody for.
    wanted: AtomicBool,
}

impl Purse {
    fn empty() -> Self {
        let credit = Mutex::new(Credit { envelopes: 0, bytes: 0 });
        Self { credit, earned: Notify::new(), wanted: AtomicBool::new(false) }
    }

    /// Adds credit, up to what a client may have outstanding.
    fn earn(&self, more: Credit) {
        self.change(|credit| Credit {
            envelopes: credit.envelopes.saturating_add(more.envelopes).min(CREDIT_ENVELOPES),
            bytes: credit.bytes.saturating_add(more.bytes).min(CREDIT_BYTES),
        });
        if self.wanted.load(Ordering::SeqCst) {
            self.earned.notify_one();
        }
    }

    fn spend(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.change(|credit| Credit {
            envelopes: credit.envelopes.saturating_sub(1),
            bytes: credit.bytes.saturating_sub(bytes),
        });
    }

    fn change(&self, change: impl FnOnce(Credit) -> Credit) -> Credit {
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        *credit = change(*credit);
        *credit
    }
}

struct Delivery<'a> {
    shared: &'a Shared,
    mailbox: MailboxId,
    purse: &'a Purse,
    /// The last sequence that the owner knows of.
    told: &'a AtomicU64,
    news: watch::Receiver<News>,
    fresh: Arc<Mutex<Fresh>>,
    passing: mpsc::Receiver<Passing>,
    /// What was sent, up to here.
    after: Sequence,
    /// What was committed, up to here.
    head: Sequence,
    writer: FrameWriter<Deliver>,
}

impl Delivery<'_> {
    /// Sends what waits, then what comes, until the connection or the store fails.
    async fn run(mut self) -> Result<(), WriteError> {
        // What was committed before the owner had its place, it was not told of.
        let mailbox = self.mailbox;
        let Some(row) = self.shared.read(move |store| store.mailbox(mailbox)).await else { return Ok(()) };
        self.head = row.map_or(self.head, |row| row.head);
        loop {
            // Marked as seen before the store is read, so that no deposit falls between.
            self.head = self.news.borrow_and_update().head.max(self.head);
            let batch = self.next().await;
            if batch.is_empty() {
                self.writer.flush().await?;
                tokio::select! {
                    Some(passing) = self.passing.recv() => self.pass(passing),
                    // When the place is taken by a newer connection, the control loop says farewell.
                    Ok(()) = self.news.changed() => {}
                    () = self.purse.earned.notified() => {}
                }
                continue;
            }
            for deliver in batch {
                self.after = match &deliver {
                    Deliver::Envelope(envelope) => {
                        self.purse.spend(envelope.body.len());
                        envelope.sequence
                    }
                    Deliver::Gone(_, last) => *last,
                    Deliver::Ephemeral(_) => self.after,
                };
                // Before it leaves, so that it is known when it is acknowledged.
                self.told.fetch_max(self.after.0, Ordering::SeqCst);
                self.writer.push(&deliver);
                if self.writer.is_full() {
                    self.writer.flush().await?;
                }
            }
            self.writer.flush().await?;
        }
    }

    /// Hands an ephemeral envelope on, if the owner has credit for it at this moment.
    fn pass(&mut self, passing: Passing) {
        let bytes = u32::try_from(passing.body.len()).unwrap_or(u32::MAX);
        let credit = self.purse.change(|credit| credit);
        if credit.envelopes > 0 && credit.bytes >= bytes {
            self.purse.spend(passing.body.len());
            self.writer.push(&Deliver::Ephemeral(passing));
        }
    }

    /// What the credit allows of what is committed and not sent.
    async fn next(&self) -> Vec<Deliver> {
        if self.after >= self.head {
            self.purse.wanted.store(false, Ordering::SeqCst);
            return Vec::new();
        }
        // Before the credit is looked at: what is earned from here on is said.
        self.purse.wanted.store(true, Ordering::SeqCst);
        let credit = self.purse.change(|credit| credit);
        if credit.envelopes == 0 {
            return Vec::new();
        }
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take(self.after, credit);
        if !fresh.is_empty() {
            return fresh.into_iter().map(Deliver::Envelope).collect();
        }
        let (mailbox, after) = (self.mailbox, self.after);
        let read = self.shared.read(move |store| relay::deliver(store, mailbox, after, credit));
        read.await.unwrap_or_default()
    }
}
