//! The files of the cgroup2 hierarchy, one module a controller. pids, rdma, misc and hugetlb have the same files in v1.

mod core;
mod cpu;
mod cpuset;
pub mod hugetlb;
mod io;
mod memory;
mod pids;
mod pressure;
mod rdma_misc;
pub(super) mod write;

use super::layout::Hierarchy;
use super::spec::{FileSpec, served};
use crate::model::Version;

pub(super) use self::core::{PROCESSES, THREADS};
pub(super) use self::cpu::clamp;
pub(super) use self::cpuset::{CPUS, MEMS};
pub(super) use self::io::{device, device_key};
pub(super) use self::memory::stat_column;
pub(super) use self::pids::FILES as PIDS;
pub(super) use self::pressure::RESOURCES;
pub(super) use self::rdma_misc::{MISC, RDMA};

/// The files that this hierarchy serves. Core, `cpu.stat` and pressure need no controller.
#[must_use]
pub(super) fn files(hierarchy: &Hierarchy, huge_pages: &[&str]) -> Vec<FileSpec> {
    let mut files = served(
        hierarchy,
        &[
            ("", core::FILES),
            ("", pressure::FILES),
            ("cpu", cpu::FILES),
            ("memory", memory::FILES),
            ("io", io::FILES),
            ("pids", pids::FILES),
            ("cpuset", cpuset::FILES),
            ("rdma", rdma_misc::RDMA),
            ("misc", rdma_misc::MISC),
        ],
    );
    // The rows of the cpu controller stand in cpu.stat only where v2 has it: on a hybrid host v1 fills them.
    files.push(if hierarchy.serves("cpu") { cpu::STAT } else { cpu::STAT_WITHOUT_CONTROLLER });
    if hierarchy.serves("hugetlb") {
        files.extend(hugetlb::files(Version::V2, huge_pages));
    }
    files
}
