//! The values of a family in a cgroup: what is counted and what is written come from the same place.

use std::sync::Arc;

use crate::model::{Cgroup, Column, Control, Limit, Reading, RowKind, Schema, Snapshot};

use super::family::{Family, From};

/// The rows of one column in one table.
pub(crate) struct Rows<'a> {
    /// The table's shape.
    pub(crate) schema: &'a Arc<Schema>,
    /// Which rows of the shape are of the column.
    pub(crate) rows: &'a [u32],
    values: &'a [Reading],
}

impl<'a> Rows<'a> {
    /// The rows of a column in the first of the tables that has any number there. One table only: two tables can tell
    /// of the same device.
    pub(crate) fn of(cgroup: &'a Cgroup, column: Column, kinds: &[RowKind]) -> Option<Self> {
        kinds.iter().find_map(|kind| {
            let table = cgroup.readings.rows(*kind);
            let schema = table.schema()?;
            let found = Self { schema, rows: schema.column(column), values: table.values() };
            let any = found.present().next().is_some();
            any.then_some(found)
        })
    }

    /// The numbers that are there, each with its place in [`Self::rows`].
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, u64)> {
        let value = |row: u32| self.values.get(row as usize).and_then(|reading| reading.get());
        self.rows.iter().enumerate().filter_map(move |(at, row)| Some((at, value(*row)?)))
    }
}

/// The CPU quota over its period, in billionths of a core.
pub(crate) fn cpu_limit(cgroup: &Cgroup) -> Option<u64> {
    let quota = cgroup.controls.value(Control::CpuQuota)?;
    let period = cgroup.controls.value(Control::CpuPeriod)?;
    let cores = (u128::from(quota) * 1_000_000_000).checked_div(u128::from(period))?;
    u64::try_from(cores).ok()
}

/// How many series a family has in a cgroup.
pub(crate) fn count(family: &Family, snapshot: &Snapshot, cgroup: &Cgroup) -> usize {
    match family.from {
        From::Identity => 1,
        From::Fields(list) => list.iter().filter(|(_, field)| cgroup.readings.get(*field).is_some()).count(),
        From::Controls(list) => {
            list.iter().filter(|(_, control)| cgroup.controls.value(*control).is_some()).count()
        }
        From::CpuLimit => usize::from(cpu_limit(cgroup).is_some()),
        From::IoLimits(_, get) => {
            cgroup.controls.io.iter().filter(|limit| get(limit).and_then(Limit::value).is_some()).count()
        }
        From::Column(column, kinds) => {
            Rows::of(cgroup, column, kinds).map_or(0, |rows| rows.present().count())
        }
        From::Told(_, tell) => {
            let mut count = 0;
            tell(snapshot, cgroup, &mut |_, _| count += 1);
            count
        }
        From::NamespaceCounts => cgroup.namespaces.counts().count(),
        From::NamespaceList => cgroup.namespaces.list().len(),
        From::Namespaces(get) => usize::from(get(&cgroup.namespaces).is_some()),
        From::Host(_) | From::HostPressure(_) | From::Program(_) => 0,
    }
}
