//! Knobs in the cgroup2 hierarchy: the file's text to a value, and a value to what is written.

use crate::kernel::control::knobs::SavedFile;
use crate::kernel::control::{ControlError, Place};
use crate::kernel::parse;
use crate::model::{IoRate, Knob, Limit, Value};

/// The kernel's least quota, microseconds a period.
pub(in crate::kernel) const LEAST_QUOTA: u64 = 1_000;
/// A second, in the unit of quotas.
pub(in crate::kernel) const SECOND: u64 = 1_000_000;

/// What a knob is set to. `device` has the numbers of an I/O limit's device.
pub(in crate::kernel) fn read(place: &Place, knob: &Knob, device: &str) -> Result<Value, ControlError> {
    let file = file(place, knob);
    let text = place.read(file)?;
    let text = text.trim();
    let value = match knob {
        Knob::CpusetCpus | Knob::CpusetMems => Some(Value::List(text.into())),
        Knob::CpuMax => quota(text).map(|(quota, period)| Value::Limit(per_second(quota, period))),
        Knob::CpuWeight => parse::value(text.as_bytes()).ok().map(Value::of),
        Knob::IoWeight => weight(text).map(|weight| match file {
            "io.bfq.weight" => Value::of(from_bfq(weight)),
            _ => Value::of(weight),
        }),
        Knob::IoMax { rate, .. } => rate_of(text, device, *rate).map(Value::Limit),
        _ => parse::limit(text.as_bytes()).ok().map(Value::Limit),
    };
    value.ok_or_else(|| unexpected(place, file, text))
}

/// What must be written, and where.
pub(in crate::kernel) fn write(
    place: &Place,
    knob: &Knob,
    value: &Value,
    device: &str,
) -> Result<(), ControlError> {
    let file = file(place, knob);
    let text = match (knob, value) {
        (Knob::CpuMax, Value::Limit(Limit::Value(wanted))) => {
            let text = place.read(file)?;
            let (_, period) = quota(text.trim()).ok_or_else(|| unexpected(place, file, &text))?;
            // The period is left out, and stays.
            to_quota(*wanted, period).to_string()
        }
        (Knob::IoWeight, Value::Limit(Limit::Value(weight))) => match file {
            "io.bfq.weight" => to_bfq(*weight).to_string(),
            _ => format!("default {weight}"),
        },
        (Knob::IoMax { rate, .. }, value) => format!("{device} {}={value}", rate.name()),
        (_, value) => value.to_string(),
    };
    place.write(file, &text)
}

/// What must be written to bring back exactly what a knob is set to now.
pub(in crate::kernel) fn save(
    place: &Place,
    knob: &Knob,
    device: &str,
) -> Result<Vec<SavedFile>, ControlError> {
    let file = file(place, knob);
    let text = place.read(file)?;
    let text = text.trim();
    let text = match knob {
        Knob::IoMax { rate, .. } => {
            let rate_now = rate_of(text, device, *rate).ok_or_else(|| unexpected(place, file, text))?;
            format!("{device} {}={}", rate.name(), Value::Limit(rate_now))
        }
        // The other lines are of single devices, and stay.
        Knob::IoWeight => text.lines().next().unwrap_or_default().to_owned(),
        _ => text.to_owned(),
    };
    Ok(vec![SavedFile::new(knob_controller(knob), file, text)])
}

/// The controller that a knob belongs to, by its v2 name.
pub(in crate::kernel) const fn knob_controller(knob: &Knob) -> &'static str {
    match knob {
        Knob::MemoryMin | Knob::MemoryLow | Knob::MemoryHigh | Knob::MemoryMax | Knob::MemorySwapMax => {
            "memory"
        }
        Knob::CpuMax | Knob::CpuWeight => "cpu",
        Knob::IoMax { .. } | Knob::IoWeight => "io",
        Knob::PidsMax => "pids",
        Knob::CpusetCpus | Knob::CpusetMems => "cpuset",
    }
}

/// The knob's file: weights are bfq's own where no other scheduler of the kernel has any.
fn file(place: &Place, knob: &Knob) -> &'static str {
    match knob {
        Knob::IoWeight if !place.has("io.weight") && place.has("io.bfq.weight") => "io.bfq.weight",
        knob => knob.file(),
    }
}

