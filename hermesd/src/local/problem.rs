//! The one place that turns what went wrong into what a user reads: a code, a sentence, and what to do.

mod group;
mod refusal;

use hermes_api::{ErrorCode, Problem, limits};
use hermes_engine::{
    CommandError, FailureReason, InviteError, NumberOf, PairingError, ReadError, SafetyNumberError, SendError,
};
use hermes_wire::Refusal;

use crate::{
    account::{AccountError, CommandFailure},
    keystore::KeyError,
    link::Reason,
    lock::LockError,
    store::{OpenError, StoreError},
};

pub(super) use self::{
    group::{no_place, stopped_group, who},
    refusal::closed_mailbox,
};

/// What to do on a copy that is stopped.
const COPY_HINT: &str = "use the other copy; or go on with this one and stop the other: hermesctl recover";

/// What to do about an open store that is damaged.
const DAMAGED_HINT: &str = "save what can be read: hermesctl export; then stop the daemon, move the account's directory \
                            away, and bring a backup back: hermesctl restore";

/// Says what went wrong in the API's terms.
pub(crate) trait ToProblem {
    fn problem(&self) -> Problem;
}

impl ToProblem for CommandError {
    fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::EmptyText => {
                (ErrorCode::EmptyMessage, "give the text as an argument or on stdin".to_owned())
            }
            Self::TextTooLong { .. } => {
                (ErrorCode::MessageTooLarge, "send it in several messages".to_owned())
            }
            Self::TooManyRecipients { given: 0, .. } => {
                return Problem::new(ErrorCode::Usage, "nobody was named to send to", "name a contact");
            }
            Self::TooManyRecipients { .. } => {
                (ErrorCode::TooManyRecipients, "send it in several commands".to_owned())
            }
            Self::IdempotencyConflict(_) => {
                (ErrorCode::IdempotencyConflict, "choose another key (--id, --key, Idempotency-Key) for another request; a repeat has to be the same".to_owned())
            }
            Self::BadIdempotencyKey(_) => {
                (ErrorCode::BadIdempotencyKey, "use a shorter id, or none".to_owned())
            }
            Self::NotRegistered => (
                ErrorCode::RelayUnreachable,
                "hermesctl status says why the relay has not taken it; it is tried again by itself"
                    .to_owned(),
            ),
            Self::AlreadyContact(name) => {
                (ErrorCode::AlreadyContact, format!("write to them: hermesctl send {name} TEXT"))
            }
            Self::OwnInvite => (ErrorCode::OwnInvite, "give it to the person you want to talk to".to_owned()),
            Self::ValidityTooLong(days) => (ErrorCode::Usage, format!("ask for {days} days or less")),
            Self::TooManyInvites(_) => {
                (ErrorCode::LimitReached, "wait until older invites have expired".to_owned())
            }
            Self::TooManyRequestInvites(_) => (
                ErrorCode::LimitReached,
                "withdraw one: hermesctl requests close INVITE; hermesctl requests ls names them".to_owned(),
            ),
            Self::NoSuchRequestInvite(None) => (
                ErrorCode::InviteNotFound,
                "there is nothing to do; hermesctl invite --requests makes one".to_owned(),
            ),
            Self::NoSuchRequestInvite(Some(_)) => (
                ErrorCode::InviteNotFound,
                "hermesctl requests ls names them all; 8 digits of an id are enough".to_owned(),
            ),
            Self::UnknownRequest(_) => {
                (ErrorCode::RequestNotFound, "hermesctl requests ls names them all".to_owned())
            }
            Self::TooManyContacts(_) => (ErrorCode::LimitReached, "use another account".to_owned()),
            Self::NothingToRecover => (
                ErrorCode::NothingToRecover,
                "there is nothing to do; hermesctl status shows how it fares".to_owned(),
            ),
            Self::BadConsumerName(_) => (
                ErrorCode::BadConsumerName,
                "use 1 to 64 letters, digits, '-', '_', '.', ':' and '@'".to_owned(),
            ),
            Self::UnknownConsumer(_) => {
                (ErrorCode::ConsumerNotFound, "hermesctl events ls names them all".to_owned())
            }
            Self::TooManyConsumers(_) => (
                ErrorCode::LimitReached,
                "forget one that will not come back: hermesctl events ls, then hermesctl events forget NAME"
                    .to_owned(),
            ),
            Self::NoSuchEvent { .. } => {
                (ErrorCode::EventNotFound, "acknowledge the number of an event that you have".to_owned())
            }
            Self::UnknownMessage(_) => (
                ErrorCode::MessageNotFound,
                "messages are named like bob#42; hermesctl log shows them".to_owned(),
            ),
            Self::NotAuthor(_)
            | Self::NothingToChange(_)
            | Self::NotSent(_)
            | Self::HasLeft(_)
            | Self::TooManyEdits(..)
            | Self::BadReaction(_)
            | Self::ReplyElsewhere(_) => of_message(self),
            Self::UnknownContact(_)
            | Self::NotPaired(_)
            | Self::BadName(_)
            | Self::NameTaken(_)
            | Self::NumberMismatch(_)
            | Self::KeyChanged { .. }
            | Self::KeyUnchanged(_)
            | Self::KeyOfAnother { .. } => of_contact(self),
            Self::BadProfileName(_) => {
                (ErrorCode::BadProfileName, "use 1 to 64 characters that can be seen".to_owned())
            }
            Self::UnknownChat(_) => (
                ErrorCode::ChatNotFound,
                "hermesctl contact ls and hermesctl group ls name them all".to_owned(),
            ),
            Self::TtlOutOfRange(_) => (ErrorCode::Usage, "write it like 1h, 7d or off".to_owned()),
            Self::Unsent(error) => return error.problem(),
            Self::UnknownGroup(_)
            | Self::UnknownMember { .. }
            | Self::AmbiguousMember(_)
            | Self::NotAdmin(_)
            | Self::LastAdmin(_)
            | Self::RemoveSelf(_)
            | Self::NotFrozen(_)
            | Self::MemberAlready { .. }
            | Self::NoMember(_)
            | Self::StillMember(_)
            | Self::BadGroupName(_)
            | Self::TooManyGroups(_)
            | Self::TooManyMembers(_)
            | Self::MemberKeyChanged(_)
            | Self::NoTokenWanted(_)
            | Self::TokenTooLong(_)
            | Self::Group(_) => group::of_group(self),
        };
        Problem::new(code, self.to_string(), hint)
    }
}

