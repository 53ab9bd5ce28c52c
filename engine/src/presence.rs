//! Who is there, as far as contacts tell each other in ephemeral messages.
//!
//! A daemon that has connected tells the contacts it was in touch with lately, and asks them to tell in turn. While it
//! stays, it says so again now and then, to those alone that it has just heard: two that are there keep each other
//! informed, and nobody talks to a mailbox where nobody answers. When it goes, it says so to those who believe it there.
//!
//! All of it is best effort and none of it durable, but for when a contact was last heard. Deliberately absent: any
//! state that a restart would have to bring back.

use std::collections::BTreeMap;

use hermes_protocol::content::{Body, Content, MessageId, Newer, Presence};
use hermes_wire::{
    EnvelopeId, Timestamp,
    drop::{Deposit, ToDrop},
};
use serde_bytes::ByteBuf;

use crate::{
    effect::{CommandError, Effect, Event, Reply, SendError},
    id::ChatId,
    input::PresenceDue,
    limits::{
        CONTACTS, EPHEMERAL_AGE, PONG_WINDOW, PONGS, PRESENCE_ACQUAINTED, PRESENCE_HEARD, PRESENCE_LEAST,
        PRESENCE_LIFETIME, PRESENCE_PEERS, SEEN_GRAIN,
    },
    query::{self, Destination},
    row::{ContactRecord, SessionRecord, StoreStanding},
    rows::{Key, ReadError, SeenRow, StoreResult},
    session::decode_session,
    store::{Range, Table, View},
    turn::Turn,
};

/// What others may learn of this account beyond its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Who is told when its daemon is connected, and has its pings answered.
    pub presence: Audience,
    /// Whether authors hear that their messages were read.
    pub read_receipts: ReadReceipts,
}

/// Who is told something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Contacts.
    #[default]
    Contacts,
    /// No one.
    Nobody,
}

/// Whether authors hear that their messages were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadReceipts {
    /// They do.
    #[default]
    Sent,
    /// They do not.
    Withheld,
}

/// An envelope that is sent once, and kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ephemeral {
    /// Whom it is for.
    pub chat: ChatId,
    /// Where it goes.
    pub destination: Destination,
    /// What is said to the relay there.
    pub frame: ToDrop,
}

/// What is known of contacts for the moment. Bounded by their number; lost when the engine is loaded anew.
#[derive(Default)]
pub(crate) struct Moment(BTreeMap<ChatId, Peer>);

#[derive(Default)]
struct Peer {
    /// When it was last heard to be there.
    heard: Option<Timestamp>,
    /// The newest time that its presence carried, and whether it went then: what is before that is a copy, or late.
    newest: (Timestamp, bool),
    /// When it was last told that this account is there.
    told: Option<Timestamp>,
    /// When its last few pings were answered.
    answered: Vec<Timestamp>,
}

impl Moment {
    fn peer(&mut self, chat: ChatId) -> &mut Peer {
        self.0.entry(chat).or_default()
    }

    /// It is neither there nor told of anything.
    pub(crate) fn forget(&mut self, chat: ChatId) {
        self.0.remove(&chat);
    }

    fn those(&self, is: impl Fn(&Peer) -> bool) -> Vec<ChatId> {
        self.0.iter().filter(|(_, peer)| is(peer)).map(|(chat, _)| *chat).collect()
    }
}

