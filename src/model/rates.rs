//! Rates between two moments of the same cgroup.

use super::{Cgroup, Column, Field};

/// How fast a cgroup used things between two samples. A counter that went backwards gives no rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// CPU used, in cores.
    pub cpu_cores: Option<f64>,
    /// Bytes read a second.
    pub read_bytes: Option<f64>,
    /// Bytes written a second.
    pub write_bytes: Option<f64>,
    /// Share of the enforcement periods that were throttled, 0 to 1.
    pub throttled: Option<f64>,
    /// Growth of memory in bytes a second; below zero where it shrank.
    pub memory_growth: Option<f64>,
}

/// The rates from `before` to `after`; none where they are not the same cgroup or no time passed.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate is a ratio; 53 bits of it are plenty")]
pub fn rates(before: &Cgroup, after: &Cgroup) -> Rates {
    let elapsed = after.sampled.saturating_sub(before.sampled).as_secs_f64();
    if before.identity.id != after.identity.id
        || before.identity.path != after.identity.path
        || elapsed <= 0.0
    {
        return Rates::default();
    }
    let grown = |old: Option<u64>, new: Option<u64>| new?.checked_sub(old?).map(|delta| delta as f64);
    let field = |field: Field| grown(before.readings.get(field), after.readings.get(field));
    let io =
        |column: Column| grown(before.readings.io(column), after.readings.io(column)).map(|b| b / elapsed);
    let memory = |cgroup: &Cgroup| cgroup.readings.get(Field::MemoryCurrent).map(|bytes| bytes as f64);
    Rates {
        cpu_cores: field(Field::CpuUsage).map(|nanoseconds| nanoseconds / 1e9 / elapsed),
        read_bytes: io(Column::IoReadBytes),
        write_bytes: io(Column::IoWriteBytes),
        throttled: field(Field::CpuThrottledPeriods)
            .zip(field(Field::CpuPeriods))
            .and_then(|(throttled, periods)| (periods > 0.0).then(|| (throttled / periods).min(1.0))),
        memory_growth: memory(after).zip(memory(before)).map(|(new, old)| (new - old) / elapsed),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Controls, Identity, Owner, Readings};

    fn cgroup(id: u64, seconds: u64, usage: u64) -> Cgroup {
        let mut readings = Readings::default();
        readings.set(Field::CpuUsage, Some(usage));
        Cgroup {
            identity: Arc::new(Identity {
                path: (*b"/a").into(),
                display: "/a".into(),
                id,
                owner: Owner::default(),
            }),
            parent: None,
            hidden: false,
            rank: 0,
            born: Duration::ZERO,
            sampled: Duration::from_secs(seconds),
            ended: None,
            readings,
            controls: Arc::new(Controls::default()),
            namespaces: Arc::default(),
        }
    }

    #[test]
    fn rates_are_over_measured_time_and_only_for_the_same_cgroup() {
        let (before, after) = (cgroup(1, 10, 1_000_000_000), cgroup(1, 14, 3_000_000_000));
        assert_eq!(rates(&before, &after).cpu_cores, Some(0.5));
        assert_eq!(rates(&before, &after).read_bytes, None, "no I/O file, no rate");
        assert_eq!(rates(&before, &cgroup(2, 14, 3_000_000_000)).cpu_cores, None, "recreated");
        assert_eq!(rates(&after, &cgroup(1, 15, 1)).cpu_cores, None, "backwards");
        assert_eq!(rates(&before, &cgroup(1, 10, 2_000_000_000)).cpu_cores, None, "no time passed");
    }
}
