//! Forgetting a group that this account is in no more: its history, and whatever else is known of it.
//!
//! The name is free at once. The history may be long, so it goes in parts; until the last one the group is a row that no
//! list shows.

use super::{
    ConfirmedRow, DeliveredKey, DeliveredRow, GroupRecord, GroupStanding, MemberRecord, PositionKey,
    PositionRecord, RebuiltKey, RebuiltRecord, RejoinKey, RejoinRecord, VoiceKey, VoiceRecord,
};
use crate::{
    account::Lookup,
    effect::{CommandError, Effect},
    id::ChatId,
    limits::{FORGET_AT_ONCE, GROUP_ROWS, GROUPS},
    row::{Direction, EarlyCountRow, GapRecord, MarkRecord, MessageRecord, SentRecord, Text},
    rows::{
        ChatCountersKey, ChatRow, IndexRow, Key, NameRow, Place, Row, SettingsKey, SettingsRow, StoreResult,
        UnconfirmedRow, UnreadRow,
    },
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    pub(super) fn forget_group(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
    ) -> StoreResult<Result<(), CommandError>, V> {
        match group.standing {
            GroupStanding::Left | GroupStanding::Removed(_) | GroupStanding::Refused(_) => {}
            _ => return Ok(Err(CommandError::StillMember(group.name))),
        }
        self.delete::<NameRow>(&self.account.lookup(Lookup::Name, &[group.name.as_bytes()]));
        // Its relay may copy there yet, if nobody has taken this account out.
        self.revoke_at_guest(group.card)?;
        self.forget_card(group.card)?;
        group.forgotten = true;
        self.put(&chat, &group);
        self.forget_history(chat)?;
        Ok(Ok(()))
    }

    /// Goes on forgetting.
    pub(crate) fn forget_on(&mut self) -> StoreResult<(), V> {
        let groups = self.scan::<GroupRecord>(&Range::all(), GROUPS)?;
        for (chat, _) in groups.into_iter().filter(|(_, group)| group.forgotten) {
            self.forget_history(chat)?;
        }
        Ok(())
    }

    fn forget_history(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let messages = self.scan::<MessageRecord>(&Range::prefix(&chat.0), FORGET_AT_ONCE)?;
        let mut forgotten = messages.len();
        for (place, message) in messages {
            self.forget_message(place, &message)?;
        }
        forgotten = forgotten.saturating_add(self.forget_rows::<SentRecord>(chat)?);
        forgotten = forgotten.saturating_add(self.forget_rows::<MarkRecord>(chat)?);
        forgotten = forgotten.saturating_add(self.forget_rows::<EarlyCountRow>(chat)?);
        forgotten = forgotten.saturating_add(self.forget_rows::<MemberRecord>(chat)?);
        if forgotten > 0 {
            // There may be more.
            self.effects.push(Effect::Due(self.now));
            return Ok(());
        }
        for (key, voice) in self.scan::<VoiceRecord>(&Range::prefix(&chat.0), FORGET_AT_ONCE)? {
            self.counters.missing = self.counters.missing.saturating_sub(voice.received.missing);
            let VoiceKey(_, numbers) = key;
            self.forget_rows::<GapRecord>(numbers)?;
            self.delete::<VoiceRecord>(&key);
        }
        self.delete::<ChatRow>(&ChatCountersKey(chat));
        self.delete::<SettingsRow>(&SettingsKey(chat));
        self.delete::<PositionRecord>(&PositionKey(chat));
        self.delete::<RejoinRecord>(&RejoinKey(chat));
        self.delete::<RebuiltRecord>(&RebuiltKey(chat));
        self.delete::<GroupRecord>(&chat);
        Ok(())
    }

    pub(crate) fn forget_message(&mut self, place: Place, message: &MessageRecord) -> StoreResult<(), V> {
        let mut named = vec![message.id];
        // A message that was withdrawn before it came has the withdrawal in its place.
        if let Text::Action(action) = &message.text {
            named.push(action.about());
        }
        for id in named {
            if self.get::<IndexRow>(&id)?.is_some_and(|IndexRow(at)| at == place) {
                self.delete::<IndexRow>(&id);
            }
        }
        match message.direction {
            Direction::Received { unread: Some(position) } => {
                self.delete::<UnreadRow>(&position);
                self.counters.unread = self.counters.unread.saturating_sub(1);
            }
            Direction::Sent(_) => {
                self.delete::<UnconfirmedRow>(&place);
                let delivered = Range::prefix(&place.to_bytes());
                for (key, _) in self.scan::<DeliveredRow>(&delivered, GROUP_ROWS)? {
                    let DeliveredKey(..) = key;
                    self.delete::<DeliveredRow>(&key);
                }
                self.delete::<ConfirmedRow>(&place);
            }
            Direction::Received { unread: None } | Direction::Noted => {}
        }
        self.delete::<MessageRecord>(&place);
        Ok(())
    }

    /// Deletes some rows of a chat, and says how many.
    pub(crate) fn forget_rows<R: Row>(&mut self, chat: ChatId) -> StoreResult<usize, V> {
        let rows = self.scan::<R>(&Range::prefix(&chat.0), FORGET_AT_ONCE)?;
        rows.iter().for_each(|(key, _)| self.delete::<R>(key));
        Ok(rows.len())
    }
}
