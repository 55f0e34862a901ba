//! `stockade inspect`: everything about one cgroup, or about the cgroups of a process.

mod document;
mod limits;
mod tables;
mod text;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use super::interval::IntervalArgs;
use super::ls::failed;
use super::managers::Managers;
use super::sampling::Samples;
use super::{Exit, PathArgs, completions, configuration, target};
use crate::enforce::ownership::Ownership;
use crate::enforce::safety::Writers;
use crate::kernel::layout::Paths;
use crate::kernel::members::{Member, Place, member, pids, places};
use crate::kernel::process::{Membership, home, memberships};
use crate::model::{Cgroup, Collector, CollectorSet, NamespaceKind, NamespaceSet, Rates, display_path};

/// Show everything about one cgroup: where it is, whose it is, limits, usage, events, I/O, pressure, processes.
///
/// Given a process's id, shows its cgroup in every hierarchy, and then the cgroup.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, a unit's name, or a process's id.
    #[arg(value_name = "CGROUP|PID", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// Every process, every row of memory.stat, and what is zero.
    #[arg(short, long)]
    pub all: bool,
    /// A JSON document instead.
    #[arg(short = 'J', long)]
    pub json: bool,
    /// Numbers in base units, for scripts: bytes, seconds, percent.
    #[arg(short = 'b', long)]
    pub raw: bool,
    /// The configuration file (YAML), for how whoever manages the cgroup may be written.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "STOCKADE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Between the samples.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
}

const EXAMPLES: &str = "\
Examples:
  stockade inspect ssh.service            a unit
  stockade inspect /user.slice --all      a path, with everything
  stockade inspect $$                     the cgroups of this shell
  stockade inspect -J /system.slice | jq '.cgroup.values[\"memory.current\"]'";

/// How many processes are listed when not all are asked for.
const MOST_PROCESSES: usize = 50;

/// What was found out.
struct Found<'a> {
    samples: &'a Samples,
    cgroup: &'a Cgroup,
    rates: Option<Rates>,
    places: Vec<Place>,
    /// Who manages it.
    manager: Ownership,
    /// How owners may be written.
    writers: Writers,
    /// The process that was asked about, with its cgroups.
    process: Option<(Member, Vec<Membership>)>,
    /// The processes in the cgroup itself, largest first, with the hierarchies that have it elsewhere, if any.
    processes: Vec<(Member, Option<String>)>,
    /// How many there are, listed or not.
    process_count: usize,
    /// What could not be read.
    problems: Vec<String>,
}

