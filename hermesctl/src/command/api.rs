//! `hermesctl api`

use hermes_api::{Exit, Failure, RawReply, RawRequest, limits::REQUEST_BYTES};

use crate::{cli, input, invocation::Invocation, output::Output, stop::Stop};

/// What stands for the account in use.
const ACCOUNT: &str = "{account}";

pub(crate) async fn run(args: cli::Api, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let method = args.method.to_ascii_uppercase();
    if !matches!(method.as_str(), "GET" | "POST") {
        return Err(Stop::usage(format!("{method} is no method of this API"), "use GET or POST"));
    }
    if !args.path.starts_with('/') {
        return Err(Stop::usage("a path starts with /", "for example: hermesctl api GET /v1/status"));
    }
    let path = match args.path.contains(ACCOUNT) {
        true => args.path.replace(ACCOUNT, &invocation.account().await?),
        false => args.path,
    };
    let body = match args.data.as_deref() {
        Some("-") => input::text(REQUEST_BYTES).await?,
        Some(body) => body.to_owned(),
        None => String::new(),
    };
    let request = RawRequest { method, path, body: body.into_bytes(), key: args.key };
    let reply = invocation.daemon.once(async |client| client.raw(request.clone()).await).await?;
    match reply.streams {
        true => stream(reply, &mut invocation.output).await,
        false => document(reply, &mut invocation.output).await,
    }
}

async fn document(reply: RawReply, output: &mut Output) -> Result<Exit, Stop> {
    let success = reply.status < 400;
    let body = reply.body().await?;
    output.document(&String::from_utf8_lossy(&body));
    match serde_json::from_slice::<Failure>(&body) {
        _ if success => Ok(Exit::Ok),
        Ok(failure) => Ok(failure.error.code.exit()),
        Err(_) => Ok(Exit::Failure),
    }
}

/// Prints each event as a line, until the daemon ends or the user has seen enough.
async fn stream(mut reply: RawReply, output: &mut Output) -> Result<Exit, Stop> {
    let mut pending = Vec::new();
    while let Some(piece) = reply.piece().await? {
        pending.extend_from_slice(&piece);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if let Some(json) = line.strip_prefix(b"data:") {
                output.document(String::from_utf8_lossy(json).trim());
                output.flush()?;
            }
        }
    }
    Ok(Exit::Ok)
}
