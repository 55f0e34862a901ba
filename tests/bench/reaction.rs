//! From the moment at which something happens to its end in the kernel: `cargo bench --bench reaction`.
//!
//! The real daemon enforces on groups of the benchmark's own, `stockade-test-reaction-…`, with a sampling clock of ten
//! minutes, so that only what the kernel tells at once can wake it:
//!
//! - **event**: a process enters a cgroup, which the kernel announces in `cgroup.events`. The time runs from before the
//!   write that moves it.
//! - **pressure**: spinning processes stall each other, and a pressure trigger fires. The time runs from the firing of a
//!   trigger that the benchmark itself armed with the same threshold and window: the kernel's window is not in it.
//!
//! It ends when `cgroup.events` says `frozen 1`, or `populated 0`. What the benchmark itself takes to notice is in it.
//! The journal is on the disk that holds the temporary directory, and is synced before each write to the kernel: that
//! sync is in it as well, and is shown beside it. Give numbers of runs as arguments: `cargo bench --bench reaction -- 100 20`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../support/mod.rs"]
mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use support::daemon::Daemon;
use support::{TestGroup, eventually};

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the daemon has nothing to do between two events.
const REST: Duration = Duration::from_millis(150);
/// The share of a window that is stalled when a trigger fires.
const SHARE_PERCENT: u64 = 20;

/// What is done, and how it shows.
#[derive(Clone, Copy)]
struct Action {
    name: &'static str,
    step: &'static str,
    shows: &'static str,
}

const ACTIONS: [Action; 2] = [
    Action { name: "freeze", step: "{freeze: {ttl: 50ms}, relieved_within: 1h}", shows: "frozen 1" },
    Action { name: "kill", step: "{kill: {signal: KILL}, relieved_within: 1h}", shows: "populated 0" },
];

fn main() {
    let runs: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (events, pressures) = (runs.first().copied().unwrap_or(200), runs.get(1).copied().unwrap_or(100));
    println!(
        "times in milliseconds, from the cause to the effect in the kernel; the journal's sync is in them"
    );
    println!(
        "{:>10} {:>8} {:>6} {:>9} {:>9} {:>9} {:>9}",
        "cause", "effect", "runs", "median", "p99", "max", "sync"
    );
    for action in ACTIONS {
        report("event", action, by_event(action, events));
    }
    for action in ACTIONS {
        report("pressure", action, by_pressure(action, pressures));
    }
}

