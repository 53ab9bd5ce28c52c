//! Sending, the inbox, the log.

use std::{collections::BTreeMap, time::Duration};

use axum::extract::{Path, State};
use hermes_api::{
    ErrorCode, InboxQuery, LogQuery, MessageDetails, MessagePage, MessageState, ReadMessages, ReadReceipt,
    Recipient, SendMessage, SendResult, SentMessages, V1, Wait, WaitQuery, limits,
};
use hermes_engine::{
    ChatId, Command, CommandError, Event, MessageId, Reference, ReferenceError, Reply as EngineReply, Send,
    query::{self, InboxFilter},
};
use hermes_wire::{Refusal, Timestamp};
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        watch,
    },
    time::timeout,
};

use super::{
    Daemon,
    problem::{ToProblem, did_you_mean},
    reply::{Asked, Document, Filter, Refused, Reply},
    show,
};
use crate::{account::Account, link::Reason};

/// Stands for the message that arrived last.
const LAST: &str = "@last";

pub(super) async fn send(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Filter(query): Filter<WaitQuery>,
    Asked(asked): Asked<SendMessage>,
) -> Reply<SentMessages> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    if asked.to.len() > limits::RECIPIENTS {
        return Err(Refused::new(
            ErrorCode::TooManyRecipients,
            format!("{} recipients were named; the limit is {}", asked.to.len(), limits::RECIPIENTS),
            "send it in several commands",
        ));
    }
    // Before the command, so that no receipt is missed.
    let events = account.events();
    let ttl = asked.ttl_seconds.map(Duration::from_secs);
    let reply_to = match &asked.reply_to {
        Some(name) => Some(named(&account, name).await?),
        None => None,
    };
    let send = Send {
        to: asked.to,
        text: asked.text,
        reply_to,
        ttl,
        idempotency: Some(asked.id).filter(|id| !id.is_empty()),
    };
    let EngineReply::Sent(sent) = account.command(Command::Send(send)).await? else {
        return Err(unexpected());
    };
    let mut results: Vec<_> = sent.into_iter().map(result).collect();
    correct(&account, &mut results).await;
    let timeout = Duration::from_millis(asked.timeout_ms);
    let (state, patience) = match query.wait {
        Some(state) => (state, patience(query)),
        None => (asked.wait, query.timeout_ms.map_or(timeout, Duration::from_millis).min(limits::WAIT)),
    };
    let timed_out = match goal(state) {
        None => false,
        Some(goal) => wait(&daemon, &account, goal, &mut results, patience, events).await?,
    };
    for result in &mut results {
        if let Some(id) = result.id.as_deref().and_then(message_id) {
            result.recipients = recipients(&account, id).await?;
        }
    }
    Ok(Document(SentMessages { v: V1, results, timed_out }))
}

pub(super) async fn show(
    State(daemon): State<Daemon>,
    Path((account, name)): Path<(String, String)>,
    Filter(asked): Filter<WaitQuery>,
) -> Reply<MessageDetails> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    // Before the message is read, so that no receipt is missed.
    let events = account.events();
    let wanted = named(&account, &name).await?;
    let found = account.query(move |view| query::message_at(view, &wanted)).await?;
    let mut found = found.ok_or_else(|| unknown(&name))?;
    if let Some(goal) = asked.wait.and_then(goal)
        && let query::MessageDirection::Sent(state) = &found.direction
    {
        let sent = hermes_engine::SentMessage {
            id: found.id,
            reference: found.reference.clone(),
            state: state.clone(),
        };
        let to = found.reference.chat.clone();
        let mut results = vec![result(hermes_engine::SendResult { to, outcome: Ok(sent) })];
        wait(&daemon, &account, goal, &mut results, patience(asked), events).await?;
        let id = found.id;
        found = account.query(move |view| query::message(view, &id)).await?.ok_or_else(|| unknown(&name))?;
    }
    let recipients = recipients(&account, found.id).await?;
    let message = show::message(found, account.name().as_str());
    Ok(Document(MessageDetails { v: V1, message, recipients }))
}

