//! Knobs in v1 hierarchies: the same meaning in other files and other units.
//!
//! `memory.max` and `memory.swap.max` share two files. v1 limits memory, and memory and swap together, and refuses a sum
//! below its part; so both are written in an order that the kernel takes, and setting one leaves the other as it is.

use crate::kernel::control::knobs::SavedFile;
use crate::kernel::control::{ControlError, Place};
use crate::kernel::parse;
use crate::kernel::v2::write::{from_bfq, knob_controller, per_second, to_bfq, to_quota, unexpected};
use crate::model::{IoRate, Knob, Limit, Value};

const LIMIT: &str = "memory.limit_in_bytes";
const SUM: &str = "memory.memsw.limit_in_bytes";
const SOFT: &str = "memory.soft_limit_in_bytes";
const QUOTA: &str = "cpu.cfs_quota_us";
const PERIOD: &str = "cpu.cfs_period_us";
const SHARES: &str = "cpu.shares";
const BFQ: &str = "blkio.bfq.weight";

/// Why v1 cannot have a knob at all.
pub(in crate::kernel) const fn lacks(knob: &Knob) -> Option<&'static str> {
    match knob {
        Knob::MemoryMin | Knob::MemoryLow => {
            Some("cgroup v1 has no protection of memory: it needs the memory controller in cgroup2")
        }
        _ => None,
    }
}

/// What a knob means less on v1.
pub(in crate::kernel) const fn degrades(knob: &Knob) -> Option<&'static str> {
    match knob {
        Knob::MemoryHigh => Some(
            "v1 has only a soft limit: it is where memory is taken back first when the host runs short, \
                  and throttles nobody",
        ),
        Knob::MemorySwapMax => {
            Some("v1 limits memory and swap together: the limit holds their sum, and needs a memory.max")
        }
        Knob::CpuWeight => Some("v1 has cpu.shares: a weight of 100 is 1024 shares"),
        Knob::IoWeight => Some("v1 has weights only for disks that are scheduled by bfq, from 1 to 1000"),
        Knob::IoMax { .. } => Some(
            "v1 throttles what a process itself reads and writes past the page cache: written-back pages escape",
        ),
        _ => None,
    }
}

/// The files that a knob is in, in the order in which they are put back.
const fn files(knob: &Knob) -> &'static [&'static str] {
    match knob {
        Knob::MemoryMin | Knob::MemoryLow => &[],
        Knob::MemoryHigh => &[SOFT],
        Knob::MemoryMax => &[LIMIT, SUM],
        Knob::MemorySwapMax => &[SUM],
        Knob::CpuMax => &[PERIOD, QUOTA],
        Knob::CpuWeight => &[SHARES],
        Knob::IoMax { rate, .. } => match rate {
            IoRate::ReadBytes => &["blkio.throttle.read_bps_device"],
            IoRate::WriteBytes => &["blkio.throttle.write_bps_device"],
            IoRate::Reads => &["blkio.throttle.read_iops_device"],
            IoRate::Writes => &["blkio.throttle.write_iops_device"],
        },
        Knob::IoWeight => &[BFQ],
        Knob::PidsMax => &["pids.max"],
        Knob::CpusetCpus => &["cpuset.cpus"],
        Knob::CpusetMems => &["cpuset.mems"],
    }
}

/// The file that tells whether the host has a knob.
pub(in crate::kernel) fn telling_file(knob: &Knob) -> Option<&'static str> {
    // Of the two of memory.max only the first is always there.
    files(knob).first().copied()
}

/// What a knob is set to.
pub(in crate::kernel) fn read(place: &Place, knob: &Knob, device: &str) -> Result<Value, ControlError> {
    let limit =
        |file: &str, parse: fn(&[u8]) -> Result<Limit, parse::Malformed>| -> Result<_, ControlError> {
            let text = place.read(file)?;
            parse(text.as_bytes()).map_err(|_| unexpected(place, file, &text))
        };
    Ok(match knob {
        Knob::MemoryMin | Knob::MemoryLow => return Err(no_such(knob)),
        Knob::MemoryHigh => Value::Limit(limit(SOFT, parse::v1_limit)?),
        Knob::MemoryMax => Value::Limit(limit(LIMIT, parse::v1_limit)?),
        Knob::MemorySwapMax => {
            Value::Limit(match (limit(SUM, parse::v1_limit)?, limit(LIMIT, parse::v1_limit)?) {
                (Limit::Value(sum), Limit::Value(memory)) => Limit::Value(sum.saturating_sub(memory)),
                _ => Limit::Max,
            })
        }
        Knob::CpuMax => {
            let period = limit(PERIOD, parse::limit)?.value().unwrap_or_default();
            Value::Limit(per_second(limit(QUOTA, parse::signed_limit)?, period))
        }
        Knob::CpuWeight => Value::of(weight_of(limit(SHARES, parse::limit)?.value().unwrap_or_default())),
        Knob::IoMax { .. } => Value::Limit(rate(place, files(knob)[0], device)?),
        Knob::IoWeight => Value::of(from_bfq(limit(BFQ, parse::limit)?.value().unwrap_or_default())),
        Knob::PidsMax => Value::Limit(limit("pids.max", parse::limit)?),
        Knob::CpusetCpus | Knob::CpusetMems => Value::List(place.read(files(knob)[0])?.trim().into()),
    })
}

