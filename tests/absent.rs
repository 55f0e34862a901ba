//! Absent is absent, from file to series: a file alone makes its families and no other, `max` and no file make none.
//! Every family of the table must be made by some file here.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use stockade::metrics::{self, Options, Own};
use stockade::sample::{Sampler, carried};
use support::fake::FakeTree;

/// A cgroup with these files in one hierarchy, and the families that it then has, without `cgroup_`.
struct Case {
    /// The v1 hierarchy's name; empty on v2.
    hierarchy: &'static str,
    files: &'static [(&'static str, &'static str)],
    families: &'static [&'static str],
}

const fn v2(files: &'static [(&'static str, &'static str)], families: &'static [&'static str]) -> Case {
    Case { hierarchy: "", files, families }
}

const fn v1(
    hierarchy: &'static str,
    files: &'static [(&'static str, &'static str)],
    families: &'static [&'static str],
) -> Case {
    Case { hierarchy, files, families }
}

const STALL: &str =
    "some avg10=0.10 avg60=0.10 avg300=0.10 total=1\nfull avg10=0.10 avg60=0.10 avg300=0.10 total=1\n";
const FULL: &str = "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
const SOME: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
/// v1's "no limit".
const UNLIMITED: &str = "9223372036854771712\n";

const UNIFIED: &[Case] = &[
    // Core.
    v2(&[("cgroup.events", "populated 1\nfrozen 0\n")], &["populated", "frozen"]),
    v2(&[("cgroup.events", "populated 1\n")], &["populated"]),
    v2(
        &[("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n")],
        &["descendants", "dying_descendants"],
    ),
    v2(&[("cgroup.threads", "1\n")], &["threads"]),
    v2(&[("cgroup.max.depth", "3\n")], &["depth_limit"]),
    v2(&[("cgroup.max.depth", "max\n"), ("cgroup.max.descendants", "max\n")], &[]),
    v2(&[("cgroup.max.descendants", "3\n")], &["descendants_limit"]),
    // CPU.
    v2(
        &[("cpu.stat", "usage_usec 3\nuser_usec 2\nsystem_usec 1\n")],
        &["cpu_usage_seconds_total", "cpu_user_seconds_total", "cpu_system_seconds_total"],
    ),
    v2(&[("cpu.stat", "nice_usec 0\n")], &["cpu_nice_seconds_total"]),
    v2(&[("cpu.stat", "core_sched.force_idle_usec 0\n")], &["cpu_force_idle_seconds_total"]),
    v2(
        &[("cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n")],
        &[
            "cpu_periods_total",
            "cpu_throttled_periods_total",
            "cpu_throttled_seconds_total",
            "cpu_bursts_total",
            "cpu_burst_seconds_total",
        ],
    ),
    v2(&[("cpu.stat.local", "throttled_usec 0\n")], &["cpu_throttled_local_seconds_total"]),
    v2(&[("cpu.max", "5 10\n")], &["cpu_limit_cores", "cpu_quota_seconds", "cpu_period_seconds"]),
    v2(&[("cpu.max", "max 100000\n")], &["cpu_period_seconds"]),
    v2(&[("cpu.max.burst", "0\n")], &["cpu_burst_limit_seconds"]),
    v2(&[("cpu.weight", "100\n")], &["cpu_weight"]),
    v2(&[("cpu.idle", "0\n")], &["cpu_idle"]),
    v2(&[("cpu.uclamp.min", "0.00\n")], &["cpu_uclamp_ratio"]),
    v2(&[("cpu.uclamp.max", "max\n")], &["cpu_uclamp_ratio"]),
    // Memory.
    v2(&[("memory.current", "0\n")], &["memory_current_bytes"]),
    v2(&[("memory.peak", "0\n")], &["memory_peak_bytes"]),
    v2(&[("memory.swap.current", "0\n")], &["memory_swap_current_bytes"]),
    v2(&[("memory.swap.peak", "0\n")], &["memory_swap_peak_bytes"]),
    v2(&[("memory.zswap.current", "0\n")], &["memory_zswap_current_bytes"]),
    v2(&[("memory.events", "oom_kill 0\n")], &["memory_events_total"]),
    v2(&[("memory.events", "a_kind_to_come 1\n")], &[]),
    v2(&[("memory.events.local", "oom_kill 0\n")], &["memory_events_local_total"]),
    v2(&[("memory.swap.events", "fail 0\n")], &["memory_swap_events_total"]),
    v2(&[("memory.stat", "anon 0\n")], &["memory_stat_bytes"]),
    v2(&[("memory.stat", "pgfault 0\n")], &["memory_stat_events_total"]),
    v2(&[("memory.stat", "workingset_nodes 0\n")], &["memory_stat_objects"]),
    v2(&[("memory.stat", "")], &[]),
    v2(
        &[("memory.stat", "inactive_file 0\n"), ("memory.current", "0\n")],
        &["memory_stat_bytes", "memory_current_bytes", "memory_working_set_bytes"],
    ),
    v2(&[("memory.numa_stat", "anon N0=0\n")], &["memory_numa_stat_bytes"]),
    v2(&[("memory.numa_stat", "workingset_refault_anon N0=0\n")], &["memory_numa_stat_events_total"]),
    v2(&[("memory.max", "1\n")], &["memory_limit_bytes", "memory_effective_limit_bytes"]),
    v2(&[("memory.high", "1\n")], &["memory_limit_bytes", "memory_effective_limit_bytes"]),
    v2(
        &[("memory.max", "1\n"), ("memory.current", "0\n")],
        &[
            "memory_limit_bytes",
            "memory_effective_limit_bytes",
            "memory_headroom_bytes",
            "memory_current_bytes",
        ],
    ),
    v2(&[("memory.low", "0\n")], &["memory_limit_bytes"]),
    v2(&[("memory.min", "0\n")], &["memory_limit_bytes"]),
    v2(&[("memory.swap.max", "0\n")], &["memory_limit_bytes"]),
    v2(&[("memory.swap.high", "0\n")], &["memory_limit_bytes"]),
    v2(&[("memory.zswap.max", "0\n")], &["memory_limit_bytes"]),
    v2(
        &[
            ("memory.max", "max\n"),
            ("memory.high", "max\n"),
            ("memory.low", "max\n"),
            ("memory.min", "max\n"),
            ("memory.swap.max", "max\n"),
            ("memory.swap.high", "max\n"),
            ("memory.zswap.max", "max\n"),
        ],
        &[],
    ),
    v2(&[("memory.oom.group", "0\n")], &["memory_oom_group"]),
    // I/O.
    v2(&[("io.stat", "8:0 rbytes=0\n")], &["io_read_bytes_total"]),
    v2(&[("io.stat", "8:0 wbytes=0\n")], &["io_write_bytes_total"]),
    v2(&[("io.stat", "8:0 dbytes=0\n")], &["io_discard_bytes_total"]),
    v2(&[("io.stat", "8:0 rios=0\n")], &["io_reads_total"]),
    v2(&[("io.stat", "8:0 wios=0\n")], &["io_writes_total"]),
    v2(&[("io.stat", "8:0 dios=0\n")], &["io_discards_total"]),
    v2(
        &[("io.stat", "8:0 cost.usage=0 cost.wait=0 cost.indebt=0 cost.indelay=0\n")],
        &[
            "io_cost_usage_seconds_total",
            "io_cost_wait_seconds_total",
            "io_cost_indebt_seconds_total",
            "io_cost_indelay_seconds_total",
        ],
    ),
    v2(&[("io.stat", "")], &[]),
    v2(&[("io.stat", "8:0 \n")], &[]),
    v2(&[("io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n")], &["io_read_limit_bytes_per_second"]),
    v2(&[("io.max", "8:0 rbps=max wbps=1 riops=max wiops=max\n")], &["io_write_limit_bytes_per_second"]),
    v2(&[("io.max", "8:0 rbps=max wbps=max riops=1 wiops=max\n")], &["io_read_limit_operations_per_second"]),
    v2(&[("io.max", "8:0 rbps=max wbps=max riops=max wiops=1\n")], &["io_write_limit_operations_per_second"]),
    v2(&[("io.max", "8:0 rbps=max wbps=max riops=max wiops=max\n")], &[]),
    v2(&[("io.latency", "8:0 target=75000\n")], &["io_latency_target_seconds"]),
    v2(&[("io.weight", "default 100\n")], &["io_weight"]),
    v2(&[("io.weight", "default 100\n8:0 50\n")], &["io_weight", "io_device_weight"]),
    v2(&[("io.bfq.weight", "default 100\n")], &["io_bfq_weight"]),
    // Pressure.
    v2(
        &[("cpu.pressure", STALL)],
        &[
            "pressure_cpu_waiting_seconds_total",
            "pressure_cpu_stalled_seconds_total",
            "pressure_cpu_waiting_ratio",
            "pressure_cpu_stalled_ratio",
        ],
    ),
    v2(&[("cpu.pressure", SOME)], &["pressure_cpu_waiting_seconds_total", "pressure_cpu_waiting_ratio"]),
    v2(
        &[("memory.pressure", STALL)],
        &[
            "pressure_memory_waiting_seconds_total",
            "pressure_memory_stalled_seconds_total",
            "pressure_memory_waiting_ratio",
            "pressure_memory_stalled_ratio",
        ],
    ),
    v2(
        &[("io.pressure", STALL)],
        &[
            "pressure_io_waiting_seconds_total",
            "pressure_io_stalled_seconds_total",
            "pressure_io_waiting_ratio",
            "pressure_io_stalled_ratio",
        ],
    ),
    v2(&[("irq.pressure", FULL)], &["pressure_irq_stalled_seconds_total", "pressure_irq_stalled_ratio"]),
    // The rest.
    v2(&[("pids.current", "0\n")], &["pids_current"]),
    v2(&[("pids.peak", "0\n")], &["pids_peak"]),
    v2(&[("pids.max", "0\n")], &["pids_limit"]),
    v2(&[("pids.max", "max\n")], &[]),
    v2(&[("pids.events", "max 0\n")], &["pids_events_total"]),
    v2(&[("pids.events.local", "max 0\n")], &["pids_events_local_total"]),
    v2(&[("cpuset.cpus.effective", "0-1\n")], &["cpuset_effective_cpus"]),
    v2(&[("cpuset.mems.effective", "0\n")], &["cpuset_effective_mems"]),
    v2(&[("hugetlb.2MB.current", "0\n")], &["hugetlb_current_bytes"]),
    v2(&[("hugetlb.2MB.rsvd.current", "0\n")], &["hugetlb_reserved_bytes"]),
    v2(&[("hugetlb.2MB.max", "0\n")], &["hugetlb_limit_bytes"]),
    v2(&[("hugetlb.2MB.max", "max\n")], &[]),
    v2(&[("hugetlb.2MB.events", "max 0\n")], &["hugetlb_failures_total"]),
    v2(&[("hugetlb.1GB.current", "0\n")], &[]),
    v2(&[("rdma.current", "mlx4_0 hca_handle=0 hca_object=0\n")], &["rdma_handles", "rdma_objects"]),
    v2(&[("rdma.max", "mlx4_0 hca_handle=2 hca_object=max\n")], &["rdma_handles_limit"]),
    v2(&[("rdma.max", "mlx4_0 hca_handle=max hca_object=2\n")], &["rdma_objects_limit"]),
    v2(&[("rdma.max", "mlx4_0 hca_handle=max hca_object=max\n")], &[]),
    v2(&[("misc.current", "sev 0\n")], &["misc_current"]),
    v2(&[("misc.peak", "sev 0\n")], &["misc_peak"]),
    v2(&[("misc.max", "sev 4\n")], &["misc_limit"]),
    v2(&[("misc.max", "sev max\n")], &[]),
    v2(&[("misc.events", "sev.max 0\n")], &["misc_failures_total"]),
];

