//! The reference model: the ratchet's rules over names of chains. No keys: two chains have one header key if they
//! follow the same chain of the same side, and a message opens where its chain is the one that was expected.

use std::collections::{BTreeMap, BTreeSet};

use hermes_protocol::{
    OpenError,
    limits::{SKIPPED_CHAINS, SKIPPED_KEYS_PER_CHAIN, SKIPPED_KEYS_PER_SESSION, SKIPPED_LIFETIME},
};
use hermes_wire::Timestamp;

use super::{Name, Who};

/// Names a sending chain; a chain that is begun again after a restore is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainId(usize);

#[derive(Clone, Copy, Debug)]
struct Chain {
    session: Name,
    by: Who,
    /// The chain of the same side before it, from whose root step its header key is.
    after: Option<ChainId>,
    /// The peer's chain on which it was begun: its root is behind that one's.
    answers: Option<ChainId>,
}

/// Every chain there has been.
#[derive(Default)]
pub struct Chains(Vec<Chain>);

impl Chains {
    fn begin(&mut self, chain: Chain) -> ChainId {
        self.0.push(chain);
        ChainId(self.0.len() - 1)
    }

    fn get(&self, id: ChainId) -> Chain {
        self.0[id.0]
    }

    fn same_header_key(&self, one: ChainId, two: ChainId) -> bool {
        let key = |id| {
            let Chain { session, by, after, answers: _ } = self.get(id);
            (session, by, after)
        };
        key(one) == key(two)
    }
}

/// Where a message was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub chain: ChainId,
    pub index: u32,
    /// Messages in the sender's chain before.
    pub previous: u32,
}

/// One side of a session.
#[derive(Clone, Debug)]
pub struct Side {
    name: Name,
    me: Who,
    sending: Option<Sending>,
    previous: Option<Sending>,
    receiving: Option<Receiving>,
    /// Newest first.
    passed: Vec<Passed>,
    /// By number of the chain and of the message, since when.
    skipped: BTreeMap<(u32, u32), Timestamp>,
    /// By number of the chain: keys below have been given up.
    given_up: BTreeMap<u32, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    chain: ChainId,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Receiving {
    chain: ChainId,
    number: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Passed {
    chain: ChainId,
    number: u32,
    end: u32,
    left: Timestamp,
}

/// Why a message must not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With this error.
    Exactly(OpenError),
    /// Of a chain whose root is another: the message is forged, or its half of an exchange comes out of turn already.
    OtherRoot,
}

impl Refusal {
    pub fn allows(self, error: OpenError) -> bool {
        match self {
            Self::Exactly(expected) => error == expected,
            Self::OtherRoot => matches!(error, OpenError::Forged | OpenError::BadKemStep),
        }
    }
}

impl Side {
    pub fn initiator(name: Name, chains: &mut Chains) -> Self {
        let me = name.initiator;
        let chain = chains.begin(Chain { session: name, by: me, after: None, answers: None });
        Self { sending: Some(Sending { chain, next: 0 }), ..Self::responder(name, me) }
    }

    pub fn responder(name: Name, me: Who) -> Self {
        Self {
            name,
            me,
            sending: None,
            previous: None,
            receiving: None,
            passed: Vec::new(),
            skipped: BTreeMap::new(),
            given_up: BTreeMap::new(),
        }
    }

    /// The place of the next message, if one can be sealed.
    pub fn seal(&mut self) -> Option<Place> {
        let sending = self.sending.as_mut()?;
        let (chain, index) = (sending.chain, sending.next);
        sending.next += 1;
        Some(Place { chain, index, previous: self.previous.map_or(0, |chain| chain.next) })
    }

    /// The peer's chain under whose key an ephemeral message is sealed, if one can be.
    pub fn seal_ephemeral(&self) -> Option<ChainId> {
        self.receiving.map(|chain| chain.chain)
    }

    pub fn opens_ephemeral(&self, against: ChainId) -> bool {
        [self.sending, self.previous].iter().flatten().any(|chain| chain.chain == against)
    }

    /// The next message's number in the sending chain.
    pub fn next(&self) -> Option<u32> {
        self.sending.map(|chain| chain.next)
    }

    /// Keys that are kept.
    pub fn skipped(&self) -> BTreeSet<(u32, u32)> {
        self.skipped.keys().copied().collect()
    }

    /// Numbers of the chains that are kept.
    pub fn passed(&self) -> BTreeSet<u32> {
        self.passed.iter().map(|chain| chain.number).collect()
    }