/// Sets a knob.
pub(in crate::kernel) fn write(
    place: &Place,
    knob: &Knob,
    value: &Value,
    device: &str,
) -> Result<(), ControlError> {
    match (knob, value) {
        (Knob::MemoryMin | Knob::MemoryLow, _) => Err(no_such(knob)),
        (Knob::MemoryHigh, Value::Limit(limit)) => place.write(SOFT, &bytes(*limit)),
        (Knob::MemoryMax, Value::Limit(limit)) => {
            let present = pair(place)?;
            write_pair(place, &bytes(*limit), present.sum.map(|_| bytes(with_memory(present, *limit))))
        }
        (Knob::MemorySwapMax, Value::Limit(swap)) => {
            let present = pair(place)?;
            let sum = match (present.memory, swap) {
                (_, Limit::Max) => Limit::Max,
                (Limit::Value(memory), Limit::Value(swap)) => Limit::Value(memory.saturating_add(*swap)),
                (Limit::Max, Limit::Value(_)) => {
                    return Err(ControlError::Unsupported(format!(
                        "{}: v1 limits memory and swap together, and {LIMIT} has no limit; set memory.max first",
                        place.file(SUM)
                    )));
                }
            };
            place.write(SUM, &bytes(sum))
        }
        (Knob::CpuMax, Value::Limit(Limit::Max)) => place.write(QUOTA, "-1"),
        (Knob::CpuMax, Value::Limit(Limit::Value(wanted))) => {
            let text = place.read(PERIOD)?;
            let period = parse::value(text.as_bytes()).map_err(|_| unexpected(place, PERIOD, &text))?;
            place.write(QUOTA, &to_quota(*wanted, period).to_string())
        }
        (Knob::CpuWeight, Value::Limit(Limit::Value(weight))) => {
            place.write(SHARES, &shares_of(*weight).to_string())
        }
        (Knob::IoWeight, Value::Limit(Limit::Value(weight))) => {
            place.write(BFQ, &to_bfq(*weight).to_string())
        }
        (Knob::IoMax { rate, .. }, Value::Limit(limit)) => {
            place.write(files(knob)[0], &format!("{device} {}", throttle(*rate, *limit)))
        }
        (knob, value) => place.write(files(knob)[0], &value.to_string()),
    }
}

/// What must be written to bring back exactly what a knob is set to now.
pub(in crate::kernel) fn save(
    place: &Place,
    knob: &Knob,
    device: &str,
) -> Result<Vec<SavedFile>, ControlError> {
    if lacks(knob).is_some() {
        return Err(no_such(knob));
    }
    let mut saved = Vec::new();
    for file in files(knob) {
        let text = match knob {
            Knob::IoMax { rate: counted, .. } => {
                format!("{device} {}", throttle(*counted, rate(place, file, device)?))
            }
            // Where swap is not accounted, there is no sum.
            Knob::MemoryMax if *file == SUM => match place.read_if_there(file)? {
                Some(text) => text.trim().to_owned(),
                None => continue,
            },
            _ => place.read(file)?.trim().to_owned(),
        };
        saved.push(SavedFile::new(knob_controller(knob), file, text));
    }
    Ok(saved)
}

/// Writes saved files back, in an order that the kernel takes.
pub(in crate::kernel) fn restore(place: &Place, files: &[&SavedFile]) -> Result<(), ControlError> {
    let text_of =
        |name: &str| files.iter().find(|file| &*file.name == name).map(|file| file.text.to_string());
    if let Some(limit) = text_of(LIMIT) {
        return write_pair(place, &limit, text_of(SUM));
    }
    for file in files {
        // Of a quota and its period each must fit the other: a period that is right already is not touched.
        if &*file.name != PERIOD || place.read(PERIOD)?.trim() != &*file.text {
            place.write(&file.name, &file.text)?;
        }
    }
    Ok(())
}

/// The two limits on memory; the sum is absent where swap is not accounted.
#[derive(Clone, Copy)]
struct Pair {
    memory: Limit,
    sum: Option<Limit>,
}

