//! `hermesctl demo`: a relay and three people on loopback, all through the real programs, checked as it goes.
//!
//! [`Stage`] owns the directory and the processes and takes them down whatever happens; [`play`] is what is shown.

mod play;
mod stage;

use hermes_api::{ErrorCode, Exit, Problem};

use crate::{
    output::{GOOD, Line, Notes, Output},
    stop::Stop,
};

use stage::Stage;

/// Plays the demo and cleans up after it, also when it fails or is interrupted.
pub(crate) async fn run(
    mut output: Output,
    notes: Notes,
    interrupted: impl Future<Output = Problem>,
) -> Result<Exit, Stop> {
    let mut stage = Stage::build()?;
    let played = tokio::select! {
        played = play::play(&mut stage, &mut output) => played,
        interrupt = interrupted => Err(interrupt.into()),
    };
    if let Err(Stop::Problem(problem)) = &played
        && problem.code != ErrorCode::Interrupted
    {
        stage.last_words().iter().for_each(|line| notes.say(line));
    }
    stage.clear().await?;
    played?;
    let line = Line::default().styled(GOOD, "✓ ");
    output.line(&line.plain("Every step worked. All processes are stopped and the directory is gone."));
    output.flush()?;
    Ok(Exit::Ok)
}
