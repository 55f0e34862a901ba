//! `*.pressure`: how long tasks stalled for a resource. Waiting is the kernel's `some`, stalled its `full`.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Field};

const fn total(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    Family::counter(Collector::Pressure, name, source, from, help)
}

const fn average(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    Family::gauge(Collector::Pressure, name, source, from, help).labels(&["window"]).opt_in()
}

pub(super) const FAMILIES: &[Family] = &[
    total(
        "cgroup_pressure_cpu_waiting_seconds_total",
        "cpu.pressure some",
        From::Fields(&[("", Field::CpuSomeTotal)]),
        "Time in which at least one task waited for a CPU.",
    )
    .essential(),
    total(
        "cgroup_pressure_cpu_stalled_seconds_total",
        "cpu.pressure full",
        From::Fields(&[("", Field::CpuFullTotal)]),
        "Time in which every task that was not idle waited for a CPU.",
    ),
    total(
        "cgroup_pressure_memory_waiting_seconds_total",
        "memory.pressure some",
        From::Fields(&[("", Field::MemorySomeTotal)]),
        "Time in which at least one task waited for memory.",
    )
    .essential(),
    total(
        "cgroup_pressure_memory_stalled_seconds_total",
        "memory.pressure full",
        From::Fields(&[("", Field::MemoryFullTotal)]),
        "Time in which every task that was not idle waited for memory.",
    )
    .essential(),
    total(
        "cgroup_pressure_io_waiting_seconds_total",
        "io.pressure some",
        From::Fields(&[("", Field::IoSomeTotal)]),
        "Time in which at least one task waited for I/O.",
    )
    .essential(),
    total(
        "cgroup_pressure_io_stalled_seconds_total",
        "io.pressure full",
        From::Fields(&[("", Field::IoFullTotal)]),
        "Time in which every task that was not idle waited for I/O.",
    ),
    total(
        "cgroup_pressure_irq_stalled_seconds_total",
        "irq.pressure full",
        From::Fields(&[("", Field::IrqFullTotal)]),
        "Time that interrupts took away from the cgroup's tasks.",
    ),
    average(
        "cgroup_pressure_cpu_waiting_ratio",
        "cpu.pressure some",
        From::Fields(&[
            ("10s", Field::CpuSomeAvg10),
            ("60s", Field::CpuSomeAvg60),
            ("300s", Field::CpuSomeAvg300),
        ]),
        "Share of recent time in which at least one task waited for a CPU, averaged by the kernel.",
    ),
    average(
        "cgroup_pressure_cpu_stalled_ratio",
        "cpu.pressure full",
        From::Fields(&[
            ("10s", Field::CpuFullAvg10),
            ("60s", Field::CpuFullAvg60),
            ("300s", Field::CpuFullAvg300),
        ]),
        "Share of recent time in which every task that was not idle waited for a CPU, averaged by the kernel.",
    ),
    average(
        "cgroup_pressure_memory_waiting_ratio",
        "memory.pressure some",
        From::Fields(&[
            ("10s", Field::MemorySomeAvg10),
            ("60s", Field::MemorySomeAvg60),
            ("300s", Field::MemorySomeAvg300),
        ]),
        "Share of recent time in which at least one task waited for memory, averaged by the kernel.",
    ),
    average(
        "cgroup_pressure_memory_stalled_ratio",
        "memory.pressure full",
        From::Fields(&[
            ("10s", Field::MemoryFullAvg10),
            ("60s", Field::MemoryFullAvg60),
            ("300s", Field::MemoryFullAvg300),
        ]),
        "Share of recent time in which every task that was not idle waited for memory, averaged by the kernel.",
    ),
    average(
        "cgroup_pressure_io_waiting_ratio",
        "io.pressure some",
        From::Fields(&[
            ("10s", Field::IoSomeAvg10),
            ("60s", Field::IoSomeAvg60),
            ("300s", Field::IoSomeAvg300),
        ]),
        "Share of recent time in which at least one task waited for I/O, averaged by the kernel.",
    ),
    average(
        "cgroup_pressure_io_stalled_ratio",
        "io.pressure full",
        From::Fields(&[
            ("10s", Field::IoFullAvg10),
            ("60s", Field::IoFullAvg60),
            ("300s", Field::IoFullAvg300),
        ]),
        "Share of recent time in which every task that was not idle waited for I/O, averaged by the kernel.",
    ),
    average(
        "cgroup_pressure_irq_stalled_ratio",
        "irq.pressure full",
        From::Fields(&[
            ("10s", Field::IrqFullAvg10),
            ("60s", Field::IrqFullAvg60),
            ("300s", Field::IrqFullAvg300),
        ]),
        "Share of recent time that interrupts took away from the cgroup's tasks, averaged by the kernel.",
    ),
];
