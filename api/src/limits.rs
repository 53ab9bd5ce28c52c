//! Every bound of the API, with its unit and reason.

use std::time::Duration;

/// Bytes of a message's text in UTF-8. Longer content is an attachment's job.
pub const TEXT_BYTES: usize = 16 * 1024;

/// Recipients of one send: a result line each still fits a screen, and one commit stays small.
pub const RECIPIENTS: usize = 64;

/// Messages of one page of inbox or log; with [`TEXT_BYTES`] this bounds a reply.
pub const PAGE_MESSAGES: u32 = 200;

/// Bytes of what is looked for in a search.
pub const SEARCH_TEXT_BYTES: usize = 1024;

/// References in one request to mark messages read: one page's worth, five times over.
pub const READ_REFS: usize = 1000;

/// Bytes of an idempotency key: room for a UUID or a job's name and number.
pub const IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Bytes of a request body: the longest text with every byte escaped as `\u00XX`, and the recipients.
pub const REQUEST_BYTES: usize = 256 * 1024;

/// Bytes of one message beside its text: what it answers, and ten reactions with five names of 256 bytes each, with
/// every byte escaped.
const MESSAGE_BYTES: usize = 128 * 1024;

/// Bytes of a reply body: a page of the longest texts with every byte escaped.
pub const REPLY_BYTES: usize = PAGE_MESSAGES as usize * (TEXT_BYTES * 6 + MESSAGE_BYTES);

/// Bytes of one event: one message with every byte escaped.
pub const EVENT_BYTES: usize = TEXT_BYTES * 6 + MESSAGE_BYTES;

/// Longest wait of a request for a message's state or a registration. Longer waits repeat the request.
pub const WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a request waits that says what to wait for and not how long.
pub const WAIT_UNSAID: Duration = Duration::from_secs(30);

/// How long the daemon may take to answer beyond the wait it was asked for. It answers from its disk, so this long
/// means that it hangs; a slow disk under load stays well below.
pub const REPLY: Duration = Duration::from_secs(60);

/// How often an idle event stream carries a sign of life.
pub const EVENT_KEEPALIVE: Duration = Duration::from_secs(15);

/// Bytes of a safety number or safety code as text: ten times a real one.
pub const SAFETY_NUMBER_BYTES: usize = 2 * 1024;

/// One-time prekeys of a kind at the relay below which the daemon makes more, and below which a user is warned.
pub const ONE_TIME_PREKEYS_LOW: u32 = 25;

/// Bytes of an invite as text: ten times a real one.
pub const INVITE_BYTES: usize = 8 * 1024;

/// Milliseconds that a backup or a restore may take: the longest history on the slowest disk.
pub const BACKUP_MS: u64 = 6 * 60 * 60 * 1000;

/// Bytes of the line before a backup.
pub const BACKUP_HEAD_BYTES: usize = 16 * 1024;

/// Bytes of a backup that are handed over at a time.
pub const BACKUP_PIECE_BYTES: usize = 64 * 1024;
