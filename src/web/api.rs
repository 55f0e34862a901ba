//! The read-only JSON of `/api/v1/`. The records of cgroups are [`crate::record`]'s; this adds the program's own.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Cgroup, Collector, Field, HostField, Report, Snapshot};
use crate::record::enforcement::{Decision, Overview};
use crate::record::{self, Document, Listing, Numbers};

/// `/api/v1/status`.
#[derive(Serialize)]
struct Status<'a> {
    program: &'static str,
    program_version: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Sample<'a>>,
}

/// The newest pass.
#[derive(Serialize)]
struct Sample<'a> {
    sequence: u64,
    timestamp_seconds: f64,
    duration_seconds: f64,
    layout: &'static str,
    watch: &'static str,
    cgroups: usize,
    cgroups_hidden: usize,
    cgroups_ended_unscraped: usize,
    births: u64,
    deaths: u64,
    deaths_unscraped: u64,
    rescans: u64,
    descriptors_held: u64,
    descriptors_budget: u64,
    collectors: BTreeMap<&'static str, CollectorState>,
    faults: Vec<Fault<'a>>,
    control_writes: Vec<ControlWrites<'a>>,
    host: Host,
}

#[derive(Serialize)]
struct CollectorState {
    duration_seconds: f64,
    reads: u64,
    faults: u64,
}

#[derive(Serialize)]
struct Fault<'a> {
    source: &'a str,
    kind: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct ControlWrites<'a> {
    file: &'a str,
    writer: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Host {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_available_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swap_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swap_free_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<u64>,
    pressure: Numbers,
}

/// `/api/v1/decisions`.
#[derive(Serialize)]
struct Decisions<'a> {
    decisions: &'a [Decision],
}

/// A refusal.
#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

/// This process and its newest pass.
pub(super) fn status(snapshot: Option<&Snapshot>) -> Vec<u8> {
    let status = Status {
        program: env!("CARGO_PKG_NAME"),
        program_version: env!("CARGO_PKG_VERSION"),
        ready: snapshot.is_some(),
        sample: snapshot.map(sample),
    };
    Document::new(status).to_json()
}

/// Every cgroup with its key numbers.
pub(super) fn cgroups(snapshot: &Snapshot) -> Vec<u8> {
    Document::new(Listing(snapshot)).to_json()
}

/// One cgroup with everything.
pub(super) fn cgroup(snapshot: &Snapshot, path: &[u8]) -> Option<Vec<u8>> {
    let cgroup = find(snapshot, path)?;
    Some(Document::new(record::full(cgroup, snapshot.at, None)).to_json())
}

/// Where the rules stand, and what is in force.
pub(super) fn policies(overview: &Overview) -> Vec<u8> {
    Document::new(overview).to_json()
}

/// The newest decisions.
pub(super) fn decisions(decisions: &[Decision]) -> Vec<u8> {
    Document::new(Decisions { decisions }).to_json()
}

/// The cgroup of a path: the living one, as the kernel or as people write it, else the one of that path that ended last and
/// waits for a scrape.
pub(super) fn find<'a>(snapshot: &'a Snapshot, path: &[u8]) -> Option<&'a Cgroup> {
    snapshot
        .find(path)
        .or_else(|| snapshot.cgroups.iter().find(|cgroup| cgroup.identity.display.as_bytes() == path))
        .or_else(|| snapshot.dead.iter().map(AsRef::as_ref).rfind(|cgroup| *cgroup.identity.path == *path))
        .filter(|cgroup| !cgroup.hidden)
}

/// Why there is nothing else.
pub(super) fn problem(error: &str) -> Vec<u8> {
    Document::new(Problem { error }).to_json()
}

fn sample(snapshot: &Snapshot) -> Sample<'_> {
    let report = &snapshot.report;
    let shown = snapshot.shown().count();
    Sample {
        sequence: snapshot.sequence,
        timestamp_seconds: record::unix_seconds(snapshot.wall),
        duration_seconds: report.took.as_secs_f64(),
        layout: report.layout.name(),
        watch: report.watch.name(),
        cgroups: shown,
        cgroups_hidden: snapshot.cgroups.len() - shown,
        cgroups_ended_unscraped: snapshot.dead.len(),
        births: report.births,
        deaths: report.deaths,
        deaths_unscraped: report.deaths_unscraped,
        rescans: report.rescans,
        descriptors_held: report.descriptors_held,
        descriptors_budget: report.descriptors_budget,
        collectors: collectors(report),
        faults: report
            .faults
            .iter()
            .map(|row| Fault { source: row.source, kind: row.kind.name(), count: row.count })
            .collect(),
        control_writes: report
            .writes
            .iter()
            .map(|row| ControlWrites { file: row.file, writer: row.writer.name(), count: row.count })
            .collect(),
        host: Host {
            memory_total_bytes: snapshot.host.get(HostField::MemoryTotal),
            memory_available_bytes: snapshot.host.get(HostField::MemoryAvailable),
            swap_total_bytes: snapshot.host.get(HostField::SwapTotal),
            swap_free_bytes: snapshot.host.get(HostField::SwapFree),
            cpus: snapshot.host.get(HostField::Cpus),
            pressure: record::fields(&snapshot.host.pressure, Field::ALL),
        },
    }
}

/// The collectors that run in this process.
fn collectors(report: &Report) -> BTreeMap<&'static str, CollectorState> {
    Collector::ALL
        .iter()
        .zip(&report.collectors)
        .filter(|(collector, _)| report.enabled.has(**collector))
        .map(|(collector, done)| {
            let state = CollectorState {
                duration_seconds: done.took.as_secs_f64(),
                reads: done.reads,
                faults: done.faults,
            };
            (collector.name(), state)
        })
        .collect()
}
