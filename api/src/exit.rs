//! Exit codes of the programs.

/// What a program's end tells the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, or durably queued.
    Ok = 0,
    /// Refused or failed.
    Failure = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// The daemon cannot be reached or cannot open its store.
    Daemon = 3,
    /// The keys are locked.
    Locked = 4,
    /// No such account, contact or message, or more than one.
    NotFound = 5,
    /// The contact's identity key changed.
    IdentityChanged = 6,
    /// Some recipients were served and some were not.
    Partial = 7,
    /// Stored, but the state that was waited for did not come in time.
    TimedOut = 8,
    /// Stopped by the user (128 + SIGINT).
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}
