//! The tables of metric families, one file a topic.

mod cadvisor;
mod core;
mod cpu;
mod cpuset;
mod enforcement;
mod host;
mod hugetlb;
mod io;
mod memory;
mod namespaces;
mod network;
mod own;
mod pids;
mod pressure;
mod processes;
mod rdma_misc;

use super::family::Family;

/// Every table, in the order of the exposition.
const TABLES: &[&[Family]] = &[
    core::FAMILIES,
    memory::FAMILIES,
    cpu::FAMILIES,
    io::FAMILIES,
    pressure::FAMILIES,
    pids::FAMILIES,
    hugetlb::FAMILIES,
    rdma_misc::FAMILIES,
    cpuset::FAMILIES,
    namespaces::FAMILIES,
    processes::FAMILIES,
    network::FAMILIES,
    host::FAMILIES,
    own::FAMILIES,
    enforcement::FAMILIES,
];

/// What cAdvisor and kubelet export, under their names: not among [`all()`].
pub(crate) use cadvisor::FAMILIES as CADVISOR;

/// Every family of the tables.
pub(crate) fn all() -> impl Iterator<Item = &'static Family> {
    TABLES.iter().copied().flatten()
}