/// What to do when a word about a message was refused.
fn of_message(error: &CommandError) -> (ErrorCode, String) {
    match error {
        CommandError::NotAuthor(reference) => {
            (ErrorCode::NotAuthor, format!("react instead: hermesctl react {reference} EMOJI"))
        }
        CommandError::NotSent(reference) => (
            ErrorCode::MessageClosed,
            format!("send it again; what became of it: hermesctl read {reference}"),
        ),
        CommandError::HasLeft(reference) => {
            (ErrorCode::MessageClosed, format!("withdraw it instead: hermesctl unsend {reference}"))
        }
        CommandError::TooManyEdits(..) => {
            (ErrorCode::LimitReached, "withdraw it and send another one".to_owned())
        }
        CommandError::BadReaction(_) => {
            (ErrorCode::BadReaction, "use one emoji, at most 32 bytes, without spaces".to_owned())
        }
        CommandError::ReplyElsewhere(reference) => {
            (ErrorCode::Usage, format!("send it to {} alone", reference.chat))
        }
        _ => (ErrorCode::MessageClosed, "nothing was changed".to_owned()),
    }
}

/// What to do when a word about a contact was refused.
fn of_contact(error: &CommandError) -> (ErrorCode, String) {
    match error {
        CommandError::NotPaired(_) => {
            (ErrorCode::ContactPending, "wait until the other side is online, then try again".to_owned())
        }
        CommandError::BadName(_) => (
            ErrorCode::BadContactName,
            "use 1 to 32 of a-z, 0-9, '-', '_' and '.', with no '-' or '.' at either end".to_owned(),
        ),
        CommandError::NameTaken(_) => (
            ErrorCode::ContactNameTaken,
            "choose another name; hermesctl chat ls --all shows those that are taken".to_owned(),
        ),
        CommandError::NumberMismatch(name) => (
            ErrorCode::SafetyNumberMismatch,
            format!(
                "nothing was changed; copy it again from {name}'s screen. If it still differs, somebody may \
                 stand between you: pair again over a channel that you trust"
            ),
        ),
        CommandError::KeyChanged { name, number: NumberOf::NewKey } => (
            ErrorCode::IdentityChanged,
            format!("take the new key: hermesctl contact accept-key {name}, then verify it"),
        ),
        CommandError::KeyChanged { name, number: NumberOf::PresentKey } => (
            ErrorCode::IdentityChanged,
            format!("the new key is somebody else's: hermesctl contact refuse-key {name}"),
        ),
        CommandError::KeyUnchanged(name) => {
            (ErrorCode::KeyUnchanged, format!("hermesctl contact show {name} shows it"))
        }
        CommandError::KeyOfAnother { name, other } => (
            ErrorCode::KeyOfAnother,
            format!("write to {other}, and drop the change: hermesctl contact refuse-key {name}"),
        ),
        _ => (ErrorCode::ContactNotFound, "hermesctl contact ls names them all".to_owned()),
    }
}

