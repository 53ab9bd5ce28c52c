//! Groups as large as they come, in one process.

use std::env;

use hermes_tests::sim::run_large;

/// Members in an ordinary run: more than one commit can add. `HERMES_GROUP_SIZE` asks for more.
const MEMBERS: usize = 70;

#[test]
fn all_agree_and_a_message_costs_the_same_whatever_its_size() {
    let members = env::var("HERMES_GROUP_SIZE").map_or(MEMBERS, |members| members.parse().expect("a number"));
    let pair = run_large(4).unwrap_or_else(|violation| panic!("{violation}"));
    let large = run_large(members).unwrap_or_else(|violation| panic!("{violation}"));
    for (step, time) in &large.steps {
        println!("{members} members, {step}: {time:.2?}");
    }
    println!("bytes of keys written by a message, at its sender and at a reader: {:?}", large.written);
    assert_eq!(large.written, pair.written);
    assert!(large.written.0 <= 128 && large.written.1 <= 128, "{:?}", large.written);
}
