//! What this process itself uses.

use std::time::{Duration, SystemTime};

/// The process as the kernel sees it. What is not known is `None` and gives no series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessStats {
    /// CPU time used, user and system.
    pub cpu: Option<Duration>,
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Virtual memory in bytes.
    pub virtual_bytes: Option<u64>,
    /// Descriptors open.
    pub open_descriptors: Option<u64>,
    /// Descriptors that may be open (the soft limit).
    pub max_descriptors: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// When it started.
    pub started: Option<SystemTime>,
}
