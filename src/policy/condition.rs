//! When a policy fires and when it is over.

use std::time::Duration;

use super::signal::Signal;

/// Whose signal is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// The target's own.
    This,
    /// Its parent's.
    Parent,
    /// The whole host's.
    Host,
    /// That of the cgroup at this path.
    Path(Box<[u8]>),
}

/// Which side of the threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// More than the threshold.
    Above,
    /// Less than the threshold.
    Below,
}

/// What a signal is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A number in the signal's unit.
    Fixed(f64),
    /// A share of the limit that holds for the signal's subject: `of_limit: true`.
    OfLimit(f64),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is measured.
    pub signal: Signal,
    /// Whose.
    pub of: Of,
    /// Which side counts.
    pub compare: Compare,
    /// Compared with what.
    pub threshold: Threshold,
    /// How long it must have been so, without a break.
    pub hold: Duration,
}

/// Comparisons, joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every one.
    All(Vec<Condition>),
    /// At least one.
    Any(Vec<Condition>),
    /// Not that one.
    Not(Box<Condition>),
    /// One comparison.
    Test(Test),
}

/// Whether a condition holds. What is not known neither fires nor clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Something that it needs is absent.
    Unknown,
}
