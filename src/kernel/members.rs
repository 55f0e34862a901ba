//! Where one cgroup is, and which processes are in it: for a person who looks at one cgroup.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use procfs::process::Process;

use super::layout::{Hierarchy, Layout};
use super::namespaces::{ProcRoot, nested_pids};
use crate::model::{NamespaceSet, Version};

/// A cgroup's directory in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The hierarchy's name: `unified`, or its v1 controllers.
    pub hierarchy: String,
    /// v1 or v2.
    pub version: Version,
    /// The directory.
    pub directory: PathBuf,
    /// The controllers that can be used there: v2 `cgroup.controllers`, v1 those of the hierarchy.
    pub controllers: Vec<String>,
    /// The controllers that its children have: v2 `cgroup.subtree_control`.
    pub delegated: Vec<String>,
}

/// The directories of the cgroup with this path, in the order of the layout.
#[must_use]
pub fn places(layout: &Layout, path: &[u8]) -> Vec<Place> {
    let relative = Path::new(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
    layout
        .hierarchies
        .iter()
        // Joined to nothing, a path would get a slash at its end.
        .map(|hierarchy| match relative.as_os_str().is_empty() {
            true => (hierarchy, hierarchy.mount.clone()),
            false => (hierarchy, hierarchy.mount.join(relative)),
        })
        .filter(|(_, directory)| directory.is_dir())
        .map(|(hierarchy, directory)| place(hierarchy, directory))
        .collect()
}

fn place(hierarchy: &Hierarchy, directory: PathBuf) -> Place {
    let words = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    let (controllers, delegated) = match hierarchy.version {
        Version::V2 => (words("cgroup.controllers"), words("cgroup.subtree_control")),
        Version::V1 => (hierarchy.controllers.clone(), Vec::new()),
    };
    Place { hierarchy: hierarchy.name(), version: hierarchy.version, directory, controllers, delegated }
}

/// The processes in a directory itself, from `cgroup.procs`. In a threaded v2 cgroup, which lists none, its threads.
///
/// A cgroup that is gone has none.
///
/// # Errors
/// When the list cannot be read.
pub fn pids(directory: &Path) -> Result<Vec<u32>, String> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read_to_string(&path).map_err(|error| (path, error))
    };
    let text = match read("cgroup.procs") {
        Err((_, error)) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => read("cgroup.threads"),
        other => other,
    };
    let text = match text {
        Ok(text) => text,
        Err((_, error)) if is_gone(&error) => return Ok(Vec::new()),
        Err((path, error)) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn is_gone(error: &std::io::Error) -> bool {
    [Errno::ENOENT, Errno::ENODEV].iter().any(|&gone| error.raw_os_error() == Some(gone as i32))
}

/// A process as a list shows it. What cannot be read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub pid: u32,
    /// Its effective user's id.
    pub uid: Option<u32>,
    /// Its user's name.
    pub user: Option<String>,
    /// Its state, a letter as in proc(5): `R` runs, `S` sleeps, `D` waits for a device, `T` is stopped, `Z` has ended.
    pub state: Option<char>,
    /// Resident memory in bytes; a kernel thread has 0.
    pub resident_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Its command line, or its short name in brackets where it has none; as it is, control characters included.
    pub command: Option<String>,
    /// Its namespaces; absent where they may not be read.
    pub namespaces: Option<NamespaceSet>,
    /// Its id in each pid namespace that it is in, the reader's first.
    pub pids: Vec<u32>,
}

/// What `/proc/PID` tells; nothing where the process has ended.
#[must_use]
pub fn member(procfs: &Path, pid: u32) -> Option<Member> {
    let process = Process::new_with_root(procfs.join(pid.to_string())).ok()?;
    let stat = process.stat().ok();
    let stat = stat.as_ref();
    let uid = process.uid().ok();
    let command = match process.cmdline() {
        Ok(words) if !words.is_empty() => Some(words.join(" ")),
        _ => stat.map(|stat| format!("[{}]", stat.comm)),
    };
    Some(Member {
        pid,
        uid,
        user: uid.and_then(user_name),
        state: stat.map(|stat| stat.state),
        resident_bytes: stat.map(|stat| stat.rss.saturating_mul(procfs::page_size())),
        threads: stat.and_then(|stat| u64::try_from(stat.num_threads).ok()),
        command,
        namespaces: ProcRoot::open(procfs).ok().and_then(|root| root.namespaces(pid).ok()),
        pids: nested_pids(procfs, pid).unwrap_or_default(),
    })
}

/// The name of a user of this host.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told() {
        let me = member(Path::new("/proc"), std::process::id()).expect("this process");
        assert!(me.resident_bytes > Some(0) && me.threads > Some(0), "{me:?}");
        assert_eq!(me.uid, Some(nix::unistd::geteuid().as_raw()));
        assert!(me.command.is_some_and(|command| command.contains("stockade")));
        assert_eq!(member(Path::new("/proc"), u32::MAX), None);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().expect("tempdir");
        let list = directory.path().join("cgroup.procs");
        assert_eq!(pids(directory.path()), Ok(vec![]), "the cgroup is gone");
        std::fs::create_dir(&list).expect("no list");
        let error = pids(directory.path()).expect_err("no list");
        assert!(error.contains("cgroup.procs"), "{error}");
        std::fs::remove_dir(&list).expect("removed");
        std::fs::write(&list, "7\n12\n").expect("a list");
        assert_eq!(pids(directory.path()), Ok(vec![7, 12]));
    }
}
