//! PURE: controls as properties of a unit, and back: `systemd.resource-control(5)`, `org.freedesktop.systemd1(5)`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::{IoRate, Knob, Limit, Value};

/// What systemd writes for "no limit", and for a weight that is not set.
pub const INFINITY: u64 = u64::MAX;
/// The kernel's weight where none is set.
const DEFAULT_WEIGHT: u64 = 100;
/// More CPUs or memory nodes than this are no number that somebody meant.
const MOST_BITS: usize = 1 << 16;

/// A property as it stands on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// `t`: bytes, tasks, a weight, or microseconds of CPU time a second. [`INFINITY`] is no limit.
    Number(u64),
    /// `ay`: a set of CPUs or memory nodes, the lowest first, eight to a byte; empty is all.
    Mask(Vec<u8>),
    /// One pair of `a(st)`: a device's node and bytes or operations a second.
    Device(String, u64),
}

/// The property of a unit that is this control.
#[must_use]
pub const fn name(knob: &Knob) -> &'static str {
    match knob {
        Knob::MemoryMin => "MemoryMin",
        Knob::MemoryLow => "MemoryLow",
        Knob::MemoryHigh => "MemoryHigh",
        Knob::MemoryMax => "MemoryMax",
        Knob::MemorySwapMax => "MemorySwapMax",
        Knob::CpuMax => "CPUQuotaPerSecUSec",
        Knob::CpuWeight => "CPUWeight",
        Knob::IoMax { rate: IoRate::ReadBytes, .. } => "IOReadBandwidthMax",
        Knob::IoMax { rate: IoRate::WriteBytes, .. } => "IOWriteBandwidthMax",
        Knob::IoMax { rate: IoRate::Reads, .. } => "IOReadIOPSMax",
        Knob::IoMax { rate: IoRate::Writes, .. } => "IOWriteIOPSMax",
        Knob::IoWeight => "IOWeight",
        Knob::PidsMax => "TasksMax",
        Knob::CpusetCpus => "AllowedCPUs",
        Knob::CpusetMems => "AllowedMemoryNodes",
    }
}

/// The name of the drop-in that systemd writes for a property which is set at run time: `50-NAME.conf`.
#[must_use]
pub fn drop_in(property: &str) -> String {
    // The one property whose setting in a file has another name.
    let setting = if property == "CPUQuotaPerSecUSec" { "CPUQuota" } else { property };
    format!("50-{setting}.conf")
}

/// A control's value as the property's; none where the property cannot hold it.
#[must_use]
pub fn setting(knob: &Knob, value: &Value) -> Option<Setting> {
    let number = |limit: &Limit| limit.value().unwrap_or(INFINITY);
    match (knob, value) {
        (Knob::CpusetCpus | Knob::CpusetMems, Value::List(list)) => mask(list).map(Setting::Mask),
        (Knob::CpusetCpus | Knob::CpusetMems, Value::Limit(_)) | (_, Value::List(_)) => None,
        (Knob::CpuWeight | Knob::IoWeight, Value::Limit(limit)) => {
            limit.value().filter(|weight| (1..=10_000).contains(weight)).map(Setting::Number)
        }
        (Knob::IoMax { device, .. }, Value::Limit(limit)) => {
            Some(Setting::Device(node(device), number(limit)))
        }
        (_, Value::Limit(limit)) => Some(Setting::Number(number(limit))),
    }
}

/// A property's value as the control's.
#[must_use]
pub fn value(knob: &Knob, setting: &Setting) -> Value {
    match setting {
        Setting::Mask(mask) => Value::List(list(mask).into()),
        Setting::Number(INFINITY) if matches!(knob, Knob::CpuWeight | Knob::IoWeight) => {
            Value::of(DEFAULT_WEIGHT)
        }
        Setting::Number(INFINITY) | Setting::Device(_, INFINITY) => Value::Limit(Limit::Max),
        Setting::Number(number) | Setting::Device(_, number) => Value::of(*number),
    }
}

/// The node of a device that is given by name or by numbers.
#[must_use]
pub fn node(device: &str) -> String {
    let is_numbers = device.starts_with(|first: char| first.is_ascii_digit()) && device.contains(':');
    match device.strip_prefix("/dev/").unwrap_or(device) {
        numbers if is_numbers => format!("/dev/block/{numbers}"),
        name => format!("/dev/{name}"),
    }
}

/// A list such as `0-3,8` as a set of bits; none where it is no list.
fn mask(list: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST_BITS {
            return None;
        }
        for bit in first..=last {
            let byte = bit / 8;
            if mask.len() <= byte {
                mask.resize(byte + 1, 0);
            }
            mask[byte] |= 1 << (bit % 8);
        }
    }
    Some(mask)
}

/// A set of bits as the kernel prints it.
fn list(mask: &[u8]) -> String {
    let bits = || (0..mask.len() * 8).filter(|bit| mask[bit / 8] & (1 << (bit % 8)) != 0);
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for bit in bits() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == bit => *last = bit,
            _ => ranges.push((bit, bit)),
        }
    }
    let mut text = String::new();
    for (first, last) in ranges {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string never fails.
        let _ = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}-{last}")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_property_holds_is_the_same_control_again() {
        let io = IoRate::ALL.map(|rate| Knob::IoMax { device: "vda".into(), rate });
        for knob in Knob::PLAIN.into_iter().chain(io) {
            let values = match knob {
                Knob::CpusetCpus | Knob::CpusetMems => {
                    vec![Value::List("0-3,8".into()), Value::List("".into())]
                }
                Knob::CpuWeight | Knob::IoWeight => vec![Value::of(1), Value::of(10_000)],
                _ => vec![Value::of(1 << 30), Value::Limit(Limit::Max)],
            };
            for wanted in values {
                let setting = setting(&knob, &wanted).expect("every value of this control has a setting");
                assert_eq!(value(&knob, &setting), wanted, "{knob}");
            }
        }
    }

    #[test]
    fn what_a_property_cannot_hold_is_refused() {
        assert_eq!(setting(&Knob::CpuWeight, &Value::Limit(Limit::Max)), None);
        assert_eq!(setting(&Knob::CpuWeight, &Value::of(0)), None);
        assert_eq!(setting(&Knob::CpusetCpus, &Value::of(3)), None);
        for list in ["3-1", "a", "99999999"] {
            assert_eq!(setting(&Knob::CpusetCpus, &Value::List(list.into())), None, "{list}");
        }
        assert_eq!(setting(&Knob::MemoryHigh, &Value::List("0".into())), None);
    }

    #[test]
    fn masks_devices_and_drop_ins() {
        assert_eq!(mask("0-3,8"), Some(vec![0b1111, 1]));
        assert_eq!(list(&[0b1111, 1]), "0-3,8");
        assert_eq!(list(&[]), "");
        assert_eq!(value(&Knob::CpuWeight, &Setting::Number(INFINITY)), Value::of(100));
        assert_eq!(
            (node("vda"), node("/dev/vda"), node("8:0")),
            ("/dev/vda".into(), "/dev/vda".into(), "/dev/block/8:0".into())
        );
        assert_eq!(drop_in("CPUQuotaPerSecUSec"), "50-CPUQuota.conf");
        assert_eq!(drop_in("MemoryHigh"), "50-MemoryHigh.conf");
    }
}
