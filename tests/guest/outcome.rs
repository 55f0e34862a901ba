//! How a scenario ends early, and the text of what went wrong.

use std::fmt::Display;

/// Why a scenario did not pass.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This kernel or layout has no such thing; the text names it.
    Absent(String),
    /// Stockade and the kernel disagree, or the guest could not do what the scenario needs.
    Failed(String),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// What a scenario gives: a remark for the table, empty mostly.
pub(crate) type Outcome = Result<String, Stop>;

/// A step of a scenario.
pub(crate) type Step<T = ()> = Result<T, Stop>;

/// Puts what was being done in front of an error.
pub(crate) trait During<T> {
    /// The error with its context, as a failure.
    fn during(self, what: impl Display) -> Step<T>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, what: impl Display) -> Step<T> {
        self.map_err(|error| Stop::Failed(format!("{what}: {error}")))
    }
}

/// Fails with the text unless it holds.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Step {
    if holds { Ok(()) } else { Err(Stop::Failed(text())) }
}
