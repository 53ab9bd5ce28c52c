//! `hermesctl audit`

use hermes_api::{AuditQuery, Exit};
use jiff::tz::TimeZone;

use super::now;
use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::audit,
    stop::Stop,
};

pub(crate) async fn run(args: cli::Audit, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let query = AuditQuery { chat: args.chat };
    let found = invocation.daemon.repeatable(async |client| client.audit(&account, &query).await).await?;
    let exit = if found.complete { Exit::Ok } else { Exit::Failure };
    if invocation.output.format == Format::Json {
        invocation.output.json(&found)?;
        return Ok(exit);
    }
    if invocation.output.width.is_some() && !found.chats.is_empty() {
        let rows: Vec<_> = found.chats.iter().map(audit::overview).collect();
        invocation.output.table(&audit::HEADER, &rows);
        invocation.output.line(&Line::default());
    }
    let lines = audit::report(&found, now(), &TimeZone::system());
    lines.iter().for_each(|line| invocation.output.line(line));
    if found.chats.iter().any(|chat| chat.received.missing > 0) {
        let advice = "What still arrives fills its gap; ask the sender for the rest.";
        invocation.notes.say(&Line::new(advice));
    }
    Ok(exit)
}
