//! `hermesctl profile`

use hermes_api::{Exit, SetProfile};

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Profile, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let daemon = &invocation.daemon;
    let (profile, changed) = match args.name {
        None => (daemon.repeatable(async |client| client.profile(&account).await).await?, false),
        Some(name) => {
            let set = SetProfile { name };
            (daemon.repeatable(async |client| client.set_profile(&account, &set).await).await?, true)
        }
    };
    if invocation.output.format == Format::Json {
        invocation.output.json(&profile)?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&match changed {
        false => Line::default().styled(NAME, &profile.name),
        true => Line::default()
            .styled(GOOD, "✓ ")
            .plain("you call yourself ")
            .styled(NAME, &profile.name)
            .plain(", and your contacts are told"),
    });
    Ok(Exit::Ok)
}
