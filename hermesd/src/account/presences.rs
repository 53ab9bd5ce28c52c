//! Who of the contacts is there, as far as they have said so. In memory only: who is there says so again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hermes_engine::{ChatId, limits::PRESENCE_LIFETIME};
use hermes_wire::Timestamp;

/// Kept by the account's thread, read by anyone. Bounded by the number of contacts.
#[derive(Default)]
pub(crate) struct Presences(Mutex<BTreeMap<ChatId, Here>>);

struct Here {
    name: String,
    said: Timestamp,
}

impl Presences {
    /// Takes note of what a contact said. Returns whether it is news.
    pub(super) fn note(&self, chat: ChatId, name: &str, here: bool, now: Timestamp) -> bool {
        let mut there = self.lock();
        match here {
            true => there.insert(chat, Here { name: name.to_owned(), said: now }).is_none(),
            false => there.remove(&chat).is_some(),
        }
    }

    /// Takes those out who have not said so again in time, with their names.
    pub(super) fn expire(&self, now: Timestamp) -> Vec<(ChatId, String)> {
        let mut there = self.lock();
        let over = there.extract_if(.., |_, here| now.since(here.said) > PRESENCE_LIFETIME);
        over.map(|(chat, here)| (chat, here.name)).collect()
    }

    /// When a contact that is there last said so.
    pub(crate) fn said(&self, chat: ChatId, now: Timestamp) -> Option<Timestamp> {
        let said = self.lock().get(&chat)?.said;
        (now.since(said) <= PRESENCE_LIFETIME).then_some(said)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChatId, Here>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_over_when_it_is_not_said_again() {
        let (presences, bob) = (Presences::default(), ChatId([1; 16]));
        let began = Timestamp(1_000_000);
        assert!(presences.note(bob, "bob", true, began));
        assert!(!presences.note(bob, "bob", true, began), "no news");
        let last = began.after(PRESENCE_LIFETIME);
        assert_eq!(presences.said(bob, last), Some(began));
        assert!(presences.expire(last).is_empty());
        let later = Timestamp(last.0 + 1);
        assert_eq!(presences.said(bob, later), None);
        assert_eq!(presences.expire(later), [(bob, "bob".to_owned())]);
        assert!(!presences.note(bob, "bob", false, later), "it was over");
    }
}
