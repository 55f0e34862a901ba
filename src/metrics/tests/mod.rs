//! Tests of the tables and of the encoder, on snapshots made by hand.

mod absent;
mod budget;
mod cadvisor;
mod golden;
mod hostile;
mod parse;
mod tables;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::{
    Cgroup, CollectorSet, Column, Controls, Host, Identity, Key, LayoutKind, Owner, Reading, Readings,
    Report, RowKind, Schema, Snapshot, WatchMethod, display_path,
};

use super::{Counts, Options, Own, render};

/// A living cgroup of which nothing is known but its path and its place in the order of births.
fn cgroup(path: &[u8], rank: u64) -> Cgroup {
    let identity = Identity {
        path: path.into(),
        display: display_path(path).into(),
        id: rank + 1,
        owner: Owner::default(),
    };
    Cgroup {
        identity: Arc::new(identity),
        parent: None,
        hidden: false,
        rank,
        born: Duration::ZERO,
        sampled: Duration::ZERO,
        ended: None,
        readings: Readings::default(),
        controls: Arc::new(Controls::default()),
        namespaces: Arc::default(),
    }
}

fn dead(mut cgroup: Cgroup) -> Arc<Cgroup> {
    cgroup.ended = Some(Duration::from_secs(9));
    Arc::new(cgroup)
}

fn snapshot(mut cgroups: Vec<Cgroup>) -> Snapshot {
    cgroups.sort_by(|a, b| a.identity.path.cmp(&b.identity.path));
    Snapshot {
        sequence: 7,
        at: Duration::from_secs(100),
        wall: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
        cgroups,
        dead: Vec::new(),
        host: Host::default(),
        report: Report::new(LayoutKind::Hybrid, WatchMethod::Fanotify, CollectorSet::default()),
    }
}

/// Fills a table: column, item, detail and number of each row.
fn fill(readings: &mut Readings, kind: RowKind, rows: &[(Column, &str, &str, u64)]) {
    let key = |&(column, item, detail, _): &(Column, &str, &str, u64)| Key {
        column,
        item: item.into(),
        detail: detail.into(),
    };
    let table = readings.rows_mut(kind);
    table.reshape(Arc::new(Schema::new(rows.iter().map(key).collect())));
    for (value, (.., number)) in table.values_mut().iter_mut().zip(rows) {
        *value = Reading::new(*number);
    }
}

/// The exposition as text.
fn rendered(snapshot: &Snapshot, options: &Options) -> (String, Counts) {
    let mut out = Vec::new();
    let counts = render(snapshot, options, &Own::new(), &mut out);
    (String::from_utf8(out).unwrap(), counts)
}

/// The lines of one kind of metric: those whose name begins so, headers left out.
fn lines<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(prefix)).collect()
}
