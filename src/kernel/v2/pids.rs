//! `pids.*`.

use crate::kernel::catalog::{FileSpec, Read};
use crate::kernel::parse::limit;
use crate::model::{Collector, Control, Field};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Pids, read)
}

/// The same files in both versions.
pub(in crate::kernel) const FILES: &[FileSpec] = &[
    file("pids.current", Read::Value(Field::PidsCurrent)),
    file("pids.peak", Read::Value(Field::PidsPeak)),
    file("pids.events", Read::Flat(&[("max", Field::PidsEventsMax, 1)])).notified(),
    file("pids.events.local", Read::Flat(&[("max", Field::PidsLocalEventsMax, 1)])),
    file("pids.max", Read::Limit(Control::PidsMax, limit)),
];
