//! What one file of a cgroup directory holds, when it is read, and what it fills.

use super::devices::Devices;
use super::layout::Hierarchy;
use super::parse::{self, Malformed};
use super::shapes::{Shapes, Table};
use crate::model::{Collector, Control, Controls, Field, Limit, Readings, Unit};

/// When a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// At each pass of its collector.
    Pass,
    /// At each pass, and at once when the kernel gives notice; its descriptor must be held for that.
    Notified,
    /// At birth, on the slow clock, and at the pass after somebody has written to a file of its controller: limits
    /// that are kept as numbers, what follows from them, and v1's kernel memory, which hardly anybody looks at.
    Slow,
    /// At birth and when somebody has written to it (on the slow clock where writes cannot be seen).
    Control,
}

/// For which cgroups a file is read, where several hierarchies could tell the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Wherever the file is.
    Always,
    /// Only while a process lives in the cgroup or below it; else it counts as an empty file.
    Populated,
    /// Only in the first hierarchy that has the cgroup.
    FirstHierarchy,
    /// Only where the cgroup has no directory in the v2 hierarchy.
    NoUnified,
}

/// What a reader may use beside its text.
pub struct Context<'a> {
    /// The shapes of tables.
    pub shapes: &'a mut Shapes,
}

/// Reads a text into numbers; no text makes the file's numbers absent.
pub type ReadNumbers = fn(Option<&[u8]>, &mut Readings, &mut Context<'_>) -> Result<(), Malformed>;
/// Reads a text into controls; no text makes the file's controls absent.
pub type ReadControls = fn(Option<&[u8]>, &mut Controls, &mut Devices) -> Result<(), Malformed>;
/// Reads the text of one limit.
pub type ReadLimit = fn(&[u8]) -> Result<Limit, Malformed>;

/// One line of a flat-keyed file: its key, the field it fills, the factor to the field's unit.
pub type FlatRow = (&'static str, Field, u64);

/// What a file holds and what it fills.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// One whole number.
    Value(Field),
    /// `KEY NUMBER` lines of known keys; others are passed over.
    Flat(&'static [FlatRow]),
    /// Pressure: averages and total, `some` first.
    Pressure(&'static PressureFields),
    /// A table whose row names only the kernel knows.
    Table(&'static Table),
    /// Numbers in a form of their own.
    Numbers(ReadNumbers),
    /// One limit.
    Limit(Control, ReadLimit),
    /// Controls in a form of their own.
    Controls(ReadControls),
}

impl Read {
    /// Whether it fills controls rather than numbers.
    #[must_use]
    pub const fn fills_controls(&self) -> bool {
        matches!(self, Self::Limit(..) | Self::Controls(_))
    }

    /// Fills numbers from the text; makes them absent where there is no text.
    ///
    /// # Errors
    /// Text that is not in the file's form. The numbers are then absent only after another call without text.
    pub fn numbers(
        &self,
        text: Option<&[u8]>,
        readings: &mut Readings,
        context: &mut Context<'_>,
    ) -> Result<(), Malformed> {
        match self {
            Self::Value(field) => readings.set(*field, text.map(parse::value).transpose()?),
            Self::Flat(rows) => fill_flat(rows, text, readings)?,
            Self::Pressure(fields) => fields.fill(text, readings)?,
            Self::Table(table) => context.shapes.fill(table, text, readings)?,
            Self::Numbers(read) => read(text, readings, context)?,
            Self::Limit(..) | Self::Controls(_) => {}
        }
        Ok(())
    }

    /// Fills controls from the text; makes them absent where there is no text.
    ///
    /// # Errors
    /// Text that is not in the file's form.
    pub fn controls(
        &self,
        text: Option<&[u8]>,
        controls: &mut Controls,
        context: &mut Context<'_>,
    ) -> Result<(), Malformed> {
        match self {
            Self::Limit(control, read) => controls.set(*control, text.map(read).transpose()?),
            Self::Controls(read) => read(text, controls, &mut context.shapes.devices)?,
            _ => {}
        }
        Ok(())
    }
}

fn fill_flat(rows: &[FlatRow], text: Option<&[u8]>, readings: &mut Readings) -> Result<(), Malformed> {
    for (_, field, _) in rows {
        readings.set(*field, None);
    }
    for line in parse::flat(text.unwrap_or_default()) {
        let (key, value) = line?;
        if let Some((_, field, scale)) = rows.iter().find(|(name, ..)| name.as_bytes() == key) {
            if field.unit() == Unit::Flag && value > 1 {
                return Err(Malformed::new("0 or 1", value.to_string().as_bytes()));
            }
            readings.set(*field, Some(value.saturating_mul(*scale)));
        }
    }
    Ok(())
}

/// The fields of one resource's pressure: avg10, avg60, avg300, total.
#[derive(Debug)]
pub struct PressureFields {
    /// Of the `some` line; `irq` has none.
    pub some: Option<[Field; 4]>,
    /// Of the `full` line.
    pub full: [Field; 4],
}

impl PressureFields {
    /// Fills the fields of both lines; a line that is not there makes its fields absent.
    ///
    /// # Errors
    /// A line in another form.
    pub fn fill(&self, text: Option<&[u8]>, readings: &mut Readings) -> Result<(), Malformed> {
        let pressure = text.map(parse::pressure).transpose()?.unwrap_or_default();
        let lines = [(self.some.as_ref(), pressure.some), (Some(&self.full), pressure.full)];
        for (fields, stall) in lines {
            let Some([ten, sixty, three_hundred, total]) = fields else { continue };
            readings.set(*ten, stall.map(|stall| stall.average.ten));
            readings.set(*sixty, stall.map(|stall| stall.average.sixty));
            readings.set(*three_hundred, stall.map(|stall| stall.average.three_hundred));
            readings.set(*total, stall.map(|stall| stall.total));
        }
        Ok(())
    }
}

/// One file of a cgroup directory.
#[derive(Clone, Copy, Debug)]
pub struct FileSpec {
    /// Its name.
    pub name: &'static str,
    /// The collector it belongs to.
    pub collector: Collector,
    /// When it is read.
    pub cadence: Cadence,
    /// For which cgroups it is read.
    pub when: When,
    /// Whether it comes a page at a time, so that it must be read until nothing more comes.
    pub paged: bool,
    /// Whether it tells what is so only when it is opened, so that its descriptor must not be held.
    pub reopened: bool,
    /// What it holds and fills.
    pub read: Read,
}

impl FileSpec {
    /// A file that is read at each pass; a control file where it fills controls.
    #[must_use]
    pub const fn new(name: &'static str, collector: Collector, read: Read) -> Self {
        let cadence = if read.fills_controls() { Cadence::Control } else { Cadence::Pass };
        Self { name, collector, cadence, when: When::Always, paged: false, reopened: false, read }
    }

    /// The same file, read on the slow clock.
    #[must_use]
    pub const fn slow(mut self) -> Self {
        self.cadence = Cadence::Slow;
        self
    }

    /// The same file, whose changes the kernel announces.
    #[must_use]
    pub const fn notified(mut self) -> Self {
        self.cadence = Cadence::Notified;
        self
    }

    /// The same file, a list without an end that is known.
    #[must_use]
    pub const fn paged(mut self) -> Self {
        self.paged = true;
        self
    }

    /// The same file, opened anew at each reading.
    #[must_use]
    pub const fn reopened(mut self) -> Self {
        self.reopened = true;
        self
    }

    /// The same file, for fewer cgroups.
    #[must_use]
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }
}

/// The files of the controllers that a hierarchy serves, from a table of `(controller, files)`.
#[must_use]
pub fn served(hierarchy: &Hierarchy, table: &[(&str, &[FileSpec])]) -> Vec<FileSpec> {
    table
        .iter()
        .filter(|(controller, _)| controller.is_empty() || hierarchy.serves(controller))
        .flat_map(|(_, files)| files.iter().copied())
        .collect()
}