const LEGACY: &[Case] = &[
    v1("memory", &[("tasks", "1\n")], &["threads"]),
    v1("memory", &[("memory.usage_in_bytes", "0\n")], &["memory_current_bytes"]),
    v1("memory", &[("memory.max_usage_in_bytes", "0\n")], &["memory_peak_bytes"]),
    v1("memory", &[("memory.failcnt", "0\n")], &["memory_failures_total"]),
    v1("memory", &[("memory.memsw.usage_in_bytes", "0\n")], &["memory_memsw_current_bytes"]),
    v1("memory", &[("memory.memsw.max_usage_in_bytes", "0\n")], &["memory_memsw_peak_bytes"]),
    v1("memory", &[("memory.kmem.usage_in_bytes", "0\n")], &["memory_kmem_current_bytes"]),
    v1("memory", &[("memory.kmem.max_usage_in_bytes", "0\n")], &["memory_kmem_peak_bytes"]),
    v1("memory", &[("memory.kmem.tcp.usage_in_bytes", "0\n")], &["memory_kmem_tcp_current_bytes"]),
    v1("memory", &[("memory.kmem.tcp.max_usage_in_bytes", "0\n")], &["memory_kmem_tcp_peak_bytes"]),
    v1(
        "memory",
        &[("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")],
        &["memory_oom_kill_disabled", "memory_under_oom", "memory_events_total"],
    ),
    v1("memory", &[("memory.oom_control", "oom_kill_disable 0\n")], &["memory_oom_kill_disabled"]),
    v1("memory", &[("memory.stat", "rss 1\n")], &[]),
    v1("memory", &[("memory.stat", "total_rss 0\n")], &["memory_stat_bytes"]),
    v1("memory", &[("memory.stat", "total_swap 0\n")], &["memory_stat_bytes", "memory_swap_current_bytes"]),
    v1("memory", &[("memory.numa_stat", "hierarchical_total=0 N0=0\n")], &["memory_numa_stat_bytes"]),
    v1(
        "memory",
        &[("memory.limit_in_bytes", "4096\n")],
        &["memory_limit_bytes", "memory_effective_limit_bytes"],
    ),
    v1("memory", &[("memory.soft_limit_in_bytes", "4096\n")], &["memory_limit_bytes"]),
    v1(
        "memory",
        &[
            ("memory.limit_in_bytes", UNLIMITED),
            ("memory.soft_limit_in_bytes", UNLIMITED),
            ("memory.memsw.limit_in_bytes", UNLIMITED),
            ("memory.kmem.limit_in_bytes", UNLIMITED),
            ("memory.kmem.tcp.limit_in_bytes", UNLIMITED),
        ],
        &[],
    ),
    v1("cpu", &[("cpu.stat", "nr_periods 0\n")], &["cpu_periods_total"]),
    v1("cpu", &[("cpu.stat", "throttled_time 0\n")], &["cpu_throttled_seconds_total"]),
    v1("cpu", &[("cpu.shares", "1024\n")], &["cpu_shares"]),
    v1("cpu", &[("cpu.cfs_quota_us", "-1\n")], &[]),
    v1("cpu", &[("cpu.cfs_quota_us", "5\n")], &["cpu_quota_seconds"]),
    v1("cpu", &[("cpu.cfs_period_us", "5\n")], &["cpu_period_seconds"]),
    v1("cpu", &[("cpu.rt_runtime_us", "0\n")], &["cpu_realtime_runtime_seconds"]),
    v1("cpu", &[("cpu.rt_runtime_us", "-1\n")], &[]),
    v1("cpu", &[("cpu.rt_period_us", "1000000\n")], &["cpu_realtime_period_seconds"]),
    v1("cpuacct", &[("cpuacct.usage", "0\n")], &["cpu_usage_seconds_total"]),
    v1("cpuacct", &[("cpuacct.stat", "user 0\n")], &["cpu_user_seconds_total"]),
    v1("cpuacct", &[("cpuacct.stat", "system 0\n")], &["cpu_system_seconds_total"]),
    v1(
        "blkio",
        &[("blkio.throttle.io_service_bytes_recursive", "8:0 Read 0\nTotal 0\n")],
        &["io_read_bytes_total"],
    ),
    v1("blkio", &[("blkio.throttle.io_service_bytes_recursive", "Total 0\n")], &[]),
    v1("blkio", &[("blkio.throttle.io_serviced_recursive", "8:0 Write 0\n")], &["io_writes_total"]),
    v1(
        "blkio",
        &[("blkio.bfq.io_service_bytes_recursive", "8:0 Read 0\n8:0 Write 0\n8:0 Discard 0\n")],
        &["io_bfq_read_bytes_total", "io_bfq_write_bytes_total", "io_bfq_discard_bytes_total"],
    ),
    v1(
        "blkio",
        &[("blkio.bfq.io_serviced_recursive", "8:0 Read 0\n8:0 Write 0\n8:0 Discard 0\n")],
        &["io_bfq_reads_total", "io_bfq_writes_total", "io_bfq_discards_total"],
    ),
    v1("blkio", &[("blkio.throttle.read_bps_device", "8:0 1\n")], &["io_read_limit_bytes_per_second"]),
    v1("blkio", &[("blkio.throttle.read_bps_device", "")], &[]),
    v1("blkio", &[("blkio.bfq.weight", "100\n")], &["io_bfq_weight"]),
    v1("pids", &[("pids.current", "0\n")], &["pids_current"]),
    v1("pids", &[("pids.max", "max\n")], &[]),
    v1("freezer", &[("freezer.state", "THAWED\n")], &["freezer_state", "frozen"]),
    v1("cpuset", &[("cpuset.effective_cpus", "0\n")], &["cpuset_effective_cpus"]),
    v1("hugetlb", &[("hugetlb.2MB.usage_in_bytes", "0\n")], &["hugetlb_current_bytes"]),
    v1("hugetlb", &[("hugetlb.2MB.max_usage_in_bytes", "0\n")], &["hugetlb_peak_bytes"]),
    v1("hugetlb", &[("hugetlb.2MB.limit_in_bytes", UNLIMITED)], &[]),
    v1("hugetlb", &[("hugetlb.2MB.failcnt", "0\n")], &["hugetlb_failures_total"]),
    v1("net_cls", &[("net_cls.classid", "0\n")], &["net_cls_classid"]),
];

