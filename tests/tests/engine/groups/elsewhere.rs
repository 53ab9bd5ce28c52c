//! Members whose own mailbox is at another relay than the group.

use std::time::Duration;

use hermes_engine::{
    CommandError, GroupChange, GroupStanding, GuestEvent, GuestRefusal, LostReason,
    limits::{GUEST_IDLE, KEY_PACKAGES_KEPT, PLACE_ASKED_AGAIN},
};
use hermes_tests::sim::Crowd;
use hermes_wire::{ContactId, EnvelopeId, Sequence, Timestamp, mailbox::Delivered};
use serde_bytes::ByteBuf;

/// Three who are in a group, the last of them with its mailbox at another relay.
fn three(seed: u64) -> Crowd {
    let mut crowd = Crowd::of_two_relays(seed, 3, &[2]);
    crowd.create(&[1, 2]);
    crowd
}

/// Everybody says something, and everybody else hears it.
fn all_hear_all(crowd: &mut Crowd, members: &[usize], round: &str) {
    let before: Vec<_> = members.iter().map(|member| crowd.heard(*member).len()).collect();
    for member in members {
        crowd.say(*member, &format!("{round} of {member}"));
        crowd.settle();
    }
    for (member, before) in members.iter().zip(before) {
        let said = members.iter().filter(|other| *other != member).map(|other| format!("{round} of {other}"));
        let said: Vec<_> = said.collect();
        assert_eq!(crowd.heard(*member)[before..], said, "{member}");
    }
}

#[test]
fn a_member_of_another_relay_hears_and_is_heard() {
    let mut crowd = three(1);
    assert_eq!(crowd.details(0).members.len(), 3);
    assert!(crowd.details(0).waiting.is_empty());
    let guests = crowd.guests(2);
    assert_eq!((guests.len(), guests[0].registered), (1, true));
    assert_eq!(guests[0].relay, crowd.details(2).relay);
    assert!(crowd.guests(1).is_empty(), "its own mailbox is there");
    all_hear_all(&mut crowd, &[0, 1, 2], "one");
    assert_eq!(crowd.authenticator(0), crowd.authenticator(2));

    // Two groups share one mailbox, and neither needs the other's process to run when it is asked for.
    crowd.stop(2);
    let name = crowd.name(2);
    crowd.change(0, GroupChange::Remove(vec![name.clone()]));
    crowd.settle();
    crowd.say(0, "not for the one who is out");
    crowd.settle();
    crowd.change(0, GroupChange::Add(vec![name.clone()]));
    crowd.settle();
    let waits = crowd.details(0);
    assert_eq!((waits.members.len(), waits.waiting), (2, vec![name.clone()]));
    assert_eq!((waits.places[0].contact.as_str(), waits.places[0].refused), (name.as_str(), None));
    crowd.start(2);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
    assert_eq!(crowd.guests(2).len(), 1, "the mailbox is the one it had");
    all_hear_all(&mut crowd, &[0, 1, 2], "two");
    assert!(!crowd.heard(2).contains(&"not for the one who is out".to_owned()));
    assert_eq!(crowd.unreadable(2), 0);
}

#[test]
fn an_admin_of_another_relay_changes_the_group() {
    let mut crowd = Crowd::of_two_relays(2, 5, &[2, 4]);
    crowd.create(&[1, 2]);
    crowd.pair(2, 3);
    crowd.pair(2, 4);
    let admin = crowd.name(2);
    crowd.change(0, GroupChange::Promote(admin));
    crowd.settle();
    // One of the group's relay and one of its own: the welcome is where both look for it.
    let names = vec![crowd.name(3), crowd.name(4)];
    crowd.change(2, GroupChange::Add(names));
    crowd.settle();
    assert_eq!(crowd.details(2).members.len(), 5);
    all_hear_all(&mut crowd, &[0, 1, 2, 3, 4], "one");
    let removed = crowd.name(1);
    crowd.pair(2, 1);
    crowd.change(2, GroupChange::Remove(vec![removed]));
    crowd.settle();
    assert!(matches!(crowd.standing(1), GroupStanding::Removed(_)));
    all_hear_all(&mut crowd, &[0, 2, 3, 4], "two");
}

#[test]
fn without_a_registration_token_it_says_so_and_with_one_it_goes_on() {
    let mut crowd = Crowd::of_two_relays(3, 3, &[2]);
    crowd.ask_for_tokens(&["good"]);
    crowd.create(&[1, 2]);
    let name = crowd.name(2);
    let refused = |crowd: &Crowd| crowd.details(0).places.first().and_then(|place| place.refused);
    assert_eq!(refused(&crowd), Some(GuestRefusal::NoRegistration));
    assert_eq!(crowd.details(0).members.len(), 2, "the others are not held up");
    assert!(crowd.guests(2).is_empty());
    crowd.change(0, GroupChange::AddGuest(name.clone(), "bad".to_owned()));
    crowd.settle();
    assert_eq!(refused(&crowd), Some(GuestRefusal::NoRegistration));
    let too_long = crowd.try_change(0, GroupChange::AddGuest(name.clone(), "x".repeat(129)));
    assert_eq!(too_long, Err(CommandError::TokenTooLong(128)));
    let at_home = crowd.name(1);
    crowd.change(0, GroupChange::Remove(vec![at_home.clone()]));
    crowd.settle();
    let unasked = crowd.try_change(0, GroupChange::AddGuest(at_home.clone(), "good".to_owned()));
    assert_eq!(unasked, Err(CommandError::NoTokenWanted(at_home.clone())));
    crowd.change(0, GroupChange::AddGuest(name, "good".to_owned()));
    crowd.change(0, GroupChange::Add(vec![at_home]));
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
    all_hear_all(&mut crowd, &[0, 1, 2], "one");
}

