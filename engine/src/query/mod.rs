//! Reads for those who only look: the local API and the link. Pure functions over committed rows.

mod audit;
mod chats;
mod contact;
mod delivery;
mod events;
mod group;
mod history;
mod link;
mod marks;
mod peer;
mod person;
mod request;
mod search;
mod settings;
mod waiting;

use hermes_protocol::identity::{Fingerprint, IdentityKeyPair};
use hermes_wire::{MailboxId, RelayAddress, Timestamp};

pub use crate::claim::{Claiming, claiming};
pub use audit::{
    Audit, Beside, ChatAudit, Confirmation, GapView, ReceivedAudit, SentAudit, UnreadableCount, audit,
    missing,
};
pub use chats::{ChatView, ChatWith, chats};
pub use contact::{ContactDetails, KeyChange, Safety, SessionFacts, contact_at, contact_named};
pub use delivery::{Confirmed, RecipientView, recipients};
pub use events::{ConsumerView, EventEntry, EventPage, EventView, consumers, events, newest_event};
pub use group::{
    GroupDetails, GroupView, MemberView, PlaceView, WayBack, group_at, group_authenticator, group_named,
    groups,
};
pub use history::{
    InboxFilter, MessageDirection, MessageView, inbox, last_received, log, log_after, message, message_at,
    messages_at,
};
pub use link::{
    BlobFetch, Destination, GuestView, MailboxSettings, Outgoing, PendingFetch, Place, Upload, blob_fetches,
    destination, fetch_of, fetches, guest_addresses, guest_mailbox, guests, mailbox, outbox, outbox_chats,
    prekey_floor, prekeys_to_publish, revocations, revocations_at, upload_part, uploads, uploads_over,
};
pub use marks::{Quote, QuotedFrom, ReactionView};
pub use peer::{PeerView, SessionHealth, peers};
pub use person::PersonView;
pub use request::{OpenInviteView, RequestView, Said, requests};
pub use search::{Found, SearchFilter, SearchPlace, SearchPlaceError, is_searchable, search};
pub use settings::{SettingsView, settings};
pub use waiting::{WaitingView, cancellable, waiting};

use crate::{
    account::{self, Lookup},
    claim::{self, Restored},
    group::GroupRecord,
    id::ChatId,
    limits,
    row::{ContactRecord, RenewalReason, StoreStanding, UnreadableCause, UnreadableRecord},
    rows::{self, NameRow, QuietKey, QuietRow, ReadError, StoreResult},
    store::{Order, Range, Table, View},
    trust::Trust,
};

/// An account at a glance.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The account's label.
    pub name: String,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Where its mailbox is.
    pub relay: RelayAddress,
    /// Which one it is.
    pub mailbox: MailboxId,
    /// Whether the relay has accepted it.
    pub registered: bool,
    /// Whether everything is taken that the relay had when it was last asked.
    pub caught_up: bool,
    /// Envelopes that the relay had when it was last asked, and that are yet to come: at most so many, because some may
    /// have expired.
    pub waiting: u64,
    /// Unread messages.
    pub unread: u64,
    /// Envelopes waiting to leave.
    pub outbox: u64,
    /// Contacts, pending ones included.
    pub contacts: u64,
    /// People who ask to be contacts, and wait for the user's word.
    pub requests: u64,
    /// Envelopes that could not be read, ever.
    pub unreadable: u64,
    /// Until when the user wants not to be disturbed.
    pub quiet: Option<Timestamp>,
    /// Messages of all chats that were sent to this account and have not arrived, as far as later ones tell.
    pub missing: u64,
    /// The newest of the unreadable.
    pub last_unreadable: Option<(UnreadableCause, Timestamp)>,
    /// Sessions that gave way to others, ever.
    pub renewals: u64,
    /// The last of those: with whom, when, and why.
    pub last_renewal: Option<(String, Timestamp, RenewalReason)>,
    /// Whether the store is the newest of the account.
    pub store: StoreView,
}

/// Whether a store is the newest of its account, as a user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreView {
    /// Whether it works.
    pub state: StoreState,
    /// When it was found to have been put back from an old copy, or took over from another one.
    pub restored: Option<RestoredView>,
    /// When another copy of it was last seen.
    pub copy_seen: Option<Timestamp>,
}

/// Whether a store works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// It does.
    Working,
    /// It will, once the relay has taken its word that it goes on.
    Recovering,
    /// Another copy works, since this time.
    Stopped(Timestamp),
}

/// How far a recovery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredView {
    /// When it began.
    pub at: Timestamp,
    /// Contacts it had.
    pub contacts: u64,
    /// Those that have a new session.
    pub renewed: u64,
}

/// A contact as a user sees it.
#[derive(Debug, Clone)]
pub struct ContactView {
    /// Its chat.
    pub chat: ChatId,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Whether the identity is known to be theirs.
    pub trust: Trust,
    /// How far the pairing has come.
    pub state: ContactState,
    /// When it was added.
    pub since: Timestamp,
    /// Since when its relay takes nothing for it from here.
    pub refused: Option<Timestamp>,
    /// Since when it is blocked.
    pub blocked: Option<Timestamp>,
}

