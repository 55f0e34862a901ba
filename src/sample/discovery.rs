//! Which cgroups come and go.
//!
//! Nothing here believes a message: whatever is said to have come or gone is looked at, so that messages may be late,
//! doubled or lost. A directory's link count tells whether children came or went without listing it.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::news::News;
use super::reader::Presence;
use super::sampler::{Sampler, adopt_id, now};
use super::tree::{Node, NodeId, child_path, newborn};
use crate::identify::identify;
use crate::kernel::dir::{Directory, ReadError, child_directories, directory_state, open_directory};
use crate::model::{Collector, FaultKind, parent_path, path_depth};

impl Sampler {
    /// Compares the hierarchies that are to be walked again with the kernel's: finds what came, buries what went.
    pub(super) fn reconcile(&mut self) {
        let lost = std::mem::take(&mut self.rescan);
        for hierarchy in (0..self.reader.roots.len()).filter(|hierarchy| lost & (1 << hierarchy) != 0) {
            self.discover(hierarchy, b"/");
            self.tree.sort();
            // The last in the order are looked at first: children before their parents.
            let nodes = self.tree.order().to_vec();
            self.explore(hierarchy, nodes);
        }
    }

    /// Compares these cgroups, and what is found below them, with the kernel's directories; the last is looked at first.
    pub(super) fn explore(&mut self, hierarchy: usize, mut nodes: Vec<NodeId>) {
        while let Some(id) = nodes.pop() {
            let Some(node) = self.tree.get(id) else { continue };
            let Some(directory) = &node.directories[hierarchy] else { continue };
            let (path, known) = (Arc::clone(&node.cgroup.identity), node.children[hierarchy]);
            let path = &*path.path;
            match directory_state(self.reader.roots[hierarchy].as_fd(), path) {
                Ok((inode, _)) if inode != directory.id => {
                    self.lose_directory(id, hierarchy);
                    nodes.extend(self.discover(hierarchy, path));
                }
                Ok((_, children)) => {
                    let deepest = path_depth(path) >= self.settings.filter.max_depth();
                    if !deepest && children != Some(known) {
                        self.list(hierarchy, path, &mut nodes);
                    }
                }
                Err(Errno::ENOENT | Errno::ENODEV | Errno::ENOTDIR) => self.lose_directory(id, hierarchy),
                Err(errno) => self.missed(hierarchy, path, errno),
            }
        }
    }

    /// A directory could not be looked at. For want of descriptors or memory it is looked for again at the next pass, as
    /// nobody will tell of it again; what has ended is no fault.
    fn missed(&mut self, hierarchy: usize, path: &[u8], errno: Errno) {
        let error = ReadError::Os(errno);
        let kind = error.kind();
        if kind == FaultKind::Vanished || errno == Errno::ENOTDIR {
            return;
        }
        self.reader.faults.count("directory", kind, path, &errno.desc());
        self.reader.collectors[Collector::Core as usize].faults += 1;
        if error.is_shortage() {
            self.rescan |= 1 << hierarchy;
        }
    }

    fn list(&mut self, hierarchy: usize, path: &[u8], found: &mut Vec<NodeId>) {
        let names = match child_directories(self.reader.roots[hierarchy].as_fd(), path) {
            Ok(names) => names,
            Err(errno) => return self.missed(hierarchy, path, errno),
        };
        for name in names {
            let child = child_path(path, &name);
            let known = self.tree.at(&child).is_some_and(|id| {
                self.tree.get(id).is_some_and(|node| node.directories[hierarchy].is_some())
            });
            if !known {
                found.extend(self.discover(hierarchy, &child));
            }
        }
    }

    /// The cgroup at this path in this hierarchy: known, new, or new under an old path.
    pub(super) fn discover(&mut self, hierarchy: usize, path: &[u8]) -> Option<NodeId> {
        let inode = match open_directory(self.reader.roots[hierarchy].as_fd(), path) {
            Ok((_, inode)) => inode,
            Err(errno) => {
                self.missed(hierarchy, path, errno);
                return None;
            }
        };
        if let Some(id) = self.tree.at(path) {
            let node = self.tree.get(id)?;
            let known = node.directories[hierarchy].as_ref().map(|directory| directory.id);
            if known == Some(inode) {
                return Some(id);
            }
            if node.id_hierarchy != hierarchy {
                self.enter(id, hierarchy, inode);
                return Some(id);
            }
            // Another directory where its identity was: this is another cgroup.
            self.lose_directory(id, hierarchy);
            if self.tree.at(path).is_some() {
                self.bury(id);
            }
        }
        if let Some(parent) = parent_path(path)
            && self.tree.at(parent).is_none()
        {
            self.discover(hierarchy, parent)?;
        }
        self.birth(hierarchy, inode, path)
    }

