//! What the engine asks of a store: point reads, ordered scans, and one atomic commit.
//!
//! Rows are opaque here. Sealing, fsync and locking are the store's business; which rows change together is ours.

use std::{
    error::Error,
    fmt, mem,
    ops::{ControlFlow, Deref, DerefMut},
};

use zeroize::{Zeroize, Zeroizing};

use crate::changes::ChangeSet;

/// A row's value: CBOR, often with a secret in it, so wiped when dropped.
///
/// Not a `Zeroizing`, which is generic: where the crate of a store is built without optimisation, a third of all time went
/// into wiping.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Value(Vec<u8>);

impl Value {
    /// Takes the bytes, which are wiped with it.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Zeroizing<Vec<u8>>> for Value {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(mem::take(&mut *bytes))
    }
}

impl From<Value> for Zeroizing<Vec<u8>> {
    fn from(mut value: Value) -> Self {
        Self::new(mem::take(&mut value.0))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}

impl Deref for Value {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Value {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The kinds of rows. Keys are random identifiers, positions or keyed hashes, never names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The account's secrets and settings, and its counters: one row each.
    Account,
    /// Contacts, by chat id.
    Contact,
    /// Chat id by keyed hash of a contact's name.
    Name,
    /// Chat id by keyed hash of a contact's identity fingerprint.
    Peer,
    /// Chat id by the contact id that a deposit carries.
    Route,
    /// Invites not yet used, by contact id.
    Invite,
    /// Session cores, by session id.
    Session,
    /// Handshake to repeat until the peer's first reply, by session id.
    Handshake,
    /// Skipped header keys, by session id and chain number.
    SkippedChain,
    /// Skipped message keys, by session id, chain number and index.
    SkippedKey,
    /// Session id by the handshake that made it.
    Replay,
    /// Prekey secrets, by prekey id.
    Prekey,
    /// Public prekeys that the relay does not have yet, by prekey id.
    Upload,
    /// Envelopes on their way out, by chat id and position.
    Outbox,
    /// History, by chat id and number within the chat.
    Message,
    /// Sent messages, by chat id and the counter that the recipient sees.
    Sent,
    /// Place in the history by message id.
    MessageIndex,
    /// Messages not yet read, by position of arrival; and those whose authors have yet to hear that they were read, by
    /// the author's chat id and position.
    Unread,
    /// Results of earlier sends, by day and keyed hash of the idempotency key.
    Idempotency,
    /// What arrived and could not be read, by position.
    Unreadable,
    /// What identities said that wait for the user's word, by chat id and number.
    Held,
    /// Numbers of a peer's messages that have not arrived, by chat id and the first of them.
    Gap,
    /// When the relay took a message whose delivery nobody has confirmed, by chat id and number within the chat.
    Unconfirmed,
    /// Groups, and what stands beside each: how far it was followed, what an own commit would begin, by chat id.
    Group,
    /// Members of a group, by chat id and leaf.
    Member,
    /// State of the key agreement, by chat id and the library's own keys.
    Mls,
    /// Chains of a group's epoch, by chat id and leaf.
    SenderChain,
    /// Keys of a group's messages that have not arrived, by chat id, leaf and number.
    SenderSkipped,
    /// Secret halves of key packages, by the contact id of their card.
    KeyPackage,
    /// Key packages of contacts, by chat id and position; and what they were asked for, by chat id and group.
    Offer,
    /// Welcomes that are not here yet, by their blobs.
    Invitation,
    /// Copies of a group that cannot be taken yet, by contact id and position.
    Early,
    /// Blobs on their way to the relay, by their ids.
    Blob,
    /// Pieces of those, by blob and offset.
    Part,
    /// Who has a message to a group, by chat id, number within the chat, and the contact's chat id; and how many.
    Delivery,
    /// Messages that are to be deleted, by the time and their place.
    Expiry,
    /// What is said about messages, by chat id, message id and author.
    Mark,
    /// The event log, by number.
    Event,
    /// Programs that read the event log, by keyed hash of their names.
    Consumer,
    /// Events of messages that have left the log and that a consumer has not had, by number.
    Unheard,
    /// Mailboxes at other relays than the account's, and how far each was emptied, by an id of this store's own.
    Guest,
}

impl Table {
    /// Every table, in order.
    pub const ALL: [Self; 41] = [
        Self::Account,
        Self::Contact,
        Self::Name,
        Self::Peer,
        Self::Route,
        Self::Invite,
        Self::Session,
        Self::Handshake,
        Self::SkippedChain,
        Self::SkippedKey,
        Self::Replay,
        Self::Prekey,
        Self::Upload,
        Self::Outbox,
        Self::Message,
        Self::Sent,
        Self::MessageIndex,
        Self::Unread,
        Self::Idempotency,
        Self::Unreadable,
        Self::Held,
        Self::Gap,
        Self::Unconfirmed,
        Self::Group,
        Self::Member,
        Self::Mls,
        Self::SenderChain,
        Self::SenderSkipped,
        Self::KeyPackage,
        Self::Offer,
        Self::Invitation,
        Self::Early,
        Self::Blob,
        Self::Part,
        Self::Delivery,
        Self::Expiry,
        Self::Mark,
        Self::Event,
        Self::Consumer,
        Self::Unheard,
        Self::Guest,
    ];

