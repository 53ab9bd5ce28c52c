//! What a link needs to know: where the mailbox is, what waits to leave, and by whose permission.

use std::collections::BTreeMap;

use hermes_protocol::ticket::Ticket;
use hermes_wire::{
    BlobId, ChannelId, ContactId, DropKey, EnvelopeId, FetchId, InstanceId, MailboxId, PostId, RelayAddress,
    Sequence, Timestamp, VERSION,
    channel::OpenChannel,
    drop::{Deposit, Open, ToDrop},
    limits::PREKEYS_PER_FRAME,
    prekey::{PrekeyEntry, PrekeyId},
    token::SignedDropToken,
};
use zeroize::Zeroizing;

use crate::{
    account,
    block::RevokedRecord,
    group::{self, GroupRecord, InvitationRecord, PartKey, PartRow, UploadRecord},
    guest::{GuestPosition, GuestPositionKey, GuestRecord, GuestTally, GuestTallyKey},
    id::{ChatId, GuestId},
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

/// Where a chat's envelopes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The relay.
    pub relay: RelayAddress,
    /// What is opened there.
    pub place: Place,
}

/// What a stream to a relay is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Somebody's mailbox, and the permission to write to it.
    Mailbox(MailboxId, SignedDropToken),
    /// A group's channel.
    Channel(ChannelId),
}

impl Destination {
    /// The first frame of a stream there.
    pub fn opening(&self) -> ToDrop {
        match &self.place {
            Place::Mailbox(mailbox, token) => {
                ToDrop::Open(Open { version: VERSION, mailbox: *mailbox, token: token.clone() })
            }
            Place::Channel(channel) => {
                ToDrop::OpenChannel(OpenChannel { version: VERSION, channel: *channel })
            }
        }
    }

    fn of(ticket: Ticket) -> Self {
        Self { relay: ticket.relay, place: Place::Mailbox(ticket.mailbox, ticket.token) }
    }
}

/// Something on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its place in the outbox.
    pub key: OutboxKey,
    /// Its id, the same at every try.
    pub envelope: EnvelopeId,
    /// Bytes of its body.
    pub bytes: usize,
    /// What is said to the relay, the same at every try.
    pub frame: ToDrop,
}

/// A blob that the relay is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Which.
    pub blob: BlobId,
    /// Bytes of all of it.
    pub total: u32,
}

/// A blob that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFetch {
    /// Which.
    pub blob: BlobId,
    /// Where it is.
    pub relay: RelayAddress,
    /// The account's mailbox there, if it is not its own: in whose name is told what comes of it.
    pub mailbox: Option<GuestId>,
}

impl BlobFetch {
    /// What it is called by: a relay may have moved.
    pub fn id(&self) -> (BlobId, Option<GuestId>) {
        (self.blob, self.mailbox)
    }
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

/// A mailbox at another relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestView {
    /// Which.
    pub guest: GuestId,
    /// Where.
    pub relay: RelayAddress,
    /// Whether the relay has taken it.
    pub registered: bool,
    /// Envelopes that the relay had when it was last asked, and that are yet to come, at most.
    pub waiting: u64,
    /// Envelopes there that could not be read, ever.
    pub unreadable: u64,
    /// Envelopes that the relay says it has dropped, ever.
    pub expired: u64,
    /// When one of these was last counted.
    pub last_unreadable: Option<Timestamp>,
}

