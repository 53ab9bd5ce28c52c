//! "Did you mean?": what an account calls its contacts and groups, beside a name that stands for none of them.

use hermes_engine::{CommandError, query};

use super::{Account, work::CommandFailure};
use crate::limits::MISSPELT;

/// One letter in so many may be wrong, too many, missing, or in the place of its neighbour.
const LETTERS_PER_SLIP: usize = 3;

impl Account {
    /// What is to be said when a name stands for nothing. Other refusals stay as they are.
    pub(crate) async fn refusal(&self, error: CommandError) -> CommandFailure {
        let Some(typed) = error.unknown_name().map(str::to_owned) else {
            return CommandFailure::Refused(error);
        };
        match self.nearest(vec![typed]).await.pop().flatten() {
            Some(name) => CommandFailure::Misspelt(error, name),
            None => CommandFailure::Refused(error),
        }
    }

    /// For each of the first [`MISSPELT`] names, that of a contact or a group that somebody may have meant. All names are
    /// read once, and compared off the runtime's threads. Nothing also when the store cannot say.
    pub(crate) async fn nearest(&self, mut typed: Vec<String>) -> Vec<Option<String>> {
        typed.truncate(MISSPELT);
        let found = self.query(move |view| {
            let names = query::names(view)?;
            Ok(typed.iter().map(|typed| nearest(typed, &names)).collect())
        });
        found.await.unwrap_or_default()
    }
}

fn nearest(typed: &str, names: &[String]) -> Option<String> {
    let typed = typed.to_lowercase();
    let letters = typed.chars().count();
    let room = letters / LETTERS_PER_SLIP;
    // Comparing takes as long as the one name times the other; most are too long or too short.
    let alike = names.iter().filter(|name| name.chars().count().abs_diff(letters) <= room);
    let slips = alike.map(|name| (strsim::osa_distance(&typed, name), name));
    slips.filter(|(slips, _)| *slips <= room).min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_through_and_another_name_is_none() {
        let names = ["alice", "al", "bob", "ops-team"].map(str::to_owned);
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
            assert_eq!(nearest(typed, &names).as_deref(), meant, "{typed}");
        }
    }
}
