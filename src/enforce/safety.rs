//! PURE: what may be done at all, and to whom: `safety:` in the configuration.

use std::path::PathBuf;
use std::time::Duration;

use super::yielding::Guardian;
use crate::model::PathGlob;
use crate::policy::rule::Mode;
use crate::policy::selector::Matcher;

/// How many kills there may be in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many.
    pub max: usize,
    /// In any stretch of this length.
    pub per: Duration,
}

/// How a kind of owner's cgroups are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Through the owner's own interface.
    Dbus,
    /// Straight into the kernel's files.
    Cgroupfs,
    /// Not at all.
    Refuse,
}

impl Writer {
    /// The name, as the configuration and the audit write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dbus => "dbus",
            Self::Cgroupfs => "cgroupfs",
            Self::Refuse => "refuse",
        }
    }
}

/// Who may be written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writers {
    /// Cgroups that systemd made.
    pub systemd: Writer,
    /// Cgroups that a container runtime made.
    pub runtimes: Writer,
    /// Cgroups that nobody else manages, delegated subtrees included.
    pub unowned: Writer,
}

/// The guard rails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safety {
    /// What decisions lead to.
    pub mode: Mode,
    /// Nothing outside is ever written or signalled; `None` is everything that is not protected.
    pub scope: Option<Vec<PathGlob>>,
    /// Never touched, on top of what is protected by itself.
    pub protect: Vec<Matcher>,
    /// Kills on the whole host.
    pub kill_host: Budget,
    /// Kills of one target.
    pub kill_target: Budget,
    /// Who may be written, and how.
    pub writers: Writers,
    /// To whom cgroups are left that they look after.
    pub yield_to: Vec<Guardian>,
    /// No freeze is longer.
    pub freeze_max: Duration,
    /// The directory of the journal.
    pub journal: PathBuf,
    /// The audit log.
    pub audit: Audit,
}

/// Where the audit log is, and how large it may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The file; `None` is `audit.jsonl` beside the journal.
    pub path: Option<PathBuf>,
    /// It is rotated at this size, bytes.
    pub max_size: u64,
    /// How many rotated ones are kept.
    pub keep: usize,
}

impl Default for Safety {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            mode: Mode::DryRun,
            scope: None,
            protect: Vec::new(),
            kill_host: Budget { max: 3, per: minutes(10) },
            kill_target: Budget { max: 1, per: minutes(5) },
            writers: Writers { systemd: Writer::Dbus, runtimes: Writer::Refuse, unowned: Writer::Cgroupfs },
            yield_to: Vec::new(),
            freeze_max: minutes(1),
            journal: PathBuf::from("/var/lib/stockade/journal"),
            audit: Audit { path: None, max_size: 16 << 20, keep: 4 },
        }
    }
}
