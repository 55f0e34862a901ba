//! The pressure of a cgroup as a table.

use crate::cli::humanize::{Value, or_absent};
use crate::cli::table::{Align, Table};
use crate::model::{Field, Readings};

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

/// A line for each resource and kind of task that the kernel tells anything of.
pub fn table(readings: &Readings, raw: bool) -> Table {
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
