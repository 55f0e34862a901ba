//! The only code that knows the kernel's file names and units.
//!
//! - [`layout`]: which hierarchies are mounted where, and which of them serves which controller.
//! - [`dir`]: held directories and descriptors, the descriptor budget, the one reused buffer.
//! - [`namespaces`]: the namespaces of processes.
//! - [`parse`]: PURE, text to numbers.
//! - [`catalog`]: the files of each hierarchy, collected from [`v1`] and [`v2`], one file a controller.
//! - [`control`]: one cgroup held open, its limits read, written, saved and put back.
//! - [`freeze`], [`kill`], [`reclaim`]: its processes stopped, let go, ended, its memory taken back.
//! - [`tasks`]: what processes and threads do, and how many files they have open.
//! - [`trigger`]: notices of pressure.
//! - [`traffic`]: what went over the network devices of one namespace.
//! - [`owner`]: whose it is, and who lives in it.
//! - [`spec`]: what one file holds, when it is read, what it fills.
//! - [`shapes`]: the row names of tables such as `memory.stat`, learnt once and shared by all cgroups.
//! - [`devices`]: block device numbers to names.
//! - [`host`]: the host's own pressure, memory and CPUs.
//! - [`members`]: where one cgroup is, and the processes in it.
//! - [`process`]: one process: its cgroups, its cost.
//! - [`processes`]: every process, walked once.
//! - [`survey`]: what this host can do, for a report.
//! - [`capability`]: what this host can measure and set.
//! - [`watch`]: births, deaths, control writes with their writer, notices.

pub mod capability;
pub mod catalog;
pub mod control;
pub mod devices;
pub mod dir;
pub mod freeze;
pub mod host;
pub mod kill;
pub mod layout;
pub mod members;
pub mod namespaces;
pub mod owner;
pub mod parse;
pub mod process;
pub mod processes;
pub mod reclaim;
pub mod shapes;
pub mod spec;
pub mod survey;
pub mod tasks;
pub mod traffic;
pub mod trigger;
pub mod v1;
pub mod v2;
pub mod watch;

pub use v2::hugetlb as hugepages;
