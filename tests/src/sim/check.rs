//! The invariants, checked from what users did and what the disks hold in the end.

use std::fmt;

use hermes_engine::{
    MessageState, Text,
    query::{self, MessageDirection, MessageView, StoreState, StoreView},
};

use super::{client::Client, relay::SimRelay};

/// What went wrong, in words.
#[derive(Debug)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// I1 (accepted means delivered or reported), I2 (shown once), I3 (in order), that nothing is left under way, and that
/// an audit finds nothing missing.
///
/// I4 (no key used twice) is checked by I1: a message sealed with a used key is a duplicate to its recipient and would
/// be missing here. I5 (nothing answered before it is durable) is asserted where acks leave, and checked by I1, because
/// each death throws away whatever was not durable.
pub fn check(clients: &[Client], relay: &SimRelay) -> Result<u64, Violation> {
    let mut messages = 0;
    for client in clients {
        let summary = query::summary(&client.store).expect("memory");
        if summary.outbox != 0 || relay.waiting(client.mailbox) != 0 {
            return Err(Violation(format!(
                "{} has {} rows in its outbox and {} envelopes at the relay after the faults ended",
                client.name,
                summary.outbox,
                relay.waiting(client.mailbox)
            )));
        }
        if summary.unreadable != 0 {
            return Err(Violation(format!("{} could not read: {:?}", client.name, summary.last_unreadable)));
        }
        check_audit(client)?;
        for (to, accepted) in &client.accepted {
            let recipient = clients.iter().find(|c| c.name == *to).expect("recipients are clients");
            check_chat(client, recipient, accepted)?;
            messages += accepted.len() as u64;
        }
    }
    Ok(messages)
}

/// Nothing that arrived leaves a gap, nothing contradicts anything, everything that was sent is confirmed.
fn check_audit(client: &Client) -> Result<(), Violation> {
    let audit = query::audit(&client.store, None).expect("memory").expect("every chat");
    for chat in audit.chats {
        let query::ReceivedAudit { messages, through, highest, missing, findings, .. } = &chat.received;
        let whole = [*through, *highest] == [*messages; 2] && *missing == 0 && findings.is_empty();
        if !whole || !chat.sent.unconfirmed.is_empty() {
            return Err(Violation(format!("{} finds something missing: {chat:?}", client.name)));
        }
    }
    Ok(())
}

/// No store is taken for an old copy of itself: none is one here.
pub fn check_stores(clients: &[Client]) -> Result<(), Violation> {
    for client in clients {
        let store = query::summary(&client.store).expect("memory").store;
        let sound = StoreView { state: StoreState::Working, restored: None, copy_seen: None };
        if store != sound {
            return Err(Violation(format!("{} takes its store for an old one: {store:?}", client.name)));
        }
    }
    Ok(())
}

fn check_chat(sender: &Client, recipient: &Client, accepted: &[String]) -> Result<(), Violation> {
    let sent: Vec<_> = history(sender, &recipient.name)
        .into_iter()
        .filter_map(|m| match m.direction {
            MessageDirection::Sent(state) => Some((plain(m.text), state)),
            MessageDirection::Received { .. } | MessageDirection::Noted => None,
        })
        .collect();
    let received: Vec<_> = history(recipient, &sender.name)
        .into_iter()
        .filter(|m| matches!(m.direction, MessageDirection::Received { .. }))
        .map(|m| plain(m.text))
        .collect();
    let stored: Vec<_> = sent.iter().map(|(text, _)| text.clone()).collect();
    // Commands of one turn are typed in order, so that accepted order is stored order.
    if stored != accepted {
        return Err(Violation(format!(
            "{} was told of {} messages and stored {}",
            sender.name,
            accepted.len(),
            stored.len()
        )));
    }
    let mut delivered = Vec::new();
    for (text, state) in sent {
        match state {
            MessageState::Delivered | MessageState::Read => delivered.push(text),
            state => {
                let (from, to) = (&sender.name, &recipient.name);
                return Err(Violation(format!("{from}'s {text:?} to {to} ended as {state:?}")));
            }
        }
    }
    if received != delivered {
        let (from, to) = (&sender.name, &recipient.name);
        let at = received.iter().zip(&delivered).take_while(|(a, b)| a == b).count();
        let names: Vec<_> =
            query::contacts(&recipient.store).expect("memory").into_iter().map(|c| c.name).collect();
        return Err(Violation(format!(
            "{from} has {} messages delivered, {to} shows {}; they differ at {at}: {:?}, {:?} (contacts {names:?})",
            delivered.len(),
            received.len(),
            delivered.get(at),
            received.get(at),
        )));
    }
    Ok(())
}

fn history(client: &Client, chat: &str) -> Vec<MessageView> {
    query::log(&client.store, chat, None, usize::MAX).expect("memory").unwrap_or_default()
}

fn plain(text: Text) -> String {
    match text {
        Text::Plain(text) => text,
        Text::NeedsNewerVersion => "needs a newer version".to_owned(),
        Text::Expired => "expired".to_owned(),
        Text::Withdrawn => "withdrawn".to_owned(),
        Text::Action(action) => format!("{action:?}"),
        Text::TimerSet(ttl) => format!("timer set: {ttl:?}"),
        Text::GroupChanged(note) => format!("group changed: {note:?}"),
        Text::SessionRenewed(reason) => format!("session renewed: {reason}"),
    }
}
