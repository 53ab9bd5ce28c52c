//! Every limit of the daemon, with its unit and its reason.

use std::time::Duration;

// Store

/// Prepared statements kept per connection: seven kinds on each table.
pub(crate) const STATEMENTS: usize = 128;
/// Read-only connections kept open between queries; more are opened under load and closed again.
pub(crate) const IDLE_READERS: usize = 4;
/// KiB of the database that an idle reader keeps in memory (sqlite.org/pragma.html#pragma_cache_size); the kernel keeps
/// the rest.
pub(crate) const READER_CACHE_KIB: i64 = 512;
/// Rows of a scan that are opened one by one, before it has shown to be a long one.
pub(crate) const SHORT_SCAN: usize = 256;
/// Rows of a long scan that are opened at a time, by several threads,
pub(crate) const SCAN_BATCH: usize = 1_024;
/// and bytes from which on they are enough. Two such batches are in memory, one that is read and one that is opened. Pieces
/// of 128 KiB and more have the allocator keep twice as much for each thread (mallopt(3), M_MMAP_THRESHOLD).
pub(crate) const SCAN_BATCH_BYTES: usize = 64 * 1024;
/// Rows that a thread takes at once.
pub(crate) const SCAN_SHARE: usize = 32;
/// Threads that open them.
pub(crate) const SCAN_THREADS: usize = 4;
/// Names that stand for nothing of which one command is told what may have been meant: each is compared with all.
pub(crate) const MISSPELT: usize = 8;
/// Queries of one account that run at the same time; more wait their turn.
pub(crate) const QUERIES: usize = 8;
/// SQLite waits this long for a lock. Only a checkpoint ever competes for one.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of zeros written at a time over a file that is erased.
pub(crate) const COPY_CHUNK: usize = 64 * 1024;
/// Bytes of a passphrase.
pub(crate) const PASSPHRASE_BYTES: usize = 1_024;
/// Bytes of the header with a store's key: four times a real one.
pub(crate) const KEY_HEADER_BYTES: u64 = 4_096;
/// Bytes of a backup that are read at a time.
pub(crate) const BACKUP_PIECE: usize = 64 * 1024;
/// Pieces of a backup between the disk and the socket.
pub(crate) const BACKUP_PIECES: usize = 8;
/// Bytes of rows that a restore commits at a time: a commit costs a sync of the disk.
pub(crate) const BACKUP_COMMIT: usize = 8 * 1024 * 1024;
/// How long a program may take to give a passphrase: a person may have to type one for it.
pub(crate) const SECRET_PROGRAM: Duration = Duration::from_secs(50);

// Account

/// Items waiting for an account's thread. Whoever brings more waits, which is how a flood is slowed down.
pub(crate) const WORK_QUEUE: usize = 256;
/// Inputs in one commit: enough that the disk's sync is shared by many, few enough that replies come in milliseconds.
pub(crate) const BATCH_INPUTS: usize = 512;
/// Bytes of messages in one commit, which bounds its memory.
pub(crate) const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Events that a slow listener may be behind before it misses some.
pub(crate) const EVENTS: usize = 1_024;
/// The engine is told that time has passed this often.
pub(crate) const TICK: Duration = Duration::from_secs(3_600);
/// A store is read from end to end this often, and when it opens.
pub(crate) const SCRUB_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Rows that are read of one snapshot of a store, and the pause after them, in which used keys can be erased.
pub(crate) const SCRUB_ROWS: usize = 4_096;
/// See [`SCRUB_ROWS`].
pub(crate) const SCRUB_PAUSE: Duration = Duration::from_millis(1);
/// A store that could not be read from end to end is tried again after this long.
pub(crate) const SCRUB_AGAIN: Duration = Duration::from_secs(3_600);
/// What is due by the clock is looked for at least this often.
pub(crate) const CLOCK_LOOK: Duration = Duration::from_secs(60);
/// Used keys are erased from the files after this long without a commit, and tried again after as long when a reader
/// prevents it.
pub(crate) const CHECKPOINT_IDLE: Duration = Duration::from_secs(5);
/// They are erased this long after the first commit that may have left some, however busy the account is.
pub(crate) const CHECKPOINT_BUSY: Duration = Duration::from_secs(300);
/// First wait before a store that failed is opened again.
pub(crate) const REOPEN_FIRST: Duration = Duration::from_millis(500);
/// Longest such wait.
pub(crate) const REOPEN_LAST: Duration = Duration::from_secs(30);

// Link

