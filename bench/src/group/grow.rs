//! Groups of some size, of which only two members are at hand.
//!
//! A *fresh* tree is what a group looks like whose members were added and have never committed anything: nearly all inner
//! nodes are blank, and a commit is encrypted to each member alone. In a *filled* tree no inner node is blank and every
//! member knows the keys of all nodes above it: what a tree becomes once all members have committed.

use crate::group::member::Member;

/// A group seen by two of its members, in the same epoch.
pub struct Group<M> {
    /// Members.
    pub size: usize,
    /// At leaf 0; adds and removes.
    pub creator: M,
    /// In the other half of the tree, as most members are: it shares only the root with the creator. In a group of two it
    /// is also the one that is removed.
    pub other: M,
}

/// Added at once, as many as a commit of Hermes may add.
const BATCH: usize = 64;

impl<M: Member> Group<M> {
    /// Nobody but the creator has ever committed.
    pub fn fresh(size: usize) -> Self {
        let mut creator = M::found();
        let mut members = 1;
        loop {
            let batch = BATCH.min(size - members);
            let newcomers: Vec<_> = (members..members + batch).map(M::newcomer).collect();
            let commit = creator.add(&newcomers);
            creator.merge();
            members += batch;
            if members == size {
                let last = newcomers.last().expect("more than one member");
                let other = M::join(last, &commit.welcome.expect("a welcome"));
                return Self { size, creator, other };
            }
        }
    }

    /// Filled trees of all these sizes, which are even and rise.
    ///
    /// Members come in pairs, and the left one of each commits an update as soon as it is in: a node above two leaves is
    /// filled by either of them, and those above it by the last who came. The creator does it for its own pair. So no node
    /// is left blank; that the right leaf of each pair has the key of its key package costs nobody anything.
    ///
    /// Each of these steps takes as long as the tree is large, and a thousand of them would take many minutes. Beyond the first
    /// hundred, and not near who will be removed, members come in eights of which one commits an update: of the seven nodes
    /// above those eight, four stay blank. None of them is beside the path of the creator or of who is removed, so
    /// the removal costs what it costs in a tree without any blank node.
    pub fn filled(sizes: &[usize]) -> Vec<Self> {
        let mut creator = M::found();
        let (mut groups, mut members, mut left) = (Vec::new(), 1, None);
        for size in sizes.iter().copied() {
            while members < size {
                let many = at_once(members, sizes).min(size - members);
                let newcomers: Vec<_> = (members..members + many).map(M::newcomer).collect();
                let commit = creator.add(&newcomers);
                creator.merge();
                members += many;
                let first = newcomers.first().expect("a newcomer");
                let mut joined = M::join(first, &commit.welcome.expect("a welcome"));
                let update = joined.update();
                joined.merge();
                creator.follow(&update.body);
                left = Some(joined);
            }
            let mut creator = creator.copy();
            let mut other = left.take().expect("sizes rise from 2");
            let update = creator.update();
            creator.merge();
            other.follow(&update.body);
            groups.push(Self { size, creator, other });
        }
        groups
    }

    /// Who is removed: in the creator's half of the tree, in the other half of that.
    pub fn removed(&self) -> u32 {
        u32::try_from(removed(self.size)).unwrap_or(u32::MAX)
    }

    /// The same group once more.
    pub fn copy(&self) -> Self {
        Self { size: self.size, creator: self.creator.copy(), other: self.other.copy() }
    }
}

fn removed(size: usize) -> usize {
    (size / 3).max(1)
}

