//! What numbers are of, and how people read them.

use super::{IoRate, Knob, Limit, Value};

/// The unit that something is measured or limited in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// A number of things.
    Count,
    /// Things a second.
    CountPerSecond,
    /// CPU cores.
    Cores,
    /// A share, 1.0 is all.
    Share,
    /// Seconds.
    Seconds,
}

impl Quantity {
    /// A number of it, for people: `12.0MiB`, `40.0%`, `1.50 cores`.
    #[must_use]
    pub fn show(self, number: f64) -> String {
        match self {
            Self::Bytes => bytes(number),
            Self::BytesPerSecond => format!("{}/s", bytes(number)),
            Self::Count => format!("{number:.0}"),
            Self::CountPerSecond => format!("{number:.1}/s"),
            Self::Cores => format!("{number:.2} cores"),
            Self::Share => format!("{:.1}%", number * 100.0),
            Self::Seconds => format!("{number:.0}s"),
        }
    }

    /// What a control is set in.
    #[must_use]
    pub const fn of(knob: &Knob) -> Self {
        match knob {
            Knob::MemoryMin | Knob::MemoryLow | Knob::MemoryHigh | Knob::MemoryMax | Knob::MemorySwapMax => {
                Self::Bytes
            }
            Knob::CpuMax => Self::Cores,
            Knob::IoMax { rate: IoRate::ReadBytes | IoRate::WriteBytes, .. } => Self::BytesPerSecond,
            Knob::IoMax { rate: IoRate::Reads | IoRate::Writes, .. } => Self::CountPerSecond,
            Knob::CpuWeight | Knob::IoWeight | Knob::PidsMax | Knob::CpusetCpus | Knob::CpusetMems => {
                Self::Count
            }
        }
    }
}

impl Knob {
    /// What the control is set to, for people: `4.0GiB`, `1.50 cores`, `max`, `0-3`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    pub fn show(&self, value: &Value) -> String {
        match (self, value) {
            (Self::CpuMax, Value::Limit(Limit::Value(microseconds))) => {
                Quantity::Cores.show(*microseconds as f64 / 1e6)
            }
            (knob, Value::Limit(Limit::Value(number))) => Quantity::of(knob).show(*number as f64),
            (_, other) => other.to_string(),
        }
    }
}

fn bytes(number: f64) -> String {
    let mut scaled = number;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled.abs() < 1024.0 {
            let digits = usize::from(unit != "B");
            return format!("{scaled:.digits$}{unit}");
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1}TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_in_its_unit() {
        let device = |rate| Knob::IoMax { device: "vda".into(), rate };
        for (knob, value, shown) in [
            (Knob::MemoryHigh, Value::of(4 << 30), "4.0GiB"),
            (Knob::MemoryMax, Value::Limit(Limit::Max), "max"),
            (Knob::CpuMax, Value::of(1_500_000), "1.50 cores"),
            (Knob::PidsMax, Value::of(500), "500"),
            (device(IoRate::WriteBytes), Value::of(50 << 20), "50.0MiB/s"),
            (device(IoRate::Reads), Value::of(100), "100.0/s"),
            (Knob::CpusetCpus, Value::List("0-3".into()), "0-3"),
        ] {
            assert_eq!(knob.show(&value), shown, "{knob}");
        }
    }
}
