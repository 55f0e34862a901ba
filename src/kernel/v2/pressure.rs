//! `*.pressure`: pressure stall information. No controller is needed, so a hybrid host has it too.

use crate::kernel::spec::{FileSpec, PressureFields, Read};
use crate::model::{Collector, Field};

const CPU: PressureFields = PressureFields {
    some: Some([Field::CpuSomeAvg10, Field::CpuSomeAvg60, Field::CpuSomeAvg300, Field::CpuSomeTotal]),
    full: [Field::CpuFullAvg10, Field::CpuFullAvg60, Field::CpuFullAvg300, Field::CpuFullTotal],
};
const MEMORY: PressureFields = PressureFields {
    some: Some([
        Field::MemorySomeAvg10,
        Field::MemorySomeAvg60,
        Field::MemorySomeAvg300,
        Field::MemorySomeTotal,
    ]),
    full: [Field::MemoryFullAvg10, Field::MemoryFullAvg60, Field::MemoryFullAvg300, Field::MemoryFullTotal],
};
const IO: PressureFields = PressureFields {
    some: Some([Field::IoSomeAvg10, Field::IoSomeAvg60, Field::IoSomeAvg300, Field::IoSomeTotal]),
    full: [Field::IoFullAvg10, Field::IoFullAvg60, Field::IoFullAvg300, Field::IoFullTotal],
};
const IRQ: PressureFields = PressureFields {
    some: None,
    full: [Field::IrqFullAvg10, Field::IrqFullAvg60, Field::IrqFullAvg300, Field::IrqFullTotal],
};

/// Each resource's file under `/proc/pressure` and the fields it fills.
pub const RESOURCES: [(&str, &PressureFields); 4] =
    [("cpu", &CPU), ("memory", &MEMORY), ("io", &IO), ("irq", &IRQ)];

const fn file(name: &'static str, fields: &'static PressureFields) -> FileSpec {
    FileSpec::new(name, Collector::Pressure, Read::Pressure(fields))
}

pub(super) const FILES: &[FileSpec] = &[
    file("cpu.pressure", &CPU),
    file("memory.pressure", &MEMORY),
    file("io.pressure", &IO),
    file("irq.pressure", &IRQ),
];
