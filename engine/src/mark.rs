//! What is said about messages: reactions, edits, and that a message is withdrawn.
//!
//! Each has a place among its author's messages, so that it is missed where it did not arrive and said again in another
//! session; the history has a row for it that no list shows. Of what one author says of one message, the one with the
//! highest place counts, in whatever order they arrive; that a message is withdrawn counts for good.
//!
//! Only the author of a message edits or withdraws it; whatever else says so is kept as a row and changes nothing.

mod change;

use hermes_protocol::{
    content::{Body, ChatPlace, Content, MessageId},
    identity::Fingerprint,
};
use hermes_wire::Timestamp;

use crate::{
    account::Lookup,
    effect::{Event, MarkKind},
    id::ChatId,
    limits::{EARLY_LIFETIME, EARLY_MARKS, GROUP_ROWS, QUERY_ROWS, REACTIONS},
    reference::Reference,
    row::{
        Action, Author, ChatRecord, Direction, EarlyCountKey, EarlyCountRow, EarlyEdit, EarlyMarkKey,
        EarlyMarkRow, EarlyWithdrawal, Edited, MarkKey, MarkOrder, MarkRecord, Marks, MessageRecord,
        Reaction, Text,
    },
    rows::{ChatCountersKey, ChatRow, IndexRow, Key, Place, StoreResult},
    store::{Range, View},
    turn::Turn,
};

/// Where the message stands that something is said about.
enum Target {
    Here(Place, Box<MessageRecord>),
    /// It has not arrived.
    Early,
    /// It is of another chat, or nothing that could be said anything about.
    Elsewhere,
}

