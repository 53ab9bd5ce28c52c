//! Groups as a user sees them.

use hermes_protocol::{
    content::GuestRefusal,
    group::{Authenticator, GroupContext, Leaf, read},
};
use hermes_wire::{ChannelId, RelayAddress, Timestamp};

use super::{
    chat_named,
    person::{People, PersonView},
};
use crate::{
    group::{
        self, AskKey, AskRecord, GroupRecord, GroupStanding, MemberKey, MemberRecord, PositionKey,
        PositionRecord, RejoinKey, RejoinRecord,
    },
    id::ChatId,
    limits::{GROUP_ROWS, GROUPS},
    row::{Author, ContactRecord},
    rows::{self, StoreResult},
    store::{Order, Range, View},
};

/// A group.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// Its chat.
    pub chat: ChatId,
    /// Its name here.
    pub name: String,
    /// The name that its admins gave it. Not cleaned.
    pub title: String,
    /// How it stands here.
    pub standing: GroupStanding,
    /// Who stopped it, if somebody did.
    pub stopped_by: Option<PersonView>,
    /// How this account comes back, while its place is lost.
    pub way_back: Option<WayBack>,
    /// How many are in it.
    pub members: u32,
    /// Whether this account is an admin.
    pub admin: bool,
    /// Commits so far.
    pub epoch: u64,
    /// Whether a change is on its way, or waits for somebody's key package.
    pub changing: bool,
    /// Posts that did not fit into the mailbox, ever.
    pub missed: u64,
    /// When it came to be here.
    pub since: Timestamp,
}

/// Who can add an account again that has lost its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayBack {
    /// These contacts, by their names here: admins of the group, which asks each of them once a day.
    Admins {
        /// Names.
        names: Vec<String>,
        /// When the last asking began.
        asked: Option<Timestamp>,
    },
    /// No admin of it is a contact: an admin has to become one, or to be told in another way.
    Nobody,
    /// This account was its only admin.
    OnlyAdmin,
}

/// A group and who is in it.
#[derive(Debug, Clone)]
pub struct GroupDetails {
    /// The group.
    pub group: GroupView,
    /// Its members, this account among them, in the order of the tree.
    pub members: Vec<MemberView>,
    /// Contacts who are to be added and have no key package here; they are added when one comes.
    pub waiting: Vec<String>,
    /// Of those, who waits for a mailbox at the group's relay.
    pub places: Vec<PlaceView>,
    /// The channel at the relay.
    pub channel: ChannelId,
    /// The relay.
    pub relay: RelayAddress,
}

/// A contact whose own mailbox is at another relay than the group that it is to be added to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceView {
    /// The contact's name.
    pub contact: String,
    /// Why it has no mailbox at the group's relay; nothing while its client has not answered.
    pub refused: Option<GuestRefusal>,
}

/// A member.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// Who it is.
    pub person: PersonView,
    /// Whether it is an admin.
    pub admin: bool,
}

