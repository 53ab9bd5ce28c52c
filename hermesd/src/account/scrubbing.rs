//! The store is read from end to end when the account opens, and each day after that.

use hermes_wire::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::work::Work;
use crate::{
    clock::now,
    limits::{SCRUB_AGAIN, SCRUB_EVERY},
    store::{Reader, StoreError},
};

/// Scrubs until the store is damaged or closed. `whole` gets the time of each scrub that found nothing.
pub(super) async fn keep_scrubbing(
    reader: Reader,
    work: mpsc::Sender<Work>,
    whole: watch::Sender<Option<Timestamp>>,
) {
    let mut closing = reader.closing();
    loop {
        let pause = match reader.scrub().await {
            Ok(()) => {
                whole.send_replace(Some(now()));
                SCRUB_EVERY
            }
            Err(damage @ StoreError::Corrupt(_)) => {
                // An error means that the account has stopped.
                let _ = work.send(Work::Damaged(damage.to_string())).await;
                return;
            }
            Err(StoreError::Closed | StoreError::Interrupted) => return,
            Err(error @ (StoreError::Full | StoreError::Failed(_))) => {
                tracing::warn!(%error, "the store could not be read from end to end; it is tried again");
                SCRUB_AGAIN
            }
        };
        // In time, or because it is to stop.
        if timeout(pause, closing.wait_for(|closing| *closing)).await.is_ok() {
            return;
        }
    }
}
