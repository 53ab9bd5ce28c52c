//! A session: what one side knows between two messages. Small, because it is written with every message.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    curve::{CurvePublic, CurveSecret, NotContributory},
    ratchet::{
        Binding, SessionId,
        chain::{HeardChain, PreviousChain, ReceivingChain, SendingChain},
        message::Context,
        root::RootStep,
        sparse::{self, SparseKem},
    },
    record::{Reader, RecordError, Writer},
    secret::{ChainKey, EphemeralKey, HeaderKey, RootKey},
};

/// One side of a conversation. Sealing and opening leave it as it is and return the next one.
pub struct Session {
    pub(super) id: SessionId,
    pub(super) binding: Binding,
    pub(super) root: RootKey,
    pub(super) ratchet_key: RatchetKey,
    /// Absent on the responder's side until the first message has been opened.
    pub(super) sending: Option<SendingChain>,
    /// Absent until the first message has been opened.
    pub(super) receiving: Option<HeardChain>,
    /// The header key of the next sending chain.
    pub(super) next_sending_header: HeaderKey,
    /// The header key of the next receiving chain.
    pub(super) next_receiving_header: HeaderKey,
    /// Absent until a second sending chain has begun.
    pub(super) previous: Option<PreviousChain>,
    pub(super) kem: SparseKem,
}

/// The own ratchet key with its public half, which goes into every header and is dear to compute.
#[derive(Clone)]
pub(super) struct RatchetKey {
    pub secret: CurveSecret,
    pub public: CurvePublic,
}

impl RatchetKey {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(CurveSecret::generate(rng))
    }

    fn new(secret: CurveSecret) -> Self {
        let public = secret.public();
        Self { secret, public }
    }
}

/// What a handshake gives a session to start from.
pub(crate) struct SessionSecrets {
    root: RootKey,
    initiator_header: HeaderKey,
    responder_header: HeaderKey,
}

impl SessionSecrets {
    pub fn new(root: &[u8; 32], initiator_header: &[u8; 32], responder_header: &[u8; 32]) -> Self {
        Self {
            root: RootKey::new(root),
            initiator_header: HeaderKey::new(initiator_header),
            responder_header: HeaderKey::new(responder_header),
        }
    }
}

impl Session {
    /// RatchetInitAliceHE (Double Ratchet, section 4.4): the peer's signed prekey is its first ratchet key.
    pub(crate) fn initiator(
        id: SessionId,
        binding: Binding,
        secrets: SessionSecrets,
        peer: &CurvePublic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, NotContributory> {
        let ratchet_key = RatchetKey::generate(rng);
        let RootStep { root, chain, next_header, ephemeral } =
            secrets.root.step(&*ratchet_key.secret.agree(peer)?, None);
        Ok(Self {
            id,
            binding,
            root,
            ratchet_key,
            sending: Some(SendingChain { chain, header: secrets.initiator_header, index: 0, ephemeral }),
            receiving: None,
            next_sending_header: next_header,
            next_receiving_header: secrets.responder_header,
            previous: None,
            kem: SparseKem::new(),
        })
    }

    /// RatchetInitBobHE (Double Ratchet, section 4.4).
    pub(crate) fn responder(
        id: SessionId,
        binding: Binding,
        secrets: SessionSecrets,
        signed_prekey: &CurveSecret,
    ) -> Self {
        Self {
            id,
            binding,
            root: secrets.root,
            ratchet_key: RatchetKey::new(signed_prekey.clone()),
            sending: None,
            receiving: None,
            next_sending_header: secrets.responder_header,
            next_receiving_header: secrets.initiator_header,
            previous: None,
            kem: SparseKem::new(),
        }
    }

    /// The same on both sides.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// For the sealed store: at most 473 bytes, 537 while an ML-KEM key is on offer, 1,561 while a chain carries the
    /// answer to one.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::new(RECORD_CAPACITY)
            .bytes(self.id.as_bytes())
            .bytes(&self.binding.0)
            .bytes(self.root.as_bytes())
            .bytes(self.ratchet_key.secret.as_bytes())
            .bytes(&self.ratchet_key.public.0)
            .bytes(self.next_sending_header.as_bytes())
            .bytes(self.next_receiving_header.as_bytes());
        writer = match &self.previous {
            None => writer.u8(ABSENT),
            Some(PreviousChain { messages, ephemeral }) => {
                writer.u8(PRESENT).u32(*messages).bytes(ephemeral.as_bytes())
            }
        };
        writer = match &self.sending {
            None => writer.u8(ABSENT),
            Some(SendingChain { chain, header, index, ephemeral }) => writer
                .u8(PRESENT)
                .bytes(chain.as_bytes())
                .bytes(header.as_bytes())
                .u32(*index)
                .bytes(ephemeral.as_bytes()),
        };
        writer = match &self.receiving {
            None => writer.u8(ABSENT),
            Some(HeardChain { chain, ephemeral }) => {
                write_receiving(writer.u8(PRESENT), chain).bytes(ephemeral.as_bytes())
            }
        };
        self.kem.write(writer).finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let session = Self {
            id: SessionId(*reader.array()?),
            binding: Binding(*reader.array()?),
            root: RootKey::new(reader.array()?),
            ratchet_key: RatchetKey {
                secret: CurveSecret::from_bytes(reader.array()?),
                public: CurvePublic(*reader.array()?),
            },
            next_sending_header: HeaderKey::new(reader.array()?),
            next_receiving_header: HeaderKey::new(reader.array()?),
            previous: if present(&mut reader)? { Some(read_previous(&mut reader)?) } else { None },
            sending: if present(&mut reader)? { Some(read_sending(&mut reader)?) } else { None },
            receiving: if present(&mut reader)? { Some(read_heard(&mut reader)?) } else { None },
            kem: SparseKem::read(&mut reader)?,
        };
        reader.finish()?;
        Ok(session)
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { session: &self.id, binding: &self.binding }
    }