    fn birth(&mut self, hierarchy: usize, inode: u64, path: &[u8]) -> Option<NodeId> {
        let roots = &self.reader.roots;
        let found: Vec<(usize, u64)> = (0..roots.len())
            .filter_map(|other| {
                if other == hierarchy {
                    return Some((hierarchy, inode));
                }
                directory_state(roots[other].as_fd(), path).ok().map(|(inode, _)| (other, inode))
            })
            .collect();
        // The first hierarchy that has it gives the kernel id.
        let &(id_hierarchy, kernel_id) = found.first()?;
        let hidden = !self.settings.filter.admits(path);
        let cgroup = newborn(identify(path, kernel_id), hidden, self.next_rank, now());
        self.next_rank += 1;
        let id = self.tree.insert(cgroup, id_hierarchy, self.reader.roots.len());
        for (hierarchy, inode) in found {
            self.attach(id, hierarchy, inode);
        }
        self.report.births += 1;
        let node = self.tree.get_mut(id)?;
        self.reader.controls(node, None, None);
        self.reader.numbers(node, &self.everything.files);
        self.meet(id);
        let node = self.tree.get(id)?;
        self.gazette.add(|| News::Born(Arc::clone(&node.cgroup.identity)));
        Some(id)
    }

    /// A known cgroup has a directory in one hierarchy more, or another one than before: nothing of the old one stays.
    ///
    /// Where it had none, those of its descendants may be known already: whoever makes a cgroup makes it in one hierarchy
    /// after the other, and what is below it may have been found through another one.
    fn enter(&mut self, id: NodeId, hierarchy: usize, inode: u64) {
        if self.tree.get(id).is_some_and(|node| node.directories[hierarchy].is_some()) {
            self.lose_descendants(id, hierarchy);
            self.leave(id, hierarchy);
        }
        if let Some(node) = self.tree.get_mut(id)
            && (node.lost | node.left) & (1 << hierarchy) != 0
        {
            self.reader.forget(node, hierarchy);
        }
        self.attach(id, hierarchy, inode);
        if let Some(node) = self.tree.get_mut(id) {
            adopt_id(node);
            self.reader.controls(node, Some(hierarchy), None);
            node.stale = true;
        }
    }

    fn attach(&mut self, id: NodeId, hierarchy: usize, inode: u64) {
        if let Some(identity) = self.tree.get(id).map(|node| Arc::clone(&node.cgroup.identity)) {
            // Before its children are listed, so that none is missed.
            self.watch_directory(hierarchy, inode, &identity);
        }
        let files = self.reader.catalog[hierarchy].len();
        self.tree.set_directory(id, hierarchy, Directory::new(inode, files), &mut self.reader.budget);
    }

    /// A cgroup has no directory in this hierarchy any more. What was last read there stands for one more publication;
    /// without any directory left, the cgroup is dead.
    pub(super) fn lose_directory(&mut self, id: NodeId, hierarchy: usize) {
        self.lose_descendants(id, hierarchy);
        self.leave(id, hierarchy);
        let left = self.tree.get(id).is_some_and(|node| node.first_hierarchy().is_some());
        if !left {
            self.bury(id);
        }
    }

    /// What was below a directory that went is not under its path any more. The kernel removes only empty directories
    /// and tells of each; but it renames whole trees (v1), and tells of the topmost one.
    fn lose_descendants(&mut self, id: NodeId, hierarchy: usize) {
        if self.tree.get(id).is_none_or(|node| node.children[hierarchy] == 0) {
            return;
        }
        for below in self.tree.descendants(id) {
            if self.tree.get(below).is_some_and(|node| node.directories[hierarchy].is_some()) {
                self.lose_directory(below, hierarchy);
            }
        }
    }

    /// Loses the directory if it is really gone.
    pub(super) fn verify(&mut self, id: NodeId, hierarchy: usize) {
        let Some(node) = self.tree.get(id) else { return };
        let Some(directory) = &node.directories[hierarchy] else { return };
        if self.reader.presence(hierarchy, node.path(), directory.id) == Presence::Gone {
            self.lose_directory(id, hierarchy);
        }
    }

    /// Lets go of a directory, if the cgroup has one in this hierarchy.
    fn leave(&mut self, id: NodeId, hierarchy: usize) {
        let inode =
            self.tree.get(id).and_then(|node| node.directories[hierarchy].as_ref()).map(|found| found.id);
        if let Some(inode) = inode {
            self.unwatch(hierarchy, inode);
            self.tree.clear_directory(id, hierarchy, &mut self.reader.budget);
        }
    }

    /// Takes a cgroup out of the tree and lets go of all its directories.
    pub(super) fn take_out(&mut self, id: NodeId) -> Option<Node> {
        for hierarchy in 0..self.reader.roots.len() {
            self.leave(id, hierarchy);
        }
        self.tree.remove(id, &mut self.reader.budget)
    }

    fn bury(&mut self, id: NodeId) {
        // Who lived shorter than an interval is shown with its name, too.
        self.hear(Duration::ZERO);
        let Some(node) = self.take_out(id) else { return };
        self.report.deaths += 1;
        if !node.cgroup.hidden {
            let mut cgroup = node.cgroup;
            cgroup.ended = Some(now());
            cgroup.parent = None;
            self.linger.add(cgroup, self.settings.max_dead);
        }
    }
}
