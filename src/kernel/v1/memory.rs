//! v1 `memory.*`. The fields are v2's; the `memory.stat` rows take v2's names, so that one query serves every layout.

use crate::kernel::catalog::{FileSpec, Read};
use crate::kernel::parse::{Malformed, flat, v1_limit};
use crate::kernel::shapes::{Format, Table};
use crate::kernel::v2::stat_column;
use crate::model::{Collector, Column, Control, Controls, Field, Key, Limit, RowKind};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Memory, read)
}

pub(super) const FILES: &[FileSpec] = &[
    file("memory.usage_in_bytes", Read::Value(Field::MemoryCurrent)),
    file("memory.max_usage_in_bytes", Read::Value(Field::MemoryPeak)),
    file("memory.failcnt", Read::Value(Field::MemoryFailures)),
    file("memory.memsw.usage_in_bytes", Read::Value(Field::MemoryMemswCurrent)),
    file(
        "memory.oom_control",
        Read::Flat(&[("under_oom", Field::MemoryUnderOom, 1), ("oom_kill", Field::MemoryEventsOomKill, 1)]),
    ),
    FileSpec::new("memory.stat", Collector::MemoryStat, Read::Table(&STAT)),
    FileSpec::new("memory.numa_stat", Collector::MemoryNuma, Read::Table(&NUMA_STAT)),
    // Kernel memory is counted in memory.usage_in_bytes since 4.5; its own files are of interest to few.
    file("memory.memsw.max_usage_in_bytes", Read::Value(Field::MemoryMemswPeak)),
    file("memory.memsw.failcnt", Read::Value(Field::MemoryMemswFailures)),
    file("memory.kmem.usage_in_bytes", Read::Value(Field::MemoryKmemCurrent)).slow(),
    file("memory.kmem.max_usage_in_bytes", Read::Value(Field::MemoryKmemPeak)).slow(),
    file("memory.kmem.failcnt", Read::Value(Field::MemoryKmemFailures)).slow(),
    file("memory.kmem.tcp.usage_in_bytes", Read::Value(Field::MemoryKmemTcpCurrent)).slow(),
    file("memory.kmem.tcp.max_usage_in_bytes", Read::Value(Field::MemoryKmemTcpPeak)).slow(),
    file("memory.kmem.tcp.failcnt", Read::Value(Field::MemoryKmemTcpFailures)).slow(),
    file("memory.limit_in_bytes", Read::Limit(Control::MemoryMax, v1_limit)),
    file("memory.soft_limit_in_bytes", Read::Limit(Control::MemorySoftLimit, v1_limit)),
    file("memory.memsw.limit_in_bytes", Read::Limit(Control::MemoryMemswMax, v1_limit)),
    file("memory.kmem.limit_in_bytes", Read::Limit(Control::MemoryKmemMax, v1_limit)),
    file("memory.kmem.tcp.limit_in_bytes", Read::Limit(Control::MemoryKmemTcpMax, v1_limit)),
    file("memory.oom_control", Read::Controls(|text, controls, _| oom_kill_disable(text, controls))),
];

const STAT: Table = Table {
    kind: RowKind::MemoryStat,
    format: Format::Flat,
    classify: |_, name, _| {
        // v2's rows cover the subtree, and of v1's those that begin with `total_` do.
        let name = std::str::from_utf8(name).ok()?.strip_prefix("total_")?;
        let name = match name {
            "rss" => "anon",
            "cache" => "file",
            "rss_huge" => "anon_thp",
            "mapped_file" => "file_mapped",
            "dirty" => "file_dirty",
            "writeback" => "file_writeback",
            same => same,
        };
        Some((Key::new(stat_column(name), name), 1))
    },
};

const NUMA_STAT: Table = Table {
    kind: RowKind::MemoryNumaStat,
    format: Format::Numa,
    classify: |name, node, _| {
        let name = std::str::from_utf8(name).ok()?.strip_prefix("hierarchical_")?;
        let node = std::str::from_utf8(node).ok()?.strip_prefix('N')?;
        // The numbers are pages.
        Some((Key { column: Column::NumaBytes, item: name.into(), detail: node.into() }, procfs::page_size()))
    },
};

fn oom_kill_disable(text: Option<&[u8]>, controls: &mut Controls) -> Result<(), Malformed> {
    controls.set(Control::MemoryOomKillDisable, None);
    for line in flat(text.unwrap_or_default()) {
        let (key, value) = line?;
        if key == b"oom_kill_disable" {
            controls.set(Control::MemoryOomKillDisable, Some(Limit::Value(value)));
        }
    }
    Ok(())
}
