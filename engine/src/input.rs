//! What happens to an engine: commands of its user, events of its link, and the passing of time.

use std::time::Duration;

use hermes_protocol::{invite::Invite, safety_number::Compared};
use hermes_wire::{
    BlobId, Claim, ContactId, FetchId, Refusal, RelayAddress, Sequence, SignedClaim, Timestamp,
    mailbox::{Delivered, Passing, PrekeyStock},
    prekey::{PrekeyId, SealedBundle},
};

use crate::{
    id::{ChatId, GuestId},
    reference::Reference,
    trust::ChangePolicy,
};

/// Everything that can make an engine take a step.
pub enum Input {
    /// The user asks; the answer is an [`crate::Effect::Reply`] with the same number.
    Command(CommandId, Command),
    /// The relay answers or delivers.
    Link(LinkEvent),
    /// The time of an [`crate::Effect::Due`] has come.
    Due,
    /// Time has passed. Wanted about once an hour; nothing breaks without.
    Tick,
}

/// The shell's number for a command, to route the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What a user can ask for.
#[derive(Debug)]
pub enum Command {
    /// A new single-use invite.
    CreateInvite {
        /// How long it can be accepted.
        validity: Duration,
    },
    /// A new invite that many may use, and that makes nobody a contact.
    InviteRequests {
        /// How long it can be accepted.
        validity: Duration,
    },
    /// Withdraws the invite for requests whose id begins so, or all of them.
    CloseRequests(Option<String>),
    /// Decides about the request of this name.
    Request(String, RequestDecision),
    /// Pairs with whoever made the invite.
    Accept(Box<Invite>),
    /// Sends a text to contacts, each with a result of its own.
    Send(Send),
    /// Says something about a message.
    Message(Reference, MessageChange),
    /// Marks messages read.
    MarkRead(Vec<Reference>),
    /// Goes on with this copy of the store, where another one was at work; or takes note of an alarm.
    Recover,
    /// Gives every contact key packages, so that they can add this account to groups. Asked for by a shell that carries
    /// blobs: without them nobody would find into a group.
    GiveKeyPackages,
    /// A group of this account and contacts: its name, and theirs.
    CreateGroup(String, Vec<String>),
    /// Changes the group of this name.
    Group(String, GroupChange),
    /// The account calls itself so from here on, and contacts hear of it.
    SetProfile(String),
    /// The user wants not to be disturbed until then, or can be.
    Quiet(Option<Timestamp>),
    /// Settles something for the contact or group of this name.
    Chat(String, ChatChange),
    /// Says something of the contact of this name.
    Contact(String, ContactChange),
    /// Asks the daemon of the contact of this name for a sign of life.
    Ping(String),
    /// Says something of the consumer of this name.
    Consumer(String, ConsumerChange),
    /// Does something once, however often it is asked for under this key.
    Once(Idempotency, Box<Command>),
}

/// Why contacts are to be told about the own presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceDue {
    /// The mailbox is open, and what is sealed may leave.
    Connected,
    /// Some time has passed. The shell draws it at random, about a minute.
    Beat,
    /// The shell is about to close the connection.
    Leaving,
}

/// What a user says about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageChange {
    /// An emoji under it, in place of the one before; or none.
    React(Option<String>),
    /// An own text says this instead.
    Edit(String),
    /// An own message is withdrawn, here and wherever it is.
    Unsend,
    /// An own message that has not left is not to leave.
    Cancel,
}

/// Under which key a command is carried out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The asker's word: 1 to 128 bytes.
    pub key: String,
    /// What is asked for, in bytes that differ when it differs.
    pub request: Vec<u8>,
}

/// How far a program has come that reads the event log under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerChange {
    /// It exists from here on, if it does not yet: what happens from now on is kept for it.
    Begin,
    /// It has done with every event up to this one.
    Acknowledge(u64),
    /// It will not come back.
    Forget,
}

/// What a user settles for a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatChange {
    /// It is quiet until then, or is not.
    Mute(Option<Timestamp>),
    /// It is put away, until a message comes in it.
    Archive,
    /// It is back.
    Unarchive,
    /// Its texts are deleted after this time from here on, at both ends, or stay.
    Ttl(Option<Duration>),
}

/// A user's word about a contact.
#[derive(Debug)]
pub enum ContactChange {
    /// The contact's side shows this safety number.
    Verify(Compared),
    /// The identity key counts as unchecked again.
    Unverify,
    /// Another name, exactly as it is to be.
    Rename(String),
    /// What happens when the identity key changes.
    Policy(ChangePolicy),
    /// The key that waits is the contact's.
    AcceptKey,
    /// The key that waits is not the contact's.
    RefuseKey,
    /// Nothing of it is taken from here on, and nothing sent to it.
    Block,
    /// It may write again.
    Unblock,
    /// It is to be none any more.
    Remove(History),
}

/// What becomes of the messages of a contact that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// They stay, under its name.
    Kept,
    /// They are deleted.
    Deleted,
}

