//! Invites and contacts.

use std::time::Duration;

use axum::extract::{Path, State};
use hermes_api::{
    AcceptInvite, AcceptedInvite, Contact, Contacts, CreateInvite, CreatedInvite, ErrorCode, V1, limits,
};
use hermes_engine::{
    ChatId, Command, Event, Invite, PairingError, Reply as EngineReply,
    query::{self, ContactState, ContactView},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    Daemon,
    messages::unexpected,
    reply::{Asked, Document, Refused, Reply},
    show,
};
use crate::account::Account;

pub(super) async fn invite(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<CreateInvite>,
) -> Reply<CreatedInvite> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let validity = Duration::from_secs(asked.expires_seconds);
    if validity.is_zero() {
        return Err(Refused::new(ErrorCode::Usage, "this invite would be over at once", "give it some time"));
    }
    let command = match asked.requests {
        true => Command::InviteRequests { validity },
        false => Command::CreateInvite { validity },
    };
    match account.command(command).await? {
        EngineReply::Invite { link, expiry } => {
            Ok(Document(CreatedInvite { v: V1, invite: link, expires_at: show::time(expiry) }))
        }
        _ => Err(unexpected()),
    }
}

pub(super) async fn accept(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<AcceptInvite>,
) -> Reply<AcceptedInvite> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    if asked.invite.len() > limits::INVITE_BYTES {
        return Err(Refused::from(hermes_engine::InviteError::Damaged));
    }
    let invite: Invite = asked.invite.parse()?;
    // Before the command, so that no outcome is missed.
    let mut events = account.events();
    let EngineReply::Accepted { chat, .. } = account.command(Command::Accept(Box::new(invite))).await? else {
        return Err(unexpected());
    };
    let patience = Duration::from_millis(asked.timeout_ms).min(limits::WAIT);
    let mut stop = daemon.stop_signal();
    let outcome = tokio::select! {
        outcome = timeout(patience, outcome(&account, chat, &mut events)) => outcome.unwrap_or(Ok(())),
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    outcome?;
    Ok(Document(AcceptedInvite { v: V1, contact: contact(&account, chat).await? }))
}

pub(super) async fn contacts(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Contacts> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let contacts = account.query(query::contacts).await?;
    Ok(Document(Contacts { v: V1, contacts: contacts.into_iter().map(show::contact).collect() }))
}

/// How the pairing ends.
async fn outcome(account: &Account, chat: ChatId, events: &mut Receiver<Event>) -> Result<(), PairingError> {
    // Of a request that is repeated, the outcome may have come long ago.
    if is_settled(account, chat).await {
        return Ok(());
    }
    loop {
        match events.recv().await {
            Ok(Event::ContactReady { chat: done, .. } | Event::Asked { chat: done, .. }) if done == chat => {
                return Ok(());
            }
            Ok(Event::PairingFailed { chat: failed, reason, .. }) if failed == chat => return Err(reason),
            Ok(_) => {}
            Err(RecvError::Closed) => return Ok(()),
            // The one we wait for may be among the missed.
            Err(RecvError::Lagged(_)) => {
                if is_settled(account, chat).await {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether nothing more happens by itself: it is a contact, or somebody has to say yes, or it is gone.
async fn is_settled(account: &Account, chat: ChatId) -> bool {
    find(account, chat).await.is_none_or(|contact| contact.state != ContactState::Pending)
}

async fn find(account: &Account, chat: ChatId) -> Option<ContactView> {
    let contacts = account.query(query::contacts).await.ok()?;
    contacts.into_iter().find(|contact| contact.chat == chat)
}

async fn contact(account: &Account, chat: ChatId) -> Result<Contact, Refused> {
    match find(account, chat).await {
        Some(contact) => Ok(show::contact(contact)),
        None => Err(Refused::new(
            ErrorCode::PairingFailed,
            "the pairing ended without a contact",
            "ask for a new invite",
        )),
    }
}

/// The contact of a chat, for an event.
pub(super) async fn contact_of(account: &Account, chat: ChatId) -> Option<Contact> {
    find(account, chat).await.map(show::contact)
}
