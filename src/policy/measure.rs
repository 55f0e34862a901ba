//! From a cgroup's numbers to a signal's: the same signal on every layout.

use super::signal::{Resource, Signal, Stall, Window};
use crate::model::{Cgroup, Column, Control, Field, Host, HostField, Reading, Readings, RowKind};

/// A limit that a signal is held against with `of_limit: true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// The tightest `memory.max` of the cgroup and its ancestors, bytes.
    Memory,
    /// The tightest `memory.swap.max` of the cgroup and its ancestors, bytes.
    Swap,
    /// The tightest CPU quota of the cgroup and its ancestors, else the host's CPUs: cores.
    Cpu,
    /// The tightest `pids.max` of the cgroup and its ancestors.
    Pids,
    /// The host's memory, bytes.
    HostMemory,
    /// The host's swap, bytes.
    HostSwap,
}

/// The limit that a signal can be a share of; most have none.
#[must_use]
pub const fn ceiling(signal: Signal) -> Option<Ceiling> {
    match signal {
        Signal::MemoryCurrent
        | Signal::MemoryPeak
        | Signal::MemoryAnon
        | Signal::MemoryFile
        | Signal::MemoryWorkingSet
        | Signal::MemoryHeadroom => Some(Ceiling::Memory),
        Signal::MemorySwap => Some(Ceiling::Swap),
        Signal::CpuUsage => Some(Ceiling::Cpu),
        Signal::PidsCurrent => Some(Ceiling::Pids),
        Signal::HostMemoryAvailable => Some(Ceiling::HostMemory),
        Signal::HostSwapFree => Some(Ceiling::HostSwap),
        _ => None,
    }
}

/// Something that a column of numbers is of: a signal, or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A signal.
    Signal(Signal),
    /// A limit.
    Ceiling(Ceiling),
}

/// How a measure comes about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// It is read as it stands.
    Level(Option<f64>),
    /// It follows from how these counters grew.
    Counters([Reading; 2]),
    /// The kills so far; what counts is when they came.
    Kills(Reading),
}

/// What a cgroup's measure is made of. `above` is the parent's value of the same measure.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a signal is compared with a threshold; 53 bits are plenty")]
pub fn source(measure: Measure, cgroup: &Cgroup, age: f64, above: Option<f64>, host: &Host) -> Source {
    let readings = &cgroup.readings;
    let get = |field: Field| Source::Level(readings.get(field).map(|value| value as f64));
    let tightest = |own: Option<f64>| {
        Source::Level(match (own, above) {
            (Some(own), Some(above)) => Some(own.min(above)),
            (own, above) => own.or(above),
        })
    };
    let control = |control: Control| cgroup.controls.value(control).map(|value| value as f64);
    match measure {
        Measure::Ceiling(ceiling) => match ceiling {
            Ceiling::Memory => get(Field::MemoryEffectiveMax),
            Ceiling::Swap => tightest(control(Control::MemorySwapMax)),
            Ceiling::Cpu => {
                let quota = control(Control::CpuQuota).zip(control(Control::CpuPeriod));
                let cpus = || host.get(HostField::Cpus).map(|cpus| cpus as f64);
                let own = quota.filter(|&(_, period)| period > 0.0).map(|(quota, period)| quota / period);
                tightest(own.or_else(cpus))
            }
            Ceiling::Pids => tightest(control(Control::PidsMax)),
            Ceiling::HostMemory | Ceiling::HostSwap => Source::Level(None),
        },
        Measure::Signal(signal) => match signal {
            Signal::MemoryCurrent => get(Field::MemoryCurrent),
            Signal::MemoryPeak => get(Field::MemoryPeak),
            Signal::MemoryAnon => Source::Level(readings.memory_stat("anon").map(|bytes| bytes as f64)),
            Signal::MemoryFile => Source::Level(readings.memory_stat("file").map(|bytes| bytes as f64)),
            Signal::MemorySwap => get(Field::MemorySwapCurrent),
            Signal::MemoryWorkingSet => get(Field::MemoryWorkingSet),
            Signal::MemoryHeadroom => {
                let (max, high) =
                    (readings.get(Field::MemoryHeadroomMax), readings.get(Field::MemoryHeadroomHigh));
                Source::Level(max.into_iter().chain(high).min().map(|bytes| bytes as f64))
            }
            Signal::MemoryOomKills => Source::Kills(readings.get(Field::MemoryEventsOomKill).into()),
            Signal::PidsCurrent => get(Field::PidsCurrent),
            Signal::Age => Source::Level(Some(age)),
            Signal::Pressure(resource, stall, window) => pressure(readings, resource, stall, window),
            Signal::HostMemoryAvailable | Signal::HostSwapFree | Signal::HostPressure(..) => {
                Source::Level(None)
            }
            rate => Source::Counters(counters(rate, readings)),
        },
    }
}

