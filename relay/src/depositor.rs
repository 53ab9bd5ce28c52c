//! A drop connection: someone without a name deposits envelopes and fetches prekeys, posts to channels, and fetches
//! blobs; one stream per mailbox, channel or blob.

use std::sync::Arc;

use hermes_link::{
    close,
    frame::{FrameReader, FrameWriter, ReadError},
    quinn::{Connection, RecvStream, SendStream},
    server,
};
use hermes_wire::{
    Advice, EnvelopeId, FetchId, Refusal,
    drop::{Deposit, FromDrop, Open, ToDrop},
    limits::DROP_IDLE,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    clock,
    entry::{self, Entry},
    limits::{
        ANSWER, DROP_CONNECTION_IDLE, FIRST_FRAME_BYTES, LAST_FRAME, RETURN_JITTER_MS, STORE_RETRY,
        STREAM_DEPOSIT_BYTES, STREAM_DEPOSITS,
    },
    relay::{Outcome, Request, millis},
    serve::Shared,
    store::{StoreError, fjall::FjallStore},
};

mod blob;
mod channel;

/// Serves the connection's streams, as many at a time as its transport allows.
pub(crate) async fn serve(shared: &Shared, connection: &Connection) {
    let mut streams = JoinSet::new();
    let first_frames = Arc::new(Semaphore::new(1));
    loop {
        tokio::select! {
            stream = connection.accept_bi() => {
                let Ok((send, receive)) = stream else { return };
                let (shared, connection, first) = (shared.clone(), connection.clone(), first_frames.clone());
                streams.spawn(async move { serve_stream(&shared, &connection, &first, send, receive).await });
            }
            Some(_) = streams.join_next() => {}
            () = sleep(DROP_CONNECTION_IDLE), if streams.is_empty() => {
                return connection.close(close::TOO_SLOW, b"");
            }
            () = shared.drain_began() => break,
        }
    }
    // Streams end by themselves when they have answered what they were asked.
    let _ = timeout(LAST_FRAME, streams.join_all()).await;
    connection.close(close::DRAINING, b"");
}

/// How a stream ends.
enum End {
    /// In good order, or with a refusal that was sent.
    Finished,
    /// The peer does not speak the protocol.
    BadFrame,
    /// The peer or the connection is gone.
    Lost,
}

async fn serve_stream(
    shared: &Shared,
    connection: &Connection,
    first_frames: &Semaphore,
    send: SendStream,
    receive: RecvStream,
) {
    let reader = FrameReader::limited(receive, FIRST_FRAME_BYTES);
    let writer = FrameWriter::new(send);
    let mut stream =
        Stream { shared, connection, first_frames, reader, writer, next: None, has_posted: false };
    match stream.run().await {
        End::Finished => {
            stream.writer.finish();
            stream.reader.stop(close::DONE);
            if *shared.draining.borrow() {
                // The connection is about to be closed, which would take the last answers with it. Who closes it waits a little.
                stream.writer.finished().await;
            }
        }
        End::BadFrame => connection.close(close::BAD_FRAME, b""),
        End::Lost => {}
    }
}

struct Stream<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    /// Shared by the connection's streams.
    first_frames: &'a Semaphore,
    reader: FrameReader<ToDrop>,
    writer: FrameWriter<FromDrop>,
    /// A frame that was read ahead while gathering deposits.
    next: Option<ToDrop>,
    /// Whether a post to a channel was taken.
    has_posted: bool,
}

/// What a stream asks for in one go.
enum Demand {
    /// Some, and the id of the first of them.
    Deposits(EnvelopeId, Vec<Deposit>),
    Ephemeral(Deposit),
    Fetch(FetchId),
}

impl Demand {
    /// The answer to one that is not met. The first of several stands for all: the stream is over with it.
    fn refused(&self, refusal: Refusal) -> FromDrop {
        match self {
            Self::Deposits(envelope, _) => FromDrop::DepositRefused(*envelope, refusal),
            Self::Ephemeral(deposit) => FromDrop::DepositRefused(deposit.envelope, refusal),
            Self::Fetch(fetch) => FromDrop::FetchRefused(*fetch, refusal),
        }
    }
}

