//! Whose requests the next commit decides.

use std::collections::{BTreeSet, VecDeque};

use crate::limits::{GROUP_REQUESTS, WAITING_REQUESTS};

/// Takes the requests of the next commit from those that wait, in their order, but one only of each depositor (`who`): what
/// a contact sends on many connections at once waits for its own turns, and not everybody for all of it. A daemon has one
/// stream to a mailbox, on which one request follows the answer to another, and so loses nothing.
///
/// When there is no room for more, everything goes in its order: who fills it must not keep others from coming in.
pub(crate) fn take<T, W: Ord>(waiting: &mut VecDeque<T>, who: impl Fn(&T) -> Option<W>) -> Vec<T> {
    if waiting.len() >= WAITING_REQUESTS {
        return waiting.drain(..GROUP_REQUESTS.min(waiting.len())).collect();
    }
    let (mut group, mut later, mut served) = (Vec::new(), VecDeque::new(), BTreeSet::new());
    for request in waiting.drain(..) {
        let is_next = group.len() < GROUP_REQUESTS && who(&request).is_none_or(|who| served.insert(who));
        if is_next { group.push(request) } else { later.push_back(request) }
    }
    *waiting = later;
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Option<u8> = Some(1);
    const MALLORY: Option<u8> = Some(2);

    fn taken(waiting: &mut VecDeque<(Option<u8>, usize)>) -> Vec<(Option<u8>, usize)> {
        take(waiting, |(who, _)| *who)
    }

    #[test]
    fn who_asks_for_much_waits_for_its_own_and_nobody_waits_for_all_of_it() {
        let mut waiting: VecDeque<_> = (0..20).map(|number| (MALLORY, number)).collect();
        waiting.extend([(ALICE, 0), (None, 0), (None, 1), (ALICE, 1)]);
        assert_eq!(taken(&mut waiting), [(MALLORY, 0), (ALICE, 0), (None, 0), (None, 1)]);
        assert_eq!(taken(&mut waiting), [(MALLORY, 1), (ALICE, 1)]);
        for number in 2..20 {
            assert_eq!(taken(&mut waiting), [(MALLORY, number)]);
        }
        assert!(taken(&mut waiting).is_empty());
    }

    #[test]
    fn a_commit_takes_so_many_and_leaves_the_others_in_their_order() {
        let mut waiting: VecDeque<_> = (0..GROUP_REQUESTS + 2).map(|number| (None, number)).collect();
        assert_eq!(taken(&mut waiting).len(), GROUP_REQUESTS);
        assert_eq!(taken(&mut waiting), [(None, GROUP_REQUESTS), (None, GROUP_REQUESTS + 1)]);
    }

    #[test]
    fn who_fills_all_the_room_keeps_nobody_out_of_it() {
        let mut waiting: VecDeque<_> = (0..WAITING_REQUESTS).map(|number| (MALLORY, number)).collect();
        assert_eq!(taken(&mut waiting).len(), GROUP_REQUESTS);
        assert_eq!(waiting.len(), WAITING_REQUESTS - GROUP_REQUESTS);
    }
}
