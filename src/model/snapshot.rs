//! The whole host at one moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Cgroup, Host, Report};

/// Every cgroup of the host as one pass found it. Made by the sampler, then never changed.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts passes, from 1.
    pub sequence: u64,
    /// When the pass began, on the monotonic clock. The only time that decisions may use.
    pub at: Duration,
    /// The same moment on the wall clock, for people.
    pub wall: SystemTime,
    /// The living, sorted by path, so that a parent stands before its children.
    pub cgroups: Vec<Cgroup>,
    /// Those that ended and whose last numbers no scrape has carried yet, oldest first.
    pub dead: Vec<Arc<Cgroup>>,
    /// The host's own numbers.
    pub host: Host,
    /// What the pass cost and met.
    pub report: Report,
}

impl Snapshot {
    /// The living cgroup at a path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Cgroup> {
        self.cgroups
            .binary_search_by(|cgroup| (*cgroup.identity.path).cmp(path))
            .ok()
            .map(|at| &self.cgroups[at])
    }

    /// The parent of a living cgroup.
    #[must_use]
    pub fn parent(&self, cgroup: &Cgroup) -> Option<&Cgroup> {
        cgroup.parent.and_then(|at| self.cgroups.get(at as usize))
    }

    /// The living cgroups that the configuration does not hide.
    pub fn shown(&self) -> impl Iterator<Item = &Cgroup> {
        self.cgroups.iter().filter(|cgroup| !cgroup.hidden)
    }
}