/// The message of a name: a reference, an id, or the last one that arrived. A reference is taken at its word.
pub(super) async fn named(account: &Account, name: &str) -> Result<Reference, Refused> {
    let found = match (message_id(name), name.parse::<Reference>()) {
        _ if name == LAST => account.query(query::last_received).await?,
        (Some(id), _) => {
            account.query(move |view| query::message(view, &id)).await?.map(|message| message.reference)
        }
        (None, reference) => reference.ok(),
    };
    found.ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> Refused {
    let message = match name {
        LAST => "no message has arrived yet".to_owned(),
        name => format!("there is no message {name}"),
    };
    let hint = "messages are named like bob#42; hermesctl log shows them";
    Refused::new(ErrorCode::MessageNotFound, message, hint)
}

async fn recipients(account: &Account, id: MessageId) -> Result<Vec<Recipient>, Refused> {
    let recipients = account.query(move |view| query::recipients(view, &id)).await?;
    Ok(recipients.into_iter().map(show::recipient).collect())
}

pub(super) async fn inbox(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Filter(asked): Filter<InboxQuery>,
) -> Reply<MessagePage> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let after = match &asked.after {
        Some(id) => Some(reference(&account, id).await?),
        None => None,
    };
    if let Some(from) = &asked.from {
        chat_exists(&account, from).await?;
    }
    let limit = page(asked.limit);
    let since = asked.since_ms.map(Timestamp);
    let filter = InboxFilter { from: asked.from, since, after, limit: limit + 1 };
    let messages = account.query(move |view| query::inbox(view, &filter)).await?;
    let more = messages.len() > limit;
    let messages = messages.into_iter().take(limit);
    let messages = messages.map(|message| show::message(message, account.name().as_str())).collect();
    Ok(Document(MessagePage { v: V1, messages, more }))
}

pub(super) async fn read(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<ReadMessages>,
) -> Reply<ReadReceipt> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    if asked.refs.len() > limits::READ_REFS {
        return Err(Refused::new(
            ErrorCode::Usage,
            format!("{} messages were named; the limit is {}", asked.refs.len(), limits::READ_REFS),
            "mark them in several requests",
        ));
    }
    let references: Result<Vec<Reference>, ReferenceError> =
        asked.refs.iter().map(|text| text.parse()).collect();
    let references = references.map_err(|error| {
        Refused::new(ErrorCode::MessageNotFound, error.to_string(), "hermesctl log shows the names")
    })?;
    match account.command(Command::MarkRead(references)).await? {
        EngineReply::Read => Ok(Document(ReadReceipt { v: V1 })),
        _ => Err(unexpected()),
    }
}

pub(super) async fn log(
    State(daemon): State<Daemon>,
    Path((account, chat)): Path<(String, String)>,
    Filter(asked): Filter<LogQuery>,
) -> Reply<MessagePage> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let limit = page(asked.limit);
    let named = async |id: &Option<String>| match id {
        Some(id) => {
            Ok::<_, Refused>(Some(reference(&account, id).await?).filter(|reference| reference.chat == chat))
        }
        None => Ok(None),
    };
    let (before, after) = (named(&asked.before).await?, named(&asked.after).await?);
    let is_after = after.is_some();
    let name = chat.clone();
    let messages = match (before, after) {
        (Some(_), Some(_)) => {
            let hint = "ask for either side by itself";
            return Err(Refused::new(ErrorCode::Usage, "both `before` and `after` are given", hint));
        }
        (before, None) => {
            account.query(move |view| query::log(view, &name, before.as_ref(), limit + 1)).await?
        }
        (None, Some(after)) => {
            account.query(move |view| query::log_after(view, &name, &after, limit + 1)).await?
        }
    };
    let Some(mut messages) = messages else { return Err(no_contact(&account, &chat).await) };
    let more = messages.len() > limit;
    match is_after {
        true => messages.truncate(limit),
        // The oldest come first, and the one too many is the oldest.
        false => drop(messages.drain(..messages.len().saturating_sub(limit))),
    }
    let messages = messages.into_iter();
    let messages = messages.map(|message| show::message(message, account.name().as_str())).collect();
    Ok(Document(MessagePage { v: V1, messages, more }))
}

