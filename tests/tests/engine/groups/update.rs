//! The tree of a group fills by itself, slowly, whoever is away.

use std::time::Duration;

use hermes_engine::GroupStanding;
use hermes_tests::sim::Crowd;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A group of so many, made at once, its tree blank.
fn group(seed: u64, members: usize) -> Crowd {
    let mut crowd = Crowd::new(seed, members);
    let others: Vec<_> = (1..members).collect();
    crowd.create(&others);
    crowd
}

/// Lets time pass, and counts the commits of it.
fn pass(crowd: &mut Crowd, time: Duration, of: usize) -> u64 {
    let before = crowd.details(of).group.epoch;
    crowd.wait(time);
    crowd.settle();
    crowd.details(of).group.epoch - before
}

fn agree(crowd: &Crowd, members: usize) {
    for member in 0..members {
        assert_eq!(crowd.standing(member), GroupStanding::Member);
        assert_eq!(crowd.authenticator(member), crowd.authenticator(0));
    }
}

#[test]
fn the_tree_is_filled_by_one_update_an_hour_and_then_left_alone() {
    let mut crowd = group(1, 6);
    assert_eq!(pass(&mut crowd, HOUR / 2, 0), 0, "not at once");
    let mut updates = Vec::new();
    for _ in 0..24 {
        updates.push(pass(&mut crowd, HOUR, 0));
        agree(&crowd, 6);
    }
    assert!(updates.iter().all(|updates| *updates <= 1), "{updates:?}");
    // One of each two leaves fills the nodes above both.
    assert_eq!(updates.iter().sum::<u64>(), 3, "{updates:?}");
    assert_eq!(pass(&mut crowd, DAY, 0), 0, "there is nothing to fill");
    crowd.say(4, "hello");
    crowd.settle();
    assert_eq!(crowd.heard(2), ["hello"]);
}

#[test]
fn who_is_away_holds_nobody_up() {
    let mut crowd = group(2, 4);
    // It has the first place in the order.
    crowd.stop(0);
    assert_eq!(pass(&mut crowd, HOUR + HOUR / 2, 1), 0);
    assert_eq!(pass(&mut crowd, HOUR, 1), 1, "the second one acts an hour later");
    crowd.start(0);
    crowd.settle();
    agree(&crowd, 4);
}

#[test]
fn a_leaf_gets_new_keys_once_a_week() {
    let mut crowd = group(3, 3);
    for _ in 0..12 {
        pass(&mut crowd, HOUR, 0);
    }
    let mut updates = 0;
    for _ in 0..28 {
        updates += pass(&mut crowd, DAY / 2, 0);
    }
    // Two weeks: the age of three leaves is over once or twice.
    assert!((3..=6).contains(&updates), "{updates}");
    agree(&crowd, 3);
}
