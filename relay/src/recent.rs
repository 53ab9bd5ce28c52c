//! Rows that were committed last, in memory: whoever keeps up is sent to, and acknowledges, without a read of the store.
//!
//! All rows are written by one thread, which notes here what it has committed; what is not here is in the store.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
};

use hermes_wire::{
    ContactId, EnvelopeId, MailboxId, Sequence,
    mailbox::Delivered,
    prekey::{PrekeyId, PrekeyKind},
};

use crate::{
    limits::{RECENT_ENVELOPES, RECENT_OF_MAILBOX, RECENT_ROWS},
    store::{Changes, Contact, Mailbox, Reminder},
};

/// What of the store is known without reading it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    mailboxes: HashMap<MailboxId, Mailbox>,
    contacts: HashMap<(MailboxId, ContactId), Option<Contact>>,
    /// Of each mailbox the last that came, with consecutive sequences, as far as they are there.
    envelopes: HashMap<MailboxId, VecDeque<Stub>>,
    /// How many those are.
    stubs: usize,
    /// Of each mailbox and kind the last prekey that is gone. They go in the order of their ids.
    prekeys: HashMap<(MailboxId, PrekeyKind), PrekeyId>,
    /// There is no reminder before this one.
    first_reminder: Option<Reminder>,
}

/// An envelope without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) sequence: Sequence,
    pub(crate) envelope: EnvelopeId,
    pub(crate) contact: ContactId,
    pub(crate) bytes: u64,
    /// Whether its deposit may be remembered. The copy of a post has none: the post is.
    pub(crate) may_have_receipt: bool,
}

impl From<&Delivered> for Stub {
    fn from(row: &Delivered) -> Self {
        let Delivered { sequence, envelope, contact, .. } = *row;
        Self { sequence, envelope, contact, bytes: row.body.len() as u64, may_have_receipt: true }
    }
}

impl Recent {
    /// A mailbox's row, if it is known.
    pub(crate) fn mailbox(&self, mailbox: MailboxId) -> Option<&Mailbox> {
        self.mailboxes.get(&mailbox)
    }

    /// A contact's row, if it is known, or that there is none, if that is.
    pub(crate) fn contact(&self, mailbox: MailboxId, contact: ContactId) -> Option<&Option<Contact>> {
        self.contacts.get(&(mailbox, contact))
    }

    /// No prekey of this kind up to this id is on hand. A store still has to pass what was deleted before it finds what comes
    /// next, and an owner can have any number of them deleted.
    pub(crate) fn prekeys_gone(&self, mailbox: MailboxId, kind: PrekeyKind) -> PrekeyId {
        self.prekeys.get(&(mailbox, kind)).copied().unwrap_or_default()
    }

    /// Where the reminders begin, if it is known: for the same reason.
    pub(crate) fn first_reminder(&self) -> Option<Reminder> {
        self.first_reminder
    }

    /// Notes that a sweep is about to see to all reminders up to this one.
    pub(crate) fn swept(&mut self, upto: Reminder) {
        self.first_reminder = Some(upto);
    }

    /// All envelopes after `after` up to `upto`, if every one of these sequences is known.
    pub(crate) fn envelopes(
        &self,
        mailbox: MailboxId,
        after: Sequence,
        upto: Sequence,
    ) -> Option<impl Iterator<Item = Stub> + use<'_>> {
        let known = self.envelopes.get(&mailbox)?;
        let whole = known.front()?.sequence.0 <= after.0.saturating_add(1) && upto <= known.back()?.sequence;
        let wanted = known.iter().skip_while(move |stub| stub.sequence <= after);
        whole.then(|| wanted.take_while(move |stub| stub.sequence <= upto).copied())
    }

    /// Notes what is about to be committed. If that fails, nothing here is ever looked at again.
    pub(crate) fn note(&mut self, changes: &Changes) {
        for ((mailbox, sequence), row) in &changes.envelopes {
            match row {
                // A receipt is made in the commit of its envelope or never.
                Some(row) => {
                    let may_have_receipt = changes.receipts.contains_key(&(*mailbox, row.envelope));
                    self.add(*mailbox, Stub { may_have_receipt, ..row.into() });
                }
                None => self.remove(*mailbox, *sequence),
            }
        }
        if self.stubs > RECENT_ENVELOPES {
            (self.envelopes, self.stubs) = (HashMap::new(), 0);
        }
        note_rows(&mut self.mailboxes, &changes.mailboxes);
        note_rows(&mut self.contacts, &changes.contacts);
        let gone = changes.prekeys.iter().filter(|(_, row)| row.is_none());
        let gone = gone.map(|((mailbox, kind, id), _)| ((*mailbox, *kind), *id)).collect();
        note_rows(&mut self.prekeys, &gone);
        let reminder = changes.reminders.iter().find(|(_, row)| row.is_some());
        if let (Some(first), Some((reminder, _))) = (&mut self.first_reminder, reminder) {
            *first = (*first).min(*reminder);
        }
    }

    fn add(&mut self, mailbox: MailboxId, stub: Stub) {
        let known = self.envelopes.entry(mailbox).or_default();
        self.stubs -= known.len();
        let follows = known.back().is_none_or(|last| last.sequence.0.saturating_add(1) == stub.sequence.0);
        if !follows || known.len() >= RECENT_OF_MAILBOX {
            *known = VecDeque::new();
        }
        known.push_back(stub);
        self.stubs += known.len();
    }

    /// Envelopes go in their order, but for those of which the time is over.
    fn remove(&mut self, mailbox: MailboxId, sequence: Sequence) {
        let Some(known) = self.envelopes.get_mut(&mailbox) else { return };
        self.stubs -= known.len();
        match known.front().map(|first| sequence.cmp(&first.sequence)) {
            Some(std::cmp::Ordering::Equal) => drop(known.pop_front()),
            Some(std::cmp::Ordering::Greater) => *known = VecDeque::new(),
            _ => {}
        }
        // What is counted is what is held.
        if known.capacity() > 4 * known.len() + 8 {
            known.shrink_to(2 * known.len());
        }
        self.stubs += known.len();
        if known.is_empty() {
            self.envelopes.remove(&mailbox);
        }
    }
}

