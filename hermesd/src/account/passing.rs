//! Ephemeral envelopes on their way from a commit to the link: sent now, or never.

use hermes_engine::Ephemeral;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::limits::EPHEMERAL_QUEUE;

/// Where the account's thread puts them, and how many have not left.
#[derive(Clone)]
pub(crate) struct Passing {
    queue: mpsc::Sender<Sending>,
    left: watch::Sender<usize>,
}

/// One of them. It counts as done when it is dropped.
pub(crate) struct Sending {
    pub(crate) ephemeral: Ephemeral,
    pub(crate) since: Instant,
    _counted: Counted,
}

struct Counted(watch::Sender<usize>);

impl Passing {
    pub(super) fn new() -> (Self, mpsc::Receiver<Sending>) {
        let (queue, sendings) = mpsc::channel(EPHEMERAL_QUEUE);
        (Self { queue, left: watch::Sender::new(0) }, sendings)
    }

    /// Queues one; with a full queue it is gone.
    pub(super) fn send(&self, ephemeral: Ephemeral) {
        self.left.send_modify(|left| *left += 1);
        let _counted = Counted(self.left.clone());
        drop(self.queue.try_send(Sending { ephemeral, since: Instant::now(), _counted }));
    }

    /// Waits until none is left.
    pub(super) async fn done(&self) {
        // The sender is here, so the wait cannot fail.
        let _ = self.left.subscribe().wait_for(|left| *left == 0).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left -= 1);
    }
}
