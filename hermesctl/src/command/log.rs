//! `hermesctl log`

use hermes_api::{Exit, LogQuery, MessagePage, V1, limits::PAGE_MESSAGES};
use jiff::tz::TimeZone;

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::message::{Layout, logged},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Log, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let page = newest(&args, &account, invocation).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&page)?;
        return Ok(Exit::Ok);
    }
    if page.messages.is_empty() {
        invocation.notes.say(&Line::new(format!("No messages in {} yet.", args.chat)));
    }
    let layout = Layout::of(&page.messages, invocation.output.width);
    let zone = TimeZone::system();
    let lines = page.messages.iter().flat_map(|message| logged(message, layout, &zone));
    lines.for_each(|line| invocation.output.line(&line));
    Ok(Exit::Ok)
}

/// Walks back page by page and returns the messages in order.
async fn newest(args: &cli::Log, account: &str, invocation: &Invocation) -> Result<MessagePage, Stop> {
    let mut left = args.n;
    let mut all = MessagePage { v: V1, messages: Vec::new(), more: true };
    while all.more && left > 0 {
        let before = all.messages.first().map(|message| message.id.clone());
        let query = LogQuery { limit: Some(left.min(PAGE_MESSAGES)), before, after: None };
        let page = invocation
            .daemon
            .repeatable(async |client| client.log(account, &args.chat, &query).await)
            .await?;
        left = left.saturating_sub(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        // A page that is empty and yet promises more would never end.
        all.more = page.more && !page.messages.is_empty();
        all.messages.splice(0..0, page.messages);
    }
    Ok(all)
}