impl<V: View> Turn<'_, V> {
    /// Acts on what an author says about a message, once that stands in the history at `here`.
    pub(crate) fn act(&mut self, here: Place, author: Author, content: &Content) -> StoreResult<(), V> {
        let order = MarkOrder::of(content);
        match &content.body {
            Body::Reaction { message, emoji } => {
                let reaction = Reaction { order, emoji: emoji.clone() };
                self.react(here.chat, author, *message, reaction)
            }
            Body::Edit { message, text } => {
                let edit = EarlyEdit { order, at: content.sent, text: text.clone() };
                self.edit(here, author, *message, edit)
            }
            Body::Unsend { message, place } => self.unsend(here, author, *message, place.is_some()),
            _ => Ok(()),
        }
    }

    fn react(
        &mut self,
        chat: ChatId,
        author: Author,
        message: MessageId,
        reaction: Reaction,
    ) -> StoreResult<(), V> {
        let key = MarkKey(chat, message, self.voice(chat, &author.fingerprint));
        let known: Option<MarkRecord> = self.get(&key)?;
        let earlier = known.as_ref().and_then(|mark| mark.reaction.as_ref());
        if earlier.is_some_and(|earlier| earlier.order >= reaction.order) {
            return Ok(());
        }
        let target = self.target(chat, message)?;
        match &target {
            Target::Here(_, record) if record.text.is_gone() => return Ok(()),
            Target::Here(_, record) if earlier.is_none() && record.marks.reactions >= REACTIONS => {
                return Ok(());
            }
            Target::Early if known.is_none() && !self.make_room_for_early(key)? => return Ok(()),
            Target::Elsewhere => return Ok(()),
            Target::Here(..) | Target::Early => {}
        }
        let is_new = earlier.is_none();
        let early = matches!(target, Target::Early).then_some(self.now);
        let mark = known.unwrap_or(MarkRecord::new(author, early));
        self.put(&key, &MarkRecord { reaction: Some(reaction), ..mark });
        if let Target::Here(place, mut record) = target {
            if is_new {
                record.marks.reactions = record.marks.reactions.saturating_add(1);
                self.put(&place, &*record);
            }
            self.tell_marked(place, MarkKind::Reaction)?;
        }
        Ok(())
    }

    fn edit(
        &mut self,
        here: Place,
        author: Author,
        message: MessageId,
        edit: EarlyEdit,
    ) -> StoreResult<(), V> {
        match self.target(here.chat, message)? {
            Target::Here(place, mut record) => {
                if self.is_authored_by(place, &record, &author)? && record.take_edit(edit, here.number) {
                    self.put(&place, &*record);
                    self.tell_marked(place, MarkKind::Edit)?;
                }
                Ok(())
            }
            Target::Early => {
                let key = MarkKey(here.chat, message, self.voice(here.chat, &author.fingerprint));
                let known: Option<MarkRecord> = self.get(&key)?;
                let counts = known.as_ref().is_none_or(|mark| {
                    let earlier = mark.edit.as_ref().is_none_or(|earlier| earlier.order < edit.order);
                    earlier && mark.withdrawn.is_none()
                });
                if counts && (known.is_some() || self.make_room_for_early(key)?) {
                    let known = known.unwrap_or(MarkRecord::new(author, Some(self.now)));
                    self.put(&key, &MarkRecord { edit: Some(edit), ..known });
                }
                Ok(())
            }
            Target::Elsewhere => Ok(()),
        }
    }

    fn unsend(
        &mut self,
        here: Place,
        author: Author,
        message: MessageId,
        placed: bool,
    ) -> StoreResult<(), V> {
        match self.target(here.chat, message)? {
            Target::Here(place, record) => {
                if !record.text.is_gone() && self.is_authored_by(place, &record, &author)? {
                    self.withdraw(place, *record)?;
                }
                Ok(())
            }
            Target::Early => {
                let key = MarkKey(here.chat, message, self.voice(here.chat, &author.fingerprint));
                let known: Option<MarkRecord> = self.get(&key)?;
                if known.is_some() || self.make_room_for_early(key)? {
                    let known = known.unwrap_or(MarkRecord::new(author, Some(self.now)));
                    let withdrawn = known.withdrawn.or(Some(EarlyWithdrawal { row: here.number, placed }));
                    self.put(&key, &MarkRecord { edit: None, withdrawn, ..known });
                }
                Ok(())
            }
            Target::Elsewhere => Ok(()),
        }
    }

    /// How a message was withdrawn by its author that has just come.
    pub(crate) fn withdrawn_early(
        &self,
        chat: ChatId,
        message: MessageId,
        author: &Fingerprint,
    ) -> StoreResult<Option<EarlyWithdrawal>, V> {
        if self.chat_counters(chat)?.early == 0 {
            return Ok(None);
        }
        let mark: Option<MarkRecord> = self.get(&MarkKey(chat, message, self.voice(chat, author)))?;
        Ok(mark.and_then(|mark| mark.withdrawn))
    }

    /// It counts as known from here on, under the word that withdrew it, and is shown to nobody.
    pub(crate) fn take_withdrawn(
        &mut self,
        chat: ChatId,
        message: MessageId,
        withdrawn: EarlyWithdrawal,
    ) -> StoreResult<(), V> {
        self.forget_marks(chat, message)?;
        self.put(&message, &IndexRow(Place { chat, number: withdrawn.row }));
        Ok(())
    }

    /// Deletes what a message says, at its author's word.
    pub(super) fn withdraw(&mut self, place: Place, record: MessageRecord) -> StoreResult<(), V> {
        self.wipe(place, &record)?;
        self.put(&place, &MessageRecord { text: Text::Withdrawn, marks: Marks::default(), ..record });
        self.tell_marked(place, MarkKind::Withdrawn)
    }

    /// Deletes what stands elsewhere of a message whose text goes.
    pub(crate) fn wipe(&mut self, place: Place, record: &MessageRecord) -> StoreResult<(), V> {
        for number in record.marks.edited.iter().flat_map(|edited| &edited.rows) {
            let place = Place { chat: place.chat, number: *number };
            let Some(mut row) = self.get::<MessageRecord>(&place)? else { continue };
            if let Text::Action(action) = &mut row.text
                && let Action::Edited { text, .. } = &mut **action
            {
                *text = None;
                self.put(&place, &row);
            }
        }
        match record.marks.reactions {
            0 => Ok(()),
            _ => self.forget_marks(place.chat, record.id),
        }
    }

    /// What was said about a message before it was here, as far as it has a right to be.
    pub(crate) fn settle_early(
        &mut self,
        chat: ChatId,
        counters: &mut ChatRecord,
        message: &mut MessageRecord,
        author: &Fingerprint,
    ) -> StoreResult<(), V> {
        if counters.early == 0 {
            return Ok(());
        }
        let range = Range::prefix(&MarkKey::of(chat, message.id));
        for (key, mut mark) in self.scan::<MarkRecord>(&range, GROUP_ROWS)? {
            if mark.early.take().is_some() {
                counters.early = counters.early.saturating_sub(1);
                self.count_early(key, |count| count.saturating_sub(1))?;
            }
            mark.withdrawn = None;
            if let Some(edit) = mark.edit.take().filter(|_| mark.by.fingerprint == *author) {
                message.take_edit(edit, 0);
            }
            if mark.reaction.is_none() || message.marks.reactions >= REACTIONS {
                self.delete::<MarkRecord>(&key);
            } else {
                message.marks.reactions = message.marks.reactions.saturating_add(1);
                self.put(&key, &mark);
            }
        }
        Ok(())
    }

    /// An id for somebody in a chat that says nothing outside of this store.
    pub(crate) fn voice(&self, chat: ChatId, fingerprint: &Fingerprint) -> ChatId {
        let hash = self.account.lookup(Lookup::Voice, &[&chat.0, &fingerprint.0]);
        ChatId(hash.0.first_chunk().copied().unwrap_or_default())
    }

    fn target(&self, chat: ChatId, message: MessageId) -> StoreResult<Target, V> {
        let Some(IndexRow(place)) = self.get(&message)? else { return Ok(Target::Early) };
        if place.chat != chat {
            return Ok(Target::Elsewhere);
        }
        Ok(match self.get::<MessageRecord>(&place)? {
            Some(record) if record.text.is_said() && record.id == message => {
                Target::Here(place, Box::new(record))
            }
            _ => Target::Elsewhere,
        })
    }

    /// Whether a message is somebody's. A contact that has changed its identity key is somebody else than it was.
    fn is_authored_by(&self, place: Place, record: &MessageRecord, by: &Author) -> StoreResult<bool, V> {
        let me = self.account.fingerprint();
        Ok(match (&record.direction, &record.author) {
            (Direction::Sent(_), _) => by.fingerprint == me,
            (Direction::Received { .. }, Some(author)) => by.fingerprint == author.fingerprint,
            (Direction::Received { .. }, None) => {
                by.fingerprint != me && place.number > self.chat_counters(place.chat)?.former
            }
            (Direction::Noted, _) => false,
        })
    }

    /// Whether something may wait for its message; it counts from here on.
    fn make_room_for_early(&mut self, key: MarkKey) -> StoreResult<bool, V> {
        let MarkKey(chat, _, by) = key;
        let waiting: Option<EarlyCountRow> = self.get(&EarlyCountKey(chat, by))?;
        if waiting.is_some_and(|row| row.0 >= EARLY_MARKS) {
            return Ok(false);
        }
        self.count_early(key, |count| count.saturating_add(1))?;
        let counters = self.chat_counters(chat)?;
        let counters = ChatRecord { early: counters.early.saturating_add(1), ..counters };
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        self.put(&EarlyMarkKey(self.now.0, key), &EarlyMarkRow(()));
        Ok(true)
    }

    fn count_early(&mut self, key: MarkKey, count: impl FnOnce(u32) -> u32) -> StoreResult<(), V> {
        let MarkKey(chat, _, by) = key;
        let key = EarlyCountKey(chat, by);
        let waiting: Option<EarlyCountRow> = self.get(&key)?;
        match count(waiting.map_or(0, |row| row.0)) {
            0 => self.delete::<EarlyCountRow>(&key),
            waiting => self.put(&key, &EarlyCountRow(waiting)),
        }
        Ok(())
    }

    /// What has waited for its message longer than that could be under way is for none that will come.
    pub(crate) fn forget_early_marks(&mut self) -> StoreResult<(), V> {
        let lifetime = u64::try_from(EARLY_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let range = Range { from: Vec::new(), to: Some(self.now.0.saturating_sub(lifetime).to_bytes()) };
        for (EarlyMarkKey(at, key), _) in self.scan::<EarlyMarkRow>(&range, QUERY_ROWS)? {
            self.delete::<EarlyMarkRow>(&EarlyMarkKey(at, key));
            if self.get::<MarkRecord>(&key)?.is_some_and(|mark| mark.early.is_some_and(|came| came.0 == at)) {
                self.forget_mark(key)?;
            }
        }
        Ok(())
    }

    fn forget_marks(&mut self, chat: ChatId, message: MessageId) -> StoreResult<(), V> {
        let range = Range::prefix(&MarkKey::of(chat, message));
        for (key, mark) in self.scan::<MarkRecord>(&range, GROUP_ROWS)? {
            match mark.early {
                Some(_) => self.forget_mark(key)?,
                None => self.delete::<MarkRecord>(&key),
            }
        }
        Ok(())
    }

    /// Deletes one that waited.
    fn forget_mark(&mut self, key: MarkKey) -> StoreResult<(), V> {
        self.delete::<MarkRecord>(&key);
        self.count_early(key, |count| count.saturating_sub(1))?;
        let counters = self.chat_counters(key.0)?;
        let counters = ChatRecord { early: counters.early.saturating_sub(1), ..counters };
        self.put(&ChatCountersKey(key.0), &ChatRow(counters));
        Ok(())
    }

    fn tell_marked(&mut self, place: Place, what: MarkKind) -> StoreResult<(), V> {
        let chat = self.chat_at(&place.chat)?.name().to_owned();
        self.event(Event::Marked { reference: Reference::of(chat, place.number), what });
        Ok(())
    }
}

