//! Sessions of a contact: sealing with the active one, opening with whichever fits.

use std::cell::RefCell;

use hermes_protocol::{
    handshake::PendingHandshake,
    ratchet::{
        OpenError, RatchetMessage, RetiredSession, Session, SessionId, SkippedChain, SkippedChanges,
        SkippedKey, SkippedKeys,
    },
};
use hermes_wire::Timestamp;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    changes::Overlay,
    effect::SendError,
    row::{ContactRecord, SecretBuf, SessionRecord, Standing, StoreStanding, UnreadableCause},
    rows::{
        HandshakeRow, Key, ReadError, SkippedChainKey, SkippedChainRow, SkippedKeyKey, SkippedKeyRow,
        StoreResult,
    },
    store::{Order, Range, Table, View},
    turn::{Halt, Turn},
};

/// More skipped keys than a session may keep; a scan past it would be a damaged store.
const SKIPPED_ROWS: usize = 4_096;

/// What an opened envelope holds.
pub(crate) enum Arrival {
    /// New content.
    New(Plaintext),
    /// A copy of something opened before, or what passes for one.
    Repeated,
}

/// Content as it was sealed, and what is to be known of its session.
pub(crate) struct Plaintext {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) without_one_time_key: bool,
    pub(crate) begins: Begins,
    /// When the session gave way, if it did.
    pub(crate) retired: Option<Timestamp>,
}

/// Whether content is the first of its session.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Begins {
    Session,
    Nothing,
}

