//! Rates per depositor and per channel, in memory: after a restart everyone starts with a full bucket.

use std::collections::BTreeMap;

use hermes_wire::{ChannelId, ContactId, MailboxId, Refusal, Timestamp};

use crate::{
    limits::{BUCKETS, Rate},
    relay::millis,
};

/// The generic cell rate algorithm (ITU-T I.371, annex A): one number per bucket, the time at which it is full again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    full_at: BTreeMap<Bucket, Timestamp>,
}

/// Whose what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bucket {
    Deposits(MailboxId, ContactId),
    Fetches(MailboxId, ContactId),
    /// Channels made on the strength of one token.
    Channels(MailboxId, ContactId),
    /// Channels made on the strength of any token of a mailbox, whose owner can sign as many as it likes.
    MailboxChannels(MailboxId),
    Posts(ChannelId),
    /// Deposits of envelopes that are gone, which are remembered.
    Receipts(MailboxId),
}

impl Rates {
    /// Takes one from a bucket, or says when there is one again.
    pub(crate) fn take(&mut self, bucket: Bucket, rate: Rate, now: Timestamp) -> Result<(), Refusal> {
        self.take_some(bucket, rate, 1, now)
    }

    /// Takes so many, or none; a whole burst for more than there is in one.
    pub(crate) fn take_some(
        &mut self,
        bucket: Bucket,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.full_at.len() >= BUCKETS && !self.full_at.contains_key(&bucket) {
            self.make_room(now);
        }
        let full_at = self.full_at.entry(bucket).or_insert(now);
        // A clock that was set back must not lock depositors out: no bucket is emptier than empty.
        let empty = now.after(rate.period.saturating_mul(rate.burst));
        let cost = rate.period.saturating_mul(count.min(rate.burst));
        let refilled = (*full_at).clamp(now, empty).after(cost);
        if refilled > empty {
            *full_at = (*full_at).min(empty);
            return Err(Refusal::RateLimited { retry_ms: millis(refilled.since(empty)) });
        }
        *full_at = refilled;
        Ok(())
    }

    /// Full buckets go, and if that leaves more than half, so does the half that is nearest to full. An owner can make
    /// depositors by the thousand; refusing newcomers instead would let one shut out everybody else's. At least half
    /// of the places are free afterwards, so that the work is shared by as many newcomers.
    fn make_room(&mut self, now: Timestamp) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() <= BUCKETS / 2 {
            return;
        }
        let mut times: Vec<Timestamp> = self.full_at.values().copied().collect();
        let middle = times.len() / 2;
        let median = *times.select_nth_unstable(middle).1;
        self.full_at.retain(|_, full_at| *full_at > median);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn depositors_by_the_thousand_shut_nobody_out() {
        let (slow, quick) = (Duration::from_secs(600), Duration::from_millis(20));
        let mut rates = Rates::default();
        let mut take = |mailbox: u8, contact: u32, period| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&contact.to_be_bytes());
            let rate = Rate { burst: 1, period };
            let bucket = Bucket::Deposits(MailboxId([mailbox; 32]), ContactId(id));
            rates.take(bucket, rate, Timestamp(1_000))
        };
        for contact in 0..=u32::try_from(BUCKETS).unwrap() {
            assert_eq!(take(1, contact, slow), Ok(()));
        }
        assert_eq!(take(2, 0, quick), Ok(()));
        assert_eq!(take(2, 0, quick), Err(Refusal::RateLimited { retry_ms: 20 }));
        assert!(rates.full_at.len() <= BUCKETS);
    }

    #[test]
    fn a_burst_then_one_per_period() {
        let rate = Rate { burst: 3, period: Duration::from_millis(100) };
        let mut rates = Rates::default();
        let bucket = Bucket::Deposits(MailboxId([1; 32]), ContactId([1; 16]));
        let mut take = |now: u64| rates.take(bucket, rate, Timestamp(now));
        for _ in 0..3 {
            assert_eq!(take(1_000), Ok(()));
        }
        assert_eq!(take(1_000), Err(Refusal::RateLimited { retry_ms: 100 }));
        assert_eq!(take(1_040), Err(Refusal::RateLimited { retry_ms: 60 }));
        assert_eq!(take(1_100), Ok(()));
        assert_eq!(take(1_100), Err(Refusal::RateLimited { retry_ms: 100 }));
        let mut take = |now: u64, count| rates.take_some(bucket, rate, count, Timestamp(now));
        assert_eq!(take(2_000, 2), Ok(()));
        assert_eq!(take(2_000, 2), Err(Refusal::RateLimited { retry_ms: 100 }));
        assert_eq!(take(2_300, 1_000), Ok(()), "a whole burst");
        assert_eq!(take(2_300, 0), Ok(()));
        let mut take = |now: u64| rates.take(bucket, rate, Timestamp(now));
        assert_eq!(take(2_300), Err(Refusal::RateLimited { retry_ms: 100 }));
        // The clock is set back by a day: at most a whole burst must be earned again.
        assert_eq!(take(10), Err(Refusal::RateLimited { retry_ms: 100 }));
        assert_eq!(take(110), Ok(()));
    }
}