impl Stream<'_> {
    async fn run(&mut self) -> End {
        match self.frame().await {
            Ok(Some(ToDrop::Open(open))) => self.serve_mailbox(open).await,
            Ok(Some(ToDrop::OpenChannel(open))) => self.serve_channel(open).await,
            Ok(Some(ToDrop::FetchBlob(fetch))) => self.serve_blob(fetch).await,
            Ok(Some(_)) => End::BadFrame,
            Ok(None) => End::Finished,
            Err(end) => end,
        }
    }

    async fn serve_mailbox(&mut self, open: Open) -> End {
        let entry = match self.open(open).await {
            Ok(entry) => entry,
            Err(refusal) => return self.last(&FromDrop::OpenRefused(refusal)).await,
        };
        self.has_proven_itself();
        if let Err(end) = self.say(&FromDrop::Opened).await {
            return end;
        }
        loop {
            let demand = match self.demand().await {
                Ok(Some(demand)) => demand,
                Ok(None) => return End::Finished,
                Err(end) => return end,
            };
            if *self.shared.draining.borrow() {
                return self.last(&demand.refused(draining())).await;
            }
            let answered = match demand {
                Demand::Deposits(first, more) => self.deposit(&entry, first, more).await,
                Demand::Ephemeral(deposit) => self.pass(&entry, deposit).await,
                Demand::Fetch(fetch) => self.fetch(&entry, fetch).await,
            };
            if let Err(end) = answered {
                return end;
            }
        }
    }

    /// From here on the peer may send what a member or a contact sends.
    fn has_proven_itself(&mut self) {
        self.reader.lift_limit();
        server::widen(self.connection);
    }

    /// The next frame; `None` when the peer is done or was silent for too long, or the relay is about to stop.
    async fn frame(&mut self) -> Result<Option<ToDrop>, End> {
        if let Some(frame) = self.next.take() {
            return Ok(Some(frame));
        }
        let read = tokio::select! {
            // What has arrived is answered, and hears why if nothing is done any more.
            biased;
            read = timeout(DROP_IDLE, self.reader.next()) => read,
            () = self.shared.drain_began() => return Ok(None),
        };
        match read {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(ReadError::Malformed(_))) => Err(End::BadFrame),
            Ok(Err(_)) => Err(End::Lost),
            Err(_) => Ok(None),
        }
    }

    /// The next demand: deposits that have arrived together are stored together.
    async fn demand(&mut self) -> Result<Option<Demand>, End> {
        let first = match self.frame().await? {
            Some(ToDrop::Deposit(first)) => first,
            Some(ToDrop::Ephemeral(deposit)) => return Ok(Some(Demand::Ephemeral(deposit))),
            Some(ToDrop::FetchPrekeys(fetch)) => return Ok(Some(Demand::Fetch(fetch))),
            Some(_) => return Err(End::BadFrame),
            None => return Ok(None),
        };
        let (envelope, mut bytes) = (first.envelope, first.body.len());
        let mut deposits = vec![first];
        while deposits.len() < STREAM_DEPOSITS && bytes < STREAM_DEPOSIT_BYTES {
            match self.reader.buffered() {
                Ok(Some(ToDrop::Deposit(deposit))) => {
                    bytes += deposit.body.len();
                    deposits.push(deposit);
                }
                Ok(Some(other)) => {
                    self.next = Some(other);
                    break;
                }
                Ok(None) => break,
                Err(_) => return Err(End::BadFrame),
            }
        }
        Ok(Some(Demand::Deposits(envelope, deposits)))
    }

    /// The signature is checked here rather than by the committer, whose time belongs to all.
    async fn open(&self, open: Open) -> Result<Entry, Refusal> {
        if *self.shared.draining.borrow() {
            return Err(draining());
        }
        self.read(move |store| entry::open(store, clock::now(), &open)).await?
    }

    /// Looks something up.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&FjallStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let failed = Refusal::StoreUnavailable { retry_ms: millis(STORE_RETRY) };
        self.shared.read(read).await.ok_or(failed)
    }

    async fn deposit(&mut self, entry: &Entry, first: EnvelopeId, deposits: Vec<Deposit>) -> Result<(), End> {
        let answers = match self.submit(Request::Deposit { entry: entry.clone(), deposits }).await {
            Outcome::Deposited(answers) => answers,
            Outcome::Refused(refusal) => vec![(first, Err(refusal))],
            _ => return Err(End::BadFrame),
        };
        let mut over = false;
        for (envelope, answer) in answers {
            match answer {
                Ok(()) => self.writer.push(&FromDrop::Receipt(envelope)),
                Err(refusal) => {
                    over |= matches!(refusal.advice(), Advice::RetryAfter(_));
                    self.writer.push(&FromDrop::DepositRefused(envelope, refusal));
                }
            }
        }
        self.flush().await?;
        if over { Err(End::Finished) } else { Ok(()) }
    }

    /// The answer is the same whether the owner is there or not.
    async fn pass(&mut self, entry: &Entry, deposit: Deposit) -> Result<(), End> {
        let envelope = deposit.envelope;
        match self.submit(Request::Ephemeral { entry: entry.clone(), deposit }).await {
            Outcome::Passed(_) => self.say(&FromDrop::Receipt(envelope)).await,
            Outcome::Refused(refusal) => {
                let over = matches!(refusal.advice(), Advice::RetryAfter(_));
                self.say(&FromDrop::DepositRefused(envelope, refusal)).await?;
                if over { Err(End::Finished) } else { Ok(()) }
            }
            _ => Err(End::BadFrame),
        }
    }

    async fn fetch(&mut self, entry: &Entry, fetch: FetchId) -> Result<(), End> {
        let refusal = match self.submit(Request::FetchPrekeys { entry: entry.clone(), fetch }).await {
            Outcome::Bundle { bundle, .. } => {
                let answer = FromDrop::Bundle(fetch, bundle);
                return self.say(&answer).await;
            }
            Outcome::Refused(refusal) => refusal,
            _ => return Err(End::BadFrame),
        };
        let over = matches!(refusal.advice(), Advice::RetryAfter(_));
        self.say(&FromDrop::FetchRefused(fetch, refusal)).await?;
        if over { Err(End::Finished) } else { Ok(()) }
    }

    async fn submit(&self, request: Request) -> Outcome {
        self.shared.committer.submit(request).await
    }

    async fn last(&mut self, answer: &FromDrop) -> End {
        match self.say(answer).await {
            Ok(()) => End::Finished,
            Err(end) => end,
        }
    }

    async fn say(&mut self, answer: &FromDrop) -> Result<(), End> {
        self.writer.push(answer);
        self.flush().await
    }

    /// Writes what is gathered, and does not wait for ever until the depositor takes it. One that does not has the connection
    /// closed, for what was sent is held until then.
    async fn flush(&mut self) -> Result<(), End> {
        match timeout(ANSWER, self.writer.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Lost),
            Err(_) => {
                self.connection.close(close::TOO_SLOW, b"");
                Err(End::Lost)
            }
        }
    }
}

fn draining() -> Refusal {
    Refusal::Draining { delay_ms: rand::random_range(0..=RETURN_JITTER_MS) }
}
