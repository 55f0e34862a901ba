//! cAdvisor's names: there on demand only, with its labels and units, and in the budget.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Format;
use crate::metrics::families::{self, CADVISOR};
use crate::metrics::family::{Dialect, Family};
use crate::metrics::text::Kind;
use crate::model::{
    Cgroup, Column, Control, Field, HostField, Identity, Limit, Owner, OwnerLabel, RowKind, Snapshot,
};

use super::{Options, cgroup, dead, fill, parse, rendered, snapshot};

const ID: &str = "9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";

fn options(max_series: usize) -> Options {
    Options { cadvisor: true, max_series, ..Options::default() }
}

/// The lines of cAdvisor's metrics.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let (text, _) = rendered(snapshot, &options(10_000));
    parse::exposition(&text);
    text.lines()
        .filter(|line| line.starts_with("container_") || line.starts_with("machine_"))
        .map(str::to_owned)
        .collect()
}

fn set(cgroup: &mut Cgroup, control: Control, limit: Limit) {
    Arc::make_mut(&mut cgroup.controls).set(control, Some(limit));
}

/// A container with a bit of everything, as on cgroup v2.
fn container() -> Cgroup {
    let mut container = cgroup(format!("/docker/{ID}").as_bytes(), 1);
    let mut owner = Owner::default();
    owner.set(OwnerLabel::ContainerId, Some(ID));
    owner.set(OwnerLabel::Container, Some("web"));
    container.identity = Arc::new(Identity { owner, ..(*container.identity).clone() });
    container.sampled = Duration::from_secs(98);
    for (field, value) in [
        (Field::CpuUsage, 1_500_000_000),
        (Field::CpuPeriods, 8),
        (Field::CpuThrottledPeriods, 2),
        (Field::CpuThrottled, 250_000_000),
        (Field::MemoryCurrent, 5000),
        (Field::MemoryWorkingSet, 4000),
        (Field::MemoryEventsMax, 6),
        (Field::MemoryEventsOomKill, 1),
        (Field::PidsCurrent, 3),
        (Field::ThreadsSleeping, 2),
        (Field::ThreadsDiskSleep, 1),
        (Field::OpenFiles, 12),
        (Field::IoFullTotal, 40_000),
    ] {
        container.readings.set(field, Some(value));
    }
    let memory = [
        (Column::StatBytes, "anon", "", 3000),
        (Column::StatBytes, "file", "", 1000),
        (Column::StatEvents, "pgfault", "", 9),
    ];
    fill(&mut container.readings, RowKind::MemoryStat, &memory);
    let io = [(Column::IoReadBytes, "vda", "", 512), (Column::IoReadBytes, "8:0", "", 1)];
    fill(&mut container.readings, RowKind::IoStat, &io);
    let network = [
        (Column::NetworkReceiveBytes, "lo", "", 5),
        (Column::NetworkReceiveBytes, "Veth1", "", 5),
        (Column::NetworkReceiveBytes, "nerdctl0", "", 5),
        (Column::NetworkReceiveBytes, "dock", "", 6),
        (Column::NetworkReceiveBytes, "eth0", "", 600),
        (Column::NetworkTransmitDrops, "eth0", "", 7),
    ];
    fill(&mut container.readings, RowKind::Network, &network);
    for (control, limit) in [
        (Control::CpuQuota, Limit::Value(50_000)),
        (Control::CpuPeriod, Limit::Value(100_000)),
        (Control::CpuWeight, Limit::Value(100)),
        (Control::MemoryMax, Limit::Value(8192)),
        (Control::MemorySwapMax, Limit::Max),
        (Control::PidsMax, Limit::Max),
    ] {
        set(&mut container, control, limit);
    }
    container
}

