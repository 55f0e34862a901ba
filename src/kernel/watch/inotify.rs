//! One inotify watch on each cgroup directory, for kernels and users that fanotify does not serve.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::wire::{InotifyEvent, next_inotify};
use super::{AddDirError, Event, Kind, READS_PER_DRAIN, WatchTarget, read_some};

/// The inotify instance and what each of its watches stands for.
#[derive(Debug)]
pub(super) struct Watches {
    inotify: Inotify,
    /// The hierarchies, each of which an overflow concerns.
    hierarchies: Vec<u8>,
    by_descriptor: HashMap<i32, (u8, u64)>,
    by_dir: HashMap<(u8, u64), WatchDescriptor>,
}

impl Watches {
    /// An instance without watches, or the reason why there is none.
    pub(super) fn new(targets: &[WatchTarget<'_>]) -> Result<Self, String> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(|errno| {
            let advice = match errno {
                Errno::EMFILE => {
                    "; no instance or descriptor is left: raise fs.inotify.max_user_instances or RLIMIT_NOFILE"
                }
                Errno::ENOSYS => "; this kernel is built without CONFIG_INOTIFY_USER",
                _ => "",
            };
            format!("inotify is not in use: inotify_init: {errno}{advice}")
        })?;
        let hierarchies = targets.iter().map(|target| target.hierarchy).collect();
        Ok(Self { inotify, hierarchies, by_descriptor: HashMap::new(), by_dir: HashMap::new() })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    pub(super) fn add(&mut self, hierarchy: u8, inode: u64, path: &Path) -> Result<(), AddDirError> {
        let mask = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_ONLYDIR;
        let watch = self.inotify.add_watch(path, mask).map_err(|errno| failed(path, errno))?;
        if let Some(before) = self.by_descriptor.insert(watch.as_raw(), (hierarchy, inode)) {
            self.by_dir.remove(&before);
        }
        self.by_dir.insert((hierarchy, inode), watch);
        Ok(())
    }

    pub(super) fn remove(&mut self, hierarchy: u8, inode: u64) {
        if let Some(watch) = self.by_dir.remove(&(hierarchy, inode)) {
            self.by_descriptor.remove(&watch.as_raw());
            // EINVAL says that the kernel dropped the watch itself, which is what is wanted.
            let _ = self.inotify.rm_watch(watch);
        }
    }

    /// Hands on what is queued; true when a bound was reached and more may wait.
    pub(super) fn drain(&self, buffer: &mut [u8], each: &mut dyn FnMut(Event<'_>)) -> bool {
        for _ in 0..READS_PER_DRAIN {
            let mut rest = match read_some(self.inotify.as_fd(), buffer) {
                Ok(None) => return false,
                Ok(Some(bytes)) => bytes,
                Err(_) => {
                    self.lost(each);
                    return false;
                }
            };
            while let Some(event) = next_inotify(&mut rest) {
                let Ok(event) = event else {
                    self.lost(each);
                    break;
                };
                self.translate(&event, each);
            }
        }
        true
    }

    fn lost(&self, each: &mut dyn FnMut(Event<'_>)) {
        for &hierarchy in &self.hierarchies {
            each(Event::Lost { hierarchy });
        }
    }

    fn translate(&self, event: &InotifyEvent<'_>, each: &mut dyn FnMut(Event<'_>)) {
        let has = |bits: u32| event.mask & bits != 0;
        if has(libc::IN_Q_OVERFLOW) {
            self.lost(each);
        }
        // What was queued before a watch was removed is of no more interest: its directory is dead.
        let Some(&(hierarchy, dir)) = self.by_descriptor.get(&event.wd) else { return };
        let name = event.name;
        if has(libc::IN_ISDIR) {
            if has(libc::IN_DELETE | libc::IN_MOVED_FROM) {
                each(Event::Died { hierarchy, parent: dir, name });
            }
            if has(libc::IN_CREATE | libc::IN_MOVED_TO) {
                each(Event::Born { hierarchy, parent: dir, name });
            }
        } else if has(libc::IN_MODIFY) {
            each(match Kind::of(name) {
                Kind::Notice => Event::Notice { hierarchy, dir, name },
                Kind::Control => Event::Written { hierarchy, dir, name, pid: None },
            });
        }
    }
}

fn failed(path: &Path, errno: Errno) -> AddDirError {
    let path: PathBuf = path.to_owned();
    match errno {
        Errno::ENOENT | Errno::ENODEV | Errno::ENOTDIR => AddDirError::Vanished { path },
        Errno::ENOSPC | Errno::ENOMEM => AddDirError::Exhausted { path, errno },
        _ => AddDirError::Refused { path, errno },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_concerns_every_hierarchy_and_a_strange_watch_none() {
        let targets = [3_u8, 5].map(|hierarchy| WatchTarget { hierarchy, mount: Path::new("/") });
        let watches = Watches::new(&targets).unwrap();
        let mut lost = Vec::new();
        let overflow = InotifyEvent { wd: -1, mask: libc::IN_Q_OVERFLOW, name: b"" };
        watches.translate(&overflow, &mut |event| lost.push(event == Event::Lost { hierarchy: 3 }));
        assert_eq!(lost, [true, false]);
        let strange = InotifyEvent { wd: 77, mask: libc::IN_MODIFY, name: b"memory.max" };
        watches.translate(&strange, &mut |event| panic!("{event:?}"));
    }

    #[test]
    fn running_out_of_watches_is_told_from_a_directory_that_went_away() {
        let check = |errno, exhausted: bool, vanished: bool| {
            let error = failed(Path::new("/a"), errno);
            assert_eq!(matches!(error, AddDirError::Exhausted { .. }), exhausted, "{errno}");
            assert_eq!(matches!(error, AddDirError::Vanished { .. }), vanished, "{errno}");
        };
        check(Errno::ENOSPC, true, false);
        check(Errno::ENOENT, false, true);
        check(Errno::EACCES, false, false);
    }
}
