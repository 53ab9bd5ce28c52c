//! The table: medians over the rounds, and the relay's ratio to each other system, round by round.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    scenario::{Outcome, Scenario},
    server::System,
};

/// What was measured, by scenario in the order of the run.
#[derive(Default)]
pub struct Table {
    scenarios: Vec<String>,
    outcomes: BTreeMap<(String, &'static str), Vec<Outcome>>,
}

impl Table {
    /// Adds a round.
    pub fn add(&mut self, scenario: &Scenario, system: System, outcome: Outcome) {
        let name = scenario.name();
        if !self.scenarios.contains(&name) {
            self.scenarios.push(name.clone());
        }
        self.outcomes.entry((name, system.name())).or_default().push(outcome);
    }

    /// As Markdown.
    pub fn print(&self, systems: &[System]) -> String {
        let mut text = String::from("\n| system | before it acknowledges; who encrypts |\n|---|---|\n");
        for system in systems {
            let _ = writeln!(text, "| {} | {} |", system.name(), system.promises());
        }
        text.push_str(
            "\n| scenario | system | rounds | per s | hermes / it | CPU each | p50 | p99 | server memory |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for scenario in &self.scenarios {
            for system in systems {
                if let Some(outcomes) = self.outcomes.get(&(scenario.clone(), system.name())) {
                    text.push_str(&self.row(scenario, *system, outcomes));
                }
            }
        }
        text
    }

    fn row(&self, scenario: &str, system: System, outcomes: &[Outcome]) -> String {
        let hermes = self.outcomes.get(&(scenario.to_owned(), System::Hermes.name()));
        let ratios = hermes.into_iter().flatten().zip(outcomes).map(|(hermes, it)| rate(hermes) / rate(it));
        let ratio = match system {
            System::Hermes => String::new(),
            _ => median(ratios).map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        };
        let of = |value: fn(&Outcome) -> f64| median(outcomes.iter().map(value)).unwrap_or_default();
        let cpu = of(|outcome| outcome.cpu.as_secs_f64() * 1e6 / outcome.count.max(1) as f64);
        let latency = |part: f64| {
            let value = median(outcomes.iter().filter_map(|outcome| percentile(&outcome.latencies, part)));
            value.map_or_else(String::new, |nanos| format!("{:.2} ms", nanos / 1e6))
        };
        let memory = if scenario.ends_with("idle clients") {
            let each = of(|outcome| outcome.memory as f64 / outcome.count.max(1) as f64);
            format!("{each:.1} KiB each")
        } else {
            format!("{:.0} MiB", of(|outcome| outcome.memory as f64 / 1024.0))
        };
        let name = system.name();
        format!(
            "| {scenario} | {name} | {} | {:.0} | {ratio} | {cpu:.1} µs | {} | {} | {memory} |\n",
            outcomes.len(),
            of(rate),
            latency(0.5),
            latency(0.99)
        )
    }
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.count as f64 / outcome.elapsed.as_secs_f64().max(1e-9)
}

fn percentile(sorted: &[u64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part).round() as usize).map(|nanos| *nanos as f64)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
