//! Who comes and who goes: what one commit costs its author, the others, and who joins by it.

use std::time::Duration;

use crate::{
    clock::Stopwatch,
    group::{
        grow::Group,
        member::{Commit, Member},
    },
};

/// The cost of one commit.
pub struct Cost {
    /// Its author's time: prepared, and merged once the relay has accepted it.
    pub author: Duration,
    /// The time of another member to follow it.
    pub other: Duration,
    /// The time to join by it.
    pub joiner: Option<Duration>,
    /// Bytes of the commit, up once and down to everybody who was a member before.
    pub commit: usize,
    /// Bytes of the welcome, up once and down to who joins.
    pub welcome: Option<usize>,
    /// Bytes that the other member stores.
    pub stored: usize,
}

/// Adds one.
pub fn add<M: Member>(group: &Group<M>) -> Cost {
    let newcomers = [M::newcomer(group.size)];
    let [newcomer] = &newcomers;
    let (mut cost, welcome) = commit(group, |creator| creator.add(&newcomers));
    let welcome = welcome.expect("a welcome");
    let began = Stopwatch::start();
    let joined = M::join(newcomer, &welcome);
    cost.joiner = Some(began.elapsed());
    drop(joined);
    cost
}

/// Removes one.
pub fn remove<M: Member>(group: &Group<M>) -> Cost {
    commit(group, |creator| creator.remove(group.removed())).0
}

fn commit<M: Member>(group: &Group<M>, make: impl FnOnce(&mut M) -> Commit) -> (Cost, Option<Vec<u8>>) {
    let Group { mut creator, mut other, .. } = group.copy();
    let began = Stopwatch::start();
    let Commit { body, welcome } = make(&mut creator);
    creator.merge();
    let author = began.elapsed();
    let mut time = Duration::ZERO;
    let stored = other.stored_by(|other| {
        let began = Stopwatch::start();
        other.follow(&body);
        time = began.elapsed();
    });
    let lengths = (body.len(), welcome.as_ref().map(Vec::len));
    (Cost { author, other: time, joiner: None, commit: lengths.0, welcome: lengths.1, stored }, welcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{hermes::HermesMember, mls_rs::MlsRsMember, openmls::OpenMlsMember};

    fn each_cost_is_one<M: Member>() {
        for group in [Group::<M>::fresh(10), Group::filled(&[10]).remove(0)] {
            for cost in [add(&group), remove(&group)] {
                assert!(cost.author > Duration::ZERO && cost.other > Duration::ZERO);
                assert!(cost.commit > 200 && cost.stored > 1_000, "{} {}", cost.commit, cost.stored);
                assert_eq!(cost.joiner.is_some(), cost.welcome.is_some());
            }
        }
    }

    #[test]
    fn members_come_and_go_with_each_library() {
        each_cost_is_one::<HermesMember>();
        each_cost_is_one::<OpenMlsMember>();
        each_cost_is_one::<MlsRsMember>();
    }
}
