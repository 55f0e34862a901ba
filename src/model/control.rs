//! Limits, weights and switches: what somebody wrote into a cgroup's control files.

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
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A control file's value, the same name on every layout.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Control { $($(#[$doc])* $name,)+ }

        impl Control {
            /// Every control, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
        }
    };
}

controls! {
    /// `memory.min`, bytes.
    MemoryMin,
    /// `memory.low`, bytes.
    MemoryLow,
    /// `memory.high`, bytes.
    MemoryHigh,
    /// `memory.max`, v1 `memory.limit_in_bytes`, bytes.
    MemoryMax,
    /// v1 `memory.soft_limit_in_bytes`, bytes.
    MemorySoftLimit,
    /// v1 `memory.memsw.limit_in_bytes`, bytes.
    MemoryMemswMax,
    /// v1 `memory.kmem.limit_in_bytes`, bytes.
    MemoryKmemMax,
    /// v1 `memory.kmem.tcp.limit_in_bytes`, bytes.
    MemoryKmemTcpMax,
    /// `memory.swap.high`, bytes.
    MemorySwapHigh,
    /// `memory.swap.max`, bytes.
    MemorySwapMax,
    /// `memory.zswap.max`, bytes.
    MemoryZswapMax,
    /// `memory.oom.group`, 0 or 1.
    MemoryOomGroup,
    /// v1 `memory.oom_control` oom_kill_disable, 0 or 1.
    MemoryOomKillDisable,
    /// `cpu.max` quota, v1 `cpu.cfs_quota_us`, microseconds a period.
    CpuQuota,
    /// `cpu.max` period, v1 `cpu.cfs_period_us`, microseconds.
    CpuPeriod,
    /// `cpu.max.burst`, v1 `cpu.cfs_burst_us`, microseconds.
    CpuBurst,
    /// `cpu.weight`, 1 to 10000.
    CpuWeight,
    /// v1 `cpu.shares`, 2 to 262144.
    CpuShares,
    /// `cpu.idle`, 0 or 1.
    CpuIdle,
    /// `cpu.uclamp.min`, hundredths of a percent.
    CpuUclampMin,
    /// `cpu.uclamp.max`, hundredths of a percent.
    CpuUclampMax,
    /// v1 `cpu.rt_runtime_us`, microseconds a period.
    CpuRtRuntime,
    /// v1 `cpu.rt_period_us`, microseconds.
    CpuRtPeriod,
    /// `io.weight` default, 1 to 10000.
    IoWeight,
    /// `io.bfq.weight` default, v1 `blkio.bfq.weight`, 1 to 1000.
    IoBfqWeight,
    /// `pids.max`.
    PidsMax,
    /// `cgroup.max.depth`.
    MaxDepth,
    /// `cgroup.max.descendants`.
    MaxDescendants,
    /// v1 `net_cls.classid`.
    NetClassid,
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
