//! Sending to one chat: its outbox rows in order, pipelined, each until the relay has receipted it.

use std::{collections::VecDeque, ops::ControlFlow, time::Duration};

use hermes_engine::{
    ChatId, LinkEvent,
    query::{self, Destination, Outgoing},
};
use hermes_link::{
    frame::{FrameReader, FrameWriter, WriteError},
    quinn::Connection,
};
use hermes_wire::{
    Advice, Refusal,
    drop::{FromDrop, ToDrop},
};
use rand::RngExt;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Link, LinkError,
    board::{Reason, bounded},
    liveness::Liveness,
    relays::{Relay, Relays},
    window::{Answer, Window},
};
use crate::{
    limits::{DROP_LINGER, OUTBOX_PAGE, RECEIPT_BATCH, RETRY_SOON, SILENCE},
    random::rng,
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
        let mut window = Window::new(settled);
        let outcome = match relay.connect().await {
            Ok(connection) => {
                let _slot = relay.slot().await;
                run(link, chat, &relay, &connection, &destination, &mut window, more).await
            }
            Err(reason) => Err(Trouble::Reason(reason)),
        };
        settled = window.settled();
        match outcome {
            Ok(()) => {}
            Err(Trouble::Link(error)) => return Err(error),
            Err(Trouble::Overtaken) => {
                // What is left was made in an epoch that is over: the engine makes it anew when it has followed.
                tokio::select! {
                    () = more.notified() => {}
                    () = sleep(RETRY_SOON) => {}
                }
            }
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
    let wait = match reason {
        Reason::Refused(refusal) => match refusal.advice() {
            Advice::RetryAfter(wait) => bounded(wait),
            Advice::Permanent | Advice::CatchUp => RETRY_SOON,
        },
        Reason::Misbehaved => RETRY_SOON,
        _ => Duration::ZERO,
    };
    // Never sooner than asked, and not all depositors of a full mailbox at once.
    wait.mul_f64(rng().random_range(1.0..=1.25))
}

/// Why a stream ended before its time.
enum Trouble {
    /// To be tried again.
    Reason(Reason),
    /// A commit came first, and the relay has ended the stream.
    Overtaken,
    /// The link itself cannot go on.
    Link(LinkError),
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

/// What the answers that have come mean for the stream.
enum Gathered {
    GoesOn,
    /// A commit came first.
    Overtaken,
    /// The mailbox refuses us, for good.
    Barred(Refusal),
}

/// Sends over one stream until the outbox has been empty for a while.
async fn run(
    link: &Link,
    chat: ChatId,
    relay: &Relay,
    connection: &Connection,
    destination: &Destination,
    window: &mut Window,
    more: &Notify,
) -> Result<(), Trouble> {
    let (send, receive) = connection.open_bi().await.map_err(|_| Reason::Lost)?;
    let mut stream = Stream {
        link,
        chat,
        writer: FrameWriter::new(send),
        reader: FrameReader::new(receive),
        window,
        ahead: VecDeque::new(),
        drained: false,
        stopped: false,
    };
    stream.writer.push(&destination.opening());
    let mut liveness = Liveness::new(connection);
    let mut silence = interval(SILENCE);
    silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
    silence.reset();
    loop {
        stream.fill().await?;
        let waiting = stream.window.is_waiting();
        tokio::select! {
            written = stream.writer.flush(), if stream.writer.pending() > 0 && !stream.stopped => {
                stream.written(written)?;
            }
            answer = stream.reader.next() => match answer.map_err(|_| Reason::Lost)? {
                Some(answer) => if stream.answers(answer).await?.is_break() {
                    return Ok(());
                },
                // The relay ended an idle stream; what is left goes out on the next one.
                None if !waiting => return Ok(()),
                None => return Err(Reason::Lost.into()),
            },
            () = more.notified(), if stream.drained => {
                // The pairing brings a better permission: the stream goes another way from here on.
                if link.read(move |view| query::destination(view, chat)).await?.as_ref() != Some(destination) {
                    return Ok(());
                }
                stream.drained = false;
            }
            _ = silence.tick(), if waiting => {
                if !liveness.heard() {
                    connection.close(0u32.into(), b"");
                    return Err(Reason::Lost.into());
                }
            }
            () = linger(relay), if stream.drained && !waiting => {
                stream.writer.finish();
                return Ok(());
            }
        }
    }
}

/// An open stream is kept for the next message, unless another chat needs its place.
async fn linger(relay: &Relay) {
    tokio::select! {
        () = sleep(DROP_LINGER) => {}
        () = relay.slot_wanted() => {}
    }
}

struct Stream<'a> {
    link: &'a Link,
    chat: ChatId,
    writer: FrameWriter<ToDrop>,
    reader: FrameReader<FromDrop>,
    window: &'a mut Window,
    /// Rows read and not yet written.
    ahead: VecDeque<Outgoing>,
    /// The outbox had nothing more when last asked.
    drained: bool,
    /// The relay reads no further; its reason is on the way.
    stopped: bool,
}

impl Stream<'_> {
    /// Writes rows as far as the window allows.
    async fn fill(&mut self) -> Result<(), LinkError> {
        while self.window.has_room() && !self.writer.is_full() && !self.stopped {
            if let Some(row) = self.ahead.pop_front() {
                let frame = self.window.deposit(row);
                self.writer.push(&frame);
                continue;
            }
            if self.drained {
                return Ok(());
            }
            let page = self.page(self.window.sent()).await?;
            self.drained = page.is_empty();
            self.ahead = page.into();
        }
        Ok(())
    }

    async fn page(&self, after: Option<u64>) -> Result<Vec<Outgoing>, LinkError> {
        let chat = self.chat;
        self.link.read(move |view| query::outbox(view, chat, after, OUTBOX_PAGE)).await
    }

    fn written(&mut self, written: Result<(), WriteError>) -> Result<(), Reason> {
        match written {
            Ok(()) => Ok(()),
            Err(WriteError::Stopped(_)) => {
                self.stopped = true;
                Ok(())
            }
            Err(_) => Err(Reason::Lost),
        }
    }

    /// Takes an answer and those that came with it, and hands in what they settle. Breaks when the stream is of no
    /// more use.
    async fn answers(&mut self, first: FromDrop) -> Result<ControlFlow<()>, Trouble> {
        let mut settled = Vec::new();
        let outcome = self.gather(first, &mut settled);
        if !settled.is_empty() {
            self.link.board.flows(self.chat);
            self.link.tell(settled).await?;
        }
        match outcome? {
            Gathered::GoesOn => Ok(ControlFlow::Continue(())),
            Gathered::Overtaken => Err(Trouble::Overtaken),
            Gathered::Barred(refusal) => {
                self.refuse_all(&refusal).await?;
                Ok(ControlFlow::Break(()))
            }
        }
    }

    fn gather(&mut self, first: FromDrop, settled: &mut Vec<LinkEvent>) -> Result<Gathered, Reason> {
        let mut answer = first;
        loop {
            match self.window.answer(answer)? {
                Answer::Opened => {}
                Answer::Settled(event) => settled.push(event),
                Answer::Overtaken(event) => {
                    settled.push(event);
                    return Ok(Gathered::Overtaken);
                }
                Answer::Barred(refusal) => return Ok(Gathered::Barred(refusal)),
            }
            if settled.len() >= RECEIPT_BATCH {
                return Ok(Gathered::GoesOn);
            }
            match self.reader.buffered().map_err(|_| Reason::Misbehaved)? {
                Some(next) => answer = next,
                None => return Ok(Gathered::GoesOn),
            }
        }
    }

    /// The mailbox is closed to us for good, so every row is refused.
    async fn refuse_all(&mut self, refusal: &Refusal) -> Result<(), LinkError> {
        loop {
            let page = self.page(self.window.settled()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            self.window.settle_through(last.key.position);
            let events = page.iter().map(|row| LinkEvent::DepositRefused(row.key, refusal.clone())).collect();
            self.link.tell(events).await?;
        }
    }
}
