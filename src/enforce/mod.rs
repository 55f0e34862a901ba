//! From a decision to the kernel, and back again.
//!
//! - [`safety`]: PURE, what may be done at all, and to whom.
//! - [`order`]: PURE, what is to be done, and what came of it.
//! - [`plan`]: PURE, the guard rails between a decision and an order.

pub mod actuator;
mod budget;
pub mod journal;
pub mod ledger;
pub mod order;
pub mod plan;
mod protection;
pub mod safety;
pub mod stats;
