//! `io.*`: bytes and operations by device, limits, weights, latency targets.

use crate::kernel::devices::Devices;
use crate::kernel::parse::{Malformed, limit, nested, trim};
use crate::kernel::shapes::{Format, Table};
use crate::kernel::spec::{FileSpec, Read};
use crate::model::{Collector, Column, Control, Controls, IoLimit, Key, Limit, RowKind};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Io, read)
}

pub(super) const FILES: &[FileSpec] = &[
    file("io.stat", Read::Table(&STAT)),
    file("io.max", Read::Controls(max)),
    file("io.latency", Read::Controls(latency)),
    file("io.weight", Read::Controls(|t, c, d| weights(t, c, d, Control::IoWeight))),
    file("io.bfq.weight", Read::Controls(|t, c, d| weights(t, c, d, Control::IoBfqWeight))),
];

const STAT: Table = Table {
    kind: RowKind::IoStat,
    format: Format::Nested,
    classify: |device, name, devices| {
        let (column, scale) = match name {
            b"rbytes" => (Column::IoReadBytes, 1),
            b"wbytes" => (Column::IoWriteBytes, 1),
            b"dbytes" => (Column::IoDiscardBytes, 1),
            b"rios" => (Column::IoReads, 1),
            b"wios" => (Column::IoWrites, 1),
            b"dios" => (Column::IoDiscards, 1),
            b"cost.usage" => (Column::IoCostUsage, 1000),
            b"cost.wait" => (Column::IoCostWait, 1000),
            b"cost.indebt" => (Column::IoCostIndebt, 1000),
            b"cost.indelay" => (Column::IoCostIndelay, 1000),
            _ => return None,
        };
        Some((device_key(column, device, devices), scale))
    },
};

/// The row of one device.
pub(in crate::kernel) fn device_key(column: Column, numbers: &[u8], devices: &mut Devices) -> Key {
    Key::new(column, devices.name(numbers))
}

/// The limits of the device with these numbers.
pub(in crate::kernel) fn device<'a>(
    numbers: &[u8],
    controls: &'a mut Controls,
    devices: &mut Devices,
) -> &'a mut IoLimit {
    controls.io_device(devices.name(numbers))
}

fn max(text: Option<&[u8]>, controls: &mut Controls, devices: &mut Devices) -> Result<(), Malformed> {
    for entry in &mut controls.io {
        (entry.read_bytes, entry.write_bytes, entry.reads, entry.writes) = (None, None, None, None);
    }
    for (numbers, key, value) in nested(text.unwrap_or_default()) {
        let entry = device(numbers, controls, devices);
        let slot = match key {
            b"rbps" => &mut entry.read_bytes,
            b"wbps" => &mut entry.write_bytes,
            b"riops" => &mut entry.reads,
            b"wiops" => &mut entry.writes,
            _ => continue,
        };
        *slot = Some(limit(value)?);
    }
    Ok(())
}

fn latency(text: Option<&[u8]>, controls: &mut Controls, devices: &mut Devices) -> Result<(), Malformed> {
    controls.io.iter_mut().for_each(|entry| entry.latency_target = None);
    for (numbers, key, value) in nested(text.unwrap_or_default()) {
        if key == b"target" {
            device(numbers, controls, devices).latency_target = Some(limit(value)?);
        }
    }
    Ok(())
}

/// `default 100` and `MAJ:MIN 200` lines; io.bfq.weight may hold the default's number alone.
fn weights(
    text: Option<&[u8]>,
    controls: &mut Controls,
    devices: &mut Devices,
    default: Control,
) -> Result<(), Malformed> {
    controls.set(default, None);
    if default == Control::IoWeight {
        controls.io.iter_mut().for_each(|entry| entry.weight = None);
    }
    for line in text.unwrap_or_default().split(|&byte| byte == b'\n').filter(|line| !trim(line).is_empty()) {
        let space = line.iter().position(|&byte| byte == b' ');
        let (key, value): (&[u8], Limit) = match space {
            Some(space) => (&line[..space], limit(&line[space + 1..])?),
            None => (b"default", limit(line)?),
        };
        if key == b"default" {
            controls.set(default, Some(value));
        } else if default == Control::IoWeight {
            device(key, controls, devices).weight = Some(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> Devices {
        Devices::new(std::path::Path::new("/nonexistent"))
    }

    #[test]
    fn limits_of_devices_come_and_go() {
        let mut controls = Controls::default();
        max(Some(b"8:0 rbps=1048576 wbps=max riops=max wiops=120\n"), &mut controls, &mut devices())
            .expect("limits");
        latency(Some(b"8:0 target=75000\n"), &mut controls, &mut devices()).expect("a target");
        let entry = &controls.io[0];
        assert_eq!((entry.read_bytes, entry.write_bytes), (Some(Limit::Value(1_048_576)), Some(Limit::Max)));
        assert_eq!(entry.latency_target, Some(Limit::Value(75_000)));
        max(Some(b""), &mut controls, &mut devices()).expect("no limits");
        assert_eq!(controls.io[0].read_bytes, None);
        assert_eq!(controls.io[0].latency_target, Some(Limit::Value(75_000)));
    }

    #[test]
    fn weights_have_a_default_and_exceptions() {
        let mut controls = Controls::default();
        weights(Some(b"default 100\n8:0 200\n"), &mut controls, &mut devices(), Control::IoWeight)
            .expect("weights");
        assert_eq!(controls.value(Control::IoWeight), Some(100));
        assert_eq!(controls.io[0].weight, Some(Limit::Value(200)));
        weights(Some(b"300\n"), &mut controls, &mut devices(), Control::IoBfqWeight).expect("one number");
        assert_eq!(controls.value(Control::IoBfqWeight), Some(300));
        assert!(weights(Some(b"default much\n"), &mut controls, &mut devices(), Control::IoWeight).is_err());
    }
}
