//! `hermesctl group`

use hermes_api::{
    AddMembers, ChangeMembers, Client, ClientError, CreateGroup, Exit, GroupDetails, LeaveGroup,
    RebuildGroup, RenameGroup, SetRole,
};
use jiff::tz::TimeZone;

use super::init::read_token;
use crate::{
    cli,
    input::{self, Questions},
    invocation::Invocation,
    limits,
    output::{Format, GOOD, Line, NAME},
    render::group as render,
    stop::Stop,
};

pub(crate) async fn run(command: cli::Group, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let account = account.as_str();
    // Each change has a key, so that none is made twice while daemons die under it.
    match command {
        cli::Group::Ls => list(account, invocation).await,
        cli::Group::Show { group } => show(account, &group, invocation).await,
        cli::Group::Create { name, members } => {
            let create = CreateGroup { name, members, timeout_ms: patience() };
            let made =
                invocation.daemon.keyed(async |client| client.create_group(account, &create).await).await?;
            report(render::made(&made), &made, invocation)
        }
        cli::Group::Add { group, members, token_file } => {
            let registration_token = token_file.as_deref().map(read_token).transpose()?;
            let change = AddMembers { members, registration_token, timeout_ms: patience() };
            let ask = async |client: &Client| client.add_members(account, &group, &change).await;
            changed(ask, |details| render::added(details, &change.members), invocation).await
        }
        cli::Group::Rm { group, members } => {
            let change = ChangeMembers { members, timeout_ms: patience() };
            let ask = async |client: &Client| client.remove_members(account, &group, &change).await;
            changed(ask, |details| render::removed(details, &change.members), invocation).await
        }
        cli::Group::Rename { group, name } => {
            let rename = RenameGroup { name, timeout_ms: patience() };
            let ask = async |client: &Client| client.rename_group(account, &group, &rename).await;
            changed(ask, |details| render::renamed(details, &rename.name), invocation).await
        }
        cli::Group::Role { group, member, role } => {
            let role = SetRole { member, role: role.into(), timeout_ms: patience() };
            let ask = async |client: &Client| client.set_role(account, &group, &role).await;
            changed(ask, |details| render::role_set(details, &role), invocation).await
        }
        cli::Group::Rebuild { group } => {
            let rebuild = RebuildGroup { timeout_ms: patience() };
            let ask = async |client: &Client| client.rebuild_group(account, &group, rebuild).await;
            changed(ask, render::rebuilt, invocation).await
        }
        cli::Group::Forget { group, yes } => forget(account, &group, yes, invocation).await,
        cli::Group::Leave { group } => {
            let leave = LeaveGroup { timeout_ms: patience() };
            let ask = async |client: &Client| client.leave_group(account, &group, leave).await;
            changed(ask, render::left, invocation).await
        }
    }
}

async fn list(account: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let groups = invocation.daemon.repeatable(async |client| client.groups(account).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&groups)?;
        return Ok(Exit::Ok);
    }
    if groups.groups.is_empty() {
        invocation.notes.say(&Line::new("No groups yet. hermesctl group create NAME CONTACT... makes one."));
        return Ok(Exit::Ok);
    }
    let zone = TimeZone::system();
    let rows: Vec<_> = groups.groups.iter().map(|group| render::row(group, &zone)).collect();
    invocation.output.table(&render::HEADER, &rows);
    Ok(Exit::Ok)
}

async fn forget(account: &str, group: &str, yes: bool, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if !yes {
        if invocation.questions == Questions::Off {
            let message =
                format!("all that was said in {group} would be deleted here, and nobody is there to say yes");
            return Err(Stop::usage(
                message,
                format!("say it with the command: hermesctl group forget {group} --yes"),
            ));
        }
        let answer =
            input::ask(&format!("Delete all that was said in {group} from this machine? [y/N]")).await?;
        if !matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes") {
            invocation.notes.say(&Line::new("nothing was changed"));
            return Ok(Exit::Failure);
        }
    }
    let forgotten = invocation.daemon.once(async |client| client.forget_group(account, group).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&forgotten)?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&Line::default().styled(GOOD, "✓ ").styled(NAME, group).plain(" is forgotten"));
    Ok(Exit::Ok)
}

async fn show(account: &str, group: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let details = invocation.daemon.repeatable(async |client| client.group(account, group).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    render::details(&details, &TimeZone::system()).iter().for_each(|line| invocation.output.line(line));
    invocation.output.table(&render::MEMBER_HEADER, &render::members(&details));
    Ok(Exit::Ok)
}

async fn changed(
    ask: impl AsyncFn(&Client) -> Result<GroupDetails, ClientError>,
    line: impl FnOnce(&GroupDetails) -> Line,
    invocation: &mut Invocation,
) -> Result<Exit, Stop> {
    let details = invocation.daemon.keyed(ask).await?;
    report(line(&details), &details, invocation)
}

/// What was done, and what is still to come.
fn report(done: Line, details: &GroupDetails, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if invocation.output.format == Format::Json {
        invocation.output.json(details)?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&done);
    invocation.output.flush()?;
    render::to_come(details).iter().for_each(|line| invocation.notes.say(line));
    Ok(Exit::Ok)
}

fn patience() -> u64 {
    u64::try_from(limits::HANDSHAKE.as_millis()).unwrap_or(u64::MAX)
}
