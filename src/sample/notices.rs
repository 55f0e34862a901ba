//! What the watch tells between two passes: births, deaths, control writes, the kernel's notices.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::derive::own;
use super::news::{News, Written};
use super::sampler::{Sampler, now};
use super::tree::child_path;
use crate::kernel::catalog::control_name;
use crate::kernel::freeze::is_freezer;
use crate::kernel::watch::Event;
use crate::model::{Collector, Field, Version, WriteRow, Writer, parent_path, path_depth};

/// Events that wait to be looked at, with their names in one buffer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: Vec<Queued>,
    names: Vec<u8>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    kind: Kind,
    hierarchy: usize,
    directory: u64,
    name: (usize, usize),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Born,
    Died,
    Written(Option<u32>),
    Notice,
}

impl Queue {
    fn push(&mut self, kind: Kind, hierarchy: u8, directory: u64, name: &[u8]) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let name = (start, self.names.len());
        self.events.push(Queued { kind, hierarchy: usize::from(hierarchy), directory, name });
    }

    fn pop(&mut self) -> Option<(Queued, Vec<u8>)> {
        let event = *self.events.get(self.next)?;
        self.next += 1;
        Some((event, self.names.get(event.name.0..event.name.1).unwrap_or_default().to_vec()))
    }

    fn is_empty(&self) -> bool {
        self.next >= self.events.len()
    }

    /// Makes room. The memory of a flood is given back.
    fn clear(&mut self) {
        self.next = 0;
        self.events.clear();
        self.events.shrink_to(1024);
        self.names.clear();
        self.names.shrink_to(64 << 10);
    }
}

