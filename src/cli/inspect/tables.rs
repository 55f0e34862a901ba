//! PURE: the tables of `stockade inspect` whose rows only the kernel knows: devices, page sizes, resources.

use std::collections::BTreeMap;

use crate::cli::humanize::{Value, or_absent};
use crate::cli::table::{Align, Table};
use crate::kernel::members::Member;
use crate::model::{
    Column, Controls, Field, IoLimit, Limit, NamespaceKind, NamespaceSet, Readings, RowKind, Unit,
};
use crate::record::names;

/// The resources that the kernel tells the pressure of: some and full, each with its averages and its total.
const PRESSURE: &[(&str, &str, [Field; 4])] = &[
    ("cpu", "some", [Field::CpuSomeAvg10, Field::CpuSomeAvg60, Field::CpuSomeAvg300, Field::CpuSomeTotal]),
    ("cpu", "full", [Field::CpuFullAvg10, Field::CpuFullAvg60, Field::CpuFullAvg300, Field::CpuFullTotal]),
    (
        "memory",
        "some",
        [Field::MemorySomeAvg10, Field::MemorySomeAvg60, Field::MemorySomeAvg300, Field::MemorySomeTotal],
    ),
    (
        "memory",
        "full",
        [Field::MemoryFullAvg10, Field::MemoryFullAvg60, Field::MemoryFullAvg300, Field::MemoryFullTotal],
    ),
    ("io", "some", [Field::IoSomeAvg10, Field::IoSomeAvg60, Field::IoSomeAvg300, Field::IoSomeTotal]),
    ("io", "full", [Field::IoFullAvg10, Field::IoFullAvg60, Field::IoFullAvg300, Field::IoFullTotal]),
    ("irq", "full", [Field::IrqFullAvg10, Field::IrqFullAvg60, Field::IrqFullAvg300, Field::IrqFullTotal]),
];

/// I/O limits by device.
pub fn io_limits(controls: &Controls, raw: bool) -> Table {
    type Get = fn(&IoLimit) -> Option<Limit>;
    const COLUMNS: &[(&str, Get)] = &[
        ("READ/s", |limit| limit.read_bytes),
        ("WRITE/s", |limit| limit.write_bytes),
        ("READS/s", |limit| limit.reads),
        ("WRITES/s", |limit| limit.writes),
        ("LATENCY", |limit| limit.latency_target),
        ("WEIGHT", |limit| limit.weight),
    ];
    let mut table = Table::new(
        [("DEVICE", Align::Left)]
            .into_iter()
            .chain(COLUMNS.iter().map(|(heading, _)| (*heading, Align::Right))),
    )
    .indented(2);
    for limit in &controls.io {
        let mut row = vec![limit.device.to_string()];
        for (place, (_, get)) in COLUMNS.iter().enumerate() {
            let value = get(limit).map(|limit| match (limit, place) {
                (Limit::Max, _) => Value::Max,
                (Limit::Value(value), 0 | 1) => Value::Bytes(value),
                (Limit::Value(value), 4) => Value::of(value.saturating_mul(1000), Unit::Nanoseconds),
                (Limit::Value(value), _) => Value::Count(value),
            });
            row.push(or_absent(value.as_ref(), raw));
        }
        table.add(row);
    }
    table
}

