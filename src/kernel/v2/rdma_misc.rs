//! `rdma.*` and `misc.*`.

use crate::kernel::catalog::{FileSpec, Read};
use crate::kernel::shapes::{Format, Table};
use crate::model::{Collector, Column, Key, RowKind};

/// The same files in both versions.
pub(in crate::kernel) const RDMA: &[FileSpec] = &[
    FileSpec::new("rdma.current", Collector::Rdma, Read::Table(&RDMA_CURRENT)),
    FileSpec::new("rdma.max", Collector::Rdma, Read::Table(&RDMA_MAX)).slow(),
];

/// The same files in both versions.
pub(in crate::kernel) const MISC: &[FileSpec] = &[
    FileSpec::new("misc.current", Collector::Misc, Read::Table(&MISC_CURRENT)),
    FileSpec::new("misc.peak", Collector::Misc, Read::Table(&MISC_PEAK)),
    FileSpec::new("misc.events", Collector::Misc, Read::Table(&MISC_EVENTS)).notified(),
    FileSpec::new("misc.max", Collector::Misc, Read::Table(&MISC_MAX)).slow(),
];

const RDMA_CURRENT: Table = Table {
    kind: RowKind::RdmaCurrent,
    format: Format::Nested,
    classify: |device, name, _| match name {
        b"hca_handle" => key(Column::RdmaHandles, device),
        b"hca_object" => key(Column::RdmaObjects, device),
        _ => None,
    },
};

const RDMA_MAX: Table = Table {
    kind: RowKind::RdmaMax,
    format: Format::Nested,
    classify: |device, name, _| match name {
        b"hca_handle" => key(Column::RdmaHandlesMax, device),
        b"hca_object" => key(Column::RdmaObjectsMax, device),
        _ => None,
    },
};

const MISC_CURRENT: Table = Table {
    kind: RowKind::MiscCurrent,
    format: Format::Pairs,
    classify: |_, resource, _| key(Column::MiscCurrent, resource),
};

const MISC_PEAK: Table = Table {
    kind: RowKind::MiscPeak,
    format: Format::Pairs,
    classify: |_, resource, _| key(Column::MiscPeak, resource),
};

const MISC_MAX: Table = Table {
    kind: RowKind::MiscMax,
    format: Format::Pairs,
    classify: |_, resource, _| key(Column::MiscMax, resource),
};

const MISC_EVENTS: Table = Table {
    kind: RowKind::MiscEvents,
    format: Format::Pairs,
    classify: |_, event, _| key(Column::MiscEventsMax, event.strip_suffix(b".max")?),
};

fn key(column: Column, item: &[u8]) -> Option<(Key, u64)> {
    Some((Key::new(column, std::str::from_utf8(item).ok()?), 1))
}
