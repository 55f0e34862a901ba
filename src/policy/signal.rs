//! What can be measured, one name on every layout.

pub use crate::model::Quantity;

/// A resource whose pressure the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Waiting for a CPU.
    Cpu,
    /// Waiting for memory.
    Memory,
    /// Waiting for I/O.
    Io,
}

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stall {
    /// At least one task.
    Some,
    /// All that are not idle, at the same time.
    Full,
}

/// Over how long pressure is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// The kernel's average over 10 s.
    Avg10,
    /// The kernel's average over 60 s.
    Avg60,
    /// The kernel's average over 300 s.
    Avg300,
    /// The share of time stalled between two samples, from the total.
    Rate,
}

/// Something measured of a cgroup or of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Memory used, bytes.
    MemoryCurrent,
    /// The most memory used so far, bytes.
    MemoryPeak,
    /// Anonymous memory, bytes.
    MemoryAnon,
    /// Page cache, bytes.
    MemoryFile,
    /// Swap used, bytes.
    MemorySwap,
    /// Memory used less inactive file pages, bytes.
    MemoryWorkingSet,
    /// Growth of memory used, bytes a second; negative where it shrinks.
    MemoryGrowth,
    /// What is left before some limit of the cgroup or its ancestors is reached, bytes.
    MemoryHeadroom,
    /// Pages read again soon after they were dropped, a second: the mark of thrashing.
    MemoryRefaults,
    /// Processes killed for want of memory, in the last minute.
    MemoryOomKills,
    /// CPU used, cores.
    CpuUsage,
    /// Share of the quota periods that were throttled.
    CpuThrottled,
    /// Bytes read a second.
    IoRead,
    /// Bytes written a second.
    IoWrite,
    /// Reads a second.
    IoReadOps,
    /// Writes a second.
    IoWriteOps,
    /// Processes and threads.
    PidsCurrent,
    /// Growth of their number, a second.
    PidsGrowth,
    /// Seconds since the cgroup was first seen.
    Age,
    /// Pressure of a cgroup, a share.
    Pressure(Resource, Stall, Window),
    /// Memory that the host can still give, bytes.
    HostMemoryAvailable,
    /// Swap that the host has left, bytes.
    HostSwapFree,
    /// Pressure of the whole host, a share.
    HostPressure(Resource, Stall, Window),
}

const RESOURCES: [(Resource, &str); 3] =
    [(Resource::Cpu, "cpu"), (Resource::Memory, "memory"), (Resource::Io, "io")];
const STALLS: [(Stall, &str); 2] = [(Stall::Some, "some"), (Stall::Full, "full")];
const WINDOWS: [(Window, &str); 4] =
    [(Window::Avg10, "avg10"), (Window::Avg60, "avg60"), (Window::Avg300, "avg300"), (Window::Rate, "rate")];

/// The signals that are no pressure: name, unit.
const PLAIN: &[(Signal, &str, Quantity)] = &[
    (Signal::MemoryCurrent, "memory.current", Quantity::Bytes),
    (Signal::MemoryPeak, "memory.peak", Quantity::Bytes),
    (Signal::MemoryAnon, "memory.anon", Quantity::Bytes),
    (Signal::MemoryFile, "memory.file", Quantity::Bytes),
    (Signal::MemorySwap, "memory.swap", Quantity::Bytes),
    (Signal::MemoryWorkingSet, "memory.working_set", Quantity::Bytes),
    (Signal::MemoryGrowth, "memory.growth", Quantity::BytesPerSecond),
    (Signal::MemoryHeadroom, "memory.headroom", Quantity::Bytes),
    (Signal::MemoryRefaults, "memory.refaults", Quantity::CountPerSecond),
    (Signal::MemoryOomKills, "memory.events.oom_kill", Quantity::Count),
    (Signal::CpuUsage, "cpu.usage", Quantity::Cores),
    (Signal::CpuThrottled, "cpu.throttled", Quantity::Share),
    (Signal::IoRead, "io.read", Quantity::BytesPerSecond),
    (Signal::IoWrite, "io.write", Quantity::BytesPerSecond),
    (Signal::IoReadOps, "io.read_ops", Quantity::CountPerSecond),
    (Signal::IoWriteOps, "io.write_ops", Quantity::CountPerSecond),
    (Signal::PidsCurrent, "pids.current", Quantity::Count),
    (Signal::PidsGrowth, "pids.growth", Quantity::CountPerSecond),
    (Signal::Age, "age", Quantity::Seconds),
    (Signal::HostMemoryAvailable, "host.memory.available", Quantity::Bytes),
    (Signal::HostSwapFree, "host.swap.free", Quantity::Bytes),
];

