//! The sparse ML-KEM-768 step: now and then a turn mixes an ML-KEM secret into the root beside the Diffie-Hellman output,
//! so that fresh post-quantum randomness heals the session.
//!
//! Chains of the two sides follow each other in one line: a side begins its next one when, and only when, it opens the
//! first message of the peer's next one. The step hangs on that line:
//!
//! ```text
//! Quiet ──── begins a chain, a step is due ────▶ Offering ── the peer's next chain answers ──▶ Quiet
//! Quiet ──── the peer's chain offers ──────────▶ Answering ─ the peer's next chain begins ───▶ Quiet
//! ```
//!
//! A chain that answers does not offer, and an offer is always answered by the very next chain. So two offers never meet,
//! and at most one decapsulation key exists in the whole session. Each message of a chain carries the chain's half, so
//! whichever arrives first will do. Deliberately absent: a way to decline an offer, which would be a downgrade.

use hermes_wire::Timestamp;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    kdf::{self, Label},
    kem::{
        SEED_BYTES,
        mlkem768::{CIPHERTEXT_BYTES, KemPublic, KemSecret, PUBLIC_BYTES},
    },
    limits::{KEM_INTERVAL, KEM_INTERVAL_MESSAGES},
    ratchet::{
        OpenError,
        kem_part::{Half, KemPart},
    },
    record::{Reader, RecordError, Writer},
};

/// Where one side stands between two messages.
#[derive(Clone)]
pub(super) struct SparseKem {
    pub(super) progress: Progress,
    pub(super) role: Role,
}

/// What this side has seen of the exchanges; the peer's clock and losses differ, so only `steps` is the same there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Completed exchanges.
    pub steps: u32,
    /// When the last one was completed; the epoch before that.
    pub last: Timestamp,
    /// Messages sealed and opened since.
    pub messages: u32,
}

/// What the own sending chain does.
#[derive(Clone)]
pub(super) enum Role {
    /// Carries nothing.
    Quiet,
    /// Offers the public half of this, the session's one decapsulation key. The public half is computed anew for each
    /// message: cheaper than writing it with each state.
    Offering(KemSecret),
    /// Answers the chain before it.
    Answering(Box<[u8; CIPHERTEXT_BYTES]>),
}

/// What an exchange gives the root step.
pub(super) struct KemSecretShare {
    /// ML-KEM's shared secret.
    pub secret: Zeroizing<[u8; 32]>,
    /// Hash of encapsulation key and ciphertext.
    pub exchange: [u8; 32],
}

/// The peer's turn is understood, the own one not yet made.
pub(super) struct PeerTurn {
    /// For the root step of the peer's chain.
    pub share: Option<KemSecretShare>,
    progress: Progress,
    offered: Option<KemPublic>,
}

impl SparseKem {
    /// Before the first exchange.
    pub fn new() -> Self {
        Self { progress: Progress { steps: 0, last: Timestamp(0), messages: 0 }, role: Role::Quiet }
    }

    /// After one more message was sealed or opened.
    pub fn counted(&self) -> Self {
        Self { progress: self.progress.counted(), role: self.role.clone() }
    }

    /// What each message of the own chain carries.
    pub fn part(&self) -> Option<KemPart> {
        let steps = self.progress.steps;
        match &self.role {
            Role::Quiet => None,
            Role::Offering(secret) => Some(KemPart {
                step: steps.saturating_add(1),
                half: Half::Offer(Box::new(*secret.public().as_bytes())),
            }),
            Role::Answering(ciphertext) => {
                Some(KemPart { step: steps, half: Half::Answer(ciphertext.clone()) })
            }
        }
    }

