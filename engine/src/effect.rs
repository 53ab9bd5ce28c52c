//! What a committed step asks of the shell. Effects are hints: each can be derived again from the store, so that a
//! crash between a commit and its effects loses nothing.

use hermes_protocol::{
    content::{GuestRefusal, MessageId},
    identity::Fingerprint,
};
use hermes_wire::{Refusal, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ChatId, GuestId},
    input::CommandId,
    presence::Ephemeral,
    reference::Reference,
    row::{MessageState, RenewalReason, UnreadableCause},
    verify::NumberOf,
};

/// Something to do, handed out only by a commit.
#[derive(Debug)]
pub enum Effect {
    /// Answer a command.
    Reply(CommandId, Result<Reply, CommandError>),
    /// Tell whoever listens.
    Event(Event),
    /// The outbox has a row for this chat.
    Outbox(ChatId),
    /// A prekey bundle is wanted for this chat.
    Fetch(ChatId),
    /// There are prekeys to upload.
    Prekeys,
    /// There are blobs to upload, or to fetch.
    Blobs,
    /// The relay is to be told of revocations.
    Revocations,
    /// Something is to be done about the store claim.
    Claim,
    /// [`crate::Input::Due`] is wanted then.
    Due(Timestamp),
    /// Everything up to this sequence of the account's own mailbox is safe here.
    Ack(Sequence),
    /// The same, of a mailbox at another relay.
    GuestAck(GuestId, Sequence),
    /// The relay of a guest mailbox brings what is under none of its cards, again and again.
    GuestStrays(GuestId),
    /// There are other mailboxes at other relays, or another way into one.
    Guests,
    /// This is to be sent once, now or never.
    Ephemeral(Box<Ephemeral>),
}

/// A command's success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// The invite, as text to hand over.
    Invite {
        /// `hermes-invite:…`
        link: String,
        /// It cannot be accepted after this.
        expiry: Timestamp,
    },
    /// Pairing has begun; [`Event::ContactReady`] or [`Event::PairingFailed`] follows.
    Accepted {
        /// The contact's chat.
        chat: ChatId,
        /// Its provisional name.
        name: String,
    },
    /// One result for each recipient, in the order asked.
    #[serde(skip)]
    Sent(Vec<SendResult>),
    /// It is said, or was said before.
    #[serde(skip)]
    Marked {
        /// The message that it is about.
        message: MessageId,
        /// What was stored for it, and is on its way.
        said: Option<SentMessage>,
    },
    /// The request is forgotten.
    Rejected,
    /// So many invites for requests are withdrawn.
    Closed(usize),
    /// The messages are marked.
    Read,
    /// The contact is as asked.
    Contact(ChatId),
    /// Every contact that had none has key packages.
    Given,
    /// The group is to be as asked, once the relay has put the change in its place.
    Group(ChatId),
    /// The group is gone.
    Forgotten,
    /// It is settled.
    Chat(ChatId),
    /// What the account calls itself is settled.
    Profile,
    /// Whether the user can be disturbed is settled.
    Quiet,
    /// The question is on its way; [`Event::Pong`] with this id may follow.
    Pinged(MessageId),
    /// This copy of the store goes on, from the moment at which the relay takes its word.
    TakingOver,
    /// This copy has been going on anyway; its alarms are ended.
    AlarmEnded,
    /// A consumer of the event log has everything up to this number.
    Consumer(u64),
}

/// What became of a send to one recipient.
#[derive(Debug, Clone)]
pub struct SendResult {
    /// The name as it was given.
    pub to: String,
    /// The stored message, or why nothing was stored.
    pub outcome: Result<SentMessage, SendError>,
}

/// A stored outgoing message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its id, the same on both sides.
    pub id: MessageId,
    /// The local short name.
    pub reference: Reference,
    /// How far it has come.
    pub state: MessageState,
}

