//! `hermesctl read`: messages that are named, or all that is unread of a chat.

use hermes_api::{
    Direction, Exit, InboxQuery, Message, MessagePage, ReadMessages, V1, limits::PAGE_MESSAGES,
};
use jiff::tz::TimeZone;

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::message::{self, Layout, logged},
    stop::Stop,
};

/// Hex digits of a message's id.
const ID_DIGITS: usize = 32;

pub(crate) async fn run(args: cli::Read, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    for name in &args.messages {
        match is_message(name) {
            true => one(&account, name, invocation).await?,
            false => unread_of(&account, name, invocation).await?,
        }
    }
    Ok(Exit::Ok)
}

/// Whether a word names a message; else it names a chat, whose name has no `#` and begins with no `@`.
fn is_message(name: &str) -> bool {
    let is_id = name.len() == ID_DIGITS && name.chars().all(|c| c.is_ascii_hexdigit());
    is_id || name.contains('#') || name.starts_with('@')
}

/// One message in full.
async fn one(account: &str, name: &str, invocation: &mut Invocation) -> Result<(), Stop> {
    let details = invocation.daemon.repeatable(async |client| client.message(account, name).await).await?;
    let output = &mut invocation.output;
    match output.format {
        Format::Json => output.json(&details)?,
        Format::Text => {
            let layout = Layout::of(std::slice::from_ref(&details.message), output.width);
            let zone = TimeZone::system();
            logged(&details.message, layout, &zone).iter().for_each(|line| output.line(line));
            if !details.recipients.is_empty() {
                output.table(&message::RECIPIENT_HEADER, &message::recipients(&details.recipients));
            }
        }
    }
    output.flush()?;
    if details.message.direction == Direction::In && !details.message.read {
        mark(account, &[details.message], invocation).await?;
    }
    Ok(())
}

/// All that is unread of a chat, marked page by page once it is written out.
async fn unread_of(account: &str, chat: &str, invocation: &mut Invocation) -> Result<(), Stop> {
    let mut all = MessagePage { v: V1, messages: Vec::new(), more: false };
    let mut after = None;
    loop {
        let query = InboxQuery {
            from: Some(chat.to_owned()),
            since_ms: None,
            limit: Some(PAGE_MESSAGES),
            after: after.clone(),
        };
        let page = invocation.daemon.repeatable(async |client| client.inbox(account, &query).await).await?;
        if after.is_none() && page.messages.is_empty() && invocation.output.format == Format::Text {
            let note = format!("Nothing of {chat} is unread. What was read: hermesctl log {chat}");
            invocation.notes.say(&Line::new(note));
        }
        after = page.messages.last().map(|message| message.id.clone());
        let more = page.more;
        match invocation.output.format {
            // One document, so it is written when all is here.
            Format::Json => all.messages.extend(page.messages),
            Format::Text => {
                let (output, zone) = (&mut invocation.output, TimeZone::system());
                let layout = Layout::of(&page.messages, output.width);
                let lines = page.messages.iter().flat_map(|message| logged(message, layout, &zone));
                lines.for_each(|line| output.line(&line));
                output.flush()?;
                mark(account, &page.messages, invocation).await?;
            }
        }
        if !more {
            break;
        }
    }
    if invocation.output.format == Format::Json {
        invocation.output.json(&all)?;
        invocation.output.flush()?;
        for messages in all.messages.chunks(PAGE_MESSAGES as usize) {
            mark(account, messages, invocation).await?;
        }
    }
    Ok(())
}

async fn mark(account: &str, messages: &[Message], invocation: &Invocation) -> Result<(), Stop> {
    if messages.is_empty() {
        return Ok(());
    }
    let read = ReadMessages { refs: messages.iter().map(|message| message.reference.clone()).collect() };
    invocation.daemon.repeatable(async |client| client.mark_read(account, &read).await).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_message_or_a_chat() {
        for message in ["bob#42", "@last", "0123456789abcdef0123456789abcdef", "b#"] {
            assert!(is_message(message), "{message}");
        }
        for chat in ["bob", "ops", "deadbeef", "0123456789abcdef0123456789abcdeg"] {
            assert!(!is_message(chat), "{chat}");
        }
    }
}
