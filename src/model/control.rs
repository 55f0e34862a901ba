//! Limits, weights and switches: what somebody wrote into a cgroup's control files.

use super::{IoRate, Knob, Unit, Value};

/// A knob that somebody turned. A side is absent where the file was not there, or the device had no line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnobChange {
    /// Which.
    pub knob: Knob,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

/// A limit as the kernel holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `max`, or v1's page-rounded largest number: no limit.
    Max,
    /// A limit in the control's own unit.
    Value(u64),
}

impl Limit {
    /// The number, if there is a limit at all.
    #[must_use]
    pub const fn value(self) -> Option<u64> {
        match self {
            Self::Max => None,
            Self::Value(value) => Some(value),
        }
    }
}

macro_rules! controls {
    ($($(#[$doc:meta])* $name:ident: $unit:ident,)+) => {
        /// A control file's value, the same name on every layout.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Control { $($(#[$doc])* $name,)+ }

        impl Control {
            /// Every control, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The unit its value is in.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)+ }
            }
        }
    };
}

controls! {
    /// `memory.min`, bytes.
    MemoryMin: Bytes,
    /// `memory.low`, bytes.
    MemoryLow: Bytes,
    /// `memory.high`, bytes.
    MemoryHigh: Bytes,
    /// `memory.max`, v1 `memory.limit_in_bytes`, bytes.
    MemoryMax: Bytes,
    /// v1 `memory.soft_limit_in_bytes`, bytes.
    MemorySoftLimit: Bytes,
    /// v1 `memory.memsw.limit_in_bytes`, bytes.
    MemoryMemswMax: Bytes,
    /// v1 `memory.kmem.limit_in_bytes`, bytes.
    MemoryKmemMax: Bytes,
    /// v1 `memory.kmem.tcp.limit_in_bytes`, bytes.
    MemoryKmemTcpMax: Bytes,
    /// `memory.swap.high`, bytes.
    MemorySwapHigh: Bytes,
    /// `memory.swap.max`, bytes.
    MemorySwapMax: Bytes,
    /// `memory.zswap.max`, bytes.
    MemoryZswapMax: Bytes,
    /// `memory.oom.group`, 0 or 1.
    MemoryOomGroup: Flag,
    /// v1 `memory.oom_control` oom_kill_disable, 0 or 1.
    MemoryOomKillDisable: Flag,
    /// `cpu.max` quota, v1 `cpu.cfs_quota_us`, microseconds a period.
    CpuQuota: Microseconds,
    /// `cpu.max` period, v1 `cpu.cfs_period_us`, microseconds.
    CpuPeriod: Microseconds,
    /// `cpu.max.burst`, v1 `cpu.cfs_burst_us`, microseconds.
    CpuBurst: Microseconds,
    /// `cpu.weight`, 1 to 10000.
    CpuWeight: Count,
    /// v1 `cpu.shares`, 2 to 262144.
    CpuShares: Count,
    /// `cpu.idle`, 0 or 1.
    CpuIdle: Flag,
    /// `cpu.uclamp.min`, hundredths of a percent.
    CpuUclampMin: CentiPercent,
    /// `cpu.uclamp.max`, hundredths of a percent.
    CpuUclampMax: CentiPercent,
    /// v1 `cpu.rt_runtime_us`, microseconds a period.
    CpuRtRuntime: Microseconds,
    /// v1 `cpu.rt_period_us`, microseconds.
    CpuRtPeriod: Microseconds,
    /// `io.weight` default, 1 to 10000.
    IoWeight: Count,
    /// `io.bfq.weight` default, v1 `blkio.bfq.weight`, 1 to 1000.
    IoBfqWeight: Count,
    /// `pids.max`.
    PidsMax: Count,
    /// `cgroup.max.depth`.
    MaxDepth: Count,
    /// `cgroup.max.descendants`.
    MaxDescendants: Count,
    /// v1 `net_cls.classid`.
    NetClassid: Count,
}

/// The limits of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoLimit {
    /// The device's name, else `MAJ:MIN`.
    pub device: Box<str>,
    /// Bytes read a second (`rbps`).
    pub read_bytes: Option<Limit>,
    /// Bytes written a second (`wbps`).
    pub write_bytes: Option<Limit>,
    /// Reads a second (`riops`).
    pub reads: Option<Limit>,
    /// Writes a second (`wiops`).
    pub writes: Option<Limit>,
    /// `io.latency` target in microseconds.
    pub latency_target: Option<Limit>,
    /// `io.weight` of this device alone.
    pub weight: Option<Limit>,
}

impl IoLimit {
    /// No limit for a device yet.
    #[must_use]
    pub fn new(device: &str) -> Self {
        Self {
            device: device.into(),
            read_bytes: None,
            write_bytes: None,
            reads: None,
            writes: None,
            latency_target: None,
            weight: None,
        }
    }
}

