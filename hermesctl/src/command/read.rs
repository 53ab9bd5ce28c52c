//! `hermesctl read`

use hermes_api::{Direction, Exit, ReadMessages};
use jiff::tz::TimeZone;

use crate::{
    cli,
    invocation::Invocation,
    output::Format,
    render::message::{self, Layout, logged},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Read, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let zone = TimeZone::system();
    for name in &args.messages {
        let details =
            invocation.daemon.repeatable(async |client| client.message(&account, name).await).await?;
        let output = &mut invocation.output;
        match output.format {
            Format::Json => output.json(&details)?,
            Format::Text => {
                let layout = Layout::of(std::slice::from_ref(&details.message), output.width);
                logged(&details.message, layout, &zone).iter().for_each(|line| output.line(line));
                if !details.recipients.is_empty() {
                    output.table(&message::RECIPIENT_HEADER, &message::recipients(&details.recipients));
                }
            }
        }
        output.flush()?;
        if details.message.direction == Direction::In && !details.message.read {
            let read = ReadMessages { refs: vec![details.message.reference] };
            invocation.daemon.repeatable(async |client| client.mark_read(&account, &read).await).await?;
        }
    }
    Ok(Exit::Ok)
}
