//! Channels: one order for everyone, the first commit of an epoch wins, and who receives what.

use std::{cell::RefCell, time::Duration};

use crate::common::{
    Ask, DAY, NOW, PLENTY, at,
    backend::Backend,
    counting::Counting,
    deposit,
    group::{Group, Member, place, post_id, reached, roster},
};
use hermes_relay::{
    Limits, Outcome, Policy, Registration, Relay, Request, Store,
    channel::{Standing, admit},
    fanout::vouched,
    limits::{CHANNEL_IDLE, COMMIT_COPIES, MAILBOX_CHANNELS, Rate},
    relay::Committed,
    store::{About, Hour, fjall::FjallStore, memory::MemoryStore},
};
use hermes_wire::{
    ChannelId, Refusal, Sequence,
    channel::{Copy, PostToken, Roster, RosterKey},
    limits::POST_BYTES,
    token::Permission,
};

over_both_stores! {
    everyone_gets_a_copy_in_one_order,
    of_two_commits_for_one_epoch_one_wins,
    a_repeat_is_answered_like_the_first_even_in_a_later_epoch,
    who_leaves_hears_of_it_and_who_comes_knows_nothing_before,
    what_is_stale_or_ahead_is_told_so_and_a_strange_token_is_not_told_anything,
    a_restart_between_loses_nothing,
}

fn policy(limits: Limits) -> Policy {
    Policy { registration: Registration::Open, limits }
}

fn started<S: Store>(store: S, members: &[&Member]) -> Relay<S> {
    let mut relay = Relay::new(store, policy(Limits::default())).unwrap();
    members.iter().for_each(|member| drop(relay.registers(NOW, &member.owner)));
    relay
}

/// A relay in memory with a channel of these members.
fn with_group(limits: Limits, members: &[&Member]) -> (Relay<MemoryStore>, Group) {
    let mut relay = Relay::new(MemoryStore::new(), policy(limits)).unwrap();
    members.iter().for_each(|member| drop(relay.registers(NOW, &member.owner)));
    let group = Group::new(1, members);
    assert_eq!(group.creates(&mut relay), Outcome::Created);
    (relay, group)
}

/// Who is told of an envelope reads the store at once: it has to be there, and what comes later not yet.
#[test]
fn owners_are_told_after_each_commit_of_a_group_what_is_in_the_store_then() {
    const MEMBERS: u8 = 64;
    const POSTS: u64 = 3 * (COMMIT_COPIES / MEMBERS as usize) as u64 / 2;
    let directory = tempfile::tempdir().unwrap();
    let store = FjallStore::open(directory.path()).unwrap();
    let members: Vec<_> = (0..MEMBERS).map(Member::new).collect();
    let members: Vec<_> = members.iter().collect();
    let mut relay = started(store.clone(), &members);
    let group = Group::new(1, &members);
    assert_eq!(group.creates(&mut relay), Outcome::Created);
    let posts = (0..POSTS).map(|number| group.post_request(group.post(number, b"text"))).collect();
    let told = RefCell::new(Vec::new());
    let here = members[0].owner.mailbox;
    let came = |committed: Vec<Committed>| {
        let last = committed.iter().map(|one| one.sequence).max().unwrap();
        for one in &committed {
            assert_eq!(store.mailbox(one.mailbox).unwrap().unwrap().head, last);
            let row = store.envelopes(one.mailbox, Sequence(one.sequence.0 - 1), PLENTY).unwrap().remove(0);
            assert_eq!(row.sequence, one.sequence);
            assert_eq!(one.envelope, (one.mailbox == here).then_some(row));
        }
        told.borrow_mut()
            .extend(committed.iter().filter(|one| one.mailbox == here).map(|one| one.sequence.0));
        told.borrow_mut().push(0);
    };
    relay.apply_for(NOW, posts, |mailbox| mailbox == here, came).unwrap();
    let first = (COMMIT_COPIES / usize::from(MEMBERS)) as u64;
    let expected: Vec<_> = (1..=first).chain([0]).chain(first + 1..=POSTS).chain([0]).collect();
    assert_eq!(told.into_inner(), expected);
}

