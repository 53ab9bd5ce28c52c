//! Groups of members who only exchange bytes: key agreement, sender chains, and what an insider or a thief can do.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use hermes_protocol::{
    group::{
        BodyKind, Change, Epoch, EpochKeys, EpochSecrets, GroupContext, GroupError, GroupId, GroupMessage,
        GroupMessageError, GroupSkippedKey, GroupSkippedKeys, JoinError, KeyPackage, Leaf, MemberCard,
        MlsRows, OpenedGroupMessage, Prepared, ReceiveError, Received, Rule, SenderChain, body_kind, commit,
        create, drop_own, join, merge_own, open, propose_leave, read, receive, seal,
    },
    identity::{Fingerprint, IdentityKeyPair},
};
use hermes_wire::{
    ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
    channel::CopyKey,
    token::{DropToken, Permission, SignedDropToken},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

#[derive(Default, Clone)]
struct Skipped(BTreeMap<(Leaf, u32), GroupSkippedKey>);

impl GroupSkippedKeys for Skipped {
    fn message_key(&self, leaf: Leaf, iteration: u32) -> Option<GroupSkippedKey> {
        self.0.get(&(leaf, iteration)).cloned()
    }
    fn stored(&self) -> Vec<(Leaf, u32)> {
        self.0.keys().copied().collect()
    }
}

/// What a member's store holds of the group.
#[derive(Clone)]
struct State {
    rows: MlsRows,
    keys: EpochKeys,
    chains: BTreeMap<Leaf, SenderChain>,
    skipped: Skipped,
    next: Option<Vec<u8>>,
}

struct Person {
    identity: IdentityKeyPair,
    card: MemberCard,
    rng: ChaCha20Rng,
    /// Key packages that were drawn.
    drawn: Vec<MlsRows>,
    state: Option<State>,
}

impl Person {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let identity = IdentityKeyPair::generate(&mut rng);
        let byte = u8::try_from(seed % 251).unwrap();
        let mailbox = MailboxId([byte; 32]);
        let token = DropToken {
            contact: ContactId([byte; 16]),
            permission: Permission::Channel,
            expiry: Timestamp(1_900_000_000_000),
            uses: None,
        };
        let card = MemberCard {
            mailbox,
            token: SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[byte; 32])),
            copy_key: CopyKey::new([byte; 32]),
            name: format!("person {seed}"),
        };
        Self { identity, card, rng, drawn: Vec::new(), state: None }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.identity.identity().fingerprint()
    }

    fn key_package(&mut self) -> KeyPackage {
        let drawn = KeyPackage::draw(&self.identity, &self.card, &mut self.rng).unwrap();
        self.drawn.push(drawn.rows);
        KeyPackage::check(&drawn.public, &self.fingerprint()).unwrap()
    }

    fn found(&mut self) {
        let context = GroupContext {
            name: "ops".to_owned(),
            channel: ChannelId([7; 32]),
            relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap(),
            admins: BTreeSet::from([self.fingerprint()]),
        };
        let created = create(&self.identity, GroupId([5; 32]), &context, &self.card, &mut self.rng).unwrap();
        self.enter(created.rows, created.secrets);
    }

    fn enter(&mut self, rows: MlsRows, secrets: EpochSecrets) {
        // Through the store and back.
        let secrets = EpochSecrets::from_bytes(&secrets.to_bytes()).unwrap();
        self.state = Some(State {
            rows,
            keys: secrets.keys,
            chains: secrets.chains,
            skipped: Skipped::default(),
            next: None,
        });
    }

    fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }

    fn epoch(&self) -> Epoch {
        read(&self.state().rows).unwrap()
    }

    fn leaf_of(&self, other: &Person) -> Leaf {
        let member =
            |member: &hermes_protocol::group::Member| member.identity.fingerprint() == other.fingerprint();
        *self.epoch().members.iter().find(|(_, found)| member(found)).unwrap().0
    }

    fn try_commit(&mut self, changes: &[Change]) -> Result<Prepared, GroupError> {
        let state = self.state.as_ref().unwrap();
        commit(&state.rows, &state.keys, &self.identity, changes, &mut self.rng)
    }

    /// Prepares and stores; the body and the welcome.
    fn commit(&mut self, changes: &[Change]) -> (Vec<u8>, Option<Vec<u8>>) {
        let prepared = self.try_commit(changes).unwrap();
        let state = self.state.as_mut().unwrap();
        state.rows.apply(prepared.changes);
        state.next = Some(prepared.secrets.to_bytes().to_vec());
        (prepared.commit, prepared.welcome)
    }

    fn merge(&mut self) {
        let state = self.state.as_mut().unwrap();
        let merged = merge_own(&state.rows).unwrap();
        let mut rows = state.rows.clone();
        rows.apply(merged.changes);
        let secrets = EpochSecrets::from_bytes(&state.next.take().unwrap()).unwrap();
        assert_eq!(secrets.keys.number(), merged.epoch.number);
        self.enter(rows, secrets);
    }

    fn try_receive(&mut self, body: &[u8]) -> Result<Received, ReceiveError> {
        let state = self.state.as_ref().unwrap();
        receive(&state.rows, &state.keys, body)
    }

    fn follow(&mut self, body: &[u8]) {
        match self.try_receive(body).unwrap() {
            Received::Commit(followed) => {
                let mut rows = self.state().rows.clone();
                rows.apply(followed.changes);
                self.enter(rows, followed.secrets);
            }
            Received::Leave(proposal) => self.state.as_mut().unwrap().rows.apply(proposal.changes),
            Received::Removed(_) => self.state = None,
        }
    }

    fn try_join(&self, welcome: &[u8]) -> Result<hermes_protocol::group::Joined, JoinError> {
        let mut last = Err(JoinError::Unreadable);
        for package in &self.drawn {
            last = join(package, welcome);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn join(&mut self, welcome: &[u8]) {
        let joined = self.try_join(welcome).unwrap();
        self.enter(joined.rows, joined.secrets);
    }

    fn say(&mut self, text: &str) -> Vec<u8> {
        let state = self.state.as_mut().unwrap();
        let chain = state.chains[&state.keys.me()].clone();
        let (next, body) = seal(&state.keys, &chain, text.as_bytes(), &mut self.rng).unwrap();
        state.chains.insert(next.leaf(), SenderChain::from_bytes(&next.to_bytes()).unwrap());
        body
    }

    fn try_hear(&mut self, body: &[u8]) -> Result<(Leaf, String), GroupMessageError> {
        hear(self.state.as_mut().unwrap(), body)
    }

    fn hear(&mut self, body: &[u8]) -> String {
        self.try_hear(body).unwrap().1
    }
}

fn hear(state: &mut State, body: &[u8]) -> Result<(Leaf, String), GroupMessageError> {
    let message = GroupMessage::decode(body)?;
    let header = message.header(&state.keys)?;
    let chain = state.chains.get(&header.leaf).ok_or(GroupMessageError::Forged)?;
    let (next, OpenedGroupMessage { plaintext, skipped }) =
        open(&state.keys, chain, &message, &state.skipped)?;
    state.chains.insert(header.leaf, next);
    for key in skipped.put {
        state
            .skipped
            .0
            .insert((key.leaf, key.iteration), GroupSkippedKey::from_bytes(&key.to_bytes()).unwrap());
    }
    for place in skipped.delete {
        state.skipped.0.remove(&place);
    }
    Ok((header.leaf, String::from_utf8(plaintext.to_vec()).unwrap()))
}

/// A group of this many, the first of whom made it.
fn group(size: u64) -> Vec<Person> {
    let mut people: Vec<Person> = (1..=size).map(Person::new).collect();
    people[0].found();
    let packages = people[1..].iter_mut().map(|person| Change::Add(person.key_package())).collect::<Vec<_>>();
    for (start, batch) in packages.chunks(50).enumerate() {
        let (body, welcome) = people[0].commit(batch);
        people[0].merge();
        let (first, last) = (1 + start * 50, 1 + start * 50 + batch.len());
        for person in &mut people[1..first] {
            person.follow(&body);
        }
        for person in &mut people[first..last] {
            person.join(welcome.as_ref().unwrap());
        }
    }
    people
}

fn agree(people: &[&Person]) {
    let first = people[0].epoch();
    for person in people {
        let epoch = person.epoch();
        assert_eq!((epoch.number, epoch.authenticator), (first.number, first.authenticator));
        assert!(epoch.members == first.members && epoch.context == first.context);
        let (keys, other) = (&person.state().keys, &people[0].state().keys);
        assert!(keys.post_token() == other.post_token() && keys.roster_key() == other.roster_key());
    }
}

#[test]
fn three_people_write_to_each_other() {
    let mut people = group(3);
    agree(&people.iter().collect::<Vec<_>>());
    for author in 0..3 {
        let body = people[author].say(&format!("hello from {author}"));
        assert_eq!(body_kind(&body), Ok(BodyKind::Message));
        assert_eq!(body.len(), 256);
        let leaf = people[author].state().keys.me();
        for reader in (0..3).filter(|reader| *reader != author) {
            assert_eq!(people[reader].try_hear(&body), Ok((leaf, format!("hello from {author}"))));
            assert_eq!(people[reader].try_hear(&body), Err(GroupMessageError::Duplicate));
        }
    }
}

#[test]
fn a_message_costs_one_small_row() {
    let mut people = group(2);
    let before = people[0].state().rows.clone();
    people[0].say("x");
    assert!(before == people[0].state().rows);
    let chain = &people[0].state().chains[&people[0].state().keys.me()];
    assert!(chain.to_bytes().len() <= 128);
    // What 64 bytes cost before padding.
    assert_eq!(256 - people[0].say(&"y".repeat(112)).len(), 0, "112 bytes of text fill the smallest bucket");
    assert_eq!(people[0].say(&"y".repeat(113)).len(), 1024);
}

#[test]
fn whoever_is_removed_reads_nothing_after_and_whoever_joins_nothing_before() {
    let mut people = group(3);
    let old = people[0].say("before");
    let mut dora = Person::new(99);
    let add = Change::Add(dora.key_package());
    let (body, welcome) = people[0].commit(&[add]);
    people[0].merge();
    for person in &mut people[1..] {
        person.follow(&body);
    }
    dora.join(&welcome.unwrap());
    assert_eq!(dora.try_hear(&old), Err(GroupMessageError::Forged));

    let mut thief = people[1].state().clone();
    let leaf = people[0].leaf_of(&people[1]);
    let (body, _) = people[0].commit(&[Change::Remove(leaf)]);
    people[0].merge();
    people[2].follow(&body);
    dora.follow(&body);
    assert!(matches!(people[1].try_receive(&body), Ok(Received::Removed(_))));
    agree(&[&people[0], &people[2], &dora]);
    let secret = people[2].say("after");
    assert_eq!(people[0].hear(&secret), "after");
    assert_eq!(dora.hear(&secret), "after");
    assert_eq!(hear(&mut thief, &secret).unwrap_err(), GroupMessageError::Forged);
    // Not with the commit either, of which the removed member has every byte.
    assert!(!matches!(receive(&thief.rows, &thief.keys, &body), Ok(Received::Commit(_))));
}

#[test]
fn messages_out_of_order_open_once_each() {
    let mut people = group(2);
    let bodies: Vec<_> = (0..5).map(|number| people[0].say(&number.to_string())).collect();
    let reader = &mut people[1];
    for order in [4, 0, 2, 1] {
        assert_eq!(reader.hear(&bodies[order]), order.to_string());
        assert_eq!(reader.try_hear(&bodies[order]), Err(GroupMessageError::Duplicate));
    }
    assert_eq!(reader.state().skipped.0.len(), 1);
    assert_eq!(reader.hear(&bodies[3]), "3");
    assert!(reader.state().skipped.0.is_empty());
}

#[test]
fn a_mangled_message_opens_nowhere_and_changes_nothing() {
    let mut people = group(2);
    let body = people[0].say("attack at dawn");
    for position in 0..body.len() {
        let mut mangled = body.clone();
        mangled[position] ^= 1;
        assert!(people[1].try_hear(&mangled).is_err(), "{position}");
    }
    for length in 0..body.len() {
        assert!(people[1].try_hear(&body[..length]).is_err());
    }
    assert_eq!(people[1].state().chains[&Leaf(0)].iteration(), 0);
    assert_eq!(people[1].hear(&body), "attack at dawn");
}

/// Every member has every chain, so only the signature says who wrote.
#[test]
fn a_member_cannot_write_as_another() {
    let mut people = group(3);
    let victim = people[1].state().keys.me();
    // Mallory has the victim's chain, and its own signature key.
    let mallory = people[2].state().clone();
    let bytes = mallory.keys.to_bytes();
    let mut forged = bytes.to_vec();
    // Version, group, number, then the own leaf.
    forged[41..45].copy_from_slice(&victim.0.to_be_bytes());
    let keys = EpochKeys::from_bytes(&forged).unwrap();
    assert_eq!(keys.me(), victim);
    let (_, body) = seal(&keys, &mallory.chains[&victim], b"I resign", &mut people[2].rng).unwrap();
    assert_eq!(people[0].try_hear(&body), Err(GroupMessageError::Forged));
}

#[test]
fn of_two_commits_one_loses_and_is_made_anew() {
    let mut people = group(4);
    let promote = |person: &Person, other: &Person| {
        let mut context = person.epoch().context;
        context.admins.insert(other.fingerprint());
        Change::SetContext(context)
    };
    let change = promote(&people[0], &people[1]);
    let (body, _) = people[0].commit(&[change]);
    people[0].merge();
    for person in &mut people[1..] {
        person.follow(&body);
    }
    let (first, _) = {
        let leaf = people[0].leaf_of(&people[2]);
        people[0].commit(&[Change::Remove(leaf)])
    };
    let (second, _) = {
        let leaf = people[1].leaf_of(&people[3]);
        people[1].commit(&[Change::Remove(leaf)])
    };
    // The relay took the first.
    people[0].merge();
    people[1].follow(&first);
    people[3].follow(&first);
    assert!(
        matches!(people[3].try_receive(&second), Err(ReceiveError::Unauthentic)),
        "of an epoch that is over"
    );
    agree(&[&people[0], &people[1], &people[3]]);
    let leaf = people[1].leaf_of(&people[3]);
    let (again, _) = people[1].commit(&[Change::Remove(leaf)]);
    people[1].merge();
    people[0].follow(&again);
    agree(&[&people[0], &people[1]]);
}

#[test]
fn an_own_commit_can_be_dropped() {
    let mut people = group(2);
    let leaf = people[0].leaf_of(&people[1]);
    people[0].commit(&[Change::Remove(leaf)]);
    assert!(matches!(people[0].try_commit(&[Change::Remove(leaf)]), Err(GroupError::Pending)));
    let changes = drop_own(&people[0].state().rows).unwrap();
    people[0].state.as_mut().unwrap().rows.apply(changes);
    assert!(matches!(merge_own(&people[0].state().rows), Err(GroupError::NotPending)));
    let body = people[1].say("still here");
    assert_eq!(people[0].hear(&body), "still here");
}

#[test]
fn who_leaves_is_covered_by_the_next_commit() {
    let mut people = group(3);
    let state = people[1].state().clone();
    let (changes, body) = propose_leave(&state.rows, &state.keys, &mut people[1].rng).unwrap();
    assert_eq!(body_kind(&body), Ok(BodyKind::LeaveProposal));
    people[1].state.as_mut().unwrap().rows.apply(changes);
    people[0].follow(&body);
    people[2].follow(&body);
    assert_eq!(people[0].epoch().leaving, BTreeSet::from([state.keys.me()]));
    let (commit, welcome) = people[0].commit(&[]);
    assert!(welcome.is_none());
    people[0].merge();
    people[2].follow(&commit);
    assert!(matches!(people[1].try_receive(&commit), Ok(Received::Removed(_))));
    agree(&[&people[0], &people[2]]);
    assert_eq!(people[0].epoch().members.len(), 2);
}

#[test]
fn the_last_admin_stays() {
    let mut people = group(2);
    let state = people[0].state().clone();
    let left = propose_leave(&state.rows, &state.keys, &mut people[0].rng);
    assert!(matches!(left, Err(GroupError::LastAdmin)));
    let mut context = people[0].epoch().context;
    context.admins.clear();
    assert!(matches!(people[0].try_commit(&[Change::SetContext(context)]), Err(GroupError::LastAdmin)));
}

#[test]
fn who_lost_its_state_is_replaced() {
    let mut people = group(3);
    let leaf = people[0].leaf_of(&people[2]);
    people[2].state = None;
    let package = people[2].key_package();
    let (body, welcome) = people[0].commit(&[Change::Replace(leaf, package)]);
    people[0].merge();
    people[1].follow(&body);
    people[2].join(&welcome.unwrap());
    agree(&people.iter().collect::<Vec<_>>());
    assert_eq!(people[0].epoch().members.len(), 3);
}

#[test]
fn only_admins_change_a_group() {
    let mut people = group(3);
    let leaf = people[1].leaf_of(&people[2]);
    assert!(matches!(people[1].try_commit(&[Change::Remove(leaf)]), Err(GroupError::NotAdmin)));
    // A member that has changed its program believes to be an admin, and commits all the same.
    let state = people[1].state().clone();
    let pretender = &people[0].identity;
    let prepared = commit(
        &state.rows,
        &state.keys,
        pretender,
        &[Change::Remove(leaf)],
        &mut ChaCha20Rng::seed_from_u64(9),
    )
    .unwrap();
    let before = people[0].state().rows.clone();
    for reader in [0, 2] {
        match people[reader].try_receive(&prepared.commit) {
            Err(ReceiveError::Refused { author, rule: Rule::NotAdmin }) => {
                assert_eq!(author, state.keys.me())
            }
            other => panic!("{:?}", other.err()),
        }
    }
    assert!(before == people[0].state().rows);
}

#[test]
fn garbage_for_a_commit_names_its_author_or_nobody() {
    let mut people = group(3);
    let update = Change::Update(people[0].card.clone());
    let (body, _) = people[0].commit(&[update]);
    for position in (0..body.len()).step_by(7) {
        let mut mangled = body.clone();
        mangled[position] ^= 1;
        assert!(matches!(people[1].try_receive(&mangled), Err(ReceiveError::Unauthentic)), "{position}");
    }
    assert!(matches!(people[0].try_receive(&body), Err(ReceiveError::Own)));
    people[1].follow(&body);
    people[2].follow(&body);
    people[0].merge();
    agree(&people.iter().collect::<Vec<_>>());
}

/// More leave at once than one commit may change: the rest propose again.
#[test]
fn a_crowd_that_leaves_ends_no_change() {
    let mut people = group(67);
    for leaver in 1..67 {
        let state = people[leaver].state().clone();
        let (_, body) = propose_leave(&state.rows, &state.keys, &mut people[leaver].rng).unwrap();
        people[0].follow(&body);
    }
    people[0].commit(&[]);
    people[0].merge();
    assert_eq!(people[0].epoch().members.len(), 67 - 64);
}

#[test]
fn a_welcome_is_for_its_key_package_alone() {
    let mut people = group(2);
    let (mut dora, mut eve) = (Person::new(50), Person::new(51));
    eve.key_package();
    let package = dora.key_package();
    let (_, welcome) = people[0].commit(&[Change::Add(package)]);
    let welcome = welcome.unwrap();
    assert!(matches!(eve.try_join(&welcome), Err(JoinError::Unreadable)));
    for position in (0..welcome.len()).step_by(101) {
        let mut mangled = welcome.clone();
        mangled[position] ^= 1;
        assert!(dora.try_join(&mangled).is_err(), "{position}");
    }
    assert!(dora.try_join(&welcome).is_ok());
}

#[test]
fn fifty_members_and_one_removal() {
    let mut people = group(50);
    agree(&people.iter().collect::<Vec<_>>());
    let leaf = people[0].leaf_of(&people[33]);
    let (body, _) = people[0].commit(&[Change::Remove(leaf)]);
    people[0].merge();
    let gone = people.remove(33);
    for person in &mut people[1..] {
        person.follow(&body);
    }
    agree(&people.iter().collect::<Vec<_>>());
    let text = people[48].say("49 of us");
    assert_eq!(people[0].hear(&text), "49 of us");
    assert_eq!(hear(&mut gone.state.unwrap(), &text).unwrap_err(), GroupMessageError::Forged);
}
