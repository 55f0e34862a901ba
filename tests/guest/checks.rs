//! Which number of which kernel file each exported series is. Written from the kernel's documentation, not from the
//! program's tables, so that a mistake there does not agree with itself.

use crate::tree::Hierarchies;

/// Where in a file's text a number stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// The text is the number.
    Single,
    /// The text is the number, `max`, or v1's number for no limit.
    Limit,
    /// `name number`.
    Flat(&'static str),
    /// The total of the `some` or `full` line.
    Pressure(&'static str),
    /// `MAJ:MIN … name=number`.
    Device(&'static str, &'static str),
    /// v1: `MAJ:MIN Operation number`.
    Operation(&'static str, &'static str),
    /// v1: `MAJ:MIN number`.
    Throttle(&'static str),
    /// The number of lines.
    Lines,
    /// One if the text is the word, else zero.
    Word(&'static str),
    /// How many numbers are in a list such as `0-1,3`.
    Set,
}

/// One comparison.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) metric: &'static str,
    pub(crate) labels: &'static [(&'static str, &'static str)],
    /// Whose hierarchy has the file; `""` is cgroup2 without any controller.
    pub(crate) controller: &'static str,
    pub(crate) file: &'static str,
    pub(crate) key: Key,
    /// How many of the file's units make one of the metric's.
    pub(crate) per_unit: f64,
    pub(crate) kind: Kind,
}

/// How a number moves, which says how it is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Only up: what is exported lies between two readings.
    Counter,
    /// Up and down: compared once two readings are alike.
    Gauge,
    /// Set by a write: without a watch it is read at a slow clock only, so it may be late.
    Control,
    /// Moves without a notice and is read at the slow clock: compared only where a scenario is about it.
    Seldom,
}

type Labels = &'static [(&'static str, &'static str)];

const fn gauge(
    metric: &'static str,
    labels: Labels,
    controller: &'static str,
    file: &'static str,
    key: Key,
) -> Check {
    Check { metric, labels, controller, file, key, per_unit: 1.0, kind: Kind::Gauge }
}

const fn control(
    metric: &'static str,
    labels: Labels,
    controller: &'static str,
    file: &'static str,
    key: Key,
) -> Check {
    Check { metric, labels, controller, file, key, per_unit: 1.0, kind: Kind::Control }
}

const fn seldom(
    metric: &'static str,
    labels: Labels,
    controller: &'static str,
    file: &'static str,
    key: Key,
) -> Check {
    Check { metric, labels, controller, file, key, per_unit: 1.0, kind: Kind::Seldom }
}

const fn total(
    metric: &'static str,
    labels: Labels,
    controller: &'static str,
    file: &'static str,
    key: Key,
) -> Check {
    Check { metric, labels, controller, file, key, per_unit: 1.0, kind: Kind::Counter }
}

/// Seconds out of a file in smaller units.
const fn seconds(
    metric: &'static str,
    controller: &'static str,
    file: &'static str,
    key: Key,
    per_unit: f64,
) -> Check {
    Check { metric, labels: &[], controller, file, key, per_unit, kind: Kind::Counter }
}

const MICRO: f64 = 1e6;
const NANO: f64 = 1e9;
/// `USER_HZ` of x86-64: what v1 `cpuacct.stat` counts in.
const TICKS: f64 = 100.0;
const VDA: Labels = &[("device", "vda")];
const VDB: Labels = &[("device", "vdb")];

/// The files of cgroup2 that need no controller: there on unified and hybrid.
const FREE: &[Check] = &[
    gauge("cgroup_populated", &[], "", "cgroup.events", Key::Flat("populated")),
    gauge("cgroup_frozen", &[], "", "cgroup.events", Key::Flat("frozen")),
    gauge("cgroup_descendants", &[], "", "cgroup.stat", Key::Flat("nr_descendants")),
    gauge("cgroup_dying_descendants", &[], "", "cgroup.stat", Key::Flat("nr_dying_descendants")),
    gauge("cgroup_processes", &[], "", "cgroup.procs", Key::Lines),
    gauge("cgroup_threads", &[], "", "cgroup.threads", Key::Lines),
    seconds("cgroup_cpu_usage_seconds_total", "", "cpu.stat", Key::Flat("usage_usec"), MICRO),
    seconds("cgroup_cpu_user_seconds_total", "", "cpu.stat", Key::Flat("user_usec"), MICRO),
    seconds("cgroup_cpu_system_seconds_total", "", "cpu.stat", Key::Flat("system_usec"), MICRO),
    seconds("cgroup_pressure_cpu_waiting_seconds_total", "", "cpu.pressure", Key::Pressure("some"), MICRO),
    seconds("cgroup_pressure_cpu_stalled_seconds_total", "", "cpu.pressure", Key::Pressure("full"), MICRO),
    seconds(
        "cgroup_pressure_memory_waiting_seconds_total",
        "",
        "memory.pressure",
        Key::Pressure("some"),
        MICRO,
    ),
    seconds(
        "cgroup_pressure_memory_stalled_seconds_total",
        "",
        "memory.pressure",
        Key::Pressure("full"),
        MICRO,
    ),
    seconds("cgroup_pressure_io_waiting_seconds_total", "", "io.pressure", Key::Pressure("some"), MICRO),
    seconds("cgroup_pressure_io_stalled_seconds_total", "", "io.pressure", Key::Pressure("full"), MICRO),
    seconds("cgroup_pressure_irq_stalled_seconds_total", "", "irq.pressure", Key::Pressure("full"), MICRO),
];

/// The controllers' files on cgroup2.
const V2: &[Check] = &[
    gauge("cgroup_memory_current_bytes", &[], "memory", "memory.current", Key::Single),
    total("cgroup_memory_peak_bytes", &[], "memory", "memory.peak", Key::Single),
    gauge("cgroup_memory_swap_current_bytes", &[], "memory", "memory.swap.current", Key::Single),
    total("cgroup_memory_swap_peak_bytes", &[], "memory", "memory.swap.peak", Key::Single),
    control("cgroup_memory_limit_bytes", &[("limit", "max")], "memory", "memory.max", Key::Limit),
    control("cgroup_memory_limit_bytes", &[("limit", "high")], "memory", "memory.high", Key::Limit),
    control("cgroup_memory_limit_bytes", &[("limit", "low")], "memory", "memory.low", Key::Limit),
    control("cgroup_memory_limit_bytes", &[("limit", "min")], "memory", "memory.min", Key::Limit),
    control("cgroup_memory_limit_bytes", &[("limit", "swap_max")], "memory", "memory.swap.max", Key::Limit),
    control("cgroup_memory_oom_group", &[], "memory", "memory.oom.group", Key::Single),
    total("cgroup_memory_events_total", &[("event", "low")], "memory", "memory.events", Key::Flat("low")),
    total("cgroup_memory_events_total", &[("event", "high")], "memory", "memory.events", Key::Flat("high")),
    total("cgroup_memory_events_total", &[("event", "max")], "memory", "memory.events", Key::Flat("max")),
    total("cgroup_memory_events_total", &[("event", "oom")], "memory", "memory.events", Key::Flat("oom")),
    total(
        "cgroup_memory_events_total",
        &[("event", "oom_kill")],
        "memory",
        "memory.events",
        Key::Flat("oom_kill"),
    ),
    total(
        "cgroup_memory_events_total",
        &[("event", "oom_group_kill")],
        "memory",
        "memory.events",
        Key::Flat("oom_group_kill"),
    ),
    total(
        "cgroup_memory_events_local_total",
        &[("event", "oom_kill")],
        "memory",
        "memory.events.local",
        Key::Flat("oom_kill"),
    ),
    gauge("cgroup_memory_stat_bytes", &[("stat", "anon")], "memory", "memory.stat", Key::Flat("anon")),
    gauge("cgroup_memory_stat_bytes", &[("stat", "file")], "memory", "memory.stat", Key::Flat("file")),
    gauge("cgroup_memory_stat_bytes", &[("stat", "shmem")], "memory", "memory.stat", Key::Flat("shmem")),
    gauge("cgroup_memory_stat_bytes", &[("stat", "kernel")], "memory", "memory.stat", Key::Flat("kernel")),
    gauge(
        "cgroup_memory_stat_bytes",
        &[("stat", "inactive_file")],
        "memory",
        "memory.stat",
        Key::Flat("inactive_file"),
    ),
    total(
        "cgroup_memory_stat_events_total",
        &[("stat", "pgfault")],
        "memory",
        "memory.stat",
        Key::Flat("pgfault"),
    ),
    total(
        "cgroup_memory_stat_events_total",
        &[("stat", "workingset_refault_anon")],
        "memory",
        "memory.stat",
        Key::Flat("workingset_refault_anon"),
    ),
    total("cgroup_cpu_periods_total", &[], "cpu", "cpu.stat", Key::Flat("nr_periods")),
    total("cgroup_cpu_throttled_periods_total", &[], "cpu", "cpu.stat", Key::Flat("nr_throttled")),
    seconds("cgroup_cpu_throttled_seconds_total", "cpu", "cpu.stat", Key::Flat("throttled_usec"), MICRO),
    total("cgroup_cpu_bursts_total", &[], "cpu", "cpu.stat", Key::Flat("nr_bursts")),
    seconds("cgroup_cpu_burst_seconds_total", "cpu", "cpu.stat", Key::Flat("burst_usec"), MICRO),
    seconds(
        "cgroup_cpu_throttled_local_seconds_total",
        "cpu",
        "cpu.stat.local",
        Key::Flat("throttled_usec"),
        MICRO,
    ),
    control("cgroup_cpu_weight", &[], "cpu", "cpu.weight", Key::Single),
    total("cgroup_io_read_bytes_total", VDA, "io", "io.stat", Key::Device("vda", "rbytes")),
    total("cgroup_io_write_bytes_total", VDA, "io", "io.stat", Key::Device("vda", "wbytes")),
    total("cgroup_io_reads_total", VDA, "io", "io.stat", Key::Device("vda", "rios")),
    total("cgroup_io_writes_total", VDA, "io", "io.stat", Key::Device("vda", "wios")),
    total("cgroup_io_write_bytes_total", VDB, "io", "io.stat", Key::Device("vdb", "wbytes")),
    control("cgroup_io_read_limit_bytes_per_second", VDA, "io", "io.max", Key::Device("vda", "rbps")),
    control("cgroup_io_write_limit_operations_per_second", VDA, "io", "io.max", Key::Device("vda", "wiops")),
    gauge("cgroup_pids_current", &[], "pids", "pids.current", Key::Single),
    total("cgroup_pids_peak", &[], "pids", "pids.peak", Key::Single),
    control("cgroup_pids_limit", &[], "pids", "pids.max", Key::Limit),
    total("cgroup_pids_events_total", &[("event", "max")], "pids", "pids.events", Key::Flat("max")),
    seldom("cgroup_cpuset_effective_cpus", &[], "cpuset", "cpuset.cpus.effective", Key::Set),
    seldom("cgroup_cpuset_effective_mems", &[], "cpuset", "cpuset.mems.effective", Key::Set),
    gauge("cgroup_hugetlb_current_bytes", &[("size", "2MB")], "hugetlb", "hugetlb.2MB.current", Key::Single),
    control("cgroup_hugetlb_limit_bytes", &[("size", "2MB")], "hugetlb", "hugetlb.2MB.max", Key::Limit),
    total(
        "cgroup_hugetlb_failures_total",
        &[("size", "2MB")],
        "hugetlb",
        "hugetlb.2MB.events",
        Key::Flat("max"),
    ),
];

const BLKIO_BYTES: &str = "blkio.throttle.io_service_bytes_recursive";
const BLKIO_OPS: &str = "blkio.throttle.io_serviced_recursive";

/// The controllers' files on v1.
const V1: &[Check] = &[
    gauge("cgroup_memory_current_bytes", &[], "memory", "memory.usage_in_bytes", Key::Single),
    total("cgroup_memory_peak_bytes", &[], "memory", "memory.max_usage_in_bytes", Key::Single),
    gauge("cgroup_memory_swap_current_bytes", &[], "memory", "memory.stat", Key::Flat("total_swap")),
    control("cgroup_memory_limit_bytes", &[("limit", "max")], "memory", "memory.limit_in_bytes", Key::Limit),
    gauge("cgroup_memory_under_oom", &[], "memory", "memory.oom_control", Key::Flat("under_oom")),
    total(
        "cgroup_memory_events_total",
        &[("event", "oom_kill")],
        "memory",
        "memory.oom_control",
        Key::Flat("oom_kill"),
    ),
    total("cgroup_memory_failures_total", &[("counter", "memory")], "memory", "memory.failcnt", Key::Single),
    gauge("cgroup_memory_stat_bytes", &[("stat", "anon")], "memory", "memory.stat", Key::Flat("total_rss")),
    gauge("cgroup_memory_stat_bytes", &[("stat", "file")], "memory", "memory.stat", Key::Flat("total_cache")),
    gauge(
        "cgroup_memory_stat_bytes",
        &[("stat", "inactive_file")],
        "memory",
        "memory.stat",
        Key::Flat("total_inactive_file"),
    ),
    total(
        "cgroup_memory_stat_events_total",
        &[("stat", "pgfault")],
        "memory",
        "memory.stat",
        Key::Flat("total_pgfault"),
    ),
    total("cgroup_cpu_periods_total", &[], "cpu", "cpu.stat", Key::Flat("nr_periods")),
    total("cgroup_cpu_throttled_periods_total", &[], "cpu", "cpu.stat", Key::Flat("nr_throttled")),
    seconds("cgroup_cpu_throttled_seconds_total", "cpu", "cpu.stat", Key::Flat("throttled_time"), NANO),
    total("cgroup_cpu_bursts_total", &[], "cpu", "cpu.stat", Key::Flat("nr_bursts")),
    seconds("cgroup_cpu_burst_seconds_total", "cpu", "cpu.stat", Key::Flat("burst_time"), NANO),
    control("cgroup_cpu_shares", &[], "cpu", "cpu.shares", Key::Single),
    total("cgroup_io_read_bytes_total", VDA, "blkio", BLKIO_BYTES, Key::Operation("vda", "Read")),
    total("cgroup_io_write_bytes_total", VDA, "blkio", BLKIO_BYTES, Key::Operation("vda", "Write")),
    total("cgroup_io_reads_total", VDA, "blkio", BLKIO_OPS, Key::Operation("vda", "Read")),
    total("cgroup_io_writes_total", VDA, "blkio", BLKIO_OPS, Key::Operation("vda", "Write")),
    control(
        "cgroup_io_read_limit_bytes_per_second",
        VDA,
        "blkio",
        "blkio.throttle.read_bps_device",
        Key::Throttle("vda"),
    ),
    gauge("cgroup_pids_current", &[], "pids", "pids.current", Key::Single),
    control("cgroup_pids_limit", &[], "pids", "pids.max", Key::Limit),
    total("cgroup_pids_events_total", &[("event", "max")], "pids", "pids.events", Key::Flat("max")),
    seldom("cgroup_cpuset_effective_cpus", &[], "cpuset", "cpuset.effective_cpus", Key::Set),
    seldom("cgroup_cpuset_effective_mems", &[], "cpuset", "cpuset.effective_mems", Key::Set),
    gauge(
        "cgroup_hugetlb_current_bytes",
        &[("size", "2MB")],
        "hugetlb",
        "hugetlb.2MB.usage_in_bytes",
        Key::Single,
    ),
    total(
        "cgroup_hugetlb_peak_bytes",
        &[("size", "2MB")],
        "hugetlb",
        "hugetlb.2MB.max_usage_in_bytes",
        Key::Single,
    ),
    control(
        "cgroup_hugetlb_limit_bytes",
        &[("size", "2MB")],
        "hugetlb",
        "hugetlb.2MB.limit_in_bytes",
        Key::Limit,
    ),
    total("cgroup_hugetlb_failures_total", &[("size", "2MB")], "hugetlb", "hugetlb.2MB.failcnt", Key::Single),
    gauge("cgroup_freezer_state", &[("state", "frozen")], "freezer", "freezer.state", Key::Word("FROZEN")),
];

/// What cgroup2 gives without any controller and v1 elsewhere: only where there is no cgroup2.
const LEGACY: &[Check] = &[
    seconds("cgroup_cpu_usage_seconds_total", "cpuacct", "cpuacct.usage", Key::Single, NANO),
    seconds("cgroup_cpu_user_seconds_total", "cpuacct", "cpuacct.stat", Key::Flat("user"), TICKS),
    seconds("cgroup_cpu_system_seconds_total", "cpuacct", "cpuacct.stat", Key::Flat("system"), TICKS),
];

/// The comparisons for a guest: controller by controller, from the version that has it.
pub(crate) fn table(tree: &Hierarchies) -> impl Iterator<Item = &'static Check> {
    let alone: &[Check] = if tree.unified().is_none() { LEGACY } else { &[] };
    let unified = move |check: &&Check| tree.of(check.controller).is_some_and(|hierarchy| hierarchy.unified);
    let legacy = move |check: &&Check| tree.of(check.controller).is_some_and(|hierarchy| !hierarchy.unified);
    FREE.iter().chain(V2).filter(unified).chain(V1.iter().chain(alone).filter(legacy))
}
