//! `hermesctl contact verify`

use std::io::IsTerminal;

use hermes_api::{
    ContactDetails, ErrorCode, Exit, KeyChange, Problem, VerifyContact, limits::SAFETY_NUMBER_BYTES,
};

use super::show_qr;
use crate::{
    cli, input,
    input::Questions,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    render::{account::trust, contact as render},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Verify, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    if args.unverify {
        let unverify = async |client: &hermes_api::Client| client.unverify(&account, &args.name).await;
        let details = invocation.daemon.repeatable(unverify).await?;
        return finish(&details, invocation);
    }
    let source = source(&args, invocation.questions)?;
    let look = async |client: &hermes_api::Client| client.contact(&account, &args.name).await;
    let known = invocation.daemon.repeatable(look).await?;
    if args.qr && matches!(source, Source::Given(_) | Source::Stdin) {
        show_qr(&known.safety_code, invocation);
    }
    let safety_number = match source {
        Source::Given(number) => number,
        Source::Stdin => read().await?,
        Source::Confirmed | Source::Question => {
            show_number(&known, args.qr, invocation)?;
            if let Some(change) = &known.key_change {
                return Err(undecided(&known, change).into());
            }
            if source == Source::Question {
                confirm(&known.contact.name).await?;
            }
            // What was on the screen: had the key changed since, the daemon would refuse it.
            known.safety_number.clone()
        }
    };
    let verify = VerifyContact { safety_number };
    let verified = invocation
        .daemon
        .repeatable(async |client| client.verify(&account, &args.name, &verify).await)
        .await?;
    finish(&verified, invocation)
}

/// Where the word comes from that the numbers are the same.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The number that the other side sees, as an argument.
    Given(String),
    /// The same on standard input.
    Stdin,
    /// The user compared before.
    Confirmed,
    /// The user is asked.
    Question,
}

fn source(args: &cli::Verify, questions: Questions) -> Result<Source, Stop> {
    match &args.number {
        Some(number) if number != "-" => Ok(Source::Given(number.clone())),
        Some(_) => Ok(Source::Stdin),
        None if args.yes => Ok(Source::Confirmed),
        None if questions == Questions::Allowed => Ok(Source::Question),
        // Told not to ask, at a terminal: nothing would ever come.
        None if std::io::stdin().is_terminal() => Err(Stop::usage(
            "there is no number to compare with",
            "pass what the other side sees with --number, or confirm with --yes",
        )),
        None => Ok(Source::Stdin),
    }
}

async fn read() -> Result<String, Problem> {
    let number = input::text(SAFETY_NUMBER_BYTES).await?;
    match number.trim().is_empty() {
        true => Err(Problem::new(
            ErrorCode::BadSafetyNumber,
            "there is no number to compare with",
            "pass what the other side sees with --number or on standard input, or confirm with --yes",
        )),
        false => Ok(number),
    }
}

async fn confirm(name: &str) -> Result<(), Problem> {
    let answer = input::ask(&format!("Does {name} see the same number? [y/N]")).await?;
    match answer.to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Problem::new(
            ErrorCode::SafetyNumberMismatch,
            format!("{name} was not marked verified, for you did not confirm the number"),
            "nothing was changed; if the numbers differ, somebody may stand between you: pair again over a channel that you trust",
        )),
    }
}

/// Two keys, two numbers, and a decision that is not this command's.
fn undecided(known: &ContactDetails, change: &KeyChange) -> Problem {
    let name = &known.contact.name;
    let message = match change.held {
        0 => format!("{name}'s identity key changed, and you have not decided which key is theirs"),
        held => format!(
            "{name}'s identity key changed, and you have not decided which key is theirs; {} held",
            render::held(held)
        ),
    };
    let hint = format!(
        "ask {name} which number they see; the new one: hermesctl contact accept-key {name}; the other: hermesctl contact refuse-key {name}"
    );
    Problem::new(ErrorCode::IdentityChanged, message, hint)
}

fn show_number(known: &ContactDetails, with_qr: bool, invocation: &mut Invocation) -> Result<(), Stop> {
    if invocation.output.format == Format::Json {
        return Ok(());
    }
    let name = &known.contact.name;
    let which = match known.key_change {
        None => " should both see this number:",
        Some(_) => " should both see one of these numbers:",
    };
    let title = Line::new("You and ").styled(NAME, name).plain(which);
    invocation.output.line(&title);
    let mut lines = render::number("safety number", &known.safety_number);
    if let Some(change) = &known.key_change {
        lines.extend(render::number("new number", &change.safety_number));
    }
    lines.iter().for_each(|line| invocation.output.line(line));
    if with_qr {
        show_qr(&known.safety_code, invocation);
    }
    // On the screen before the question is.
    Ok(invocation.output.flush()?)
}

fn finish(details: &ContactDetails, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if invocation.output.format == Format::Json {
        invocation.output.json(details)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &details.contact.name);
    invocation
        .output
        .line(&line.plain(format!(" is {}", trust(details.contact.trust, details.contact.verified_by))));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(number: Option<&str>, yes: bool) -> cli::Verify {
        let number = number.map(str::to_owned);
        cli::Verify { name: "bob".into(), number, yes, qr: false, unverify: false }
    }

    #[test]
    fn a_given_number_is_never_asked_about() {
        let given = source(&args(Some("1"), false), Questions::Allowed).unwrap();
        assert_eq!(given, Source::Given("1".into()));
        assert_eq!(source(&args(Some("-"), false), Questions::Allowed).unwrap(), Source::Stdin);
        assert_eq!(source(&args(None, true), Questions::Off).unwrap(), Source::Confirmed);
        assert_eq!(source(&args(None, false), Questions::Allowed).unwrap(), Source::Question);
    }
}
