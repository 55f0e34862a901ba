//! What a rule may set in a cgroup: the same knobs on every layout.

use std::fmt;
use std::sync::Arc;

use super::Limit;

/// What an I/O limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IoRate {
    /// `rbps`: bytes read a second.
    ReadBytes,
    /// `wbps`: bytes written a second.
    WriteBytes,
    /// `riops`: reads a second.
    Reads,
    /// `wiops`: writes a second.
    Writes,
}

impl IoRate {
    /// Every rate, in the order the kernel prints them.
    pub const ALL: [Self; 4] = [Self::ReadBytes, Self::WriteBytes, Self::Reads, Self::Writes];

    /// The kernel's name, also in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadBytes => "rbps",
            Self::WriteBytes => "wbps",
            Self::Reads => "riops",
            Self::Writes => "wiops",
        }
    }
}

/// A control that a rule may set, under its v2 name. The kernel layer translates it to v1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Knob {
    /// `memory.min`, bytes.
    MemoryMin,
    /// `memory.low`, bytes; on v1 nothing is like it.
    MemoryLow,
    /// `memory.high`, bytes; v1 has the soft limit, which does not throttle.
    MemoryHigh,
    /// `memory.max`, bytes; v1 `memory.limit_in_bytes`.
    MemoryMax,
    /// `memory.swap.max`, bytes; v1 counts memory and swap together (`memory.memsw.limit_in_bytes`).
    MemorySwapMax,
    /// `cpu.max`: microseconds of CPU time a second (1 core is 1,000,000); the period stays what it is.
    CpuMax,
    /// `cpu.weight`, 1 to 10,000; v1 `cpu.shares`.
    CpuWeight,
    /// One rate of one device in `io.max`; v1 `blkio.throttle.*`.
    IoMax {
        /// The device's name (`vda`) or number (`8:0`).
        device: Arc<str>,
        /// What is limited.
        rate: IoRate,
    },
    /// `io.weight` default, 1 to 10,000; v1 `blkio.bfq.weight`.
    IoWeight,
    /// `pids.max`, processes.
    PidsMax,
    /// `cpuset.cpus`, a list such as `0-3,8`.
    CpusetCpus,
    /// `cpuset.mems`, a list such as `0`.
    CpusetMems,
}

impl Knob {
    /// Those that need no more than their file's name: all but [`Knob::IoMax`].
    pub const PLAIN: [Self; 11] = [
        Self::MemoryMin,
        Self::MemoryLow,
        Self::MemoryHigh,
        Self::MemoryMax,
        Self::MemorySwapMax,
        Self::CpuMax,
        Self::CpuWeight,
        Self::IoWeight,
        Self::PidsMax,
        Self::CpusetCpus,
        Self::CpusetMems,
    ];

    /// The v2 file's name: what the configuration, the metrics and the journal call it.
    #[must_use]
    pub const fn file(&self) -> &'static str {
        match self {
            Self::MemoryMin => "memory.min",
            Self::MemoryLow => "memory.low",
            Self::MemoryHigh => "memory.high",
            Self::MemoryMax => "memory.max",
            Self::MemorySwapMax => "memory.swap.max",
            Self::CpuMax => "cpu.max",
            Self::CpuWeight => "cpu.weight",
            Self::IoMax { .. } => "io.max",
            Self::IoWeight => "io.weight",
            Self::PidsMax => "pids.max",
            Self::CpusetCpus => "cpuset.cpus",
            Self::CpusetMems => "cpuset.mems",
        }
    }

    /// The control that is displayed like this.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(limit) = name.strip_prefix("io.max ") {
            let (device, rate) = limit.rsplit_once(' ')?;
            let rate = IoRate::ALL.into_iter().find(|each| each.name() == rate)?;
            return Some(Self::IoMax { device: device.into(), rate });
        }
        Self::PLAIN.into_iter().find(|knob| knob.file() == name)
    }

    /// The control's value that is displayed like this.
    #[must_use]
    pub fn value_of(&self, text: &str) -> Option<Value> {
        match self {
            Self::CpusetCpus | Self::CpusetMems => Some(Value::List(text.into())),
            _ if text == "max" => Some(Value::Limit(Limit::Max)),
            _ => text.parse().ok().map(Value::of),
        }
    }

    /// Whether more of it protects rather than limits: there the larger of two claims is the stricter.
    #[must_use]
    pub const fn is_protection(&self) -> bool {
        matches!(self, Self::MemoryMin | Self::MemoryLow)
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IoMax { device, rate } => write!(f, "io.max {device} {}", rate.name()),
            other => f.write_str(other.file()),
        }
    }
}

/// What a knob is set to, in the knob's own unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A number, or no limit.
    Limit(Limit),
    /// A list of CPUs or NUMA nodes, as the kernel prints it; empty takes the parent's.
    List(Arc<str>),
}

impl Value {
    /// A number.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self::Limit(Limit::Value(number))
    }

    /// The number, where it is one.
    #[must_use]
    pub const fn number(&self) -> Option<u64> {
        match self {
            Self::Limit(limit) => limit.value(),
            Self::List(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(Limit::Max) => f.write_str("max"),
            Self::Limit(Limit::Value(value)) => write!(f, "{value}"),
            Self::List(list) => f.write_str(list),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_is_read_again() {
        let io = IoRate::ALL.map(|rate| Knob::IoMax { device: "8:0".into(), rate });
        for knob in Knob::PLAIN.into_iter().chain(io) {
            assert_eq!(Knob::from_name(&knob.to_string()), Some(knob.clone()));
        }
        assert_eq!(Knob::from_name("memory.maximum"), None);
        assert_eq!(Knob::CpusetCpus.value_of("3"), Some(Value::List("3".into())));
        assert_eq!(Knob::MemoryMax.value_of("max"), Some(Value::Limit(Limit::Max)));
        assert_eq!(Knob::MemoryMax.value_of("x"), None);
    }
}
