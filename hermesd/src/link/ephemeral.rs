//! Sending what is worth nothing later: one try, on a stream of its own, and no trace of a failure.

use hermes_link::frame::{FrameReader, FrameWriter};
use hermes_wire::drop::FromDrop;
use tokio::time::{Instant, timeout_at};

use super::relays::Relays;
use crate::{account::Sending, limits::EPHEMERAL};

/// Tries once, until its time is over.
pub(super) async fn send(relays: &Relays, sending: Sending) {
    let over = sending.since + EPHEMERAL;
    if Instant::now() < over && !matches!(timeout_at(over, try_to(relays, &sending)).await, Ok(Some(()))) {
        tracing::debug!("something ephemeral did not leave");
    }
}

async fn try_to(relays: &Relays, sending: &Sending) -> Option<()> {
    let ephemeral = &sending.ephemeral;
    let relay = relays.get(&ephemeral.destination.relay);
    let connection = relay.connect().await.ok()?;
    let _slot = relay.slot().await;
    let (send, receive) = connection.open_bi().await.ok()?;
    let mut writer = FrameWriter::new(send);
    let mut reader = FrameReader::<FromDrop>::new(receive);
    writer.push(&ephemeral.destination.opening());
    writer.push(&ephemeral.frame);
    writer.flush().await.ok()?;
    // The relay has handed it on when it has answered; before, a goodbye would be cut off by the end of the connection.
    while let Some(answer) = reader.next().await.ok()? {
        match answer {
            FromDrop::Opened => {}
            FromDrop::Receipt(_) => {
                writer.finish();
                return Some(());
            }
            _ => return None,
        }
    }
    None
}
