//! The files of the v1 hierarchies, one module a controller.

mod blkio;
mod cpu;
mod cpuacct;
mod cpuset;
mod freezer;
mod memory;
mod net_cls;
pub(super) mod write;

use super::layout::Hierarchy;
use super::spec::{Cadence, FileSpec, Read, When, served};
use super::v2::{self, hugetlb};
use crate::model::{Collector, Version};

/// Every v1 directory lists its processes; they are read once, in the first hierarchy that has the cgroup.
const MEMBERS: &[FileSpec] = &[member("cgroup.procs", v2::PROCESSES), member("tasks", v2::THREADS)];

/// The kernel makes the list when the file is read first after it was opened, and gives an open file the same one again as
/// long as it is asked for it once a second (`cgroup_pidlist_start` in kernel/cgroup/cgroup-v1.c): held and read more often,
/// it would say for ever who was there at first.
const fn member(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Core, read).paged().reopened().when(When::FirstHierarchy)
}

/// The files of the controllers that this hierarchy serves.
#[must_use]
pub(super) fn files(hierarchy: &Hierarchy, huge_pages: &[&str]) -> Vec<FileSpec> {
    let mut files = served(
        hierarchy,
        &[
            ("", MEMBERS),
            ("memory", memory::FILES),
            ("cpu", cpu::FILES),
            ("cpuacct", cpuacct::FILES),
            ("blkio", blkio::FILES),
            ("pids", v2::PIDS),
            ("cpuset", cpuset::FILES),
            ("freezer", freezer::FILES),
            ("rdma", v2::RDMA),
            ("misc", v2::MISC),
            ("net_cls", net_cls::FILES),
        ],
    );
    if hierarchy.serves("hugetlb") {
        files.extend(hugetlb::files(Version::V1, huge_pages));
    }
    // v1 announces nothing: neither an OOM kill nor a refused fork gives an event.
    for file in files.iter_mut().filter(|file| file.cadence == Cadence::Notified) {
        file.cadence = Cadence::Pass;
    }
    files
}
