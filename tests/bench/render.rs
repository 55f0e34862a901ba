//! What rendering costs: nanoseconds a series, the time of a large scrape, gzip, and the same through the
//! `prometheus` crate's own types and encoder in the same run.
//!
//! `cargo bench --bench render`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop where it stands")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};
use stockade::metrics::{Format, Options, Own, render};
use stockade::model::{
    Cgroup, CollectorSet, Column, Control, Controls, Field, Host, Identity, Key, LayoutKind, Limit, Owner,
    OwnerLabel, Reading, Readings, Report, RowKind, Schema, Snapshot, Unit, WatchMethod,
};

const ROUNDS: usize = 31;

/// Rows of `memory.stat` on a 6.12 kernel, shortened by what is rare.
const STAT_BYTES: &[&str] = &[
    "anon",
    "file",
    "kernel",
    "kernel_stack",
    "pagetables",
    "percpu",
    "sock",
    "vmalloc",
    "shmem",
    "file_mapped",
    "file_dirty",
    "file_writeback",
    "inactive_anon",
    "active_anon",
    "inactive_file",
    "active_file",
    "unevictable",
    "slab_reclaimable",
    "slab_unreclaimable",
    "slab",
];
const STAT_EVENTS: &[&str] = &[
    "workingset_refault_anon",
    "workingset_refault_file",
    "workingset_activate_anon",
    "workingset_activate_file",
    "pgscan",
    "pgsteal",
    "pgfault",
    "pgmajfault",
    "pgrefill",
    "pgactivate",
    "pgdeactivate",
];

fn schema(rows: impl Iterator<Item = (Column, &'static str)>) -> Arc<Schema> {
    Arc::new(Schema::new(
        rows.map(|(column, item)| Key { column, item: item.into(), detail: "".into() }).collect(),
    ))
}

/// Numbers of the size that a kernel gives, the same in every run.
fn numbers() -> impl FnMut(Unit) -> u64 {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    move |unit| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match unit {
            Unit::Bytes => state % (1 << 32),
            Unit::Count | Unit::Microseconds => state % 100_000,
            Unit::Nanoseconds | Unit::Timestamp => state % 10_000_000_000 * 1000,
            Unit::CentiPercent => state % 10_000,
            Unit::Flag => state % 2,
        }
    }
}

fn synthetic(cgroups: usize) -> Snapshot {
    let stat = schema(
        STAT_BYTES
            .iter()
            .map(|item| (Column::StatBytes, *item))
            .chain(STAT_EVENTS.iter().map(|item| (Column::StatEvents, *item))),
    );
    let io = schema(
        [Column::IoReadBytes, Column::IoWriteBytes, Column::IoReads, Column::IoWrites]
            .into_iter()
            .map(|column| (column, "vda")),
    );
    let rare = [Field::MemorySwapPeak, Field::MemoryUnderOom, Field::FreezerFreezing, Field::FreezerFrozen];
    let v1 = |field: Field| {
        let name = format!("{field:?}");
        ["Memsw", "Kmem", "Failures", "Numa"].iter().any(|part| name.contains(part))
    };
    // What a v2 host has for every service: about sixty series with the statistics.
    let fields: Vec<Field> = Field::ALL
        .iter()
        .copied()
        .filter(|field| !rare.contains(field) && !v1(*field) && (*field as usize).is_multiple_of(3))
        .collect();
    let mut next = numbers();
    let mut one = |at: usize| {
        let path = format!(
            "/kubepods.slice/kubepods-burstable.slice/pod{at:05}.slice/cri-containerd-{at:012x}.scope"
        );
        let mut readings = Readings::default();
        for field in &fields {
            readings.set(*field, Some(next(field.unit())));
        }
        for (kind, shape) in [(RowKind::MemoryStat, &stat), (RowKind::IoStat, &io)] {
            readings.rows_mut(kind).reshape(Arc::clone(shape));
            for value in readings.rows_mut(kind).values_mut() {
                *value = Reading::new(next(Unit::Bytes));
            }
        }
        let mut controls = Controls::default();
        controls.set(Control::MemoryMax, Some(Limit::Value(1 << 30)));
        controls.set(Control::CpuWeight, Some(Limit::Value(100)));
        controls.set(Control::MemoryHigh, Some(Limit::Max));
        let mut owner = Owner::default();
        owner.set(OwnerLabel::Slice, Some("kubepods.slice"));
        let identity =
            Identity { display: path.as_str().into(), path: path.into_bytes().into(), id: at as u64, owner };
        Cgroup {
            identity: Arc::new(identity),
            parent: None,
            hidden: false,
            rank: at as u64,
            born: Duration::ZERO,
            sampled: Duration::ZERO,
            ended: None,
            readings,
            controls: Arc::new(controls),
            namespaces: Arc::default(),
        }
    };
    Snapshot {
        sequence: 1,
        at: Duration::ZERO,
        wall: SystemTime::UNIX_EPOCH,
        cgroups: (0..cgroups).map(&mut one).collect(),
        dead: Vec::new(),
        host: Host::default(),
        report: Report::new(LayoutKind::Unified, WatchMethod::Fanotify, CollectorSet::default()),
    }
}