fn everyone_gets_a_copy_in_one_order<B: Backend>(backend: &B) {
    let [alice, bob] = [1, 2].map(Member::new);
    let mut relay = started(backend.reopen(None), &[&alice, &bob]);
    let group = Group::new(1, &[&alice, &bob]);
    assert_eq!(group.creates(&mut relay), Outcome::Created);
    let requests =
        [(1, "one"), (2, "two")].map(|(id, body)| group.post_request(group.post(id, body.as_bytes())));
    let outcomes = relay.apply(NOW, requests.to_vec()).unwrap();
    assert_eq!(outcomes.into_iter().map(place).collect::<Vec<_>>(), [Ok(1), Ok(2)]);
    let outcome = relay.ask(NOW, group.post_request(group.post(3, b"three")));
    assert_eq!(reached(outcome), [alice.owner.mailbox, bob.owner.mailbox]);
    for member in [&alice, &bob] {
        assert_eq!(
            member.summary(&relay),
            ["1 message one in 0", "2 message two in 0", "3 message three in 0"]
        );
    }
    let Copy::Message { channel, post, .. } = &alice.copies(&relay)[1] else { panic!() };
    assert_eq!((*channel, *post), (group.channel, post_id(2)));
}

fn of_two_commits_for_one_epoch_one_wins<B: Backend>(backend: &B) {
    let [alice, bob] = [1, 2].map(Member::new);
    let mut relay = started(backend.reopen(None), &[&alice, &bob]);
    let group = Group::new(1, &[&alice, &bob]);
    group.creates(&mut relay);
    let (first, next) = group.commit(1, b"first", group.roster.clone());
    let (second, _) = group.commit(2, b"second", group.roster.clone());
    let stale = Refusal::StaleEpoch { epoch: 1, head: next.head };
    let requests = [&first, &second].map(|commit| group.commit_request(commit.clone()));
    let outcomes = relay.apply(NOW, requests.to_vec()).unwrap();
    assert_eq!(outcomes.into_iter().map(place).collect::<Vec<_>>(), [Ok(1), Err(stale.clone())]);
    assert_eq!(group.commits(&mut relay, &second), Err(stale.clone()));
    // A message of the epoch before comes too late as well, and one of the next does not.
    assert_eq!(group.posts(&mut relay, 3, b"late"), Err(stale));
    assert_eq!(next.posts(&mut relay, 4, b"in time"), Ok(2));
    assert_eq!(bob.summary(&relay), ["1 commit first of 0", "2 message in time in 1"]);
    let Copy::Commit { roster, .. } = &bob.copies(&relay)[0] else { panic!() };
    assert_eq!(*roster, next.roster.hash(group.channel));
}

fn a_repeat_is_answered_like_the_first_even_in_a_later_epoch<B: Backend>(backend: &B) {
    let [alice, bob] = [1, 2].map(Member::new);
    let mut relay = started(backend.reopen(None), &[&alice, &bob]);
    let group = Group::new(1, &[&alice, &bob]);
    group.creates(&mut relay);
    assert_eq!(group.posts(&mut relay, 1, b"one"), Ok(1));
    let (commit, next) = group.commit(2, b"commit", group.roster.clone());
    assert_eq!(group.commits(&mut relay, &commit), Ok(2));
    assert_eq!(next.posts(&mut relay, 3, b"two"), Ok(3));

    let again = relay.ask(NOW, group.post_request(group.post(1, b"one")));
    assert_eq!(reached(again.clone()), []);
    assert_eq!(place(again), Ok(1));
    assert_eq!(group.commits(&mut relay, &commit), Ok(2));
    assert_eq!(group.creates(&mut relay), Outcome::Created);
    assert_eq!(alice.envelopes(&relay).len(), 3);
    // Its id is taken: by another body, by a message that says what the commit said, by another create.
    assert_eq!(next.posts(&mut relay, 1, b"other"), Err(Refusal::IdConflict));
    assert_eq!(next.posts(&mut relay, 2, b"commit"), Err(Refusal::IdConflict));
    let mut create = next.create();
    create.post = post_id(9);
    assert_eq!(relay.ask(NOW, next.create_request(create)), Outcome::Refused(Refusal::IdConflict));
    // Remembered while its copies may wait and a day more.
    let late = at(31 * DAY - 1);
    relay.sweeps(late);
    assert_eq!(place(relay.ask(late, next.post_request(group.post(1, b"one")))), Ok(1));
    relay.sweeps(at(31 * DAY + 3_600_000));
    assert_eq!(relay.store().posted(group.channel, post_id(1)).unwrap(), None);
}

