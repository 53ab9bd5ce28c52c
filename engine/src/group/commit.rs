//! Own commits: prepared from what is wanted, posted, and true once their copy is back.

use std::collections::BTreeMap;

use hermes_protocol::{
    blob::BlobError,
    group::{
        Change, Epoch, EpochSecrets, GroupContext, GroupError, Leaf, Member, Prepared, commit, drop_own,
        merge_own, read,
    },
    identity::Fingerprint,
};
use hermes_wire::{
    BlobId, MailboxId, Refusal,
    channel::{Epoch as NextEpoch, PostTokenHash, RosterHash},
    codec,
    limits::POST_BYTES,
};

use super::{
    GroupRecord, GroupStanding, NextKey, NextRow, OfferKey, OfferRow, Post, mls,
    receive::OTHER_ROSTER,
    record::{LostReason, Pending, Wanted, Welcome},
};
use crate::{
    effect::{Event, GroupEvent},
    id::ChatId,
    limits::{GROUP_CHANGES, GROUPS},
    row::{ContactRecord, SecretBuf, StoreStanding},
    rows::{ReadError, StoreResult},
    store::{Range, Table, View},
    turn::Turn,
};

/// The first bytes of a commit's body that says in which blob the commit is. No body of the key agreement begins so.
pub(super) const IN_BLOB: [u8; 2] = [1, 0xb0];

/// What one commit is made of.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    carries: Vec<Wanted>,
    offers: Vec<(ChatId, u64)>,
    /// Who is added, for the welcome.
    added: Vec<ChatId>,
    /// What has to wait.
    left: Vec<Wanted>,
    context: Option<GroupContext>,
}

