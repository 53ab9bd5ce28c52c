//! Errors: a stable code, a sentence, and what to do. The one place that maps codes to exit codes and HTTP statuses.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Exit, V1};

/// The body of every reply that is no success: `{"v":1,"error":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// The document's version.
    pub v: V1,
    /// What is wrong.
    pub error: Problem,
}

/// What went wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// For programs. Never changes its meaning.
    pub code: ErrorCode,
    /// For people: what happened, in one clause without a full stop.
    pub message: String,
    /// For people: what to do or type next. Empty when there is nothing to do.
    pub hint: String,
}

impl Problem {
    /// A problem.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Failure {
    fn from(error: Problem) -> Self {
        Self { v: V1, error }
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $exit:ident, $status:literal;)*) => {
        /// What went wrong, for programs. Kebab-case in JSON.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// A code that this program is too old to know; the message still says what happened.
            #[serde(other, rename = "other")]
            Other,
        }

        impl ErrorCode {
            /// Every code that can be sent.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other => "other",
                }
            }

            /// The exit code of a program that ends with this error.
            pub fn exit(self) -> Exit {
                match self {
                    $(Self::$name => Exit::$exit,)*
                    Self::Other => Exit::Failure,
                }
            }

            /// The HTTP status of a reply with this error.
            pub fn http_status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                    Self::Other => 500,
                }
            }
        }
    };
}

