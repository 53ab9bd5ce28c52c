//! What arrives, and what is said to the relay once it is committed.

use std::collections::VecDeque;

use hermes_engine::{GuestEvent, LinkEvent};
use hermes_link::frame::FrameReader;
use hermes_wire::mailbox::{Credit, Deliver, ToRelay};
use tokio::sync::oneshot::{self, error::RecvError};

use super::{super::board::Reason, End, session::Session, uploads::BlobUpload};
use crate::{
    account::Committed,
    limits::{DELIVERY_BATCH, DELIVERY_BATCH_BYTES, GUEST_PAUSE},
};

/// A commit that the relay has to hear of.
pub(super) struct Pending {
    pub(super) committed: oneshot::Receiver<Committed>,
    pub(super) settles: Settles,
}

/// What a commit settles.
pub(super) enum Settles {
    /// Deliveries, whose credit is then renewed.
    Deliveries(Credit),
    /// An upload, after which the next may go.
    Upload,
    /// The end of a blob's upload, after which the next may go.
    Blob,
    /// An answer about the store claim, after which the next step is known.
    Claim,
}

impl Session<'_> {
    /// Hands a burst to the account's thread as one item, so that one commit takes it all.
    pub(super) async fn deliver(&mut self, batch: Vec<Deliver>) -> Result<(), End> {
        let mut used = Credit { envelopes: 0, bytes: 0 };
        let mut events = Vec::with_capacity(batch.len());
        for frame in batch {
            events.push(match frame {
                Deliver::Envelope(delivered) => {
                    used = plus(used, delivered.body.len());
                    match self.guest {
                        None => LinkEvent::Delivered(delivered),
                        Some(guest) => LinkEvent::Guest(guest, GuestEvent::Delivered(delivered)),
                    }
                }
                Deliver::Gone(first, last) => match self.guest {
                    None => LinkEvent::Gone(first, last),
                    Some(guest) => LinkEvent::Guest(guest, GuestEvent::Gone(first, last)),
                },
                // No card lets in what is for this moment only.
                Deliver::Ephemeral(_) if self.guest.is_some() => {
                    return Err(End::Broken(Reason::Misbehaved));
                }
                Deliver::Ephemeral(passing) => {
                    used = plus(used, passing.body.len());
                    LinkEvent::Ephemeral(passing)
                }
            });
        }
        // A relay that sends more than it was allowed would have us hold without bound.
        let left =
            self.credit.envelopes.checked_sub(used.envelopes).zip(self.credit.bytes.checked_sub(used.bytes));
        let Some((envelopes, bytes)) = left else { return Err(End::Broken(Reason::Misbehaved)) };
        self.credit = Credit { envelopes, bytes };
        let committed = self.link.tell_and_follow(events).await?;
        self.pending.push_back(Pending { committed, settles: Settles::Deliveries(used) });
        Ok(())
    }

    /// A commit is done: only now the relay may forget, and send more.
    pub(super) async fn settle(&mut self, (committed, settles): (Committed, Settles)) -> Result<(), End> {
        if let Some(sequence) = committed.ack_of(self.guest) {
            self.writer.push(&ToRelay::Ack(sequence));
        }
        if self.guest.is_some_and(|guest| committed.strays.contains(&guest)) {
            return Err(End::Later(Reason::Strays, GUEST_PAUSE));
        }
        match settles {
            Settles::Deliveries(used) => {
                self.grant(used);
                Ok(())
            }
            Settles::Upload => {
                self.uploading = None;
                self.upload_prekeys().await
            }
            Settles::Blob => {
                self.blob = BlobUpload::None;
                self.upload_blob().await
            }
            Settles::Claim => self.claim().await,
        }
    }

    pub(super) fn grant(&mut self, credit: Credit) {
        self.credit.envelopes = self.credit.envelopes.saturating_add(credit.envelopes);
        self.credit.bytes = self.credit.bytes.saturating_add(credit.bytes);
        self.writer.push(&ToRelay::Credit(credit));
    }
}

/// What is used up with one more envelope.
fn plus(used: Credit, bytes: usize) -> Credit {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Credit { envelopes: used.envelopes.saturating_add(1), bytes: used.bytes.saturating_add(bytes) }
}

/// The deliveries that have arrived, at least one, up to a limit. Cancel-safe: what is read is returned at once.
pub(super) async fn burst(deliveries: &mut Option<FrameReader<Deliver>>) -> Result<Vec<Deliver>, End> {
    let Some(stream) = deliveries else { return std::future::pending().await };
    let mut bytes = 0;
    let mut batch = vec![stream.next().await?.ok_or(End::Broken(Reason::Lost))?];
    while batch.len() < DELIVERY_BATCH && bytes < DELIVERY_BATCH_BYTES {
        let Some(frame) = stream.buffered()? else { break };
        if let Deliver::Envelope(delivered) = &frame {
            bytes += delivered.body.len();
        }
        batch.push(frame);
    }
    Ok(batch)
}

/// The oldest commit to come. Cancel-safe.
pub(super) async fn first(pending: &mut VecDeque<Pending>) -> (Committed, Settles) {
    let Some(oldest) = pending.front_mut() else { return std::future::pending().await };
    let committed = until_committed(&mut oldest.committed).await;
    match pending.pop_front() {
        Some(Pending { settles, .. }) => (committed, settles),
        None => std::future::pending().await,
    }
}

/// A commit that failed is waited for in vain: the account is about to be loaded anew, and the link with it.
pub(super) async fn until_committed(
    committed: impl Future<Output = Result<Committed, RecvError>>,
) -> Committed {
    match committed.await {
        Ok(committed) => committed,
        Err(_) => std::future::pending().await,
    }
}
