//! PURE: what is shown of a cgroup as JSON, by the HTTP API and by `stockade ls -J` and `stockade inspect -J`.
//!
//! These records are a format of their own: the model's types can change without them. A document says its
//! [`VERSION`]. What is absent has no key; a limit that is not set where the kernel has the file is `"max"`.

pub mod enforcement;
pub mod names;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::model::{
    Cgroup, Column, Control, Controls, Field, IoLimit, Limit, OwnerLabel, Rates, Readings, RowKind, Rows,
    Snapshot, Unit, parent_path,
};

/// The version of the format. A new one takes a name away or gives it another meaning; new names come without one.
pub const VERSION: u32 = 1;

/// A whole document: `{"version":1, …}`.
#[derive(Debug, Serialize)]
pub struct Document<T> {
    version: u32,
    #[serde(flatten)]
    body: T,
}

impl<T: Serialize> Document<T> {
    /// Puts a version on a record.
    pub fn new(body: T) -> Self {
        Self { version: VERSION, body }
    }

    /// The document as JSON on one line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records have string keys and write to memory")
    }
}

/// A number of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count or bytes.
    Whole(u64),
    /// Seconds, percent, cores or a rate.
    Real(f64),
    /// A switch.
    Flag(bool),
    /// No limit.
    Max,
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Whole(number) => serializer.serialize_u64(number),
            Self::Real(number) => serializer.serialize_f64(number),
            Self::Flag(on) => serializer.serialize_bool(on),
            Self::Max => serializer.serialize_str("max"),
        }
    }
}

/// Numbers by name, in order; serialised as one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers(Vec<(&'static str, Number)>);

impl Numbers {
    /// The numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[(&'static str, Number)] {
        &self.0
    }

    fn add(&mut self, name: &'static str, number: Option<Number>) {
        if let Some(number) = number {
            self.0.push((name, number));
        }
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, number)| (name, number)))
    }
}

/// Which cgroup, and whose.
#[derive(Clone, Debug, Serialize)]
pub struct Who<'a> {
    /// The path, as [`crate::model::display_path`] gives it.
    pub path: &'a str,
    /// The kernel's id.
    pub id: u64,
    /// Whom it belongs to, by label: slice, unit, user, runtime and the rest, as far as they are known.
    #[serde(flatten)]
    pub owner: BTreeMap<&'static str, &'a str>,
    /// Seconds since this process first saw it.
    pub age_seconds: f64,
    /// Seconds since it was seen to be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_seconds_ago: Option<f64>,
}

/// A cgroup with its key numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Brief<'a> {
    /// Which cgroup.
    #[serde(flatten)]
    pub who: Who<'a>,
    /// Its key numbers.
    pub values: Numbers,
    /// Its rates, where there are two samples to make them from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Numbers>,
}

/// A cgroup with everything that was read of it.
#[derive(Debug, Serialize)]
pub struct Full<'a> {
    /// Which cgroup.
    #[serde(flatten)]
    pub who: Who<'a>,
    /// Its parent's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its numbers.
    pub values: Numbers,
    /// Its rates, where there are two samples to make them from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Numbers>,
    /// Its limits, weights and switches.
    pub controls: Numbers,
    /// Its I/O limits by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub io_limits: BTreeMap<&'a str, Numbers>,
    /// Its tables by name.
    pub tables: BTreeMap<&'static str, Table<'a>>,
}

/// A table: by item (a statistic, a device, a page size), then by node or column.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Table<'a> {
    /// One number an item: `memory.stat`.
    Plain(BTreeMap<&'a str, Number>),
    /// Several an item.
    Nested(BTreeMap<&'a str, BTreeMap<&'a str, Number>>),
}

/// What a list shows of every cgroup.
const BRIEF: &[Field] = &[
    Field::Populated,
    Field::Frozen,
    Field::Processes,
    Field::MemoryCurrent,
    Field::MemoryPeak,
    Field::MemoryWorkingSet,
    Field::MemorySwapCurrent,
    Field::MemoryEffectiveMax,
    Field::MemoryHeadroomMax,
    Field::MemoryEventsOomKill,
    Field::CpuUsage,
    Field::CpuThrottled,
    Field::PidsCurrent,
    Field::CpuSomeAvg10,
    Field::CpuFullAvg10,
    Field::MemorySomeAvg10,
    Field::MemoryFullAvg10,
    Field::IoSomeAvg10,
    Field::IoFullAvg10,
];

/// A cgroup's key numbers at a moment of the monotonic clock ([`Snapshot::at`]).
#[must_use]
pub fn brief<'a>(cgroup: &'a Cgroup, at: Duration, rates: Option<&Rates>) -> Brief<'a> {
    let mut values = fields(&cgroup.readings, BRIEF);
    let whole = |number: Option<u64>| number.map(Number::Whole);
    values.add("memory.anon", whole(cgroup.readings.memory_stat("anon")));
    values.add("memory.file", whole(cgroup.readings.memory_stat("file")));
    values.add("io.read_bytes", whole(cgroup.readings.io(Column::IoReadBytes)));
    values.add("io.write_bytes", whole(cgroup.readings.io(Column::IoWriteBytes)));
    values.add("memory.max", control_number(&cgroup.controls, Control::MemoryMax));
    values.add("memory.high", control_number(&cgroup.controls, Control::MemoryHigh));
    values.add("cpu.max_cores", cpu_max(&cgroup.controls));
    values.add("pids.max", control_number(&cgroup.controls, Control::PidsMax));
    Brief { who: who(cgroup, at), values, rates: rates.map(rate_numbers) }
}

