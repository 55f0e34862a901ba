//! What the engine decided, and why.

use std::sync::Arc;
use std::time::Duration;

use super::condition::Truth;
use super::rule::Policy;
use crate::model::Identity;

/// One decision about one cgroup. Refused ones are decisions too.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The moment of the snapshot that it was made on (monotonic).
    pub at: Duration,
    /// By which policy.
    pub policy: Arc<Policy>,
    /// About which cgroup.
    pub target: Arc<Identity>,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub evidence: Evidence,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take the step of this number.
    Act {
        /// Its place in the policy's steps, from 0.
        step: usize,
    },
    /// The step would be taken, but the policy rests. Said once for each time that it would have begun.
    Resting {
        /// Its place in the policy's steps, from 0.
        step: usize,
        /// Until when (monotonic).
        until: Duration,
    },
    /// Undo, in reverse order, what the policy did to the target.
    Undo {
        /// Because it cleared, or because the time was up.
        why: UndoReason,
    },
    /// The cgroup ended: nothing is left to undo.
    Gone,
}

/// Why something is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoReason {
    /// `clear` holds.
    Cleared,
    /// The last ttl ended.
    Expired,
    /// The rule is no longer in the configuration, or no longer matches.
    Withdrawn,
}

/// Why a decision was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Every comparison of the condition that led to it.
    pub findings: Vec<Finding>,
    /// The cgroups that were matched and spared, and why.
    pub spared: Vec<Spared>,
}

/// One comparison, as it came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The signal's name.
    pub signal: String,
    /// The cgroup it was measured of, `host` for the host.
    pub of: String,
    /// What was measured, in the signal's unit.
    pub value: Option<f64>,
    /// `above` or `below`.
    pub compare: &'static str,
    /// What it was compared with, in the signal's unit; unknown where a limit is not set.
    pub threshold: Option<f64>,
    /// How long it has been so.
    pub held: Duration,
    /// How long it must be so.
    pub hold: Duration,
    /// How it came out, `hold` included. Unknown although both numbers are known: the pressure may be of our own making.
    pub truth: Truth,
}

impl Finding {
    /// How far the value is beyond the threshold, in the signal's unit: below zero where the comparison does not hold.
    #[must_use]
    pub fn margin(&self) -> Option<f64> {
        let beyond = self.value? - self.threshold?;
        Some(if self.compare == "below" { -beyond } else { beyond })
    }
}

/// A cgroup that was matched and not chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// Which.
    pub cgroup: Arc<str>,
    /// Why, as a sentence: `memory.anon 12.0MiB is less than 200.0MiB of the victim`.
    pub reason: String,
}
