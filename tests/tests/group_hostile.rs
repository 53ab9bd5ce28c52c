//! What members do to each other whose programs are others than this one.

use hermes_engine::{GroupChange, GroupStanding};
use hermes_tests::sim::{Breach, Crowd};

/// Four members, of whom the first two are admins.
fn four(seed: u64) -> Crowd {
    let mut crowd = Crowd::new(seed, 4);
    crowd.create(&[1, 2, 3]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    crowd
}

fn frozen_by(crowd: &Crowd, author: usize, members: &[usize]) {
    let by = crowd.fingerprint(author);
    for member in members {
        let standing = crowd.standing(*member);
        assert!(matches!(standing, GroupStanding::Frozen(found, _) if found == by), "{member}: {standing:?}");
    }
}

/// Everybody would post to a relay that nobody knows, and end as lost with nobody to blame.
#[test]
fn an_admin_that_leads_to_another_relay_is_named() {
    let mut crowd = four(1);
    crowd.break_rules(1, Breach::OtherRelay);
    crowd.settle();
    frozen_by(&crowd, 1, &[0, 2, 3]);
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    crowd.say(2, "we go on");
    crowd.settle();
    assert_eq!(crowd.standing(3), GroupStanding::Member);
    assert_eq!(crowd.heard(3), ["we go on"]);
}

/// The relay cannot tell it from a commit and ends the epoch; its author signed it.
#[test]
fn a_member_that_ends_an_epoch_with_a_wish_is_named() {
    let mut crowd = four(2);
    crowd.break_rules(2, Breach::Wish);
    crowd.settle();
    frozen_by(&crowd, 2, &[0, 1, 3]);
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    assert_eq!(crowd.standing(3), GroupStanding::Member);
    assert_eq!(crowd.details(3).members.len(), 3);
}
