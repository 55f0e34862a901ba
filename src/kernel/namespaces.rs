//! The namespaces of processes: `/proc/PID/ns`, `uid_map`, `NSpid`.

use std::ffi::CStr;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::{NamespaceKind, NamespaceSet};

/// The files of `/proc/PID/ns`, in the order of [`NamespaceKind::ALL`].
const FILES: [&CStr; NamespaceKind::COUNT] =
    [c"mnt", c"net", c"pid", c"uts", c"ipc", c"user", c"cgroup", c"time"];

/// Why the namespaces of a process are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It has ended.
    Ended,
    /// It is another user's, or has more rights (`CAP_SYS_PTRACE` is missing).
    Denied,
    /// There is no descriptor or memory left; another time it may do.
    Shortage,
    /// Its file holds what no kernel writes.
    Malformed,
}

/// A proc file system, held open. What is read of processes' states stands in [`super::tasks`].
#[derive(Debug)]
pub struct ProcRoot {
    pub(super) root: OwnedFd,
    /// Whether the size of `/proc/PID/fd` is the number of its entries.
    pub(super) counts_descriptors: bool,
}

impl ProcRoot {
    /// Opens it.
    ///
    /// # Errors
    /// Where the directory cannot be opened.
    pub fn open(procfs: &Path) -> Result<Self, std::io::Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(procfs, flags, Mode::empty())?;
        let counts_descriptors = super::tasks::counts_descriptors(&root);
        Ok(Self { root, counts_descriptors })
    }

    /// The namespaces that a process is in. A kind that the kernel lacks is absent.
    ///
    /// # Errors
    /// Where the process has ended or may not be looked at: no kind is known then.
    pub fn namespaces(&self, pid: u32) -> Result<NamespaceSet, Unread> {
        self.read(format_args!("{pid}/ns\0"))
    }

    /// This program's own.
    ///
    /// # Errors
    /// Where there is no `/proc/self`.
    pub fn own(&self) -> Result<NamespaceSet, Unread> {
        self.read(format_args!("self/ns\0"))
    }

    /// Opens what stands under a name, which ends in a zero byte.
    pub(super) fn open_at(&self, name: std::fmt::Arguments<'_>, flags: OFlags) -> Result<OwnedFd, Unread> {
        let mut bytes = [0; LONGEST_NAME];
        let name = written(&mut bytes, name)?;
        rustix::fs::openat(&self.root, name, flags | OFlags::CLOEXEC, Mode::empty()).map_err(unread)
    }

    fn read(&self, directory: std::fmt::Arguments<'_>) -> Result<NamespaceSet, Unread> {
        let directory = self.open_at(directory, OFlags::PATH | OFlags::DIRECTORY)?;
        let mut set = NamespaceSet::default();
        let mut text = [0_u8; 64];
        for (inode, file) in set.iter_mut().zip(FILES) {
            match rustix::fs::readlinkat_raw(directory.as_fd(), file, &mut text) {
                Ok(length) => *inode = inode_of(&text[..length]),
                Err(errno) => match unread(errno) {
                    // The kernel lacks the kind; or the process has just ended, and then it lacks all of them.
                    Unread::Ended => {}
                    other => return Err(other),
                },
            }
        }
        if set.iter().all(Option::is_none) { Err(Unread::Ended) } else { Ok(set) }
    }
}

/// Room for two ids of ten digits at most, and for what stands between and after them.
pub(super) const LONGEST_NAME: usize = 40;

/// A name that ends in a zero byte, written where there is room for it.
pub(super) fn written<'a>(
    bytes: &'a mut [u8; LONGEST_NAME],
    name: std::fmt::Arguments<'_>,
) -> Result<&'a CStr, Unread> {
    (&mut bytes[..]).write_fmt(name).map_err(|_| Unread::Ended)?;
    CStr::from_bytes_until_nul(bytes).map_err(|_| Unread::Ended)
}

