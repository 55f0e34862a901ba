//! Which files are read, from which hierarchy, how often, and what they fill.
//!
//! A new kernel file is one row in its controller's table ([`super::v1`], [`super::v2`]), a field in the model and a
//! row in its metric family.

use super::devices::Devices;
use super::layout::{Hierarchy, Layout};
use super::parse::{self, Malformed};
use super::shapes::{Shapes, Table};
use super::{v1, v2};
use crate::model::{Collector, CollectorSet, Control, Controls, Field, Limit, Readings, Unit, Version};

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
    /// What it holds and fills.
    pub read: Read,
}

impl FileSpec {
    /// A file that is read at each pass; a control file where it fills controls.
    #[must_use]
    pub const fn new(name: &'static str, collector: Collector, read: Read) -> Self {
        let cadence = if read.fills_controls() { Cadence::Control } else { Cadence::Pass };
        Self { name, collector, cadence, when: When::Always, paged: false, read }
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

    /// The same file, for fewer cgroups.
    #[must_use]
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }
}

/// The files of each hierarchy of a layout, in the layout's order: of each controller the files that the layout takes
/// from there, the switched-off collectors left out.
#[must_use]
pub fn catalog(layout: &Layout, enabled: CollectorSet, huge_pages: &[&str]) -> Vec<Vec<FileSpec>> {
    let has_unified = layout.hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V2);
    layout
        .hierarchies
        .iter()
        .map(|hierarchy| {
            let mut files = match hierarchy.version {
                Version::V2 => v2::files(hierarchy, huge_pages),
                Version::V1 => v1::files(hierarchy, huge_pages),
            };
            files.retain(|file| enabled.has(file.collector));
            if !has_unified {
                files
                    .iter_mut()
                    .filter(|file| file.when == When::NoUnified)
                    .for_each(|file| file.when = When::Always);
            }
            // Core first, since what it finds decides about others; then by collector, so that each is timed as one.
            files.sort_by_key(|file| file.collector);
            files
        })
        .collect()
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

/// Control files that somebody writes and that hold nothing to be sampled.
const UNREAD: [&str; 22] = [
    "cgroup.clone_children",
    "cgroup.event_control",
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.pressure",
    "cgroup.subtree_control",
    "cgroup.type",
    "cpu.weight.nice",
    "cpuset.cpus",
    "cpuset.cpus.exclusive",
    "cpuset.cpus.partition",
    "cpuset.mems",
    "io.cost.model",
    "io.cost.qos",
    "memory.force_empty",
    "memory.move_charge_at_immigrate",
    "memory.reclaim",
    "memory.swappiness",
    "memory.use_hierarchy",
    "memory.zswap.writeback",
    "notify_on_release",
    "tasks",
];

/// The name of a written file for a label: one of the known names, so that their number is bounded, or `other`.
#[must_use]
pub fn control_name(catalog: &[Vec<FileSpec>], name: &[u8]) -> &'static str {
    catalog
        .iter()
        .flatten()
        .map(|file| file.name)
        .chain(UNREAD)
        .chain(["cgroup.procs", "cgroup.threads"])
        .find(|known| known.as_bytes() == name)
        .unwrap_or("other")
}
