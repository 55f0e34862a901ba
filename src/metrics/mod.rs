//! Snapshot to Prometheus text: the table of metric families, the encoder, the program's own metrics.
//!
//! # Which series a scrape shows
//!
//! - **Absent is absent.** A number that the kernel did not give, and a limit that is `max`, is no series. A family
//!   without series prints no header either.
//! - **The budget is hard.** [`Options::max_series`] bounds the `cgroup_…` series of one exposition. Cgroups are served
//!   in the order of their birth, oldest first, the living before the dead. Each gets all its series until three
//!   quarters of the budget are used; from the first one that does not fit there, each gets the essential families
//!   only (marked in [`documentation()`]); from the first whose essentials do not fit in the budget, none gets any. So a
//!   user who makes 100,000 cgroups pushes out the own newest ones, and what was shown stays shown. `host_…`,
//!   `stockade_…` and `process_…` are outside the budget: their number does not depend on the cgroups.
//! - **No series twice.** The last numbers of a dead cgroup stand under its path. While they wait for a scrape, a
//!   living or a later dead cgroup of the same path is held back; it follows when they were carried
//!   ([`Counts::carried`]). Prometheus then sees a counter reset, which is what happened.
//! - **cAdvisor's names on demand.** [`Options::cadvisor`] adds `container_…` and `machine_…` as cAdvisor and kubelet
//!   name and label them. The `container_…` series are in the budget too.
//! - **No timestamps.** The age of the sample is a metric of its own, `stockade_sample_age_seconds`.

mod budget;
mod container;
mod documentation;
mod families;
mod family;
mod own;
mod program;
mod registered;
mod render;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use documentation::{cadvisor as cadvisor_documentation, documentation};
pub use own::{Enforcement, Own};
pub use render::{Attach, Counts, Options, render};
pub use text::Format;
