//! The real kernel: [`Held`] forwarded to the kernel layer.

use std::time::Duration;

use super::actuator::{Fault, Held, Saved};
use super::order::Outcome;
use crate::kernel::control::knobs;
use crate::kernel::control::{ControlError, Target};
use crate::kernel::reclaim::ReclaimWay;
use crate::model::{Knob, Value};
use crate::policy::rule::Kill;

/// How long the kernel may look for memory to take back.
const RECLAIM: Duration = Duration::from_secs(8);
/// How long thawed tasks may take until they run.
const THAW: Duration = Duration::from_secs(3);

impl From<ControlError> for Fault {
    fn from(error: ControlError) -> Self {
        let outcome = match &error {
            ControlError::Vanished => Outcome::Vanished,
            ControlError::Unsupported(_) => Outcome::Unsupported,
            ControlError::TimedOut { .. } => Outcome::TimedOut,
            ControlError::Denied { .. } | ControlError::Os { .. } => Outcome::Failed,
        };
        Self::new(outcome, error.to_string())
    }
}

impl Held for Target {
    fn save(&self, knob: &Knob) -> Result<Saved, Fault> {
        let value = Self::read(self, knob)?;
        let saved = Self::save(self, knob)?;
        let raw =
            serde_json::to_string(&saved).map_err(|error| Fault::new(Outcome::Failed, error.to_string()))?;
        Ok(Saved { knob: knob.clone(), value, raw: raw.into() })
    }

    fn read(&self, knob: &Knob) -> Result<Value, Fault> {
        Ok(Self::read(self, knob)?)
    }

    fn write(&self, knob: &Knob, value: &Value) -> Result<(), Fault> {
        Ok(Self::write(self, knob, value)?)
    }

    fn restore(&self, saved: &Saved) -> Result<(), Fault> {
        let files: knobs::Saved = serde_json::from_str(&saved.raw).map_err(|error| {
            let message = format!("what {} was is not readable in the journal: {error}", saved.knob);
            Fault::new(Outcome::Failed, message)
        })?;
        Ok(Self::restore(self, &files)?)
    }

    fn usage(&self, knob: &Knob) -> Option<u64> {
        Self::usage(self, knob)
    }

    fn is_frozen(&self) -> Result<bool, Fault> {
        // A freeze of a cgroup above ends without us, and then this one's tasks must still stand.
        Ok(self.freezer_state()?.itself)
    }

    fn freeze(&self, deadline: Duration) -> Result<(), Fault> {
        Ok(Self::freeze(self, deadline)?)
    }

    fn thaw(&self) -> Result<(), Fault> {
        Ok(Self::thaw(self, THAW)?)
    }

    fn kill(&self, kill: Kill, deadline: Duration) -> Result<(), Fault> {
        Self::kill(self, kill.signal, kill.grace, kill.grace + deadline)?;
        Ok(())
    }

    fn kill_may_freeze(&self) -> bool {
        Self::kill_may_freeze(self)
    }

    fn reclaim_writes(&self) -> Result<Option<Knob>, Fault> {
        Ok(match self.reclaim_way()? {
            ReclaimWay::Reclaim => None,
            ReclaimWay::MemoryHigh => Some(Knob::MemoryHigh),
        })
    }

    fn reclaim(&self, bytes: u64) -> Result<u64, Fault> {
        Ok(Self::reclaim(self, bytes, RECLAIM)?)
    }

    fn restart(&self, _: Duration) -> Result<(), Fault> {
        Err(no_unit(self))
    }

    fn stop(&self, _: Duration) -> Result<(), Fault> {
        Err(no_unit(self))
    }
}

/// Why nobody can start it again.
fn no_unit(target: &Target) -> Fault {
    let what = format!(
        "{} is no unit that systemd may be asked about over D-Bus (`safety.writers.systemd: dbus`)",
        target.identity().display
    );
    Fault::new(Outcome::Unsupported, what)
}
