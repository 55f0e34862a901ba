//! A second, slow and simple reading of captured cgroup files: what each should become on `/metrics`.
//!
//! It shares no code with the program: words are split, numbers parsed, metric names written down again. A file that
//! holds one number and stands in none of the tables here is [`Naive::unknown`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Series by name and labels, `name{label="value",…}` with the labels in alphabetical order.
pub type Series = BTreeMap<String, f64>;

/// What was expected of a captured tree.
#[derive(Default)]
pub struct Naive {
    /// Every series that the files explain.
    pub series: Series,
    /// Files that hold one number and that nothing here knows.
    pub unknown: BTreeSet<String>,
}

const MICRO: f64 = 1e6;
const NANO: f64 = 1e9;

/// Files of one number: name, metric, the metric's own label, its divisor. `max`, a negative number and v1's largest
/// number are no limit, so no series.
const PLAIN: &[(&str, &str, &str, f64)] = &[
    ("memory.current", "memory_current_bytes", "", 1.0),
    ("memory.peak", "memory_peak_bytes", "", 1.0),
    ("memory.swap.current", "memory_swap_current_bytes", "", 1.0),
    ("memory.swap.peak", "memory_swap_peak_bytes", "", 1.0),
    ("memory.zswap.current", "memory_zswap_current_bytes", "", 1.0),
    ("memory.min", "memory_limit_bytes", "limit=min", 1.0),
    ("memory.low", "memory_limit_bytes", "limit=low", 1.0),
    ("memory.high", "memory_limit_bytes", "limit=high", 1.0),
    ("memory.max", "memory_limit_bytes", "limit=max", 1.0),
    ("memory.swap.high", "memory_limit_bytes", "limit=swap_high", 1.0),
    ("memory.swap.max", "memory_limit_bytes", "limit=swap_max", 1.0),
    ("memory.zswap.max", "memory_limit_bytes", "limit=zswap_max", 1.0),
    ("memory.oom.group", "memory_oom_group", "", 1.0),
    ("memory.usage_in_bytes", "memory_current_bytes", "", 1.0),
    ("memory.max_usage_in_bytes", "memory_peak_bytes", "", 1.0),
    ("memory.failcnt", "memory_failures_total", "counter=memory", 1.0),
    ("memory.limit_in_bytes", "memory_limit_bytes", "limit=max", 1.0),
    ("memory.soft_limit_in_bytes", "memory_limit_bytes", "limit=soft", 1.0),
    ("memory.memsw.usage_in_bytes", "memory_memsw_current_bytes", "", 1.0),
    ("memory.memsw.max_usage_in_bytes", "memory_memsw_peak_bytes", "", 1.0),
    ("memory.memsw.failcnt", "memory_failures_total", "counter=memsw", 1.0),
    ("memory.memsw.limit_in_bytes", "memory_limit_bytes", "limit=memsw_max", 1.0),
    ("memory.kmem.usage_in_bytes", "memory_kmem_current_bytes", "", 1.0),
    ("memory.kmem.max_usage_in_bytes", "memory_kmem_peak_bytes", "", 1.0),
    ("memory.kmem.failcnt", "memory_failures_total", "counter=kmem", 1.0),
    ("memory.kmem.limit_in_bytes", "memory_limit_bytes", "limit=kmem_max", 1.0),
    ("memory.kmem.tcp.usage_in_bytes", "memory_kmem_tcp_current_bytes", "", 1.0),
    ("memory.kmem.tcp.max_usage_in_bytes", "memory_kmem_tcp_peak_bytes", "", 1.0),
    ("memory.kmem.tcp.failcnt", "memory_failures_total", "counter=kmem_tcp", 1.0),
    ("memory.kmem.tcp.limit_in_bytes", "memory_limit_bytes", "limit=kmem_tcp_max", 1.0),
    ("cpu.max.burst", "cpu_burst_limit_seconds", "", MICRO),
    ("cpu.weight", "cpu_weight", "", 1.0),
    ("cpu.idle", "cpu_idle", "", 1.0),
    ("cpu.shares", "cpu_shares", "", 1.0),
    ("cpu.cfs_quota_us", "cpu_quota_seconds", "", MICRO),
    ("cpu.cfs_period_us", "cpu_period_seconds", "", MICRO),
    ("cpu.cfs_burst_us", "cpu_burst_limit_seconds", "", MICRO),
    ("cpu.rt_runtime_us", "cpu_realtime_runtime_seconds", "", MICRO),
    ("cpu.rt_period_us", "cpu_realtime_period_seconds", "", MICRO),
    ("pids.current", "pids_current", "", 1.0),
    ("pids.peak", "pids_peak", "", 1.0),
    ("pids.max", "pids_limit", "", 1.0),
    ("cgroup.max.depth", "depth_limit", "", 1.0),
    ("cgroup.max.descendants", "descendants_limit", "", 1.0),
    ("net_cls.classid", "net_cls_classid", "", 1.0),
];

