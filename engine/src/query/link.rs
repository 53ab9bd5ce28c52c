//! What a link needs to know: where the mailbox is, what waits to leave, and by whose permission.

use hermes_wire::{
    DropKey, EnvelopeId, FetchId, InstanceId, MailboxId, RelayAddress, Sequence,
    limits::PREKEYS_PER_FRAME,
    prekey::{PrekeyEntry, PrekeyId},
    token::SignedDropToken,
};
use zeroize::Zeroizing;

use crate::{
    account,
    id::ChatId,
    input::OutboxKey,
    limits::{self, QUERY_ROWS},
    row::{ContactRecord, Fetching, OutboxRecord},
    rows::{self, Key, StoreResult, UploadRow},
    store::{Order, Range, View},
};

/// What opens the account's mailbox.
pub struct MailboxSettings {
    /// Where it is.
    pub relay: RelayAddress,
    /// Which installation this is.
    pub instance: InstanceId,
    /// What the relay may ask of a stranger.
    pub registration_token: Option<String>,
    /// Seed of the Ed25519 key that proves ownership.
    pub mailbox_seed: Zeroizing<[u8; 32]>,
    /// Its public half.
    pub mailbox: MailboxId,
    /// The key that signs drop tokens.
    pub drop_key: DropKey,
    /// Highest sequence taken.
    pub cursor: Sequence,
}

/// A mailbox to write to, and the permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where it is.
    pub relay: RelayAddress,
    /// Whose it is.
    pub mailbox: MailboxId,
    /// The permission.
    pub token: SignedDropToken,
}

/// An envelope on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its place in the outbox.
    pub key: OutboxKey,
    /// Its id, the same at every try.
    pub envelope: EnvelopeId,
    /// Its bytes, the same at every try.
    pub body: Vec<u8>,
}

/// A bundle that a pairing waits for.
#[derive(Debug, Clone)]
pub struct PendingFetch {
    /// Whose.
    pub chat: ChatId,
    /// The same at every try.
    pub fetch: FetchId,
    /// Where to ask.
    pub destination: Destination,
}

/// What opens the account's mailbox.
pub fn mailbox<V: View>(view: &V) -> StoreResult<MailboxSettings, V> {
    let record = account::record(view)?;
    Ok(MailboxSettings {
        instance: record.instance,
        mailbox_seed: Zeroizing::new(*record.mailbox.expose()),
        mailbox: record.mailbox_id(),
        drop_key: record.drop_key(),
        cursor: account::counters(view)?.cursor,
        registration_token: record.registration_token,
        relay: record.relay,
    })
}

/// Chats with something in the outbox.
pub fn outbox_chats<V: View>(view: &V) -> StoreResult<Vec<ChatId>, V> {
    let mut chats = Vec::new();
    let mut range = Range::all();
    while let Some((key, _)) = rows::scan::<OutboxRecord, _>(view, &range, Order::Ascending, 1)?.pop() {
        chats.push(key.chat);
        match Range::prefix(&key.chat.to_bytes()).to {
            Some(next) => range.from = next,
            None => break,
        }
    }
    Ok(chats)
}

/// A chat's outbox rows past a position, in the order they leave.
pub fn outbox<V: View>(
    view: &V,
    chat: ChatId,
    after: Option<u64>,
    limit: usize,
) -> StoreResult<Vec<Outgoing>, V> {
    let mut range = Range::prefix(&chat.to_bytes());
    if let Some(position) = after {
        range.from = OutboxKey { chat, position: position.saturating_add(1) }.to_bytes();
    }
    let rows = rows::scan::<OutboxRecord, _>(view, &range, Order::Ascending, limit.min(QUERY_ROWS))?;
    Ok(rows
        .into_iter()
        .map(|(key, row)| Outgoing { key, envelope: row.envelope, body: row.body.into_vec() })
        .collect())
}

/// How to write to a chat; `None` when it is gone.
pub fn destination<V: View>(view: &V, chat: ChatId) -> StoreResult<Option<Destination>, V> {
    let contact: Option<ContactRecord> = rows::get(view, &chat)?;
    Ok(contact.map(|contact| Destination {
        relay: contact.ticket.relay,
        mailbox: contact.ticket.mailbox,
        token: contact.ticket.token,
    }))
}

/// Bundles that pairings wait for.
pub fn fetches<V: View>(view: &V) -> StoreResult<Vec<PendingFetch>, V> {
    let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
    let contacts = rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
    let waiting = contacts.into_iter().filter_map(|(chat, contact)| {
        let Fetching { fetch, ticket, .. } = *contact.fetching?;
        let destination = Destination { relay: ticket.relay, mailbox: ticket.mailbox, token: ticket.token };
        Some(PendingFetch { chat, fetch, destination })
    });
    Ok(waiting.collect())
}

/// Prekeys below this id are not to be given out by a relay.
pub fn prekey_floor<V: View>(view: &V) -> StoreResult<PrekeyId, V> {
    Ok(account::counters(view)?.prekey_floor)
}

/// Prekeys that the relay does not have yet, by rising id; one frame's worth.
pub fn prekeys_to_publish<V: View>(view: &V) -> StoreResult<Vec<PrekeyEntry>, V> {
    let rows = rows::scan::<UploadRow, _>(view, &Range::all(), Order::Ascending, PREKEYS_PER_FRAME)?;
    Ok(rows.into_iter().map(|(_, UploadRow(entry))| entry).collect())
}
