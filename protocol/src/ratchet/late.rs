//! Opening without a turn: messages of a chain that is known already, current or passed.

use hermes_wire::Timestamp;

use crate::{
    ratchet::{
        OpenError, Opened, RatchetMessage,
        chain::ReceivingChain,
        header::{Header, HeaderError},
        message::Context,
        skipped::{PassedChain, SkippedChanges, SkippedKeys, stored_since},
    },
    secret::HeaderKey,
};

impl Context<'_> {
    /// The header, if it is sealed under this key.
    pub fn header(&self, message: &RatchetMessage, key: &HeaderKey) -> Result<Option<Header>, OpenError> {
        match message.header.open(key, self.session) {
            Ok(header) => Ok(Some(header)),
            Err(HeaderError::WrongKey) => Ok(None),
            Err(HeaderError::Unknown) => Err(OpenError::UnknownHeader),
        }
    }

    /// Opens a message of the current chain: the next one, one further on, or one that others have overtaken. `None`
    /// when it is of another chain.
    pub fn open_current(
        &self,
        message: &RatchetMessage,
        receiving: &ReceivingChain,
        rows: &impl SkippedKeys,
        now: Timestamp,
    ) -> Result<Option<(ReceivingChain, Opened)>, OpenError> {
        let Some(header) = self.header(message, &receiving.header)? else { return Ok(None) };
        if header.index < receiving.index {
            let opened = self.open_skipped(message, &header, &PassedChain::from(receiving), rows, now)?;
            return Ok(Some((receiving.clone(), opened)));
        }
        let (key, skipped, mut advanced) = receiving.advance_to(header.index)?;
        let plaintext = message.open(header.follows, &key, *self)?;
        let mut changes = SkippedChanges::default();
        if !skipped.is_empty() {
            changes.put_keys = stored_since(now, advanced.number, skipped);
            changes.evict(rows, &mut advanced);
        }
        Ok(Some((advanced, Opened { plaintext, skipped: changes })))
    }

    /// Opens a message of a passed chain.
    pub fn open_passed(
        &self,
        message: &RatchetMessage,
        rows: &impl SkippedKeys,
        now: Timestamp,
    ) -> Result<Opened, OpenError> {
        for chain in rows.chains().iter().take(crate::limits::SKIPPED_CHAINS) {
            if let Some(header) = self.header(message, &chain.header)? {
                return self.open_skipped(message, &header, &PassedChain::from(chain), rows, now);
            }
        }
        Err(OpenError::NotForThisSession)
    }

    fn open_skipped(
        &self,
        message: &RatchetMessage,
        header: &Header,
        chain: &PassedChain,
        rows: &impl SkippedKeys,
        now: Timestamp,
    ) -> Result<Opened, OpenError> {
        let key = chain.key(header.index, rows, now)?;
        let plaintext = message.open(header.follows, &key.key, *self)?;
        Ok(Opened { plaintext, skipped: SkippedChanges::used(&key) })
    }
}
