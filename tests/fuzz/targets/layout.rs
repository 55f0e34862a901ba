#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, layout, seeds};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("layout"), |data: &[u8]| bounded(&ALLOCATOR, layout::check, data));
