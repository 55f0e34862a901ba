//! The fixed numbers of a cgroup: one variant a number, the same on every layout.

/// The unit a [`Field`] or a [`Control`](super::Control) is held in. The parsers convert; nobody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A count of things or events.
    Count,
    /// Nanoseconds (cgroup v2 gives microseconds, v1 nanoseconds or clock ticks).
    Nanoseconds,
    /// Microseconds, as cpu.max and its like are written.
    Microseconds,
    /// Hundredths of a percent, as PSI averages are printed (`12.34` is 1234).
    CentiPercent,
    /// Zero or one.
    Flag,
    /// Nanoseconds since 1970.
    Timestamp,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $unit:ident,)+) => {
        /// A number that every cgroup has at most once. Names follow the v2 files; v1 files fill the same fields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $name,)+ }

        impl Field {
            /// Every field, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The unit its readings are in.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit,)+ }
            }
        }
    };
}

fields! {
    /// `cgroup.events` populated: a process lives in the cgroup or below it.
    Populated: Flag,
    /// `cgroup.events` frozen, or v1 `freezer.state` is FROZEN: either freezer stops the tasks.
    Frozen: Flag,
    /// v1 `freezer.state` is FREEZING.
    FreezerFreezing: Flag,
    /// v1 `freezer.state` is FROZEN.
    FreezerFrozen: Flag,
    /// `cgroup.stat` nr_descendants.
    Descendants: Count,
    /// `cgroup.stat` nr_dying_descendants.
    DyingDescendants: Count,
    /// Lines of `cgroup.procs`.
    Processes: Count,
    /// Lines of `cgroup.threads`, v1 `tasks`.
    Threads: Count,

    /// Processes of the cgroup itself that run or wait for a CPU (`/proc/PID/stat`), as [`super::TaskState`] has it.
    ProcessesRunning: Count,
    /// Those that sleep.
    ProcessesSleeping: Count,
    /// Those that wait and cannot be woken.
    ProcessesDiskSleep: Count,
    /// Those that a signal stopped.
    ProcessesStopped: Count,
    /// Those that a debugger stopped.
    ProcessesTraced: Count,
    /// Threads of the kernel that have nothing to do.
    ProcessesIdle: Count,
    /// Those that have ended and still have a number.
    ProcessesZombie: Count,
    /// Threads of the cgroup's processes that run or wait for a CPU (`/proc/PID/task/TID/stat`).
    ThreadsRunning: Count,
    /// Those that sleep.
    ThreadsSleeping: Count,
    /// Those that wait and cannot be woken.
    ThreadsDiskSleep: Count,
    /// Those that a signal stopped.
    ThreadsStopped: Count,
    /// Those that a debugger stopped.
    ThreadsTraced: Count,
    /// Threads of the kernel that have nothing to do.
    ThreadsIdle: Count,
    /// When the oldest process of the cgroup itself was started.
    OldestProcessStart: Timestamp,
    /// Descriptors that the cgroup's processes have open, one that several have counted in each.
    OpenFiles: Count,

    /// `memory.current`, v1 `memory.usage_in_bytes`.
    MemoryCurrent: Bytes,
    /// `memory.peak`, v1 `memory.max_usage_in_bytes`.
    MemoryPeak: Bytes,
    /// Usage less inactive file pages, never below zero.
    MemoryWorkingSet: Bytes,
    /// `memory.swap.current`, v1 `memory.stat` total_swap.
    MemorySwapCurrent: Bytes,
    /// `memory.swap.peak`.
    MemorySwapPeak: Bytes,
    /// `memory.zswap.current`.
    MemoryZswapCurrent: Bytes,
    /// v1 `memory.memsw.usage_in_bytes`: memory and swap together.
    MemoryMemswCurrent: Bytes,
    /// v1 `memory.memsw.max_usage_in_bytes`.
    MemoryMemswPeak: Bytes,
    /// v1 `memory.kmem.usage_in_bytes`.
    MemoryKmemCurrent: Bytes,
    /// v1 `memory.kmem.max_usage_in_bytes`.
    MemoryKmemPeak: Bytes,
    /// v1 `memory.kmem.tcp.usage_in_bytes`.
    MemoryKmemTcpCurrent: Bytes,
    /// v1 `memory.kmem.tcp.max_usage_in_bytes`.
    MemoryKmemTcpPeak: Bytes,
    /// v1 `memory.failcnt`.
    MemoryFailures: Count,
    /// v1 `memory.memsw.failcnt`.
    MemoryMemswFailures: Count,
    /// v1 `memory.kmem.failcnt`.
    MemoryKmemFailures: Count,
    /// v1 `memory.kmem.tcp.failcnt`.
    MemoryKmemTcpFailures: Count,
    /// v1 `memory.oom_control` under_oom.
    MemoryUnderOom: Flag,
    /// The tightest `memory.max` of the cgroup and its ancestors.
    MemoryEffectiveMax: Bytes,
    /// The tightest `memory.high` of the cgroup and its ancestors.
    MemoryEffectiveHigh: Bytes,
    /// What is left before some `memory.max` of the cgroup or its ancestors is reached.
    MemoryHeadroomMax: Bytes,
    /// What is left before some `memory.high` of the cgroup or its ancestors is reached.
    MemoryHeadroomHigh: Bytes,

    /// `memory.events` low.
    MemoryEventsLow: Count,
    /// `memory.events` high.
    MemoryEventsHigh: Count,
    /// `memory.events` max.
    MemoryEventsMax: Count,
    /// `memory.events` oom.
    MemoryEventsOom: Count,
    /// `memory.events` oom_kill, v1 `memory.oom_control` oom_kill.
    MemoryEventsOomKill: Count,
    /// `memory.events` oom_group_kill.
    MemoryEventsOomGroupKill: Count,
    /// `memory.events` sock_throttled.
    MemoryEventsSockThrottled: Count,
    /// `memory.events.local` low.
    MemoryLocalEventsLow: Count,
    /// `memory.events.local` high.
    MemoryLocalEventsHigh: Count,
    /// `memory.events.local` max.
    MemoryLocalEventsMax: Count,
    /// `memory.events.local` oom.
    MemoryLocalEventsOom: Count,
    /// `memory.events.local` oom_kill.
    MemoryLocalEventsOomKill: Count,
    /// `memory.events.local` oom_group_kill.
    MemoryLocalEventsOomGroupKill: Count,
    /// `memory.events.local` sock_throttled.
    MemoryLocalEventsSockThrottled: Count,
    /// `memory.swap.events` high.
    MemorySwapEventsHigh: Count,
    /// `memory.swap.events` max.
    MemorySwapEventsMax: Count,
    /// `memory.swap.events` fail.
    MemorySwapEventsFail: Count,

    /// `cpu.stat` usage_usec, v1 `cpuacct.usage`.
    CpuUsage: Nanoseconds,
    /// `cpu.stat` user_usec, v1 `cpuacct.stat` user.
    CpuUser: Nanoseconds,
    /// `cpu.stat` system_usec, v1 `cpuacct.stat` system.
    CpuSystem: Nanoseconds,
    /// `cpu.stat` nice_usec: the niced part of user time.
    CpuNice: Nanoseconds,
    /// `cpu.stat` core_sched.force_idle_usec.
    CpuForceIdle: Nanoseconds,
    /// `cpu.stat` nr_periods.
    CpuPeriods: Count,
    /// `cpu.stat` nr_throttled.
    CpuThrottledPeriods: Count,
    /// `cpu.stat` throttled_usec, v1 throttled_time.
    CpuThrottled: Nanoseconds,
    /// `cpu.stat` nr_bursts.
    CpuBursts: Count,
    /// `cpu.stat` burst_usec, v1 burst_time.
    CpuBurst: Nanoseconds,
    /// `cpu.stat.local` throttled_usec: throttled by an own or an ancestor's quota.
    CpuLocalThrottled: Nanoseconds,

    /// `cpu.pressure` some avg10.
    CpuSomeAvg10: CentiPercent,
    /// `cpu.pressure` some avg60.
    CpuSomeAvg60: CentiPercent,
    /// `cpu.pressure` some avg300.
    CpuSomeAvg300: CentiPercent,
    /// `cpu.pressure` some total.
    CpuSomeTotal: Nanoseconds,
    /// `cpu.pressure` full avg10.
    CpuFullAvg10: CentiPercent,
    /// `cpu.pressure` full avg60.
    CpuFullAvg60: CentiPercent,
    /// `cpu.pressure` full avg300.
    CpuFullAvg300: CentiPercent,
    /// `cpu.pressure` full total.
    CpuFullTotal: Nanoseconds,
    /// `memory.pressure` some avg10.
    MemorySomeAvg10: CentiPercent,
    /// `memory.pressure` some avg60.
    MemorySomeAvg60: CentiPercent,
    /// `memory.pressure` some avg300.
    MemorySomeAvg300: CentiPercent,
    /// `memory.pressure` some total.
    MemorySomeTotal: Nanoseconds,
    /// `memory.pressure` full avg10.
    MemoryFullAvg10: CentiPercent,
    /// `memory.pressure` full avg60.
    MemoryFullAvg60: CentiPercent,
    /// `memory.pressure` full avg300.
    MemoryFullAvg300: CentiPercent,
    /// `memory.pressure` full total.
    MemoryFullTotal: Nanoseconds,
    /// `io.pressure` some avg10.
    IoSomeAvg10: CentiPercent,
    /// `io.pressure` some avg60.
    IoSomeAvg60: CentiPercent,
    /// `io.pressure` some avg300.
    IoSomeAvg300: CentiPercent,
    /// `io.pressure` some total.
    IoSomeTotal: Nanoseconds,
    /// `io.pressure` full avg10.
    IoFullAvg10: CentiPercent,
    /// `io.pressure` full avg60.
    IoFullAvg60: CentiPercent,
    /// `io.pressure` full avg300.
    IoFullAvg300: CentiPercent,
    /// `io.pressure` full total.
    IoFullTotal: Nanoseconds,
    /// `irq.pressure` full avg10.
    IrqFullAvg10: CentiPercent,
    /// `irq.pressure` full avg60.
    IrqFullAvg60: CentiPercent,
    /// `irq.pressure` full avg300.
    IrqFullAvg300: CentiPercent,
    /// `irq.pressure` full total.
    IrqFullTotal: Nanoseconds,

    /// `pids.current`.
    PidsCurrent: Count,
    /// `pids.peak`.
    PidsPeak: Count,
    /// `pids.events` max.
    PidsEventsMax: Count,
    /// `pids.events.local` max.
    PidsLocalEventsMax: Count,

    /// CPUs listed in `cpuset.cpus.effective`, v1 `cpuset.effective_cpus`.
    CpusetCpus: Count,
    /// NUMA nodes listed in `cpuset.mems.effective`, v1 `cpuset.effective_mems`.
    CpusetMems: Count,
}
