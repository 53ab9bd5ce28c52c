//! Why a command ends early.

use std::io;

use hermes_api::{ClientError, ErrorCode, Problem};

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something is wrong, and the user should know.
    Problem(Problem),
    /// Whoever read the output has seen enough.
    PipeClosed,
}

impl Stop {
    /// A usage error.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Problem(Problem::new(ErrorCode::Usage, message, hint))
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        let problem = error.problem();
        // Whoever types a path has hermesctl api; what this program asks for by itself is there in its own version.
        Self::Problem(match problem.code {
            ErrorCode::UnknownRoute | ErrorCode::MethodNotAllowed => Problem::new(
                ErrorCode::DaemonVersion,
                "hermesd does not know what this hermesctl asks it: it is of an older version",
                "hermesctl daemon restart",
            ),
            _ => problem,
        })
    }
}

/// An error of writing to standard output, the only stream whose failure ends a command.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Problem(Problem::new(
                ErrorCode::Io,
                format!("cannot write the output: {error}"),
                "nothing was marked read that was not written",
            )),
        }
    }
}

/// Why listening to the daemon ended.
#[derive(Debug)]
pub(crate) enum RoundError {
    /// The daemon stopped or died; it may come back.
    DaemonGone,
    /// The command ends.
    Stop(Stop),
}

impl From<ClientError> for RoundError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotRunning { .. } | ClientError::Broken(_) => Self::DaemonGone,
            other => Self::Stop(other.into()),
        }
    }
}

impl From<Stop> for RoundError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}
