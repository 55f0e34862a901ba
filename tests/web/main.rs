//! The HTTP server against raw clients, well-behaved and not.

mod access;
mod answers;
mod api;
#[path = "../support/certificates.rs"]
mod certificates;
mod harness;
mod limits;
mod shutdown;
mod tls;