/// The series of each cgroup, by family, in one exposition of everything. Host families stand under no name.
fn families(tree: &FakeTree) -> BTreeMap<String, BTreeSet<String>> {
    let snapshot = Sampler::new(tree.settings(), carried()).expect("a hierarchy").pass();
    for row in &snapshot.report.faults {
        assert_eq!(row.source, "meminfo", "{row:?}");
    }
    let options = Options { pressure_averages: true, ..Options::default() };
    let mut text = Vec::new();
    metrics::render(&snapshot, &options, &Own::new(), &mut text);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(text).expect("text").lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let cgroup = line.split_once("{cgroup=\"").and_then(|(_, rest)| rest.split('"').next());
        if name.starts_with("cgroup_") || name.starts_with("host_") {
            found.entry(cgroup.unwrap_or_default().to_owned()).or_default().insert(name.to_owned());
        }
    }
    found
}

/// Puts each case into a cgroup of its own and compares the families; gives all that were made.
fn check(tree: &FakeTree, cases: &[Case]) -> BTreeSet<String> {
    fs::create_dir_all(tree.sysfs().join("kernel/mm/hugepages/hugepages-2048kB")).expect("a directory");
    let directory =
        |case: &Case, name: &str| format!("{}/{name}", case.hierarchy).trim_matches('/').to_owned();
    for (number, case) in cases.iter().enumerate() {
        // Each has its list of processes, and so have those that have nothing else.
        for name in [format!("case-{number}"), format!("bare-{number}")] {
            tree.write(&directory(case, &name), "cgroup.procs", "1\n");
        }
        for (file, content) in case.files {
            tree.write(&directory(case, &format!("case-{number}")), file, content);
        }
    }
    let found = families(tree);
    let bare = BTreeSet::from(["cgroup_info".to_owned(), "cgroup_processes".to_owned()]);
    for (number, case) in cases.iter().enumerate() {
        assert_eq!(found[&format!("/bare-{number}")], bare);
        let mut expected = bare.clone();
        expected.extend(case.families.iter().map(|family| format!("cgroup_{family}")));
        assert_eq!(found[&format!("/case-{number}")], expected, "{} {:?}", case.hierarchy, case.files);
    }
    found.into_values().flatten().collect()
}