impl Signal {
    /// Every signal.
    pub fn all() -> impl Iterator<Item = Self> {
        let pressure = RESOURCES.into_iter().flat_map(|(resource, _)| {
            STALLS.into_iter().flat_map(move |(stall, _)| {
                WINDOWS.into_iter().flat_map(move |(window, _)| {
                    [Self::Pressure(resource, stall, window), Self::HostPressure(resource, stall, window)]
                })
            })
        });
        PLAIN.iter().map(|&(signal, ..)| signal).chain(pressure)
    }

    /// The signal of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|signal| signal.name() == name)
    }

    /// Its name in the configuration: `memory.pressure.full.avg10`, `host.pressure.memory.full.avg10`.
    #[must_use]
    pub fn name(self) -> String {
        fn of<T: Copy + PartialEq>(table: &[(T, &'static str)], key: T) -> &'static str {
            table.iter().find(|(each, _)| *each == key).map_or("", |&(_, name)| name)
        }
        let (resource, stall, window) = match self {
            Self::Pressure(resource, stall, window) | Self::HostPressure(resource, stall, window) => {
                (of(&RESOURCES, resource), of(&STALLS, stall), of(&WINDOWS, window))
            }
            plain => {
                return PLAIN
                    .iter()
                    .find(|(each, ..)| *each == plain)
                    .map_or("", |&(_, name, _)| name)
                    .to_owned();
            }
        };
        match self {
            Self::HostPressure(..) => format!("host.pressure.{resource}.{stall}.{window}"),
            _ => format!("{resource}.pressure.{stall}.{window}"),
        }
    }

    /// Whether a smaller number is the worse one: room that is left.
    #[must_use]
    pub const fn less_is_worse(self) -> bool {
        matches!(self, Self::MemoryHeadroom | Self::HostMemoryAvailable | Self::HostSwapFree)
    }

    /// The unit that it is measured in.
    #[must_use]
    pub fn quantity(self) -> Quantity {
        PLAIN.iter().find(|(each, ..)| *each == self).map_or(Quantity::Share, |&(.., quantity)| quantity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (quantity, number, shown) in [
            (Quantity::Bytes, 0.0, "0B"),
            (Quantity::Bytes, 12.0 * 1024.0 * 1024.0, "12.0MiB"),
            (Quantity::Bytes, -2048.0, "-2.0KiB"),
            (Quantity::BytesPerSecond, 1536.0, "1.5KiB/s"),
            (Quantity::Share, 0.4, "40.0%"),
            (Quantity::Cores, 1.5, "1.50 cores"),
            (Quantity::Count, 7.0, "7"),
            (Quantity::Seconds, 90.0, "90s"),
        ] {
            assert_eq!(quantity.show(number), shown);
        }
    }

    #[test]
    fn every_signal_has_a_name_of_its_own() {
        let mut names: Vec<String> = Signal::all().map(Signal::name).collect();
        assert_eq!(names.len(), PLAIN.len() + 48);
        for (signal, name) in Signal::all().zip(&names) {
            assert_eq!(Signal::from_name(name), Some(signal), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PLAIN.len() + 48);
        assert_eq!(Signal::from_name("memory.pressure.full.avg1"), None);
    }
}
