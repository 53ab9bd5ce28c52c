//! The one thread that owns the relay's rules and its store.
//!
//! It commits as soon as the previous commit has returned, with everything that came in meanwhile: a lone request pays
//! one fsync, a flood shares them. Only then are the requests answered, and owners who are connected woken.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use hermes_wire::{ContactId, MailboxId, Refusal, Sequence};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use crate::{
    acks::{Acks, Noted},
    clock,
    connected::Connected,
    limits::{ACKS_WAIT, ARRIVING_REQUESTS, GROUP_ACKS, STORE_RETRY, WAITING_REQUESTS},
    metrics::{Kind, Metrics},
    relay::{Outcome, Relay, Request, millis},
    store::{Store, StoreError},
    turns,
};

/// Hands requests to the committing thread. It ends when the last clone of this is gone.
#[derive(Clone)]
pub(crate) struct Committer {
    jobs: mpsc::Sender<Job>,
    acks: Arc<Acks>,
}

/// The same for those who must not keep the thread from ending.
pub(crate) struct WeakCommitter(mpsc::WeakSender<Job>, Arc<Acks>);

impl WeakCommitter {
    /// As [`Committer::submit`]; a relay that has stopped decides nothing any more.
    pub(crate) async fn submit(&self, request: Request) -> Outcome {
        match self.0.upgrade() {
            Some(jobs) => Committer { jobs, acks: self.1.clone() }.submit(request).await,
            None => Outcome::Refused(Refusal::Draining { delay_ms: millis(STORE_RETRY) }),
        }
    }

    /// Whether the thread has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.upgrade().is_none_or(|jobs| jobs.is_closed())
    }
}

/// What is to be decided; `None` says that there are acknowledgements.
type Job = Option<Question>;

struct Question {
    request: Request,
    answer: oneshot::Sender<Outcome>,
}

/// What one commit decides.
struct Turn {
    acks: Vec<(MailboxId, Sequence)>,
    questions: Vec<Question>,
}

impl Committer {
    /// Starts the thread. It ends with an error as soon as the store fails: after a failed fsync, only opening the
    /// store again tells what is in it.
    pub(crate) fn start<S: Store + Send + 'static>(
        relay: Relay<S>,
        connected: Arc<Connected>,
        metrics: Metrics,
    ) -> std::io::Result<(Self, JoinHandle<Result<(), StoreError>>)> {
        let (jobs, arriving) = mpsc::channel(ARRIVING_REQUESTS);
        let acks = Arc::<Acks>::default();
        let queue = Queue::new(arriving, acks.clone());
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || commit_turns(relay, queue, &connected, &metrics))?;
        Ok((Self { jobs, acks }, thread))
    }

    /// Has an acknowledgement of what is there taken in by and by: before whatever is submitted later, unless more mailboxes wait
    /// than one commit takes. Then a registration may come first, and what was acknowledged is delivered once more. Must be called
    /// within a tokio runtime.
    pub(crate) fn acknowledge(&self, mailbox: MailboxId, upto: Sequence) {
        match self.acks.note(mailbox, upto) {
            Noted::First => {
                let jobs = self.jobs.downgrade();
                tokio::spawn(async move {
                    sleep(ACKS_WAIT).await;
                    jobs.upgrade().inspect(say_that_acks_wait)
                });
            }
            Noted::Enough => say_that_acks_wait(&self.jobs),
            Noted::Other => {}
        }
    }

    /// Waits until `request` is decided and durable. The request is decided even if the caller stops waiting.
    pub(crate) async fn submit(&self, request: Request) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let failed = || Outcome::Refused(Refusal::StoreUnavailable { retry_ms: millis(STORE_RETRY) });
        if self.jobs.send(Some(Question { request, answer })).await.is_err() {
            return failed();
        }
        outcome.await.unwrap_or_else(|_| failed())
    }

    pub(crate) fn downgrade(&self) -> WeakCommitter {
        WeakCommitter(self.jobs.downgrade(), self.acks.clone())
    }

    /// Waits until the thread has ended, because the store failed.
    pub(crate) async fn failed(&self) {
        self.jobs.closed().await;
    }
}

