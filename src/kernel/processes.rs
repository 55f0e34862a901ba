//! Every process of this host, walked once: for a person who looks at namespaces.

use std::collections::BTreeMap;
use std::path::Path;

use procfs::process::Process;

use super::namespaces::{ProcRoot, Unread};
use crate::model::NamespaceSet;

/// A process and its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Its parent's id; 0 where that is outside of this pid namespace.
    pub parent: u32,
    /// Its namespaces.
    pub namespaces: NamespaceSet,
}

/// What a walk over a proc file system found.
#[derive(Debug, Default)]
pub struct Walk {
    /// The processes whose namespaces could be read, by id.
    pub residents: BTreeMap<u32, Resident>,
    /// How many there are whose namespaces may not be read.
    pub unreadable: usize,
}

/// Walks over every process. Those that end meanwhile are left out.
///
/// # Errors
/// Where the file system cannot be listed.
pub fn walk(procfs: &Path) -> Result<Walk, String> {
    let failed =
        |error: std::io::Error| format!("cannot list {}: {error}; correct --path.procfs", procfs.display());
    let root = ProcRoot::open(procfs).map_err(failed)?;
    let mut walk = Walk::default();
    for entry in std::fs::read_dir(procfs).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        match root.namespaces(pid) {
            Ok(namespaces) => {
                let parent = parent(procfs, pid).unwrap_or(0);
                walk.residents.insert(pid, Resident { parent, namespaces });
            }
            Err(Unread::Denied | Unread::Shortage | Unread::Malformed) => walk.unreadable += 1,
            Err(Unread::Ended) => {}
        }
    }
    Ok(walk)
}

fn parent(procfs: &Path, pid: u32) -> Option<u32> {
    let stat = Process::new_with_root(procfs.join(pid.to_string())).ok()?.stat().ok()?;
    u32::try_from(stat.ppid).ok()
}
