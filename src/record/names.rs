//! The names of numbers, as people and scripts see them.
//!
//! Kernel files lend their names (`memory.current`); where the unit is not that of the file, or more than one is
//! thinkable, the name ends in it (`cpu.usage_seconds`). Pressure averages are percent. Rates, which no file gives,
//! have the names of the policies' signals (`cpu.usage` in cores).

use crate::model::{Column, Control, Field, RowKind};

/// The name of a fixed number.
#[must_use]
pub const fn field(field: Field) -> &'static str {
    use Field as F;
    match field {
        F::Populated => "cgroup.populated",
        F::Frozen => "cgroup.frozen",
        F::FreezerFreezing => "freezer.freezing",
        F::FreezerFrozen => "freezer.frozen",
        F::Descendants => "cgroup.descendants",
        F::DyingDescendants => "cgroup.dying_descendants",
        F::Processes => "cgroup.processes",
        F::Threads => "cgroup.threads",
        F::ProcessesRunning => "processes.running",
        F::ProcessesSleeping => "processes.sleeping",
        F::ProcessesDiskSleep => "processes.disk_sleep",
        F::ProcessesStopped => "processes.stopped",
        F::ProcessesTraced => "processes.traced",
        F::ProcessesIdle => "processes.idle",
        F::ProcessesZombie => "processes.zombie",
        F::ThreadsRunning => "threads.running",
        F::ThreadsSleeping => "threads.sleeping",
        F::ThreadsDiskSleep => "threads.disk_sleep",
        F::ThreadsStopped => "threads.stopped",
        F::ThreadsTraced => "threads.traced",
        F::ThreadsIdle => "threads.idle",
        F::OldestProcessStart => "processes.oldest_start_time_seconds",
        F::OpenFiles => "processes.open_files",
        F::MemoryCurrent => "memory.current",
        F::MemoryPeak => "memory.peak",
        F::MemoryWorkingSet => "memory.working_set",
        F::MemorySwapCurrent => "memory.swap.current",
        F::MemorySwapPeak => "memory.swap.peak",
        F::MemoryZswapCurrent => "memory.zswap.current",
        F::MemoryMemswCurrent => "memory.memsw.current",
        F::MemoryMemswPeak => "memory.memsw.peak",
        F::MemoryKmemCurrent => "memory.kmem.current",
        F::MemoryKmemPeak => "memory.kmem.peak",
        F::MemoryKmemTcpCurrent => "memory.kmem.tcp.current",
        F::MemoryKmemTcpPeak => "memory.kmem.tcp.peak",
        F::MemoryFailures => "memory.failures",
        F::MemoryMemswFailures => "memory.memsw.failures",
        F::MemoryKmemFailures => "memory.kmem.failures",
        F::MemoryKmemTcpFailures => "memory.kmem.tcp.failures",
        F::MemoryUnderOom => "memory.under_oom",
        F::MemoryEffectiveMax => "memory.effective.max",
        F::MemoryEffectiveHigh => "memory.effective.high",
        F::MemoryHeadroomMax => "memory.headroom.max",
        F::MemoryHeadroomHigh => "memory.headroom.high",
        F::MemoryEventsLow => "memory.events.low",
        F::MemoryEventsHigh => "memory.events.high",
        F::MemoryEventsMax => "memory.events.max",
        F::MemoryEventsOom => "memory.events.oom",
        F::MemoryEventsOomKill => "memory.events.oom_kill",
        F::MemoryEventsOomGroupKill => "memory.events.oom_group_kill",
        F::MemoryEventsSockThrottled => "memory.events.sock_throttled",
        F::MemoryLocalEventsLow => "memory.events.local.low",
        F::MemoryLocalEventsHigh => "memory.events.local.high",
        F::MemoryLocalEventsMax => "memory.events.local.max",
        F::MemoryLocalEventsOom => "memory.events.local.oom",
        F::MemoryLocalEventsOomKill => "memory.events.local.oom_kill",
        F::MemoryLocalEventsOomGroupKill => "memory.events.local.oom_group_kill",
        F::MemoryLocalEventsSockThrottled => "memory.events.local.sock_throttled",
        F::MemorySwapEventsHigh => "memory.swap.events.high",
        F::MemorySwapEventsMax => "memory.swap.events.max",
        F::MemorySwapEventsFail => "memory.swap.events.fail",
        F::CpuUsage => "cpu.usage_seconds",
        F::CpuUser => "cpu.user_seconds",
        F::CpuSystem => "cpu.system_seconds",
        F::CpuNice => "cpu.nice_seconds",
        F::CpuForceIdle => "cpu.force_idle_seconds",
        F::CpuPeriods => "cpu.periods",
        F::CpuThrottledPeriods => "cpu.throttled_periods",
        F::CpuThrottled => "cpu.throttled_seconds",
        F::CpuBursts => "cpu.bursts",
        F::CpuBurst => "cpu.burst_seconds",
        F::CpuLocalThrottled => "cpu.local.throttled_seconds",
        F::CpuSomeAvg10 => "cpu.pressure.some.avg10",
        F::CpuSomeAvg60 => "cpu.pressure.some.avg60",
        F::CpuSomeAvg300 => "cpu.pressure.some.avg300",
        F::CpuSomeTotal => "cpu.pressure.some.total_seconds",
        F::CpuFullAvg10 => "cpu.pressure.full.avg10",
        F::CpuFullAvg60 => "cpu.pressure.full.avg60",
        F::CpuFullAvg300 => "cpu.pressure.full.avg300",
        F::CpuFullTotal => "cpu.pressure.full.total_seconds",
        F::MemorySomeAvg10 => "memory.pressure.some.avg10",
        F::MemorySomeAvg60 => "memory.pressure.some.avg60",
        F::MemorySomeAvg300 => "memory.pressure.some.avg300",
        F::MemorySomeTotal => "memory.pressure.some.total_seconds",
        F::MemoryFullAvg10 => "memory.pressure.full.avg10",
        F::MemoryFullAvg60 => "memory.pressure.full.avg60",
        F::MemoryFullAvg300 => "memory.pressure.full.avg300",
        F::MemoryFullTotal => "memory.pressure.full.total_seconds",
        F::IoSomeAvg10 => "io.pressure.some.avg10",
        F::IoSomeAvg60 => "io.pressure.some.avg60",
        F::IoSomeAvg300 => "io.pressure.some.avg300",
        F::IoSomeTotal => "io.pressure.some.total_seconds",
        F::IoFullAvg10 => "io.pressure.full.avg10",
        F::IoFullAvg60 => "io.pressure.full.avg60",
        F::IoFullAvg300 => "io.pressure.full.avg300",
        F::IoFullTotal => "io.pressure.full.total_seconds",
        F::IrqFullAvg10 => "irq.pressure.full.avg10",
        F::IrqFullAvg60 => "irq.pressure.full.avg60",
        F::IrqFullAvg300 => "irq.pressure.full.avg300",
        F::IrqFullTotal => "irq.pressure.full.total_seconds",
        F::PidsCurrent => "pids.current",
        F::PidsPeak => "pids.peak",
        F::PidsEventsMax => "pids.events.max",
        F::PidsLocalEventsMax => "pids.events.local.max",
        F::CpusetCpus => "cpuset.cpus",
        F::CpusetMems => "cpuset.mems",
    }
}

