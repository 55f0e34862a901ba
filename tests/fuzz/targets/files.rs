#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, files, seeds};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("files"), |data: &[u8]| bounded(&ALLOCATOR, files::check, data));
