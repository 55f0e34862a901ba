//! v1 `cpu.*`: throttling, quota, shares, clamps.

use crate::kernel::parse::{limit, signed_limit};
use crate::kernel::spec::{FileSpec, Read};
use crate::kernel::v2::clamp;
use crate::model::{Collector, Control, Field};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Cpu, read)
}

pub(super) const FILES: &[FileSpec] = &[
    file(
        "cpu.stat",
        Read::Flat(&[
            ("nr_periods", Field::CpuPeriods, 1),
            ("nr_throttled", Field::CpuThrottledPeriods, 1),
            ("throttled_time", Field::CpuThrottled, 1),
            ("nr_bursts", Field::CpuBursts, 1),
            ("burst_time", Field::CpuBurst, 1),
        ]),
    ),
    file("cpu.stat.local", Read::Flat(&[("throttled_time", Field::CpuLocalThrottled, 1)])),
    file("cpu.shares", Read::Limit(Control::CpuShares, limit)),
    file("cpu.cfs_quota_us", Read::Limit(Control::CpuQuota, signed_limit)),
    file("cpu.cfs_period_us", Read::Limit(Control::CpuPeriod, limit)),
    file("cpu.cfs_burst_us", Read::Limit(Control::CpuBurst, limit)),
    file("cpu.idle", Read::Limit(Control::CpuIdle, limit)),
    file("cpu.uclamp.min", Read::Limit(Control::CpuUclampMin, clamp)),
    file("cpu.uclamp.max", Read::Limit(Control::CpuUclampMax, clamp)),
    file("cpu.rt_runtime_us", Read::Limit(Control::CpuRtRuntime, signed_limit)),
    file("cpu.rt_period_us", Read::Limit(Control::CpuRtPeriod, limit)),
];