fn who_leaves_hears_of_it_and_who_comes_knows_nothing_before<B: Backend>(backend: &B) {
    let [alice, bob, carol] = [1, 2, 3].map(Member::new);
    let mut relay = started(backend.reopen(None), &[&alice, &bob, &carol]);
    let group = Group::new(1, &[&alice, &bob]);
    group.creates(&mut relay);
    group.posts(&mut relay, 1, b"before").unwrap();
    let (commit, group) = group.commit(2, b"bob out, carol in", roster(&[&alice, &carol]));
    assert_eq!(group.commits(&mut relay, &commit), Ok(2));
    group.posts(&mut relay, 3, b"after").unwrap();
    assert_eq!(bob.summary(&relay), ["1 message before in 0", "2 commit bob out, carol in of 0"]);
    assert_eq!(carol.summary(&relay), ["3 message after in 1"]);
    assert_eq!(alice.summary(&relay).len(), 3);
}

fn what_is_stale_or_ahead_is_told_so_and_a_strange_token_is_not_told_anything<B: Backend>(backend: &B) {
    let alice = Member::new(1);
    let mut relay = started(backend.reopen(None), &[&alice]);
    let first = Group::new(1, &[&alice]);
    first.creates(&mut relay);
    let mut groups = vec![first];
    for number in 1..=9 {
        let group = groups.last().unwrap();
        let (commit, next) = group.commit(number, &[number as u8], group.roster.clone());
        assert_eq!(group.commits(&mut relay, &commit), Ok(number));
        groups.push(next);
    }
    let last = groups.last().unwrap();
    let stale = Err(Refusal::StaleEpoch { epoch: 9, head: last.head });
    // The tokens of the last eight epochs are known, and no others.
    assert_eq!(groups[0].posts(&mut relay, 20, b""), Err(Refusal::NoEntry));
    for group in &groups[1..9] {
        assert_eq!(group.posts(&mut relay, 20, b""), stale);
    }
    let mut post = last.post(20, b"");
    post.epoch = 10;
    assert_eq!(place(relay.ask(NOW, last.post_request(post.clone()))), Err(Refusal::EpochAhead { epoch: 9 }));
    post.epoch = 8;
    assert_eq!(place(relay.ask(NOW, last.post_request(post.clone()))), stale);
    (post.epoch, post.token) = (9, groups[8].token());
    assert_eq!(place(relay.ask(NOW, last.post_request(post.clone()))), stale);
    post.token = PostToken::new([0; 32]);
    assert_eq!(place(relay.ask(NOW, last.post_request(post))), Err(Refusal::NoEntry));
    // Another head than the channel's is another history.
    let (mut commit, _) = last.commit(21, b"", last.roster.clone());
    commit.head = groups[8].head;
    assert_eq!(last.commits(&mut relay, &commit), stale);
}

