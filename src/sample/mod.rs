//! The walk: kernel to [`Snapshot`](crate::model::Snapshot), faults kept beside the results.
//!
//! - `clock`: the thread: passes, notices, orders.
//! - `tree`: which cgroups there are, by path and by directory.
//! - `census`: the processes of every cgroup, and their namespaces.
//! - `notices`: what the watch tells between two passes.
//! - `news`: the same, for whoever decides on it.
//! - `reader`: the files of one cgroup, through held descriptors.
//! - `discovery`: which cgroups come and go.
//! - `enrich`: the thread that reads what container runtimes keep in files.
//! - `learn`: what is found out of a cgroup's owner after its birth.
//! - `derive`: PURE, what follows from other numbers: working set, effective limits, headroom.
//! - `faults`: what went wrong, counted by file and kind.
//! - `linger`: the last numbers of the dead, until a scrape has carried them.
//! - `sampler`: a pass over all of it, births and deaths, publication.
//! - `network`: the traffic of the network namespaces that the census found.
//! - `schedule`: which files are due.
//!
//! One cgroup lives at one path in several hierarchies. It is found in each of them, and is one `tree::Node`.

mod census;
mod clock;
mod derive;
mod discovery;
mod enrich;
mod faults;
mod learn;
mod linger;
mod network;
mod news;
mod notices;
mod reader;
mod sampler;
mod schedule;
mod tree;

use std::time::Duration;

pub use clock::{Attendant, Ready, Remote, run};
pub use faults::is_failure;
pub use linger::{Carried, carried};
pub use news::{News, Written};
pub use reader::PlannedRead;
pub use sampler::{Sampler, SetupError, now};

use crate::kernel::layout::Paths;
use crate::model::{Collector, CollectorSet, PathFilter, WatchMethod};

/// What to sample, and how often.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the kernel's file systems are.
    pub paths: Paths,
    /// The sampling clock.
    pub interval: Duration,
    /// Collectors with a slower clock of their own.
    pub intervals: [Option<Duration>; Collector::COUNT],
    /// Which collectors run.
    pub collectors: CollectorSet,
    /// Which cgroups are shown.
    pub filter: PathFilter,
    /// How long the last numbers of a dead cgroup wait for a scrape.
    pub linger: Duration,
    /// How many dead cgroups may wait; the oldest go first.
    pub max_dead: usize,
    /// The only way of watching to use; `None` takes the best that the kernel allows.
    pub watch: Option<WatchMethod>,
    /// How many descriptors may be held; `None` takes what the limit on open files allows.
    pub descriptors: Option<usize>,
    /// Whether somebody asks what happened between the passes ([`Sampler::news`]).
    pub news: bool,
}

impl Settings {
    /// How often what has no clock of its own and no notice is read: control files where writes cannot be seen,
    /// device names, peaks.
    pub const SLOW: Duration = Duration::from_secs(30);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            paths: Paths::default(),
            interval: Duration::from_secs(5),
            intervals: [None; Collector::COUNT],
            collectors: CollectorSet::default(),
            filter: PathFilter::default(),
            linger: Duration::from_secs(300),
            max_dead: 10_000,
            watch: None,
            descriptors: None,
            news: false,
        }
    }
}
