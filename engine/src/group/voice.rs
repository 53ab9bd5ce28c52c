//! Whether all that a member has written is here: each numbers its messages in a group, as in a chat of two.

use hermes_protocol::content::Content;

use super::{VoiceKey, VoiceRecord};
use crate::{
    account::Lookup,
    id::ChatId,
    row::{Author, Received},
    rows::StoreResult,
    store::View,
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Notes the place of a member's message that the history is about to take as its `number`th.
    pub(super) fn note_voice(
        &mut self,
        chat: ChatId,
        author: Author,
        content: &Content,
        number: u64,
    ) -> StoreResult<(), V> {
        let hash = self.account.lookup(Lookup::Voice, &[&chat.0, &author.fingerprint.0]);
        let Some(id) = hash.0.first_chunk() else { return Ok(()) };
        let key = VoiceKey(chat, ChatId(*id));
        let mut record = match self.get::<VoiceRecord>(&key)? {
            Some(record) => VoiceRecord { author, ..record },
            None => VoiceRecord { author, received: Received::default() },
        };
        // What a member wrote before it was first heard, it may have written before this account was one.
        if record.received.messages == 0 {
            record.received.begin(content, number, self.now);
        }
        self.note_place(key.1, &mut record.received, content, number)?;
        self.put(&key, &record);
        Ok(())
    }
}
