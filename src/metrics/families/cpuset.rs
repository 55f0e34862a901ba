//! `cpuset.*`: how many CPUs and NUMA nodes the cgroup may use.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Field};

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        Collector::Cpuset,
        "cgroup_cpuset_effective_cpus",
        "cpuset.cpus.effective, v1 cpuset.effective_cpus",
        From::Fields(&[("", Field::CpusetCpus)]),
        "How many CPUs the cgroup may use.",
    ),
    Family::gauge(
        Collector::Cpuset,
        "cgroup_cpuset_effective_mems",
        "cpuset.mems.effective, v1 cpuset.effective_mems",
        From::Fields(&[("", Field::CpusetMems)]),
        "How many NUMA nodes the cgroup may use.",
    ),
];
