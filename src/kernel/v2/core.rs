//! `cgroup.*`: state and population.

use crate::kernel::parse::{count_lines, limit};
use crate::kernel::spec::{FileSpec, Read, When};
use crate::model::{Collector, Control, Field};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Core, read)
}

pub(super) const FILES: &[FileSpec] = &[
    file("cgroup.events", Read::Flat(&[("populated", Field::Populated, 1), ("frozen", Field::Frozen, 1)]))
        .notified(),
    file(
        "cgroup.stat",
        Read::Flat(&[
            ("nr_descendants", Field::Descendants, 1),
            ("nr_dying_descendants", Field::DyingDescendants, 1),
        ]),
    ),
    file("cgroup.procs", PROCESSES).paged().when(When::Populated),
    file("cgroup.threads", THREADS).paged().when(When::Populated),
    file("cgroup.max.depth", Read::Limit(Control::MaxDepth, limit)),
    file("cgroup.max.descendants", Read::Limit(Control::MaxDescendants, limit)),
];

/// A line a process.
pub(in crate::kernel) const PROCESSES: Read = Read::Numbers(|text, readings, _| {
    readings.set(Field::Processes, text.map(count_lines));
    Ok(())
});

/// A line a thread.
pub(in crate::kernel) const THREADS: Read = Read::Numbers(|text, readings, _| {
    readings.set(Field::Threads, text.map(count_lines));
    Ok(())
});
