//! Durations as people write and read them.

use std::time::Duration;

const UNITS: [(char, u64); 5] = [('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Longest accepted duration in seconds, about a century: sums with a point in time stay in range.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

/// Reads `90s`, `15m`, `24h`, `7d`, `2w` and sums like `1h30m`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write it like 30s, 15m, 24h or 7d");
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next().ok_or_else(wrong)?;
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        seconds = number.checked_mul(factor).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = &tail[unit.len_utf8()..];
    }
    match seconds {
        1..=MAX_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong()),
    }
}

/// Largest number of one unit that reads better than a sum of several.
const ONE_UNIT: u64 = 99;

/// As [`parse`] reads it and as people mostly write it: `7d`, `36h`, `90m`; a sum where that would be a large number.
pub(crate) fn exact(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let whole = units().find(|(_, factor)| rest >= *factor && rest.is_multiple_of(*factor));
    if let Some((name, factor)) = whole
        && rest / factor <= ONE_UNIT
    {
        return format!("{}{name}", rest / factor);
    }
    let mut text = String::new();
    for (name, factor) in units() {
        if rest >= factor {
            text.push_str(&format!("{}{name}", rest / factor));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// The units that are written. Weeks would hide whether it was 7 days or 13.
fn units() -> impl Iterator<Item = (char, u64)> {
    UNITS.into_iter().filter(|(name, _)| *name != 'w')
}

/// One number and one unit, rounded down: `4s`, `2m`, `3h`, `12d`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (name, factor) = units().find(|(_, factor)| seconds >= *factor).unwrap_or(('s', 1));
    format!("{}{name}", seconds / factor)
}

/// How long something took, exact enough to compare: `30ms`, `0.2s`, `75s`.
pub(crate) fn taken(duration: Duration) -> String {
    match duration.as_secs() {
        0 if duration.as_millis() < 100 => format!("{}ms", duration.as_millis()),
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [("30s", 30), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5_400)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "30", "s", "-1s", "1.5h", "1y", "0s", "99999999999999999999s", "9999999w", "1h 2m", "1é"]
        {
            assert!(parse(text).unwrap_err().contains("24h"), "{text}");
        }
    }

    #[test]
    fn writes_the_largest_unit_that_fits() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (86_399, "23h"), (864_000, "10d")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
        for (typed, text) in [
            ("7d", "7d"),
            ("1w1d", "8d"),
            ("36h", "36h"),
            ("90m", "90m"),
            ("120h", "5d"),
            ("100m", "1h40m"),
            ("1d1s", "1d1s"),
            ("365d", "365d"),
            ("0s", "0s"),
        ] {
            assert_eq!(exact(parse(typed).unwrap_or_default()), text);
        }
        assert_eq!(taken(Duration::from_millis(30)), "30ms");
        assert_eq!(taken(Duration::from_millis(249)), "0.2s");
        assert_eq!(taken(Duration::from_secs(75)), "75s");
    }
}