/// What an error of the kernel says of a process.
pub(super) fn unread(errno: Errno) -> Unread {
    match errno {
        Errno::ACCESS | Errno::PERM => Unread::Denied,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Unread::Shortage,
        _ => Unread::Ended,
    }
}

/// The number in `net:[4026531833]`.
fn inode_of(link: &[u8]) -> Option<u64> {
    let (_, rest) = std::str::from_utf8(link).ok()?.split_once(":[")?;
    rest.strip_suffix(']')?.parse().ok()
}

/// A range of a user namespace's `uid_map`: ids inside, ids as the reader of the file sees them, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The user ids that a process's user namespace maps, from `/proc/PID/uid_map`. None where nothing is mapped yet.
///
/// # Errors
/// Where the file cannot be read.
pub fn uid_map(procfs: &Path, pid: u32) -> Result<Vec<IdRange>, std::io::Error> {
    let text = std::fs::read_to_string(procfs.join(format!("{pid}/uid_map")))?;
    Ok(id_ranges(&text))
}

fn id_ranges(text: &str) -> Vec<IdRange> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace().map(|word| word.parse().ok());
        Some(IdRange { inside: words.next()??, outside: words.next()??, count: words.next()?? })
    };
    text.lines().filter_map(line).collect()
}

/// Who outside is root inside.
#[must_use]
pub fn root_of(map: &[IdRange]) -> Option<u32> {
    map.iter().find(|range| range.inside == 0 && range.count > 0).map(|range| range.outside)
}

/// A process's id in each pid namespace that it is in, that of this proc file system first: `NSpid` of
/// `/proc/PID/status`. None where the process has ended.
#[must_use]
pub fn nested_pids(procfs: &Path, pid: u32) -> Option<Vec<u32>> {
    // A command's name has its control characters escaped there, so that it cannot make a line of its own.
    let status = std::fs::read(procfs.join(format!("{pid}/status"))).ok()?;
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_processs_namespaces_are_those_of_its_links() {
        let root = ProcRoot::open(Path::new("/proc")).expect("a proc file system");
        let mine = root.namespaces(std::process::id()).expect("this process");
        assert_eq!(Ok(mine), root.own());
        for kind in NamespaceKind::ALL {
            let link = std::fs::read_link(format!("/proc/self/ns/{}", kind.name())).ok();
            let told = mine[*kind as usize].map(|inode| format!("{}:[{inode}]", kind.name()));
            assert_eq!(told.as_deref(), link.as_ref().and_then(|link| link.to_str()), "{kind:?}");
        }
        assert_eq!(root.namespaces(u32::MAX), Err(Unread::Ended));
    }

    #[test]
    fn files_have_the_names_of_their_kinds() {
        for (file, kind) in FILES.iter().zip(NamespaceKind::ALL) {
            assert_eq!(file.to_str(), Ok(kind.name()));
        }
    }

    #[test]
    fn texts_are_read_and_nonsense_is_not() {
        assert_eq!(inode_of(b"net:[4026531833]"), Some(4_026_531_833));
        for nonsense in [&b"net:[]"[..], b"net:[1", b"/bin/sh", b"\xff:[1]", b"net:[99999999999999999999]"] {
            assert_eq!(inode_of(nonsense), None);
        }
        let map = id_ranges("         0       1000          1\n         1     100000      65536\nx 2 3\n");
        assert_eq!(map.len(), 2);
        assert_eq!(root_of(&map), Some(1000));
        assert_eq!(root_of(&map[1..]), None, "nobody is root there");
        assert_eq!(root_of(&id_ranges("0 0 4294967295")), Some(0));
    }

    #[test]
    fn this_process_has_its_own_id_first() {
        let pids = nested_pids(Path::new("/proc"), std::process::id()).expect("this process");
        assert_eq!(pids[0], std::process::id());
        assert_eq!(nested_pids(Path::new("/proc"), u32::MAX), None);
    }
}
