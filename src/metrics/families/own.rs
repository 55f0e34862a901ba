//! `stockade_…` and `process_…`: what the sampling cost and met, and the process as the kernel sees it.

use std::time::{Duration, SystemTime};

use crate::metrics::family::{Family, From};
use crate::metrics::program::{Program, Series};
use crate::metrics::text::{Kind, Scale};
use crate::model::{Collector, CollectorReport, LayoutKind, WatchMethod};

type Tell = fn(&Program<'_>, &mut Series<'_>);

const fn gauge(name: &'static str, tell: Tell, help: &'static str) -> Family {
    Family::always(Kind::Gauge, name, "this program", From::Program(tell), help)
}

const fn counter(name: &'static str, tell: Tell, help: &'static str) -> Family {
    Family::always(Kind::Counter, name, "this program", From::Program(tell), help)
}

const fn process(
    kind: Kind,
    name: &'static str,
    source: &'static str,
    tell: Tell,
    help: &'static str,
) -> Family {
    Family::always(kind, name, source, From::Program(tell), help)
}

/// Each collector that runs in this process, with its report.
fn collectors<'a>(program: &Program<'a>) -> impl Iterator<Item = (&'static str, &'a CollectorReport)> {
    let report = &program.snapshot.report;
    Collector::ALL
        .iter()
        .zip(&report.collectors)
        .filter(|(collector, _)| report.enabled.has(**collector))
        .map(|(collector, told)| (collector.name(), told))
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A number that the process may not know.
fn known(series: &mut Series<'_>, value: Option<u64>) {
    if let Some(value) = value {
        series.count(value);
    }
}

pub(super) const FAMILIES: &[Family] = &[
    Family::always(
        Kind::Info,
        "stockade_build_info",
        "the build",
        From::Program(|_, series| {
            let revision = option_env!("STOCKADE_REVISION").unwrap_or("");
            let labels = [
                ("version", env!("CARGO_PKG_VERSION")),
                ("revision", revision),
                ("arch", std::env::consts::ARCH),
            ];
            series.put(&labels, 1, Scale::One);
        }),
        "The version; the revision is told where the build was given it as STOCKADE_REVISION.",
    )
    .labels(&["version", "revision", "arch"]),
    gauge(
        "stockade_layout",
        |program, series| {
            for layout in [LayoutKind::Unified, LayoutKind::Hybrid, LayoutKind::Legacy] {
                let found = u64::from(layout == program.snapshot.report.layout);
                series.put(&[("layout", layout.name())], found, Scale::One);
            }
        },
        "How the host mounts its control groups (1) and how it does not (0).",
    )
    .labels(&["layout"]),
    gauge(
        "stockade_watch_method",
        |program, series| {
            for method in WatchMethod::ALL {
                let used = u64::from(*method == program.snapshot.report.watch);
                series.put(&[("method", method.name())], used, Scale::One);
            }
        },
        "Which way of noticing births, deaths and control writes is in use (1) and which are not (0).",
    )
    .labels(&["method"]),
    gauge(
        "stockade_sample_age_seconds",
        |program, series| series.seconds(&[], program.age),
        "How old the numbers of this exposition are.",
    ),
    gauge(
        "stockade_last_sample_timestamp_seconds",
        |program, series| series.seconds(&[], since_epoch(program.snapshot.wall)),
        "When the numbers of this exposition were read.",
    ),
    gauge(
        "stockade_sample_interval_seconds",
        |program, series| series.seconds(&[], program.snapshot.report.interval),
        "How often the cgroups are passed over, as configured: a sample that is several times as old is stale.",
    ),
    counter(
        "stockade_samples_total",
        |program, series| series.count(program.snapshot.sequence),
        "Passes over the cgroups since the start.",
    ),
    gauge(
        "stockade_collector_duration_seconds",
        |program, series| {
            for (name, told) in collectors(program) {
                series.seconds(&[("collector", name)], told.took);
            }
        },
        "Time the collector spent reading and parsing in the last pass.",
    )
    .labels(&["collector"]),
    gauge(
        "stockade_collector_success",
        |program, series| {
            for (name, told) in collectors(program) {
                series.put(&[("collector", name)], u64::from(told.faults == 0), Scale::One);
            }
        },
        "Whether the collector met no fault in the last pass (1) or any (0); cgroups that vanished are no fault.",
    )
    .labels(&["collector"]),
    gauge(
        "stockade_collector_reads",
        |program, series| {
            for (name, told) in collectors(program) {
                series.put(&[("collector", name)], told.reads, Scale::One);
            }
        },
        "Files the collector read in the last pass.",
    )
    .labels(&["collector"]),
    counter(
        "stockade_read_faults_total",
        |program, series| {
            for row in &program.snapshot.report.faults {
                series.put(&[("source", row.source), ("kind", row.kind.name())], row.count, Scale::One);
            }
        },
        "Files that could not be used, by file and reason.",
    )
    .labels(&["source", "kind"]),
    counter(
        "stockade_control_writes_total",
        |program, series| {
            for row in &program.snapshot.report.writes {
                series.put(&[("file", row.file), ("writer", row.writer.name())], row.count, Scale::One);
            }
        },
        "Writes to control files seen on the host, by file and kind of writer.",
    )
    .labels(&["file", "writer"]),
    gauge(
        "stockade_cgroups",
        |program, series| {
            for (state, count) in [("live", program.snapshot.cgroups.len()), ("dead", program.snapshot.dead.len())] {
                series.put(&[("state", state)], count as u64, Scale::One);
            }
        },
        "Cgroups in the last pass: the living, and the dead whose last numbers wait for a scrape.",
    )
    .labels(&["state"]),
    counter(
        "stockade_cgroup_births_total",
        |program, series| series.count(program.snapshot.report.births),
        "Cgroups first seen since the start.",
    ),
    counter(
        "stockade_cgroup_deaths_total",
        |program, series| series.count(program.snapshot.report.deaths),
        "Cgroups seen to end since the start.",
    ),
    counter(
        "stockade_cgroup_deaths_unscraped_total",
        |program, series| series.count(program.snapshot.report.deaths_unscraped),
        "Cgroups that ended and whose last numbers no scrape carried.",
    ),
    counter(
        "stockade_rescans_total",
        |program, series| series.count(program.snapshot.report.rescans),
        "Times the watch lost events and every cgroup was looked for again.",
    ),
    gauge(
        "stockade_descriptors_held",
        |program, series| series.count(program.snapshot.report.descriptors_held),
        "Descriptors held open on cgroup files.",
    ),
    gauge(
        "stockade_descriptors_budget",
        |program, series| series.count(program.snapshot.report.descriptors_budget),
        "How many descriptors may be held open on cgroup files.",
    ),
    gauge(
        "stockade_series",
        |program, series| series.count(program.series),
        "Cgroup series in this exposition.",
    ),
    gauge(
        "stockade_series_dropped",
        |program, series| series.count(program.dropped),
        "Cgroup series that the series budget kept out of this exposition.",
    ),
    gauge(
        "stockade_config_last_reload_successful",
        |program, series| known(series, program.reload.successful.map(u64::from)),
        "Whether the newest configuration that was loaded is the one in use (1) or was refused (0).",
    ),
    gauge(
        "stockade_config_last_reload_success_timestamp_seconds",
        |program, series| {
            if let Some(at) = program.reload.succeeded {
                series.seconds(&[], since_epoch(at));
            }
        },
        "When the configuration in use was loaded.",
    ),
    gauge(
        "stockade_web_config_last_reload_successful",
        |program, series| known(series, program.web.reload.successful.map(u64::from)),
        "Whether the newest web configuration is the one in use (1) or was refused (0), its certificates included.",
    ),
    gauge(
        "stockade_web_config_last_reload_success_timestamp_seconds",
        |program, series| {
            if let Some(at) = program.web.reload.succeeded {
                series.seconds(&[], since_epoch(at));
            }
        },
        "When the web configuration in use was loaded.",
    ),
    gauge(
        "stockade_web_certificate_expiry_timestamp_seconds",
        |program, series| {
            if let Some(at) = program.web.certificate_expiry {
                series.seconds(&[], since_epoch(at));
            }
        },
        "When the certificate that is served runs out.",
    ),
    process(
        Kind::Counter,
        "process_cpu_seconds_total",
        "/proc/self/stat",
        |program, series| {
            if let Some(used) = program.process.cpu {
                series.seconds(&[], used);
            }
        },
        "CPU time this program used.",
    ),
    process(
        Kind::Gauge,
        "process_resident_memory_bytes",
        "/proc/self/stat",
        |program, series| known(series, program.process.resident_bytes),
        "Resident memory of this program.",
    ),
    process(
        Kind::Gauge,
        "process_virtual_memory_bytes",
        "/proc/self/stat",
        |program, series| known(series, program.process.virtual_bytes),
        "Virtual memory of this program.",
    ),
    process(
        Kind::Gauge,
        "process_open_fds",
        "/proc/self/fd",
        |program, series| known(series, program.process.open_descriptors),
        "Descriptors this program has open.",
    ),
    process(
        Kind::Gauge,
        "process_max_fds",
        "/proc/self/limits",
        |program, series| known(series, program.process.max_descriptors),
        "Descriptors this program may have open.",
    ),
    process(
        Kind::Gauge,
        "process_threads",
        "/proc/self/stat",
        |program, series| known(series, program.process.threads),
        "Threads of this program.",
    ),
    process(
        Kind::Gauge,
        "process_start_time_seconds",
        "/proc/self/stat",
        |program, series| {
            if let Some(at) = program.process.started {
                series.seconds(&[], since_epoch(at));
            }
        },
        "When this program started.",
    ),
];
