//! The local HTTP API between a daemon and its user's programs: the JSON types, and a small client over the Unix socket.
//!
//! Both sides use the same types, so there is one description of every route ([`routes`]), one table of error codes
//! with their exit codes ([`ErrorCode`]) and one version ([`V1`]) on every top-level document. Documents only ever
//! grow. Deliberately absent: keys, cryptography and everything that a relay would understand.

pub mod account;
pub mod audit;
pub mod backup;
pub mod chat;
pub mod clean;
pub mod client;
pub mod config;
pub mod contact;
pub mod diagnosis;
pub mod error;
pub mod event;
pub mod exit;
pub mod group;
pub mod keys;
pub mod limits;
pub mod mark;
pub mod message;
pub mod outbox;
pub mod peer;
pub mod request;
pub mod routes;
pub mod search;
pub mod socket;
pub mod status;
mod version;

pub use account::{
    CreateAccount, CreatedAccount, Profile, RegistrationToken, RemoveAccount, RemovedAccount, SetProfile,
};
pub use audit::{
    Audit, AuditQuery, ChatAudit, Finding, FindingKind, Gap, Neighbour, ReceivedAudit, SentAudit, Sighting,
    Unconfirmed, UnreadableCount,
};
pub use backup::{BackUp, BackupHead, RestoreAccount};
pub use chat::{Chat, ChatSettings, ChatWith, Chats, Dnd, MuteChat, SetDnd, SetTtl};
pub use client::{Client, ClientError, Download, EventStream, OtherBuild, RawReply, RawRequest};
pub use config::{ConfigInForce, ConfigOrigin, SettingInForce};
pub use contact::{
    AcceptInvite, AcceptedInvite, Contact, ContactDetails, ContactState, Contacts, CreateInvite,
    CreatedInvite, History, KeyChange, KeyPolicy, RemoveContact, RemovedContact, RenameContact, SessionFacts,
    SetKeyPolicy, Trust, VerifiedBy, VerifyContact,
};
pub use diagnosis::{AccountDiagnosis, Diagnosis, Measure, MeasureState, RelayClock};
pub use error::{ErrorCode, Failure, Problem};
pub use event::{
    AckEvents, Consumer, ConsumerState, Consumers, Event, EventFrame, EventQuery, ForgetConsumer, MarkKind,
};
pub use exit::Exit;
pub use group::{
    AddMembers, ChangeMembers, CreateGroup, Forgotten, Group, GroupChange, GroupDetails, Groups, LeaveGroup,
    Member, Person, RebuildGroup, RenameGroup, Role, SetRole, Standing, WaitingPlace,
};
pub use keys::{ChangeKeys, KeyKind, KeyStatus, KeysChanged, Passphrase, UnknownKeyKind, Unlock};
pub use mark::{EditMessage, MessageChanged, Quote, React, Reaction};
pub use message::{
    Body, Confirmed, Direction, GroupNote, InboxQuery, LogQuery, Message, MessageDetails, MessagePage,
    MessageState, ReadMessages, ReadReceipt, Recipient, SendMessage, SendResult, SentMessages, Wait,
    WaitQuery,
};
pub use outbox::{Outbox, OutboxQuery, Waiting, WaitingKind};
pub use peer::{Peer, Peers, PingContact, Pong, SessionHealth};
pub use request::{
    AcceptRequest, CloseRequests, ClosedRequests, OpenInvite, RejectedRequest, Request, RequestMessage,
    Requests,
};
pub use search::{SearchPage, SearchQuery};
pub use socket::ForeignSocket;
pub use status::{
    AccountStatus, Connection, ConnectionState, DaemonStatus, GuestStatus, Recover, RecoverOutcome,
    Recovered, Restored, SessionRenewal, Shutdown, StoreState, StoreStatus, Unreadable,
};
pub use version::{UnixMillis, V1};

/// Which build of the API this is, 16 hex digits: programs that were not made together have others.
pub const BUILD: &str = env!("HERMES_API_BUILD");