/// Notes rows, and forgets all others if there is no room for those that are new.
fn note_rows<K: Copy + Eq + Hash, V: Clone>(known: &mut HashMap<K, V>, rows: &BTreeMap<K, V>) {
    // Mostly there is room for all of them, and none is looked for.
    if known.len() + rows.len() > RECENT_ROWS {
        let new = rows.keys().filter(|key| !known.contains_key(key)).count();
        if known.len() + new > RECENT_ROWS {
            *known = HashMap::new();
        }
    }
    known.extend(rows.iter().map(|(key, row)| (*key, row.clone())));
}

#[cfg(test)]
mod tests {
    use hermes_wire::Timestamp;
    use serde_bytes::ByteBuf;

    use super::*;

    const MAILBOX: MailboxId = MailboxId([1; 32]);

    fn row(sequence: u64) -> Delivered {
        let (envelope, contact) = (EnvelopeId([2; 16]), ContactId([3; 16]));
        Delivered {
            sequence: Sequence(sequence),
            envelope,
            contact,
            stored: Timestamp(0),
            body: ByteBuf::from(b"text"),
        }
    }

    fn note(recent: &mut Recent, rows: impl IntoIterator<Item = (u64, Option<Delivered>)>) {
        let envelopes: BTreeMap<_, _> =
            rows.into_iter().map(|(sequence, row)| ((MAILBOX, Sequence(sequence)), row)).collect();
        recent.note(&Changes { envelopes, ..Changes::default() });
        assert_eq!(recent.stubs, recent.envelopes.values().map(VecDeque::len).sum::<usize>());
    }

    fn come(recent: &mut Recent, sequences: impl IntoIterator<Item = u64>) {
        note(recent, sequences.into_iter().map(|sequence| (sequence, Some(row(sequence)))));
    }

    fn known(recent: &Recent, after: u64, upto: u64) -> Option<Vec<u64>> {
        let known = recent.envelopes(MAILBOX, Sequence(after), Sequence(upto))?;
        Some(known.map(|stub| stub.sequence.0).collect())
    }

    #[test]
    fn a_range_is_known_whole_or_not_at_all() {
        let mut recent = Recent::default();
        assert_eq!(known(&recent, 0, 1), None);
        come(&mut recent, 3..6);
        assert_eq!(known(&recent, 2, 5), Some(vec![3, 4, 5]));
        assert_eq!(known(&recent, 3, 4), Some(vec![4]));
        assert_eq!(known(&recent, 1, 5), None, "one before may be there");
        assert_eq!(known(&recent, 2, 6), None);
        note(&mut recent, [(3, None), (6, Some(row(6)))]);
        assert_eq!(known(&recent, 3, 6), Some(vec![4, 5, 6]));
        assert_eq!(known(&recent, 2, 6), None);
        note(&mut recent, [(5, None)]);
        assert_eq!(known(&recent, 3, 4), None, "one in the middle is gone");
        come(&mut recent, [7, 9, 10]);
        assert_eq!(known(&recent, 8, 10), Some(vec![9, 10]));
        note(&mut recent, [(9, None), (10, None)]);
        assert!(recent.envelopes.is_empty());
    }

    /// Only what waits is counted, so no more than that may be held.
    #[test]
    fn a_mailbox_that_had_many_waiting_does_not_hold_the_room_of_them() {
        let mut recent = Recent::default();
        let most = RECENT_OF_MAILBOX as u64;
        let held = |recent: &Recent| recent.envelopes[&MAILBOX].capacity();
        come(&mut recent, 1..=most);
        assert!(held(&recent) >= RECENT_OF_MAILBOX);
        note(&mut recent, (1..most).map(|sequence| (sequence, None)));
        assert_eq!(known(&recent, most - 1, most), Some(vec![most]));
        assert!(held(&recent) <= 16, "{} for one", held(&recent));
        come(&mut recent, most + 1..2 * most);
        assert_eq!(recent.stubs, RECENT_OF_MAILBOX);
        come(&mut recent, [2 * most]);
        assert!(held(&recent) <= 16, "{} after too many", held(&recent));
        come(&mut recent, 2 * most + 1..3 * most);
        come(&mut recent, [4 * most]);
        assert!(held(&recent) <= 16, "{} after a gap", held(&recent));
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut recent = Recent::default();
        let most = RECENT_OF_MAILBOX as u64;
        come(&mut recent, 1..=most);
        assert_eq!(known(&recent, 0, most).unwrap().len(), RECENT_OF_MAILBOX);
        come(&mut recent, [most + 1]);
        assert_eq!((known(&recent, 0, most), recent.stubs), (None, 1));
        let contacts = |from: usize, count: usize| {
            let of = |number: usize| ContactId((number as u128).to_be_bytes());
            let contacts = (from..from + count).map(|number| ((MAILBOX, of(number)), None)).collect();
            Changes { contacts, ..Changes::default() }
        };
        recent.note(&contacts(0, RECENT_ROWS));
        recent.note(&contacts(0, 1_000));
        assert_eq!(recent.contacts.len(), RECENT_ROWS, "what is known needs no room");
        recent.note(&contacts(RECENT_ROWS, 1));
        assert_eq!(recent.contacts.len(), 1);
    }
}
