//! What a census of namespaces costs, beside a plain walk of `/proc` that reads the same: `cargo bench --bench census`.
//!
//! Makes 1,000 cgroups with 5 sleeping processes each on this host, under `stockade-test-census-…`, and removes them. Give
//! other numbers as arguments: `cargo bench --bench census -- 100 10`.
//!
//! - **cold**: the first pass, in which every process is new.
//! - **steady**: later passes, in which a sixtieth of the processes has its turn.
//! - **without**: the same passes with the collector off; the difference is the census's.
//! - **walk**: each process of `/proc`, its eight links, its cgroup.
//!
//! Medians of CPU time are printed, and ratios of medians: absolute times are those of the machine.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use stockade::model::{Collector, CollectorSet, NamespaceKind, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};
use support::{TestGroup, eventually};

const ROUNDS: usize = 15;
const INTERVAL: Duration = Duration::from_secs(5);

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (cgroups, each) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(5));
    let mut group = TestGroup::within("census", |hierarchy| hierarchy.serves("memory"));
    let sleeper = "i=1; while [ $i -lt COUNT ]; do sleep 86400 & i=$((i+1)); done; exec sleep 86400";
    for number in 0..cgroups {
        let child = format!("g{number}");
        group.child(&child);
        group.run(&child, &sleeper.replace("COUNT", &each.to_string()));
    }
    let top = group.path.clone();
    let mut settled = sampler(true);
    eventually("every process to run", || {
        let snapshot = settled.pass();
        let below = snapshot.cgroups.iter().filter(|cgroup| cgroup.identity.display.starts_with(&top));
        let processes: u64 =
            below.filter_map(|cgroup| cgroup.readings.get(stockade::model::Field::Processes)).sum();
        (processes == (cgroups * each) as u64).then_some(())
    });
    let cold = median((0..3).map(|_| {
        let mut sampler = sampler(true);
        cost(|| drop(black_box(sampler.pass())))
    }));
    let cold_without = median((0..3).map(|_| {
        let mut sampler = sampler(false);
        cost(|| drop(black_box(sampler.pass())))
    }));
    let mut without = sampler(false);
    // The young are read again in the first passes.
    for _ in 0..4 {
        settled.pass();
        without.pass();
    }
    let (mut with_it, mut without_it, mut walks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        with_it.push(cost(|| drop(black_box(settled.pass()))));
        without_it.push(cost(|| drop(black_box(without.pass()))));
        walks.push(cost(|| _ = black_box(walk())));
    }
    let (steady, without, walk) =
        (median(with_it.into_iter()), median(without_it.into_iter()), median(walks.into_iter()));
    let (cold, steady) = (cold.saturating_sub(cold_without), steady.saturating_sub(without));
    println!("{cgroups} cgroups, {each} processes each; CPU time of the census alone");
    println!(
        "{:>10} {:>10} {:>10} {:>12} {:>12} {:>16}",
        "cold", "steady", "walk", "walk/cold", "walk/steady", "of a core at 5 s"
    );
    println!(
        "{:>10.1?} {:>10.1?} {:>10.1?} {:>12.2} {:>12.2} {:>15.2}%",
        cold,
        steady,
        walk,
        walk.as_secs_f64() / cold.as_secs_f64(),
        walk.as_secs_f64() / steady.as_secs_f64(),
        100.0 * steady.as_secs_f64() / INTERVAL.as_secs_f64()
    );
}

/// A sampler of nothing but who lives where.
fn sampler(census: bool) -> Sampler {
    let mut collectors = CollectorSet::NONE;
    collectors.set(Collector::Core, true);
    collectors.set(Collector::Namespaces, census);
    let settings = Settings { collectors, watch: Some(WatchMethod::Walk), ..Settings::default() };
    Sampler::new(settings, carried()).expect("a host with cgroups")
}

/// What anybody would write.
fn walk() -> usize {
    let entries = fs::read_dir("/proc").expect("a proc file system").flatten();
    let processes = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    processes
        .map(|entry| {
            let path = entry.path();
            let links = NamespaceKind::ALL
                .iter()
                .filter_map(|kind| fs::read_link(path.join("ns").join(kind.name())).ok());
            links.count() + fs::read_to_string(path.join("cgroup")).map_or(0, |text| text.len())
        })
        .sum()
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
