//! From a decision to the kernel and back again, on a kernel of the tests' own.

#![allow(clippy::unwrap_used, reason = "every function here is a test's")]

mod apply;
mod audit;
#[path = "../support/certificates.rs"]
mod certificates;
mod fake;
mod journal;
mod ledger;
mod notify;
mod plan;
