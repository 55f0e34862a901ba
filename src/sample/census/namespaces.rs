//! The namespaces of processes, and who shares them.

use std::collections::{HashMap, HashSet, hash_map::Entry};
use std::path::Path;
use std::sync::Arc;

use super::{Census, MOST_NEW};
use crate::kernel::namespaces::{Unread, nested_pids, root_of, uid_map};
use crate::model::{Collector, Namespace, NamespaceKind, NamespaceSet, Namespaces, Shared};
use crate::sample::reader::Reader;
use crate::sample::tree::{NodeId, Tree};

/// Every process is read again within so many passes.
const ROTATION: usize = 60;
/// A young process is read again in so many passes after the first: a runtime makes its namespaces a moment after it
/// has forked.
const YOUTH: u8 = 2;

/// What is known of a process's namespaces.
#[derive(Debug)]
pub struct Spaces {
    /// None while it waits to be read, or if it may not be.
    set: Option<NamespaceSet>,
    read: bool,
    /// Readings that it still gets for its youth.
    young: u8,
}

impl Default for Spaces {
    fn default() -> Self {
        Self { set: None, read: false, young: YOUTH }
    }
}

/// What is kept from pass to pass.
#[derive(Debug, Default)]
pub struct Survey {
    /// Every process in turn, as a list that is filled anew when it is done.
    turns: Vec<u32>,
    /// Who is root in a user namespace, and how deep a pid namespace is, by inode.
    roots: HashMap<u64, Option<u32>>,
    depths: HashMap<u64, Option<u32>>,
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
    /// Whether a process is in this network namespace at this moment.
    pub fn is_in_network(&self, pid: u32, inode: u64) -> bool {
        let set = self.root.as_ref().and_then(|root| root.namespaces(pid).ok());
        set.is_some_and(|set| set[NamespaceKind::Net as usize] == Some(inode))
    }

    /// Another process than this that was in a network namespace when it was read last.
    pub fn other_in_network(&self, inode: u64, but: u32) -> Option<u32> {
        let net = NamespaceKind::Net as usize;
        let inside = |set: Option<NamespaceSet>| set.is_some_and(|set| set[net] == Some(inode));
        let mut others = self.residents.iter().filter(|(pid, _)| **pid != but);
        others.find(|(_, resident)| inside(resident.spaces.set)).map(|(pid, _)| *pid)
    }

    /// Reads the new, the young, and some of the others.
    pub(super) fn scan_namespaces(&mut self, reader: &mut Reader) {
        let Self { root: Some(root), residents, spaces: Survey { turns, warned, .. }, report, .. } = self
        else {
            return;
        };
        let young = residents.iter().filter(|(_, resident)| resident.spaces.young > 0);
        let mut new: Vec<u32> = young.map(|(pid, _)| *pid).collect();
        // Who has not been read at all comes before who is only young.
        new.sort_unstable_by_key(|pid| (residents[pid].spaces.read, *pid));
        new.truncate(MOST_NEW);
        if turns.is_empty() {
            turns.extend(residents.keys());
        }
        let share = residents.len().div_ceil(ROTATION).min(turns.len());
        new.extend(turns.drain(turns.len() - share..));
        for pid in new {
            let Some(resident) = residents.get_mut(&pid) else { continue };
            let spaces = &mut resident.spaces;
            match root.namespaces(pid) {
                Ok(set) => spaces.set = Some(set),
                // It has ended, which its cgroup will tell; or it is read another time.
                Err(Unread::Ended | Unread::Shortage) => continue,
                Err(Unread::Denied | Unread::Malformed) => spaces.set = None,
            }
            if spaces.read {
                spaces.young = spaces.young.saturating_sub(1);
            }
            spaces.read = true;
            report.scanned += 1;
            reader.collectors[Collector::Namespaces as usize].reads += 1;
        }
        report.host = root.namespaces(1).or_else(|_| root.own()).unwrap_or_default();
        let count = |matches: fn(&Spaces) -> bool| {
            residents.values().filter(|resident| matches(&resident.spaces)).count() as u64
        };
        report.waiting = count(|spaces| !spaces.read);
        report.unreadable = count(|spaces| spaces.read && spaces.set.is_none());
        if report.unreadable > 0 && !std::mem::replace(warned, true) {
            tracing::warn!(
                "the namespaces of {} of {} processes may not be read (CAP_SYS_PTRACE is missing, or a process has more \
                 rights than this one): they are left out, and counted in stockade_census_processes",
                report.unreadable,
                residents.len()
            );
        }
    }

    /// Says of each namespace who is in it, and gives every cgroup its list.
    pub(super) fn settle(&mut self, procfs: &Path, tree: &mut Tree) {
        let positions: HashMap<NodeId, u32> = (0u32..).zip(tree.order()).map(|(at, &id)| (id, at)).collect();
        let parents: Vec<Option<u32>> =
            tree.order().iter().map(|&id| tree.get(id).and_then(|node| node.cgroup.parent)).collect();
        let mut extents: HashMap<(NamespaceKind, u64), Extent> = HashMap::new();
        let mut lists: Vec<Vec<(NamespaceKind, u64)>> = vec![Vec::new(); parents.len()];
        // Most processes of a cgroup are in the same namespaces.
        let mut known: HashSet<(u32, NamespaceSet)> = HashSet::new();
        for (&pid, resident) in &self.residents {
            let (Some(set), Some(&home)) = (resident.spaces.set, positions.get(&resident.home)) else {
                continue;
            };
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
            let root_uid =
                inodes(NamespaceKind::User).filter_map(|inode| *self.spaces.roots.get(&inode)?).min();
            let pid_depth =
                inodes(NamespaceKind::Pid).filter_map(|inode| *self.spaces.depths.get(&inode)?).max();
            (found.root_uid, found.pid_depth) = (root_uid, pid_depth);
            if found != *node.cgroup.namespaces {
                node.cgroup.namespaces = Arc::new(found);
            }
        }
    }

    /// Learns once of each user namespace who is root in it, and of each pid namespace how deep it is.
    fn learn(&mut self, procfs: &Path, extents: &HashMap<(NamespaceKind, u64), Extent>) {
        let Self { spaces: Survey { roots, depths, .. }, report, .. } = self;
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