impl<V: View> Turn<'_, V> {
    /// Tells contacts about the own presence, as far as it is theirs to know.
    pub(crate) fn presence_due(&mut self, due: PresenceDue) -> StoreResult<(), V> {
        let now = self.now;
        let lately = |at: Option<Timestamp>, within| at.is_some_and(|at| now.since(at) <= within);
        let (contacts, presence) = match due {
            PresenceDue::Connected => (self.acquainted()?, Presence::Arrived),
            PresenceDue::Beat => {
                (self.moment.those(|peer| lately(peer.heard, PRESENCE_HEARD)), Presence::Here)
            }
            PresenceDue::Leaving => {
                (self.moment.those(|peer| lately(peer.told, PRESENCE_LIFETIME)), Presence::Away)
            }
        };
        for chat in contacts {
            self.tell_presence(chat, presence)?;
        }
        Ok(())
    }

    /// Contacts that were heard lately, the last ones first. To tell all others too would show a relay, in one burst, every
    /// mailbox that this account has ever written to.
    fn acquainted(&self) -> StoreResult<Vec<ChatId>, V> {
        let limit = usize::try_from(CONTACTS).unwrap_or(usize::MAX);
        let mut seen = self.scan::<SeenRow>(&Range::all(), limit)?;
        seen.retain(|(_, SeenRow(at))| self.now.since(*at) <= PRESENCE_ACQUAINTED);
        seen.sort_by_key(|(_, SeenRow(at))| std::cmp::Reverse(*at));
        Ok(seen.into_iter().take(PRESENCE_PEERS).map(|(SeenKey(chat), _)| chat).collect())
    }

    /// Tells one contact, unless it was told a moment ago. Goodbye is said in any case: there is one at most, and without
    /// it the contact would be wrong for minutes.
    pub(crate) fn tell_presence(&mut self, chat: ChatId, presence: Presence) -> StoreResult<(), V> {
        let now = self.now;
        let told = self.moment.peer(chat).told;
        if self.privacy.presence == Audience::Nobody {
            return Ok(());
        }
        if presence != Presence::Away && told.is_some_and(|at| now.since(at) < PRESENCE_LEAST) {
            return Ok(());
        }
        let Some(contact) = self.get::<ContactRecord>(&chat)? else { return Ok(()) };
        if self.say_in_passing(chat, &contact, Body::Presence(presence))?.is_some() {
            self.moment.peer(chat).told = (presence != Presence::Away).then_some(now);
        }
        Ok(())
    }

    /// Seals something ephemeral; nothing if there is no session for it, or the contact is to hear nothing.
    fn say_in_passing(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        body: Body,
    ) -> StoreResult<Option<MessageId>, V> {
        let silent = !contact.answered || contact.blocked.is_some() || contact.trust.change.is_some();
        if silent || self.counters.standing != StoreStanding::Newest {
            return Ok(None);
        }
        let Some(id) = &contact.active else { return Ok(None) };
        let record: SessionRecord = self.get(id)?.ok_or(ReadError::Corrupt(Table::Session))?;
        let id = MessageId::random(self.rng);
        let content = Content { id, sent: self.now, place: None, body, newer: Newer::default() };
        let sealed = decode_session(&record)?.seal_ephemeral(&content.encode(), self.rng);
        let destination = query::destination(&self.overlay(), chat)?;
        let (Ok(body), Some(destination)) = (sealed, destination) else { return Ok(None) };
        let envelope = EnvelopeId::random(self.rng);
        let frame = ToDrop::Ephemeral(Deposit { envelope, body: ByteBuf::from(body) });
        self.effects.push(Effect::Ephemeral(Box::new(Ephemeral { chat, destination, frame })));
        Ok(Some(id))
    }

    /// A contact says whether it is there.
    pub(crate) fn presence_heard(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        sent: Timestamp,
        presence: Presence,
    ) -> StoreResult<(), V> {
        let peer = self.moment.peer(chat);
        let word = (sent, presence == Presence::Away);
        if !is_fresh(self.now, sent) || word <= peer.newest {
            return Ok(());
        }
        peer.newest = word;
        peer.heard = (presence != Presence::Away).then_some(self.now);
        let grain = if presence == Presence::Away { std::time::Duration::ZERO } else { SEEN_GRAIN };
        self.note_seen(chat, self.now, grain)?;
        let name = contact.name.clone();
        self.event(Event::Presence { chat, name, here: presence != Presence::Away });
        if presence == Presence::Arrived {
            self.tell_presence(chat, Presence::Here)?;
        }
        Ok(())
    }

    /// Something of a contact arrived that no copy can be.
    pub(crate) fn heard(&mut self, chat: ChatId, sent: Timestamp) -> StoreResult<(), V> {
        // It may have lain at the relay for weeks, and its author's clock may be ahead.
        let at = sent.min(self.now);
        let peer = self.moment.peer(chat);
        peer.heard = peer.heard.max(Some(at));
        self.note_seen(chat, at, SEEN_GRAIN)
    }

    /// Keeps when a contact was last heard, to the nearest `grain`: not a row for every message.
    fn note_seen(&mut self, chat: ChatId, at: Timestamp, grain: std::time::Duration) -> StoreResult<(), V> {
        let known = self.get::<SeenRow>(&SeenKey(chat))?;
        if known.is_none_or(|SeenRow(seen)| at > seen.after(grain)) {
            self.put(&SeenKey(chat), &SeenRow(at));
        }
        Ok(())
    }

    /// Asks a contact's daemon for a sign of life; the answer is an [`Event::Pong`], or nothing.
    pub(crate) fn ping(&mut self, name: &str) -> StoreResult<Result<Reply, CommandError>, V> {
        let Some((chat, contact)) = self.contact_named(name)? else {
            return Ok(Err(CommandError::UnknownContact(name.to_owned())));
        };
        if contact.blocked.is_some() {
            return Ok(Err(CommandError::Unsent(SendError::Blocked(contact.name))));
        }
        if contact.trust.change.is_some() {
            return Ok(Err(CommandError::Unsent(SendError::IdentityChanged(contact.name))));
        }
        Ok(match self.say_in_passing(chat, &contact, Body::Ping)? {
            Some(id) => Ok(Reply::Pinged(id)),
            None => Err(CommandError::NotPaired(contact.name)),
        })
    }

    /// A contact asks for a sign of life. A copy of its asking is answered too, but never many.
    pub(crate) fn pinged(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        ping: &Content,
    ) -> StoreResult<(), V> {
        let now = self.now;
        let answered = &mut self.moment.peer(chat).answered;
        answered.retain(|at| now.since(*at) < PONG_WINDOW);
        if self.privacy.presence == Audience::Nobody || !is_fresh(now, ping.sent) || answered.len() >= PONGS {
            return Ok(());
        }
        answered.push(now);
        self.say_in_passing(chat, contact, Body::Pong(ping.id))?;
        Ok(())
    }
}

/// Whether something ephemeral is of this moment, as far as two clocks agree on it.
fn is_fresh(now: Timestamp, sent: Timestamp) -> bool {
    now.since(sent).max(sent.since(now)) <= EPHEMERAL_AGE
}

/// When a contact was last heard.
#[derive(Clone, Copy)]
pub(crate) struct SeenKey(pub(crate) ChatId);

impl Key for SeenKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[16]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, rest) = bytes.split_first_chunk()?;
        (rest == [16]).then_some(Self(ChatId(*chat)))
    }
}