/// Has the thread take acknowledgements in although nothing else is there to decide.
fn say_that_acks_wait(jobs: &mpsc::Sender<Job>) {
    // Where there is no room, the thread has work, and takes them along.
    let _ = jobs.try_send(None);
}

fn commit_turns<S: Store>(
    mut relay: Relay<S>,
    mut queue: Queue,
    connected: &Connected,
    metrics: &Metrics,
) -> Result<(), StoreError> {
    metrics.sized(relay.size());
    while let Some(Turn { acks, questions }) = queue.next() {
        let unasked = acks.len();
        let acks = acks.into_iter().map(|(mailbox, upto)| Request::Ack { mailbox, upto });
        let (requests, answers): (Vec<_>, Vec<_>) =
            questions.into_iter().map(|question| (question.request, question.answer)).unzip();
        let mailboxes: Vec<_> = requests.iter().map(written_mailbox).collect();
        let requests: Vec<_> = acks.chain(requests).collect();
        let kinds: Vec<_> = requests.iter().map(Kind::of).collect();
        let begun = Instant::now();
        let is_here = |mailbox| connected.has(mailbox);
        let has_committed = Cell::new(false);
        let came = |committed| {
            has_committed.set(true);
            connected.committed(committed);
        };
        let mut outcomes = relay.apply_for(clock::now(), requests, is_here, came)?;
        let decided: Vec<_> = kinds.into_iter().zip(&outcomes).collect();
        metrics.sized(relay.size());
        metrics.decided(&decided);
        if has_committed.get() {
            metrics.committed(begun.elapsed(), decided.len() - unasked, unasked);
        }
        let answered = outcomes.split_off(unasked);
        for (mailbox, outcome) in mailboxes.into_iter().zip(&answered) {
            if let Some(mailbox) = mailbox {
                connected.tell(mailbox, outcome);
            }
        }
        for (answer, outcome) in answers.into_iter().zip(answered) {
            // Whoever asked may have left; what was decided stands.
            let _ = answer.send(outcome);
        }
    }
    Ok(())
}

/// What waits for a commit.
struct Queue {
    waiting: VecDeque<Question>,
    arriving: mpsc::Receiver<Job>,
    acks: Arc<Acks>,
    /// Whether acknowledgements have waited long enough, or are enough, to be taken in by themselves.
    acks_are_due: bool,
}

impl Queue {
    fn new(arriving: mpsc::Receiver<Job>, acks: Arc<Acks>) -> Self {
        let waiting = VecDeque::with_capacity(WAITING_REQUESTS);
        Self { waiting, arriving, acks, acks_are_due: false }
    }

    /// What the next commit decides, which is waited for if nothing is there; `None` when nothing can come any more.
    fn next(&mut self) -> Option<Turn> {
        loop {
            while self.waiting.len() < WAITING_REQUESTS
                && let Ok(job) = self.arriving.try_recv()
            {
                self.arrived(job);
            }
            let questions =
                turns::take(&mut self.waiting, |question: &Question| depositor(&question.request));
            if self.acks_are_due || !questions.is_empty() {
                // After what has arrived, so that what was acknowledged before it is decided before it.
                let acks = self.acks.take(GROUP_ACKS);
                self.acks_are_due = !self.acks.is_empty();
                if !acks.is_empty() || !questions.is_empty() {
                    return Some(Turn { acks, questions });
                }
            }
            match self.arriving.blocking_recv() {
                Some(job) => self.arrived(job),
                // Nothing comes any more that could take them along.
                None if !self.acks.is_empty() => self.acks_are_due = true,
                None => return None,
            }
        }
    }

    fn arrived(&mut self, job: Job) {
        match job {
            Some(question) => self.waiting.push_back(question),
            None => self.acks_are_due = true,
        }
    }
}

/// Which contact of which mailbox a request is of.
fn depositor(request: &Request) -> Option<(MailboxId, ContactId)> {
    match request {
        Request::Deposit { entry, .. }
        | Request::Ephemeral { entry, .. }
        | Request::FetchPrekeys { entry, .. } => Some((entry.mailbox(), entry.contact())),
        _ => None,
    }
}

/// Whose owner may want to hear of a request.
fn written_mailbox(request: &Request) -> Option<MailboxId> {
    depositor(request).map(|(mailbox, _)| mailbox)
}

