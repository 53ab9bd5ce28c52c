//! A group in one process, of whatever size.

use std::env;

use hermes_tests::sim::{Large, run_large};

/// Members in an ordinary run: more than one commit can add. `HERMES_GROUP_SIZE` asks for another size.
const MEMBERS: usize = 70;

#[test]
fn all_agree_and_a_message_costs_the_same_whatever_its_size() {
    let members = env::var("HERMES_GROUP_SIZE").map_or(MEMBERS, |members| members.parse().expect("a number"));
    let pair = run(2);
    let large = run(members);
    assert_eq!(large.written, pair.written);
    assert!(large.written.0 <= 128 && large.written.1 <= 128, "{:?}", large.written);
}

fn run(members: usize) -> Large {
    println!("{members} members");
    let large = run_large(members).unwrap_or_else(|violation| panic!("{violation}"));
    println!("bytes of keys written by a message, at its sender and at a reader: {:?}", large.written);
    println!("bytes of keys that are stored: {:?}", large.stored);
    large
}