#[test]
fn a_container_is_told_in_the_units_and_words_of_cadvisor() {
    let who = format!("id=\"/docker/{ID}\",container=\"web\",image=\"unknown\",name=\"web\"");
    let expected = [
        "container_last_seen{WHO} 1699999998",
        "container_cpu_usage_seconds_total{WHO,cpu=\"total\"} 1.5",
        "container_cpu_cfs_periods_total{WHO} 8",
        "container_cpu_cfs_throttled_periods_total{WHO} 2",
        "container_cpu_cfs_throttled_seconds_total{WHO} 0.25",
        "container_spec_cpu_quota{WHO} 50000",
        "container_spec_cpu_period{WHO} 100000",
        "container_spec_cpu_shares{WHO} 2597",
        "container_memory_usage_bytes{WHO} 5000",
        "container_memory_working_set_bytes{WHO} 4000",
        "container_memory_rss{WHO} 3000",
        "container_memory_cache{WHO} 1000",
        "container_memory_failcnt{WHO} 6",
        "container_memory_failures_total{WHO,failure_type=\"pgfault\",scope=\"container\"} 9",
        "container_memory_failures_total{WHO,failure_type=\"pgfault\",scope=\"hierarchy\"} 9",
        "container_oom_events_total{WHO} 1",
        "container_spec_memory_limit_bytes{WHO} 8192",
        "container_spec_memory_swap_limit_bytes{WHO} 0",
        "container_fs_reads_bytes_total{WHO,device=\"/dev/vda\"} 512",
        "container_fs_reads_bytes_total{WHO,device=\"8:0\"} 1",
        "container_threads{WHO} 3",
        "container_threads_max{WHO} 0",
        "container_tasks_state{WHO,state=\"sleeping\"} 2",
        "container_tasks_state{WHO,state=\"uninterruptible\"} 1",
        "container_file_descriptors{WHO} 12",
        "container_pressure_io_stalled_seconds_total{WHO} 0.00004",
        "container_network_receive_bytes_total{WHO,interface=\"dock\"} 6",
        "container_network_receive_bytes_total{WHO,interface=\"eth0\"} 600",
        "container_network_transmit_packets_dropped_total{WHO,interface=\"eth0\"} 7",
        "machine_cpu_cores 2",
    ];
    let mut all = snapshot(vec![container()]);
    all.host.set(HostField::Cpus, Some(2));
    assert_eq!(told(&all), expected.map(|line| line.replace("WHO", &who)));
}

#[test]
fn throttling_is_told_only_where_there_is_a_quota() {
    let mut unlimited = container();
    set(&mut unlimited, Control::CpuQuota, Limit::Max);
    let lines = told(&snapshot(vec![unlimited]));
    assert!(!lines.iter().any(|line| line.contains("_cfs_") || line.contains("_cpu_quota")), "{lines:?}");
}

#[test]
fn v1_numbers_stand_under_the_same_names() {
    let mut v1 = cgroup(b"/a", 1);
    v1.readings.set(Field::MemoryFailures, Some(7));
    for (control, value) in
        [(Control::CpuShares, 512), (Control::MemorySoftLimit, 64), (Control::MemoryMemswMax, 128)]
    {
        set(&mut v1, control, Limit::Value(value));
    }
    let lines = told(&snapshot(vec![v1]));
    assert_eq!(
        lines[1..],
        [
            "container_spec_cpu_shares{id=\"/a\"} 512",
            "container_memory_failcnt{id=\"/a\"} 7",
            "container_spec_memory_swap_limit_bytes{id=\"/a\"} 128",
            "container_spec_memory_reservation_limit_bytes{id=\"/a\"} 64",
        ]
    );
}

#[test]
fn the_limit_of_the_root_is_the_machine() {
    let mut all = snapshot(vec![cgroup(b"/", 0)]);
    all.host.set(HostField::MemoryTotal, Some(4096));
    all.host.set(HostField::SwapTotal, Some(512));
    assert_eq!(
        told(&all)[1..],
        [
            "container_spec_memory_limit_bytes{id=\"/\"} 4096",
            "container_spec_memory_swap_limit_bytes{id=\"/\"} 512",
            "machine_memory_bytes 4096",
            "machine_swap_bytes 512",
        ]
    );
}

#[test]
fn a_group_without_processes_has_no_tasks_and_no_files() {
    let mut empty = cgroup(b"/a", 0);
    empty.readings.set(Field::Processes, Some(0));
    let lines = told(&snapshot(vec![empty]));
    let tasks = lines.iter().filter(|line| line.starts_with("container_tasks_state") && line.ends_with(" 0"));
    assert_eq!(tasks.count(), 4, "{lines:?}");
    assert!(lines.contains(&"container_file_descriptors{id=\"/a\"} 0".to_owned()), "{lines:?}");
}

#[test]
fn nothing_set_is_when_it_was_seen_and_nothing_else() {
    assert_eq!(told(&snapshot(vec![cgroup(b"/a", 0)])), ["container_last_seen{id=\"/a\"} 1699999900"]);
}

