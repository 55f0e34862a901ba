//! From a decision to the kernel, and back again.
//!
//! - [`safety`]: PURE, what may be done at all, and to whom.
//! - [`order`]: PURE, what is to be done, and what came of it.

pub mod order;
pub mod safety;
