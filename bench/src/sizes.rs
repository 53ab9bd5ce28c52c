//! What is counted in bytes: state and wire.

use crate::{
    hermes::{self, HermesEnd},
    olm::{self, OlmEnd},
    side::End,
};

/// Bytes on both sides.
pub struct Size {
    /// What has this size.
    pub name: &'static str,
    /// Hermes, in bytes.
    pub hermes: usize,
    /// Hermes before padding, in bytes, where padding plays a part.
    pub unpadded: Option<usize>,
    /// Olm, in bytes, where there is such a thing.
    pub olm: Option<usize>,
}

const TEXT: [u8; 64] = [7; 64];
/// Messages that Olm lets be skipped in a chain.
const SKIPPED: usize = 40;

/// All sizes, in the order of the report.
pub fn sizes() -> Vec<Size> {
    let mut sizes = states();
    sizes.extend(wires());
    sizes
}

fn states() -> Vec<Size> {
    let state = |name, hermes: &HermesEnd, olm: Option<&OlmEnd>| Size {
        name,
        hermes: hermes.state_bytes(),
        unpadded: None,
        olm: olm.map(|end| end.record().len()),
    };
    let new = hermes::fresh().0;
    let (new_olm, _) = olm::Initiator::new().initiate(&olm::Responder::new().published(), &TEXT);
    let (lived, lived_olm) = (lived::<HermesEnd>().0, lived::<OlmEnd>().0);
    let (offering, answering) = (until_offering().0, until_answering().1);
    let (skipping, skipping_olm) = (after_skipping::<HermesEnd>(), after_skipping::<OlmEnd>());
    vec![
        state("state, initiator before any answer", &new, Some(&new_olm)),
        state("state, after 20 turns", &lived, Some(&lived_olm)),
        Size {
            name: "of that, written with each message",
            hermes: lived.record().len(),
            unpadded: None,
            olm: Some(lived_olm.record().len()),
        },
        state("state, with an ML-KEM key on offer", &offering, None),
        state("state, while answering one", &answering, None),
        state("state, with 40 skipped keys", &skipping, Some(&skipping_olm)),
    ]
}

fn wires() -> Vec<Size> {
    let (mut steady, mut steady_olm) = (HermesEnd::settled().0, OlmEnd::settled().0);
    let mut first = hermes::fresh().0;
    let (_, first_olm) = olm::Initiator::new().initiate(&olm::Responder::new().published(), &TEXT);
    vec![
        wire("wire, 64 B, steady", &mut steady, Some(OlmEnd::length(&steady_olm.seal(&TEXT)))),
        wire("wire, 64 B, first message", &mut first, Some(OlmEnd::length(&first_olm))),
        wire("wire, 64 B, with an ML-KEM key", &mut until_offering().0, None),
        wire("wire, 64 B, with an ML-KEM ciphertext", &mut until_answering().1, None),
    ]
}

fn wire(name: &'static str, end: &mut HermesEnd, olm: Option<usize>) -> Size {
    let hermes = end.seal(&TEXT).len();
    // Every byte of text beyond these 64 that makes the envelope no longer was a byte of padding.
    let room = (0..).take_while(|more| end.seal(&vec![7; TEXT.len() + more]).len() == hermes).count() - 1;
    Size { name, hermes, unpadded: Some(hermes - room), olm }
}

/// So many turns that both sides remember as many passed chains as they ever do.
fn lived<E: End>() -> (E, E) {
    let (mut from, mut to) = E::settled();
    for _ in 0..20 {
        let wire = from.seal(&TEXT);
        to.open(&wire);
        std::mem::swap(&mut from, &mut to);
    }
    (from, to)
}

/// Two ends of which the first offers a key with its next message.
fn until_offering() -> (HermesEnd, HermesEnd) {
    let quiet = HermesEnd::quiet_record();
    let (mut from, mut to) = HermesEnd::settled();
    while from.record().len() == quiet {
        let wire = from.seal(&TEXT);
        to.open(&wire);
        std::mem::swap(&mut from, &mut to);
    }
    (from, to)
}

/// Two ends of which the second answers with its next message.
fn until_answering() -> (HermesEnd, HermesEnd) {
    let (mut from, mut to) = until_offering();
    let wire = from.seal(&TEXT);
    to.open(&wire);
    (from, to)
}

/// The receiver of the last of 41 messages.
fn after_skipping<E: End>() -> E {
    let (mut alice, mut bob) = lived::<E>();
    for _ in 0..SKIPPED {
        alice.seal(&TEXT);
    }
    let wire = alice.seal(&TEXT);
    bob.open(&wire);
    bob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(name: &str) -> Size {
        sizes().into_iter().find(|size| size.name == name).expect("a size of that name")
    }

    /// Layouts of docs/protocol.md, sections 5.5 and 10.
    #[test]
    fn sizes_are_those_of_the_layouts() {
        let steady = size("wire, 64 B, steady");
        assert_eq!((steady.unpadded, steady.hermes), (Some(2 + 24 + 57 + 2 + 64 + 16 + 32), 256));
        let offer = size("wire, 64 B, with an ML-KEM key");
        assert_eq!((offer.unpadded, offer.hermes), (steady.unpadded.map(|bytes| bytes + 1_228), 4_096));
        let answer = size("wire, 64 B, with an ML-KEM ciphertext");
        assert_eq!(answer.unpadded, steady.unpadded.map(|bytes| bytes + 1_132));
        // A record, and a row for each of eight passed chains; a row for each skipped key.
        let quiet = 473 + 8 * 53;
        assert_eq!(size("state, after 20 turns").hermes, quiet);
        assert_eq!(size("state, with an ML-KEM key on offer").hermes, quiet + 64);
        assert_eq!(size("state, while answering one").hermes, quiet + 1_088);
        assert_eq!(size("state, with 40 skipped keys").hermes, quiet + 40 * 49);
    }
}
