//! The real sessions of both parties, and the network, compared with the model at every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
    time::Duration,
};

use hermes_protocol::{
    EphemeralMessage, HandshakeMessage, OpenEphemeralError, OpenError, PendingHandshake, RatchetMessage,
    ReplayId, SealEphemeralError, SealError, Session, envelope::Envelope, limits::EPHEMERAL_BYTES,
};
use hermes_wire::Timestamp;
use rand_chacha::ChaCha20Rng;

use super::{
    Name, Who,
    action::{Action, Damage},
    reference::{self, ChainId, Chains, Place, Refusal},
    support::{Account, NOW, Rows, Stock, rng},
};

/// Initiations of each side: enough to cross, and for sessions to follow each other.
const INITIATIONS: usize = 3;
/// Copies kept of each side.
const SNAPSHOTS: usize = 3;
/// Envelopes on the way to each side; of more, the oldest are lost.
const IN_FLIGHT: usize = 64;
/// Messages sealed in one world, so that it ends.
const MESSAGES: usize = 6_000;
/// Bytes of a ratchet message's nonce and sealed header.
const HEADER: usize = 24 + 57;
/// Bytes of an envelope's version and kind.
const PREFIX: usize = 2;

/// Two accounts that never change, and what they can start with: handshakes are dear, worlds are many.
struct Cast {
    accounts: [Account; 2],
    initiations: BTreeMap<Name, Initiation>,
}

struct Initiation {
    session: Vec<u8>,
    pending: Vec<u8>,
    handshake: HandshakeMessage,
    /// The responder's side.
    responded: Vec<u8>,
}

impl Cast {
    fn get() -> &'static Self {
        static CAST: OnceLock<Cast> = OnceLock::new();
        CAST.get_or_init(Self::meet)
    }

    fn meet() -> Self {
        let mut accounts = [Account::new(1), Account::new(2)];
        let mut initiations = BTreeMap::new();
        for initiator in Who::BOTH {
            for number in 0..INITIATIONS {
                let [alice, bob] = &mut accounts;
                let (from, to) = if initiator == Who::Alice { (alice, bob) } else { (bob, alice) };
                let initiated = from.initiate(to, Stock::Full);
                let (session, pending) = (initiated.session.to_bytes(), initiated.pending.to_bytes());
                let sealed = initiated.session.seal(Some(&initiated.pending), b"", &mut rng(0));
                let Ok(Envelope::First { handshake, .. }) = Envelope::decode(&sealed.unwrap().1) else {
                    panic!("the first envelope starts a session");
                };
                let responded = to.respond(&handshake).unwrap().session.to_bytes().to_vec();
                let (session, pending) = (session.to_vec(), pending.to_vec());
                let initiation = Initiation { session, pending, handshake, responded };
                initiations.insert(Name { initiator, number }, initiation);
            }
        }
        Self { accounts, initiations }
    }

    /// The responder's session for a handshake, and whose it is if it is genuine.
    fn respond(&self, by: Who, handshake: &HandshakeMessage) -> Option<(Option<Name>, Session)> {
        let genuine = self
            .initiations
            .iter()
            .find(|(name, known)| name.initiator != by && known.handshake == *handshake);
        if let Some((name, known)) = genuine {
            return Some((Some(*name), session(&known.responded)));
        }
        let responded = self.accounts[by as usize].respond(handshake).ok()?;
        Some((None, responded.session))
    }
}

fn session(bytes: &[u8]) -> Session {
    Session::from_bytes(bytes).unwrap()
}

/// One side of one session: the real one, and what the model says of it.
struct Held {
    session: Session,
    pending: Option<PendingHandshake>,
    /// The initiation that it answers; `None` for an own one.
    responded: Option<ReplayId>,
    rows: Rows,
    model: reference::Side,
}

impl Held {
    fn copy(&self) -> Self {
        Self {
            session: session(&self.session.to_bytes()),
            pending: self.pending.as_ref().map(|it| PendingHandshake::from_bytes(&it.to_bytes()).unwrap()),
            responded: self.responded,
            rows: self.rows.clone(),
            model: self.model.clone(),
        }
    }

    fn check(&self) {
        assert_eq!(self.rows.keys.keys().copied().collect::<BTreeSet<_>>(), self.model.skipped());
        assert_eq!(self.rows.chains.keys().copied().collect::<BTreeSet<_>>(), self.model.passed());
        let next = position(&self.session).map(|position| position.index);
        assert_eq!(next, self.model.next());
    }
}

