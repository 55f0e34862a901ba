//! v1 `net_cls.classid`.

use crate::kernel::parse::limit;
use crate::kernel::spec::{FileSpec, Read};
use crate::model::{Collector, Control};

pub(super) const FILES: &[FileSpec] =
    &[FileSpec::new("net_cls.classid", Collector::NetCls, Read::Limit(Control::NetClassid, limit))];
