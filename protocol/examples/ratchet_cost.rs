//! What a ratchet message costs, with the ML-KEM steps that fall to it: bytes on the wire and time on this machine.
//!
//! `cargo run --release -p hermes-protocol --example ratchet_cost`

use std::time::{Duration, Instant};

#[path = "../tests/support/mod.rs"]
mod support;

use support::{Peer, settled_peers};

/// Messages measured for each pattern.
const MESSAGES: u32 = 20_000;
const TEXT: [u8; 100] = [7; 100];

fn main() {
    println!("pattern   bytes/message  carrying KEM  largest record  seal+open of two sides, us/message");
    for run in [1, 2, 10, 50] {
        print(&format!("{run:>2}:1 plain"), measure(run, false));
        print(&format!("{run:>2}:1"), measure(run, true));
    }
}

struct Cost {
    messages: u32,
    bytes: usize,
    carrying: u32,
    record: usize,
    time: Duration,
}

fn print(pattern: &str, cost: Cost) {
    let Cost { messages, bytes, carrying, record, time } = cost;
    println!(
        "{pattern:<10} {:>12.0} {:>12.1} % {record:>15} {:>20.1}",
        bytes as f64 / f64::from(messages),
        100.0 * f64::from(carrying) / f64::from(messages),
        time.as_secs_f64() * 1e6 / f64::from(messages),
    );
}

/// `run` messages of one side, then one of the other. The plain figures leave out the chains that carry a KEM part and
/// the turns that make and take them.
fn measure(run: u32, with_kem: bool) -> Cost {
    let (mut alice, mut bob) = settled_peers(1);
    let mut cost = Cost { messages: 0, bytes: 0, carrying: 0, record: 0, time: Duration::ZERO };
    for _ in 0..MESSAGES / (run + 1) {
        for _ in 0..run {
            pass(&mut alice, &mut bob, with_kem, &mut cost);
        }
        pass(&mut bob, &mut alice, with_kem, &mut cost);
    }
    cost
}

fn pass(from: &mut Peer, to: &mut Peer, with_kem: bool, cost: &mut Cost) {
    let began = Instant::now();
    let (next, envelope) = from.session.seal(None, &TEXT, &mut from.rng).expect("sealed");
    let decoded = hermes_protocol::Envelope::decode(&envelope).expect("an envelope");
    let message = decoded.message().expect("a ratchet message");
    let (opened, _) = to.session.open(message, &to.rows, to.now, &mut to.rng).expect("opened");
    let time = began.elapsed();
    let record = opened.to_bytes().len().max(next.to_bytes().len());
    (from.session, to.session) = (next, opened);
    let carries = envelope.len() > 256;
    if with_kem || (!carries && record < 500) {
        cost.messages += 1;
        cost.bytes += envelope.len();
        cost.carrying += u32::from(carries);
        cost.record = cost.record.max(record);
        cost.time += time;
    }
}
