//! The processes of a target and of everything below it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use procfs::process::Process;

use super::{ControlError, Place, Target, open_child};

/// Deeper trees than this are not cgroups: the kernel's own default limits are far lower, and a walk must end.
const DEEPEST: usize = 512;

impl Target {
    /// The processes in the cgroup and below it, in every hierarchy that has it.
    ///
    /// # Errors
    /// [`ControlError::Vanished`] where the cgroup was removed; what the kernel says of a list.
    pub fn processes(&self) -> Result<BTreeSet<i32>, ControlError> {
        let mut all = BTreeSet::new();
        let mut gone = 0;
        for place in &self.places {
            match self.processes_in(place) {
                Ok(processes) => all.extend(processes),
                // Directories of one cgroup are removed one after the other.
                Err(ControlError::Vanished) => gone += 1,
                Err(error) => return Err(error),
            }
        }
        if gone == self.places.len() { Err(ControlError::Vanished) } else { Ok(all) }
    }

    /// The same, in one hierarchy; one that is in several lists while it moves is there as often.
    pub(in crate::kernel) fn processes_in(&self, place: &Place) -> Result<Vec<i32>, ControlError> {
        let mut found = Vec::new();
        self.collect(place, &mut found)?;
        visit_below(place, 0, &mut |child| match self.collect(child, &mut found) {
            // A cgroup below that goes while it is looked at took its processes along.
            Ok(()) | Err(ControlError::Vanished) => Ok(()),
            Err(error) => Err(error),
        })?;
        Ok(found)
    }

    /// Adds the processes of one directory.
    fn collect(&self, place: &Place, into: &mut Vec<i32>) -> Result<(), ControlError> {
        if let Some(list) = place.read_if_there("cgroup.procs")? {
            into.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()));
            return Ok(());
        }
        // A threaded cgroup lists no processes, only its threads.
        let threads = place.read_if_there("cgroup.threads")?.unwrap_or_default();
        into.extend(threads.lines().filter_map(|thread| {
            let process = Process::new_with_root(self.host.procfs.join(thread)).ok()?;
            process.status().ok().map(|status| status.tgid)
        }));
        Ok(())
    }
}

/// Shows every directory below one, parents first; only those on the way are held open.
pub(in crate::kernel) fn visit_below(
    place: &Place,
    depth: usize,
    show: &mut dyn FnMut(&Place) -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    if depth == DEEPEST {
        return Ok(());
    }
    let names = match names(place) {
        Ok(names) => names,
        Err(Errno::ENOENT | Errno::ENODEV) => return Ok(()),
        Err(errno) => return Err(place.failure(".", "", errno)),
    };
    for name in names {
        let directory = match open_child(place.directory.as_fd(), &name) {
            Ok(directory) => directory,
            Err(Errno::ENOENT | Errno::ENODEV) => continue,
            Err(errno) => return Err(place.failure(".", "", errno)),
        };
        let shown = place.shown.join(OsStr::from_bytes(&name));
        let child = Place { hierarchy: place.hierarchy, version: place.version, directory, shown };
        show(&child)?;
        visit_below(&child, depth + 1, show)?;
    }
    Ok(())
}

/// The names of the directories in one.
fn names(place: &Place) -> Result<Vec<Vec<u8>>, Errno> {
    // Listing moves the offset of the descriptor, which must not be that of the held one.
    let fd: OwnedFd = open_child(place.directory.as_fd(), b".")?;
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