/// What a message key follows from, as the record of a session shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    ratchet_key: [u8; 32],
    chain_key: [u8; 32],
    index: u32,
}

/// Reads the layout of a session's record; nothing of the crate helps to.
fn position(session: &Session) -> Option<Position> {
    let record = session.to_bytes();
    // Version, id, binding, root key, ratchet secret.
    let (_, rest) = record.split_at(1 + 16 + 3 * 32);
    let (ratchet_key, rest) = rest.split_first_chunk().unwrap();
    let (_next_header_keys, rest) = rest.split_at(2 * 32);
    let rest = if rest[0] == 0 { &rest[1..] } else { &rest[1 + 4 + 32..] };
    let (present, rest) = rest.split_first().unwrap();
    if *present == 0 {
        return None;
    }
    let (chain_key, rest) = rest.split_first_chunk().unwrap();
    let index = u32::from_be_bytes(rest[32..36].try_into().unwrap());
    Some(Position { ratchet_key: *ratchet_key, chain_key: *chain_key, index })
}

/// Everything that a restore puts back.
#[derive(Default)]
struct State {
    sessions: BTreeMap<Name, Held>,
    /// Messages opened, by number.
    opened: BTreeSet<usize>,
    /// Positions at which a message was sealed, and their chain keys.
    used: BTreeSet<([u8; 32], u32)>,
    used_keys: BTreeSet<[u8; 32]>,
}

impl State {
    /// For a side that knows nothing of what it did since, so that what it used then it may use again.
    fn copy(&self) -> Self {
        Self {
            sessions: self.sessions.iter().map(|(name, held)| (*name, held.copy())).collect(),
            opened: self.opened.clone(),
            used: self.used.clone(),
            used_keys: self.used_keys.clone(),
        }
    }
}

struct Side {
    state: State,
    snapshots: Vec<State>,
    initiated: usize,
    rng: ChaCha20Rng,
    /// On the way here.
    inbound: Vec<Vec<u8>>,
}

/// What was sealed into an envelope.
struct Sealed {
    number: usize,
    session: Name,
    by: Who,
    text: Vec<u8>,
    kind: Kind,
    /// The envelope behind its prefix and handshake.
    message: Vec<u8>,
}

enum Kind {
    Ratchet(Place),
    Ephemeral(ChainId),
}

/// How often something came of a delivery.
pub type Tally = BTreeMap<String, usize>;

/// Two parties and the network between them.
pub struct World {
    sides: [Side; 2],
    now: Timestamp,
    chains: Chains,
    /// Every message, by its nonce.
    sealed: BTreeMap<[u8; 24], Sealed>,
    restored: bool,
    /// What came of the deliveries so far.
    pub tally: Tally,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let side = |seed| Side {
            state: State::default(),
            snapshots: Vec::new(),
            initiated: 0,
            rng: rng(seed),
            inbound: Vec::new(),
        };
        let mut world = Self {
            sides: [side(2 * seed), side(2 * seed + 1)],
            now: NOW,
            chains: Chains::default(),
            sealed: BTreeMap::new(),
            restored: false,
            tally: Tally::new(),
        };
        world.initiate(Who::Alice);
        world
    }

    /// Does what is asked for, as far as there is something to do it with.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Initiate { by } => self.initiate(by),
            Action::Seal { by, session, length } => self.seal(by, session, usize::from(length)),
            Action::Storm { by, session, count } => {
                for _ in 0..count {
                    self.seal(by, session, 0);
                }
            }
            Action::Hint { by, session } => self.hint(by, session),
            Action::Deliver { to, which } => self.deliver(to, which),
            Action::Duplicate { to, which } => {
                if let Some(envelope) = self.envelope(to, which).cloned() {
                    self.arrive(to, &envelope);
                }
            }
            Action::Lose { to, which } => drop(self.take(to, which)),
            Action::Damage { to, which, damage } => self.damage(to, which, damage),
            Action::Reflect { to, which } => {
                if let Some(envelope) = self.envelope(to.other(), which).cloned() {
                    self.arrive(to, &envelope);
                }
            }
            Action::Snapshot { of } => self.snapshot(of),
            Action::Restore { of, which } => self.restore(of, which),
            Action::Wait(time) => self.wait(time),
        }
    }

    /// Delivers what is on the way. Unless a side went back, every session that both have can then be used both ways.
    pub fn settle(mut self) -> Tally {
        for _ in 0..2 {
            for to in Who::BOTH {
                while !self.side(to).inbound.is_empty() {
                    self.deliver(to, 0);
                }
            }
        }
        let both = |name: &Name| self.sides.iter().all(|side| side.state.sessions.contains_key(name));
        let names: Vec<_> = self.side(Who::Alice).state.sessions.keys().copied().filter(both).collect();
        for name in names {
            for by in [name.initiator, name.initiator.other(), name.initiator] {
                let opened = self.side(by.other()).state.opened.len();
                self.seal_in(by, name, 0);
                self.deliver(by.other(), 0);
                let more = self.side(by.other()).state.opened.len() - opened;
                assert!(more == 1 || self.restored, "an undisturbed message opens");
            }
        }
        self.tally
    }

    fn side(&self, who: Who) -> &Side {
        &self.sides[who as usize]
    }

    fn side_mut(&mut self, who: Who) -> &mut Side {
        &mut self.sides[who as usize]
    }

    fn envelope(&self, to: Who, which: u8) -> Option<&Vec<u8>> {
        let inbound = &self.side(to).inbound;
        inbound.get(usize::from(which).checked_rem(inbound.len())?)
    }

    fn take(&mut self, to: Who, which: u8) -> Option<Vec<u8>> {
        let inbound = &mut self.side_mut(to).inbound;
        let at = usize::from(which).checked_rem(inbound.len())?;
        Some(inbound.remove(at))
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }
}

