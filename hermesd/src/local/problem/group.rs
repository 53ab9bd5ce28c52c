//! What goes wrong with groups.

use hermes_api::{ErrorCode, Person, Problem};
use hermes_engine::{CommandError, GroupStanding, GuestRefusal, query::WayBack};

use super::ToProblem;

/// Digits of a fingerprint that tell somebody who is no contact.
const FINGERPRINT_DIGITS: usize = 8;

/// What to do when a word about a group was refused.
pub(super) fn of_group(error: &CommandError) -> (ErrorCode, String) {
    match error {
        CommandError::UnknownGroup(_) => {
            (ErrorCode::GroupNotFound, "hermesctl group ls names them all".to_owned())
        }
        CommandError::UnknownMember { group, .. } => {
            (ErrorCode::MemberNotFound, format!("hermesctl group show {group} names them all"))
        }
        CommandError::AmbiguousMember(_) => {
            (ErrorCode::MemberAmbiguous, "name one by the first digits of its fingerprint".to_owned())
        }
        CommandError::NotAdmin(group) => {
            (ErrorCode::NotAdmin, format!("ask one: hermesctl group show {group} says who they are"))
        }
        CommandError::LastAdmin(group) => (
            ErrorCode::LastAdmin,
            format!("make somebody else an admin first: hermesctl group role {group} MEMBER admin"),
        ),
        CommandError::RemoveSelf(group) => {
            (ErrorCode::Usage, format!("leave it: hermesctl group leave {group}"))
        }
        CommandError::BadGroupName(_) => {
            (ErrorCode::BadGroupName, "use 1 to 64 characters, and no control characters".to_owned())
        }
        CommandError::TooManyGroups(_) => (ErrorCode::LimitReached, "use another account".to_owned()),
        CommandError::TooManyMembers(_) => (ErrorCode::LimitReached, "make another group".to_owned()),
        CommandError::MemberAlready { group, .. } => (
            ErrorCode::GroupChangeFailed,
            format!("nothing was changed; hermesctl group show {group} names them all"),
        ),
        CommandError::NoMember(group) => {
            (ErrorCode::GroupClosed, format!("hermesctl group show {group} says why"))
        }
        CommandError::StillMember(group) => {
            (ErrorCode::GroupChangeFailed, format!("leave it first: hermesctl group leave {group}"))
        }
        CommandError::NotFrozen(group) => {
            (ErrorCode::GroupChangeFailed, format!("there is nothing to mend: hermesctl group show {group}"))
        }
        CommandError::MemberKeyChanged(name) => {
            (ErrorCode::IdentityChanged, format!("look: hermesctl contact show {name}"))
        }
        CommandError::NoTokenWanted(_) => {
            (ErrorCode::Usage, "the same command without the token adds them".to_owned())
        }
        CommandError::TokenTooLong(_) => {
            (ErrorCode::Usage, "name a file that holds the token and nothing else".to_owned())
        }
        _ => (ErrorCode::GroupChangeFailed, "nothing was changed".to_owned()),
    }
}

/// Why a group does not work here, and what to do; nothing when it does.
pub(in crate::local) fn stopped_group(
    name: &str,
    standing: &GroupStanding,
    by: Option<&Person>,
    way_back: Option<&WayBack>,
) -> Option<Problem> {
    let by = by.map_or_else(|| "somebody".to_owned(), who);
    let add = "ask an admin to add you again";
    let (code, message, hint) = match standing {
        GroupStanding::Member => return None,
        GroupStanding::Leaving => (
            ErrorCode::GroupClosed,
            "you are leaving it".to_owned(),
            "it ends when an admin's client sees it",
        ),
        GroupStanding::Left => (ErrorCode::GroupClosed, "you left it".to_owned(), add),
        GroupStanding::Removed(_) => (ErrorCode::GroupClosed, format!("{by} removed you from it"), add),
        GroupStanding::Frozen(_, rule) => (
            ErrorCode::GroupClosed,
            format!("{by} changed it against its rules: {rule}"),
            "nothing is sent; an admin goes on without them: hermesctl group rebuild",
        ),
        GroupStanding::Lost(reason) => {
            let hint = match way_back {
                Some(WayBack::Admins { names, .. }) => {
                    format!("{} asked to add you again; it goes on by itself", asked(names))
                }
                Some(WayBack::OnlyAdmin) => format!(
                    "you were its only admin, so nobody can add you again: hermesctl group leave {name}, then make it anew"
                ),
                Some(WayBack::Nobody) | None => {
                    "no admin is a contact of yours: pair with one, or have one remove and add you".to_owned()
                }
            };
            let message = format!("this account has no place in {name} any more: {reason}");
            return Some(Problem::new(ErrorCode::GroupClosed, message, hint));
        }
        GroupStanding::Refused(refusal) => {
            let problem = refusal.problem();
            return Some(Problem {
                message: format!("the relay did not take it: {}", problem.message),
                ..problem
            });
        }
    };
    Some(Problem::new(code, message, hint))
}

/// Why a contact of another relay has no mailbox at a group's, and what to do.
pub(in crate::local) fn no_place(group: &str, contact: &str, relay: &str, reason: GuestRefusal) -> Problem {
    let host = relay.strip_prefix("hermes://").unwrap_or(relay);
    let host = host.split('#').next().unwrap_or(host);
    let (code, why, hint) = match reason {
        GuestRefusal::NoRegistration => (
            ErrorCode::RegistrationRefused,
            format!("{host} takes no new mailbox without a valid registration token"),
            format!(
                "have its operator make one (hermes-relay token new), then: hermesctl group add {group} {contact} \
                 --token-file FILE"
            ),
        ),
        GuestRefusal::NoRoom => (
            ErrorCode::GroupChangeFailed,
            format!("{contact} has as many mailboxes at other relays as there may be"),
            format!(
                "ask {contact} to leave a group there; or give it up: hermesctl group rm {group} {contact}"
            ),
        ),
        GuestRefusal::Other => (
            ErrorCode::GroupChangeFailed,
            format!("{contact}'s client could not make a mailbox at {host}"),
            format!("try again: hermesctl group add {group} {contact}"),
        ),
    };
    Problem::new(code, format!("{contact} is not in {group} yet: {why}"), hint)
}

fn asked(admins: &[String]) -> String {
    match admins {
        [one] => format!("{one} is"),
        all => format!("{} are", all.join(", ")),
    }
}

/// Somebody's name. What strangers call themselves could be a contact's name, so the first digits of their key stand behind
/// it.
pub(in crate::local) fn who(person: &Person) -> String {
    if person.contact || person.me {
        return person.name.clone();
    }
    let digits: String =
        person.fingerprint.chars().filter(|c| !c.is_whitespace()).take(FINGERPRINT_DIGITS).collect();
    format!("{} ({digits})", person.name).trim_start().to_owned()
}
