//! Tables of three libraries, with Hermes' ratio to each of the others.

use std::collections::BTreeMap;

use crate::{
    group::{hermes::HermesMember, member::Member, mls_rs::MlsRsMember, openmls::OpenMlsMember},
    report::{each, median, ratio, time},
};

/// What was measured or counted, one figure for each round.
#[derive(Default)]
pub struct Figures {
    /// In the order in which they came.
    rows: Vec<String>,
    values: BTreeMap<(String, &'static str), Vec<f64>>,
}

/// What Hermes wants to be: at most so much.
pub type Goals<'a> = &'a dyn Fn(&str) -> Option<f64>;

/// A ratio of each round, as text.
type Compare = fn(&[f64]) -> String;

impl Figures {
    /// Notes a figure of one round: nanoseconds or bytes.
    pub fn add(&mut self, row: &str, side: &'static str, value: f64) {
        if !self.rows.iter().any(|known| known == row) {
            self.rows.push(row.to_owned());
        }
        self.values.entry((row.to_owned(), side)).or_default().push(value);
    }

    /// The median of what was noted.
    pub fn median(&self, row: &str, side: &'static str) -> Option<f64> {
        self.get(row, side).map(|values| median(values))
    }

    fn get(&self, row: &str, side: &'static str) -> Option<&Vec<f64>> {
        self.values.get(&(row.to_owned(), side))
    }

    /// Markdown of times.
    pub fn times(&self, goals: Goals<'_>) -> String {
        let limit = |nanoseconds| format!("≤ {}", time(nanoseconds));
        self.table("work", (time, ratio), &limit, goals)
    }

    /// Markdown of sizes.
    pub fn bytes(&self, goals: Goals<'_>) -> String {
        let bytes = |bytes: f64| format!("{bytes:.0}");
        self.table("bytes", (bytes, short_ratio), &|limit| format!("≤ {limit:.0}"), goals)
    }

    fn table(
        &self,
        what: &str,
        (show, compare): (fn(f64) -> String, Compare),
        limit: &dyn Fn(f64) -> String,
        goals: Goals<'_>,
    ) -> String {
        let [hermes, others @ ..] = [HermesMember::NAME, OpenMlsMember::NAME, MlsRsMember::NAME];
        let heads = others.map(|other| format!("{hermes} / {other}"));
        let mut text = format!(
            "| {what} | {hermes} | {} | {} | goal for {hermes} | |\n|---|---|---|---|---|---|---|---|\n",
            others.join(" | "),
            heads.join(" | ")
        );
        for row in &self.rows {
            let Some(own) = self.get(row, hermes) else { continue };
            let cell = |side| self.get(row, side).map(|values| show(median(values))).unwrap_or_default();
            let to = |side| {
                self.get(row, side)
                    .map(|values| compare(&each(own, values, |a, b| a / b)))
                    .unwrap_or_default()
            };
            let (goal, met) = match goals(row) {
                None => Default::default(),
                Some(most) => (limit(most), if median(own) <= most { "met" } else { "**not met**" }),
            };
            text += &format!(
                "| {row} | {} | {} | {} | {goal} | {met} |\n",
                cell(hermes),
                others.map(cell).join(" | "),
                others.map(to).join(" | ")
            );
        }
        text
    }
}

/// Bytes differ little from round to round, and much between libraries: two digits, wherever they begin.
fn short_ratio(ratios: &[f64]) -> String {
    let ratio = median(ratios);
    let zeros = (-ratio.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{ratio:.*}", (zeros + 1).max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_ratios_and_the_goal() {
        let mut figures = Figures::default();
        for (hermes, openmls) in [(1_000.0, 2_000.0), (8_000.0, 16_000.0), (3_000.0, 4_000.0)] {
            figures.add("one", "Hermes", hermes);
            figures.add("one", "OpenMLS", openmls);
        }
        figures.add("two", "Hermes", 20e6);
        let goal = |row: &str| (row == "one").then_some(2_500.0);
        let table = figures.times(&goal);
        assert!(
            table.contains("| one | 3.00 µs | 4.00 µs |  | 0.50 (0.50–0.75) |  | ≤ 2.50 µs | **not met** |"),
            "{table}"
        );
        assert!(table.contains("| two | 20.0 ms |  |  |  |  |  |  |"), "{table}");
        assert_eq!(short_ratio(&[73.0 / 3_566_579.0]), "0.000020");
        assert_eq!((short_ratio(&[0.325]), short_ratio(&[1.1327])), ("0.33".to_owned(), "1.13".to_owned()));
        let goal = |row: &str| (row == "one").then_some(3_000.0);
        assert!(figures.bytes(&goal).contains("| ≤ 3000 | met |"));
    }
}
