//! `hugetlb.SIZE.*`: huge pages by page size.

use crate::metrics::family::{Family, From};
use crate::metrics::text::Kind;
use crate::model::{Collector, Column, RowKind};

const fn family(
    kind: Kind,
    column: Column,
    name: &'static str,
    source: &'static str,
    help: &'static str,
) -> Family {
    let from = From::Column(column, &[RowKind::Hugetlb]);
    let family = match kind {
        Kind::Counter => Family::counter(Collector::Hugetlb, name, source, from, help),
        _ => Family::gauge(Collector::Hugetlb, name, source, from, help),
    };
    family.labels(&["size"])
}

pub(super) const FAMILIES: &[Family] = &[
    family(
        Kind::Gauge,
        Column::HugetlbCurrent,
        "cgroup_hugetlb_current_bytes",
        "hugetlb.SIZE.current, v1 hugetlb.SIZE.usage_in_bytes",
        "Huge pages of the size in use.",
    ),
    family(
        Kind::Gauge,
        Column::HugetlbPeak,
        "cgroup_hugetlb_peak_bytes",
        "v1 hugetlb.SIZE.max_usage_in_bytes",
        "Most huge pages of the size ever in use.",
    ),
    family(
        Kind::Gauge,
        Column::HugetlbMax,
        "cgroup_hugetlb_limit_bytes",
        "hugetlb.SIZE.max, v1 hugetlb.SIZE.limit_in_bytes",
        "Limit on huge pages of the size; unlimited is no series.",
    ),
    family(
        Kind::Gauge,
        Column::HugetlbReserved,
        "cgroup_hugetlb_reserved_bytes",
        "hugetlb.SIZE.rsvd.current, v1 hugetlb.SIZE.rsvd.usage_in_bytes",
        "Huge pages of the size that are reserved.",
    ),
    family(
        Kind::Counter,
        Column::HugetlbFailures,
        "cgroup_hugetlb_failures_total",
        "hugetlb.SIZE.events max, v1 hugetlb.SIZE.failcnt",
        "Times the limit refused a huge page of the size.",
    ),
];