error_codes! {
    /// The request or the command line does not make sense.
    Usage = "usage", Usage, 400;
    /// The configuration file is wrong.
    BadConfig = "bad-config", Usage, 400;
    /// Not an account name.
    BadAccountName = "bad-account-name", Usage, 400;
    /// Not a relay address.
    BadRelayAddress = "bad-relay-address", Usage, 400;
    /// Not an invite, or a mangled one.
    BadInvite = "bad-invite", Usage, 400;
    /// Neither a safety number nor a safety code.
    BadSafetyNumber = "bad-safety-number", Usage, 400;
    /// Not a backup, or a damaged one.
    BadBackup = "bad-backup", Failure, 400;
    /// Not a name for a contact.
    BadContactName = "bad-contact-name", Usage, 400;
    /// Not a name to be called by.
    BadProfileName = "bad-profile-name", Usage, 400;
    /// Not a name for a group.
    BadGroupName = "bad-group-name", Usage, 400;
    /// Not a usable idempotency key.
    BadIdempotencyKey = "bad-idempotency-key", Usage, 400;
    /// Not a reaction.
    BadReaction = "bad-reaction", Usage, 400;
    /// Not a name for a consumer of events.
    BadConsumerName = "bad-consumer-name", Usage, 400;
    /// Nothing to send.
    EmptyMessage = "empty-message", Usage, 400;
    /// The message is over the limit.
    MessageTooLarge = "message-too-large", Failure, 413;
    /// More recipients than one command may name.
    TooManyRecipients = "too-many-recipients", Usage, 400;

    /// There is no account at all.
    NoAccount = "no-account", NotFound, 404;
    /// No account of that name.
    AccountNotFound = "account-not-found", NotFound, 404;
    /// Several accounts, and none was named.
    AccountAmbiguous = "account-ambiguous", NotFound, 409;
    /// An account of that name exists already.
    AccountExists = "account-exists", Failure, 409;
    /// No contact of that name.
    ContactNotFound = "contact-not-found", NotFound, 404;
    /// Several contacts match.
    ContactAmbiguous = "contact-ambiguous", NotFound, 409;
    /// The pairing with this contact is not finished.
    ContactPending = "contact-pending", Failure, 409;
    /// The contact is blocked.
    ContactBlocked = "contact-blocked", Failure, 409;
    /// Another contact has the name.
    ContactNameTaken = "contact-name-taken", Failure, 409;
    /// Neither a contact nor a group of that name.
    ChatNotFound = "chat-not-found", NotFound, 404;
    /// No contact request of that name.
    RequestNotFound = "request-not-found", NotFound, 404;
    /// No invite of that id.
    InviteNotFound = "invite-not-found", NotFound, 404;
    /// No group of that name.
    GroupNotFound = "group-not-found", NotFound, 404;
    /// No member of that name in the group.
    MemberNotFound = "member-not-found", NotFound, 404;
    /// Several members call themselves so.
    MemberAmbiguous = "member-ambiguous", NotFound, 409;
    /// No message of that reference.
    MessageNotFound = "message-not-found", NotFound, 404;
    /// No consumer of events of that name.
    ConsumerNotFound = "consumer-not-found", NotFound, 404;
    /// Another program listens under that name.
    ConsumerBusy = "consumer-busy", Failure, 409;
    /// No event of that number.
    EventNotFound = "event-not-found", NotFound, 404;
    /// No such route: a slip in the path, or the daemon and the program are of different versions.
    UnknownRoute = "unknown-route", NotFound, 404;
    /// The route is there, and not for this method.
    MethodNotAllowed = "method-not-allowed", Usage, 405;

    /// The contact's identity key changed; sending stopped.
    IdentityChanged = "identity-changed", IdentityChanged, 409;
    /// No changed identity key waits to be accepted or refused.
    KeyUnchanged = "key-unchanged", Failure, 409;
    /// The changed identity key is another contact's.
    KeyOfAnother = "key-of-another", Failure, 409;
    /// The safety number belongs to other keys.
    SafetyNumberMismatch = "safety-number-mismatch", Failure, 409;
    /// The invite has expired.
    InviteExpired = "invite-expired", Failure, 410;
    /// The invite was used already.
    InviteUsed = "invite-used", Failure, 410;
    /// The invite is the account's own.
    OwnInvite = "own-invite", Failure, 409;
    /// The invite is of somebody who is a contact already.
    AlreadyContact = "already-contact", Failure, 409;
    /// The pairing ended without a contact.
    PairingFailed = "pairing-failed", Failure, 409;
    /// The idempotency key was used for another message.
    IdempotencyConflict = "idempotency-conflict", Failure, 409;
    /// A limit on contacts, invites or accounts is reached.
    LimitReached = "limit-reached", Failure, 409;
    /// Only the author of a message can do that.
    NotAuthor = "not-author", Failure, 403;
    /// The message has no text any more, was never sent, or has left: nothing is to be done about it.
    MessageClosed = "message-closed", Failure, 409;
    /// The user kept the message from leaving.
    Cancelled = "cancelled", Failure, 409;
    /// Too many messages are waiting to leave.
    OutboxFull = "outbox-full", Failure, 503;
    /// Only an admin of the group can do that.
    NotAdmin = "not-admin", Failure, 403;
    /// The group would be left without an admin.
    LastAdmin = "last-admin", Failure, 409;
    /// The group does not work here any more.
    GroupClosed = "group-closed", Failure, 409;
    /// The group cannot be changed like that.
    GroupChangeFailed = "group-change-failed", Failure, 409;
    /// The session with a contact cannot encrypt.
    SessionFailed = "session-failed", Failure, 500;

    /// The recipient's mailbox is full.
    MailboxFull = "mailbox-full", Failure, 503;
    /// The relay said no for good.
    RelayRefused = "relay-refused", Failure, 502;
    /// The relay cannot be reached.
    RelayUnreachable = "relay-unreachable", Failure, 502;
    /// The relay proved another key than its address names.
    RelayKeyMismatch = "relay-key-mismatch", Failure, 502;
    /// Nobody whom this machine trusts vouches for the relay's name.
    RelayUncertified = "relay-uncertified", Failure, 502;
    /// The relay takes no new account without a valid registration token.
    RegistrationRefused = "registration-refused", Failure, 403;
    /// Another connection of this account took over.
    Superseded = "superseded", Failure, 409;
    /// Another copy of the account's store is at work, or was.
    StoreCopy = "store-copy", Failure, 409;
    /// This copy of the store is the one that works.
    NothingToRecover = "nothing-to-recover", Failure, 409;

    /// No daemon answers and none was started.
    DaemonUnreachable = "daemon-unreachable", Daemon, 503;
    /// Another daemon of this user is running.
    DaemonRunning = "daemon-running", Daemon, 409;
    /// The daemon is stopping.
    DaemonStopping = "daemon-stopping", Daemon, 503;
    /// The daemon does not speak this version of the API.
    DaemonVersion = "daemon-version", Daemon, 505;
    /// The service manager does not answer, or does not do what it is asked.
    ServiceManager = "service-manager", Failure, 500;
    /// The socket belongs to someone else.
    ForeignSocket = "foreign-socket", Daemon, 403;
    /// The store is damaged.
    StoreCorrupt = "store-corrupt", Daemon, 500;
    /// The store was written by a newer version.
    StoreNewer = "store-newer", Daemon, 500;
    /// Another process has the store open.
    StoreInUse = "store-in-use", Daemon, 409;
    /// The store cannot be read or written: disk full, permissions, I/O.
    StoreFailed = "store-failed", Daemon, 500;
    /// The key that opens the store is missing or cannot be read.
    Locked = "locked", Locked, 423;

    /// Some recipients were served and some were not.
    PartialFailure = "partial-failure", Partial, 500;
    /// The wait ended before the state came.
    WaitTimedOut = "wait-timed-out", TimedOut, 504;
    /// Stopped by the user.
    Interrupted = "interrupted", Interrupted, 499;
    /// A file, a terminal or a pipe of the program failed.
    Io = "io", Failure, 500;
    /// A fault of the program itself.
    Internal = "internal", Failure, 500;
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for ErrorCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, Type};
        let codes = Self::ALL.iter().map(|code| code.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for ErrorCode {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_kebab_case_and_survive_json() {
        let texts: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{code}");
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
            assert!((400..600).contains(&code.http_status()), "{code}");
            assert_ne!(code.exit(), Exit::Ok, "{code}");
        }
    }

    #[test]
    fn a_newer_daemons_code_is_still_an_error() {
        let failure: Failure =
            serde_json::from_str(r#"{"v":1,"error":{"code":"moon-phase","message":"m","hint":"h"}}"#)
                .unwrap();
        assert_eq!(failure.error.code, ErrorCode::Other);
        assert_eq!(failure.error.code.exit(), Exit::Failure);
    }

    #[test]
    fn the_documented_exit_codes() {
        for (code, exit) in [
            (ErrorCode::MailboxFull, 1),
            (ErrorCode::MessageTooLarge, 1),
            (ErrorCode::RelayKeyMismatch, 1),
            (ErrorCode::InviteExpired, 1),
            (ErrorCode::InviteUsed, 1),
            (ErrorCode::SafetyNumberMismatch, 1),
            (ErrorCode::Usage, 2),
            (ErrorCode::DaemonUnreachable, 3),
            (ErrorCode::StoreCorrupt, 3),
            (ErrorCode::StoreNewer, 3),
            (ErrorCode::StoreInUse, 3),
            (ErrorCode::ForeignSocket, 3),
            (ErrorCode::Locked, 4),
            (ErrorCode::MethodNotAllowed, 2),
            (ErrorCode::ContactNotFound, 5),
            (ErrorCode::UnknownRoute, 5),
            (ErrorCode::AccountAmbiguous, 5),
            (ErrorCode::IdentityChanged, 6),
            (ErrorCode::PartialFailure, 7),
            (ErrorCode::WaitTimedOut, 8),
            (ErrorCode::Interrupted, 130),
        ] {
            assert_eq!(code.exit().code(), exit, "{code}");
        }
    }
}
