//! Which of a contact's sessions is the active one.
//!
//! There is one that seals, on both sides the same in the end. Two initiations may cross, a side may begin anew because it
//! lost its state, and an old handshake may come late, so there is a rule that both sides can follow without a word
//! between them. What gives way only receives (see [`hermes_protocol::ratchet::RetiredSession`]).

use hermes_protocol::{
    handshake::{Initiator, PendingHandshake, ReplayId},
    ratchet::{Session, SessionId},
};
use serde_bytes::ByteBuf;

use crate::{
    id::ChatId,
    limits,
    row::{ContactRecord, SecretBuf, SessionRecord, Standing},
    rows::{HandshakeRow, ReadError, StoreResult},
    session::decode_session,
    store::{Table, View},
    turn::Turn,
};

/// What became of a session that the peer began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// It is the active one.
    TookOver,
    /// It only receives.
    GaveWay,
}

impl<V: View> Turn<'_, V> {
    /// Makes an own initiation the active session.
    pub(crate) fn adopt_initiated(
        &mut self,
        chat: ChatId,
        contact: &mut ContactRecord,
        session: &Session,
        pending: &PendingHandshake,
        without_one_time_key: bool,
    ) -> StoreResult<(), V> {
        self.retire_active(contact)?;
        let standing = Standing::Initiated(pending.replay_id());
        self.put_session(
            session,
            SessionRecord { chat, core: SecretBuf::new(&[]), standing, without_one_time_key },
        );
        self.put(&session.id(), &HandshakeRow(ByteBuf::from(pending.to_bytes())));
        contact.active = Some(session.id());
        Ok(())
    }

    /// Takes in the session of a verified handshake, as the active one or as one that only receives.
    pub(crate) fn adopt_responded(
        &mut self,
        chat: ChatId,
        contact: &mut ContactRecord,
        session: &Session,
        (initiator, initiation): (&Initiator, ReplayId),
        without_one_time_key: bool,
    ) -> StoreResult<Succession, V> {
        let takes_over = self.takes_over(contact, initiator, initiation)?;
        contact.initiation = contact.initiation.max(initiator.counter);
        if takes_over {
            self.retire_active(contact)?;
            contact.unopened.retain(|unopened| *unopened != initiation);
        }
        let record = SessionRecord {
            chat,
            core: SecretBuf::new(&[]),
            standing: Standing::Established,
            without_one_time_key,
        };
        self.put_session(session, record);
        if takes_over {
            contact.active = Some(session.id());
            Ok(Succession::TookOver)
        } else {
            self.retire(contact, session.id())?;
            Ok(Succession::GaveWay)
        }
    }

    /// Whether the contact's initiation becomes the active session. Against an own one in which nothing was heard, the
    /// lower fingerprint wins, unless its sender says that it could not open that. Against any other, the newer wins.
    fn takes_over(
        &self,
        contact: &ContactRecord,
        initiator: &Initiator,
        initiation: ReplayId,
    ) -> StoreResult<bool, V> {
        let Some(active) = &contact.active else { return Ok(true) };
        let active: SessionRecord = self.get(active)?.ok_or(ReadError::Corrupt(Table::Session))?;
        // Equal counters are two initiations of a side that went back: the later to arrive is the later one.
        let newer = initiator.counter >= contact.initiation;
        Ok(match active.standing {
            Standing::Initiated(own) => {
                let wins = initiator.identity.fingerprint().0 < self.account.fingerprint().0;
                // What the own one tells to be unopened gives way on the other side, even if it can be opened after all.
                let given_up = contact.told.contains(&initiation);
                initiator.unopened.contains(&own) || (newer && wins && !given_up)
            }
            Standing::Established | Standing::Retired(_) => newer,
        })
    }

    /// The active session gives way.
    pub(crate) fn retire_active(&mut self, contact: &mut ContactRecord) -> StoreResult<(), V> {
        match contact.active.take() {
            Some(active) => self.retire(contact, active),
            None => Ok(()),
        }
    }

    /// Leaves of a session what opens messages under way; of one that opened nothing, nothing.
    fn retire(&mut self, contact: &mut ContactRecord, id: SessionId) -> StoreResult<(), V> {
        let record: SessionRecord = self.get(&id)?.ok_or(ReadError::Corrupt(Table::Session))?;
        let Some(retired) = decode_session(&record)?.retire() else { return self.drop_session(id) };
        self.delete::<HandshakeRow>(&id);
        let core = SecretBuf::new(&retired.to_bytes());
        self.put(&id, &SessionRecord { core, standing: Standing::Retired(self.now), ..record });
        contact.retired.insert(0, id);
        while contact.retired.len() > limits::RETIRED_SESSIONS {
            if let Some(oldest) = contact.retired.pop() {
                self.drop_session(oldest)?;
            }
        }
        Ok(())
    }
}
