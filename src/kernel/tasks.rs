//! What processes and threads do, and what they have open: `/proc/PID/stat`, `/proc/PID/task`, `/proc/PID/fd`.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, OFlags, statat};

use super::namespaces::{LONGEST_NAME, ProcRoot, Unread, unread, written};
use super::parse::{TaskStat, task_stat, unified_path};

/// A line of `stat` has 52 numbers of 20 digits at most, and a name; one of `cgroup` a path.
const LONGEST: usize = 16 * 1024;

impl ProcRoot {
    /// Which process has this number: the inode of its directory. It is another one for another process, and can become
    /// another one for the same, when the kernel wants its memory back. None where there is no such process.
    ///
    /// That is the cheapest answer there is: 1 µs, against 2.5 for a pidfd's and 7 for the start in `stat`.
    #[must_use]
    pub fn identity(&self, pid: u32) -> Option<u64> {
        let name = rustix::path::DecInt::new(pid);
        statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_ino)
    }

    /// What a process does, and since when it is there.
    ///
    /// # Errors
    /// Where it has ended or may not be looked at.
    pub fn process(&self, pid: u32) -> Result<TaskStat, Unread> {
        self.stat(format_args!("{pid}/stat\0"))
    }

    /// What each thread of a process does.
    ///
    /// # Errors
    /// Where the process has ended or may not be looked at. A thread that ends meanwhile is left out.
    pub fn threads(&self, pid: u32, mut each: impl FnMut(TaskStat)) -> Result<(), Unread> {
        self.numbers(format_args!("{pid}/task\0"), |thread| {
            match self.stat(format_args!("{pid}/task/{thread}/stat\0")) {
                Ok(stat) => each(stat),
                Err(Unread::Ended) => {}
                Err(other) => return Err(other),
            }
            Ok(())
        })
    }

    /// How many descriptors a process has open. Since Linux 6.2 the directory's size tells, which everybody may ask;
    /// before, its entries are counted, for which the process must be one's own or `CAP_SYS_PTRACE` be held.
    ///
    /// # Errors
    /// Where the process has ended or may not be looked at.
    pub fn open_files(&self, pid: u32) -> Result<u64, Unread> {
        if self.counts_descriptors {
            let mut bytes = [0; LONGEST_NAME];
            let name = written(&mut bytes, format_args!("{pid}/fd\0"))?;
            let stat = statat(&self.root, name, AtFlags::empty()).map_err(unread)?;
            return u64::try_from(stat.st_size).map_err(|_| Unread::Malformed);
        }
        let mut count = 0;
        self.numbers(format_args!("{pid}/fd\0"), |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// The number of every process, also of those that have ended and were not waited for.
    ///
    /// # Errors
    /// Where the file system cannot be listed.
    pub fn pids(&self, mut each: impl FnMut(u32)) -> Result<(), Unread> {
        self.numbers(format_args!(".\0"), |pid| {
            each(pid);
            Ok(())
        })
    }

    /// The path of the cgroup2 cgroup that a process is in, or was in when it ended. v1 does not tell of who has ended.
    #[must_use]
    pub fn unified_cgroup(&self, pid: u32) -> Option<Vec<u8>> {
        let mut text = [0; LONGEST];
        let file = self.open_at(format_args!("{pid}/cgroup\0"), OFlags::RDONLY).ok()?;
        unified_path(whole(&file, &mut text).ok()?).map(<[u8]>::to_vec)
    }

    fn stat(&self, name: std::fmt::Arguments<'_>) -> Result<TaskStat, Unread> {
        let mut text = [0; 2048];
        let file = self.open_at(name, OFlags::RDONLY)?;
        match whole(&file, &mut text)? {
            // Who has ended between the opening and the reading leaves an error or nothing.
            [] => Err(Unread::Ended),
            text => task_stat(text).map_err(|_| Unread::Malformed),
        }
    }

    /// Each entry of a directory whose name is a number.
    fn numbers(
        &self,
        directory: std::fmt::Arguments<'_>,
        mut each: impl FnMut(u32) -> Result<(), Unread>,
    ) -> Result<(), Unread> {
        let directory = self.open_at(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for entry in Dir::new(directory).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            if let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
                each(number)?;
            }
        }
        Ok(())
    }
}

/// Whether the size of a `fd` directory is the number of its entries.
pub(super) fn counts_descriptors(root: &OwnedFd) -> bool {
    statat(root, c"self/fd", AtFlags::empty()).is_ok_and(|stat| stat.st_size > 0)
}

/// What a file of the kernel's holds, which it gives in one call.
fn whole<'a>(file: &OwnedFd, text: &'a mut [u8]) -> Result<&'a [u8], Unread> {
    let length = rustix::io::read(file, &mut *text).map_err(unread)?;
    Ok(text.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::TaskState;

    #[test]
    fn this_process_is_told() {
        let root = ProcRoot::open(Path::new("/proc")).expect("a proc file system");
        let me = std::process::id();
        let stat = root.process(me).expect("this process");
        let mut threads = Vec::new();
        root.threads(me, |thread| threads.push(thread)).expect("its threads");
        assert!(threads.iter().any(|thread| thread.state == TaskState::Running), "{threads:?}");
        assert!(stat.threads >= 1 && threads.iter().all(|thread| thread.start >= stat.start), "{stat:?}");
        assert!(root.identity(me).is_some() && root.identity(me) == root.identity(me));
        let mut seen = false;
        root.pids(|pid| seen |= pid == me).expect("a list");
        assert!(seen);
        let told = std::fs::read_to_string("/proc/self/cgroup").expect("its cgroups");
        let path = root.unified_cgroup(me).map(|path| String::from_utf8_lossy(&path).into_owned());
        assert_eq!(path.as_deref(), told.lines().find_map(|line| line.strip_prefix("0::")));
        for none in [root.process(u32::MAX).err(), root.open_files(u32::MAX).err()] {
            assert_eq!(none, Some(Unread::Ended));
        }
        assert_eq!(root.identity(u32::MAX), None);
    }

    #[test]
    fn descriptors_are_counted_in_either_way() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let mut root = ProcRoot::open(Path::new("/proc")).expect("a proc file system");
        let listed =
            || std::fs::read_dir(format!("/proc/{}/fd", child.id())).map_or(0, Iterator::count) as u64;
        // A file that exec closes, or that a loader has open, is gone in a moment.
        let settled = |root: &ProcRoot| (0..1000).any(|_| root.open_files(child.id()) == Ok(listed()));
        assert!(settled(&root));
        root.counts_descriptors = false;
        assert!(settled(&root));
        assert!(listed() >= 3);
        let killed = child.kill().and_then(|()| child.wait());
        assert!(killed.is_ok());
    }
}