/// Why a message to one recipient was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No contact of that name.
    #[error("there is no contact or group named {0:?}")]
    UnknownContact(String),
    /// The pairing has not come far enough to encrypt.
    #[error("the pairing with {0} is not finished")]
    NotPaired(String),
    /// Too many messages are waiting to leave.
    #[error("the outbox is full: {0} messages are waiting to leave")]
    OutboxFull(u64),
    /// The session cannot seal.
    #[error("the session with {0} cannot encrypt: {1}")]
    Session(String, String),
    /// Another identity speaks in the contact's place, and the user has not decided.
    #[error("{0}'s identity key changed; nothing is sent to {0} until you decide")]
    IdentityChanged(String),
    /// The user has blocked the contact.
    #[error("{0} is blocked")]
    Blocked(String),
    /// Nothing can be written to this group any more.
    #[error("nothing can be sent to {0}: {1}")]
    GroupClosed(String, &'static str),
    /// This copy of the store is not the one that works.
    #[error("another copy of this account's store is at work, and this one is stopped")]
    CopyStopped,
}

/// Why a command did nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Nothing to send.
    #[error("the message is empty")]
    EmptyText,
    /// More than the limit.
    #[error("the message has {bytes} bytes; the limit is {max}")]
    TextTooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// More recipients than one command may name.
    #[error("{given} recipients were named; the limit is {max}")]
    TooManyRecipients {
        /// Recipients given.
        given: usize,
        /// Recipients allowed.
        max: usize,
    },
    /// The idempotency key stands for another message.
    #[error("the key {0:?} was used for another request already")]
    IdempotencyConflict(String),
    /// The idempotency key is empty or too long.
    #[error("an idempotency key has 1 to {0} bytes")]
    BadIdempotencyKey(usize),
    /// The relay does not have the account's keys yet, so that an invite would lead nowhere.
    #[error("the relay has not accepted this account yet")]
    NotRegistered,
    /// The invite is the account's own.
    #[error("this invite is your own")]
    OwnInvite,
    /// The inviter is a contact already. An invite names the inviter's mailbox and is not signed: following one would
    /// let whoever made it lead the messages for a known contact astray.
    #[error("{0} is a contact already")]
    AlreadyContact(String),
    /// Invites live at most this long.
    #[error("an invite lasts at most {0} days")]
    ValidityTooLong(u64),
    /// Too many invites are open.
    #[error("{0} invites are open; the limit")]
    TooManyInvites(usize),
    /// Too many invites for requests are open.
    #[error("{0} public links are open, which is the most there can be")]
    TooManyRequestInvites(usize),
    /// No such invite for requests, or several.
    #[error("{}", no_request_invite(.0.as_deref()))]
    NoSuchRequestInvite(Option<String>),
    /// No request of that name.
    #[error("there is no contact request named {0:?}")]
    UnknownRequest(String),
    /// Too many contacts.
    #[error("there are {0} contacts; the limit")]
    TooManyContacts(u64),
    /// No such message.
    #[error("there is no message {0}")]
    UnknownMessage(Reference),
    /// Somebody else's message.
    #[error("{0} is not your message: only its author can change or withdraw it")]
    NotAuthor(Reference),
    /// Its text is deleted, or it is no message.
    #[error("{0} has no text any more, or is a note")]
    NothingToChange(Reference),
    /// Nobody has it.
    #[error("{0} has not been sent: it failed")]
    NotSent(Reference),
    /// It cannot be held back any more.
    #[error("{0} has left already, or is nothing that waits")]
    HasLeft(Reference),
    /// Edited as often as can be.
    #[error("{0} was edited {1} times, which is the most there can be")]
    TooManyEdits(Reference, usize),
    /// Not an emoji.
    #[error("{0:?} cannot be a reaction")]
    BadReaction(String),
    /// An answer goes where the question is.
    #[error("{0} can be answered in its own chat only")]
    ReplyElsewhere(Reference),
    /// No contact of that name.
    #[error("there is no contact named {0:?}")]
    UnknownContact(String),
    /// The pairing has not come far enough.
    #[error("the pairing with {0} is not finished")]
    NotPaired(String),
    /// Not a name that can be typed.
    #[error("{0:?} cannot be a contact's name")]
    BadName(String),
    /// Not a name to be called by.
    #[error("{0:?} cannot be a profile name")]
    BadProfileName(String),
    /// Another contact has the name.
    #[error("there is a contact or a group named {0} already")]
    NameTaken(String),
    /// The number belongs to other keys.
    #[error("this is not the safety number of you and {0}")]
    NumberMismatch(String),
    /// The number fits one of two keys, and the user has not decided which is the contact's.
    #[error("{name}'s identity key changed, and this is the number of the {}", number.words())]
    KeyChanged {
        /// The contact.
        name: String,
        /// Which key the number belongs to.
        number: NumberOf,
    },
    /// No other key waits.
    #[error("{0}'s identity key has not changed")]
    KeyUnchanged(String),
    /// The key that waits is another contact's.
    #[error("the key that waits for {name} is that of your contact {other}")]
    KeyOfAnother {
        /// The contact.
        name: String,
        /// Whose it is.
        other: String,
    },
    /// Neither a contact nor a group of that name.
    #[error("there is no contact or group named {0:?}")]
    UnknownChat(String),
    /// A text that is to be deleted stays some time.
    #[error("a message can be told to last from a second to {0} days")]
    TtlOutOfRange(u64),
    /// Those concerned cannot be told.
    #[error("{0}")]
    Unsent(SendError),
    /// No group of that name.
    #[error("there is no group named {0:?}")]
    UnknownGroup(String),
    /// Who is to be added is a member.
    #[error("{member} is in {group} already")]
    MemberAlready {
        /// As it was given.
        member: String,
        /// The group.
        group: String,
    },
    /// This account is one of its members, or would be again.
    #[error("you are in {0}")]
    StillMember(String),
    /// This account is none of its members any more.
    #[error("you are not in {0} any more")]
    NoMember(String),
    /// No member of that name.
    #[error("{group} has no member {member:?}")]
    UnknownMember {
        /// As it was given.
        member: String,
        /// The group.
        group: String,
    },
    /// Several members call themselves so.
    #[error("several members are called {0:?}")]
    AmbiguousMember(String),
    /// Only admins change a group.
    #[error("only an admin of {0} can do that")]
    NotAdmin(String),
    /// Nobody could change the group any more.
    #[error("{0} would be left without an admin")]
    LastAdmin(String),
    /// One leaves instead.
    #[error("you cannot remove yourself from {0}")]
    RemoveSelf(String),
    /// There is nothing to mend, or others may do it.
    #[error("{0} is not to be made anew: it works, or its admins may yet add you again")]
    NotFrozen(String),
    /// Not a name for a group.
    #[error("{0:?} cannot be a group's name")]
    BadGroupName(String),
    /// More groups than an account has.
    #[error("you are in {0} groups, which is the most there can be")]
    TooManyGroups(usize),
    /// More members than a group has.
    #[error("a group has at most {0} members")]
    TooManyMembers(usize),
    /// A contact whose key is in doubt is not brought among others.
    #[error("{0}'s identity key changed; decide first whether the new one is theirs")]
    MemberKeyChanged(String),
    /// A registration token is for a mailbox that has yet to be made.
    #[error("{0}'s mailbox is at the group's relay already, so there is nothing to register")]
    NoTokenWanted(String),
    /// More than a relay takes.
    #[error("this is no registration token: it has more than {0} characters")]
    TokenTooLong(usize),
    /// What the key agreement says.
    #[error("{0}")]
    Group(String),
    /// Not a name for a consumer.
    #[error("{0:?} cannot be a consumer's name")]
    BadConsumerName(String),
    /// No consumer of that name.
    #[error("there is no consumer named {0:?}")]
    UnknownConsumer(String),
    /// Too many consumers.
    #[error("there are {0} consumers of the event log, which is the most there can be")]
    TooManyConsumers(usize),
    /// Nobody can have read an event that has not happened.
    #[error("there is no event {given} yet; the last one is {newest}")]
    NoSuchEvent {
        /// As it was given.
        given: u64,
        /// The last there is.
        newest: u64,
    },
    /// No alarm stands.
    #[error("this copy of the store is the one that works")]
    NothingToRecover,
}