/// A user's word about somebody who asks to be a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestDecision {
    /// It is a contact, unverified; under this name if one is given.
    Accept(Option<String>),
    /// It is not, and the same identity is not heard again by an invite for requests.
    Reject,
}

/// A user's word about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// These contacts are to be members.
    Add(Vec<String>),
    /// This contact of another relay is to be one: with this registration token it makes a mailbox at the group's.
    AddGuest(String, String),
    /// These members are to be none.
    Remove(Vec<String>),
    /// Another name.
    Rename(String),
    /// This member is to be an admin.
    Promote(String),
    /// This member is to be no admin.
    Demote(String),
    /// This account is to be no member.
    Leave,
    /// The group, of which this account is no member, is to be forgotten, with all that was said in it.
    Forget,
    /// The group, which a commit has stopped that nobody follows, is to go on without that commit's author.
    Rebuild,
}

/// A text to send.
#[derive(Debug)]
pub struct Send {
    /// Names of contacts.
    pub to: Vec<String>,
    /// At most 16 KiB of UTF-8.
    pub text: String,
    /// The message that it answers, of the one chat that it goes to.
    pub reply_to: Option<Reference>,
    /// It is deleted after this time; otherwise as it is settled for the chat.
    pub ttl: Option<Duration>,
    /// A repeat with the same key and content sends nothing and returns the first results.
    pub idempotency: Option<String>,
}

/// What the link to relays reports. All of it may be forged by a hostile relay, and is checked.
#[derive(Debug)]
pub enum LinkEvent {
    /// The account's mailbox is open.
    Registered {
        /// The relay's clock.
        relay_time: Timestamp,
        /// The lowest prekey id it takes.
        next_prekey_id: PrekeyId,
        /// Prekeys on hand there.
        stock: Vec<PrekeyStock>,
        /// Highest sequence it has assigned.
        head: Sequence,
        /// The store claim it holds.
        claim: Option<SignedClaim>,
        /// Whether the connection took the place of another run of the account's daemon.
        replaced: bool,
    },
    /// The relay has taken this store claim.
    Claimed(Claim),
    /// The relay holds another store claim than was expected.
    ClaimRefused {
        /// This one.
        held: Option<SignedClaim>,
        /// As when it was registered.
        replaced: bool,
    },
    /// A store claim is due. The shell draws the time at random, whatever is sent and received.
    ClaimDue,
    /// Another connection with this installation's own id took over.
    CopySeen,
    /// The relay refuses this permission from here on.
    Revoked(ContactId),
    /// The relay has this many prekeys left.
    PrekeyStock(Vec<PrekeyStock>),
    /// Prekeys up to this id are durable at the relay.
    PrekeysStored(PrekeyId),
    /// An envelope arrived.
    Delivered(Delivered),
    /// An envelope arrived that the relay has not kept.
    Ephemeral(Passing),
    /// It is time to tell contacts about the own presence.
    PresenceDue(PresenceDue),
    /// Sequences that will never arrive (first and last, inclusive).
    Gone(Sequence, Sequence),
    /// The relay has durably stored an outbox row.
    Deposited(OutboxKey),
    /// The relay will never take an outbox row (a refusal whose advice is permanent).
    DepositRefused(OutboxKey, Refusal),
    /// A bundle that was asked for.
    Bundle(ChatId, FetchId, Box<SealedBundle>),
    /// A bundle that the relay will never give.
    FetchRefused(ChatId, FetchId, Refusal),
    /// The relay has all of a blob.
    BlobStored(BlobId),
    /// The relay will never have it.
    BlobRefused(BlobId, Refusal),
    /// A blob that was asked for.
    BlobFetched(BlobId, Vec<u8>),
    /// A blob that the relay does not have.
    BlobGone(BlobId),
    /// Something about a mailbox at another relay.
    Guest(GuestId, GuestEvent),
}

/// What the link reports of a mailbox at another relay. Each may be forged by that relay, and says nothing of any other.
#[derive(Debug)]
pub enum GuestEvent {
    /// It is open.
    Registered {
        /// Where the relay was reached.
        relay: RelayAddress,
        /// The relay's clock.
        relay_time: Timestamp,
        /// Highest sequence it has assigned.
        head: Sequence,
    },
    /// The relay will never take it, as things are: with this registration token, or without one.
    Refused(Refusal, Option<String>),
    /// An envelope arrived.
    Delivered(Delivered),
    /// Sequences that will never arrive (first and last, inclusive).
    Gone(Sequence, Sequence),
    /// The relay refuses this permission from here on.
    Revoked(ContactId),
    /// The relay has all of a blob.
    BlobStored(BlobId),
    /// The relay will never have it.
    BlobRefused(BlobId, Refusal),
    /// A blob that was asked for there.
    BlobFetched(BlobId, Vec<u8>),
    /// A blob that the relay does not have.
    BlobGone(BlobId),
}

/// Place of a row in the outbox; rows of a chat leave in order of position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxKey {
    /// Whose.
    pub chat: ChatId,
    /// Rising over the whole account.
    pub position: u64,
}
