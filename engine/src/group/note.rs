//! What a change of a group looks like in its history.

use std::collections::{BTreeMap, BTreeSet};

use hermes_protocol::{
    content::MessageId,
    group::{Epoch, Member},
    identity::Fingerprint,
};

use super::GroupRecord;
use crate::{
    effect::{Event, GroupEvent},
    id::ChatId,
    limits::GROUP_NOTE_NAMES,
    row::{Author, ContactRecord, Direction, GroupNote, Marks, MessageRecord, Text},
    rows::StoreResult,
    store::View,
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Puts on record who changed what.
    pub(super) fn note_change(
        &mut self,
        chat: ChatId,
        group: &GroupRecord,
        before: &Epoch,
        after: &Epoch,
        author: Fingerprint,
    ) -> StoreResult<(), V> {
        let note = note(before, after, author);
        let event = GroupEvent::Changed;
        self.event(Event::Group { chat, name: group.name.clone(), event });
        if note.is_empty() {
            return Ok(());
        }
        self.put_note(chat, note)
    }

    /// Puts on record that this account is a member from here on.
    pub(super) fn note_own_beginning(&mut self, chat: ChatId, inviter: &ContactRecord) -> StoreResult<(), V> {
        let by = Author { fingerprint: inviter.fingerprint, profile_name: inviter.name.clone() };
        let note = GroupNote { added: vec![self.own_name()], ..GroupNote::by(by) };
        self.put_note(chat, note)
    }

    /// Puts on record that this account is none from here on.
    pub(super) fn note_own_end(
        &mut self,
        chat: ChatId,
        author: Fingerprint,
        leaves: bool,
    ) -> StoreResult<(), V> {
        let mut note = GroupNote::by(Author { fingerprint: author, profile_name: String::new() });
        let list = if leaves { &mut note.left } else { &mut note.removed };
        list.push(self.own_name());
        self.put_note(chat, note)
    }

    pub(crate) fn own_name(&self) -> Author {
        Author { fingerprint: self.account.fingerprint(), profile_name: self.profile.clone() }
    }

    fn put_note(&mut self, chat: ChatId, note: GroupNote) -> StoreResult<(), V> {
        let record = MessageRecord {
            id: MessageId::random(self.rng),
            text: Text::GroupChanged(Box::new(note)),
            sent: self.now,
            stored: self.now,
            direction: Direction::Noted,
            author: None,
            without_one_time_key: false,
            ttl: None,
            marks: Marks::default(),
        };
        let counters = self.chat_counters(chat)?;
        self.append(chat, counters, &record);
        Ok(())
    }
}

/// Who changed what, and as many names of it as a row has room for.
fn note(before: &Epoch, after: &Epoch, author: Fingerprint) -> GroupNote {
    let (was_there, is_there) = (people(before), people(after));
    let old: BTreeSet<_> = was_there.keys().copied().collect();
    let new: BTreeSet<_> = is_there.keys().copied().collect();
    let leaving = before.leaving.iter().filter_map(|leaf| before.members.get(leaf));
    let leaving: BTreeSet<_> = leaving.map(|member| member.identity.fingerprint()).collect();
    let (left, removed): (Vec<_>, Vec<_>) = old.difference(&new).partition(|gone| leaving.contains(*gone));
    let (was, is) = (&before.context, &after.context);
    let mut room = GROUP_NOTE_NAMES;
    let mut others = 0_u32;
    let mut named = |there: &People<'_>, people: &mut dyn Iterator<Item = &Fingerprint>| {
        let mut names = Vec::new();
        for person in people {
            if room > 0 {
                names.push(member(there, *person));
                room = room.saturating_sub(1);
            } else {
                others = others.saturating_add(1);
            }
        }
        names
    };
    let still = |admin: &&Fingerprint| new.contains(*admin);
    let removed = named(&was_there, &mut removed.into_iter());
    let left = named(&was_there, &mut left.into_iter());
    let added = named(&is_there, &mut new.difference(&old));
    let promoted = named(&is_there, &mut is.admins.difference(&was.admins).filter(still));
    let demoted = named(&is_there, &mut was.admins.difference(&is.admins).filter(still));
    let renamed = (was.name != is.name).then(|| is.name.clone());
    GroupNote { by: member(&was_there, author), added, removed, left, renamed, promoted, demoted, others }
}

/// What the members of an epoch call themselves.
type People<'a> = BTreeMap<Fingerprint, &'a str>;

fn people(epoch: &Epoch) -> People<'_> {
    fn name(member: &Member) -> (Fingerprint, &str) {
        (member.identity.fingerprint(), member.card.name.as_str())
    }
    epoch.members.values().map(name).collect()
}

fn member(people: &People<'_>, fingerprint: Fingerprint) -> Author {
    Author { fingerprint, profile_name: people.get(&fingerprint).copied().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use hermes_protocol::{
        group::{Authenticator, GroupContext, GroupId, Leaf, MemberCard},
        identity::IdentityKeyPair,
    };
    use hermes_wire::{
        ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
        channel::CopyKey,
        token::{DropToken, Permission, SignedDropToken},
    };

    use super::*;
    use crate::rows;

    fn epoch(members: u32, admins: usize) -> Epoch {
        let token = DropToken {
            contact: ContactId([1; 16]),
            permission: Permission::Channel,
            expiry: Timestamp(0),
            uses: None,
        };
        let mailbox = MailboxId([1; 32]);
        let card = MemberCard {
            mailbox,
            token: SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[1; 32])),
            copy_key: CopyKey::new([1; 32]),
            name: "\u{1f600}".repeat(64),
        };
        let member = |leaf: u32| {
            let mut seeds = [1; 64];
            seeds[..4].copy_from_slice(&leaf.to_be_bytes());
            let identity = IdentityKeyPair::from_bytes(&seeds).identity().clone();
            (Leaf(leaf), Member { leaf: Leaf(leaf), identity, card: card.clone() })
        };
        let members: BTreeMap<_, _> = (0..members).map(member).collect();
        let admins = members.values().take(admins).map(|member| member.identity.fingerprint()).collect();
        let context = GroupContext {
            name: "ops".to_owned(),
            channel: ChannelId([1; 32]),
            relay: RelayAddress::new("relay.test", 4433, RelayPin([0; 32])).unwrap(),
            admins,
        };
        Epoch {
            group: GroupId([1; 32]),
            number: 1,
            authenticator: Authenticator([1; 32]),
            me: Leaf(0),
            members,
            context,
            leaving: BTreeSet::new(),
            place_to_fill: None,
        }
    }

    /// A row that cannot be read again would be a damaged store.
    #[test]
    fn a_note_of_a_thousand_names_can_be_read_again() {
        let (before, after) = (epoch(1_000, 1), epoch(1_000, 1_000));
        let author = before.members[&Leaf(0)].identity.fingerprint();
        let note = note(&before, &after, author);
        assert_eq!(note.promoted.len(), GROUP_NOTE_NAMES);
        assert_eq!(note.promoted.len() + note.others as usize, 999);
        let record = MessageRecord {
            id: MessageId([1; 16]),
            text: Text::GroupChanged(Box::new(note)),
            sent: Timestamp(0),
            stored: Timestamp(0),
            direction: Direction::Noted,
            author: None,
            without_one_time_key: false,
            ttl: None,
            marks: Marks::default(),
        };
        assert!(rows::Row::to_value(&record).len() < rows::RECORD_BYTES);
    }
}
