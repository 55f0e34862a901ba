//! v1 `cpuacct.*`: time used. On a hybrid host v2's `cpu.stat` tells it for every cgroup that is in the v2 tree.

use crate::kernel::parse::flat;
use crate::kernel::spec::{FileSpec, Read, When};
use crate::model::{Collector, Field};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Cpu, read).when(When::NoUnified)
}

pub(super) const FILES: &[FileSpec] = &[
    // Nanoseconds.
    file("cpuacct.usage", Read::Value(Field::CpuUsage)),
    file(
        "cpuacct.stat",
        Read::Numbers(|text, readings, _| {
            let nanoseconds_a_tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
            readings.set(Field::CpuUser, None);
            readings.set(Field::CpuSystem, None);
            for line in flat(text.unwrap_or_default()) {
                let (key, ticks) = line?;
                let nanoseconds = Some(ticks.saturating_mul(nanoseconds_a_tick));
                match key {
                    b"user" => readings.set(Field::CpuUser, nanoseconds),
                    b"system" => readings.set(Field::CpuSystem, nanoseconds),
                    _ => {}
                }
            }
            Ok(())
        }),
    ),
];
