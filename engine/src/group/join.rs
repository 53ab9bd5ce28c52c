//! Becoming a member: an invitation, its welcome, and what arrived in between.

use hermes_protocol::{
    blob::BlobRef,
    content::Body,
    group::{Epoch, Joined, join},
    identity::Fingerprint,
};
use hermes_wire::{ContactId, RelayAddress, Sequence, channel::Head};

use super::{
    CardKey, CardRecord, EarlyKey, EarlyRecord, GroupRecord, GroupStanding, InvitationKey, InvitationRecord,
    KeyPackageRow, PositionKey, PositionRecord, mailbox_at,
};
use crate::{
    effect::{Effect, Event, GroupEvent},
    guest::GuestRecord,
    id::ChatId,
    limits::{EARLY_BYTES_OF_CARD, EARLY_COPIES, GROUPS, GROUPS_BY_CONTACT, INVITATION_KEPT, INVITATIONS},
    receive::Taken,
    row::{ContactRecord, SecretBuf, UnreadableCause},
    rows::{Key, StoreResult},
    store::{Range, View},
    turn::{Halt, Turn},
};

impl<V: View> Turn<'_, V> {
    /// Tells a contact that it is a member.
    pub(super) fn invite(
        &mut self,
        chat: ChatId,
        group: &GroupRecord,
        welcome: &BlobRef,
    ) -> StoreResult<(), V> {
        let Some(contact) = self.get::<ContactRecord>(&chat)? else { return Ok(()) };
        let elsewhere = !contact.ticket.relay.is_same(&group.context.relay);
        let relay = elsewhere.then(|| group.context.relay.clone());
        // Without a session that seals, the contact stays a member that never comes: an admin adds it again.
        let _unsent = self.post(
            chat,
            &contact,
            Body::GroupInvite { welcome: welcome.clone(), head: group.head, relay },
        )?;
        Ok(())
    }

    /// A contact has added this account to a group.
    pub(crate) fn invited(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        invitation: InvitationRecord,
    ) -> Result<(), Halt<V::Error>> {
        // Only who has a key package of ours can have added us, and only where that has a place.
        let relay = invitation.relay.as_ref();
        let Some(mailbox) = mailbox_at(&self.overlay(), &self.account.relay, relay)? else { return Ok(()) };
        let mut given = 0_usize;
        for card in &contact.given {
            let card = self.get::<CardRecord>(&CardKey(*card))?;
            let there = card.is_some_and(|card| card.at.map(|place| place.guest) == mailbox);
            given = given.saturating_add(usize::from(there));
        }
        let key = InvitationKey(chat, invitation.welcome.id);
        let all = self.scan::<InvitationRecord>(&Range::all(), INVITATIONS)?;
        let waiting = all.iter().filter(|(other, _)| *other != key);
        let mut of_contact = 0_usize;
        for (_, other) in waiting.clone().filter(|(other, _)| other.0 == chat) {
            let there = mailbox_at(&self.overlay(), &self.account.relay, other.relay.as_ref())?;
            of_contact = of_contact.saturating_add(usize::from(there == Some(mailbox)));
        }
        let groups = self.scan::<GroupRecord>(&Range::all(), GROUPS)?;
        let led_by = groups.iter().filter(|(_, group)| group.by == Some(chat)).count();
        // Each uses up a key package, so that honest ones are no more than there are of those.
        let room = of_contact < given && waiting.count() < INVITATIONS;
        if !room || groups.len() >= GROUPS || led_by >= GROUPS_BY_CONTACT {
            return Err(UnreadableCause::TooManyGroups.into());
        }
        self.put(&key, &invitation);
        self.effects.push(Effect::Blobs);
        Ok(())
    }

    /// Deletes the invitations that this is so for.
    pub(crate) fn forget_invitations(
        &mut self,
        over: impl Fn(&InvitationKey, &InvitationRecord) -> bool,
    ) -> StoreResult<(), V> {
        for (key, invitation) in self.scan::<InvitationRecord>(&Range::all(), INVITATIONS)? {
            if over(&key, &invitation) {
                self.delete::<InvitationRecord>(&key);
            }
        }
        Ok(())
    }

    /// Deletes those whose welcome no relay has any more.
    pub(crate) fn forget_old_invitations(&mut self) -> StoreResult<(), V> {
        let now = self.counters.drained;
        self.forget_invitations(|_, invitation| {
            invitation.since.is_some_and(|since| now.since(since) >= INVITATION_KEPT)
        })?;
        for (key, invitation) in self.scan::<InvitationRecord>(&Range::all(), INVITATIONS)? {
            if invitation.since.is_none() {
                self.put(&key, &InvitationRecord { since: Some(self.now), ..invitation });
            }
        }
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
            if by != Some(inviter.fingerprint) || !self.is_at(card, &joined.epoch.context.relay)? {
                continue;
            }
            inviter.given.retain(|given| *given != card);
            self.put(&from, &inviter);
            self.become_member(card, (from, &inviter), joined, invitation.head)?;
            return self.give_key_packages(from);
        }
        Ok(())
    }

    /// Whether a card is in a mailbox at this relay.
    fn is_at(&self, card: ContactId, relay: &RelayAddress) -> StoreResult<bool, V> {
        let Some(record) = self.get::<CardRecord>(&CardKey(card))? else { return Ok(false) };
        let Some(place) = record.at else { return Ok(self.account.relay.is_same(relay)) };
        Ok(self.get::<GuestRecord>(&place.guest)?.is_some_and(|guest| guest.relay.is_same(relay)))
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
                // Who was in the group knows it.
                self.revoke_at_guest(group.card)?;
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
            if let Some(place) = record.at {
                self.guest_joined(place, card)?;
            }
            self.put(&CardKey(card), &CardRecord { group: Some(chat), answers: None, ..record });
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
        let Some(record) = self.get::<CardRecord>(&CardKey(card))? else { return Ok(()) };
        let mut bytes = 0_u64;
        for (key, row) in self.scan::<EarlyRecord>(&Range::prefix(&card.0), most)? {
            bytes = bytes.saturating_add(row.bytes());
            self.delete::<EarlyRecord>(&key);
        }
        self.free_early_room(record.at, bytes)?;
        self.put(&CardKey(card), &CardRecord { early: 0, early_bytes: 0, ..record });
        Ok(())
    }

    /// Keeps a copy that cannot be taken yet.
    pub(super) fn keep_early(
        &mut self,
        card: ContactId,
        mut record: CardRecord,
        body: &[u8],
    ) -> StoreResult<Taken, V> {
        let row = EarlyRecord { body: body.to_vec().into() };
        let early_bytes = record.early_bytes.saturating_add(row.bytes());
        let room = record.early < EARLY_COPIES && early_bytes <= EARLY_BYTES_OF_CARD;
        if !room || !self.take_early_room(record.at, row.bytes())? {
            record.dropped = record.dropped.saturating_add(1);
            self.put(&CardKey(card), &record);
            return Ok(Taken::Dropped);
        }
        record.early_bytes = early_bytes;
        record.early = record.early.saturating_add(1);
        self.put(&CardKey(card), &record);
        let key = EarlyKey(card, self.next_position());
        self.put(&key, &row);
        Ok(Taken::New)
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
            self.free_early_room(record.at, early.bytes())?;
            let early_left = record.early.saturating_sub(1);
            let early_bytes = record.early_bytes.saturating_sub(early.bytes());
            self.put(&CardKey(card), &CardRecord { early: early_left, early_bytes, ..record.clone() });
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
