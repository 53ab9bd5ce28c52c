//! `hermesctl inbox`
//!
//! Messages are marked read after standard output has taken them: whatever goes wrong, nothing is marked that was not
//! shown.

use std::collections::BTreeSet;

use hermes_api::{
    Body, ClientError, Contact, Event, EventStream, Exit, InboxQuery, Message, MessagePage, ReadMessages,
    Trust, V1, limits::PAGE_MESSAGES,
};
use serde::Serialize;
use tokio::time::sleep;

use super::{catch_up::catch_up, now};
use crate::{
    cli,
    daemon::{Autostart, Daemon},
    invocation::Invocation,
    limits,
    output::{Format, Line, NAME, Output, WARN},
    render::{
        self,
        message::{Layout, unread},
    },
    stop::{RoundError, Stop},
};

pub(crate) async fn run(args: cli::Inbox, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let since_ms = args.since.map(|since| {
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        now().0.saturating_sub(since)
    });
    let query = InboxQuery { from: args.from, since_ms, limit: None, after: None };
    let mark = if args.peek { Mark::Nothing } else { Mark::Read };
    let mut listing = Listing { account, query, mark, shown: Vec::new(), listed: BTreeSet::new() };
    if args.follow {
        return listing.follow(invocation).await;
    }
    let limit = args.n.unwrap_or(u32::MAX);
    let beyond = catch_up(&listing.account, invocation).await;
    let exit = match invocation.output.format {
        Format::Json => listing.document(limit, invocation).await,
        Format::Text => listing.text(limit, invocation).await,
    }?;
    if let Some(line) = beyond {
        invocation.notes.say(&line);
    }
    Ok(exit)
}

/// What happens to a message that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Read,
    Nothing,
}

/// A walk through the unread messages.
struct Listing {
    account: String,
    /// Its `after` moves with the walk.
    query: InboxQuery,
    mark: Mark,
    /// References of messages that were shown and are not marked yet.
    shown: Vec<String>,
    /// While following, references of listed messages whose arrival may yet be told of.
    listed: BTreeSet<String>,
}

/// A message as a line of its own in a stream of JSON.
#[derive(Serialize)]
struct MessageLine<'a> {
    v: V1,
    #[serde(flatten)]
    message: &'a Message,
}

impl Listing {
    /// The messages as people read them.
    async fn text(&mut self, limit: u32, invocation: &mut Invocation) -> Result<Exit, Stop> {
        let mut left = limit;
        loop {
            let page = self.page(left, &invocation.daemon).await?;
            self.put(&page.messages, &mut invocation.output)?;
            self.mark(&invocation.daemon).await?;
            if left == limit && page.messages.is_empty() {
                invocation.notes.say(&Line::new("No unread messages. Older ones: hermesctl log CHAT"));
            }
            left = left.saturating_sub(count(&page.messages));
            if page.more && left == 0 {
                invocation.notes.say(&Line::new("There are more: hermesctl inbox"));
            }
            if !page.more || left == 0 {
                return Ok(Exit::Ok);
            }
        }
    }

    /// The messages as one JSON document, so all are collected before it is written.
    async fn document(&mut self, limit: u32, invocation: &mut Invocation) -> Result<Exit, Stop> {
        let mut left = limit;
        let mut all = MessagePage { v: V1, messages: Vec::new(), more: true };
        while all.more && left > 0 {
            let page = self.page(left, &invocation.daemon).await?;
            self.passed(&page.messages);
            left = left.saturating_sub(count(&page.messages));
            all.messages.extend(page.messages);
            all.more = page.more;
        }
        invocation.output.json(&all)?;
        invocation.output.flush()?;
        self.mark(&invocation.daemon).await?;
        Ok(Exit::Ok)
    }

    /// Shows what is there and then what arrives, until interrupted.
    async fn follow(&mut self, invocation: &mut Invocation) -> Result<Exit, Stop> {
        let mut events =
            invocation.daemon.repeatable(async |client| client.events(&self.account).await).await?;
        // Whoever stops the daemon from here on has a reason.
        invocation.daemon.autostart = Autostart::Off;
        loop {
            match self.round(&mut events, invocation).await {
                Ok(()) => {}
                Err(RoundError::DaemonGone) => events = self.reconnect(invocation).await?,
                Err(RoundError::Stop(stop)) => return Err(stop),
            }
        }
    }