#[test]
fn without_the_flag_there_is_none_of_it_and_the_rest_is_the_same() {
    let mut all = snapshot(vec![container(), cgroup(b"/a", 0)]);
    all.host.set(HostField::Cpus, Some(2));
    let (plain, _) = rendered(&all, &Options { max_series: 10_000, ..Options::default() });
    let (both, _) = rendered(&all, &options(10_000));
    let foreign = |line: &&str| {
        line.contains("container_") && !line.starts_with("cgroup_") || line.contains("machine_")
    };
    let of_series = |line: &&str| line.starts_with("stockade_series");
    let own = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !foreign(line) && !of_series(line)).map(str::to_owned).collect()
    };
    assert!(!plain.lines().any(|line| foreign(&line)), "{plain}");
    assert_eq!(own(&plain), own(&both));
}

#[test]
fn they_are_in_the_budget_and_what_is_counted_is_what_is_shown() {
    let mut all = snapshot((0..4).map(|n| Cgroup { rank: n, ..path(container(), n) }).collect());
    all.dead = vec![dead(path(container(), 9))];
    let of_cgroups = |text: &str| {
        let series = parse::exposition(text).into_iter();
        series.filter(|s| s.name.starts_with("container_") || s.name.starts_with("cgroup_")).count() as u64
    };
    let (text, roomy) = rendered(&all, &options(10_000));
    assert_eq!((of_cgroups(&text), roomy.dropped), (roomy.series, 0));
    let alone = rendered(&all, &Options { cadvisor: false, ..options(200) }).1;
    assert_eq!(alone.dropped, 0, "the own series alone fit");
    let (text, tight) = rendered(&all, &options(200));
    assert_eq!(of_cgroups(&text), tight.series);
    assert_eq!(tight.series + tight.dropped, roomy.series);
    assert!(tight.series <= 200 && tight.dropped > 0, "{tight:?}");
}

fn path(mut cgroup: Cgroup, n: u64) -> Cgroup {
    let path = format!("/docker/{n}");
    let identity =
        Identity { path: path.as_bytes().into(), display: path.into(), ..(*cgroup.identity).clone() };
    (cgroup.identity, cgroup.rank) = (Arc::new(identity), n);
    cgroup
}

#[test]
fn hostile_names_cannot_forge_a_series_or_a_label() {
    let hostile = "web\"} 1\ncontainer_forged{id=\"/b\\";
    let mut all = container();
    let mut identity = (*all.identity).clone();
    identity.owner.set(OwnerLabel::Container, Some(hostile));
    identity.display = format!("/x\",image=\"forged/{ID}").into();
    all.identity = Arc::new(identity);
    let (text, _) = rendered(&snapshot(vec![all]), &options(10_000));
    let series = parse::exposition(&text);
    let found: Vec<_> = series.iter().filter(|series| series.name.starts_with("container_")).collect();
    assert!(found.len() > 20, "{text}");
    for series in found {
        assert!(series.labels["id"].ends_with(ID) && series.labels["image"] == "unknown", "{series:?}");
        assert_eq!(series.labels["container"], hostile);
    }
}

#[test]
fn openmetrics_takes_every_name() {
    let options = Options { format: Format::OpenMetrics, ..options(10_000) };
    let (text, _) = rendered(&snapshot(vec![container()]), &options);
    let series = parse::exposition(&text);
    assert!(text.contains("# TYPE container_memory_failcnt gauge\n"), "no counter without _total");
    assert!(series.iter().any(|series| series.name == "container_memory_failcnt"));
}

#[test]
fn the_table_holds_what_the_others_hold_too() {
    let mut names: HashSet<&str> = families::all().map(|family| family.name).collect();
    for Family { name, help, kind, dialect, labels, .. } in CADVISOR {
        assert!(names.insert(name), "{name} is taken");
        assert!(name.starts_with("container_") || name.starts_with("machine_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(help.ends_with('.') && !help.contains(['"', '\\', '\n', '|']), "{name}: {help}");
        assert!(!labels.contains(&"id") && *dialect == Dialect::Cadvisor, "{name}");
    }
    assert!(families::all().all(|family| family.dialect == Dialect::Own));
    assert_eq!(crate::metrics::cadvisor_documentation().lines().count(), CADVISOR.len() + 2);
}
