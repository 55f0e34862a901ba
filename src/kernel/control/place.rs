//! A cgroup's held directory in one hierarchy: its files are reached through it and through nothing else.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::ControlError;
use crate::model::{Version, display_path};

/// A cgroup's held directory in one hierarchy.
#[derive(Debug)]
pub(in crate::kernel) struct Place {
    /// The hierarchy's place in the layout.
    pub hierarchy: usize,
    /// v1 or v2.
    pub version: Version,
    /// The held directory.
    pub directory: OwnedFd,
    /// Its path, for messages.
    pub shown: PathBuf,
}

impl Place {
    /// Opens one of its files.
    pub fn open(&self, name: &str, flags: OFlag) -> Result<OwnedFd, ControlError> {
        self.open_raw(name, flags).map_err(|errno| self.failure(name, "", errno))
    }

    fn open_raw(&self, name: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        openat(self.directory.as_fd(), name, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())
    }

    /// The whole text of one of its files.
    pub fn read(&self, name: &str) -> Result<String, ControlError> {
        let read = self.open_raw(name, OFlag::O_RDONLY).and_then(|fd| text(File::from(fd)));
        read.map_err(|errno| self.failure(name, "", errno))
    }

    /// The same, or nothing where the kernel has no such file here or does not serve it.
    pub fn read_if_there(&self, name: &str) -> Result<Option<String>, ControlError> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            Err(ControlError::Unsupported(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the kernel has such a file here.
    pub fn has(&self, name: &str) -> bool {
        self.open_raw(name, OFlag::O_PATH).is_ok()
    }

    /// Writes one of its files, in one system call and without truncating it first.
    pub fn write(&self, name: &str, value: &str) -> Result<(), ControlError> {
        // A write of nothing does not reach the kernel: an emptied list needs its newline.
        let mut written = self.write_raw(name, if value.is_empty() { "\n" } else { value });
        if value.is_empty() && written == Err(Errno::ENOSPC) {
            // A set of CPUs or memory nodes with tasks in it cannot be emptied again. All that its parent has is the same.
            // On v1 there is no such file, and what the kernel said stands.
            let all = self.open_raw(&format!("../{name}.effective"), OFlag::O_RDONLY);
            if let Ok(all) = all.and_then(|fd| text(File::from(fd))) {
                written = self.write_raw(name, &all);
            }
        }
        written.map_err(|errno| self.failure(name, if value.is_empty() { "(nothing)" } else { value }, errno))
    }

    fn write_raw(&self, name: &str, value: &str) -> Result<(), Errno> {
        let fd = self.open_raw(name, OFlag::O_WRONLY)?;
        File::from(fd).write_all(value.as_bytes()).map_err(|error| errno_of(&error))
    }

    /// One of its files by its whole path, for messages.
    pub fn file(&self, name: &str) -> String {
        use std::os::unix::ffi::OsStrExt as _;
        display_path(self.shown.join(name).as_os_str().as_bytes())
    }

    /// What a failed system call on one of its files means; `value` is empty when it was read.
    pub fn failure(&self, name: &str, value: &str, errno: Errno) -> ControlError {
        match errno {
            // A device that is not there is ENODEV too: whether the cgroup is gone must be asked.
            Errno::ENOENT | Errno::ENODEV if !self.is_alive() => ControlError::Vanished,
            Errno::ENOENT => ControlError::Unsupported(format!(
                "{}: there is no such file: this kernel lacks it, or the parent's cgroup.subtree_control does not \
                 hand its controller down",
                self.file(name)
            )),
            Errno::EOPNOTSUPP => ControlError::Unsupported(format!(
                "{}: the kernel does not serve it here: it is switched off, or the cgroup is threaded",
                self.file(name)
            )),
            Errno::EACCES | Errno::EPERM | Errno::EROFS => ControlError::Denied { file: self.file(name) },
            errno => ControlError::Os { file: self.file(name), value: value.to_owned(), errno },
        }
    }

    /// Whether the cgroup still exists: a removed one's directory is held, and empty.
    pub fn is_alive(&self) -> bool {
        self.has("cgroup.procs")
    }
}

/// The text of an open file, from where it stands.
fn text(mut file: File) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| errno_of(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32))
}

/// Opens the directory of this name in another one, never through a symbolic link.
pub(in crate::kernel) fn open_child(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}
