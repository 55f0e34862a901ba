#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, seeds, values};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("values"), |data: &[u8]| bounded(&ALLOCATOR, values::check, data));
