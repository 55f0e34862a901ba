//! Processes that have ended and were not waited for.
//!
//! No list of a cgroup has them: v2 leaves them out, and so does v1 since Linux 5.2, a second late. So `/proc` is listed, without a look
//! into what the lists have. Of who is left, `/proc/PID/cgroup` tells the cgroup in v2. In v1 it says `/` of everybody who
//! has ended: there, who was seen to live counts where it lived, and who was not is counted for the host alone.

use std::collections::HashMap;

use super::{Census, Resident, fault};
use crate::model::{Collector, TaskState};
use crate::sample::reader::Reader;
use crate::sample::tree::{NodeId, Tree};

/// One of them.
#[derive(Debug)]
struct Zombie {
    inode: u64,
    /// Where it lived, and that cgroup's place in the order of births: another can come to stand there.
    home: Option<(NodeId, u64)>,
    seen: u64,
}

/// Those that there are.
#[derive(Debug, Default)]
pub struct Survey {
    known: HashMap<u32, Zombie>,
}

impl Survey {
    /// Where each of them is counted: the cgroup's place in the order, none where it is gone or not known.
    pub fn homes(&self, tree: &Tree) -> impl Iterator<Item = Option<usize>> {
        self.known.values().map(|zombie| {
            let (id, rank) = zombie.home?;
            (tree.get(id)?.cgroup.rank == rank).then(|| tree.place(id)).flatten()
        })
    }
}

impl Census {
    /// Looks for those whom no cgroup lists. `departed` were listed at the last pass.
    pub(super) fn find_zombies(
        &mut self,
        departed: &HashMap<u32, Resident>,
        tree: &Tree,
        reader: &mut Reader,
    ) {
        let Self { root: Some(root), residents, zombies: Survey { known }, pass, .. } = self else { return };
        let mut unlisted = Vec::new();
        let listed = root.pids(|pid| {
            if !residents.contains_key(&pid) {
                unlisted.push(pid);
            }
        });
        if let Err(why) = listed {
            fault("/proc", Collector::Zombies, why, None, reader);
            return;
        }
        for pid in unlisted {
            let Some(inode) = root.identity(pid) else { continue };
            if let Some(zombie) = known.get_mut(&pid)
                && zombie.inode == inode
            {
                zombie.seen = *pass;
                continue;
            }
            reader.collectors[Collector::Zombies as usize].reads += 1;
            // Who is not among them was born since the lists were read.
            if !root.process(pid).is_ok_and(|stat| stat.state == TaskState::Zombie) {
                continue;
            }
            let same = departed.get(&pid).filter(|resident| resident.inode == inode);
            let lived = same.map(|resident| (resident.home, resident.birth));
            let unified_only = reader.roots.len() == 1 && reader.unified.is_some();
            let told = || {
                // Beside v1's hierarchies the root can mean that the process was in v1's alone.
                let path = root.unified_cgroup(pid).filter(|path| unified_only || path != b"/")?;
                let id = tree.at(&path)?;
                Some((id, tree.get(id)?.cgroup.rank))
            };
            // What v2 says is newer, and v1 says nothing.
            let home = if unified_only { told() } else { lived.or_else(told) };
            known.insert(pid, Zombie { inode, home, seen: *pass });
        }
        known.retain(|_, zombie| zombie.seen == *pass);
    }
}
