//! Every limit of the relay, with its unit and its reason.

use std::time::Duration;

use hermes_wire::limits::ENVELOPE_BYTES;

/// Limits that the operator may set; the defaults serve a small public relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Mailboxes on this relay, so that an open registration cannot fill the disk with empty ones.
    pub mailboxes: u64,
    /// Bytes of one envelope body, at most what the wire allows.
    pub envelope_bytes: u32,
    /// Envelopes waiting in one mailbox.
    pub mailbox_envelopes: u64,
    /// Bytes waiting in one mailbox.
    pub mailbox_bytes: u64,
    /// Share of a mailbox that one contact may fill, in percent: a single hostile contact cannot shut out the others.
    pub contact_percent: u64,
    /// How long an envelope waits for its owner.
    pub envelope_ttl: Duration,
    /// Deposits under one token.
    pub deposits: Rate,
    /// Channels on this relay: each is a row and a roster of up to 256 KiB.
    pub channels: u64,
    /// Posts and commits of one channel.
    pub posts: Rate,
    /// Posts and commits that are remembered of one channel: see [`POSTS_REMEMBERED`].
    pub posts_remembered: u32,
    /// Bytes of blobs that one mailbox may keep here, counted whole from their first part on.
    pub blob_bytes: u64,
    /// Deposits that are remembered of one mailbox when their envelopes are gone: see [`RECEIPT_MEMORY`]. Of more, a repeat is
    /// stored once more, and its recipient finds that it has it.
    pub receipts_remembered: Rate,
    /// Prekey fetches under one token: enough for a pairing that goes wrong a few times, too slow to drain the
    /// one-time prekeys.
    pub fetches: Rate,
}

/// A token bucket: so many at once, then one per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// Time that earns one more.
    pub period: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailboxes: 100_000,
            envelope_bytes: ENVELOPE_BYTES as u32,
            mailbox_envelopes: 100_000,
            mailbox_bytes: 1 << 30,
            contact_percent: 50,
            envelope_ttl: Duration::from_secs(30 * 86_400),
            deposits: Rate { burst: 6_000, period: Duration::from_millis(20) },
            channels: 100_000,
            posts: Rate { burst: 600, period: Duration::from_millis(20) },
            posts_remembered: POSTS_REMEMBERED,
            blob_bytes: 64 << 20,
            receipts_remembered: RECEIPTS_REMEMBERED,
            fetches: Rate { burst: 6, period: Duration::from_secs(600) },
        }
    }
}

/// An envelope id is remembered this long after its envelope was deleted: depositors retry at most every 30 s, and a
/// receipt lost together with the depositor's network is asked for again within a day.
pub const RECEIPT_MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// What waits in a mailbox has a limit, and what its owner has taken has none: one with contacts of its own could fill the disk with
/// the receipts of a day. A million of them, and as many a day after that.
pub const RECEIPTS_REMEMBERED: Rate = Rate { burst: 1_000_000, period: Duration::from_millis(86) };
/// Envelope ids in one reminder, so that its row stays small (16 bytes each).
pub const RECEIPTS_PER_REMINDER: usize = 1_024;
/// A bundle fetched under a token without uses is remembered this long; under an invite, until the invite expires.
pub const FETCH_MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// Share of a mailbox that deposits under an invite may fill, in percent: enough for whoever waits for an answer. A
/// contact has its own share besides, and an invite may have been seen by many.
pub const INVITE_PERCENT: u64 = 10;
/// Uses that an invite may have: each is a remembered bundle of up to 8 KiB. A token that claims more has this many.
pub const INVITE_USES: u32 = 1_000;
/// Bundles remembered for one mailbox: each is a row of up to 8 KiB, made by whoever its owner lets in and kept as long
/// as its owner's invites say. Every open invite of a busy client, several times over.
pub const REMEMBERED_FETCHES: u32 = 4_096;
/// Contacts that one mailbox may have revoked at a time: each is a row until its tokens expire.
pub const REVOCATIONS: u32 = 10_000;

