//! What `stockade inspect` prints for people.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;

use super::{Found, apart, limits, tables};
use crate::cli::humanize::{ABSENT, Value, or_absent};
use crate::cli::table::{Align, Table};
use crate::kernel::members::user_name;
use crate::model::{Column, Field, OwnerLabel, RowKind, TaskState, Unit, display_path, parent_path};
use crate::record::names;

/// How many rows of memory.stat are shown when not all are asked for.
const MOST_STATS: usize = 10;

/// Writes every section that has something to show.
pub fn write(
    found: &Found<'_>,
    all: bool,
    raw: bool,
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page { found, all, raw, width, out };
    page.process()?;
    page.identity()?;
    page.hierarchies()?;
    page.limits()?;
    page.usage()?;
    page.memory_stat()?;
    page.events()?;
    page.tables()?;
    page.processes()
}

struct Page<'a, 'out> {
    found: &'a Found<'a>,
    all: bool,
    raw: bool,
    width: Option<usize>,
    out: &'out mut dyn Write,
}

impl Page<'_, '_> {
    fn section(&mut self, title: &str, table: &Table, headings: bool) -> io::Result<()> {
        if table.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n{title}")?;
        table.write(self.out, headings, self.width)
    }

    /// Names and numbers below each other.
    fn list(&mut self, title: &str, items: Vec<(&str, String)>) -> io::Result<()> {
        let mut table = Table::new([("", Align::Left), ("", Align::Right)]).indented(2);
        for (name, value) in items {
            table.add(vec![name.to_owned(), value]);
        }
        self.section(title, &table, false)
    }

    fn process(&mut self) -> io::Result<()> {
        let Some((member, groups)) = &self.found.process else { return Ok(()) };
        let command = member.command.as_ref().map(|command| display_path(command.as_bytes()));
        writeln!(self.out, "Process {}: {}", member.pid, command.as_deref().unwrap_or(ABSENT))?;
        let mut table = Table::new([("CONTROLLERS", Align::Left), ("CGROUP", Align::Left)]).indented(2);
        for group in groups {
            let controllers =
                if group.controllers.is_empty() { "unified".to_owned() } else { group.controllers.join(",") };
            table.add(vec![controllers, display_path(group.path.as_bytes())]);
        }
        table.write(self.out, true, self.width)?;
        let namespaces = tables::namespaces(member, &self.found.samples.now.report.census.host);
        self.section("Namespaces of the process", &namespaces, true)?;
        if member.pids.len() > 1 {
            let pids: Vec<String> = member.pids.iter().map(u32::to_string).collect();
            writeln!(self.out, "\nIts id in each pid namespace, outermost first: {}", pids.join(", "))?;
        }
        writeln!(self.out)
    }

    fn identity(&mut self) -> io::Result<()> {
        let cgroup = self.found.cgroup;
        let owner = &cgroup.identity.owner;
        writeln!(self.out, "{}", cgroup.identity.display)?;
        let flag = |field: Field| cgroup.readings.get(field).map(|value| value != 0);
        let mut state = Vec::new();
        if cgroup.ended.is_some() || self.found.places.is_empty() {
            state.push("ended while it was looked at: these are its last numbers");
        }
        match flag(Field::Populated) {
            Some(true) => state.push("populated"),
            Some(false) => state.push("empty"),
            None => {}
        }
        if flag(Field::Frozen) == Some(true) {
            state.push("frozen");
        }
        if flag(Field::FreezerFreezing) == Some(true) {
            state.push("freezing");
        }
        let label = |label: OwnerLabel| {
            let value = owner.get(label)?;
            let name = if label == OwnerLabel::User { value.parse().ok().and_then(user_name) } else { None };
            Some(name.map_or_else(|| value.to_owned(), |name| format!("{value} ({name})")))
        };
        let labels = [OwnerLabel::Unit, OwnerLabel::Slice, OwnerLabel::User]
            .into_iter()
            .chain(OwnerLabel::ALL.iter().copied().filter(|label| *label > OwnerLabel::User))
            .map(|part| (part.name(), label(part)));
        let items = [
            ("id", Some(cgroup.identity.id.to_string())),
            ("managed by", Some(self.found.manager.and_writer(&self.found.writers))),
            ("state", (!state.is_empty()).then(|| state.join(", "))),
            ("parent", parent_path(&cgroup.identity.path).map(display_path)),
            ("children", Some(self.children().to_string())),
        ];
        let mut table = Table::new([("", Align::Left), ("", Align::Left)]).indented(2);
        let (id, rest) = items.split_at(2);
        for (name, value) in id.iter().cloned().chain(labels).chain(rest.iter().cloned()) {
            if let Some(value) = value {
                table.add(vec![name.to_owned(), value]);
            }
        }
        table.write(self.out, false, self.width)
    }