/// Every control of a cgroup. Absent where the file does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    values: [Option<Limit>; Control::COUNT],
    /// Limits by device, in the order the kernel prints them.
    pub io: Vec<IoLimit>,
}

impl Controls {
    /// One control.
    #[must_use]
    pub fn get(&self, control: Control) -> Option<Limit> {
        self.values[control as usize]
    }

    /// Stores one control, or takes it away.
    pub fn set(&mut self, control: Control, value: Option<Limit>) {
        self.values[control as usize] = value;
    }

    /// A control's number where it is set to one: absent and `max` both give none.
    #[must_use]
    pub fn value(&self, control: Control) -> Option<u64> {
        self.get(control).and_then(Limit::value)
    }

    /// What a knob is set to, as far as these controls tell: lists of CPUs and nodes are not among them.
    #[must_use]
    pub fn knob(&self, knob: &Knob) -> Option<Value> {
        let limit = |control| self.get(control).map(Value::Limit);
        match knob {
            Knob::MemoryMin => limit(Control::MemoryMin),
            Knob::MemoryLow => limit(Control::MemoryLow),
            Knob::MemoryHigh => limit(Control::MemoryHigh).or_else(|| limit(Control::MemorySoftLimit)),
            Knob::MemoryMax => limit(Control::MemoryMax),
            Knob::MemorySwapMax => limit(Control::MemorySwapMax).or_else(|| limit(Control::MemoryMemswMax)),
            Knob::CpuMax => Some(match (self.get(Control::CpuQuota)?, self.value(Control::CpuPeriod)?) {
                (Limit::Value(quota), period) if period > 0 => {
                    Value::of(u64::try_from(u128::from(quota) * 1_000_000 / u128::from(period)).ok()?)
                }
                _ => Value::Limit(Limit::Max),
            }),
            Knob::CpuWeight => limit(Control::CpuWeight).or_else(|| limit(Control::CpuShares)),
            Knob::IoMax { device, rate } => {
                let found = self.io.iter().find(|limit| *limit.device == **device)?;
                let limit = match rate {
                    IoRate::ReadBytes => found.read_bytes,
                    IoRate::WriteBytes => found.write_bytes,
                    IoRate::Reads => found.reads,
                    IoRate::Writes => found.writes,
                };
                limit.map(Value::Limit)
            }
            Knob::IoWeight => limit(Control::IoWeight).or_else(|| limit(Control::IoBfqWeight)),
            Knob::PidsMax => limit(Control::PidsMax),
            Knob::CpusetCpus | Knob::CpusetMems => None,
        }
    }

    /// The knobs that are set otherwise in `later` than here.
    #[must_use]
    pub fn knobs_changed(&self, later: &Self) -> Vec<KnobChange> {
        let mut devices: Vec<&str> = self.io.iter().chain(&later.io).map(|limit| &*limit.device).collect();
        devices.sort_unstable();
        devices.dedup();
        let io = devices.into_iter().flat_map(|device| {
            IoRate::ALL.into_iter().map(move |rate| Knob::IoMax { device: device.into(), rate })
        });
        Knob::PLAIN
            .into_iter()
            .chain(io)
            .filter_map(|knob| {
                let (before, after) = (self.knob(&knob), later.knob(&knob));
                (before != after).then_some(KnobChange { knob, before, after })
            })
            .collect()
    }

    /// The device's limits, made if there are none yet.
    pub fn io_device(&mut self, device: &str) -> &mut IoLimit {
        let at = match self.io.iter().position(|limit| &*limit.device == device) {
            Some(at) => at,
            None => {
                self.io.push(IoLimit::new(device));
                self.io.len() - 1
            }
        };
        &mut self.io[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_knobs_that_were_turned_are_told_on_v1_too() {
        let mut before = Controls::default();
        before.set(Control::MemorySoftLimit, Some(Limit::Max));
        before.set(Control::CpuQuota, Some(Limit::Max));
        before.set(Control::CpuPeriod, Some(Limit::Value(50_000)));
        before.set(Control::PidsMax, Some(Limit::Value(9)));
        let mut after = before.clone();
        after.set(Control::MemorySoftLimit, Some(Limit::Value(4096)));
        after.set(Control::CpuQuota, Some(Limit::Value(75_000)));
        after.io_device("vda").write_bytes = Some(Limit::Value(1));
        let device = Knob::IoMax { device: "vda".into(), rate: IoRate::WriteBytes };
        let changes = before.knobs_changed(&after);
        let told: Vec<_> =
            changes.iter().map(|change| (&change.knob, &change.before, &change.after)).collect();
        let max = Some(Value::Limit(Limit::Max));
        assert_eq!(
            told,
            [
                (&Knob::MemoryHigh, &max, &Some(Value::of(4096))),
                (&Knob::CpuMax, &max, &Some(Value::of(1_500_000))),
                (&device, &None, &Some(Value::of(1))),
            ]
        );
        assert_eq!(after.knobs_changed(&after), []);
    }
}