// --- What a side does of its own -------------------------------------------------------------------------------------

impl World {
    fn initiate(&mut self, by: Who) {
        let name = Name { initiator: by, number: self.side(by).initiated };
        let Some(initiation) = Cast::get().initiations.get(&name) else { return };
        let held = Held {
            session: session(&initiation.session),
            pending: Some(PendingHandshake::from_bytes(&initiation.pending).unwrap()),
            responded: None,
            rows: Rows::default(),
            model: reference::Side::initiator(name, &mut self.chains),
        };
        let side = self.side_mut(by);
        side.state.sessions.insert(name, held);
        side.initiated += 1;
    }

    fn session_of(&self, who: Who, which: u8) -> Option<Name> {
        let sessions = &self.side(who).state.sessions;
        sessions.keys().nth(usize::from(which).checked_rem(sessions.len())?).copied()
    }

    fn seal(&mut self, by: Who, which: u8, length: usize) {
        if let Some(name) = self.session_of(by, which)
            && self.sealed.len() < MESSAGES
        {
            self.seal_in(by, name, length);
        }
    }

    fn seal_in(&mut self, by: Who, name: Name, length: usize) {
        let number = self.sealed.len();
        let text = [number.to_string().as_bytes(), &vec![b'.'; length]].concat();
        let Side { state, rng, .. } = &mut self.sides[by as usize];
        let Some(held) = state.sessions.get_mut(&name) else { return };
        let before = position(&held.session);
        let result = held.session.seal(held.pending.as_ref(), &text, rng);
        let Some(place) = held.model.seal() else {
            assert_eq!(result.err(), Some(SealError::NothingOpened));
            return;
        };
        let (next, envelope) = result.unwrap();
        let before = before.unwrap();
        let after = position(&next).unwrap();
        assert_eq!((before.index, after.index), (place.index, place.index + 1));
        assert!(state.used.insert((before.ratchet_key, before.index)), "a number is used once");
        assert!(state.used_keys.insert(before.chain_key), "a chain key is used once");
        held.session = next;
        held.check();
        let start = if held.pending.is_some() { handshake_end(&envelope) } else { PREFIX };
        self.sent(by, name, number, text, Kind::Ratchet(place), start, envelope);
    }