    fn children(&self) -> usize {
        let path = &*self.found.cgroup.identity.path;
        let cgroups = &self.found.samples.now.cgroups;
        cgroups.iter().filter(|other| parent_path(&other.identity.path) == Some(path)).count()
    }

    fn hierarchies(&mut self) -> io::Result<()> {
        let mut table = Table::new([
            ("VERSION", Align::Left),
            ("CONTROLLERS", Align::Left),
            ("FOR CHILDREN", Align::Left),
            ("DIRECTORY", Align::Left),
        ])
        .indented(2);
        let listed = |names: &[String]| if names.is_empty() { ABSENT.to_owned() } else { names.join(" ") };
        for place in &self.found.places {
            table.add(vec![
                place.version.name().to_owned(),
                listed(&place.controllers),
                listed(&place.delegated),
                display_path(place.directory.as_os_str().as_bytes()),
            ]);
        }
        self.section("Hierarchies", &table, true)
    }

    fn limits(&mut self) -> io::Result<()> {
        let mut table = Table::new([
            ("CONTROL", Align::Left),
            ("VALUE", Align::Right),
            ("EFFECTIVE", Align::Right),
            ("HEADROOM", Align::Right),
            ("SET BY", Align::Left),
        ])
        .indented(2);
        for row in limits::rows(&self.found.samples.now, self.found.cgroup) {
            table.add(vec![
                row.name.to_owned(),
                or_absent(row.value.as_ref(), self.raw),
                or_absent(row.effective.as_ref(), self.raw),
                or_absent(row.headroom.as_ref(), self.raw),
                row.set_by.unwrap_or_default(),
            ]);
        }
        self.section("Limits, weights and switches", &table, true)?;
        self.section("I/O limits", &tables::io_limits(&self.found.cgroup.controls, self.raw), true)
    }

    fn usage(&mut self) -> io::Result<()> {
        let readings = &self.found.cgroup.readings;
        let mut items: Vec<(&str, String)> = Field::ALL
            .iter()
            .filter(|&&field| kind(field) == Kind::Usage)
            .filter_map(|&field| {
                Some((names::field(field), Value::of(readings.get(field)?, field.unit()).show(self.raw)))
            })
            .collect();
        if let Some(rates) = &self.found.rates {
            for (name, value) in [
                ("cpu.usage (cores now)", rates.cpu_cores.map(Value::Cores)),
                ("cpu.throttled (% of periods)", rates.throttled.map(|share| Value::Percent(share * 100.0))),
                ("memory.growth (a second)", rates.memory_growth.map(Value::BytesPerSecond)),
                ("io.read (a second)", rates.read_bytes.map(Value::BytesPerSecond)),
                ("io.write (a second)", rates.write_bytes.map(Value::BytesPerSecond)),
            ] {
                items.extend(value.map(|value| (name, value.show(self.raw))));
            }
        }
        self.list("Usage", items)
    }

    fn memory_stat(&mut self) -> io::Result<()> {
        let mut rows: Vec<(&str, u64, Column)> = self
            .found
            .cgroup
            .readings
            .rows(RowKind::MemoryStat)
            .iter()
            .filter(|(key, value)| self.all || (key.column == Column::StatBytes && *value > 0))
            .map(|(key, value)| (&*key.item, value, key.column))
            .collect();
        let mut title = "memory.stat".to_owned();
        if !self.all {
            rows.sort_by_key(|&(_, value, _)| std::cmp::Reverse(value));
            if rows.len() > MOST_STATS {
                title = format!("memory.stat (the largest {MOST_STATS}; --all shows every row)");
                rows.truncate(MOST_STATS);
            }
        }
        let items = rows
            .into_iter()
            .map(|(name, value, column)| {
                let value =
                    if column == Column::StatBytes { Value::Bytes(value) } else { Value::Count(value) };
                (name, value.show(self.raw))
            })
            .collect();
        self.list(&title, items)
    }

    fn events(&mut self) -> io::Result<()> {
        let counted: Vec<(&str, u64)> = Field::ALL
            .iter()
            .filter(|&&field| kind(field) == Kind::Event)
            .filter_map(|&field| Some((names::field(field), self.found.cgroup.readings.get(field)?)))
            .collect();
        let mut items: Vec<(&str, String)> = counted
            .iter()
            .filter(|(_, count)| self.all || *count > 0)
            .map(|(name, count)| (*name, count.to_string()))
            .collect();
        let quiet = counted.len() - items.len();
        let others = format!("{quiet} others");
        if quiet > 0 {
            items.push((if items.is_empty() { "all of them" } else { &others }, "0".to_owned()));
        }
        self.list("Events", items)
    }