impl InspectArgs {
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
        let paths: Paths = self.paths.clone().into();
        let writers = match configuration(self.config.as_deref()) {
            Ok(config) => config.safety.writers,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        // The process is looked up first: it may be gone a second later.
        let process = match self.pid().map(|pid| of_process(&paths, pid)).transpose() {
            Ok(process) => process,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        let mut collectors = CollectorSet::default();
        collectors.set(Collector::Host, false);
        for of_processes in [Collector::Zombies, Collector::OpenFiles, Collector::ThreadStates] {
            collectors.set(of_processes, true);
        }
        let samples = match Samples::take(paths.clone(), collectors, self.interval.get(), pause) {
            Ok(samples) => samples,
            Err(error) => return failed(err, Exit::Failed, &error.to_string()),
        };
        let cgroup = match &process {
            Some((member, groups)) => of_memberships(&samples, member.pid, groups),
            None => named(&samples, &self.target),
        };
        let cgroup = match cgroup {
            Ok(cgroup) => cgroup,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        let manager = Managers::new(&samples.layout, &paths, writers).of(&cgroup.identity);
        let found = self.look(&paths, &samples, (cgroup, manager, writers), process);
        if self.json {
            out.write_all(&document::json(&found))?;
            writeln!(out)?;
        } else {
            text::write(&found, self.all, self.raw, width, out)?;
        }
        out.flush()?;
        for problem in found.problems.iter().chain(&samples.faults()) {
            writeln!(err, "stockade: {problem}")?;
        }
        Ok(Exit::Done)
    }

    /// The target as a process's id. A cgroup whose name is a number is given as `/123`.
    fn pid(&self) -> Option<u32> {
        self.target.to_str()?.parse().ok()
    }

    fn look<'a>(
        &self,
        paths: &Paths,
        samples: &'a Samples,
        (cgroup, manager, writers): (&'a Cgroup, Ownership, Writers),
        process: Option<(Member, Vec<Membership>)>,
    ) -> Found<'a> {
        let places = places(&samples.layout, &cgroup.identity.path);
        let mut problems = Vec::new();
        let mut members: Vec<(u32, Vec<&str>)> = Vec::new();
        for place in &places {
            match pids(&place.directory) {
                Ok(pids) => {
                    for pid in pids {
                        match members.binary_search_by_key(&pid, |(pid, _)| *pid) {
                            Ok(at) => members[at].1.push(&place.hierarchy),
                            Err(at) => members.insert(at, (pid, vec![&place.hierarchy])),
                        }
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut processes: Vec<(Member, Option<String>)> = members
            .into_iter()
            .filter_map(|(pid, hierarchies)| {
                let others: Vec<&str> = places
                    .iter()
                    .map(|place| place.hierarchy.as_str())
                    .filter(|name| !hierarchies.contains(name))
                    .collect();
                let elsewhere = (!others.is_empty()).then(|| others.join(" "));
                Some((member(&paths.procfs, pid)?, elsewhere))
            })
            .collect();
        processes.sort_by_key(|(member, _)| std::cmp::Reverse(member.resident_bytes));
        let process_count = processes.len();
        if !self.all {
            processes.truncate(MOST_PROCESSES);
        }
        Found {
            samples,
            cgroup,
            rates: samples.rates(cgroup),
            places,
            manager,
            writers,
            process,
            processes,
            process_count,
            problems,
        }
    }
}

fn of_process(paths: &Paths, pid: u32) -> Result<(Member, Vec<Membership>), String> {
    let none = || {
        format!(
            "there is no process {pid} in {}; a cgroup whose name is a number is given as /{pid}",
            paths.procfs.display()
        )
    };
    let member = member(&paths.procfs, pid).ok_or_else(none)?;
    match memberships(&paths.procfs, pid) {
        Ok(groups) => Ok((member, groups)),
        // It ended in between.
        Err(_) if !paths.procfs.join(pid.to_string()).exists() => Err(none()),
        Err(problem) => Err(problem),
    }
}

/// The cgroup to show of a process: on a hybrid host, the first that is not a root, in the layout's order.
fn of_memberships<'a>(samples: &'a Samples, pid: u32, groups: &[Membership]) -> Result<&'a Cgroup, String> {
    let path = home(&samples.layout, groups)
        .ok_or_else(|| format!("process {pid} is in none of the hierarchies that are read"))?;
    named(samples, OsStr::new(path)).map_err(|problem| {
        let why = if path.starts_with("/..") {
            "it is outside of this cgroup namespace"
        } else {
            "it may have ended or moved"
        };
        format!("process {pid} is in {}: {problem} ({why})", display_path(path.as_bytes()))
    })
}

/// The cgroup that is named, also one that ended between the samples.
fn named<'a>(samples: &'a Samples, name: &OsStr) -> Result<&'a Cgroup, String> {
    target::find(&samples.now, &samples.layout, name).or_else(|problem| {
        let before = samples.before.as_deref().ok_or_else(|| problem.clone())?;
        let ended = target::find(before, &samples.layout, name).map_err(|_| problem)?;
        let last = samples.now.dead.iter().find(|dead| dead.identity == ended.identity);
        Ok(last.map_or(ended, |last| &**last))
    })
}

/// The kinds of which a process has another namespace than the host.
fn apart(member: &Member, host: &NamespaceSet) -> Vec<&'static str> {
    let of = |set: &NamespaceSet, kind: NamespaceKind| set[kind as usize];
    let Some(set) = &member.namespaces else { return Vec::new() };
    let differs =
        |kind: &NamespaceKind| of(set, *kind).zip(of(host, *kind)).is_some_and(|(own, hosts)| own != hosts);
    NamespaceKind::ALL.iter().copied().filter(differs).map(NamespaceKind::name).collect()
}