/// First wait between two attempts that failed; it doubles up to [`RETRY_SOON`]. The very first retry does not wait.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between attempts in the first [`RETRY_SOON_FOR`]: a relay that restarts is found again at once.
pub(crate) const RETRY_SOON: Duration = Duration::from_secs(1);
/// How long attempts follow each other closely.
pub(crate) const RETRY_SOON_FOR: Duration = Duration::from_secs(30);
/// Longest wait between attempts.
pub(crate) const RETRY_LAST: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a success; one that breaks sooner does not reset the waits.
pub(crate) const STABLE: Duration = Duration::from_secs(5);
/// A relay's advice to wait is taken as at least this: we never knock in a loop.
pub(crate) const ADVICE_LEAST: Duration = Duration::from_millis(100);
/// A relay's advice to wait is taken as at most this: no relay sends us away for ever.
pub(crate) const ADVICE_MOST: Duration = Duration::from_secs(300);
/// The link starts over after this long when it cannot read the store or open a socket.
pub(crate) const LINK_RESTART: Duration = Duration::from_secs(1);
/// How long a relay may take to answer a registration: it writes to its disk first.
pub(crate) const REGISTRATION: Duration = Duration::from_secs(10);
/// Store claims follow each other after a time drawn between this ...
pub(crate) const CLAIM_LEAST: Duration = Duration::from_secs(60);
/// ... and this, so that nobody can tell from a claim what the account does. The store is found to have been put back
/// from an old copy only if a claim was made since that copy, so they are not further apart.
pub(crate) const CLAIM_MOST: Duration = Duration::from_secs(300);
/// Claims that a relay may refuse before the first one of a connection is taken: once for a claim of the connection
/// before, and once for another copy's.
pub(crate) const CLAIM_REFUSALS: u32 = 4;
/// How long it may take, from the registration on, until the relay has taken a claim: two commits there, and as many
/// here.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);
/// How long a copy of this store that took this connection's place has, to find out that it is behind.
pub(crate) const COPY_PAUSE: Duration = Duration::from_secs(2);
/// The mailbox connection asks for a sign of life this often. A relay that was killed and is back answers with a reset,
/// so this also bounds how long a receiver takes to notice: recovery is promised within 5 s.
pub(crate) const PING: Duration = Duration::from_secs(3);
/// A drop connection that waits for an answer and hears nothing at all for this long is given up.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// Envelopes handed to the account's thread as one item.
pub(crate) const DELIVERY_BATCH: usize = 128;
/// Bytes of envelopes handed to the account's thread as one item.
pub(crate) const DELIVERY_BATCH_BYTES: usize = 512 * 1024;
/// Between two beginnings of the connection to a guest mailbox with different registration tokens, which contacts name.
pub(crate) const GUEST_RESTART: Duration = Duration::from_secs(10);
/// A guest mailbox's relay is one that a contact chose: it is heard once in so long, 50 times a second...
pub(crate) const GUEST_FRAME: Duration = Duration::from_millis(20);
/// ... and what it has not said meanwhile, up to this long, at once: a credit's worth of envelopes.
pub(crate) const GUEST_BURST: Duration = Duration::from_secs(5);
/// How long it is left alone when it brings what is under none of the mailbox's cards, again and again: as long as these
/// are counted, so that an honest one is heard again with a clean slate.
pub(crate) const GUEST_PAUSE: Duration = hermes_engine::limits::GUEST_STRAYS_IN;
/// How long a change of a group waits for news of a contact that is asked for a mailbox at the group's relay: several
/// times what it takes one that is online.
pub(crate) const PLACE: Duration = Duration::from_secs(5);
/// Answers of a drop stream handed to the account's thread as one item.
pub(crate) const RECEIPT_BATCH: usize = 128;
/// Deposits of one stream without an answer: more would not make a disk that groups its commits any faster.
pub(crate) const IN_FLIGHT: usize = 64;
/// Bytes of such deposits: what a relay takes in before its logic has read it.
pub(crate) const IN_FLIGHT_BYTES: usize = 512 * 1024;
/// Outbox rows read at a time: half a window, so that reading and waiting overlap.
pub(crate) const OUTBOX_PAGE: usize = 32;
/// A drop stream stays open this long for the next message. Relays close it after 10 s; sooner, so that both do not end
/// it at the same moment.
pub(crate) const DROP_LINGER: Duration = Duration::from_secs(4);
/// Drop streams to one relay at a time; relays allow no more.
pub(crate) const DROP_STREAMS_PER_RELAY: usize = hermes_link::limits::CLIENT_STREAMS as usize;
/// Drop streams in all, each with up to [`IN_FLIGHT_BYTES`] and a page of rows in memory.
pub(crate) const DROP_STREAMS: usize = 64;
/// A relay that nothing has gone to for this long is left.
pub(crate) const CONNECTION_IDLE: Duration = Duration::from_secs(30);
/// Ephemeral envelopes that wait for the link: a word to every contact that is told of a connection, and answers.
pub(crate) const EPHEMERAL_QUEUE: usize = 512;
/// Ephemeral envelopes on their way at a time, each with a stream.
pub(crate) const EPHEMERALS_AT_ONCE: usize = 16;
/// After this long an ephemeral envelope is not sent any more: it is about this moment.
pub(crate) const EPHEMERAL: Duration = Duration::from_secs(5);
/// Contacts are told again that this account is there after a time drawn between this ...
pub(crate) const BEAT_LEAST: Duration = Duration::from_secs(45);
/// ... and this, so that a relay cannot tell accounts from the phase of their beats.
pub(crate) const BEAT_MOST: Duration = Duration::from_secs(75);
/// How long the end of an account may wait for contacts to be told of it.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);
/// How long one attempt to fetch a bundle, or one piece of a blob, may take.
pub(crate) const FETCH: Duration = Duration::from_secs(10);
/// Blobs fetched at a time, each held in memory until it is whole.
pub(crate) const BLOBS_AT_ONCE: usize = 2;
/// The same, of those at the relay of one guest mailbox.
pub(crate) const GUEST_BLOBS_AT_ONCE: usize = 1;

