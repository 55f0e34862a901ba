//! What this program has set of systemd's units, and what was there before.
//!
//! A property outlives the unit's cgroup: when systemd starts a unit again, the new cgroup has what was set for the one
//! before. So a claim on a cgroup that is gone is still put back, by the unit's name, unless somebody claims the same
//! control of the cgroup that the unit has now.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::actuator::Fault;
use super::order::Outcome;
use super::stats::lock;
use crate::model::{Knob, Value};
use crate::systemd::{BusError, Kept, Manager, Unit, property};

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

/// How long a write by systemd is remembered as one for this program: longer than from one pass to the next.
const REMEMBERED: Duration = Duration::from_secs(90);

/// The line to systemd, and what this program has set over it.
#[derive(Debug)]
pub(super) struct Properties {
    manager: Manager,
    /// By unit and property. Held while one is written: one write at a time.
    set: Mutex<HashMap<(String, String), Mine>>,
    /// What it was told to write lately, the oldest first.
    told: Mutex<VecDeque<Told>>,
}

/// One write that systemd did for this program.
#[derive(Debug)]
struct Told {
    at: Instant,
    cgroup: String,
    knob: Knob,
    value: Value,
}

/// A property that is ours.
#[derive(Debug)]
struct Mine {
    /// What it was before.
    original: Kept,
    /// What it was set to.
    written: Value,
}

impl Properties {
    /// Nothing is set yet.
    pub fn new(manager: Manager) -> Self {
        Self { manager, set: Mutex::default(), told: Mutex::default() }
    }

    /// The line.
    pub const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Whether systemd wrote this because this program had told it so.
    pub fn told(&self, cgroup: &[u8], knob: &Knob, value: &Value) -> bool {
        let is_it =
            |told: &Told| told.cgroup.as_bytes() == cgroup && told.knob == *knob && told.value == *value;
        lock(&self.told).iter().any(is_it)
    }

    /// Puts a property back, if `still` says so right before.
    pub fn put_back(&self, kept: &Kept, knob: &Knob, still: &dyn Fn() -> bool) -> Result<(), Fault> {
        let mut set = lock(&self.set);
        if still() {
            // It may be seen before the answer is here.
            self.remember(&kept.control_group, knob, property::value(knob, &kept.setting));
            kept.put_back(&self.manager)?;
            set.remove(&(kept.unit.clone(), kept.property.clone()));
        }
        Ok(())
    }

    /// What a control of a unit was before this program set it: the property, and the control as `read` finds it.
    pub fn original(
        &self,
        unit: &Unit,
        knob: &Knob,
        read: impl FnOnce() -> Result<Value, Fault>,
    ) -> Result<(Kept, Value), Fault> {
        let mut set = lock(&self.set);
        let now = unit.keep(knob)?;
        let key = (now.unit.clone(), now.property.clone());
        match set.get(&key) {
            // It is still what was set for the unit's cgroup before this one.
            Some(mine) if mine.written == property::value(knob, &now.setting) => {
                Ok((mine.original.clone(), property::value(knob, &mine.original.setting)))
            }
            _ => {
                set.remove(&key);
                Ok((now, read()?))
            }
        }
    }

    /// Sets a property, unless the control is that already and this program has no part in it.
    pub fn set(
        &self,
        unit: &Unit,
        knob: &Knob,
        value: &Value,
        read: &dyn Fn() -> Result<Value, Fault>,
    ) -> Result<(), Fault> {
        let mut set = lock(&self.set);
        let key = (unit.id.clone(), property::name(knob).to_owned());
        let mine = set.remove(&key);
        let before = read();
        if mine.is_none() && before.as_ref() == Ok(value) {
            return Ok(());
        }
        let original = match mine {
            Some(mine) => mine.original,
            None => unit.keep(knob)?,
        };
        // Noted first: what is written although no answer came is ours as well.
        set.insert(key, Mine { original, written: value.clone() });
        self.remember(&unit.control_group, knob, value.clone());
        match unit.set(knob, value) {
            // A limit below the use holds before the kernel has taken back what is above it, for which systemd waits.
            Err(BusError::TimedOut { .. }) if read().as_ref() == Ok(value) => {}
            set => set?,
        }
        let after = read()?;
        if after != *value {
            self.remember(&unit.control_group, knob, after.clone());
        }
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

    /// Remembers what the kernel's file is because systemd was told so: systemd is who writes it, and is seen to.
    fn remember(&self, cgroup: &str, knob: &Knob, value: Value) {
        let mut told = lock(&self.told);
        let now = Instant::now();
        while told.front().is_some_and(|told| now.duration_since(told.at) > REMEMBERED) {
            told.pop_front();
        }
        told.push_back(Told { at: now, cgroup: cgroup.to_owned(), knob: knob.clone(), value });
    }
}
