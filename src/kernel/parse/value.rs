//! Files that hold one value.

use super::Malformed;
use crate::model::Limit;

/// v1's "no limit" is the largest number rounded down to a page, and hugetlb's to a huge page: 16 GiB at most.
const V1_UNLIMITED: u64 = (i64::MAX as u64) & !((16 << 30) - 1);

/// The digits and nothing else; `None` if anything else stands there or the number does not fit.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let mut value = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Without the white space at both ends.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// One whole number: `memory.current`, `pids.current`.
///
/// # Errors
/// Anything but digits.
pub fn value(text: &[u8]) -> Result<u64, Malformed> {
    number(trim(text)).ok_or_else(|| Malformed::new("a whole number", text))
}

/// A v2 limit: a number or `max`.
///
/// # Errors
/// Anything else.
pub fn limit(text: &[u8]) -> Result<Limit, Malformed> {
    match trim(text) {
        b"max" => Ok(Limit::Max),
        digits => {
            number(digits).map(Limit::Value).ok_or_else(|| Malformed::new("a whole number or `max`", text))
        }
    }
}

/// A v1 limit: a number, of which the largest page-rounded one means no limit.
///
/// # Errors
/// Anything but a number.
pub fn v1_limit(text: &[u8]) -> Result<Limit, Malformed> {
    Ok(match value(text)? {
        unlimited if unlimited >= V1_UNLIMITED => Limit::Max,
        bytes => Limit::Value(bytes),
    })
}

/// A v1 limit that says "none" by a negative number: `cpu.cfs_quota_us`.
///
/// # Errors
/// Anything but a number.
pub fn signed_limit(text: &[u8]) -> Result<Limit, Malformed> {
    match trim(text).strip_prefix(b"-") {
        Some(digits) if number(digits).is_some() => Ok(Limit::Max),
        Some(_) => Err(Malformed::new("a whole number or -1", text)),
        None => value(text).map(Limit::Value),
    }
}

/// How many CPUs or nodes a list names: `0-3,5` is five. An empty list names none.
///
/// # Errors
/// Anything but numbers and rising ranges separated by commas.
pub fn list_count(text: &[u8]) -> Result<u64, Malformed> {
    let malformed = || Malformed::new("a list such as 0-3,5", text);
    let list = trim(text);
    if list.is_empty() {
        return Ok(0);
    }
    list.split(|&byte| byte == b',').try_fold(0u64, |sum, part| {
        let mut ends = part.splitn(2, |&byte| byte == b'-');
        let first = ends.next().and_then(number).ok_or_else(malformed)?;
        let last = match ends.next() {
            None => first,
            Some(digits) => number(digits).ok_or_else(malformed)?,
        };
        let count = last.checked_sub(first).and_then(|more| more.checked_add(1)).ok_or_else(malformed)?;
        sum.checked_add(count).ok_or_else(malformed)
    })
}

/// How many lines there are: the processes of `cgroup.procs`.
#[must_use]
pub fn count_lines(text: &[u8]) -> u64 {
    text.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// A percentage with up to two decimals, in hundredths of a percent: `12.34` is 1234. `max` is 10000.
///
/// # Errors
/// Anything else.
pub fn centi_percent(text: &[u8]) -> Result<u64, Malformed> {
    let malformed = || Malformed::new("a percentage such as 12.34", text);
    let token = trim(text);
    if token == b"max" {
        return Ok(10_000);
    }
    let mut parts = token.splitn(2, |&byte| byte == b'.');
    let whole = parts.next().and_then(number).ok_or_else(malformed)?;
    let hundredths = match parts.next() {
        None => 0,
        Some(decimals @ [_]) => number(decimals).ok_or_else(malformed)? * 10,
        Some(decimals @ [_, _]) => number(decimals).ok_or_else(malformed)?,
        Some(_) => return Err(malformed()),
    };
    whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths)).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, expected) in [
            (&b"0\n"[..], Some(0)),
            (b"42", Some(42)),
            (b"18446744073709551615\n", Some(u64::MAX)),
            (b"18446744073709551616\n", None),
            (b"", None),
            (b"\n", None),
            (b"-1\n", None),
            (b"1 2\n", None),
            (b"12x", None),
        ] {
            assert_eq!(value(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn limits_tell_none_from_a_number() {
        assert_eq!(limit(b"max\n"), Ok(Limit::Max));
        assert_eq!(limit(b"0\n"), Ok(Limit::Value(0)));
        assert!(limit(b"maximum\n").is_err());
        assert_eq!(v1_limit(b"9223372036854771712\n"), Ok(Limit::Max), "4 KiB pages");
        assert_eq!(v1_limit(b"9223372036854710272\n"), Ok(Limit::Max), "64 KiB pages");
        assert_eq!(v1_limit(b"9223372036852678656\n"), Ok(Limit::Max), "2 MiB huge pages");
        assert_eq!(v1_limit(b"50003968\n"), Ok(Limit::Value(50_003_968)));
        assert_eq!(signed_limit(b"-1\n"), Ok(Limit::Max));
        assert_eq!(signed_limit(b"20000\n"), Ok(Limit::Value(20_000)));
        assert!(signed_limit(b"--1\n").is_err());
    }

    #[test]
    fn lists() {
        for (text, expected) in [
            (&b"0-3,5\n"[..], Some(5)),
            (b"\n", Some(0)),
            (b"0", Some(1)),
            (b"3-1", None),
            (b"0-", None),
            (b"a", None),
        ] {
            assert_eq!(list_count(text).ok(), expected, "{text:?}");
        }
        assert!(list_count(b"0-18446744073709551615").is_err());
    }

    #[test]
    fn percentages() {
        for (text, expected) in [
            (&b"12.34"[..], Some(1234)),
            (b"0.00", Some(0)),
            (b"max\n", Some(10_000)),
            (b"7", Some(700)),
            (b"1.", None),
            (b"1.234", None),
        ] {
            assert_eq!(centi_percent(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_error_quotes_what_it_found() {
        let error = value(b"lots\n").expect_err("no number").to_string();
        assert_eq!(error, "expected a whole number, found `lots\u{fffd}`");
    }
}
