//! What the programs hold: memory and descriptors.

use std::{fmt, fs, time::Duration};

use super::crowd::Crowd;
use crate::world::memory;

/// What one program holds, or all of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Resident memory in KiB (`VmRSS` of proc(5)).
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
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

    /// The medians of the second third and of the last one, of which flat ones are alike; none of fewer than 30 looks.
    pub fn thirds(&self) -> Option<[Look; 2]> {
        let third = self.0.len() / 3;
        (third >= 10).then(|| [median(&self.0[third..2 * third]), median(&self.0[2 * third..])])
    }
}

impl Use {
    fn plus(self, other: Self) -> Self {
        Self { memory: self.memory + other.memory, descriptors: self.descriptors + other.descriptors }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Use { memory, descriptors } = self.relay;
        write!(f, "{:>5} s  relay {:>5} MiB, {descriptors} descriptors", self.at.as_secs(), memory / 1024)?;
        let Use { memory, descriptors } = self.daemons;
        write!(f, "; daemons {:>6} MiB, {descriptors} descriptors", memory / 1024)
    }
}

fn of(pid: Option<u32>) -> Option<Use> {
    let pid = pid?;
    let memory = memory::resident(pid)?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some(Use { memory, descriptors })
}

fn median(looks: &[Look]) -> Look {
    let of = |value: fn(&Look) -> u64| {
        let mut values: Vec<_> = looks.iter().map(value).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    Look {
        at: looks[looks.len() / 2].at,
        relay: Use { memory: of(|look| look.relay.memory), descriptors: of(|look| look.relay.descriptors) },
        daemons: Use {
            memory: of(|look| look.daemons.memory),
            descriptors: of(|look| look.daemons.descriptors),
        },
    }
}
