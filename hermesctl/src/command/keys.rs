//! `hermesctl lock`, `unlock` and `keys`

use hermes_api::{
    AccountStatus, ChangeKeys, ErrorCode, Exit, KeyKind, KeysChanged, Passphrase, Problem, Unlock,
};

use crate::{
    cli, input,
    input::Repeat,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    stop::Stop,
};

pub(crate) async fn lock(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let changed = invocation.daemon.repeatable(async |client| client.lock(&account).await).await?;
    show(
        &changed,
        " is locked: its keys are erased from memory, and the relay keeps what arrives",
        invocation,
    )?;
    if changed.account.keys.as_ref().is_some_and(|keys| keys.kind != KeyKind::Passphrase) {
        invocation.output.flush()?;
        let note =
            "Nothing has to be typed to open it: it opens with hermesctl unlock, and when hermesd starts.";
        invocation.notes.say(&Line::new(note));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn unlock(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    let asks = |known: &AccountStatus| {
        known.name == account
            && known.keys.as_ref().is_some_and(|keys| keys.locked && keys.kind == KeyKind::Passphrase)
    };
    let passphrase = match status.accounts.iter().any(asks) && invocation.input_allowed {
        true => ask(&[("Passphrase:", Repeat::No)], invocation).await?.pop(),
        // The daemon says what is missing.
        false => None,
    };
    if passphrase.as_ref().is_some_and(|passphrase| passphrase.expose().is_empty()) {
        let hint = "type it when it is asked for, or pass it as a line of standard input";
        return Err(Problem::new(ErrorCode::Locked, "no passphrase was given", hint).into());
    }
    let unlock = Unlock { passphrase };
    let changed = invocation.daemon.repeatable(async |client| client.unlock(&account, &unlock).await).await?;
    show(&changed, " is unlocked", invocation)?;
    Ok(Exit::Ok)
}

pub(crate) async fn run(args: cli::Keys, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let cli::Keys::Change { to } = args;
    let account = invocation.account().await?;
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    let under_passphrase = |known: &AccountStatus| {
        known.name == account && known.keys.as_ref().is_some_and(|keys| keys.kind == KeyKind::Passphrase)
    };
    let mut questions = Vec::new();
    if status.accounts.iter().any(under_passphrase) {
        questions.push(("Passphrase so far:", Repeat::No));
    }
    let current = questions.len();
    if to == KeyKind::Passphrase {
        questions.push(("New passphrase:", Repeat::Yes));
    }
    let mut answers = ask(&questions, invocation).await?;
    let passphrase = answers.split_off(current).pop();
    if passphrase.as_ref().is_some_and(|passphrase| passphrase.expose().is_empty()) {
        return Err(empty().into());
    }
    let change = ChangeKeys { kind: to, current: answers.pop(), passphrase };
    let changed =
        invocation.daemon.repeatable(async |client| client.change_keys(&account, &change).await).await?;
    let protection = to.protection();
    show(&changed, &format!(": keys are kept by {to} from here on; that {protection}"), invocation)?;
    Ok(Exit::Ok)
}

/// A passphrase for keys that are to be under one.
pub(crate) async fn new_passphrase(invocation: &Invocation) -> Result<Passphrase, Problem> {
    let mut answers = ask(&[("New passphrase:", Repeat::Yes)], invocation).await?;
    answers.pop().filter(|passphrase| !passphrase.expose().is_empty()).ok_or_else(empty)
}

/// Asks for passphrases at a terminal; else each is a line of standard input.
pub(super) async fn ask(
    questions: &[(&str, Repeat)],
    invocation: &Invocation,
) -> Result<Vec<Passphrase>, Problem> {
    if !questions.is_empty() && !invocation.input_allowed {
        return Err(Problem::new(
            ErrorCode::Usage,
            "a passphrase is needed, and nobody may be asked for it",
            "leave out --no-input, and type it or have it on standard input",
        ));
    }
    input::passphrases(questions).await
}

fn empty() -> Problem {
    Problem::new(ErrorCode::Usage, "the passphrase is empty", "choose one of several words")
}

fn show(changed: &KeysChanged, what: &str, invocation: &mut Invocation) -> Result<(), Stop> {
    if invocation.output.format == Format::Json {
        return Ok(invocation.output.json(changed)?);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &changed.account.name);
    invocation.output.line(&line.plain(what));
    Ok(())
}
