//! Numbers whose number and names only the kernel knows: `memory.stat` rows, devices, page sizes.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Reading, Unit};

macro_rules! closed_set {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
        }
    };
}

closed_set! {
    /// The file that a table of rows came from.
    RowKind {
        /// `memory.stat`.
        MemoryStat,
        /// `memory.numa_stat`.
        MemoryNumaStat,
        /// `io.stat`.
        IoStat,
        /// v1 `blkio.throttle.io_service_bytes_recursive`.
        BlkioBytes,
        /// v1 `blkio.throttle.io_serviced_recursive`.
        BlkioOps,
        /// v1 `blkio.bfq.io_service_bytes_recursive`.
        BfqBytes,
        /// v1 `blkio.bfq.io_serviced_recursive`.
        BfqOps,
        /// `hugetlb.SIZE.*`, a column for each file.
        Hugetlb,
        /// `rdma.current`.
        RdmaCurrent,
        /// `rdma.max`.
        RdmaMax,
        /// `misc.current`.
        MiscCurrent,
        /// `misc.peak`.
        MiscPeak,
        /// `misc.max`.
        MiscMax,
        /// `misc.events`.
        MiscEvents,
        /// `/proc/PID/net/dev` of the network namespaces that the cgroup has for itself.
        Network,
    }
}

closed_set! {
    /// What a row measures. Rows of one column form one metric family, told apart by [`Key::item`].
    Column {
        /// A `memory.stat` amount, in bytes.
        StatBytes,
        /// A `memory.stat` counter of events.
        StatEvents,
        /// A `memory.stat` count that goes up and down (`workingset_nodes`).
        StatObjects,
        /// A `memory.numa_stat` amount, in bytes; the item is `name` and node.
        NumaBytes,
        /// A `memory.numa_stat` counter of events.
        NumaEvents,
        /// Bytes read from a device.
        IoReadBytes,
        /// Bytes written to a device.
        IoWriteBytes,
        /// Bytes discarded on a device.
        IoDiscardBytes,
        /// Reads issued to a device.
        IoReads,
        /// Writes issued to a device.
        IoWrites,
        /// Discards issued to a device.
        IoDiscards,
        /// iocost: device time used, nanoseconds (`cost.usage`, microseconds in the file).
        IoCostUsage,
        /// iocost: time waited for budget, nanoseconds (`cost.wait`).
        IoCostWait,
        /// iocost: time in debt, nanoseconds (`cost.indebt`).
        IoCostIndebt,
        /// iocost: time delayed to pay debts, nanoseconds (`cost.indelay`).
        IoCostIndelay,
        /// bfq: bytes read.
        BfqReadBytes,
        /// bfq: bytes written.
        BfqWriteBytes,
        /// bfq: bytes discarded.
        BfqDiscardBytes,
        /// bfq: reads served.
        BfqReads,
        /// bfq: writes served.
        BfqWrites,
        /// bfq: discards served.
        BfqDiscards,
        /// Huge pages of a size in use, bytes.
        HugetlbCurrent,
        /// Most huge pages of a size ever in use, bytes (v1).
        HugetlbPeak,
        /// Limit on huge pages of a size, bytes.
        HugetlbMax,
        /// Reserved huge pages of a size, bytes.
        HugetlbReserved,
        /// Times the limit refused a huge page (`hugetlb.SIZE.events` max, v1 failcnt).
        HugetlbFailures,
        /// RDMA HCA handles in use.
        RdmaHandles,
        /// RDMA HCA objects in use.
        RdmaObjects,
        /// RDMA HCA handles allowed.
        RdmaHandlesMax,
        /// RDMA HCA objects allowed.
        RdmaObjectsMax,
        /// A misc resource in use.
        MiscCurrent,
        /// Most of a misc resource ever in use.
        MiscPeak,
        /// Limit on a misc resource.
        MiscMax,
        /// Times the limit on a misc resource refused.
        MiscEventsMax,
        /// Bytes that a network device received.
        NetworkReceiveBytes,
        /// Packets that a network device received.
        NetworkReceivePackets,
        /// Errors of a network device in receiving.
        NetworkReceiveErrors,
        /// Packets that a network device received and dropped.
        NetworkReceiveDrops,
        /// Bytes that a network device sent.
        NetworkTransmitBytes,
        /// Packets that a network device sent.
        NetworkTransmitPackets,
        /// Errors of a network device in sending.
        NetworkTransmitErrors,
        /// Packets that a network device was to send and dropped.
        NetworkTransmitDrops,
    }
}

impl Column {
    /// The unit its numbers are in, as far as whoever shows them must know: amounts are shown as they are.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::IoCostUsage | Self::IoCostWait | Self::IoCostIndebt | Self::IoCostIndelay => {
                Unit::Nanoseconds
            }
            _ => Unit::Count,
        }
    }
}

