//! Absent is absent: no number, no series, no header.

use std::sync::Arc;

use crate::metrics::families;
use crate::metrics::family::From;
use crate::model::{Cgroup, Collector, CollectorSet, Control, Field, HostField, IoLimit, Limit, Snapshot};

use super::{Options, cgroup, fill, parse, rendered, snapshot};

const ALL: Options = Options {
    format: crate::metrics::Format::Text,
    collectors: CollectorSet::ALL,
    max_series: 1000,
    attach: crate::metrics::Attach::NONE,
    pressure_averages: true,
    cadvisor: false,
    age: std::time::Duration::ZERO,
};

/// The names of the kernel's families in an exposition, `cgroup_info` left out.
fn kernel_families(snapshot: &Snapshot) -> Vec<String> {
    let (text, _) = rendered(snapshot, &ALL);
    parse::exposition(&text);
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| (name.starts_with("cgroup_") || name.starts_with("host_")) && *name != "cgroup_info")
        .map(str::to_owned)
        .collect()
}

/// Checks that one cgroup with one thing set shows one family, with this value.
fn shows(change: impl FnOnce(&mut Cgroup), name: &str, series: &str) {
    let mut cgroup = cgroup(b"/a", 0);
    change(&mut cgroup);
    let snapshot = snapshot(vec![cgroup]);
    assert_eq!(kernel_families(&snapshot), [name]);
    let (text, counts) = rendered(&snapshot, &ALL);
    assert!(text.lines().any(|line| line == series), "{series} is not in {text}");
    assert_eq!(counts.series, 2, "the series and cgroup_info");
}

#[test]
fn nothing_set_shows_who_it_is_and_nothing_else() {
    let snapshot = snapshot(vec![cgroup(b"/a", 0)]);
    assert_eq!(kernel_families(&snapshot), [""; 0]);
    assert_eq!(super::lines(&rendered(&snapshot, &ALL).0, "cgroup_"), ["cgroup_info{cgroup=\"/a\"} 1"]);
}

#[test]
fn each_source_alone_shows_its_family_alone() {
    use crate::metrics::text::Scale::{CentiPercent, Micro, Nano, One};
    for family in families::all() {
        let name = family.name;
        let value = match family.scale() {
            One => "3000",
            CentiPercent => "0.3",
            Micro => "0.003",
            Nano => "0.000003",
        };
        let series = |text: &str| match family.labels {
            [] => format!("{name}{{cgroup=\"/a\"}} {value}"),
            [label, ..] => format!("{name}{{cgroup=\"/a\",{label}=\"{text}\"}} {value}"),
        };
        match family.from {
            From::Fields(list) => {
                for (text, field) in list {
                    shows(|cgroup| cgroup.readings.set(*field, Some(3000)), name, &series(text));
                }
            }
            From::Controls(list) => {
                for (text, control) in list {
                    shows(|cgroup| set(cgroup, *control, Limit::Value(3000)), name, &series(text));
                }
            }
            From::Column(column, kinds) => {
                for &kind in kinds {
                    let detail = if family.labels.len() == 2 { "N0" } else { "" };
                    let series = match family.labels {
                        [_, node] => series("x").replace("\"}", &format!("\",{node}=\"N0\"}}")),
                        _ => series("x"),
                    };
                    shows(
                        |cgroup| fill(&mut cgroup.readings, kind, &[(column, "x", detail, 3000)]),
                        name,
                        &series,
                    );
                }
            }
            From::Identity | From::CpuLimit | From::IoLimits(..) | From::Told(..) => {}
            From::NamespaceCounts | From::NamespaceList | From::Namespaces(_) => {}
            From::Host(_) | From::HostPressure(_) | From::Program(_) => {}
        }
    }
}

fn set(cgroup: &mut Cgroup, control: Control, limit: Limit) {
    Arc::make_mut(&mut cgroup.controls).set(control, Some(limit));
}