/// How long a request waits that says so in its query.
fn patience(query: WaitQuery) -> Duration {
    query.timeout_ms.map_or(limits::WAIT_UNSAID, Duration::from_millis).min(limits::WAIT)
}

/// Waits until all messages have come so far; whether the time was over first.
async fn wait(
    daemon: &Daemon,
    account: &Account,
    goal: MessageState,
    results: &mut Vec<SendResult>,
    patience: Duration,
    events: Receiver<Event>,
) -> Result<bool, Refused> {
    let mut wait = Waiting::new(account, goal, results).await?;
    let mut stop = daemon.stop_signal();
    tokio::select! {
        waited = timeout(patience, wait.run(events)) => waited.unwrap_or(Ok(()))?,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    Ok(!wait.is_over())
}

/// Waits for messages to reach a state.
struct Waiting<'a> {
    account: &'a Account,
    goal: MessageState,
    results: &'a mut Vec<SendResult>,
    /// Chats of the recipients, by name.
    chats: BTreeMap<String, ChatId>,
}

impl<'a> Waiting<'a> {
    async fn new(
        account: &'a Account,
        goal: MessageState,
        results: &'a mut Vec<SendResult>,
    ) -> Result<Self, Refused> {
        let names: Vec<String> = results.iter().map(|result| result.to.clone()).collect();
        let chats = account
            .query(move |view| {
                let chat = |name: String| Ok(query::chat_named(view, &name)?.map(|chat| (name, chat)));
                names.into_iter().filter_map(|name| chat(name).transpose()).collect()
            })
            .await?;
        Ok(Self { account, goal, results, chats })
    }

    async fn run(&mut self, mut events: Receiver<Event>) -> Result<(), Refused> {
        let mut delays = self.account.board().delays();
        self.hold_up(&delays.borrow_and_update());
        while !self.is_over() {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::State { id, state, .. }) => self.advance(&id.to_string(), &state),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.look().await?,
                    Err(RecvError::Closed) => return Ok(()),
                },
                changed = next(&mut delays) => self.hold_up(&changed),
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.results.iter().all(|result| self.is_settled(result))
    }

    fn is_settled(&self, result: &SendResult) -> bool {
        result.error.is_some() || rank(result.state) >= rank(self.goal)
    }

    fn advance(&mut self, id: &str, state: &hermes_engine::MessageState) {
        if let Some(result) = self.results.iter_mut().find(|result| result.id.as_deref() == Some(id)) {
            (result.state, result.error) = show::state(state);
        }
    }

    /// A full mailbox is worth an answer at once: waiting may take the recipient's return from a holiday.
    fn hold_up(&mut self, delays: &BTreeMap<ChatId, Reason>) {
        for result in self.results.iter_mut() {
            let reason = self.chats.get(&result.to).and_then(|chat| delays.get(chat));
            if let Some(Reason::Refused(refusal @ Refusal::MailboxFull { .. })) = reason
                && result.state == MessageState::Queued
            {
                let problem = refusal.problem();
                let message = format!("{}'s mailbox is full", result.to);
                result.error = Some(hermes_api::Problem { message, ..problem });
            }
        }
    }

    /// Asks the store, after events were missed.
    async fn look(&mut self) -> Result<(), Refused> {
        let ids: Vec<_> =
            self.results.iter().filter_map(|result| result.id.as_deref().and_then(message_id)).collect();
        let found = self
            .account
            .query(move |view| ids.iter().map(|id| query::message(view, id)).collect::<Result<Vec<_>, _>>())
            .await?;
        for view in found.into_iter().flatten() {
            if let query::MessageDirection::Sent(state) = &view.direction {
                self.advance(&view.id.to_string(), state);
            }
        }
        Ok(())
    }
}