/// The name of a control.
#[must_use]
pub const fn control(control: Control) -> &'static str {
    use Control as C;
    match control {
        C::MemoryMin => "memory.min",
        C::MemoryLow => "memory.low",
        C::MemoryHigh => "memory.high",
        C::MemoryMax => "memory.max",
        C::MemorySoftLimit => "memory.soft_limit",
        C::MemoryMemswMax => "memory.memsw.max",
        C::MemoryKmemMax => "memory.kmem.max",
        C::MemoryKmemTcpMax => "memory.kmem.tcp.max",
        C::MemorySwapHigh => "memory.swap.high",
        C::MemorySwapMax => "memory.swap.max",
        C::MemoryZswapMax => "memory.zswap.max",
        C::MemoryOomGroup => "memory.oom.group",
        C::MemoryOomKillDisable => "memory.oom.kill_disable",
        C::CpuQuota => "cpu.max.quota_seconds",
        C::CpuPeriod => "cpu.max.period_seconds",
        C::CpuBurst => "cpu.max.burst_seconds",
        C::CpuWeight => "cpu.weight",
        C::CpuShares => "cpu.shares",
        C::CpuIdle => "cpu.idle",
        C::CpuUclampMin => "cpu.uclamp.min",
        C::CpuUclampMax => "cpu.uclamp.max",
        C::CpuRtRuntime => "cpu.rt.runtime_seconds",
        C::CpuRtPeriod => "cpu.rt.period_seconds",
        C::IoWeight => "io.weight",
        C::IoBfqWeight => "io.bfq.weight",
        C::PidsMax => "pids.max",
        C::MaxDepth => "cgroup.max.depth",
        C::MaxDescendants => "cgroup.max.descendants",
        C::NetClassid => "net_cls.classid",
    }
}

