//! What was committed is there, whenever the relay is killed and whatever its store does meanwhile; and whoever reads
//! beside it finds no gap where there is none.
//!
//! A child decides deposits and acknowledgements as fast as it can, and says so after each commit; it is killed, and its
//! store looked at. `HERMES_KEPT_KILLS` says how often ([`KILLS`] when unset), `HERMES_KEPT_COMMITS` after how many commits at
//! most ([`COMMITS`]): the store writes its tables to files after hundreds.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use hermes_relay::{
    Entry, Limits, Policy, Registration, Relay, Request, Store, limits::Rate, relay::deliver,
    store::fjall::FjallStore,
};
use hermes_wire::{
    EnvelopeId, Sequence,
    drop::Deposit,
    mailbox::{Credit, Deliver},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_bytes::ByteBuf;

use crate::common::{Ask, NOW, Owner, PLENTY};

const KILLS: u64 = 4;
/// Commits before a kill, at most.
const COMMITS: u32 = 100;
const MAILBOXES: u8 = 100;
/// Deposits of one commit, at most.
const DEPOSITS: u32 = 60;
/// Bytes of a body, at most.
const BODY: u32 = 4_000;
/// Envelopes that an owner leaves waiting, at most.
const LEFT: u32 = 30;

/// Variable that turns the test into the child that it kills.
const CHILD: &str = "HERMES_TEST_KEPT_CHILD";

#[test]
fn a_killed_relay_has_what_it_committed() {
    if let Ok(directory) = env::var(CHILD) {
        decide_until_killed(Path::new(&directory));
    }
    let number = |name| env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    let (kills, commits) = (number("HERMES_KEPT_KILLS"), number("HERMES_KEPT_COMMITS"));
    let commits = commits.map_or(COMMITS, |commits| u32::try_from(commits).unwrap());
    let home = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
    let mut all = 0;
    for kill in 0..kills.unwrap_or(KILLS) {
        let after = 1 + below(&mut rng, commits);
        let committed = run_and_kill(home.path(), after);
        all += u64::from(after);
        check(home.path(), &committed);
        if kill % 10 == 9 {
            println!("{} kills, {all} commits", kill + 1);
        }
    }
}

/// What the child said of its mailboxes: head and what is acknowledged, after its last commit.
fn run_and_kill(directory: &Path, commits: u32) -> BTreeMap<u8, (u64, u64)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "kept::a_killed_relay_has_what_it_committed", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BTreeMap::new();
    let mut left = commits;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if line == "committed" {
            left -= 1;
            if left == 0 {
                break;
            }
        } else if let Some(row) = line.strip_prefix("mailbox ") {
            let row: Vec<u64> = row.split(' ').map(|number| number.parse().unwrap()).collect();
            said.insert(u8::try_from(row[0]).unwrap(), (row[1], row[2]));
        }
    }
    // A child that ended by itself has found something, or could not go on.
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
    said
}

fn check(directory: &Path, said: &BTreeMap<u8, (u64, u64)>) {
    let store = FjallStore::open(&directory.join("store")).unwrap();
    for number in 0..MAILBOXES {
        let mailbox = owner(number).mailbox;
        let row = store.mailbox(mailbox).unwrap();
        let (head, acked) = row.map_or((0, 0), |row| (row.head.0, row.acked.0));
        let (said_head, said_acked) = said.get(&number).copied().unwrap_or_default();
        assert!(head >= said_head && acked >= said_acked, "mailbox {number}: {head} {acked}, said {said:?}");
        let (mut found, mut after) = (Vec::new(), Sequence(acked));
        loop {
            let rows = store.envelopes(mailbox, after, PLENTY).unwrap();
            let Some(last) = rows.last() else { break };
            after = last.sequence;
            found.extend(rows.into_iter().map(|row| row.sequence.0));
        }
        assert_eq!(
            found,
            (acked + 1..=head).collect::<Vec<_>>(),
            "mailbox {number}, acknowledged to {acked}"
        );
    }
}

fn owner(number: u8) -> Owner {
    Owner::new(number + 1)
}

fn below(rng: &mut ChaCha8Rng, bound: u32) -> u32 {
    rng.next_u32() % bound
}

fn decide_until_killed(directory: &Path) -> ! {
    let store = FjallStore::open(&directory.join("store")).unwrap();
    let plenty = Rate { burst: u32::MAX, period: Duration::from_nanos(1) };
    let limits = Limits { deposits: plenty, ..Limits::default() };
    let policy = Policy { registration: Registration::Open, limits };
    let mut relay = Relay::new(store.clone(), policy).unwrap();
    let entries: Vec<Entry> = (0..MAILBOXES)
        .map(|number| {
            let owner = owner(number);
            relay.registers(NOW, &owner);
            relay.opens(NOW, owner.open(&owner.token(9))).unwrap()
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
    let rows = |number: u8| store.mailbox(owner(number).mailbox).unwrap().unwrap();
    let mut heads: Vec<u64> = (0..MAILBOXES).map(|number| rows(number).head.0).collect();
    let acked: Vec<_> = (0..MAILBOXES).map(|number| AtomicU64::new(rows(number).acked.0)).collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| read_for_ever(&store, &acked));
        }
        loop {
            let mut requests = Vec::new();
            let mut changed = Vec::new();
            for number in 0..MAILBOXES {
                let at = usize::from(number);
                let before = acked[at].load(Ordering::SeqCst);
                if below(&mut rng, 4) == 0 && heads[at] > before {
                    let left = u64::from(below(&mut rng, LEFT));
                    let upto = heads[at].saturating_sub(left).max(before);
                    acked[at].store(upto, Ordering::SeqCst);
                    requests.push(Request::Ack { mailbox: owner(number).mailbox, upto: Sequence(upto) });
                    changed.push(number);
                }
            }
            for _ in 0..below(&mut rng, DEPOSITS) {
                let number = below(&mut rng, MAILBOXES.into()) as usize;
                let mut envelope = [0; 16];
                rng.fill_bytes(&mut envelope);
                let mut body = vec![0; 100 + below(&mut rng, BODY) as usize];
                rng.fill_bytes(&mut body);
                let deposit = Deposit { envelope: EnvelopeId(envelope), body: ByteBuf::from(body) };
                requests.push(Request::Deposit { entry: entries[number].clone(), deposits: vec![deposit] });
                heads[number] += 1;
                changed.push(number as u8);
            }
            relay.apply(NOW, requests).unwrap();
            for number in changed {
                let at = usize::from(number);
                println!("mailbox {number} {} {}", heads[at], acked[at].load(Ordering::SeqCst));
            }
            println!("committed");
        }
    })
}

/// Reads as deliveries do, and ends the process if a gap is found in what nobody has acknowledged.
fn read_for_ever(store: &FjallStore, acked: &[AtomicU64]) {
    let mut rng = ChaCha8Rng::seed_from_u64(rand::random());
    loop {
        let number = below(&mut rng, MAILBOXES.into()) as u8;
        let acked = &acked[usize::from(number)];
        let credit = Credit { envelopes: 1 + below(&mut rng, 256), bytes: 1 + below(&mut rng, 100_000) };
        let after = Sequence(acked.load(Ordering::SeqCst));
        let found = deliver(store, owner(number).mailbox, after, credit).unwrap();
        for deliver in &found {
            if let Deliver::Gone(first, last) = deliver
                && last.0 > acked.load(Ordering::SeqCst)
            {
                eprintln!("mailbox {number}: {first:?} to {last:?} is gone, {acked:?} is acknowledged");
                std::process::exit(3);
            }
        }
    }
}