fn host() -> BTreeSet<String> {
    let tree = FakeTree::unified("");
    let hosts = |tree: &FakeTree| families(tree).remove("").unwrap_or_default();
    // Without files nothing is told, and that meminfo is missing is said.
    let snapshot = Sampler::new(tree.settings(), carried()).expect("a hierarchy").pass();
    assert_eq!(snapshot.report.faults.iter().map(|row| row.source).collect::<Vec<_>>(), ["meminfo"]);

    let required = [
        "MemTotal",
        "MemFree",
        "Buffers",
        "Cached",
        "SwapCached",
        "Active",
        "Inactive",
        "SwapTotal",
        "SwapFree",
        "Dirty",
        "Writeback",
        "Mapped",
        "Slab",
        "Committed_AS",
        "VmallocTotal",
        "VmallocUsed",
        "VmallocChunk",
    ];
    let meminfo: String = required.iter().map(|name| format!("{name}: 0 kB\n")).collect();
    fs::write(tree.procfs().join("meminfo"), &meminfo).expect("a file");
    let mut expected = BTreeSet::from(
        ["host_memory_total_bytes", "host_swap_total_bytes", "host_swap_free_bytes"].map(str::to_owned),
    );
    assert_eq!(hosts(&tree), expected, "an old kernel has no MemAvailable, and this one no pressure");

    fs::write(tree.procfs().join("meminfo"), meminfo + "MemAvailable: 0 kB\n").expect("a file");
    expected.insert("host_memory_available_bytes".to_owned());
    assert_eq!(hosts(&tree), expected);

    fs::create_dir_all(tree.sysfs().join("devices/system/cpu")).expect("a directory");
    fs::write(tree.sysfs().join("devices/system/cpu/online"), "0-1\n").expect("a file");
    expected.insert("host_cpus".to_owned());
    assert_eq!(hosts(&tree), expected);

    fs::create_dir(tree.procfs().join("pressure")).expect("a directory");
    for (resource, text, lines) in [
        ("cpu", SOME, &["waiting"][..]),
        ("cpu", STALL, &["waiting", "stalled"]),
        ("memory", STALL, &["waiting", "stalled"]),
        ("io", STALL, &["waiting", "stalled"]),
        ("irq", FULL, &["stalled"]),
    ] {
        fs::write(tree.procfs().join("pressure").join(resource), text).expect("a file");
        for line in lines {
            expected.insert(format!("host_pressure_{resource}_{line}_seconds_total"));
            expected.insert(format!("host_pressure_{resource}_{line}_ratio"));
        }
        assert_eq!(hosts(&tree), expected, "{resource}");
    }
    expected
}