async fn next(delays: &mut watch::Receiver<BTreeMap<ChatId, Reason>>) -> BTreeMap<ChatId, Reason> {
    match delays.changed().await {
        Ok(()) => delays.borrow_and_update().clone(),
        // The link is gone, and no delay will end or begin.
        Err(_) => std::future::pending().await,
    }
}

fn goal(wait: Wait) -> Option<MessageState> {
    match wait {
        Wait::None => None,
        Wait::Relayed => Some(MessageState::Relayed),
        Wait::Delivered => Some(MessageState::Delivered),
        Wait::Read => Some(MessageState::Read),
    }
}

fn rank(state: MessageState) -> u8 {
    match state {
        MessageState::Queued => 0,
        MessageState::Relayed => 1,
        MessageState::Delivered => 2,
        MessageState::Read => 3,
        MessageState::Failed => 3,
    }
}

/// Says of names that stand for nothing which ones look much like them.
async fn correct(account: &Account, results: &mut [SendResult]) {
    let mut unknown: Vec<_> = results
        .iter_mut()
        .filter(|result| result.error.as_ref().is_some_and(|e| e.code == ErrorCode::ContactNotFound))
        .collect();
    if unknown.is_empty() {
        return;
    }
    let nearest = account.nearest(unknown.iter().map(|result| result.to.clone()).collect()).await;
    for (result, name) in unknown.iter_mut().zip(nearest) {
        if let Some(name) = name {
            result.error = result.error.take().map(|error| did_you_mean(error, &name));
        }
    }
}

fn result(sent: hermes_engine::SendResult) -> SendResult {
    match sent.outcome {
        Ok(message) => {
            let (state, error) = show::state(&message.state);
            SendResult {
                to: sent.to,
                id: Some(message.id.to_string()),
                reference: Some(message.reference.to_string()),
                state,
                error,
                recipients: Vec::new(),
            }
        }
        Err(error) => SendResult {
            to: sent.to,
            id: None,
            reference: None,
            state: MessageState::Failed,
            error: Some(error.problem()),
            recipients: Vec::new(),
        },
    }
}

pub(super) fn page(limit: Option<u32>) -> usize {
    let limit = limit.unwrap_or(limits::PAGE_MESSAGES).min(limits::PAGE_MESSAGES);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn message_id(text: &str) -> Option<MessageId> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    Some(MessageId(bytes.try_into().ok()?))
}

async fn reference(account: &Account, id: &str) -> Result<Reference, Refused> {
    let unknown = || {
        Refused::new(
            ErrorCode::MessageNotFound,
            "there is no message of this id",
            "ids have 32 hex digits; the log shows them with --json",
        )
    };
    let id = message_id(id).ok_or_else(unknown)?;
    let found = account.query(move |view| query::message(view, &id)).await?;
    found.map(|message| message.reference).ok_or_else(unknown)
}

async fn chat_exists(account: &Account, name: &str) -> Result<(), Refused> {
    let wanted = name.to_owned();
    match account.query(move |view| query::chat_named(view, &wanted)).await? {
        Some(_) => Ok(()),
        None => Err(no_contact(account, name).await),
    }
}

pub(super) async fn no_contact(account: &Account, name: &str) -> Refused {
    let unknown = hermes_engine::SendError::UnknownContact(name.to_owned());
    account.refusal(CommandError::Unsent(unknown)).await.into()
}

/// The engine answered another question than it was asked.
pub(super) fn unexpected() -> Refused {
    Refused::new(ErrorCode::Internal, "hermesd made a mistake", "please report it")
}
