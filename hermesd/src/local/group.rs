//! Groups: what they are, and what their user wants of them.

use std::time::Duration;

use axum::extract::{Path, State};
use hermes_api::{
    AddMembers, ChangeMembers, CreateGroup, ErrorCode, Forgotten, GroupDetails, Groups, LeaveGroup, Problem,
    RebuildGroup, RenameGroup, Role, SetRole, V1, limits,
};
use hermes_engine::{
    ChatId, Command, Event, GroupChange, GroupEvent, GroupStanding, GuestRefusal, Reply as EngineReply, query,
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    Daemon,
    messages::unexpected,
    problem::no_place,
    reply::{Asked, Document, Refused, Reply},
    show,
};
use crate::{account::Account, limits::PLACE};

/// Account and group of a route.
type Names = Path<(String, String)>;

pub(super) async fn list(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Groups> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let groups = account.query(query::groups).await?;
    Ok(Document(Groups { v: V1, groups: groups.into_iter().map(show::group).collect() }))
}

pub(super) async fn show(State(daemon): State<Daemon>, Path((account, name)): Names) -> Reply<GroupDetails> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let wanted = name.clone();
    let found = account.query(move |view| query::group_named(view, &wanted)).await?;
    match found {
        Some(found) => Ok(Document(show::group_details(found))),
        None => Err(account.refusal(hermes_engine::CommandError::UnknownGroup(name)).await.into()),
    }
}

pub(super) async fn create(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<CreateGroup>,
) -> Reply<GroupDetails> {
    at_most(asked.members.len())?;
    carry_out(&daemon, &account, Command::CreateGroup(asked.name, asked.members), asked.timeout_ms).await
}

pub(super) async fn add(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<AddMembers>,
) -> Reply<GroupDetails> {
    at_most(asked.members.len())?;
    let wanted = match (asked.registration_token, asked.members.as_slice()) {
        (None, _) => GroupChange::Add(asked.members),
        (Some(token), [one]) => GroupChange::AddGuest(one.clone(), token.expose().to_owned()),
        (Some(_), _) => {
            let message = "a registration token is for one contact, and more were named";
            return Err(Refused::new(ErrorCode::Usage, message, "add them one by one, each with a token"));
        }
    };
    change(&daemon, names, wanted, asked.timeout_ms).await
}

pub(super) async fn remove(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<ChangeMembers>,
) -> Reply<GroupDetails> {
    at_most(asked.members.len())?;
    change(&daemon, names, GroupChange::Remove(asked.members), asked.timeout_ms).await
}

pub(super) async fn rename(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<RenameGroup>,
) -> Reply<GroupDetails> {
    change(&daemon, names, GroupChange::Rename(asked.name), asked.timeout_ms).await
}

pub(super) async fn role(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<SetRole>,
) -> Reply<GroupDetails> {
    let wanted = match asked.role {
        Role::Admin => GroupChange::Promote(asked.member),
        Role::Member => GroupChange::Demote(asked.member),
        Role::Other => {
            let hint = "ask for member or admin";
            return Err(Refused::new(ErrorCode::Usage, "there is no such role", hint));
        }
    };
    change(&daemon, names, wanted, asked.timeout_ms).await
}

pub(super) async fn leave(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<LeaveGroup>,
) -> Reply<GroupDetails> {
    change(&daemon, names, GroupChange::Leave, asked.timeout_ms).await
}

pub(super) async fn forget(State(daemon): State<Daemon>, Path((account, group)): Names) -> Reply<Forgotten> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::Group(group, GroupChange::Forget)).await? {
        EngineReply::Forgotten => Ok(Document(Forgotten { v: V1 })),
        _ => Err(unexpected()),
    }
}

pub(super) async fn rebuild(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<RebuildGroup>,
) -> Reply<GroupDetails> {
    change(&daemon, names, GroupChange::Rebuild, asked.timeout_ms).await
}

async fn change(
    daemon: &Daemon,
    Path((account, group)): Names,
    change: GroupChange,
    timeout_ms: u64,
) -> Reply<GroupDetails> {
    carry_out(daemon, &account, Command::Group(group, change), timeout_ms).await
}

/// Has the engine do it, waits for what comes of it, and tells how the group stands then.
async fn carry_out(daemon: &Daemon, account: &str, command: Command, timeout_ms: u64) -> Reply<GroupDetails> {
    let account = daemon.account(account).await.map_err(Refused)?;
    // Before the command, so that no outcome is missed.
    let mut events = account.events();
    let EngineReply::Group(chat) = account.command(command).await? else { return Err(unexpected()) };
    let patience = Duration::from_millis(timeout_ms).min(limits::WAIT);
    let mut stop = daemon.stop_signal();
    let outcome = tokio::select! {
        outcome = timeout(patience, settled(&account, chat, &mut events)) => outcome.unwrap_or(Ok(())),
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    };
    outcome?;
    let details = details(&account, chat).await?;
    Ok(Document(show::group_details(details)))
}

/// Waits until nothing that was asked for is on its way.
async fn settled(account: &Account, chat: ChatId, events: &mut Receiver<Event>) -> Result<(), Refused> {
    loop {
        let query::GroupDetails { group, places, .. } = details(account, chat).await?;
        if !group.changing && group.standing != GroupStanding::Leaving {
            return Ok(());
        }
        // A contact that has to make a mailbox first may be away for days.
        let patience = if places.is_empty() { limits::WAIT } else { PLACE };
        let Ok(news) = timeout(patience, news(chat, events)).await else { return Ok(()) };
        match news {
            News::Failed(reason) => return Err(Refused(failed(&group.name, &reason))),
            News::NoPlace { contact, relay, reason } => {
                return Err(Refused(no_place(&group.name, &contact, &relay, reason)));
            }
            News::Some => {}
            News::Over => return Ok(()),
        }
    }
}

/// What was heard of a group.
enum News {
    Failed(String),
    NoPlace { contact: String, relay: String, reason: GuestRefusal },
    Some,
    Over,
}

async fn news(chat: ChatId, events: &mut Receiver<Event>) -> News {
    loop {
        match events.recv().await {
            Ok(Event::Group { chat: of, event: GroupEvent::ChangeFailed(reason), .. }) if of == chat => {
                return News::Failed(reason);
            }
            Ok(Event::Group { chat: of, event: GroupEvent::NoPlace { contact, relay, reason }, .. })
                if of == chat =>
            {
                return News::NoPlace { contact, relay, reason };
            }
            Ok(Event::Group { chat: of, .. }) if of == chat => return News::Some,
            Ok(_) => {}
            // What is waited for may be among the missed.
            Err(RecvError::Lagged(_)) => return News::Some,
            Err(RecvError::Closed) => return News::Over,
        }
    }
}

async fn details(account: &Account, chat: ChatId) -> Result<query::GroupDetails, Refused> {
    let found = account.query(move |view| query::group_at(view, chat)).await?;
    found.ok_or_else(|| {
        Refused::new(ErrorCode::GroupNotFound, "the group is gone", "hermesctl group ls names them all")
    })
}

/// A change that cannot be made, as its user reads it.
pub(super) fn failed(group: &str, reason: &str) -> Problem {
    Problem::new(
        ErrorCode::GroupChangeFailed,
        format!("{group} was not changed: {reason}"),
        format!("look at it and try again: hermesctl group show {group}"),
    )
}

fn at_most(members: usize) -> Result<(), Refused> {
    if members <= hermes_engine::limits::GROUP_MEMBERS {
        return Ok(());
    }
    Err(hermes_engine::CommandError::TooManyMembers(hermes_engine::limits::GROUP_MEMBERS).into())
}
