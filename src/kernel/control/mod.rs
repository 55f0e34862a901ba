//! From an identity to the one cgroup that has it, held open so that nothing else can be written.
//!
//! A [`Target`] holds the cgroup's directory in each hierarchy that has it. Every later read and write goes through
//! those, so that a cgroup made again under the same path is never hit: the removed one answers
//! [`ControlError::Vanished`].
//!
//! - [`knobs`]: limits and weights, read, written, saved and put back.
//! - [`crate::kernel::freeze`], [`kill`](crate::kernel::kill), [`reclaim`](crate::kernel::reclaim): what else is done
//!   to a target.
//! - [`crate::kernel::owner`]: what is known of it before anything is done.
//!
//! Every call blocks the calling thread: a limit below what is in use makes the kernel take memory back first, which can
//! take long. Only calls that wait for something have a deadline.

mod error;
pub mod knobs;
mod place;
mod processes;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};

pub use self::error::ControlError;
pub(in crate::kernel) use self::place::{Place, open_child};
pub(in crate::kernel) use self::processes::visit_below;
use super::layout::{Hierarchy, Layout, Paths};
use crate::model::{Identity, LayoutKind, Version};

/// The way to the control files of a host. Cheap to clone, and shared between threads.
#[derive(Clone, Debug)]
pub struct Control(pub(in crate::kernel) Arc<Host>);

/// What is known of the host.
#[derive(Debug)]
pub(in crate::kernel) struct Host {
    /// Its hierarchies.
    pub layout: Layout,
    /// Its proc file system.
    pub procfs: PathBuf,
    /// Its sys file system.
    pub sysfs: PathBuf,
    /// Whether the kernel has refused a pressure window that is no multiple of two seconds.
    pub coarse_windows: AtomicBool,
}

impl Host {
    /// The hierarchy that serves a controller, by its v2 name, and its place in the layout.
    pub fn serving(&self, controller: &str) -> Option<(usize, &Hierarchy)> {
        let serving = self.layout.serving(controller)?;
        self.layout.hierarchies.iter().enumerate().find(|(_, hierarchy)| *hierarchy == serving)
    }
}

/// One cgroup, held open.
#[derive(Debug)]
pub struct Target {
    pub(in crate::kernel) host: Arc<Host>,
    pub(in crate::kernel) identity: Identity,
    /// In the layout's order, so that the v2 one is the first if there is one.
    pub(in crate::kernel) places: Vec<Place>,
}

impl Control {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(layout: &Layout, paths: &Paths) -> Self {
        Self(Arc::new(Host {
            layout: layout.clone(),
            procfs: paths.procfs.clone(),
            sysfs: paths.sysfs.clone(),
            coarse_windows: AtomicBool::new(false),
        }))
    }

    /// Opens the directories of a cgroup, and makes sure that it is the one with this kernel id.
    ///
    /// # Errors
    /// [`ControlError::Vanished`] where no cgroup stands under the path, or another one does.
    pub fn open(&self, identity: &Identity) -> Result<Target, ControlError> {
        let mut places = Vec::new();
        for (number, hierarchy) in self.0.layout.hierarchies.iter().enumerate() {
            let Some(directory) = descend(hierarchy, &identity.path)? else { continue };
            let shown = shown(hierarchy, &identity.path);
            places.push(Place { hierarchy: number, version: hierarchy.version, directory, shown });
        }
        let first = places.first().ok_or(ControlError::Vanished)?;
        if inode(first.directory.as_fd()) != Ok(identity.id) {
            return Err(ControlError::Vanished);
        }
        // Made again while the others were being opened, they are another cgroup's.
        let again = descend(&self.0.layout.hierarchies[first.hierarchy], &identity.path)?;
        if again.is_none_or(|again| inode(again.as_fd()) != Ok(identity.id)) {
            return Err(ControlError::Vanished);
        }
        Ok(Target { host: Arc::clone(&self.0), identity: identity.clone(), places })
    }
}

impl Target {
    /// Which cgroup.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its held directory on the v2 side, where it has one: for its pressure, its `cgroup.events`.
    #[must_use]
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.v2().map(|place| place.directory.as_fd())
    }

    /// Makes sure that it still exists.
    ///
    /// # Errors
    /// [`ControlError::Vanished`] where it was removed.
    pub fn is_alive(&self) -> Result<(), ControlError> {
        if self.places.first().is_some_and(Place::is_alive) { Ok(()) } else { Err(ControlError::Vanished) }
    }

    /// The v2 directory.
    pub(in crate::kernel) fn v2(&self) -> Option<&Place> {
        self.places.first().filter(|place| place.version == Version::V2)
    }

    /// The directory in the hierarchy that serves a controller, by its v2 name.
    pub(in crate::kernel) fn place(&self, controller: &str) -> Result<&Place, ControlError> {
        let Some((number, hierarchy)) = self.host.serving(controller) else {
            return Err(ControlError::Unsupported(no_controller(&self.host.layout, controller)));
        };
        self.places.iter().find(|place| place.hierarchy == number).ok_or_else(|| {
            ControlError::Unsupported(format!(
                "{} has no directory in the hierarchy {}, which serves {controller}",
                self.identity.display,
                hierarchy.name()
            ))
        })
    }
}

/// Why a controller cannot be had on this host.
fn no_controller(layout: &Layout, controller: &str) -> String {
    let mounted = match layout.kind {
        LayoutKind::Unified => "the root's cgroup.controllers does not list it",
        LayoutKind::Hybrid => {
            "neither the root's cgroup.controllers lists it nor is a v1 hierarchy of it mounted"
        }
        LayoutKind::Legacy => "no v1 hierarchy of it is mounted",
    };
    format!("this host has no {controller} controller: {mounted}")
}

/// Opens a path below a mount, one name after the other and never through a symbolic link or upwards. `None` where there
/// is no such directory.
fn descend(hierarchy: &Hierarchy, path: &[u8]) -> Result<Option<OwnedFd>, ControlError> {
    let denied = |errno: Errno| match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENODEV => Ok(None),
        Errno::EACCES | Errno::EPERM => {
            Err(ControlError::Denied { file: shown(hierarchy, path).display().to_string() })
        }
        errno => Err(ControlError::Os {
            file: shown(hierarchy, path).display().to_string(),
            value: String::new(),
            errno,
        }),
    };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = match open(&hierarchy.mount, flags, Mode::empty()) {
        Ok(mount) => mount,
        Err(errno) => return denied(errno),
    };
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        if name == b"." || name == b".." {
            return Ok(None);
        }
        directory = match open_child(directory.as_fd(), name) {
            Ok(child) => child,
            Err(errno) => return denied(errno),
        };
    }
    Ok(Some(directory))
}

fn shown(hierarchy: &Hierarchy, path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    hierarchy.mount.join(std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
}

fn inode(directory: BorrowedFd<'_>) -> Result<u64, Errno> {
    fstat(directory).map(|stat| stat.st_ino)
}
