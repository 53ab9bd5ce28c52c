//! Daemons and a relay as they ship, over the real QUIC and TLS, on a network that loses, repeats, reorders and corrupts
//! packets, on virtual time; the relay ends now and then, and is started again on what it keeps.
//!
//! `HERMES_LINK_SEEDS` says how many seeds ([`SEEDS`] when unset), `HERMES_SEED` replays one.

use std::{
    collections::BTreeMap,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use hermes_engine::{
    Command, Invite, NewAccount, Reply, Send, Text,
    limits::QUERY_ROWS,
    query::{ContactState, MessageDirection},
};
use hermes_link::{credential::RelayIdentity, server};
use hermes_relay::{
    Policy, Registration, Store,
    serve::{Options, Server},
    store::fjall::FjallStore,
    tokens::TokenDirectory,
};
use hermes_tests::{
    net::{Counts, Ending, Network, Outage, Weather, clock},
    scratch,
};
use hermes_wire::RelayAddress;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::*;
use crate::{
    account::Account,
    daemon::{Daemon, NewKeys},
};

const SEEDS: u64 = 6;
const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const GROUP: &str = "trio";
/// All that goes wrong is over by then.
const FAULTS: Duration = Duration::from_secs(30);
/// Everything has arrived this long after the last fault and the last message.
const QUIET: Duration = Duration::from_secs(60);
/// Nobody waits longer than this for anything, after the last fault.
const SETUP: Duration = Duration::from_secs(120);
/// All should have been there by then, after the last fault; whatever is not is shown.
const LATE: Duration = Duration::from_secs(50);
/// How often something is looked at again.
const LOOK: Duration = Duration::from_millis(200);
/// Texts of one account at most.
const TEXTS: usize = 40;
/// Texts of one account at least, should its pairing have taken until all was well again.
const TEXTS_AT_LEAST: usize = 10;

/// What an author wrote to a chat (a contact, or the group), in order.
type Texts = BTreeMap<(String, String), Vec<String>>;

#[test]
fn whatever_the_network_does_every_message_arrives_once_and_in_order() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds: Vec<u64> = match number("HERMES_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("HERMES_LINK_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let done = run_all(&seeds);
    report(&done);
    let sum = |of: fn(&Outcome) -> u64| done.iter().map(of).sum::<u64>();
    assert!(sum(|outcome| outcome.messages) >= 20 * seeds.len() as u64, "too few messages prove nothing");
    assert!(sum(|outcome| outcome.counts.lost) > 0, "a network without faults proves nothing");
}

/// Runs the seeds, two at a time: a world waits for its threads most of the time.
fn run_all(seeds: &[u64]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(run(*seed));
        }
        done
    };
    thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        let finished = workers.map(|worker| worker.join().unwrap_or_else(|cause| resume_unwind(cause)));
        finished.into_iter().flatten().collect()
    })
}

fn report(done: &[Outcome]) {
    let sum = |of: fn(&Outcome) -> u64| done.iter().map(of).sum::<u64>();
    println!(
        "{} seeds, {} messages, {} faults, {} ends of the relay, {} packets ({} lost, {} repeated, {} corrupted), {} rebindings; all was \
         there within {:.1?} of virtual time",
        done.len(),
        sum(|outcome| outcome.messages),
        sum(|outcome| outcome.faults),
        sum(|outcome| outcome.outages),
        sum(|outcome| outcome.counts.sent),
        sum(|outcome| outcome.counts.lost),
        sum(|outcome| outcome.counts.repeated),
        sum(|outcome| outcome.counts.corrupted),
        sum(|outcome| outcome.counts.rebound),
        done.iter().map(|outcome| outcome.settled).max().unwrap_or_default(),
    );
}

struct Outcome {
    messages: u64,
    faults: u64,
    /// Of these, how often the relay ended.
    outages: u64,
    /// How long everything took to arrive, after the last fault and the last message.
    settled: Duration,
    counts: Counts,
}

fn run(seed: u64) -> Outcome {
    let hosts: Vec<_> = (0..NAMES.len() as u8).map(Network::host).collect();
    let weather = Weather::draw(seed, &hosts, FAULTS);
    let (faults, outages) = (weather.faults() as u64, weather.outages().len() as u64);
    let world = |network: Network| async move {
        let (messages, settled) = World::start(seed, &network).await.run().await;
        Outcome { messages, faults, outages, settled, counts: network.counts() }
    };
    let run = || clock::run(&format!("link-{seed}"), || Network::new(seed, weather), world);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| {
        eprintln!("seed {seed} failed; replay: HERMES_SEED={seed} just link-sim");
        resume_unwind(cause)
    })
}

struct World {
    accounts: Vec<Arc<Account>>,
    rng: ChaCha8Rng,
    over: Instant,
    /// The relay, once its last outage is over.
    relay: JoinHandle<Server>,
    /// What the relay keeps, for looking at.
    store: FjallStore,
    _home: TempDir,
}

