//! `hermesctl events`: who reads the account's events under a name, and how far each has come.

use hermes_api::{Consumer, Exit, ForgetConsumer};

use super::now;
use crate::{
    cli, duration,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    stop::Stop,
};

const HEADER: [&str; 5] = ["consumer", "now", "behind", "at event", "since"];

pub(crate) async fn run(command: cli::Events, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    match command {
        cli::Events::Ls => list(&account, invocation).await,
        cli::Events::Forget { consumers } => {
            for consumer in consumers {
                forget(&account, consumer, invocation).await?;
            }
            Ok(Exit::Ok)
        }
    }
}

async fn list(account: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let found = invocation.daemon.repeatable(async |client| client.consumers(account).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&found)?;
        return Ok(Exit::Ok);
    }
    if found.consumers.is_empty() {
        invocation.notes.say(&Line::new("No program listens under a name. hermesctl on makes one."));
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = found.consumers.iter().map(|consumer| row(consumer, found.newest)).collect();
    invocation.output.table(&HEADER, &rows);
    Ok(Exit::Ok)
}

fn row(consumer: &Consumer, newest: u64) -> Vec<String> {
    vec![
        consumer.name.clone(),
        if consumer.listening { "listening" } else { "away" }.to_owned(),
        newest.saturating_sub(consumer.acknowledged).to_string(),
        consumer.acknowledged.to_string(),
        format!("{} ago", duration::short(consumer.since.before(now()))),
    ]
}

async fn forget(account: &str, consumer: String, invocation: &mut Invocation) -> Result<(), Stop> {
    let asked = ForgetConsumer { consumer };
    let gone = invocation.daemon.once(async |client| client.forget_consumer(account, &asked).await).await?;
    if invocation.output.format == Format::Json {
        return Ok(invocation.output.json(&gone)?);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &gone.consumer);
    invocation.output.line(&line.plain(" is forgotten: nothing waits for it any more"));
    Ok(())
}