/// A process in namespaces of its own, and the host's first process.
fn namespaces() -> BTreeSet<String> {
    let tree = FakeTree::unified("");
    tree.group("/a", &[("cgroup.procs", "7\n")]);
    let of_namespaces = |tree: &FakeTree| -> BTreeSet<String> {
        let names = families(tree).into_values().flatten();
        names.filter(|name| name.contains("namespace")).collect()
    };
    let mut expected = BTreeSet::new();
    assert_eq!(of_namespaces(&tree), expected, "a process of which nothing can be read");
    for pid in [1, 7] {
        let directory = tree.procfs().join(format!("{pid}/ns"));
        fs::create_dir_all(&directory).expect("a directory");
        for kind in ["user", "pid"] {
            std::os::unix::fs::symlink(format!("{kind}:[{pid}]"), directory.join(kind)).expect("a link");
        }
    }
    for name in ["cgroup_namespaces", "cgroup_namespace_info", "host_namespaces"] {
        expected.insert(name.to_owned());
    }
    assert_eq!(of_namespaces(&tree), expected);
    for (file, text, name) in [
        ("uid_map", "0 1000 1\n", "cgroup_user_namespace_root_uid"),
        ("status", "Name:\tx\nNSpid:\t7\t1\n", "cgroup_pid_namespace_depth"),
    ] {
        fs::write(tree.procfs().join("7").join(file), text).expect("a file");
        expected.insert(name.to_owned());
        assert_eq!(of_namespaces(&tree), expected, "{file}");
    }
    expected
}