/// Everything about a cgroup at a moment of the monotonic clock.
#[must_use]
pub fn full<'a>(cgroup: &'a Cgroup, at: Duration, rates: Option<&Rates>) -> Full<'a> {
    let mut controls = Numbers::default();
    for &control in Control::ALL {
        controls.add(names::control(control), control_number(&cgroup.controls, control));
    }
    controls.add("cpu.max_cores", cpu_max(&cgroup.controls));
    Full {
        who: who(cgroup, at),
        parent: parent_path(&cgroup.identity.path).map(crate::model::display_path),
        values: fields(&cgroup.readings, Field::ALL),
        rates: rates.map(rate_numbers),
        controls,
        io_limits: cgroup.controls.io.iter().map(|limit| (&*limit.device, io_limit(limit))).collect(),
        tables: RowKind::ALL
            .iter()
            .map(|&kind| (names::table(kind), table(kind, cgroup.readings.rows(kind))))
            .filter(|(_, table)| !table.is_empty())
            .collect(),
    }
}

/// The named numbers of a set of readings; the host's pressure as well.
#[must_use]
pub fn fields(readings: &Readings, wanted: &[Field]) -> Numbers {
    let mut numbers = Numbers::default();
    for &field in wanted {
        numbers.add(names::field(field), readings.get(field).map(|value| in_base_unit(value, field.unit())));
    }
    numbers
}

/// A moment of the wall clock as seconds since 1970.
#[must_use]
pub fn unix_seconds(wall: SystemTime) -> f64 {
    wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn who(cgroup: &Cgroup, at: Duration) -> Who<'_> {
    let owner = &cgroup.identity.owner;
    Who {
        path: &cgroup.identity.display,
        id: cgroup.identity.id,
        owner: OwnerLabel::ALL.iter().filter_map(|&label| Some((label.name(), owner.get(label)?))).collect(),
        age_seconds: at.saturating_sub(cgroup.born).as_secs_f64(),
        ended_seconds_ago: cgroup.ended.map(|ended| at.saturating_sub(ended).as_secs_f64()),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "104 days of nanoseconds are exact, and years are to a microsecond"
)]
fn in_base_unit(value: u64, unit: Unit) -> Number {
    match unit {
        Unit::Bytes | Unit::Count => Number::Whole(value),
        Unit::Nanoseconds | Unit::Timestamp => Number::Real(value as f64 / 1e9),
        Unit::Microseconds => Number::Real(value as f64 / 1e6),
        Unit::CentiPercent => Number::Real(value as f64 / 1e2),
        Unit::Flag => Number::Flag(value != 0),
    }
}

fn limit_number(limit: Limit, unit: Unit) -> Number {
    match limit {
        Limit::Max => Number::Max,
        Limit::Value(value) => in_base_unit(value, unit),
    }
}

fn control_number(controls: &Controls, control: Control) -> Option<Number> {
    controls.get(control).map(|limit| limit_number(limit, control.unit()))
}

/// The CPU quota in cores.
#[expect(clippy::cast_precision_loss, reason = "quotas and periods are microseconds, far below 2^53")]
fn cpu_max(controls: &Controls) -> Option<Number> {
    match controls.get(Control::CpuQuota)? {
        Limit::Max => Some(Number::Max),
        Limit::Value(quota) => {
            let period = controls.value(Control::CpuPeriod).filter(|&period| period > 0)?;
            Some(Number::Real(quota as f64 / period as f64))
        }
    }
}

fn rate_numbers(rates: &Rates) -> Numbers {
    let mut numbers = Numbers::default();
    for (name, rate) in [
        ("cpu.usage", rates.cpu_cores),
        ("cpu.throttled", rates.throttled),
        ("io.read", rates.read_bytes),
        ("io.write", rates.write_bytes),
        ("memory.growth", rates.memory_growth),
    ] {
        numbers.add(name, rate.map(Number::Real));
    }
    numbers
}

fn io_limit(limit: &IoLimit) -> Numbers {
    let mut numbers = Numbers::default();
    for (name, limit) in [
        ("read_bytes_per_second", limit.read_bytes),
        ("write_bytes_per_second", limit.write_bytes),
        ("reads_per_second", limit.reads),
        ("writes_per_second", limit.writes),
        ("weight", limit.weight),
    ] {
        numbers.add(name, limit.map(|limit| limit_number(limit, Unit::Count)));
    }
    numbers.add(
        "latency_target_seconds",
        limit.latency_target.map(|target| limit_number(target, Unit::Microseconds)),
    );
    numbers
}

fn table(kind: RowKind, rows: &Rows) -> Table<'_> {
    if kind == RowKind::MemoryStat {
        return Table::Plain(rows.iter().map(|(key, value)| (&*key.item, Number::Whole(value))).collect());
    }
    let mut nested: BTreeMap<&str, BTreeMap<&str, Number>> = BTreeMap::new();
    for (key, value) in rows.iter() {
        let second = if key.detail.is_empty() { names::column(key.column) } else { &*key.detail };
        nested.entry(&*key.item).or_default().insert(second, in_base_unit(value, key.column.unit()));
    }
    Table::Nested(nested)
}

impl Table<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Plain(rows) => rows.is_empty(),
            Self::Nested(rows) => rows.is_empty(),
        }
    }
}

/// Every cgroup of a snapshot that is shown, briefly; serialised one by one.
#[derive(Debug)]
pub struct Listing<'a>(pub &'a Snapshot);

impl Serialize for Listing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Shown<'a>(&'a Snapshot);
        impl Serialize for Shown<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.shown().map(|cgroup| brief(cgroup, self.0.at, None)))
            }
        }
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("sequence", &self.0.sequence)?;
        map.serialize_entry("timestamp_seconds", &unix_seconds(self.0.wall))?;
        map.serialize_entry("cgroups", &Shown(self.0))?;
        map.end()
    }
}