/// Files of keyed lines: name, key, metric, label, divisor.
const KEYED: &[(&str, &str, &str, &str, f64)] = &[
    ("cgroup.events", "populated", "populated", "", 1.0),
    ("cgroup.events", "frozen", "frozen", "", 1.0),
    ("cgroup.stat", "nr_descendants", "descendants", "", 1.0),
    ("cgroup.stat", "nr_dying_descendants", "dying_descendants", "", 1.0),
    ("cpu.stat", "usage_usec", "cpu_usage_seconds_total", "", MICRO),
    ("cpu.stat", "user_usec", "cpu_user_seconds_total", "", MICRO),
    ("cpu.stat", "system_usec", "cpu_system_seconds_total", "", MICRO),
    ("cpu.stat", "nice_usec", "cpu_nice_seconds_total", "", MICRO),
    ("cpu.stat", "core_sched.force_idle_usec", "cpu_force_idle_seconds_total", "", MICRO),
    ("cpu.stat", "nr_periods", "cpu_periods_total", "", 1.0),
    ("cpu.stat", "nr_throttled", "cpu_throttled_periods_total", "", 1.0),
    ("cpu.stat", "throttled_usec", "cpu_throttled_seconds_total", "", MICRO),
    ("cpu.stat", "throttled_time", "cpu_throttled_seconds_total", "", NANO),
    ("cpu.stat", "nr_bursts", "cpu_bursts_total", "", 1.0),
    ("cpu.stat", "burst_usec", "cpu_burst_seconds_total", "", MICRO),
    ("cpu.stat", "burst_time", "cpu_burst_seconds_total", "", NANO),
    ("cpu.stat.local", "throttled_usec", "cpu_throttled_local_seconds_total", "", MICRO),
    ("cpu.stat.local", "throttled_time", "cpu_throttled_local_seconds_total", "", NANO),
    ("pids.events", "max", "pids_events_total", "event=max", 1.0),
    ("pids.events.local", "max", "pids_events_local_total", "event=max", 1.0),
    ("memory.oom_control", "under_oom", "memory_under_oom", "", 1.0),
    ("memory.oom_control", "oom_kill_disable", "memory_oom_kill_disabled", "", 1.0),
    ("memory.oom_control", "oom_kill", "memory_events_total", "event=oom_kill", 1.0),
];

/// Files whose every line is a series of one metric, told apart by the key.
const EVENTS: &[(&str, &str)] = &[
    ("memory.events", "memory_events_total"),
    ("memory.events.local", "memory_events_local_total"),
    ("memory.swap.events", "memory_swap_events_total"),
];

/// Files that hold one number and are left out: switches, what other files tell as well, what v1 took out of use.
const LEFT_OUT: &[&str] = &[
    "cgroup.clone_children",
    "cgroup.freeze",
    "cgroup.pressure",
    "cgroup.sane_behavior",
    "cpu.weight.nice",
    "cpuacct.usage_sys",
    "cpuacct.usage_user",
    "cpuset.cpus",
    "cpuset.cpus.exclusive",
    "cpuset.cpus.exclusive.effective",
    "cpuset.cpus.isolated",
    "cpuset.cpu_exclusive",
    "cpuset.effective_cpus",
    "cpuset.effective_mems",
    "cpuset.mem_exclusive",
    "cpuset.mem_hardwall",
    "cpuset.memory_migrate",
    "cpuset.memory_pressure",
    "cpuset.memory_pressure_enabled",
    "cpuset.memory_spread_page",
    "cpuset.memory_spread_slab",
    "cpuset.mems",
    "cpuset.sched_load_balance",
    "cpuset.sched_relax_domain_level",
    "freezer.parent_freezing",
    "freezer.self_freezing",
    "memory.move_charge_at_immigrate",
    "memory.swappiness",
    "memory.use_hierarchy",
    "memory.zswap.writeback",
    "net_prio.prioidx",
    "notify_on_release",
    "blkio.bfq.weight",
    "cgroup.procs",
    "cgroup.threads",
    "tasks",
    "cpuacct.usage",
    "cpuacct.usage_percpu",
    "cpuacct.usage_percpu_sys",
    "cpuacct.usage_percpu_user",
    "cpuset.cpus.effective",
    "cpuset.mems.effective",
];

