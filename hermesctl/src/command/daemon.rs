//! `hermesctl daemon start` and `hermesctl daemon stop`

use hermes_api::{ClientError, Exit};

use crate::{
    cli,
    daemon::wait_until_gone,
    invocation::Invocation,
    output::{Format, Line},
    stop::Stop,
};

pub(crate) async fn run(command: cli::Daemon, invocation: &mut Invocation) -> Result<Exit, Stop> {
    match command {
        cli::Daemon::Start => start(invocation).await,
        cli::Daemon::Stop => stop(invocation).await,
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
