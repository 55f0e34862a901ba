//! How births, deaths, control writes and the kernel's notices are noticed in every hierarchy.
//!
//! Three methods, best first: fanotify (one mark on each hierarchy), inotify (one watch on each directory), walk
//! (nothing: the caller compares link counts). Make the [`Watch`] before the first scan, and, with inotify, add a
//! directory before its children are listed: then nothing that happens during the scan is lost.
//!
//! # What the kernel does (seen on 6.18, hybrid: cgroup2 and v1 memory and pids)
//!
//! - **Directories are named by inode.** The file handle in an event is of type 0xfe, `FILEID_KERNFS`, eight bytes:
//!   the kernfs id, which is the directory's `st_ino` on 64-bit machines. So no handle has to be taken or opened. A
//!   handle of another kind is [`Event::Lost`], and the caller's rescan finds what happened. Inodes count up and are
//!   not used again soon, but each hierarchy counts for itself: the key is (hierarchy, inode).
//! - **mkdir and rmdir** give `CREATE` and `DELETE` with `ONDIR`, under the parent. Control files that appear or go
//!   (with `cgroup.subtree_control`, or `cgroup.pressure`) give nothing at all: they are made inside the kernel.
//! - **rename** exists on v1 only (EPERM on v2): `MOVED_FROM` and `MOVED_TO`, here a death and a birth. The inode
//!   stays the same; a caller who wants to keep the group compares it.
//! - **fanotify merges** events with the same directory, name and process while they wait in the queue, also when
//!   others lie between: mkdir, rmdir, mkdir of one name come as *one* event `CREATE|DELETE`, and five writes as one
//!   `MODIFY`. The order is lost, so of such an event the death is told first and the birth last: a birth means "look
//!   whether it is there", and a name that is gone by then is no fault. Writes by different processes stay apart.
//!   inotify merges only neighbours that are alike.
//! - **The writer's pid** is the thread group's, in the reader's pid namespace; 0 (unknown here) when it is not visible
//!   there. A write that the kernel refuses in the file's own handler (EIO, EINVAL) gave an event as well.
//! - **Notices** (`cgroup.events`; others by the same kernel function) come from a kernel worker, whose pid says
//!   nothing. They come only while the file's inode is in the kernel's cache: never for a file nobody has looked up,
//!   from the first open or even `stat` on, and until memory pressure drops the inode. So the caller must hold a
//!   descriptor on a file to rely on its notices; `O_PATH` and unread is enough. A group's last process leaving gives
//!   one notice for the group and for each ancestor whose state changed.
//! - **inotify on the directory gives the notices too** (the kernel notifies the parent's inode): no watch on each file
//!   is needed, but the same condition holds.
//! - **v1 gives no notice of an OOM kill** (`oom_kill` in a held `memory.oom_control` went up, no event) nor of
//!   `pids.events` (its `max` went up three times, no event): those are seen at the next tick.
//! - **A removed directory keeps its inotify watch**: `IN_DELETE_SELF` and `IN_IGNORED` do not come, so the caller must
//!   say [`Watch::remove_dir`] at each death or watches leak.
//! - **A full queue** (`fs.fanotify.max_queued_events`, `fs.inotify.max_queued_events`, 16384) drops what follows and
//!   says so once: [`Event::Lost`], and the caller scans that hierarchy again.

mod fanotify;
mod inotify;
pub mod wire;
pub mod writer;

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::model::WatchMethod;

/// Bytes read at once: some 900 events of typical length.
const BUFFER: usize = 64 * 1024;
/// Reads of one descriptor in one [`Watch::drain`]: more than a full default queue, and still a bound.
const READS_PER_DRAIN: usize = 32;

/// A hierarchy to watch.
#[derive(Clone, Copy, Debug)]
pub struct WatchTarget<'a> {
    /// The caller's number for it, handed back in events.
    pub hierarchy: u8,
    /// Where it is mounted.
    pub mount: &'a Path,
}