/// The median time of a piece of work.
fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

/// Every `cgroup_…` line of an exposition as the `prometheus` crate's own types.
fn as_families(text: &str) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("cgroup_")) {
        let (name, rest) = line.split_once('{').unwrap();
        let (labels, value) = rest.split_once("} ").unwrap();
        let pairs = labels.split(',').map(|label| {
            let (name, value) = label.split_once('=').unwrap();
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.trim_matches('"').to_owned());
            pair
        });
        let mut gauge = Gauge::default();
        gauge.set_value(value.parse().unwrap());
        let mut metric = Metric::from_label(pairs.collect());
        metric.set_gauge(gauge);
        if families.last().is_none_or(|family| family.name() != name) {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(name.to_owned());
            family.set_field_type(MetricType::GAUGE);
            families.push(family);
        }
        families.last_mut().unwrap().mut_metric().push(metric);
    }
    families
}

fn main() {
    let own = Own::new();
    let snapshot = synthetic(1000);
    let mut out = Vec::new();
    let mut of_series = 0.0;
    let cases = [
        ("text, within the budget", Format::Text, 1_000_000),
        ("text, budget counted", Format::Text, 90_000),
        ("OpenMetrics", Format::OpenMetrics, 1_000_000),
    ];
    for (name, format, max_series) in cases {
        let options = Options { format, max_series, ..Options::default() };
        let mut series = 0;
        let took = median(|| {
            out.clear();
            series = black_box(render(&snapshot, &options, &own, &mut out)).series;
        });
        let each = took.as_nanos() as f64 / series as f64;
        if of_series == 0.0 {
            of_series = each;
        }
        println!(
            "{name:<26} {series} series of 1000 cgroups, {:.1} MB: {:.2} ms, {each:.1} ns a series, {:.2} ms at 60,000 series",
            out.len() as f64 / 1e6,
            took.as_secs_f64() * 1e3,
            each * 0.06
        );
    }

    let flood = synthetic(20_000);
    let mut counts = render(&flood, &Options::default(), &own, &mut out);
    let took = median(|| {
        out.clear();
        counts = black_box(render(&flood, &Options::default(), &own, &mut out));
    });
    println!(
        "20,000 cgroups             {} series shown, {} dropped by the default budget: {:.1} ms",
        counts.series,
        counts.dropped,
        took.as_secs_f64() * 1e3
    );

    out.clear();
    render(&snapshot, &Options::default(), &own, &mut out);
    let mut zipped = Vec::new();
    let took = median(|| {
        zipped.clear();
        let mut encoder = GzEncoder::new(&mut zipped, Compression::new(1));
        encoder.write_all(&out).unwrap();
        encoder.finish().unwrap();
    });
    println!(
        "gzip, level 1              {:.2} MB in {:.1} ms",
        zipped.len() as f64 / 1e6,
        took.as_secs_f64() * 1e3
    );

    out.clear();
    let series = render(&snapshot, &Options::default(), &own, &mut out).series;
    let text = String::from_utf8(out).unwrap();
    let families = as_families(&text);
    let mut through = Vec::new();
    let encode = median(|| {
        through.clear();
        TextEncoder::new().encode(&families, &mut through).unwrap();
    });
    // A collector of that crate makes its families anew for every scrape: copying finished ones is the least that costs.
    let gather = median(|| drop(black_box(families.clone())));
    let each = (encode + gather).as_nanos() as f64 / series as f64;
    println!(
        "through MetricFamily       {each:.1} ns a series (encode {:.2} ms, gather {:.2} ms): {:.1} times as much",
        encode.as_secs_f64() * 1e3,
        gather.as_secs_f64() * 1e3,
        each / of_series
    );
}
