//! Having the kernel take memory back from a cgroup.
//!
//! `memory.reclaim` (5.19) does just that. Before it, cgroup2's `memory.high` is lowered step by step below what is in
//! use, which makes the kernel reclaim within the write and kills nobody, and is put back in any case. v1 has no safe way:
//! `memory.limit_in_bytes` below what is in use lets the next allocation end in an OOM kill, and `memory.force_empty` is
//! for cgroups without processes.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::control::{ControlError, Place, Target};
use crate::model::{Limit, Version};

/// So much is asked for at a time: the deadline is looked at in between.
const STEP: u64 = 32 << 20;

/// How memory is taken back here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimWay {
    /// By `memory.reclaim`: nothing has to be put back.
    Reclaim,
    /// By lowering `memory.high` for a moment: the journal takes [`Target::save`] of it first.
    MemoryHigh,
}

impl Target {
    /// How memory would be taken back.
    ///
    /// # Errors
    /// [`ControlError::Unsupported`] on v1.
    pub fn reclaim_way(&self) -> Result<ReclaimWay, ControlError> {
        let place = self.place("memory")?;
        if place.version == Version::V1 {
            return Err(ControlError::Unsupported(format!(
                "{}: cgroup v1 cannot take memory back safely: a lower limit ends in OOM kills; lower memory.high, or use \
                 cgroup2",
                place.file("memory.limit_in_bytes")
            )));
        }
        Ok(if place.has("memory.reclaim") { ReclaimWay::Reclaim } else { ReclaimWay::MemoryHigh })
    }

    /// Asks the kernel to take so many bytes back, and tells by how much the cgroup has shrunk. Less than was asked for is
    /// no error: what cannot be reclaimed stays. The deadline is looked at each 32 MiB.
    ///
    /// # Errors
    /// See [`Target::reclaim_way`], and what the kernel says.
    pub fn reclaim(&self, bytes: u64, deadline: Duration) -> Result<u64, ControlError> {
        let way = self.reclaim_way()?;
        let place = self.place("memory")?;
        let until = Instant::now() + deadline;
        let before = current(place)?;
        match way {
            ReclaimWay::Reclaim => by_reclaim(place, bytes, until)?,
            ReclaimWay::MemoryHigh => {
                let high = place.read("memory.high")?;
                let lowered = by_high(place, &high, before.saturating_sub(bytes), until);
                place.write("memory.high", high.trim())?;
                lowered?;
            }
        }
        Ok(before.saturating_sub(current(place)?))
    }
}

fn by_reclaim(place: &Place, bytes: u64, until: Instant) -> Result<(), ControlError> {
    let mut left = bytes;
    while left > 0 && Instant::now() < until {
        let step = left.min(STEP);
        match place.write("memory.reclaim", &step.to_string()) {
            Ok(()) => left -= step,
            // It has taken what it could.
            Err(ControlError::Os { errno: Errno::EAGAIN, .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lowers the limit by steps until so much is left, or until a step brings nothing.
fn by_high(place: &Place, high: &str, goal: u64, until: Instant) -> Result<(), ControlError> {
    let limit = super::parse::limit(high.as_bytes()).unwrap_or(Limit::Max);
    let mut now = current(place)?;
    while now > goal && Instant::now() < until {
        let next = now.saturating_sub(STEP).max(goal);
        // A limit that is lower already stays: it must never be loosened.
        if limit.value().is_some_and(|limit| limit <= next) {
            break;
        }
        place.write("memory.high", &next.to_string())?;
        let after = current(place)?;
        if after >= now {
            break;
        }
        now = after;
    }
    Ok(())
}

fn current(place: &Place) -> Result<u64, ControlError> {
    let text = place.read("memory.current")?;
    super::parse::value(text.as_bytes())
        .map_err(|error| ControlError::Unsupported(format!("{}: {error}", place.file("memory.current"))))
}