/// Share of a mailbox that is kept free for commits of channels, for word of what was missed there, and for deposits of
/// those who may fetch prekeys, in percent: who falls behind in a busy channel can still be reached and can catch up.
pub const RESERVED_PERCENT: u64 = 10;
/// A channel in which nothing was posted for this long is forgotten with its roster; its members can make another.
pub const CHANNEL_IDLE: Duration = Duration::from_secs(180 * 86_400);
/// Hashes of former post tokens kept for a channel: whoever missed this many commits at once is told to catch up.
pub const EARLIER_TOKENS: usize = 8;
/// A post is remembered this long after its copies can have expired, like an envelope id after its envelope.
pub const POST_MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// Posts of a channel that are remembered at most, the latest ones, whose three short rows each are about 16 MB together:
/// a group in which a message is written every second gets to this number in 18 hours. Members drop what is posted again
/// after that, for its key is used up.
pub const POSTS_REMEMBERED: u32 = 65_536;
/// Channels made on the strength of one roster token.
pub const TOKEN_CHANNELS: Rate = Rate { burst: 6, period: Duration::from_secs(600) };
/// Channels made on the strength of all of a mailbox's tokens: its owner can sign any number, so those alone would not
/// keep one account from filling the relay with channels.
pub const MAILBOX_CHANNELS: Rate = Rate { burst: 60, period: Duration::from_secs(600) };
/// Bytes that a copy may be longer than the body that was posted: nonce, tag, identifiers, numbers and a hash.
pub const COPY_OVERHEAD: u32 = 256;
/// Copies after which a commit takes no further request. One post has up to 1,024 of them, which must be committed
/// together, so that a commit has at most twice as many: 32 MiB.
pub const COMMIT_COPIES: usize = 1_024;
/// A post counts once more against its channel's rate for each so many members it is copied to: a post to 1,000 takes as
/// long as twenty to 50 do.
pub const COPIES_A_POST: usize = 50;
/// A blob is kept this much longer than an envelope, so that it is there as long as the one that names it, which follows
/// it within the day.
pub const BLOB_MARGIN: Duration = Duration::from_secs(24 * 3_600);
/// Blobs of one mailbox: however small, each is rows and a reminder.
pub const BLOBS: u64 = 4_096;
/// What an uploader is told to wait when its blobs take up all of its room: they go by the hour.
pub const BLOBS_RETRY: Duration = Duration::from_secs(3_600);

/// What a depositor is told to wait when a mailbox is full: its owner must come and read first.
pub const FULL_RETRY: Duration = Duration::from_secs(60);
/// What a client is told to wait when the store failed: the relay is about to restart.
pub const STORE_RETRY: Duration = Duration::from_secs(5);
/// What a client is told to wait when the relay is at its capacity.
pub const BUSY_RETRY: Duration = Duration::from_secs(30);

/// Rate buckets in memory, about 100 bytes each. When there are more depositors than this, full buckets go first, then
/// those nearest to full.
pub const BUCKETS: usize = 100_000;
/// Envelopes read at a time when a range is deleted, so that memory stays bounded.
pub const DELETE_ENVELOPES: u32 = 1_024;
/// Envelopes read at first, and four times as many after each portion that was deleted whole: a client that keeps up
/// acknowledges fewer at a time.
pub const DELETE_PORTION: u32 = 16;
/// Bytes read at a time when a range is deleted.
pub const DELETE_BYTES: u32 = 8 * 1024 * 1024;
/// Envelopes, and receipts of envelopes, deleted in one commit. Envelopes are read for the books before they go, and all
/// other requests wait meanwhile; what is left goes in later commits.
pub const REMOVED_ROWS: u64 = 4_096;
/// Bytes of envelopes deleted in one commit, for the same reason.
pub const REMOVED_BYTES: u64 = 32 * 1024 * 1024;
/// Contacts whose rows are changed for envelopes that are deleted in one commit without being read: after so many, the rest of the
/// acknowledgements leave theirs to the sweep. Those of ordinary owners are of a few contacts each.
pub const REMOVED_CONTACTS: usize = 2_048;
/// Reminders seen to in one commit, so that a sweep never holds up deposits for long.
pub const SWEEP_REMINDERS: usize = 64;