/// How many come next into a tree of so many that is to be filled.
fn at_once(members: usize, sizes: &[usize]) -> usize {
    let near = sizes.iter().any(|size| removed(*size) / 8 == members / 8);
    match members {
        1 => 1,
        ..104 => 2,
        _ if near => 2,
        _ => 8 - members % 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{hermes::HermesMember, mls_rs::MlsRsMember, openmls::OpenMlsMember};

    fn members_understand_each_other<M: Member>() {
        for mut group in [2, 3, 6, 70].map(Group::<M>::fresh).into_iter().chain(Group::filled(&[2, 4, 6, 20]))
        {
            let text = group.other.encrypt(b"hello");
            assert_eq!(group.creator.decrypt(&text), b"hello");
            let commit = group.creator.remove(group.removed());
            group.creator.merge();
            group.other.follow(&commit.body);
            if group.size > 2 {
                let text = group.creator.encrypt(b"there");
                assert_eq!(group.other.decrypt(&text), b"there");
            }
        }
    }

    #[test]
    fn hermes_members_understand_each_other() {
        members_understand_each_other::<HermesMember>();
    }

    #[test]
    fn openmls_members_understand_each_other() {
        members_understand_each_other::<OpenMlsMember>();
    }

    #[test]
    fn mls_rs_members_understand_each_other() {
        members_understand_each_other::<MlsRsMember>();
    }

    /// One ciphertext for each of the nodes beside the path, and one more for each node beside the path of the removed
    /// one below where both meet.
    fn a_removal_is_logarithmic_in_a_filled_tree_and_linear_in_a_fresh_one<M: Member>() {
        let removal = |group: &Group<M>| group.copy().creator.remove(group.removed()).body.len();
        let filled = Group::<M>::filled(&[64]).remove(0);
        // Five levels below the root: 6 keys, and 6 + 4 ciphertexts.
        assert!((6 * 1_216 + 10 * 1_120..6 * 1_216 + 10 * 1_120 + 3_000).contains(&removal(&filled)));
        assert!(removal(&Group::fresh(64)) > 62 * 1_120);
    }

    #[test]
    fn a_group_of_openmls_becomes_one_of_hermes() {
        for group in Group::<OpenMlsMember>::filled(&[4, 20]) {
            let Group { mut creator, mut other, .. } = group.to_hermes();
            let text = other.encrypt(b"hello");
            assert_eq!(creator.decrypt(&text), b"hello");
            let own = Group::<HermesMember>::filled(&[group.size]).remove(0);
            let removal = |mut creator: HermesMember| creator.remove(group.removed()).body.len();
            assert_eq!(removal(creator), removal(own.creator));
        }
    }

    #[test]
    fn trees_are_filled_in_pairs_where_it_matters() {
        let sizes = [2, 10, 100, 500, 998, 1_000];
        let mut members = 1;
        for size in sizes {
            while members < size {
                let many = at_once(members, &sizes).min(size - members);
                let (block, last) = (members / 8, (members + many - 1) / 8);
                assert_eq!(block, last, "{members} and {many}");
                let matters = members < 104 || [20, 41].contains(&block);
                assert!(many <= 2 || !matters, "{members} and {many}");
                members += many;
            }
        }
    }

    #[test]
    fn leaves_of_mls_rs_are_about_as_large() {
        let welcome = |commit: crate::group::member::Commit| commit.welcome.expect("a welcome").len();
        let hermes = welcome(Group::<HermesMember>::fresh(20).creator.add(&[HermesMember::newcomer(20)]));
        let mls_rs = welcome(Group::<MlsRsMember>::fresh(20).creator.add(&[MlsRsMember::newcomer(20)]));
        assert!(hermes.abs_diff(mls_rs) < hermes / 20, "{hermes} {mls_rs}");
    }

    #[test]
    fn trees_are_what_they_are_said_to_be() {
        a_removal_is_logarithmic_in_a_filled_tree_and_linear_in_a_fresh_one::<HermesMember>();
        a_removal_is_logarithmic_in_a_filled_tree_and_linear_in_a_fresh_one::<OpenMlsMember>();
        a_removal_is_logarithmic_in_a_filled_tree_and_linear_in_a_fresh_one::<MlsRsMember>();
    }
}
