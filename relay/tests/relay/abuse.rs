//! What strangers and bad clients do to a relay while a good pair goes on talking through it.
//!
//! Each attack runs for as long as the pair needs for its messages. Every message must arrive, the relay's memory must
//! stay within its bound, and what the pair waited for, at its slowest, is printed beside what it waits for in peace.

use std::{
    future::Future,
    net::{SocketAddr, UdpSocket},
    path::Path,
    pin::Pin,
    time::{Duration, Instant},
};

use hermes_link::{
    client, close,
    credential::MailboxCredential,
    quinn::{Connection, ConnectionError, SendStream},
};
use hermes_relay::limits::FIRST_FRAME_BYTES;
use hermes_wire::{
    ChannelId, FetchId, RelayAddress, Sequence, Timestamp, VERSION,
    channel::{OpenChannel, Post, PostToken, RosterKey},
    drop::{Deposit, FromDrop, ToDrop},
    frame,
    limits::{ENVELOPE_BYTES, FRAME_BYTES, POST_BYTES},
    mailbox::{Credit, ToRelay},
    token::DropToken,
};
use tokio::{runtime::Builder, time::timeout};

use crate::common::{
    Owner,
    client::{Drop, Mailbox, owner},
    deposit, gapped,
    group::post_id,
    prekeys,
    program::Running,
    world::World,
};

/// Messages of the good pair during each attack, if `HERMES_ABUSE_MESSAGES` does not say another number.
/// Of all attacks together not more than 230 each: a contact may send 6,000 at once, and half of them go by while another is attacked.
const MESSAGES: u32 = 100;
/// Attackers of each kind.
const ATTACKERS: u64 = 24;
/// Connections that each of those holds who begin and do not go on.
const HELD: usize = 42;
/// Streams that one connection may have.
const STREAMS: usize = 16;
/// A contact of Bob's who attacks, and one whom he has shut out.
const BAD_CONTACT: u8 = 100;
const REVOKED_CONTACT: u8 = 200;
/// What a relay may take.
const MEMORY: u64 = 512 << 20;
/// For one message of the good pair; an attack that stops it is one that succeeds.
const PATIENCE: Duration = Duration::from_secs(60);

