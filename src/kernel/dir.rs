//! Held directories and descriptors, the descriptor budget, the one reused buffer.
//!
//! Reading a file through a descriptor that is held open costs a third of opening it each time (see the benchmark), so
//! that descriptors are held as far as they go. A held descriptor is also an identity: once the cgroup is removed it
//! answers ENODEV, and a cgroup made again under the same path is not reached through it. What is not held is opened
//! through its directory, whose inode is compared first.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::uio::pread;

use crate::model::FaultKind;

/// Descriptors that are left to the server's connections (512), the watch and the rest of the program.
const RESERVED: u64 = 640;
/// More than this of one file is no cgroup file: 16 MiB of `cgroup.procs` are two million processes.
const LONGEST: usize = 16 << 20;

/// How many descriptors may be held open on cgroup files, and how many are.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: usize,
}

impl Budget {
    /// Room for this many.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, held: 0 }
    }

    /// Raises the soft limit on open files to the hard one and takes what is left beside the program's own needs.
    #[must_use]
    pub fn from_limits() -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let limit =
            if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
        // The kernel allows a million open files where nothing is said, more than anybody's cgroups need.
        let limit = limit.min(1 << 20).saturating_sub(RESERVED);
        Self::new(usize::try_from(limit).unwrap_or(0))
    }

    /// How many may be held.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How many are held.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Takes one, unless all are taken. The last twentieth is kept for the files whose changes the kernel announces
    /// only while a descriptor is held.
    fn take(&mut self, announced: bool) -> bool {
        let room = if announced { self.limit } else { self.limit - self.limit / 20 };
        let granted = self.held < room;
        self.held += usize::from(granted);
        granted
    }

    fn give_back(&mut self, count: usize) {
        self.held = self.held.saturating_sub(count);
    }
}

/// Where one file of one directory stands.
#[derive(Debug, Default)]
pub enum Slot {
    /// Not looked for yet.
    #[default]
    Unknown,
    /// The kernel does not have it here, or does not serve it.
    Absent,
    /// It exists and is opened for each reading.
    Opened,
    /// It is held open.
    Held(OwnedFd),
}

/// The one buffer that every file is read into.
#[derive(Debug)]
pub struct Buffer(Vec<u8>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; 64 << 10])
    }
}

/// Why a file gave no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The system call failed.
    Os(Errno),
    /// The file did not end.
    TooLong,
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

