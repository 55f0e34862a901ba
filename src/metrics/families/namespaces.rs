//! Namespaces: which each cgroup's processes are in, and with whom they are shared.

use crate::metrics::family::{Family, From};
use crate::metrics::text::{Kind, Scale};
use crate::model::{Collector, NamespaceKind};

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        Collector::Namespaces,
        "cgroup_namespaces",
        "/proc/PID/ns",
        From::NamespaceCounts,
        "Namespaces that the cgroup's own processes are in: the host's, those with processes of other cgroups too (peer), and those of this cgroup and its descendants alone (own).",
    )
    .labels(&["kind", "shared"]),
    Family::info(
        Collector::NamespaceInodes,
        "cgroup_namespace_info",
        "/proc/PID/ns",
        From::NamespaceList,
        "A namespace that processes of the cgroup are in, with its inode.",
    )
    .labels(&["kind", "inode", "shared"]),
    Family::gauge(
        Collector::Namespaces,
        "cgroup_user_namespace_root_uid",
        "/proc/PID/uid_map",
        From::Namespaces(|namespaces| namespaces.root_uid.map(u64::from)),
        "The user outside who is root in the cgroup's user namespace, where that is not the host's; 0 is the host's root.",
    ),
    Family::gauge(
        Collector::Namespaces,
        "cgroup_pid_namespace_depth",
        "/proc/PID/status NSpid",
        From::Namespaces(|namespaces| namespaces.pid_depth.map(u64::from)),
        "How many pid namespaces below the host's the deepest process of the cgroup is, where it is not in the host's.",
    ),
    Family::gauge(
        Collector::Namespaces,
        "host_namespaces",
        "/proc/PID/ns",
        From::Program(|program, series| {
            let counts = program.snapshot.report.census.namespaces;
            for (kind, count) in NamespaceKind::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
                series.put(&[("kind", kind.name())], count, Scale::One);
            }
        }),
        "Different namespaces that processes of this host are in.",
    )
    .labels(&["kind"]),
    Family::always(
        Kind::Gauge,
        "stockade_census_processes",
        "this program",
        From::Program(|program, series| {
            let report = &program.snapshot.report;
            let census = &report.census;
            if report.enabled.has(Collector::Namespaces) && census.processes > 0 {
                let known = census.processes.saturating_sub(census.unreadable + census.waiting);
                for (state, count) in
                    [("known", known), ("unreadable", census.unreadable), ("waiting", census.waiting)]
                {
                    series.put(&[("state", state)], count, Scale::One);
                }
            }
        }),
        "Processes in cgroups: whose namespaces are known, may not be read, or have not had their turn yet.",
    )
    .labels(&["state"]),
    Family::always(
        Kind::Counter,
        "stockade_census_scans_total",
        "this program",
        From::Program(|program, series| {
            let report = &program.snapshot.report;
            let census = &report.census;
            if report.enabled.has(Collector::Namespaces) && census.processes > 0 {
                series.count(census.scanned);
            }
        }),
        "Processes whose namespaces were read, for the first time or again.",
    ),
];
