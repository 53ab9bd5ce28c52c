//! Consumers: programs that read the event log under a name, so that they go on where they were after a restart.
//!
//! Reading moves nothing; only an acknowledgement does, and only forward. Nobody is forgotten by time: who comes back too
//! late has to learn that something is missing.

use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::Lookup,
    effect::{CommandError, Reply},
    input::ConsumerChange,
    limits::{CONSUMER_NAME_BYTES, CONSUMERS},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

/// How far a consumer has come.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConsumerRecord {
    pub(crate) name: String,
    /// It has done with every event up to this one.
    pub(crate) acknowledged: u64,
    pub(crate) since: Timestamp,
}

impl<V: View> Turn<'_, V> {
    /// Changes how far the consumer of this name has come.
    pub(crate) fn change_consumer(
        &mut self,
        name: &str,
        change: ConsumerChange,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if !is_name(name) {
            return Ok(Err(CommandError::BadConsumerName(name.to_owned())));
        }
        let key = self.account.lookup(Lookup::Consumer, &[name.as_bytes()]);
        let found = self.get::<ConsumerRecord>(&key)?;
        let newest = self.counters.events;
        match (found, change) {
            (Some(consumer), ConsumerChange::Begin) => Ok(Ok(Reply::Consumer(consumer.acknowledged))),
            (None, ConsumerChange::Begin) => {
                let others = self.scan::<ConsumerRecord>(&Range::all(), CONSUMERS)?.len();
                if others >= CONSUMERS {
                    return Ok(Err(CommandError::TooManyConsumers(others)));
                }
                let (name, since) = (name.to_owned(), self.now);
                self.put(&key, &ConsumerRecord { name, acknowledged: newest, since });
                Ok(Ok(Reply::Consumer(newest)))
            }
            (None, _) => Ok(Err(CommandError::UnknownConsumer(name.to_owned()))),
            (Some(_), ConsumerChange::Acknowledge(given)) if given > newest => {
                Ok(Err(CommandError::NoSuchEvent { given, newest }))
            }
            (Some(consumer), ConsumerChange::Acknowledge(given)) => {
                let acknowledged = consumer.acknowledged.max(given);
                if acknowledged > consumer.acknowledged {
                    self.put(&key, &ConsumerRecord { acknowledged, ..consumer });
                    self.drop_heard_events()?;
                }
                Ok(Ok(Reply::Consumer(acknowledged)))
            }
            (Some(consumer), ConsumerChange::Forget) => {
                self.delete::<ConsumerRecord>(&key);
                self.drop_heard_events()?;
                Ok(Ok(Reply::Consumer(consumer.acknowledged)))
            }
        }
    }
}

/// What can stand in a unit's file and in a URL.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@');
    (1..=CONSUMER_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}