impl ReadError {
    /// The kind it is counted as.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::TooLong => FaultKind::TooLong,
            Self::Os(Errno::ENOENT | Errno::ENODEV | Errno::ESRCH) => FaultKind::Vanished,
            Self::Os(Errno::EACCES | Errno::EPERM) => FaultKind::Denied,
            Self::Os(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => FaultKind::Unsupported,
            Self::Os(Errno::EMFILE | Errno::ENFILE) => FaultKind::Descriptors,
            Self::Os(_) => FaultKind::Io,
        }
    }

    /// Whether it says nothing of the file: no descriptor or memory was left, and trying again may do.
    #[must_use]
    pub const fn is_shortage(self) -> bool {
        matches!(self, Self::Os(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
    }
}

impl Buffer {
    /// The whole text of a file, from its start.
    ///
    /// Most kernel files come whole in one call. A list of processes comes a page at a time, so a file is read until a
    /// call gives nothing more, unless `whole` says that one call is enough if the buffer was not filled.
    ///
    /// # Errors
    /// What `pread` says; [`ReadError::TooLong`] past 16 MiB.
    pub fn read(&mut self, fd: BorrowedFd<'_>, whole: bool) -> Result<&[u8], ReadError> {
        let mut length = 0;
        loop {
            if length == self.0.len() {
                if length >= LONGEST {
                    return Err(ReadError::TooLong);
                }
                self.0.resize(length * 2, 0);
            }
            let offset = i64::try_from(length).map_err(|_| ReadError::TooLong)?;
            let read = match pread(fd, &mut self.0[length..], offset) {
                Ok(read) => read,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            length += read;
            if read == 0 || (whole && length < self.0.len()) {
                return Ok(&self.0[..length]);
            }
        }
    }
}

/// Opens a directory by its path below another, and tells its inode.
///
/// # Errors
/// What `openat` and `fstat` say.
pub fn open_directory(root: BorrowedFd<'_>, path: &[u8]) -> Result<(OwnedFd, u64), Errno> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let fd = openat(root, relative(path), flags, Mode::empty())?;
    let id = fstat(&fd)?.st_ino;
    Ok((fd, id))
}

/// Opens the root of a hierarchy.
///
/// # Errors
/// What `open` says.
pub fn open_root(mount: &Path) -> Result<OwnedFd, Errno> {
    nix::fcntl::open(mount, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// The inode of a directory and the number of its subdirectories, where the file system tells it by the link count.
///
/// # Errors
/// What `fstatat` says.
pub fn directory_state(root: BorrowedFd<'_>, path: &[u8]) -> Result<(u64, Option<u32>), Errno> {
    let stat = fstatat(root, relative(path), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    // A directory of a cgroup file system is linked from its parent, from itself, and from each child.
    Ok((stat.st_ino, u32::try_from(stat.st_nlink).ok().and_then(|links| links.checked_sub(2))))
}

/// The user who owns a directory.
///
/// # Errors
/// What `fstatat` says.
pub fn directory_owner(root: BorrowedFd<'_>, path: &[u8]) -> Result<u32, Errno> {
    Ok(fstatat(root, relative(path), AtFlags::AT_SYMLINK_NOFOLLOW)?.st_uid)
}

/// Opens a file of the directory with this inode, for one reading.
///
/// # Errors
/// What `openat` says; `ENODEV` where another directory stands under the path.
pub fn open_member(root: BorrowedFd<'_>, path: &[u8], id: u64, name: &str) -> Result<OwnedFd, Errno> {
    let (directory, found) = open_directory(root, path)?;
    if found != id {
        return Err(Errno::ENODEV);
    }
    openat(&directory, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// The names of the directories in a directory.
///
/// # Errors
/// What `openat` and `getdents` say.
pub fn child_directories(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let (fd, _) = open_directory(root, path)?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(fd)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if entry.file_type() == Some(Type::Directory) && name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

fn relative(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"/") {
        Some(b"") => b".",
        Some(relative) => relative,
        None => path,
    }
}

/// One cgroup's directory in one hierarchy, with a slot for each file that is read there.
#[derive(Debug)]
pub struct Directory {
    /// Its inode.
    pub id: u64,
    slots: Box<[Slot]>,
}

impl Directory {
    /// A directory with nothing looked for yet.
    #[must_use]
    pub fn new(id: u64, files: usize) -> Self {
        Self { id, slots: (0..files).map(|_| Slot::Unknown).collect() }
    }

    /// The slot of a file.
    #[must_use]
    pub fn slot(&self, file: usize) -> &Slot {
        &self.slots[file]
    }

    /// Changes a slot, giving back the descriptor that it held.
    pub fn set_slot(&mut self, file: usize, slot: Slot, budget: &mut Budget) {
        if matches!(std::mem::replace(&mut self.slots[file], slot), Slot::Held(_)) {
            budget.give_back(1);
        }
    }

    /// Opens a file through the open directory; keeps the descriptor if the budget allows it.
    ///
    /// # Errors
    /// What `openat` says; the slot is then [`Slot::Absent`] where there is no such file.
    pub fn open(
        &mut self,
        directory: BorrowedFd<'_>,
        file: usize,
        name: &str,
        hold: Option<Hold>,
        budget: &mut Budget,
    ) -> Result<OpenFile<'_>, Errno> {
        let fd = openat(directory, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        if hold.is_some_and(|hold| budget.take(hold == Hold::Announced)) {
            self.slots[file] = Slot::Held(fd);
            match &self.slots[file] {
                Slot::Held(fd) => Ok(OpenFile::Held(fd.as_fd())),
                _ => Err(Errno::EBADF),
            }
        } else {
            self.slots[file] = Slot::Opened;
            Ok(OpenFile::Own(fd))
        }
    }

    /// Closes everything.
    pub fn close(&mut self, budget: &mut Budget) {
        for slot in &mut self.slots {
            if matches!(std::mem::take(slot), Slot::Held(_)) {
                budget.give_back(1);
            }
        }
    }
}

/// Why a file's descriptor is worth holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is read at each pass.
    Hot,
    /// The kernel announces its changes only while a descriptor is held.
    Announced,
}

/// A file opened for one reading, or held for many.
#[derive(Debug)]
pub enum OpenFile<'a> {
    /// Held by its directory.
    Held(BorrowedFd<'a>),
    /// Closed after this reading.
    Own(OwnedFd),
}

impl AsFd for OpenFile<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Held(fd) => *fd,
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn temporary(content: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().expect("tempfile");
        file.write_all(content).expect("write");
        file
    }

    #[test]
    fn a_text_longer_than_the_buffer_is_read_whole() {
        let long = vec![b'7'; 200_000];
        let mut buffer = Buffer::default();
        for whole in [true, false] {
            assert_eq!(buffer.read(temporary(&long).as_fd(), whole).expect("a text").len(), long.len());
        }
        assert_eq!(buffer.read(temporary(b"1\n").as_fd(), true).expect("a text"), b"1\n");
        let endless = std::fs::File::open("/dev/zero").expect("device");
        assert_eq!(buffer.read(endless.as_fd(), false), Err(ReadError::TooLong));
    }

    #[test]
    fn the_budget_keeps_the_last_for_files_that_are_announced() {
        let mut budget = Budget::new(20);
        assert!((0..19).all(|_| budget.take(false)));
        assert!(!budget.take(false));
        assert!(budget.take(true));
        assert!(!budget.take(true));
        budget.give_back(2);
        assert_eq!(budget.held(), 18);
    }

    #[test]
    fn errors_have_kinds() {
        for (errno, kind) in [
            (Errno::ENODEV, FaultKind::Vanished),
            (Errno::EACCES, FaultKind::Denied),
            (Errno::EOPNOTSUPP, FaultKind::Unsupported),
            (Errno::EMFILE, FaultKind::Descriptors),
            (Errno::EIO, FaultKind::Io),
        ] {
            assert_eq!(ReadError::Os(errno).kind(), kind);
        }
    }
}