    /// A second copy of the state, for the next step to change. Private, so that no caller ends up with two sessions
    /// that would send under the same keys.
    pub(super) fn copy(&self) -> Self {
        Self {
            id: self.id,
            binding: self.binding,
            root: self.root.clone(),
            ratchet_key: self.ratchet_key.clone(),
            sending: self.sending.clone(),
            receiving: self.receiving.clone(),
            next_sending_header: self.next_sending_header.clone(),
            next_receiving_header: self.next_receiving_header.clone(),
            previous: self.previous.clone(),
            kem: self.kem.clone(),
        }
    }
}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
/// Bytes of the record with all chains.
const RECORD_CAPACITY: usize = 16
    + 6 * 32
    + (1 + 4 + 32)
    + (1 + 2 * 32 + 4 + 32)
    + (1 + 4 + 2 * 32 + 4 + 4 + 32)
    + sparse::RECORD_CAPACITY;

fn present(reader: &mut Reader<'_>) -> Result<bool, RecordError> {
    match reader.u8()? {
        ABSENT => Ok(false),
        PRESENT => Ok(true),
        _ => Err(RecordError::Malformed),
    }
}

fn read_previous(reader: &mut Reader<'_>) -> Result<PreviousChain, RecordError> {
    Ok(PreviousChain { messages: reader.u32()?, ephemeral: EphemeralKey::new(reader.array()?) })
}

fn read_sending(reader: &mut Reader<'_>) -> Result<SendingChain, RecordError> {
    Ok(SendingChain {
        chain: ChainKey::new(reader.array()?),
        header: HeaderKey::new(reader.array()?),
        index: reader.u32()?,
        ephemeral: EphemeralKey::new(reader.array()?),
    })
}

fn read_heard(reader: &mut Reader<'_>) -> Result<HeardChain, RecordError> {
    Ok(HeardChain { chain: read_receiving(reader)?, ephemeral: EphemeralKey::new(reader.array()?) })
}

pub(super) fn write_receiving(writer: Writer, receiving: &ReceivingChain) -> Writer {
    let ReceivingChain { number, chain, header, index, evicted_below } = receiving;
    writer.u32(*number).bytes(chain.as_bytes()).bytes(header.as_bytes()).u32(*index).u32(*evicted_below)
}

pub(super) fn read_receiving(reader: &mut Reader<'_>) -> Result<ReceivingChain, RecordError> {
    Ok(ReceivingChain {
        number: reader.u32()?,
        chain: ChainKey::new(reader.array()?),
        header: HeaderKey::new(reader.array()?),
        index: reader.u32()?,
        evicted_below: reader.u32()?,
    })
}
