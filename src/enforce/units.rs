//! Every cgroup by the way that its owner wants: systemd's units through systemd, everything else through the kernel's
//! files. [`Actuator`] and [`Held`] for both.
//!
//! What is read comes from the kernel either way: a property is what somebody wished, the kernel's file is what is.
//!
//! A property outlives the unit's cgroup: when systemd starts a unit again, the new cgroup has what was set for the one
//! before. So a claim on a cgroup that is gone is still put back, by the unit's name, unless somebody claims the same
//! control of the cgroup that the unit has now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::actuator::{Actuator, Fault, Held, Saved};
use super::order::Outcome;
use super::plan::Ownership;
use super::safety::{Writer, Writers};
use super::stats::lock;
use crate::kernel::control::{Control, ControlError, Target};
use crate::kernel::owner::Delegation;
use crate::model::{Identity, Knob, Limit, Value};
use crate::policy::rule::Kill;
use crate::systemd::property;
use crate::systemd::{BusError, Kept, Manager, Unit, Whom};

impl From<BusError> for Fault {
    fn from(error: BusError) -> Self {
        let outcome = match &error {
            BusError::NoSuchUnit(_) => Outcome::Vanished,
            BusError::TimedOut { .. } => Outcome::TimedOut,
            BusError::Unsupported { .. } => Outcome::Unsupported,
            BusError::Unreachable { .. } | BusError::Denied { .. } | BusError::Refused { .. } => {
                Outcome::Failed
            }
        };
        Self::new(outcome, error.to_string())
    }
}

/// Opens cgroups by their owners.
#[derive(Debug)]
pub struct ByOwner {
    control: Arc<Control>,
    systemd: Option<Arc<Systemd>>,
    writers: Mutex<Writers>,
}

/// The line to systemd, and what is set over it now.
#[derive(Debug)]
struct Systemd {
    manager: Manager,
    /// By unit and property. Held while one is written: one write at a time.
    set: Mutex<HashMap<(String, String), Mine>>,
}

/// A property that is ours.
#[derive(Debug)]
struct Mine {
    /// What it was before.
    original: Kept,
    /// What it was set to.
    written: Value,
}

/// A cgroup, open in the kernel, and its unit where systemd writes it.
#[derive(Debug)]
struct Owned {
    target: Target,
    unit: Option<Unit>,
    systemd: Option<Arc<Systemd>>,
}

impl ByOwner {
    /// Opens nothing yet. Without a line to systemd everything is the kernel's.
    #[must_use]
    pub fn new(control: Arc<Control>, systemd: Option<Manager>, writers: Writers) -> Self {
        let systemd = systemd.map(|manager| Arc::new(Systemd { manager, set: Mutex::default() }));
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
            && Ownership::of(identity, true) == Ownership::Systemd
    }

    /// The unit whose own cgroup this is, where systemd is to be asked for it.
    fn unit_of(&self, identity: &Identity, target: &Target) -> Result<Option<Unit>, Fault> {
        let writers = *lock(&self.writers);
        let Some(systemd) = &self.systemd else { return Ok(None) };
        let container = matches!(Ownership::of(identity, true), Ownership::Runtime(_));
        if writers.systemd != Writer::Dbus || container || !may_be_units(&identity.path) {
            return Ok(None);
        }
        if target.delegation() == Delegation::Inside {
            return Ok(None);
        }
        // The names of systemd's own cgroups are text.
        let Ok(path) = std::str::from_utf8(&identity.path) else { return Ok(None) };
        let unit = match systemd.manager.unit_of(path) {
            Ok(unit) => unit,
            Err(BusError::NoSuchUnit(_)) => return self.nobodys(identity, writers),
            Err(error) => return Err(error.into()),
        };
        if unit.control_group == path {
            return Ok(Some(unit));
        }
        if unit.id.ends_with(".slice") {
            // Whoever made it there, systemd did not.
            return self.nobodys(identity, writers);
        }
        let what = format!(
            "{} is inside of {}, which systemd has given to nobody: act on the unit, or set `Delegate=yes` for it",
            identity.display, unit.id
        );
        Err(Fault::new(Outcome::NotOwner, what))
    }

    fn nobodys(&self, identity: &Identity, writers: Writers) -> Result<Option<Unit>, Fault> {
        match writers.unowned {
            Writer::Cgroupfs => Ok(None),
            Writer::Dbus | Writer::Refuse => {
                let what = format!(
                    "nobody manages {}, and `safety.writers.unowned` is not `cgroupfs`",
                    identity.display
                );
                Err(Fault::new(Outcome::NotOwner, what))
            }
        }
    }
}

/// Whether a cgroup of this path can be a unit's, or be inside of one: by systemd's own rules for names.
fn may_be_units(path: &[u8]) -> bool {
    const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    let is_kind = |name: &[u8]| KINDS.iter().any(|kind| name.ends_with(kind.as_bytes()));
    path == b"/" || path.ends_with(b".slice") || path.split(|&byte| byte == b'/').any(is_kind)
}

impl Actuator for ByOwner {
    fn open(&self, identity: &Identity) -> Result<Box<dyn Held>, Fault> {
        let target = self.control.open(identity)?;
        let unit = self.unit_of(identity, &target)?;
        Ok(Box::new(Owned { target, unit, systemd: self.systemd.clone() }))
    }

