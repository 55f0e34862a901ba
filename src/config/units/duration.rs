//! Lengths of time.

use std::time::Duration;

use super::decimal;

/// What a duration looks like, for messages.
pub(in crate::config) const DURATION: &str = "a duration such as `500ms`, `5s`, `10m` or `1h30m`";

/// The units of a duration, in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads a duration: one or more numbers, each with its unit `ms`, `s`, `m`, `h` or `d`, the largest unit first and no
/// unit twice. A number may have decimals.
///
/// # Errors
/// Says what is wrong and what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err(format!("expected {DURATION}"));
    }
    let mut rest = text;
    let mut total = 0u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(format!("a number must stand before `{rest}`; expected {DURATION}"));
        }
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(format!("`{number}` has no unit; expected {DURATION}"));
        }
        let &(_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| {
            format!("there is no unit `{unit}`: use `ms`, `s`, `m`, `h` or `d`; expected {DURATION}")
        })?;
        if nanos >= smallest {
            return Err(format!("`{unit}` stands after a unit that is not larger; expected {DURATION}"));
        }
        smallest = nanos;
        total = decimal(number, nanos)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("`{number}` is no number that fits; expected {DURATION}"))?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// A duration as [`duration`] reads it.
pub(in crate::config) fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for &(unit, nanos) in UNITS.iter().rev() {
        if rest / nanos > 0 {
            text.push_str(&format!("{}{unit}", rest / nanos));
            rest %= nanos;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("5s", 5000, "5s"),
            ("500ms", 500, "500ms"),
            ("1.5s", 1500, "1s500ms"),
            ("10m", 600_000, "10m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("2d", 172_800_000, "2d"),
            ("0s", 0, "0s"),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn bad_durations_say_what_was_expected() {
        for (text, why) in [
            ("", "expected a duration"),
            ("5", "`5` has no unit"),
            ("5 s", "`5` has no unit"),
            ("-5s", "a number must stand before `-5s`"),
            ("s", "a number must stand before `s`"),
            ("5x", "there is no unit `x`"),
            ("5S", "there is no unit `S`"),
            ("5sec", "there is no unit `sec`"),
            ("1s1s", "`s` stands after"),
            ("1s1m", "`m` stands after"),
            ("1.s", "`1.` is no number"),
            ("1..2s", "`1..2` is no number"),
            ("99999999999999999999s", "is no number that fits"),
            ("99999999999999999d", "is no number that fits"),
        ] {
            let err = duration(text).unwrap_err();
            assert!(err.contains(why) && err.contains(DURATION), "{text}: {err}");
        }
    }
}