fn a_restart_between_loses_nothing<B: Backend>(backend: &B) {
    let [alice, bob] = [1, 2].map(Member::new);
    let mut relay = started(backend.reopen(None), &[&alice, &bob]);
    let group = Group::new(1, &[&alice, &bob]);
    group.creates(&mut relay);
    group.posts(&mut relay, 1, b"one").unwrap();
    let again = |relay: Relay<B::Store>| {
        Relay::new(backend.reopen(Some(relay.into_store())), policy(Limits::default())).unwrap()
    };
    let mut relay = again(relay);
    assert_eq!(group.posts(&mut relay, 1, b"one"), Ok(1));
    let (commit, next) = group.commit(2, b"commit", roster(&[&bob]));
    assert_eq!(group.commits(&mut relay, &commit), Ok(2));
    let mut relay = again(relay);
    assert_eq!(group.commits(&mut relay, &commit), Ok(2));
    assert_eq!(next.posts(&mut relay, 3, b"three"), Ok(3));
    assert_eq!(alice.summary(&relay), ["1 message one in 0", "2 commit commit of 0"]);
    assert_eq!(bob.summary(&relay).len(), 3);
}

#[test]
fn no_channel_and_no_permission_are_one_answer_after_the_same_work() {
    let alice = Member::new(1);
    let (relay, group) = with_group(Limits::default(), &[&alice]);
    let store = Counting::new(relay.into_store());
    let strange = PostToken::new([9; 32]);
    let absent = ChannelId([9; 32]);
    // The hash that stands in for a missing one opens nothing either.
    for (channel, token) in [(absent, &group.token()), (group.channel, &strange), (absent, &strange)] {
        store.reads.set(0);
        assert_eq!(admit(&store, channel, token).unwrap(), Err(Refusal::NoEntry));
        assert_eq!(store.reads.get(), 1);
    }
    store.reads.set(0);
    assert_eq!(admit(&store, group.channel, &group.token()).unwrap(), Ok(Standing::Current));
    assert_eq!(store.reads.get(), 1);
}

#[test]
fn a_roster_that_is_not_the_declared_one_or_does_not_open_changes_nothing() {
    let [alice, bob] = [1, 2].map(Member::new);
    let (mut relay, group) = with_group(Limits::default(), &[&alice, &bob]);
    let (good, _) = group.commit(1, b"commit", roster(&[&alice]));
    let mismatch = Err(Refusal::RosterMismatch);
    let mut wrong = good.clone();
    wrong.next.roster = group.roster.hash(group.channel);
    assert_eq!(group.commits(&mut relay, &wrong), mismatch);
    let mut wrong = good.clone();
    wrong.next.change = roster(&[&alice]).change_to(&Roster::default()).unwrap();
    assert_eq!(group.commits(&mut relay, &wrong), mismatch);
    let mut wrong = good.clone();
    wrong.roster = RosterKey::new([9; 32]);
    assert_eq!(group.commits(&mut relay, &wrong), mismatch);
    let mut post = group.post(2, b"");
    post.roster = RosterKey::new([9; 32]);
    assert_eq!(place(relay.ask(NOW, group.post_request(post))), mismatch);
    assert!(alice.envelopes(&relay).is_empty());
    assert_eq!(group.commits(&mut relay, &good), Ok(1));
}