#[test]
fn limits_of_devices_show_one_family_each() {
    let limit = |change: fn(&mut IoLimit)| {
        move |cgroup: &mut Cgroup| change(Arc::make_mut(&mut cgroup.controls).io_device("vda"))
    };
    let check = |change: fn(&mut IoLimit), name: &str, shown: &str| {
        shows(limit(change), name, &format!("{name}{{cgroup=\"/a\",device=\"vda\"}} {shown}"));
    };
    check(|l| l.read_bytes = Some(Limit::Value(5)), "cgroup_io_read_limit_bytes_per_second", "5");
    check(|l| l.write_bytes = Some(Limit::Value(5)), "cgroup_io_write_limit_bytes_per_second", "5");
    check(|l| l.reads = Some(Limit::Value(5)), "cgroup_io_read_limit_operations_per_second", "5");
    check(|l| l.writes = Some(Limit::Value(5)), "cgroup_io_write_limit_operations_per_second", "5");
    check(|l| l.latency_target = Some(Limit::Value(5)), "cgroup_io_latency_target_seconds", "0.000005");
    check(|l| l.weight = Some(Limit::Value(5)), "cgroup_io_device_weight", "5");
}

#[test]
fn max_is_no_series() {
    let mut unlimited = cgroup(b"/a", 0);
    for control in Control::ALL {
        set(&mut unlimited, *control, Limit::Max);
    }
    let device = Arc::make_mut(&mut unlimited.controls).io_device("vda");
    (device.read_bytes, device.weight) = (Some(Limit::Max), Some(Limit::Max));
    assert_eq!(kernel_families(&snapshot(vec![unlimited])), [""; 0]);
}

#[test]
fn a_quota_is_shown_in_cores_and_is_nothing_without_a_period() {
    let mut limited = cgroup(b"/a", 0);
    set(&mut limited, Control::CpuQuota, Limit::Value(150_000));
    assert_eq!(kernel_families(&snapshot(vec![limited.clone()])), ["cgroup_cpu_quota_seconds"]);
    set(&mut limited, Control::CpuPeriod, Limit::Value(100_000));
    let (text, _) = rendered(&snapshot(vec![limited.clone()]), &ALL);
    assert_eq!(super::lines(&text, "cgroup_cpu_limit"), ["cgroup_cpu_limit_cores{cgroup=\"/a\"} 1.5"]);
    set(&mut limited, Control::CpuPeriod, Limit::Value(0));
    assert!(!rendered(&snapshot(vec![limited]), &ALL).0.contains("cgroup_cpu_limit_cores"));
}

#[test]
fn the_hosts_numbers_show_one_family_each() {
    for family in families::all() {
        let mut snapshot = snapshot(vec![]);
        match family.from {
            From::Host(field) => snapshot.host.set(field, Some(1)),
            From::HostPressure(list) => snapshot.host.pressure.set(list[0].1, Some(1)),
            _ => continue,
        }
        assert_eq!(kernel_families(&snapshot), [family.name]);
    }
    let mut snapshot = snapshot(vec![]);
    snapshot.host.set(HostField::Cpus, Some(2));
    snapshot.host.pressure.set(Field::IoFullAvg60, Some(250));
    let (text, counts) = rendered(&snapshot, &ALL);
    assert_eq!(
        super::lines(&text, "host_"),
        ["host_cpus 2", "host_pressure_io_stalled_ratio{window=\"60s\"} 0.025"]
    );
    assert_eq!(counts.series, 0, "the host is outside the budget");
}

#[test]
fn the_programs_unknowns_are_no_series() {
    let (text, _) = rendered(&snapshot(vec![]), &ALL);
    for prefix in ["process_", "stockade_config_", "stockade_read_faults", "stockade_control_writes"] {
        assert_eq!(super::lines(&text, prefix), [""; 0]);
    }
    assert!(!text.contains("collector=\"memory_numa\""), "a collector that does not run has no report");
}

#[test]
fn a_scrape_shows_the_collectors_it_asks_for() {
    let mut both = cgroup(b"/a", 0);
    both.readings.set(Field::MemoryCurrent, Some(1));
    both.readings.set(Field::PidsCurrent, Some(1));
    let mut collectors = CollectorSet::NONE;
    collectors.set(Collector::Pids, true);
    let (text, counts) = rendered(&snapshot(vec![both]), &Options { collectors, ..ALL });
    assert_eq!(
        super::lines(&text, "cgroup_"),
        ["cgroup_info{cgroup=\"/a\"} 1", "cgroup_pids_current{cgroup=\"/a\"} 1"]
    );
    assert_eq!(counts.series, 2);
    assert!(text.contains("stockade_series 2\n"));
}

#[test]
fn averages_of_pressure_are_shown_only_where_asked_for() {
    let mut stalled = cgroup(b"/a", 0);
    stalled.readings.set(Field::CpuSomeAvg10, Some(1));
    let (text, _) = rendered(&snapshot(vec![stalled]), &Options { pressure_averages: false, ..ALL });
    assert!(!text.contains("_ratio"));
}
