//! `hermesctl account`

use hermes_api::{AccountStatus, ErrorCode, Exit, Problem};
use serde::Serialize;

use crate::{
    cli, input,
    input::Questions,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    render::{account as render, audit::counted},
    stop::Stop,
};

pub(crate) async fn run(command: cli::Account, invocation: &mut Invocation) -> Result<Exit, Stop> {
    match command {
        cli::Account::Ls => list(invocation).await,
        cli::Account::Rm(args) => remove(args, invocation).await,
    }
}

/// The accounts as one document.
#[derive(Serialize)]
struct Accounts {
    v: hermes_api::V1,
    accounts: Vec<AccountStatus>,
}

async fn list(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&Accounts { v: status.v, accounts: status.accounts })?;
        return Ok(Exit::Ok);
    }
    if status.accounts.is_empty() {
        let note = "There is no account yet: hermesctl init --name NAME --relay ADDRESS";
        invocation.notes.say(&Line::new(note));
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = status.accounts.iter().map(render::row).collect();
    invocation.output.table(&render::ACCOUNT_HEADER, &rows);
    Ok(Exit::Ok)
}

async fn remove(args: cli::RemoveAccount, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let name = args.account_to_remove.as_str();
    if !args.yes && !confirmed(name, invocation).await? {
        invocation.notes.say(&Line::new("nothing was changed"));
        return Ok(Exit::Failure);
    }
    // Not repeated: the second time there is no such account.
    let removed = invocation.daemon.once(async |client| client.remove_account(name).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&removed)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &removed.removed);
    invocation.output.line(&line.plain(" is removed from this machine"));
    Ok(Exit::Ok)
}

/// What nobody has seen, and would be lost too.
fn unseen(unread: u64, outbox: u64) -> Option<String> {
    let parts: Vec<String> = [(unread, "unread"), (outbox, "waiting to leave")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("{} {how}", counted(count, "message")))
        .collect();
    (!parts.is_empty()).then(|| format!("Among them: {}.", parts.join(", ")))
}

async fn confirmed(name: &str, invocation: &Invocation) -> Result<bool, Stop> {
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    let Some(account) = status.accounts.iter().find(|account| account.name == name) else {
        // The daemon says so in its own words.
        return Ok(true);
    };
    if invocation.questions == Questions::Off {
        return Err(Stop::Problem(Problem::new(
            ErrorCode::Usage,
            format!("{name} would be removed with all its messages, and nobody is there to say yes"),
            format!("say it with the command: hermesctl account rm {name} --yes"),
        )));
    }
    let say = |text: String| invocation.notes.say(&Line::new(text));
    say(format!(
        "The keys of {name}, its contacts and its messages are deleted from this machine, for good."
    ));
    unseen(account.unread, account.outbox).into_iter().for_each(say);
    say(format!("A backup could bring it back, if it is made first: hermesctl -a {name} backup FILE"));
    let answer = input::ask(&format!("Type {name} to remove it:")).await?;
    Ok(answer.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_seen_is_counted() {
        assert_eq!(unseen(0, 0), None);
        assert_eq!(unseen(1, 0).unwrap(), "Among them: 1 message unread.");
        assert_eq!(unseen(2, 1).unwrap(), "Among them: 2 messages unread, 1 message waiting to leave.");
    }
}
