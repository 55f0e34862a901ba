#![no_main]

use peak_alloc::PeakAlloc;
use stockade_fuzz::{bounded, seeds, web_config};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(init: seeds::write("web_config"), |data: &[u8]| bounded(&ALLOCATOR, web_config::check, data));
