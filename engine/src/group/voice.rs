//! Whether all that a member has written is here: each numbers its messages in a group, as in a chat of two.

use hermes_protocol::content::Content;

use super::{VoiceKey, VoiceRecord};
use crate::{
    id::ChatId,
    limits::GROUP_ROWS,
    row::{Author, Received},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// This account comes back after it was no member: every voice is heard anew.
    pub(super) fn hear_anew(&mut self, chat: ChatId) -> StoreResult<(), V> {
        for (key, record) in self.scan::<VoiceRecord>(&Range::prefix(&chat.0), GROUP_ROWS)? {
            self.put(&key, &VoiceRecord { anew: true, ..record });
        }
        Ok(())
    }

    /// Notes the place of a member's message that the history is about to take as its `number`th.
    pub(super) fn note_voice(
        &mut self,
        chat: ChatId,
        author: Author,
        content: &Content,
        number: u64,
    ) -> StoreResult<(), V> {
        let key = VoiceKey(chat, self.voice(chat, &author.fingerprint));
        let mut record = match self.get::<VoiceRecord>(&key)? {
            Some(record) => VoiceRecord { author, ..record },
            None => VoiceRecord { author, anew: true, received: Received::default() },
        };
        // What a member wrote before it was first heard, it may have written before this account was one.
        if std::mem::take(&mut record.anew) {
            record.received.begin(content, number, self.now);
        }
        self.note_place(key.1, &mut record.received, content, number)?;
        self.put(&key, &record);
        Ok(())
    }
}
