//! The engine's records: what stands in each row of the store.

mod contact;
mod mark;
mod numbers;

use hermes_protocol::{
    content::MessageId, handshake::ReplayId, identity::Fingerprint, invite::InviteSecret, prekey::BundleKey,
    ratchet::SessionId,
};
use hermes_wire::{
    EnvelopeId, InstanceId, RelayAddress, Sequence, Timestamp,
    prekey::{PrekeyId, PrekeyKind},
};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use self::contact::RenewalReason;
pub(crate) use self::contact::{ContactRecord, FetchPurpose, Fetching, Renewal, Resend};
pub use self::mark::Action;
pub(crate) use self::mark::{
    EarlyCountKey, EarlyCountRow, EarlyEdit, EarlyMarkKey, EarlyMarkRow, EarlyWithdrawal, Edited, MarkKey,
    MarkOrder, MarkRecord, Marks, Reaction,
};
pub use self::numbers::{Finding, FindingKind, Sighting};
pub(crate) use self::numbers::{GapRecord, Neighbour, Received, Unlisted};
use crate::{group::Post, id::ChatId, request::Published, session::Begins};

/// The account's secrets and settings. Written once.
#[derive(Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) name: String,
    pub(crate) relay: RelayAddress,
    pub(crate) registration_token: Option<String>,
    pub(crate) instance: InstanceId,
    pub(crate) created: Timestamp,
    pub(crate) identity: SecretBytes<64>,
    pub(crate) mailbox: SecretBytes<32>,
    pub(crate) drop: SecretBytes<32>,
    pub(crate) bundle_key: BundleKey,
    /// Keys the hashes under which names and fingerprints are looked up.
    pub(crate) lookup_key: SecretBytes<32>,
}

/// Secret bytes of a record, wiped when dropped.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(crate) struct SecretBytes<const N: usize>(ByteArrayZ<N>);

/// A fixed-size byte string that can be wiped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ByteArrayZ<const N: usize>(ByteArray<N>);

impl<const N: usize> Zeroize for ByteArrayZ<N> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// Secret bytes of a length that varies, wiped when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretBuf(ByteBuf);

