//! Every cgroup by the way that its owner wants: systemd's units through systemd, everything else through the kernel's
//! files. [`Actuator`] and [`Held`] for both.
//!
//! What is read comes from the kernel either way: a property is what somebody wished, the kernel's file is what is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::actuator::{Actuator, Fault, Held, Saved};
use super::order::{Deed, Outcome, Through};
use super::ownership::{Ownership, may_be_units};
use super::properties::Properties;
use super::safety::{Writer, Writers};
use super::stats::lock;
use crate::kernel::control::{Control, ControlError, Target};
use crate::kernel::layout::Paths;
use crate::kernel::owner::{self, Delegation};
use crate::model::{Identity, Knob, Limit, Value};
use crate::policy::rule::Kill;
use crate::systemd::property;
use crate::systemd::{BusError, Kept, Manager, Unit};

/// The line to the host's systemd, if that is its service manager.
#[must_use]
pub fn systemd_of(paths: &Paths) -> Option<Manager> {
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

/// Opens cgroups by their owners.
#[derive(Debug)]
pub struct ByOwner {
    control: Arc<Control>,
    systemd: Option<Arc<Properties>>,
    writers: Mutex<Writers>,
}

/// A cgroup, open in the kernel, and its unit where systemd writes it.
#[derive(Debug)]
struct Owned {
    target: Target,
    owner: Ownership,
    unit: Option<Unit>,
    systemd: Option<Arc<Properties>>,
}

impl ByOwner {
    /// Opens nothing yet. Without a line to systemd everything is the kernel's.
    #[must_use]
    pub fn new(control: Arc<Control>, systemd: Option<Manager>, writers: Writers) -> Self {
        let systemd = systemd.map(|manager| Arc::new(Properties::new(manager)));
        Self { control, systemd, writers: Mutex::new(writers) }
    }

    /// Takes another configuration: it counts for whatever is opened from now on.
    pub fn replace_writers(&self, writers: Writers) {
        *lock(&self.writers) = writers;
    }

    /// Whether whatever is done to a cgroup is asked of systemd, as far as its name tells.
    #[must_use]
    pub fn asks_systemd(&self, identity: &Identity) -> bool {
        self.systemd.is_some()
            && lock(&self.writers).systemd == Writer::Dbus
            && Ownership::named(identity, true).is_systemd()
    }

    /// Whether systemd wrote this because this program had told it so.
    #[must_use]
    pub fn told(&self, cgroup: &[u8], knob: &Knob, value: &Value) -> bool {
        self.systemd.as_ref().is_some_and(|systemd| systemd.told(cgroup, knob, value))
    }

    /// Who manages a cgroup. systemd is asked, whatever the writers are: this blocks.
    ///
    /// # Errors
    /// When systemd does not say. A cgroup that the kernel does not let open has an owner that is not known.
    pub fn owner(&self, identity: &Identity) -> Result<Ownership, BusError> {
        match self.control.open(identity) {
            Ok(target) => self.find_out(identity, &target).map(|(owner, _)| owner),
            Err(error) => Ok(Ownership::Unknown { reason: error.to_string().into() }),
        }
    }

    /// Who manages a cgroup, and the unit whose own cgroup it is.
    fn find_out(&self, identity: &Identity, target: &Target) -> Result<(Ownership, Option<Unit>), BusError> {
        let named = Ownership::named(identity, self.systemd.is_some());
        let Some(systemd) = &self.systemd else { return Ok((named, None)) };
        // The names of systemd's own cgroups are text.
        let path = std::str::from_utf8(&identity.path).ok().filter(|path| may_be_units(path.as_bytes()));
        let (Some(path), false) = (path, matches!(named, Ownership::Runtime { .. })) else {
            return Ok((named, None));
        };
        if target.delegation() == Delegation::Inside {
            return Ok((Ownership::Delegated, None));
        }
        let unit = match systemd.manager().unit_of(path) {
            Ok(unit) => unit,
            Err(BusError::NoSuchUnit(_)) => return Ok((Ownership::Unowned, None)),
            Err(error) => return Err(error),
        };
        let name = || Box::from(&*unit.id);
        Ok(if unit.control_group == path {
            (Ownership::Systemd { unit: name() }, Some(unit))
        } else if unit.id.ends_with(".slice") {
            // Whoever made it there, systemd did not.
            (Ownership::Unowned, None)
        } else {
            (Ownership::Within { unit: name() }, None)
        })
    }

    /// Who manages a cgroup that is to be written, and its unit where systemd is to write it.
    fn writable(&self, identity: &Identity, target: &Target) -> Result<(Ownership, Option<Unit>), Fault> {
        let writers = *lock(&self.writers);
        let named = Ownership::named(identity, self.systemd.is_some());
        if writers.systemd != Writer::Dbus {
            return Ok((named, None));
        }
        let looked_like_systemds = named.is_systemd();
        let (owner, unit) = self.find_out(identity, target)?;
        let what = &identity.display;
        match &owner {
            Ownership::Within { unit } => {
                let what = format!(
                    "{what} is inside of {unit}, which systemd has given to nobody: act on the unit, or set \
                     `Delegate=yes` for it"
                );
                Err(Fault::new(Outcome::NotOwner, what))
            }
            // The guard rails let it pass as systemd's.
            Ownership::Unowned if looked_like_systemds && writers.unowned != Writer::Cgroupfs => {
                let what = format!("nobody manages {what}, and `safety.writers.unowned` is not `cgroupfs`");
                Err(Fault::new(Outcome::NotOwner, what))
            }
            _ => Ok((owner, unit)),
        }
    }
}

impl Actuator for ByOwner {
    fn open(&self, identity: &Identity) -> Result<Box<dyn Held>, Fault> {
        let target = self.control.open(identity)?;
        let (owner, unit) = self.writable(identity, &target)?;
        Ok(Box::new(Owned { target, owner, unit, systemd: self.systemd.clone() }))
    }

    fn put_back_outlived(&self, saved: &Saved, still: &dyn Fn() -> bool) -> Result<(), Fault> {
        let (Some(systemd), Some(kept)) = (&self.systemd, kept(saved)) else { return Ok(()) };
        match systemd.put_back(&kept, &saved.knob, still) {
            Err(fault) if fault.outcome == Outcome::Vanished => Ok(()),
            other => other,
        }
    }
}

/// What a property was, if that is what was saved.
fn kept(saved: &Saved) -> Option<Kept> {
    serde_json::from_str(&saved.raw).ok()
}

impl Owned {
    /// Has systemd let a frozen unit run: it neither stops nor starts what it takes for frozen (from systemd 255 on), not
    /// even a unit whose processes were killed.
    fn thaw_before_its_end(&self, unit: &Unit) -> Result<(), Fault> {
        if Held::is_frozen(&self.target)? {
            unit.thaw()?;
        }
        Ok(())
    }

    fn by_unit(&self) -> Option<(&Properties, &Unit)> {
        Some((self.systemd.as_deref()?, self.unit.as_ref()?))
    }
}

impl Held for Owned {
    fn through(&self, deed: &Deed) -> Option<Through> {
        // systemd has no call for a reclaim.
        let writer = match &self.unit {
            Some(_) if !matches!(deed, Deed::Reclaim(_)) => Writer::Dbus,
            _ => Writer::Cgroupfs,
        };
        Some(Through { owner: self.owner.clone(), writer })
    }

    fn save(&self, knob: &Knob) -> Result<Saved, Fault> {
        let Some((systemd, unit)) = self.by_unit() else { return Held::save(&self.target, knob) };
        let (kept, value) = systemd.original(unit, knob, || self.read(knob))?;
        // Another device name would lead to two lines for one disk, of which the last one counts.
        if matches!(knob, Knob::IoMax { .. })
            && value != Value::Limit(Limit::Max)
            && property::value(knob, &kept.setting) == Value::Limit(Limit::Max)
        {
            let what = format!("{} limits this disk by another name: name it as its unit does", unit.id);
            return Err(Fault::new(Outcome::Unsupported, what));
        }
        let raw =
            serde_json::to_string(&kept).map_err(|error| Fault::new(Outcome::Failed, error.to_string()))?;
        Ok(Saved { knob: knob.clone(), value, raw: raw.into() })
    }

    fn read(&self, knob: &Knob) -> Result<Value, Fault> {
        match (Target::read(&self.target, knob), &self.unit) {
            // systemd enables a controller when a unit first needs it.
            (Err(ControlError::Unsupported(_)), Some(unit)) => {
                Ok(property::value(knob, &unit.setting(knob)?))
            }
            (read, _) => Ok(read?),
        }
    }

    fn write(&self, knob: &Knob, value: &Value) -> Result<(), Fault> {
        match self.by_unit() {
            Some((systemd, unit)) => systemd.set(unit, knob, value, &|| self.read(knob)),
            None => Held::write(&self.target, knob, value),
        }
    }

    fn restore(&self, saved: &Saved) -> Result<(), Fault> {
        match (kept(saved), &self.systemd) {
            (None, _) => Held::restore(&self.target, saved),
            (Some(kept), Some(systemd)) => {
                systemd.put_back(&kept, &saved.knob, &|| true)?;
                // A set of memory nodes that is empty again is not written by systemd.
                match Target::read(&self.target, &saved.knob) {
                    Ok(now) if now != saved.value => Held::write(&self.target, &saved.knob, &saved.value),
                    _ => Ok(()),
                }
            }
            (Some(kept), None) => {
                let what =
                    format!("{} of {} was set through systemd, which does not run", kept.property, kept.unit);
                Err(Fault::new(Outcome::Failed, what))
            }
        }
    }

    fn usage(&self, knob: &Knob) -> Option<u64> {
        Held::usage(&self.target, knob)
    }

    fn is_frozen(&self) -> Result<bool, Fault> {
        Held::is_frozen(&self.target)
    }

    fn freeze(&self, deadline: Duration) -> Result<(), Fault> {
        match &self.unit {
            None => Held::freeze(&self.target, deadline),
            Some(unit) => Ok(unit.freeze(deadline)?),
        }
    }

    fn thaw(&self) -> Result<(), Fault> {
        let Some(unit) = &self.unit else { return Held::thaw(&self.target) };
        let asked = unit.thaw();
        // Nothing stays frozen because the bus is gone, or because systemd takes it for thawed already.
        match Held::is_frozen(&self.target) {
            Ok(false) => Ok(()),
            _ => {
                if let Err(error) = asked {
                    tracing::warn!("{error}; thawed through the kernel instead");
                }
                Held::thaw(&self.target)
            }
        }
    }

    fn kill(&self, kill: Kill, deadline: Duration) -> Result<(), Fault> {
        let Some(unit) = &self.unit else { return Held::kill(&self.target, kill, deadline) };
        self.thaw_before_its_end(unit)?;
        let send = |signal| {
            unit.signal(signal).map_err(|error| match Fault::from(error) {
                fault if fault.outcome == Outcome::Vanished => ControlError::Vanished,
                fault => ControlError::Unsupported(fault.message),
            })
        };
        self.target.kill_through(kill.signal, kill.grace, kill.grace + deadline, Some(&send))?;
        Ok(())
    }

    fn kill_may_freeze(&self) -> bool {
        Held::kill_may_freeze(&self.target)
    }

    fn reclaim_writes(&self) -> Result<Option<Knob>, Fault> {
        match (Held::reclaim_writes(&self.target)?, &self.unit) {
            (Some(knob), Some(unit)) => {
                let what = format!(
                    "this kernel has no memory.reclaim (Linux 5.19 has), and to write {knob} of {} for a moment is for \
                     systemd alone",
                    unit.id
                );
                Err(Fault::new(Outcome::Unsupported, what))
            }
            (knob, _) => Ok(knob),
        }
    }

    fn reclaim(&self, bytes: u64) -> Result<u64, Fault> {
        Held::reclaim(&self.target, bytes)
    }

    fn restart(&self, deadline: Duration) -> Result<(), Fault> {
        match &self.unit {
            None => Held::restart(&self.target, deadline),
            Some(unit) => {
                self.thaw_before_its_end(unit)?;
                Ok(unit.restart(deadline)?)
            }
        }
    }

    fn stop(&self, deadline: Duration) -> Result<(), Fault> {
        match &self.unit {
            None => Held::stop(&self.target, deadline),
            Some(unit) => {
                self.thaw_before_its_end(unit)?;
                Ok(unit.stop(deadline)?)
            }
        }
    }
}
