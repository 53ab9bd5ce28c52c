//! Becoming a member: an invitation, its welcome, and what arrived in between.

use hermes_protocol::{
    blob::BlobRef,
    content::Body,
    group::{Epoch, Joined, join},
    identity::Fingerprint,
};
use hermes_wire::{ContactId, Sequence, channel::Head};

use super::{
    CardKey, CardRecord, EarlyKey, EarlyRecord, GroupRecord, GroupStanding, InvitationKey, InvitationRecord,
    KeyPackageRow, PositionKey, PositionRecord,
};
use crate::{
    effect::{Effect, Event, GroupEvent},
    id::ChatId,
    limits::{EARLY_COPIES, GROUPS, GROUPS_BY_CONTACT, INVITATIONS},
    row::{ContactRecord, SecretBuf, UnreadableCause},
    rows::{Key, StoreResult},
    store::{Range, View},
    turn::{Halt, Turn},
};

impl<V: View> Turn<'_, V> {
    /// Tells a contact that it is a member.
    pub(super) fn invite(&mut self, chat: ChatId, welcome: &BlobRef, head: Head) -> StoreResult<(), V> {
        let Some(contact) = self.get::<ContactRecord>(&chat)? else { return Ok(()) };
        // Without a session that seals, the contact stays a member that never comes: an admin adds it again.
        let _unsent = self.post(chat, &contact, Body::GroupInvite { welcome: welcome.clone(), head })?;
        Ok(())
    }

    /// A contact has added this account to a group.
    pub(crate) fn invited(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        welcome: BlobRef,
        head: Head,
    ) -> Result<(), Halt<V::Error>> {
        // Only who has a key package of ours can have added us.
        if contact.given.is_empty() {
            return Ok(());
        }
        let key = InvitationKey(chat, welcome.id);
        let all = self.scan::<InvitationRecord>(&Range::all(), INVITATIONS)?;
        let waiting = all.iter().filter(|(other, _)| *other != key);
        let of_contact = waiting.clone().filter(|(other, _)| other.0 == chat).count();
        let groups = self.scan::<GroupRecord>(&Range::all(), GROUPS)?;
        let led_by = groups.iter().filter(|(_, group)| group.by == Some(chat)).count();
        // Each uses up a key package, so that honest ones are no more than there are of those.
        let room = of_contact < contact.given.len() && waiting.count() < INVITATIONS;
        if !room || groups.len() >= GROUPS || led_by >= GROUPS_BY_CONTACT {
            return Err(UnreadableCause::TooManyGroups.into());
        }
        self.put(&key, &InvitationRecord { welcome, head });
        self.effects.push(Effect::Blobs);
        Ok(())
    }

    /// The welcome is here. It is for one of the key packages that the inviter was given, or for none.
    pub(super) fn join_with(
        &mut self,
        from: ChatId,
        invitation: &InvitationRecord,
        bytes: &[u8],
    ) -> StoreResult<(), V> {
        let Ok(welcome) = invitation.welcome.open(bytes) else { return Ok(()) };
        let Some(mut inviter) = self.get::<ContactRecord>(&from)? else { return Ok(()) };
        for card in inviter.given.clone() {
            let Some(package) = self.get::<KeyPackageRow>(&card)? else { continue };
            let Ok(joined) = join(&package.rows(), &welcome) else { continue };
            let by = joined.epoch.members.get(&joined.inviter).map(|member| member.identity.fingerprint());
            // A welcome tells who made it. Whoever passes on another's is not believed.
            if by != Some(inviter.fingerprint) || joined.epoch.context.relay != self.account.relay {
                continue;
            }
            inviter.given.retain(|given| *given != card);
            self.put(&from, &inviter);
            self.become_member(card, (from, &inviter), joined, invitation.head)?;
            return self.give_key_packages(from);
        }
        Ok(())
    }

    fn become_member(
        &mut self,
        card: ContactId,
        (from, inviter): (ChatId, &ContactRecord),
        joined: Joined,
        head: Head,
    ) -> StoreResult<(), V> {
        // With the welcome, which others have seen, the key package would give the epoch's secrets again.
        self.delete::<KeyPackageRow>(&card);
        let earlier = match self.before_joining(&inviter.fingerprint, &joined.epoch)? {
            Before::Member | Before::Astray => return Ok(()),
            Before::Chat(chat, group) => Some((chat, *group)),
            Before::Nothing => None,
        };
        let (chat, name, since, by) = match earlier {
            Some((chat, group)) => {
                self.forget_agreement(chat)?;
                self.forget_card(group.card)?;
                if matches!(group.standing, GroupStanding::Removed(_) | GroupStanding::Left) {
                    self.hear_anew(chat)?;
                }
                (chat, group.name, group.since, group.by)
            }
            None => {
                let chat = ChatId::random(self.rng);
                (chat, self.claim_group_name(chat, &joined.epoch.context.name)?, self.now, Some(from))
            }
        };
        let leaving = self.has_come_back(chat)?;
        let standing = if leaving { GroupStanding::Leaving } else { GroupStanding::Member };
        let mut group = GroupRecord {
            id: joined.epoch.group,
            name: name.clone(),
            since,
            by,
            standing,
            card,
            keys: SecretBuf::new(&[]),
            epoch: joined.epoch.number,
            context: joined.epoch.context.clone(),
            members: 0,
            confirming: 0,
            begun: self.now,
            renewed: self.now,
            place_to_fill: None,
            place_in_tree: 0,
            head,
            wanted: Vec::new(),
            pending: None,
            awaiting: None,
            overtaken: None,
            forgotten: false,
        };
        let rows = hermes_protocol::group::RowChanges { put: joined.rows.0, delete: Default::default() };
        self.apply_mls(chat, rows);
        self.begin_epoch(chat, &mut group, &joined.epoch, &joined.secrets)?;
        let missed = self.get::<PositionRecord>(&PositionKey(chat))?.unwrap_or_default().missed;
        self.put(&PositionKey(chat), &PositionRecord { sequence: Sequence(0), missed });
        self.put(&chat, &group);
        self.note_own_beginning(chat, inviter)?;
        let event = GroupEvent::Joined { by: inviter.name.clone() };
        self.event(Event::Group { chat, name, event });
        if let Some(record) = self.get::<CardRecord>(&CardKey(card))? {
            self.put(&CardKey(card), &CardRecord { group: Some(chat), ..record });
        }
        if leaving {
            self.propose_to_leave(chat, group)?;
        }
        self.take_early(card)
    }

    /// Where a group goes on that this account has been in.
    ///
    /// A group's id is no secret to whoever was in it, and anybody can make another group under it: only those who are
    /// its admins, as far as is known here, lead back into its conversation. What others lead into is another one.
    fn before_joining(&self, by: &Fingerprint, epoch: &Epoch) -> StoreResult<Before, V> {
        let mut earlier = Before::Nothing;
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.id != epoch.group || group.forgotten || !group.context.admins.contains(by) {
                continue;
            }
            match group.standing {
                GroupStanding::Member | GroupStanding::Leaving => {
                    if group.context.channel == epoch.context.channel {
                        return Ok(Before::Member);
                    }
                }
                // Whoever broke the rules would only lead further astray.
                GroupStanding::Frozen(author, _) if author == *by => return Ok(Before::Astray),
                _ if self.rejoin_record(chat)?.frozen_by == Some(*by) => return Ok(Before::Astray),
                _ => earlier = Before::Chat(chat, Box::new(group)),
            }
        }
        Ok(earlier)
    }

    /// Nothing arrives under this card any more.
    pub(super) fn forget_card(&mut self, card: ContactId) -> StoreResult<(), V> {
        self.forget_early(card)?;
        self.delete::<CardRecord>(&CardKey(card));
        Ok(())
    }

    /// Deletes what waits under a card.
    pub(super) fn forget_early(&mut self, card: ContactId) -> StoreResult<(), V> {
        let most = usize::try_from(EARLY_COPIES).unwrap_or(usize::MAX);
        for (key, _) in self.scan::<EarlyRecord>(&Range::prefix(&card.0), most)? {
            self.delete::<EarlyRecord>(&key);
        }
        if let Some(record) = self.get::<CardRecord>(&CardKey(card))? {
            self.put(&CardKey(card), &CardRecord { early: 0, ..record });
        }
        Ok(())
    }

    /// Keeps a copy that cannot be taken yet.
    pub(super) fn keep_early(&mut self, card: ContactId, mut record: CardRecord, body: &[u8]) {
        if record.early >= EARLY_COPIES {
            record.dropped = record.dropped.saturating_add(1);
            self.put(&CardKey(card), &record);
            return;
        }
        record.early = record.early.saturating_add(1);
        self.put(&CardKey(card), &record);
        let key = EarlyKey(card, self.next_position());
        self.put(&key, &EarlyRecord { body: body.to_vec().into() });
    }

    /// Takes what waited, in order, until something has to wait again.
    pub(super) fn take_early(&mut self, card: ContactId) -> StoreResult<(), V> {
        let mut range = Range::prefix(&card.0);
        loop {
            let Some((key, early)) = self.scan::<EarlyRecord>(&range, 1)?.pop() else { break };
            let Some(record) = self.get::<CardRecord>(&CardKey(card))? else { break };
            let Some(chat) = record.group else { break };
            let Some(group) = self.get::<GroupRecord>(&chat)? else { break };
            if group.awaiting.is_some() {
                break;
            }
            self.delete::<EarlyRecord>(&key);
            let early_left = record.early.saturating_sub(1);
            self.put(&CardKey(card), &CardRecord { early: early_left, ..record.clone() });
            self.take_copy_of(&record, chat, group, &early.body)?;
            range.from = key.to_bytes();
        }
        self.note_dropped(card)
    }

    /// What there was no room for shows in the sequences, unless nothing was taken before it.
    fn note_dropped(&mut self, card: ContactId) -> StoreResult<(), V> {
        let Some(record) = self.get::<CardRecord>(&CardKey(card))? else { return Ok(()) };
        let Some(chat) = record.group.filter(|_| record.early == 0 && record.dropped > 0) else {
            return Ok(());
        };
        let mut position: PositionRecord = self.get(&PositionKey(chat))?.unwrap_or_default();
        if position.sequence == Sequence(0) {
            position.missed = position.missed.saturating_add(record.dropped);
            self.put(&PositionKey(chat), &position);
        }
        self.put(&CardKey(card), &CardRecord { dropped: 0, ..record });
        Ok(())
    }
}

/// What there is of a group before it is joined.
enum Before {
    Nothing,
    /// Who lost its place, or was removed, goes on in the same conversation.
    Chat(ChatId, Box<GroupRecord>),
    /// This account is in it: a late welcome.
    Member,
    /// The inviter had broken the group's rules.
    Astray,
}