impl SecretBuf {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(ByteBuf::from(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretBuf {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> SecretBytes<N> {
    pub(crate) fn new(bytes: [u8; N]) -> Self {
        Self(ByteArrayZ(ByteArray::new(bytes)))
    }

    pub(crate) fn expose(&self) -> &[u8; N] {
        &self.0.0
    }
}

/// What moves with every step; small, because it is written with nearly every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Highest sequence taken from the mailbox.
    pub(crate) cursor: Sequence,
    /// Next prekey id; every lower one may have been seen by a relay.
    pub(crate) next_prekey: PrekeyId,
    /// Prekeys with an id below this are not to be given out: a relay has seen some of them that this store has not.
    pub(crate) prekey_floor: PrekeyId,
    /// Next initiation of a handshake.
    pub(crate) next_initiation: u64,
    /// Next position in the outbox and of arrival.
    pub(crate) next_position: u64,
    /// Rows in the outbox.
    pub(crate) outbox: u64,
    /// Unread messages.
    pub(crate) unread: u64,
    /// Contacts.
    pub(crate) contacts: u64,
    /// Envelopes that could not be read, ever.
    pub(crate) unreadable: u64,
    /// Messages of all chats whose numbers have not arrived.
    pub(crate) missing: u64,
    /// Highest sequence that the relay had assigned at the last connection.
    pub(crate) head: Sequence,
    /// When everything up to there was last seen to be taken, while the own clock and the relay's agreed.
    pub(crate) drained: Timestamp,
    /// Whether the relay has accepted the account and holds its keys.
    pub(crate) registered: bool,
    /// Sessions that gave way to others, ever.
    pub(crate) renewals: u64,
    /// The last of those.
    pub(crate) last_renewal: Option<(ChatId, Timestamp, RenewalReason)>,
    /// Whether this store is the newest of its mailbox.
    pub(crate) standing: StoreStanding,
    /// Number of the last event of the log; none has number 0.
    #[serde(default)]
    pub(crate) events: u64,
    /// Bytes of copies of groups in the account's own mailbox that cannot be taken yet.
    #[serde(default)]
    pub(crate) early: u64,
}

/// Whether a store is the newest of its mailbox, and what is done about it if not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StoreStanding {
    /// It is, as far as it knows.
    Newest,
    /// It was put back from an old copy, and the relay has yet to take its new epoch.
    Restoring,
    /// The user decided for this copy, and the relay has yet to take its new epoch.
    TakingOver,
    /// Another copy works. This one waits for its user.
    Stopped {
        /// Since when.
        since: Timestamp,
    },
}

/// What an identity said that waits for the user's word.
#[derive(Serialize, Deserialize)]
pub(crate) struct HeldRecord {
    /// As it was sealed.
    pub(crate) content: SecretBuf,
    pub(crate) without_one_time_key: bool,
    pub(crate) begins: Begins,
}

/// An invite that nobody has used, or that many may use.
#[derive(Serialize, Deserialize)]
pub(crate) struct InviteRecord {
    pub(crate) secret: InviteSecret,
    pub(crate) expiry: Timestamp,
    /// What it has seen, if it is one for requests, which many may use.
    #[serde(default)]
    pub(crate) published: Option<Published>,
}

/// A session core and whose it is.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) chat: ChatId,
    pub(crate) core: SecretBuf,
    pub(crate) standing: Standing,
    /// Made when no one-time prekey was left: its first messages are as safe as the signed prekey, no more.
    pub(crate) without_one_time_key: bool,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// Begun by this side, and the peer has not been heard in it: every message repeats the handshake.
    Initiated(ReplayId),
    /// Heard from the peer.
    Established,
    /// Given way to another, at this time; the core is that of a session that only receives.
    Retired(Timestamp),
}

/// A prekey secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PrekeyRecord {
    pub(crate) kind: PrekeyKind,
    pub(crate) secret: SecretBuf,
    pub(crate) created: Timestamp,
    /// When a newer one took its place.
    pub(crate) replaced: Option<Timestamp>,
}

/// A handshake that made a session.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReplayRecord {
    pub(crate) session: SessionId,
    /// The keys it used: it can be replayed no longer than they exist.
    pub(crate) signed: PrekeyId,
    pub(crate) kem: PrekeyId,
}

/// A sealed envelope that has to reach a mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutboxRecord {
    pub(crate) envelope: EnvelopeId,
    pub(crate) body: ByteBuf,
    pub(crate) queued: Timestamp,
    /// The message of the history it carries, if any.
    pub(crate) message: Option<u64>,
    /// What it is to a group's channel; nothing for a mailbox.
    pub(crate) post: Option<Post>,
}

/// Counters of a chat.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ChatRecord {
    /// Key of the last row of the history, 0 before the first; `reference.rs` says how the next one follows.
    pub(crate) messages: u64,
    /// Messages sent, as the peer counts them.
    pub(crate) sent: u64,
    /// Hash of the last message sent, zeros before the first.
    pub(crate) previous: ByteArray<32>,
    /// From this counter on, messages wait for a session that can seal them.
    pub(crate) held: Option<u64>,
    /// What the peer's numbers have told.
    pub(crate) received: Received,
    /// Authors' words about messages that are not here yet.
    #[serde(default)]
    pub(crate) early: u32,
    /// Whether the user has put it away, until a message comes.
    #[serde(default)]
    pub(crate) archived: bool,
    /// Messages up to this row are of an identity that the contact has no more.
    #[serde(default)]
    pub(crate) former: u64,
}