#[cfg(test)]
mod tests {
    use hermes_wire::{
        BlobId, ChannelId, EnvelopeId, FetchId, PostId, Timestamp,
        mailbox::{Credit, Delivered},
        prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
        token::{DropToken, Permission},
    };
    use prometheus_client::{encoding::text::encode, registry::Registry};
    use serde_bytes::ByteBuf;

    use super::*;
    use crate::{
        entry::Entry,
        relay::Policy,
        store::{
            Blob, Changes, Channel, Contact, Hour, Mailbox, Posted, Receipt, Remembered, Reminder, TokenHash,
            TokenRow, memory::MemoryStore,
        },
    };

    #[tokio::test]
    async fn a_failed_commit_is_no_success_for_anyone_and_ends_the_relay() {
        let relay = Relay::new(FullDisk, Policy::default()).unwrap();
        let (committer, thread) = Committer::start(relay, Arc::default(), Metrics::default()).unwrap();
        let write = || Request::AddToken {
            token: TokenHash([1; 32]),
            row: TokenRow { uses: 1, expiry: Timestamp(u64::MAX) },
        };
        let unavailable = Outcome::Refused(Refusal::StoreUnavailable { retry_ms: 5_000 });
        let (first, second) = tokio::join!(committer.submit(write()), committer.submit(write()));
        assert_eq!((&first, &second), (&unavailable, &unavailable));
        committer.failed().await;
        assert_eq!(committer.submit(write()).await, unavailable);
        assert!(matches!(thread.join().unwrap(), Err(StoreError::Backend(_))));
    }

    #[tokio::test]
    async fn of_one_contact_a_commit_takes_one_request_whatever_waits() {
        let (jobs, arriving) = mpsc::channel(ARRIVING_REQUESTS);
        let fetch = |contact: u8| {
            let contact = ContactId([contact; 16]);
            let expiry = Timestamp(u64::MAX);
            let token = DropToken { contact, permission: Permission::Deposit, expiry, uses: None };
            let entry = Entry::unchecked(MailboxId([1; 32]), token);
            let request = Request::FetchPrekeys { entry, fetch: FetchId([1; 16]) };
            Some(Question { request, answer: oneshot::channel().0 })
        };
        for contact in [1, 1, 1, 2] {
            assert!(jobs.try_send(fetch(contact)).is_ok());
        }
        drop(jobs);
        let groups = tokio::task::spawn_blocking(move || {
            let mut queue = Queue::new(arriving, Arc::default());
            std::iter::from_fn(|| queue.next()).map(|turn| turn.questions.len()).collect::<Vec<_>>()
        });
        assert_eq!(groups.await.unwrap(), [2, 1, 1]);
    }

    /// Nobody waits for them, so nobody must be needed to have them taken in.
    #[tokio::test]
    async fn acknowledgements_wake_the_committer_and_are_taken_in_together() {
        let (jobs, arriving) = mpsc::channel(8);
        let committer = Committer { jobs, acks: Arc::default() };
        let mut queue = Queue::new(arriving, committer.acks.clone());
        let acknowledge = |count: u64| {
            for number in 0..count {
                let mut mailbox = [0; 32];
                mailbox[..8].copy_from_slice(&number.to_be_bytes());
                committer.acknowledge(MailboxId(mailbox), Sequence(1));
            }
        };
        let many = GROUP_ACKS as u64 + 1;
        acknowledge(many);
        let taken = tokio::task::spawn_blocking(move || {
            let counts = [(); 2].map(|()| queue.next().unwrap().acks.len());
            (counts, queue)
        });
        let (counts, mut queue) = taken.await.unwrap();
        assert_eq!(counts, [GROUP_ACKS, 1]);
        // So few have to wait for something else, or for their time.
        acknowledge(2);
        let taken = tokio::task::spawn_blocking(move || (queue.next().unwrap().acks.len(), queue));
        let (count, mut queue) = taken.await.unwrap();
        assert_eq!(count, 2);
        acknowledge(1);
        let question = Question { request: Request::Sweep, answer: oneshot::channel().0 };
        assert!(committer.jobs.try_send(Some(question)).is_ok());
        let taken = tokio::task::spawn_blocking(move || {
            let Turn { acks, questions } = queue.next().unwrap();
            ((acks.len(), questions.len()), queue)
        });
        let (counts, mut queue) = taken.await.unwrap();
        assert_eq!(counts, (1, 1), "with what is to be decided anyway");
        acknowledge(2);
        drop(committer);
        let rest = tokio::task::spawn_blocking(move || {
            std::iter::from_fn(|| queue.next()).map(|turn| turn.acks.len()).collect::<Vec<_>>()
        });
        assert_eq!(rest.await.unwrap(), [2]);
    }

