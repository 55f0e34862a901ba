//! The exposition of cgroups with any names, read back.

#[allow(dead_code, reason = "the encoder's own tests use the rest")]
#[path = "../../../src/metrics/tests/parse.rs"]
mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stockade::identify::identify;
use stockade::metrics::{Attach, Format, Options, Own, render};
use stockade::model::{
    Cgroup, CollectorSet, Column, Controls, Field, Host, Key, LayoutKind, OwnerLabel, Reading, Readings,
    Report, RowKind, Schema, Snapshot, WatchMethod,
};

/// Checks that each cgroup is told under its own name and no other, in both formats, within the budget.
pub fn check(data: &[u8]) {
    let Some((&budget, names)) = data.split_first() else { return };
    let paths: BTreeSet<Vec<u8>> =
        names.split(|&byte| byte == 0).take(64).map(|name| [b"/", name].concat()).collect();
    let cgroups: Vec<Cgroup> = (0..).zip(&paths).map(|(rank, path)| cgroup(path, rank)).collect();
    let shown: BTreeSet<String> = cgroups.iter().map(|c| c.identity.display.to_string()).collect();
    assert_eq!(shown.len(), paths.len(), "two paths are shown alike");
    let snapshot = Snapshot {
        sequence: 1,
        at: Duration::from_secs(1),
        wall: SystemTime::UNIX_EPOCH,
        cgroups,
        dead: Vec::new(),
        host: Host::default(),
        report: Report::new(LayoutKind::Unified, WatchMethod::Walk, CollectorSet::ALL),
    };
    for format in [Format::Text, Format::OpenMetrics] {
        let attach = if budget & 1 == 0 { Attach::of(OwnerLabel::ALL) } else { Attach::NONE };
        let max_series = if budget < 128 { 200_000 } else { usize::from(budget - 128) };
        let cadvisor = budget & 2 != 0;
        let options = Options { format, attach, max_series, cadvisor, ..Options::default() };
        let mut out = Vec::new();
        let counts = render(&snapshot, &options, &Own::new(), &mut out);
        let text = String::from_utf8(out).expect("an exposition is UTF-8");
        let samples = parse::exposition(&text);
        let name = |labels: &BTreeMap<String, String>| labels.get("cgroup").or(labels.get("id")).cloned();
        let named: Vec<String> = samples.iter().filter_map(|sample| name(&sample.labels)).collect();
        assert!(named.len() <= max_series, "{} series, {max_series} are allowed", named.len());
        assert_eq!(counts.series, named.len() as u64);
        let told: BTreeSet<String> = named.into_iter().collect();
        assert!(told.is_subset(&shown), "{told:?} are not all of {shown:?}");
        if counts.dropped == 0 {
            assert_eq!(told, shown);
            for sample in samples.iter().filter(|sample| sample.name == "cgroup_memory_current_bytes") {
                let place =
                    snapshot.cgroups.iter().position(|c| *c.identity.display == *sample.labels["cgroup"]);
                assert_eq!(Some(sample.value.as_str()), place.map(|at| at.to_string()).as_deref());
            }
        }
    }
}

/// A cgroup whose memory is its rank, with a device that has the cgroup's name.
fn cgroup(path: &[u8], rank: u64) -> Cgroup {
    let mut readings = Readings::default();
    readings.set(Field::MemoryCurrent, Some(rank));
    let table = readings.rows_mut(RowKind::IoStat);
    table.reshape(Arc::new(Schema::new(vec![Key::new(Column::IoReads, &String::from_utf8_lossy(path))])));
    table.values_mut()[0] = Reading::new(rank);
    Cgroup {
        identity: Arc::new(identify(path, rank + 1)),
        parent: None,
        hidden: false,
        rank,
        born: Duration::ZERO,
        sampled: Duration::ZERO,
        ended: None,
        readings,
        controls: Arc::new(Controls::default()),
        namespaces: Arc::default(),
    }
}