/// Requests decided in one commit, but for [`COMMIT_COPIES`]: at 128 the fsync is already a small part of the cost.
pub const GROUP_REQUESTS: usize = 128;
/// Rows of mailboxes, and as many of contacts, that are kept in memory as they were committed last: about 500 bytes each. When there
/// are more, all are forgotten, and read again as they are needed.
pub const RECENT_ROWS: usize = 16_384;
/// Envelopes of which all but the body is kept in memory until they are acknowledged, in the same way: 64 bytes each where a
/// mailbox has many, up to 700 where it has one.
pub const RECENT_ENVELOPES: usize = 65_536;
/// Those of one mailbox: its owner keeps up, or reads from the store.
pub const RECENT_OF_MAILBOX: usize = 256;
/// Acknowledgements decided in one commit besides: each is a few short rows, and all who deposit wait meanwhile.
pub const GROUP_ACKS: usize = 256;
/// How long acknowledgements wait for something else to be committed, or for [`GROUP_ACKS`] of them, before there is a commit for
/// them alone. What is lost of them with the process is delivered again.
pub const ACKS_WAIT: Duration = Duration::from_millis(10);
/// Requests that wait for the next commit or the one after it (with their deposits about 40 MiB); then those wait that are
/// [`ARRIVING_REQUESTS`], then connections, and QUIC's flow control with them.
pub const WAITING_REQUESTS: usize = 256;
/// Requests that have come in during a commit.
pub const ARRIVING_REQUESTS: usize = 64;
/// Deposits of one stream in one request.
pub const STREAM_DEPOSITS: usize = 64;
/// Envelopes of the latest commits that are kept in memory for a connected owner; one with more behind it is sent what is
/// in the store.
pub const FRESH_ENVELOPES: usize = 32;
/// Their bytes, of each connected owner.
pub const FRESH_BYTES: usize = 16 * 1024;
/// Ephemeral envelopes that wait for a connected owner to take them; more are gone.
pub const EPHEMERAL_WAITING: usize = 64;
/// Bytes of deposits of one stream in one request.
pub const STREAM_DEPOSIT_BYTES: usize = 128 * 1024;
/// Connections of all kinds; about 48 KiB each when idle, of which 13 are QUIC's buffer for a burst of packets.
pub const CONNECTIONS: usize = 10_000;
/// Connections that an operator may allow: 48 GB of them.
pub const MOST_CONNECTIONS: usize = 1_000_000;
/// Handshakes at a time before clients have to prove their address first, which costs them a round trip; fewer where there are
/// fewer than 4,096 places.
pub const UNPROVEN_HANDSHAKES: usize = 256;
/// Handshakes that are begun before none is for [`HANDSHAKES_TURN`]: each takes about a quarter of that in processor time.
pub const HANDSHAKES_AT_ONCE: u64 = 4;
/// Pause after so many, as short as timers are.
pub const HANDSHAKES_TURN: Duration = Duration::from_millis(1);
/// Bytes of the frame with which a client introduces itself: a version, an id and a token.
pub const FIRST_FRAME_BYTES: usize = 2 * 1024;
/// Long frames under way to channels, 64 KiB each, on streams on which nothing was posted yet: a post shows its token only
/// when it is whole, so that these can be anybody's. One of each connection.
pub const UNPROVEN_FRAMES: usize = 512;
/// Such a frame must be whole within this time from its beginning.
pub const UNPROVEN_FRAME: Duration = Duration::from_secs(2);
/// Connections to the monitor at a time, and how long each may take.
pub const MONITOR_CONNECTIONS: usize = 8;
/// See [`MONITOR_CONNECTIONS`].
pub const MONITOR_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a file with a certificate or its key: a chain of three has 6,000.
pub const CERTIFICATE_FILE_BYTES: usize = 256 * 1024;
/// How often the files of the certificate are looked at. Authorities have them replaced weeks before they expire.
pub const CERTIFICATE_CHECK: Duration = Duration::from_secs(60);
/// A relay that starts waits this long for what is in them; then it starts without, and takes them when they have come.
pub const CERTIFICATE_PATIENCE: Duration = Duration::from_secs(5);
/// A newcomer has this long to hear which key the relay has, and to go.
pub const INTRODUCTION: Duration = Duration::from_secs(5);
/// A client that has connected must say something meaningful within this time.
pub const FIRST_FRAME: Duration = Duration::from_secs(10);
/// A drop connection without a stream for this long is closed: anyone may open one, and it takes a place. Clients leave
/// after 30 s by themselves.
pub const DROP_CONNECTION_IDLE: Duration = Duration::from_secs(60);
/// An owner that has said nothing for this long is not counted as connected when another connection takes its place:
/// clients say something every 3 s, and one that was killed stays on for a minute.
pub const HEARD: Duration = Duration::from_secs(10);
/// A client that does not take an answer for this long is gone, or holds its place without wanting anything.
pub const ANSWER: Duration = Duration::from_secs(30);
/// How long a last frame may take to reach a client before its connection is closed.
pub const LAST_FRAME: Duration = Duration::from_secs(2);
/// How long a stopping relay waits for its clients to leave.
pub const DRAIN: Duration = Duration::from_secs(3);
/// Clients of a stopping relay come back spread over this time, in milliseconds, so that they do not all knock at once.
pub const RETURN_JITTER_MS: u32 = 1_000;
/// How often the relay looks for what is over.
pub const SWEEP: Duration = Duration::from_secs(60);
/// A clock that is so much further than time since the last look was set: more than daylight saving or a second that is put in.
pub const CLOCK_JUMP: Duration = Duration::from_secs(3_600);
/// Nothing is deleted for its age until the clock has gone on steadily for this long after such a jump. An operator, or what keeps
/// the clock, sets it right by then.
pub const CLOCK_PATIENCE: Duration = Duration::from_secs(3_600);

