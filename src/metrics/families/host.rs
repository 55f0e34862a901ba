//! The whole host: its pressure in the same form as a cgroup's, its memory, its CPUs.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Field, HostField};

const fn total(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    Family::counter(Collector::Host, name, source, from, help)
}

const fn average(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    gauge(name, source, from, help).labels(&["window"]).opt_in()
}

const fn gauge(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    Family::gauge(Collector::Host, name, source, from, help)
}

pub(super) const FAMILIES: &[Family] = &[
    gauge(
        "host_memory_total_bytes",
        "/proc/meminfo MemTotal",
        From::Host(HostField::MemoryTotal),
        "Memory that the kernel manages.",
    ),
    gauge(
        "host_memory_available_bytes",
        "/proc/meminfo MemAvailable",
        From::Host(HostField::MemoryAvailable),
        "Memory that can be given out without swapping, as the kernel estimates it.",
    ),
    gauge(
        "host_swap_total_bytes",
        "/proc/meminfo SwapTotal",
        From::Host(HostField::SwapTotal),
        "Swap space.",
    ),
    gauge(
        "host_swap_free_bytes",
        "/proc/meminfo SwapFree",
        From::Host(HostField::SwapFree),
        "Swap space that is not in use.",
    ),
    gauge("host_cpus", "/sys/devices/system/cpu/online", From::Host(HostField::Cpus), "CPUs online."),
    total(
        "host_pressure_cpu_waiting_seconds_total",
        "/proc/pressure/cpu some",
        From::HostPressure(&[("", Field::CpuSomeTotal)]),
        "Time in which at least one task waited for a CPU.",
    ),
    total(
        "host_pressure_cpu_stalled_seconds_total",
        "/proc/pressure/cpu full",
        From::HostPressure(&[("", Field::CpuFullTotal)]),
        "Time in which every task that was not idle waited for a CPU.",
    ),
    total(
        "host_pressure_memory_waiting_seconds_total",
        "/proc/pressure/memory some",
        From::HostPressure(&[("", Field::MemorySomeTotal)]),
        "Time in which at least one task waited for memory.",
    ),
    total(
        "host_pressure_memory_stalled_seconds_total",
        "/proc/pressure/memory full",
        From::HostPressure(&[("", Field::MemoryFullTotal)]),
        "Time in which every task that was not idle waited for memory.",
    ),
    total(
        "host_pressure_io_waiting_seconds_total",
        "/proc/pressure/io some",
        From::HostPressure(&[("", Field::IoSomeTotal)]),
        "Time in which at least one task waited for I/O.",
    ),
    total(
        "host_pressure_io_stalled_seconds_total",
        "/proc/pressure/io full",
        From::HostPressure(&[("", Field::IoFullTotal)]),
        "Time in which every task that was not idle waited for I/O.",
    ),
    total(
        "host_pressure_irq_stalled_seconds_total",
        "/proc/pressure/irq full",
        From::HostPressure(&[("", Field::IrqFullTotal)]),
        "Time that interrupts took away from the host's tasks.",
    ),
    average(
        "host_pressure_cpu_waiting_ratio",
        "/proc/pressure/cpu some",
        From::HostPressure(&[
            ("10s", Field::CpuSomeAvg10),
            ("60s", Field::CpuSomeAvg60),
            ("300s", Field::CpuSomeAvg300),
        ]),
        "Share of recent time in which at least one task waited for a CPU, averaged by the kernel.",
    ),
    average(
        "host_pressure_cpu_stalled_ratio",
        "/proc/pressure/cpu full",
        From::HostPressure(&[
            ("10s", Field::CpuFullAvg10),
            ("60s", Field::CpuFullAvg60),
            ("300s", Field::CpuFullAvg300),
        ]),
        "Share of recent time in which every task that was not idle waited for a CPU, averaged by the kernel.",
    ),
    average(
        "host_pressure_memory_waiting_ratio",
        "/proc/pressure/memory some",
        From::HostPressure(&[
            ("10s", Field::MemorySomeAvg10),
            ("60s", Field::MemorySomeAvg60),
            ("300s", Field::MemorySomeAvg300),
        ]),
        "Share of recent time in which at least one task waited for memory, averaged by the kernel.",
    ),
    average(
        "host_pressure_memory_stalled_ratio",
        "/proc/pressure/memory full",
        From::HostPressure(&[
            ("10s", Field::MemoryFullAvg10),
            ("60s", Field::MemoryFullAvg60),
            ("300s", Field::MemoryFullAvg300),
        ]),
        "Share of recent time in which every task that was not idle waited for memory, averaged by the kernel.",
    ),
    average(
        "host_pressure_io_waiting_ratio",
        "/proc/pressure/io some",
        From::HostPressure(&[
            ("10s", Field::IoSomeAvg10),
            ("60s", Field::IoSomeAvg60),
            ("300s", Field::IoSomeAvg300),
        ]),
        "Share of recent time in which at least one task waited for I/O, averaged by the kernel.",
    ),
    average(
        "host_pressure_io_stalled_ratio",
        "/proc/pressure/io full",
        From::HostPressure(&[
            ("10s", Field::IoFullAvg10),
            ("60s", Field::IoFullAvg60),
            ("300s", Field::IoFullAvg300),
        ]),
        "Share of recent time in which every task that was not idle waited for I/O, averaged by the kernel.",
    ),
    average(
        "host_pressure_irq_stalled_ratio",
        "/proc/pressure/irq full",
        From::HostPressure(&[
            ("10s", Field::IrqFullAvg10),
            ("60s", Field::IrqFullAvg60),
            ("300s", Field::IrqFullAvg300),
        ]),
        "Share of recent time that interrupts took away from the host's tasks, averaged by the kernel.",
    ),
];
