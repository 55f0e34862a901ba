//! Which cgroups there are, by path and by directory.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kernel::dir::{Budget, Directory};
use crate::model::{Cgroup, Identity, parent_path};

/// A node's place in the tree; places are used again.
pub type NodeId = usize;

/// One cgroup: its directory in each hierarchy that has it, and its newest numbers.
#[derive(Debug)]
pub struct Node {
    /// What the snapshots show of it.
    pub cgroup: Cgroup,
    /// Its directory in each hierarchy, in the layout's order.
    pub directories: Vec<Option<Directory>>,
    /// How many children it has in each hierarchy.
    pub children: Vec<u32>,
    /// The hierarchy whose directory gives the kernel id.
    pub id_hierarchy: usize,
    /// Hierarchies whose directory went since the last pass, one bit each. Their last numbers stand in the next
    /// snapshot: who removes a cgroup removes it from one hierarchy after the other.
    pub lost: u32,
    /// Those that went before the last pass, and whose numbers go in the next.
    pub left: u32,
    /// Where it stands in the sorted order.
    pub position: u32,
    /// Its files may have come or gone, or changed unnoticed: the next pass reads all of them, controls included.
    pub stale: bool,
}

impl Node {
    /// The first hierarchy that has it.
    #[must_use]
    pub fn first_hierarchy(&self) -> Option<usize> {
        self.directories.iter().position(Option::is_some)
    }

    /// Its path below each hierarchy's root.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.cgroup.identity.path
    }
}

/// Every cgroup that is known to live.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    by_path: HashMap<Arc<[u8]>, NodeId>,
    by_directory: HashMap<(usize, u64), NodeId>,
    order: Vec<NodeId>,
    order_is_stale: bool,
}

impl Tree {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// The node at a path.
    #[must_use]
    pub fn at(&self, path: &[u8]) -> Option<NodeId> {
        self.by_path.get(path).copied()
    }

    /// The node whose directory in this hierarchy has this inode.
    #[must_use]
    pub fn of_directory(&self, hierarchy: usize, id: u64) -> Option<NodeId> {
        self.by_directory.get(&(hierarchy, id)).copied()
    }

