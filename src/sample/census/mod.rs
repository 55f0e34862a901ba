//! Who lives where: the processes of every cgroup, what they do, and in which namespaces.
//!
//! Nothing walks `/proc` but the search for who has ended ([`zombies`]). The processes are those that cgroups list; of
//! these, the new ones are read first and the others in turn, some at each pass: a process hardly ever changes its
//! namespaces after its first seconds, and what it does is worth a look now and then.
//!
//! A number that another process has by now is noticed at the next pass, by the inode of `/proc/PID`: what was known of
//! the old one is forgotten.

mod namespaces;
mod states;
mod zombies;

use std::collections::{HashMap, hash_map::Entry};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use super::Settings;
use super::reader::Reader;
use super::sampler::now;
use super::tree::{Node, NodeId, Tree};
use crate::kernel::dir::{Slot, open_member};
use crate::kernel::namespaces::{ProcRoot, Unread};
use crate::model::{CensusReport, Collector, FaultKind, Field};

pub use namespaces::OwnNetwork;

/// At most so many processes are read for the first time in one pass; the others wait.
const MOST_NEW: usize = 5000;

/// A process that some cgroup lists.
#[derive(Debug)]
struct Resident {
    /// Its cgroup.
    home: NodeId,
    /// That cgroup's place in the order of births: another can come to stand at its place in the tree.
    birth: u64,
    /// In which hierarchy, and whether that is the root.
    rank: (bool, usize),
    /// The pass that last saw it.
    seen: u64,
    /// The inode of its directory, which tells it from another process with its number; 0 before it was looked at.
    inode: u64,
    /// The namespaces that it is in.
    spaces: namespaces::Spaces,
    /// What it does.
    activity: states::Activity,
}

/// What a census is to find out.
#[derive(Clone, Copy, Debug)]
pub struct Questions {
    namespaces: bool,
    processes: bool,
    threads: bool,
    zombies: bool,
    open_files: bool,
    /// Every process's state is read again within so many passes.
    rotation: usize,
}

impl Questions {
    /// What these settings ask for in a pass in which the namespaces are due or not. None where that is nothing.
    #[must_use]
    pub fn new(settings: &Settings, namespaces_due: bool) -> Option<Self> {
        let on = |collector| settings.collectors.has(collector);
        let processes = on(Collector::Processes);
        let namespaces = on(Collector::Namespaces) && namespaces_due;
        let period = settings.intervals[Collector::Processes as usize].unwrap_or(Settings::SLOW);
        let passes = period.as_millis() / settings.interval.as_millis().max(1);
        (processes || namespaces).then(|| Self {
            namespaces,
            processes,
            threads: processes && on(Collector::ThreadStates),
            zombies: processes && on(Collector::Zombies),
            open_files: processes && on(Collector::OpenFiles),
            rotation: usize::try_from(passes).unwrap_or(usize::MAX).max(1),
        })
    }
}

/// What a census keeps from pass to pass.
#[derive(Debug, Default)]
pub struct Census {
    root: Option<ProcRoot>,
    residents: HashMap<u32, Resident>,
    pass: u64,
    spaces: namespaces::Survey,
    states: states::Survey,
    zombies: zombies::Survey,
    /// The network namespaces that a cgroup has for itself.
    pub networks: Vec<OwnNetwork>,
    /// What was found.
    pub report: CensusReport,
    warned: bool,
}

impl Census {
    /// Takes a census, and gives every cgroup its namespaces and the numbers of its processes. The tree is sorted.
    pub fn take(&mut self, procfs: &Path, asked: Questions, tree: &mut Tree, reader: &mut Reader) {
        if self.root.is_none() {
            match ProcRoot::open(procfs) {
                Ok(root) => self.root = Some(root),
                Err(error) => {
                    if !std::mem::replace(&mut self.warned, true) {
                        tracing::warn!(%error, "{} cannot be opened: nothing is known of processes", procfs.display());
                    }
                    for collector in [Collector::Namespaces, Collector::Processes] {
                        reader.collectors[collector as usize].faults += 1;
                    }
                    return;
                }
            }
        }
        self.pass += 1;
        let first = if asked.namespaces { Collector::Namespaces } else { Collector::Processes };
        let mut clock = Stopwatch { began: now() };
        let departed = self.count_residents(tree, reader);
        if asked.namespaces {
            self.scan_namespaces(reader);
            self.settle(procfs, tree);
        }
        self.report.processes = self.residents.len() as u64;
        clock.charge(first, reader);
        if asked.processes {
            self.scan_states(asked, tree, reader, &mut clock);
            if asked.zombies {
                self.find_zombies(&departed, tree, reader);
                clock.charge(Collector::Zombies, reader);
            }
            self.tally(asked, tree);
            clock.charge(Collector::Processes, reader);
        }
    }