    /// Shows everything there is, then what arrives. What arrives is shown as it is told, whether it is still unread or not:
    /// another program that follows the same inbox may have marked it. After a gap in the events the inbox itself is asked.
    async fn round(
        &mut self,
        events: &mut EventStream,
        invocation: &mut Invocation,
    ) -> Result<(), RoundError> {
        // What was shown just before a daemon went away.
        self.mark(&invocation.daemon).await?;
        loop {
            let page = self.page(PAGE_MESSAGES, &invocation.daemon).await?;
            self.listed.extend(page.messages.iter().map(|message| message.reference.clone()));
            self.put(&page.messages, &mut invocation.output)?;
            self.mark(&invocation.daemon).await?;
            if !page.more {
                break;
            }
        }
        loop {
            match events.next().await? {
                Some(Event::Received { message }) => {
                    if !self.listed.remove(&message.reference) && self.is_wanted(&message) {
                        self.put(std::slice::from_ref(&*message), &mut invocation.output)?;
                        self.mark(&invocation.daemon).await?;
                    }
                }
                Some(Event::Lagged { .. }) => return Ok(()),
                Some(Event::Group { group, change }) => {
                    if let Some(line) = render::group::news(&group, &change) {
                        invocation.notes.say(&line);
                    }
                }
                Some(Event::IdentityChanged { contact }) => {
                    invocation.notes.say(&identity_changed(&contact));
                    // What was held may have arrived with it.
                    return Ok(());
                }
                Some(_) => {}
                None => return Err(RoundError::DaemonGone),
            }
        }
    }

    /// Whether the inbox would list a message that has just arrived.
    fn is_wanted(&self, message: &Message) -> bool {
        let to_be_read = matches!(message.body, Body::Text { .. } | Body::Unsupported | Body::Withdrawn);
        to_be_read && self.query.from.as_ref().is_none_or(|from| *from == message.chat)
    }

    async fn reconnect(&self, invocation: &Invocation) -> Result<EventStream, Stop> {
        invocation.notes.say(&Line::new("hermesd went away; waiting for it to come back"));
        loop {
            match invocation.daemon.client.events(&self.account).await.map_err(RoundError::from) {
                Ok(events) => return Ok(events),
                Err(RoundError::DaemonGone) => sleep(limits::RETURN_LOOK).await,
                Err(RoundError::Stop(stop)) => return Err(stop),
            }
        }
    }

    async fn page(&self, left: u32, daemon: &Daemon) -> Result<MessagePage, ClientError> {
        let query = InboxQuery { limit: Some(left.min(PAGE_MESSAGES)), ..self.query.clone() };
        daemon.repeatable(async |client| client.inbox(&self.account, &query).await).await
    }

    /// Writes messages out, whole, before they count as shown.
    fn put(&mut self, messages: &[Message], output: &mut Output) -> Result<(), Stop> {
        match output.format {
            Format::Text => {
                let layout = Layout::of(messages, output.width);
                let now = now();
                let lines = messages.iter().flat_map(|message| unread(message, layout, now));
                lines.for_each(|line| output.line(&line));
            }
            Format::Json => {
                messages.iter().try_for_each(|message| output.json(&MessageLine { v: V1, message }))?;
            }
        }
        output.flush()?;
        self.passed(messages);
        Ok(())
    }

    fn passed(&mut self, messages: &[Message]) {
        if let Some(last) = messages.last() {
            self.query.after = Some(last.id.clone());
        }
        if self.mark == Mark::Read {
            self.shown.extend(messages.iter().map(|message| message.reference.clone()));
        }
    }

    /// Marks what was shown. What cannot be marked stays on the list.
    async fn mark(&mut self, daemon: &Daemon) -> Result<(), ClientError> {
        while !self.shown.is_empty() {
            let some = self.shown.len().min(PAGE_MESSAGES as usize);
            let read = ReadMessages { refs: self.shown[..some].to_vec() };
            daemon.repeatable(async |client| client.mark_read(&self.account, &read).await).await?;
            self.shown.drain(..some);
        }
        Ok(())
    }
}

fn identity_changed(contact: &Contact) -> Line {
    let name = &contact.name;
    let line = Line::default().styled(WARN, "warning: ").styled(NAME, name).plain("'s identity key changed");
    match contact.trust {
        Trust::Changed => line.plain(format!("; nothing is sent to {name}: hermesctl contact show {name}")),
        _ => line.plain(format!(" and was accepted, as you asked: hermesctl contact verify {name}")),
    }
}

fn count(messages: &[Message]) -> u32 {
    u32::try_from(messages.len()).unwrap_or(u32::MAX)
}