    /// The peer has begun a chain, which carries `part`.
    pub fn peer_turn(&self, part: Option<KemPart>, now: Timestamp) -> Result<PeerTurn, OpenError> {
        let progress = self.progress.counted();
        let Some(part) = part else {
            let answered = !matches!(self.role, Role::Offering(_));
            return if answered { Ok(PeerTurn::quiet(progress)) } else { Err(OpenError::BadKemStep) };
        };
        if Some(part.step) != self.progress.steps.checked_add(1) {
            return Err(OpenError::BadKemStep);
        }
        match (&self.role, &part.half) {
            (Role::Offering(secret), Half::Answer(ciphertext)) => {
                let (secret, key) = secret.decapsulate(ciphertext);
                let share = KemSecretShare { secret, exchange: exchange(key.as_bytes(), ciphertext) };
                let progress = Progress { steps: part.step, last: now, messages: 0 };
                Ok(PeerTurn { share: Some(share), ..PeerTurn::quiet(progress) })
            }
            (Role::Quiet | Role::Answering(_), Half::Offer(key)) => {
                let offered = KemPublic::parse(key).map_err(|_| OpenError::BadKemStep)?;
                Ok(PeerTurn { offered: Some(offered), ..PeerTurn::quiet(progress) })
            }
            (Role::Offering(_), Half::Offer(_)) | (Role::Quiet | Role::Answering(_), Half::Answer(_)) => {
                Err(OpenError::BadKemStep)
            }
        }
    }
}

impl PeerTurn {
    fn quiet(progress: Progress) -> Self {
        Self { share: None, progress, offered: None }
    }

    /// Begins the own chain: answers, or offers if a step is due.
    pub fn own_turn(
        self,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> (SparseKem, Option<KemSecretShare>) {
        let Self { progress, offered, share: _ } = self;
        match offered {
            Some(key) => {
                let (ciphertext, secret) = key.encapsulate(rng);
                let share = KemSecretShare { secret, exchange: exchange(key.as_bytes(), &ciphertext) };
                // The offer bore the next number, so this does not saturate.
                let progress = Progress { steps: progress.steps.saturating_add(1), last: now, messages: 0 };
                (SparseKem { progress, role: Role::Answering(Box::new(ciphertext)) }, Some(share))
            }
            None if progress.is_due(now) => {
                (SparseKem { progress, role: Role::Offering(KemSecret::generate(rng)) }, None)
            }
            None => (SparseKem { progress, role: Role::Quiet }, None),
        }
    }
}

impl Progress {
    fn counted(self) -> Self {
        Self { messages: self.messages.saturating_add(1), ..self }
    }

    /// The responder's first reply offers, because the handshake's ML-KEM key may have been a last-resort one.
    fn is_due(&self, now: Timestamp) -> bool {
        self.steps == 0 || self.messages >= KEM_INTERVAL_MESSAGES || now.since(self.last) >= KEM_INTERVAL
    }
}

fn exchange(key: &[u8; PUBLIC_BYTES], ciphertext: &[u8; CIPHERTEXT_BYTES]) -> [u8; 32] {
    kdf::hash(Label::KEM_EXCHANGE, &[key, ciphertext])
}

const QUIET: u8 = 0;
const OFFERING: u8 = 1;
const ANSWERING: u8 = 2;
/// Bytes in the session's record at most.
pub(super) const RECORD_CAPACITY: usize = 4 + 8 + 4 + 1 + CIPHERTEXT_BYTES;
const _: () = assert!(SEED_BYTES < CIPHERTEXT_BYTES);

impl SparseKem {
    pub fn write(&self, writer: Writer) -> Writer {
        let Progress { steps, last, messages } = self.progress;
        let writer = writer.u32(steps).u64(last.0).u32(messages);
        match &self.role {
            Role::Quiet => writer.u8(QUIET),
            Role::Offering(secret) => writer.u8(OFFERING).bytes(secret.as_bytes()),
            Role::Answering(ciphertext) => writer.u8(ANSWERING).bytes(ciphertext.as_slice()),
        }
    }

    pub fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let progress =
            Progress { steps: reader.u32()?, last: Timestamp(reader.u64()?), messages: reader.u32()? };
        let role = match reader.u8()? {
            QUIET => Role::Quiet,
            OFFERING => Role::Offering(KemSecret::from_bytes(reader.array()?)),
            ANSWERING => Role::Answering(Box::new(*reader.array()?)),
            _ => return Err(RecordError::Malformed),
        };
        Ok(Self { progress, role })
    }
}

#[cfg(test)]
mod tests;
