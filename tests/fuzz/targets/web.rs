#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, seeds, web};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("web"), |data: &[u8]| bounded(&ALLOCATOR, web::check, data));