/// A message of the history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    pub(crate) id: MessageId,
    pub(crate) text: Text,
    pub(crate) sent: Timestamp,
    /// When this device stored it.
    pub(crate) stored: Timestamp,
    pub(crate) direction: Direction,
    /// Who of the members wrote it, when it came in a group.
    pub(crate) author: Option<Author>,
    /// Whether its session began without a one-time prekey.
    pub(crate) without_one_time_key: bool,
    /// Seconds after which it is to be deleted.
    pub(crate) ttl: Option<u32>,
    /// What it answers, and what is said about it.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub(crate) marks: Marks,
}

/// What a user has settled for a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChatSettings {
    /// It is quiet until then.
    pub(crate) muted: Option<Timestamp>,
    /// Seconds after which its texts are deleted.
    pub(crate) ttl: Option<u32>,
}

/// A member of a group, as it was when it wrote: members come and go, and the history stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// What it calls itself. Not cleaned, and nobody else has vouched for it.
    pub profile_name: String,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Text {
    /// UTF-8 as the sender wrote it: clean it before showing.
    Plain(String),
    /// Something a newer version understands.
    NeedsNewerVersion,
    /// It was to be deleted after a time, and was.
    Expired,
    /// Its author has withdrawn it.
    Withdrawn,
    /// No message: something that is said about another one.
    Action(Box<Action>),
    /// Texts of the chat are to be deleted after so many seconds from here on, or are to stay.
    TimerSet(Option<u32>),
    /// No message: a new session began here.
    SessionRenewed(RenewalReason),
    /// No message: the group is another one from here on.
    GroupChanged(Box<GroupNote>),
}

/// Who changed what of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupNote {
    /// Whose commit it was.
    pub by: Author,
    /// Who came.
    pub added: Vec<Author>,
    /// Who was sent away.
    pub removed: Vec<Author>,
    /// Who wanted to go.
    pub left: Vec<Author>,
    /// The new name.
    pub renamed: Option<String>,
    /// Members who became admins.
    pub promoted: Vec<Author>,
    /// Members who are no admins any more.
    pub demoted: Vec<Author>,
    /// How many more somebody did so to, for whose names there is no room.
    #[serde(default)]
    pub others: u32,
}

impl GroupNote {
    /// Nothing yet.
    pub(crate) fn by(by: Author) -> Self {
        Self {
            by,
            added: Vec::new(),
            removed: Vec::new(),
            left: Vec::new(),
            renamed: None,
            promoted: Vec::new(),
            demoted: Vec::new(),
            others: 0,
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.left.is_empty()
            && self.renamed.is_none()
            && self.promoted.is_empty()
            && self.demoted.is_empty()
    }
}

/// A sent message as the peer counts it: enough to say it again in another session, word for word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentRecord {
    /// Its number in the history.
    pub(crate) number: u64,
    /// The hash of the one before.
    pub(crate) previous: ByteArray<32>,
    /// What sealed it last; nothing while it is held for want of it.
    pub(crate) sealed: Option<Sealed>,
}

/// What a sent message was sealed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sealed {
    /// A contact's session.
    Session(SessionId),
    /// A group's epoch.
    Epoch(u64),
}

/// Which way a message went, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Direction {
    Received {
        /// Position among the unread, until read.
        unread: Option<u64>,
    },
    Sent(MessageState),
    /// A note of this account for its user.
    Noted,
}

/// How far a sent message has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageState {
    /// Stored here.
    Queued,
    /// Stored by the relay.
    Relayed,
    /// Stored by the recipient's daemon.
    Delivered,
    /// Seen by the recipient.
    Read,
    /// It will not arrive.
    Failed(FailureReason),
}

/// Why a sent message will not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FailureReason {
    /// The relay's final word.
    #[error("{0}")]
    Refused(hermes_wire::Refusal),
    /// The relay could not be reached, or would not take it, for days.
    #[error("the relay did not take it for {0} days")]
    GaveUp(u64),
    /// The recipient's identity key was replaced before it left.
    #[error("it was sealed for an identity key that is no longer theirs")]
    IdentityChanged,
    /// The group stopped before it left.
    #[error("the group stopped before it left")]
    GroupClosed,
    /// The user did not want it to leave any more.
    #[error("it was cancelled before it left")]
    Cancelled,
    /// The contact was removed before it left.
    #[error("the contact was removed before it left")]
    ContactRemoved,
}

