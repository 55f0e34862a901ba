//! `container_*` and `machine_*`: the same numbers under the names and labels of cAdvisor and kubelet.
//!
//! cAdvisor's own counters without `_total` are gauges here: OpenMetrics has no counter of such a name.

mod tell;

use crate::metrics::family::{Family, From, Put};
use crate::metrics::text::{Kind, Scale};
use crate::model::{Cgroup, Collector, Column, Control, Field, HostField, RowKind, Snapshot};
use tell::{
    BYTES, OPERATIONS, control, devices, failures, interfaces, last_seen, limit, limit_or_machine,
    of_processes, shares, stat, tasks, with_quota,
};

type Tell = fn(&Snapshot, &Cgroup, &mut Put<'_>);

const fn gauge(
    collector: Collector,
    name: &'static str,
    source: &'static str,
    from: From,
    help: &'static str,
) -> Family {
    Family::gauge(collector, name, source, from, help).cadvisor()
}

const fn counter(
    collector: Collector,
    name: &'static str,
    source: &'static str,
    from: From,
    help: &'static str,
) -> Family {
    Family::counter(collector, name, source, from, help).cadvisor()
}

const fn pressure(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    counter(Collector::Pressure, name, source, from, help)
}

const fn disk(name: &'static str, source: &'static str, tell: Tell, help: &'static str) -> Family {
    counter(Collector::Io, name, source, From::Told(Scale::One, tell), help).labels(&["device"])
}

const fn network(name: &'static str, tell: Tell, help: &'static str) -> Family {
    let from = From::Told(Scale::One, tell);
    counter(Collector::Network, name, "/proc/PID/net/dev", from, help).labels(&["interface"])
}

const fn told(tell: Tell) -> From {
    From::Told(Scale::One, tell)
}

pub(crate) const FAMILIES: &[Family] = &[
    Family::always(
        Kind::Gauge,
        "container_last_seen",
        "the clock",
        told(|snapshot, cgroup, put| {
            if let Some(seconds) = last_seen(snapshot, cgroup) {
                put(&[], seconds);
            }
        }),
        "When the numbers of the cgroup were last read, seconds since 1970.",
    )
    .cadvisor(),
    counter(
        Collector::Cpu,
        "container_cpu_usage_seconds_total",
        "cpu.stat usage_usec, v1 cpuacct.usage",
        From::Fields(&[("total", Field::CpuUsage)]),
        "CPU time used, over all CPUs.",
    )
    .labels(&["cpu"])
    .essential(),
    counter(
        Collector::Cpu,
        "container_cpu_user_seconds_total",
        "cpu.stat user_usec, v1 cpuacct.stat user",
        From::Fields(&[("", Field::CpuUser)]),
        "CPU time used in user mode.",
    ),
    counter(
        Collector::Cpu,
        "container_cpu_system_seconds_total",
        "cpu.stat system_usec, v1 cpuacct.stat system",
        From::Fields(&[("", Field::CpuSystem)]),
        "CPU time used in the kernel.",
    ),
    counter(
        Collector::Cpu,
        "container_cpu_cfs_periods_total",
        "cpu.stat nr_periods",
        told(|_, cgroup, put| with_quota(cgroup, Field::CpuPeriods, put)),
        "Quota periods in which the cgroup was runnable, where it has a quota.",
    )
    .essential(),
    counter(
        Collector::Cpu,
        "container_cpu_cfs_throttled_periods_total",
        "cpu.stat nr_throttled",
        told(|_, cgroup, put| with_quota(cgroup, Field::CpuThrottledPeriods, put)),
        "Quota periods in which the cgroup was throttled, where it has a quota.",
    )
    .essential(),
    counter(
        Collector::Cpu,
        "container_cpu_cfs_throttled_seconds_total",
        "cpu.stat throttled_usec, v1 throttled_time",
        From::Told(Scale::Nano, |_, cgroup, put| with_quota(cgroup, Field::CpuThrottled, put)),
        "Time the cgroup was throttled, where it has a quota.",
    )
    .essential(),
    gauge(
        Collector::Cpu,
        "container_spec_cpu_quota",
        "cpu.max, v1 cpu.cfs_quota_us",
        told(|_, cgroup, put| control(cgroup, Control::CpuQuota, put)),
        "CPU time the cgroup may use in a period, in microseconds.",
    ),
    gauge(
        Collector::Cpu,
        "container_spec_cpu_period",
        "cpu.max, v1 cpu.cfs_period_us",
        told(|_, cgroup, put| control(cgroup, Control::CpuPeriod, put)),
        "The period of the CPU quota, in microseconds.",
    ),
    gauge(
        Collector::Cpu,
        "container_spec_cpu_shares",
        "v1 cpu.shares, else made from cpu.weight",
        told(|_, cgroup, put| {
            if let Some(shares) = shares(cgroup) {
                put(&[], shares);
            }
        }),
        "Share of CPU time among siblings, 2 to 262144.",
    ),
    gauge(
        Collector::Memory,
        "container_memory_usage_bytes",
        "memory.current, v1 memory.usage_in_bytes",
        From::Fields(&[("", Field::MemoryCurrent)]),
        "Memory charged to the cgroup, page cache included.",
    )
    .essential(),
    gauge(
        Collector::MemoryStat,
        "container_memory_working_set_bytes",
        "memory.current less inactive_file of memory.stat",
        From::Fields(&[("", Field::MemoryWorkingSet)]),
        "Memory less inactive file pages, never below zero.",
    )
    .essential(),
    gauge(
        Collector::Memory,
        "container_memory_max_usage_bytes",
        "memory.peak, v1 memory.max_usage_in_bytes",
        From::Fields(&[("", Field::MemoryPeak)]),
        "Most memory ever charged.",
    ),
    gauge(
        Collector::MemoryStat,
        "container_memory_rss",
        "memory.stat anon, v1 total_rss",
        told(|_, cgroup, put| stat(cgroup, "anon", put)),
        "Anonymous memory in bytes.",
    )
    .essential(),
    gauge(
        Collector::MemoryStat,
        "container_memory_cache",
        "memory.stat file, v1 total_cache",
        told(|_, cgroup, put| stat(cgroup, "file", put)),
        "Page cache in bytes.",
    ),
    gauge(
        Collector::MemoryStat,
        "container_memory_mapped_file",
        "memory.stat file_mapped, v1 total_mapped_file",
        told(|_, cgroup, put| stat(cgroup, "file_mapped", put)),
        "Mapped page cache in bytes.",
    ),
    gauge(
        Collector::Memory,
        "container_memory_swap",
        "memory.swap.current, v1 memory.stat total_swap",
        From::Fields(&[("", Field::MemorySwapCurrent)]),
        "Swap in use in bytes.",
    ),
    gauge(
        Collector::Memory,
        "container_memory_failcnt",
        "v1 memory.failcnt, else memory.events max",
        told(|_, cgroup, put| {
            let found = cgroup.readings.get(Field::MemoryFailures);
            if let Some(count) = found.or_else(|| cgroup.readings.get(Field::MemoryEventsMax)) {
                put(&[], count);
            }
        }),
        "Times the memory limit was hit.",
    ),
    counter(
        Collector::MemoryStat,
        "container_memory_failures_total",
        "memory.stat pgfault and pgmajfault",
        told(failures),
        "Page faults of the cgroup and its descendants; both scopes tell the same, as on cgroup v2.",
    )
    .labels(&["failure_type", "scope"]),
    counter(
        Collector::Memory,
        "container_oom_events_total",
        "memory.events oom_kill, v1 memory.oom_control oom_kill",
        From::Fields(&[("", Field::MemoryEventsOomKill)]),
        "Processes that the kernel killed for want of memory.",
    )
    .essential(),
    gauge(
        Collector::Memory,
        "container_spec_memory_limit_bytes",
        "memory.max, v1 memory.limit_in_bytes",
        told(|snapshot, cgroup, put| {
            limit_or_machine(snapshot, cgroup, HostField::MemoryTotal, &[Control::MemoryMax], put);
        }),
        "The memory limit, 0 where there is none; the memory of the machine in the root.",
    )
    .essential(),
    gauge(
        Collector::Memory,
        "container_spec_memory_swap_limit_bytes",
        "memory.swap.max, v1 memory.memsw.limit_in_bytes",
        told(|snapshot, cgroup, put| {
            let controls = [Control::MemorySwapMax, Control::MemoryMemswMax];
            limit_or_machine(snapshot, cgroup, HostField::SwapTotal, &controls, put);
        }),
        "The limit on swap, on v1 on memory and swap together, 0 where there is none; the swap of the machine in the root.",
    ),
    gauge(
        Collector::Memory,
        "container_spec_memory_reservation_limit_bytes",
        "memory.min, v1 memory.soft_limit_in_bytes",
        told(|_, cgroup, put| limit(cgroup, &[Control::MemoryMin, Control::MemorySoftLimit], put)),
        "The memory that is protected, 0 where none is.",
    ),
    disk(
        "container_fs_reads_bytes_total",
        "io.stat rbytes, v1 blkio.throttle.io_service_bytes_recursive",
        |_, cgroup, put| devices(cgroup, Column::IoReadBytes, BYTES, put),
        "Bytes read from the device.",
    ),
    disk(
        "container_fs_writes_bytes_total",
        "io.stat wbytes, v1 blkio.throttle.io_service_bytes_recursive",
        |_, cgroup, put| devices(cgroup, Column::IoWriteBytes, BYTES, put),
        "Bytes written to the device.",
    ),
    disk(
        "container_fs_reads_total",
        "io.stat rios, v1 blkio.throttle.io_serviced_recursive",
        |_, cgroup, put| devices(cgroup, Column::IoReads, OPERATIONS, put),
        "Reads issued to the device.",
    ),
    disk(
        "container_fs_writes_total",
        "io.stat wios, v1 blkio.throttle.io_serviced_recursive",
        |_, cgroup, put| devices(cgroup, Column::IoWrites, OPERATIONS, put),
        "Writes issued to the device.",
    ),
    gauge(
        Collector::Core,
        "container_processes",
        "cgroup.procs",
        From::Fields(&[("", Field::Processes)]),
        "Processes in the cgroup itself.",
    ),
    gauge(
        Collector::Pids,
        "container_threads",
        "pids.current",
        From::Fields(&[("", Field::PidsCurrent)]),
        "Threads in the cgroup and its descendants.",
    ),
    gauge(
        Collector::Pids,
        "container_threads_max",
        "pids.max",
        told(|_, cgroup, put| limit(cgroup, &[Control::PidsMax], put)),
        "Threads that there may be, 0 where there is no limit.",
    ),
    gauge(
        Collector::ThreadStates,
        "container_tasks_state",
        "/proc/PID/task/TID/stat",
        told(tasks),
        "Threads of the processes of the cgroup itself by state; cAdvisor gives 0 unless its load reader is on.",
    )
    .labels(&["state"]),
    gauge(
        Collector::OpenFiles,
        "container_file_descriptors",
        "/proc/PID/fd",
        told(|_, cgroup, put| of_processes(cgroup, &[], Field::OpenFiles, put)),
        "Descriptors that processes of the cgroup itself have open.",
    ),
    pressure(
        "container_pressure_cpu_waiting_seconds_total",
        "cpu.pressure some",
        From::Fields(&[("", Field::CpuSomeTotal)]),
        "Time in which at least one task waited for a CPU.",
    ),
    pressure(
        "container_pressure_cpu_stalled_seconds_total",
        "cpu.pressure full",
        From::Fields(&[("", Field::CpuFullTotal)]),
        "Time in which every task that was not idle waited for a CPU.",
    ),
    pressure(
        "container_pressure_memory_waiting_seconds_total",
        "memory.pressure some",
        From::Fields(&[("", Field::MemorySomeTotal)]),
        "Time in which at least one task waited for memory.",
    ),
    pressure(
        "container_pressure_memory_stalled_seconds_total",
        "memory.pressure full",
        From::Fields(&[("", Field::MemoryFullTotal)]),
        "Time in which every task that was not idle waited for memory.",
    ),
    pressure(
        "container_pressure_io_waiting_seconds_total",
        "io.pressure some",
        From::Fields(&[("", Field::IoSomeTotal)]),
        "Time in which at least one task waited for I/O.",
    ),
    pressure(
        "container_pressure_io_stalled_seconds_total",
        "io.pressure full",
        From::Fields(&[("", Field::IoFullTotal)]),
        "Time in which every task that was not idle waited for I/O.",
    ),
    gauge(
        Collector::Hugetlb,
        "container_hugetlb_usage_bytes",
        "hugetlb.SIZE.current, v1 hugetlb.SIZE.usage_in_bytes",
        From::Column(Column::HugetlbCurrent, &[RowKind::Hugetlb]),
        "Huge pages in use.",
    )
    .labels(&["pagesize"]),
    gauge(
        Collector::Hugetlb,
        "container_hugetlb_max_usage_bytes",
        "v1 hugetlb.SIZE.max_usage_in_bytes",
        From::Column(Column::HugetlbPeak, &[RowKind::Hugetlb]),
        "Most huge pages ever in use.",
    )
    .labels(&["pagesize"]),
    gauge(
        Collector::Hugetlb,
        "container_hugetlb_failcnt",
        "hugetlb.SIZE.events max, v1 hugetlb.SIZE.failcnt",
        From::Column(Column::HugetlbFailures, &[RowKind::Hugetlb]),
        "Times the limit refused a huge page.",
    )
    .labels(&["pagesize"]),
    network(
        "container_network_receive_bytes_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkReceiveBytes, put),
        "Bytes that the device received, in a network namespace that the cgroup has for itself.",
    ),
    network(
        "container_network_receive_packets_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkReceivePackets, put),
        "Packets that the device received.",
    ),
    network(
        "container_network_receive_errors_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkReceiveErrors, put),
        "Errors of the device in receiving.",
    ),
    network(
        "container_network_receive_packets_dropped_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkReceiveDrops, put),
        "Packets that the device received and dropped.",
    ),
    network(
        "container_network_transmit_bytes_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkTransmitBytes, put),
        "Bytes that the device sent, in a network namespace that the cgroup has for itself.",
    ),
    network(
        "container_network_transmit_packets_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkTransmitPackets, put),
        "Packets that the device sent.",
    ),
    network(
        "container_network_transmit_errors_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkTransmitErrors, put),
        "Errors of the device in sending.",
    ),
    network(
        "container_network_transmit_packets_dropped_total",
        |_, cgroup, put| interfaces(cgroup, Column::NetworkTransmitDrops, put),
        "Packets that the device was to send and dropped.",
    ),
    gauge(
        Collector::Host,
        "machine_cpu_cores",
        "/sys/devices/system/cpu/online",
        From::Host(HostField::Cpus),
        "CPUs online.",
    ),
    gauge(
        Collector::Host,
        "machine_memory_bytes",
        "/proc/meminfo MemTotal",
        From::Host(HostField::MemoryTotal),
        "Memory that the kernel manages.",
    ),
    gauge(
        Collector::Host,
        "machine_swap_bytes",
        "/proc/meminfo SwapTotal",
        From::Host(HostField::SwapTotal),
        "Swap space.",
    ),
];