/// The traffic of a network namespace that a cgroup has for itself.
fn network() -> BTreeSet<String> {
    let tree = FakeTree::unified("");
    tree.group("/a", &[("cgroup.procs", "7\n")]);
    for pid in [1, 7] {
        let directory = tree.procfs().join(format!("{pid}/ns"));
        fs::create_dir_all(&directory).expect("a directory");
        std::os::unix::fs::symlink(format!("net:[{pid}]"), directory.join("net")).expect("a link");
    }
    let traffic = |tree: &FakeTree| -> BTreeSet<String> {
        let names = families(tree).into_values().flatten();
        names.filter(|name| name.starts_with("cgroup_network_")).collect()
    };
    assert_eq!(traffic(&tree), BTreeSet::new(), "no file, no series");
    let file = tree.procfs().join("7/net");
    fs::create_dir_all(&file).expect("a directory");
    let text = "Inter-|   Receive                                                |  Transmit\n \
                face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n  \
                eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n";
    fs::write(file.join("dev"), text).expect("a file");
    let found = traffic(&tree);
    assert_eq!(found.len(), 8, "{found:?}");
    found
}

/// What a process with threads does, and what it has open.
fn processes() -> BTreeSet<String> {
    let tree = FakeTree::unified("");
    tree.group("/a", &[("cgroup.procs", "7\n")]);
    let told = |tree: &FakeTree| -> BTreeSet<String> {
        let names = families(tree).into_values().flatten();
        let ours = |name: &String| {
            name.ends_with("_by_state") || name.contains("_process_start_") || name.ends_with("_open_files")
        };
        names.filter(|name| ours(name) || name == "host_processes").collect()
    };
    assert_eq!(told(&tree), BTreeSet::new(), "a process of which nothing can be read");
    tree.process(7, b"x", 1, "/a");
    let mut expected = BTreeSet::from(
        ["cgroup_processes_by_state", "cgroup_oldest_process_start_time_seconds", "host_processes"]
            .map(str::to_owned),
    );
    assert_eq!(told(&tree), expected);
    let directory = tree.procfs().join("7");
    fs::create_dir_all(directory.join("task/7")).expect("a directory");
    fs::copy(directory.join("stat"), directory.join("task/7/stat")).expect("a file");
    expected.insert("cgroup_threads_by_state".to_owned());
    assert_eq!(told(&tree), expected);
    fs::create_dir_all(directory.join("fd/0")).expect("a descriptor");
    expected.insert("cgroup_open_files".to_owned());
    assert_eq!(told(&tree), expected);
    expected
}

#[test]
fn each_file_alone_makes_its_families_and_every_family_is_made_by_one() {
    let mut made = check(&FakeTree::unified("cpuset cpu io memory hugetlb pids rdma misc"), UNIFIED);
    let hierarchies = [
        "memory", "cpu", "cpuacct", "blkio", "pids", "freezer", "cpuset", "hugetlb", "rdma", "misc",
        "net_cls",
    ];
    made.extend(check(&FakeTree::legacy(&hierarchies), LEGACY));
    made.extend(host());
    made.extend(namespaces());
    made.extend(network());
    made.extend(processes());

    let table = metrics::documentation();
    let known: BTreeSet<String> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("cgroup_") || name.starts_with("host_"))
        .map(str::to_owned)
        .collect();
    let unmade: Vec<_> = known.difference(&made).collect();
    assert!(known.len() > 100 && unmade.is_empty(), "no file here makes {unmade:?}");
}
