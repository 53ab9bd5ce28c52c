//! Sending to one chat: its outbox rows in order, pipelined, each until the relay has receipted it.

use std::{collections::VecDeque, time::Duration};

use hermes_engine::{
    ChatId, LinkEvent, OutboxKey,
    query::{self, Destination, Outgoing},
};
use hermes_link::{
    frame::{FrameReader, FrameWriter, WriteError},
    quinn::Connection,
};
use hermes_wire::{
    Advice, EnvelopeId, Refusal, VERSION,
    drop::{Deposit, FromDrop, Open, ToDrop},
};
use serde_bytes::ByteBuf;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Link, LinkError,
    board::{Reason, bounded},
    liveness::Liveness,
    relays::{Relay, Relays},
};
use crate::limits::{
    DROP_LINGER, IN_FLIGHT, IN_FLIGHT_BYTES, OUTBOX_PAGE, RECEIPT_BATCH, RETRY_SOON, SILENCE,
};

/// Sends what the chat has in its outbox. Returns when nothing is left.
pub(super) async fn deliver(
    link: &Link,
    relays: &Relays,
    chat: ChatId,
    more: &Notify,
) -> Result<(), LinkError> {
    // Rows up to here are receipted; their removal may still be on its way to the disk.
    let mut settled = None;
    loop {
        let look = move |view: &_| {
            let waiting = !query::outbox(view, chat, settled, 1)?.is_empty();
            Ok(if waiting { query::destination(view, chat)? } else { None })
        };
        let Some(destination) = link.read(look).await? else {
            link.board.flows(chat);
            return Ok(());
        };
        let relay = relays.get(&destination.relay);
        let outcome = match relay.connect().await {
            Ok(connection) => {
                let _slot = relay.slot().await;
                let mut stream = match connection.open_bi().await {
                    Ok((send, receive)) => Stream {
                        link,
                        chat,
                        writer: FrameWriter::new(send),
                        reader: FrameReader::new(receive),
                        sent: settled,
                        settled,
                        ahead: VecDeque::new(),
                        in_flight: VecDeque::new(),
                        in_flight_bytes: 0,
                        drained: false,
                        opened: false,
                        stopped: false,
                    },
                    Err(_) => continue,
                };
                let outcome = stream.run(&relay, &connection, &destination, more).await;
                settled = stream.settled;
                outcome
            }
            Err(reason) => Err(Trouble::Reason(reason)),
        };
        match outcome {
            Ok(()) => {}
            Err(Trouble::Link(error)) => return Err(error),
            Err(Trouble::Reason(reason)) => {
                let wait = pause(&reason);
                link.board.delay(chat, reason);
                sleep(wait).await;
            }
        }
    }
}

/// How long to leave a relay alone after this. Attempts to connect keep their own distance.
pub(super) fn pause(reason: &Reason) -> Duration {
    match reason {
        Reason::Refused(refusal) => match refusal.advice() {
            Advice::RetryAfter(wait) => bounded(wait),
            Advice::Permanent => RETRY_SOON,
        },
        Reason::Misbehaved => RETRY_SOON,
        _ => Duration::ZERO,
    }
}

/// Why a stream ended before its time.
enum Trouble {
    /// To be tried again.
    Reason(Reason),
    /// The link itself cannot go on.
    Link(LinkError),
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// A deposit without an answer.
struct InFlight {
    key: OutboxKey,
    envelope: EnvelopeId,
    bytes: usize,
}

struct Stream<'a> {
    link: &'a Link,
    chat: ChatId,
    writer: FrameWriter<ToDrop>,
    reader: FrameReader<FromDrop>,
    /// Position of the last row written to the stream.
    sent: Option<u64>,
    /// Position of the last row that was answered for good.
    settled: Option<u64>,
    /// Rows read and not yet written.
    ahead: VecDeque<Outgoing>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// The outbox had nothing more when last asked.
    drained: bool,
    /// The relay has let us in.
    opened: bool,
    /// The relay reads no further; its reason is on the way.
    stopped: bool,
}

