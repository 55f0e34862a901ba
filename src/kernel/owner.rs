//! What is known of a cgroup before anything is done to it: whose it is, and who lives in it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::fstat;
use procfs::process::{Process, StatFlags};
use rustix::fs::fgetxattr;

use super::control::{ControlError, Target, open_child, visit_below};
use super::layout::{Hierarchy, Layout, Paths};
use crate::model::Version;

/// Extended attributes by which a cgroup's owner says that somebody else manages what is below it.
const DELEGATE: [&str; 2] = ["trusted.delegate", "user.delegate"];

/// A hierarchy of the layout, by number, and a path in it.
type Membership = (usize, Box<[u8]>);

/// Whom the owner has handed a cgroup to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delegation {
    /// Nobody.
    None,
    /// It is the top of a delegated subtree: what is below it is handed over, its own limits stay the owner's.
    Top,
    /// It is inside a delegated subtree.
    Inside,
}

/// The paths of the cgroups that this program is in, in any hierarchy.
///
/// # Errors
/// When `/proc/self/cgroup` cannot be read.
pub fn own_cgroups(layout: &Layout, procfs: &Path) -> Result<BTreeSet<Box<[u8]>>, String> {
    cgroups_of(layout, procfs, "self")
}

/// The paths of the cgroups that PID 1 is in, in any hierarchy.
///
/// # Errors
/// When `/proc/1/cgroup` cannot be read.
pub fn init_cgroups(layout: &Layout, procfs: &Path) -> Result<BTreeSet<Box<[u8]>>, String> {
    cgroups_of(layout, procfs, "1")
}

/// The paths of the cgroups that hold a kernel thread, in any hierarchy. It looks at every process of the host.
///
/// # Errors
/// When the processes cannot be listed.
pub fn kernel_thread_cgroups(layout: &Layout, procfs: &Path) -> Result<BTreeSet<Box<[u8]>>, String> {
    let processes = std::fs::read_dir(procfs)
        .map_err(|error| format!("cannot list {}: {error}; correct --path.procfs", procfs.display()))?;
    let mut found = BTreeSet::new();
    for name in processes.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let is_process = name.bytes().all(|byte| byte.is_ascii_digit());
        // One that has ended since is no matter.
        if is_process && is_kernel_thread(procfs, &name) {
            found.extend(cgroups_of(layout, procfs, &name).unwrap_or_default());
        }
    }
    Ok(found)
}

/// The host's `/run`: below the host's root where that is given, else below the root of the host's PID 1 where another proc
/// file system than the program's own is given. In a container the program's own `/run` says nothing.
#[must_use]
pub fn run(paths: &Paths) -> PathBuf {
    if paths.root != Path::new("/") {
        paths.root.join("run")
    } else if paths.procfs != Path::new("/proc") {
        paths.procfs.join("1/root/run")
    } else {
        "/run".into()
    }
}

/// Whether systemd is the host's service manager, as `sd_booted(3)` tells it.
#[must_use]
pub fn systemd_is_running(paths: &Paths) -> bool {
    run(paths).join("systemd/system").is_dir()
}

impl Target {
    /// Whether its owner has handed it, or a cgroup above it, to somebody else.
    #[must_use]
    pub fn delegation(&self) -> Delegation {
        let mut found = Delegation::None;
        for place in &self.places {
            if is_delegated(place.directory.as_fd()) {
                found = Delegation::Top;
            }
            let mut directory: Option<OwnedFd> = None;
            for _ in 1..self.identity.depth() {
                let above = open_child(directory.as_ref().unwrap_or(&place.directory).as_fd(), b"..");
                let Ok(above) = above else { break };
                if is_delegated(above.as_fd()) {
                    return Delegation::Inside;
                }
                directory = Some(above);
            }
        }
        found
    }

