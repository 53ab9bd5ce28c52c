//! What a member of a group misses, it knows of: by whom, how many, and where.

use hermes_engine::query::{self, ChatAudit};
use hermes_tests::sim::Crowd;

/// The audit of the group by one client: the messages of this member.
fn voice(crowd: &Crowd, client: usize, of: usize) -> ChatAudit {
    let audit = query::audit(crowd.store(client), Some("ops")).unwrap().expect("a group");
    let fingerprint = crowd.fingerprint(of);
    let of = |chat: &ChatAudit| chat.member.as_ref().is_some_and(|member| member.fingerprint == fingerprint);
    audit.chats.into_iter().find(of).expect("heard of")
}

#[test]
fn a_message_that_did_not_arrive_is_missed_at_the_next_of_its_author() {
    let mut crowd = Crowd::new(1, 3);
    crowd.create(&[1, 2]);
    for text in ["one", "two"] {
        crowd.say(1, text);
        crowd.settle();
    }
    crowd.fill(2, true);
    for text in ["three", "four"] {
        crowd.say(1, text);
        crowd.settle();
    }
    crowd.fill(2, false);
    crowd.say(0, "of another");
    crowd.settle();
    assert_eq!(voice(&crowd, 2, 1).received.missing, 0, "nobody can know yet");
    crowd.say(1, "five");
    crowd.settle();
    assert_eq!(crowd.heard(2), ["one", "two", "of another", "five"]);

    let missed = voice(&crowd, 2, 1).received;
    assert_eq!((missed.messages, missed.missing, missed.highest), (3, 2, 5));
    assert_eq!((missed.gaps[0].first, missed.gaps[0].last), (3, 4));
    assert!(missed.findings.is_empty(), "{missed:?}");
    assert_eq!(query::summary(crowd.store(2)).unwrap().missing, 2);
    let other = voice(&crowd, 2, 0).received;
    assert_eq!((other.messages, other.missing), (1, 0));
    let whole = voice(&crowd, 0, 1).received;
    assert_eq!((whole.messages, whole.missing), (5, 0));
    let log = query::log(crowd.store(2), "ops", None, 9).unwrap().unwrap();
    assert_eq!(log.last().unwrap().missing_before, 2);
    // All chats together have it too.
    let all = query::audit(crowd.store(2), None).unwrap().unwrap();
    assert_eq!(all.chats.iter().map(|chat| chat.received.missing).sum::<u64>(), 2);
}

#[test]
fn who_comes_later_misses_nothing_from_before() {
    let mut crowd = Crowd::new(2, 3);
    crowd.create(&[1]);
    crowd.say(1, "early");
    crowd.settle();
    crowd.change(0, hermes_engine::GroupChange::Add(vec![crowd.name(2)]));
    crowd.settle();
    crowd.say(1, "late");
    crowd.settle();
    assert_eq!(crowd.heard(2), ["late"]);
    let heard = voice(&crowd, 2, 1).received;
    assert_eq!((heard.messages, heard.missing, heard.highest), (1, 0, 2));
    assert!(heard.findings.is_empty(), "{heard:?}");
}
