//! `memory.*`: usage, limits, events and statistics.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Column, Control, Field, RowKind};

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_current_bytes",
        "memory.current, v1 memory.usage_in_bytes",
        From::Fields(&[("", Field::MemoryCurrent)]),
        "Memory charged to the cgroup and its descendants.",
    )
    .essential(),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_peak_bytes",
        "memory.peak, v1 memory.max_usage_in_bytes",
        From::Fields(&[("", Field::MemoryPeak)]),
        "Most memory ever charged since the cgroup was made or its peak was reset.",
    ),
    Family::gauge(
        Collector::MemoryStat,
        "cgroup_memory_working_set_bytes",
        "memory.current less inactive_file of memory.stat",
        From::Fields(&[("", Field::MemoryWorkingSet)]),
        "Memory less inactive file pages, never below zero: what cannot be reclaimed cheaply.",
    )
    .essential(),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_swap_current_bytes",
        "memory.swap.current, v1 memory.stat total_swap",
        From::Fields(&[("", Field::MemorySwapCurrent)]),
        "Swap in use by the cgroup and its descendants.",
    )
    .essential(),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_swap_peak_bytes",
        "memory.swap.peak",
        From::Fields(&[("", Field::MemorySwapPeak)]),
        "Most swap ever in use.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_zswap_current_bytes",
        "memory.zswap.current",
        From::Fields(&[("", Field::MemoryZswapCurrent)]),
        "Memory that compressed swap takes.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_memsw_current_bytes",
        "v1 memory.memsw.usage_in_bytes",
        From::Fields(&[("", Field::MemoryMemswCurrent)]),
        "Memory and swap together.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_memsw_peak_bytes",
        "v1 memory.memsw.max_usage_in_bytes",
        From::Fields(&[("", Field::MemoryMemswPeak)]),
        "Most memory and swap together ever in use.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_kmem_current_bytes",
        "v1 memory.kmem.usage_in_bytes",
        From::Fields(&[("", Field::MemoryKmemCurrent)]),
        "Kernel memory charged to the cgroup.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_kmem_peak_bytes",
        "v1 memory.kmem.max_usage_in_bytes",
        From::Fields(&[("", Field::MemoryKmemPeak)]),
        "Most kernel memory ever charged to the cgroup.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_kmem_tcp_current_bytes",
        "v1 memory.kmem.tcp.usage_in_bytes",
        From::Fields(&[("", Field::MemoryKmemTcpCurrent)]),
        "TCP buffer memory charged to the cgroup.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_kmem_tcp_peak_bytes",
        "v1 memory.kmem.tcp.max_usage_in_bytes",
        From::Fields(&[("", Field::MemoryKmemTcpPeak)]),
        "Most TCP buffer memory ever charged to the cgroup.",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_limit_bytes",
        "memory.{max,high,low,min,swap.max,swap.high,zswap.max}, v1 memory.{,soft_,memsw.,kmem.,kmem.tcp.}limit_in_bytes",
        From::Controls(&[
            ("max", Control::MemoryMax),
            ("high", Control::MemoryHigh),
            ("low", Control::MemoryLow),
            ("min", Control::MemoryMin),
            ("soft", Control::MemorySoftLimit),
            ("swap_max", Control::MemorySwapMax),
            ("swap_high", Control::MemorySwapHigh),
            ("zswap_max", Control::MemoryZswapMax),
            ("memsw_max", Control::MemoryMemswMax),
            ("kmem_max", Control::MemoryKmemMax),
            ("kmem_tcp_max", Control::MemoryKmemTcpMax),
        ]),
        "Limits and protections set on the cgroup; unlimited is no series.",
    )
    .labels(&["limit"])
    .essential(),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_effective_limit_bytes",
        "memory.max and memory.high of the cgroup and its ancestors",
        From::Fields(&[("max", Field::MemoryEffectiveMax), ("high", Field::MemoryEffectiveHigh)]),
        "The tightest limit among the cgroup and its ancestors; no limit anywhere is no series.",
    )
    .labels(&["limit"]),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_headroom_bytes",
        "memory.current, memory.max and memory.high of the cgroup and its ancestors",
        From::Fields(&[("max", Field::MemoryHeadroomMax), ("high", Field::MemoryHeadroomHigh)]),
        "What the cgroup can still take before some limit of its own or of an ancestor is reached.",
    )
    .labels(&["limit"])
    .essential(),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_oom_group",
        "memory.oom.group",
        From::Controls(&[("", Control::MemoryOomGroup)]),
        "Whether an OOM kill takes the whole cgroup (1) or one process (0).",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_oom_kill_disabled",
        "v1 memory.oom_control",
        From::Controls(&[("", Control::MemoryOomKillDisable)]),
        "Whether processes wait at the limit (1) and are not killed there (0).",
    ),
    Family::gauge(
        Collector::Memory,
        "cgroup_memory_under_oom",
        "v1 memory.oom_control",
        From::Fields(&[("", Field::MemoryUnderOom)]),
        "Whether the cgroup is out of memory now (1) or not (0).",
    ),
    Family::counter(
        Collector::Memory,
        "cgroup_memory_events_total",
        "memory.events, v1 memory.oom_control oom_kill",
        From::Fields(&[
            ("low", Field::MemoryEventsLow),
            ("high", Field::MemoryEventsHigh),
            ("max", Field::MemoryEventsMax),
            ("oom", Field::MemoryEventsOom),
            ("oom_kill", Field::MemoryEventsOomKill),
            ("oom_group_kill", Field::MemoryEventsOomGroupKill),
            ("sock_throttled", Field::MemoryEventsSockThrottled),
        ]),
        "Memory events of the cgroup and its descendants.",
    )
    .labels(&["event"])
    .essential(),
    Family::counter(
        Collector::Memory,
        "cgroup_memory_events_local_total",
        "memory.events.local",
        From::Fields(&[
            ("low", Field::MemoryLocalEventsLow),
            ("high", Field::MemoryLocalEventsHigh),
            ("max", Field::MemoryLocalEventsMax),
            ("oom", Field::MemoryLocalEventsOom),
            ("oom_kill", Field::MemoryLocalEventsOomKill),
            ("oom_group_kill", Field::MemoryLocalEventsOomGroupKill),
            ("sock_throttled", Field::MemoryLocalEventsSockThrottled),
        ]),
        "Memory events of the cgroup itself, descendants not counted.",
    )
    .labels(&["event"]),
    Family::counter(
        Collector::Memory,
        "cgroup_memory_swap_events_total",
        "memory.swap.events",
        From::Fields(&[
            ("high", Field::MemorySwapEventsHigh),
            ("max", Field::MemorySwapEventsMax),
            ("fail", Field::MemorySwapEventsFail),
        ]),
        "Swap events of the cgroup and its descendants.",
    )
    .labels(&["event"]),
    Family::counter(
        Collector::Memory,
        "cgroup_memory_failures_total",
        "v1 memory.{,memsw.,kmem.,kmem.tcp.}failcnt",
        From::Fields(&[
            ("memory", Field::MemoryFailures),
            ("memsw", Field::MemoryMemswFailures),
            ("kmem", Field::MemoryKmemFailures),
            ("kmem_tcp", Field::MemoryKmemTcpFailures),
        ]),
        "Times a v1 limit was hit.",
    )
    .labels(&["counter"]),
    Family::gauge(
        Collector::MemoryStat,
        "cgroup_memory_stat_bytes",
        "memory.stat",
        From::Column(Column::StatBytes, &[RowKind::MemoryStat]),
        "Memory of the cgroup and its descendants by what it is used for; v1 rows stand under their v2 names.",
    )
    .labels(&["stat"]),
    Family::counter(
        Collector::MemoryStat,
        "cgroup_memory_stat_events_total",
        "memory.stat",
        From::Column(Column::StatEvents, &[RowKind::MemoryStat]),
        "Faults, reclaim, refaults and other memory management events of the cgroup and its descendants.",
    )
    .labels(&["stat"]),
    Family::gauge(
        Collector::MemoryStat,
        "cgroup_memory_stat_objects",
        "memory.stat",
        From::Column(Column::StatObjects, &[RowKind::MemoryStat]),
        "Counts in the memory statistics that go up and down.",
    )
    .labels(&["stat"]),
    Family::gauge(
        Collector::MemoryNuma,
        "cgroup_memory_numa_stat_bytes",
        "memory.numa_stat",
        From::Column(Column::NumaBytes, &[RowKind::MemoryNumaStat]),
        "Memory of the cgroup and its descendants by use and NUMA node.",
    )
    .labels(&["stat", "node"]),
    Family::counter(
        Collector::MemoryNuma,
        "cgroup_memory_numa_stat_events_total",
        "memory.numa_stat",
        From::Column(Column::NumaEvents, &[RowKind::MemoryNumaStat]),
        "Memory management events of the cgroup and its descendants by NUMA node.",
    )
    .labels(&["stat", "node"]),
];
