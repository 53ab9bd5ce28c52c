//! `hermesctl daemon`

mod install;
mod logs;

use hermes_api::{ClientError, DaemonStatus, Exit, Problem, V1};
use serde::Serialize;

use crate::{
    cli,
    daemon::wait_until_gone,
    invocation::Invocation,
    output::{BAD, DIM, Format, GOOD, Line, WARN},
    service::{self, Installed, Manager, UnitState},
    stop::Stop,
};

pub(crate) async fn run(command: cli::Daemon, invocation: &mut Invocation) -> Result<Exit, Stop> {
    match command {
        cli::Daemon::Start => start(invocation).await,
        cli::Daemon::Stop => stop(invocation).await,
        cli::Daemon::Restart => restart(invocation).await,
        cli::Daemon::Status => status(invocation).await,
        cli::Daemon::Logs(args) => logs::run(args, invocation).await,
        cli::Daemon::Install => install::install(invocation).await,
        cli::Daemon::Uninstall => install::uninstall(invocation).await,
    }
}

async fn start(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let status = match invocation.daemon.client.status().await {
        Err(ClientError::NotRunning { .. }) => invocation.daemon.start().await?,
        running => {
            let running = running?;
            invocation.notes.say(&Line::new(format!("hermesd is running (pid {})", running.pid)));
            running
        }
    };
    if invocation.output.format == Format::Json {
        invocation.output.json(&status)?;
    }
    Ok(Exit::Ok)
}

async fn stop(invocation: &mut Invocation) -> Result<Exit, Stop> {
    if let Some(manager) = service::keeper(&invocation.daemon.socket).await
        && manager.state().await?.pid.is_some()
    {
        manager.stop().await?;
        invocation.notes.say(&Line::new("stopped hermesd.service and its socket"));
        return Ok(Exit::Ok);
    }
    let shutdown = match invocation.daemon.client.shutdown().await {
        Err(ClientError::NotRunning { .. }) => {
            invocation.notes.say(&Line::new("hermesd is not running"));
            return Ok(Exit::Ok);
        }
        answer => answer?,
    };
    wait_until_gone(shutdown.pid).await?;
    invocation.notes.say(&Line::new(format!("stopped hermesd (pid {})", shutdown.pid)));
    if invocation.output.format == Format::Json {
        invocation.output.json(&shutdown)?;
    }
    Ok(Exit::Ok)
}

async fn restart(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let kept = match service::keeper(&invocation.daemon.socket).await {
        Some(manager) => manager.state().await?.pid.is_some().then_some(manager),
        None => None,
    };
    match kept {
        Some(manager) => manager.restart().await?,
        None => match invocation.daemon.client.shutdown().await {
            Err(ClientError::NotRunning { .. }) => {}
            answer => wait_until_gone(answer?.pid).await?,
        },
    }
    let status = invocation.daemon.start().await?;
    invocation.notes.say(&Line::new(format!("hermesd runs again (pid {})", status.pid)));
    if invocation.output.format == Format::Json {
        invocation.output.json(&status)?;
    }
    Ok(Exit::Ok)
}

/// The daemon's process and who keeps it running, as JSON shows it.
#[derive(Debug, Serialize)]
struct Status {
    v: V1,
    running: bool,
    pid: Option<u32>,
    version: Option<String>,
    /// Of what a service manager is not told: nothing.
    service: Option<Service>,
    log: Option<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    active: String,
    enabled: String,
    lingers: Option<bool>,
}

async fn status(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let running = match invocation.daemon.client.status().await {
        Ok(status) => Some(status),
        Err(ClientError::NotRunning { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let installed = service::installed(&invocation.daemon.socket);
    let manager = Manager::find().await;
    let unit = match (&manager, &installed) {
        (Ok(manager), Installed::Ours | Installed::Theirs) => Some(manager.state().await?),
        _ => None,
    };
    let kept = unit
        .as_ref()
        .is_some_and(|unit| unit.pid.is_some() && unit.pid == running.as_ref().map(|running| running.pid));
    let exit = if running.is_some() { Exit::Ok } else { Exit::Daemon };
    if invocation.output.format == Format::Json {
        let lingers = service::lingers().await;
        let service = unit.map(|unit| Service { active: unit.active, enabled: unit.enabled, lingers });
        let log = (!kept).then(|| invocation.daemon.log.display().to_string());
        let (pid, version) =
            (running.as_ref().map(|status| status.pid), running.map(|status| status.version));
        invocation.output.json(&Status { v: V1, running: pid.is_some(), pid, version, service, log })?;
        return Ok(exit);
    }
    for line in lines(running.as_ref(), &installed, manager.err(), unit.as_ref(), kept) {
        invocation.output.line(&line);
    }
    if unit.is_some() && service::lingers().await == Some(false) {
        invocation.notes.say(&Line::new("It ends when you log out; to keep it: loginctl enable-linger"));
    }
    Ok(exit)
}

fn lines(
    running: Option<&DaemonStatus>,
    installed: &Installed,
    no_manager: Option<String>,
    unit: Option<&UnitState>,
    kept: bool,
) -> Vec<Line> {
    let mut lines = vec![match running {
        Some(status) => {
            let by = if kept { "kept by systemd" } else { "in the background" };
            let line = Line::default().styled(GOOD, "running").plain(format!(", {by}"));
            line.plain(format!(" (hermesd {}, pid {})", status.version, status.pid))
        }
        None => Line::default().styled(WARN, "not running").plain("; the next command starts it"),
    }];
    let service = |line: Line| Line::default().styled(DIM, "service  ").then(line);
    lines.push(service(match (installed, unit, no_manager) {
        (_, _, Some(why)) => Line::new(format!("no systemd user manager answers ({why})")),
        (Installed::No, ..) => Line::new("not installed: hermesctl daemon install"),
        (Installed::Elsewhere(path), ..) => {
            Line::new(format!("{} is of a Hermes in another place", path.display()))
        }
        (_, Some(unit), _) if unit.active == "failed" => {
            Line::default().styled(BAD, "failed").plain(": hermesctl daemon logs says why")
        }
        (_, Some(unit), _) => Line::new(format!("hermesd.service is {}, {}", unit.active, unit.enabled)),
        (_, None, None) => Line::new("unknown"),
    }));
    lines
}

/// What is said where units cannot be used.
pub(super) fn no_manager(why: &str) -> Problem {
    Problem::new(
        hermes_api::ErrorCode::ServiceManager,
        format!("no systemd user manager answers: {why}"),
        "nothing has to be installed: every command starts hermesd in the background when it is not running",
    )
}
