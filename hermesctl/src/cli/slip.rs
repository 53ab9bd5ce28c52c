//! What is said of a command that is none: the one that was meant, or the one that does what other programs call so.

use clap::{
    Parser,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;

/// One letter in so many may be wrong. What the parser finds alike by itself goes as far as `api` for `pair`.
const LETTERS_PER_SLIP: usize = 3;

/// Words of other programs that are no command here, and what to type instead.
const ELSEWHERE: [(&[&str], &str); 7] = [
    (&["list", "ls"], "hermesctl chat ls, contact ls, group ls, requests ls, outbox ls and account ls"),
    (&["pair", "add", "trust"], "hermesctl invite on one side, hermesctl accept LINK on the other"),
    (&["register", "login", "setup", "new"], "hermesctl init --name NAME --relay ADDRESS"),
    (&["history", "messages", "show"], "hermesctl log CHAT"),
    (&["delete", "remove", "rm"], "hermesctl unsend REF, contact rm, group rm and account rm"),
    (&["start", "stop", "restart", "logs"], "hermesctl daemon start, stop, restart and logs"),
    (&["listen", "watch", "follow", "subscribe"], "hermesctl inbox --follow, or hermesctl on for a command"),
];

/// The command line, or the end of this program.
pub(crate) fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| told(error).exit())
}

fn told(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) if error.kind() == ErrorKind::InvalidSubcommand => {
            typed.to_lowercase()
        }
        _ => return error,
    };
    let alike = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(alike)) => alike,
        _ => Vec::new(),
    };
    let room = typed.chars().count() / LETTERS_PER_SLIP;
    let near: Vec<String> =
        alike.into_iter().filter(|name| strsim::osa_distance(&typed, name) <= room).collect();
    if !near.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
        error.remove(ContextKind::Suggested);
        return error;
    }
    let instead = ELSEWHERE.iter().find(|(words, _)| words.contains(&typed.as_str()));
    match instead {
        Some((_, instead)) => {
            let tip = StyledStr::from(format!("here it is {instead}"));
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
        // An empty list would leave an empty line.
        None => drop(error.remove(ContextKind::Suggested)),
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tip(words: &[&str]) -> String {
        let line = ["hermesctl"].iter().chain(words);
        let said = told(Cli::try_parse_from(line).unwrap_err()).to_string();
        said.lines().find_map(|line| line.trim().strip_prefix("tip: ")).unwrap_or_default().to_owned()
    }

    #[test]
    fn a_slip_is_corrected_and_a_word_of_another_program_is_translated() {
        assert_eq!(tip(&["sned", "bob"]), "a similar subcommand exists: 'send'");
        assert_eq!(tip(&["contact", "verfy"]), "a similar subcommand exists: 'verify'");
        assert!(tip(&["list"]).starts_with("here it is hermesctl chat ls"));
        assert!(tip(&["pair"]).contains("hermesctl accept LINK"));
        assert_eq!(tip(&["frobnicate"]), "");
        assert_eq!(tip(&["contact", "frobnicate"]), "");
    }

    #[test]
    fn what_others_call_by_another_word_works() {
        for line in [
            "hermesctl receive",
            "hermesctl contacts",
            "hermesctl groups",
            "hermesctl chats",
            "hermesctl contacts ls",
            "hermesctl groups list",
            "hermesctl contact remove bob",
            "hermesctl send -m text bob",
            "hermesctl log bob --limit 2",
            "hermesctl inbox --limit 2",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for (words, _) in ELSEWHERE {
            for word in words {
                assert!(Cli::try_parse_from(["hermesctl", word]).is_err(), "{word} is a command");
            }
        }
    }
}
