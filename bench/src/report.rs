//! The table: medians of both sides, their ratio, and the goal.

use std::collections::BTreeMap;

use crate::{sizes::Size, work::name};

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Hermes.
    Hermes,
    /// Olm.
    Olm,
}

impl Side {
    /// As criterion's output calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hermes => "hermes",
            Self::Olm => "olm",
        }
    }
}

/// Nanoseconds per iteration, one figure for each round.
#[derive(Default)]
pub struct Times(BTreeMap<(&'static str, Side), Vec<f64>>);

/// What Hermes wants to be: at most so many nanoseconds.
struct Goal {
    nanoseconds: f64,
    why: &'static str,
}

/// A line of the table before it is text.
struct Line {
    what: String,
    hermes: Vec<f64>,
    olm: Option<Vec<f64>>,
    goal: Option<Goal>,
}

impl Times {
    /// Notes the median of one round.
    pub fn add(&mut self, name: &'static str, side: Side, nanoseconds: f64) {
        self.0.entry((name, side)).or_default().push(nanoseconds);
    }

    fn get(&self, name: &'static str, side: Side) -> Option<&Vec<f64>> {
        self.0.get(&(name, side))
    }

    fn line(&self, name: &'static str, goal: Option<Goal>) -> Option<Line> {
        let hermes = self.get(name, Side::Hermes)?.clone();
        Some(Line { what: name.to_owned(), hermes, olm: self.get(name, Side::Olm).cloned(), goal })
    }

    fn sum(&self, what: &str, parts: [&'static str; 2], goal: Option<Goal>) -> Option<Line> {
        let [first, second] = parts.map(|name| self.line(name, None));
        let (first, second) = (first?, second?);
        let olm = first.olm.zip(second.olm).map(|(first, second)| each(&first, &second, |a, b| a + b));
        let hermes = each(&first.hermes, &second.hermes, |a, b| a + b);
        Some(Line { what: what.to_owned(), hermes, olm, goal })
    }

    fn without(&self, what: &str, whole: &'static str, part: &'static str, goal: Goal) -> Option<Line> {
        let mut line = self.line(whole, Some(goal))?;
        line.hermes = each(&line.hermes, self.get(part, Side::Hermes)?, |a, b| a - b);
        line.what = what.to_owned();
        line.olm = None;
        Some(line)
    }

    /// Markdown of all that was measured.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| work | Hermes | Olm | Hermes / Olm (range) | goal for Hermes | |\n|---|---|---|---|---|---|\n",
        );
        for line in self.lines().iter().flatten() {
            text += &line.row();
        }
        text
    }

    fn lines(&self) -> Vec<Option<Line>> {
        use name::*;
        let goal = |microseconds: f64, why| Some(Goal { nanoseconds: microseconds * 1e3, why });
        vec![
            self.line(ENCRYPT_64, None),
            self.line(DECRYPT_64, None),
            self.sum("encrypt + decrypt, 64 B", [ENCRYPT_64, DECRYPT_64], goal(8.0, "")),
            self.line(ENCRYPT_1K, None),
            self.line(DECRYPT_1K, None),
            self.sum("encrypt + decrypt, 1 KiB", [ENCRYPT_1K, DECRYPT_1K], None),
            self.line(ENCRYPT_RECORD, None),
            self.line(DECRYPT_RECORD, None),
            self.line(PING_PONG, goal(70.0, "")),
            self.line(PING_PONG_QUIET, None),
            self.line(BUNDLE, None),
            self.line(INITIATE, goal(1_200.0, "")),
            self.without(
                "… without its finite-field lock",
                INITIATE,
                INITIATE_FF,
                Goal { nanoseconds: 319e3, why: ", libsignal's" },
            ),
            self.line(RESPOND, goal(1_200.0, "")),
            self.without(
                "… without its finite-field lock",
                RESPOND,
                RESPOND_FF,
                Goal { nanoseconds: 303e3, why: ", libsignal's" },
            ),
        ]
    }

    /// Markdown of what the locks and the ML-KEM steps have in the whole; empty if that was not measured.
    pub fn shares(&self) -> String {
        use name::*;
        let mut text = String::new();
        for (whole, parts) in [
            (INITIATE, [INITIATE_CURVE, INITIATE_KEM, INITIATE_FF]),
            (RESPOND, [RESPOND_CURVE, RESPOND_KEM, RESPOND_FF]),
        ] {
            let Some(total) = self.get(whole, Side::Hermes) else { continue };
            text += &format!("\n| share of: {whole} | | |\n|---|---|---|\n");
            let mut rest = total.clone();
            for part in parts {
                let Some(times) = self.get(part, Side::Hermes) else { continue };
                text += &share(part, times, total);
                rest = each(&rest, times, |a, b| a - b);
            }
            text += &share("everything else", &rest, total);
        }
        if let Some((all, quiet)) =
            self.get(PING_PONG, Side::Hermes).zip(self.get(PING_PONG_QUIET, Side::Hermes))
        {
            text += &format!("\n| share of: {PING_PONG} | | |\n|---|---|---|\n");
            text += &share("sparse ML-KEM-768 step, on average", &each(all, quiet, |a, b| a - b), all);
        }
        text
    }
}

/// Markdown of the sizes.
pub fn sizes(sizes: &[Size]) -> String {
    let mut text =
        String::from("| bytes | Hermes | before padding | Olm | Hermes / Olm |\n|---|---|---|---|---|\n");
    for Size { name, hermes, unpadded, olm } in sizes {
        let unpadded = unpadded.map(|bytes| bytes.to_string()).unwrap_or_default();
        let (olm, ratio) = match olm {
            None => Default::default(),
            Some(olm) => (olm.to_string(), format!("{:.2}", *hermes as f64 / *olm as f64)),
        };
        text += &format!("| {name} | {hermes} | {unpadded} | {olm} | {ratio} |\n");
    }
    text
}

impl Line {
    fn row(&self) -> String {
        let hermes = median(&self.hermes);
        let (olm, ratio) = match &self.olm {
            None => Default::default(),
            Some(olm) => (time(median(olm)), ratio(&each(&self.hermes, olm, |a, b| a / b))),
        };
        let (goal, met) = match &self.goal {
            None => Default::default(),
            Some(Goal { nanoseconds, why }) => (
                format!("≤ {}{why}", time(*nanoseconds)),
                if hermes <= *nanoseconds { "met" } else { "**not met**" },
            ),
        };
        format!("| {} | {} | {olm} | {ratio} | {goal} | {met} |\n", self.what, time(hermes))
    }
}

/// The two of each round were measured next to each other, so that a busy moment of the machine meets both.
pub(crate) fn ratio(ratios: &[f64]) -> String {
    let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({low:.2}–{high:.2})", median(ratios))
}

fn share(part: &str, times: &[f64], total: &[f64]) -> String {
    let percent = 100.0 * median(&each(times, total, |a, b| a / b));
    format!("| {part} | {} | {percent:.0} % |\n", time(median(times)))
}

pub(crate) fn each(left: &[f64], right: &[f64], with: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| with(*left, *right)).collect()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// Three digits; four where it takes that many microseconds.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (microseconds, milliseconds) = (nanoseconds / 1e3, nanoseconds / 1e6);
    match microseconds {
        ..10.0 => format!("{microseconds:.2} µs"),
        ..100.0 => format!("{microseconds:.1} µs"),
        ..10e3 => format!("{microseconds:.0} µs"),
        ..100e3 => format!("{milliseconds:.1} ms"),
        _ => format!("{milliseconds:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_is_that_of_each_round_and_not_of_the_medians() {
        let mut times = Times::default();
        for (hermes, olm) in [(1_000.0, 2_000.0), (8_000.0, 16_000.0), (3_000.0, 4_000.0)] {
            times.add(name::ENCRYPT_64, Side::Hermes, hermes);
            times.add(name::ENCRYPT_64, Side::Olm, olm);
        }
        assert!(times.table().contains("| encrypt, 64 B | 3.00 µs | 4.00 µs | 0.50 (0.50–0.75) |  |  |"));
    }

    #[test]
    fn goals_are_met_or_not_and_the_finite_field_comes_off() {
        let mut times = Times::default();
        times.add(name::ENCRYPT_64, Side::Hermes, 4_000.0);
        times.add(name::DECRYPT_64, Side::Hermes, 4_001.0);
        times.add(name::INITIATE, Side::Hermes, 1_100e3);
        times.add(name::INITIATE_FF, Side::Hermes, 800e3);
        let table = times.table();
        assert!(
            table.contains("| encrypt + decrypt, 64 B | 8.00 µs |  |  | ≤ 8.00 µs | **not met** |"),
            "{table}"
        );
        assert!(
            table
                .contains("| … without its finite-field lock | 300 µs |  |  | ≤ 319 µs, libsignal's | met |")
        );
        assert!(times.shares().contains("| everything else | 300 µs | 27 % |"), "{}", times.shares());
    }

    #[test]
    fn what_was_not_measured_is_not_in_the_table() {
        assert_eq!(Times::default().table().lines().count(), 2);
        assert!(Times::default().shares().is_empty());
    }
}
