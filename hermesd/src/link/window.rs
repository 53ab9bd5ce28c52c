//! What one drop stream has under way: which rows were written, and what the relay's answers mean for them.

use std::collections::VecDeque;

use hermes_engine::{LinkEvent, OutboxKey, query::Outgoing};
use hermes_wire::{
    Advice, EnvelopeId, Refusal,
    drop::{FromDrop, ToDrop},
};

use super::board::Reason;
use crate::limits::{IN_FLIGHT, IN_FLIGHT_BYTES};

/// The deposits of one stream that have no answer yet, in the order they were written.
pub(super) struct Window {
    /// Position of the last row written.
    sent: Option<u64>,
    /// Position of the last row that was answered for good.
    settled: Option<u64>,
    in_flight: VecDeque<InFlight>,
    bytes: usize,
    /// The relay has let us in.
    opened: bool,
}

struct InFlight {
    key: OutboxKey,
    envelope: EnvelopeId,
    bytes: usize,
}

/// What an answer means, when the stream goes on.
#[derive(Debug)]
pub(super) enum Answer {
    /// The relay has let us in.
    Opened,
    /// A row is done with.
    Settled(LinkEvent),
    /// A row is done with, and those behind it are of an epoch that is over too.
    Overtaken(LinkEvent),
    /// The mailbox does not let us in and never will.
    Barred(Refusal),
}

impl Window {
    /// A window whose first row is the first one past `settled`.
    pub(super) fn new(settled: Option<u64>) -> Self {
        Self { sent: settled, settled, in_flight: VecDeque::new(), bytes: 0, opened: false }
    }

    /// Rows up to here need not be read again for this stream.
    pub(super) fn sent(&self) -> Option<u64> {
        self.sent
    }

    /// Rows up to here need never be sent again.
    pub(super) fn settled(&self) -> Option<u64> {
        self.settled
    }

    /// Whether another row may be written.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT && self.bytes < IN_FLIGHT_BYTES
    }

    /// Whether an answer is due.
    pub(super) fn is_waiting(&self) -> bool {
        !self.opened || !self.in_flight.is_empty()
    }

    /// Takes a row in, as the frame to write.
    pub(super) fn deposit(&mut self, row: Outgoing) -> ToDrop {
        let Outgoing { key, envelope, bytes, frame } = row;
        self.sent = Some(key.position);
        self.bytes += bytes;
        self.in_flight.push_back(InFlight { key, envelope, bytes });
        frame
    }

    /// Every row up to here was answered otherwise.
    pub(super) fn settle_through(&mut self, position: u64) {
        self.settled = Some(position);
    }

    /// Takes an answer. An error ends the stream; the next one starts past [`Self::settled`].
    pub(super) fn answer(&mut self, answer: FromDrop) -> Result<Answer, Reason> {
        match answer {
            FromDrop::Opened if !self.opened => {
                self.opened = true;
                Ok(Answer::Opened)
            }
            FromDrop::OpenRefused(refusal) if !self.opened => match refusal.advice() {
                Advice::Permanent | Advice::CatchUp => Ok(Answer::Barred(refusal)),
                Advice::RetryAfter(_) => Err(Reason::Refused(refusal)),
            },
            FromDrop::Receipt(envelope) if self.opened => {
                Ok(Answer::Settled(LinkEvent::Deposited(self.oldest(envelope)?)))
            }
            FromDrop::Created(post) | FromDrop::Posted(post, _) if self.opened => {
                Ok(Answer::Settled(LinkEvent::Deposited(self.oldest(EnvelopeId(post.0))?)))
            }
            FromDrop::PostRefused(post, refusal) if self.opened => {
                let advice = refusal.advice();
                if let Advice::RetryAfter(_) = advice {
                    return Err(Reason::Refused(refusal));
                }
                let event = LinkEvent::DepositRefused(self.oldest(EnvelopeId(post.0))?, refusal);
                // The engine knows what is to be made anew.
                Ok(if advice == Advice::CatchUp { Answer::Overtaken(event) } else { Answer::Settled(event) })
            }
            FromDrop::DepositRefused(envelope, refusal) if self.opened => match refusal.advice() {
                Advice::Permanent | Advice::CatchUp => {
                    Ok(Answer::Settled(LinkEvent::DepositRefused(self.oldest(envelope)?, refusal)))
                }
                Advice::RetryAfter(_) => Err(Reason::Refused(refusal)),
            },
            _ => Err(Reason::Misbehaved),
        }
    }

    /// Answers come in the order of the deposits; any other is none of ours.
    fn oldest(&mut self, envelope: EnvelopeId) -> Result<OutboxKey, Reason> {
        let oldest = self.in_flight.pop_front().filter(|oldest| oldest.envelope == envelope);
        let oldest = oldest.ok_or(Reason::Misbehaved)?;
        self.bytes -= oldest.bytes;
        self.settled = Some(oldest.key.position);
        Ok(oldest.key)
    }
}

#[cfg(test)]
mod tests {
    use hermes_engine::ChatId;
    use hermes_wire::drop::Deposit;

    use super::*;

