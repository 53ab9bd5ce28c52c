//! Commands that are carried out once, however often a program that was not answered asks for them.
//!
//! The answer is written with what it answers, so that no crash comes between. A command that was refused did nothing and
//! may be asked for again. Sending has rows of its own ([`crate::Send::idempotency`]): there each recipient counts.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::{
    account::Lookup,
    effect::{CommandError, Reply},
    input::{Command, Idempotency},
    limits::{IDEMPOTENCY_DAYS, IDEMPOTENCY_KEY_BYTES, QUERY_ROWS},
    rows::{AnswerKey, DayHash, Key, StoreResult},
    send::day,
    store::{Range, View},
    turn::Turn,
};

/// What was answered under a key.
#[derive(Serialize, Deserialize)]
pub(crate) struct AnswerRecord {
    /// Keyed hash of what was asked.
    request: ByteArray<32>,
    reply: Reply,
}

impl<V: View> Turn<'_, V> {
    pub(crate) fn once(
        &mut self,
        asked: &Idempotency,
        command: Command,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if asked.key.is_empty() || asked.key.len() > IDEMPOTENCY_KEY_BYTES {
            return Ok(Err(CommandError::BadIdempotencyKey(IDEMPOTENCY_KEY_BYTES)));
        }
        let request = ByteArray::new(self.account.lookup(Lookup::Request, &[&asked.request]).0);
        let hash = self.account.lookup(Lookup::Idempotency, &[asked.key.as_bytes()]).0;
        let today = day(self.now);
        for day in today.saturating_sub(IDEMPOTENCY_DAYS)..=today {
            match self.get::<AnswerRecord>(&AnswerKey(DayHash(day, hash)))? {
                Some(answer) if answer.request == request => return Ok(Ok(answer.reply)),
                Some(_) => return Ok(Err(CommandError::IdempotencyConflict(asked.key.clone()))),
                None => {}
            }
        }
        let result = self.carry_out(command)?;
        if let Ok(reply) = &result
            // What is said about a message is said once without any key.
            && !matches!(reply, Reply::Sent(_) | Reply::Marked { .. })
        {
            self.put(&AnswerKey(DayHash(today, hash)), &AnswerRecord { request, reply: reply.clone() });
        }
        Ok(result)
    }

    pub(crate) fn forget_old_answers(&mut self) -> StoreResult<(), V> {
        let oldest = DayHash(day(self.counters.drained).saturating_sub(IDEMPOTENCY_DAYS), [0; 32]);
        let range = Range { from: Vec::new(), to: Some(oldest.to_bytes()) };
        for (key, _) in self.scan::<AnswerRecord>(&range, QUERY_ROWS)? {
            self.delete::<AnswerRecord>(&key);
        }
        Ok(())
    }
}
