//! A group in which somebody broke the rules goes on without them.

use std::time::Duration;

use hermes_engine::{CommandError, GroupChange, GroupStanding, LostReason};
use hermes_tests::sim::{Breach, Crowd, Death, Doom, FalseWay};
use hermes_wire::Refusal;

/// Five members, of whom the first two are admins, and the last one breaks the rules.
fn frozen(seed: u64) -> Crowd {
    let mut crowd = Crowd::new(seed, 5);
    crowd.create(&[1, 2, 3, 4]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    crowd.say(0, "before");
    crowd.settle();
    crowd.stop(3);
    break_rules(&mut crowd);
    crowd
}

fn break_rules(crowd: &mut Crowd) {
    let admin = crowd.store(0).clone();
    crowd.break_rules(4, Breach::NotAdmin(&admin));
    crowd.stop(4);
    crowd.settle();
    for member in [0, 1, 2] {
        assert!(is_frozen(crowd, member), "{member}");
    }
}

fn is_frozen(crowd: &Crowd, member: usize) -> bool {
    matches!(crowd.standing(member), GroupStanding::Frozen(author, _) if author == crowd.fingerprint(4))
}

fn agree(crowd: &Crowd, members: &[usize]) {
    for member in members {
        assert_eq!(crowd.standing(*member), GroupStanding::Member, "of {member}");
        assert_eq!(crowd.authenticator(*member), crowd.authenticator(members[0]), "of {member}");
        assert_eq!(crowd.details(*member).members.len(), members.len(), "of {member}");
        assert_eq!(crowd.details(*member).channel, crowd.details(members[0]).channel, "of {member}");
    }
}

#[test]
fn everybody_but_the_author_goes_on_in_another_channel() {
    let mut crowd = frozen(1);
    let (chat, channel) = (crowd.details(2).group.chat, crowd.details(2).channel);
    crowd.change(0, GroupChange::Rebuild);
    crowd.say(0, "we go on");
    crowd.settle();
    crowd.say(2, "so we do");
    crowd.settle();
    assert_ne!(crowd.details(0).channel, channel);
    // Who was away hears of both.
    crowd.start(3);
    crowd.settle();
    crowd.say(3, "me too");
    crowd.start(4);
    crowd.settle();
    agree(&crowd, &[0, 1, 2, 3]);
    assert_eq!(crowd.details(2).group.chat, chat);
    assert_eq!(crowd.heard(1), ["before", "we go on", "so we do", "me too"]);
    assert_eq!(crowd.heard(2), ["before", "we go on", "me too"]);
    assert_eq!(crowd.heard(3), ["before", "we go on", "so we do"]);
    assert_eq!(crowd.heard(4), ["before"]);
    assert_eq!(crowd.details(2).group.missed, 0);
    for reader in 0..4 {
        assert_eq!(crowd.unreadable(reader), 0, "at {reader}");
    }
}

#[test]
fn the_group_changes_as_before_in_its_new_channel() {
    let mut crowd = frozen(2);
    crowd.change(1, GroupChange::Rebuild);
    crowd.start(3);
    crowd.settle();
    agree(&crowd, &[0, 1, 2, 3]);
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.change(3, GroupChange::Leave);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.standing(3), GroupStanding::Left);
    assert_eq!(crowd.details(2).group.title, "ops 2");
    crowd.wait(Duration::from_secs(3_600));
    let copy = crowd.copy(2);
    crowd.put_back(2, &copy);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
}