/// Results of a send.
#[derive(Serialize, Deserialize)]
pub(crate) struct IdempotencyRecord {
    /// Keyed hash of what was asked.
    pub(crate) request: ByteArray<32>,
    /// Recipients whose message was stored, with its place.
    pub(crate) sent: Vec<(String, ChatId, u64)>,
}

/// An envelope that could not be read, or envelopes that a relay let expire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnreadableRecord {
    pub(crate) cause: UnreadableCause,
    /// Envelopes: more than one where a relay let a run of them expire.
    pub(crate) envelopes: u64,
    pub(crate) chat: Option<ChatId>,
    pub(crate) at: Timestamp,
}

/// Why an envelope could not be read: every one has a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub enum UnreadableCause {
    /// Not an envelope.
    #[error("it is not a Hermes envelope")]
    Malformed,
    /// Deposited under a permission that is not on record here.
    #[error("it came under a permission that is not on record")]
    UnknownContact,
    /// No session of that contact opens it.
    #[error("no session with this contact opens it")]
    NoSession,
    /// The ratchet refused it: the authentication failed.
    #[error("its authentication failed")]
    Forged,
    /// Its key was used or deleted.
    #[error("its key has been used or deleted")]
    TooOld,
    /// It jumps over more messages than allowed.
    #[error("it skips too many messages")]
    TooFarAhead,
    /// Its sender ended the chain it belongs to: it went back to an old state.
    #[error("its sender went back to an old state")]
    WentBack,
    /// Its sender's ratchet key would force a known secret, or its ML-KEM step breaks the rules.
    #[error("its sender used a forbidden key")]
    ForbiddenKey,
    /// A newer version made it.
    #[error("it needs a newer version of Hermes")]
    NeedsNewerVersion,
    /// The session has used up its numbers.
    #[error("its session is used up")]
    SessionExhausted,
    /// The handshake names keys that are gone.
    #[error("its handshake names keys that no longer exist")]
    PrekeyGone,
    /// The handshake is a copy of one whose session is gone.
    #[error("its handshake is a replay")]
    Replay,
    /// The handshake does not verify.
    #[error("its handshake does not verify")]
    BadHandshake,
    /// It comes from another identity than the contact's.
    #[error("it comes from another identity")]
    WrongIdentity,
    /// Too much is held already of what an identity said that nobody has accepted.
    #[error("too many messages wait for a changed identity key to be accepted")]
    NotHeld,
    /// The first message does not prove the invite's secret.
    #[error("it does not prove the invite's secret")]
    BadInviteProof,
    /// It comes from a blocked contact, by an invite.
    #[error("it comes from a blocked contact")]
    Blocked,
    /// The invite was over.
    #[error("the invite was over")]
    InviteOver,
    /// The content is malformed.
    #[error("its content is malformed")]
    BadContent,
    /// The relay let it expire before this device came to fetch it.
    #[error("the relay dropped it before it was fetched")]
    Expired,
    /// There is no room for another contact.
    #[error("there are too many contacts")]
    TooManyContacts,
    /// There is no room for another group, or for another invitation of that contact's.
    #[error("it invites to a group, and there are too many")]
    TooManyGroups,
    /// There is no room for another request.
    #[error("too many contact requests wait to be decided")]
    TooManyRequests,
    /// More handshakes come under an invite for requests than are looked at.
    #[error("too many handshakes come by this invite at once")]
    TooManyHandshakes,
    /// The user has rejected this identity.
    #[error("its sender was rejected")]
    Rejected,
    /// Somebody who waits to be accepted says more than is kept.
    #[error("its sender has said more than is kept of a contact request")]
    RequestFull,
}
