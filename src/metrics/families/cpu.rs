//! `cpu.*`, v1 `cpuacct.*`: time, throttling, quotas and weights.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Control, Field};

pub(super) const FAMILIES: &[Family] = &[
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_usage_seconds_total",
        "cpu.stat usage_usec, v1 cpuacct.usage",
        From::Fields(&[("", Field::CpuUsage)]),
        "CPU time used by the cgroup and its descendants.",
    )
    .essential(),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_user_seconds_total",
        "cpu.stat user_usec, v1 cpuacct.stat user",
        From::Fields(&[("", Field::CpuUser)]),
        "CPU time used in user mode.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_system_seconds_total",
        "cpu.stat system_usec, v1 cpuacct.stat system",
        From::Fields(&[("", Field::CpuSystem)]),
        "CPU time used in the kernel.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_nice_seconds_total",
        "cpu.stat nice_usec",
        From::Fields(&[("", Field::CpuNice)]),
        "The part of user time that ran niced.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_force_idle_seconds_total",
        "cpu.stat core_sched.force_idle_usec",
        From::Fields(&[("", Field::CpuForceIdle)]),
        "Time that sibling hyperthreads were kept idle for the cgroup by core scheduling.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_periods_total",
        "cpu.stat nr_periods",
        From::Fields(&[("", Field::CpuPeriods)]),
        "Quota periods in which the cgroup was runnable.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_throttled_periods_total",
        "cpu.stat nr_throttled",
        From::Fields(&[("", Field::CpuThrottledPeriods)]),
        "Quota periods in which the cgroup was throttled.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_throttled_seconds_total",
        "cpu.stat throttled_usec, v1 throttled_time",
        From::Fields(&[("", Field::CpuThrottled)]),
        "Time the cgroup was throttled by its own quota, summed over CPUs.",
    )
    .essential(),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_throttled_local_seconds_total",
        "cpu.stat.local throttled_usec",
        From::Fields(&[("", Field::CpuLocalThrottled)]),
        "Time the cgroup was throttled by its own or an ancestor's quota, summed over CPUs.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_bursts_total",
        "cpu.stat nr_bursts",
        From::Fields(&[("", Field::CpuBursts)]),
        "Quota periods in which saved up quota was used.",
    ),
    Family::counter(
        Collector::Cpu,
        "cgroup_cpu_burst_seconds_total",
        "cpu.stat burst_usec, v1 burst_time",
        From::Fields(&[("", Field::CpuBurst)]),
        "CPU time used above the quota out of what was saved up.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_limit_cores",
        "cpu.max, v1 cpu.cfs_quota_us and cpu.cfs_period_us",
        From::CpuLimit,
        "The quota over its period: how many CPUs the cgroup may use; unlimited is no series.",
    )
    .essential(),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_quota_seconds",
        "cpu.max, v1 cpu.cfs_quota_us",
        From::Controls(&[("", Control::CpuQuota)]),
        "CPU time the cgroup may use in a period.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_period_seconds",
        "cpu.max, v1 cpu.cfs_period_us",
        From::Controls(&[("", Control::CpuPeriod)]),
        "The period of the CPU quota.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_burst_limit_seconds",
        "cpu.max.burst, v1 cpu.cfs_burst_us",
        From::Controls(&[("", Control::CpuBurst)]),
        "How much unused quota the cgroup may save up.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_weight",
        "cpu.weight",
        From::Controls(&[("", Control::CpuWeight)]),
        "Share of CPU time among siblings, 1 to 10000.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_shares",
        "v1 cpu.shares",
        From::Controls(&[("", Control::CpuShares)]),
        "Share of CPU time among siblings, 2 to 262144.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_idle",
        "cpu.idle",
        From::Controls(&[("", Control::CpuIdle)]),
        "Whether the cgroup runs only when nothing else wants to (1) or not (0).",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_uclamp_ratio",
        "cpu.uclamp.min, cpu.uclamp.max",
        From::Controls(&[("min", Control::CpuUclampMin), ("max", Control::CpuUclampMax)]),
        "Bounds on the utilisation that the scheduler assumes when it chooses frequencies and CPUs.",
    )
    .labels(&["limit"]),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_realtime_runtime_seconds",
        "v1 cpu.rt_runtime_us",
        From::Controls(&[("", Control::CpuRtRuntime)]),
        "CPU time that realtime tasks of the cgroup may use in a realtime period.",
    ),
    Family::gauge(
        Collector::Cpu,
        "cgroup_cpu_realtime_period_seconds",
        "v1 cpu.rt_period_us",
        From::Controls(&[("", Control::CpuRtPeriod)]),
        "The period of the realtime quota.",
    ),
];