#[test]
fn an_admin_who_breaks_the_rules_is_put_out_as_well() {
    let mut crowd = Crowd::new(3, 4);
    crowd.create(&[1, 2, 3]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    let victim = crowd.fingerprint(3);
    crowd.break_rules(1, Breach::KeptInRoster(victim));
    crowd.settle();
    let by_the_admin =
        |standing| matches!(standing, GroupStanding::Frozen(author, _) if author == crowd.fingerprint(1));
    assert!([0, 2].into_iter().all(|member| by_the_admin(crowd.standing(member))));
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    for member in [0, 2] {
        assert_eq!(crowd.standing(member), GroupStanding::Member);
        assert_eq!(crowd.authenticator(member), crowd.authenticator(0));
    }
    // Whom it had removed saw nothing else of it. An admin removes it once more, or adds it.
    assert!(matches!(crowd.standing(3), GroupStanding::Removed(_)));
    assert_eq!(crowd.details(0).members.len(), 3);
}

#[test]
fn a_group_that_was_ended_with_garbage_goes_on_with_everybody() {
    for (breach, reason) in [(Breach::Garbage, LostReason::Garbled), (Breach::NoBlob, LostReason::BlobGone)] {
        let mut crowd = Crowd::new(15, 4);
        crowd.create(&[1, 2, 3]);
        crowd.say(0, "before");
        crowd.settle();
        crowd.stop(3);
        let epoch = crowd.details(0).group.epoch;
        crowd.break_rules(2, breach);
        crowd.lose_blobs(true);
        crowd.settle();
        for member in [0, 1, 2] {
            assert_eq!(crowd.standing(member), GroupStanding::Lost(reason), "{member}");
        }
        crowd.lose_blobs(false);
        crowd.change(0, GroupChange::Rebuild);
        crowd.settle();
        crowd.lose_blobs(true);
        crowd.start(3);
        crowd.settle();
        crowd.say(3, "after");
        crowd.settle();
        agree(&crowd, &[0, 1, 2, 3]);
        assert_eq!(crowd.heard(1), ["before", "after"]);
        assert_eq!(crowd.details(0).group.epoch, epoch + 1, "nobody had to be added again");
    }
}

#[test]
fn an_admin_whom_others_may_add_again_makes_nothing_anew_before_a_day() {
    let mut crowd = Crowd::new(16, 3);
    crowd.create(&[1, 2]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    crowd.break_rules(2, Breach::Garbage);
    crowd.settle();
    assert!(matches!(crowd.try_change(0, GroupChange::Rebuild), Err(CommandError::NotFrozen(_))));
    crowd.wait(Duration::from_secs(86_400));
    assert_eq!(crowd.try_change(0, GroupChange::Rebuild), Ok(()));
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
}

#[test]
fn a_group_that_its_relay_has_forgotten_goes_on() {
    let mut crowd = Crowd::new(17, 3);
    let copy = crowd.copy_relay();
    crowd.create(&[1, 2]);
    crowd.put_relay_back(copy);
    crowd.say(0, "in no channel");
    crowd.settle();
    for _ in 0..2 {
        crowd.reconnect(0);
        crowd.settle();
    }
    assert_eq!(crowd.standing(0), GroupStanding::Lost(LostReason::RelayDiffers));
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    // The others find out when they say something, and ask.
    for member in [1, 2] {
        crowd.say(member, "in no channel either");
        crowd.settle();
        for _ in 0..2 {
            crowd.reconnect(member);
            crowd.settle();
        }
    }
    // Right after the group has moved nobody is added again who may yet find the way.
    crowd.wait(Duration::from_secs(86_400));
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
}

#[test]
fn of_two_ways_on_all_take_one() {
    for seed in 4..8 {
        let mut crowd = frozen(seed);
        // Neither has heard of the other.
        crowd.change(0, GroupChange::Rebuild);
        crowd.change(1, GroupChange::Rebuild);
        crowd.settle();
        crowd.say(0, "one");
        crowd.say(1, "another");
        crowd.start(3);
        crowd.settle();
        agree(&crowd, &[0, 1, 2, 3]);
        assert!(crowd.heard(2).ends_with(&["one".to_owned(), "another".to_owned()]), "{:?}", crowd.heard(2));
    }
}

#[test]
fn nobody_goes_where_the_author_or_a_member_leads() {
    let crowd = frozen(10);
    let (admin, victim) = (crowd.store(0).clone(), crowd.fingerprint(1));
    let channel = crowd.details(0).channel;
    for way in [
        FalseWay::NotAdmin(&admin, victim),
        FalseWay::NotAdmin(&admin, crowd.fingerprint(4)),
        FalseWay::Elsewhere(crowd.fingerprint(4)),
        FalseWay::Own(crowd.fingerprint(2)),
    ] {
        let by = match way {
            FalseWay::NotAdmin(..) => 2,
            FalseWay::Own(_) | FalseWay::Elsewhere(_) => 1,
        };
        let mut crowd = frozen(10);
        crowd.lead_astray(by, way);
        crowd.settle();
        for member in [0, 1, 2] {
            assert!(is_frozen(&crowd, member));
            assert_eq!(crowd.details(member).channel, channel);
        }
        crowd.change(0, GroupChange::Rebuild);
        crowd.start(3);
        crowd.settle();
        agree(&crowd, &[0, 1, 2, 3]);
    }
    // Whoever broke the rules was an admin, who may do so: not after that.
    let mut crowd = Crowd::new(11, 3);
    crowd.create(&[1, 2]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    let victim = crowd.fingerprint(2);
    crowd.break_rules(1, Breach::KeptInRoster(victim));
    let admin = crowd.fingerprint(0);
    crowd.lead_astray(1, FalseWay::Own(admin));
    crowd.settle();
    assert!(matches!(crowd.standing(0), GroupStanding::Frozen(author, _) if author == crowd.fingerprint(1)));
}

#[test]
fn a_way_on_is_found_whoever_dies_when() {
    for turn in 0..4 {
        for (client, doom) in
            [0, 2].into_iter().flat_map(|c| [(c, Doom::BeforeCommit), (c, Doom::AfterCommit)])
        {
            let mut crowd = frozen(12);
            crowd.change(0, GroupChange::Rebuild);
            crowd.settle_with(&[Death { client, turn, doom }]);
            crowd.start(3);
            crowd.say(2, "after");
            crowd.settle();
            agree(&crowd, &[0, 1, 2, 3]);
            assert_eq!(crowd.heard(1), ["before", "after"], "{client} died {doom:?} {turn}");
        }
    }
}

#[test]
fn a_channel_that_the_relay_refuses_leaves_the_group_as_it_was() {
    let mut crowd = frozen(13);
    let before = crowd.details(0);
    crowd.try_change(0, GroupChange::Rebuild).unwrap();
    assert_eq!(crowd.standing(0), GroupStanding::Member);
    crowd.refuse_posts(0, &Refusal::RosterMismatch);
    crowd.settle();
    assert!(is_frozen(&crowd, 0));
    let after = crowd.details(0);
    assert_eq!((after.channel, after.group.epoch), (before.channel, before.group.epoch));
    assert_eq!(after.members.len(), before.members.len());
    crowd.change(0, GroupChange::Rebuild);
    crowd.start(3);
    crowd.settle();
    agree(&crowd, &[0, 1, 2, 3]);
}

/// Its roster needs more than one frame, and the commit is larger than a post.
#[test]
fn a_large_group_goes_on_as_well() {
    const MEMBERS: usize = 70;
    let mut crowd = Crowd::new(14, MEMBERS);
    crowd.create(&(1..MEMBERS).collect::<Vec<_>>());
    let admin = crowd.store(0).clone();
    crowd.break_rules(MEMBERS - 1, Breach::NotAdmin(&admin));
    crowd.settle();
    crowd.change(0, GroupChange::Rebuild);
    crowd.say(0, "we go on");
    crowd.settle();
    agree(&crowd, &(0..MEMBERS - 1).collect::<Vec<_>>());
    crowd.say(MEMBERS - 2, "so we do");
    crowd.settle();
    assert_eq!(crowd.heard(0), ["so we do"]);
    assert_eq!(crowd.heard(MEMBERS - 3), ["we go on", "so we do"]);
}

#[test]
fn only_another_admin_makes_a_frozen_group_anew() {
    let mut crowd = frozen(9);
    assert!(matches!(crowd.try_change(2, GroupChange::Rebuild), Err(CommandError::NotAdmin(_))));
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    assert!(matches!(crowd.try_change(0, GroupChange::Rebuild), Err(CommandError::NotFrozen(_))));
}
