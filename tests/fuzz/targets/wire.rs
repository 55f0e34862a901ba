#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, seeds, wire};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("wire"), |data: &[u8]| bounded(&ALLOCATOR, wire::check, data));
