//! `pids.*`: how many processes and threads, and the limit on them.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Control, Field};

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        Collector::Pids,
        "cgroup_pids_current",
        "pids.current",
        From::Fields(&[("", Field::PidsCurrent)]),
        "Processes and threads in the cgroup and its descendants.",
    )
    .essential(),
    Family::gauge(
        Collector::Pids,
        "cgroup_pids_peak",
        "pids.peak",
        From::Fields(&[("", Field::PidsPeak)]),
        "Most processes and threads ever in the cgroup and its descendants.",
    ),
    Family::gauge(
        Collector::Pids,
        "cgroup_pids_limit",
        "pids.max",
        From::Controls(&[("", Control::PidsMax)]),
        "How many processes and threads there may be; unlimited is no series.",
    ),
    Family::counter(
        Collector::Pids,
        "cgroup_pids_events_total",
        "pids.events",
        From::Fields(&[("max", Field::PidsEventsMax)]),
        "Forks that a limit refused in the cgroup and its descendants (in older kernels: in the cgroup).",
    )
    .labels(&["event"]),
    Family::counter(
        Collector::Pids,
        "cgroup_pids_events_local_total",
        "pids.events.local",
        From::Fields(&[("max", Field::PidsLocalEventsMax)]),
        "Forks that the cgroup's own limit refused.",
    )
    .labels(&["event"]),
];