/// One captured hierarchy.
struct Hierarchy {
    root: PathBuf,
    v2: bool,
    controllers: Vec<String>,
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect())
}

fn number(word: &str) -> Option<f64> {
    let number: u64 = word.parse().ok()?;
    // v1's "no limit": the largest number rounded down to a page, a huge one of 16 GiB at most.
    (number < 0x7fff_fffc_0000_0000).then_some(number as f64)
}

impl Naive {
    /// Reads the tree below `sys/fs/cgroup` of a fixture.
    pub fn read(cgroupfs: &Path) -> Self {
        let mut naive = Self::default();
        let hierarchies = hierarchies(cgroupfs);
        let unified =
            hierarchies.iter().find(|hierarchy| hierarchy.v2).map(|hierarchy| hierarchy.root.clone());
        for hierarchy in &hierarchies {
            for directory in directories(&hierarchy.root) {
                let relative = directory.strip_prefix(&hierarchy.root).expect("below its root");
                let in_unified = unified.as_ref().is_some_and(|root| root.join(relative).is_dir());
                let path = format!("/{}", relative.display());
                for (name, text) in files(&directory) {
                    Cgroup { naive: &mut naive, path: &path, hierarchy, in_unified }.file(&name, &text);
                }
            }
        }
        naive
    }
}

fn hierarchies(cgroupfs: &Path) -> Vec<Hierarchy> {
    let v2 = |root: &Path| {
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).ok()?;
        let controllers = controllers.split_whitespace().map(str::to_owned).collect();
        Some(Hierarchy { root: root.to_owned(), v2: true, controllers })
    };
    if let Some(unified) = v2(cgroupfs) {
        return vec![unified];
    }
    let roots = fs::read_dir(cgroupfs).expect("sys/fs/cgroup").map(|entry| entry.expect("an entry").path());
    roots
        .filter(|root| root.is_dir())
        .map(|root| {
            v2(&root).unwrap_or_else(|| {
                let name = root.file_name().expect("a name").to_string_lossy().into_owned();
                Hierarchy { root, v2: false, controllers: name.split(',').map(str::to_owned).collect() }
            })
        })
        .collect()
}

fn directories(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let children = fs::read_dir(root).expect("a directory").map(|entry| entry.expect("an entry").path());
    found.extend(children.filter(|child| child.is_dir()).flat_map(|child| directories(&child)));
    found
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("captured text is UTF-8"))
        })
        .collect()
}

/// A cgroup in one hierarchy.
struct Cgroup<'a> {
    naive: &'a mut Naive,
    path: &'a str,
    hierarchy: &'a Hierarchy,
    in_unified: bool,
}

