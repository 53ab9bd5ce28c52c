//! `hermesctl block`, `unblock` and `contact rm`

use hermes_api::{ContactDetails, ErrorCode, Exit, History, Problem, RemoveContact};

use crate::{
    cli,
    input::{self, Questions},
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    stop::Stop,
};

pub(crate) async fn block(name: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let details = invocation.daemon.repeatable(async |client| client.block(&account, name).await).await?;
    show(&details, " is blocked: nothing of theirs is taken, and nothing is sent to them", invocation)?;
    let note = format!("In groups that you share you still read each other. hermesctl unblock {name}");
    invocation.notes.say(&Line::new(note));
    Ok(Exit::Ok)
}

pub(crate) async fn unblock(name: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let details = invocation.daemon.repeatable(async |client| client.unblock(&account, name).await).await?;
    show(&details, " can write again, once their daemon has heard of it", invocation)?;
    Ok(Exit::Ok)
}

fn show(details: &ContactDetails, what: &str, invocation: &mut Invocation) -> Result<(), Stop> {
    if invocation.output.format == Format::Json {
        return Ok(invocation.output.json(details)?);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &details.contact.name);
    invocation.output.line(&line.plain(what));
    Ok(invocation.output.flush()?)
}

pub(crate) async fn remove(args: cli::RemoveContact, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let name = &args.name;
    let history = match (args.keep_history, args.delete_history) {
        (true, _) => History::Keep,
        (_, true) => History::Delete,
        (false, false) => ask(name, invocation).await?,
    };
    let asked = RemoveContact { history };
    // Not repeated: the second time there is nobody of that name.
    let removed =
        invocation.daemon.once(async |client| client.remove_contact(&account, name, asked).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&removed)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &removed.removed);
    invocation.output.line(&line.plain(match history {
        History::Keep => format!(" is no contact any more; hermesctl log {name} shows what was written"),
        History::Delete => " is no contact any more, and what was written is deleted here".to_owned(),
    }));
    Ok(Exit::Ok)
}

async fn ask(name: &str, invocation: &Invocation) -> Result<History, Problem> {
    if invocation.questions == Questions::Off {
        return Err(Problem::new(
            ErrorCode::Usage,
            format!("what is to become of the messages with {name}, and nobody is there to say"),
            format!(
                "say it with the command: hermesctl contact rm {name} --keep-history or --delete-history"
            ),
        ));
    }
    let say = |text: String| invocation.notes.say(&Line::new(text));
    say(format!("{name} can write to you no more, and you not to {name}, until you pair again."));
    let answer = input::ask("Keep the messages, or delete them here? [keep/delete]").await?;
    match answer.to_ascii_lowercase().as_str() {
        "k" | "keep" => Ok(History::Keep),
        "d" | "delete" => Ok(History::Delete),
        _ => {
            Err(Problem::new(ErrorCode::Usage, "that is neither; nothing was done", "answer keep or delete"))
        }
    }
}