/// Mailboxes at other relays, by relay.
pub fn guests<V: View>(view: &V) -> StoreResult<Vec<GuestView>, V> {
    let mut guests = Vec::new();
    for (guest, row) in rows::scan::<GuestRecord, _>(view, &Range::all(), Order::Ascending, limits::GUESTS)? {
        let position: Option<GuestPosition> = rows::get(view, &GuestPositionKey(guest))?;
        let waiting = position.map_or(0, |at| at.head.0.saturating_sub(at.cursor.0));
        let tally: Option<GuestTally> = rows::get(view, &GuestTallyKey(guest))?;
        guests.push(GuestView {
            guest,
            relay: row.relay,
            registered: row.registered,
            waiting,
            unreadable: tally.map_or(0, |tally| tally.unreadable),
            expired: tally.map_or(0, |tally| tally.expired),
            last_unreadable: tally.filter(|tally| tally.last > Timestamp(0)).map(|tally| tally.last),
        });
    }
    guests.sort_by(|a, b| a.relay.cmp(&b.relay));
    Ok(guests)
}

/// What opens a mailbox at another relay; `None` when it was given up.
pub fn guest_mailbox<V: View>(view: &V, guest: GuestId) -> StoreResult<Option<MailboxSettings>, V> {
    let Some(record) = rows::get::<GuestRecord, _>(view, &guest)? else { return Ok(None) };
    let position: Option<GuestPosition> = rows::get(view, &GuestPositionKey(guest))?;
    Ok(Some(MailboxSettings {
        registration_token: record.registration_token(),
        instance: record.instance,
        mailbox_seed: Zeroizing::new(*record.seed()),
        mailbox: record.mailbox_id(),
        drop_key: record.drop_key(),
        cursor: position.map_or(Sequence(0), |position| position.cursor),
        relay: record.relay,
    }))
}

/// Where the relay of a guest mailbox may be reached; the address first that has led to it.
pub fn guest_addresses<V: View>(view: &V, guest: GuestId) -> StoreResult<Vec<RelayAddress>, V> {
    let record: Option<GuestRecord> = rows::get(view, &guest)?;
    Ok(record.map(|record| record.addresses()).unwrap_or_default())
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

/// A chat's outbox rows past a position, in the order they leave. Ends before one that has to wait for something else.
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
    let mut outgoing = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        let (envelope, bytes) = (row.envelope, row.body.len());
        let frame = match row.post {
            None => Some(ToDrop::Deposit(Deposit { envelope, body: row.body })),
            Some(post) => group::frame(view, chat, PostId(envelope.0), post, row.body)?,
        };
        let Some(frame) = frame else { break };
        outgoing.push(Outgoing { key, envelope, bytes, frame });
    }
    Ok(outgoing)
}

/// How to write to a chat; `None` when it is gone.
pub fn destination<V: View>(view: &V, chat: ChatId) -> StoreResult<Option<Destination>, V> {
    if let Some(contact) = rows::get::<ContactRecord, _>(view, &chat)? {
        return Ok(Some(Destination::of(contact.ticket)));
    }
    let Some(group) = rows::get::<GroupRecord, _>(view, &chat)? else { return Ok(None) };
    let own = account::record(view)?.relay;
    let known = group::mailbox_at(view, &own, Some(&group.context.relay))?;
    let relay = match known {
        Some(mailbox) => relay_of(view, &own, mailbox)?,
        None => None,
    };
    let relay = relay.unwrap_or(group.context.relay);
    Ok(Some(Destination { relay, place: Place::Channel(group.context.channel) }))
}

/// Blobs that go up over the account's own mailbox.
pub fn uploads<V: View>(view: &V) -> StoreResult<Vec<Upload>, V> {
    uploads_over(view, None)
}

/// Blobs that go up over a mailbox: the account's own, or one at another relay.
pub fn uploads_over<V: View>(view: &V, mailbox: Option<GuestId>) -> StoreResult<Vec<Upload>, V> {
    let own = account::record(view)?.relay;
    let mut uploads = Vec::new();
    for (blob, row) in rows::scan::<UploadRecord, _>(view, &Range::all(), Order::Ascending, QUERY_ROWS)? {
        if group::upload_mailbox(view, &own, &row)? == Some(mailbox) {
            uploads.push(Upload { blob, total: row.total });
        }
    }
    Ok(uploads)
}

