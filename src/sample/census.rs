//! Who lives where: the namespaces of every process, by cgroup.
//!
//! Nothing walks `/proc`. The processes are those that cgroups list; of these, the new ones are read first and the
//! others in turn, some at each pass, since a process hardly ever changes its namespaces after its first seconds.

use std::collections::{HashMap, HashSet, hash_map::Entry};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use super::reader::Reader;
use super::tree::{Node, NodeId, Tree};
use crate::kernel::dir::{Slot, open_member};
use crate::kernel::namespaces::{ProcRoot, Unread, nested_pids, root_of, uid_map};
use crate::model::{
    CensusReport, Collector, Field, Namespace, NamespaceKind, NamespaceSet, Namespaces, Shared,
};

/// At most so many processes are read for the first time in one pass; the others wait.
const MOST_NEW: usize = 5000;
/// Every process is read again within so many passes.
const ROTATION: usize = 60;
/// A young process is read again in so many passes after the first: a runtime makes its namespaces a moment after it
/// has forked.
const YOUTH: u8 = 2;

/// A process that some cgroup lists.
#[derive(Debug)]
struct Resident {
    /// Its cgroup, in which hierarchy, and whether that is the root.
    home: NodeId,
    rank: (bool, usize),
    /// The pass that last saw it.
    seen: u64,
    /// Its namespaces; none while it waits to be read, or if it may not be.
    set: Option<NamespaceSet>,
    read: bool,
    /// Readings that it still gets for its youth.
    young: u8,
}

/// What a census keeps from pass to pass.
#[derive(Debug, Default)]
pub struct Census {
    root: Option<ProcRoot>,
    residents: HashMap<u32, Resident>,
    pass: u64,
    /// Every process in turn, as a list that is filled anew when it is done.
    turns: Vec<u32>,
    /// Who is root in a user namespace, and how deep a pid namespace is, by inode.
    roots: HashMap<u64, Option<u32>>,
    depths: HashMap<u64, Option<u32>>,
    /// The network namespaces that a cgroup has for itself.
    pub networks: Vec<OwnNetwork>,
    /// What was found.
    pub report: CensusReport,
    warned: bool,
}

/// A network namespace that one cgroup has for itself: it is not the host's, and not shared across the whole host.
#[derive(Clone, Copy, Debug)]
pub struct OwnNetwork {
    /// The lowest cgroup below which all of its processes are.
    pub home: NodeId,
    /// Its inode.
    pub inode: u64,
    /// One of its processes.
    pub pid: u32,
}

/// Where a namespace is seen.
struct Extent {
    /// The lowest cgroup below which all of its processes are.
    top: u32,
    /// One of its processes.
    pid: u32,
}

impl Census {
    /// Takes a census, and gives every cgroup its namespaces. The tree is sorted.
    pub fn take(&mut self, procfs: &Path, tree: &mut Tree, reader: &mut Reader) {
        if self.root.is_none() {
            match ProcRoot::open(procfs) {
                Ok(root) => self.root = Some(root),
                Err(error) => {
                    if !std::mem::replace(&mut self.warned, true) {
                        tracing::warn!(%error, "{} cannot be opened: no namespaces are known", procfs.display());
                    }
                    reader.collectors[Collector::Namespaces as usize].faults += 1;
                    return;
                }
            }
        }
        self.pass += 1;
        self.count_residents(tree, reader);
        self.scan(reader);
        self.settle(procfs, tree);
    }

    /// Whether a process is in this network namespace at this moment.
    pub fn is_in_network(&self, pid: u32, inode: u64) -> bool {
        let set = self.root.as_ref().and_then(|root| root.namespaces(pid).ok());
        set.is_some_and(|set| set[NamespaceKind::Net as usize] == Some(inode))
    }

    /// Another process than this that was in a network namespace when it was read last.
    pub fn other_in_network(&self, inode: u64, but: u32) -> Option<u32> {
        let net = NamespaceKind::Net as usize;
        let inside = |resident: &Resident| resident.set.is_some_and(|set| set[net] == Some(inode));
        self.residents.iter().find(|(pid, resident)| **pid != but && inside(resident)).map(|(pid, _)| *pid)
    }

