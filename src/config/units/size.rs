//! Amounts of memory, of I/O, of CPU, and shares.

use super::decimal;

/// What a size looks like, for messages.
pub(in crate::config) const SIZE: &str = "a size such as `512MiB` or `64M`";
/// What a rate of bytes looks like.
pub(in crate::config) const RATE: &str = "a rate such as `64MiB/s`";
/// What a share looks like.
pub(in crate::config) const SHARE: &str = "a share such as `80%`";
/// What an amount of CPU looks like.
pub(in crate::config) const CORES: &str = "an amount of CPU such as `1.5` (cores) or `150%`";
/// What a number of things looks like.
pub(in crate::config) const COUNT: &str = "a whole number such as `100`";

/// The units of a size: `M` is 10^6 and `Mi` 2^20, as Kubernetes writes them; a `B` may follow.
const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("k", 1000),
    ("K", 1000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

/// Microseconds of CPU time a second that one core gives.
const CORE: u64 = 1_000_000;

/// Reads a size, bytes: a number, which may have decimals, and a unit; without one, bytes.
pub(in crate::config) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_suffix('B').unwrap_or(unit);
    let &(_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    // Half a byte is a typing error.
    if scale == 1 && number.contains('.') { None } else { decimal(number, scale) }
}

/// Reads a rate, bytes a second: a size and `/s`.
pub(in crate::config) fn rate(text: &str) -> Option<u64> {
    size(text.strip_suffix("/s")?)
}

/// Reads a share of something: `80%` is 0.8.
pub(in crate::config) fn share(text: &str) -> Option<f64> {
    const PARTS: u64 = 1_000_000;
    let parts = decimal(text.strip_suffix('%')?, PARTS)?;
    // Shares are far below 2^52 parts.
    #[allow(clippy::cast_precision_loss)]
    Some(parts as f64 / (PARTS * 100) as f64)
}

/// Reads an amount of CPU, microseconds a second: cores, or percent of one.
pub(in crate::config) fn cores(text: &str) -> Option<u64> {
    match text.strip_suffix('%') {
        Some(percent) => decimal(percent, CORE / 100),
        None => decimal(text, CORE),
    }
}

/// Reads a whole number.
pub(in crate::config) fn count(text: &str) -> Option<u64> {
    decimal(text, 1).filter(|_| !text.contains('.'))
}

/// Reads so many things a second: a number, which may have decimals, and `/s`.
pub(in crate::config) fn per_second(text: &str) -> Option<f64> {
    let number = text.strip_suffix("/s")?;
    decimal(number, 1)?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("512B", Some(512)),
            ("64M", Some(64_000_000)),
            ("64MB", Some(64_000_000)),
            ("64Mi", Some(64 << 20)),
            ("512MiB", Some(512 << 20)),
            ("1.5KiB", Some(1536)),
            ("0.1GiB", Some(107_374_182)),
            ("4GiB", Some(4 << 30)),
            ("2T", Some(2_000_000_000_000)),
            ("1k", Some(1000)),
            ("16777216TiB", None),
            ("1.5", None),
            ("1.5B", None),
            ("1.KiB", None),
            (".5KiB", None),
            ("MiB", None),
            ("", None),
            ("B", None),
            ("5 MiB", None),
            ("-5MiB", None),
            ("5mib", None),
            ("5MiB/s", None),
            ("40%", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        assert_eq!(rate("64MiB/s"), Some(64 << 20));
        assert_eq!(rate("64MiB"), None);
    }

    #[test]
    fn shares_and_cores_and_counts_are_read() {
        assert_eq!(share("40%"), Some(0.4));
        assert_eq!(share("12.5%"), Some(0.125));
        assert_eq!(share("100%"), Some(1.0));
        assert_eq!((share("40"), share("%"), share("-4%"), share("1e2%")), (None, None, None, None));
        assert_eq!(cores("1.5"), Some(1_500_000));
        assert_eq!(cores("150%"), Some(1_500_000));
        assert_eq!(cores("2"), Some(2_000_000));
        assert_eq!((cores("2 cores"), cores("")), (None, None));
        assert_eq!((count("100"), count("1.0"), count("1.5"), count("-1")), (Some(100), None, None, None));
        assert_eq!((per_second("100/s"), per_second("0.5/s")), (Some(100.0), Some(0.5)));
        assert_eq!((per_second("100"), per_second("/s"), per_second("inf/s")), (None, None, None));
    }
}
