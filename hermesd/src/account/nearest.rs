//! "Did you mean?": what an account calls its contacts and groups, beside a name that stands for none of them.

use hermes_engine::{CommandError, query};

use super::{Account, work::CommandFailure};

/// One letter in so many may be wrong, too many, missing, or in the place of its neighbour.
const LETTERS_PER_SLIP: usize = 3;

impl Account {
    /// What is to be said when a name stands for nothing. Other refusals stay as they are.
    pub(crate) async fn refusal(&self, error: CommandError) -> CommandFailure {
        let Some(typed) = error.unknown_name().map(str::to_owned) else {
            return CommandFailure::Refused(error);
        };
        match self.nearest(&typed).await {
            Some(name) => CommandFailure::Misspelt(error, name),
            None => CommandFailure::Refused(error),
        }
    }

    /// The name of a contact or a group that somebody may have meant; nothing also when the store cannot say.
    pub(crate) async fn nearest(&self, typed: &str) -> Option<String> {
        let names = self.query(query::names).await.ok()?;
        nearest(typed, names)
    }
}

fn nearest(typed: &str, names: Vec<String>) -> Option<String> {
    let typed = typed.to_lowercase();
    let room = typed.chars().count() / LETTERS_PER_SLIP;
    let slips = names.into_iter().map(|name| (strsim::osa_distance(&typed, &name), name));
    slips.filter(|(slips, _)| *slips <= room).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_through_and_another_name_is_none() {
        let names = || ["alice", "al", "bob", "ops-team"].map(str::to_owned).to_vec();
        for (typed, meant) in [
            ("alcie", Some("alice")),
            ("Alice", Some("alice")),
            ("alic", Some("alice")),
            ("bbo", Some("bob")),
            ("opsteam", Some("ops-team")),
            ("a", None),
            ("carol", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names()).as_deref(), meant, "{typed}");
        }
    }
}
