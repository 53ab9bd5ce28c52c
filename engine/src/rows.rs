//! Typed access to the store: which record stands under which key in which table.

use std::{error::Error, ops::ControlFlow};

use hermes_protocol::{content::MessageId, handshake::ReplayId, ratchet::SessionId};
use hermes_wire::{
    BlobId, ContactId, Timestamp, codec,
    prekey::{PrekeyEntry, PrekeyId},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    claim::ClaimsRecord,
    consumer::ConsumerRecord,
    event_log::EventRecord,
    id::ChatId,
    input::OutboxKey,
    once::AnswerRecord,
    presence::SeenKey,
    row::{
        AccountRecord, ChatRecord, ChatSettings, ContactRecord, Counters, GapRecord, HeldRecord,
        IdempotencyRecord, InviteRecord, MessageRecord, OutboxRecord, PrekeyRecord, ReplayRecord, SecretBuf,
        SentRecord, SessionRecord, UnreadableRecord,
    },
    store::{Order, Range, Table, Value, View},
};

/// Bytes of one record; the largest is an outbox row with a full envelope.
pub(crate) const RECORD_BYTES: usize = 128 * 1024;

/// Why the store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E: Error + 'static> {
    /// The store's own failure.
    #[error(transparent)]
    Store(E),
    /// A row that is not what was written there.
    #[error("the store has a damaged row in its table {}", .0.name())]
    Corrupt(Table),
    /// The store holds no account.
    #[error("the store holds no account")]
    NoAccount,
}

/// What comes of work that has to read a store of kind `V`.
pub type StoreResult<T, V> = Result<T, ReadError<<V as View>::Error>>;

/// A record with a home: its table and the shape of its key.
///
/// Reading and writing are methods, and the macros below write them out for each record, so that they are compiled here
/// and not with each store.
pub(crate) trait Row: Sized {
    const TABLE: Table;
    type Key: Key;

    /// The record's bytes, wiped when dropped.
    fn to_value(&self) -> Value;

    /// `None` is what was never written here.
    fn from_value(bytes: &[u8]) -> Option<Self>;
}

/// Something that is a key: fixed width per table, big-endian, so that byte order is the order meant.
pub(crate) trait Key: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Declares which record stands where.
macro_rules! rows {
    ($($record:ty: $table:ident by $key:ty;)*) => {
        $(impl $crate::rows::Row for $record {
            $crate::rows::row!($table by $key);
        })*
    };
}

macro_rules! row {
    ($table:ident by $key:ty) => {
        const TABLE: $crate::store::Table = $crate::store::Table::$table;
        type Key = $key;

        fn to_value(&self) -> $crate::store::Value {
            $crate::rows::encode(self)
        }

        fn from_value(bytes: &[u8]) -> Option<Self> {
            $crate::rows::decode(bytes)
        }
    };
}

pub(crate) use {row, rows};

rows! {
    AccountRecord: Account by AccountKey;
    ClaimsRecord: Account by ClaimsKey;
    ContactRecord: Contact by ChatId;
    InviteRecord: Invite by ContactId;
    SessionRecord: Session by SessionId;
    PrekeyRecord: Prekey by PrekeyId;
    ReplayRecord: Replay by ReplayId;
    OutboxRecord: Outbox by OutboxKey;
    MessageRecord: Message by Place;
    SentRecord: Sent by SentKey;
    IdempotencyRecord: Idempotency by DayHash;
    UnreadableRecord: Unreadable by u64;
    HeldRecord: Held by HeldKey;
    GapRecord: Gap by GapKey;
    EventRecord: Event by u64;
    ConsumerRecord: Consumer by Hash;
    AnswerRecord: Idempotency by AnswerKey;
}