#[test]
fn nobody_is_put_into_a_roster_without_a_permission_for_it() {
    let [alice, bob, stranger] = [1, 2, 3].map(Member::new);
    let (mut relay, group) = with_group(Limits::default(), &[&alice]);
    relay.registers(NOW, &bob.owner);
    let revoked = Member::of(bob.owner.clone(), 9);
    let revoke =
        Request::Revoke { mailbox: bob.owner.mailbox, contact: revoked.contact, until: at(365 * DAY) };
    relay.ask(NOW, revoke);
    let mut foreign = bob.entry();
    foreign.token = alice.owner.issue(&alice.token());
    let with = |change: fn(&mut hermes_wire::token::DropToken)| {
        let mut token = bob.token();
        change(&mut token);
        bob.entry_with(&token)
    };
    let entries = [
        foreign,
        with(|token| token.permission = Permission::Deposit),
        with(|token| token.permission = Permission::DepositAndPrekeys),
        with(|token| token.expiry = at(0)),
        with(|token| token.uses = Some(3)),
        revoked.entry(),
        stranger.entry(),
    ];
    let (id, later) = (2, at(1));
    for entry in entries {
        let next = Roster::new([(0, alice.entry()), (1, entry.clone())]).unwrap();
        let (commit, _) = group.commit(id, b"", next);
        let refused = place(relay.ask(later, group.commit_request(commit)));
        assert_eq!(refused, Err(Refusal::RosterMismatch), "{entry:?}");
        // As the first of a new channel, it pays for none.
        let mut other = Group::new(7, &[]);
        other.roster = Roster::new([(1, entry)]).unwrap();
        let created = relay.ask(later, other.create_request(other.create()));
        assert_eq!(created, Outcome::Refused(Refusal::RosterMismatch));
    }
    let nobody = Group::new(7, &[]);
    assert_eq!(nobody.creates(&mut relay), Outcome::Refused(Refusal::RosterMismatch));
    let (commit, _) = group.commit(id, b"", roster(&[&alice, &bob]));
    assert_eq!(group.commits(&mut relay, &commit), Ok(1));
}

/// Who was shut out could tell by the time whether the mailbox is still there.
#[test]
fn whoever_may_make_no_channel_hears_so_after_the_same_work_whatever_the_reason() {
    let (alice, stranger) = (Member::new(1), Member::new(2));
    let mut relay = Relay::new(MemoryStore::new(), policy(Limits::default())).unwrap();
    relay.registers(NOW, &alice.owner);
    let (mailbox, contact) = (alice.owner.mailbox, Member::of(alice.owner.clone(), 9).contact);
    let revoked = Request::Revoke { mailbox, contact, until: at(365 * DAY) };
    assert_eq!(relay.ask(NOW, revoked), Outcome::Revoked(contact));
    let mut forged = stranger.entry();
    forged.mailbox = mailbox;
    let mut relay = Relay::new(Counting::new(relay.into_store()), policy(Limits::default())).unwrap();
    let refused = [stranger.entry(), forged, Member::of(alice.owner.clone(), 9).entry()];
    for (number, entry) in (1..).zip(refused) {
        relay.store().reads.set(0);
        assert!(!vouched(relay.store(), NOW, &entry).unwrap());
        assert_eq!(relay.store().reads.get(), 2);
        // Entries that come later are checked with the rest.
        let group = Group { roster: Roster::new([(0, entry)]).unwrap(), ..Group::new(number, &[]) };
        relay.store().reads.set(0);
        assert_eq!(group.creates(&mut relay), Outcome::Refused(Refusal::RosterMismatch));
        assert_eq!(relay.store().reads.get(), 2);
    }
    relay.store().reads.set(0);
    assert!(vouched(relay.store(), NOW, &alice.entry()).unwrap());
    assert_eq!(relay.store().reads.get(), 2);
}

#[test]
fn a_token_for_channels_opens_nothing_else() {
    let alice = Member::new(1);
    let (mut relay, _) = with_group(Limits::default(), &[&alice]);
    assert_eq!(relay.opens(NOW, alice.owner.open(&alice.token())), Err(Refusal::NoEntry));
}

#[test]
fn whoever_is_shut_out_or_over_is_passed_over() {
    let [alice, bob, carol] = [1, 2, 3].map(Member::new);
    let mut relay = Relay::new(MemoryStore::new(), policy(Limits::default())).unwrap();
    [&alice, &bob, &carol].iter().for_each(|member| drop(relay.registers(NOW, &member.owner)));
    let mut short = carol.token();
    short.expiry = at(DAY);
    let mut group = Group::new(1, &[]);
    let entries = [(0, alice.entry()), (1, bob.entry()), (2, carol.entry_with(&short))];
    group.roster = Roster::new(entries).unwrap();
    assert_eq!(group.creates(&mut relay), Outcome::Created);
    let revoke = Request::Revoke { mailbox: bob.owner.mailbox, contact: bob.contact, until: at(365 * DAY) };
    relay.ask(NOW, revoke);
    let outcome = relay.ask(at(DAY + 1), group.post_request(group.post(1, b"hello")));
    assert_eq!(reached(outcome), [alice.owner.mailbox]);
    assert!(bob.envelopes(&relay).is_empty() && carol.envelopes(&relay).is_empty());
}

