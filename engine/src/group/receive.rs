//! Copies of what was posted to a group, in the order of the channel.

use hermes_protocol::{
    blob::BlobRef,
    content::{Content, MessageId},
    group::{
        BodyKind, Followed, GroupContext, GroupMessage, GroupMessageError, Leaf, OpenedGroupMessage,
        ReceiveError, Received, body_kind, open, receive,
    },
    identity::Fingerprint,
};
use hermes_wire::{
    ContactId, MailboxId, PostId, Sequence,
    channel::{Copy, RosterHash},
    codec,
    limits::POST_BYTES,
    mailbox::Delivered,
};
use serde_bytes::ByteBuf;

use super::{
    CardRecord, GroupRecord, GroupStanding, MemberKey, MemberRecord, PositionKey, PositionRecord,
    commit::{Entering, IN_BLOB},
    mls,
    rebuild::WayOn,
    record::{Awaiting, LostReason, Wanted, Welcome},
};
use crate::{
    content::{Arrived, Said},
    effect::Effect,
    id::ChatId,
    receive::Taken,
    reference::row_behind,
    row::{Author, MessageRecord, UnreadableCause},
    rows::{IndexRow, Place, ReadError, StoreResult},
    store::{Table, View},
    turn::{Halt, Turn},
};

/// Bytes of an envelope with a copy: the largest post, and what stands around it.
const COPY_BYTES: usize = POST_BYTES + 512;
/// Bytes of a reference to a blob, with slack.
pub(super) const REFERENCE_BYTES: usize = 256;
/// The relay copies to others than the members: it was told so by whoever made the commit, or does it by itself.
pub(super) const OTHER_ROSTER: &str = "the relay has another list of members";
/// A frozen group moves to another channel; a group that works has no reason to, and nobody could follow the posts.
const OTHER_PLACE: &str = "a group stays at its relay and in its channel";
/// Something else was posted as a commit, for which the relay has ended the epoch.
const NO_COMMIT: &str = "an epoch ends with a commit";