    /// One node.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id).and_then(Option::as_ref)
    }

    /// One node, to be changed.
    pub fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id).and_then(Option::as_mut)
    }

    /// Takes in a new cgroup that has no directory yet and gets its kernel id from this hierarchy.
    pub fn insert(&mut self, cgroup: Cgroup, id_hierarchy: usize, hierarchies: usize) -> NodeId {
        let path: Arc<[u8]> = Arc::from(&*cgroup.identity.path);
        let node = Node {
            cgroup,
            directories: (0..hierarchies).map(|_| None).collect(),
            children: vec![0; hierarchies],
            id_hierarchy,
            lost: 0,
            left: 0,
            position: 0,
            stale: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        };
        self.by_path.insert(path, id);
        self.order_is_stale = true;
        id
    }

    /// Gives a node its directory in a hierarchy, taking the place of one it had.
    pub fn set_directory(&mut self, id: NodeId, hierarchy: usize, directory: Directory, budget: &mut Budget) {
        self.clear_directory(id, hierarchy, budget);
        self.by_directory.insert((hierarchy, directory.id), id);
        if let Some(node) = self.get_mut(id) {
            node.directories[hierarchy] = Some(directory);
            node.lost &= !(1 << hierarchy);
            node.left &= !(1 << hierarchy);
        }
        if let Some(parent) = self.parent_of(id) {
            parent.children[hierarchy] += 1;
        }
    }

    fn parent_of(&mut self, id: NodeId) -> Option<&mut Node> {
        let parent = self.at(parent_path(self.get(id)?.path())?)?;
        self.get_mut(parent)
    }

    /// What is below a node, the deepest first.
    #[must_use]
    pub fn descendants(&self, id: NodeId) -> Vec<NodeId> {
        let Some(above) = self.get(id).map(Node::path) else { return Vec::new() };
        let below = |path: &[u8]| match path.strip_prefix(above) {
            Some(rest) => path != above && (above == b"/" || rest.starts_with(b"/")),
            None => false,
        };
        let mut found: Vec<_> = self.by_path.iter().filter(|(path, _)| below(path)).collect();
        found.sort_unstable_by(|a, b| b.0.cmp(a.0));
        found.into_iter().map(|(_, &id)| id).collect()
    }

    /// Takes a node's directory in a hierarchy away and closes what was held there.
    pub fn clear_directory(&mut self, id: NodeId, hierarchy: usize, budget: &mut Budget) {
        let taken = self.get_mut(id).and_then(|node| node.directories[hierarchy].take());
        if let Some(mut directory) = taken {
            directory.close(budget);
            // A renamed directory is another node's by now.
            if self.of_directory(hierarchy, directory.id) == Some(id) {
                self.by_directory.remove(&(hierarchy, directory.id));
            }
            if let Some(node) = self.get_mut(id) {
                node.lost |= 1 << hierarchy;
            }
            if let Some(parent) = self.parent_of(id) {
                parent.children[hierarchy] = parent.children[hierarchy].saturating_sub(1);
            }
        }
    }

    /// Takes a node out.
    pub fn remove(&mut self, id: NodeId, budget: &mut Budget) -> Option<Node> {
        let hierarchies = self.get(id)?.directories.len();
        for hierarchy in 0..hierarchies {
            self.clear_directory(id, hierarchy, budget);
        }
        let node = self.nodes.get_mut(id)?.take()?;
        self.by_path.remove(node.path());
        self.free.push(id);
        self.order_is_stale = true;
        Some(node)
    }

    /// Gives back the memory of a flood that has ebbed: those that are left get new places, close together.
    fn release(&mut self) {
        if self.nodes.len() / 4 <= self.len() + 1024 {
            return;
        }
        let mut places: Vec<NodeId> = vec![0; self.nodes.len()];
        let mut left = Vec::with_capacity(self.len());
        for (old, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            places[old] = left.len();
            left.extend(node.map(Some));
        }
        self.nodes = left;
        self.by_path.values_mut().chain(self.by_directory.values_mut()).for_each(|id| *id = places[*id]);
        self.by_path.shrink_to_fit();
        self.by_directory.shrink_to_fit();
        (self.free, self.order) = (Vec::new(), Vec::new());
    }

    /// Puts the nodes in order again if some came or went. Places that were known before may be others' afterwards.
    pub fn sort(&mut self) {
        if !self.order_is_stale {
            return;
        }
        self.release();
        self.order.clear();
        self.order.extend(self.by_path.values());
        let nodes = &self.nodes;
        let path = |id: NodeId| nodes[id].as_ref().map_or(&[][..], Node::path);
        self.order.sort_unstable_by(|&a, &b| path(a).cmp(path(b)));
        for (position, &id) in (0u32..).zip(&self.order) {
            if let Some(node) = &mut self.nodes[id] {
                node.position = position;
            }
        }
        for at in 0..self.order.len() {
            let id = self.order[at];
            let position = self.parent_of(id).map(|parent| parent.position);
            if let Some(node) = &mut self.nodes[id] {
                node.cgroup.parent = position;
            }
        }
        self.order_is_stale = false;
    }

    /// The nodes as last sorted by path: a parent before its children.
    #[must_use]
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// Where a node stands in that order; one that was taken out stands nowhere.
    #[must_use]
    pub fn place(&self, id: NodeId) -> Option<usize> {
        let place = self.get(id)?.position as usize;
        (self.order.get(place) == Some(&id)).then_some(place)
    }

    /// Every node, to be changed, in no order.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut().flatten()
    }

    /// Where every node is, in no order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.by_path.values().copied()
    }
}

/// The path of a child.
#[must_use]
pub fn child_path(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + name.len() + 1);
    if parent != b"/" {
        path.extend_from_slice(parent);
    }
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