    fn put_back_outlived(&self, saved: &Saved, still: &dyn Fn() -> bool) -> Result<(), Fault> {
        let (Some(systemd), Some(kept)) = (&self.systemd, kept(saved)) else { return Ok(()) };
        match systemd.put_back(&kept, still) {
            Err(fault) if fault.outcome == Outcome::Vanished => Ok(()),
            other => other,
        }
    }
}

impl Systemd {
    fn put_back(&self, kept: &Kept, still: &dyn Fn() -> bool) -> Result<(), Fault> {
        let mut set = lock(&self.set);
        if still() {
            Unit::named(&self.manager, &kept.unit)?.restore(kept)?;
            set.remove(&(kept.unit.clone(), kept.property.clone()));
        }
        Ok(())
    }

    /// What a control of a unit was before this program set it.
    fn original(&self, unit: &Unit, knob: &Knob) -> Result<Kept, Fault> {
        let now = unit.keep(knob)?;
        let mut set = lock(&self.set);
        let key = (now.unit.clone(), now.property.clone());
        match set.get(&key) {
            // It is still what was set for the unit's cgroup before this one.
            Some(mine) if mine.written == property::value(knob, &now.setting) => Ok(mine.original.clone()),
            Some(_) => {
                set.remove(&key);
                Ok(now)
            }
            None => Ok(now),
        }
    }

    fn set(&self, unit: &Unit, knob: &Knob, value: &Value) -> Result<(), Fault> {
        let mut set = lock(&self.set);
        let key = (unit.id.clone(), property::name(knob).to_owned());
        let original = match set.remove(&key) {
            Some(mine) => mine.original,
            None => unit.keep(knob)?,
        };
        // Noted first: what is written although no answer came is ours as well.
        set.insert(key, Mine { original, written: value.clone() });
        Ok(unit.set(knob, value)?)
    }
}

/// What a property was, if that is what was saved.
fn kept(saved: &Saved) -> Option<Kept> {
    serde_json::from_str(&saved.raw).ok()
}

impl Owned {
    fn by_unit(&self) -> Option<(&Systemd, &Unit)> {
        Some((self.systemd.as_deref()?, self.unit.as_ref()?))
    }
}

impl Held for Owned {
    fn save(&self, knob: &Knob) -> Result<Saved, Fault> {
        let Some((systemd, unit)) = self.by_unit() else { return Held::save(&self.target, knob) };
        let now = self.read(knob)?;
        let kept = systemd.original(unit, knob)?;
        // Another device name would lead to two lines for one disk, of which the last one counts.
        if matches!(knob, Knob::IoMax { .. })
            && now != Value::Limit(Limit::Max)
            && property::value(knob, &kept.setting) == Value::Limit(Limit::Max)
        {
            let what = format!("{} limits this disk by another name: name it as its unit does", unit.id);
            return Err(Fault::new(Outcome::Unsupported, what));
        }
        let raw =
            serde_json::to_string(&kept).map_err(|error| Fault::new(Outcome::Failed, error.to_string()))?;
        let ours = lock(&systemd.set).contains_key(&(kept.unit.clone(), kept.property.clone()));
        let value = if ours { property::value(knob, &kept.setting) } else { now };
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
        let Some((systemd, unit)) = self.by_unit() else { return Held::write(&self.target, knob, value) };
        let before = Target::read(&self.target, knob);
        systemd.set(unit, knob, value)?;
        let after = Target::read(&self.target, knob)?;
        // On v1 systemd takes some properties and writes nothing.
        if before.as_ref() == Ok(&after) && after != *value {
            let what = format!(
                "systemd took {} of {} and left the kernel's {knob} at {after}: this host's controller has no such thing",
                property::name(knob),
                unit.id
            );
            return Err(Fault::new(Outcome::Unsupported, what));
        }
        Ok(())
    }

    fn restore(&self, saved: &Saved) -> Result<(), Fault> {
        match (kept(saved), &self.systemd) {
            (None, _) => Held::restore(&self.target, saved),
            (Some(kept), Some(systemd)) => systemd.put_back(&kept, &|| true),
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
        let send = |signal| {
            unit.signal(Whom::All, signal).map_err(|error| match Fault::from(error) {
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
            Some(unit) => Ok(unit.restart(deadline)?),
        }
    }

    fn stop(&self, deadline: Duration) -> Result<(), Fault> {
        match &self.unit {
            None => Held::stop(&self.target, deadline),
            Some(unit) => Ok(unit.stop(deadline)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_asked_for_by_what_systemd_may_have_named() {
        let units: [&[u8]; 5] = [
            b"/",
            b"/system.slice",
            b"/system.slice/nginx.service",
            b"/system.slice/nginx.service/worker",
            b"/user.slice/user-1.slice/session-1.scope",
        ];
        assert!(units.iter().all(|path| may_be_units(path)));
        let others: [&[u8]; 3] = [b"/docker/abc", b"/batch/job.1", b"/a.servicex"];
        assert!(!others.iter().any(|path| may_be_units(path)));
    }
}
