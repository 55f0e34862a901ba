//! v1 `cpuset.*`.

use crate::kernel::spec::FileSpec;
use crate::kernel::v2::{CPUS, MEMS};
use crate::model::Collector;

pub(super) const FILES: &[FileSpec] = &[
    FileSpec::new("cpuset.effective_cpus", Collector::Cpuset, CPUS).slow(),
    FileSpec::new("cpuset.effective_mems", Collector::Cpuset, MEMS).slow(),
];