    fn hint(&mut self, by: Who, which: u8) {
        let Some(name) = self.session_of(by, which) else { return };
        let number = self.sealed.len();
        let mut text = number.to_string().into_bytes();
        text.resize(EPHEMERAL_BYTES.min(text.len() + number % 200), b'.');
        let Side { state, rng, .. } = &mut self.sides[by as usize];
        let held = &state.sessions[&name];
        let before = held.session.to_bytes();
        let result = held.session.seal_ephemeral(&text, rng);
        assert_eq!(held.session.to_bytes(), before);
        match held.model.seal_ephemeral() {
            None => assert_eq!(result.err(), Some(SealEphemeralError::NothingOpened)),
            Some(chain) => {
                let envelope = result.unwrap();
                self.sent(by, name, number, text, Kind::Ephemeral(chain), PREFIX, envelope);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is put on record")]
    fn sent(
        &mut self,
        by: Who,
        session: Name,
        number: usize,
        text: Vec<u8>,
        kind: Kind,
        start: usize,
        envelope: Vec<u8>,
    ) {
        let message = envelope[start..].to_vec();
        let nonce = *message.first_chunk().unwrap();
        let sealed = Sealed { number, session, by, text, kind, message };
        assert!(self.sealed.insert(nonce, sealed).is_none(), "nonces do not repeat");
        let inbound = &mut self.side_mut(by.other()).inbound;
        inbound.push(envelope);
        if inbound.len() > IN_FLIGHT {
            // Not the very oldest, so that some of a storm survive.
            inbound.remove(1);
        }
    }

    fn snapshot(&mut self, of: Who) {
        let side = self.side_mut(of);
        if side.snapshots.len() == SNAPSHOTS {
            side.snapshots.remove(0);
        }
        side.snapshots.push(side.state.copy());
    }

    fn restore(&mut self, of: Who, which: u8) {
        let side = self.side_mut(of);
        let Some(at) = usize::from(which).checked_rem(side.snapshots.len()) else { return };
        side.state = side.snapshots[at].copy();
        self.restored = true;
    }
}

/// Where the message begins in an envelope with a handshake.
fn handshake_end(envelope: &[u8]) -> usize {
    let length = u16::from_be_bytes([envelope[PREFIX], envelope[PREFIX + 1]]);
    PREFIX + 2 + usize::from(length)
}

// --- What arrives ----------------------------------------------------------------------------------------------------

/// What the model says of a message in one session.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Genuine: the model of the session decides.
    Genuine(Place, [u8; 24]),
    /// The header is genuine, the rest is not.
    ChangedBody(Place),
    /// Nothing is.
    Unknown,
}

impl World {
    fn deliver(&mut self, to: Who, which: u8) {
        if let Some(envelope) = self.take(to, which) {
            self.arrive(to, &envelope);
        }
    }

    fn damage(&mut self, to: Who, which: u8, damage: Damage) {
        let Some(envelope) = self.envelope(to, which) else { return };
        let mut changed = envelope.clone();
        match damage {
            Damage::Flip { at } => {
                let at = usize::from(at) % (8 * changed.len());
                changed[at / 8] ^= 1 << (at % 8);
            }
            Damage::Cut { at } => changed.truncate(usize::from(at) % changed.len()),
            Damage::Grow => changed.extend_from_slice(&envelope[..PREFIX]),
            Damage::Splice { other, boundary } => {
                let Some(other) = self.envelope(to, other) else { return };
                changed.truncate(self::boundary(envelope, boundary));
                changed.extend_from_slice(&other[self::boundary(other, boundary)..]);
            }
        }
        self.arrive(to, &changed);
    }

    /// What a recipient does with an envelope: a known handshake leads to its session, a new one makes one if its
    /// message opens, and anything else is tried with every session.
    fn arrive(&mut self, to: Who, envelope: &[u8]) {
        match Envelope::decode(envelope) {
            Err(error) => self.count(error),
            Ok(Envelope::Ephemeral(message)) => self.hear(to, &message, &envelope[PREFIX..]),
            Ok(Envelope::Ordinary(message)) => {
                let expected = self.expected(to, &envelope[PREFIX..]);
                let names: Vec<_> = self.side(to).state.sessions.keys().copied().collect();
                for name in names {
                    if self.open(to, name, &message, expected) != Err(OpenError::NotForThisSession) {
                        break;
                    }
                }
            }
            Ok(Envelope::First { handshake, message }) => {
                let expected = self.expected(to, &envelope[handshake_end(envelope)..]);
                self.first(to, &handshake, &message, expected);
            }
        }
    }

    fn first(&mut self, to: Who, handshake: &HandshakeMessage, message: &RatchetMessage, expected: Expected) {
        let replay = handshake.replay_id();
        let known = self.side(to).state.sessions.iter().find(|(_, held)| held.responded == Some(replay));
        if let Some((name, _)) = known {
            let _any = self.open(to, *name, message, expected);
            return;
        }
        let responded = Cast::get().respond(to, handshake);
        let Some((name, session)) = responded else { return self.count("the handshake is refused") };
        let Some(name) = name else {
            // Accepted as far as it goes: it claims to come from the peer. Its keys are others.
            let opened = session.open(message, &Rows::default(), self.now, &mut self.sides[to as usize].rng);
            assert!(opened.is_err(), "a changed handshake opens nothing");
            return self.count("the changed handshake opens nothing");
        };
        let model = reference::Side::responder(name, to);
        let held = Held { session, pending: None, responded: Some(replay), rows: Rows::default(), model };
        self.side_mut(to).state.sessions.insert(name, held);
        if self.open(to, name, message, expected).is_err() {
            self.side_mut(to).state.sessions.remove(&name);
        }
    }

    fn expected(&self, to: Who, message: &[u8]) -> Expected {
        let Some(nonce) = message.first_chunk() else { return Expected::Unknown };
        let found = self.sealed.get(nonce);
        let Some(Sealed { by, kind: Kind::Ratchet(place), message: genuine, .. }) = found else {
            return Expected::Unknown;
        };
        if *by == to {
            return Expected::Unknown;
        }
        if genuine == message {
            Expected::Genuine(*place, *nonce)
        } else if genuine[..HEADER] == message[..HEADER] {
            Expected::ChangedBody(*place)
        } else {
            Expected::Unknown
        }
    }

    /// Opens a message in one session, and holds what comes of it against the model.
    fn open(
        &mut self,
        to: Who,
        name: Name,
        message: &RatchetMessage,
        expected: Expected,
    ) -> Result<(), OpenError> {
        let Side { state, rng, .. } = &mut self.sides[to as usize];
        let held = state.sessions.get_mut(&name).unwrap();
        let mut model = held.model.clone();
        let verdict = match expected {
            Expected::Genuine(place, _) => model.open(place, self.now, &mut self.chains),
            Expected::ChangedBody(place) => {
                let result = model.open(place, self.now, &mut self.chains);
                Err(result.err().unwrap_or(Refusal::Exactly(OpenError::Forged)))
            }
            Expected::Unknown => Err(Refusal::Exactly(OpenError::NotForThisSession)),
        };
        let before = held.session.to_bytes();
        let result = held.session.open(message, &held.rows, self.now, rng);
        assert_eq!(held.session.to_bytes(), before, "an opening leaves the old session as it is");
        let outcome = match (result, verdict) {
            (Ok((next, opened)), Ok(())) => {
                let Expected::Genuine(_, nonce) = expected else { unreachable!("only these can open") };
                let sealed = &self.sealed[&nonce];
                assert_eq!(opened.plaintext.as_slice(), sealed.text, "a message opens to its own text");
                assert!(state.opened.insert(sealed.number), "a message opens once");
                held.rows.apply(&opened.skipped);
                (held.session, held.model, held.pending) = (next, model, None);
                held.check();
                Ok(())
            }
            (Err(error), Err(refusal)) => {
                assert!(refusal.allows(error), "{error:?} where the model has {refusal:?}");
                Err(error)
            }
            (Ok(_), Err(refusal)) => panic!("opened where the model has {refusal:?}"),
            (Err(error), Ok(())) => panic!("{error:?} where the model opens"),
        };
        match outcome {
            Ok(()) => self.count("opened"),
            Err(error) => self.count(format!("{error:?}")),
        }
        outcome
    }

    /// Tries an ephemeral message with every session.
    fn hear(&mut self, to: Who, message: &EphemeralMessage, bytes: &[u8]) {
        let sealed = bytes.first_chunk().and_then(|nonce| self.sealed.get(nonce));
        let mut outcomes = Vec::new();
        for (name, held) in &self.side(to).state.sessions {
            let expected = sealed.is_some_and(|sealed| {
                let Kind::Ephemeral(against) = sealed.kind else { return false };
                let genuine = sealed.message == bytes && sealed.by != to && sealed.session == *name;
                genuine && held.model.opens_ephemeral(against)
            });
            let before = held.session.to_bytes();
            let result = held.session.open_ephemeral(message);
            assert_eq!(held.session.to_bytes(), before);
            match (result, expected) {
                (Ok(text), true) => {
                    assert_eq!(Some(&*text), sealed.map(|sealed| &sealed.text));
                    outcomes.push("ephemeral opened");
                }
                (Err(OpenEphemeralError::NoKey), false) => outcomes.push("ephemeral without a key"),
                (result, expected) => panic!("{result:?} where the model has {expected}"),
            }
        }
        for outcome in outcomes {
            self.count(outcome);
        }
    }

    fn count(&mut self, outcome: impl ToString) {
        *self.tally.entry(outcome.to_string()).or_default() += 1;
    }
}

/// Boundaries of the layout: behind the handshake, behind the header, before the tag, before the MAC.
fn boundary(envelope: &[u8], which: u8) -> usize {
    let start = if envelope[1] == 1 { handshake_end(envelope) } else { PREFIX };
    match which % 4 {
        0 => start,
        1 => start + HEADER,
        2 => envelope.len() - 48,
        _ => envelope.len() - 32,
    }
}