    pub fn open(&mut self, place: Place, now: Timestamp, chains: &mut Chains) -> Result<(), Refusal> {
        let Chain { session, by, after, answers } = chains.get(place.chain);
        if (session, by) != (self.name, self.me.other()) {
            return Err(Refusal::Exactly(OpenError::NotForThisSession));
        }
        if let Some(current) = self.receiving
            && chains.same_header_key(place.chain, current.chain)
        {
            if place.index < current.next {
                return self.open_late(place, current.chain, current.number, None, now);
            }
            if place.chain != current.chain {
                return Err(Refusal::Exactly(OpenError::Forged));
            }
            self.move_to(place.index, now);
            self.give_up();
            return Ok(());
        }
        if after == self.receiving.map(|chain| chain.chain) {
            if answers != self.sending.map(|chain| chain.chain) {
                return Err(Refusal::OtherRoot);
            }
            self.turn(place, now, chains);
            return Ok(());
        }
        let passed = self.passed.iter().find(|passed| chains.same_header_key(place.chain, passed.chain));
        let Some(Passed { chain, number, end, left }) = passed.copied() else {
            return Err(Refusal::Exactly(OpenError::NotForThisSession));
        };
        if place.index >= end {
            return Err(Refusal::Exactly(OpenError::ChainEnded));
        }
        self.open_late(place, chain, number, Some(left), now)
    }

    fn open_late(
        &mut self,
        place: Place,
        chain: ChainId,
        number: u32,
        left: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let expired = |since: Timestamp| now.since(since) > SKIPPED_LIFETIME;
        let given_up = self.given_up.get(&number).is_some_and(|below| place.index < *below);
        match self.skipped.get(&(number, place.index)) {
            Some(since) if expired(*since) => Err(Refusal::Exactly(OpenError::TooOld)),
            Some(_) if chain != place.chain => Err(Refusal::Exactly(OpenError::Forged)),
            Some(_) => {
                self.skipped.remove(&(number, place.index));
                Ok(())
            }
            None if given_up || left.is_some_and(expired) => Err(Refusal::Exactly(OpenError::TooOld)),
            None => Err(Refusal::Exactly(OpenError::Duplicate)),
        }
    }

    /// Everything before `index` of the current chain is skipped, and `index` is used.
    fn move_to(&mut self, index: u32, now: Timestamp) {
        self.skip_to(index, now);
        if let Some(current) = &mut self.receiving {
            current.next = index + 1;
        }
    }

    fn skip_to(&mut self, index: u32, now: Timestamp) {
        if let Some(current) = &mut self.receiving {
            for skipped in current.next..index {
                self.skipped.insert((current.number, skipped), now);
            }
            current.next = current.next.max(index);
        }
    }

    fn turn(&mut self, place: Place, now: Timestamp, chains: &mut Chains) {
        self.skip_to(place.previous, now);
        let number = self.receiving.map_or(0, |chain| chain.number + 1);
        if let Some(Receiving { chain, number, next }) = self.receiving {
            self.passed.insert(0, Passed { chain, number, end: next, left: now });
            for gone in self.passed.drain(SKIPPED_CHAINS.min(self.passed.len())..) {
                self.skipped.retain(|(chain, _), _| *chain != gone.number);
            }
        }
        self.receiving = Some(Receiving { chain: place.chain, number, next: 0 });
        self.move_to(place.index, now);
        self.give_up();
        self.previous = self.sending;
        let chain = chains.begin(Chain {
            session: self.name,
            by: self.me,
            after: self.sending.map(|chain| chain.chain),
            answers: Some(place.chain),
        });
        self.sending = Some(Sending { chain, next: 0 });
    }

    /// The newest keys of each chain, and of the session, stay.
    fn give_up(&mut self) {
        let mut per_chain = BTreeMap::<u32, usize>::new();
        let mut kept = 0;
        let newest_first: Vec<_> = self.skipped.keys().rev().copied().collect();
        for (chain, index) in newest_first {
            let of_chain = per_chain.entry(chain).or_default();
            if *of_chain < SKIPPED_KEYS_PER_CHAIN && kept < SKIPPED_KEYS_PER_SESSION {
                *of_chain += 1;
                kept += 1;
                continue;
            }
            self.skipped.remove(&(chain, index));
            let below = self.given_up.entry(chain).or_default();
            *below = (*below).max(index + 1);
        }
    }
}