    fn tables(&mut self) -> io::Result<()> {
        let readings = &self.found.cgroup.readings;
        for (title, table) in tables::devices(readings, self.raw) {
            self.section(title, &table, true)?;
        }
        for (title, table) in tables::others(readings, self.all, self.raw) {
            self.section(title, &table, false)?;
        }
        let pressure = tables::pressure(readings, self.raw);
        self.section("Pressure (percent of the time in which tasks waited)", &pressure, true)
    }

    fn processes(&mut self) -> io::Result<()> {
        let found = self.found;
        let partly = found.processes.iter().any(|(_, hierarchies)| hierarchies.is_some());
        let mut columns = vec![
            ("PID", Align::Right),
            ("USER", Align::Left),
            ("STATE", Align::Left),
            ("THREADS", Align::Right),
            ("RESIDENT", Align::Right),
        ];
        if partly {
            columns.push(("NOT IN", Align::Left));
        }
        let host = &found.samples.now.report.census.host;
        let isolated = found.processes.iter().any(|(member, _)| !apart(member, host).is_empty());
        if isolated {
            columns.push(("OWN NAMESPACES", Align::Left));
        }
        columns.push(("COMMAND", Align::Left));
        let mut table = Table::new(columns).indented(2);
        for (member, hierarchies) in &found.processes {
            let user = member.user.clone().or_else(|| member.uid.map(|uid| uid.to_string()));
            let mut row = vec![
                member.pid.to_string(),
                user.unwrap_or_else(|| ABSENT.to_owned()),
                member.state.map_or_else(|| ABSENT.to_owned(), |state| state.to_string()),
                or_absent(member.threads.map(Value::Count).as_ref(), self.raw),
                or_absent(member.resident_bytes.map(Value::Bytes).as_ref(), self.raw),
            ];
            if partly {
                row.push(hierarchies.clone().unwrap_or_default());
            }
            if isolated {
                row.push(apart(member, host).join(","));
            }
            let command = member.command.as_ref().map(|command| display_path(command.as_bytes()));
            row.push(command.unwrap_or_else(|| ABSENT.to_owned()));
            table.add(row);
        }
        let listed = found.processes.len();
        let title = match found.process_count {
            0 => {
                let itself = if self.children() > 0 { " in the cgroup itself" } else { "" };
                writeln!(self.out, "\nProcesses: none{itself}")?;
                return self.states();
            }
            count if count > listed => {
                format!("Processes ({count}, the {listed} with most resident memory; --all lists every one)")
            }
            count => format!("Processes ({count})"),
        };
        self.section(&title, &table, true)?;
        self.states()
    }

    /// What the processes add up to, those that have ended too, which no list has.
    fn states(&mut self) -> io::Result<()> {
        let readings = &self.found.cgroup.readings;
        let in_state = |state: &TaskState| {
            let count = readings.get(state.processes()).filter(|count| *count > 0)?;
            Some(format!("{count} {}", state.name()))
        };
        let states: Vec<String> = TaskState::ALL.iter().filter_map(in_state).collect();
        let mut parts = if states.is_empty() { Vec::new() } else { vec![states.join(", ")] };
        parts.extend(readings.get(Field::OpenFiles).map(|count| format!("{count} descriptors open")));
        let started =
            readings.get(Field::OldestProcessStart).map(|at| Value::of(at, Unit::Timestamp).show(self.raw));
        parts.extend(started.map(|moment| format!("the oldest since {moment}")));
        if parts.is_empty() { Ok(()) } else { writeln!(self.out, "  {}", parts.join("; ")) }
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    /// Said at the top, or in a table of its own.
    Elsewhere,
    Usage,
    Event,
}

/// Where a number is shown; its name tells what it is.
fn kind(field: Field) -> Kind {
    let name = names::field(field);
    if name.contains(".pressure.")
        || name.starts_with("processes.")
        || name.starts_with("threads.")
        || matches!(
            field,
            Field::Populated
                | Field::Frozen
                | Field::FreezerFreezing
                | Field::FreezerFrozen
                | Field::MemoryEffectiveMax
                | Field::MemoryEffectiveHigh
                | Field::MemoryHeadroomMax
                | Field::MemoryHeadroomHigh
        )
    {
        Kind::Elsewhere
    } else if name.contains(".events.") || name.ends_with("failures") || field == Field::MemoryUnderOom {
        Kind::Event
    } else {
        Kind::Usage
    }
}
