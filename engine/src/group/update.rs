//! Updates of the own leaf: they fill the tree, so that changes become cheap, and give new keys to those who have long had
//! the same.
//!
//! Members take turns without a word: each epoch gives each member its place in the order, the same for all, and it waits an
//! hour more for each place before it. So most of the time the first one acts, and one that is away holds nobody up. There
//! is at most one update an hour in a group, and who loses a race against another commit waits for its turn again.

use hermes_wire::Timestamp;

use super::{GroupRecord, GroupStanding, record::Wanted};
use crate::{
    id::ChatId,
    limits::{LEAF_AGE, UPDATE_TURN},
    rows::StoreResult,
    store::View,
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Updates the own leaf if it is this member's turn.
    pub(super) fn update_in_turn(&mut self, chat: ChatId, mut group: GroupRecord) -> StoreResult<(), V> {
        if group.standing != GroupStanding::Member || group.members < 2 || !group.wanted.is_empty() {
            return Ok(());
        }
        if !group.is_due(self.now) {
            return Ok(());
        }
        group.wanted.push(Wanted::Update);
        self.drive(chat, group)
    }
}

impl GroupRecord {
    fn is_due(&self, now: Timestamp) -> bool {
        let waits = |places: u32| UPDATE_TURN.saturating_mul(places.saturating_add(1));
        let quiet = now.since(self.begun);
        if self.place_to_fill.is_some_and(|place| quiet >= waits(place)) {
            return true;
        }
        // Leaves of one age, as in a group that was made at once, do not come of age all at once.
        let age = LEAF_AGE.max(UPDATE_TURN.saturating_mul(self.members));
        let age = age.saturating_add(UPDATE_TURN.saturating_mul(self.place_in_tree));
        quiet >= UPDATE_TURN && now.since(self.renewed) >= age
    }
}