/// How far a pairing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactState {
    /// The relay or the inviter has yet to answer.
    Pending,
    /// It was asked, by an invite for requests, and its user has yet to say yes.
    Asked,
    /// Paired.
    Ready,
}

impl ContactView {
    fn new(chat: ChatId, row: &ContactRecord) -> Self {
        Self {
            chat,
            state: match row.answered {
                true => ContactState::Ready,
                false if row.waits_to_be_accepted() => ContactState::Asked,
                false => ContactState::Pending,
            },
            name: row.name.clone(),
            fingerprint: row.fingerprint,
            trust: row.trust.view(),
            since: row.since,
            refused: row.refused,
            blocked: row.blocked,
        }
    }
}

/// The account at a glance.
pub fn summary<V: View>(view: &V) -> StoreResult<Summary, V> {
    let record = account::record(view)?;
    let counters = account::counters(view)?;
    let newest = rows::scan::<UnreadableRecord, _>(view, &Range::all(), Order::Descending, 1)?.pop();
    let last_renewal = match counters.last_renewal {
        Some((chat, at, reason)) => Some((contact(view, &chat)?.name, at, reason)),
        None => None,
    };
    Ok(Summary {
        // What was written to a group is not here before its welcome is. What is at other relays may take its time.
        caught_up: counters.cursor >= counters.head
            && blob_fetches(view)?.iter().all(|fetch| fetch.mailbox.is_some()),
        waiting: counters.head.0.saturating_sub(counters.cursor.0),
        renewals: counters.renewals,
        last_renewal,
        mailbox: record.mailbox_id(),
        fingerprint: IdentityKeyPair::from_bytes(record.identity.expose()).identity().fingerprint(),
        name: record.name,
        relay: record.relay,
        registered: counters.registered,
        unread: counters.unread,
        outbox: counters.outbox,
        contacts: counters.contacts,
        requests: request::count(view)?,
        unreadable: counters.unreadable,
        missing: counters.missing,
        quiet: rows::get::<QuietRow, _>(view, &QuietKey)?.map(|row| row.0),
        last_unreadable: newest.map(|(_, row)| (row.cause, row.at)),
        store: store(view, counters.standing)?,
    })
}

fn store<V: View>(view: &V, standing: StoreStanding) -> StoreResult<StoreView, V> {
    let claims = claim::claims(view)?;
    let restored = match claims.restored {
        None => None,
        Some(Restored { at, contacts }) => {
            let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
            let all = rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
            let waits = |contact: &ContactRecord| contact.answered && contact.active.is_none();
            let waiting = all.iter().filter(|(_, contact)| waits(contact)).count();
            let renewed = contacts.saturating_sub(u64::try_from(waiting).unwrap_or(u64::MAX));
            Some(RestoredView { at, contacts, renewed })
        }
    };
    let state = match standing {
        StoreStanding::Newest => StoreState::Working,
        StoreStanding::Restoring | StoreStanding::TakingOver => StoreState::Recovering,
        StoreStanding::Stopped { since } => StoreState::Stopped(since),
    };
    Ok(StoreView { state, restored, copy_seen: claims.copy_seen })
}

/// Every contact, by name.
pub fn contacts<V: View>(view: &V) -> StoreResult<Vec<ContactView>, V> {
    let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
    let rows = rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
    let rows = rows.into_iter().filter(|(_, row)| row.removed.is_none());
    let mut contacts: Vec<_> = rows.map(|(chat, row)| ContactView::new(chat, &row)).collect();
    contacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(contacts)
}

/// What the account calls itself.
pub fn profile<V: View>(view: &V) -> StoreResult<String, V> {
    account::profile(view, &account::record(view)?)
}

/// The chat of a contact's or a group's name.
pub fn chat_named<V: View>(view: &V, name: &str) -> StoreResult<Option<ChatId>, V> {
    let key = account::record(view)?.lookup_key().hash(Lookup::Name, &[name.as_bytes()]);
    Ok(rows::get::<NameRow, _>(view, &key)?.map(|row| row.0))
}

/// What the account calls its contacts and groups.
pub fn names<V: View>(view: &V) -> StoreResult<Vec<String>, V> {
    Ok(all_chats(view)?.into_iter().map(|(_, name)| name).collect())
}

/// Every chat, with its name.
fn all_chats<V: View>(view: &V) -> StoreResult<Vec<(ChatId, String)>, V> {
    let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
    let contacts = rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
    let groups = rows::scan::<GroupRecord, _>(view, &Range::all(), Order::Ascending, limits::GROUPS)?;
    let contacts = contacts.into_iter().filter(|(_, contact)| contact.removed.is_none());
    let contacts = contacts.map(|(chat, contact)| (chat, contact.name));
    Ok(contacts
        .chain(
            groups.into_iter().filter(|(_, group)| !group.forgotten).map(|(chat, group)| (chat, group.name)),
        )
        .collect())
}

/// A contact that another row points at.
fn contact<V: View>(view: &V, chat: &ChatId) -> StoreResult<ContactRecord, V> {
    rows::get(view, chat)?.ok_or(ReadError::Corrupt(Table::Contact))
}