    /// Asks every cgroup whom it has. Who is in several hierarchies belongs to the first cgroup that is no root.
    fn count_residents(&mut self, tree: &mut Tree, reader: &mut Reader) {
        let pass = self.pass;
        for place in 0..tree.len() {
            let id = tree.order()[place];
            let Some(node) = tree.get_mut(id) else { continue };
            if node.cgroup.readings.get(Field::Populated) == Some(0) {
                continue;
            }
            let Some(hierarchy) = node.first_hierarchy() else { continue };
            let rank = (node.path() == b"/", hierarchy);
            let residents = &mut self.residents;
            members(reader, node, hierarchy, |pid| match residents.entry(pid) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Resident {
                        home: id,
                        rank,
                        seen: pass,
                        set: None,
                        read: false,
                        young: YOUTH,
                    });
                }
                Entry::Occupied(mut occupied) => {
                    let resident = occupied.get_mut();
                    if resident.seen != pass || rank < resident.rank {
                        (resident.home, resident.rank, resident.seen) = (id, rank, pass);
                    }
                }
            });
        }
        self.residents.retain(|_, resident| resident.seen == pass);
    }

    /// Reads the new, the young, and some of the others.
    fn scan(&mut self, reader: &mut Reader) {
        let Self { root: Some(root), residents, turns, report, .. } = self else { return };
        let mut new: Vec<u32> =
            residents.iter().filter(|(_, resident)| resident.young > 0).map(|(pid, _)| *pid).collect();
        // Who has not been read at all comes before who is only young.
        new.sort_unstable_by_key(|pid| (residents[pid].read, *pid));
        new.truncate(MOST_NEW);
        if turns.is_empty() {
            turns.extend(residents.keys());
        }
        let share = residents.len().div_ceil(ROTATION).min(turns.len());
        new.extend(turns.drain(turns.len() - share..));
        for pid in new {
            let Some(resident) = residents.get_mut(&pid) else { continue };
            match root.namespaces(pid) {
                Ok(set) => resident.set = Some(set),
                Err(Unread::Denied) => resident.set = None,
                // It has ended, which its cgroup will tell; or it is read another time.
                Err(Unread::Ended | Unread::Shortage) => continue,
            }
            if resident.read {
                resident.young = resident.young.saturating_sub(1);
            }
            resident.read = true;
            report.scanned += 1;
            reader.collectors[Collector::Namespaces as usize].reads += 1;
        }
        report.host = root.namespaces(1).or_else(|_| root.own()).unwrap_or_default();
        report.processes = residents.len() as u64;
        report.waiting = residents.values().filter(|resident| !resident.read).count() as u64;
        report.unreadable =
            residents.values().filter(|resident| resident.read && resident.set.is_none()).count() as u64;
        if report.unreadable > 0 && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "the namespaces of {} of {} processes may not be read (CAP_SYS_PTRACE is missing, or a process has more \
                 rights than this one): they are left out, and counted in stockade_census_processes",
                report.unreadable,
                report.processes
            );
        }
    }

    /// Says of each namespace who is in it, and gives every cgroup its list.
    fn settle(&mut self, procfs: &Path, tree: &mut Tree) {
        let positions: HashMap<NodeId, u32> = (0u32..).zip(tree.order()).map(|(at, &id)| (id, at)).collect();
        let parents: Vec<Option<u32>> =
            tree.order().iter().map(|&id| tree.get(id).and_then(|node| node.cgroup.parent)).collect();
        let mut extents: HashMap<(NamespaceKind, u64), Extent> = HashMap::new();
        let mut lists: Vec<Vec<(NamespaceKind, u64)>> = vec![Vec::new(); parents.len()];
        // Most processes of a cgroup are in the same namespaces.
        let mut known: HashSet<(u32, NamespaceSet)> = HashSet::new();
        for (&pid, resident) in &self.residents {
            let (Some(set), Some(&home)) = (resident.set, positions.get(&resident.home)) else { continue };
            if !known.insert((home, set)) {
                continue;
            }
            for (&kind, inode) in NamespaceKind::ALL.iter().zip(set) {
                let Some(inode) = inode else { continue };
                lists[home as usize].push((kind, inode));
                match extents.entry((kind, inode)) {
                    Entry::Vacant(vacant) => drop(vacant.insert(Extent { top: home, pid })),
                    Entry::Occupied(mut occupied) => {
                        let extent = occupied.get_mut();
                        extent.top = meeting(&parents, extent.top, home);
                    }
                }
            }
        }
        self.report.namespaces =
            NamespaceKind::ALL.iter().fold([0; NamespaceKind::COUNT], |mut counts, &kind| {
                counts[kind as usize] = extents.keys().filter(|(other, _)| *other == kind).count() as u64;
                counts
            });
        self.learn(procfs, &extents);
        let host = self.report.host[NamespaceKind::Net as usize];
        self.networks.clear();
        self.networks.extend(
            extents
                .iter()
                .filter(|((kind, inode), extent)| {
                    // Without the host's it cannot be told which is nobody's own. What only the root spans is nobody's.
                    let apart = host.is_some_and(|host| host != *inode);
                    *kind == NamespaceKind::Net && apart && parents[extent.top as usize].is_some()
                })
                .map(|((_, inode), extent)| OwnNetwork {
                    home: tree.order()[extent.top as usize],
                    inode: *inode,
                    pid: extent.pid,
                }),
        );
        for (place, list) in (0u32..).zip(lists) {
            let id = tree.order()[place as usize];
            let Some(node) = tree.get_mut(id) else { continue };
            let list = list.into_iter().map(|(kind, inode)| Namespace {
                kind,
                inode,
                shared: match extents.get(&(kind, inode)) {
                    _ if self.report.host[kind as usize] == Some(inode) => Shared::Host,
                    Some(extent) if extent.top == place => Shared::Own,
                    _ => Shared::Peer,
                },
            });
            let mut found = Namespaces::new(list.collect());
            let not_hosts = |kind| found.of(kind).filter(|one| one.shared != Shared::Host);
            let inodes = |kind| not_hosts(kind).map(|one| one.inode);
            let root_uid = inodes(NamespaceKind::User).filter_map(|inode| *self.roots.get(&inode)?).min();
            let pid_depth = inodes(NamespaceKind::Pid).filter_map(|inode| *self.depths.get(&inode)?).max();
            (found.root_uid, found.pid_depth) = (root_uid, pid_depth);
            if found != *node.cgroup.namespaces {
                node.cgroup.namespaces = Arc::new(found);
            }
        }
    }

    /// Learns once of each user namespace who is root in it, and of each pid namespace how deep it is.
    fn learn(&mut self, procfs: &Path, extents: &HashMap<(NamespaceKind, u64), Extent>) {
        let Self { roots, depths, report, .. } = self;
        roots.retain(|&inode, _| extents.contains_key(&(NamespaceKind::User, inode)));
        depths.retain(|&inode, _| extents.contains_key(&(NamespaceKind::Pid, inode)));
        for (&(kind, inode), extent) in extents {
            if report.host[kind as usize] == Some(inode) {
                continue;
            }
            match kind {
                // A map is written once, some time after the namespace was made.
                NamespaceKind::User if !roots.get(&inode).is_some_and(Option::is_some) => {
                    let root = uid_map(procfs, extent.pid).ok().and_then(|map| root_of(&map));
                    roots.insert(inode, root);
                }
                NamespaceKind::Pid if !depths.get(&inode).is_some_and(Option::is_some) => {
                    let depth = nested_pids(procfs, extent.pid)
                        .and_then(|pids| u32::try_from(pids.len()).ok()?.checked_sub(1));
                    depths.insert(inode, depth);
                }
                _ => {}
            }
        }
    }
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

/// The lowest cgroup that both are in or below. Parents stand before their children.
fn meeting(parents: &[Option<u32>], mut one: u32, mut other: u32) -> u32 {
    while one != other {
        let lower = if one > other { &mut one } else { &mut other };
        match parents[*lower as usize] {
            Some(parent) => *lower = parent,
            // Only the root has none, and it stands first.
            None => return 0,
        }
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_meet_at_the_lowest_that_has_both() {
        // 0 /, 1 /a, 2 /a/b, 3 /a/c, 4 /a/c/d, 5 /e
        let parents = [None, Some(0), Some(1), Some(1), Some(3), Some(0)];
        for (one, other, at) in [(2, 4, 1), (3, 4, 3), (4, 4, 4), (2, 5, 0), (0, 4, 0)] {
            assert_eq!(meeting(&parents, one, other), at, "{one} {other}");
            assert_eq!(meeting(&parents, other, one), at, "{other} {one}");
        }
    }
}
