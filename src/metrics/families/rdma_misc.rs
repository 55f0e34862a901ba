//! `rdma.*`, `misc.*` and v1 `net_cls.*`: the small controllers.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Column, Control, RowKind};

const fn rdma(
    column: Column,
    kind: &'static [RowKind],
    name: &'static str,
    source: &'static str,
    help: &'static str,
) -> Family {
    Family::gauge(Collector::Rdma, name, source, From::Column(column, kind), help).labels(&["device"])
}

const fn misc(
    column: Column,
    kind: &'static [RowKind],
    name: &'static str,
    source: &'static str,
    help: &'static str,
) -> Family {
    Family::gauge(Collector::Misc, name, source, From::Column(column, kind), help).labels(&["resource"])
}

pub(super) const FAMILIES: &[Family] = &[
    rdma(
        Column::RdmaHandles,
        &[RowKind::RdmaCurrent],
        "cgroup_rdma_handles",
        "rdma.current hca_handle",
        "RDMA handles in use on the device.",
    ),
    rdma(
        Column::RdmaObjects,
        &[RowKind::RdmaCurrent],
        "cgroup_rdma_objects",
        "rdma.current hca_object",
        "RDMA objects in use on the device.",
    ),
    rdma(
        Column::RdmaHandlesMax,
        &[RowKind::RdmaMax],
        "cgroup_rdma_handles_limit",
        "rdma.max hca_handle",
        "Limit on RDMA handles of the device; unlimited is no series.",
    ),
    rdma(
        Column::RdmaObjectsMax,
        &[RowKind::RdmaMax],
        "cgroup_rdma_objects_limit",
        "rdma.max hca_object",
        "Limit on RDMA objects of the device; unlimited is no series.",
    ),
    misc(
        Column::MiscCurrent,
        &[RowKind::MiscCurrent],
        "cgroup_misc_current",
        "misc.current",
        "How much of the resource is in use, in the resource's own unit.",
    ),
    misc(
        Column::MiscPeak,
        &[RowKind::MiscPeak],
        "cgroup_misc_peak",
        "misc.peak",
        "Most of the resource ever in use, in the resource's own unit.",
    ),
    misc(
        Column::MiscMax,
        &[RowKind::MiscMax],
        "cgroup_misc_limit",
        "misc.max",
        "Limit on the resource, in the resource's own unit; unlimited is no series.",
    ),
    Family::counter(
        Collector::Misc,
        "cgroup_misc_failures_total",
        "misc.events",
        From::Column(Column::MiscEventsMax, &[RowKind::MiscEvents]),
        "Times the limit on the resource refused a use.",
    )
    .labels(&["resource"]),
    Family::gauge(
        Collector::NetCls,
        "cgroup_net_cls_classid",
        "v1 net_cls.classid",
        From::Controls(&[("", Control::NetClassid)]),
        "The traffic control class of the cgroup's packets.",
    ),
];
