//! The kernel, as enforcement sees it. The real one forwards to the kernel layer; tests bring a fake.

use std::time::Duration;

use super::order::{Deed, Outcome, Through};
use crate::model::{Identity, Knob, Value};
use crate::policy::rule::Kill;

/// What a control was before the first write, to be put back word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Which control.
    pub knob: Knob,
    /// What it was.
    pub value: Value,
    /// The same as the actuator wants it back: opaque to everybody else, and kept in the journal.
    pub raw: Box<str>,
}

/// Why the kernel layer could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What it comes to: `vanished`, `unsupported`, `failed` or `timed_out`.
    pub outcome: Outcome,
    /// What happened, with the file.
    pub message: String,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self { outcome, message: message.into() }
    }
}

/// Opens cgroups for writing. Called from several threads at once.
pub trait Actuator: Send + Sync + 'static {
    /// Opens the directories of a cgroup in every hierarchy, and makes sure that they are those of the identity.
    ///
    /// # Errors
    /// [`Outcome::Vanished`] where the cgroup is gone or has another kernel id.
    fn open(&self, target: &Identity) -> Result<Box<dyn Held>, Fault>;

    /// Puts back what outlives the cgroup that it was saved from, and is gone now: a unit's property. `still` is asked right
    /// before, while nobody else writes one: whether nobody has claimed the same since.
    ///
    /// # Errors
    /// The fault of whoever has it.
    fn put_back_outlived(&self, saved: &Saved, still: &dyn Fn() -> bool) -> Result<(), Fault> {
        let _ = (saved, still);
        Ok(())
    }
}

/// A cgroup, held by its directories, and by its unit where it is one: a new cgroup under the same path is never reached
/// through it.
///
/// Every call may block, and none is made on a thread that decides.
#[expect(clippy::missing_errors_doc, reason = "each one fails with the fault that the kernel layer met")]
pub trait Held {
    /// What a control is now, to be put back later.
    fn save(&self, knob: &Knob) -> Result<Saved, Fault>;
    /// Who manages it, and which way a deed takes; nothing where that is not looked for.
    fn through(&self, deed: &Deed) -> Option<Through> {
        let _ = deed;
        None
    }
    /// What a control is now, as the kernel rounded it.
    fn read(&self, knob: &Knob) -> Result<Value, Fault>;
    /// Sets a control. Where it is that already, and stays so, nothing need be written.
    fn write(&self, knob: &Knob, value: &Value) -> Result<(), Fault>;
    /// Puts a control back.
    fn restore(&self, saved: &Saved) -> Result<(), Fault>;
    /// What is used now of what a control limits, where that is an amount.
    fn usage(&self, knob: &Knob) -> Option<u64>;
    /// Whether its tasks are stopped, by whomever.
    fn is_frozen(&self) -> Result<bool, Fault>;
    /// Stops every task, and waits until they stand.
    fn freeze(&self, deadline: Duration) -> Result<(), Fault>;
    /// Lets them run again.
    fn thaw(&self) -> Result<(), Fault>;
    /// Ends every process, and waits until none is left. The deadline begins after the grace.
    fn kill(&self, kill: Kill, deadline: Duration) -> Result<(), Fault>;
    /// Whether a kill may freeze it for a moment.
    fn kill_may_freeze(&self) -> bool;
    /// The control that a reclaim writes for a moment, where the kernel has no better way.
    fn reclaim_writes(&self) -> Result<Option<Knob>, Fault>;
    /// Has the kernel take back this many bytes; gives how many it did.
    fn reclaim(&self, bytes: u64) -> Result<u64, Fault>;
    /// Has its service manager stop it and start it again, and waits until that is done.
    fn restart(&self, deadline: Duration) -> Result<(), Fault>;
    /// Has its service manager stop it, and waits until that is done.
    fn stop(&self, deadline: Duration) -> Result<(), Fault>;
}
