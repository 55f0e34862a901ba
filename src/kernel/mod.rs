//! The only code that knows the kernel's file names and units.

pub mod watch;
