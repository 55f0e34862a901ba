//! The files of one cgroup, through held descriptors.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;

use super::derive::Sources;
use super::faults::{Faults, is_failure};
use super::tree::Node;
use crate::kernel::dir::{Budget, Buffer, Directory, Hold, ReadError, Slot, open_directory};
use crate::kernel::shapes::Shapes;
use crate::kernel::spec::{Cadence, Context, FileSpec, When};
use crate::model::{Collector, CollectorReport, Controls, FaultKind, Field, Readings};

/// Everything that reading needs and that no single cgroup owns.
pub struct Reader {
    /// The files of each hierarchy.
    pub catalog: Vec<Vec<FileSpec>>,
    /// The root directory of each hierarchy.
    pub roots: Vec<OwnedFd>,
    /// Which hierarchy is the v2 one.
    pub unified: Option<usize>,
    /// The shapes of tables.
    pub shapes: Shapes,
    /// Held descriptors.
    pub budget: Budget,
    /// What went wrong since the start.
    pub faults: Faults,
    /// What each collector did since the last publication.
    pub collectors: [CollectorReport; Collector::COUNT],
    /// What every file is read into.
    pub buffer: Buffer,
}

/// What a directory turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Alive,
    /// It was removed, or another one stands under its path.
    Gone,
}

/// Which of a node's directories these files belong to.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    hierarchy: usize,
    path: &'a [u8],
    /// It is the first hierarchy that has the cgroup.
    first: bool,
    /// The cgroup is in the v2 hierarchy as well.
    in_unified: bool,
    /// Only what its descendants' limits need.
    hidden: bool,
}

impl Place<'_> {
    /// Whether a file is read here at all.
    fn wants(&self, spec: &FileSpec) -> bool {
        let here = match spec.when {
            When::Always | When::Populated => true,
            When::FirstHierarchy => self.first,
            When::NoUnified => !self.in_unified,
        };
        here && (!self.hidden || spec.collector == Collector::Memory)
    }
}

/// One reading that a pass makes.
#[derive(Debug)]
pub struct PlannedRead<'a> {
    /// The hierarchy.
    pub hierarchy: usize,
    /// The cgroup.
    pub cgroup: &'a [u8],
    /// The file.
    pub file: &'static str,
    /// It takes a second call to see that a list has ended.
    pub paged: bool,
    /// The descriptor, where it is held.
    pub held: Option<BorrowedFd<'a>>,
}

