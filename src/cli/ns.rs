//! `stockade ns`: the namespaces of this host as lsns shows them, with the cgroup beside each.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use clap::Args;

use super::humanize::ABSENT;
use super::ls::failed;
use super::table::{Align, Table};
use super::tree::{Lines, draw};
use super::{Exit, PathArgs};
use crate::kernel::layout::{Layout, Paths};
use crate::kernel::members::member;
use crate::kernel::namespaces::nested_pids;
use crate::kernel::process::{home, memberships};
use crate::kernel::processes::{Walk, walk};
use crate::model::{NamespaceKind, display_path};

/// Show every namespace of this host: its kind, how many processes are in it, the first of them and its cgroup.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NsArgs {
    /// Show the processes in this namespace, by its inode, a row each, instead of namespaces.
    #[arg(value_name = "NAMESPACE")]
    pub namespace: Option<u64>,
    /// Only namespaces of this kind: mnt, net, pid, uts, ipc, user, cgroup or time.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kind)]
    pub kind: Option<NamespaceKind>,
    /// Only the namespaces that this process is in.
    #[arg(short = 'p', long = "task", value_name = "PID", value_parser = super::whole_number::<u32>)]
    pub task: Option<u32>,
    /// Columns to show: ns, type, path, nprocs, pid, ppid, uid, user, cgroup, command.
    #[arg(short = 'o', long, value_name = "COLUMN,…")]
    pub output: Option<String>,
    /// A JSON document instead.
    #[arg(short = 'J', long)]
    pub json: bool,
    /// A list, which it is anyhow without --tree: scripts made for lsns say so.
    #[arg(short = 'l', long, conflicts_with = "tree")]
    pub list: bool,
    /// Every column.
    #[arg(long, conflicts_with = "output")]
    pub output_all: bool,
    /// Do not cut the last column at the terminal's edge.
    #[arg(short = 'u', long = "notruncate")]
    pub no_truncate: bool,
    /// No headings.
    #[arg(short = 'n', long = "noheadings", alias = "no-headings")]
    pub no_headings: bool,
    /// One space between columns, blanks within them as \x20, nothing cut.
    #[arg(short = 'r', long, conflicts_with = "json")]
    pub raw: bool,
    /// Draw pid and user namespaces below those that their makers' ancestors are in.
    #[arg(short = 'T', long, conflicts_with_all = ["json", "raw", "namespace"])]
    pub tree: bool,
    /// Draw the tree without box-drawing characters.
    #[arg(long)]
    pub ascii: bool,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
}

const EXAMPLES: &str = "\
The tree follows parent processes: the kernel is not asked, so a maker that has ended hides the parent.

Examples:
  stockade ns -t net                      the network namespaces, and whose they are
  stockade ns -p $$                       those of this shell
  stockade ns 4026531833                  every process in that namespace
  stockade ns --tree -t pid               pid namespaces in pid namespaces
  stockade ns -J | jq '.namespaces[] | select(.type == \"user\").cgroup'";

/// A namespace and the first process in it, or another.
struct Row {
    kind: NamespaceKind,
    inode: u64,
    processes: usize,
    pid: u32,
    parent: u32,
    command: Option<String>,
    uid: Option<u32>,
    user: Option<String>,
    cgroup: Option<String>,
    /// The namespace of the same kind above it, as far as it can be told.
    above: Option<u64>,
}

/// What a column shows.
struct Column {
    heading: &'static str,
    align: Align,
    show: fn(&Row) -> serde_json::Value,
}

macro_rules! column {
    ($heading:literal, $align:ident, $show:expr) => {
        Column { heading: $heading, align: Align::$align, show: |row| serde_json::json!($show(row)) }
    };
}

