//! `*.pressure`: pressure stall information.
//!
//! Each line is read on its own: `cpu` has no `full` line on old kernels, `irq` has only `full`.

use super::value::{centi_percent, number};
use super::{Malformed, trim};

/// Averages over the last seconds, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Average {
    /// Over 10 s.
    pub ten: u64,
    /// Over 60 s.
    pub sixty: u64,
    /// Over 300 s.
    pub three_hundred: u64,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// The shares of time stalled.
    pub average: Average,
    /// Time stalled since the start, in nanoseconds (microseconds in the file).
    pub total: u64,
}

/// One file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Some task was stalled.
    pub some: Option<Stall>,
    /// Every task that could run was stalled.
    pub full: Option<Stall>,
}

/// Reads `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the `full` line, whichever are there.
///
/// # Errors
/// A `some` or `full` line that is incomplete or holds something else than numbers.
pub fn pressure(text: &[u8]) -> Result<Pressure, Malformed> {
    let mut pressure = Pressure::default();
    for line in text.split(|&byte| byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"some ") {
            pressure.some = Some(stall(rest)?);
        } else if let Some(rest) = line.strip_prefix(b"full ") {
            pressure.full = Some(stall(rest)?);
        }
    }
    if pressure == Pressure::default() && !trim(text).is_empty() {
        return Err(Malformed::new("`some avg10=… total=…`", text));
    }
    Ok(pressure)
}

fn stall(line: &[u8]) -> Result<Stall, Malformed> {
    let malformed = || Malformed::new("`avg10=0.00 avg60=0.00 avg300=0.00 total=0`", line);
    let mut averages = [None; 3];
    let mut total = None;
    for word in line.split(|&byte| byte == b' ') {
        if let Some(text) = word.strip_prefix(b"avg10=") {
            averages[0] = Some(centi_percent(text)?);
        } else if let Some(text) = word.strip_prefix(b"avg60=") {
            averages[1] = Some(centi_percent(text)?);
        } else if let Some(text) = word.strip_prefix(b"avg300=") {
            averages[2] = Some(centi_percent(text)?);
        } else if let Some(text) = word.strip_prefix(b"total=") {
            total = Some(
                number(text).and_then(|microseconds| microseconds.checked_mul(1000)).ok_or_else(malformed)?,
            );
        }
    }
    match (averages, total) {
        ([Some(ten), Some(sixty), Some(three_hundred)], Some(total)) => {
            Ok(Stall { average: Average { ten, sixty, three_hundred }, total })
        }
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_stands_alone() {
        let both = pressure(
            b"some avg10=12.34 avg60=0.50 avg300=100.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        )
        .expect("two lines");
        let some = both.some.expect("some");
        assert_eq!((some.average.ten, some.average.sixty, some.average.three_hundred), (1234, 50, 10_000));
        assert_eq!(some.total, 123_000);
        assert_eq!(both.full.map(|full| full.total), Some(7000));
        let irq = pressure(b"full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n").expect("full alone");
        assert_eq!((irq.some, irq.full.map(|full| full.total)), (None, Some(9000)));
        assert_eq!(pressure(b""), Ok(Pressure::default()));
    }

    #[test]
    fn incomplete_lines_are_malformed() {
        for text in
            [&b"some avg10=0.00 avg60=0.00\n"[..], b"some avg10=x avg60=0 avg300=0 total=0", b"some", b"what"]
        {
            assert!(pressure(text).is_err(), "{text:?}");
        }
    }
}