impl ToProblem for SafetyNumberError {
    fn problem(&self) -> Problem {
        let hint = "hermesctl contact show NAME shows it on both sides; copy all twelve groups";
        Problem::new(ErrorCode::BadSafetyNumber, self.to_string(), hint)
    }
}

impl ToProblem for SendError {
    fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::UnknownContact(_) => {
                (ErrorCode::ContactNotFound, "hermesctl contact ls and hermesctl group ls name them all")
            }
            Self::NotPaired(_) => {
                (ErrorCode::ContactPending, "wait until the other side is online, then send again")
            }
            Self::OutboxFull(_) => {
                (ErrorCode::OutboxFull, "wait until some have left; hermesctl status says what holds them up")
            }
            Self::CopyStopped => (ErrorCode::StoreCopy, COPY_HINT),
            Self::GroupClosed(name, _) => {
                let hint = format!("what to do: hermesctl group show {name}");
                return Problem::new(ErrorCode::GroupClosed, self.to_string(), hint);
            }
            Self::Session(..) => (ErrorCode::SessionFailed, "pair again: ask them for a new invite"),
            Self::Blocked(name) => {
                let hint = format!("let them write again first: hermesctl unblock {name}");
                return Problem::new(ErrorCode::ContactBlocked, self.to_string(), hint);
            }
            Self::IdentityChanged(name) => {
                return Problem::new(ErrorCode::IdentityChanged, self.to_string(), decide(name));
            }
        };
        Problem::new(code, self.to_string(), hint)
    }
}

/// The same problem, to somebody who seems to have meant another name.
pub(super) fn did_you_mean(problem: Problem, name: &str) -> Problem {
    Problem { hint: format!("did you mean {name}? {}", problem.hint), ..problem }
}

/// What to type when a contact's identity key changed.
fn decide(name: &str) -> String {
    format!(
        "look: hermesctl contact show {name}; ask them for their number and compare: hermesctl contact verify \
         {name}; then hermesctl contact accept-key {name} or refuse-key {name}"
    )
}

impl ToProblem for CommandFailure {
    fn problem(&self) -> Problem {
        match self {
            Self::Refused(error) => error.problem(),
            Self::Misspelt(error, name) => did_you_mean(error.problem(), name),
            Self::Store(reason) => Problem::new(
                ErrorCode::StoreFailed,
                format!("nothing was confirmed: {reason}"),
                "hermesctl doctor looks at the disk; what has --id or --key can be repeated with the same one",
            ),
            Self::Damaged(reason) => {
                Problem::new(ErrorCode::StoreCorrupt, format!("nothing was stored: {reason}"), DAMAGED_HINT)
            }
            Self::Closed => stopping(),
        }
    }
}

impl ToProblem for ReadError<StoreError> {
    fn problem(&self) -> Problem {
        match self {
            Self::Store(StoreError::Interrupted) => stopping(),
            Self::Store(StoreError::Closed) => {
                Problem::new(ErrorCode::Locked, self.to_string(), "open it: hermesctl unlock")
            }
            Self::Store(StoreError::Full | StoreError::Failed(_)) => {
                Problem::new(ErrorCode::StoreFailed, self.to_string(), "check the disk, then try again")
            }
            Self::Store(StoreError::Corrupt(_)) | Self::Corrupt(_) | Self::NoAccount => {
                Problem::new(ErrorCode::StoreCorrupt, self.to_string(), DAMAGED_HINT)
            }
        }
    }
}

impl ToProblem for AccountError {
    fn problem(&self) -> Problem {
        match self {
            Self::Key(error) => error.problem(),
            Self::Open(error) => error.problem(),
            Self::Load(error) => error.problem(),
            Self::Stopping => stopping(),
        }
    }
}

impl ToProblem for KeyError {
    fn problem(&self) -> Problem {
        let text = self.to_string();
        // These errors carry what to do behind the semicolon.
        let (message, hint) = text.split_once("; ").unwrap_or((&text, "make it readable to you alone"));
        let code = match self {
            Self::BadPassphrase => ErrorCode::Usage,
            Self::Occupied(_) | Self::Remains(_) | Self::Kept(_) => ErrorCode::StoreFailed,
            _ => ErrorCode::Locked,
        };
        Problem::new(code, message, hint)
    }
}