// Local API

/// Connections of local programs at a time. A program that opens more waits.
pub(crate) const CONNECTIONS: usize = 256;
/// Rows of the event log that are read at a time for one listener.
pub(crate) const EVENT_PAGE: usize = 64;
/// Pause after a connection could not be accepted.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way may take to end when the daemon stops.
pub(crate) const STOP_REQUESTS: Duration = Duration::from_secs(3);

// Daemon

/// Signs of life in the time that a service manager waits for one: two may come late.
pub(crate) const WATCHDOG_PINGS: u32 = 3;
/// How long the daemon waits, before it ends, until a service manager has room to hear of it.
pub(crate) const STOPPING_TOLD: Duration = Duration::from_secs(1);
/// Accounts of one daemon: each is a thread, a store and two sockets.
pub(crate) const ACCOUNTS: usize = 64;
/// Keys on locked pages: of each account one to open its store again and one for its rows, and two for one that is being
/// unlocked.
pub(crate) const LOCKED_KEYS: usize = 2 * ACCOUNTS + 2;

// Notifications

/// Notifications on their way to the desktop. More are left out: they would come too late to be of use.
pub(crate) const NOTIFY_QUEUE: usize = 32;
/// What arrives so soon after another message is announced together with it.
pub(crate) const NOTIFY_GATHER: Duration = Duration::from_millis(500);
/// A message that others follow without a pause is announced after this long all the same.
pub(crate) const NOTIFY_GATHER_MOST: Duration = Duration::from_secs(3);
/// Notifications of single messages within [`NOTIFY_BURST`]: as many as a screen shows at a time. What does not fit
/// becomes one summary.
pub(crate) const NOTIFY_SINGLES: usize = 4;
/// How long a single notification counts, and how long after its last message a summary is still brought up to date
/// instead of another notification.
pub(crate) const NOTIFY_BURST: Duration = Duration::from_secs(30);
/// A summary is brought up to date at most this often.
pub(crate) const NOTIFY_SUMMARY_PAUSE: Duration = Duration::from_secs(5);
/// Messages that one announcement looks at and counts exactly; beyond them it says that there are more.
pub(crate) const NOTIFY_COUNTED: usize = 200;
/// Chats that a summary names: one line of a notification.
pub(crate) const NOTIFY_CHATS: usize = 4;
/// Characters of a text that a notification shows: servers cut at about as much.
pub(crate) const NOTIFY_TEXT: usize = 240;
/// Lines of a text that a notification shows.
pub(crate) const NOTIFY_LINES: usize = 4;
/// Characters of what somebody who is no contact calls itself: the digits of its key have to fit behind it.
pub(crate) const NOTIFY_STRANGER: usize = 32;
/// Characters of a name that a notification shows: it has one line for it.
pub(crate) const NOTIFY_NAME: usize = 64;
/// How long the session bus may take to let us in.
pub(crate) const NOTIFY_CONNECT: Duration = Duration::from_secs(3);
/// How long the notification server may take to answer; it may have to be started first.
pub(crate) const NOTIFY_ANSWER: Duration = Duration::from_secs(10);
/// No bus and no server is looked for again before this.
pub(crate) const NOTIFY_RETRY: Duration = Duration::from_secs(10);
