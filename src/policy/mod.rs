//! PURE: policies over snapshots. `(policies, state, snapshot) -> decisions`.
//!
//! - [`rule`]: what a policy and a standing limit say.
//! - [`selector`]: which cgroups a rule is about.
//! - [`signal`]: what can be measured, one name on every layout.
//! - [`condition`]: when a policy fires and when it is over.
//! - [`decision`]: what the engine decided, and why.
//! - [`engine`]: what the policies make of a snapshot, given what they made of those before.
//! - [`capability`]: what of the rules a host cannot do, or does otherwise.
//! - [`standing`]: which standing limit is kept on which cgroup.
//!
//! Nothing here knows YAML, file names or cgroup versions, and nothing reads a clock: time is
//! [`Snapshot::at`](crate::model::Snapshot::at).

pub mod capability;
pub mod condition;
pub mod decision;
pub mod engine;
mod matching;
mod measure;
mod program;
pub mod rule;
pub mod selector;
pub mod signal;
pub mod standing;
mod table;

pub use measure::{Ceiling, ceiling};
