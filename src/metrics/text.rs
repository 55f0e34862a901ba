//! The two text formats: names, escapes and numbers.

/// A text format of Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until what it counts begins again.
    Counter,
    /// Always 1: the labels are what it says.
    Info,
    /// Buckets of observations.
    Histogram,
}

impl Kind {
    /// The type as the documentation names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Info => "info",
            Self::Histogram => "histogram",
        }
    }
}

/// The unit suffixes in use, the longer before what ends like it.
const UNITS: &[&str] = &["bytes_per_second", "operations_per_second", "seconds", "bytes", "ratio", "cores"];

/// The base unit that a metric's name ends with, empty where it counts things.
pub(crate) fn unit_of(name: &str) -> &'static str {
    let base = name.strip_suffix("_total").unwrap_or(name);
    let fits = |unit: &&&str| base.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_'));
    UNITS.iter().find(fits).copied().unwrap_or("")
}

/// Appends `# HELP`, `# TYPE` and, where the format has it, `# UNIT`. `name` is the name of the samples.
pub(crate) fn header(out: &mut Vec<u8>, format: Format, name: &str, kind: Kind, help: &str) {
    let (family, kind_name) = match (format, kind) {
        (Format::Text, Kind::Info) => (name, "gauge"),
        (Format::Text, _) => (name, kind.name()),
        (Format::OpenMetrics, Kind::Info) => (name.strip_suffix("_info").unwrap_or(name), "info"),
        (Format::OpenMetrics, Kind::Counter) => (name.strip_suffix("_total").unwrap_or(name), "counter"),
        (Format::OpenMetrics, _) => (name, kind.name()),
    };
    let unit = match format {
        Format::Text => "",
        Format::OpenMetrics => unit_of(name),
    };
    for (what, value) in [("HELP", help), ("TYPE", kind_name), ("UNIT", unit)] {
        if !value.is_empty() {
            for part in ["# ", what, " ", family, " ", value, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
}

/// Appends text with `\`, `"` and newline escaped, as both formats want it in a label's value.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.extend_from_slice(bytes);
        return;
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
}

/// Appends `,name="value"`, the value escaped.
pub(crate) fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape(out, value);
    out.push(b'"');
}

/// How many decimal places an integer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// The number itself.
    One,
    /// Hundredths of a percent, shown as a ratio.
    CentiPercent,
    /// Millionths: microseconds shown as seconds.
    Micro,
    /// Billionths: nanoseconds shown as seconds.
    Nano,
}

/// Appends an integer at a scale, exactly: `1500000000` nanoseconds are `1.5`.
pub(crate) fn number(out: &mut Vec<u8>, value: u64, scale: Scale) {
    match scale {
        Scale::One => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Scale::CentiPercent => decimal::<10_000>(out, value),
        Scale::Micro => decimal::<1_000_000>(out, value),
        Scale::Nano => decimal::<1_000_000_000>(out, value),
    }
}

/// Appends `value / ONE` without trailing zeros.
fn decimal<const ONE: u64>(out: &mut Vec<u8>, value: u64) {
    let (whole, fraction) = (value / ONE, value % ONE);
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    if fraction != 0 {
        // The one put before it keeps the zeros that lead the fraction; the point then takes its place.
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(fraction + ONE).as_bytes();
        let kept = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
        out.push(b'.');
        out.extend_from_slice(&digits[1..=kept]);
    }
}

/// Appends a float as both formats spell it.
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        out.extend_from_slice(format!("{value}").as_bytes());
    }
}

/// Appends the upper bound of a bucket. Whole numbers keep their `.0`, as OpenMetrics demands and Prometheus 3 writes
/// them, so that a bucket has one name in both formats.
pub(crate) fn bound(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(format!("{value:?}").as_bytes());
    } else {
        float(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_exact_at_every_scale() {
        let check = |value, scale, expected: &str| assert_eq!(written(|o| number(o, value, scale)), expected);
        check(0, Scale::Nano, "0");
        check(1, Scale::Nano, "0.000000001");
        check(1_500_000_000, Scale::Nano, "1.5");
        check(20_000_000_000, Scale::Nano, "20");
        check(u64::MAX - 1, Scale::Nano, "18446744073.709551614");
        check(u64::MAX - 1, Scale::One, "18446744073709551614");
        check(1234, Scale::CentiPercent, "0.1234");
        check(10_000, Scale::CentiPercent, "1");
        check(100, Scale::CentiPercent, "0.01");
        check(100_050, Scale::Micro, "0.10005");
    }

    #[test]
    fn labels_cannot_end_early() {
        assert_eq!(written(|o| label(o, "a", "x\"} 1\n\\")), r#",a="x\"} 1\n\\""#);
        assert_eq!(written(|o| label(o, "a", "plain")), r#",a="plain""#);
    }

    #[test]
    fn floats_and_units() {
        let shown = |value| written(|o| float(o, value));
        assert_eq!(
            [shown(1.0), shown(0.005), shown(f64::INFINITY), shown(f64::NAN)],
            ["1", "0.005", "+Inf", "NaN"]
        );
        assert_eq!(
            [1.0, 0.005, f64::INFINITY].map(|value| written(|o| bound(o, value))),
            ["1.0", "0.005", "+Inf"]
        );
        assert_eq!(unit_of("a_seconds_total"), "seconds");
        assert_eq!(unit_of("a_bytes_per_second"), "bytes_per_second");
        assert_eq!(unit_of("a_kilobytes"), "");
    }
}