    /// Whether its rows hold keys that open messages. What such a row held must be gone for good once it is replaced
    /// or deleted; other rows are ciphertext, public, or kept for as long as the account.
    pub fn holds_keys(self) -> bool {
        match self {
            Self::Session | Self::SkippedChain | Self::SkippedKey | Self::Prekey => true,
            Self::Group | Self::Mls | Self::SenderChain | Self::SenderSkipped | Self::KeyPackage => true,
            // The account's own keys are written once. The secret of an invite that was used opens nothing.
            Self::Account | Self::Contact | Self::Invite | Self::Guest => false,
            Self::Name | Self::Peer | Self::Route | Self::Handshake | Self::Replay | Self::Upload => false,
            Self::Outbox | Self::Message | Self::Sent | Self::MessageIndex | Self::Unread => false,
            Self::Idempotency | Self::Unreadable | Self::Held | Self::Gap | Self::Unconfirmed => false,
            Self::Delivery | Self::Expiry | Self::Mark | Self::Event | Self::Consumer | Self::Unheard => {
                false
            }
            // What a blob's key opens is the group's tree and one epoch's welcome, under keys of others.
            Self::Member | Self::Offer | Self::Invitation | Self::Early | Self::Blob | Self::Part => false,
        }
    }

    /// Whether its rows belong into a backup ([`crate::backup`]): who the account is, whom it knows, what was said and
    /// settled. Sessions, chains, prekeys and the state of groups do not, nor what is on its way.
    pub fn is_portable(self) -> bool {
        match self {
            Self::Account | Self::Contact | Self::Name | Self::Peer | Self::Route | Self::Invite => true,
            Self::Message | Self::Sent | Self::MessageIndex | Self::Unread | Self::Idempotency => true,
            Self::Unreadable | Self::Held | Self::Gap | Self::Unconfirmed => true,
            Self::Group | Self::Member | Self::Delivery | Self::Expiry | Self::Mark | Self::Guest => true,
            Self::Session | Self::Handshake | Self::SkippedChain | Self::SkippedKey | Self::Replay => false,
            Self::Prekey | Self::Upload | Self::Outbox => false,
            Self::Mls | Self::SenderChain | Self::SenderSkipped | Self::KeyPackage => false,
            Self::Offer | Self::Invitation | Self::Early | Self::Blob | Self::Part => false,
            // Programs that listen begin anew.
            Self::Event | Self::Consumer | Self::Unheard => false,
        }
    }

    /// The table's name in a store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Contact => "contact",
            Self::Name => "name",
            Self::Peer => "peer",
            Self::Route => "route",
            Self::Invite => "invite",
            Self::Session => "session",
            Self::Handshake => "handshake",
            Self::SkippedChain => "skipped_chain",
            Self::SkippedKey => "skipped_key",
            Self::Replay => "replay",
            Self::Prekey => "prekey",
            Self::Upload => "upload",
            Self::Outbox => "outbox",
            Self::Message => "message",
            Self::Sent => "sent",
            Self::MessageIndex => "message_index",
            Self::Unread => "unread",
            Self::Idempotency => "idempotency",
            Self::Unreadable => "unreadable",
            Self::Held => "held",
            Self::Gap => "gap",
            Self::Unconfirmed => "unconfirmed",
            Self::Group => "group",
            Self::Member => "member",
            Self::Mls => "mls",
            Self::SenderChain => "sender_chain",
            Self::SenderSkipped => "sender_skipped",
            Self::KeyPackage => "key_package",
            Self::Offer => "offer",
            Self::Invitation => "invitation",
            Self::Early => "early",
            Self::Blob => "blob",
            Self::Part => "part",
            Self::Delivery => "delivery",
            Self::Expiry => "expiry",
            Self::Mark => "mark",
            Self::Event => "event",
            Self::Consumer => "consumer",
            Self::Unheard => "unheard",
            Self::Guest => "guest",
        }
    }
}

/// Which end of a range a scan starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Keys from `from` (inclusive) to `to` (exclusive; `None` is the table's end), in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// First key.
    pub from: Vec<u8>,
    /// First key past the range.
    pub to: Option<Vec<u8>>,
}

impl Range {
    /// Every key of a table.
    pub fn all() -> Self {
        Self { from: Vec::new(), to: None }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: prefix.to_vec(), to: successor(prefix) }
    }
}

/// The smallest byte string greater than every one that starts with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(up) = last.checked_add(1) {
            next.push(up);
            return Some(next);
        }
    }
    None
}

/// What takes the keys of a range, and the values that were wanted, until it breaks.
pub type Sifted<'a> = dyn FnMut(&[u8], Option<Value>) -> ControlFlow<()> + 'a;

/// Reads of committed rows.
pub trait View {
    /// Why a read or commit failed. After one, the engine is gone and has to be loaded again.
    type Error: Error + Send + Sync + 'static;

    /// One row's value.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, Self::Error>;

    /// Hands the rows of a range to `visit`, in order, until it breaks.
    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;

    /// The same, for few among many: `visit` gets the values that are `wanted`, and of other rows the key alone. What is
    /// wanted may be asked on several threads, and of rows that `visit` does not come to.
    fn sift(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        wanted: &(dyn Fn(&[u8]) -> bool + Sync),
        visit: &mut Sifted<'_>,
    ) -> Result<(), Self::Error> {
        self.scan(table, range, order, &mut |key, value| visit(key, wanted(&value).then_some(value)))
    }
}

/// A view that can be changed, all or nothing.
pub trait Store: View {
    /// Applies every change or none. Durable when it returns `Ok`.
    fn commit(&mut self, changes: &ChangeSet) -> Result<(), Self::Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ranges_end_where_the_prefix_does() {
        assert_eq!(Range::prefix(&[1, 0xff]).to, Some(vec![2]));
        assert_eq!(Range::prefix(&[0xff]).to, None);
    }
}
