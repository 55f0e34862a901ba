//! One cgroup at one moment.

use std::sync::Arc;
use std::time::Duration;

use super::{Column, Controls, Field, Identity, Namespaces, Reading, RowKind, Rows};

/// Every number of a cgroup, absent until measured.
#[derive(Debug)]
pub struct Readings {
    fields: [Reading; Field::COUNT],
    rows: [Rows; RowKind::COUNT],
}

impl Readings {
    /// One number.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<u64> {
        self.fields[field as usize].get()
    }

    /// Stores one number, or takes it away.
    pub fn set(&mut self, field: Field, value: Option<u64>) {
        self.fields[field as usize] = value.into();
    }

    /// One table.
    #[must_use]
    pub fn rows(&self, kind: RowKind) -> &Rows {
        &self.rows[kind as usize]
    }

    /// One table, to be filled.
    pub fn rows_mut(&mut self, kind: RowKind) -> &mut Rows {
        &mut self.rows[kind as usize]
    }

    /// A `memory.stat` amount in bytes under its v2 name (v1 rows are stored under the v2 names).
    #[must_use]
    pub fn memory_stat(&self, name: &str) -> Option<u64> {
        self.rows(RowKind::MemoryStat).get(Column::StatBytes, name)
    }

    /// The sum of an I/O column over devices, from `io.stat` or from the v1 throttle files.
    #[must_use]
    pub fn io(&self, column: Column) -> Option<u64> {
        [RowKind::IoStat, RowKind::BlkioBytes, RowKind::BlkioOps]
            .into_iter()
            .find_map(|kind| self.rows(kind).sum(column))
    }
}

impl Default for Readings {
    fn default() -> Self {
        Self { fields: [Reading::ABSENT; Field::COUNT], rows: Default::default() }
    }
}

impl Clone for Readings {
    fn clone(&self) -> Self {
        Self { fields: self.fields, rows: self.rows.clone() }
    }

    /// Copies without allocating where the shapes are the same.
    fn clone_from(&mut self, source: &Self) {
        self.fields = source.fields;
        for (mine, theirs) in self.rows.iter_mut().zip(&source.rows) {
            mine.clone_from(theirs);
        }
    }
}

/// A cgroup in a snapshot.
#[derive(Debug)]
pub struct Cgroup {
    /// Which cgroup: path, kernel id, owner.
    pub identity: Arc<Identity>,
    /// Where its parent stands in [`super::Snapshot::cgroups`]; the root has none, and neither have the dead.
    pub parent: Option<u32>,
    /// Whether the configuration leaves it out of what is shown; it is kept for its descendants' limits.
    pub hidden: bool,
    /// Its place in the order of births as this process saw them: smaller is older.
    pub rank: u64,
    /// When this process first saw it (monotonic).
    pub born: Duration,
    /// When its numbers were last read (monotonic).
    pub sampled: Duration,
    /// When it was seen to be gone (monotonic).
    pub ended: Option<Duration>,
    /// Its numbers.
    pub readings: Readings,
    /// Its limits, weights and switches.
    pub controls: Arc<Controls>,
    /// The namespaces of the processes in it.
    pub namespaces: Arc<Namespaces>,
}

impl Clone for Cgroup {
    fn clone(&self) -> Self {
        Self {
            identity: Arc::clone(&self.identity),
            parent: self.parent,
            hidden: self.hidden,
            rank: self.rank,
            born: self.born,
            sampled: self.sampled,
            ended: self.ended,
            readings: self.readings.clone(),
            controls: Arc::clone(&self.controls),
            namespaces: Arc::clone(&self.namespaces),
        }
    }

    /// Copies without allocating where the shapes are the same.
    fn clone_from(&mut self, source: &Self) {
        self.identity.clone_from(&source.identity);
        self.parent = source.parent;
        self.hidden = source.hidden;
        self.rank = source.rank;
        self.born = source.born;
        self.sampled = source.sampled;
        self.ended = source.ended;
        self.readings.clone_from(&source.readings);
        self.controls.clone_from(&source.controls);
        self.namespaces.clone_from(&source.namespaces);
    }
}