/// The name of a table: its file, or what several files have in common.
#[must_use]
pub const fn table(kind: RowKind) -> &'static str {
    use RowKind as R;
    match kind {
        R::MemoryStat => "memory.stat",
        R::MemoryNumaStat => "memory.numa_stat",
        R::IoStat => "io.stat",
        R::BlkioBytes => "blkio.throttle.io_service_bytes",
        R::BlkioOps => "blkio.throttle.io_serviced",
        R::BfqBytes => "blkio.bfq.io_service_bytes",
        R::BfqOps => "blkio.bfq.io_serviced",
        R::Hugetlb => "hugetlb",
        R::RdmaCurrent => "rdma.current",
        R::RdmaMax => "rdma.max",
        R::MiscCurrent => "misc.current",
        R::MiscPeak => "misc.peak",
        R::MiscMax => "misc.max",
        R::MiscEvents => "misc.events",
        R::Network => "network",
    }
}

/// The name of a column within its table.
#[must_use]
pub const fn column(column: Column) -> &'static str {
    use Column as C;
    match column {
        C::StatBytes => "bytes",
        C::StatEvents => "events",
        C::StatObjects => "objects",
        C::NumaBytes => "bytes",
        C::NumaEvents => "events",
        C::IoReadBytes => "read_bytes",
        C::IoWriteBytes => "write_bytes",
        C::IoDiscardBytes => "discard_bytes",
        C::IoReads => "reads",
        C::IoWrites => "writes",
        C::IoDiscards => "discards",
        C::IoCostUsage => "cost_usage_seconds",
        C::IoCostWait => "cost_wait_seconds",
        C::IoCostIndebt => "cost_indebt_seconds",
        C::IoCostIndelay => "cost_indelay_seconds",
        C::BfqReadBytes => "read_bytes",
        C::BfqWriteBytes => "write_bytes",
        C::BfqDiscardBytes => "discard_bytes",
        C::BfqReads => "reads",
        C::BfqWrites => "writes",
        C::BfqDiscards => "discards",
        C::HugetlbCurrent => "current_bytes",
        C::HugetlbPeak => "peak_bytes",
        C::HugetlbMax => "max_bytes",
        C::HugetlbReserved => "reserved_bytes",
        C::HugetlbFailures => "failures",
        C::RdmaHandles => "handles",
        C::RdmaObjects => "objects",
        C::RdmaHandlesMax => "handles_max",
        C::RdmaObjectsMax => "objects_max",
        C::MiscCurrent => "current",
        C::MiscPeak => "peak",
        C::MiscMax => "max",
        C::MiscEventsMax => "events_max",
        C::NetworkReceiveBytes => "receive_bytes",
        C::NetworkReceivePackets => "receive_packets",
        C::NetworkReceiveErrors => "receive_errors",
        C::NetworkReceiveDrops => "receive_drops",
        C::NetworkTransmitBytes => "transmit_bytes",
        C::NetworkTransmitPackets => "transmit_packets",
        C::NetworkTransmitErrors => "transmit_errors",
        C::NetworkTransmitDrops => "transmit_drops",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_numbers_of_one_object_have_one_name() {
        let fields: BTreeSet<_> = Field::ALL.iter().map(|&one| field(one)).collect();
        assert_eq!(fields.len(), Field::COUNT);
        let controls: BTreeSet<_> = Control::ALL.iter().map(|&one| control(one)).collect();
        assert_eq!(controls.len(), Control::COUNT);
        // A list shows some of both in one object.
        assert!(fields.is_disjoint(&controls));
        let tables: BTreeSet<_> = RowKind::ALL.iter().map(|&one| table(one)).collect();
        assert_eq!(tables.len(), RowKind::COUNT);
    }
}
