//! A pass over every cgroup, births and deaths, publication.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::Settings;
use super::census::{Census, Questions};
use super::derive::{Ceiling, limits, own};
use super::learn::Learning;
use super::linger::{Carried, Linger};
use super::network::Networks;
use super::news::{Gazette, News};
use super::notices::Queue;
use super::reader::{PlannedRead, Reader};
use super::schedule::{Due, Schedule};
use super::tree::{Node, NodeId, Tree};
use crate::kernel::catalog::catalog;
use crate::kernel::devices::Devices;
use crate::kernel::dir::{Budget, Directory, open_root};
use crate::kernel::host::HostFiles;
use crate::kernel::hugepages;
use crate::kernel::layout::{Hierarchy, Layout, LayoutError};
use crate::kernel::shapes::Shapes;
use crate::kernel::watch::writer::Writers;
use crate::kernel::watch::{Watch, WatchError, WatchTarget};
use crate::model::{
    CensusReport, Cgroup, Collector, CollectorReport, Host, Identity, Report, Snapshot, Version, WatchMethod,
};

/// Why sampling could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A hierarchy's root cannot be opened.
    #[error("cannot open the cgroup hierarchy at {path}: {errno}; it must be readable by this user")]
    Root {
        /// Where it is mounted.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// The way of watching that was asked for is not to be had.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// The walk over every cgroup of the host. Lives on one thread, and blocks there.
pub struct Sampler {
    pub(super) settings: Settings,
    pub(super) layout: Layout,
    host_files: HostFiles,
    pub(super) reader: Reader,
    pub(super) tree: Tree,
    pub(super) schedule: Schedule,
    pub(super) everything: Due,
    pub(super) linger: Linger,
    pub(super) report: Report,
    host: Host,
    ceilings: Vec<Ceiling>,
    published: Vec<Arc<Snapshot>>,
    pub(super) sequence: u64,
    pub(super) next_rank: u64,
    pub(super) watch: Watch,
    pub(super) writers: Writers,
    pub(super) queue: Queue,
    /// Hierarchies that lost events and are walked again at the next pass, one bit each.
    pub(super) rescan: u32,
    /// The watch lost events since the last pass: controls may have been written unnoticed.
    pub(super) events_lost: bool,
    /// How long the last pass took, without what it attended to first: that could grow without bound by itself.
    reading_took: Duration,
    /// A list of files with room for one, for notices.
    pub(super) single: Vec<Vec<usize>>,
    pub(super) gazette: Gazette,
    pub(super) learning: Learning,
    census: Census,
    networks: Networks,
}

impl Sampler {
    /// How long a flood of events is attended to at a stretch: orders and the clock do not wait longer.
    pub(super) const LONGEST_ATTENTION: Duration = Duration::from_secs(1);

    /// Finds the layout and opens the hierarchies. Nothing is walked yet: whoever watches begins to do so first.
    ///
    /// # Errors
    /// When there is no cgroup hierarchy, or one cannot be opened.
    pub fn new(settings: Settings, carried: Carried) -> Result<Self, SetupError> {
        let layout = Layout::detect(&settings.paths)?;
        let roots = layout
            .hierarchies
            .iter()
            .map(|hierarchy| {
                open_root(&hierarchy.mount)
                    .map_err(|errno| SetupError::Root { path: hierarchy.mount.clone(), errno })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let huge_pages = hugepages::sizes(&settings.paths.sysfs);
        let catalog = catalog(&layout, settings.collectors, &huge_pages);
        let everything = Due::everything(&catalog);
        let unified = layout.hierarchies.iter().position(|hierarchy| hierarchy.version == Version::V2);
        let shapes = Shapes::new(Devices::new(&settings.paths.sysfs), hugepages::schema(&huge_pages));
        let budget = settings.descriptors.map_or_else(Budget::from_limits, Budget::new);
        let targets: Vec<WatchTarget<'_>> = (0u8..)
            .zip(&layout.hierarchies)
            .map(|(hierarchy, found)| WatchTarget { hierarchy, mount: &found.mount })
            .collect();
        let watch = Watch::new(&targets, settings.watch)?;
        let mut report = Report::new(layout.kind, watch.method(), settings.collectors);
        report.descriptors_budget = budget.limit() as u64;
        let sampler = Self {
            host_files: HostFiles::new(&settings.paths.procfs, &settings.paths.sysfs),
            reader: Reader::new(catalog, roots, unified, shapes, budget),
            tree: Tree::default(),
            schedule: Schedule::new(now()),
            everything,
            linger: Linger::new(carried),
            report,
            host: Host::default(),
            ceilings: Vec::new(),
            published: Vec::new(),
            sequence: 0,
            next_rank: 0,
            writers: Writers::new(&settings.paths.procfs),
            watch,
            queue: Queue::default(),
            rescan: 0,
            events_lost: false,
            reading_took: Duration::ZERO,
            single: Vec::new(),
            gazette: Gazette::new(settings.news),
            learning: Learning::new(settings.paths.root.clone()),
            census: Census::default(),
            networks: Networks::default(),
            layout,
            settings,
        };
        sampler.log_watch();
        Ok(sampler)
    }

    /// The host's layout.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The sampling clock.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.settings.interval
    }

    /// The readings of a pass in which every collector was due and the slow clock did not strike, as the last pass left
    /// them: what a pass costs at the least is measured on these.
    pub fn plan(&self) -> impl Iterator<Item = PlannedRead<'_>> {
        let due = &self.schedule.due().files;
        self.tree
            .order()
            .iter()
            .filter_map(|&id| self.tree.get(id))
            .flat_map(|node| self.reader.plan(node, due))
    }

    /// Puts other settings in force. The paths stay those it was made with.
    pub fn apply(&mut self, settings: Settings) {
        let old = std::mem::replace(&mut self.settings, settings);
        self.settings.paths = old.paths;
        if self.settings.intervals != old.intervals {
            self.schedule.restart();
        }
        if self.settings.collectors != old.collectors || self.settings.filter != old.filter {
            let huge_pages = hugepages::sizes(&self.settings.paths.sysfs);
            self.reader.catalog = catalog(&self.layout, self.settings.collectors, &huge_pages);
            self.everything = Due::everything(&self.reader.catalog);
            self.report.enabled = self.settings.collectors;
            self.census = Census::default();
            self.report.census = CensusReport::default();
            self.begin_anew();
            self.linger.hide(|path| !self.settings.filter.admits(path));
            self.rescan = u32::MAX;
        }
    }

    /// Looks at every cgroup anew under changed settings: with its identity and its age, without its numbers.
    fn begin_anew(&mut self) {
        let nodes: Vec<NodeId> = self.tree.ids().collect();
        for id in nodes {
            let Some(node) = self.tree.get_mut(id) else { continue };
            if node.cgroup.identity.depth() > self.settings.filter.max_depth() {
                self.take_out(id);
                continue;
            }
            node.cgroup.hidden = !self.settings.filter.admits(node.path());
            let last = (std::mem::take(&mut node.cgroup.readings), std::mem::take(&mut node.cgroup.controls));
            for (directory, files) in node.directories.iter_mut().zip(&self.reader.catalog) {
                if let Some(directory) = directory {
                    directory.close(&mut self.reader.budget);
                    *directory = Directory::new(directory.id, files.len());
                }
            }
            self.reader.controls(node, None, None);
            let gone = self.reader.numbers(node, &self.everything.files);
            if (0..node.directories.len()).all(|h| node.directories[h].is_none() || gone & (1 << h) != 0) {
                // It has ended, which will be noticed: its last numbers stand.
                (node.cgroup.readings, node.cgroup.controls) = last;
            }
        }
    }

    /// What happened since it was last asked for.
    pub fn news(&mut self) -> Vec<News> {
        self.gazette.take()
    }

    /// These cgroups and what is below them, `most` in all, read again at this moment: their numbers are newer than the
    /// last snapshot's. Sorted by path; who is gone is left out.
    pub fn look<'a>(&mut self, paths: impl IntoIterator<Item = &'a [u8]>, most: usize) -> Vec<Cgroup> {
        let mut wanted: Vec<NodeId> = Vec::new();
        for path in paths {
            wanted.extend(self.tree.at(path));
            // Who is above counts first: the deepest come first here, and would crowd the others out.
            wanted.extend(self.tree.at(path).into_iter().flat_map(|id| self.tree.descendants(id)).rev());
        }
        let mut seen = std::collections::HashSet::new();
        wanted.retain(|id| seen.insert(*id));
        wanted.truncate(most);
        let memory_v1 = self.memory_is_v1();
        let mut read = Vec::with_capacity(wanted.len());
        for id in wanted {
            let Some(node) = self.tree.get_mut(id) else { continue };
            if self.reader.numbers(node, &self.everything.files) == 0 {
                node.cgroup.sampled = now();
                let sources = self.reader.sources(node, memory_v1);
                own(&mut node.cgroup, sources);
                read.push(node.cgroup.clone());
            }
        }
        read.sort_by(|a, b| a.identity.path.cmp(&b.identity.path));
        read
    }

    /// The host's own numbers, read again at this moment.
    pub fn look_at_host(&mut self) -> &Host {
        let Self { host, host_files, reader, .. } = self;
        host_files.read(host, |source, kind| reader.faults.count(source, kind, b"/", &"a host file"));
        host
    }

    /// Reads everything that is due and gives the host as it is now.
    pub fn pass(&mut self) -> Arc<Snapshot> {
        let (at, wall) = (now(), SystemTime::now());
        // What has been noticed comes first, but a flood of it must not keep the clock from striking: it gets a quarter of
        // the interval, a second at most, and as much time as reading took where that takes longer.
        let share = (self.settings.interval / 4).min(Self::LONGEST_ATTENTION);
        self.attend(at + share.max(self.reading_took));
        let attended = now();
        self.report.watch = self.watch.method();
        if self.report.watch == WatchMethod::Walk || self.tree.len() == 0 {
            self.rescan = u32::MAX;
        }
        if std::mem::take(&mut self.events_lost) {
            self.report.rescans += 1;
            self.tree.nodes_mut().for_each(|node| node.stale = true);
        }
        self.reconcile();
        self.learn();
        self.schedule.strike(at, &self.reader.catalog, &self.settings);
        self.read_all();
        self.take_census();
        self.read_networks();
        self.linger.settle(now(), self.settings.linger);
        self.sequence += 1;
        self.reading_took = now().saturating_sub(attended);
        self.report.took = now().saturating_sub(at);
        self.publish(at, wall)
    }

    fn read_all(&mut self) {
        let at = now();
        let Self { schedule, reader, host, host_files, everything, gazette, .. } = self;
        let due = schedule.due();
        if due.host && self.settings.collectors.has(Collector::Host) {
            let began = now();
            let account = &mut reader.collectors[Collector::Host as usize];
            let faults = &mut reader.faults;
            host_files.read(host, |source, kind| {
                faults.count(source, kind, b"/", &"a host file");
                account.faults += 1;
            });
            account.took += now().saturating_sub(began);
        }
        if due.slow && reader.shapes.refresh_devices() {
            self.tree.nodes_mut().for_each(|node| node.stale = true);
        }
        let slow_controls = due.slow && self.watch.method() == WatchMethod::Walk;
        let memory_v1 =
            self.layout.serving("memory").is_some_and(|hierarchy| hierarchy.version == Version::V1);

        self.tree.sort();
        self.ceilings.clear();
        let mut gone: Vec<(NodeId, u32)> = Vec::new();
        for place in 0..self.tree.len() {
            let id = self.tree.order()[place];
            let Some(node) = self.tree.get_mut(id) else { continue };
            let left = std::mem::replace(&mut node.left, std::mem::take(&mut node.lost));
            if left != 0 {
                for hierarchy in (0..node.directories.len()).filter(|hierarchy| left & (1 << hierarchy) != 0)
                {
                    reader.forget(node, hierarchy);
                }
                // Another hierarchy may tell some of it as well.
                node.stale = true;
                adopt_id(node);
            }
            let stale = std::mem::take(&mut node.stale);
            if due.slow || stale {
                reader.look_again(node);
            }
            if slow_controls || stale {
                let before = Arc::clone(&node.cgroup.controls);
                reader.controls(node, None, None);
                gazette.compared(&node.cgroup.identity, &before, &node.cgroup.controls);
            }
            let went = reader.numbers(node, if stale { &everything.files } else { &due.files });
            if went == 0 {
                node.cgroup.sampled = at;
            } else {
                gone.push((id, went));
            }
            let above = node.cgroup.parent.and_then(|parent| self.ceilings.get(parent as usize)).copied();
            let sources = reader.sources(node, memory_v1);
            own(&mut node.cgroup, sources);
            self.ceilings.push(limits(&mut node.cgroup, above.unwrap_or_default()));
        }
        // Children before their parents.
        for (id, hierarchies) in gone.into_iter().rev() {
            for hierarchy in (0..32).filter(|hierarchy| hierarchies & (1 << hierarchy) != 0) {
                self.lose_directory(id, hierarchy);
            }
        }
    }

    fn take_census(&mut self) {
        let Some(asked) = Questions::new(&self.settings, self.schedule.due().namespaces) else { return };
        self.tree.sort();
        self.census.take(&self.settings.paths.procfs, asked, &mut self.tree, &mut self.reader);
        self.report.census = self.census.report;
    }

    fn read_networks(&mut self) {
        let collectors = self.settings.collectors;
        if !collectors.has(Collector::Network) || !self.schedule.due().network {
            return;
        }
        let began = now();
        self.networks.read(&self.settings.paths.procfs, &self.census, &mut self.tree, &mut self.reader);
        self.reader.collectors[Collector::Network as usize].took += now().saturating_sub(began);
    }

    pub(super) fn memory_is_v1(&self) -> bool {
        self.layout.serving("memory").is_some_and(is_v1)
    }

    fn publish(&mut self, at: Duration, wall: SystemTime) -> Arc<Snapshot> {
        let report = &mut self.report;
        // What is read from now on, when something is noticed, is of the next pass.
        report.collectors =
            std::mem::replace(&mut self.reader.collectors, [CollectorReport::default(); Collector::COUNT]);
        report.faults.clear();
        report.faults.extend_from_slice(self.reader.faults.rows());
        report.deaths_unscraped = self.linger.unscraped;
        report.descriptors_held = self.reader.budget.held() as u64;
        report.interval = self.settings.interval;

        // The pass may have buried some: an order that names them would leave another snapshot's cgroups in their places.
        self.tree.sort();
        let mut snapshot = self.unused_snapshot();
        // It was chosen, or made, because nobody else holds it.
        if let Some(target) = Arc::get_mut(&mut snapshot) {
            (target.sequence, target.at, target.wall) = (self.sequence, at, wall);
            target.cgroups.truncate(self.tree.len());
            // A flood that has ebbed gives its memory back; a calm host's snapshots stay as they are.
            if target.cgroups.capacity() / 4 > self.tree.len() + 1024 {
                target.cgroups.shrink_to(self.tree.len() * 2);
            }
            for (place, &id) in self.tree.order().iter().enumerate() {
                let Some(node) = self.tree.get(id) else { continue };
                match target.cgroups.get_mut(place) {
                    Some(old) => old.clone_from(&node.cgroup),
                    None => target.cgroups.push(node.cgroup.clone()),
                }
            }
            target.dead.clear();
            target.dead.extend(self.linger.waiting().map(Arc::clone));
            target.host.clone_from(&self.host);
            target.report.copy_from(&self.report);
        }
        self.published.push(Arc::clone(&snapshot));
        snapshot
    }

    /// A snapshot that nobody reads any more, so that its memory is used again; else a new one.
    fn unused_snapshot(&mut self) -> Arc<Snapshot> {
        match self.published.iter_mut().position(|snapshot| Arc::get_mut(snapshot).is_some()) {
            // The oldest, so that each has its turn and none keeps the memory of a flood.
            Some(at) => self.published.remove(at),
            None => Arc::new(Snapshot {
                sequence: 0,
                at: Duration::ZERO,
                wall: SystemTime::UNIX_EPOCH,
                cgroups: Vec::new(),
                dead: Vec::new(),
                host: Host::default(),
                report: Report::new(self.layout.kind, self.report.watch, self.settings.collectors),
            }),
        }
    }
}

fn is_v1(hierarchy: &Hierarchy) -> bool {
    hierarchy.version == Version::V1
}

/// A cgroup is identified by the first hierarchy that has it, which changes where directories come and go.
pub(super) fn adopt_id(node: &mut Node) {
    let first =
        node.directories.iter().enumerate().find_map(|(h, directory)| Some((h, directory.as_ref()?.id)));
    if let Some((hierarchy, id)) = first
        && (hierarchy != node.id_hierarchy || id != node.cgroup.identity.id)
    {
        node.id_hierarchy = hierarchy;
        node.cgroup.identity = Arc::new(Identity { id, ..(*node.cgroup.identity).clone() });
    }
}

/// The monotonic clock, on which all of a snapshot's times stand.
#[must_use]
pub fn now() -> Duration {
    // Linux has this clock, and its address is ours: the call cannot fail.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}