impl<V: View> Turn<'_, V> {
    /// Seals `plaintext` with the contact's active session. The advanced session is put; the envelope is returned.
    pub(crate) fn seal(
        &mut self,
        contact: &ContactRecord,
        plaintext: &[u8],
    ) -> StoreResult<Result<Vec<u8>, SendError>, V> {
        match self.counters.standing {
            StoreStanding::Newest => {}
            // As if the contact had no session that may seal: what is sent waits for the one that comes.
            StoreStanding::Restoring | StoreStanding::TakingOver => {
                return Ok(Err(SendError::NotPaired(contact.name.clone())));
            }
            StoreStanding::Stopped { .. } => return Ok(Err(SendError::CopyStopped)),
        }
        if contact.blocked.is_some() {
            return Ok(Err(SendError::Blocked(contact.name.clone())));
        }
        let Some(id) = &contact.active else {
            return Ok(Err(SendError::NotPaired(contact.name.clone())));
        };
        let record: SessionRecord = self.get(id)?.ok_or(ReadError::Corrupt(Table::Session))?;
        let session = decode_session(&record)?;
        let pending = match record.standing {
            Standing::Initiated(_) => Some(self.pending_handshake(id)?),
            Standing::Established | Standing::Retired(_) => None,
        };
        match session.seal(pending.as_ref(), plaintext, self.rng) {
            Ok((next, envelope)) => {
                self.put_session(&next, record);
                Ok(Ok(envelope))
            }
            Err(error) => Ok(Err(SendError::Session(contact.name.clone(), error.to_string()))),
        }
    }

    /// Opens a message with the one of the contact's sessions that it belongs to.
    pub(crate) fn open(
        &mut self,
        contact: &ContactRecord,
        message: &RatchetMessage,
    ) -> Result<Arrival, Halt<V::Error>> {
        for id in contact.active.iter().chain(&contact.retired) {
            if let Some(arrival) = self.open_with(id, message)? {
                return Ok(arrival);
            }
        }
        Err(UnreadableCause::NoSession.into())
    }

    /// Opens a message with one session; `None` when it belongs to another.
    pub(crate) fn open_with(
        &mut self,
        id: &SessionId,
        message: &RatchetMessage,
    ) -> Result<Option<Arrival>, Halt<V::Error>> {
        let Some(record) = self.get::<SessionRecord>(id)? else { return Ok(None) };
        let opened = match record.standing {
            Standing::Retired(_) => {
                let session = decode_retired(&record)?;
                self.with_skipped(*id, |rows, now, _| session.open(message, rows, now))?
                    .map(|(next, opened)| (next.to_bytes(), opened))
            }
            Standing::Initiated(_) | Standing::Established => {
                let session = decode_session(&record)?;
                self.with_skipped(*id, |rows, now, rng| session.open(message, rows, now, rng))?
                    .map(|(next, opened)| (next.to_bytes(), opened))
            }
        };
        let (core, opened) = match opened {
            Ok(opened) => opened,
            Err(OpenError::NotForThisSession) => return Ok(None),
            Err(OpenError::Duplicate) => return Ok(Some(Arrival::Repeated)),
            Err(error) => return Err(cause(&error).into()),
        };
        let standing = match record.standing {
            Standing::Initiated(_) => {
                self.delete::<HandshakeRow>(id);
                Standing::Established
            }
            standing => standing,
        };
        let retired = match standing {
            Standing::Retired(since) => Some(since),
            Standing::Initiated(_) | Standing::Established => None,
        };
        let without_one_time_key = record.without_one_time_key;
        self.put(id, &SessionRecord { core: SecretBuf::new(&core), standing, ..record });
        self.apply_skipped(*id, &opened.skipped);
        let bytes = opened.plaintext;
        Ok(Some(Arrival::New(Plaintext { bytes, without_one_time_key, begins: Begins::Nothing, retired })))
    }

    /// Puts a session's next state; all else about it stays as in `record`.
    pub(crate) fn put_session(&mut self, session: &Session, record: SessionRecord) {
        let core = SecretBuf::new(&session.to_bytes());
        self.put(&session.id(), &SessionRecord { core, ..record });
    }

    fn pending_handshake(&self, id: &SessionId) -> StoreResult<PendingHandshake, V> {
        let damaged = || ReadError::Corrupt(Table::Handshake);
        let row: HandshakeRow = self.get(id)?.ok_or_else(damaged)?;
        PendingHandshake::from_bytes(&row.0).map_err(|_| damaged())
    }

    /// Lends a session's skipped keys to `open`.
    #[allow(clippy::type_complexity, reason = "two layers of failure: the store's and the message's")]
    pub(crate) fn with_skipped<T>(
        &mut self,
        session: SessionId,
        open: impl FnOnce(&SkippedRows<'_, V>, Timestamp, &mut dyn CryptoRng) -> Result<T, OpenError>,
    ) -> StoreResult<Result<T, OpenError>, V> {
        let rows = SkippedRows {
            view: Overlay { base: self.view, changes: self.changes },
            session,
            failure: RefCell::new(None),
        };
        let result = open(&rows, self.now, self.rng);
        match rows.failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(result),
        }
    }

    pub(crate) fn apply_skipped(&mut self, session: SessionId, changes: &SkippedChanges) {
        for chain in &changes.put_chains {
            let row = SkippedChainRow(SecretBuf::new(&chain.to_bytes()));
            self.put(&SkippedChainKey(session, chain.number), &row);
        }
        for key in &changes.put_keys {
            let row = SkippedKeyRow(SecretBuf::new(&key.to_bytes()));
            self.put(&SkippedKeyKey(session, key.chain, key.index), &row);
        }
        for (chain, index) in &changes.delete_keys {
            // A message is skipped once, so its key is written once.
            self.changes.retract(Table::SkippedKey, SkippedKeyKey(session, *chain, *index).to_bytes());
        }
        for chain in &changes.delete_chains {
            self.delete::<SkippedChainRow>(&SkippedChainKey(session, *chain));
        }
    }

    /// Forgets a session and everything that hangs on it.
    pub(crate) fn drop_session(&mut self, id: SessionId) -> StoreResult<(), V> {
        let rows = Range::prefix(&id.0);
        for (key, _) in self.scan::<SkippedChainRow>(&rows, SKIPPED_ROWS)? {
            self.delete::<SkippedChainRow>(&key);
        }
        for (key, _) in self.scan::<SkippedKeyRow>(&rows, SKIPPED_ROWS)? {
            self.delete::<SkippedKeyRow>(&key);
        }
        self.delete::<HandshakeRow>(&id);
        self.delete::<SessionRecord>(&id);
        Ok(())
    }
}