    /// The paths of all cgroups below it that there are now, in any hierarchy.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn below(&self) -> Result<BTreeSet<Box<[u8]>>, ControlError> {
        let mut found = BTreeSet::new();
        for place in &self.places {
            visit_below(place, 0, &mut |child| {
                let rest = child.shown.strip_prefix(&place.shown).unwrap_or(&child.shown);
                found.insert([&*self.identity.path, b"/", rest.as_os_str().as_bytes()].concat().into());
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// The user that owns its directory: on the v2 side where it has one, else in its first v1 hierarchy.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn owner_uid(&self) -> Result<u32, ControlError> {
        let place = self.places.first().ok_or(ControlError::Vanished)?;
        fstat(&place.directory).map(|stat| stat.st_uid).map_err(|errno| place.failure(".", "", errno))
    }

    /// How many kernel threads, and how many other processes, are in it and below it.
    ///
    /// # Errors
    /// See [`Target::processes`].
    pub fn kernel_threads(&self) -> Result<(usize, usize), ControlError> {
        let processes = self.processes()?;
        let kernel =
            processes.iter().filter(|pid| is_kernel_thread(&self.host.procfs, &pid.to_string())).count();
        Ok((kernel, processes.len() - kernel))
    }
}

/// Who must not be stopped and is in this cgroup or below it, by its path in the same hierarchy.
pub(super) fn held_by(target: &Target) -> Option<&'static str> {
    let path = &*target.identity.path;
    if path == b"/" {
        return Some("the whole host");
    }
    let host = &target.host;
    for (who, name) in [("self", "this program itself"), ("1", "PID 1")] {
        // Who cannot be looked for may be there.
        let Ok(memberships) = memberships(&host.layout, &host.procfs, who) else { return Some(name) };
        let inside = memberships.iter().any(|(hierarchy, its)| {
            let below = its.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
            below && target.places.iter().any(|place| place.hierarchy == *hierarchy)
        });
        if inside {
            return Some(name);
        }
    }
    None
}

/// Whether a process is one of the kernel's own. One that is gone is not.
pub(super) fn is_kernel_thread(procfs: &Path, pid: &str) -> bool {
    Process::new_with_root(procfs.join(pid))
        .and_then(|process| process.stat())
        .and_then(|stat| stat.flags())
        .is_ok_and(|flags| flags.contains(StatFlags::PF_KTHREAD))
}

fn is_delegated(directory: BorrowedFd<'_>) -> bool {
    DELEGATE.iter().any(|name| {
        let mut value = [0u8; 8];
        fgetxattr(directory, *name, &mut value[..]).is_ok_and(|length| &value[..length] == b"1")
    })
}

fn cgroups_of(layout: &Layout, procfs: &Path, pid: &str) -> Result<BTreeSet<Box<[u8]>>, String> {
    Ok(memberships(layout, procfs, pid)?.into_iter().map(|(_, path)| path).collect())
}

/// Whether `/proc` says that a process is in this cgroup or below it, in any hierarchy. Where it cannot be told, it is not.
pub(super) fn is_inside(layout: &Layout, procfs: &Path, pid: &str, cgroup: &[u8]) -> bool {
    memberships(layout, procfs, pid).is_ok_and(|found| {
        found.iter().any(|(_, path)| {
            path.strip_prefix(cgroup).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    })
}

/// The hierarchies of the layout, and the path of a process in each, below the mount.
fn memberships(layout: &Layout, procfs: &Path, pid: &str) -> Result<Vec<Membership>, String> {
    let file = procfs.join(pid).join("cgroup");
    // Not through a parser of text: a path may hold bytes that are no UTF-8.
    let text = std::fs::read(&file)
        .map_err(|error| format!("cannot read {}: {error}; correct --path.procfs", file.display()))?;
    let mut found = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let mut parts = line.splitn(3, |&byte| byte == b':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let numbered = layout.hierarchies.iter().enumerate();
        for (number, hierarchy) in numbered.filter(|(_, hierarchy)| is_of(hierarchy, controllers)) {
            found.push((number, below_the_mount(&hierarchy.root, path).into()));
        }
    }
    Ok(found)
}

/// Whether a line of `/proc/PID/cgroup` with these controllers is of this hierarchy.
fn is_of(hierarchy: &Hierarchy, controllers: &[u8]) -> bool {
    match hierarchy.version {
        Version::V2 => controllers.is_empty(),
        Version::V1 => controllers
            .split(|&byte| byte == b',')
            .any(|name| hierarchy.controllers.iter().any(|known| known.as_bytes() == name)),
    }
}

/// A path of the hierarchy as the mount shows it.
fn below_the_mount<'a>(root: &str, path: &'a [u8]) -> &'a [u8] {
    match path.strip_prefix(root.as_bytes()) {
        Some(b"") => b"/",
        Some(rest) if rest[0] == b'/' => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_as_the_mount_shows_them() {
        assert_eq!(below_the_mount("/", b"/a/b"), b"/a/b");
        assert_eq!(below_the_mount("/a", b"/a/b"), b"/b");
        assert_eq!(below_the_mount("/a", b"/a"), b"/");
        assert_eq!(below_the_mount("/a", b"/ab"), b"/ab");
    }

    #[test]
    fn memberships_are_by_hierarchy() {
        let proc = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(proc.path().join("7")).expect("directory");
        std::fs::write(
            proc.path().join("7/cgroup"),
            b"4:memory:/m\xff\n2:cpu,cpuacct:/c\n1:name=x:/x\n0::/u:2\n",
        )
        .expect("file");
        let hierarchy = |version, controllers: &[&str]| Hierarchy {
            version,
            mount: "/mnt".into(),
            root: "/".into(),
            controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
        };
        let layout = Layout {
            kind: crate::model::LayoutKind::Hybrid,
            hierarchies: vec![
                hierarchy(Version::V2, &["pids"]),
                hierarchy(Version::V1, &["memory"]),
                hierarchy(Version::V1, &["cpuacct"]),
            ],
        };
        let found = memberships(&layout, proc.path(), "7").expect("a file");
        let expected: Vec<Membership> =
            vec![(1, b"/m\xff"[..].into()), (2, b"/c"[..].into()), (0, b"/u:2"[..].into())];
        assert_eq!(found, expected);
        let inside = |cgroup: &[u8]| is_inside(&layout, proc.path(), "7", cgroup);
        assert!(inside(b"/m\xff") && inside(b"/c") && inside(b"/u:2"));
        assert!(!inside(b"/m") && !inside(b"/x") && !inside(b"/c/below"), "a part of a name is another name");
        assert!(!is_inside(&layout, proc.path(), "8", b"/c"), "who is gone is nowhere");
    }

    #[test]
    fn this_process_and_the_first_are_somewhere_and_no_kernel_threads() {
        let paths = Paths::default();
        let layout = Layout::detect(&paths).expect("cgroups");
        assert!(!own_cgroups(&layout, &paths.procfs).expect("own").is_empty());
        assert!(!init_cgroups(&layout, &paths.procfs).expect("init").is_empty());
        assert!(!is_kernel_thread(&paths.procfs, "self"));
    }

    #[test]
    fn systemd_is_looked_for_on_the_host_and_not_in_a_container() {
        let host = tempfile::tempdir().expect("tempdir");
        let by_procfs = Paths { procfs: host.path().join("proc"), ..Paths::default() };
        // As in a pod: the host's processes are in the program's own /proc, and its files below another root.
        let by_root = Paths { root: host.path().join("root"), ..Paths::default() };
        assert!(!systemd_is_running(&by_procfs) && !systemd_is_running(&by_root));
        std::fs::create_dir_all(host.path().join("proc/1/root/run/systemd/system")).expect("directories");
        assert!(systemd_is_running(&by_procfs) && !systemd_is_running(&by_root));
        std::fs::create_dir_all(host.path().join("root/run/systemd/system")).expect("directories");
        assert!(systemd_is_running(&by_root));
    }
}
