//! `cpu.*`: time used, throttling, quota, weight.

use crate::kernel::parse::{Malformed, centi_percent, limit, trim};
use crate::kernel::spec::{FileSpec, Read};
use crate::model::{Collector, Control, Controls, Field, Limit};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Cpu, read)
}

pub(super) const STAT: FileSpec = file(
    "cpu.stat",
    Read::Flat(&[
        ("usage_usec", Field::CpuUsage, 1000),
        ("user_usec", Field::CpuUser, 1000),
        ("system_usec", Field::CpuSystem, 1000),
        ("nice_usec", Field::CpuNice, 1000),
        ("core_sched.force_idle_usec", Field::CpuForceIdle, 1000),
        ("nr_periods", Field::CpuPeriods, 1),
        ("nr_throttled", Field::CpuThrottledPeriods, 1),
        ("throttled_usec", Field::CpuThrottled, 1000),
        ("nr_bursts", Field::CpuBursts, 1),
        ("burst_usec", Field::CpuBurst, 1000),
    ]),
);

pub(super) const STAT_WITHOUT_CONTROLLER: FileSpec = file(
    "cpu.stat",
    Read::Flat(&[
        ("usage_usec", Field::CpuUsage, 1000),
        ("user_usec", Field::CpuUser, 1000),
        ("system_usec", Field::CpuSystem, 1000),
        ("nice_usec", Field::CpuNice, 1000),
        ("core_sched.force_idle_usec", Field::CpuForceIdle, 1000),
    ]),
);

pub(super) const FILES: &[FileSpec] = &[
    file("cpu.stat.local", Read::Flat(&[("throttled_usec", Field::CpuLocalThrottled, 1000)])),
    file("cpu.max", Read::Controls(|text, controls, _| max(text, controls))),
    file("cpu.max.burst", Read::Limit(Control::CpuBurst, limit)),
    file("cpu.weight", Read::Limit(Control::CpuWeight, limit)),
    file("cpu.idle", Read::Limit(Control::CpuIdle, limit)),
    file("cpu.uclamp.min", Read::Limit(Control::CpuUclampMin, clamp)),
    file("cpu.uclamp.max", Read::Limit(Control::CpuUclampMax, clamp)),
];

/// `max 100000`: quota and period in microseconds.
fn max(text: Option<&[u8]>, controls: &mut Controls) -> Result<(), Malformed> {
    let mut quota = None;
    let mut period = None;
    if let Some(text) = text {
        let mut words = trim(text).split(|&byte| byte == b' ');
        quota = words.next().map(limit).transpose()?;
        period = words.next().map(limit).transpose()?;
        if period.is_none() {
            return Err(Malformed::new("`QUOTA PERIOD`", text));
        }
    }
    controls.set(Control::CpuQuota, quota);
    controls.set(Control::CpuPeriod, period);
    Ok(())
}

/// A share of the largest clock frequency, `max` or a percentage. The same files in both versions.
pub(in crate::kernel) fn clamp(text: &[u8]) -> Result<Limit, Malformed> {
    centi_percent(text).map(Limit::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_and_period() {
        let mut controls = Controls::default();
        max(Some(b"50000 100000\n"), &mut controls).expect("a quota");
        assert_eq!(controls.value(Control::CpuQuota), Some(50_000));
        max(Some(b"max 100000\n"), &mut controls).expect("no quota");
        assert_eq!(controls.get(Control::CpuQuota), Some(Limit::Max));
        assert_eq!(controls.value(Control::CpuPeriod), Some(100_000));
        assert!(max(Some(b"max\n"), &mut controls).is_err());
        max(None, &mut controls).expect("no file");
        assert_eq!(controls.get(Control::CpuQuota), None);
    }
}