type Attack = fn(Target, u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who is attacked, and what attackers know.
#[derive(Clone)]
struct Target {
    relay: RelayAddress,
    bob: Owner,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_pair_goes_on_talking_under_every_attack() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Running::start(directory.path(), "127.0.0.1:0");
    let target = Target { relay: relay.address(), bob: owner(1).0 };
    let mut pair = Pair::meet(&target).await;
    let peace = pair.talk(&target).await;
    println!("in peace: {peace:?}");
    let other = another(directory.path()).await;
    let attacks: [(&str, Attack); 12] = [
        ("handshakes that nobody finishes", |target, _| Box::pin(half_open(target))),
        ("handshakes without end", |target, _| Box::pin(handshakes(target))),
        ("streams that begin and do not go on", |target, _| Box::pin(slow_streams(target, Vec::new()))),
        ("streams that do not go on after a post", |target, _| {
            Box::pin(slow_streams(target, frame::encode(&ToDrop::Post(stray_post(1, Vec::new())))))
        }),
        ("streams with gaps", |target, _| Box::pin(gapped_streams(target))),
        ("frames that are none", |target, _| Box::pin(bad_frames(target))),
        ("deposits without end", |target, id| Box::pin(quota_flood(target, id))),
        ("fetches without end", |target, id| Box::pin(prekey_drain(target, id))),
        ("tokens that were revoked", |target, _| Box::pin(revoked_tokens(target))),
        ("acks of what never was", |target, id| Box::pin(forged_acks(target, id))),
        ("posts to channels that are not there", |target, id| Box::pin(stray_posts(target, id))),
        ("mailboxes without end", |target, id| Box::pin(registrations(target, id))),
    ];
    // One of them can be looked at by itself.
    let only = std::env::var("HERMES_ABUSE_ONLY").unwrap_or_default();
    for (what, attack) in attacks.into_iter().filter(|(what, _)| what.contains(&only)) {
        let times = |other: Duration, slowest: Duration| slowest.as_secs_f64() / other.as_secs_f64();
        let beside = match &other {
            Some((_relay, other)) => Some(under(attack, other, &mut pair, &target).await),
            None => None,
        };
        let slowest = under(attack, &target, &mut pair, &target).await;
        print!("{what}: {slowest:?}, {:.1} times that in peace", times(peace, slowest));
        match beside {
            Some(beside) => println!(", {:.1} times that while another is attacked", times(beside, slowest)),
            None => println!(),
        }
    }
    if let Some(peak) = relay.peak_memory() {
        println!("memory at its highest: {} MiB", peak >> 20);
        assert!(peak < MEMORY, "the relay took {peak} bytes");
    }
}

/// Another relay, if `HERMES_ABUSE_CONTROL` is set: attackers take a part of the machine, whomever they attack, and this
/// tells it from what an attack does to the relay.
async fn another(directory: &Path) -> Option<(Running, Target)> {
    std::env::var_os("HERMES_ABUSE_CONTROL")?;
    let relay = Running::start(&directory.join("another"), "127.0.0.1:0");
    let target = Target { relay: relay.address(), bob: owner(1).0 };
    drop(Pair::meet(&target).await);
    Some((relay, target))
}

/// What the pair waits for while `attacked` is under attack.
async fn under(attack: Attack, attacked: &Target, pair: &mut Pair, target: &Target) -> Duration {
    // On threads of their own: what is attacked is the relay, not its clients' runtime.
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for id in 0..ATTACKERS {
        elsewhere.spawn(attack(attacked.clone(), id));
    }
    let slowest = pair.talk(target).await;
    elsewhere.shutdown_background();
    slowest
}

/// Alice, who writes, and Bob, who reads and acknowledges.
struct Pair {
    alice: Drop,
    bob: Mailbox,
    messages: u32,
}

impl Pair {
    async fn meet(target: &Target) -> Self {
        let mut bob = Mailbox::connect(&target.relay, &owner(1).1, target.bob.register(None)).await;
        bob.ask(ToRelay::PutPrekeys(prekeys())).await;
        bob.ask(ToRelay::Revoke(target.bob.token(REVOKED_CONTACT).contact, Timestamp(u64::MAX))).await;
        Self { alice: alice(target).await, bob, messages: 0 }
    }

    /// How long all but one in a hundred messages took at most, from deposit to delivery: their 99th percentile.
    async fn talk(&mut self, target: &Target) -> Duration {
        let mut times = Vec::new();
        let asked = std::env::var("HERMES_ABUSE_MESSAGES").ok().and_then(|number| number.parse().ok());
        for _ in 0..asked.unwrap_or(MESSAGES) {
            self.messages += 1;
            let message = deposit(self.messages, &self.messages.to_be_bytes());
            let begun = Instant::now();
            timeout(PATIENCE, self.deliver(target, &message)).await.expect("an attack stops the pair");
            times.push(begun.elapsed());
        }
        times.sort();
        times[times.len() - 1 - times.len() / 100]
    }
}

impl Pair {
    async fn deliver(&mut self, target: &Target, message: &Deposit) {
        // A stream that was quiet for a while, because so much was in front, is over.
        if self.alice.requests.send(&ToDrop::Deposit(message.clone())).await.is_err() {
            self.alice = alice(target).await;
            self.alice.requests.send(&ToDrop::Deposit(message.clone())).await.unwrap();
        }
        assert_eq!(self.alice.answers.next().await.unwrap(), Some(FromDrop::Receipt(message.envelope)));
        // Others deposit as well.
        let mut earned = Credit { envelopes: 0, bytes: 0 };
        loop {
            let envelope = self.bob.receive_envelope().await;
            let bytes = envelope.body.len() as u32;
            earned = Credit { envelopes: earned.envelopes + 1, bytes: earned.bytes + bytes };
            let found = envelope.envelope == message.envelope;
            if found || earned.envelopes == 64 {
                self.bob.control.push(&ToRelay::Ack(envelope.sequence));
                self.bob.control.push(&ToRelay::Credit(earned));
                self.bob.control.flush().await.unwrap();
                earned = Credit { envelopes: 0, bytes: 0 };
            }
            if found {
                return;
            }
        }
    }
}

async fn alice(target: &Target) -> Drop {
    Drop::connect(&target.relay, target.bob.open(&token(&target.bob, 1))).await.unwrap()
}

fn token(owner: &Owner, contact: u8) -> DropToken {
    DropToken { expiry: Timestamp(u64::MAX), ..owner.token(contact) }
}

/// First packets of real handshakes, from addresses that never answer.
async fn half_open(target: Target) {
    let catcher = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (host, port) = (catcher.local_addr().unwrap().ip().to_string(), catcher.local_addr().unwrap().port());
    let caught = RelayAddress::new(&host, port, target.relay.pin()).unwrap();
    let relay = SocketAddr::from(([127, 0, 0, 1], target.relay.port()));
    loop {
        let mut first = [0; 1_500];
        let endpoint = client::endpoint().unwrap();
        let length = tokio::select! {
            received = catcher.recv(&mut first) => received.unwrap(),
            _ = client::connect_drop(&endpoint, &caught) => continue,
        };
        for _ in 0..20 {
            let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
            // A full buffer loses it, as networks do.
            let _ = nobody.send_to(&first[..length], relay);
            tokio::task::yield_now().await;
        }
    }
}

async fn handshakes(target: Target) {
    let endpoint = client::endpoint().unwrap();
    loop {
        // Refused or not: the next one.
        let _ = client::connect_drop(&endpoint, &target.relay).await;
    }
}

/// As many streams as a connection may have, each with `before` and the beginning of a frame, and as much of it as the relay takes.
async fn slow_streams(target: Target, before: Vec<u8>) {
    let endpoint = client::endpoint().unwrap();
    let mut held: Vec<(Connection, Vec<SendStream>)> = Vec::new();
    loop {
        if held.len() == HELD {
            held.remove(0);
        }
        let Ok(connection) = client::connect_drop(&endpoint, &target.relay).await else { continue };
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let Ok((mut send, _receive)) = connection.open_bi().await else { break };
            // A channel is open to everybody, until the post.
            let open = OpenChannel { version: VERSION, channel: ChannelId([7; 32]) };
            let mut bytes = frame::encode(&ToDrop::OpenChannel(open));
            bytes.extend_from_slice(&before);
            bytes.extend((FRAME_BYTES as u32).to_be_bytes());
            bytes.extend(vec![0; FRAME_BYTES - 1]);
            // The relay need not take all of it.
            let _ = timeout(Duration::from_millis(1), send.write_all(&bytes)).await;
            streams.push(send);
        }
        held.push((connection, streams));
    }
}

