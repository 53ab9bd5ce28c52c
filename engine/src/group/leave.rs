//! Leaving: proposed by the member, in each epoch anew, until an admin's commit covers it.

use hermes_protocol::group::{GroupError, propose_leave};

use super::{GroupRecord, GroupStanding, LostReason, Post};
use crate::{effect::CommandError, id::ChatId, rows::StoreResult, store::View, turn::Turn};

impl<V: View> Turn<'_, V> {
    pub(super) fn leave_group(
        &mut self,
        chat: ChatId,
        mut group: GroupRecord,
    ) -> StoreResult<Result<(), CommandError>, V> {
        match group.standing {
            GroupStanding::Leaving => return Ok(Ok(())),
            GroupStanding::Left | GroupStanding::Removed(_) => {
                return Ok(Err(CommandError::NoMember(group.name)));
            }
            _ => {}
        }
        let works = group.standing == GroupStanding::Member;
        if group.members <= 1 || !works {
            // Nobody is left to cover it, or nothing can be said to those who are.
            group.standing = GroupStanding::Left;
            self.end_group(chat, &mut group)?;
            return Ok(Ok(()));
        }
        let me = self.account.fingerprint();
        if group.context.admins.contains(&me) && group.context.admins.len() == 1 {
            return Ok(Err(CommandError::LastAdmin(group.name)));
        }
        group.standing = GroupStanding::Leaving;
        if group.pending.is_some() || group.awaiting.is_some() {
            // The next epoch proposes it.
            self.put(&chat, &group);
        } else {
            self.propose_to_leave(chat, group)?;
        }
        Ok(Ok(()))
    }

    /// Puts the group.
    pub(super) fn propose_to_leave(&mut self, chat: ChatId, group: GroupRecord) -> StoreResult<(), V> {
        let rows = self.mls_rows(chat)?;
        let keys = self.epoch_keys(&group)?;
        self.put(&chat, &group);
        match propose_leave(&rows, &keys, self.rng) {
            Ok((changes, body)) => {
                self.apply_mls(chat, changes);
                self.queue_post(chat, Post::Message { epoch: group.epoch }, body, None);
                Ok(())
            }
            // Every other admin has left meanwhile: this one stays one.
            Err(GroupError::LastAdmin) => {
                self.put(&chat, &GroupRecord { standing: GroupStanding::Member, ..group });
                Ok(())
            }
            Err(_) => self.lose(chat, group, LostReason::Damaged),
        }
    }
}
