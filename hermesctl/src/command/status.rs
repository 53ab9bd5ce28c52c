//! `hermesctl status`

use hermes_api::Exit;

use super::now;
use crate::{
    invocation::Invocation,
    output::{Format, Line},
    render::account::{self, Detail},
    stop::Stop,
};

pub(crate) async fn run(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&status)?;
        return Ok(Exit::Ok);
    }
    let detail = match invocation.notes.is_verbose() {
        true => Detail::All,
        false => Detail::Daily,
    };
    account::status(&status, detail, now()).iter().for_each(|line| invocation.output.line(line));
    if status.accounts.is_empty() {
        invocation
            .notes
            .say(&Line::new("There is no account yet: hermesctl init --name NAME --relay ADDRESS"));
    }
    Ok(Exit::Ok)
}
