//! What the account calls itself. Contacts hear of it in their sessions; what they call it is theirs to say, so that a name
//! that changes renames nobody.

use hermes_protocol::{content::Body, limits::PROFILE_NAME_CHARS};

use crate::{
    effect::{CommandError, Reply, SendError},
    limits::{CONTACTS, OUTBOX_ROWS_FOR_RECEIPTS},
    row::ContactRecord,
    rows::{ProfileKey, ProfileRow, StoreResult},
    send::is_blank,
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Takes another name, and tells every contact.
    pub(crate) fn set_profile(&mut self, name: &str) -> StoreResult<Result<Reply, CommandError>, V> {
        let name = name.trim();
        let readable = !is_blank(name) && !name.chars().any(char::is_control);
        if !readable || name.chars().count() > PROFILE_NAME_CHARS {
            return Ok(Err(CommandError::BadProfileName(name.to_owned())));
        }
        if self.counters.outbox >= OUTBOX_ROWS_FOR_RECEIPTS {
            return Ok(Err(CommandError::Unsent(SendError::OutboxFull(self.counters.outbox))));
        }
        if *self.profile == name {
            return Ok(Ok(Reply::Profile));
        }
        name.clone_into(self.profile);
        self.put(&ProfileKey, &ProfileRow(name.to_owned()));
        let most = usize::try_from(CONTACTS).unwrap_or(usize::MAX);
        for (chat, contact) in self.scan::<ContactRecord>(&Range::all(), most)? {
            if contact.answered && contact.blocked.is_none() {
                // One without a session hears it in the next.
                self.post(chat, &contact, Body::Profile(name.to_owned()))?.ok();
            }
        }
        Ok(Ok(Reply::Profile))
    }
}
