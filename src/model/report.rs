//! What the sampling itself cost and met.

use std::time::Duration;

use super::{CensusReport, Collector, LayoutKind};

/// Why a file could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FaultKind {
    /// ENOENT, ENODEV or ESRCH: the cgroup, or its controller, went away during the reading.
    Vanished,
    /// EACCES or EPERM.
    Denied,
    /// EOPNOTSUPP or EINVAL: the kernel has the file and does not serve it.
    Unsupported,
    /// EMFILE or ENFILE: no descriptor was left.
    Descriptors,
    /// Any other error of the system call, EIO first of all.
    Io,
    /// The file's text was not what its format says.
    Malformed,
    /// The file was longer than anything that makes sense.
    TooLong,
}

impl FaultKind {
    /// Every kind, in order.
    pub const ALL: &'static [Self] = &[
        Self::Vanished,
        Self::Denied,
        Self::Unsupported,
        Self::Descriptors,
        Self::Io,
        Self::Malformed,
        Self::TooLong,
    ];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vanished => "vanished",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Descriptors => "descriptors",
            Self::Io => "io",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
        }
    }
}

/// How births, deaths and control writes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchMethod {
    /// One fanotify mark on each hierarchy: everything at once, with the writer's pid.
    Fanotify,
    /// An inotify watch on each directory: everything at once, writers unknown.
    Inotify,
    /// Link counts compared at each pass.
    Walk,
}

impl WatchMethod {
    /// Every method, best first.
    pub const ALL: &'static [Self] = &[Self::Fanotify, Self::Inotify, Self::Walk];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fanotify => "fanotify",
            Self::Inotify => "inotify",
            Self::Walk => "walk",
        }
    }
}

/// Who wrote a control file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Writer {
    /// This program.
    Own,
    /// systemd, the system's or a user's manager.
    Systemd,
    /// A container runtime.
    Runtime,
    /// Any other process, also one that ended before it could be looked up.
    Other,
    /// inotify does not say.
    Unknown,
}

impl Writer {
    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Systemd => "systemd",
            Self::Runtime => "runtime",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

/// What one collector did in a pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct CollectorReport {
    /// Time spent reading and parsing.
    pub took: Duration,
    /// Files read.
    pub reads: u64,
    /// Faults met, vanished cgroups not counted: any makes the pass no success for this collector.
    pub faults: u64,
}

/// Faults of one file since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRow {
    /// The file's name.
    pub source: &'static str,
    /// What went wrong.
    pub kind: FaultKind,
    /// How often.
    pub count: u64,
}

/// Control writes seen since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteRow {
    /// The file's name; `other` for a file that is not sampled.
    pub file: &'static str,
    /// Who wrote.
    pub writer: Writer,
    /// How often.
    pub count: u64,
}

/// The account of one pass, and the counters since the start.
#[derive(Debug)]
pub struct Report {
    /// The host's layout.
    pub layout: LayoutKind,
    /// The way of watching in use.
    pub watch: WatchMethod,
    /// How long the pass took.
    pub took: Duration,
    /// The clock of the passes: `collect.interval`.
    pub interval: Duration,
    /// By collector.
    pub collectors: [CollectorReport; Collector::COUNT],
    /// Which collectors ran in this process at all.
    pub enabled: super::CollectorSet,
    /// Faults by file and kind since the start, in a stable order.
    pub faults: Vec<FaultRow>,
    /// Control writes by file and writer since the start, in a stable order.
    pub writes: Vec<WriteRow>,
    /// Cgroups first seen since the start.
    pub births: u64,
    /// Cgroups seen to end since the start.
    pub deaths: u64,
    /// Dead cgroups whose last series no scrape carried: superseded by a newer one, over the budget, or past the linger time.
    pub deaths_unscraped: u64,
    /// Times the watch lost events and the tree was walked again.
    pub rescans: u64,
    /// Descriptors held open on cgroup files.
    pub descriptors_held: u64,
    /// How many may be held.
    pub descriptors_budget: u64,
    /// The newest census of processes.
    pub census: CensusReport,
}

impl Report {
    /// An empty account.
    #[must_use]
    pub fn new(layout: LayoutKind, watch: WatchMethod, enabled: super::CollectorSet) -> Self {
        Self {
            layout,
            watch,
            took: Duration::ZERO,
            interval: Duration::ZERO,
            collectors: [CollectorReport::default(); Collector::COUNT],
            enabled,
            faults: Vec::new(),
            writes: Vec::new(),
            births: 0,
            deaths: 0,
            deaths_unscraped: 0,
            rescans: 0,
            descriptors_held: 0,
            descriptors_budget: 0,
            census: CensusReport::default(),
        }
    }

    /// Becomes a copy of another account without allocating where there is room.
    pub fn copy_from(&mut self, other: &Self) {
        let (mut faults, mut writes) = (std::mem::take(&mut self.faults), std::mem::take(&mut self.writes));
        faults.clone_from(&other.faults);
        writes.clone_from(&other.writes);
        *self = Self { faults, writes, ..*other };
    }
}
