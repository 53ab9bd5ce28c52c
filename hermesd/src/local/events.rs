//! What happens, as server-sent events: read from the log, one row after the other. A commit only wakes.

mod listener;

use std::convert::Infallible;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use hermes_api::{
    AckEvents, Consumer, ConsumerState, Consumers, ErrorCode, Event, EventFrame, EventQuery, ForgetConsumer,
    V1, limits,
};
use hermes_engine::{ChatId, Command, CommandError, ConsumerChange, Reply as EngineReply, query};

use self::listener::{Interest, Listener};
use super::{
    Daemon,
    messages::unexpected,
    reply::{Asked, Document, Filter, Refused, Reply},
    show,
};
use crate::account::Account;

/// The header in which a program says what it heard last (HTML standard, section 9.2).
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) async fn events(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Filter(asked): Filter<EventQuery>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Refused> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let heard = last_event_id(&headers)?;
    let interest = Interest { chat: chat(&account, &asked).await?, kinds: kinds(&asked)? };
    let place = match &asked.consumer {
        Some(name) => Some(account.consumers().take(name).ok_or_else(|| busy(name))?),
        None => None,
    };
    // Before the position is read, so that nothing falls between.
    let listener = Listener::new(account.clone(), interest, place, daemon.stop_signal());
    let acknowledged = match asked.consumer {
        Some(name) => Some(change(&account, name, ConsumerChange::Begin).await?),
        None => None,
    };
    let position = match heard.or(acknowledged) {
        Some(position) => position,
        None => account.query(query::newest_event).await?,
    };
    let frames = stream::unfold(listener.from(position), |mut listener| async move {
        let frame = listener.next().await?;
        Some((frame, listener))
    });
    let frames = frames.map(|event| Ok(frame(event)));
    Ok(Sse::new(frames).keep_alive(KeepAlive::new().interval(limits::EVENT_KEEPALIVE)))
}

pub(super) async fn ack(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<AckEvents>,
) -> Reply<ConsumerState> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    state(&account, asked.consumer, ConsumerChange::Acknowledge(asked.seq)).await
}

pub(super) async fn forget(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<ForgetConsumer>,
) -> Reply<ConsumerState> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    if account.consumers().is_taken(&asked.consumer) {
        return Err(busy(&asked.consumer));
    }
    state(&account, asked.consumer, ConsumerChange::Forget).await
}

pub(super) async fn consumers(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Consumers> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let (newest, found) =
        account.query(|view| Ok((query::newest_event(view)?, query::consumers(view)?))).await?;
    let consumer = |found: query::ConsumerView| Consumer {
        listening: account.consumers().is_taken(&found.name),
        name: found.name,
        acknowledged: found.acknowledged,
        since: show::time(found.since),
    };
    Ok(Document(Consumers { v: V1, newest, consumers: found.into_iter().map(consumer).collect() }))
}

async fn state(account: &Account, consumer: String, change: ConsumerChange) -> Reply<ConsumerState> {
    let acknowledged = self::change(account, consumer.clone(), change).await?;
    Ok(Document(ConsumerState { v: V1, consumer, acknowledged }))
}

async fn change(account: &Account, name: String, change: ConsumerChange) -> Result<u64, Refused> {
    match account.command(Command::Consumer(name, change)).await? {
        EngineReply::Consumer(acknowledged) => Ok(acknowledged),
        _ => Err(unexpected()),
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Refused> {
    let Some(header) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = header.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        let hint = "send the id of the last event, or leave the header out";
        Refused::new(ErrorCode::Usage, "Last-Event-ID is no number of an event", hint)
    })
}

/// The chat that the query names.
async fn chat(account: &Account, asked: &EventQuery) -> Result<Option<ChatId>, Refused> {
    match (asked.contact.clone(), asked.group.clone()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let hint = "name a contact or a group, or listen to all and choose";
            Err(Refused::new(ErrorCode::Usage, "nothing is about a contact and a group", hint))
        }
        (Some(contact), None) => {
            let wanted = contact.clone();
            let found = account.query(move |view| query::contact_named(view, &wanted)).await?;
            match found {
                Some(details) => Ok(Some(details.contact.chat)),
                None => Err(account.refusal(CommandError::UnknownContact(contact)).await.into()),
            }
        }
        (None, Some(group)) => {
            let wanted = group.clone();
            let found = account.query(move |view| query::group_named(view, &wanted)).await?;
            match found {
                Some(details) => Ok(Some(details.group.chat)),
                None => Err(account.refusal(CommandError::UnknownGroup(group)).await.into()),
            }
        }
    }
}

fn kinds(asked: &EventQuery) -> Result<Option<Vec<&'static str>>, Refused> {
    let Some(kinds) = &asked.kind else { return Ok(None) };
    let known = |kind: &str| {
        Event::KINDS.into_iter().find(|known| *known == kind).ok_or_else(|| {
            let message = format!("there is no kind of event {kind:?}");
            Refused::new(ErrorCode::Usage, message, format!("the kinds are: {}", Event::KINDS.join(", ")))
        })
    };
    kinds.split(',').map(|kind| known(kind.trim())).collect::<Result<_, _>>().map(Some)
}

fn busy(name: &str) -> Refused {
    Refused::new(
        ErrorCode::ConsumerBusy,
        format!("another program listens as {name:?}"),
        "stop it first, or listen under another name",
    )
}

fn frame(frame: EventFrame) -> sse::Event {
    let event = match frame.seq {
        Some(seq) => sse::Event::default().id(seq.to_string()),
        None => sse::Event::default(),
    };
    // Our own types always serialise; an empty comment would be passed over.
    event.json_data(&frame).unwrap_or_else(|_| sse::Event::default().comment(""))
}
