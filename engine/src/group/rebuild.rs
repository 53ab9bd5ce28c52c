//! How a group goes on after a commit that nobody follows.
//!
//! It broke a rule, and its author is known; or it is nobody's, for whoever has the epoch's token can end it with garbage.
//! The relay, which cannot tell, offers no other epoch. So an admin makes a new channel that begins where the rules still
//! held: its roster is the members without the author, and the commit that leads into it, from the epoch in which all are
//! stuck, is the commit that opens it. Cards name no channel, so it reaches everybody. An admin whose relay has forgotten
//! the group does the same; members who had not noticed are added again as they ask for it.
//!
//! Two admins can do so at once, and there is no common order of two channels: of two such commits the one with the lower
//! head counts. Until that is certain the frozen epoch is kept, so that whoever has followed the other one can turn back.

use hermes_protocol::{
    blob::BlobRef,
    group::{
        Change, Epoch, EpochKeys, Followed, Member, MlsRows, Received, RowChanges, commit, drop_own,
        merge_own, read, receive,
    },
    identity::Fingerprint,
};
use hermes_wire::{
    Refusal, Sequence,
    channel::{ChannelId, Copy, Epoch as NextEpoch, Head, PostTokenHash, Roster, RosterChange, RosterHash},
    codec,
    limits::ROSTER_CHANGES,
};

use super::{
    GroupRecord, GroupStanding, PositionKey, PositionRecord, Post, RebuiltKey, RebuiltRecord,
    commit::{Entering, IN_BLOB, Packaged},
    mls,
    receive::REFERENCE_BYTES,
    record::{Awaiting, LostReason},
};
use crate::{
    effect::{CommandError, Effect},
    id::ChatId,
    limits::{REBUILD_MEMORY, REBUILDS_TRIED},
    receive::Taken,
    row::{SecretBuf, StoreStanding, UnreadableCause},
    rows::{ReadError, StoreResult},
    store::{Table, View},
    turn::{Halt, Turn},
};

/// The body of a commit that only brings more of a new channel's roster. No body of the key agreement begins so.
const ROSTER_ONLY: [u8; 2] = [1, 0xb1];

/// A commit in another channel that may be the way on.
pub(super) struct WayOn<'a> {
    pub(super) channel: ChannelId,
    pub(super) sequence: Sequence,
    /// The roster that begins with it, as the relay has it.
    pub(super) roster: RosterHash,
    /// As it was posted.
    pub(super) body: &'a [u8],
}

/// The epoch in which a group is frozen, or was.
struct Frozen {
    rows: MlsRows,
    keys: EpochKeys,
    standing: GroupStanding,
    /// Names the way on that was followed.
    head: Option<Head>,
}

