//! No graph at rest: what lies in the store joins no mailbox to another and no mailbox to a channel.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::common::{
    Ask, NOW, Owner,
    group::{Group, Member, secret},
};
use ciborium::Value;
use fjall::{Database, KeyspaceCreateOptions, Readable};
use hermes_relay::{Limits, Outcome, Policy, Registration, Relay, Request, store::fjall::FjallStore};
use hermes_wire::{InstanceId, MailboxId, RunId, mailbox::Register};

/// So many bytes in common are no accident.
const TELLING: usize = 8;

/// Two people in the same two channels, and a dump of every row afterwards: the rows of one mailbox, those of the other
/// and those of the channels have nothing in common but when they were written, and how long they are.
#[test]
fn rows_of_two_members_and_of_their_channels_have_nothing_in_common() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let [alice, bob] = [1, 2].map(owner);
    let channels = [1, 2].map(|number| {
        let members =
            [(&alice, 10 + number), (&bob, 20 + number)].map(|(owner, n)| Member::of(owner.clone(), n as u8));
        (Group::new(number, &[&members[0], &members[1]]), members)
    });
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(FjallStore::open(&path).unwrap(), policy).unwrap();
    for (number, owner) in (1..).zip([&alice, &bob]) {
        let register = Register {
            instance: InstanceId(secret("instance", number)[..16].try_into().unwrap()),
            run: RunId(secret("run", number)[..16].try_into().unwrap()),
            ..owner.register(None)
        };
        relay.ask(NOW, Request::Register { mailbox: owner.mailbox, register });
    }
    for (number, (group, members)) in (10..).step_by(10).zip(&channels) {
        assert_eq!(group.creates(&mut relay), Outcome::Created);
        assert!(group.posts(&mut relay, number, &secret("body", number).repeat(20)).is_ok());
        let (commit, group) = group.commit(number + 1, &secret("body", number + 1), group.roster.clone());
        assert!(group.commits(&mut relay, &commit).is_ok());
        assert!(group.posts(&mut relay, number + 2, &secret("body", number + 2)).is_ok());
        for member in members {
            assert_eq!(member.envelopes(&relay).len(), 3);
        }
    }
    drop(relay);

    let rows = dump(&path);
    let of = |owner: &Owner| Part::of(&rows, |key, value| has(key, value, &owner.mailbox.0));
    let parts =
        [("alice", of(&alice)), ("bob", of(&bob))]
            .into_iter()
            .chain(channels.iter().map(|(group, _)| {
                ("channel", Part::of(&rows, |key, value| has(key, value, &group.channel.0)))
            }))
            .collect::<Vec<_>>();
    // Every row is somebody's, and nobody's twice.
    let (mailbox_rows, channel_rows) = (1 + 6 + 2 + 1, 1 + 1 + 4 + 4 + 5);
    for ((name, part), expected) in parts.iter().zip([mailbox_rows, mailbox_rows, channel_rows, channel_rows])
    {
        assert_eq!(part.rows.len(), expected, "{name}");
    }
    assert_eq!(
        parts.iter().map(|(_, part)| part.rows.len()).sum::<usize>() + 1,
        rows.len(),
        "and the format"
    );
    for (place, (name, part)) in parts.iter().enumerate() {
        for (other, rest) in &parts[place + 1..] {
            let common: Vec<_> = part.windows().intersection(&rest.windows()).cloned().collect();
            assert!(common.is_empty(), "{name} and {other} have in common: {common:02x?}");
        }
    }
    // The same search finds what is there to be found: a contact id joins a mailbox to its own copies.
    let contact = channels[0].1[0].contact.0;
    assert!(parts[0].1.windows().contains(&contact[..TELLING]));
}

fn owner(seed: u8) -> Owner {
    Owner::with_mailbox(seed, MailboxId(secret("mailbox", seed.into())))
}

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// Every row of every table.
fn dump(path: &Path) -> Rows {
    let database = Database::builder(path).open().unwrap();
    let snapshot = database.snapshot();
    let mut rows = Rows::new();
    for name in database.list_keyspace_names() {
        let table = database.keyspace(&name, KeyspaceCreateOptions::default).unwrap();
        for row in snapshot.iter(&table) {
            let (key, value) = row.into_inner().unwrap();
            rows.insert((name.to_string(), key.to_vec()), value.to_vec());
        }
    }
    rows
}

fn has(key: &[u8], value: &[u8], id: &[u8; 32]) -> bool {
    [key, value].iter().any(|bytes| bytes.windows(32).any(|window| window == id))
}

/// The rows that name one mailbox or one channel, as lists of what each of them says.
struct Part {
    rows: Vec<Vec<Vec<u8>>>,
}

impl Part {
    fn of(rows: &Rows, whose: impl Fn(&[u8], &[u8]) -> bool) -> Self {
        let theirs = rows.iter().filter(|((_, key), value)| whose(key, value));
        Self { rows: theirs.map(|((table, key), value)| pieces(table, key, value)).collect() }
    }

    fn windows(&self) -> BTreeSet<Vec<u8>> {
        let pieces = self.rows.iter().flatten();
        pieces.flat_map(|piece| piece.windows(TELLING).map(<[u8]>::to_vec)).collect()
    }
}

/// The strings of bytes in a row. Numbers are left out: counters, sizes, and when it was written.
fn pieces(table: &str, key: &[u8], value: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    strings(ciborium::from_reader(value).unwrap(), &mut pieces);
    // A reminder says in its value what its key says, behind the hour. Keys of other rows are identifiers, after which
    // there may be a sequence.
    if table != "reminders" {
        let (id, rest) = key.split_at(32);
        pieces.push(id.to_vec());
        pieces.extend((rest.len() > TELLING).then(|| rest.to_vec()));
    }
    pieces
}

fn strings(value: Value, into: &mut Vec<Vec<u8>>) {
    match value {
        Value::Bytes(bytes) => into.push(bytes),
        Value::Array(values) => values.into_iter().for_each(|value| strings(value, into)),
        Value::Map(entries) => entries.into_iter().for_each(|(_, value)| strings(value, into)),
        Value::Integer(_) | Value::Text(_) | Value::Bool(_) | Value::Null => {}
        other => panic!("{other:?}"),
    }
}
