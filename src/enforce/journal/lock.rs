//! There is one writer: whoever holds the lock, which the kernel drops with the process.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{JournalError, io_error};

/// Takes the lock of a journal's directory, and names this process in it.
pub(super) fn take_lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("open", &path))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = lock.read_to_string(&mut pid);
        let pid = if pid.trim().is_empty() { "?" } else { pid.trim() };
        return Err(JournalError::Locked { dir: dir.to_owned(), pid: pid.to_owned() });
    }
    let pid = std::process::id().to_string();
    // Only for whoever finds it locked; a full disk may have no room for it.
    let _ = lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes()));
    Ok(lock)
}
