//! What must hold for any input, one module a group of parsers.
//!
//! Each `check` takes any bytes and panics when the code under test breaks a promise. The libFuzzer targets in
//! `targets/` search for such bytes; `tests/properties.rs` takes the same checks through proptest, without libFuzzer.

// The modules of the web server that are included as they stand name these.
#[allow(unused_imports, reason = "where this file is a module of a test, the test has it")]
use stockade::model;

pub mod config;
pub mod files;
pub mod layout;
pub mod metrics;
pub mod seeds;
pub mod values;
pub mod web;
pub mod web_config;
pub mod wire;

use peak_alloc::PeakAlloc;

/// Takes any bytes, and panics when a promise is broken.
pub type Check = fn(&[u8]);

/// Every check by its target's name.
pub const CHECKS: [(&str, Check); 8] = [
    ("config", config::check),
    ("files", files::check),
    ("layout", layout::check),
    ("metrics", metrics::check),
    ("values", values::check),
    ("web", web::check),
    ("web_config", web_config::check),
    ("wire", wire::check),
];

/// What a check may hold at once whatever its input: the tables of the code, the files that it reads.
const ALLOWED: usize = 8 << 20;
/// What it may hold besides for each byte of input.
const ALLOWED_A_BYTE: usize = 2048;

/// Runs a check, and fails when it held more memory at once than its input explains. The allocator must be the
/// process's, and no other thread may be at work.
pub fn bounded(allocator: &PeakAlloc, check: Check, data: &[u8]) {
    let before = allocator.current_usage();
    allocator.reset_peak_usage();
    check(data);
    let held = allocator.peak_usage().saturating_sub(before);
    let allowed = ALLOWED + ALLOWED_A_BYTE * data.len();
    assert!(
        held <= allowed,
        "{} bytes of input held {held} bytes at once, {allowed} are allowed",
        data.len()
    );
}
