//! `memory.*`: usage, peaks, events, limits, statistics.

use crate::kernel::parse::limit;
use crate::kernel::shapes::{Format, Table};
use crate::kernel::spec::{FileSpec, Read};
use crate::model::{Collector, Column, Control, Field, Key, RowKind};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Memory, read)
}

pub(super) const FILES: &[FileSpec] = &[
    file("memory.current", Read::Value(Field::MemoryCurrent)),
    file("memory.peak", Read::Value(Field::MemoryPeak)),
    file("memory.swap.current", Read::Value(Field::MemorySwapCurrent)),
    file("memory.swap.peak", Read::Value(Field::MemorySwapPeak)),
    file("memory.zswap.current", Read::Value(Field::MemoryZswapCurrent)),
    file(
        "memory.events",
        Read::Flat(&[
            ("low", Field::MemoryEventsLow, 1),
            ("high", Field::MemoryEventsHigh, 1),
            ("max", Field::MemoryEventsMax, 1),
            ("oom", Field::MemoryEventsOom, 1),
            ("oom_kill", Field::MemoryEventsOomKill, 1),
            ("oom_group_kill", Field::MemoryEventsOomGroupKill, 1),
            ("sock_throttled", Field::MemoryEventsSockThrottled, 1),
        ]),
    )
    .notified(),
    file(
        "memory.events.local",
        Read::Flat(&[
            ("low", Field::MemoryLocalEventsLow, 1),
            ("high", Field::MemoryLocalEventsHigh, 1),
            ("max", Field::MemoryLocalEventsMax, 1),
            ("oom", Field::MemoryLocalEventsOom, 1),
            ("oom_kill", Field::MemoryLocalEventsOomKill, 1),
            ("oom_group_kill", Field::MemoryLocalEventsOomGroupKill, 1),
            ("sock_throttled", Field::MemoryLocalEventsSockThrottled, 1),
        ]),
    ),
    file(
        "memory.swap.events",
        Read::Flat(&[
            ("high", Field::MemorySwapEventsHigh, 1),
            ("max", Field::MemorySwapEventsMax, 1),
            ("fail", Field::MemorySwapEventsFail, 1),
        ]),
    ),
    FileSpec::new("memory.stat", Collector::MemoryStat, Read::Table(&STAT)),
    FileSpec::new("memory.numa_stat", Collector::MemoryNuma, Read::Table(&NUMA_STAT)),
    file("memory.min", Read::Limit(Control::MemoryMin, limit)),
    file("memory.low", Read::Limit(Control::MemoryLow, limit)),
    file("memory.high", Read::Limit(Control::MemoryHigh, limit)),
    file("memory.max", Read::Limit(Control::MemoryMax, limit)),
    file("memory.swap.high", Read::Limit(Control::MemorySwapHigh, limit)),
    file("memory.swap.max", Read::Limit(Control::MemorySwapMax, limit)),
    file("memory.zswap.max", Read::Limit(Control::MemoryZswapMax, limit)),
    file("memory.oom.group", Read::Limit(Control::MemoryOomGroup, limit)),
];

const STAT: Table = Table {
    kind: RowKind::MemoryStat,
    format: Format::Flat,
    classify: |_, name, _| {
        let name = std::str::from_utf8(name).ok()?;
        Some((Key::new(stat_column(name), name), 1))
    },
};

const NUMA_STAT: Table = Table {
    kind: RowKind::MemoryNumaStat,
    format: Format::Numa,
    classify: |name, node, _| {
        let name = std::str::from_utf8(name).ok()?;
        let node = std::str::from_utf8(node).ok()?.strip_prefix('N')?;
        let column = match stat_column(name) {
            Column::StatBytes => Column::NumaBytes,
            _ => Column::NumaEvents,
        };
        Some((Key { column, item: name.into(), detail: node.into() }, 1))
    },
};

/// What a `memory.stat` row measures, by its name: the kernel prints amounts in bytes and counters of events side by
/// side. Rows of kernels to come are amounts unless they carry the prefix of a known kind of event.
pub(in crate::kernel) fn stat_column(name: &str) -> Column {
    const EVENTS: [&str; 12] = [
        "pg",
        "workingset_",
        "thp_",
        "zswpin",
        "zswpout",
        "zswpwb",
        "swpin",
        "swpout",
        "numa_",
        "oom_",
        "mthp_",
        "memcg_",
    ];
    match name {
        "workingset_nodes" => Column::StatObjects,
        _ if EVENTS.iter().any(|prefix| name.starts_with(prefix)) => Column::StatEvents,
        _ => Column::StatBytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_from_events() {
        for name in
            ["anon", "file", "anon_thp", "swapcached", "zswap", "zswapped", "pagetables", "hugetlb", "kernel"]
        {
            assert_eq!(stat_column(name), Column::StatBytes, "{name}");
        }
        for name in [
            "pgfault",
            "pgscan_direct",
            "workingset_refault_anon",
            "thp_fault_alloc",
            "zswpin",
            "swpin_zero",
            "numa_hint_faults",
        ] {
            assert_eq!(stat_column(name), Column::StatEvents, "{name}");
        }
        assert_eq!(stat_column("workingset_nodes"), Column::StatObjects);
    }
}