/// As many streams as a connection may have, of which every other byte is missing, the first one too: what arrives has to be
/// kept, and can never be read.
async fn gapped_streams(target: Target) {
    let mut held: Vec<(Connection, Vec<SendStream>)> = Vec::new();
    loop {
        if held.len() == HELD {
            held.remove(0);
        }
        let (endpoint, loss) = gapped::endpoint();
        let Ok(connection) = client::connect_drop(&endpoint, &target.relay).await else { continue };
        loss.every_other();
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let Ok((send, _receive)) = connection.open_bi().await else { break };
            streams.push(send);
        }
        let open = OpenChannel { version: VERSION, channel: ChannelId([7; 32]) };
        for byte in frame::encode(&ToDrop::OpenChannel(open)) {
            for send in &mut streams {
                // The relay need not take all of it. Each byte is a datagram of its own.
                let _ = timeout(Duration::from_millis(1), send.write_all(&[byte])).await;
                tokio::task::yield_now().await;
            }
        }
        loss.everything();
        held.push((connection, streams));
    }
}

async fn bad_frames(target: Target) {
    let deep = [&10_001_u32.to_be_bytes()[..], &[0x81; 10_000], &[0x00]].concat();
    let frames: [&[u8]; 6] = [
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0x00],
        &deep,
        // An array, a byte string and a map without lengths (RFC 8949, section 3.2).
        &[0, 0, 0, 3, 0x9f, 0x00, 0xff],
        &[0, 0, 0, 4, 0x5f, 0x41, 0x00, 0xff],
        &[0, 0, 0, 0],
    ];
    let endpoint = client::endpoint().unwrap();
    loop {
        for bytes in frames {
            let Ok(connection) = client::connect_drop(&endpoint, &target.relay).await else { continue };
            let Ok((mut send, mut receive)) = connection.open_bi().await else { continue };
            let _ = send.write_all(bytes).await;
            let _ = send.finish();
            // What the relay says to it, if anything.
            let _ = timeout(Duration::from_secs(1), receive.read_to_end(1_000)).await;
        }
    }
}

