//! What is told of a cgroup in cAdvisor's way, where that is not a number of the model as it is.

use std::time::{Duration, SystemTime};

use crate::metrics::family::Put;
use crate::metrics::values::Rows;
use crate::model::{Cgroup, Column, Control, Field, HostField, Limit, RowKind, Snapshot};

pub(super) const BYTES: &[RowKind] = &[RowKind::IoStat, RowKind::BlkioBytes];
pub(super) const OPERATIONS: &[RowKind] = &[RowKind::IoStat, RowKind::BlkioOps];

pub(super) fn last_seen(snapshot: &Snapshot, cgroup: &Cgroup) -> Option<u64> {
    let ago: Duration = snapshot.at.saturating_sub(cgroup.sampled);
    let since = snapshot.wall.checked_sub(ago)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// cAdvisor tells of throttling only where there is a quota.
pub(super) fn with_quota(cgroup: &Cgroup, field: Field, put: &mut Put<'_>) {
    if let (Some(_), Some(value)) = (cgroup.controls.value(Control::CpuQuota), cgroup.readings.get(field)) {
        put(&[], value);
    }
}

pub(super) fn control(cgroup: &Cgroup, control: Control, put: &mut Put<'_>) {
    if let Some(value) = cgroup.controls.value(control) {
        put(&[], value);
    }
}

/// The first of the limits whose file is there, in cAdvisor's way: 0 is none.
pub(super) fn limit(cgroup: &Cgroup, controls: &[Control], put: &mut Put<'_>) {
    if let Some(limit) = controls.iter().find_map(|control| cgroup.controls.get(*control)) {
        put(&[], limit.value().unwrap_or(0));
    }
}

/// The same, and in the root what the machine has.
pub(super) fn limit_or_machine(
    snapshot: &Snapshot,
    cgroup: &Cgroup,
    machine: HostField,
    controls: &[Control],
    put: &mut Put<'_>,
) {
    if &*cgroup.identity.path != b"/" {
        limit(cgroup, controls, put);
    } else if let Some(total) = snapshot.host.get(machine) {
        put(&[], total);
    }
}

/// The shares; on v2 by the rule by which runtimes of OCI make a weight of shares, backwards.
pub(super) fn shares(cgroup: &Cgroup) -> Option<u64> {
    let of_weight = |weight: u64| 2 + weight.saturating_sub(1) * 262_142 / 9_999;
    let shares = cgroup.controls.get(Control::CpuShares).and_then(Limit::value);
    shares.or_else(|| cgroup.controls.value(Control::CpuWeight).map(of_weight))
}

pub(super) fn stat(cgroup: &Cgroup, name: &str, put: &mut Put<'_>) {
    if let Some(bytes) = cgroup.readings.memory_stat(name) {
        put(&[], bytes);
    }
}

pub(super) fn failures(_: &Snapshot, cgroup: &Cgroup, put: &mut Put<'_>) {
    let rows = cgroup.readings.rows(RowKind::MemoryStat);
    for event in ["pgfault", "pgmajfault"] {
        if let Some(count) = rows.get(Column::StatEvents, event) {
            put(&[event, "container"], count);
            put(&[event, "hierarchy"], count);
        }
    }
}

/// One number for each device, under the name of its file in `/dev`.
pub(super) fn devices(cgroup: &Cgroup, column: Column, kinds: &[RowKind], put: &mut Put<'_>) {
    let Some(rows) = Rows::of(cgroup, column, kinds) else { return };
    let keys = rows.schema.keys();
    for (at, value) in rows.present() {
        let device = &keys[rows.rows[at] as usize].item;
        // A device that has no name is told by its number.
        if device.contains(':') {
            put(&[device], value);
        } else {
            put(&[&format!("/dev/{device}")], value);
        }
    }
}

/// One number for each network device that cAdvisor shows: it leaves out those whose names
/// begin so, in capitals too (`nerdctl` in newer versions).
pub(super) fn interfaces(cgroup: &Cgroup, column: Column, put: &mut Put<'_>) {
    const LEFT_OUT: [&str; 4] = ["lo", "veth", "docker", "nerdctl"];
    let Some(rows) = Rows::of(cgroup, column, &[RowKind::Network]) else { return };
    let keys = rows.schema.keys();
    for (at, value) in rows.present() {
        let device = &*keys[rows.rows[at] as usize].item;
        let begins =
            |prefix: &&str| device.get(..prefix.len()).is_some_and(|own| own.eq_ignore_ascii_case(prefix));
        if !LEFT_OUT.iter().any(begins) {
            put(&[device], value);
        }
    }
}

/// A number that the cgroup's own processes add up to: where there are none, cAdvisor says 0.
pub(super) fn of_processes(cgroup: &Cgroup, labels: &[&str], field: Field, put: &mut Put<'_>) {
    let empty = || (cgroup.readings.get(Field::Processes) == Some(0)).then_some(0);
    if let Some(number) = cgroup.readings.get(field).or_else(empty) {
        put(labels, number);
    }
}

/// The states under the kernel's names of them in its cgroupstats, which cAdvisor asks. `iowaiting`, which the kernel counts
/// of no task that is in another state, is left out.
pub(super) fn tasks(_: &Snapshot, cgroup: &Cgroup, put: &mut Put<'_>) {
    for (state, field) in [
        ("sleeping", Field::ThreadsSleeping),
        ("running", Field::ThreadsRunning),
        ("stopped", Field::ThreadsStopped),
        ("uninterruptible", Field::ThreadsDiskSleep),
    ] {
        of_processes(cgroup, &[state], field, put);
    }
}
