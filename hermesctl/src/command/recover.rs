//! `hermesctl recover`

use hermes_api::{AccountStatus, ErrorCode, Exit, Problem, Recover, RecoverOutcome, Recovered, StoreState};

use crate::{
    cli, input,
    input::Questions,
    invocation::Invocation,
    limits,
    output::{Format, GOOD, Line, NAME, WARN},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Recover, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    if !args.yes && is_stopped(&account, invocation).await? && !confirmed(&account, invocation).await? {
        invocation.notes.say(&Line::new("nothing was changed"));
        return Ok(Exit::Failure);
    }
    let timeout_ms = u64::try_from(limits::HANDSHAKE.as_millis()).unwrap_or(u64::MAX);
    let recover = Recover { timeout_ms };
    let recovered =
        invocation.daemon.repeatable(async |client| client.recover(&account, recover).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&recovered)?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&outcome(&recovered));
    Ok(Exit::Ok)
}

/// Only on a copy that is stopped is there something to decide.
async fn is_stopped(account: &str, invocation: &Invocation) -> Result<bool, Stop> {
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    let named = |known: &&AccountStatus| known.name == account;
    Ok(status.accounts.iter().find(named).is_some_and(|known| known.store.state == StoreState::Stopped))
}

async fn confirmed(account: &str, invocation: &Invocation) -> Result<bool, Problem> {
    if invocation.questions == Questions::Off {
        return Err(Problem::new(
            ErrorCode::Usage,
            format!("another copy of {account} would be stopped, and nobody is there to say yes"),
            "say it with the command: hermesctl recover --yes",
        ));
    }
    let say = |text: &str| invocation.notes.say(&Line::new(text));
    say(&format!(
        "{account} will go on with the store on this machine, and a new session with every contact."
    ));
    say("The other copy stops. What only the other copy has received or sent stays with it.");
    let answer = input::ask("Go on with this copy? [y/N]").await?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn outcome(recovered: &Recovered) -> Line {
    let account = &recovered.account;
    let good = Line::default().styled(GOOD, "✓ ").styled(NAME, &account.name);
    match (recovered.outcome, account.store.state) {
        (RecoverOutcome::AlarmEnded, _) => good.plain(": noted, the alarm is ended"),
        (_, StoreState::Recovering) => Line::default()
            .styled(WARN, "… ")
            .styled(NAME, &account.name)
            .plain(" goes on with this copy as soon as the relay answers"),
        (_, StoreState::Stopped) => Line::default()
            .styled(WARN, "… ")
            .styled(NAME, &account.name)
            .plain(": the other copy has taken over again; stop it first"),
        _ => good.plain(" goes on with this copy; sessions are being renewed"),
    }
}
