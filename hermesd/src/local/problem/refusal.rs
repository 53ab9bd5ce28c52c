//! What a relay refuses, in words. A test holds docs/operations.md to them.

use hermes_api::{ErrorCode, Problem};
use hermes_wire::{Refusal, VERSION, limits::ENVELOPE_BYTES};

use super::ToProblem;

/// What to do on an installation whose account was restored elsewhere, or whose store runs twice.
const SUPERSEDED_HINT: &str = "it was restored or runs elsewhere. To go on there, remove it here: hermesctl account \
                               rm; to go on here, stop it there, then: hermesctl daemon restart, and hermesctl recover";

impl ToProblem for Refusal {
    fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::NoEntry => (
                ErrorCode::RelayRefused,
                "they may have blocked or removed you, or withdrawn the link: ask them for a new invite, over another channel",
            ),
            Self::TokenExpired => (ErrorCode::RelayRefused, "pair again: ask them for a new invite"),
            Self::InviteUsed => (ErrorCode::InviteUsed, "ask for a new invite; each works once"),
            Self::TooLarge { max } if usize::try_from(*max).is_ok_and(|max| max < ENVELOPE_BYTES) => {
                (ErrorCode::MessageTooLarge, "send it in several messages")
            }
            Self::TooLarge { .. } => (ErrorCode::MessageTooLarge, "update hermesd"),
            Self::MailboxFull { .. } => {
                (ErrorCode::MailboxFull, "the message stays queued and leaves when they have fetched theirs")
            }
            Self::RegistrationRefused => (
                ErrorCode::RegistrationRefused,
                "ask the relay's operator for a token: hermes-relay token new",
            ),
            Self::Superseded { .. } => (ErrorCode::Superseded, SUPERSEDED_HINT),
            Self::Version { min, .. } if *min > VERSION => {
                (ErrorCode::RelayRefused, "update Hermes here; what waits is kept")
            }
            Self::Version { .. } => {
                (ErrorCode::RelayRefused, "ask the relay's operator to update it; what waits is kept")
            }
            Self::BadFrame => (
                ErrorCode::RelayRefused,
                "update the older side; if both are new, it is a mistake in Hermes: hermesctl bugreport",
            ),
            Self::IdConflict => (ErrorCode::RelayRefused, "send the message again"),
            Self::RosterMismatch | Self::EpochAhead { .. } => (
                ErrorCode::RelayRefused,
                "ask an admin of the group to mend it: hermesctl group rebuild GROUP",
            ),
            Self::NoBlob => (ErrorCode::RelayRefused, "ask an admin of the group to add you again"),
            Self::StaleEpoch { .. } => {
                (ErrorCode::RelayUnreachable, "hermesd catches up and sends it again by itself")
            }
            Self::RateLimited { .. } => {
                (ErrorCode::RelayUnreachable, "what waits leaves by itself, more slowly")
            }
            Self::BlobsFull { .. }
            | Self::StoreUnavailable { .. }
            | Self::Draining { .. }
            | Self::Busy { .. } => (
                ErrorCode::RelayUnreachable,
                "it is tried again by itself; if it stays so, tell the relay's operator",
            ),
        };
        Problem::new(code, self.to_string(), hint)
    }
}

/// What an account hears that the relay had taken: only its operator's order does that to it.
pub(in crate::local) fn closed_mailbox() -> Problem {
    Problem::new(
        ErrorCode::RegistrationRefused,
        "the relay's operator has closed this account's mailbox",
        "ask the operator; or make another account, and give your contacts an invite of that one",
    )
}

#[cfg(test)]
mod tests {
    use hermes_wire::{InstanceId, channel::Head, refusal::FullScope};

    use super::*;

    /// One of each, and of each that is said in another way.
    fn all() -> Vec<Refusal> {
        let (retry_ms, epoch) = (1, 7);
        vec![
            Refusal::NoEntry,
            Refusal::TokenExpired,
            Refusal::InviteUsed,
            Refusal::TooLarge { max: 1024 },
            Refusal::TooLarge { max: u32::MAX },
            Refusal::MailboxFull { scope: FullScope::Mailbox, retry_ms },
            Refusal::MailboxFull { scope: FullScope::Contact, retry_ms },
            Refusal::RateLimited { retry_ms },
            Refusal::IdConflict,
            Refusal::StoreUnavailable { retry_ms },
            Refusal::Draining { delay_ms: retry_ms },
            Refusal::Superseded { instance: InstanceId([0; 16]) },
            Refusal::Version { min: VERSION + 1, max: VERSION + 1 },
            Refusal::Version { min: 0, max: 0 },
            Refusal::BadFrame,
            Refusal::RegistrationRefused,
            Refusal::Busy { retry_ms },
            Refusal::StaleEpoch { epoch, head: Head([0; 32]) },
            Refusal::EpochAhead { epoch },
            Refusal::RosterMismatch,
            Refusal::NoBlob,
            Refusal::BlobsFull { retry_ms },
        ]
    }

    /// Whoever adds a refusal has to add it to the list above, too.
    fn name(refusal: &Refusal) -> &'static str {
        match refusal {
            Refusal::NoEntry => "NoEntry",
            Refusal::TokenExpired => "TokenExpired",
            Refusal::InviteUsed => "InviteUsed",
            Refusal::TooLarge { .. } => "TooLarge",
            Refusal::MailboxFull { .. } => "MailboxFull",
            Refusal::RateLimited { .. } => "RateLimited",
            Refusal::IdConflict => "IdConflict",
            Refusal::StoreUnavailable { .. } => "StoreUnavailable",
            Refusal::Draining { .. } => "Draining",
            Refusal::Superseded { .. } => "Superseded",
            Refusal::Version { .. } => "Version",
            Refusal::BadFrame => "BadFrame",
            Refusal::RegistrationRefused => "RegistrationRefused",
            Refusal::Busy { .. } => "Busy",
            Refusal::StaleEpoch { .. } => "StaleEpoch",
            Refusal::EpochAhead { .. } => "EpochAhead",
            Refusal::RosterMismatch => "RosterMismatch",
            Refusal::NoBlob => "NoBlob",
            Refusal::BlobsFull { .. } => "BlobsFull",
        }
    }

    #[test]
    fn every_refusal_is_a_sentence_and_an_action_and_stands_in_the_operators_page() {
        let page = include_str!("../../../../docs/operations.md");
        let row = |name: &str, problem: &Problem| {
            let found = page.lines().any(|line| {
                line.starts_with(&format!("| `{name}` |"))
                    && line.contains(&problem.message)
                    && line.contains(&format!("→ {} |", problem.hint))
            });
            assert!(found, "no row: | `{name}` | … | {} → {} |", problem.message, problem.hint);
        };
        for refusal in all() {
            row(name(&refusal), &refusal.problem());
        }
        row("RegistrationRefused", &closed_mailbox());
    }

    #[test]
    fn no_two_refusals_are_said_in_the_same_words() {
        let mut said: Vec<(String, String)> =
            all().iter().map(|refusal| refusal.problem()).map(|said| (said.message, said.hint)).collect();
        let all = said.len();
        said.sort();
        said.dedup();
        assert_eq!(said.len(), all);
    }
}
