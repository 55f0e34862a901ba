//! What a pass over real cgroups costs, beside the least that it could cost: `cargo bench --bench sampling`.
//!
//! Makes its own cgroups on this host, under `stockade-test-bench-…`, and removes them. For each number of cgroups, in
//! turn and several times over:
//!
//! - **pass**: the sampler's whole pass: read, parse, derive, publish.
//! - **floor**: the same files through the same descriptors, `pread` into one buffer, nothing parsed. What the sampler does
//!   not hold for want of descriptors is opened by its path, read and closed.
//! - **by path**: `read_to_string` of each of these files.
//!
//! Medians are printed, and ratios of medians: absolute times are those of the machine. Give numbers of cgroups as
//! arguments to measure others: `cargo bench --bench sampling -- 100 2000`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../support/mod.rs"]
mod support;

use std::alloc::System;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read as _;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::uio::pread;
use nix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stockade::metrics::{Options, Own, render};
use stockade::sample::{Sampler, Settings, carried};
use support::TestGroup;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One in so many cgroups has a process.
const POPULATED: usize = 10;
const ROUNDS: usize = 15;

fn main() {
    let mut sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![100, 1000, 5000];
    }
    let kinds: Vec<String> = support::layout().hierarchies.iter().map(|hierarchy| hierarchy.name()).collect();
    println!(
        "hierarchies: {}; every {POPULATED}th cgroup has a process; medians of {ROUNDS} rounds, in CPU time",
        kinds.join(" ")
    );
    println!(
        "{:>8} {:>8} {:>7} {:>10} {:>10} {:>10} {:>11} {:>11} {:>9} {:>12}",
        "cgroups",
        "files",
        "held",
        "pass",
        "floor",
        "by path",
        "pass/floor",
        "path/pass",
        "µs a file",
        "allocs a pass"
    );
    for &size in &sizes {
        measure(size);
    }
    resident(1000);
}

fn populate(size: usize) -> TestGroup {
    let mut group = TestGroup::everywhere("bench");
    for number in 0..size {
        let child = format!("g{number}");
        group.child(&child);
        if number % POPULATED == 0 && number / POPULATED < 100 {
            group.run(&child, "exec sleep 86400");
        }
    }
    group
}

fn measure(size: usize) {
    let _group = populate(size);
    let mut sampler = Sampler::new(Settings::default(), carried()).expect("a host with cgroups");
    for _ in 0..3 {
        sampler.pass();
    }
    let (mut passes, mut floors, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    let mut allocations = Vec::new();
    let mut buffer = vec![0u8; 1 << 20];
    let (mut files, mut held) = (0, 0);
    for _ in 0..ROUNDS {
        let region = Region::new(ALLOCATOR);
        passes.push(time(|| drop(black_box(sampler.pass()))));
        allocations.push(region.change().allocations);

        let mounts: Vec<PathBuf> =
            sampler.layout().hierarchies.iter().map(|found| found.mount.clone()).collect();
        let plan: Vec<(PathBuf, bool, Option<BorrowedFd<'_>>)> = sampler
            .plan()
            .map(|read| {
                let cgroup = std::str::from_utf8(read.cgroup).unwrap_or("/").trim_start_matches('/');
                (mounts[read.hierarchy].join(cgroup).join(read.file), read.paged, read.held)
            })
            .collect();
        (files, held) = (plan.len(), plan.iter().filter(|(.., held)| held.is_some()).count());
        floors.push(time(|| {
            for (path, paged, held) in &plan {
                match held {
                    Some(fd) => raw(*fd, *paged, &mut buffer),
                    None => {
                        if let Ok(mut file) = File::open(path) {
                            while *paged && file.read(&mut buffer).is_ok_and(|read| read > 0) {}
                            let _ = !*paged && file.read(&mut buffer).is_ok();
                        }
                    }
                }
            }
        }));
        paths.push(time(|| {
            for (path, ..) in &plan {
                let _ = black_box(fs::read_to_string(path));
            }
        }));
    }
    let [pass, floor, path] = [passes, floors, paths].map(median);
    allocations.sort_unstable();
    println!(
        "{size:>8} {files:>8} {held:>7} {:>10} {:>10} {:>10} {:>10.2}x {:>10.2}x {:>9.2} {:>12}",
        milliseconds(pass),
        milliseconds(floor),
        milliseconds(path),
        ratio(pass, floor),
        ratio(path, pass),
        pass.as_secs_f64() * 1e6 / files as f64,
        allocations[allocations.len() / 2],
    );

    let snapshot = sampler.pass();
    let own = Own::new();
    let mut text = Vec::new();
    let mut renders = Vec::new();
    let mut series = 0;
    for _ in 0..ROUNDS {
        text.clear();
        renders.push(time(|| series = render(&snapshot, &Options::default(), &own, &mut text).series));
    }
    let took = median(renders);
    println!(
        "         rendered: {series} series, {:.1} MB in {} ({:.1} ns a series)",
        text.len() as f64 / 1e6,
        milliseconds(took),
        took.as_secs_f64() * 1e9 / series as f64
    );
}

fn raw(fd: BorrowedFd<'_>, paged: bool, buffer: &mut [u8]) {
    let mut offset = 0;
    while let Ok(read) = pread(fd, buffer, offset) {
        black_box(&buffer[..read]);
        if !paged || read == 0 {
            break;
        }
        offset += i64::try_from(read).expect("a buffer's length");
    }
}

/// The real program's resident memory, after passes and scrapes.
fn resident(size: usize) {
    let _group = populate(size);
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_stockade"))
        .args(["serve", "--web.listen-address", "127.0.0.1:0", "--log.level", "error"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(daemon.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("where it listens");
    let address =
        line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let mut figure = None;
    // Four passes at the default interval, each scraped as Prometheus does it.
    for sample in 1..=4u64 {
        figure = Some(support::eventually("a pass", || {
            let text = scrape(&address);
            let value = |name: &str| -> Option<f64> {
                text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            };
            (value("stockade_samples_total ")? >= sample as f64).then_some(())?;
            Some((value("process_resident_memory_bytes ")?, value("stockade_series ")?))
        }));
    }
    let _ = daemon.kill();
    let _ = daemon.wait();
    if let Some((bytes, series)) = figure {
        println!(
            "resident memory of `stockade serve` at {size} cgroups, {series} series: {:.1} MiB",
            bytes / 1_048_576.0
        );
    }
}

fn scrape(address: &str) -> String {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).expect("the program listens");
    stream
        .write_all(
            b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        )
        .expect("a request");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a response");
    let body = response.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    let head = String::from_utf8_lossy(&response[..body]).to_ascii_lowercase();
    let body = if head.contains("transfer-encoding: chunked") {
        unchunk(&response[body..])
    } else {
        response[body..].to_vec()
    };
    let mut text = String::new();
    let _ = flate2::read::GzDecoder::new(&*body).read_to_string(&mut text);
    text
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&body[..end]), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

/// CPU time of this thread: nothing here waits, and another load on the machine is not charged to it.
fn time(work: impl FnOnce()) -> Duration {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    let began = now();
    work();
    now() - began
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
