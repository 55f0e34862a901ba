//! `stockade ls`: the cgroups of this host, as a tree or a table.

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

use super::columns::{self, Column, Row, Show};
use super::humanize::or_absent;
use super::interval::IntervalArgs;
use super::managers::Managers;
use super::sampling::Samples;
use super::table::Table;
use super::tree::{Lines, draw};
use super::{Exit, PathArgs, completions, target, whole_number};
use crate::enforce::ownership::Ownership;
use crate::enforce::safety::Safety;
use crate::kernel::layout::Paths;
use crate::model::{Cgroup, Collector, CollectorSet, Column as IoColumn, Field};
use crate::record::{self, Brief, Document};

/// Show every cgroup of this host: memory, CPU, I/O, pressure, tasks and limits.
///
/// Two samples are taken, a second apart, for the rates. `-` stands where the kernel gives no number, `max` where there
/// is no limit.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("Columns:\n{}\n{EXAMPLES}", columns::help()))]
pub struct LsArgs {
    /// Show this cgroup and what is below it: a path, a directory of a hierarchy, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub top: Option<OsString>,
    /// A table of full paths instead of a tree.
    #[arg(short = 'l', long)]
    pub flat: bool,
    /// What stands first: the most of something, or path order. In a tree, among siblings.
    #[arg(short, long, value_enum, value_name = "KEY", default_value_t = Sort::Path)]
    pub sort: Sort,
    /// Show only the first N in the sort order; a tree shows their ancestors too.
    #[arg(short = 'n', long, value_name = "N", value_parser = whole_number::<usize>)]
    pub rows: Option<usize>,
    /// Show only so many levels below the first.
    #[arg(short, long, value_name = "N", value_parser = whole_number::<usize>)]
    pub depth: Option<usize>,
    /// Columns to show, or with + before them, to add: -o memory,cgroup, -o +id,unit.
    #[arg(short = 'o', long, value_name = "COLUMN,…", conflicts_with = "json")]
    pub output: Option<String>,
    /// Pressure under which all tasks stood still (full), not some of them.
    #[arg(long)]
    pub full: bool,
    /// Numbers in base units, for scripts: bytes, seconds, percent.
    #[arg(short = 'b', long)]
    pub raw: bool,
    /// A JSON document instead.
    #[arg(short = 'J', long)]
    pub json: bool,
    /// No headings.
    #[arg(long)]
    pub no_headings: bool,
    /// Draw the tree without box-drawing characters.
    #[arg(long)]
    pub ascii: bool,
    /// Between the samples.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
}

const EXAMPLES: &str = "\
Examples:
  stockade ls                               the whole tree
  stockade ls -l --sort memory -n 10        the ten that use most memory
  stockade ls nginx -o +anon,file           a service and what is below it, with more columns
  stockade ls -J --no-rates | jq '.cgroups[] | select(.values[\"memory.current\"] > 1e9).path'";

/// What stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Path order.
    Path,
    /// The most memory in use.
    Memory,
    /// The most CPU in use; with one sample, the most used so far.
    Cpu,
    /// The most bytes read and written a second; with one sample, so far.
    Io,
    /// The highest pressure of CPU, memory or I/O over 10 s.
    Pressure,
    /// The most tasks.
    Pids,
}

/// What of a list is shown as JSON.
#[derive(Serialize)]
struct Listing<'a> {
    timestamp_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_seconds: Option<f64>,
    cgroups: Vec<Listed<'a>>,
}

/// One of them.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manager: Option<&'a Ownership>,
}

impl LsArgs {
    /// Samples and shows. `width` is that of the terminal, if there is one; `pause` waits between the samples.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(
        &self,
        width: Option<usize>,
        pause: &mut dyn FnMut(Duration),
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<Exit> {
        let rated = !self.interval.get().is_zero();
        let default = columns::default(rated, self.full);
        let columns = match self.output.as_deref().map(|list| columns::chosen(list, &default)) {
            None => default,
            Some(Ok(columns)) => columns,
            Some(Err(problem)) => return failed(err, Exit::Usage, &problem),
        };
        let paths: Paths = self.paths.clone().into();
        let samples = match Samples::take(paths.clone(), collectors(), self.interval.get(), pause) {
            Ok(samples) => samples,
            Err(error) => return failed(err, Exit::Failed, &error.to_string()),
        };
        let top = match &self.top {
            None => None,
            Some(name) => match target::find(&samples.now, &samples.layout, name) {
                Ok(cgroup) => Some(cgroup),
                Err(problem) => return failed(err, Exit::Failed, &problem),
            },
        };
        let row = |cgroup| Row { cgroup, rates: samples.rates(cgroup), manager: None };
        let mut rows: Vec<Row<'_>> = samples.now.cgroups.iter().map(row).collect();
        let mut ranked = self.ranked(&rows, top);
        if let Some(most) = self.rows {
            ranked.truncate(most);
        }
        if self.json || columns::ask_systemd(&columns) {
            let mut managers = Managers::new(&samples.layout, &paths, Safety::default().writers);
            for &at in &ranked {
                rows[at].manager = Some(managers.of(&rows[at].cgroup.identity));
            }
        }
        if self.json {
            let listing = Listing {
                timestamp_seconds: record::unix_seconds(samples.now.wall),
                interval_seconds: samples.elapsed_seconds(),
                cgroups: ranked
                    .iter()
                    .map(|&at| Listed {
                        brief: record::brief(rows[at].cgroup, samples.now.at, rows[at].rates.as_ref()),
                        manager: rows[at].manager.as_ref(),
                    })
                    .collect(),
            };
            out.write_all(&Document::new(listing).to_json())?;
            writeln!(out)?;
        } else {
            self.table(&columns, &rows, &ranked, top).write(out, !self.no_headings, width)?;
        }
        out.flush()?;
        if let Some(faults) = samples.faults() {
            writeln!(err, "stockade: {faults}")?;
        }
        Ok(Exit::Done)
    }

