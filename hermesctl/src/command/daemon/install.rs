//! `hermesctl daemon install` and `uninstall`

use std::path::PathBuf;

use hermes_api::{ClientError, ErrorCode, Exit, Problem, V1};
use serde::Serialize;

use super::no_manager;
use crate::{
    daemon::wait_until_gone,
    invocation::Invocation,
    output::{Format, GOOD, Line, WARN},
    service::{self, Installed, Manager},
    stop::Stop,
};

#[derive(Debug, Serialize)]
struct Units {
    v: V1,
    units: Vec<String>,
    lingers: Option<bool>,
}

pub(super) async fn install(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let manager = Manager::find().await.map_err(|why| no_manager(&why))?;
    let written: Vec<PathBuf> = match service::installed(&invocation.daemon.socket) {
        Installed::No | Installed::Ours => service::write(&invocation.daemon.socket)?.into(),
        // What a package brought is enabled as it is.
        Installed::Theirs => Vec::new(),
        Installed::Elsewhere(path) => {
            return Err(Problem::new(
                ErrorCode::ServiceManager,
                format!("{} is of a Hermes in another place", path.display()),
                "one service runs one Hermes: uninstall that one first, with its HERMES_HOME: hermesctl daemon uninstall",
            )
            .into());
        }
    };
    // One that runs in the background would keep the service from starting.
    if manager.state().await.is_ok_and(|unit| unit.pid.is_none()) {
        match invocation.daemon.client.shutdown().await {
            Err(ClientError::NotRunning { .. }) => {}
            answer => wait_until_gone(answer?.pid).await?,
        }
    }
    manager.enable().await?;
    let status = invocation.daemon.client.status().await?;
    if invocation.output.format == Format::Json {
        let units = written.iter().map(|path| path.display().to_string()).collect();
        invocation.output.json(&Units { v: V1, units, lingers: service::lingers().await })?;
        return Ok(Exit::Ok);
    }
    for path in &written {
        invocation.notes.say(&Line::new(format!("wrote {}", path.display())));
    }
    let line = Line::default().styled(GOOD, "✓ ");
    invocation.output.line(&line.plain(format!("systemd keeps hermesd running (pid {})", status.pid)));
    invocation.output.flush()?;
    if service::lingers().await == Some(false) {
        let text =
            "it ends when you log out, and messages wait at the relay; to keep it: loginctl enable-linger";
        invocation.notes.say(&Line::default().styled(WARN, "note: ").plain(text));
    }
    Ok(Exit::Ok)
}

pub(super) async fn uninstall(invocation: &mut Invocation) -> Result<Exit, Stop> {
    match service::installed(&invocation.daemon.socket) {
        Installed::Ours => {}
        Installed::No => {
            invocation.notes.say(&Line::new("The service is not installed."));
            return Ok(Exit::Ok);
        }
        Installed::Theirs | Installed::Elsewhere(_) => {
            return Err(Problem::new(
                ErrorCode::ServiceManager,
                "the installed units are not of this Hermes",
                "to turn them off: systemctl --user disable --now hermesd.socket hermesd.service",
            )
            .into());
        }
    }
    // Without a manager there is nobody to tell, and the files can go all the same.
    let manager = Manager::find().await.ok();
    if let Some(manager) = &manager {
        manager.disable().await?;
    }
    service::remove()?;
    if let Some(manager) = &manager {
        manager.reload().await?;
    }
    if invocation.output.format == Format::Json {
        invocation.output.json(&Units { v: V1, units: Vec::new(), lingers: service::lingers().await })?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&Line::default().styled(GOOD, "✓ ").plain("the service is removed"));
    invocation.output.flush()?;
    invocation
        .notes
        .say(&Line::new("Accounts and messages stay. The next command starts hermesd in the background."));
    Ok(Exit::Ok)
}