/// What a measure of the host is made of.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "as above")]
pub fn host_source(measure: Measure, host: &Host) -> Source {
    let get = |field: HostField| Source::Level(host.get(field).map(|value| value as f64));
    match measure {
        Measure::Signal(Signal::HostMemoryAvailable) => get(HostField::MemoryAvailable),
        // A host without swap is not one whose swap is used up.
        Measure::Signal(Signal::HostSwapFree) if host.get(HostField::SwapTotal) == Some(0) => {
            Source::Level(None)
        }
        Measure::Signal(Signal::HostSwapFree) => get(HostField::SwapFree),
        Measure::Ceiling(Ceiling::HostMemory) => get(HostField::MemoryTotal),
        Measure::Ceiling(Ceiling::HostSwap) => get(HostField::SwapTotal),
        Measure::Signal(Signal::HostPressure(resource, stall, window)) => {
            pressure(&host.pressure, resource, stall, window)
        }
        Measure::Signal(_) | Measure::Ceiling(_) => Source::Level(None),
    }
}

/// The counters that a rate follows from.
fn counters(signal: Signal, readings: &Readings) -> [Reading; 2] {
    let one = |value: Option<u64>| [value.into(), Reading::ABSENT];
    match signal {
        Signal::MemoryGrowth => one(readings.get(Field::MemoryCurrent)),
        Signal::PidsGrowth => one(readings.get(Field::PidsCurrent)),
        Signal::CpuUsage => one(readings.get(Field::CpuUsage)),
        Signal::CpuThrottled => {
            [readings.get(Field::CpuThrottledPeriods).into(), readings.get(Field::CpuPeriods).into()]
        }
        Signal::IoRead => one(readings.io(Column::IoReadBytes)),
        Signal::IoWrite => one(readings.io(Column::IoWriteBytes)),
        Signal::IoReadOps => one(readings.io(Column::IoReads)),
        Signal::IoWriteOps => one(readings.io(Column::IoWrites)),
        Signal::MemoryRefaults => one(refaults(readings)),
        _ => one(None),
    }
}

/// Pages read again soon after they were dropped. Since 5.9 the kernel counts them apart, on v1 too.
fn refaults(readings: &Readings) -> Option<u64> {
    let row = |name| readings.rows(RowKind::MemoryStat).get(Column::StatEvents, name);
    match (row("workingset_refault_anon"), row("workingset_refault_file")) {
        (None, None) => row("workingset_refault"),
        (anon, file) => Some(anon.unwrap_or(0).saturating_add(file.unwrap_or(0))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as above")]
fn pressure(readings: &Readings, resource: Resource, stall: Stall, window: Window) -> Source {
    let [avg10, avg60, avg300, total] = fields(resource, stall);
    let field = match window {
        Window::Avg10 => avg10,
        Window::Avg60 => avg60,
        Window::Avg300 => avg300,
        Window::Rate => return Source::Counters([readings.get(total).into(), Reading::ABSENT]),
    };
    Source::Level(readings.get(field).map(|hundredths| hundredths as f64 / 10_000.0))
}

/// The fields of a kind of pressure: over 10, 60 and 300 s, and the total.
const fn fields(resource: Resource, stall: Stall) -> [Field; 4] {
    use Field as F;
    match (resource, stall) {
        (Resource::Cpu, Stall::Some) => [F::CpuSomeAvg10, F::CpuSomeAvg60, F::CpuSomeAvg300, F::CpuSomeTotal],
        (Resource::Cpu, Stall::Full) => [F::CpuFullAvg10, F::CpuFullAvg60, F::CpuFullAvg300, F::CpuFullTotal],
        (Resource::Memory, Stall::Some) => {
            [F::MemorySomeAvg10, F::MemorySomeAvg60, F::MemorySomeAvg300, F::MemorySomeTotal]
        }
        (Resource::Memory, Stall::Full) => {
            [F::MemoryFullAvg10, F::MemoryFullAvg60, F::MemoryFullAvg300, F::MemoryFullTotal]
        }
        (Resource::Io, Stall::Some) => [F::IoSomeAvg10, F::IoSomeAvg60, F::IoSomeAvg300, F::IoSomeTotal],
        (Resource::Io, Stall::Full) => [F::IoFullAvg10, F::IoFullAvg60, F::IoFullAvg300, F::IoFullTotal],
    }
}

/// The rate that follows from two readings of its counters, `seconds` apart. A counter that went backwards gives none;
/// memory and processes do go both ways.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "as above")]
pub fn rate(signal: Signal, before: [Reading; 2], after: [Reading; 2], seconds: f64) -> Option<f64> {
    let ([old, old_of], [new, new_of]) = (before, after);
    let (old, new) = (old.get()?, new.get()?);
    let grown = || new.checked_sub(old).map(|by| by as f64);
    match signal {
        Signal::MemoryGrowth | Signal::PidsGrowth => Some((new as f64 - old as f64) / seconds),
        Signal::CpuThrottled => {
            let periods = new_of.get()?.checked_sub(old_of.get()?)? as f64;
            // Without a period that ended there was nothing to be throttled in.
            Some(if periods > 0.0 { (grown()? / periods).min(1.0) } else { 0.0 })
        }
        // Counted in nanoseconds: cores, and shares of time.
        Signal::CpuUsage => Some(grown()? / 1e9 / seconds),
        Signal::Pressure(..) | Signal::HostPressure(..) => Some((grown()? / 1e9 / seconds).min(1.0)),
        _ => Some(grown()? / seconds),
    }
}