impl Reader {
    /// The readings that [`Reader::numbers`] makes of a cgroup, in their order.
    pub fn plan<'a>(
        &'a self,
        node: &'a Node,
        due: &'a [Vec<usize>],
    ) -> impl Iterator<Item = PlannedRead<'a>> {
        let readings = &node.cgroup.readings;
        let unpopulated = readings.get(Field::Populated) == Some(0);
        self.places(node).flat_map(move |(place, directory)| {
            due[place.hierarchy].iter().filter_map(move |&file| {
                let spec = &self.catalog[place.hierarchy][file];
                let skipped = unpopulated && spec.when == When::Populated;
                let held = match directory.slot(file) {
                    Slot::Held(fd) => Some(fd.as_fd()),
                    Slot::Opened => None,
                    Slot::Absent | Slot::Unknown => return None,
                };
                (place.wants(spec) && !skipped).then_some(PlannedRead {
                    hierarchy: place.hierarchy,
                    cgroup: place.path,
                    file: spec.name,
                    paged: spec.paged,
                    held,
                })
            })
        })
    }

    fn places<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = (Place<'a>, &'a Directory)> {
        let first = node.first_hierarchy();
        let in_unified = self.unified.is_some_and(|unified| node.directories[unified].is_some());
        node.directories.iter().enumerate().filter_map(move |(hierarchy, directory)| {
            let place = Place {
                hierarchy,
                path: node.path(),
                first: first == Some(hierarchy),
                in_unified,
                hidden: node.cgroup.hidden,
            };
            Some((place, directory.as_ref()?))
        })
    }

    /// A reader over opened roots.
    #[must_use]
    pub fn new(
        catalog: Vec<Vec<FileSpec>>,
        roots: Vec<OwnedFd>,
        unified: Option<usize>,
        shapes: Shapes,
        budget: Budget,
    ) -> Self {
        Self {
            catalog,
            roots,
            unified,
            shapes,
            budget,
            faults: Faults::default(),
            collectors: [CollectorReport::default(); Collector::COUNT],
            buffer: Buffer::default(),
        }
    }

    /// Reads these files of a cgroup into its numbers. Tells the hierarchies whose directory is gone, one bit each; what
    /// was last read there stays.
    pub fn numbers(&mut self, node: &mut Node, due: &[Vec<usize>]) -> u32 {
        let first = node.first_hierarchy();
        let in_unified = self.unified.is_some_and(|unified| node.directories[unified].is_some());
        let Node { cgroup, directories, .. } = node;
        let mut gone = 0;
        for (hierarchy, directory) in directories.iter_mut().enumerate() {
            let Some(directory) = directory else { continue };
            let place = Place {
                hierarchy,
                path: &cgroup.identity.path,
                first: first == Some(hierarchy),
                in_unified,
                hidden: cgroup.hidden,
            };
            if self.directory(directory, place, &due[hierarchy], &mut cgroup.readings) == Presence::Gone {
                gone |= 1 << hierarchy;
            }
        }
        gone
    }

    fn directory(
        &mut self,
        directory: &mut Directory,
        place: Place<'_>,
        due: &[usize],
        readings: &mut Readings,
    ) -> Presence {
        let Self { catalog, roots, shapes, budget, faults, collectors, buffer, .. } = self;
        let root = roots[place.hierarchy].as_fd();
        let mut context = Context { shapes };
        let mut opened = None;
        let mut timer = Timer::start();
        for &file in due {
            let spec = &catalog[place.hierarchy][file];
            if !place.wants(spec) {
                continue;
            }
            timer.enter(spec.collector, collectors);
            if spec.when == When::Populated && readings.get(Field::Populated) == Some(0) {
                let _ = spec.read.numbers(Some(b""), readings, &mut context);
                continue;
            }
            let text = match directory.slot(file) {
                Slot::Absent => continue,
                Slot::Held(fd) => buffer.read(fd.as_fd(), !spec.paged),
                slot @ (Slot::Unknown | Slot::Opened) => {
                    let unknown = matches!(slot, Slot::Unknown);
                    if opened.is_none() {
                        match open_directory(root, place.path) {
                            Ok((fd, id)) if id == directory.id => opened = Some(fd),
                            Ok(_) | Err(Errno::ENOENT | Errno::ENODEV | Errno::ENOTDIR) => {
                                return Presence::Gone;
                            }
                            Err(errno) => {
                                let error = ReadError::Os(errno);
                                count(faults, collectors, spec, error, place.path);
                                let _ = spec.read.numbers(None, readings, &mut context);
                                continue;
                            }
                        }
                    }
                    let Some(parent) = &opened else { continue };
                    match directory.open(parent.as_fd(), file, spec.name, hold(spec), budget) {
                        Ok(open) => buffer.read(open.as_fd(), !spec.paged),
                        Err(Errno::ENOENT) if unknown => {
                            directory.set_slot(file, Slot::Absent, budget);
                            let _ = spec.read.numbers(None, readings, &mut context);
                            continue;
                        }
                        Err(errno) => Err(errno.into()),
                    }
                }
            };
            collectors[spec.collector as usize].reads += 1;
            let error = match text {
                Ok(text) => match spec.read.numbers(Some(text), readings, &mut context) {
                    Ok(()) => continue,
                    Err(malformed) => {
                        faults.count(spec.name, FaultKind::Malformed, place.path, &malformed);
                        collectors[spec.collector as usize].faults += 1;
                        None
                    }
                },
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                count(faults, collectors, spec, error, place.path);
                match error.kind() {
                    FaultKind::Vanished => {
                        // The cgroup ended, and its last numbers stand; or only its controller was taken away.
                        if presence(root, place.path, directory.id) == Presence::Gone {
                            return Presence::Gone;
                        }
                        directory.set_slot(file, Slot::Unknown, budget);
                    }
                    FaultKind::Unsupported => directory.set_slot(file, Slot::Absent, budget),
                    // Opened anew next time: what stands there then may be in order again.
                    _ => directory.set_slot(file, Slot::Unknown, budget),
                }
            }
            let _ = spec.read.numbers(None, readings, &mut context);
        }
        timer.stop(collectors);
        Presence::Alive
    }

    /// Reads a cgroup's control files, or only those in one hierarchy, or only the one of this name. What could not be read for want of descriptors or
    /// memory makes the node stale: nobody would tell of it again.
    pub fn controls(&mut self, node: &mut Node, only: Option<usize>, name: Option<&str>) {
        let Self { catalog, roots, shapes, budget, faults, collectors, buffer, .. } = self;
        let Node { cgroup, directories, stale, .. } = node;
        let mut context = Context { shapes };
        let mut controls: Controls = (*cgroup.controls).clone();
        for (hierarchy, directory) in directories.iter_mut().enumerate() {
            let Some(directory) = directory.as_mut().filter(|_| only.is_none_or(|only| only == hierarchy))
            else {
                continue;
            };
            let files = &catalog[hierarchy];
            let wanted = |spec: &FileSpec| {
                spec.read.fills_controls()
                    && name.is_none_or(|name| name == spec.name)
                    && !(cgroup.hidden && spec.collector != Collector::Memory)
            };
            if !files.iter().any(wanted) {
                continue;
            }
            let path = &*cgroup.identity.path;
            let parent = match open_directory(roots[hierarchy].as_fd(), path) {
                Ok((fd, id)) if id == directory.id => fd,
                // Whoever asks next finds out that it is gone.
                Ok(_) => continue,
                Err(errno) => {
                    *stale |= ReadError::Os(errno).is_shortage();
                    continue;
                }
            };
            for (file, spec) in files.iter().enumerate().filter(|(_, spec)| wanted(spec)) {
                if matches!(directory.slot(file), Slot::Absent) {
                    continue;
                }
                let text = match directory.open(parent.as_fd(), file, spec.name, None, budget) {
                    Ok(open) => buffer.read(open.as_fd(), true),
                    Err(Errno::ENOENT) => {
                        directory.set_slot(file, Slot::Absent, budget);
                        let _ = spec.read.controls(None, &mut controls, &mut context);
                        continue;
                    }
                    Err(errno) => Err(errno.into()),
                };
                match text {
                    Ok(text) => {
                        if let Err(malformed) = spec.read.controls(Some(text), &mut controls, &mut context) {
                            faults.count(spec.name, FaultKind::Malformed, path, &malformed);
                            collectors[spec.collector as usize].faults += 1;
                            let _ = spec.read.controls(None, &mut controls, &mut context);
                        }
                    }
                    Err(error) => {
                        *stale |= error.is_shortage();
                        count(faults, collectors, spec, error, path);
                        let _ = spec.read.controls(None, &mut controls, &mut context);
                    }
                }
            }
        }
        if controls != *cgroup.controls {
            cgroup.controls = Arc::new(controls);
        }
    }

    /// Makes absent what came from a hierarchy that no longer has the cgroup. What another one tells stays.
    pub fn forget(&mut self, node: &mut Node, hierarchy: usize) {
        let place = Place {
            hierarchy,
            path: &node.cgroup.identity.path,
            first: node.first_hierarchy().is_none_or(|first| hierarchy <= first),
            in_unified: self.unified.is_some_and(|unified| node.directories[unified].is_some()),
            hidden: node.cgroup.hidden,
        };
        let mut context = Context { shapes: &mut self.shapes };
        let mut controls = (*node.cgroup.controls).clone();
        for spec in self.catalog[hierarchy].iter().filter(|spec| place.wants(spec)) {
            // Nothing to parse, nothing to fail.
            let _ = spec.read.numbers(None, &mut node.cgroup.readings, &mut context);
            let _ = spec.read.controls(None, &mut controls, &mut context);
        }
        node.cgroup.controls = Arc::new(controls);
    }

    /// Which files a cgroup's numbers come from.
    #[must_use]
    pub fn sources(&self, node: &Node, memory_v1: bool) -> Sources {
        let unified = self.unified.is_some_and(|unified| node.directories[unified].is_some());
        Sources { memory_v1, unified }
    }

    /// Whether the directory with this inode still stands under its path.
    #[must_use]
    pub fn presence(&self, hierarchy: usize, path: &[u8], id: u64) -> Presence {
        presence(self.roots[hierarchy].as_fd(), path, id)
    }

    /// Looks again for files that were absent: a controller may have been switched on.
    pub fn look_again(&mut self, node: &mut Node) {
        for (directory, files) in node.directories.iter_mut().zip(&self.catalog) {
            let Some(directory) = directory else { continue };
            for file in 0..files.len() {
                if matches!(directory.slot(file), Slot::Absent) {
                    directory.set_slot(file, Slot::Unknown, &mut self.budget);
                }
            }
        }
    }
}

