//! A road to a relay for real programs, on which packets are lost, repeated, overtaken and held up. It takes no rights: whoever
//! is told its address instead of the relay's goes by it.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use hermes_wire::address::RelayAddress;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How long a packet takes at least, and at most as long as nobody overtakes it.
const DELAY: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(8)];
/// How much later one may come that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(60);
/// A slow road keeps this many bytes waiting in each direction; more are lost.
const WAITING_BYTES: u64 = 32 * 1024;
/// Between two looks at whether the road is gone.
const PAUSE: Duration = Duration::from_millis(100);
/// The largest UDP datagram.
const DATAGRAM: usize = 65_535;

/// How it is on a road.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// This share of the packets is lost.
    pub loss: f64,
    /// This share comes twice.
    pub repetition: f64,
    /// This share is overtaken by others.
    pub overtaking: f64,
    /// So many bytes a second pass in each direction, if not all.
    pub rate: Option<u64>,
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All that set out.
    pub sent: u64,
    /// Those that never arrived.
    pub lost: u64,
    /// Those that arrived twice.
    pub repeated: u64,
}

/// A road; closed when this is dropped.
#[derive(Debug)]
pub struct Road {
    port: u16,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
struct Traffic {
    relay: SocketAddr,
    state: Mutex<State>,
    /// What `loss` and the like have come to.
    counts: [AtomicU64; 3],
    closed: AtomicBool,
}

#[derive(Debug)]
struct State {
    conditions: Conditions,
    rng: ChaCha8Rng,
    /// In each direction, when what has set out so far is through.
    free: [Instant; 2],
}

/// A packet on its way.
struct Packet {
    bytes: Vec<u8>,
    due: Instant,
    by: Arc<UdpSocket>,
    to: SocketAddr,
}

#[derive(Clone, Copy)]
enum Direction {
    ToRelay,
    ToClient,
}

impl Road {
    /// A road without faults to a relay on this machine.
    pub fn to(relay: &RelayAddress, seed: u64) -> Self {
        let front = Arc::new(socket());
        let port = front.local_addr().expect("it is bound").port();
        let state = State {
            conditions: Conditions::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            free: [Instant::now(); 2],
        };
        let traffic = Arc::new(Traffic {
            relay: (Ipv4Addr::LOCALHOST, relay.port()).into(),
            state: Mutex::new(state),
            counts: Default::default(),
            closed: AtomicBool::new(false),
        });
        let (set_out, arriving) = channel();
        let (entering, leaving) = (traffic.clone(), traffic.clone());
        thread::spawn(move || entering.enter(&front, &set_out));
        thread::spawn(move || leaving.leave(&arriving));
        Self { port, traffic }
    }

    /// The relay's address for whoever is to take this road.
    pub fn address_of(&self, relay: &RelayAddress) -> String {
        let (old, new) = (format!(":{}#", relay.port()), format!(":{}#", self.port));
        let address = relay.to_string();
        assert!(address.contains(&old), "{address} has another form");
        address.replace(&old, &new)
    }

    /// How it is from here on.
    pub fn set(&self, conditions: Conditions) {
        self.traffic.state.lock().expect("no thread panics").conditions = conditions;
    }

    /// What became of the packets so far.
    pub fn counts(&self) -> Counts {
        let [sent, lost, repeated] = [0, 1, 2].map(|kind| self.traffic.counts[kind].load(Ordering::Relaxed));
        Counts { sent, lost, repeated }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.traffic.closed.store(true, Ordering::Relaxed);
    }
}

impl Traffic {
    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Takes what clients send, and has a socket of its own for each of them, as a router has.
    fn enter(self: &Arc<Self>, front: &Arc<UdpSocket>, set_out: &Sender<Packet>) {
        let mut clients = BTreeMap::<SocketAddr, Arc<UdpSocket>>::new();
        self.read(front, |bytes, client| {
            let back = clients.entry(client).or_insert_with(|| {
                let back = Arc::new(socket());
                let (traffic, front, back_again, set_out) =
                    (self.clone(), front.clone(), back.clone(), set_out.clone());
                thread::spawn(move || {
                    traffic.read(&back_again, |bytes, _| {
                        traffic.send(bytes, Direction::ToClient, (&front, client), &set_out);
                    });
                });
                back
            });
            self.send(bytes, Direction::ToRelay, (back, self.relay), set_out);
        });
    }

    fn read(&self, socket: &UdpSocket, mut packet: impl FnMut(&[u8], SocketAddr)) {
        let mut buffer = vec![0; DATAGRAM];
        while self.is_open() {
            // Nothing for a while, or nobody at the other end.
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                packet(&buffer[..length], from);
            }
        }
    }

    fn send(
        &self,
        bytes: &[u8],
        direction: Direction,
        (by, to): (&Arc<UdpSocket>, SocketAddr),
        set_out: &Sender<Packet>,
    ) {
        let mut state = self.state.lock().expect("no thread panics");
        self.count(0);
        let arrivals = state.arrivals(bytes.len(), direction);
        match arrivals.len() {
            0 => self.count(1),
            1 => {}
            _ => self.count(2),
        }
        for due in arrivals {
            // Nobody takes it any more when the road is closed.
            let _ = set_out.send(Packet { bytes: bytes.to_vec(), due, by: by.clone(), to });
        }
    }

    fn count(&self, kind: usize) {
        self.counts[kind].fetch_add(1, Ordering::Relaxed);
    }

    /// Hands packets on when they are due.
    fn leave(&self, arriving: &Receiver<Packet>) {
        let (mut waiting, mut number) = (BTreeMap::<(Instant, u64), Packet>::new(), 0);
        while self.is_open() {
            let now = Instant::now();
            while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
                let packet = first.remove();
                // As on any network, nobody hears of it when it does not arrive.
                let _ = packet.by.send_to(&packet.bytes, packet.to);
            }
            let next = waiting.first_key_value().map_or(PAUSE, |((due, _), _)| due.duration_since(now));
            match arriving.recv_timeout(next.min(PAUSE)) {
                Ok(packet) => {
                    number += 1;
                    waiting.insert((packet.due, number), packet);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

impl State {
    /// When a packet arrives: never, once, or twice.
    fn arrivals(&mut self, bytes: usize, direction: Direction) -> Vec<Instant> {
        let Conditions { loss, repetition, overtaking, rate } = self.conditions;
        let now = Instant::now();
        let mut through = now;
        if let Some(rate) = rate {
            let free = &mut self.free[direction as usize];
            let takes = |bytes: u64| Duration::from_secs_f64(bytes as f64 / rate as f64);
            if free.duration_since(now) > takes(WAITING_BYTES) {
                return Vec::new();
            }
            *free = (*free).max(now) + takes(bytes as u64);
            through = *free;
        }
        if self.rng.random_bool(loss) {
            return Vec::new();
        }
        let times = 1 + usize::from(self.rng.random_bool(repetition));
        let mut arrival = || {
            let late = if self.rng.random_bool(overtaking) { OVERTAKEN } else { Duration::ZERO };
            through + self.rng.random_range(DELAY[0]..DELAY[1]) + late.mul_f64(self.rng.random())
        };
        (0..times).map(|_| arrival()).collect()
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket can be made");
    socket.set_read_timeout(Some(PAUSE)).expect("it is no zero");
    socket
}
