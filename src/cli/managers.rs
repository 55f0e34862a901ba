//! Who manages cgroups, for commands that show it: systemd is asked over one connection.

use std::sync::Arc;

use crate::enforce::ownership::Ownership;
use crate::enforce::safety::Writers;
use crate::enforce::units::{ByOwner, systemd_of};
use crate::kernel::control::Control;
use crate::kernel::layout::{Layout, Paths};
use crate::model::Identity;
use crate::systemd::{Afterwards, BusError, Manager, Unit};

/// Whoever can be asked.
pub(super) struct Managers {
    by_owner: ByOwner,
    systemd: Option<Manager>,
    /// Why systemd cannot be asked: it is not asked again, for each answer may take seconds.
    silent: Option<BusError>,
}

impl Managers {
    /// Nobody is asked yet.
    pub fn new(layout: &Layout, paths: &Paths, writers: Writers) -> Self {
        let systemd = systemd_of(paths);
        let control = Arc::new(Control::new(layout, paths));
        Self { by_owner: ByOwner::new(control, systemd.clone(), writers), systemd, silent: None }
    }

    /// Who manages a cgroup.
    pub fn of(&mut self, cgroup: &Identity) -> Ownership {
        let named = Ownership::named(cgroup, self.systemd.is_some());
        let found = match &self.silent {
            None => self.by_owner.owner(cgroup),
            Some(_) if matches!(named, Ownership::Runtime { .. }) => return named,
            Some(error) => Err(error.clone()),
        };
        found.unwrap_or_else(|error| {
            let reason = error.to_string().into();
            if matches!(error, BusError::Unreachable { .. } | BusError::TimedOut { .. }) {
                self.silent = Some(error);
            }
            Ownership::Unknown { reason }
        })
    }

    /// What a cgroup's unit says of want of memory and of being ended; nothing where it is no unit's.
    pub fn afterwards(&self, owner: &Ownership) -> Option<Result<Afterwards, BusError>> {
        let (Ownership::Systemd { unit }, Some(manager)) = (owner, &self.systemd) else { return None };
        Some(Unit::named(manager, unit).and_then(|unit| unit.afterwards()))
    }
}
