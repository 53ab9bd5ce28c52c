//! What members do to each other whose programs are others than this one.

use std::ops::ControlFlow;

use hermes_engine::{CommandError, GroupChange, GroupStanding, Order, Range, Table, View, query};
use hermes_protocol::{Body, Content, MessageId, Newer};
use hermes_tests::sim::{Breach, Crowd, MemoryStore};
use hermes_wire::Timestamp;

/// Four members, of whom the first two are admins.
fn four(seed: u64) -> Crowd {
    let mut crowd = Crowd::new(seed, 4);
    crowd.create(&[1, 2, 3]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    crowd
}

fn frozen_by(crowd: &Crowd, author: usize, members: &[usize]) {
    let by = crowd.fingerprint(author);
    for member in members {
        let standing = crowd.standing(*member);
        assert!(matches!(standing, GroupStanding::Frozen(found, _) if found == by), "{member}: {standing:?}");
    }
}

/// Everybody would post to a relay that nobody knows, and end as lost with nobody to blame.
#[test]
fn an_admin_that_leads_to_another_relay_is_named() {
    let mut crowd = four(1);
    crowd.break_rules(1, Breach::OtherRelay);
    crowd.settle();
    frozen_by(&crowd, 1, &[0, 2, 3]);
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    crowd.say(2, "we go on");
    crowd.settle();
    assert_eq!(crowd.standing(3), GroupStanding::Member);
    assert_eq!(crowd.heard(3), ["we go on"]);
}

/// The relay cannot tell it from a commit and ends the epoch; its author signed it.
#[test]
fn a_member_that_ends_an_epoch_with_a_wish_is_named() {
    let mut crowd = four(2);
    crowd.break_rules(2, Breach::Wish);
    crowd.settle();
    frozen_by(&crowd, 2, &[0, 1, 3]);
    crowd.change(0, GroupChange::Rebuild);
    crowd.settle();
    assert_eq!(crowd.standing(3), GroupStanding::Member);
    assert_eq!(crowd.details(3).members.len(), 3);
}

/// Members know the ids of each other's messages, and one who is quick could use them first.
#[test]
fn an_id_that_somebody_has_used_before_hides_no_message() {
    let mut crowd = four(3);
    crowd.write(1, 0, "first");
    crowd.settle();
    let log = query::log(crowd.store(0), &crowd.name(1), None, 10).unwrap().unwrap();
    let used = log.last().expect("a message").id;
    let say = |id, text: &str| Content {
        id,
        sent: Timestamp(1),
        place: None,
        body: Body::Text { text: text.to_owned(), reply_to: None, ttl: None },
        newer: Newer::default(),
    };
    crowd.post_content(2, &say(used, "second"));
    crowd.settle();
    assert_eq!(crowd.heard(0), ["second"]);
    let log = query::log(crowd.store(0), &crowd.name(1), None, 10).unwrap().unwrap();
    assert_eq!(log.last().map(|message| message.id), Some(used), "the other one is found as before");
    assert_ne!(
        query::log(crowd.store(0), "ops", None, 10).unwrap().unwrap().last().unwrap().id,
        MessageId(used.0)
    );
}

fn keys_of_groups(store: &MemoryStore) -> usize {
    let mut found = 0;
    for table in [Table::Mls, Table::SenderChain, Table::SenderSkipped] {
        let all = store.scan(table, &Range::all(), Order::Ascending, &mut |_, _| {
            found += 1;
            ControlFlow::Continue(())
        });
        all.expect("memory");
    }
    let all = store.scan(Table::Group, &Range::all(), Order::Ascending, &mut |_, value| {
        let row: ciborium::Value = ciborium::from_reader(value.as_slice()).expect("a record");
        let fields = row.into_map().unwrap_or_default();
        let keys = fields.iter().find(|(key, _)| key.as_text() == Some("keys"));
        let keys = keys.and_then(|(_, value)| value.as_bytes());
        found += usize::from(keys.is_some_and(|keys| !keys.is_empty()));
        ControlFlow::Continue(())
    });
    all.expect("memory");
    found
}

/// With a recording, they would open what the others went on to say in that epoch, and show who said it.
#[test]
fn whoever_is_out_of_a_group_keeps_no_keys_of_it() {
    let mut crowd = four(4);
    assert_ne!(keys_of_groups(crowd.store(2)), 0);
    let name = crowd.name(2);
    crowd.change(0, GroupChange::Remove(vec![name]));
    crowd.change(3, GroupChange::Leave);
    crowd.settle();
    crowd.stop(0);
    let copy = crowd.copy(1);
    crowd.put_back(1, &copy);
    crowd.settle();
    assert!(matches!(crowd.standing(1), GroupStanding::Lost(_)));
    assert_eq!(crowd.standing(3), GroupStanding::Left);
    for out in [1, 2, 3] {
        assert_eq!(keys_of_groups(crowd.store(out)), 0, "of {out}");
    }
}

#[test]
fn whoever_comes_again_comes_without_its_office() {
    let mut crowd = four(5);
    for name in [crowd.name(2), crowd.name(3)] {
        crowd.change(0, GroupChange::Promote(name));
    }
    crowd.settle();
    let (removed, left) = (crowd.name(2), crowd.name(3));
    crowd.change(0, GroupChange::Remove(vec![removed.clone()]));
    crowd.change(3, GroupChange::Leave);
    crowd.settle();
    assert_eq!(crowd.details(0).members.len(), 2);
    crowd.change(0, GroupChange::Add(vec![removed, left]));
    crowd.settle();
    let members = crowd.details(0).members;
    assert_eq!((members.len(), members.iter().filter(|member| member.admin).count()), (4, 2));
    assert!(!crowd.details(2).group.admin && !crowd.details(3).group.admin);
}

/// A contact's name is the user's own word for it; what a member calls itself is anybody's.
#[test]
fn a_member_that_calls_itself_like_a_contact_is_not_taken_for_it() {
    let mut crowd = Crowd::new(6, 4);
    crowd.pair(1, 3);
    crowd.create(&[1, 2]);
    let second = crowd.name(1);
    crowd.change(0, GroupChange::Promote(second));
    crowd.settle();
    let name = crowd.name(2);
    crowd.call_contact(1, 3, &name);
    for name in [name.clone(), name.to_ascii_uppercase()] {
        let asked = crowd.try_change(1, GroupChange::Promote(name));
        assert!(matches!(asked, Err(CommandError::UnknownMember { .. })), "{asked:?}");
    }
    let digits = crowd.fingerprint(2).to_string().replace(' ', "");
    crowd.try_change(1, GroupChange::Promote(digits)).unwrap();
}