/// Something that happened. Names are bytes of the kernel's, without a slash, and need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A cgroup was made, or (v1) renamed to this name. It may be gone again.
    Born {
        /// The hierarchy's number.
        hierarchy: u8,
        /// The inode of the directory it is in.
        parent: u64,
        /// Its name there.
        name: &'a [u8],
    },
    /// A cgroup was removed, or (v1) renamed away from this name.
    Died {
        /// The hierarchy's number.
        hierarchy: u8,
        /// The inode of the directory it was in.
        parent: u64,
        /// Its name there.
        name: &'a [u8],
    },
    /// A process wrote to a control file, once or several times, perhaps in vain.
    Written {
        /// The hierarchy's number.
        hierarchy: u8,
        /// The cgroup's inode.
        dir: u64,
        /// The file.
        name: &'a [u8],
        /// The process; none with inotify, or when it is in a pid namespace that cannot be seen from here.
        pid: Option<u32>,
    },
    /// The kernel says that an `*.events` or `*.events.local` file changed.
    Notice {
        /// The hierarchy's number.
        hierarchy: u8,
        /// The cgroup's inode.
        dir: u64,
        /// The file.
        name: &'a [u8],
    },
    /// Events of this hierarchy were lost: scan it again.
    Lost {
        /// The hierarchy's number.
        hierarchy: u8,
    },
}

/// A method that was asked for by name is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("the watch method {} was asked for and cannot be used: {reason}; use auto to fall back", .method.name())]
pub struct WatchError {
    /// What was asked for.
    pub method: WatchMethod,
    /// Why not.
    pub reason: String,
}

/// A directory could not be watched.
#[derive(Debug, thiserror::Error)]
pub enum AddDirError {
    /// It went away: no fault.
    #[error("{}: the cgroup went away before it was watched", .path.display())]
    Vanished {
        /// The directory.
        path: PathBuf,
    },
    /// The user's watches are used up. From now on [`Watch::method`] is [`WatchMethod::Walk`].
    #[error("{}: no inotify watch is left ({errno}): raise fs.inotify.max_user_watches", .path.display())]
    Exhausted {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// Anything else, EACCES first of all. From now on [`Watch::method`] is [`WatchMethod::Walk`].
    #[error("{}: inotify_add_watch: {errno}", .path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
}

/// The descriptors that tell what happens, and one buffer for all of them.
#[derive(Debug)]
pub struct Watch {
    source: Source,
    method: WatchMethod,
    why_not_better: Option<String>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Fanotify(fanotify::Groups),
    Inotify(inotify::Watches),
    Walk,
}

/// What a changed file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Notice,
    Control,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        if name.ends_with(b".events") || name.ends_with(b".events.local") {
            Self::Notice
        } else {
            Self::Control
        }
    }
}