    fn id(position: u64) -> EnvelopeId {
        EnvelopeId([u8::try_from(position).unwrap(); 16])
    }

    fn row(position: u64, bytes: usize) -> Outgoing {
        let key = OutboxKey { chat: ChatId([1; 16]), position };
        let frame = ToDrop::Deposit(Deposit { envelope: id(position), body: vec![0; bytes].into() });
        Outgoing { key, envelope: id(position), bytes, frame }
    }

    /// Three rows written on a stream that is open.
    fn three() -> Window {
        let mut window = Window::new(None);
        assert!(window.is_waiting());
        window.answer(FromDrop::Opened).unwrap();
        assert!(!window.is_waiting());
        for position in [3, 5, 8] {
            window.deposit(row(position, 10));
        }
        window
    }

    fn full() -> Refusal {
        Refusal::MailboxFull { scope: hermes_wire::refusal::FullScope::Mailbox, retry_ms: 5 }
    }

    #[test]
    fn receipts_settle_rows_in_order() {
        let mut window = three();
        assert_eq!((window.sent(), window.settled()), (Some(8), None));
        for position in [3, 5, 8] {
            match window.answer(FromDrop::Receipt(id(position))).unwrap() {
                Answer::Settled(LinkEvent::Deposited(key)) => assert_eq!(key.position, position),
                other => panic!("{other:?}"),
            }
            assert_eq!(window.settled(), Some(position));
        }
        assert!(!window.is_waiting());
    }

    #[test]
    fn a_refusal_to_retry_keeps_the_row_and_all_behind_it() {
        let mut window = three();
        window.answer(FromDrop::Receipt(id(3))).unwrap();
        let refused = window.answer(FromDrop::DepositRefused(id(5), full())).unwrap_err();
        assert_eq!(refused, Reason::Refused(full()));
        assert_eq!(Window::new(window.settled()).sent(), Some(3));
    }

    #[test]
    fn a_refusal_for_good_settles_its_row_only() {
        let mut window = three();
        let refusal = Refusal::TooLarge { max: 5 };
        match window.answer(FromDrop::DepositRefused(id(3), refusal.clone())).unwrap() {
            Answer::Settled(LinkEvent::DepositRefused(key, why)) => {
                assert_eq!((key.position, why), (3, refusal));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(window.answer(FromDrop::Receipt(id(5))), Ok(Answer::Settled(_))));
    }

    #[test]
    fn a_post_that_was_overtaken_is_settled_and_says_so() {
        let mut window = three();
        let post = hermes_wire::PostId(id(3).0);
        let stale = Refusal::StaleEpoch { epoch: 2, head: hermes_wire::channel::Head([0; 32]) };
        match window.answer(FromDrop::PostRefused(post, stale.clone())).unwrap() {
            Answer::Overtaken(LinkEvent::DepositRefused(key, why)) => {
                assert_eq!((key.position, why), (3, stale))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(window.settled(), Some(3));
        let post = hermes_wire::PostId(id(5).0);
        let refused = window.answer(FromDrop::PostRefused(post, Refusal::NoEntry));
        assert!(matches!(refused, Ok(Answer::Settled(_))), "{refused:?}");
        let post = hermes_wire::PostId(id(8).0);
        let busy = Refusal::Busy { retry_ms: 1 };
        assert_eq!(
            window.answer(FromDrop::PostRefused(post, busy.clone())).unwrap_err(),
            Reason::Refused(busy)
        );
    }

    #[test]
    fn an_open_is_refused_for_now_or_for_good() {
        assert_eq!(
            Window::new(None).answer(FromDrop::OpenRefused(full())).unwrap_err(),
            Reason::Refused(full())
        );
        let barred = Window::new(None).answer(FromDrop::OpenRefused(Refusal::NoEntry));
        assert!(matches!(barred, Ok(Answer::Barred(Refusal::NoEntry))));
    }

    #[test]
    fn answers_to_nothing_are_misbehaviour() {
        let misbehaved = |window: &mut Window, answer| {
            assert_eq!(window.answer(answer).unwrap_err(), Reason::Misbehaved);
        };
        misbehaved(&mut three(), FromDrop::Opened);
        misbehaved(&mut three(), FromDrop::OpenRefused(Refusal::NoEntry));
        misbehaved(&mut three(), FromDrop::Receipt(id(5)));
        misbehaved(&mut three(), FromDrop::DepositRefused(id(8), Refusal::IdConflict));
        misbehaved(&mut Window::new(None), FromDrop::Receipt(id(1)));
        let mut empty = Window::new(None);
        empty.answer(FromDrop::Opened).unwrap();
        misbehaved(&mut empty, FromDrop::Receipt(id(1)));
    }

    #[test]
    fn both_bounds_close_the_window() {
        let mut many = Window::new(None);
        for position in 0..IN_FLIGHT as u64 {
            assert!(many.has_room());
            many.deposit(row(position, 1));
        }
        assert!(!many.has_room());
        let mut large = Window::new(None);
        large.deposit(row(1, IN_FLIGHT_BYTES));
        assert!(!large.has_room());
    }
}
