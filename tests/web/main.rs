//! The HTTP server against raw clients, well-behaved and not.

mod answers;
mod api;
#[path = "../support/certificates.rs"]
mod certificates;
mod door;
mod harness;
mod limits;
mod shutdown;
mod tls;