impl<V: View> Turn<'_, V> {
    /// Makes a commit of what is wanted, unless one is under way. Puts the group.
    pub(super) fn drive(&mut self, chat: ChatId, mut group: GroupRecord) -> StoreResult<(), V> {
        let idle = group.standing == GroupStanding::Member
            && group.pending.is_none()
            && group.awaiting.is_none()
            && !group.wanted.is_empty()
            && self.counters.standing == StoreStanding::Newest;
        if !idle {
            self.put(&chat, &group);
            return Ok(());
        }
        let rows = self.mls_rows(chat)?;
        // Only this group ends with its rows: the account goes on, and an admin adds it again.
        let Ok(epoch) = read(&rows) else { return self.lose(chat, group, LostReason::Damaged) };
        let batch = self.batch(chat, &group, &epoch)?;
        group.wanted = batch.left;
        if batch.changes.is_empty() && epoch.leaving.is_empty() {
            self.put(&chat, &group);
            return Ok(());
        }
        let keys = self.epoch_keys(&group)?;
        match commit(&rows, &keys, &self.account.identity, &batch.changes, self.rng) {
            Ok(prepared) => {
                let carried = Carried { carries: batch.carries, offers: batch.offers, added: batch.added };
                self.post_commit(chat, group, &epoch, prepared, carried)
            }
            Err(error) => {
                self.change_failed(chat, &group, &error.to_string());
                self.put(&chat, &group);
                Ok(())
            }
        }
    }

    /// What of the wanted goes into one commit.
    fn batch(&mut self, chat: ChatId, group: &GroupRecord, epoch: &Epoch) -> StoreResult<Batch, V> {
        let mut batch = Batch::default();
        let places: Places<'_> = epoch
            .members
            .iter()
            .map(|(leaf, member)| (member.identity.fingerprint(), (*leaf, member)))
            .collect();
        for wanted in group.wanted.clone() {
            if batch.changes.len() >= GROUP_CHANGES {
                batch.left.push(wanted);
                continue;
            }
            self.put_into(&mut batch, (chat, group), (epoch, &places), wanted)?;
        }
        for member in epoch.leaving.iter().filter_map(|leaf| epoch.members.get(leaf)) {
            batch.dismiss(epoch, &member.identity.fingerprint());
        }
        batch.changes.extend(batch.context.take().map(Change::SetContext));
        Ok(batch)
    }

    fn put_into(
        &mut self,
        batch: &mut Batch,
        (chat, group): (ChatId, &GroupRecord),
        (epoch, places): (&Epoch, &Places<'_>),
        wanted: Wanted,
    ) -> StoreResult<(), V> {
        let place = |fingerprint| places.get(&fingerprint).copied();
        match &wanted {
            Wanted::Add(contact) => match self.add_into(batch, (chat, group), (epoch, places), *contact)? {
                Adding::Done => {}
                Adding::Waits => {
                    batch.left.push(wanted);
                    return Ok(());
                }
                Adding::Dropped => return Ok(()),
            },
            Wanted::Remove(fingerprint) => {
                let Some((leaf, _)) = place(*fingerprint) else { return Ok(()) };
                if batch.takes_from(leaf) {
                    batch.left.push(wanted);
                    return Ok(());
                }
                batch.changes.push(Change::Remove(leaf));
                batch.dismiss(epoch, fingerprint);
            }
            Wanted::Replace(contact_chat, number) => {
                let Some(contact) = self.get::<ContactRecord>(contact_chat)? else { return Ok(()) };
                let Some((leaf, member)) = place(contact.fingerprint) else { return Ok(()) };
                let admin = epoch.context.admins.contains(&self.account.fingerprint());
                if !admin || epoch.leaving.contains(&leaf) || batch.takes_from(leaf) {
                    return Ok(());
                }
                let key = OfferKey(*contact_chat, *number);
                let Some(package) = self.replacement(&key, &contact, &epoch.context.relay, member)? else {
                    return Ok(());
                };
                batch.offers.push((key.0, key.1));
                batch.added.push(*contact_chat);
                batch.changes.push(Change::Replace(leaf, package));
            }
            Wanted::Rename(name) => batch.context(epoch).name.clone_from(name),
            Wanted::Promote(fingerprint) => drop(batch.context(epoch).admins.insert(*fingerprint)),
            Wanted::Demote(fingerprint) => drop(batch.context(epoch).admins.remove(fingerprint)),
            Wanted::Update => {
                let Some(own) = epoch.members.get(&epoch.me) else { return Ok(()) };
                batch.changes.push(Change::Update(own.card.clone()));
            }
            Wanted::CoverLeave => {
                if epoch.leaving.is_empty() {
                    return Ok(());
                }
            }
        }
        batch.carries.push(wanted);
        Ok(())
    }

    fn add_into(
        &mut self,
        batch: &mut Batch,
        (chat, group): (ChatId, &GroupRecord),
        (epoch, places): (&Epoch, &Places<'_>),
        contact_chat: ChatId,
    ) -> StoreResult<Adding, V> {
        let Some(contact) = self.get::<ContactRecord>(&contact_chat)? else { return Ok(Adding::Dropped) };
        if places.contains_key(&contact.fingerprint) {
            return Ok(Adding::Dropped);
        }
        let (offer, package) = if contact.ticket.relay.is_same(&epoch.context.relay) {
            self.offer_of(contact_chat, &contact)?.map(|(key, package)| (Some(key), package))
        } else {
            self.place_given(contact_chat, &contact, chat)?.map(|package| (None, package))
        }
        .unzip();
        let Some(package) = package else { return Ok(Adding::Waits) };
        // No relay takes such a roster, and nobody else would be added with it.
        if batch.has_mailbox(epoch, package.card().mailbox) {
            self.forget_place(contact_chat, chat);
            self.change_failed(chat, group, &format!("{} has a member's mailbox", contact.name));
            return Ok(Adding::Dropped);
        }
        batch.offers.extend(offer.flatten().map(|key| (key.0, key.1)));
        batch.added.push(contact_chat);
        batch.changes.push(Change::Add(package));
        Ok(Adding::Done)
    }

    fn post_commit(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        epoch: &Epoch,
        prepared: Prepared,
        carried: Carried,
    ) -> StoreResult<(), V> {
        let next = match next_epoch(epoch, &prepared) {
            Ok(next) => next,
            Err(error) => {
                self.change_failed(chat, &group, &error);
                self.put(&chat, &group);
                return Ok(());
            }
        };
        let packaged = self.package(chat, &prepared, carried.added);
        let Ok(Packaged { body, blobs, welcome }) = packaged else {
            self.change_failed(chat, &group, "the change is too large");
            self.put(&chat, &group);
            return Ok(());
        };
        self.apply_mls(chat, prepared.changes);
        self.put(&NextKey(chat), &NextRow(SecretBuf::new(&prepared.secrets.to_bytes())));
        let row = Post::Commit { epoch: epoch.number, head: group.head, next, blobs };
        let post = self.queue_post(chat, row, body, None);
        group.pending = Some(Pending { post, carries: carried.carries, offers: carried.offers, welcome });
        self.put(&chat, &group);
        Ok(())
    }

    /// The commit's body, in a blob if it is too large for a post, and the welcome, which always lies in one.
    pub(super) fn package(
        &mut self,
        chat: ChatId,
        prepared: &Prepared,
        to: Vec<ChatId>,
    ) -> Result<Packaged, BlobError> {
        let mut blobs = Vec::new();
        let body = if prepared.commit.len() <= POST_BYTES {
            prepared.commit.clone()
        } else {
            let reference = self.upload(chat, &prepared.commit)?;
            blobs.push(reference.id);
            [&IN_BLOB[..], &codec::encode(&reference)].concat()
        };
        let welcome = match &prepared.welcome {
            Some(welcome) => {
                let blob = self.upload(chat, welcome)?;
                blobs.push(blob.id);
                Some(Welcome { blob, to })
            }
            None => None,
        };
        Ok(Packaged { body, blobs, welcome })
    }

    /// The own commit has come back: it is the group's next epoch.
    pub(super) fn merge(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        attested: RosterHash,
        body: &[u8],
    ) -> StoreResult<(), V> {
        let Some(pending) = group.pending.take() else { return Ok(()) };
        let secrets = self.next_secrets(chat)?;
        let rows = self.mls_rows(chat)?;
        let (Ok(merged), Some(secrets)) = (merge_own(&rows), secrets) else {
            return self.lose(chat, group, LostReason::Damaged);
        };
        self.delete::<NextRow>(&NextKey(chat));
        let author = self.account.fingerprint();
        if !mls::is_copied_to(&merged.epoch, attested) {
            return self.freeze(chat, group, author, OTHER_ROSTER.to_owned());
        }
        self.apply_mls(chat, merged.changes);
        if pending.carries.iter().any(Wanted::has_path) {
            group.renewed = self.now;
        }
        for (offer_chat, number) in pending.offers {
            self.delete::<OfferRow>(&OfferKey(offer_chat, number));
        }
        let welcome = pending.welcome;
        for contact in welcome.iter().flat_map(|welcome| &welcome.to) {
            self.forget_place(*contact, chat);
        }
        let entering = Entering { before: merged.before, epoch: merged.epoch, secrets, author, welcome };
        self.enter(chat, group, entering, body)
    }

    fn next_secrets(&self, chat: ChatId) -> StoreResult<Option<EpochSecrets>, V> {
        let Some(NextRow(bytes)) = self.get(&NextKey(chat))? else { return Ok(None) };
        EpochSecrets::from_bytes(bytes.expose()).map(Some).map_err(|_| ReadError::Corrupt(Table::Group))
    }

    /// Another commit came first: what the own one carried is wanted again.
    pub(super) fn lost_race(&mut self, chat: ChatId, group: &mut GroupRecord) -> StoreResult<(), V> {
        let Some(pending) = group.pending.take() else { return Ok(()) };
        self.delete::<NextRow>(&NextKey(chat));
        self.withdraw_commits(chat)?;
        // Whoever came first may have filled the tree as well: an update waits for its turn.
        let again = pending.carries.into_iter().filter(|wanted| *wanted != Wanted::Update);
        group.wanted.splice(0..0, again);
        Ok(())
    }

    /// The relay will never take the own commit.
    pub(super) fn give_up_commit(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        refusal: Refusal,
    ) -> StoreResult<(), V> {
        let Some(pending) = group.pending.take() else { return Ok(()) };
        // Then it may have been a place that the relay does not know any more, and it does not say which.
        let places = pending.welcome.iter().filter(|_| refusal == Refusal::RosterMismatch);
        for contact in places.flat_map(|welcome| &welcome.to) {
            self.forget_place(*contact, chat);
        }
        self.withdraw_commits(chat)?;
        self.delete::<NextRow>(&NextKey(chat));
        let rows = self.mls_rows(chat)?;
        match drop_own(&rows) {
            Ok(changes) => self.apply_mls(chat, changes),
            Err(GroupError::NotPending) => {}
            Err(_) => return self.lose(chat, group, LostReason::Damaged),
        }
        self.change_failed(chat, &group, &refusal.to_string());
        self.put(&chat, &group);
        self.send_held_posts(chat, &group)
    }

    pub(super) fn change_failed(&mut self, chat: ChatId, group: &GroupRecord, reason: &str) {
        let event = GroupEvent::ChangeFailed(reason.to_owned());
        self.event(Event::Group { chat, name: group.name.clone(), event });
    }

    /// Somebody's key packages have come: groups that waited for them go on.
    pub(super) fn drive_groups_that_want(&mut self, contact: ChatId) -> StoreResult<(), V> {
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.wanted.contains(&Wanted::Add(contact)) {
                self.drive(chat, group)?;
            }
        }
        Ok(())
    }
}