#[test]
fn who_waits_can_be_given_up() {
    let mut crowd = Crowd::of_two_relays(4, 3, &[2]);
    crowd.create(&[1]);
    crowd.stop(2);
    let name = crowd.name(2);
    crowd.change(0, GroupChange::Add(vec![name.clone()]));
    crowd.settle();
    crowd.change(0, GroupChange::Remove(vec![name]));
    crowd.settle();
    let details = crowd.details(0);
    assert!(details.waiting.is_empty() && !details.group.changing);
    crowd.start(2);
    crowd.settle();
    assert_eq!(crowd.details(0).members.len(), 2, "a late answer changes nothing");
}

#[test]
fn an_asking_that_was_lost_is_said_again() {
    let mut crowd = Crowd::of_two_relays(5, 3, &[2]);
    crowd.create(&[1]);
    let name = crowd.name(2);
    // What the relay has for it is lost.
    crowd.fill(2, true);
    crowd.change(0, GroupChange::Add(vec![name]));
    crowd.settle();
    crowd.fill(2, false);
    crowd.settle();
    assert_eq!(crowd.details(0).waiting.len(), 1);
    crowd.wait(PLACE_ASKED_AGAIN);
    crowd.tick(0);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
}

#[test]
fn a_mailbox_without_groups_is_given_up_and_one_in_use_is_not() {
    let mut crowd = three(6);
    crowd.wait(GUEST_IDLE);
    crowd.tick(2);
    crowd.settle();
    assert_eq!(crowd.guests(2).len(), 1, "the group is there");
    crowd.change(2, GroupChange::Leave);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Left);
    crowd.tick(2);
    assert_eq!(crowd.guests(2).len(), 1, "whoever comes back soon needs no other");
    crowd.wait(GUEST_IDLE);
    crowd.tick(2);
    assert_eq!(crowd.guests(2).len(), 1, "a clock that nobody confirms ends nothing");
    crowd.stop(2);
    crowd.start(2);
    crowd.settle();
    crowd.tick(2);
    assert!(crowd.guests(2).is_empty());
    // And from nothing again.
    let name = crowd.name(2);
    crowd.change(0, GroupChange::Add(vec![name]));
    crowd.settle();
    assert_eq!(crowd.guests(2).len(), 1);
    all_hear_all(&mut crowd, &[0, 1, 2], "again");
}

#[test]
fn a_store_that_was_put_back_comes_back_into_the_same_mailbox() {
    let mut crowd = three(7);
    let copy = crowd.copy(2);
    crowd.say(1, "between");
    crowd.settle();
    crowd.put_back(2, &copy);
    crowd.settle();
    crowd.wait(Duration::from_secs(3_600));
    crowd.tick(2);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
    assert_eq!(crowd.guests(2).len(), 1);
    all_hear_all(&mut crowd, &[0, 1, 2], "after");
    assert_ne!(crowd.standing(2), GroupStanding::Lost(LostReason::Restored));
}

#[test]
fn who_asks_in_vain_to_be_added_again_can_be_added_yet() {
    let mut crowd = three(10);
    let (name, second) = (crowd.name(2), crowd.name(1));
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    // It loses its place while the one admin that it can ask is away, and is removed by the other.
    let copy = crowd.copy(2);
    crowd.say(1, "between");
    crowd.settle();
    crowd.stop(0);
    crowd.put_back(2, &copy);
    crowd.settle();
    crowd.change(1, GroupChange::Remove(vec![name.clone()]));
    crowd.settle();
    crowd.start(0);
    crowd.settle();
    // The admin passes over one who is no member; nor does anybody tell it that it is none.
    for _ in 0..=KEY_PACKAGES_KEPT {
        crowd.wait(Duration::from_secs(86_400));
        crowd.tick(2);
        crowd.settle();
    }
    assert_eq!(crowd.standing(2), GroupStanding::Lost(LostReason::Restored));
    crowd.change(0, GroupChange::Add(vec![name]));
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
    all_hear_all(&mut crowd, &[0, 1, 2], "again");
}

#[test]
fn a_guest_that_misses_a_change_comes_back() {
    let mut crowd = three(8);
    // It is away, and a post of its own tells it that the group has gone on.
    crowd.stop(2);
    let name = crowd.name(0);
    crowd.change(0, GroupChange::Rename("renamed".to_owned()));
    crowd.settle();
    assert_eq!(crowd.name(0), name);
    crowd.start(2);
    crowd.try_say(2, "sealed in the epoch that is over");
    crowd.settle();
    assert_eq!(crowd.details(2).group.title, "renamed");
    assert_eq!(crowd.heard(0).last().map(String::as_str), Some("sealed in the epoch that is over"));
}

/// A guest's relay speaks of that mailbox and of nothing else.
#[test]
fn a_guest_s_relay_brings_nothing_but_copies_for_that_mailbox() {
    let mut crowd = three(9);
    let before = crowd.unreadable(2);
    let forged = Delivered {
        sequence: Sequence(1_000),
        envelope: EnvelopeId([1; 16]),
        contact: ContactId([2; 16]),
        stored: Timestamp(1),
        body: ByteBuf::from(vec![1; 300]),
    };
    crowd.forge_at_guest(2, GuestEvent::Delivered(forged));
    crowd.forge_at_guest(2, GuestEvent::Gone(Sequence(5), Sequence(2_000)));
    assert_eq!(crowd.unreadable(2), before, "the account's records are not that relay's to write in");
    let guest = crowd.guests(2).remove(0);
    assert_eq!((guest.unreadable, guest.expired), (1, 1_000));
    assert!(guest.last_unreadable.is_some());
    crowd.settle();
    all_hear_all(&mut crowd, &[0, 1], "one");
    crowd.write(0, 2, "by the own relay");
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
}