/// Rows that are one of two in a table, or bare values, get a type of their own.
macro_rules! wrapped_rows {
    ($($(#[$doc:meta])* $name:ident($value:ty): $table:ident by $key:ty;)*) => {
        $($(#[$doc])*
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) $value);

        impl $crate::rows::Row for $name {
            $crate::rows::row!($table by $key);
        })*
    };
}

pub(crate) use wrapped_rows;

wrapped_rows! {
    /// The account's counters, beside its secrets.
    CountersRow(Counters): Account by CountersKey;
    /// A chat's counters; they change with every message, its contact hardly ever.
    ChatRow(ChatRecord): Contact by ChatCountersKey;
    NameRow(ChatId): Name by Hash;
    PeerRow(ChatId): Peer by Hash;
    RouteRow(ChatId): Route by ContactId;
    /// A contact id that an invite carried, which others than the contact may have read.
    UsedInviteRow(ChatId): Route by UsedInviteKey;
    UploadRow(PrekeyEntry): Upload by PrekeyId;
    HandshakeRow(serde_bytes::ByteBuf): Handshake by SessionId;
    IndexRow(Place): MessageIndex by MessageId;
    UnreadRow(Place): Unread by u64;
    UnconfirmedRow(Timestamp): Unconfirmed by Place;
    /// An event that has left the log before every consumer had it.
    UnheardRow(EventRecord): Unheard by u64;
    SettingsRow(ChatSettings): Contact by SettingsKey;
    /// When a contact was last heard.
    SeenRow(Timestamp): Contact by SeenKey;
    /// Until when the user wants not to be disturbed.
    QuietRow(Timestamp): Account by QuietKey;
    /// What the account calls itself, where that is not its label.
    ProfileRow(String): Account by ProfileKey;
    /// A message that is to be deleted.
    ExpiryRow(()): Expiry by ExpiryKey;
    SkippedChainRow(SecretBuf): SkippedChain by SkippedChainKey;
    SkippedKeyRow(SecretBuf): SkippedKey by SkippedKeyKey;
}

/// The one account row.
#[derive(Clone, Copy)]
pub(crate) struct AccountKey;
/// The one counters row.
#[derive(Clone, Copy)]
pub(crate) struct CountersKey;
/// The one row that says until when the user wants not to be disturbed.
#[derive(Clone, Copy)]
pub(crate) struct QuietKey;
/// The one row of what the account calls itself.
#[derive(Clone, Copy)]
pub(crate) struct ProfileKey;
/// The one row of store claims.
#[derive(Clone, Copy)]
pub(crate) struct ClaimsKey;
/// A contact's row with the chat's counters stands right after the contact's own.
#[derive(Clone, Copy)]
pub(crate) struct ChatCountersKey(pub(crate) ChatId);
/// What a user has settled for a chat.
#[derive(Clone, Copy)]
pub(crate) struct SettingsKey(pub(crate) ChatId);
/// When a message is to be deleted, in milliseconds, and which.
#[derive(Clone, Copy)]
pub(crate) struct ExpiryKey(pub(crate) u64, pub(crate) Place);
/// What is to be known of a route stands right after it.
#[derive(Clone, Copy)]
pub(crate) struct UsedInviteKey(pub(crate) ContactId);
/// A keyed hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) [u8; 32]);
/// A day since the epoch, then a keyed hash: whole days can be dropped.
#[derive(Clone, Copy)]
pub(crate) struct DayHash(pub(crate) u32, pub(crate) [u8; 32]);
/// The same, of an answer: it stands right after a send's results of the same key.
#[derive(Clone, Copy)]
pub(crate) struct AnswerKey(pub(crate) DayHash);
/// Session and number of a receiving chain.
#[derive(Clone, Copy)]
pub(crate) struct SkippedChainKey(pub(crate) SessionId, pub(crate) u32);
/// Session, number of a receiving chain, index in it.
#[derive(Clone, Copy)]
pub(crate) struct SkippedKeyKey(pub(crate) SessionId, pub(crate) u32, pub(crate) u32);

/// A sent message by the counter that its recipient sees.
#[derive(Clone, Copy)]
pub(crate) struct SentKey {
    pub(crate) chat: ChatId,
    pub(crate) counter: u64,
}

/// What a waiting identity said, in order of arrival.
#[derive(Clone, Copy)]
pub(crate) struct HeldKey {
    pub(crate) chat: ChatId,
    pub(crate) number: u64,
}

/// First missing number of a gap in what a chat's peer has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GapKey {
    pub(crate) chat: ChatId,
    pub(crate) first: u64,
}

/// Place of a message in the history; [`Reference`](crate::Reference) makes a name for users of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    pub(crate) chat: ChatId,
    pub(crate) number: u64,
}

macro_rules! id_keys {
    ($($id:ident),*) => {
        $(impl Key for $id {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        })*
    };
}
id_keys!(BlobId, ChatId, ContactId, SessionId, ReplayId, MessageId, Hash);

/// Declares keys that are two others, the first of so many bytes.
macro_rules! pair_keys {
    ($($name:ident($first:ident, $bytes:literal, $second:ident);)*) => {
        $(impl $crate::rows::Key for $name {
            fn to_bytes(&self) -> Vec<u8> {
                [self.0.to_bytes(), self.1.to_bytes()].concat()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let (first, second) = bytes.split_at_checked($bytes)?;
                Some(Self($first::from_bytes(first)?, $second::from_bytes(second)?))
            }
        })*
    };
}

pub(crate) use pair_keys;

