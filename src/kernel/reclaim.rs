//! Having the kernel take memory of a cgroup back.

use nix::errno::Errno;

use super::control::{ControlError, Target};
use crate::model::{Knob, Limit, Value, Version};

impl Target {
    /// Has the kernel take this many bytes back, and tells how many fewer are used afterwards.
    ///
    /// By `memory.reclaim` (kernel 5.19); before it, `memory.high` is put below what is used for a moment, which reclaims
    /// and kills nobody. v1 has only `memory.limit_in_bytes` for it, below which a process that allocates in that moment
    /// would be killed: there it is not supported.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn reclaim(&self, bytes: u64) -> Result<u64, ControlError> {
        let place = self.place("memory")?;
        if place.version == Version::V1 {
            return Err(ControlError::Unsupported(format!(
                "{}: cgroup v1 can only reclaim by a hard limit, under which a process may be killed; a `set` of \
                 memory.max with `at_least` says that this is wanted",
                place.file("memory.limit_in_bytes")
            )));
        }
        let used = || self.usage(&Knob::MemoryHigh).unwrap_or(0);
        let before = used();
        match place.write("memory.reclaim", &bytes.to_string()) {
            // As much as there was to be had.
            Ok(()) | Err(ControlError::Os { errno: Errno::EAGAIN, .. }) => {}
            Err(ControlError::Unsupported(_)) => self.lower_high(before.saturating_sub(bytes))?,
            Err(error) => return Err(error),
        }
        Ok(before.saturating_sub(used()))
    }

    /// Puts `memory.high` down to this for a moment. What it was is put back in any case.
    fn lower_high(&self, to: u64) -> Result<(), ControlError> {
        if let Value::Limit(Limit::Value(high)) = self.read(&Knob::MemoryHigh)?
            && high <= to
        {
            // It reclaims already, and more.
            return Ok(());
        }
        let saved = self.save(&Knob::MemoryHigh)?;
        let lowered = self.write(&Knob::MemoryHigh, &Value::of(to));
        self.restore(&saved).and(lowered)
    }
}