/// Where the members of an epoch are.
type Places<'a> = BTreeMap<Fingerprint, (Leaf, &'a Member)>;

/// What became of somebody who is to be added.
enum Adding {
    /// The commit adds it.
    Done,
    /// Its key package has not come.
    Waits,
    /// It is a member, or cannot be one.
    Dropped,
}

/// What a commit takes with it.
struct Carried {
    carries: Vec<Wanted>,
    offers: Vec<(ChatId, u64)>,
    added: Vec<ChatId>,
}

/// A commit as it leaves: what is posted, and what has to be at the relay before.
pub(super) struct Packaged {
    pub(super) body: Vec<u8>,
    pub(super) blobs: Vec<BlobId>,
    welcome: Option<Welcome>,
}

/// An epoch that begins, and the one before it.
pub(super) struct Entering {
    pub(super) before: Epoch,
    pub(super) epoch: Epoch,
    pub(super) secrets: EpochSecrets,
    /// Whose commit it was.
    pub(super) author: Fingerprint,
    /// For those whom an own commit has added. It was at the relay before the commit was.
    pub(super) welcome: Option<Welcome>,
}

impl Batch {
    /// Whether a member of the old epoch loses this leaf already.
    fn takes_from(&self, leaf: Leaf) -> bool {
        self.changes.iter().any(|change| match change {
            Change::Remove(other) | Change::Replace(other, _) => *other == leaf,
            Change::Add(_) | Change::SetContext(_) | Change::Update(_) => false,
        })
    }

