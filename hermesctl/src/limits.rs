//! Every bound of the program, with its unit and reason.

use std::time::Duration;

/// Bytes of a passphrase: the daemon takes no longer one.
pub(crate) const PASSPHRASE_BYTES: usize = 1_024;

/// How long a started daemon may take until it answers: it opens its stores and replays its journals. Longer means
/// that it hangs.
pub(crate) const START: Duration = Duration::from_secs(30);

/// How long a daemon may take to end after it was told to: it finishes its commits and closes its connections.
pub(crate) const STOP: Duration = Duration::from_secs(30);

/// Pause between two looks at something that no event announces, such as the end of a foreign process.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Pause between two looks for a daemon that went away while `inbox --follow` was listening.
pub(crate) const RETURN_LOOK: Duration = Duration::from_millis(500);

/// How long `inbox` waits for what is at the relay while the daemon connects, or fetches without getting on. While it
/// gets on, `inbox` goes on waiting: a long absence is fetched whole.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(5);

/// Envelopes at the relay from which on waiting for them deserves a bar: fewer are here in the blink of an eye.
pub(crate) const BACKLOG: u64 = 500;

/// How often a request that is safe to repeat is tried when daemons die under it.
pub(crate) const ATTEMPTS: usize = 5;

/// How long `init` and `accept` wait for the other side before they say that it goes on in the background.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of a file with a registration token: a token is one short line.
pub(crate) const TOKEN_FILE_BYTES: usize = 4096;

/// Below this many bytes of room a store may fail at any moment: SQLite's log alone grows by some.
pub(crate) const DISK_FULL: u64 = 50 << 20;

/// Below this many bytes of room it is time to look.
pub(crate) const DISK_LOW: u64 = 500 << 20;

/// Seconds that two clocks may differ before it is worth a word: a network that is slow explains as much.
pub(crate) const CLOCK_WARN: u128 = 30;

/// Seconds from which on times that are shown, and times at which things expire, are wrong for people.
pub(crate) const CLOCK_FAIL: u128 = 600;

/// How long `doctor` waits for a relay's answer, and for its name.
pub(crate) const RELAY_ANSWER: Duration = Duration::from_secs(2);

/// Addresses of a relay's name that `doctor` asks.
pub(crate) const RELAY_ADDRESSES: usize = 4;

/// Lines of the log in a bug report.
pub(crate) const REPORT_LINES: usize = 50;

/// Bytes of the end of the daemon's log that `daemon logs` looks through for lines.
pub(crate) const LOGS_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of the end of the daemon's log that are searched for why it did not start.
pub(crate) const LOG_TAIL_BYTES: u64 = 16 * 1024;

/// Keys, answers and events that wait for `tui`; whoever brings more waits.
pub(crate) const TUI_INPUTS: usize = 256;

/// Requests of `tui` that wait for the daemon while it is away; further ones are refused.
pub(crate) const TUI_REQUESTS: usize = 64;

/// Messages that `tui` has sent and the daemon has not taken yet.
pub(crate) const TUI_SENDING: usize = 16;

/// Messages that `tui` loads at a time: more than fit on a screen.
pub(crate) const TUI_PAGE: u32 = 100;

/// Messages of a chat that `tui` holds in memory: a stretch that moves with what is read. Each drawing may go through it.
pub(crate) const TUI_MESSAGES: usize = 1_000;

/// Lines of one message that `tui` shows; `read` shows all.
pub(crate) const TUI_MESSAGE_ROWS: usize = 100;

/// Messages that a search of `tui` lists, the newest: more say that it was for too little.
pub(crate) const TUI_HITS: usize = 200;

/// Rows of the text being written that `tui` shows; it scrolls beyond.
pub(crate) const TUI_TEXT_ROWS: usize = 6;

/// Bytes of a text to look for.
pub(crate) const TUI_QUERY_BYTES: usize = 256;

/// First pause before a command of `on` that failed is tried again; it doubles ...
pub(crate) const COMMAND_RETRY_FIRST: Duration = Duration::from_secs(1);

/// ... up to this.
pub(crate) const COMMAND_RETRY_LAST: Duration = Duration::from_secs(60);

/// How long a shell waits for names while its user types: more would be felt.
pub(crate) const COMPLETION: Duration = Duration::from_millis(50);

/// Chats whose messages are offered to a shell when none has been named, and messages of each.
pub(crate) const COMPLETION_CHATS: usize = 3;
pub(crate) const COMPLETION_MESSAGES: u32 = 20;

/// How long `on` waits for its name to be free: the daemon notices in moments that the program before is gone.
pub(crate) const CONSUMER_FREE: Duration = Duration::from_secs(1);

/// How long the relay may lack keys after a connection began until that is worth a warning: hermesd has just begun to
/// give it some.
pub(crate) const PREKEYS_UNDER_WAY: Duration = Duration::from_secs(30);
