//! The HTTP server against raw clients, well-behaved and not.

mod answers;
mod api;
mod harness;
mod limits;
mod shutdown;
