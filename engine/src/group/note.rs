//! What a change of a group looks like in its history.

use std::collections::BTreeSet;

use hermes_protocol::{content::MessageId, group::Epoch, identity::Fingerprint};

use super::GroupRecord;
use crate::{
    effect::{Event, GroupEvent},
    id::ChatId,
    row::{Author, Direction, GroupNote, MessageRecord, Text},
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
        let by = member(before, author);
        let (old, new) = (identities(before), identities(after));
        let added = new.difference(&old).map(|fingerprint| member(after, *fingerprint)).collect();
        let gone = old.difference(&new).map(|fingerprint| member(before, *fingerprint));
        let leaving = before.leaving.iter().filter_map(|leaf| before.members.get(leaf));
        let leaving: BTreeSet<_> = leaving.map(|member| member.identity.fingerprint()).collect();
        let wanted = |author: &Author| leaving.contains(&author.fingerprint);
        let (left, removed) = gone.partition(wanted);
        let (was, is) = (&before.context, &after.context);
        let renamed = (was.name != is.name).then(|| is.name.clone());
        let named = |admins: BTreeSet<&Fingerprint>| {
            admins
                .into_iter()
                .filter(|admin| new.contains(*admin))
                .map(|admin| member(after, *admin))
                .collect()
        };
        let promoted = named(is.admins.difference(&was.admins).collect());
        let demoted = named(was.admins.difference(&is.admins).collect());
        let note = GroupNote { by, added, removed, left, renamed, promoted, demoted };
        let event = GroupEvent::Changed;
        self.event(Event::Group { chat, name: group.name.clone(), event });
        if note.is_empty() {
            return Ok(());
        }
        let record = MessageRecord {
            id: MessageId::random(self.rng),
            text: Text::GroupChanged(Box::new(note)),
            sent: self.now,
            stored: self.now,
            direction: Direction::Noted,
            author: None,
            without_one_time_key: false,
            ttl: None,
        };
        let counters = self.chat_counters(chat)?;
        self.append(chat, counters, &record);
        Ok(())
    }
}

fn identities(epoch: &Epoch) -> BTreeSet<Fingerprint> {
    epoch.members.values().map(|member| member.identity.fingerprint()).collect()
}

fn member(epoch: &Epoch, fingerprint: Fingerprint) -> Author {
    let found = epoch.members.values().find(|member| member.identity.fingerprint() == fingerprint);
    Author { fingerprint, profile_name: found.map(|member| member.card.name.clone()).unwrap_or_default() }
}