/// Registration tokens read from their directory at a time.
pub const NEW_TOKENS: usize = 1_000;
/// Registration tokens that an operator is shown.
pub const SHOWN_TOKENS: usize = 10_000;
/// Rows in one commit while a store is restored.
pub const RESTORED_ROWS: usize = 1_000;
/// What is said of a damaged store at most; the rest would say the same.
pub const FINDINGS: usize = 20;
/// Operators' commands that a running relay deals with at a time.
pub const OPERATORS: usize = 4;
/// Bytes of one command, and of one answer, over the operator's socket.
pub const ORDER_BYTES: u64 = 4 * 1024;
/// An operator's command must have come within this time, and its answer be taken.
pub const OPERATOR_PATIENCE: Duration = Duration::from_secs(10);
/// Longest frame of a backup: a table's name, or a key and a row.
pub const BACKUP_FRAME_BYTES: usize = 512 * 1024;
/// Bytes of a table that the store keeps in memory before they go into a file.
pub const TABLE_BYTES: u64 = 64 << 20;
/// The same for rows of mailboxes and contacts, which are written again with each envelope: all that was written is searched with
/// every change, and of most of it only the last has a use.
pub const REWRITTEN_BYTES: u64 = 8 << 20;
/// Bytes of all journals, and so of what the store keeps in memory of all tables together: with more, what is oldest in them goes
/// into files. It is also what is read when the relay starts.
pub const JOURNAL_BYTES: u64 = 128 << 20;
/// Tables of the store that are kept open, of up to 64 MiB each. A system allows 1,024 descriptors if nobody says otherwise, and
/// connections need none.
pub const STORE_FILES: usize = 256;
/// Bytes of the relay's key file: an Ed25519 key in PEM has about 120.
pub const KEY_FILE_BYTES: u64 = 4 * 1024;
