//! What is left of a session that has given way to another.
//!
//! It opens what was on its way when it gave way: the rest of the peer's chain, and skipped messages. Root key, own ratchet
//! key and sending chain are gone, so it can neither turn nor send, and who steals it reads nothing that a turn would have
//! brought.

use hermes_wire::Timestamp;
use zeroize::Zeroizing;

use crate::{
    ratchet::{
        Binding, OpenError, Opened, RatchetMessage, Session, SessionId, SkippedKeys,
        chain::ReceivingChain,
        message::Context,
        session::{read_receiving, write_receiving},
    },
    record::{Reader, RecordError, Writer},
};

/// A session that only receives, and only in the chain it was in.
pub struct RetiredSession {
    id: SessionId,
    binding: Binding,
    receiving: ReceivingChain,
}

impl Session {
    /// Ends the session but for what is on its way. `None` when it never opened a message: then nothing is.
    pub fn retire(&self) -> Option<RetiredSession> {
        let receiving = self.receiving.as_ref()?.chain.clone();
        Some(RetiredSession { id: self.id, binding: self.binding, receiving })
    }
}

impl RetiredSession {
    /// Opens a message of the chain that was current, or a skipped one; as [`Session::open`], which it was.
    pub fn open(
        &self,
        message: &RatchetMessage,
        rows: &impl SkippedKeys,
        now: Timestamp,
    ) -> Result<(Self, Opened), OpenError> {
        let context = Context { session: &self.id, binding: &self.binding };
        let (receiving, opened) = match context.open_current(message, &self.receiving, rows, now)? {
            Some(opened) => opened,
            None => (self.receiving.clone(), context.open_passed(message, rows, now)?),
        };
        Ok((Self { id: self.id, binding: self.binding, receiving }, opened))
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// For the sealed store: 124 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let writer =
            Writer::new(16 + 32 + 4 + 2 * 32 + 4 + 4).bytes(self.id.as_bytes()).bytes(&self.binding.0);
        write_receiving(writer, &self.receiving).finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let session = Self {
            id: SessionId(*reader.array()?),
            binding: Binding(*reader.array()?),
            receiving: read_receiving(&mut reader)?,
        };
        reader.finish()?;
        Ok(session)
    }
}
