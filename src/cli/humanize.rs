//! PURE: numbers as people read them, or raw for scripts.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::{Unit, rfc3339};

/// A value of a table or a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    Bytes(u64),
    /// Bytes a second.
    BytesPerSecond(f64),
    /// A count of things or events.
    Count(u64),
    /// Percent.
    Percent(f64),
    /// CPUs.
    Cores(f64),
    /// Seconds.
    Seconds(f64),
    /// A moment, in seconds since 1970.
    Moment(f64),
    /// A switch.
    Flag(bool),
    /// No limit.
    Max,
    /// A name.
    Text(String),
}

impl Value {
    /// A reading in the unit that it is held in.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "shown with a few digits only")]
    pub fn of(value: u64, unit: Unit) -> Self {
        match unit {
            Unit::Bytes => Self::Bytes(value),
            Unit::Count => Self::Count(value),
            Unit::Nanoseconds => Self::Seconds(value as f64 / 1e9),
            Unit::Microseconds => Self::Seconds(value as f64 / 1e6),
            Unit::CentiPercent => Self::Percent(value as f64 / 1e2),
            Unit::Flag => Self::Flag(value != 0),
            Unit::Timestamp => Self::Moment(value as f64 / 1e9),
        }
    }

    /// As text: for people, or raw in base units.
    #[must_use]
    pub fn show(&self, raw: bool) -> String {
        match (self, raw) {
            (Self::Bytes(bytes), true) => bytes.to_string(),
            #[expect(clippy::cast_precision_loss, reason = "shown with three digits only")]
            (Self::Bytes(bytes), false) => short_bytes(*bytes as f64),
            (Self::BytesPerSecond(rate), true) => format!("{rate:.1}"),
            (Self::BytesPerSecond(rate), false) => short_bytes(*rate),
            (Self::Count(count), _) => count.to_string(),
            (Self::Percent(percent), true) => format!("{percent:.2}"),
            (Self::Percent(percent), false) => format!("{percent:.1}"),
            (Self::Cores(cores), true) => format!("{cores:.3}"),
            (Self::Cores(cores), false) => trimmed(*cores, 2),
            (Self::Seconds(seconds), true) => format!("{seconds:.6}"),
            (Self::Moment(seconds), true) => format!("{seconds:.2}"),
            (Self::Moment(seconds), false) => {
                let since = Duration::try_from_secs_f64(*seconds).unwrap_or_default();
                // What is shown is cut off at milliseconds, which a float can miss by less than one.
                let whole =
                    Duration::from_millis(u64::try_from(since.as_micros().div_ceil(1000)).unwrap_or(0));
                rfc3339(UNIX_EPOCH.checked_add(whole).unwrap_or(UNIX_EPOCH))
            }
            (Self::Seconds(seconds), false) => short_time(*seconds),
            (Self::Flag(on), true) => u8::from(*on).to_string(),
            (Self::Flag(on), false) => if *on { "yes" } else { "no" }.to_owned(),
            (Self::Max, _) => "max".to_owned(),
            (Self::Text(text), _) => text.clone(),
        }
    }
}

/// What stands where the kernel gives no number.
pub const ABSENT: &str = "-";

/// A value, or [`ABSENT`].
#[must_use]
pub fn or_absent(value: Option<&Value>, raw: bool) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.show(raw))
}

/// Three digits and a unit of 1024: `0B`, `12.3M`, `512G`.
fn short_bytes(bytes: f64) -> String {
    let sign = if bytes < 0.0 { "-" } else { "" };
    let mut size = bytes.abs();
    let mut units = "BKMGTPE".chars();
    let mut unit = units.next().unwrap_or('B');
    // Four digits are harder to read than a fraction of the next unit.
    for next in units {
        if size < 999.5 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == 'B' || size >= 99.95 {
        format!("{sign}{size:.0}{unit}")
    } else {
        format!("{sign}{size:.1}{unit}")
    }
}

/// `0s`, `250us`, `12.5ms`, `3.20s`, `4m05s`, `2h03m`, `5d04h`.
fn short_time(seconds: f64) -> String {
    if seconds <= 0.0 {
        return "0s".to_owned();
    }
    if seconds < 0.000_999_5 {
        return format!("{:.0}us", seconds * 1e6);
    }
    if seconds < 0.999_5 {
        return format!("{}ms", trimmed(seconds * 1e3, 1));
    }
    if seconds < 59.995 {
        return format!("{}s", trimmed(seconds, 2));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match (hours, days) {
        (0, _) => format!("{minutes}m{:02}s", whole % 60),
        (_, 0) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// At most so many decimals, without zeros at the end.
fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits_and_never_four() {
        for (bytes, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.0K"),
            (1_000_000, "977K"),
            (1_048_000_000, "999M"),
            (1024, "1.0K"),
            (102_400, "100K"),
            (1_048_575, "1.0M"),
            (1_073_741_823, "1.0G"),
            (12_897_485, "12.3M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(Value::Bytes(bytes).show(false), shown, "{bytes}");
            assert_eq!(Value::Bytes(bytes).show(true), bytes.to_string());
        }
        for (seconds, shown) in [
            (0.0, "0s"),
            (0.000_25, "250us"),
            (0.1, "100ms"),
            (0.0125, "12.5ms"),
            (0.9996, "1s"),
            (3.2, "3.2s"),
            (59.999, "1m00s"),
            (245.0, "4m05s"),
            (7380.0, "2h03m"),
            (446_400.0, "5d04h"),
        ] {
            assert_eq!(Value::Seconds(seconds).show(false), shown, "{seconds}");
        }
        let moment = Value::of(1_700_000_000_250_000_000, Unit::Timestamp);
        assert_eq!(moment.show(false), "2023-11-14T22:13:20.250Z");
        assert_eq!(moment.show(true), "1700000000.25");
        assert_eq!(Value::BytesPerSecond(-2048.0).show(false), "-2.0K");
        assert_eq!(Value::Cores(1.5).show(false), "1.5");
        assert_eq!(or_absent(None, true), "-");
    }
}