/// A cgroup of which nothing has been read yet.
#[must_use]
pub fn newborn(identity: Identity, hidden: bool, rank: u64, at: std::time::Duration) -> Cgroup {
    Cgroup {
        identity: Arc::new(identity),
        parent: None,
        hidden,
        rank,
        born: at,
        sampled: at,
        ended: None,
        readings: crate::model::Readings::default(),
        controls: Arc::default(),
        namespaces: Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Owner;

    fn cgroup(path: &str, id: u64) -> Cgroup {
        let identity =
            Identity { path: path.as_bytes().into(), display: path.into(), id, owner: Owner::default() };
        newborn(identity, false, id, Duration::ZERO)
    }

    #[test]
    fn parents_stand_before_children_and_places_are_used_again() {
        let (mut tree, mut budget) = (Tree::default(), Budget::new(10));
        for (id, path) in (1..).zip(["/", "/b", "/a", "/a/c"]) {
            let node = tree.insert(cgroup(path, id), 0, 2);
            tree.set_directory(node, 0, Directory::new(id, 0), &mut budget);
        }
        let paths = |tree: &mut Tree| -> Vec<String> {
            tree.sort();
            tree.order()
                .iter()
                .map(|&id| tree.get(id).expect("a node").cgroup.identity.display.to_string())
                .collect()
        };
        assert_eq!(paths(&mut tree), ["/", "/a", "/a/c", "/b"]);
        let c = tree.at(b"/a/c").expect("a node");
        assert_eq!(tree.get(c).and_then(|node| node.cgroup.parent), Some(1));
        assert_eq!(tree.of_directory(0, 4), Some(c));
        let a = tree.at(b"/a").expect("a node");
        assert_eq!(tree.get(a).map(|node| node.children[0]), Some(1));

        assert!(tree.remove(c, &mut budget).is_some());
        assert_eq!((tree.at(b"/a/c"), tree.of_directory(0, 4)), (None, None));
        assert_eq!(tree.insert(cgroup("/d", 9), 0, 2), c);
        assert_eq!(paths(&mut tree), ["/", "/a", "/b", "/d"]);
    }

    #[test]
    fn the_places_of_a_flood_are_given_back() {
        let (mut tree, mut budget) = (Tree::default(), Budget::new(10));
        let all: Vec<NodeId> =
            (0..10_000).map(|id| tree.insert(cgroup(&format!("/{id}"), id), 0, 1)).collect();
        tree.sort();
        for &id in &all[3..] {
            tree.remove(id, &mut budget);
        }
        tree.sort();
        assert_eq!((tree.len(), tree.nodes.len(), tree.free.len()), (3, 3, 0));
        assert_eq!(tree.insert(cgroup("/new", 1), 0, 1), 3);
        assert!(tree.get(all[2]).is_some());
    }

    #[test]
    fn one_that_was_born_last_does_not_hold_the_places_of_a_flood() {
        let (mut tree, mut budget) = (Tree::default(), Budget::new(10));
        let all: Vec<NodeId> = (0..10_000)
            .map(|id| {
                let node = tree.insert(cgroup(&format!("/{id}"), id), 0, 1);
                tree.set_directory(node, 0, Directory::new(id, 0), &mut budget);
                node
            })
            .collect();
        for &id in &all[..9_999] {
            tree.remove(id, &mut budget);
        }
        tree.sort();
        assert!(tree.nodes.capacity() < 100, "{}", tree.nodes.capacity());
        let last = tree.at(b"/9999").expect("it lives");
        assert_eq!(tree.of_directory(0, 9_999), Some(last));
        assert_eq!(tree.get(last).map(|node| node.cgroup.identity.id), Some(9_999));
        assert_eq!(tree.order(), [last]);
    }

    #[test]
    fn paths_of_children() {
        assert_eq!(child_path(b"/", b"a"), b"/a");
        assert_eq!(child_path(b"/a", b"b"), b"/a/b");
    }
}