#[test]
fn a_full_mailbox_is_told_once_that_something_was_missed_and_holds_nobody_up() {
    let limits = Limits { mailbox_envelopes: 20, contact_percent: 100, ..Limits::default() };
    let [alice, bob] = [1, 2].map(Member::new);
    let (mut relay, group) = with_group(limits, &[&alice, &bob]);
    let entry = relay.opens(NOW, bob.owner.open(&bob.owner.token(200))).unwrap();
    let deposits: Vec<_> = (0..17).map(|id| deposit(id, b"")).collect();
    assert!(relay.deposits(NOW, &entry, &deposits).iter().all(Result::is_ok));
    for number in 1..=5 {
        assert_eq!(group.posts(&mut relay, number, b"text"), Ok(number));
    }
    // 18 of the 20 are for everything; the last two are the reserve.
    assert_eq!(bob.summary(&relay), ["1 message text in 0", "2 missed"]);
    assert_eq!(alice.envelopes(&relay).len(), 5);
    let (commit, group) = group.commit(6, b"commit", group.roster.clone());
    assert_eq!(group.commits(&mut relay, &commit), Ok(6));
    let (commit, group) = group.commit(7, b"no room", group.roster.clone());
    assert_eq!(group.commits(&mut relay, &commit), Ok(7));
    assert_eq!(bob.summary(&relay), ["1 message text in 0", "2 missed", "6 commit commit of 0"]);
    // As soon as there is room it goes on; word of the next gap only comes when everything was acknowledged.
    relay.acks(&bob.owner, 17);
    assert_eq!(group.posts(&mut relay, 8, b"more"), Ok(8));
    assert_eq!(bob.summary(&relay).last().unwrap(), "8 message more in 2");
    relay.acks(&bob.owner, 21);
    assert_eq!(relay.store().contact(bob.owner.mailbox, bob.contact).unwrap(), None);
    let entry = relay.opens(NOW, bob.owner.open(&bob.owner.token(200))).unwrap();
    let deposits: Vec<_> = (100..118).map(|id| deposit(id, b"")).collect();
    assert!(relay.deposits(NOW, &entry, &deposits).iter().all(Result::is_ok));
    assert_eq!(group.posts(&mut relay, 9, b"again"), Ok(9));
    assert_eq!(bob.summary(&relay), ["9 missed"]);
}

#[test]
fn a_channel_has_its_share_of_a_mailbox_and_deposits_without_prekeys_leave_the_reserve() {
    let limits = Limits { mailbox_envelopes: 20, ..Limits::default() };
    let alice = Member::new(1);
    let (mut relay, group) = with_group(limits, &[&alice]);
    for number in 1..=12 {
        assert_eq!(group.posts(&mut relay, number, b""), Ok(number));
    }
    // Half of the mailbox, and one word of the rest.
    assert_eq!(alice.envelopes(&relay).len(), 11);
    let mut token = alice.owner.token(100);
    token.permission = Permission::Deposit;
    let plain = relay.opens(NOW, alice.owner.open(&token)).unwrap();
    let deposits: Vec<_> = (0..8).map(|id| deposit(id, b"")).collect();
    let answers = relay.deposits(NOW, &plain, &deposits);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 7);
    let friend = relay.opens(NOW, alice.owner.open(&alice.owner.token(101))).unwrap();
    assert_eq!(relay.deposits(NOW, &friend, &deposits[7..]), [Ok(())]);
}

