//! Every state of a channel in which all members commit at the same moment, with a few faults.

use hermes_models::channel::{Broken, Channel};
use stateright::{Checker, Model};

const SMALL: Channel = Channel { members: 2, commits: 1, faults: 1, broken: None };

#[test]
fn one_commit_of_an_epoch_wins_and_all_follow_it() {
    for (members, commits, faults) in [(3, 1, 1), (2, 2, 2)] {
        let model = Channel { members, commits, faults, broken: None };
        let checked = model.checker().threads(2).spawn_bfs().join();
        println!(
            "{members} members, {commits} commits each, {faults} faults: {} states",
            checked.unique_state_count()
        );
        checked.assert_properties();
    }
}

#[test]
fn each_rule_is_needed() {
    for (broken, property) in [
        (Broken::NoCompare, "what the relay took is in the history"),
        (Broken::MergesAtOnce, "histories do not fork"),
        (Broken::ForgetsPosts, "nobody is stuck"),
    ] {
        let checked = Channel { broken: Some(broken), ..SMALL }.checker().spawn_bfs().join();
        assert!(checked.discovery(property).is_some(), "{broken:?} goes unnoticed");
    }
}
