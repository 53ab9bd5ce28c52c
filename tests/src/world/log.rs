//! How much the programs log.

/// What goes into the logs of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Everything that the programs say themselves, for whoever looks into a failed test.
    Own,
    /// What the libraries below them say, too: every packet.
    Everything,
}

impl Log {
    pub(super) fn relay(self) -> &'static str {
        match self {
            Self::Own => "hermes_relay=trace",
            Self::Everything => "trace",
        }
    }

    pub(super) fn daemon(self) -> &'static str {
        match self {
            Self::Own => "debug",
            Self::Everything => "trace",
        }
    }
}
