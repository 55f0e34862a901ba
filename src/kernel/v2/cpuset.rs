//! `cpuset.*`: how many CPUs and NUMA nodes may be used. The effective lists change when an ancestor's do, without a
//! write here, so they are read on the slow clock.

use crate::kernel::parse::list_count;
use crate::kernel::spec::{FileSpec, Read};
use crate::model::{Collector, Field};

pub(in crate::kernel) const CPUS: Read = Read::Numbers(|text, readings, _| {
    readings.set(Field::CpusetCpus, text.map(list_count).transpose()?);
    Ok(())
});

pub(in crate::kernel) const MEMS: Read = Read::Numbers(|text, readings, _| {
    readings.set(Field::CpusetMems, text.map(list_count).transpose()?);
    Ok(())
});

pub(super) const FILES: &[FileSpec] = &[
    FileSpec::new("cpuset.cpus.effective", Collector::Cpuset, CPUS).slow(),
    FileSpec::new("cpuset.mems.effective", Collector::Cpuset, MEMS).slow(),
];