impl World {
    async fn start(seed: u64, network: &Network) -> Self {
        let began = Instant::now();
        let over = began + FAULTS;
        // What the disk does is another test's.
        let home = scratch::in_memory();
        let relay = Relay::new(home.path().join("relay"), network.clone());
        let (address, store) = (relay.address(), relay.store.clone());
        let relay = tokio::spawn(relay.serve_with_outages(began));
        let mut accounts = Vec::new();
        for (host, name) in (0..).map(Network::host).zip(NAMES) {
            let network = network.clone();
            let home = home.path().join(name);
            fs::create_dir_all(&home).unwrap();
            let daemon = Daemon::of_tests_on(&home, Arc::new(move || network.endpoint(host)));
            let new = NewAccount { name: name.into(), relay: address.clone(), registration_token: None };
            let keys = NewKeys { kind: hermes_api::KeyKind::File, passphrase: None };
            accounts.push(daemon.create_account(name.parse().unwrap(), new, keys).await.unwrap());
        }
        Self { accounts, rng: ChaCha8Rng::seed_from_u64(seed), over, relay, store, _home: home }
    }

    async fn run(mut self) -> (u64, Duration) {
        tokio::spawn(tell_when_late(self.accounts.clone(), self.over + LATE));
        for (inviter, invited) in [(0, 1), (0, 2), (1, 2)] {
            self.pair(inviter, invited).await;
        }
        let group = watch::Sender::new(false);
        let mut talking = Vec::new();
        for account in &self.accounts {
            let rng = ChaCha8Rng::seed_from_u64(self.rng.random());
            talking.push(talk(account, rng, self.over, group.subscribe()));
        }
        let (texts, ()) = tokio::join!(join_all(talking), self.gather(&group));
        let accepted: Texts = texts.into_iter().flatten().collect();
        let last = Instant::now().max(self.over);
        let deadline = last + QUIET;
        for account in &self.accounts {
            for ((author, chat), texts) in &accepted {
                arrived(account, author, chat, texts, deadline).await;
            }
        }
        for account in &self.accounts {
            emptied(account, &self.store, deadline).await;
        }
        let settled = Instant::now().saturating_duration_since(last);
        for account in self.accounts {
            account.stop().await;
        }
        self.relay.await.unwrap().stop().await.unwrap();
        (accepted.values().map(|texts| texts.len() as u64).sum(), settled)
    }

    /// Makes a group of all. `there` becomes true when everybody is in it: who comes later does not get what was written
    /// before.
    async fn gather(&self, there: &watch::Sender<bool>) {
        let deadline = self.over + SETUP;
        let others = || NAMES[1..].iter().map(|name| (*name).to_owned()).collect();
        until("a group", deadline, || async {
            let created = self.accounts[0].command(Command::CreateGroup(GROUP.to_owned(), others())).await;
            matches!(created, Ok(Reply::Group(_))).then_some(())
        })
        .await;
        for account in &self.accounts {
            until("a member", deadline, || async {
                let group = account.query(|view| query::group_named(view, GROUP)).await.unwrap();
                group.filter(|group| group.members.len() == NAMES.len())
            })
            .await;
        }
        there.send_replace(true);
    }

    async fn pair(&mut self, inviter: usize, invited: usize) {
        let (inviter, invited) = (&self.accounts[inviter], &self.accounts[invited]);
        let deadline = self.over + SETUP;
        let validity = Duration::from_secs(3_600);
        let invite = until("an invite", deadline, || async {
            match inviter.command(Command::CreateInvite { validity }).await {
                Ok(Reply::Invite { link, .. }) => Some(link.parse::<Invite>().unwrap()),
                _ => None,
            }
        })
        .await;
        let reply = invited.command(Command::Accept(Box::new(invite))).await;
        assert!(matches!(reply, Ok(Reply::Accepted { .. })), "{reply:?}");
        for (account, other) in [(inviter, invited), (invited, inviter)] {
            let name = other.name().to_string();
            until("a contact", deadline, || async {
                let name = name.clone();
                let contact = account.query(move |view| query::contact_named(view, &name)).await.unwrap();
                contact.filter(|contact| contact.contact.state == ContactState::Ready)
            })
            .await;
        }
    }
}

/// Says for whoever looks into a failure how everybody stands.
async fn tell_when_late(accounts: Vec<Arc<Account>>, late: Instant) {
    tokio::time::sleep_until(late).await;
    for account in accounts {
        let stand = |view: &_| Ok((query::summary(view)?, query::groups(view)?, query::blob_fetches(view)?));
        let stand = account.query(stand).await;
        let group = account.query(|view| query::group_named(view, GROUP)).await;
        let (mailbox, delays) =
            (account.board().mailbox().borrow().clone(), account.board().delays().borrow().clone());
        eprintln!("late: {}: {mailbox:?}, {delays:?}, {stand:#?}, {group:#?}", account.name());
    }
}

