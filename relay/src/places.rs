//! Places for connections. Whoever has proven nothing, which is everybody until the handshake is over, and all who deposit
//! after that, can take neither all of them nor, from one address, most: owners always find some.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of a relay.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    nameless: Arc<Semaphore>,
    sources: Arc<Mutex<HashMap<Source, usize>>>,
    of_source: usize,
}

/// A place, as long as this lives.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    nameless: Option<Nameless>,
}

/// One of those that are for everybody.
struct Nameless {
    _place: OwnedSemaphorePermit,
    source: Source,
    sources: Arc<Mutex<HashMap<Source, usize>>>,
}

/// Where connections come from: an address, or as much of it as one subscriber has at least (RFC 6177, section 2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Places {
    /// Of `connections` a quarter is for owners, and of the others one source has half.
    pub(crate) fn new(connections: usize) -> Self {
        let nameless = (connections - connections / 4).max(1);
        Self {
            all: Arc::new(Semaphore::new(connections)),
            nameless: Arc::new(Semaphore::new(nameless)),
            sources: Arc::default(),
            of_source: nameless.div_ceil(2),
        }
    }

    /// A place for somebody at this address, if there is one.
    pub(crate) fn take(&self, from: SocketAddr) -> Option<Place> {
        let place = self.all.clone().try_acquire_owned().ok()?;
        let nameless = self.nameless.clone().try_acquire_owned().ok()?;
        let source = Source::of(from.ip());
        {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = sources.entry(source).or_default();
            if *taken >= self.of_source {
                return None;
            }
            *taken += 1;
        }
        let nameless = Nameless { _place: nameless, source, sources: self.sources.clone() };
        Some(Place { _place: place, nameless: Some(nameless) })
    }
}

impl Place {
    /// Whose place it is has shown that it owns a mailbox.
    pub(crate) fn belongs_to_owner(&mut self) {
        self.nameless = None;
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut taken) = sources.entry(self.source) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    fn fill(places: &Places, address: &str) -> Vec<Place> {
        std::iter::from_fn(|| places.take(from(address))).collect()
    }

    #[test]
    fn one_source_has_half_of_what_all_without_a_name_have_and_owners_have_the_rest() {
        let places = Places::new(16);
        let mut one = fill(&places, "192.0.2.1");
        assert_eq!((one.len(), fill(&places, "::ffff:192.0.2.1").len()), (6, 0));
        let other = fill(&places, "2001:db8::1");
        assert_eq!((other.len(), fill(&places, "2001:db8::2:1").len()), (6, 0));
        assert!(places.take(from("2001:db8:1::1")).is_none(), "the rest is not for everybody");
        // Owners are counted no more, and as many come again.
        one.iter_mut().take(4).for_each(Place::belongs_to_owner);
        let more = fill(&places, "192.0.2.1");
        assert_eq!((one.len() + other.len() + more.len(), more.len()), (16, 4));
        drop((one, other, more));
        assert!(places.sources.lock().unwrap().is_empty());
        assert_eq!(fill(&places, "192.0.2.1").len(), 6);
    }

    #[test]
    fn there_is_a_place_if_there_is_but_one() {
        let places = Places::new(1);
        let only = places.take(from("192.0.2.1"));
        assert!(only.is_some() && places.take(from("192.0.2.2")).is_none());
    }
}