#[test]
fn what_is_too_large_or_too_fast_is_refused() {
    let posts = Rate { burst: 3, period: std::time::Duration::from_millis(100) };
    let alice = Member::new(1);
    let (mut relay, group) = with_group(Limits { posts, ..Limits::default() }, &[&alice]);
    let large = vec![0; POST_BYTES + 1];
    assert_eq!(group.posts(&mut relay, 1, &large), Err(Refusal::TooLarge { max: POST_BYTES as u32 }));
    assert_eq!(group.posts(&mut relay, 1, &large[1..]), Ok(1));
    // A stranger uses nothing up.
    let mut strange = group.post(2, b"");
    strange.token = PostToken::new([9; 32]);
    for _ in 0..9 {
        let refused = place(relay.ask(NOW, group.post_request(strange.clone())));
        assert_eq!(refused, Err(Refusal::NoEntry));
    }
    assert_eq!(group.posts(&mut relay, 2, b""), Ok(2));
    assert_eq!(group.posts(&mut relay, 3, b""), Err(Refusal::RateLimited { retry_ms: 100 }));
    let outcome = relay.ask(at(100), group.post_request(group.post(3, b"")));
    assert_eq!(place(outcome), Ok(3));
    // A relay with small envelopes takes small posts.
    let (mut relay, group) = with_group(Limits { envelope_bytes: 1_024, ..Limits::default() }, &[&alice]);
    assert_eq!(group.posts(&mut relay, 1, &[0; 769]), Err(Refusal::TooLarge { max: 768 }));
    assert_eq!(group.posts(&mut relay, 1, &[0; 768]), Ok(1));
    assert!(alice.envelopes(&relay)[0].body.len() <= 1_024);
}

#[test]
fn channels_are_made_slowly_and_only_so_many() {
    let alice = Member::new(1);
    let limits = Limits { channels: 65, ..Limits::default() };
    let mut relay = Relay::new(MemoryStore::new(), policy(limits)).unwrap();
    relay.registers(NOW, &alice.owner);
    let mut creates = |now, number: u64, contact: u8| {
        let member = Member::of(alice.owner.clone(), contact);
        let group = Group::new(number, &[&member]);
        relay.ask(now, group.create_request(group.create()))
    };
    for number in 0..6 {
        assert_eq!(creates(NOW, number, 0), Outcome::Created);
    }
    let limited = |outcome| matches!(outcome, Outcome::Refused(Refusal::RateLimited { retry_ms: 600_000 }));
    assert!(limited(creates(NOW, 6, 0)));
    // A repeat makes none, however often an answer is lost.
    for _ in 0..100 {
        assert_eq!(creates(NOW, 0, 0), Outcome::Created);
    }
    // Its owner may sign any number of tokens, and has a rate for all of them.
    for number in 6..u64::from(MAILBOX_CHANNELS.burst) {
        assert_eq!(creates(NOW, number, number as u8), Outcome::Created, "{number}");
    }
    assert!(limited(creates(NOW, 60, 60)));
    for number in 60..65 {
        assert_eq!(creates(at(number * DAY), number, number as u8), Outcome::Created);
    }
    assert!(matches!(creates(at(65 * DAY), 65, 65), Outcome::Refused(Refusal::Busy { .. })));
}