/// `QUOTA PERIOD`, the quota a number or `max`.
fn quota(text: &str) -> Option<(Limit, u64)> {
    let (quota, period) = text.split_once(' ')?;
    Some((parse::limit(quota.as_bytes()).ok()?, parse::value(period.as_bytes()).ok()?))
}

/// A quota a period as microseconds a second.
pub(in crate::kernel) fn per_second(quota: Limit, period: u64) -> Limit {
    match quota {
        Limit::Max => Limit::Max,
        Limit::Value(quota) => {
            Limit::Value(quota.saturating_mul(SECOND).checked_div(period).unwrap_or(quota))
        }
    }
}

/// Microseconds a second as a quota a period, never below what the kernel takes.
pub(in crate::kernel) fn to_quota(wanted: u64, period: u64) -> u64 {
    (wanted.saturating_mul(period) / SECOND).max(LEAST_QUOTA)
}

/// The `default` line, or the number alone.
fn weight(text: &str) -> Option<u64> {
    let line = text.lines().next()?;
    parse::value(line.strip_prefix("default ").unwrap_or(line).as_bytes()).ok()
}

/// The least, the usual and the largest weight of both scales.
const WEIGHTS: [u64; 3] = [1, 100, 10_000];
const BFQ_WEIGHTS: [u64; 3] = [1, 100, 1_000];

/// A weight on bfq's scale, as systemd converts it: 1, 100 and 10,000 are 1, 100 and 1,000.
pub(in crate::kernel) fn to_bfq(weight: u64) -> u64 {
    rescale(weight, WEIGHTS, BFQ_WEIGHTS)
}

/// And back.
pub(in crate::kernel) fn from_bfq(weight: u64) -> u64 {
    rescale(weight, BFQ_WEIGHTS, WEIGHTS)
}

fn rescale(value: u64, from: [u64; 3], to: [u64; 3]) -> u64 {
    let value = value.clamp(from[0], from[2]);
    let half = usize::from(value > from[1]);
    let (low, high) = (from[half], from[half + 1]);
    to[half] + ((value - low) * (to[half + 1] - to[half]) + (high - low) / 2) / (high - low)
}

/// One rate in the line of a device. A device without a line has no limit.
fn rate_of(text: &str, device: &str, rate: IoRate) -> Option<Limit> {
    let Some(line) = text.lines().find_map(|line| line.strip_prefix(device)?.strip_prefix(' ')) else {
        return Some(Limit::Max);
    };
    let value = line.split(' ').find_map(|word| word.strip_prefix(rate.name())?.strip_prefix('='))?;
    parse::limit(value.as_bytes()).ok()
}

/// Text that is not what the file's format says.
pub(in crate::kernel) fn unexpected(place: &Place, file: &str, text: &str) -> ControlError {
    ControlError::Unsupported(format!(
        "{}: cannot tell its value from {:?}; report this kernel's format",
        place.file(file),
        text.chars().take(80).collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_go_by_their_period() {
        assert_eq!(quota("max 100000"), Some((Limit::Max, 100_000)));
        assert_eq!(per_second(Limit::Value(150_000), 100_000), Limit::Value(1_500_000));
        assert_eq!(to_quota(1_500_000, 100_000), 150_000);
        assert_eq!(to_quota(500_000, 20_000), 10_000);
        assert_eq!(to_quota(1, 100_000), LEAST_QUOTA, "less is refused by the kernel");
    }

    #[test]
    fn rates_are_found_by_device() {
        let text = "8:0 rbps=1048576 wbps=max riops=max wiops=120\n8:01 rbps=7 wbps=7 riops=7 wiops=7";
        assert_eq!(rate_of(text, "8:0", IoRate::Writes), Some(Limit::Value(120)));
        assert_eq!(rate_of(text, "8:0", IoRate::WriteBytes), Some(Limit::Max));
        assert_eq!(rate_of(text, "8:1", IoRate::ReadBytes), Some(Limit::Max), "no line, no limit");
        assert_eq!(rate_of("8:0 rbps=lots", "8:0", IoRate::ReadBytes), None);
    }

    #[test]
    fn weights_keep_their_meaning_on_the_scale_of_bfq() {
        for (weight, bfq) in [(1, 1), (50, 50), (100, 100), (10_000, 1_000), (5_050, 550)] {
            assert_eq!(to_bfq(weight), bfq);
            assert_eq!(from_bfq(bfq), weight);
        }
        assert_eq!(weight("default 300\n8:0 200"), Some(300));
        assert_eq!(weight("300"), Some(300));
    }
}