/// Every column, in the order in which they stand when none is asked for.
const COLUMNS: &[Column] = &[
    column!("NS", Right, |row: &Row| row.inode),
    column!("TYPE", Left, |row: &Row| row.kind.name()),
    column!("PATH", Left, |row: &Row| format!("/proc/{}/ns/{}", row.pid, row.kind.name())),
    column!("NPROCS", Right, |row: &Row| row.processes),
    column!("PID", Right, |row: &Row| row.pid),
    column!("PPID", Right, |row: &Row| row.parent),
    column!("UID", Right, |row: &Row| row.uid),
    column!("USER", Left, |row: &Row| row.user.clone()),
    column!("CGROUP", Left, |row: &Row| row.cgroup.clone()),
    column!("COMMAND", Left, |row: &Row| row.command.clone()),
];

/// Those that say the same of every process in a namespace.
const OF_NAMESPACES: &[&str] = &["NS", "TYPE", "PATH", "NPROCS"];

impl NsArgs {
    /// Looks at every process and shows. `width` is that of the terminal, if there is one.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, width: Option<usize>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let columns = match self.columns() {
            Ok(columns) => columns,
            Err(problem) => return failed(err, Exit::Usage, &problem),
        };
        let paths: Paths = self.paths.clone().into();
        let found = match walk(&paths.procfs) {
            Ok(found) => found,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        if let Some(pid) = self.task
            && !found.residents.contains_key(&pid)
        {
            let problem = format!("there is no process {pid} whose namespaces can be read");
            return failed(err, Exit::Failed, &problem);
        }
        let rows = self.rows(&paths, &found);
        if let (Some(inode), true) = (self.namespace, rows.is_empty()) {
            let problem = format!("there is no namespace {inode} with a process that can be looked at");
            return failed(err, Exit::Failed, &problem);
        }
        if self.json {
            let list: Vec<serde_json::Value> = rows.iter().map(|row| object(&columns, row)).collect();
            let document = serde_json::json!({ "namespaces": list });
            writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        } else if self.raw {
            self.write_raw(&columns, &rows, out)?;
        } else {
            let width = width.filter(|_| !self.no_truncate);
            self.table(&columns, &rows).write(out, !self.no_headings, width)?;
        }
        out.flush()?;
        if found.unreadable > 0 {
            writeln!(
                err,
                "stockade: the namespaces of {} processes may not be read: their namespaces are missing or count too few \
                 (it takes CAP_SYS_PTRACE, and as many rights as the process has)",
                found.unreadable
            )?;
        }
        Ok(Exit::Done)
    }

    fn columns(&self) -> Result<Vec<&'static Column>, String> {
        let Some(list) = &self.output else {
            let of_processes = self.namespace.is_some() && !self.output_all;
            let told = |column: &&Column| !of_processes || !OF_NAMESPACES.contains(&column.heading);
            return Ok(COLUMNS.iter().filter(told).collect());
        };
        list.split(',')
            .map(|name| {
                let name = name.trim();
                COLUMNS.iter().find(|column| column.heading.eq_ignore_ascii_case(name)).ok_or_else(|| {
                    let all: Vec<String> =
                        COLUMNS.iter().map(|column| column.heading.to_ascii_lowercase()).collect();
                    format!("there is no column `{}`: use {}", name.escape_debug(), all.join(", "))
                })
            })
            .collect()
    }

    /// A row for each namespace that is asked for, by inode, or for each process in the one.
    fn rows(&self, paths: &Paths, found: &Walk) -> Vec<Row> {
        let layout = Layout::detect(paths).ok();
        let of_task = self.task.and_then(|pid| found.residents.get(&pid)).map(|resident| resident.namespaces);
        let mut members: BTreeMap<(u64, NamespaceKind), Vec<u32>> = BTreeMap::new();
        for (&pid, resident) in &found.residents {
            for (&kind, inode) in NamespaceKind::ALL.iter().zip(resident.namespaces) {
                let asked = self.kind.is_none_or(|only| only == kind)
                    && self.namespace.is_none_or(|only| inode == Some(only))
                    && of_task.is_none_or(|task| task[kind as usize] == inode);
                if let (Some(inode), true) = (inode, asked) {
                    members.entry((inode, kind)).or_default().push(pid);
                }
            }
        }
        let mut rows = Vec::new();
        for ((inode, kind), pids) in members {
            // The walk goes by pid: the first that is met is the lowest.
            let shown = if self.namespace.is_some() { pids.len() } else { 1 };
            for &pid in pids.iter().take(shown) {
                let told = member(&paths.procfs, pid).unwrap_or_default();
                let groups = memberships(&paths.procfs, pid).unwrap_or_default();
                let cgroup = layout.as_ref().and_then(|layout| home(layout, &groups));
                rows.push(Row {
                    kind,
                    inode,
                    processes: pids.len(),
                    pid,
                    parent: found.residents.get(&pid).map_or(0, |resident| resident.parent),
                    command: told.command.map(|command| display_path(command.as_bytes())),
                    uid: told.uid,
                    user: told.user,
                    cgroup: cgroup.map(|path| display_path(path.as_bytes())),
                    above: self.tree.then(|| above(&paths.procfs, found, kind, pid)).flatten(),
                });
            }
        }
        rows
    }

    fn table(&self, columns: &[&Column], rows: &[Row]) -> Table {
        let mut table = Table::new(columns.iter().map(|column| {
            // A tree is drawn before the names of namespaces, which then stand left.
            (column.heading, if self.tree { Align::Left } else { column.align })
        }));
        let lines = if self.ascii { Lines::ASCII } else { Lines::UNICODE };
        let order: Vec<usize> = (0..rows.len()).collect();
        let place = |at: usize| {
            let above = rows[at].above?;
            rows.iter().position(|row| row.inode == above && row.kind == rows[at].kind)
        };
        for (at, before) in draw(&order, place, lines) {
            let cells = columns.iter().map(|column| {
                let text = text((column.show)(&rows[at]));
                if column.heading == "NS" { format!("{before}{text}") } else { text }
            });
            table.add(cells.collect());
        }
        table
    }

    fn write_raw(&self, columns: &[&Column], rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        if !self.no_headings {
            let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
            writeln!(out, "{}", headings.join(" "))?;
        }
        for row in rows {
            let cells: Vec<String> =
                columns.iter().map(|column| text((column.show)(row)).replace(' ', "\\x20")).collect();
            writeln!(out, "{}", cells.join(" "))?;
        }
        Ok(())
    }
}

