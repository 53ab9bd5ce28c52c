//! Places of contacts whose own mailbox is at another relay than the group.
//!
//! The key packages that contacts give each other name their own mailboxes. For a group at another relay a contact is
//! asked for one that names a mailbox there, which it makes first if it has none ([`crate::guest`]). Until the answer
//! comes the contact waits among those who are to be added. Each asking is for one contact and one group.

use hermes_protocol::{
    content::{AskId, Body, GuestAnswer, GuestRefusal},
    group::KeyPackage,
};
use hermes_wire::{RelayAddress, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{GroupRecord, record::Wanted};
use crate::{
    effect::{Event, GroupEvent},
    id::ChatId,
    limits::{GROUPS, PLACE_ASKED_AGAIN, PLACE_STANDS},
    row::ContactRecord,
    rows::{StoreResult, pair_keys, rows},
    store::{Range, View},
    turn::Turn,
};

/// What a contact was asked for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AskRecord {
    id: AskId,
    pub(crate) relay: RelayAddress,
    /// What that relay may ask of a stranger, until there is an answer.
    token: Option<String>,
    /// When it was said; not yet if there was no session.
    asked: Option<Timestamp>,
    answer: Option<Answer>,
}

/// What came of it.
#[derive(Clone, Serialize, Deserialize)]
enum Answer {
    /// A key package, which the next commit uses.
    Package(ByteBuf),
    /// There is no mailbox.
    Refused(GuestRefusal),
}

rows! {
    AskRecord: Offer by AskKey;
}

/// A contact, and the group that it is to be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AskKey(pub(crate) ChatId, pub(crate) ChatId);

pair_keys! {
    AskKey(ChatId, 16, ChatId);
}

impl AskRecord {
    /// Why there is no place.
    pub(crate) fn refused(&self) -> Option<GuestRefusal> {
        match &self.answer {
            Some(Answer::Refused(refusal)) => Some(*refusal),
            Some(Answer::Package(_)) | None => None,
        }
    }
}

