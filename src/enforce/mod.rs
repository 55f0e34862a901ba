//! From a decision to the kernel, and back again.
//!
//! - [`safety`]: PURE, what may be done at all, and to whom.
//! - [`order`]: PURE, what is to be done, and what came of it.
//! - [`request`]: PURE, what somebody wants done.
//! - [`ownership`]: PURE, who manages a cgroup, and how that one wants it written.
//! - [`yielding`], [`oomd`]: PURE, which cgroups are left to systemd-oomd or oomd.
//! - [`plan`]: PURE, the guard rails between a request and an order.
//! - [`ledger`]: PURE, who claims which control, what is in force, and what was before.
//! - [`journal`]: the ledger's claims on disk, before the kernel is written, and their undoing at the next start.
//! - [`actuator`]: the kernel as enforcement sees it.
//! - [`units`]: each cgroup by its owner: systemd's through systemd, every other through the kernel's files.
//! - [`drift`]: what others do to what is claimed, and what is answered.
//! - [`apply`]: the handle that takes orders, and the events that say what came of them.
//! - [`notify`]: messages to webhooks and hook commands.
//! - [`audit`]: one line for each thing that was decided, done, refused, undone or seen.
//! - [`stats`]: the numbers behind the metrics.

pub mod actuator;
mod amount;
pub mod apply;
pub mod audit;
mod budget;
mod desk;
pub mod drift;
pub mod journal;
pub mod ledger;
pub mod notify;
pub mod oomd;
pub mod order;
pub mod ownership;
pub mod plan;
mod properties;
mod protection;
mod real;
pub mod request;
pub mod safety;
pub mod stats;
mod undo;
pub mod units;
mod worker;
pub mod yielding;
