//! `hermesctl daemon logs`

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use hermes_api::{ErrorCode, Exit, Problem};
use hermes_config::unit::SERVICE;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::sleep,
};

use crate::{
    cli,
    daemon::tail,
    invocation::Invocation,
    limits,
    output::{Line, Output},
    service,
    stop::Stop,
};

pub(super) async fn run(args: cli::Logs, invocation: &mut Invocation) -> Result<Exit, Stop> {
    // A daemon in the background writes to its file even where the units are installed.
    let kept = match service::keeper(&invocation.daemon.socket).await {
        Some(manager) => manager.state().await?,
        None => return of_file(args, invocation).await,
    };
    match kept.active.as_str() {
        "inactive" if invocation.daemon.log.exists() => of_file(args, invocation).await,
        _ => of_journal(args, &mut invocation.output).await,
    }
}

/// Through this program's output, for the journal has what others can write into it.
async fn of_journal(args: cli::Logs, output: &mut Output) -> Result<Exit, Stop> {
    let mut journal = Command::new("journalctl");
    journal.args(["--user", "--unit", SERVICE, "--output=cat", "--lines", &args.n.to_string()]);
    if args.follow {
        journal.arg("--follow");
    }
    let failed = |error: io::Error| {
        let hint = format!("look at: journalctl --user -u {SERVICE}");
        Problem::new(ErrorCode::ServiceManager, format!("journalctl cannot be run: {error}"), hint)
    };
    let mut child =
        journal.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().map_err(failed)?;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            output.line(&Line::new(line));
            output.flush()?;
        }
    }
    match child.wait().await.map_err(failed)?.success() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}

async fn of_file(args: cli::Logs, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let path = invocation.daemon.log.clone();
    let failed = |error: io::Error| {
        let message = format!("cannot read the log {}: {error}", path.display());
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "no hermesd has run in the background yet: hermesctl daemon start",
            _ => "check its permissions",
        };
        Problem::new(ErrorCode::Io, message, hint)
    };
    let (text, mut end) = tail(&path, limits::LOGS_BYTES).map_err(failed)?;
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(args.n as usize)..] {
        invocation.output.line(&Line::new(*line));
    }
    invocation.output.flush()?;
    if !args.follow {
        return Ok(Exit::Ok);
    }
    let mut partial = String::new();
    loop {
        sleep(limits::RETURN_LOOK).await;
        let Ok(more) = grown(&path, &mut end) else { continue };
        partial.push_str(&more);
        while let Some((line, rest)) = partial.split_once('\n') {
            invocation.output.line(&Line::new(line));
            partial = rest.to_owned();
        }
        invocation.output.flush()?;
    }
}

/// What has been added since `end`; all of it when the file became shorter, for then it is another one.
fn grown(path: &Path, end: &mut u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    if file.metadata()?.size() < *end {
        *end = 0;
    }
    file.seek(SeekFrom::Start(*end))?;
    let mut bytes = Vec::new();
    *end += file.take(limits::LOGS_BYTES).read_to_end(&mut bytes)? as u64;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
