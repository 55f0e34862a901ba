//! What the policies cost: `cargo bench --bench engine`.
//!
//! 50 policies that are about every cgroup, over hosts made of numbers alone: the conditions look at ten signals, of the
//! cgroup, its parent and the host, with holds. For each number of cgroups, in turn:
//!
//! - **pass**: a full evaluation in which numbers changed and nothing is decided, and what it allocates.
//! - **event**: an evaluation after one cgroup was read anew.
//! - **births**: the evaluation that meets as many new cgroups again.
//!
//! Medians are printed; absolute times are those of the machine. Give numbers of cgroups as arguments to measure others.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../engine/builder.rs"]
mod builder;

use std::alloc::System;
use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stockade::model::{Column, Field, HostField, RowKind, Snapshot};
use stockade::policy::condition::{Compare, Condition, Of, Test};
use stockade::policy::engine::{Engine, View};
use stockade::policy::rule::{Policy, Rules};
use stockade::policy::signal::{Resource, Signal, Stall, Window};

use builder::{World, kill, policy, rules, test};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const POLICIES: usize = 50;
const ROUNDS: usize = 15;

fn main() {
    let mut sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000];
    }
    println!("{POLICIES} policies, each about every cgroup; medians of {ROUNDS} rounds, in CPU time");
    println!(
        "{:>8} {:>10} {:>22} {:>13} {:>10} {:>10}",
        "cgroups", "pass", "ns a policy and cgroup", "allocs a pass", "event", "births"
    );
    for size in sizes {
        measure(size);
    }
}

/// Conditions like those of the examples: two comparisons each of what is above and held, and a third of another cgroup.
fn policies() -> Rules {
    const PRESSURE: Signal = Signal::Pressure(Resource::Memory, Stall::Full, Window::Avg10);
    const OWN: [Signal; 8] = [
        Signal::MemoryCurrent,
        Signal::MemoryAnon,
        Signal::MemoryGrowth,
        Signal::MemoryRefaults,
        Signal::CpuUsage,
        Signal::IoWrite,
        Signal::PidsCurrent,
        Signal::PidsGrowth,
    ];
    let of = |of: Of, test: Test| Condition::Test(Test { of, ..test });
    rules((0..POLICIES).map(|number| {
        let own = test(OWN[number % OWN.len()], Compare::Above, 1e3 + number as f64, 10);
        let other = test(OWN[(number / 8) % OWN.len()], Compare::Above, 1e18, 10);
        let third = if number % 2 == 0 {
            of(Of::Parent, test(PRESSURE, Compare::Above, 0.4, 15))
        } else {
            of(Of::Host, test(Signal::HostMemoryAvailable, Compare::Below, 1e9, 15))
        };
        let when =
            Condition::All(vec![Condition::Any(vec![Condition::Test(own), Condition::Test(other)]), third]);
        let steps = vec![kill(10)];
        Policy { steps, ..policy(&format!("policy-{number}"), &["/**"], when) }
    }))
}

fn path(number: usize) -> String {
    format!("/slice-{:03}/group-{number:06}.service", number / 100)
}

fn populate(world: &mut World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        if number % 100 == 0 {
            world.born(&format!("/slice-{:03}", number / 100));
        }
        world.born(&path(number));
    }
    world.host.set(HostField::MemoryAvailable, Some(1 << 33));
}

/// Numbers like those of an idle host, which change from pass to pass.
fn change(snapshot: &mut Snapshot, round: u64) {
    for (number, cgroup) in (0u64..).zip(&mut snapshot.cgroups) {
        let readings = &mut cgroup.readings;
        let level = (number * 7919 + round * 104_729) % 100_000_000;
        readings.set(Field::MemoryCurrent, Some(level));
        readings.set(Field::CpuUsage, Some(round * 1_000_000 + number));
        readings.set(Field::PidsCurrent, Some(level % 100));
        readings.set(Field::MemoryFullAvg10, Some(level % 2000));
    }
}

fn measure(size: usize) {
    let mut world = World::default();
    world.born("/");
    populate(&mut world, 0..size);
    for row in 0..60 {
        // As long as the kernel's own table, with what is looked for in the middle.
        let (column, item) = match row {
            2 => (Column::StatBytes, "anon".to_owned()),
            40 => (Column::StatEvents, "workingset_refault_anon".to_owned()),
            41 => (Column::StatEvents, "workingset_refault_file".to_owned()),
            other => (Column::StatBytes, format!("row-{other}")),
        };
        world.row("/", RowKind::MemoryStat, column, &item, 1 << 20);
        world.row("/", RowKind::IoStat, Column::IoWriteBytes, "8:0", 1 << 20);
    }
    let readings = world.group("/").readings.clone();
    world.each(|cgroup| cgroup.readings.clone_from(&readings));

    let mut engine = Engine::new(&policies());
    let mut snapshot = world.pass(5);
    let (mut passes, mut events, mut allocations) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS + 3 {
        (snapshot.sequence, snapshot.at) = (snapshot.sequence + 1, snapshot.at + Duration::from_secs(5));
        let at = snapshot.at;
        snapshot.cgroups.iter_mut().for_each(|cgroup| cgroup.sampled = at);
        change(&mut snapshot, round as u64);
        let region = Region::new(ALLOCATOR);
        let took = time(|| assert!(black_box(engine.evaluate(&View::pass(&snapshot))).is_empty()));
        let allocated = region.change().allocations;
        let mut one = snapshot.cgroups[size / 2].clone();
        one.sampled += Duration::from_secs(3);
        let view =
            View { snapshot: &snapshot, at: one.sampled, fresh: std::slice::from_ref(&one), host: None };
        let event = time(|| assert!(black_box(engine.evaluate(&view)).is_empty()));
        if round >= 3 {
            passes.push(took);
            allocations.push(allocated);
            events.push(event);
        }
    }
    world.at = snapshot.at;
    populate(&mut world, size..2 * size);
    let mut flood = world.pass(5);
    flood.sequence = snapshot.sequence + 1;
    let births = time(|| assert!(black_box(engine.evaluate(&View::pass(&flood))).is_empty()));
    let (pass, event) = (median(passes), median(events));
    allocations.sort_unstable();
    println!(
        "{size:>8} {:>10} {:>22.1} {:>13} {:>10} {:>10}",
        milliseconds(pass),
        pass.as_secs_f64() * 1e9 / (snapshot.cgroups.len() * POLICIES) as f64,
        allocations[allocations.len() / 2],
        milliseconds(event),
        milliseconds(births),
    );
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
