//! One process: which cgroups it is in.

use std::path::Path;

use procfs::process::Process;

/// A process's place in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The controllers of the hierarchy; empty for v2.
    pub controllers: Vec<String>,
    /// The cgroup's path.
    pub path: String,
}

/// The cgroups of a process, one for each hierarchy, from `/proc/PID/cgroup`.
///
/// # Errors
/// Where there is no such process, or its file cannot be read.
pub fn memberships(procfs: &Path, pid: u32) -> Result<Vec<Membership>, String> {
    let path = procfs.join(pid.to_string());
    let groups =
        Process::new_with_root(path.clone()).and_then(|process| process.cgroups()).map_err(|error| {
            format!("cannot read {}/cgroup: {error}; is there a process {pid}?", path.display())
        })?;
    Ok(groups
        .0
        .into_iter()
        .map(|group| Membership {
            controllers: group.controllers.into_iter().filter(|name| !name.is_empty()).collect(),
            path: group.pathname,
        })
        .collect())
}