impl Watch {
    /// The best method that works on all of these hierarchies, or the one that is asked for.
    ///
    /// # Errors
    /// Only when `wanted` names a method that cannot be used; without it the walk is always left.
    pub fn new(targets: &[WatchTarget<'_>], wanted: Option<WatchMethod>) -> Result<Self, WatchError> {
        let asked_for = |method: WatchMethod| format!("{} was asked for", method.name());
        match wanted {
            Some(WatchMethod::Fanotify) => match fanotify::Groups::new(targets) {
                Ok(groups) => Ok(Self::from_source(Source::Fanotify(groups), None)),
                Err(reason) => Err(WatchError { method: WatchMethod::Fanotify, reason }),
            },
            Some(WatchMethod::Inotify) => match inotify::Watches::new(targets) {
                Ok(watches) => {
                    Ok(Self::from_source(Source::Inotify(watches), Some(asked_for(WatchMethod::Inotify))))
                }
                Err(reason) => Err(WatchError { method: WatchMethod::Inotify, reason }),
            },
            Some(WatchMethod::Walk) => {
                Ok(Self::from_source(Source::Walk, Some(asked_for(WatchMethod::Walk))))
            }
            None => Ok(Self::best(targets)),
        }
    }

    fn best(targets: &[WatchTarget<'_>]) -> Self {
        let no_fanotify = match fanotify::Groups::new(targets) {
            Ok(groups) => return Self::from_source(Source::Fanotify(groups), None),
            Err(reason) => reason,
        };
        match inotify::Watches::new(targets) {
            Ok(watches) => Self::from_source(Source::Inotify(watches), Some(no_fanotify)),
            Err(no_inotify) => Self::from_source(Source::Walk, Some(format!("{no_fanotify}. {no_inotify}"))),
        }
    }

    fn from_source(source: Source, why_not_better: Option<String>) -> Self {
        let (method, buffer) = match source {
            Source::Fanotify(_) => (WatchMethod::Fanotify, vec![0; BUFFER]),
            Source::Inotify(_) => (WatchMethod::Inotify, vec![0; BUFFER]),
            Source::Walk => (WatchMethod::Walk, Vec::new()),
        };
        Self { source, method, why_not_better, buffer }
    }

    /// The method that covers everything. It becomes [`WatchMethod::Walk`] when [`Watch::add_dir`] fails for want of
    /// watches; the watches that there are go on telling.
    #[must_use]
    pub const fn method(&self) -> WatchMethod {
        self.method
    }

    /// Why no better method is in use, for a log line or a report; none with fanotify.
    #[must_use]
    pub fn why_not_better(&self) -> Option<&str> {
        self.why_not_better.as_deref()
    }

    /// The descriptors that become readable (POLLIN) when there is something to [`Watch::drain`].
    #[must_use]
    pub fn poll_fds(&self) -> Vec<BorrowedFd<'_>> {
        match &self.source {
            Source::Fanotify(groups) => groups.descriptors().collect(),
            Source::Inotify(watches) => vec![watches.descriptor()],
            Source::Walk => Vec::new(),
        }
    }

    /// Watches a directory, before its children are listed. With fanotify and the walk there is nothing to do.
    ///
    /// The path may be `/proc/self/fd/N` of the held directory: then it cannot be another directory of the same name.
    ///
    /// # Errors
    /// See [`AddDirError`]; but for `Vanished` the method is the walk from then on.
    pub fn add_dir(&mut self, hierarchy: u8, inode: u64, path: &Path) -> Result<(), AddDirError> {
        let Source::Inotify(watches) = &mut self.source else { return Ok(()) };
        let added = watches.add(hierarchy, inode, path);
        if let Err(error @ (AddDirError::Exhausted { .. } | AddDirError::Refused { .. })) = &added
            && self.method == WatchMethod::Inotify
        {
            self.method = WatchMethod::Walk;
            let before = self.why_not_better.take().unwrap_or_default();
            self.why_not_better = Some(format!("{before}. inotify does not cover everything: {error}"));
        }
        added
    }

    /// Gives the watch of a dead directory back. Must be called at each death: the kernel does not do it.
    pub fn remove_dir(&mut self, hierarchy: u8, inode: u64) {
        if let Source::Inotify(watches) = &mut self.source {
            watches.remove(hierarchy, inode);
        }
    }

    /// Hands on what has happened, without waiting and without allocating.
    ///
    /// Returns whether the bound of one call was reached, so that more may wait: come back soon.
    pub fn drain(&mut self, mut each: impl FnMut(Event<'_>)) -> bool {
        match &self.source {
            Source::Fanotify(groups) => groups.drain(&mut self.buffer, &mut each),
            Source::Inotify(watches) => watches.drain(&mut self.buffer, &mut each),
            Source::Walk => false,
        }
    }
}

/// One read; none when nothing waits.
fn read_some<'a>(descriptor: BorrowedFd<'_>, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, Errno> {
    loop {
        match nix::unistd::read(descriptor, buffer) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(None),
            Ok(length) => return Ok(buffer.get(..length)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