/// What one row of a table is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What it measures.
    pub column: Column,
    /// Of which thing: the stat's name, the device, the page size, the resource.
    pub item: Box<str>,
    /// A second name where one is not enough: the NUMA node. Empty otherwise.
    pub detail: Box<str>,
}

impl Key {
    /// A row that one name tells apart.
    #[must_use]
    pub fn new(column: Column, item: &str) -> Self {
        Self { column, item: item.into(), detail: "".into() }
    }
}

/// The shape of a table: which rows, in which order. Cgroups of one host share a handful of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    keys: Box<[Key]>,
    by_column: Box<[(Column, Box<[u32]>)]>,
}

impl Schema {
    /// A shape with these rows in this order.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        let mut by_column: Vec<(Column, Vec<u32>)> = Vec::new();
        let mut seen = HashSet::new();
        for (row, key) in (0u32..).zip(&keys) {
            if !seen.insert(key) {
                continue;
            }
            match by_column.iter_mut().find(|(column, _)| *column == key.column) {
                Some((_, rows)) => rows.push(row),
                None => by_column.push((key.column, vec![row])),
            }
        }
        Self {
            keys: keys.into(),
            by_column: by_column.into_iter().map(|(column, rows)| (column, rows.into())).collect(),
        }
    }

    /// The rows.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The row numbers of one column. Of rows that tell the same thing twice only the first is among them.
    #[must_use]
    pub fn column(&self, column: Column) -> &[u32] {
        self.by_column.iter().find(|(c, _)| *c == column).map_or(&[], |(_, rows)| rows)
    }
}

/// One table: a shared shape and this cgroup's numbers.
#[derive(Default, Debug)]
pub struct Rows {
    schema: Option<Arc<Schema>>,
    values: Vec<Reading>,
}

impl Rows {
    /// Takes on a shape with no numbers yet. The memory of the old numbers is kept.
    pub fn reshape(&mut self, schema: Arc<Schema>) {
        self.values.clear();
        self.values.resize(schema.keys.len(), Reading::ABSENT);
        self.schema = Some(schema);
    }

    /// Makes every number absent and keeps the shape.
    pub fn clear(&mut self) {
        self.values.fill(Reading::ABSENT);
    }

    /// The shape, once one is known.
    #[must_use]
    pub fn schema(&self) -> Option<&Arc<Schema>> {
        self.schema.as_ref()
    }

    /// The numbers, in the shape's order.
    #[must_use]
    pub fn values(&self) -> &[Reading] {
        &self.values
    }

    /// The numbers, to be filled in place.
    pub fn values_mut(&mut self) -> &mut [Reading] {
        &mut self.values
    }

    /// The numbers that are present, with what each is.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, u64)> {
        let keys = self.schema.as_deref().map_or(&[][..], Schema::keys);
        keys.iter().zip(&self.values).filter_map(|(key, value)| Some((key, value.get()?)))
    }

    /// The number of one column and item.
    #[must_use]
    pub fn get(&self, column: Column, item: &str) -> Option<u64> {
        self.iter().find(|(key, _)| key.column == column && &*key.item == item).map(|(_, value)| value)
    }

    /// The sum over every item of a column, absent where no item is present.
    #[must_use]
    pub fn sum(&self, column: Column) -> Option<u64> {
        self.iter()
            .filter(|(key, _)| key.column == column)
            .map(|(_, value)| value)
            .reduce(u64::saturating_add)
    }
}

impl Clone for Rows {
    fn clone(&self) -> Self {
        Self { schema: self.schema.clone(), values: self.values.clone() }
    }

    /// Copies without allocating where the shape is the same.
    fn clone_from(&mut self, source: &Self) {
        self.schema.clone_from(&source.schema);
        self.values.clone_from(&source.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_column_and_item() {
        let schema = Arc::new(Schema::new(vec![
            Key::new(Column::StatBytes, "anon"),
            Key::new(Column::StatEvents, "pgfault"),
            Key::new(Column::StatBytes, "file"),
        ]));
        assert_eq!(schema.column(Column::StatBytes), [0, 2]);
        let twice =
            Schema::new(vec![Key::new(Column::StatBytes, "anon"), Key::new(Column::StatBytes, "anon")]);
        assert_eq!(twice.column(Column::StatBytes), [0]);
        let mut rows = Rows::default();
        rows.reshape(schema);
        assert_eq!(rows.sum(Column::StatBytes), None, "no number yet, so no sum");
        rows.values_mut()[0] = Reading::new(3);
        rows.values_mut()[2] = Reading::new(4);
        assert_eq!(rows.get(Column::StatBytes, "file"), Some(4));
        assert_eq!(rows.get(Column::StatEvents, "pgfault"), None);
        assert_eq!(rows.sum(Column::StatBytes), Some(7));
    }
}