impl Cgroup<'_> {
    /// Expects a series; `labels` are `name=value` with the value behind the first `=`.
    fn expect(&mut self, metric: &str, labels: &[&str], value: f64) {
        let mut all: Vec<String> = labels
            .iter()
            .filter(|label| !label.is_empty())
            .map(|label| label.split_once('=').expect("a label"))
            .chain([("cgroup", self.path)])
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        all.sort();
        let series = format!("cgroup_{metric}{{{}}}", all.join(","));
        // Either freezer of a hybrid host freezes; for the rest one file speaks, or both say the same.
        let frozen = metric == "frozen";
        let value =
            self.naive.series.get(&series).filter(|_| frozen).map_or(value, |before| value.max(*before));
        let before = self.naive.series.insert(series.clone(), value);
        assert!(
            frozen || before.is_none_or(|before| before == value),
            "two files tell {series}: {before:?} and {value}"
        );
    }

    fn serves(&self, controller: &str) -> bool {
        self.hierarchy.controllers.iter().any(|name| name == controller)
    }

    fn file(&mut self, name: &str, text: &str) {
        for (_, metric, label, divisor) in PLAIN.iter().filter(|(file, ..)| *file == name) {
            if let Some(value) = number(text.trim()) {
                self.expect(metric, &[label], value / divisor);
            }
        }
        for (_, key, metric, label, divisor) in KEYED.iter().filter(|(file, ..)| *file == name) {
            // Without the controller v2 tells its own clock only; v1 tells the rest.
            let foreign = self.hierarchy.v2 && !self.serves("cpu") && !key.ends_with("_usec");
            if name.starts_with("cpu.stat") && (foreign || (name != "cpu.stat" && !self.serves("cpu"))) {
                continue;
            }
            for line in lines(text).filter(|line| line[0] == *key) {
                self.expect(metric, &[label], number(line[1]).expect("a number") / divisor);
            }
        }
        for (_, metric) in EVENTS.iter().filter(|(file, _)| *file == name) {
            for line in lines(text) {
                self.expect(metric, &[&format!("event={}", line[0])], number(line[1]).expect("a number"));
            }
        }
        match name {
            "memory.stat" => self.memory_stat(text),
            "memory.numa_stat" => self.numa_stat(text),
            "io.stat" => self.io_stat(text),
            "cpu.pressure" | "memory.pressure" | "io.pressure" | "irq.pressure" => self.pressure(name, text),
            _ if name.starts_with("hugetlb.") => self.hugetlb(name, text),
            _ if name.starts_with("misc.") || name.starts_with("rdma.") => self.resources(name, text),
            _ if name.starts_with("blkio.") => self.blkio(name, text),
            _ if name.starts_with("io.") => self.io_limits(name, text),
            _ => self.single(name, text),
        }
    }

    fn single(&mut self, name: &str, text: &str) {
        let members = text.lines().count() as f64;
        let list = || -> f64 {
            let parts = text.trim().split(',').filter(|part| !part.is_empty());
            let ends = parts.map(|part| part.split_once('-').unwrap_or((part, part)));
            ends.map(|(first, last)| number(last).expect("a CPU") - number(first).expect("a CPU") + 1.0).sum()
        };
        match name {
            "cgroup.procs" if self.hierarchy.v2 || !self.in_unified => self.expect("processes", &[], members),
            "cgroup.threads" => self.expect("threads", &[], members),
            "tasks" if !self.in_unified => self.expect("threads", &[], members),
            "cpuset.cpus.effective" | "cpuset.effective_cpus" => {
                self.expect("cpuset_effective_cpus", &[], list())
            }
            "cpuset.mems.effective" | "cpuset.effective_mems" => {
                self.expect("cpuset_effective_mems", &[], list())
            }
            "cpuacct.usage" if !self.in_unified => {
                self.expect("cpu_usage_seconds_total", &[], number(text.trim()).expect("a number") / NANO);
            }
            "cpuacct.stat" if !self.in_unified => {
                for line in lines(text) {
                    let metric = format!("cpu_{}_seconds_total", line[0]);
                    // The kernel prints hundredths of a second to every program.
                    self.expect(&metric, &[], number(line[1]).expect("ticks") / 100.0);
                }
            }
            "cpu.max" => {
                let words: Vec<&str> = text.split_whitespace().collect();
                for (metric, word) in [("cpu_quota_seconds", words[0]), ("cpu_period_seconds", words[1])] {
                    if let Some(value) = number(word) {
                        self.expect(metric, &[], value / MICRO);
                    }
                }
            }
            "cpu.uclamp.min" | "cpu.uclamp.max" => {
                let percent =
                    if text.trim() == "max" { 100.0 } else { text.trim().parse().expect("a percentage") };
                let label = format!("limit={}", &name[11..]);
                self.expect("cpu_uclamp_ratio", &[&label], percent / 100.0);
            }
            "freezer.state" => {
                for (state, word) in [("freezing", "FREEZING"), ("frozen", "FROZEN")] {
                    let label = format!("state={state}");
                    self.expect("freezer_state", &[&label], f64::from(u8::from(text.trim() == word)));
                }
                self.expect("frozen", &[], f64::from(u8::from(text.trim() == "FROZEN")));
            }
            _ => {
                let known = PLAIN.iter().any(|(file, ..)| *file == name) || LEFT_OUT.contains(&name);
                if !known && text.trim().parse::<i64>().is_ok() {
                    self.naive.unknown.insert(name.to_owned());
                }
            }
        }
    }

    fn memory_stat(&mut self, text: &str) {
        let amounts = |name: &str| {
            !["pg", "thp_", "swpin", "swpout", "zswpin", "zswpout", "zswpwb", "numa_", "workingset_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        for line in lines(text) {
            let name = match (self.hierarchy.v2, line[0].strip_prefix("total_")) {
                (true, _) => line[0],
                (false, None) => continue,
                (false, Some("rss")) => "anon",
                (false, Some("cache")) => "file",
                (false, Some("rss_huge")) => "anon_thp",
                (false, Some("mapped_file")) => "file_mapped",
                (false, Some("dirty")) => "file_dirty",
                (false, Some("writeback")) => "file_writeback",
                (false, Some(same)) => same,
            };
            let metric = match name {
                "workingset_nodes" => "memory_stat_objects",
                _ if amounts(name) => "memory_stat_bytes",
                _ => "memory_stat_events_total",
            };
            let value = number(line[1]).expect("a number");
            self.expect(metric, &[&format!("stat={name}")], value);
            if !self.hierarchy.v2 && name == "swap" {
                self.expect("memory_swap_current_bytes", &[], value);
            }
        }
    }

    fn numa_stat(&mut self, text: &str) {
        for line in lines(text) {
            let name = line[0].split('=').next().expect("a name");
            let (name, scale) = match (self.hierarchy.v2, name.strip_prefix("hierarchical_")) {
                (true, _) => (name, 1.0),
                (false, Some(name)) => (name, 4096.0),
                (false, None) => continue,
            };
            let events = name.starts_with("workingset_") || name.starts_with("pg");
            let metric = if events { "memory_numa_stat_events_total" } else { "memory_numa_stat_bytes" };
            for (node, value) in line[1..].iter().map(|word| word.split_once('=').expect("NODE=VALUE")) {
                let labels = [format!("stat={name}"), format!("node={}", &node[1..])];
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                self.expect(metric, &labels, number(value).expect("a number") * scale);
            }
        }
    }

    fn pressure(&mut self, name: &str, text: &str) {
        let resource = name.trim_end_matches(".pressure");
        for line in lines(text) {
            let kind = if line[0] == "some" { "waiting" } else { "stalled" };
            for (key, value) in line[1..].iter().map(|word| word.split_once('=').expect("KEY=VALUE")) {
                let value: f64 = value.parse().expect("a number");
                let metric = format!("pressure_{resource}_{kind}");
                match key.strip_prefix("avg") {
                    Some(window) => {
                        let label = format!("window={window}s");
                        self.expect(&format!("{metric}_ratio"), &[&label], value / 100.0);
                    }
                    None => self.expect(&format!("{metric}_seconds_total"), &[], value / MICRO),
                }
            }
        }
    }

    fn io_stat(&mut self, text: &str) {
        for line in lines(text) {
            let mut device = "";
            for word in line {
                let Some((key, value)) = word.split_once('=') else {
                    device = word;
                    continue;
                };
                let (metric, divisor) = match key {
                    "rbytes" => ("io_read_bytes_total", 1.0),
                    "wbytes" => ("io_write_bytes_total", 1.0),
                    "dbytes" => ("io_discard_bytes_total", 1.0),
                    "rios" => ("io_reads_total", 1.0),
                    "wios" => ("io_writes_total", 1.0),
                    "dios" => ("io_discards_total", 1.0),
                    "cost.usage" => ("io_cost_usage_seconds_total", MICRO),
                    "cost.wait" => ("io_cost_wait_seconds_total", MICRO),
                    "cost.indebt" => ("io_cost_indebt_seconds_total", MICRO),
                    "cost.indelay" => ("io_cost_indelay_seconds_total", MICRO),
                    _ => continue,
                };
                self.expect(
                    metric,
                    &[&format!("device={device}")],
                    number(value).expect("a number") / divisor,
                );
            }
        }
    }

    fn io_limits(&mut self, name: &str, text: &str) {
        for line in lines(text) {
            let device = format!("device={}", line[0]);
            match (name, line.as_slice()) {
                ("io.weight", ["default", weight]) => {
                    self.expect("io_weight", &[], number(weight).expect("a weight"))
                }
                ("io.bfq.weight", ["default", weight] | [weight]) => {
                    self.expect("io_bfq_weight", &[], number(weight).expect("a weight"));
                }
                ("io.weight", [_, weight]) => {
                    self.expect("io_device_weight", &[&device], number(weight).expect("a weight"));
                }
                ("io.max" | "io.latency", words) => {
                    for (key, value) in words[1..].iter().map(|word| word.split_once('=').expect("KEY=VALUE"))
                    {
                        let (metric, divisor) = match key {
                            "rbps" => ("io_read_limit_bytes_per_second", 1.0),
                            "wbps" => ("io_write_limit_bytes_per_second", 1.0),
                            "riops" => ("io_read_limit_operations_per_second", 1.0),
                            "wiops" => ("io_write_limit_operations_per_second", 1.0),
                            _ => ("io_latency_target_seconds", MICRO),
                        };
                        if let Some(value) = number(value) {
                            self.expect(metric, &[&device], value / divisor);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn blkio(&mut self, name: &str, text: &str) {
        if name == "blkio.bfq.weight" {
            let weight = text.lines().next().unwrap_or_default().trim_start_matches("default ");
            self.expect("io_bfq_weight", &[], number(weight.trim()).expect("a weight"));
        }
        let (bytes, operations) = match name {
            "blkio.throttle.io_service_bytes_recursive" => ("io_{}_bytes_total", ""),
            "blkio.throttle.io_serviced_recursive" => ("", "io_{}s_total"),
            "blkio.bfq.io_service_bytes_recursive" => ("io_bfq_{}_bytes_total", ""),
            "blkio.bfq.io_serviced_recursive" => ("", "io_bfq_{}s_total"),
            "blkio.throttle.read_bps_device" => ("io_read_limit_bytes_per_second", ""),
            "blkio.throttle.write_bps_device" => ("io_write_limit_bytes_per_second", ""),
            "blkio.throttle.read_iops_device" => ("io_read_limit_operations_per_second", ""),
            "blkio.throttle.write_iops_device" => ("io_write_limit_operations_per_second", ""),
            _ => return,
        };
        let template = if bytes.is_empty() { operations } else { bytes };
        for line in lines(text) {
            match line.as_slice() {
                [device, operation @ ("Read" | "Write" | "Discard"), value] => {
                    let metric = template.replace("{}", &operation.to_lowercase());
                    self.expect(&metric, &[&format!("device={device}")], number(value).expect("a number"));
                }
                [device, value] if *device != "Total" => {
                    if let Some(value) = number(value) {
                        self.expect(template, &[&format!("device={device}")], value);
                    }
                }
                _ => {}
            }
        }
    }

    fn hugetlb(&mut self, name: &str, text: &str) {
        let mut parts = name.splitn(3, '.').skip(1);
        let size = format!("size={}", parts.next().expect("a page size"));
        let metric = match parts.next().expect("a file") {
            "current" | "usage_in_bytes" => "hugetlb_current_bytes",
            "rsvd.current" | "rsvd.usage_in_bytes" => "hugetlb_reserved_bytes",
            "max_usage_in_bytes" => "hugetlb_peak_bytes",
            "max" | "limit_in_bytes" => "hugetlb_limit_bytes",
            "events" | "failcnt" => "hugetlb_failures_total",
            _ => return,
        };
        let word = text.split_whitespace().last().expect("a number");
        if let Some(value) = number(word) {
            self.expect(metric, &[&size], value);
        }
    }

    fn resources(&mut self, name: &str, text: &str) {
        for line in lines(text) {
            match name {
                "misc.current" | "misc.peak" | "misc.max" => {
                    let metric =
                        if name == "misc.max" { "misc_limit".to_owned() } else { name.replace('.', "_") };
                    if let Some(value) = number(line[1]) {
                        self.expect(&metric, &[&format!("resource={}", line[0])], value);
                    }
                }
                "misc.events" => {
                    let resource = format!("resource={}", line[0].trim_end_matches(".max"));
                    self.expect("misc_failures_total", &[&resource], number(line[1]).expect("a number"));
                }
                "rdma.current" | "rdma.max" => {
                    for (key, value) in line[1..].iter().map(|word| word.split_once('=').expect("KEY=VALUE"))
                    {
                        let what = if key == "hca_handle" { "rdma_handles" } else { "rdma_objects" };
                        let metric =
                            if name == "rdma.max" { format!("{what}_limit") } else { what.to_owned() };
                        if let Some(value) = number(value) {
                            self.expect(&metric, &[&format!("device={}", line[0])], value);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
