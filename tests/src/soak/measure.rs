//! What the programs hold: memory and descriptors.

use std::{fmt, fs, time::Duration};

use super::crowd::Crowd;
use crate::world::memory;

/// What one program holds, or all of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Resident memory in KiB (`VmRSS` of proc(5)).
    pub memory: u64,
    /// Open descriptors of files.
    pub files: u64,
    /// Open descriptors of anything else: sockets, pipes, timers.
    pub others: u64,
}

/// One look at all of them.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Since everybody began.
    pub at: Duration,
    /// The relay.
    pub relay: Use,
    /// All daemons together.
    pub daemons: Use,
}

/// Looks in the order they were taken.
#[derive(Clone, Debug, Default)]
pub struct Course(Vec<Look>);

impl Course {
    /// Looks, if all programs run.
    pub(super) fn look(&mut self, at: Duration, crowd: &Crowd) {
        let daemons = crowd.homes.iter().map(|home| of(home.daemon().pid()));
        let daemons = daemons.reduce(|a, b| Some(a?.plus(b?))).flatten();
        if let (Some(relay), Some(daemons)) = (of(crowd.relay.process().pid()), daemons) {
            self.0.push(Look { at, relay, daemons });
        }
    }

    /// The looks.
    pub fn looks(&self) -> &[Look] {
        &self.0
    }

    /// The medians of both halves of the last third, of which flat ones are alike: by then the relay has been left alone for
    /// a sixth of the time. None of fewer than 30 looks.
    pub fn settled(&self) -> Option<[Look; 2]> {
        let sixth = self.0.len() / 6;
        (sixth >= 5).then(|| [median(&self.0[4 * sixth..5 * sixth]), median(&self.0[5 * sixth..])])
    }
}

impl Use {
    fn plus(self, other: Self) -> Self {
        let (files, others) = (self.files + other.files, self.others + other.others);
        Self { memory: self.memory + other.memory, files, others }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Use { memory, files, others } = self.relay;
        let (at, memory) = (self.at.as_secs(), memory / 1024);
        write!(f, "{at:>5} s  relay {memory:>5} MiB, descriptors of {files} files and {others} others")?;
        let Use { memory, files, others } = self.daemons;
        write!(f, "; daemons {:>6} MiB, {files} and {others}", memory / 1024)
    }
}

fn of(pid: Option<u32>) -> Option<Use> {
    let pid = pid?;
    let memory = memory::resident(pid)?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    // One that was closed meanwhile leads nowhere.
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok());
    let (files, others): (Vec<_>, Vec<_>) =
        targets.partition(|target| target.is_absolute() && !target.starts_with("/dev"));
    Some(Use { memory, files: files.len() as u64, others: others.len() as u64 })
}

fn median(looks: &[Look]) -> Look {
    let of = |value: fn(&Look) -> u64| {
        let mut values: Vec<_> = looks.iter().map(value).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    Look {
        at: looks[looks.len() / 2].at,
        relay: Use {
            memory: of(|look| look.relay.memory),
            files: of(|look| look.relay.files),
            others: of(|look| look.relay.others),
        },
        daemons: Use {
            memory: of(|look| look.daemons.memory),
            files: of(|look| look.daemons.files),
            others: of(|look| look.daemons.others),
        },
    }
}
