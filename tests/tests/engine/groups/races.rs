//! What happens at the same moment in a group settles: nothing forks, and no accepted message is lost without a report.

use hermes_engine::{
    GroupChange, GroupStanding, MessageState, Text,
    query::{self, MessageDirection},
};
use hermes_tests::sim::{Breach, Crowd, Death, Doom};

/// Four members of whom the first two are admins, and all know the first two.
fn two_admins(seed: u64) -> Crowd {
    let mut crowd = Crowd::new(seed, 5);
    for other in 2..5 {
        crowd.pair(1, other);
    }
    crowd.create(&[1, 2, 3]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    crowd
}

fn agree(crowd: &Crowd, members: &[usize]) {
    for member in members {
        assert_eq!(crowd.standing(*member), GroupStanding::Member, "of {member}");
        assert_eq!(crowd.authenticator(*member), crowd.authenticator(members[0]), "of {member}");
        assert_eq!(crowd.details(*member).members.len(), members.len(), "of {member}");
        assert!(!crowd.details(*member).group.changing, "of {member}");
    }
}

/// What became of what a client has written, in order.
fn written(crowd: &Crowd, client: usize) -> Vec<(String, MessageState)> {
    let log = query::log(crowd.store(client), "ops", None, usize::MAX).unwrap().unwrap();
    let sent = log.into_iter().filter_map(|message| match (message.direction, message.text) {
        (MessageDirection::Sent(state), Text::Plain(text)) => Some((text, state)),
        _ => None,
    });
    sent.collect()
}

#[test]
fn two_admins_change_the_group_at_the_same_moment() {
    let mut crowd = two_admins(1);
    let (third, fifth) = (crowd.name(2), crowd.name(4));
    crowd.change(0, GroupChange::Remove(vec![third]));
    crowd.change(1, GroupChange::Add(vec![fifth]));
    crowd.settle();
    agree(&crowd, &[0, 1, 3, 4]);
    assert!(matches!(crowd.standing(2), GroupStanding::Removed(_)));
    // The same change by both is made once.
    let epoch = crowd.details(0).group.epoch;
    let fourth = crowd.name(3);
    crowd.change(0, GroupChange::Remove(vec![fourth.clone()]));
    crowd.change(1, GroupChange::Remove(vec![fourth]));
    crowd.settle();
    agree(&crowd, &[0, 1, 4]);
    assert_eq!(crowd.details(0).group.epoch, epoch + 1);
}

#[test]
fn a_commit_races_a_hundred_messages() {
    let mut crowd = two_admins(2);
    let fifth = crowd.name(4);
    for number in 0..50 {
        crowd.say(2, &format!("2: {number}"));
        crowd.say(3, &format!("3: {number}"));
    }
    crowd.change(0, GroupChange::Add(vec![fifth]));
    crowd.settle();
    agree(&crowd, &[0, 1, 2, 3, 4]);
    for reader in [0, 1] {
        let heard = crowd.heard(reader);
        for author in ["2", "3"] {
            let of: Vec<_> = heard.iter().filter(|text| text.starts_with(author)).collect();
            let wanted: Vec<_> = (0..50).map(|number| format!("{author}: {number}")).collect();
            assert!(of.iter().copied().eq(&wanted), "{reader} has {of:?}");
        }
    }
    assert_eq!(crowd.heard(0), crowd.heard(1), "one order");
    for author in [2, 3] {
        let lost = written(&crowd, author)
            .into_iter()
            .find(|(_, state)| !matches!(state, MessageState::Relayed | MessageState::Delivered));
        assert_eq!(lost, None);
    }
}

#[test]
fn a_member_is_removed_while_it_is_offline_with_unsent_messages() {
    let mut crowd = two_admins(3);
    crowd.stop(2);
    crowd.say(2, "never to be read");
    let third = crowd.name(2);
    crowd.change(0, GroupChange::Remove(vec![third]));
    crowd.settle();
    crowd.say(0, "among us");
    crowd.settle();
    crowd.start(2);
    crowd.settle();
    assert!(matches!(crowd.standing(2), GroupStanding::Removed(_)));
    let told = written(&crowd, 2);
    assert!(matches!(told.as_slice(), [(_, MessageState::Failed(_))]), "{told:?}");
    assert!(crowd.heard(2).is_empty());
    assert_eq!(crowd.heard(1), ["among us"]);
    agree(&crowd, &[0, 1, 3]);
}

#[test]
fn of_two_admins_who_remove_each_other_one_stays() {
    let mut crowd = two_admins(4);
    let (first, second) = (crowd.name(0), crowd.name(1));
    crowd.change(0, GroupChange::Remove(vec![second]));
    crowd.change(1, GroupChange::Remove(vec![first]));
    crowd.settle();
    let gone = |member: usize| matches!(crowd.standing(member), GroupStanding::Removed(_));
    assert!(gone(0) != gone(1), "{:?}, {:?}", crowd.standing(0), crowd.standing(1));
    let left = if gone(0) { 1 } else { 0 };
    agree(&crowd, &[left, 2, 3]);
    crowd.say(left, "it goes on");
    crowd.settle();
    assert_eq!(crowd.heard(3), ["it goes on"]);
}

#[test]
fn a_committer_dies_on_either_side_of_its_disk() {
    for turn in 0..6 {
        for doom in [Doom::BeforeCommit, Doom::AfterCommit] {
            let mut crowd = two_admins(5);
            let (third, fifth) = (crowd.name(2), crowd.name(4));
            crowd.change(0, GroupChange::Remove(vec![third]));
            crowd.change(0, GroupChange::Add(vec![fifth]));
            crowd.say(3, "meanwhile");
            crowd.settle_with(&[Death { client: 0, turn, doom }]);
            crowd.settle();
            agree(&crowd, &[0, 1, 3, 4]);
            crowd.say(4, "hello");
            crowd.settle();
            assert_eq!(crowd.heard(0), ["meanwhile", "hello"], "died {doom:?} {turn}");
            assert_eq!(crowd.heard(1), crowd.heard(0));
        }
    }
}

#[test]
fn garbage_for_a_commit_is_lived_through_with_messages_under_way() {
    let mut crowd = two_admins(6);
    crowd.stop(3);
    crowd.say(3, "written meanwhile");
    crowd.break_rules(2, Breach::Garbage);
    crowd.settle();
    for member in [0, 1] {
        assert!(!matches!(crowd.standing(member), GroupStanding::Member), "{member} has noticed");
    }
    crowd.start(3);
    crowd.settle();
    // Whatever the admins do next, the author of a message hears that it did not go.
    let told = written(&crowd, 3);
    assert!(matches!(told.as_slice(), [(_, MessageState::Failed(_))]), "{told:?}");
}
