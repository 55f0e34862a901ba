//! What a host can measure and set.

use super::Version;

/// What a host can measure of its cgroups and set in them. What could not be looked at counts as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Which hierarchy serves the memory controller.
    pub memory: Option<Version>,
    /// Which serves the cpu controller: quotas, weights, throttling.
    pub cpu: Option<Version>,
    /// Whether CPU time is counted: v2's `cpu.stat`, v1's cpuacct.
    pub cpu_usage: bool,
    /// Which serves the io controller.
    pub io: Option<Version>,
    /// Which serves the pids controller.
    pub pids: Option<Version>,
    /// Which serves the cpuset controller.
    pub cpuset: Option<Version>,
    /// Whether cgroups have pressure.
    pub pressure: bool,
    /// Whether the CPU pressure of cgroups has a `full` line (Linux 5.13).
    pub cpu_full: bool,
    /// Whether the host has pressure: `/proc/pressure`.
    pub host_pressure: bool,
    /// Whether the most memory used is kept: v2's `memory.peak` (Linux 5.19), on v1 always.
    pub memory_peak: bool,
    /// Whether `memory.stat` counts refaults.
    pub refaults: bool,
    /// Whether swap is accounted.
    pub swap: bool,
    /// Whether there is `memory.reclaim` (Linux 5.19).
    pub reclaim: bool,
    /// Whether I/O has weights: v2's `io.weight`, v1's `blkio.bfq.weight`.
    pub io_weight: bool,
    /// Which freezer there is: v2's `cgroup.freeze` (Linux 5.2), or v1's.
    pub freezer: Option<Version>,
    /// Whether there is `cgroup.kill` (Linux 5.14).
    pub kill: bool,
    /// Whether systemd is the host's service manager, which starts and stops units.
    pub units: bool,
}