/// A contact that has gone bad, on many connections. What it may send at once is in front of whatever comes later.
async fn quota_flood(target: Target, id: u64) {
    let contact = BAD_CONTACT;
    let mut number = 1_000_000 * (id as u32 + 1);
    loop {
        let Ok(mut stream) =
            Drop::connect(&target.relay, target.bob.open(&token(&target.bob, contact))).await
        else {
            continue;
        };
        for _ in 0..64 {
            number += 1;
            stream.requests.push(&ToDrop::Deposit(deposit(number, &[0; 1_024])));
        }
        let _ = stream.requests.flush().await;
        for _ in 0..64 {
            let Ok(Some(FromDrop::Receipt(_))) = stream.answers.next().await else { break };
        }
    }
}

async fn prekey_drain(target: Target, id: u64) {
    let mut fetch = id << 32;
    loop {
        let contact = BAD_CONTACT;
        let Ok(mut stream) =
            Drop::connect(&target.relay, target.bob.open(&token(&target.bob, contact))).await
        else {
            continue;
        };
        loop {
            fetch += 1;
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&fetch.to_be_bytes());
            stream.requests.push(&ToDrop::FetchPrekeys(FetchId(bytes)));
            let _ = stream.requests.flush().await;
            if !matches!(stream.answers.next().await, Ok(Some(_))) {
                break;
            }
        }
    }
}

async fn revoked_tokens(target: Target) {
    loop {
        let refused =
            Drop::connect(&target.relay, target.bob.open(&token(&target.bob, REVOKED_CONTACT))).await;
        assert!(refused.is_err());
    }
}

async fn forged_acks(target: Target, id: u64) {
    let (person, credential) = owner(100 + id as u8);
    loop {
        let mut mailbox = Mailbox::connect(&target.relay, &credential, person.register(None)).await;
        let _ = mailbox.control.send(&ToRelay::Ack(Sequence(u64::MAX))).await;
        let _ = mailbox.answers.next().await;
    }
}

async fn stray_posts(target: Target, id: u64) {
    let mut number = id << 32;
    loop {
        let mut stream = Drop::channel(&target.relay, ChannelId([id as u8; 32])).await;
        for _ in 0..8 {
            number += 1;
            stream.requests.push(&ToDrop::Post(stray_post(number, vec![0; POST_BYTES])));
        }
        let _ = stream.requests.flush().await;
        while let Ok(Some(_)) = stream.answers.next().await {}
    }
}

/// Nobody has its token.
fn stray_post(number: u64, body: Vec<u8>) -> Post {
    let (token, roster) = (PostToken::new([7; 32]), RosterKey::new([7; 32]));
    Post { post: post_id(number), epoch: 0, token, roster, body: body.into() }
}

async fn registrations(target: Target, id: u64) {
    let mut number = id << 32;
    let (person, _) = owner(1);
    loop {
        number += 1;
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let credential = MailboxCredential::from_seed(&seed).unwrap();
        drop(Mailbox::try_connect(&target.relay, &credential, person.register(None)).await);
    }
}

#[tokio::test]
async fn who_has_proven_nothing_may_not_make_the_relay_wait_for_much() {
    let world = World::open();
    let endpoint = client::endpoint().unwrap();
    let begin = async |bytes: &[u8]| {
        let connection = client::connect_drop(&endpoint, &world.address).await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        (connection, send, receive)
    };
    // The beginning of a frame that a contact may send, but not as the first one.
    let long = u32::try_from(FIRST_FRAME_BYTES + 1).unwrap().to_be_bytes();
    let (connection, _send, _receive) = begin(&long).await;
    let closed = connection.closed().await;
    assert!(
        matches!(closed, ConnectionError::ApplicationClosed(closed) if closed.error_code == close::BAD_FRAME)
    );
    // It is taken from one.
    let (bob, mut mailbox) = world.bob().await;
    let mut alice = world.drop_to(&bob, 1).await;
    let large = deposit(1, &[7; ENVELOPE_BYTES]);
    assert_eq!(alice.deposit(&large).await, FromDrop::Receipt(large.envelope));
    assert_eq!(mailbox.receive().await.1.len(), ENVELOPE_BYTES);
}
