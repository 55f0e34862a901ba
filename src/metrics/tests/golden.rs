//! Whole expositions in both formats, as files that a person can read and that `tests/exposition/check` checks.
//!
//! `STOCKADE_BLESS=1 cargo test golden` writes them anew.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::enforce::order::Outcome;
use crate::metrics::{Enforcement, Format, Options, Own, render};
use crate::model::{
    Collector, Column, Control, Controls, FaultKind, FaultRow, Field, HostField, Identity, Limit, Owner,
    OwnerLabel, ProcessStats, RowKind, Snapshot, WriteRow, Writer,
};

use super::{cgroup, dead, fill, snapshot};

/// A root, a service with a bit of everything, a hostile name and a dead cgroup.
fn host() -> Snapshot {
    let mut root = cgroup(b"/", 0);
    root.readings.set(Field::Descendants, Some(3));
    root.readings.set(Field::CpuUsage, Some(123_456_789_000));

    let mut service = cgroup(b"/system.slice/nginx.service", 1);
    let mut owner = Owner::default();
    owner.set(OwnerLabel::Slice, Some("system.slice"));
    owner.set(OwnerLabel::Unit, Some("nginx.service"));
    service.identity = Arc::new(Identity { owner, ..(*service.identity).clone() });
    for (field, value) in [
        (Field::Populated, 1),
        (Field::Frozen, 0),
        (Field::MemoryCurrent, 50_331_648),
        (Field::MemoryEventsOom, 0),
        (Field::MemoryEventsOomKill, 2),
        (Field::MemoryHeadroomMax, 1_023_410_176),
        (Field::CpuUsage, 1_500_000_000),
        (Field::CpuThrottled, 20_000),
        (Field::MemorySomeTotal, 3_000_001_000),
        (Field::MemorySomeAvg10, 1234),
        (Field::MemorySomeAvg60, 0),
        (Field::PidsCurrent, 5),
    ] {
        service.readings.set(field, Some(value));
    }
    fill(
        &mut service.readings,
        RowKind::MemoryStat,
        &[
            (Column::StatBytes, "anon", "", 40_000_000),
            (Column::StatEvents, "pgfault", "", 1234),
            (Column::StatObjects, "workingset_nodes", "", 6),
            (Column::StatBytes, "file", "", 0),
        ],
    );
    fill(&mut service.readings, RowKind::MemoryNumaStat, &[(Column::NumaBytes, "anon", "0", 40_000_000)]);
    fill(
        &mut service.readings,
        RowKind::IoStat,
        &[
            (Column::IoReadBytes, "vda", "", 4096),
            (Column::IoReads, "vda", "", 1),
            (Column::IoReadBytes, "8:0", "", 512),
            (Column::IoCostWait, "vda", "", 1_000),
        ],
    );
    let mut controls = Controls::default();
    for (control, limit) in [
        (Control::MemoryMax, Limit::Value(1_073_741_824)),
        (Control::MemoryHigh, Limit::Max),
        (Control::MemoryLow, Limit::Value(0)),
        (Control::CpuQuota, Limit::Value(50_000)),
        (Control::CpuPeriod, Limit::Value(100_000)),
        (Control::CpuUclampMin, Limit::Value(1250)),
    ] {
        controls.set(control, Some(limit));
    }
    let device = controls.io_device("vda");
    (device.read_bytes, device.writes) = (Some(Limit::Value(52_428_800)), Some(Limit::Max));
    device.latency_target = Some(Limit::Value(75_000));
    service.controls = Arc::new(controls);

    let mut hostile = cgroup(b"/evil\"} 1\\\x01\xff", 2);
    hostile.readings.set(Field::PidsCurrent, Some(1));
    let mut gone = cgroup(b"/gone.scope", 3);
    gone.readings.set(Field::CpuUsage, Some(1));

    let mut host = snapshot(vec![root, service, hostile]);
    host.dead = vec![dead(gone)];
    host.host.set(HostField::MemoryAvailable, Some(8_000_000_000));
    host.host.set(HostField::Cpus, Some(2));
    host.host.pressure.set(Field::CpuSomeTotal, Some(42_000_000));
    host.host.pressure.set(Field::CpuSomeAvg300, Some(7));
    let report = &mut host.report;
    report.interval = Duration::from_secs(5);
    report.collectors[Collector::Memory as usize].took = Duration::from_micros(150);
    report.collectors[Collector::Memory as usize].reads = 21;
    report.collectors[Collector::Io as usize].faults = 1;
    report.faults = vec![FaultRow { source: "io.stat", kind: FaultKind::Malformed, count: 4 }];
    report.writes = vec![WriteRow { file: "memory.max", writer: Writer::Systemd, count: 2 }];
    (report.births, report.deaths, report.descriptors_held, report.descriptors_budget) = (4, 1, 80, 10_000);
    host
}

fn own() -> Own {
    let own = Own::new();
    own.sampled(Duration::from_millis(2));
    own.answered("/metrics", 200);
    own.answered("/metrics", 503);
    own.reloaded(true, SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_999_000));
    own.reloaded(false, SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_999_500));
    own.evaluated(Duration::from_micros(40));
    own.woken("pressure");
    own.decided("batch \"runaway\"", "freeze", Outcome::Applied);
    own.decided("batch \"runaway\"", "kill", Outcome::Budget);
    own.reacted("freeze", Duration::from_micros(1700));
    own.expect_drift("batch-cap", "memory.high");
    own.drifted("batch-cap", "memory.high", "yield");
    own.set_enforcement(Enforcement {
        mode: Some("dry_run"),
        active: vec![("batch-cap".into(), "set", 3)],
        states: vec![("batch \"runaway\"".into(), "acting", 1), ("batch \"runaway\"".into(), "watching", 12)],
        triggers: 2,
        journal_open: 4,
        journal_torn_bytes: 17,
        audit_faults: 1,
        notify_faults: 0,
    });
    own.set_process(ProcessStats {
        cpu: Some(Duration::from_millis(1250)),
        resident_bytes: Some(9_000_000),
        open_descriptors: Some(99),
        started: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_998_000)),
        ..ProcessStats::default()
    });
    own
}

fn check(format: Format, file: &str) {
    let options =
        Options { format, pressure_averages: true, age: Duration::from_millis(1500), ..Options::default() };
    let mut out = Vec::new();
    render(&host(), &options, &own(), &mut out);
    // What differs from build to build is not in the file.
    let build = format!(
        "stockade_build_info{{version=\"{}\",arch=\"{}\"}}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    let text =
        String::from_utf8(out).unwrap().replace(&build, "stockade_build_info{version=\"0\",arch=\"any\"}");
    super::parse::exposition(&text);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(file);
    if std::env::var_os("STOCKADE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (at, (line, expected)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(line, expected, "{file}:{}", at + 1);
    }
    assert_eq!(text, golden, "{file} is longer or shorter");
}

#[test]
fn golden_text() {
    check(Format::Text, "host.prom");
}

#[test]
fn golden_openmetrics() {
    check(Format::OpenMetrics, "host.om");
}
