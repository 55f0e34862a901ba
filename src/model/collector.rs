//! The groups of files that can be switched on and off, named as on the command line.

/// A group of kernel files that is collected together: `--collector.NAME`, `--no-collector.NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Collector {
    /// `cgroup.*`: populated, frozen, descendants, processes, threads.
    Core,
    /// `memory.*` but for the statistics.
    Memory,
    /// `memory.stat`.
    MemoryStat,
    /// `memory.numa_stat`.
    MemoryNuma,
    /// `cpu.*`, v1 `cpuacct.*`.
    Cpu,
    /// `io.*`, v1 `blkio.*`.
    Io,
    /// `*.pressure`.
    Pressure,
    /// `pids.*`.
    Pids,
    /// `hugetlb.*`.
    Hugetlb,
    /// `rdma.*`.
    Rdma,
    /// `misc.*`.
    Misc,
    /// `cpuset.*`.
    Cpuset,
    /// v1 `net_cls.*`.
    NetCls,
    /// `/proc/pressure`, `/proc/meminfo`, the CPUs online.
    Host,
    /// `/proc/PID/ns` of every process.
    Namespaces,
    /// The inode of each namespace.
    NamespaceInodes,
    /// `/proc/PID/net/dev` of each network namespace.
    Network,
    /// `/proc/PID/stat` of every process, in turn.
    Processes,
    /// `/proc/PID/task/TID/stat` of every thread, in turn.
    ThreadStates,
    /// The processes that no cgroup lists: those that have ended.
    Zombies,
    /// `/proc/PID/fd` of every process, in turn.
    OpenFiles,
}

impl Collector {
    /// Every collector, in order.
    pub const ALL: &'static [Self] = &[
        Self::Core,
        Self::Memory,
        Self::MemoryStat,
        Self::MemoryNuma,
        Self::Cpu,
        Self::Io,
        Self::Pressure,
        Self::Pids,
        Self::Hugetlb,
        Self::Rdma,
        Self::Misc,
        Self::Cpuset,
        Self::NetCls,
        Self::Host,
        Self::Namespaces,
        Self::NamespaceInodes,
        Self::Network,
        Self::Processes,
        Self::ThreadStates,
        Self::Zombies,
        Self::OpenFiles,
    ];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name on the command line, in the configuration and in `?collect[]=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Memory => "memory",
            Self::MemoryStat => "memory_stat",
            Self::MemoryNuma => "memory_numa",
            Self::Cpu => "cpu",
            Self::Io => "io",
            Self::Pressure => "pressure",
            Self::Pids => "pids",
            Self::Hugetlb => "hugetlb",
            Self::Rdma => "rdma",
            Self::Misc => "misc",
            Self::Cpuset => "cpuset",
            Self::NetCls => "net_cls",
            Self::Host => "host",
            Self::Namespaces => "namespaces",
            Self::NamespaceInodes => "namespace_inodes",
            Self::Network => "network",
            Self::Processes => "processes",
            Self::ThreadStates => "thread_states",
            Self::Zombies => "zombies",
            Self::OpenFiles => "open_files",
        }
    }

    /// What it reads, for `--help`.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Core => "populated and frozen state, descendants, processes, threads",
            Self::Memory => "memory usage, peaks, swap, events and limits",
            Self::MemoryStat => "every row of memory.stat, and the working set",
            Self::MemoryNuma => "memory.numa_stat, a series for each row and NUMA node",
            Self::Cpu => "CPU time, throttling, quotas and weights",
            Self::Io => "I/O by device, I/O limits and weights",
            Self::Pressure => "pressure stall information (PSI)",
            Self::Pids => "process numbers and limits of the pids controller",
            Self::Hugetlb => "huge pages by page size",
            Self::Rdma => "RDMA handles and objects by device",
            Self::Misc => "the misc controller's resources",
            Self::Cpuset => "how many CPUs and NUMA nodes may be used",
            Self::NetCls => "the v1 net_cls class",
            Self::Host => "the host's own pressure, memory and CPUs",
            Self::Namespaces => "the namespaces of each cgroup's processes, and with whom they are shared",
            Self::NamespaceInodes => {
                "a series for each namespace of each cgroup, with its inode; needs namespaces"
            }
            Self::Network => {
                "traffic by device, of cgroups with a network namespace of their own; needs namespaces"
            }
            Self::Processes => "processes by state, and the start of the oldest",
            Self::ThreadStates => "threads by state, a file for each thread of the host; needs processes",
            Self::Zombies => "processes that have ended and were not waited for; needs processes",
            Self::OpenFiles => "descriptors that processes have open; needs processes",
        }
    }

    /// Whether it is on when nothing is said. What multiplies series, or looks at every process each time, is off, and so
    /// is what few ask for and costs a file a process or thread.
    #[must_use]
    pub const fn default_on(self) -> bool {
        !matches!(
            self,
            Self::MemoryNuma | Self::NamespaceInodes | Self::ThreadStates | Self::Zombies | Self::OpenFiles
        )
    }

    /// The collector of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|collector| collector.name() == name)
    }
}

/// A set of collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorSet(u32);

impl CollectorSet {
    /// All of them.
    pub const ALL: Self = Self((1 << Collector::COUNT) - 1);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Whether the collector is in the set.
    #[must_use]
    pub const fn has(self, collector: Collector) -> bool {
        self.0 & (1 << collector as u32) != 0
    }

    /// Puts a collector in or takes it out.
    pub const fn set(&mut self, collector: Collector, on: bool) {
        if on {
            self.0 |= 1 << collector as u32;
        } else {
            self.0 &= !(1 << collector as u32);
        }
    }
}

impl Default for CollectorSet {
    fn default() -> Self {
        let mut set = Self::NONE;
        for &collector in Collector::ALL {
            set.set(collector, collector.default_on());
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collector_is_found_by_its_name_and_stands_at_its_place() {
        for (at, &collector) in Collector::ALL.iter().enumerate() {
            assert_eq!(Collector::from_name(collector.name()), Some(collector));
            assert_eq!(collector as usize, at);
        }
        assert!(!CollectorSet::default().has(Collector::MemoryNuma));
        assert!(CollectorSet::default().has(Collector::Host));
    }
}