fn decode_retired<E: std::error::Error>(record: &SessionRecord) -> Result<RetiredSession, ReadError<E>> {
    RetiredSession::from_bytes(record.core.expose()).map_err(|_| ReadError::Corrupt(Table::Session))
}

pub(crate) fn decode_session<E: std::error::Error>(record: &SessionRecord) -> Result<Session, ReadError<E>> {
    Session::from_bytes(record.core.expose()).map_err(|_| ReadError::Corrupt(Table::Session))
}

fn cause(error: &OpenError) -> UnreadableCause {
    match error {
        OpenError::TooOld => UnreadableCause::TooOld,
        OpenError::TooFarAhead { .. } => UnreadableCause::TooFarAhead,
        OpenError::ChainEnded => UnreadableCause::WentBack,
        OpenError::BadPublicKey | OpenError::BadKemStep => UnreadableCause::ForbiddenKey,
        OpenError::UnknownHeader => UnreadableCause::NeedsNewerVersion,
        OpenError::SessionExhausted => UnreadableCause::SessionExhausted,
        OpenError::BadPadding => UnreadableCause::BadContent,
        OpenError::NotForThisSession => UnreadableCause::NoSession,
        OpenError::Forged | OpenError::Duplicate => UnreadableCause::Forged,
    }
}

/// Skipped keys of one session, read when the ratchet asks. It cannot be told of a failed read, so that is kept aside.
pub(crate) struct SkippedRows<'a, V: View> {
    view: Overlay<'a, V>,
    session: SessionId,
    failure: RefCell<Option<ReadError<V::Error>>>,
}

impl<V: View> SkippedRows<'_, V> {
    fn checked<T: Default>(&self, result: StoreResult<T, V>) -> T {
        result.unwrap_or_else(|error| {
            *self.failure.borrow_mut() = Some(error);
            T::default()
        })
    }

    fn scan<R: crate::rows::Row>(&self, order: Order, limit: usize) -> Vec<(R::Key, R)> {
        self.checked(crate::rows::scan(&self.view, &Range::prefix(&self.session.0), order, limit))
    }
}

impl<V: View> SkippedKeys for SkippedRows<'_, V> {
    fn chains(&self) -> Vec<SkippedChain> {
        let rows = self.scan::<SkippedChainRow>(Order::Descending, hermes_protocol::limits::SKIPPED_CHAINS);
        let parse = |row: &SkippedChainRow| {
            SkippedChain::from_bytes(row.0.expose()).map_err(|_| ReadError::Corrupt(Table::SkippedChain))
        };
        self.checked(rows.iter().map(|(_, row)| parse(row)).collect())
    }

    fn message_key(&self, chain: u32, index: u32) -> Option<SkippedKey> {
        let key = SkippedKeyKey(self.session, chain, index);
        let row: Option<SkippedKeyRow> = self.checked(crate::rows::get(&self.view, &key));
        let parse = |row: SkippedKeyRow| {
            SkippedKey::from_bytes(row.0.expose())
                .map(Some)
                .map_err(|_| ReadError::Corrupt(Table::SkippedKey))
        };
        row.and_then(|row| self.checked(parse(row)))
    }

    fn stored(&self) -> Vec<(u32, u32)> {
        let rows = self.scan::<SkippedKeyRow>(Order::Ascending, SKIPPED_ROWS);
        rows.into_iter().map(|(key, _)| (key.1, key.2)).collect()
    }
}
