//! `hermesctl search`

use hermes_api::{Exit, Message, MessagePage, SearchQuery, V1};
use jiff::tz::TimeZone;

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::message::{Layout, logged},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Search, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let (messages, more) = find(&args, &account, invocation).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&MessagePage { v: V1, messages, more })?;
        return Ok(Exit::Ok);
    }
    if messages.is_empty() {
        invocation.notes.say(&Line::new(format!("Nothing found: {}", args.text)));
    }
    let layout = Layout::of(&messages, invocation.output.width);
    let zone = TimeZone::system();
    let lines = messages.iter().flat_map(|message| logged(message, layout, &zone));
    lines.for_each(|line| invocation.output.line(&line));
    if more {
        invocation.notes.say(&Line::new("There may be older ones: -n shows more"));
    }
    Ok(Exit::Ok)
}

/// Goes through the history stretch by stretch and keeps the newest of what is found; and whether some was left out.
async fn find(
    args: &cli::Search,
    account: &str,
    invocation: &Invocation,
) -> Result<(Vec<Message>, bool), Stop> {
    let wanted = usize::try_from(args.n).unwrap_or(usize::MAX);
    let mut found: Vec<Message> = Vec::new();
    let mut query =
        SearchQuery { text: args.text.clone(), chat: args.chat.clone(), limit: Some(args.n), from: None };
    loop {
        let page = invocation.daemon.repeatable(async |client| client.search(account, &query).await).await?;
        found.extend(page.messages);
        found.sort_by_key(|message| message.received_at.unwrap_or(message.sent_at).0);
        let full = found.len() >= wanted;
        let beyond = found.len().saturating_sub(wanted);
        found.drain(..beyond);
        match page.next {
            // In one chat, what comes is older.
            next if full && args.chat.is_some() => return Ok((found, next.is_some() || beyond > 0)),
            None => return Ok((found, full)),
            // A stretch in which nothing was read would never end.
            Some(_) if page.read == 0 => return Ok((found, full)),
            next => query.from = next,
        }
    }
}