/// What was read from and written to each device, with a title.
pub fn devices(readings: &Readings, raw: bool) -> Vec<(&'static str, Table)> {
    let mut tables = Vec::new();
    type Columns = [Column; 6];
    const STAT: Columns = [
        Column::IoReadBytes,
        Column::IoWriteBytes,
        Column::IoDiscardBytes,
        Column::IoReads,
        Column::IoWrites,
        Column::IoDiscards,
    ];
    const BFQ: Columns = [
        Column::BfqReadBytes,
        Column::BfqWriteBytes,
        Column::BfqDiscardBytes,
        Column::BfqReads,
        Column::BfqWrites,
        Column::BfqDiscards,
    ];
    for (title, kinds, columns) in [
        ("I/O", &[RowKind::IoStat, RowKind::BlkioBytes, RowKind::BlkioOps][..], STAT),
        ("I/O under bfq", &[RowKind::BfqBytes, RowKind::BfqOps], BFQ),
    ] {
        let mut devices: BTreeMap<&str, [Option<u64>; 6]> = BTreeMap::new();
        for &kind in kinds {
            for (key, value) in readings.rows(kind).iter() {
                if let Some(place) = columns.iter().position(|column| *column == key.column) {
                    devices.entry(&*key.item).or_default()[place] = Some(value);
                }
            }
        }
        let mut table = Table::new([
            ("DEVICE", Align::Left),
            ("READ", Align::Right),
            ("WRITTEN", Align::Right),
            ("DISCARDED", Align::Right),
            ("READS", Align::Right),
            ("WRITES", Align::Right),
            ("DISCARDS", Align::Right),
        ])
        .indented(2);
        for (device, values) in devices {
            let mut row = vec![device.to_owned()];
            for (place, value) in values.into_iter().enumerate() {
                let value =
                    value.map(|value| if place < 3 { Value::Bytes(value) } else { Value::Count(value) });
                row.push(or_absent(value.as_ref(), raw));
            }
            table.add(row);
        }
        tables.push((title, table));
    }
    tables
}

/// Huge pages, RDMA and misc resources, with a title: what is not zero, and everything where all is asked for.
pub fn others(readings: &Readings, all: bool, raw: bool) -> Vec<(&'static str, Table)> {
    let mut tables = Vec::new();
    for kind in [
        RowKind::Hugetlb,
        RowKind::RdmaCurrent,
        RowKind::RdmaMax,
        RowKind::MiscCurrent,
        RowKind::MiscPeak,
        RowKind::MiscMax,
        RowKind::MiscEvents,
        RowKind::Network,
    ] {
        let mut table = Table::new([("", Align::Left), ("", Align::Left), ("", Align::Left)]).indented(2);
        for (key, value) in readings.rows(kind).iter() {
            if all || value > 0 {
                let value = if kind == RowKind::Hugetlb && key.column != Column::HugetlbFailures {
                    Value::Bytes(value)
                } else {
                    Value::Count(value)
                };
                table.add(vec![key.item.to_string(), names::column(key.column).to_owned(), value.show(raw)]);
            }
        }
        tables.push((names::table(kind), table));
    }
    tables
}

/// Pressure by resource.
pub fn pressure(readings: &Readings, raw: bool) -> Table {
    let mut table = Table::new([
        ("RESOURCE", Align::Left),
        ("TASKS", Align::Left),
        ("AVG10", Align::Right),
        ("AVG60", Align::Right),
        ("AVG300", Align::Right),
        ("TOTAL", Align::Right),
    ])
    .indented(2);
    for (resource, tasks, fields) in PRESSURE {
        let values = fields.map(|field| readings.get(field).map(|value| Value::of(value, field.unit())));
        if values.iter().any(Option::is_some) {
            let mut row = vec![(*resource).to_owned(), (*tasks).to_owned()];
            row.extend(values.iter().map(|value| or_absent(value.as_ref(), raw)));
            table.add(row);
        }
    }
    table
}

/// The namespaces of a process, and whether each is the host's.
pub fn namespaces(member: &Member, host: &NamespaceSet) -> Table {
    let mut table =
        Table::new([("TYPE", Align::Left), ("NS", Align::Right), ("HOST", Align::Left)]).indented(2);
    for (kind, inode) in NamespaceKind::ALL.iter().zip(member.namespaces.unwrap_or_default()) {
        if let Some(inode) = inode {
            let hosts = if host[*kind as usize] == Some(inode) { "yes" } else { "no" };
            table.add(vec![kind.name().to_owned(), inode.to_string(), hosts.to_owned()]);
        }
    }
    table
}