/// A flood leaves no more rows behind than there are places, and the latest posts are still told from new ones.
#[test]
fn only_so_many_posts_are_remembered() {
    let alice = Member::new(1);
    let limits = Limits { posts_remembered: 4, ..Limits::default() };
    let (mut relay, group) = with_group(limits, &[&alice]);
    for number in 1..=10 {
        assert_eq!(group.posts(&mut relay, number, b"flood"), Ok(number));
    }
    let remembered = |relay: &Relay<MemoryStore>| -> Vec<u64> {
        let posted = |number: &u64| relay.store().posted(group.channel, post_id(*number)).unwrap().is_some();
        (1..=12).filter(posted).collect()
    };
    assert_eq!(remembered(&relay), [7, 8, 9, 10]);
    assert_eq!(place(relay.ask(NOW, group.post_request(group.post(7, b"flood")))), Ok(7));
    assert_eq!(alice.envelopes(&relay).len(), 10);
    // One that is forgotten is new, and takes the place of another.
    assert_eq!(group.posts(&mut relay, 6, b"flood"), Ok(11));
    assert_eq!(remembered(&relay), [6, 8, 9, 10]);
    // The reminders have gone with the posts: those that are due are the ones that are remembered, and the channel's.
    let due = relay.store().due(None, Hour::after(NOW, Duration::from_secs(40 * 86_400)), 100).unwrap();
    let posts = due.iter().filter(|(reminder, _)| matches!(reminder.about, About::Post(..))).count();
    assert_eq!(posts, 4);
    relay.sweeps(at(31 * DAY + 3_600_000));
    assert!(remembered(&relay).is_empty());
    assert!((0..4).all(|place| relay.store().remembered(group.channel, place).unwrap().is_none()));
}

#[test]
fn a_channel_where_nothing_happens_is_forgotten() {
    let alice = Member::new(1);
    let (mut relay, group) = with_group(Limits::default(), &[&alice]);
    let idle = CHANNEL_IDLE.as_millis() as u64;
    let used = 100 * DAY;
    assert_eq!(place(relay.ask(at(used), group.post_request(group.post(1, b"")))), Ok(1));
    relay.sweeps(at(used + idle - 1));
    assert!(relay.store().channel(group.channel).unwrap().is_some());
    relay.sweeps(at(used + idle + 3_600_000));
    assert_eq!(relay.store().channel(group.channel).unwrap(), None);
    assert_eq!(relay.store().roster(group.channel).unwrap(), None);
    assert_eq!(relay.store().channel_count().unwrap(), 0);
    let later = relay.ask(at(used + idle + DAY), group.post_request(group.post(2, b"")));
    assert_eq!(place(later), Err(Refusal::NoEntry));
}

/// Posts of 16 KiB to everyone: what the group of requests asks for would be too much for one commit.
#[test]
fn a_group_of_requests_is_split_between_posts_and_never_within_one() {
    const MEMBERS: u16 = 700;
    let mut relay = Relay::new(Counting::new(MemoryStore::new()), policy(Limits::default())).unwrap();
    let members: Vec<_> = (0..MEMBERS).map(many).collect();
    members.iter().for_each(|member| drop(relay.registers(NOW, &member.owner)));
    let mut group = Group::new(1, &members[..64].iter().collect::<Vec<_>>());
    assert_eq!(group.creates(&mut relay), Outcome::Created);
    for (number, upto) in (100..).zip((128..=usize::from(MEMBERS)).step_by(64).chain([usize::from(MEMBERS)]))
    {
        let everyone = roster(&members[..upto].iter().collect::<Vec<_>>());
        let (commit, next) = group.commit(number, b"", everyone);
        assert!(group.commits(&mut relay, &commit).is_ok());
        group = next;
    }
    let requests: Vec<_> = (1..=4).map(|id| group.post_request(group.post(id, b"text"))).collect();
    let before = relay.store().commits.len();
    assert!(relay.apply(NOW, requests).unwrap().into_iter().map(place).all(|place| place.is_ok()));
    let per_commit = usize::from(MEMBERS);
    assert_eq!(relay.store().commits[before..], [2 * per_commit, 2 * per_commit]);
}

/// The member of that number, with more of them than a byte counts.
fn many(number: u16) -> Member {
    let [high, low] = number.to_be_bytes();
    let mut mailbox = [high; 32];
    mailbox[31] = low;
    Member::of(crate::common::Owner::with_mailbox(1, hermes_wire::MailboxId(mailbox)), low)
}