impl ToProblem for OpenError {
    fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Missing(_) => (ErrorCode::StoreFailed, "put the account's directory back"),
            Self::Locked { source: LockError::Held(_), .. } => {
                (ErrorCode::StoreInUse, "stop that process, then try again")
            }
            Self::Locked { .. } | Self::Io { .. } | Self::Sqlite { .. } => {
                (ErrorCode::StoreFailed, "check the disk and the permissions, then try again")
            }
            Self::Newer { .. } => (ErrorCode::StoreNewer, "start the newer hermesd; nothing was changed"),
            Self::Corrupt(_) => {
                (ErrorCode::StoreCorrupt, "move it away and bring a backup back: hermesctl restore")
            }
            Self::Copy { .. } => {
                (ErrorCode::StoreFailed, "make room beside it and try again; nothing was changed")
            }
            Self::WrongKey(_) => (ErrorCode::Locked, "put the right key file, or key.json, back"),
        };
        Problem::new(code, self.to_string(), hint)
    }
}

impl ToProblem for InviteError {
    fn problem(&self) -> Problem {
        let text = self.to_string();
        // What is to be done about it stands behind a semicolon, where it is more than this.
        let (message, hint) = text
            .split_once("; ")
            .unwrap_or((&text, "copy the whole line that hermesctl invite printed, or ask for a new one"));
        Problem::new(ErrorCode::BadInvite, message, hint)
    }
}

impl ToProblem for PairingError {
    fn problem(&self) -> Problem {
        let again = "ask for a new invite";
        match self {
            Self::Refused(Refusal::TokenExpired) => {
                Problem::new(ErrorCode::InviteExpired, "the invite has expired", again)
            }
            Self::Refused(refusal @ Refusal::InviteUsed) => refusal.problem(),
            Self::Refused(Refusal::NoEntry) => Problem::new(
                ErrorCode::PairingFailed,
                "the invite was withdrawn, or the mailbox of its maker is gone",
                again,
            ),
            Self::Refused(refusal) => Problem::new(ErrorCode::PairingFailed, refusal.to_string(), again),
            Self::BadBundle(_) => Problem::new(ErrorCode::PairingFailed, self.to_string(), again),
        }
    }
}

impl ToProblem for FailureReason {
    fn problem(&self) -> Problem {
        match self {
            Self::Refused(refusal) => refusal.problem(),
            Self::IdentityChanged => Problem::new(
                ErrorCode::IdentityChanged,
                self.to_string(),
                "send it again, once you have verified the new key",
            ),
            Self::ContactRemoved => Problem::new(
                ErrorCode::ContactNotFound,
                self.to_string(),
                "hermesctl contact ls names them all",
            ),
            Self::GroupClosed => {
                Problem::new(ErrorCode::GroupClosed, self.to_string(), "hermesctl group ls says why")
            }
            Self::Cancelled => Problem::new(ErrorCode::Cancelled, self.to_string(), ""),
            Self::GaveUp(_) => Problem::new(
                ErrorCode::RelayUnreachable,
                self.to_string(),
                "send it again when the recipient's relay is back",
            ),
        }
    }
}

impl ToProblem for Reason {
    fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Refused(refusal) => return refusal.problem(),
            Self::WrongPin => (
                ErrorCode::RelayKeyMismatch,
                "ask the relay's operator for its present address; someone may be in between",
            ),
            Self::CopyStopped => (ErrorCode::StoreCopy, COPY_HINT),
            Self::CopySeen => (ErrorCode::StoreCopy, "stop the other copy; it is tried again by itself"),
            Self::Misbehaved => (ErrorCode::RelayRefused, "update the older side"),
            Self::Strays => (
                ErrorCode::RelayRefused,
                "it is tried again by itself; if it goes on, leave the groups at this relay",
            ),
            Self::Unreachable(_) => (
                ErrorCode::RelayUnreachable,
                "check the network and the address; it is tried again by itself",
            ),
            Self::Lost | Self::GoneAway => (ErrorCode::RelayUnreachable, "it is tried again by itself"),
            Self::Store => (ErrorCode::StoreFailed, "check the disk; it is tried again by itself"),
        };
        Problem::new(code, self.to_string(), hint)
    }
}

/// The daemon is about to end.
pub(crate) fn stopping() -> Problem {
    Problem::new(
        ErrorCode::DaemonStopping,
        "the daemon is stopping",
        "start it again: hermesctl daemon start",
    )
}

/// The body of a request is longer than any real one.
pub(super) fn oversized() -> Problem {
    Problem::new(
        ErrorCode::MessageTooLarge,
        format!("the request has more than {} bytes", limits::REQUEST_BYTES),
        format!("a message has at most {} bytes", limits::TEXT_BYTES),
    )
}