impl<V: View> Turn<'_, V> {
    /// Whether a contact's own mailbox is at another relay than this.
    pub(super) fn is_elsewhere(&self, contact_chat: &ChatId, relay: &RelayAddress) -> StoreResult<bool, V> {
        let contact: Option<ContactRecord> = self.get(contact_chat)?;
        Ok(contact.is_some_and(|contact| !contact.ticket.relay.is_same(relay)))
    }

    /// The user wants a contact in a group. One of another relay is asked for a place, unless it is being asked, or has
    /// given one that no commit has used; another registration token is another asking.
    pub(super) fn want_place_if_elsewhere(
        &mut self,
        contact_chat: ChatId,
        chat: ChatId,
        relay: &RelayAddress,
        token: Option<String>,
    ) -> StoreResult<(), V> {
        if !self.is_elsewhere(&contact_chat, relay)? {
            return Ok(());
        }
        let key = AskKey(contact_chat, chat);
        let good = self
            .get::<AskRecord>(&key)?
            .is_some_and(|ask| ask.relay.is_same(relay) && ask.refused().is_none() && !self.is_stale(&ask));
        if good && token.is_none() {
            return Ok(());
        }
        let id = AskId::random(self.rng);
        let mut ask = AskRecord { id, relay: relay.clone(), token, asked: None, answer: None };
        self.say_ask(contact_chat, &mut ask)?;
        self.put(&key, &ask);
        Ok(())
    }

    /// Whether a key package was given so long ago that whoever gave it may soon take it back.
    fn is_stale(&self, ask: &AskRecord) -> bool {
        let given = matches!(ask.answer, Some(Answer::Package(_)));
        given && ask.asked.is_none_or(|asked| self.now.since(asked) >= PLACE_STANDS)
    }

    fn say_ask(&mut self, contact_chat: ChatId, ask: &mut AskRecord) -> StoreResult<(), V> {
        let Some(contact) = self.get::<ContactRecord>(&contact_chat)? else { return Ok(()) };
        let body = Body::GuestWanted {
            ask: ask.id,
            relay: ask.relay.clone(),
            registration_token: ask.token.clone(),
        };
        if self.post(contact_chat, &contact, body)?.is_ok() {
            ask.asked = Some(self.now);
        }
        Ok(())
    }

    /// The key package with which a contact of another relay is added; nothing while none has come.
    pub(super) fn place_given(
        &self,
        contact_chat: ChatId,
        contact: &ContactRecord,
        chat: ChatId,
    ) -> StoreResult<Option<KeyPackage>, V> {
        let ask: Option<AskRecord> = self.get(&AskKey(contact_chat, chat))?;
        let ask = ask.filter(|ask| !self.is_stale(ask));
        let Some(Answer::Package(package)) = ask.and_then(|ask| ask.answer) else { return Ok(None) };
        Ok(KeyPackage::check(&package, &contact.fingerprint).ok())
    }

    pub(super) fn forget_place(&mut self, contact_chat: ChatId, chat: ChatId) {
        self.delete::<AskRecord>(&AskKey(contact_chat, chat));
    }

    /// Says again what was not answered: the asking, or the session in which it was said, may be lost.
    pub(super) fn ask_for_places_again(&mut self, chat: ChatId, group: &GroupRecord) -> StoreResult<(), V> {
        for contact_chat in group.waiting().collect::<Vec<_>>() {
            let key = AskKey(contact_chat, chat);
            let Some(mut ask) = self.get::<AskRecord>(&key)? else {
                // It was removed meanwhile, and is a contact again.
                self.want_place_if_elsewhere(contact_chat, chat, &group.context.relay, None)?;
                continue;
            };
            if self.is_stale(&ask) {
                (ask.id, ask.answer, ask.asked) = (AskId::random(self.rng), None, None);
            }
            let fresh = ask.asked.is_some_and(|asked| self.now.since(asked) < PLACE_ASKED_AGAIN);
            if ask.answer.is_none() && !fresh {
                self.say_ask(contact_chat, &mut ask)?;
                self.put(&key, &ask);
            }
        }
        Ok(())
    }

    /// A contact's key packages are void. Places may be or not, as their mailbox is none of the contact's own relay's: it is
    /// asked once more, and says the same if it still knows of what it gave.
    pub(super) fn ask_for_given_places_again(&mut self, contact_chat: ChatId) -> StoreResult<(), V> {
        for (key, mut ask) in self.scan::<AskRecord>(&Range::prefix(&contact_chat.0), GROUPS)? {
            if matches!(ask.answer, Some(Answer::Package(_))) {
                (ask.answer, ask.asked) = (None, None);
                self.say_ask(contact_chat, &mut ask)?;
                self.put(&key, &ask);
            }
        }
        Ok(())
    }

    /// A contact answers, or takes back what it gave. What was not asked, or was asked otherwise since, is passed over.
    pub(crate) fn place_answered(
        &mut self,
        contact_chat: ChatId,
        contact: &ContactRecord,
        id: AskId,
        answer: GuestAnswer,
    ) -> StoreResult<(), V> {
        let asks = self.scan::<AskRecord>(&Range::prefix(&contact_chat.0), GROUPS)?;
        let taken_back = matches!(answer, GuestAnswer::Refused(_));
        let open = |ask: &AskRecord| ask.answer.is_none() || (taken_back && ask.refused().is_none());
        let asked = asks.into_iter().find(|(_, ask)| ask.id == id && open(ask));
        let Some((key, mut ask)) = asked else { return Ok(()) };
        let group: Option<GroupRecord> = self.get(&key.1)?;
        let Some(group) = group.filter(|group| group.wanted.contains(&Wanted::Add(contact_chat))) else {
            self.delete::<AskRecord>(&key);
            return Ok(());
        };
        ask.token = None;
        let answer = match answer {
            GuestAnswer::Package(package) if KeyPackage::check(&package, &contact.fingerprint).is_ok() => {
                Answer::Package(package)
            }
            GuestAnswer::Package(_) => Answer::Refused(GuestRefusal::Other),
            GuestAnswer::Refused(refusal) => Answer::Refused(refusal),
        };
        ask.answer = Some(answer.clone());
        self.put(&key, &ask);
        match answer {
            Answer::Package(_) => self.drive(key.1, group),
            Answer::Refused(reason) => {
                let (contact, relay) = (contact.name.clone(), ask.relay.to_string());
                let event = GroupEvent::NoPlace { contact, relay, reason };
                self.event(Event::Group { chat: key.1, name: group.name, event });
                Ok(())
            }
        }
    }
}