/// The piece of a blob that begins at `offset`.
pub fn upload_part<V: View>(view: &V, blob: BlobId, offset: u32) -> StoreResult<Option<Vec<u8>>, V> {
    let part: Option<PartRow> = rows::get(view, &PartKey(blob, offset))?;
    Ok(part.map(|part| part.0.expose().to_vec()))
}

/// Blobs that are waited for: welcomes, and commits.
pub fn blob_fetches<V: View>(view: &V) -> StoreResult<Vec<BlobFetch>, V> {
    let invitations =
        rows::scan::<InvitationRecord, _>(view, &Range::all(), Order::Ascending, limits::INVITATIONS)?;
    let groups = rows::scan::<GroupRecord, _>(view, &Range::all(), Order::Ascending, limits::GROUPS)?;
    let welcomes = invitations.into_iter().map(|(key, row)| (key.1, row.relay));
    let commits = groups
        .into_iter()
        .filter_map(|(_, group)| Some((group.awaiting?.blob.id, Some(group.context.relay))));
    let awaited: Vec<_> = welcomes.chain(commits).collect();
    if awaited.is_empty() {
        return Ok(Vec::new());
    }
    let own = account::record(view)?.relay;
    // Once for each relay, however many have named it: what each of them said of it is compared when it is here.
    let mut fetches = BTreeMap::new();
    for (blob, relay) in awaited {
        let Some(mailbox) = group::mailbox_at(view, &own, relay.as_ref())? else { continue };
        let Some(relay) = relay_of(view, &own, mailbox)? else { continue };
        fetches.entry((blob, mailbox)).or_insert(BlobFetch { blob, relay, mailbox });
    }
    Ok(fetches.into_values().collect())
}

/// Where the relay is that has a mailbox of this account. What others call it by may lead nowhere, or to somebody who wants
/// to see who comes.
fn relay_of<V: View>(
    view: &V,
    own: &RelayAddress,
    mailbox: Option<GuestId>,
) -> StoreResult<Option<RelayAddress>, V> {
    let Some(guest) = mailbox else { return Ok(Some(own.clone())) };
    let record: Option<GuestRecord> = rows::get(view, &guest)?;
    Ok(record.map(|record| record.relay))
}

/// Bundles that pairings wait for.
pub fn fetches<V: View>(view: &V) -> StoreResult<Vec<PendingFetch>, V> {
    let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
    let contacts = rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
    Ok(contacts.into_iter().filter_map(|(chat, contact)| pending(chat, contact)).collect())
}

/// The bundle that the pairing with one contact waits for.
pub fn fetch_of<V: View>(view: &V, chat: ChatId) -> StoreResult<Option<PendingFetch>, V> {
    let contact: Option<ContactRecord> = rows::get(view, &chat)?;
    Ok(contact.and_then(|contact| pending(chat, contact)))
}

fn pending(chat: ChatId, contact: ContactRecord) -> Option<PendingFetch> {
    let Fetching { fetch, ticket, .. } = *contact.fetching?;
    Some(PendingFetch { chat, fetch, destination: Destination::of(ticket) })
}

/// Permissions that the relay has yet to be told to refuse, each with the time until when.
pub fn revocations<V: View>(view: &V) -> StoreResult<Vec<(ContactId, Timestamp)>, V> {
    revocations_at(view, None)
}

/// The same, of a mailbox: the account's own, or one at another relay.
pub fn revocations_at<V: View>(
    view: &V,
    mailbox: Option<GuestId>,
) -> StoreResult<Vec<(ContactId, Timestamp)>, V> {
    let rows = rows::scan::<RevokedRecord, _>(view, &Range::all(), Order::Ascending, limits::SWEEP_ROWS)?;
    let pending = rows.into_iter().filter(|(_, row)| row.pending && row.at == mailbox);
    Ok(pending.take(QUERY_ROWS).map(|(key, row)| (key.0, row.until)).collect())
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
