//! Fetching a prekey bundle, which a pairing waits for.

use hermes_engine::{
    LinkEvent,
    query::{self, PendingFetch},
};
use hermes_link::{
    frame::{FrameReader, FrameWriter},
    quinn::Connection,
};
use hermes_wire::{
    Advice, Refusal,
    drop::{FromDrop, ToDrop},
};
use tokio::time::{sleep, timeout};

use super::{Link, LinkError, board::Reason, relays::Relays, stream::pause};
use crate::limits::FETCH;

/// Asks until there is an answer that lasts (the bundle, or a refusal for good), or until nobody waits for it: another
/// invite of the same contact has taken its place.
pub(super) async fn fetch(link: &Link, relays: &Relays, pending: PendingFetch) -> Result<(), LinkError> {
    let relay = relays.get(&pending.destination.relay);
    let (chat, fetch) = (pending.chat, pending.fetch);
    let wanted = move |waiting: Option<PendingFetch>| waiting.is_some_and(|waiting| waiting.fetch == fetch);
    while wanted(link.read(move |view| query::fetch_of(view, chat)).await?) {
        let answer = match relay.connect().await {
            Ok(connection) => {
                let _slot = relay.slot().await;
                timeout(FETCH, ask(&connection, &pending)).await.unwrap_or(Err(Reason::Lost))
            }
            Err(reason) => Err(reason),
        };
        let reason = match answer {
            Ok(event) => {
                link.board.flows(pending.chat);
                return link.tell(vec![event]).await;
            }
            Err(reason) => reason,
        };
        let wait = pause(&reason);
        link.board.delay(pending.chat, reason);
        sleep(wait).await;
    }
    Ok(())
}

async fn ask(connection: &Connection, pending: &PendingFetch) -> Result<LinkEvent, Reason> {
    let PendingFetch { chat, fetch, destination } = pending;
    let (send, receive) = connection.open_bi().await.map_err(|_| Reason::Lost)?;
    let mut writer = FrameWriter::new(send);
    let mut reader = FrameReader::<FromDrop>::new(receive);
    writer.push(&destination.opening());
    writer.push(&ToDrop::FetchPrekeys(*fetch));
    // A relay that refuses the open stops reading; why, stands in its answer.
    let _ = writer.flush().await;
    loop {
        match reader.next().await {
            Ok(Some(FromDrop::Opened)) => {}
            Ok(Some(FromDrop::Bundle(id, bundle))) if id == *fetch => {
                writer.finish();
                return Ok(LinkEvent::Bundle(*chat, *fetch, Box::new(bundle)));
            }
            Ok(Some(FromDrop::OpenRefused(refusal))) => return refused(pending, refusal),
            Ok(Some(FromDrop::FetchRefused(id, refusal))) if id == *fetch => {
                return refused(pending, refusal);
            }
            Ok(Some(_)) => return Err(Reason::Misbehaved),
            Ok(None) | Err(_) => return Err(Reason::Lost),
        }
    }
}

fn refused(pending: &PendingFetch, refusal: Refusal) -> Result<LinkEvent, Reason> {
    match refusal.advice() {
        Advice::Permanent | Advice::CatchUp => {
            Ok(LinkEvent::FetchRefused(pending.chat, pending.fetch, refusal))
        }
        Advice::RetryAfter(_) => Err(Reason::Refused(refusal)),
    }
}