fn pair(place: &Place) -> Result<Pair, ControlError> {
    let parse =
        |file: &str, text: &str| parse::v1_limit(text.as_bytes()).map_err(|_| unexpected(place, file, text));
    let memory = parse(LIMIT, &place.read(LIMIT)?)?;
    let sum = place.read_if_there(SUM)?.map(|text| parse(SUM, &text)).transpose()?;
    Ok(Pair { memory, sum })
}

/// The sum that leaves as much swap as there is now beside another limit on memory.
fn with_memory(present: Pair, memory: Limit) -> Limit {
    match (present.memory, present.sum, memory) {
        (Limit::Value(old), Some(Limit::Value(sum)), Limit::Value(new)) => {
            Limit::Value(new.saturating_add(sum.saturating_sub(old)))
        }
        _ => Limit::Max,
    }
}

/// Writes both: the sum first where the limit on memory would otherwise exceed it.
fn write_pair(place: &Place, memory: &str, sum: Option<String>) -> Result<(), ControlError> {
    let Some(sum) = sum else { return place.write(LIMIT, memory) };
    let present = pair(place)?.sum.unwrap_or(Limit::Max);
    let exceeds = match (amount(memory), present) {
        (_, Limit::Max) => false,
        (Limit::Max, Limit::Value(_)) => true,
        (Limit::Value(memory), Limit::Value(sum)) => memory > sum,
    };
    let order: [(&str, &str); 2] =
        if exceeds { [(SUM, &sum), (LIMIT, memory)] } else { [(LIMIT, memory), (SUM, &sum)] };
    for (file, text) in order {
        // A sum that is not to change is not written: another watcher would see a write that is none.
        if file != SUM || amount(text) != present {
            place.write(file, text)?;
        }
    }
    Ok(())
}

/// A limit as it is written.
fn bytes(limit: Limit) -> String {
    limit.value().map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string())
}

/// A limit as it is written or read.
fn amount(text: &str) -> Limit {
    parse::v1_limit(text.as_bytes()).unwrap_or(Limit::Max)
}

/// A throttle's number: 0 is no limit there, and of operations the kernel keeps 32 bits.
fn throttle(rate: IoRate, limit: Limit) -> u64 {
    let largest = match rate {
        IoRate::ReadBytes | IoRate::WriteBytes => u64::MAX,
        IoRate::Reads | IoRate::Writes => u64::from(u32::MAX),
    };
    limit.value().unwrap_or(0).min(largest)
}

/// The `MAJ:MIN NUMBER` line of a device. One without a line has no limit.
fn rate(place: &Place, file: &str, device: &str) -> Result<Limit, ControlError> {
    let text = place.read(file)?;
    match text.lines().find_map(|line| line.strip_prefix(device)?.strip_prefix(' ')) {
        None => Ok(Limit::Max),
        Some(number) => {
            parse::value(number.as_bytes()).map(Limit::Value).map_err(|_| unexpected(place, file, &text))
        }
    }
}

/// systemd's conversion: a weight of 100 is 1024 shares.
fn shares_of(weight: u64) -> u64 {
    ((weight.saturating_mul(1024) + 50) / 100).clamp(2, 262_144)
}

/// And back.
fn weight_of(shares: u64) -> u64 {
    ((shares.saturating_mul(100) + 512) / 1024).clamp(1, 10_000)
}

fn no_such(knob: &Knob) -> ControlError {
    ControlError::Unsupported(format!("{knob}: {}", lacks(knob).unwrap_or("cgroup v1 has no such control")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_comes_back_from_shares() {
        assert_eq!((shares_of(100), weight_of(1024)), (1024, 100));
        for weight in 1..=10_000 {
            assert_eq!(weight_of(shares_of(weight)), weight);
        }
        assert_eq!(weight_of(262_144), 10_000);
        assert_eq!(weight_of(2), 1);
    }

    #[test]
    fn another_limit_on_memory_leaves_the_swap_as_it_is() {
        let present = Pair { memory: Limit::Value(100), sum: Some(Limit::Value(150)) };
        assert_eq!(with_memory(present, Limit::Value(20)), Limit::Value(70));
        assert_eq!(with_memory(present, Limit::Value(400)), Limit::Value(450));
        assert_eq!(with_memory(present, Limit::Max), Limit::Max);
        let free = Pair { memory: Limit::Max, sum: Some(Limit::Max) };
        assert_eq!(with_memory(free, Limit::Value(20)), Limit::Max);
    }

    #[test]
    fn no_throttle_is_zero_and_operations_have_32_bits() {
        assert_eq!(throttle(IoRate::Reads, Limit::Max), 0);
        assert_eq!(throttle(IoRate::Reads, Limit::Value(u64::MAX)), u64::from(u32::MAX));
        assert_eq!(throttle(IoRate::ReadBytes, Limit::Value(1 << 40)), 1 << 40);
    }
}