/// The namespace above one of pids or users, whose first process this is: that of its nearest ancestor in another one, if
/// that lies less deep.
fn above(procfs: &Path, found: &Walk, kind: NamespaceKind, pid: u32) -> Option<u64> {
    let depth = |pid: u32| nested_pids(procfs, pid).map_or(0, |pids| pids.len());
    let own = found.residents.get(&pid)?.namespaces[kind as usize]?;
    let own_depth = match kind {
        NamespaceKind::Pid => depth(pid),
        NamespaceKind::User => usize::MAX,
        _ => return None,
    };
    // A process that was adopted has its pid in the walk all the same; a circle can only be a race, and ends.
    let mut ancestor = found.residents.get(&pid)?.parent;
    for _ in 0..found.residents.len() {
        let resident = found.residents.get(&ancestor)?;
        let inode = resident.namespaces[kind as usize]?;
        if inode != own && (kind == NamespaceKind::User || depth(ancestor) < own_depth) {
            return Some(inode);
        }
        ancestor = resident.parent;
    }
    None
}

fn object(columns: &[&Column], row: &Row) -> serde_json::Value {
    columns.iter().map(|column| (column.heading.to_ascii_lowercase(), (column.show)(row))).collect()
}

fn text(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => ABSENT.to_owned(),
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

fn kind(name: &str) -> Result<NamespaceKind, String> {
    NamespaceKind::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = NamespaceKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("expected one of {}", all.join(", "))
    })
}
