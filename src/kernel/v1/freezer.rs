//! v1 `freezer.state`.

use crate::kernel::parse::{Malformed, trim};
use crate::kernel::spec::{FileSpec, Read};
use crate::model::{Collector, Field};

pub(super) const FILES: &[FileSpec] = &[FileSpec::new(
    "freezer.state",
    Collector::Core,
    Read::Numbers(|text, readings, _| {
        readings.set(Field::FreezerFreezing, None);
        readings.set(Field::FreezerFrozen, None);
        let (freezing, frozen) = match text.map(trim) {
            None => return Ok(()),
            Some(b"THAWED") => (0, 0),
            Some(b"FREEZING") => (1, 0),
            Some(b"FROZEN") => (0, 1),
            Some(other) => return Err(Malformed::new("THAWED, FREEZING or FROZEN", other)),
        };
        readings.set(Field::FreezerFreezing, Some(freezing));
        readings.set(Field::FreezerFrozen, Some(frozen));
        Ok(())
    }),
)];