    /// The places of what is shown, the first in the sort order first.
    fn ranked(&self, rows: &[Row<'_>], top: Option<&Cgroup>) -> Vec<usize> {
        let above = top.map_or(0, |top| top.identity.depth());
        let mut ranked: Vec<usize> = (0..rows.len())
            .filter(|&at| {
                let identity = &rows[at].cgroup.identity;
                top.is_none_or(|top| is_within(&identity.path, &top.identity.path))
                    && self.depth.is_none_or(|most| identity.depth() <= above.saturating_add(most))
            })
            .collect();
        let keys: Vec<Option<f64>> = rows.iter().map(|row| self.sort.key(row)).collect();
        // What is absent has no place among numbers: it stands last.
        ranked.sort_by(|&one, &other| match (keys[one], keys[other]) {
            (Some(one), Some(other)) => other.total_cmp(&one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        });
        ranked
    }

    fn table(&self, columns: &[&Column], rows: &[Row<'_>], ranked: &[usize], top: Option<&Cgroup>) -> Table {
        let lines = if self.ascii { Lines::ASCII } else { Lines::UNICODE };
        let parent = |at: usize| rows[at].cgroup.parent.map(|parent| parent as usize);
        let drawn = if self.flat {
            ranked.iter().map(|&at| (at, String::new())).collect()
        } else {
            let shown = |at: usize| {
                top.is_none_or(|top| is_within(&rows[at].cgroup.identity.path, &top.identity.path))
            };
            draw(&with_ancestors(ranked, |at| parent(at).filter(|&above| shown(above))), parent, lines)
        };
        let mut table = Table::new(columns.iter().map(|column| (column.heading, column.align)));
        for (at, before) in drawn {
            let row = &rows[at];
            table.add(
                columns
                    .iter()
                    .map(|column| match column.show {
                        Show::Value(value) => or_absent(value(row).as_ref(), self.raw),
                        Show::Name if self.flat || before.is_empty() => {
                            row.cgroup.identity.display.to_string()
                        }
                        Show::Name => format!("{before}{}", last_name(&row.cgroup.identity.display)),
                    })
                    .collect(),
            );
        }
        table
    }
}

impl Sort {
    #[expect(clippy::cast_precision_loss, reason = "a place in a list needs no 53 bits")]
    fn key(self, row: &Row<'_>) -> Option<f64> {
        let readings = &row.cgroup.readings;
        let field = |field: Field| readings.get(field).map(|value| value as f64);
        match self {
            Self::Path => None,
            Self::Memory => field(Field::MemoryCurrent),
            Self::Cpu => match &row.rates {
                Some(rates) => rates.cpu_cores,
                None => field(Field::CpuUsage),
            },
            Self::Io => match &row.rates {
                Some(rates) => sum(rates.read_bytes, rates.write_bytes),
                None => {
                    let total = |column: IoColumn| readings.io(column).map(|bytes| bytes as f64);
                    sum(total(IoColumn::IoReadBytes), total(IoColumn::IoWriteBytes))
                }
            },
            Self::Pressure => [Field::CpuSomeAvg10, Field::MemorySomeAvg10, Field::IoSomeAvg10]
                .into_iter()
                .filter_map(field)
                .reduce(f64::max),
            Self::Pids => field(Field::PidsCurrent),
        }
    }
}

fn sum(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(|one, other| one + other)
}

/// The members and their ancestors, each ancestor no later than its first descendant.
fn with_ancestors(ranked: &[usize], parent: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut seen = std::collections::HashSet::<usize>::new();
    let mut all = Vec::with_capacity(ranked.len());
    for &at in ranked {
        let mut way: Vec<usize> =
            std::iter::successors(Some(at), |&at| parent(at)).take_while(|at| !seen.contains(at)).collect();
        seen.extend(&way);
        way.reverse();
        all.extend(way);
    }
    all
}

fn is_within(path: &[u8], top: &[u8]) -> bool {
    top == b"/" || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn last_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What the columns and the records need; the rest is not read.
fn collectors() -> CollectorSet {
    let mut set = CollectorSet::NONE;
    for collector in [
        Collector::Core,
        Collector::Memory,
        Collector::MemoryStat,
        Collector::Cpu,
        Collector::Io,
        Collector::Pressure,
        Collector::Pids,
    ] {
        set.set(collector, true);
    }
    set
}

/// Says why nothing is shown.
pub(super) fn failed(err: &mut dyn Write, exit: Exit, why: &str) -> io::Result<Exit> {
    writeln!(err, "stockade: {why}")?;
    Ok(exit)
}