fn presence(root: BorrowedFd<'_>, path: &[u8], id: u64) -> Presence {
    match open_directory(root, path) {
        Ok((_, found)) if found == id => Presence::Alive,
        Ok(_) | Err(Errno::ENOENT | Errno::ENODEV | Errno::ENOTDIR) => Presence::Gone,
        // No descriptor left, no right: it has not been seen to go.
        Err(_) => Presence::Alive,
    }
}

fn hold(spec: &FileSpec) -> Option<Hold> {
    match spec.cadence {
        _ if spec.reopened => None,
        Cadence::Notified => Some(Hold::Announced),
        Cadence::Pass => Some(Hold::Hot),
        Cadence::Slow | Cadence::Control => None,
    }
}

fn count(
    faults: &mut Faults,
    collectors: &mut [CollectorReport; Collector::COUNT],
    spec: &FileSpec,
    error: ReadError,
    path: &[u8],
) {
    let kind = error.kind();
    match error {
        ReadError::Os(errno) => faults.count(spec.name, kind, path, &errno.desc()),
        ReadError::TooLong => faults.count(spec.name, kind, path, &"longer than 16 MiB"),
    }
    if is_failure(kind) {
        collectors[spec.collector as usize].faults += 1;
    }
}

/// Charges the time that passes to the collector being read. One clock reading a change of collector.
struct Timer {
    since: Instant,
    collector: Option<Collector>,
}

impl Timer {
    fn start() -> Self {
        Self { since: Instant::now(), collector: None }
    }

    fn enter(&mut self, collector: Collector, collectors: &mut [CollectorReport; Collector::COUNT]) {
        if self.collector != Some(collector) {
            self.stop(collectors);
            self.collector = Some(collector);
        }
    }

    fn stop(&mut self, collectors: &mut [CollectorReport; Collector::COUNT]) {
        if let Some(collector) = self.collector.take() {
            let now = Instant::now();
            collectors[collector as usize].took += now - self.since;
            self.since = now;
        }
    }
}
