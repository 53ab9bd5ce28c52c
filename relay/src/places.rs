//! Places for connections. Whoever has proven nothing, which is everybody until the handshake is over or a mailbox is
//! registered, and all who deposit after that, can take neither all of them nor, from one address, most: owners find some.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of a relay.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    /// What of them those may take who have just come, of whom nobody knows yet what they are.
    arriving: Share,
    /// What of them is for those who are no owners.
    strangers: Share,
}

/// A place, as long as this lives.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    source: Source,
    strangers: Share,
    /// What it is counted against besides.
    counted: Option<Counted>,
}

/// A number of places, half of which one source can have.
#[derive(Clone)]
struct Share {
    places: Arc<Semaphore>,
    of_source: usize,
    sources: Arc<Mutex<HashMap<Source, usize>>>,
}

/// One place of a share.
struct Counted {
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
    /// Of `connections` a quarter is for owners, and for whoever comes until it is known what it is: strangers who stay where
    /// they are keep no owner out.
    pub(crate) fn new(connections: usize) -> Self {
        let quarter = connections / 4;
        let all = Arc::new(Semaphore::new(connections));
        Self { all, arriving: Share::of(quarter), strangers: Share::of(connections - quarter) }
    }

    /// A place for somebody at this address, if there is one.
    pub(crate) fn take(&self, from: SocketAddr) -> Option<Place> {
        let place = self.all.clone().try_acquire_owned().ok()?;
        let source = Source::of(from.ip());
        let counted = Some(self.arriving.take(source)?);
        Some(Place { _place: place, source, strangers: self.strangers.clone(), counted })
    }
}

impl Place {
    /// Whose place it is has registered with a mailbox that is here: anybody can make a key.
    pub(crate) fn belongs_to_owner(&mut self) {
        self.counted = None;
    }

    /// Whose place it is shows nothing. Whether there is one for it.
    #[must_use]
    pub(crate) fn belongs_to_stranger(&mut self) -> bool {
        self.counted = self.strangers.take(self.source);
        self.counted.is_some()
    }
}

impl Share {
    fn of(places: usize) -> Self {
        let places = places.max(1);
        Self {
            places: Arc::new(Semaphore::new(places)),
            of_source: places.div_ceil(2),
            sources: Arc::default(),
        }
    }

    fn take(&self, source: Source) -> Option<Counted> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = sources.entry(source).or_default();
            if *taken >= self.of_source {
                return None;
            }
            *taken += 1;
        }
        Some(Counted { _place: place, source, sources: self.sources.clone() })
    }
}

impl Drop for Counted {
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

    fn arriving(places: &Places, address: &str) -> Vec<Place> {
        std::iter::from_fn(|| places.take(from(address))).collect()
    }

    /// As many strangers as can come in one after the other.
    fn strangers(places: &Places, address: &str) -> Vec<Place> {
        std::iter::from_fn(|| {
            let mut place = places.take(from(address))?;
            place.belongs_to_stranger().then_some(place)
        })
        .collect()
    }

    fn owner(places: &Places, address: &str) -> Option<Place> {
        let mut place = places.take(from(address))?;
        place.belongs_to_owner();
        Some(place)
    }

    #[test]
    fn one_source_has_half_of_what_strangers_have_and_owners_come_in_beside_all_of_them() {
        let places = Places::new(16);
        let one = strangers(&places, "192.0.2.1");
        assert_eq!((one.len(), strangers(&places, "::ffff:192.0.2.1").len()), (6, 0));
        let other = strangers(&places, "2001:db8::1");
        assert_eq!((other.len(), strangers(&places, "2001:db8::2:1").len()), (6, 0));
        assert!(strangers(&places, "2001:db8:1::1").is_empty(), "the rest is not for everybody");
        let owners: Vec<_> = std::iter::from_fn(|| owner(&places, "192.0.2.1")).collect();
        assert_eq!(owners.len(), 4, "from an address that strangers have used up");
        drop((one, other, owners));
        assert!(places.strangers.sources.lock().unwrap().is_empty());
        assert!(places.arriving.sources.lock().unwrap().is_empty());
    }

    #[test]
    fn handshakes_take_a_quarter_and_from_one_source_half_of_that() {
        let places = Places::new(16);
        let one = arriving(&places, "192.0.2.1");
        let other = arriving(&places, "192.0.2.2");
        assert_eq!((one.len(), other.len()), (2, 2));
        assert!(places.take(from("192.0.2.3")).is_none());
        drop(one);
        let owners: Vec<_> = std::iter::from_fn(|| owner(&places, "192.0.2.1")).collect();
        assert_eq!(owners.len(), 14, "owners have all that nobody else has, wherever they come from");
    }

    #[test]
    fn there_is_a_place_if_there_is_but_one() {
        let places = Places::new(1);
        let only = strangers(&places, "192.0.2.1");
        assert!(only.len() == 1 && places.take(from("192.0.2.2")).is_none());
    }
}
