//! What is found out of a cgroup's owner after its birth: who owns the directory, what its runtime calls it.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::enrich::{Answer, Enricher};
use super::sampler::{Sampler, now};
use super::tree::NodeId;
use crate::identify::owned_by;
use crate::kernel::dir::directory_owner;
use crate::model::{FaultKind, Identity, Owner, OwnerLabel};

/// Whoever makes a directory gives it away after that, if at all; then its owner is looked at again.
const SETTLED: Duration = Duration::from_secs(1);
/// How long the first pass waits for what is in files, so that who looks only once sees it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many directories may wait for that.
const MOST_UNSETTLED: usize = 65_536;

/// What is still to be found out.
#[derive(Debug)]
pub struct Learning {
    enricher: Enricher,
    /// Those whose directory may yet be given to a user, the oldest first: when they were met, rank and identity.
    unsettled: VecDeque<(Duration, u64, Arc<Identity>)>,
}

impl Learning {
    /// The runtimes' files are below this root of the host's.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { enricher: Enricher::new(root), unsettled: VecDeque::new() }
    }
}

impl Sampler {
    /// Finds out more of a new cgroup than its path tells.
    pub(super) fn meet(&mut self, id: NodeId) {
        self.look_at_owner(id);
        let Some(node) = self.tree.get(id) else { return };
        let (rank, identity) = (node.cgroup.rank, Arc::clone(&node.cgroup.identity));
        if identity.owner.get(OwnerLabel::User).is_none() && self.learning.unsettled.len() < MOST_UNSETTLED {
            self.learning.unsettled.push_back((now(), rank, Arc::clone(&identity)));
        }
        if !self.learning.enricher.ask(rank, &identity) {
            let detail = "too many new containers at once: the names of some stay unknown";
            self.reader.faults.count("owners", FaultKind::TooLong, &identity.path, &detail);
        }
    }

    /// Takes in what has been found out since the last pass.
    pub(super) fn learn(&mut self) {
        while let Some((met, ..)) = self.learning.unsettled.front()
            && *met + SETTLED <= now()
        {
            let Some((_, rank, identity)) = self.learning.unsettled.pop_front() else { break };
            if let Some(id) = self.same(rank, &identity) {
                self.look_at_owner(id);
            }
        }
        self.hear(if self.sequence == 0 { PATIENCE } else { Duration::ZERO });
    }

    /// Takes in what the runtimes' files said; waits so long for the first answer to each question.
    pub(super) fn hear(&mut self, patience: Duration) {
        for answer in self.learning.enricher.answers(patience) {
            match answer {
                Answer::Looked { rank, identity, owner, .. } => {
                    if let Some(id) = self.same(rank, &identity) {
                        self.know(id, &owner);
                    }
                }
                Answer::Fault { source, kind, identity, detail } => {
                    self.reader.faults.count(source, kind, &identity.path, &detail);
                }
            }
        }
    }

    /// The cgroup, if it still is the one that was met.
    fn same(&self, rank: u64, identity: &Identity) -> Option<NodeId> {
        let id = self.tree.at(&identity.path)?;
        self.tree.get(id).filter(|node| node.cgroup.rank == rank).map(|_| id)
    }

    fn look_at_owner(&mut self, id: NodeId) {
        let Some(node) = self.tree.get(id) else { return };
        let Some(root) = self.reader.roots.get(node.id_hierarchy) else { return };
        // A cgroup that has ended meanwhile has no owner, which others will notice.
        let owner_of = |path: &[u8]| directory_owner(root.as_fd(), path);
        let (Ok(uid), Ok(of_root)) = (owner_of(node.path()), owner_of(b"/")) else { return };
        let mut owner = node.cgroup.identity.owner.clone();
        owned_by(uid, of_root, &mut owner);
        self.know(id, &owner);
    }

    /// Adds what is new in an owner to what is known of a cgroup's. Snapshots that were published stay as they are.
    fn know(&mut self, id: NodeId, more: &Owner) {
        let Some(node) = self.tree.get_mut(id) else { return };
        let mut owner = node.cgroup.identity.owner.clone();
        for &label in OwnerLabel::ALL {
            if owner.get(label).is_none() {
                owner.set(label, more.get(label));
            }
        }
        if owner != node.cgroup.identity.owner {
            node.cgroup.identity = Arc::new(Identity { owner, ..(*node.cgroup.identity).clone() });
        }
    }
}
