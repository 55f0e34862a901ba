//! `cgroup.*`: who the cgroup is, and whether anything lives in it.

use crate::metrics::family::{Family, From};
use crate::metrics::text::Kind;
use crate::model::{Collector, Control, Field, OwnerLabel};

pub(super) const FAMILIES: &[Family] = &[
    Family::always(
        Kind::Info,
        "cgroup_info",
        "the path, runtimes' files",
        From::Identity,
        "Whom the cgroup belongs to, as far as its path and its runtime's files tell; a part that is not known has no label.",
    )
    .labels(OwnerLabel::NAMES)
    .essential(),
    Family::gauge(
        Collector::Core,
        "cgroup_populated",
        "cgroup.events",
        From::Fields(&[("", Field::Populated)]),
        "Whether a process lives in the cgroup or below it (1) or not (0).",
    )
    .essential(),
    Family::gauge(
        Collector::Core,
        "cgroup_frozen",
        "cgroup.events, v1 freezer.state",
        From::Fields(&[("", Field::Frozen)]),
        "Whether the cgroup is frozen (1), by v2's freezer or v1's, or not (0).",
    ),
    Family::gauge(
        Collector::Core,
        "cgroup_freezer_state",
        "v1 freezer.state",
        From::Fields(&[("freezing", Field::FreezerFreezing), ("frozen", Field::FreezerFrozen)]),
        "Whether the v1 freezer is in the state (1) or not (0); in neither it is thawed.",
    )
    .labels(&["state"]),
    Family::gauge(
        Collector::Core,
        "cgroup_descendants",
        "cgroup.stat",
        From::Fields(&[("", Field::Descendants)]),
        "Living cgroups below the cgroup.",
    ),
    Family::gauge(
        Collector::Core,
        "cgroup_dying_descendants",
        "cgroup.stat",
        From::Fields(&[("", Field::DyingDescendants)]),
        "Removed cgroups below the cgroup that the kernel still keeps.",
    ),
    Family::gauge(
        Collector::Core,
        "cgroup_processes",
        "cgroup.procs",
        From::Fields(&[("", Field::Processes)]),
        "Processes in the cgroup itself, descendants not counted.",
    )
    .essential(),
    Family::gauge(
        Collector::Core,
        "cgroup_threads",
        "cgroup.threads, v1 tasks",
        From::Fields(&[("", Field::Threads)]),
        "Threads in the cgroup itself, descendants not counted.",
    ),
    Family::gauge(
        Collector::Core,
        "cgroup_depth_limit",
        "cgroup.max.depth",
        From::Controls(&[("", Control::MaxDepth)]),
        "How many levels of cgroups may be made below the cgroup.",
    ),
    Family::gauge(
        Collector::Core,
        "cgroup_descendants_limit",
        "cgroup.max.descendants",
        From::Controls(&[("", Control::MaxDescendants)]),
        "How many cgroups may be made below the cgroup.",
    ),
];
