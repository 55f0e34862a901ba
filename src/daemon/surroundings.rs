//! What the guard rails need to know of the host: who lives where, who manages what, what the kernel can do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::enforce::order::Outcome;
use crate::enforce::plan::{Below, Facts, Guard, Ownership, Planned, Request, Residents, Wish};
use crate::enforce::safety::Writers;
use crate::enforce::units::ByOwner;
use crate::identify::identify;
use crate::kernel::control::{Control, ControlError};
use crate::kernel::layout::{Layout, Paths};
use crate::kernel::owner::{self, Delegation};
use crate::model::Identity;
use crate::policy::engine::View;
use crate::systemd::Manager;

/// How long what was found out about the host's residents is believed: processes move rarely.
const BELIEVED: Duration = Duration::from_secs(10);

/// The present, on the clock that [`crate::model::Snapshot::at`] is of.
pub(super) fn now() -> Duration {
    // Linux has this clock, and its address is ours: the call cannot fail.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The line to the host's systemd, if that is its service manager.
fn line(paths: &Paths) -> Option<Manager> {
    if !owner::systemd_is_running(paths) {
        return None;
    }
    match Manager::new(&owner::run(paths)) {
        Ok(manager) => Some(manager),
        Err(error) => {
            tracing::error!("no thread for D-Bus can be started: {error}; systemd's units are not acted on");
            None
        }
    }
}

/// The host, as the guard rails see it. Every look costs a few files of procfs.
pub(super) struct Surroundings {
    paths: Paths,
    layout: Layout,
    control: Arc<Control>,
    residents: Residents,
    /// When they were looked for.
    seen: Option<Duration>,
    /// The line to systemd where it is PID 1: without it, a path that looks like a unit's is anybody's.
    systemd: Option<Manager>,
    actuator: Option<Arc<ByOwner>>,
}

impl Surroundings {
    pub fn new(layout: &Layout, paths: Paths) -> Self {
        Self {
            control: Arc::new(Control::new(layout, &paths)),
            residents: Residents::default(),
            seen: None,
            systemd: line(&paths),
            actuator: None,
            layout: layout.clone(),
            paths,
        }
    }

    /// The way to the kernel's control files.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The way to every cgroup, by its owner.
    pub fn actuator(&mut self, writers: Writers) -> Arc<ByOwner> {
        let made = ByOwner::new(Arc::clone(&self.control), self.systemd.clone(), writers);
        Arc::clone(self.actuator.insert(Arc::new(made)))
    }

    /// Takes another configuration of who may be written, and how.
    pub fn replace_writers(&self, writers: Writers) {
        if let Some(actuator) = &self.actuator {
            actuator.replace_writers(writers);
        }
    }

    /// The monotonic clock.
    pub fn now(&self) -> Duration {
        now()
    }

    /// What the guard rails need to know of one cgroup, as it was at the last look at the host.
    pub fn with_facts<T>(
        &self,
        target: &Identity,
        view: &View<'_>,
        below: Result<&[Below], &str>,
        unsupported: Option<&str>,
        ask: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let (ownership, delegated) = self.owner(target);
        ask(&Facts {
            now: self.now(),
            snapshot: view.snapshot,
            fresh: view.fresh,
            residents: &self.residents,
            below,
            ownership: &ownership,
            delegated,
            unsupported,
        })
    }

    /// Holds a request to the guard rails.
    pub fn plan(&self, guard: &mut Guard, request: &Request, view: &View<'_>) -> Planned {
        let unsupported = self.unsupported(&request.target, &request.wish);
        let below = self.below(&request.target, &request.wish);
        let below = below.as_deref().map_err(String::as_str);
        self.with_facts(&request.target, view, below, unsupported.as_deref(), |facts| {
            guard.plan(request, facts)
        })
    }

    /// Why no process of a cgroup would be stopped or ended, where that is so.
    pub fn explain(
        &mut self,
        guard: &Guard,
        target: &Identity,
        view: &View<'_>,
    ) -> Option<(Outcome, String)> {
        self.refresh();
        let below = self.below(target, &Wish::Freeze);
        let below = below.as_deref().map_err(String::as_str);
        self.with_facts(target, view, below, None, |facts| guard.explain(target, facts))
    }

    /// What is below a cgroup now, for what a wish does to it.
    ///
    /// # Errors
    /// Says why it cannot be told.
    fn below(&self, target: &Identity, wish: &Wish) -> Result<Vec<Below>, String> {
        if matches!(wish, Wish::Notify(_) | Wish::Undo | Wish::Thaw) {
            return Ok(Vec::new());
        }
        let found = match self.control.open(target).and_then(|target| target.below()) {
            Ok(found) => found,
            // It is found out to be gone a moment later.
            Err(ControlError::Vanished) => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        };
        let below = found.iter().map(|path| {
            let identity = identify(path, 0);
            Below { ownership: self.owner_by_name(&identity), identity }
        });
        Ok(below.collect())
    }

    /// Looks again who lives where, if that was long ago.
    pub fn refresh(&mut self) {
        let now = self.now();
        if self.seen.is_none_or(|seen| now.saturating_sub(seen) > BELIEVED) {
            self.residents = self.look();
            self.seen = Some(now);
        }
    }

    fn look(&self) -> Residents {
        let (layout, procfs) = (&self.layout, &self.paths.procfs);
        let mut unknown = None;
        let mut list = |found: Result<BTreeSet<Box<[u8]>>, String>| match found {
            Ok(paths) => paths.into_iter().collect(),
            Err(error) => {
                tracing::warn!("nothing can be done to any cgroup: {error}");
                unknown = Some(error);
                Vec::new()
            }
        };
        let own = list(owner::own_cgroups(layout, procfs));
        let init = list(owner::init_cgroups(layout, procfs));
        let kernel_threads = list(owner::kernel_thread_cgroups(layout, procfs));
        Residents { own, init, kernel_threads, unknown }
    }

    /// Who manages a cgroup by its name, and whether that one gave it away.
    fn owner(&self, target: &Identity) -> (Ownership, bool) {
        let ownership = self.owner_by_name(target);
        let delegated = ownership != Ownership::Unowned
            && self.control.open(target).is_ok_and(|target| target.delegation() == Delegation::Inside);
        (ownership, delegated)
    }

    fn owner_by_name(&self, target: &Identity) -> Ownership {
        Ownership::of(target, self.systemd.is_some())
    }

    /// Why this host cannot do what is wished, where it cannot.
    fn unsupported(&self, target: &Identity, wish: &Wish) -> Option<String> {
        let by_systemd = self.actuator.as_ref().is_some_and(|actuator| actuator.asks_systemd(target));
        match wish {
            // It enables a controller for a unit that needs one.
            Wish::Set { settings, .. } if by_systemd => {
                settings.iter().find_map(|setting| self.control.serves(&setting.knob).err())
            }
            Wish::Set { settings, .. } => {
                settings.iter().find_map(|setting| self.control.supports(&setting.knob).err())
            }
            _ => None,
        }
    }

    /// The kernel's name for the time since it booted: what a former boot's cgroups were is gone.
    pub fn boot_id(&self) -> String {
        let text = std::fs::read_to_string(self.paths.procfs.join("sys/kernel/random/boot_id"));
        text.map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// A process's name.
    pub fn command(&self, pid: u32) -> Option<String> {
        let comm = std::fs::read(self.paths.procfs.join(pid.to_string()).join("comm")).ok()?;
        Some(String::from_utf8_lossy(comm.trim_ascii_end()).into_owned())
    }
}
