//! From a decision to the kernel and back again, on a kernel of the tests' own.

mod apply;
mod fake;
mod journal;
mod ledger;
mod plan;
