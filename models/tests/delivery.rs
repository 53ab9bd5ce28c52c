//! Every state of the delivery of a few messages, with a few faults.

use hermes_models::delivery::{Broken, Delivery};
use stateright::{Checker, Model};

const SMALL: Delivery = Delivery { messages: 2, faults: 2, broken: None };

#[test]
fn nothing_is_lost_shown_twice_or_out_of_order() {
    let checked = Delivery { messages: 3, faults: 2, broken: None }.checker().threads(2).spawn_bfs().join();
    println!("{} states", checked.unique_state_count());
    checked.assert_properties();
}

#[test]
fn each_rule_is_needed() {
    for (broken, property) in [
        (Broken::ReceiptFirst, "a receipt says what is durable"),
        (Broken::NoReceipts, "shown once and in order"),
        (Broken::AckFirst, "an acknowledgement says what is durable"),
        (Broken::ShowsRepeats, "shown once and in order"),
        (Broken::SentIsDone, "what was accepted is on a disk"),
    ] {
        let checked = Delivery { broken: Some(broken), ..SMALL }.checker().spawn_bfs().join();
        assert!(checked.discovery(property).is_some(), "{broken:?} goes unnoticed");
    }
}
