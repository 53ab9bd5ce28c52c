//! Fetching a blob that something waits for: a welcome, or a commit too large for a post.

use hermes_engine::{
    GuestEvent, LinkEvent,
    query::{self, BlobFetch},
};
use hermes_link::{
    frame::{FrameReader, FrameWriter},
    quinn::Connection,
};
use hermes_wire::{
    Advice, VERSION,
    blob::{BlobPart, FetchBlob},
    drop::{FromDrop, ToDrop},
    limits::BLOB_BYTES,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{Link, LinkError, board::Reason, relays::Relays, stream::pause};
use crate::limits::FETCH;

/// Asks until all of it is here, or is not to be had, or nobody waits for it any more. `turns` bounds how many of one
/// mailbox's are held in memory. A turn is kept through failures, so that what has come is not asked for again: all that one
/// relay has come or fail together.
pub(super) async fn fetch(
    link: &Link,
    relays: &Relays,
    turns: &Semaphore,
    wanted: BlobFetch,
) -> Result<(), LinkError> {
    // The semaphore is never closed.
    let Ok(_turn) = turns.acquire().await else { return Ok(()) };
    let mut bytes = Vec::new();
    // Where the relay is, is looked up each time: it may have moved.
    while let Some(wanted) =
        link.read(query::blob_fetches).await?.into_iter().find(|now| now.id() == wanted.id())
    {
        let relay = relays.get(&wanted.relay);
        let answer = match relay.connect().await {
            Ok(connection) => {
                let _slot = relay.slot().await;
                ask(&connection, &wanted, &mut bytes).await
            }
            Err(reason) => Err(reason),
        };
        match answer {
            Ok(Answer::Whole) => return link.tell(vec![fetched(&wanted, bytes)]).await,
            Ok(Answer::Gone) => return link.tell(vec![gone(&wanted)]).await,
            Err(reason) => {
                tracing::info!(%reason, "a blob could not be fetched; it is tried again");
                sleep(pause(&reason)).await;
            }
        }
    }
    Ok(())
}

fn fetched(wanted: &BlobFetch, bytes: Vec<u8>) -> LinkEvent {
    match wanted.mailbox {
        None => LinkEvent::BlobFetched(wanted.blob, bytes),
        Some(guest) => LinkEvent::Guest(guest, GuestEvent::BlobFetched(wanted.blob, bytes)),
    }
}

fn gone(wanted: &BlobFetch) -> LinkEvent {
    match wanted.mailbox {
        None => LinkEvent::BlobGone(wanted.blob),
        Some(guest) => LinkEvent::Guest(guest, GuestEvent::BlobGone(wanted.blob)),
    }
}

enum Answer {
    /// All bytes are here.
    Whole,
    /// The relay does not have it, or has something else in its place.
    Gone,
}

/// Goes on where the attempt before ended.
async fn ask(connection: &Connection, wanted: &BlobFetch, bytes: &mut Vec<u8>) -> Result<Answer, Reason> {
    let (send, receive) = connection.open_bi().await.map_err(|_| Reason::Lost)?;
    let mut writer = FrameWriter::new(send);
    let mut reader = FrameReader::<FromDrop>::new(receive);
    let have = u32::try_from(bytes.len()).map_err(|_| Reason::Misbehaved)?;
    writer.push(&ToDrop::FetchBlob(FetchBlob { version: VERSION, blob: wanted.blob, offset: have }));
    // A relay that refuses stops reading; why, stands in its answer.
    let _ = writer.flush().await;
    loop {
        let next = timeout(FETCH, reader.next()).await.map_err(|_| Reason::Lost)?;
        match next {
            Ok(Some(FromDrop::BlobPart(part))) if part.blob == wanted.blob => {
                // Not the size that somebody has named with the blob: several may have, and each is answered for itself.
                let total = part.total;
                if total > BLOB_BYTES {
                    return Err(Reason::Misbehaved);
                }
                take(part, bytes)?;
                if u32::try_from(bytes.len()) == Ok(total) {
                    writer.finish();
                    return Ok(Answer::Whole);
                }
            }
            Ok(Some(FromDrop::BlobRefused(blob, refusal))) if blob == wanted.blob => {
                return match refusal.advice() {
                    Advice::Permanent | Advice::CatchUp => Ok(Answer::Gone),
                    Advice::RetryAfter(_) => Err(Reason::Refused(refusal)),
                };
            }
            Ok(Some(_)) => return Err(Reason::Misbehaved),
            Ok(None) | Err(_) => return Err(Reason::Lost),
        }
    }
}

/// Adds a piece, if it goes on where the one before ended and stays within the whole.
fn take(part: BlobPart, bytes: &mut Vec<u8>) -> Result<(), Reason> {
    let goes_on = u32::try_from(bytes.len()) == Ok(part.offset);
    let fits = bytes.len().saturating_add(part.bytes.len()) <= part.total as usize;
    if !goes_on || !fits || part.bytes.is_empty() {
        return Err(Reason::Misbehaved);
    }
    bytes.extend_from_slice(&part.bytes);
    Ok(())
}
