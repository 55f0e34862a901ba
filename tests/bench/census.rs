//! What a census of processes costs, beside a plain walk of `/proc` that reads the same: `cargo bench --bench census`.
//!
//! Makes 1,000 cgroups with 5 sleeping processes each on this host, under `stockade-test-census-…`, and removes them. Give
//! other numbers as arguments: `cargo bench --bench census -- 100 10`, and for 50,000 processes `-- 1000 50`, where the
//! limits allow so many (`kernel.pid_max`, `ulimit -u`). A process is a waiting shell and takes some 200 KiB.
//!
//! One collector after the other is switched on, and the difference that it makes is shown:
//!
//! - **cold**: the first pass, in which every process is new; at most 5,000 of them are read then.
//! - **steady**: later passes. A sixtieth of the processes has its namespaces read, a sixth is asked the rest.
//! - **walk**: each process of `/proc`, and the same files of each: the eight links and the cgroup; `stat`; `stat` of each
//!   thread; `/proc` itself, and `stat`; `fd`.
//!
//! Medians of CPU time are printed, and ratios of medians: absolute times are those of the machine.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use stockade::model::{Collector, CollectorSet, Field, NamespaceKind, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};
use support::{TestGroup, eventually};

const ROUNDS: usize = 18;
const INTERVAL: Duration = Duration::from_secs(5);

/// Reads of a process what a collector does, as anybody would, and tells how much it was.
type Look = fn(&Path) -> usize;

/// The collectors, each with a walk that reads the same.
const COLLECTORS: &[(Collector, Look)] = &[
    (Collector::Namespaces, |process| {
        let link = |kind: &NamespaceKind| fs::read_link(process.join("ns").join(kind.name())).ok();
        NamespaceKind::ALL.iter().filter_map(link).count() + length(&process.join("cgroup"))
    }),
    (Collector::Processes, |process| length(&process.join("stat"))),
    (Collector::ThreadStates, |process| {
        let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        threads.map(|thread| length(&thread.path().join("stat"))).sum()
    }),
    (Collector::Zombies, |process| length(&process.join("stat"))),
    (Collector::OpenFiles, |process| fs::read_dir(process.join("fd")).map_or(0, Iterator::count)),
];

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (cgroups, each) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(5));
    let most: usize = fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .expect("a limit on process ids");
    let wanted = cgroups * each;
    assert!(wanted + 2000 < most, "{wanted} processes do not fit below kernel.pid_max, which is {most}");
    let mut group = TestGroup::within("census", |hierarchy| hierarchy.serves("memory"));
    let scratch = tempfile::tempdir().expect("a directory");
    let fifo = scratch.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    // Each waits for a line that nobody writes.
    let sleepers = format!(
        "exec 3<>'{}'; i=1; while [ $i -lt {each} ]; do read line <&3 & i=$((i+1)); done; read line <&3",
        fifo.display()
    );
    for number in 0..cgroups {
        let child = format!("g{number}");
        group.child(&child);
        group.run(&child, &sleepers);
    }
    let top = group.path.clone();
    let mut counter = sampler(&[]);
    eventually("every process to run", || {
        let snapshot = counter.pass();
        let below = snapshot.cgroups.iter().filter(|cgroup| cgroup.identity.display.starts_with(&top));
        let processes: u64 = below.filter_map(|cgroup| cgroup.readings.get(Field::Processes)).sum();
        (processes == wanted as u64).then_some(())
    });
    println!("{cgroups} cgroups, {each} processes each; CPU time of a pass that each collector adds");
    println!(
        "{:>14} {:>10} {:>10} {:>10} {:>11} {:>12} {:>17}",
        "", "cold", "steady", "walk", "walk/cold", "walk/steady", "of a core at 5 s"
    );
    let mut on: Vec<Collector> = Vec::new();
    let (mut cold_before, mut steady_before) = measured(&on);
    let mut total = Duration::ZERO;
    for &(collector, look) in COLLECTORS {
        on.push(collector);
        let (cold, steady) = measured(&on);
        let added = (cold.saturating_sub(cold_before), steady.saturating_sub(steady_before));
        (cold_before, steady_before) = (cold, steady);
        let walk = median((0..3).map(|_| cost(|| _ = black_box(walk(look)))));
        total += added.1;
        println!(
            "{:>14} {:>10.1?} {:>10.1?} {:>10.1?} {:>11.2} {:>12.2} {:>16.2}%",
            collector.name(),
            added.0,
            added.1,
            walk,
            walk.as_secs_f64() / added.0.as_secs_f64(),
            walk.as_secs_f64() / added.1.as_secs_f64(),
            100.0 * added.1.as_secs_f64() / INTERVAL.as_secs_f64()
        );
    }
    println!(
        "{:>14} {:>21.1?} {:>53.2}%",
        "all",
        total,
        100.0 * total.as_secs_f64() / INTERVAL.as_secs_f64()
    );
}

/// The first pass with these collectors, and those after everybody has been read.
fn measured(collectors: &[Collector]) -> (Duration, Duration) {
    let cold = median((0..3).map(|_| {
        let mut sampler = sampler(collectors);
        cost(|| drop(black_box(sampler.pass())))
    }));
    let mut sampler = sampler(collectors);
    // Everybody has been read, and the young again.
    while sampler.pass().report.census.waiting > 0 {}
    for _ in 0..16 {
        sampler.pass();
    }
    (cold, median((0..ROUNDS).map(|_| cost(|| drop(black_box(sampler.pass()))))))
}

/// A sampler of nothing but who lives where.
fn sampler(collectors: &[Collector]) -> Sampler {
    let mut set = CollectorSet::NONE;
    collectors.iter().chain([&Collector::Core]).for_each(|&collector| set.set(collector, true));
    let settings = Settings { collectors: set, watch: Some(WatchMethod::Walk), ..Settings::default() };
    Sampler::new(settings, carried()).expect("a host with cgroups")
}

/// What anybody would write.
fn walk(look: Look) -> usize {
    let entries = fs::read_dir("/proc").expect("a proc file system").flatten();
    let processes = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    processes.map(|entry| look(&entry.path())).sum()
}

fn length(file: &Path) -> usize {
    fs::read(file).map_or(0, |text| text.len())
}

fn cost(work: impl FnOnce()) -> Duration {
    let used = || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).expect("a clock");
    let before = used();
    work();
    used() - before
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}
