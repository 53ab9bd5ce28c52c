//! A member that cannot follow its group any more comes back by itself.

use std::time::Duration;

use hermes_engine::{GroupChange, GroupStanding, LostReason, query::WayBack};
use hermes_tests::sim::{Crowd, Death, Doom, MemoryStore};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Three members of whom the first is the admin, and an old copy of the last one's store.
fn three(seed: u64) -> (Crowd, MemoryStore) {
    let mut crowd = Crowd::new(seed, 3);
    crowd.create(&[1, 2]);
    crowd.say(0, "before");
    crowd.settle();
    let copy = crowd.copy(2);
    crowd.say(0, "meanwhile");
    crowd.settle();
    (crowd, copy)
}

fn agree(crowd: &Crowd, members: &[usize]) {
    for member in members {
        assert_eq!(crowd.standing(*member), GroupStanding::Member, "of {member}");
        assert_eq!(crowd.authenticator(*member), crowd.authenticator(members[0]), "of {member}");
        assert_eq!(crowd.details(*member).members.len(), members.len(), "of {member}");
    }
}

#[test]
fn a_restored_member_comes_back_in_the_same_chat() {
    let (mut crowd, copy) = three(1);
    let chat = crowd.details(2).group.chat;
    crowd.put_back(2, &copy);
    crowd.settle();
    crowd.say(1, "after");
    crowd.settle();
    crowd.say(2, "I am back");
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.details(2).group.chat, chat);
    assert_eq!(crowd.heard(2), ["before", "after"], "what was sent in between is gone");
    assert_eq!(crowd.heard(0), ["after", "I am back"]);
    assert_eq!(crowd.heard(1), ["before", "meanwhile", "I am back"]);
}

#[test]
fn a_member_is_back_whoever_dies_when() {
    let (mut crowd, copy) = three(2);
    crowd.put_back(2, &copy);
    let turns = crowd.settle_with(&[]);
    assert!(turns > 3);
    for turn in 0..turns {
        for (client, doom) in
            [0, 2].into_iter().flat_map(|c| [(c, Doom::BeforeCommit), (c, Doom::AfterCommit)])
        {
            let (mut crowd, copy) = three(2);
            crowd.put_back(2, &copy);
            crowd.settle_with(&[Death { client, turn, doom }]);
            crowd.wait(DAY);
            crowd.settle();
            crowd.say(1, "after");
            crowd.settle();
            agree(&crowd, &[0, 1, 2]);
            assert_eq!(crowd.heard(2), ["before", "after"], "{client} died {doom:?} {turn}");
        }
    }
}

#[test]
fn of_two_admins_one_adds_a_member_again() {
    let mut crowd = Crowd::new(3, 3);
    crowd.pair(1, 2);
    crowd.create(&[1, 2]);
    let name = crowd.name(1);
    crowd.change(0, GroupChange::Promote(name));
    crowd.settle();
    let copy = crowd.copy(2);
    let epoch = crowd.details(0).group.epoch;
    crowd.put_back(2, &copy);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.details(0).group.epoch, epoch + 1, "one commit, though both were asked");
    crowd.change(1, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.details(2).group.title, "ops 2", "who was added and made an admin changes the group");
}

#[test]
fn an_admin_that_was_away_answers_when_it_comes() {
    let (mut crowd, copy) = three(4);
    crowd.stop(0);
    crowd.put_back(2, &copy);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Lost(LostReason::Restored));
    match crowd.details(2).group.way_back {
        Some(WayBack::Admins { names, asked: Some(_) }) => assert_eq!(names, [crowd.name(0)]),
        other => panic!("{other:?}"),
    }
    for _ in 0..3 {
        crowd.wait(DAY);
        crowd.settle();
    }
    crowd.start(0);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    let epoch = crowd.details(0).group.epoch;
    crowd.wait(DAY);
    crowd.settle();
    assert_eq!(crowd.details(0).group.epoch, epoch, "nobody asks any more");
}

#[test]
fn a_lost_admin_without_another_is_told_so() {
    let (mut crowd, _) = three(5);
    let copy = crowd.copy(0);
    crowd.put_back(0, &copy);
    crowd.settle();
    assert_eq!(crowd.standing(0), GroupStanding::Lost(LostReason::Restored));
    assert_eq!(crowd.details(0).group.way_back, Some(WayBack::OnlyAdmin));
    assert_eq!(crowd.details(1).group.way_back, None);
}

#[test]
fn a_member_that_was_leaving_comes_back_to_leave() {
    let (mut crowd, copy) = three(6);
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    crowd.put_back(2, &copy);
    // A wish in an epoch that is over, which nobody hears.
    crowd.change(2, GroupChange::Leave);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Left);
    agree(&crowd, &[0, 1]);
}

#[test]
fn a_member_whose_leaving_was_granted_unseen_has_left_a_day_later() {
    let (mut crowd, copy) = three(6);
    crowd.put_back(2, &copy);
    // The process learns only then that its store is an old one.
    crowd.change(2, GroupChange::Leave);
    crowd.settle();
    agree(&crowd, &[0, 1]);
    crowd.wait(DAY);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Left);
}

