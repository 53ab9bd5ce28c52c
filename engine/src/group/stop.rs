//! Why a group does not work here any more, and what goes with it.

use hermes_protocol::identity::Fingerprint;

use super::{
    GroupRecord, GroupStanding, LostReason, NextKey, NextRow, RebuiltKey, RebuiltRecord, RejoinKey,
    RejoinRecord,
};
use crate::{
    effect::{Event, GroupEvent},
    id::ChatId,
    limits::GROUPS,
    row::{FailureReason, SecretBuf},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    pub(super) fn freeze(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        author: Fingerprint,
        rule: String,
    ) -> StoreResult<(), V> {
        group.standing = GroupStanding::Frozen(author, rule);
        self.stop_group(chat, group)
    }

    /// This member cannot follow any more.
    pub(super) fn lose(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
        reason: LostReason,
    ) -> StoreResult<(), V> {
        self.note_lost(chat, &group)?;
        // What waited behind a blob that is gone may be the way on.
        if reason != LostReason::BlobGone {
            self.forget_early(group.card)?;
        }
        group.standing = GroupStanding::Lost(reason);
        group.awaiting = None;
        match reason {
            // What an admin goes on from, and everybody with it.
            LostReason::Garbled | LostReason::BlobGone | LostReason::RelayDiffers => {
                self.stop_group(chat, group.clone())?;
            }
            _ => self.end_group(chat, &mut group)?,
        }
        match reason {
            // Its sessions are as old as the store: it asks once there are others.
            LostReason::Restored => Ok(()),
            // The way on may be right behind.
            LostReason::Garbled | LostReason::BlobGone => Ok(()),
            _ => self.ask_to_be_added_again(chat, &group),
        }
    }

    /// This store went back to an old state: what it knows of its groups' chains is not what their members have heard, and
    /// key packages may have been used. Admins add it again.
    pub(crate) fn lose_groups(&mut self) -> StoreResult<(), V> {
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            match group.standing {
                GroupStanding::Member | GroupStanding::Leaving | GroupStanding::Frozen(..) => {
                    self.lose(chat, group, LostReason::Restored)?;
                }
                GroupStanding::Lost(_) => {
                    self.note_lost(chat, &group)?;
                    self.put(
                        &chat,
                        &GroupRecord { standing: GroupStanding::Lost(LostReason::Restored), ..group },
                    );
                }
                GroupStanding::Removed(_) | GroupStanding::Left | GroupStanding::Refused(_) => {}
            }
        }
        Ok(())
    }

    /// Leaves no key of any group: what is made of these rows has lost its place in all of them.
    pub(crate) fn forget_group_secrets(&mut self) -> StoreResult<(), V> {
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            let keys = SecretBuf::new(&[]);
            let bare = GroupRecord { keys, pending: None, awaiting: None, overtaken: None, ..group };
            self.put(&chat, &bare);
            self.delete::<NextRow>(&NextKey(chat));
            self.delete::<RebuiltRecord>(&RebuiltKey(chat));
            if let Some(rejoin) = self.get::<RejoinRecord>(&RejoinKey(chat))? {
                self.put(&RejoinKey(chat), &RejoinRecord { round: None, ..rejoin });
            }
        }
        Ok(())
    }

    /// Membership is over: its keys go.
    pub(super) fn end_group(&mut self, chat: ChatId, group: &mut GroupRecord) -> StoreResult<(), V> {
        self.forget_agreement(chat)?;
        group.keys = SecretBuf::new(&[]);
        self.stop_group(chat, group.clone())
    }

    pub(super) fn stop_group(&mut self, chat: ChatId, mut group: GroupRecord) -> StoreResult<(), V> {
        self.lost_race(chat, &mut group)?;
        for contact in group.waiting().collect::<Vec<_>>() {
            self.forget_place(contact, chat);
        }
        group.wanted.clear();
        self.put(&chat, &group);
        self.fail_outbox(chat, &FailureReason::GroupClosed)?;
        self.fail_held(chat)?;
        let event = GroupEvent::Stopped;
        self.event(Event::Group { chat, name: group.name, event });
        Ok(())
    }
}