    /// Who is no member is no admin: it would be one again, unseen, when somebody adds it.
    fn dismiss(&mut self, epoch: &Epoch, fingerprint: &Fingerprint) {
        if epoch.context.admins.contains(fingerprint) {
            self.context(epoch).admins.remove(fingerprint);
        }
    }

    /// Whether somebody has this mailbox already, in the group or among those who are added.
    fn has_mailbox(&self, epoch: &Epoch, mailbox: MailboxId) -> bool {
        let of_member = epoch.members.values().any(|member| member.card.mailbox == mailbox);
        let of_added =
            |change: &Change| matches!(change, Change::Add(package) if package.card().mailbox == mailbox);
        of_member || self.changes.iter().any(of_added)
    }

    /// The context as it is to be.
    fn context(&mut self, epoch: &Epoch) -> &mut GroupContext {
        self.context.get_or_insert_with(|| epoch.context.clone())
    }
}

/// What the relay has to know of the epoch that a commit begins.
fn next_epoch(before: &Epoch, prepared: &Prepared) -> Result<NextEpoch, String> {
    let (old, new) = (mls::roster(before), mls::roster(&prepared.epoch));
    let (old, new) = (old.map_err(|error| error.to_string())?, new.map_err(|error| error.to_string())?);
    let keys = &prepared.secrets.keys;
    Ok(NextEpoch {
        token: PostTokenHash::of(&keys.post_token()),
        change: old.change_to(&new).map_err(|error| error.to_string())?,
        roster: new.hash(before.context.channel),
        key: keys.roster_key(),
    })
}