impl<V: View> Turn<'_, V> {
    /// Takes an envelope that came under the contact id of one of our cards.
    pub(crate) fn copy_arrived(
        &mut self,
        card: ContactId,
        record: CardRecord,
        delivered: &Delivered,
    ) -> Result<Taken, Halt<V::Error>> {
        let copy = self.open_copy(&record, &delivered.body).ok_or(UnreadableCause::Forged)?;
        self.take_arrived(card, record, copy, &delivered.body)
    }

    /// Opens what came under a card: whoever made it has the card's copy key, and it is no longer than the relay copies.
    pub(crate) fn open_copy(&self, record: &CardRecord, body: &[u8]) -> Option<Copy> {
        let copied = body.len() <= COPY_BYTES;
        Copy::open(body, &record.key, self.mailbox_of(record)).ok().filter(|_| copied)
    }

    /// Takes a copy, or keeps it until it can be taken.
    pub(crate) fn take_arrived(
        &mut self,
        card: ContactId,
        record: CardRecord,
        copy: Copy,
        body: &[u8],
    ) -> Result<Taken, Halt<V::Error>> {
        let waits = match record.group {
            None => true,
            Some(chat) => self.get::<GroupRecord>(&chat)?.is_some_and(|group| group.awaiting.is_some()),
        };
        if waits {
            return Ok(self.keep_early(card, record, body)?);
        }
        let Some(chat) = record.group else { return Ok(Taken::New) };
        let Some(group) = self.get::<GroupRecord>(&chat)? else {
            return Err(UnreadableCause::UnknownContact.into());
        };
        self.take_copy(chat, group, copy)
    }

    /// The same for a copy that had to wait. Whatever is wrong with it is put on record.
    pub(super) fn take_copy_of(
        &mut self,
        record: &CardRecord,
        chat: ChatId,
        group: GroupRecord,
        body: &[u8],
    ) -> StoreResult<(), V> {
        let taken = match self.open_copy(record, body) {
            Some(copy) => self.take_copy(chat, group, copy),
            None => Err(UnreadableCause::Forged.into()),
        };
        match taken {
            Ok(_) => Ok(()),
            Err(Halt::Unreadable(cause)) => match record.at {
                Some(place) => self.guest_unreadable(place.guest),
                None => {
                    self.unreadable(cause, Some(chat));
                    Ok(())
                }
            },
            Err(Halt::Store(error)) => Err(error),
        }
    }

    fn mailbox_of(&self, card: &CardRecord) -> MailboxId {
        card.at.map_or(self.account.mailbox, |place| place.mailbox)
    }

    fn take_copy(&mut self, chat: ChatId, group: GroupRecord, copy: Copy) -> Result<Taken, Halt<V::Error>> {
        if copy.channel() != group.context.channel {
            return self.take_from_another_channel(chat, group, copy);
        }
        let mut position: PositionRecord = self.get(&PositionKey(chat))?.unwrap_or_default();
        if copy.sequence() <= position.sequence {
            return Ok(Taken::Repeated);
        }
        // Who has just joined came in the middle.
        if position.sequence.0 > 0 {
            let skipped = copy.sequence().0.saturating_sub(position.sequence.0).saturating_sub(1);
            position.missed = position.missed.saturating_add(skipped);
        }
        position.sequence = Sequence(copy.sequence().0);
        if let Copy::Missed { .. } = copy {
            position.missed = position.missed.saturating_add(1);
        }
        self.put(&PositionKey(chat), &position);
        if !matches!(group.standing, GroupStanding::Member | GroupStanding::Leaving) {
            return Ok(Taken::New);
        }
        match copy {
            Copy::Missed { .. } => Ok(Taken::New),
            // The commit with which this member made the group anew.
            Copy::Commit { epoch, .. } if epoch < group.epoch => Ok(Taken::New),
            // The relay has one order for all: it took nothing in an epoch that was over.
            Copy::Message { epoch, .. } if epoch < group.epoch => Err(UnreadableCause::TooOld.into()),
            Copy::Message { epoch, .. } | Copy::Commit { epoch, .. } if epoch > group.epoch => {
                self.lose(chat, group, LostReason::Missed)?;
                Ok(Taken::New)
            }
            Copy::Message { post, body, .. } => self.take_post(chat, group, post, &body),
            Copy::Commit { post, roster, body, .. } => {
                self.take_commit(chat, group, post, roster, body)?;
                Ok(Taken::New)
            }
        }
    }

    fn take_post(
        &mut self,
        chat: ChatId,
        group: GroupRecord,
        post: PostId,
        body: &[u8],
    ) -> Result<Taken, Halt<V::Error>> {
        match body_kind(body) {
            Ok(BodyKind::Message) => self.take_message(chat, &group, post, body),
            Ok(BodyKind::LeaveProposal) => {
                self.settle_post(chat, post)?;
                self.take_proposal(chat, group, body)?;
                Ok(Taken::New)
            }
            Ok(BodyKind::Commit) => Err(UnreadableCause::Malformed.into()),
            Err(GroupMessageError::Newer) => Err(UnreadableCause::NeedsNewerVersion.into()),
            Err(_) => Err(UnreadableCause::Malformed.into()),
        }
    }

    fn take_message(
        &mut self,
        chat: ChatId,
        group: &GroupRecord,
        post: PostId,
        body: &[u8],
    ) -> Result<Taken, Halt<V::Error>> {
        let keys = self.epoch_keys(group)?;
        let message = GroupMessage::decode(body).map_err(cause)?;
        let header = message.header(&keys).map_err(cause)?;
        if header.leaf == keys.me() {
            self.settle_post(chat, post)?;
            return Ok(Taken::New);
        }
        let chain = self.chain(chat, header.leaf)?.ok_or(UnreadableCause::Forged)?;
        let opened = self.with_sender_skipped(chat, |rows| open(&keys, &chain, &message, rows))?;
        let (next, OpenedGroupMessage { plaintext, skipped }) = match opened {
            Ok(opened) => opened,
            Err(GroupMessageError::Duplicate) => return Ok(Taken::Repeated),
            Err(error) => return Err(cause(error).into()),
        };
        self.put_chain(chat, &next);
        self.apply_sender_skipped(chat, &skipped);
        let content = Content::decode(&plaintext).map_err(|_| UnreadableCause::BadContent)?;
        let author: Option<MemberRecord> = self.get(&MemberKey(chat, header.leaf))?;
        let author = author.ok_or(ReadError::Corrupt(Table::Member))?;
        self.store_group_message(chat, group, &content, author)?;
        Ok(Taken::New)
    }

    fn store_group_message(
        &mut self,
        chat: ChatId,
        group: &GroupRecord,
        content: &Content,
        author: MemberRecord,
    ) -> StoreResult<(), V> {
        // What two parties say to each other has no meaning among many.
        let Some(said) = Said::of(&content.body) else { return Ok(()) };
        self.owe_receipt(group, &author.fingerprint, content.id)?;
        let id = match self.get::<IndexRow>(&content.id)? {
            None => content.id,
            Some(IndexRow(place)) if self.is_by(place, chat, &author.fingerprint)? => return Ok(()),
            // Somebody else has used the id before: this message is no less one for it.
            Some(_) => MessageId::random(self.rng),
        };
        let position = self.next_position();
        let author = Author { fingerprint: author.fingerprint, profile_name: author.profile_name };
        let message =
            MessageRecord { id, author: Some(author.clone()), ..said.received(content, self.now, position) };
        let counters = self.chat_counters(chat)?;
        let withdrawn = self.withdrawn_early(chat, id, &author.fingerprint)?;
        if withdrawn.is_none_or(|withdrawn| !withdrawn.placed) {
            let number = row_behind(counters.messages, &message.text);
            self.note_voice(chat, author.clone(), content, number)?;
        }
        if let Some(withdrawn) = withdrawn {
            return self.take_withdrawn(chat, id, withdrawn);
        }
        let name = group.name.clone();
        self.take_said(Arrived { chat, name, position, message, author }, counters, content)
    }

    /// Whether a message of this author's in this chat is what stands there.
    fn is_by(&self, place: Place, chat: ChatId, author: &Fingerprint) -> StoreResult<bool, V> {
        let message: Option<MessageRecord> = self.get(&place)?;
        let by = message.and_then(|message| message.author).map(|author| author.fingerprint);
        Ok(place.chat == chat && by == Some(*author))
    }

    /// Somebody wants to leave: an admin's next commit covers it.
    fn take_proposal(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        body: &[u8],
    ) -> Result<(), Halt<V::Error>> {
        let rows = self.mls_rows(chat)?;
        let keys = self.epoch_keys(&group)?;
        match receive(&rows, &keys, body) {
            Ok(Received::Leave(proposal)) => {
                self.apply_mls(chat, proposal.changes);
                let admin = group.context.admins.contains(&self.account.fingerprint());
                if admin && !group.wanted.contains(&Wanted::CoverLeave) {
                    group.wanted.push(Wanted::CoverLeave);
                }
                Ok(self.drive(chat, group)?)
            }
            Ok(Received::Commit(_) | Received::Removed(_)) => Err(UnreadableCause::Malformed.into()),
            Err(ReceiveError::Own) => Ok(()),
            Err(ReceiveError::Rows(_)) => Ok(self.lose(chat, group, LostReason::Damaged)?),
            Err(_) => Err(UnreadableCause::Forged.into()),
        }
    }

    fn take_commit(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        post: PostId,
        roster: RosterHash,
        body: ByteBuf,
    ) -> Result<(), Halt<V::Error>> {
        if group.pending.as_ref().is_some_and(|pending| pending.post == post) {
            self.settle_post(chat, post)?;
            return Ok(self.merge(chat, group, roster, &body)?);
        }
        let Some(reference) = body.strip_prefix(&IN_BLOB) else {
            let commit = body.to_vec();
            return Ok(self.follow(chat, group, roster, &body, &commit)?);
        };
        let Ok(blob) = codec::decode::<BlobRef>(reference, REFERENCE_BYTES) else {
            // Whoever made it had the epoch's token. Nobody can follow, so nobody does.
            return Ok(self.lose(chat, group, LostReason::Garbled)?);
        };
        group.awaiting = Some(Awaiting { roster, blob, body, moves: None });
        self.put(&chat, &group);
        self.effects.push(Effect::Blobs);
        Ok(())
    }

    /// The blob that a commit lies in is here.
    pub(super) fn commit_fetched(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        bytes: &[u8],
    ) -> StoreResult<(), V> {
        let Some(awaiting) = group.awaiting.take() else { return Ok(()) };
        let card = group.card;
        match (awaiting.blob.open(bytes), awaiting.moves) {
            (opened, Some((channel, sequence))) => {
                let way = WayOn { channel, sequence, roster: awaiting.roster, body: &awaiting.body };
                self.follow_elsewhere(chat, group, &way, &opened.unwrap_or_default())?;
            }
            (Ok(commit), None) => self.follow(chat, group, awaiting.roster, &awaiting.body, &commit)?,
            (Err(_), None) => self.lose(chat, group, LostReason::BlobGone)?,
        }
        self.take_early(card)
    }

    /// It is not to be had. What was said to lead into another channel may be anybody's word.
    pub(super) fn commit_gone(&mut self, chat: ChatId, mut group: GroupRecord) -> StoreResult<(), V> {
        let card = group.card;
        match group.awaiting.take() {
            Some(Awaiting { moves: Some(_), .. }) => self.put(&chat, &group),
            _ => self.lose(chat, group, LostReason::BlobGone)?,
        }
        self.take_early(card)
    }

    /// Follows another member's commit, or says why not.
    fn follow(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        attested: RosterHash,
        body: &[u8],
        commit: &[u8],
    ) -> StoreResult<(), V> {
        let rows = self.mls_rows(chat)?;
        let keys = self.epoch_keys(&group)?;
        match receive(&rows, &keys, commit) {
            Ok(Received::Commit(followed)) => {
                let Followed { changes, author, before, epoch, secrets } = *followed;
                let author = self.member_at(chat, author)?;
                if !mls::is_copied_to(&epoch, attested) {
                    return self.freeze(chat, group, author, OTHER_ROSTER.to_owned());
                }
                let place = |context: &GroupContext| (context.relay.clone(), context.channel);
                if place(&epoch.context) != place(&before.context) {
                    return self.freeze(chat, group, author, OTHER_PLACE.to_owned());
                }
                self.lost_race(chat, &mut group)?;
                self.apply_mls(chat, changes);
                self.enter(chat, group, Entering { before, epoch, secrets, author, welcome: None }, body)
            }
            Ok(Received::Removed(removed)) => {
                let author = self.member_at(chat, removed.author)?;
                let leaves = group.standing == GroupStanding::Leaving;
                self.note_own_end(chat, author, leaves)?;
                group.standing = if leaves { GroupStanding::Left } else { GroupStanding::Removed(author) };
                self.end_group(chat, &mut group)
            }
            // Its author is known, and the epoch is over at the relay.
            Ok(Received::Leave(wish)) => {
                let author = self.member_at(chat, wish.leaf)?;
                self.freeze(chat, group, author, NO_COMMIT.to_owned())
            }
            Err(ReceiveError::Refused { author, rule }) => {
                let author = self.member_at(chat, author)?;
                self.freeze(chat, group, author, rule.to_string())
            }
            // Whoever made it had the epoch's token, and has led the channel where nobody can follow.
            Err(ReceiveError::Unauthentic) => self.lose(chat, group, LostReason::Garbled),
            Err(_) => self.lose(chat, group, LostReason::Missed),
        }
    }

    fn member_at(&self, chat: ChatId, leaf: Leaf) -> StoreResult<Fingerprint, V> {
        let member: Option<MemberRecord> = self.get(&MemberKey(chat, leaf))?;
        Ok(member.ok_or(ReadError::Corrupt(Table::Member))?.fingerprint)
    }

    /// The group's next epoch begins here too.
    pub(super) fn enter(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        entering: Entering,
        body: &[u8],
    ) -> StoreResult<(), V> {
        let Entering { before, epoch, secrets, author, welcome } = entering;
        group.head = group.head.after(body);
        self.begin_epoch(chat, &mut group, &epoch, &secrets)?;
        self.note_change(chat, &group, &before, &epoch, author)?;
        self.withdraw_posts(chat)?;
        self.put(&chat, &group);
        if let Some(Welcome { blob, to }) = welcome {
            for contact in to {
                self.invite(contact, &group, &blob)?;
            }
        }
        self.send_held_posts(chat, &group)?;
        if group.standing == GroupStanding::Leaving {
            return self.propose_to_leave(chat, group);
        }
        self.drive(chat, group)
    }
}

fn cause(error: GroupMessageError) -> UnreadableCause {
    match error {
        GroupMessageError::Newer => UnreadableCause::NeedsNewerVersion,
        GroupMessageError::TooLong | GroupMessageError::Malformed => UnreadableCause::Malformed,
        GroupMessageError::Forged | GroupMessageError::WrongLeaf | GroupMessageError::Duplicate => {
            UnreadableCause::Forged
        }
        GroupMessageError::TooOld => UnreadableCause::TooOld,
        GroupMessageError::TooFarAhead => UnreadableCause::TooFarAhead,
        GroupMessageError::BadPadding => UnreadableCause::BadContent,
        GroupMessageError::Exhausted => UnreadableCause::SessionExhausted,
    }
}