macro_rules! single_keys {
    ($($id:ident = $byte:literal),*) => {
        $(impl Key for $id {
            fn to_bytes(&self) -> Vec<u8> {
                vec![$byte]
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                (bytes == [$byte]).then_some(Self)
            }
        })*
    };
}
single_keys!(AccountKey = 0, CountersKey = 1, ClaimsKey = 2, QuietKey = 17, ProfileKey = 18);

impl Key for ChatCountersKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[1]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, rest) = bytes.split_first_chunk()?;
        (rest == [1]).then_some(Self(ChatId(*chat)))
    }
}

impl Key for SettingsKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[2]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, rest) = bytes.split_first_chunk()?;
        (rest == [2]).then_some(Self(ChatId(*chat)))
    }
}

impl Key for UsedInviteKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[1]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (contact, rest) = bytes.split_first_chunk()?;
        (rest == [1]).then_some(Self(ContactId(*contact)))
    }
}

impl Key for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for u32 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for PrekeyId {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        u64::from_bytes(bytes).map(Self)
    }
}

impl Key for Place {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.chat.0[..], &self.number.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, number) = bytes.split_first_chunk()?;
        Some(Self { chat: ChatId(*chat), number: u64::from_bytes(number)? })
    }
}

impl Key for SentKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.chat.0[..], &self.counter.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, counter) = bytes.split_first_chunk()?;
        Some(Self { chat: ChatId(*chat), counter: u64::from_bytes(counter)? })
    }
}

impl Key for HeldKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.chat.0[..], &self.number.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, number) = bytes.split_first_chunk()?;
        Some(Self { chat: ChatId(*chat), number: u64::from_bytes(number)? })
    }
}

impl Key for GapKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.chat.0[..], &self.first.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, first) = bytes.split_first_chunk()?;
        Some(Self { chat: ChatId(*chat), first: u64::from_bytes(first)? })
    }
}

impl Key for OutboxKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.chat.0[..], &self.position.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, position) = bytes.split_first_chunk()?;
        Some(Self { chat: ChatId(*chat), position: u64::from_bytes(position)? })
    }
}

impl Key for DayHash {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], &self.1].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (day, hash) = bytes.split_first_chunk()?;
        Some(Self(u32::from_be_bytes(*day), hash.try_into().ok()?))
    }
}

impl Key for AnswerKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.to_bytes()[..], &[1]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_at_checked(36)?;
        (rest == [1]).then(|| DayHash::from_bytes(key).map(Self))?
    }
}

impl Key for SkippedChainKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &self.1.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (session, chain) = bytes.split_first_chunk()?;
        Some(Self(SessionId(*session), u32::from_be_bytes(chain.try_into().ok()?)))
    }
}

impl Key for SkippedKeyKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &self.1.to_be_bytes(), &self.2.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk()?;
        let (chain, index) = rest.split_first_chunk()?;
        Some(Self(
            SessionId(*session),
            u32::from_be_bytes(*chain),
            u32::from_be_bytes(index.try_into().ok()?),
        ))
    }
}

pub(crate) fn encode<R: Serialize>(row: &R) -> Value {
    Value::new(codec::encode(row))
}

pub(crate) fn decode<R: DeserializeOwned>(bytes: &[u8]) -> Option<R> {
    // Sealed by this store, so the strictness that decoding again costs, and its copy, are not needed.
    codec::decode_tolerant(bytes, RECORD_BYTES).ok()
}

/// One record of what stands in its table.
pub(crate) fn read<R: Row, E: Error>(bytes: &[u8]) -> Result<R, ReadError<E>> {
    R::from_value(bytes).ok_or(ReadError::Corrupt(R::TABLE))
}

/// One record.
pub(crate) fn get<R: Row, V: View>(view: &V, key: &R::Key) -> StoreResult<Option<R>, V> {
    match view.get(R::TABLE, &key.to_bytes()).map_err(ReadError::Store)? {
        Some(bytes) => read(&bytes).map(Some),
        None => Ok(None),
    }
}

/// Up to `limit` records of a range, in order.
pub(crate) fn scan<R: Row, V: View>(
    view: &V,
    range: &Range,
    order: Order,
    limit: usize,
) -> StoreResult<Vec<(R::Key, R)>, V> {
    let mut rows = Vec::new();
    let mut failure = None;
    if limit == 0 {
        return Ok(rows);
    }
    view.scan(R::TABLE, range, order, &mut |key, value| {
        // Another record's key in the same table is skipped, a damaged one is an error.
        let Some(key) = R::Key::from_bytes(key) else { return ControlFlow::Continue(()) };
        match read(&value) {
            Ok(row) => rows.push((key, row)),
            Err(error) => failure = Some(error),
        }
        if failure.is_some() || rows.len() >= limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .map_err(ReadError::Store)?;
    failure.map_or(Ok(rows), Err)
}
