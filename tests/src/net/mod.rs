//! A network in memory under the real QUIC, and a clock that stands still while anybody works.
//!
//! [`Network`] has the packets and their fates, [`Weather`] says what goes wrong and when, [`socket`] is all that knows
//! quinn, [`clock`] keeps the time.

pub mod clock;
pub mod socket;
mod weather;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

pub use self::weather::{Ending, Fault, Outage, Weather};

/// Where servers are. Whoever has another address is behind a router of its own.
const SERVERS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// How long a packet takes at least, and at most as long as nothing is wrong.
const DELAY: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(20)];
/// How much later a packet may come that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(200);
/// Packets that wait for one socket; more are lost, as they are by a system whose buffer is full.
const WAITING: usize = 4_096;

/// The network. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Network(Arc<Mutex<State>>);

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// All that were sent.
    pub sent: u64,
    /// Never delivered.
    pub lost: u64,
    /// Delivered twice.
    pub repeated: u64,
    /// Delivered with other bytes.
    pub corrupted: u64,
    /// Routers that took other ports in the middle of connections.
    pub rebound: u64,
}

#[derive(Debug)]
struct State {
    began: Instant,
    weather: Weather,
    /// For each host, what decides the fates of the packets to it and from it.
    fates: BTreeMap<IpAddr, [ChaCha8Rng; 2]>,
    seed: u64,
    inboxes: BTreeMap<SocketAddr, Inbox>,
    /// Under which address a server sees a socket, and the way back.
    outside: BTreeMap<SocketAddr, SocketAddr>,
    inside: BTreeMap<SocketAddr, SocketAddr>,
    /// Of each host, how many of its rebindings are done.
    rebindings: BTreeMap<IpAddr, usize>,
    next_port: u16,
    sequence: u64,
    sockets: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Inbox {
    /// Of which socket: a server that was started again has another one at the same address.
    socket: u64,
    /// By the time of arrival.
    packets: BTreeMap<(Instant, u64), Packet>,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Packet {
    from: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Direction {
    Out,
    In,
}

impl Network {
    /// A network whose packets meet with what `weather` says, decided by `seed`.
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            weather,
            fates: BTreeMap::new(),
            seed,
            inboxes: BTreeMap::new(),
            outside: BTreeMap::new(),
            inside: BTreeMap::new(),
            rebindings: BTreeMap::new(),
            next_port: 1_024,
            sequence: 0,
            sockets: 0,
            counts: Counts::default(),
        })))
    }

    /// Where the one server listens.
    pub fn server() -> SocketAddr {
        SocketAddr::from((SERVERS, 4_433))
    }

    /// The address of the host of this number.
    pub fn host(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 1, number])
    }

    /// When the server does not run.
    pub fn outages(&self) -> Vec<Outage> {
        self.lock().weather.outages().to_vec()
    }

    /// From here on nothing comes from the server, and nothing gets to it, until it listens again.
    pub fn unplug_server(&self) {
        // Wakers are somebody's code.
        let _after_the_lock = self.lock().inboxes.remove(&Self::server());
    }

    /// What became of the packets so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// When the next packet arrives.
    fn next_arrival(&self) -> Option<Instant> {
        let state = self.lock();
        state.inboxes.values().filter_map(|inbox| Some(inbox.packets.first_key_value()?.0.0)).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Opens a socket, and says its number. One that was open there is closed.
    fn bind(&mut self, address: SocketAddr) -> u64 {
        self.sockets += 1;
        let inbox = Inbox { socket: self.sockets, packets: BTreeMap::new(), reader: None };
        self.inboxes.insert(address, inbox);
        self.sockets
    }

    /// What has arrived for a socket; nothing when it is closed.
    fn inbox(&mut self, address: SocketAddr, socket: u64) -> Option<&mut Inbox> {
        self.inboxes.get_mut(&address).filter(|inbox| inbox.socket == socket)
    }

    fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Instant) {
        self.counts.sent += 1;
        let (host, direction) = match from.ip() == SERVERS {
            false => (from.ip(), Direction::Out),
            true => match self.inside.get(&to) {
                Some(inside) => (inside.ip(), Direction::In),
                // The router has forgotten it.
                None => return self.counts.lost += 1,
            },
        };
        self.rebind_if_due(host, now);
        let (from, to) = match direction {
            Direction::Out => (self.seen_as(from), to),
            Direction::In => match self.inside.get(&to) {
                Some(inside) => (from, *inside),
                None => return self.counts.lost += 1,
            },
        };
        self.deliver(host, direction, (from, to), bytes, now);
    }

    fn deliver(
        &mut self,
        host: IpAddr,
        direction: Direction,
        (from, to): (SocketAddr, SocketAddr),
        bytes: &[u8],
        now: Instant,
    ) {
        let conditions = self.weather.at(host, now - self.began);
        let fate = Fate::draw(self.fates(host, direction), bytes.len());
        if conditions.cut || fate.loss < conditions.loss || bytes.len() > conditions.mtu {
            self.counts.lost += 1;
            return;
        }
        let mut bytes = bytes.to_vec();
        if fate.corruption < conditions.corruption {
            self.counts.corrupted += 1;
            if let Some(byte) = bytes.get_mut(fate.place) {
                *byte ^= fate.bits;
            }
        }
        let late = if fate.reordering < conditions.reordering { fate.late } else { Duration::ZERO };
        if fate.repetition < conditions.repetition {
            self.counts.repeated += 1;
            self.arrive(to, now + fate.delay + fate.late, Packet { from, bytes: bytes.clone() });
        }
        self.arrive(to, now + fate.delay + late, Packet { from, bytes });
    }

    fn arrive(&mut self, to: SocketAddr, at: Instant, packet: Packet) {
        self.sequence += 1;
        let sequence = self.sequence;
        // Nobody may be there any more.
        let Some(inbox) = self.inboxes.get_mut(&to) else { return };
        if inbox.packets.len() >= WAITING {
            self.counts.lost += 1;
            return;
        }
        inbox.packets.insert((at, sequence), packet);
        if let Some(reader) = inbox.reader.take() {
            reader.wake();
        }
    }

    fn seen_as(&mut self, socket: SocketAddr) -> SocketAddr {
        if let Some(outside) = self.outside.get(&socket) {
            return *outside;
        }
        let outside = SocketAddr::from(([203, 0, 113, last_octet(socket.ip())], self.port()));
        self.outside.insert(socket, outside);
        self.inside.insert(outside, socket);
        outside
    }

    /// A router that forgets what it knew: from here on its sockets are seen under other ports.
    fn rebind_if_due(&mut self, host: IpAddr, now: Instant) {
        let due = self.weather.rebindings(host, now - self.began);
        let done = self.rebindings.entry(host).or_default();
        if *done < due {
            *done = due;
            self.counts.rebound += 1;
            self.outside.retain(|inside, _| inside.ip() != host);
            self.inside.retain(|_, inside| inside.ip() != host);
        }
    }

    fn fates(&mut self, host: IpAddr, direction: Direction) -> &mut ChaCha8Rng {
        let seed = self.seed;
        let both = self.fates.entry(host).or_insert_with(|| {
            let way = |way| ChaCha8Rng::seed_from_u64(seed << 16 | u64::from(last_octet(host)) << 8 | way);
            [way(0), way(1)]
        });
        &mut both[direction as usize]
    }
}

fn last_octet(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    }
}

/// What one packet draws. As much is drawn for each, so that the hundredth packet's fate does not hang on what became of
/// the others.
struct Fate {
    loss: f64,
    corruption: f64,
    place: usize,
    bits: u8,
    repetition: f64,
    reordering: f64,
    delay: Duration,
    late: Duration,
}

impl Fate {
    fn draw(rng: &mut impl Rng, len: usize) -> Self {
        let [least, most] = DELAY;
        Self {
            loss: rng.random(),
            corruption: rng.random(),
            place: rng.random::<u32>() as usize % len.max(1),
            bits: rng.random_range(1..=255),
            repetition: rng.random(),
            reordering: rng.random(),
            delay: least + (most - least).mul_f64(rng.random()),
            late: OVERTAKEN.mul_f64(rng.random()),
        }
    }
}