#[test]
fn a_missed_commit_shows_in_what_comes_after_it() {
    let (mut crowd, _) = three(7);
    crowd.fill(2, true);
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    crowd.fill(2, false);
    crowd.say(0, "in another epoch");
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.heard(2), ["before", "meanwhile"]);
    assert_eq!(crowd.details(2).group.title, "ops 2");
}

#[test]
fn a_missed_commit_shows_when_nothing_comes_after_it() {
    let (mut crowd, _) = three(8);
    crowd.fill(2, true);
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    crowd.fill(2, false);
    crowd.say(2, "in an epoch that is over");
    crowd.write(0, 2, "the mailbox is empty when this has been taken");
    crowd.settle();
    crowd.reconnect(2);
    crowd.wait(HOUR);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member, "the commit may be on its way yet");
    crowd.reconnect(2);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.heard(0), Vec::<String>::new(), "it has failed, and its author was told");
    crowd.say(2, "again");
    crowd.settle();
    assert_eq!(crowd.heard(0), ["again"]);
}

#[test]
fn a_missed_commit_shows_without_a_new_connection_too() {
    let (mut crowd, _) = three(14);
    crowd.fill(2, true);
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    crowd.fill(2, false);
    crowd.say(2, "in an epoch that is over");
    crowd.settle();
    for days in [1, 1] {
        assert_eq!(crowd.standing(2), GroupStanding::Member);
        crowd.wait(days * DAY);
        crowd.write(0, 2, "another day");
        crowd.settle();
    }
    agree(&crowd, &[0, 1, 2]);
}

#[test]
fn a_commit_that_is_late_is_none_that_was_missed() {
    let (mut crowd, _) = three(9);
    crowd.stop(2);
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    crowd.start(2);
    let epoch = crowd.details(0).group.epoch;
    crowd.say(2, "overtaken");
    crowd.wait(HOUR);
    crowd.settle();
    crowd.wait(HOUR);
    crowd.reconnect(2);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!((crowd.details(0).group.epoch, crowd.heard(0)), (epoch, vec!["overtaken".to_owned()]));
}

#[test]
fn a_relay_that_knows_less_than_a_member_loses_it_the_group() {
    let (mut crowd, _) = three(10);
    let copy = crowd.copy_relay();
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    crowd.put_relay_back(copy);
    crowd.say(1, "in an epoch that the relay has forgotten");
    crowd.say(0, "and another");
    crowd.settle();
    for member in [0, 1, 0, 1] {
        crowd.reconnect(member);
        crowd.settle();
    }
    for member in [0, 1] {
        let lost = GroupStanding::Lost(LostReason::RelayDiffers);
        assert_eq!(crowd.standing(member), lost, "of {member}");
    }
    assert_eq!(crowd.standing(2), GroupStanding::Member, "it has said nothing yet");
}

#[test]
fn a_member_from_whom_a_commit_was_withheld_comes_back() {
    let mut crowd = Crowd::new(11, 9);
    crowd.create(&[1]);
    let names = (2..9).map(|client| crowd.name(client)).collect();
    crowd.withhold_blobs(1, true);
    crowd.change(0, GroupChange::Add(names));
    crowd.settle();
    assert_eq!(crowd.standing(1), GroupStanding::Lost(LostReason::BlobGone));
    crowd.withhold_blobs(1, false);
    crowd.wait(DAY);
    crowd.settle();
    agree(&crowd, &(0..9).collect::<Vec<_>>());
}

#[test]
fn who_is_no_member_any_more_asks_in_vain() {
    let (mut crowd, copy) = three(12);
    let name = crowd.name(2);
    crowd.change(0, GroupChange::Remove(vec![name]));
    crowd.settle();
    let epoch = crowd.details(0).group.epoch;
    crowd.put_back(2, &copy);
    for _ in 0..3 {
        crowd.wait(DAY);
        crowd.settle();
    }
    assert_eq!(crowd.standing(2), GroupStanding::Lost(LostReason::Restored));
    agree(&crowd, &[0, 1]);
    assert_eq!(crowd.details(0).group.epoch, epoch);
}

#[test]
fn a_member_is_heeded_once_an_hour() {
    let (mut crowd, copy) = three(13);
    let before = crowd.details(0).group.epoch;
    crowd.put_back(2, &copy);
    crowd.settle();
    for _ in 0..3 {
        let again = crowd.copy(2);
        crowd.put_back(2, &again);
        crowd.settle();
    }
    assert_eq!(crowd.standing(2), GroupStanding::Lost(LostReason::Restored));
    assert_eq!(crowd.details(0).group.epoch, before + 1);
    crowd.wait(DAY);
    crowd.settle();
    agree(&crowd, &[0, 1, 2]);
    assert_eq!(crowd.details(0).group.epoch, before + 2);
}