impl<V: View> Turn<'_, V> {
    /// Makes the channel in which a frozen group goes on.
    pub(super) fn rebuild_group(
        &mut self,
        chat: ChatId,
        group: GroupRecord,
    ) -> StoreResult<Result<(), CommandError>, V> {
        let me = self.account.fingerprint();
        match group.standing {
            GroupStanding::Frozen(author, _) if author == me => {
                return Ok(Err(CommandError::NotAdmin(group.name)));
            }
            GroupStanding::Frozen(..) => {}
            // Others may have gone on, and add this account again.
            GroupStanding::Lost(_) if self.is_given_up(chat, &group)? => {}
            _ => return Ok(Err(CommandError::NotFrozen(group.name))),
        }
        if !group.context.admins.contains(&me) {
            return Ok(Err(CommandError::NotAdmin(group.name)));
        }
        if self.counters.standing != StoreStanding::Newest {
            return Ok(Err(CommandError::NotRegistered));
        }
        let Some(frozen) = self.frozen(chat, &group)? else {
            return Ok(Err(CommandError::NotFrozen(group.name)));
        };
        let before = match read(&frozen.rows) {
            Ok(before) => before,
            Err(error) => return Ok(Err(CommandError::Group(error.to_string()))),
        };
        let changes = without(&before, frozen.author(), ChannelId::random(self.rng));
        let prepared = match commit(&frozen.rows, &frozen.keys, &self.account.identity, &changes, self.rng) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Err(CommandError::Group(error.to_string()))),
        };
        let opening = match Opening::of(&prepared.epoch) {
            Ok(opening) => opening,
            Err(error) => return Ok(Err(CommandError::Group(error))),
        };
        let Ok(packaged) = self.package(chat, &prepared, Vec::new()) else {
            return Ok(Err(CommandError::Group("the change is too large".to_owned())));
        };
        let mut rows = frozen.rows.clone();
        rows.apply(prepared.changes);
        let merged = match merge_own(&rows) {
            Ok(merged) => merged,
            Err(error) => return Ok(Err(CommandError::Group(error.to_string()))),
        };
        rows.apply(merged.changes);
        let next = NextEpoch {
            token: PostTokenHash::of(&prepared.secrets.keys.post_token()),
            change: Default::default(),
            roster: opening.whole,
            key: prepared.secrets.keys.roster_key(),
        };
        let entering =
            Entering { before, epoch: merged.epoch, secrets: prepared.secrets, author: me, welcome: None };
        self.move_group(chat, group, frozen, rows, (opening.head, &packaged.body, Sequence(0)), entering)?;
        self.queue_opening(chat, opening, next, packaged);
        Ok(Ok(()))
    }

    /// Has the relay make the channel, and everybody hear of it.
    fn queue_opening(&mut self, chat: ChatId, opening: Opening, next: NextEpoch, packaged: Packaged) {
        let with = |(change, roster)| NextEpoch { change, roster, ..next.clone() };
        let mut parts = opening.parts.into_iter();
        let mut epoch = opening.number;
        let mut head = Head::first(opening.channel);
        if let Some(first) = parts.next() {
            self.queue_post(chat, Post::Create { number: epoch, first: with(first) }, Vec::new(), None);
        }
        for part in parts {
            let post = Post::Opening { epoch, head, next: with(part), blobs: Vec::new() };
            self.queue_post(chat, post, ROSTER_ONLY.to_vec(), None);
            (epoch, head) = (epoch.saturating_add(1), head.after(&ROSTER_ONLY));
        }
        let Packaged { body, blobs, .. } = packaged;
        self.queue_post(chat, Post::Opening { epoch, head, next, blobs }, body, None);
    }

    /// The group goes on in another channel: `place` is the head before the commit that leads there, the commit's body, and
    /// its sequence.
    fn move_group(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        frozen: Frozen,
        rows: MlsRows,
        (head, body, sequence): (Head, &[u8], Sequence),
        entering: Entering,
    ) -> StoreResult<(), V> {
        self.lost_race(chat, &mut group)?;
        self.remember_frozen_epoch(chat, frozen, head.after(body))?;
        self.replace_mls(chat, rows)?;
        group.standing = match group.standing {
            GroupStanding::Lost(_) if self.has_come_back(chat)? => GroupStanding::Leaving,
            GroupStanding::Leaving => GroupStanding::Leaving,
            _ => GroupStanding::Member,
        };
        (group.head, group.awaiting) = (head, None);
        let missed = self.get::<PositionRecord>(&PositionKey(chat))?.unwrap_or_default().missed;
        self.put(&PositionKey(chat), &PositionRecord { sequence, missed });
        self.enter(chat, group, entering, body)
    }

    /// The epoch in which a group is frozen, or from which it went on lately.
    fn frozen(&self, chat: ChatId, group: &GroupRecord) -> StoreResult<Option<Frozen>, V> {
        match &group.standing {
            GroupStanding::Frozen(..)
            | GroupStanding::Lost(LostReason::Garbled | LostReason::BlobGone | LostReason::RelayDiffers) => {
                let mut rows = self.mls_rows(chat)?;
                // An own commit had been overtaken by the one that broke a rule.
                if let Ok(changes) = drop_own(&rows) {
                    rows.apply(changes);
                }
                let keys = self.epoch_keys(group)?;
                Ok(Some(Frozen { rows, keys, standing: group.standing.clone(), head: None }))
            }
            GroupStanding::Member | GroupStanding::Leaving => {
                let Some(record) = self.get::<RebuiltRecord>(&RebuiltKey(chat))? else { return Ok(None) };
                let keys = EpochKeys::from_bytes(record.keys.expose())
                    .map_err(|_| ReadError::Corrupt(Table::Group))?;
                let rows = self.mls_rows(record.rows)?;
                let RebuiltRecord { standing, head, .. } = record;
                Ok(Some(Frozen { rows, keys, standing, head: Some(head) }))
            }
            _ => Ok(None),
        }
    }

    fn remember_frozen_epoch(&mut self, chat: ChatId, frozen: Frozen, head: Head) -> StoreResult<(), V> {
        let earlier: Option<RebuiltRecord> = self.get(&RebuiltKey(chat))?;
        let record = match (earlier, frozen.head) {
            (Some(record), Some(_)) => RebuiltRecord { head, ..record },
            _ => {
                self.forget_frozen_epoch(chat)?;
                let rows = ChatId::random(self.rng);
                self.apply_mls(rows, RowChanges { put: frozen.rows.0, ..RowChanges::default() });
                let keys = SecretBuf::new(&frozen.keys.to_bytes());
                let standing = frozen.standing;
                RebuiltRecord { rows, keys, standing, head, since: self.now, tried: 0 }
            }
        };
        self.put(&RebuiltKey(chat), &record);
        Ok(())
    }

    pub(super) fn forget_frozen_epoch(&mut self, chat: ChatId) -> StoreResult<(), V> {
        if let Some(record) = self.get::<RebuiltRecord>(&RebuiltKey(chat))? {
            self.replace_mls(record.rows, MlsRows::default())?;
            self.delete::<RebuiltRecord>(&RebuiltKey(chat));
        }
        Ok(())
    }

    pub(super) fn forget_old_frozen_epoch(&mut self, chat: ChatId) -> StoreResult<(), V> {
        match self.get::<RebuiltRecord>(&RebuiltKey(chat))? {
            Some(record) if self.now.since(record.since) >= REBUILD_MEMORY => self.forget_frozen_epoch(chat),
            _ => Ok(()),
        }
    }

    /// A copy under one of our cards, of a channel that the group is not in: the way on, or nothing. Whoever was put out
    /// knows the cards as well.
    pub(super) fn take_from_another_channel(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        copy: Copy,
    ) -> Result<Taken, Halt<V::Error>> {
        let Some(frozen) = self.frozen(chat, &group)? else {
            return Err(UnreadableCause::UnknownContact.into());
        };
        let Copy::Commit { channel, sequence, epoch, roster, body, .. } = copy else {
            return Ok(Taken::New);
        };
        if epoch != frozen.keys.number() || body.as_slice() == ROSTER_ONLY {
            return Ok(Taken::New);
        }
        let Some(reference) = body.strip_prefix(&IN_BLOB) else {
            let way = WayOn { channel, sequence, roster, body: &body };
            self.follow_elsewhere(chat, group, &way, &body)?;
            return Ok(Taken::New);
        };
        let Ok(blob) = codec::decode::<BlobRef>(reference, REFERENCE_BYTES) else { return Ok(Taken::New) };
        if frozen.head.is_none() || self.may_try(chat)? {
            group.awaiting = Some(Awaiting { roster, blob, body, moves: Some((channel, sequence)) });
            self.put(&chat, &group);
            self.effects.push(Effect::Blobs);
        }
        Ok(Taken::New)
    }

    /// Whether another blob may be asked for, though the group goes on.
    fn may_try(&mut self, chat: ChatId) -> StoreResult<bool, V> {
        let Some(mut record) = self.get::<RebuiltRecord>(&RebuiltKey(chat))? else { return Ok(false) };
        record.tried = record.tried.saturating_add(1);
        self.put(&RebuiltKey(chat), &record);
        Ok(record.tried <= REBUILDS_TRIED)
    }

    /// Follows a commit out of the frozen epoch, if it is an admin's, puts the author of the other one out and leads into
    /// the channel that it came in. Anything else is nobody's word.
    pub(super) fn follow_elsewhere(
        &mut self,
        chat: ChatId,
        group: GroupRecord,
        way: &WayOn<'_>,
        commit: &[u8],
    ) -> StoreResult<(), V> {
        self.put(&chat, &group);
        let Some(frozen) = self.frozen(chat, &group)? else { return Ok(()) };
        let followed = match receive(&frozen.rows, &frozen.keys, commit) {
            Ok(Received::Commit(followed)) => *followed,
            Ok(_) | Err(_) => return Ok(()),
        };
        let Followed { changes, author, before, epoch, secrets } = followed;
        let author = before.members.get(&author).map(|member| member.identity.fingerprint());
        let Some(author) = author.filter(|author| frozen.trusts(&before, author)) else { return Ok(()) };
        let Ok(opening) = Opening::of(&epoch) else { return Ok(()) };
        let sound = epoch.context.channel == way.channel
            && epoch.context.relay == before.context.relay
            && opening.whole == way.roster
            && epoch.members.values().all(|member| Some(member.identity.fingerprint()) != frozen.author());
        let counts = frozen.head.is_none_or(|followed| opening.head.after(way.body) < followed);
        if !sound || !counts {
            return Ok(());
        }
        let mut rows = frozen.rows.clone();
        rows.apply(changes);
        let entering = Entering { before, epoch, secrets, author, welcome: None };
        self.move_group(chat, group, frozen, rows, (opening.head, way.body, way.sequence), entering)
    }

    /// The relay will not have a channel that was made here. A group that was frozen is so again.
    pub(super) fn channel_refused(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        refusal: Refusal,
    ) -> StoreResult<(), V> {
        let Some(frozen) = self.frozen(chat, &group)? else {
            group.standing = GroupStanding::Refused(refusal);
            return self.end_group(chat, &mut group);
        };
        let Ok(epoch) = read(&frozen.rows) else { return self.lose(chat, group, LostReason::Damaged) };
        self.forget_frozen_epoch(chat)?;
        self.forget_epoch(chat)?;
        self.replace_mls(chat, frozen.rows)?;
        self.put_members(chat, &epoch.members)?;
        group.keys = SecretBuf::new(&frozen.keys.to_bytes());
        group.epoch = epoch.number;
        group.members = u32::try_from(epoch.members.len()).unwrap_or(u32::MAX);
        group.context = epoch.context;
        self.change_failed(chat, &group, &refusal.to_string());
        group.standing = frozen.standing;
        self.stop_group(chat, group)
    }
}

