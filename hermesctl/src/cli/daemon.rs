//! `hermesctl daemon`

use clap::{Args, Subcommand};

/// Lines of the log that are shown unless told otherwise.
const LOG_LINES: &str = "50";

#[derive(Debug, Subcommand)]
pub(crate) enum Daemon {
    /// Start it: as the service where that is installed, else in the background
    Start,
    /// Stop it and wait until it is gone
    Stop,
    /// Stop it and start it again
    Restart,
    /// Show whether it runs and who keeps it running
    Status,
    /// Show what it wrote to its log
    Logs(Logs),
    /// Have systemd start it with your session and keep it running
    #[command(after_help = INSTALL_HELP)]
    Install,
    /// Take back what install did
    Uninstall,
}

const INSTALL_HELP: &str = "\
Writes hermesd.socket and hermesd.service into ~/.config/systemd/user and enables them. With the \
socket a request starts hermesd, and systemd starts it again when it fails. Where no systemd user \
manager runs there is nothing to install: every command starts hermesd in the background.";

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// At most this many lines, the newest
    #[arg(short, value_name = "N", default_value = LOG_LINES)]
    pub(crate) n: u32,
    /// Stay and show lines as they are written
    #[arg(long, short = 'f')]
    pub(crate) follow: bool,
}