    /// Asks every cgroup whom it has. Who is in several hierarchies belongs to the first cgroup that is no root. Tells who
    /// was there at the last pass and is not any more.
    fn count_residents(&mut self, tree: &mut Tree, reader: &mut Reader) -> HashMap<u32, Resident> {
        let pass = self.pass;
        for place in 0..tree.len() {
            let id = tree.order()[place];
            let Some(node) = tree.get_mut(id) else { continue };
            if node.cgroup.readings.get(Field::Populated) == Some(0) {
                continue;
            }
            let Some(hierarchy) = node.first_hierarchy() else { continue };
            let (rank, birth) = ((node.path() == b"/", hierarchy), node.cgroup.rank);
            let residents = &mut self.residents;
            members(reader, node, hierarchy, |pid| match residents.entry(pid) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Resident::new(id, birth, rank, pass));
                }
                Entry::Occupied(mut occupied) => {
                    let resident = occupied.get_mut();
                    if resident.seen != pass || rank < resident.rank {
                        (resident.home, resident.birth) = (id, birth);
                        (resident.rank, resident.seen) = (rank, pass);
                    }
                }
            });
        }
        let departed = self.residents.extract_if(|_, resident| resident.seen != pass).collect();
        self.recognise();
        departed
    }

    /// Looks whether the processes are those that had their numbers before. What is read of them is read after this, so
    /// that it can be too new, which the next pass finds out, but not another's.
    fn recognise(&mut self) {
        let Self { root: Some(root), residents, .. } = self else { return };
        for (&pid, resident) in residents {
            let found = root.identity(pid).unwrap_or(0);
            if found != resident.inode {
                let Resident { home, birth, rank, seen, .. } = *resident;
                *resident = Resident { inode: found, ..Resident::new(home, birth, rank, seen) };
            }
        }
    }
}

impl Resident {
    fn new(home: NodeId, birth: u64, rank: (bool, usize), seen: u64) -> Self {
        let (spaces, activity) = (namespaces::Spaces::default(), states::Activity::default());
        Self { home, birth, rank, seen, inode: 0, spaces, activity }
    }
}

/// The time since the last charge.
struct Stopwatch {
    began: Duration,
}

impl Stopwatch {
    /// Charges it to a collector.
    fn charge(&mut self, collector: Collector, reader: &mut Reader) {
        let now = now();
        reader.collectors[collector as usize].took += now.saturating_sub(self.began);
        self.began = now;
    }
}

/// Counts that a process's file could not be read. Who has ended is no fault: its cgroup will tell.
fn fault(source: &'static str, collector: Collector, why: Unread, home: Option<&Node>, reader: &mut Reader) {
    let (kind, detail) = match why {
        Unread::Ended => return,
        Unread::Denied => {
            (FaultKind::Denied, "it may not be read; it takes CAP_SYS_PTRACE, or /proc hides processes")
        }
        Unread::Shortage => (FaultKind::Descriptors, "there is no descriptor or memory left"),
        Unread::Malformed => (FaultKind::Malformed, "it is not as proc(5) says"),
    };
    reader.faults.count(source, kind, home.map_or(b"/", Node::path), &detail);
    reader.collectors[collector as usize].faults += 1;
}

/// The processes that a cgroup's directory in this hierarchy lists, through the descriptor that is held there if one is. A
/// threaded cgroup lists none: its processes are those of the cgroup above it.
fn members(reader: &mut Reader, node: &Node, hierarchy: usize, mut each: impl FnMut(u32)) {
    let Reader { catalog, roots, buffer, .. } = reader;
    let Some(directory) = &node.directories[hierarchy] else { return };
    let held = catalog[hierarchy].iter().position(|spec| spec.name == "cgroup.procs");
    let text = match held.map(|file| directory.slot(file)) {
        Some(Slot::Held(fd)) => buffer.read(fd.as_fd(), false),
        _ => match open_member(roots[hierarchy].as_fd(), node.path(), directory.id, "cgroup.procs") {
            Ok(fd) => buffer.read(fd.as_fd(), false),
            Err(errno) => Err(errno.into()),
        },
    };
    // Whoever reads its numbers counts what goes wrong here.
    let Ok(text) = text else { return };
    for line in text.split(|&byte| byte == b'\n') {
        if let Some(pid) = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()) {
            each(pid);
        }
    }
}
