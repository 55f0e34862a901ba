#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, metrics, seeds};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("metrics"), |data: &[u8]| bounded(&ALLOCATOR, metrics::check, data));