impl Sampler {
    /// The descriptors whose being readable means that [`Sampler::attend`] has something to do.
    pub(super) fn watched(&self) -> Vec<BorrowedFd<'_>> {
        self.watch.poll_fds()
    }

    /// Takes in what was noticed since the last call, until the time given. Tells whether there is more.
    pub(super) fn attend(&mut self, until: Duration) -> bool {
        let mut more = false;
        if self.queue.is_empty() {
            self.queue.clear();
            let Self { watch, queue, rescan, events_lost, .. } = self;
            more = watch.drain(|event| match event {
                Event::Born { hierarchy, parent, name } => queue.push(Kind::Born, hierarchy, parent, name),
                Event::Died { hierarchy, parent, name } => queue.push(Kind::Died, hierarchy, parent, name),
                Event::Written { hierarchy, dir, name, pid } => {
                    queue.push(Kind::Written(pid), hierarchy, dir, name);
                }
                Event::Notice { hierarchy, dir, name } => queue.push(Kind::Notice, hierarchy, dir, name),
                Event::Lost { hierarchy } => {
                    *rescan |= 1 << hierarchy;
                    *events_lost = true;
                }
            });
        }
        while let Some((event, name)) = self.queue.pop() {
            self.notice(event, &name);
            if now() >= until {
                return !self.queue.is_empty() || more;
            }
        }
        more
    }

    fn notice(&mut self, event: Queued, name: &[u8]) {
        let hierarchy = event.hierarchy;
        let mut writer = Writer::Unknown;
        if let Kind::Written(pid) = event.kind {
            writer = self.count_write(name, pid);
        }
        let Some(id) = self.tree.of_directory(hierarchy, event.directory) else { return };
        let Some(node) = self.tree.get(id) else { return };
        match event.kind {
            Kind::Born => {
                let path = child_path(node.path(), name);
                if path_depth(&path) <= self.settings.filter.max_depth() {
                    let found = self.discover(hierarchy, &path);
                    self.explore(hierarchy, found.into_iter().collect());
                }
            }
            Kind::Died => {
                if let Some(child) = self.tree.at(&child_path(node.path(), name)) {
                    self.verify(child, hierarchy);
                }
            }
            Kind::Written(pid) => self.written(id, hierarchy, name, (pid, writer)),
            Kind::Notice => self.announced(id, hierarchy, name),
        }
    }

    fn count_write(&mut self, name: &[u8], pid: Option<u32>) -> Writer {
        let file = control_name(&self.reader.catalog, name);
        let writer = self.writers.classify(pid);
        let rows = &mut self.report.writes;
        match rows.binary_search_by(|row| (row.file, row.writer).cmp(&(file, writer))) {
            Ok(at) => rows[at].count += 1,
            Err(at) => rows.insert(at, WriteRow { file, writer, count: 1 }),
        }
        writer
    }

    /// Somebody wrote to a file of a cgroup: reads it again if it is a control that is kept, and has all read again
    /// where the write may have made files come or go.
    fn written(&mut self, id: usize, hierarchy: usize, name: &[u8], (pid, writer): (Option<u32>, Writer)) {
        let unified = self.layout.hierarchies[hierarchy].version == Version::V2;
        match name {
            b"cgroup.subtree_control" if unified => {
                let Some(above) = self.tree.get(id).map(|node| Arc::clone(&node.cgroup.identity)) else {
                    return;
                };
                for node in self.tree.nodes_mut() {
                    node.stale |= parent_path(node.path()) == Some(&above.path);
                }
            }
            b"cgroup.pressure" | b"cgroup.type" if unified => {
                if let Some(node) = self.tree.get_mut(id) {
                    node.stale = true;
                }
            }
            _ => {
                let Ok(name) = std::str::from_utf8(name) else { return };
                // A limit may show in other files of the controller, and in other cgroups below. memory's slow files
                // follow from no write.
                let controller = name.split('.').next().unwrap_or_default();
                if let Some(collector) = Collector::from_name(controller)
                    && collector != Collector::Memory
                {
                    self.schedule.hurry(collector);
                }
                let kept = self.reader.catalog[hierarchy]
                    .iter()
                    .any(|spec| spec.name == name && spec.read.fills_controls());
                let Some(node) = self.tree.get_mut(id) else { return };
                let before = Arc::clone(&node.cgroup.controls);
                if kept {
                    self.reader.controls(node, Some(hierarchy), Some(name));
                }
                // A cpuset's lists and the freezer are no controls here: who keeps one in force looks at the file.
                if kept || is_freezer(name) || matches!(name, "cpuset.cpus" | "cpuset.mems") {
                    self.gazette.add(|| {
                        News::Written(Written {
                            cgroup: Arc::clone(&node.cgroup.identity),
                            file: name.into(),
                            changes: before.knobs_changed(&node.cgroup.controls),
                            pid,
                            writer,
                        })
                    });
                }
            }
        }
    }

    /// The kernel says that an events file changed. A cgroup that has just lost its last process is about to be removed:
    /// everything of it is read while it is still there.
    fn announced(&mut self, id: usize, hierarchy: usize, name: &[u8]) {
        let Some(file) = self.reader.catalog[hierarchy].iter().position(|spec| spec.name.as_bytes() == name)
        else {
            return;
        };
        self.single.resize_with(self.reader.catalog.len(), Vec::new);
        self.single.iter_mut().for_each(Vec::clear);
        self.single[hierarchy].push(file);
        let memory_v1 = self.memory_is_v1();
        let Some(node) = self.tree.get_mut(id) else { return };
        self.reader.numbers(node, &self.single);
        self.gazette.add(|| News::Announced(Arc::clone(&node.cgroup.identity)));
        // Not only where it was seen populated before: the notices of a short life merge into the last one.
        if name == b"cgroup.events" && node.cgroup.readings.get(Field::Populated) == Some(0) {
            let gone = self.reader.numbers(node, &self.everything.files);
            if gone == 0 {
                let sources = self.reader.sources(node, memory_v1);
                own(&mut node.cgroup, sources);
                node.cgroup.sampled = now();
            }
        }
    }

    /// What the log says of the watch at the start.
    pub(super) fn log_watch(&self) {
        let method = self.watch.method().name();
        match self.watch.why_not_better() {
            None => {
                tracing::info!(method, "births, deaths and control writes are seen at once, with the writer")
            }
            Some(why) => tracing::warn!(method, "births and deaths are noticed by {method} only; {why}."),
        }
    }

    /// Closes what the watch holds for a directory.
    pub(super) fn unwatch(&mut self, hierarchy: usize, inode: u64) {
        if let Ok(hierarchy) = u8::try_from(hierarchy) {
            self.watch.remove_dir(hierarchy, inode);
        }
    }

    /// Watches a directory of a cgroup.
    pub(super) fn watch_directory(
        &mut self,
        hierarchy: usize,
        inode: u64,
        path: &Arc<crate::model::Identity>,
    ) {
        use std::os::unix::ffi::OsStrExt as _;
        let relative = path.path.strip_prefix(b"/").unwrap_or(&path.path);
        let full = self.layout.hierarchies[hierarchy].mount.join(std::ffi::OsStr::from_bytes(relative));
        let Ok(hierarchy) = u8::try_from(hierarchy) else { return };
        if let Err(error) = self.watch.add_dir(hierarchy, inode, &full) {
            tracing::debug!("{error}");
        }
    }
}