fn no_request_invite(id: Option<&str>) -> String {
    match id {
        Some(id) => format!("there is no one public link whose id begins with {id:?}"),
        None => "no public link is open".to_owned(),
    }
}

impl CommandError {
    /// The name that was typed, when no contact, no group and no chat has it.
    pub fn unknown_name(&self) -> Option<&str> {
        match self {
            Self::UnknownContact(name) | Self::UnknownChat(name) | Self::UnknownGroup(name) => Some(name),
            Self::Unsent(SendError::UnknownContact(name)) => Some(name),
            _ => None,
        }
    }
}

/// Something the user may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message arrived.
    Received(Reference),
    /// A sent message came further.
    State {
        /// Which.
        id: MessageId,
        /// Its short name.
        reference: Reference,
        /// How far.
        state: MessageState,
    },
    /// Something was said about a message.
    Marked {
        /// Which message.
        reference: Reference,
        /// What.
        what: MarkKind,
    },
    /// A message was to be deleted after a time, and was.
    Expired(Reference),
    /// A contact can be written to.
    ContactReady {
        /// The contact's chat.
        chat: ChatId,
        /// Its name.
        name: String,
        /// Whose key it is.
        fingerprint: Fingerprint,
    },
    /// Somebody asks to be a contact.
    Requested {
        /// The chat that it would have.
        chat: ChatId,
        /// The name by which the user can decide about it.
        name: String,
        /// Whose key it is.
        fingerprint: Fingerprint,
    },
    /// This account has asked to be a contact: the question is on its way, and the other side's word is awaited.
    Asked {
        /// The contact's chat.
        chat: ChatId,
        /// Its provisional name.
        name: String,
    },
    /// A pairing ended without a contact.
    PairingFailed {
        /// The contact's chat.
        chat: ChatId,
        /// Its provisional name.
        name: String,
        /// Why.
        reason: PairingError,
    },
    /// A contact has said that it is there, or goes. It is believed to be there for
    /// [`crate::limits::PRESENCE_LIFETIME`].
    Presence {
        /// The contact's chat.
        chat: ChatId,
        /// Its name.
        name: String,
        /// Whether it is there.
        here: bool,
    },
    /// A contact's daemon has answered a ping.
    Pong {
        /// The contact's chat.
        chat: ChatId,
        /// As the ping was answered with.
        ping: MessageId,
    },
    /// Something arrived that cannot be read.
    Unreadable(UnreadableCause),
    /// A contact's session gave way to another.
    SessionRenewed {
        /// The contact's chat.
        chat: ChatId,
        /// Its name.
        name: String,
        /// Why.
        reason: RenewalReason,
    },
    /// Another identity speaks in a contact's place.
    IdentityChanged {
        /// The contact's chat.
        chat: ChatId,
        /// Its name.
        name: String,
        /// The new identity.
        fingerprint: Fingerprint,
        /// What became of it.
        outcome: ChangeOutcome,
    },
    /// A contact's session could not be renewed: its keys are not to be had.
    RenewalFailed {
        /// The contact's chat.
        chat: ChatId,
        /// Its name.
        name: String,
    },
    /// Something became of a group.
    Group {
        /// Its chat.
        chat: ChatId,
        /// Its name.
        name: String,
        /// What.
        event: GroupEvent,
    },
    /// The store was put back from an old copy, or took over from another one; its sessions are being renewed.
    StoreRestored,
    /// Another copy of this store is at work; this one is stopped.
    CopyStopped,
    /// Another copy of this store has connected.
    CopySeen,
    /// The relay holds a store claim that the account never signed.
    ForeignClaim,
}

/// What can be said about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkKind {
    /// A reaction to it is new, another one, or gone.
    Reaction,
    /// It says something else.
    Edit,
    /// Its author has withdrawn it.
    Withdrawn,
}

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupEvent {
    /// This account is a member now.
    Joined {
        /// By whom.
        by: String,
    },
    /// Its members, its name or its admins are others.
    Changed,
    /// A change that was asked for here cannot be made.
    ChangeFailed(String),
    /// A contact that is to be added has no mailbox at the group's relay, and cannot have one as things are.
    NoPlace {
        /// The contact's name.
        contact: String,
        /// The relay's address.
        relay: String,
        /// Why.
        reason: GuestRefusal,
    },
    /// It does not work here any more; how it stands says why.
    Stopped,
}

/// What became of another identity in a contact's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeOutcome {
    /// It waits for the user's word, and nothing is sent.
    Stopped,
    /// It is the contact's, as the user had asked for.
    Accepted,
}

/// Why a pairing failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PairingError {
    /// The relay's word.
    #[error("{0}")]
    Refused(Refusal),
    /// The bundle does not belong to the invite, or is broken.
    #[error("the relay returned keys that are not the inviter's: {0}")]
    BadBundle(String),
}
