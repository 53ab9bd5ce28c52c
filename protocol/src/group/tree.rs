//! How full the ratchet tree is. A removal costs what the blank nodes of its committer's path have below them: next to
//! nothing in a full tree, and a ciphertext for nearly every member in one that has never been updated (RFC 9420, section
//! 7.4, and Alwen et al., "Security Analysis and Improvements for the IETF MLS Standard", on tainted and blank nodes).

use std::collections::{BTreeMap, BTreeSet};

use openmls::group::MlsGroup;

use crate::group::Leaf;

/// For each occupied leaf, how many blank nodes of its path an update of it would fill.
pub(super) fn blanks(group: &MlsGroup) -> BTreeMap<Leaf, u32> {
    let tree = group.treesync();
    let leaves: BTreeSet<u32> = tree.full_leaves().map(|(index, _)| index.u32()).collect();
    let blank: BTreeSet<u32> = tree.blank_parents().map(|index| index.u32()).collect();
    // A full binary tree has one leaf more than it has parents.
    let width = tree.full_parents().count().saturating_add(blank.len()).saturating_add(1);
    let width = u32::try_from(width).unwrap_or(u32::MAX);
    leaves.iter().map(|leaf| (Leaf(*leaf), blanks_above(*leaf, &leaves, &blank, width))).collect()
}

fn blanks_above(leaf: u32, leaves: &BTreeSet<u32>, blank: &BTreeSet<u32>, width: u32) -> u32 {
    let mut count = 0_u32;
    // Half of the leaves below the node that is looked at.
    let mut half = 1_u32;
    while half < width {
        let first = leaf - leaf % (half * 2);
        // The array representation (RFC 9420, appendix C) has leaves at even places and parents between; the parents are
        // counted by themselves.
        let parent = first + half - 1;
        let other = if leaf - first < half { first + half..first + half * 2 } else { first..first + half };
        // Where the other side is empty, the node is left out of the path and stays blank.
        if blank.contains(&parent) && leaves.range(other).next().is_some() {
            count = count.saturating_add(1);
        }
        half *= 2;
    }
    count
}

/// The place of a leaf among those that should update: the one with the most to fill first, of several the first in the
/// tree. `None` when it has nothing to fill.
pub(super) fn place(leaf: Leaf, blanks: &BTreeMap<Leaf, u32>) -> Option<u32> {
    let own = blanks.get(&leaf).copied().filter(|own| *own > 0)?;
    let before = |(other, blanks): &(&Leaf, &u32)| **blanks > own || (**blanks == own && **other < leaf);
    u32::try_from(blanks.iter().filter(before).count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_counted_on_the_path_and_only_where_there_is_another_side() {
        // Five leaves in a tree of eight: parents by number are 0 (0-1), 1 (0-3), 2 (2-3), 3 (all), 4 (4-5), 5 (4-7), 6 (6-7).
        let leaves: BTreeSet<u32> = (0..5).collect();
        let all: BTreeSet<u32> = (0..7).collect();
        let count = |blank: &BTreeSet<u32>| -> Vec<u32> {
            (0..5).map(|leaf| blanks_above(leaf, &leaves, blank, 8)).collect()
        };
        assert_eq!(count(&all), [3, 3, 3, 3, 1]);
        // The first has updated: its path is full.
        let rest: BTreeSet<u32> = [2, 4, 5, 6].into();
        assert_eq!(count(&rest), [0, 0, 1, 1, 0]);
        assert_eq!(count(&BTreeSet::new()), [0; 5]);
        assert_eq!(blanks_above(0, &[0].into(), &BTreeSet::new(), 1), 0);
    }

    #[test]
    fn the_first_of_those_with_most_to_fill_comes_first() {
        let blanks = BTreeMap::from([(Leaf(0), 1), (Leaf(1), 3), (Leaf(2), 3), (Leaf(4), 0)]);
        let places: Vec<_> = [0, 1, 2, 4].map(|leaf| place(Leaf(leaf), &blanks)).into();
        assert_eq!(places, [Some(2), Some(0), Some(1), None]);
    }
}
