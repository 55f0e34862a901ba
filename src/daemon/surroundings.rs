//! What the guard rails need to know of the host: who lives where, who manages what, what the kernel can do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::enforce::plan::{Facts, Ownership, Residents, Wish};
use crate::kernel::control::Control;
use crate::kernel::layout::{Layout, Paths};
use crate::kernel::owner::{self, Delegation};
use crate::model::{Identity, OwnerLabel};
use crate::policy::engine::View;

/// How long what was found out about the host's residents is believed: processes move rarely.
const BELIEVED: Duration = Duration::from_secs(10);

/// The host, as the guard rails see it. Every look costs a few files of procfs.
pub(super) struct Surroundings {
    paths: Paths,
    layout: Layout,
    control: Arc<Control>,
    residents: Residents,
    /// When they were looked for.
    seen: Option<Duration>,
    /// Whether systemd is PID 1: without it, a path that looks like a unit's is anybody's.
    systemd: bool,
}

impl Surroundings {
    pub fn new(layout: &Layout, paths: Paths) -> Self {
        Self {
            control: Arc::new(Control::new(layout, &paths)),
            residents: Residents::default(),
            seen: None,
            systemd: owner::systemd_is_running(&paths.procfs),
            layout: layout.clone(),
            paths,
        }
    }

    /// The way to the kernel's control files.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The monotonic clock.
    pub fn now(&self) -> Duration {
        // Linux has this clock, and its address is ours: the call cannot fail.
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
    }

    /// What the guard rails need to know of one cgroup, as it was at the last look at the host.
    pub fn with_facts<T>(
        &self,
        target: &Identity,
        view: &View<'_>,
        unsupported: Option<&str>,
        ask: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let (ownership, delegated) = self.owner(target);
        ask(&Facts {
            now: self.now(),
            snapshot: view.snapshot,
            fresh: view.fresh,
            residents: &self.residents,
            ownership: &ownership,
            delegated,
            unsupported,
        })
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
        let list = |found: Result<BTreeSet<Box<[u8]>>, String>| match found {
            Ok(paths) => paths.into_iter().collect(),
            Err(error) => {
                tracing::warn!("{error}");
                Vec::new()
            }
        };
        Residents {
            own: list(owner::own_cgroups(layout, procfs)),
            init: list(owner::init_cgroups(layout, procfs)),
            kernel_threads: list(owner::kernel_thread_cgroups(layout, procfs)),
        }
    }

    /// Who manages a cgroup, and whether that one gave it away.
    ///
    /// By its name: a runtime's containers are known by their paths, and what has the name of a unit or slice is
    /// systemd's where systemd runs.
    fn owner(&self, target: &Identity) -> (Ownership, bool) {
        let ownership = if let Some(runtime) = target.owner.get(OwnerLabel::Runtime) {
            Ownership::Runtime(runtime.to_owned())
        } else if self.systemd
            && (target.owner.get(OwnerLabel::Unit).is_some() || target.owner.get(OwnerLabel::Slice).is_some())
        {
            Ownership::Systemd
        } else {
            return (Ownership::Unowned, false);
        };
        let delegated =
            self.control.open(target).is_ok_and(|target| target.delegation() == Delegation::Inside);
        (ownership, delegated)
    }

    /// Why this host cannot do what is wished, where it cannot.
    pub fn unsupported(&self, wish: &Wish) -> Option<String> {
        match wish {
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