/// Every group, by name.
pub fn groups<V: View>(view: &V) -> StoreResult<Vec<GroupView>, V> {
    let people = People::read(view)?;
    let rows = rows::scan::<GroupRecord, _>(view, &Range::all(), Order::Ascending, GROUPS)?;
    let shown =
        rows.into_iter().filter(|(_, row)| !row.forgotten).map(|(chat, row)| show(view, chat, &row, &people));
    let mut groups = shown.collect::<Result<Vec<_>, _>>()?;
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

/// The group of a name; `None` when there is no such group.
pub fn group_named<V: View>(view: &V, name: &str) -> StoreResult<Option<GroupDetails>, V> {
    match chat_named(view, name)? {
        Some(chat) => group_at(view, chat),
        None => Ok(None),
    }
}

/// The group of a chat; `None` when it is none.
pub fn group_at<V: View>(view: &V, chat: ChatId) -> StoreResult<Option<GroupDetails>, V> {
    let Some(row) = rows::get::<GroupRecord, _>(view, &chat)? else { return Ok(None) };
    let people = People::read(view)?;
    let rows = rows::scan::<MemberRecord, _>(view, &Range::prefix(&chat.0), Order::Ascending, GROUP_ROWS)?;
    let mut members = Vec::with_capacity(rows.len());
    for (MemberKey(_, Leaf(_)), MemberRecord { fingerprint, profile_name, .. }) in rows {
        let admin = row.context.admins.contains(&fingerprint);
        let person = people.show(view, Author { fingerprint, profile_name })?;
        members.push(MemberView { person, admin });
    }
    let mut waiting = Vec::new();
    let mut places = Vec::new();
    for contact_chat in row.waiting() {
        let Some(contact) = rows::get::<ContactRecord, _>(view, &contact_chat)? else { continue };
        if !contact.ticket.relay.is_same(&row.context.relay) {
            let ask: Option<AskRecord> = rows::get(view, &AskKey(contact_chat, chat))?;
            let refused = ask.and_then(|ask| ask.refused());
            places.push(PlaceView { contact: contact.name.clone(), refused });
        }
        waiting.push(contact.name);
    }
    let group = show(view, chat, &row, &people)?;
    let GroupContext { channel, relay, .. } = row.context;
    Ok(Some(GroupDetails { group, members, waiting, places, channel, relay }))
}

/// What shows that members agree: equal at all who are in the same epoch of the same group, and nowhere else. `None` when
/// there is no such group, or its keys are gone.
pub fn group_authenticator<V: View>(view: &V, name: &str) -> StoreResult<Option<Authenticator>, V> {
    let Some(chat) = chat_named(view, name)? else { return Ok(None) };
    if rows::get::<GroupRecord, _>(view, &chat)?.is_none() {
        return Ok(None);
    }
    let rows = group::mls_rows(view, chat)?;
    Ok(read(&rows).ok().map(|epoch| epoch.authenticator))
}

fn show<V: View>(view: &V, chat: ChatId, row: &GroupRecord, people: &People) -> StoreResult<GroupView, V> {
    let stopped_by = match &row.standing {
        GroupStanding::Frozen(by, _) | GroupStanding::Removed(by) => {
            // What it called itself went with the members.
            let author = Author { fingerprint: *by, profile_name: String::new() };
            Some(people.show(view, author)?)
        }
        _ => None,
    };
    let position: PositionRecord = rows::get(view, &PositionKey(chat))?.unwrap_or_default();
    Ok(GroupView {
        chat,
        name: row.name.clone(),
        title: row.context.name.clone(),
        standing: row.standing.clone(),
        stopped_by,
        way_back: match row.standing {
            GroupStanding::Lost(_) => Some(way_back(view, chat, row, people)?),
            _ => None,
        },
        members: row.members,
        admin: row.context.admins.contains(people.own()),
        epoch: row.epoch,
        changing: row.pending.is_some() || !row.wanted.is_empty() || row.awaiting.is_some(),
        missed: position.missed,
        since: row.since,
    })
}

fn way_back<V: View>(view: &V, chat: ChatId, row: &GroupRecord, people: &People) -> StoreResult<WayBack, V> {
    let record: RejoinRecord = rows::get(view, &RejoinKey(chat))?.unwrap_or_default();
    let mut names = Vec::new();
    for admin in &row.context.admins {
        if admin == people.own() || record.frozen_by == Some(*admin) {
            continue;
        }
        let contact = people.contact(view, admin)?.map(|(_, contact)| contact);
        names.extend(contact.filter(|contact| contact.answered).map(|contact| contact.name));
    }
    let asked = record.round.map(|round| round.since);
    if row.context.admins.iter().all(|admin| admin == people.own()) {
        return Ok(WayBack::OnlyAdmin);
    }
    Ok(if names.is_empty() { WayBack::Nobody } else { WayBack::Admins { names, asked } })
}