impl Stream<'_> {
    /// Sends until the outbox has been empty for a while.
    async fn run(
        &mut self,
        relay: &Relay,
        connection: &Connection,
        destination: &Destination,
        more: &Notify,
    ) -> Result<(), Trouble> {
        let (mailbox, token) = (destination.mailbox, destination.token.clone());
        self.writer.push(&ToDrop::Open(Open { version: VERSION, mailbox, token }));
        let mut liveness = Liveness::new(connection);
        let mut silence = interval(SILENCE);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        silence.reset();
        loop {
            self.fill().await?;
            let waiting = !self.opened || !self.in_flight.is_empty();
            tokio::select! {
                written = self.writer.flush(), if self.writer.pending() > 0 && !self.stopped => {
                    self.written(written)?;
                }
                answer = self.reader.next() => {
                    let answer = answer.map_err(|_| Trouble::Reason(Reason::Lost))?;
                    if self.answers(answer).await?.is_over() {
                        return Ok(());
                    }
                }
                () = more.notified(), if self.drained => {
                    if self.moved(destination).await? {
                        return Ok(());
                    }
                    self.drained = false;
                }
                _ = silence.tick(), if waiting => {
                    if !liveness.heard() {
                        connection.close(0u32.into(), b"");
                        return Err(Trouble::Reason(Reason::Lost));
                    }
                }
                () = linger(relay), if self.drained && !waiting => {
                    self.writer.finish();
                    return Ok(());
                }
            }
        }
    }

    /// Writes rows as far as the window allows.
    async fn fill(&mut self) -> Result<(), Trouble> {
        while self.in_flight.len() < IN_FLIGHT
            && self.in_flight_bytes < IN_FLIGHT_BYTES
            && !self.writer.is_full()
            && !self.stopped
        {
            let Some(row) = self.ahead.pop_front() else {
                if self.drained {
                    return Ok(());
                }
                let (chat, after) = (self.chat, self.sent);
                let page = self.link.read(move |view| query::outbox(view, chat, after, OUTBOX_PAGE)).await?;
                self.drained = page.is_empty();
                self.ahead = page.into();
                continue;
            };
            let Outgoing { key, envelope, body } = row;
            self.sent = Some(key.position);
            self.in_flight.push_back(InFlight { key, envelope, bytes: body.len() });
            self.in_flight_bytes += body.len();
            self.writer.push(&ToDrop::Deposit(Deposit { envelope, body: ByteBuf::from(body) }));
        }
        Ok(())
    }

    fn written(&mut self, written: Result<(), WriteError>) -> Result<(), Trouble> {
        match written {
            Ok(()) => Ok(()),
            Err(WriteError::Stopped(_)) => {
                self.stopped = true;
                Ok(())
            }
            Err(_) => Err(Trouble::Reason(Reason::Lost)),
        }
    }

    /// Takes an answer and those that came with it, and hands in what they settle.
    async fn answers(&mut self, first: Option<FromDrop>) -> Result<Flow, Trouble> {
        let mut settled = Vec::new();
        let mut answer = first;
        let outcome = loop {
            match self.answer(answer, &mut settled) {
                Ok(Flow::On) if settled.len() < RECEIPT_BATCH => {}
                outcome => break outcome,
            }
            match self.reader.buffered() {
                Ok(Some(next)) => answer = Some(next),
                Ok(None) => break Ok(Flow::On),
                Err(_) => break Err(Reason::Misbehaved),
            }
        };
        if !settled.is_empty() {
            self.link.board.flows(self.chat);
            self.link.tell(settled).await?;
        }
        match outcome {
            Ok(Flow::Barred(refusal)) => {
                self.refuse_all(&refusal).await?;
                Ok(Flow::Over)
            }
            Ok(flow) => Ok(flow),
            Err(reason) => Err(Trouble::Reason(reason)),
        }
    }

    fn answer(&mut self, answer: Option<FromDrop>, settled: &mut Vec<LinkEvent>) -> Result<Flow, Reason> {
        match answer {
            Some(FromDrop::Opened) if !self.opened => {
                self.opened = true;
                Ok(Flow::On)
            }
            Some(FromDrop::OpenRefused(refusal)) if !self.opened => match refusal.advice() {
                Advice::Permanent => Ok(Flow::Barred(refusal)),
                Advice::RetryAfter(_) => Err(Reason::Refused(refusal)),
            },
            Some(FromDrop::Receipt(envelope)) => {
                let key = self.oldest(envelope)?;
                settled.push(LinkEvent::Deposited(key));
                Ok(Flow::On)
            }
            Some(FromDrop::DepositRefused(envelope, refusal)) => match refusal.advice() {
                Advice::Permanent => {
                    let key = self.oldest(envelope)?;
                    settled.push(LinkEvent::DepositRefused(key, refusal));
                    Ok(Flow::On)
                }
                Advice::RetryAfter(_) => Err(Reason::Refused(refusal)),
            },
            // The relay ended an idle stream, or a refusal stopped it; what is left goes out on the next one.
            None if self.opened => Ok(Flow::Over),
            None => Err(Reason::Lost),
            Some(_) => Err(Reason::Misbehaved),
        }
    }

    /// Answers come in the order of the deposits; any other is none of ours.
    fn oldest(&mut self, envelope: EnvelopeId) -> Result<OutboxKey, Reason> {
        let oldest = self.in_flight.pop_front().filter(|oldest| oldest.envelope == envelope);
        let oldest = oldest.ok_or(Reason::Misbehaved)?;
        self.in_flight_bytes -= oldest.bytes;
        self.settled = Some(oldest.key.position);
        Ok(oldest.key)
    }

    /// The mailbox is closed to us for good, so every row is refused.
    async fn refuse_all(&mut self, refusal: &Refusal) -> Result<(), LinkError> {
        loop {
            let (chat, after) = (self.chat, self.settled);
            let page = self.link.read(move |view| query::outbox(view, chat, after, OUTBOX_PAGE)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            self.settled = Some(last.key.position);
            let events = page.iter().map(|row| LinkEvent::DepositRefused(row.key, refusal.clone())).collect();
            self.link.tell(events).await?;
        }
    }

    /// Whether the chat is to be reached another way than this stream goes: the pairing brings a better permission.
    async fn moved(&mut self, destination: &Destination) -> Result<bool, LinkError> {
        let chat = self.chat;
        let current = self.link.read(move |view| query::destination(view, chat)).await?;
        Ok(current.as_ref() != Some(destination))
    }
}

/// What an answer means for the stream.
enum Flow {
    On,
    /// It ends in good order.
    Over,
    /// The mailbox does not let us in, and never will.
    Barred(Refusal),
}

impl Flow {
    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

/// An open stream is kept for the next message, unless another chat needs its place.
async fn linger(relay: &Relay) {
    tokio::select! {
        () = sleep(DROP_LINGER) => {}
        () = relay.slot_wanted() => {}
    }
}
