//! What an operator may ask of a relay, whether it runs or not.
//!
//! A running relay takes orders over a Unix socket in its state directory, which only its own user can open. A stopped
//! one is opened by the command itself. Deliberately absent: any order that shows an envelope, and any that names who
//! deposits.

pub mod desk;
pub mod socket;

use serde::{Deserialize, Serialize};

use crate::store::fjall::Inventory;

/// An order. On the socket: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order", deny_unknown_fields)]
pub enum Order {
    /// How the relay fares.
    Status,
    /// The registration tokens.
    Tokens,
    /// Makes a registration token worthless.
    RevokeToken {
        /// The token, or the id that [`Order::Tokens`] shows.
        token: String,
    },
    /// What a mailbox holds.
    Mailbox {
        /// Its id, 64 hexadecimal digits.
        mailbox: String,
    },
    /// Closes a mailbox for good, with all that waits in it.
    CloseMailbox {
        /// Its id.
        mailbox: String,
    },
    /// Asks the clients to leave, and stops.
    Drain,
    /// Reads the whole store, and says what does not fit.
    Verify,
    /// Everything in one file, which follows the answer.
    Backup,
}

/// What came of an order. On the socket: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// To [`Order::Status`].
    Status(Status),
    /// To [`Order::Tokens`].
    Tokens {
        /// In no particular order.
        tokens: Vec<TokenLine>,
    },
    /// To [`Order::Mailbox`].
    Mailbox(MailboxLine),
    /// To [`Order::Verify`].
    Verified(Inventory),
    /// It is done; after [`Order::Drain`], begun; after [`Order::Backup`], what was asked for follows.
    Done,
    /// It was not done.
    Problem(Problem),
}

/// How a running relay fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// Its address, as clients have it.
    pub address: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Who may make a mailbox: token, open or closed.
    pub registration: String,
    /// Connections of all kinds.
    pub connections: u64,
    /// Owners that are connected.
    pub owners: u64,
    /// Mailboxes, and how many there may be.
    pub mailboxes: u64,
    /// How many there may be.
    pub mailboxes_limit: u64,
    /// Channels.
    pub channels: u64,
    /// Registrations that the tokens are still good for.
    pub registrations_left: u64,
    /// Bytes of the store on the disk.
    pub store_bytes: u64,
    /// Whether it is about to stop.
    pub draining: bool,
    /// When the certificate ends that newcomers are shown (ms since the Unix epoch), if they are shown one.
    #[serde(default)]
    pub certificate_not_after: Option<u64>,
}

/// A registration token. The token itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLine {
    /// The beginning of its SHA-256, enough to name it.
    pub id: String,
    /// Registrations left; 0 once it is used up or revoked.
    pub uses: u32,
    /// When it ends (ms since the Unix epoch).
    pub expires_at: u64,
}

/// A mailbox, by what its row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxLine {
    /// Its id.
    pub mailbox: String,
    /// Whether the operator closed it.
    pub closed: bool,
    /// Whether its owner is connected.
    pub connected: bool,
    /// Envelopes that wait.
    pub envelopes: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Prekeys on hand.
    pub prekeys: u32,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of them.
    pub blob_bytes: u64,
}

/// Why an order was not carried out, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened.
    pub message: String,
    /// Whether what was named is not there.
    #[serde(default)]
    pub absent: bool,
}