    /// What takes no time tells nothing of the disk, and must not hide what takes long. For acknowledgements nobody waits.
    #[tokio::test]
    async fn what_commits_nothing_is_no_commit_and_acknowledgements_are_counted_apart() {
        let metrics = Metrics::default();
        let relay = Relay::new(MemoryStore::default(), Policy::default()).unwrap();
        let (committer, thread) = Committer::start(relay, Arc::default(), metrics.clone()).unwrap();
        let nothing = Request::RevokeToken(TokenHash([1; 32]));
        assert_eq!(committer.submit(nothing).await, Outcome::Absent);
        committer.acknowledge(MailboxId([1; 32]), Sequence(1));
        let row = TokenRow { uses: 1, expiry: Timestamp(u64::MAX) };
        committer.submit(Request::AddToken { token: TokenHash([1; 32]), row }).await;
        drop(committer);
        tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap().unwrap();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "commit_seconds_count 1",
            "commit_requests_sum 1.0",
            "commit_requests_count 1",
            "commit_acks_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    /// Reads as empty, and cannot be written.
    struct FullDisk;

    impl Store for FullDisk {
        fn mailbox(&self, _: MailboxId) -> Result<Option<Mailbox>, StoreError> {
            Ok(None)
        }

        fn mailbox_count(&self) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn envelopes(&self, _: MailboxId, _: Sequence, _: Credit) -> Result<Vec<Delivered>, StoreError> {
            Ok(Vec::new())
        }

        fn receipt(&self, _: MailboxId, _: EnvelopeId) -> Result<Option<Receipt>, StoreError> {
            Ok(None)
        }

        fn contact(&self, _: MailboxId, _: ContactId) -> Result<Option<Contact>, StoreError> {
            Ok(None)
        }

        fn fetch(&self, _: MailboxId, _: ContactId, _: FetchId) -> Result<Option<SealedBundle>, StoreError> {
            Ok(None)
        }

        fn prekey_after(
            &self,
            _: MailboxId,
            _: PrekeyKind,
            _: PrekeyId,
        ) -> Result<Option<PrekeyEntry>, StoreError> {
            Ok(None)
        }

        fn token(&self, _: TokenHash) -> Result<Option<TokenRow>, StoreError> {
            Ok(None)
        }

        fn closed(&self) -> Result<Vec<MailboxId>, StoreError> {
            Ok(Vec::new())
        }

        fn tokens(&self, _: usize) -> Result<Vec<(TokenHash, TokenRow)>, StoreError> {
            Ok(Vec::new())
        }

        fn due(
            &self,
            _: Option<Reminder>,
            _: Hour,
            _: usize,
        ) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError> {
            Ok(Vec::new())
        }

        fn channel(&self, _: ChannelId) -> Result<Option<Channel>, StoreError> {
            Ok(None)
        }

        fn channel_count(&self) -> Result<u64, StoreError> {
            Ok(0)
        }

        fn roster(&self, _: ChannelId) -> Result<Option<ByteBuf>, StoreError> {
            Ok(None)
        }

        fn posted(&self, _: ChannelId, _: PostId) -> Result<Option<Posted>, StoreError> {
            Ok(None)
        }

        fn remembered(&self, _: ChannelId, _: u32) -> Result<Option<Remembered>, StoreError> {
            Ok(None)
        }

        fn blob(&self, _: BlobId) -> Result<Option<Blob>, StoreError> {
            Ok(None)
        }

        fn blob_part(&self, _: BlobId, _: u32) -> Result<Option<ByteBuf>, StoreError> {
            Ok(None)
        }

        fn commit(&mut self, _: Changes) -> Result<(), StoreError> {
            Err(StoreError::Backend("no space left on device".to_owned()))
        }
    }
}