/// Writes to everybody and to the group, once it is there, one after the other and at random moments, until the faults are over; a few texts in any case.
async fn talk(account: &Account, mut rng: ChaCha8Rng, over: Instant, group: watch::Receiver<bool>) -> Texts {
    let mut texts = Texts::new();
    let own = account.name().to_string();
    let others: Vec<_> = NAMES.into_iter().filter(|name| *name != own).collect();
    for number in 0..TEXTS {
        if Instant::now() >= over && number >= TEXTS_AT_LEAST {
            break;
        }
        sleep(Duration::from_millis(rng.random_range(0..1_000))).await;
        let chats = others.len() + usize::from(*group.borrow());
        let to = others.get(rng.random_range(0..chats)).map_or(GROUP, |name| *name).to_owned();
        let text = format!("{own} {number}");
        let send =
            Send { to: vec![to.clone()], text: text.clone(), reply_to: None, ttl: None, idempotency: None };
        match account.command(Command::Send(send)).await.unwrap() {
            Reply::Sent(results) => assert!(results[0].outcome.is_ok(), "{results:?}"),
            reply => panic!("{reply:?}"),
        }
        texts.entry((own.clone(), to)).or_default().push(text);
    }
    texts
}

/// Waits until `account` has what `author` wrote to it, in order and once.
async fn arrived(account: &Account, author: &str, chat: &str, texts: &[String], deadline: Instant) {
    let own = account.name().as_str();
    let shown_in = match chat {
        GROUP if own != author => GROUP,
        chat if chat == own => author,
        _ => return,
    };
    let what = format!("what {author} wrote to {chat} at {own}");
    until(&what, deadline, || async {
        let found = received(account, shown_in, author).await;
        assert!(texts.starts_with(&found), "{what}: {found:?} of {texts:?}");
        (found.len() == texts.len()).then_some(())
    })
    .await;
}

/// The texts of `author` that came in a chat.
async fn received(account: &Account, chat: &str, author: &str) -> Vec<String> {
    let chat = chat.to_owned();
    let log = account.query(move |view| query::log(view, &chat, None, QUERY_ROWS)).await.unwrap().unwrap();
    let came =
        log.into_iter().filter(|message| matches!(message.direction, MessageDirection::Received { .. }));
    let texts = came.map(|message| match message.text {
        Text::Plain(text) => text,
        text => panic!("{text:?}"),
    });
    texts.filter(|text| text.starts_with(author)).collect()
}

/// Waits until nothing of `account` waits to leave, and nothing for it at its relay.
async fn emptied(account: &Account, store: &FjallStore, deadline: Instant) {
    until("an empty outbox and mailbox", deadline, || async {
        let summary = account.query(query::summary).await.unwrap();
        assert_eq!((summary.unreadable, summary.missing), (0, 0), "{summary:?}");
        let mailbox = store.mailbox(summary.mailbox).unwrap().unwrap();
        (summary.outbox == 0 && mailbox.stored.envelopes == 0).then_some(())
    })
    .await;
}

/// Looks again and again until something is there.
async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    deadline: Instant,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK).await;
        }
    };
    match timeout_at(deadline, looking).await {
        Ok(found) => found,
        Err(_) => panic!("{what} is not there in time"),
    }
}

/// What stays of a relay while it does not run.
struct Relay {
    home: PathBuf,
    identity: RelayIdentity,
    store: FjallStore,
    network: Network,
}

impl Relay {
    fn new(home: PathBuf, network: Network) -> Self {
        let store = FjallStore::open(&home.join("store")).unwrap();
        Self { home, identity: RelayIdentity::generate().unwrap(), store, network }
    }

    fn address(&self) -> RelayAddress {
        let address = Network::server();
        RelayAddress::new(&address.ip().to_string(), address.port(), self.identity.pin()).unwrap()
    }

    fn start(&self) -> Server {
        let endpoint = server::listen_on(self.network.server_socket(), &self.identity).unwrap();
        let policy = Policy { registration: Registration::Open, ..Policy::default() };
        let tokens = TokenDirectory::open(&self.home.join("tokens")).unwrap();
        let options = Options { listen: Network::server(), connections: 100, policy, tokens };
        Server::start_on(endpoint, &self.identity, self.store.clone(), options).unwrap()
    }

    /// Gives the relay that runs after the last outage.
    async fn serve_with_outages(self, began: Instant) -> Server {
        let mut server = self.start();
        for Outage { when, ending } in self.network.outages() {
            sleep_until(began + when.start).await;
            // Nobody hears of one that was killed that it is gone. What it has taken in by then it still commits, as it would
            // have a moment earlier: that it might not is for those who kill a real one (kill.rs, traps.rs).
            if ending == Ending::Killed {
                self.network.unplug_server();
            }
            server.stop().await.unwrap();
            self.network.unplug_server();
            sleep_until(began + when.end).await;
            server = self.start();
        }
        server
    }
}