fn report(cause: &str, action: Action, mut times: Vec<Duration>) {
    if times.is_empty() {
        return;
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    // The smallest that 99 of 100 are not above.
    let p99 = times[(times.len() * 99).div_ceil(100).saturating_sub(1)];
    println!(
        "{cause:>10} {:>8} {:>6} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
        action.name,
        times.len(),
        milliseconds(times[times.len() / 2]),
        milliseconds(p99),
        milliseconds(times[times.len() - 1]),
        milliseconds(sync()),
    );
}

/// The median time of a small append and its sync in the temporary directory.
fn sync() -> Duration {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[b'x'; 300]).expect("it takes text");
            file.sync_data().expect("it is synced");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

struct Ground {
    group: TestGroup,
    daemon: Daemon,
    /// Removed at the end, with the journal in it.
    _place: tempfile::TempDir,
}

/// A daemon with one policy on these children.
fn ground(name: &str, children: usize, when: &str, action: Action) -> Ground {
    let group = TestGroup::everywhere(&format!("reaction-{name}-{}", action.name));
    for child in 0..children {
        group.child(&child.to_string());
    }
    let place = tempfile::tempdir().expect("a directory");
    let text = format!(
        "collect: {{interval: 10m}}
safety:
  mode: enforce
  scope: [\"{scope}/*\"]
  journal: {journal}
  kill_budget: {{host: {{max: 1000000, per: 1s}}, target: {{max: 1000000, per: 1s}}}}
policies:
  - name: react
    match: {{path: \"{scope}/*\"}}
    when: {when}
    victim: {{rank: [pids.current], max: 1000}}
    steps: [{step}]
    cooldown: {{target: 0s, host: 0s}}
",
        scope = group.path,
        journal = place.path().join("journal").display(),
        step = action.step,
    );
    let file = place.path().join("stockade.yaml");
    fs::write(&file, text).expect("a configuration");
    let daemon = Daemon::configured(&file, &[]);
    Ground { group, daemon, _place: place }
}

impl Ground {
    fn events(&self, child: usize) -> File {
        let file = self.group.directory("unified").join(child.to_string()).join("cgroup.events");
        File::open(file).expect("cgroup2 tells events")
    }

    fn procs(&self, child: usize) -> Vec<PathBuf> {
        // cgroup2 last: what it announces is the cause.
        let unified = self.group.directory("unified");
        let mut directories: Vec<PathBuf> =
            self.group.directories().into_iter().filter(|directory| *directory != unified).collect();
        directories.push(unified);
        directories
            .into_iter()
            .map(|directory| directory.join(child.to_string()).join("cgroup.procs"))
            .collect()
    }
}

/// Waits until the events say so.
fn await_events(events: &mut File, wanted: &str) {
    let began = Instant::now();
    loop {
        let mut text = String::new();
        events.rewind().expect("it is read again");
        events.read_to_string(&mut text).expect("it is read");
        if text.lines().any(|line| line == wanted) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {wanted}");
        let timeout = PollTimeout::from(1000u16);
        let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], timeout);
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn by_event(action: Action, runs: usize) -> Vec<Duration> {
    // A group of its own for each run: a policy may still be busy with the last one.
    let ground = ground("event", runs, "{signal: pids.current, above: 0}", action);
    let mut times = Vec::with_capacity(runs);
    for child in 0..runs {
        let mut events = ground.events(child);
        let sleeper = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("a process");
        let procs = ground.procs(child);
        let (unified, others) = procs.split_last().expect("a hierarchy");
        for file in others {
            fs::write(file, sleeper.id().to_string()).expect("it is moved");
        }
        let began = Instant::now();
        fs::write(unified, sleeper.id().to_string()).expect("it is moved");
        if action.name == "kill" {
            // Populated at first, of course.
            eventually("it is gone", || {
                fs::read_to_string(unified).is_ok_and(|text| text.is_empty()).then_some(())
            });
        }
        await_events(&mut events, action.shows);
        times.push(began.elapsed());
        end(sleeper);
        // Events may take a tenth of the time: each run begins at rest, as events in earnest mostly do.
        std::thread::sleep(REST);
    }
    times
}

fn by_pressure(action: Action, runs: usize) -> Vec<Duration> {
    let when = format!("{{signal: cpu.pressure.some.avg10, above: {}%}}", SHARE_PERCENT / 4);
    let ground = ground("pressure", runs, &when, action);
    // A bounded number is armed a pass.
    eventually("every trigger is armed", || {
        ground.daemon.reload();
        (ground.daemon.own().get("stockade_triggers_armed") >= Some(runs.min(256) as f64)).then_some(())
    });
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut times = Vec::with_capacity(runs);
    for child in 0..runs.min(256) {
        let mut events = ground.events(child);
        let pressure = ground.group.directory("unified").join(child.to_string()).join("cpu.pressure");
        let mut own = OpenOptions::new().read(true).write(true).open(pressure).expect("PSI is on");
        let window = 2_000_000;
        // In one write: the kernel takes each for a trigger of its own.
        let trigger = format!("some {} {window}\0", window * SHARE_PERCENT / 4 / 100);
        own.write_all(trigger.as_bytes()).expect("a window for everybody");
        let spinners: Vec<Child> = (0..2 * cpus)
            .map(|_| {
                let spinner =
                    Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a process");
                for file in ground.procs(child) {
                    fs::write(file, spinner.id().to_string()).expect("it is moved");
                }
                spinner
            })
            .collect();
        let timeout = PollTimeout::try_from(PATIENCE.as_millis()).expect("it fits");
        let fired = poll(&mut [PollFd::new(own.as_fd(), PollFlags::POLLPRI)], timeout).expect("a poll");
        assert_eq!(fired, 1, "no pressure within {PATIENCE:?}");
        let began = Instant::now();
        await_events(&mut events, action.shows);
        times.push(began.elapsed());
        spinners.into_iter().for_each(end);
    }
    times
}