impl MarkRecord {
    fn new(by: Author, early: Option<Timestamp>) -> Self {
        Self { by, reaction: None, edit: None, withdrawn: None, early }
    }
}

impl MarkOrder {
    fn of(content: &Content) -> Self {
        let counter = content.place.map_or(0, |ChatPlace { counter, .. }| counter);
        Self { counter, id: content.id }
    }
}

impl MessageRecord {
    /// Takes an edit of its author's, if it is the newest. `row` is its number in the history.
    fn take_edit(&mut self, edit: EarlyEdit, row: u64) -> bool {
        let Text::Plain(text) = &mut self.text else { return false };
        let earlier = self.marks.edited.take();
        if earlier.as_ref().is_some_and(|earlier| earlier.order >= edit.order) {
            self.marks.edited = earlier;
            return false;
        }
        let before = std::mem::replace(text, edit.text);
        let (mut first, mut rows) = earlier.map(|earlier| (earlier.first, earlier.rows)).unwrap_or_default();
        if let Direction::Sent(_) = self.direction {
            first.get_or_insert(before);
            rows.push(row);
        }
        self.marks.edited = Some(Box::new(Edited { order: edit.order, at: edit.at, first, rows }));
        true
    }
}

impl Text {
    /// Whether somebody has said it, so that something can be said about it.
    pub(crate) fn is_said(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::NeedsNewerVersion | Self::Expired | Self::Withdrawn)
    }

    /// Whether what it said is deleted.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Expired | Self::Withdrawn)
    }
}