impl Frozen {
    /// Whose commit broke a rule, if that is known.
    fn author(&self) -> Option<Fingerprint> {
        match self.standing {
            GroupStanding::Frozen(author, _) => Some(author),
            _ => None,
        }
    }

    /// Whether somebody may lead out of this epoch.
    fn trusts(&self, before: &Epoch, author: &Fingerprint) -> bool {
        Some(*author) != self.author() && before.context.admins.contains(author)
    }
}

/// How a channel begins into which a group moves.
struct Opening {
    channel: ChannelId,
    /// The number of its first epoch.
    number: u64,
    /// The roster, as much as one frame brings at a time, and what it has become with that.
    parts: Vec<(RosterChange, RosterHash)>,
    /// All of it.
    whole: RosterHash,
    /// Before the commit that leads there.
    head: Head,
}

impl Opening {
    /// So that the epochs of the channel have the numbers of the group's.
    fn of(epoch: &Epoch) -> Result<Self, String> {
        let channel = epoch.context.channel;
        let whole = mls::roster(epoch).map_err(|error| error.to_string())?;
        let entries: Vec<_> = whole.iter().map(|(leaf, entry)| (leaf, entry.clone())).collect();
        let (mut parts, mut sofar, mut head) = (Vec::new(), Roster::default(), Head::first(channel));
        for (index, part) in entries.chunks(ROSTER_CHANGES).enumerate() {
            let part: Vec<_> = part.iter().map(|(leaf, entry)| (*leaf, Some(entry.clone()))).collect();
            let change = RosterChange::try_from(part).map_err(|error| error.to_string())?;
            sofar = sofar.changed(&change).map_err(|error| error.to_string())?;
            parts.push((change, sofar.hash(channel)));
            if index > 0 {
                head = head.after(&ROSTER_ONLY);
            }
        }
        let commits = u64::try_from(parts.len()).unwrap_or(u64::MAX);
        let number = epoch.number.checked_sub(commits).ok_or("the group is younger than its members")?;
        Ok(Self { channel, number, parts, whole: whole.hash(channel), head })
    }
}

/// The members without one, in another channel.
fn without(before: &Epoch, author: Option<Fingerprint>, channel: ChannelId) -> Vec<Change> {
    let mut context = before.context.clone();
    context.channel = channel;
    context.admins.retain(|admin| Some(*admin) != author);
    let of = |member: &Member| Some(member.identity.fingerprint()) == author;
    let leaf = before.members.iter().find(|(_, member)| of(member)).map(|(leaf, _)| *leaf);
    // Its wish to leave, if it had one, is covered anyway.
    let leaf = leaf.filter(|leaf| !before.leaving.contains(leaf));
    leaf.map(Change::Remove).into_iter().chain([Change::SetContext(context)]).collect()
}
