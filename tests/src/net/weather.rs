//! What goes wrong in the network, where and when: drawn once, from a seed.

use std::{net::IpAddr, ops::Range, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::SERVERS;

/// The largest datagram of an ordinary path, in bytes: Ethernet's 1,500 without the headers of IP and UDP.
const ORDINARY_MTU: usize = 1_472;

/// Everything that goes wrong until all is well.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    episodes: Vec<Episode>,
    outages: Vec<Outage>,
}

/// From when until when the server does not run. It ends in order, or in the middle of whatever it does.
#[derive(Clone, Debug)]
pub struct Outage {
    /// From the beginning of the network on.
    pub when: Range<Duration>,
    /// How it ends.
    pub ending: Ending,
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is asked to, and says goodbye.
    Asked,
    /// From one moment to the next no packet comes from it.
    Killed,
}

#[derive(Clone, Debug)]
struct Episode {
    host: IpAddr,
    when: Range<Duration>,
    fault: Fault,
}

/// What may be wrong between a host and everybody else.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This share of the packets is lost.
    Loss(f64),
    /// This share comes twice.
    Repetition(f64),
    /// This share is overtaken by others.
    Reordering(f64),
    /// Of this share a byte is another one.
    Corruption(f64),
    /// Nothing passes.
    Partition,
    /// Longer datagrams are lost without a word.
    Mtu(usize),
    /// At its beginning, the host's router takes other ports.
    Rebinding,
}

/// How it is between a host and everybody else at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    pub(super) loss: f64,
    pub(super) repetition: f64,
    pub(super) reordering: f64,
    pub(super) corruption: f64,
    pub(super) cut: bool,
    pub(super) mtu: usize,
}

impl Weather {
    /// Three to eight faults for each of `hosts`, and up to three of their server, all over at `end`.
    pub fn draw(seed: u64, hosts: &[IpAddr], end: Duration) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut episodes = Vec::new();
        for host in hosts {
            for _ in 0..rng.random_range(3..=8) {
                let fault = match rng.random_range(0..8) {
                    0 | 1 => Fault::Loss(rng.random_range(0.01..=0.3)),
                    2 => Fault::Repetition(rng.random_range(0.01..=0.3)),
                    3 => Fault::Reordering(rng.random_range(0.01..=0.5)),
                    4 => Fault::Corruption(rng.random_range(0.01..=0.1)),
                    5 => Fault::Partition,
                    6 => Fault::Mtu(rng.random_range(1_200..ORDINARY_MTU)),
                    _ => Fault::Rebinding,
                };
                let from = end.mul_f64(rng.random_range(0.0..0.9));
                let long = match fault {
                    // Longer than a connection lives without a word from the other side, now and then.
                    Fault::Partition => end.mul_f64(rng.random_range(0.02..0.4)),
                    _ => end.mul_f64(rng.random_range(0.1..0.6)),
                };
                episodes.push(Episode { host: *host, when: from..(from + long).min(end), fault });
            }
        }
        if rng.random() {
            let from = rng.random_range(0.0..0.9);
            let to = f64::min(from + rng.random_range(0.02..0.3), 1.0);
            let when = end.mul_f64(from)..end.mul_f64(to);
            episodes.push(Episode { host: SERVERS.into(), when, fault: Fault::Partition });
        }
        let mut outages = Vec::new();
        for half in [0.0, 0.5] {
            if rng.random_ratio(2, 3) {
                outages.push(Outage::draw(half, end, &mut rng));
            }
        }
        Self { episodes, outages }
    }

    /// When the server does not run, the first outage first.
    pub fn outages(&self) -> &[Outage] {
        &self.outages
    }

    /// How many things go wrong.
    pub fn faults(&self) -> usize {
        self.episodes.len() + self.outages.len()
    }

    pub(super) fn at(&self, host: IpAddr, time: Duration) -> Conditions {
        let mut conditions = Conditions {
            loss: 0.0,
            repetition: 0.0,
            reordering: 0.0,
            corruption: 0.0,
            cut: false,
            mtu: ORDINARY_MTU,
        };
        // What happens to the server happens between it and everybody.
        let concerns = |episode: &&Episode| episode.host == host || episode.host == SERVERS;
        for episode in self.episodes.iter().filter(concerns).filter(|episode| episode.when.contains(&time)) {
            match episode.fault {
                Fault::Loss(share) => conditions.loss = conditions.loss.max(share),
                Fault::Repetition(share) => conditions.repetition = conditions.repetition.max(share),
                Fault::Reordering(share) => conditions.reordering = conditions.reordering.max(share),
                Fault::Corruption(share) => conditions.corruption = conditions.corruption.max(share),
                Fault::Partition => conditions.cut = true,
                Fault::Mtu(bytes) => conditions.mtu = conditions.mtu.min(bytes),
                Fault::Rebinding => {}
            }
        }
        conditions
    }

    /// How often a host's router has taken other ports until then.
    pub(super) fn rebindings(&self, host: IpAddr, time: Duration) -> usize {
        let here = self.episodes.iter().filter(|episode| episode.host == host && episode.when.start <= time);
        here.filter(|episode| matches!(episode.fault, Fault::Rebinding)).count()
    }
}

impl Outage {
    /// One that begins in the half of the time that begins there, and ends before the half does.
    fn draw(half: f64, end: Duration, rng: &mut ChaCha8Rng) -> Self {
        let from = half + rng.random_range(0.0..0.4);
        let to = f64::min(from + rng.random_range(0.0..0.2), half + 0.5);
        let ending = if rng.random() { Ending::Asked } else { Ending::Killed };
        Self { when: end.mul_f64(from)..end.mul_f64(to), ending }
    }
}
