#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, config, seeds};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("config"), |data: &[u8]| bounded(&ALLOCATOR, config::check, data));
