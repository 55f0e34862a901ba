//! The guest's own program: it runs inside a virtual machine that `tests/vm` boots, as root and with nothing else
//! alive, provokes the kernel, and compares what Stockade exports with what the kernel's files say.
//!
//! `guest run` writes a JSON line a scenario to standard output; `guest hog …` is a load. On any other machine it does
//! nothing: the scenarios make cgroups, fill memory and write to disks.

mod agree;
mod capture;
mod checks;
mod churn;
mod control;
mod controls;
mod cpu;
mod cpuset;
mod daemon;
mod enforcer;
mod enforcing_crash;
mod enforcing_guards;
mod enforcing_hogs;
mod enforcing_pressure;
mod exposition;
mod freeze;
mod hugetlb;
mod io;
mod load;
mod memory;
mod names;
mod nested;
mod outcome;
mod pids;
mod pressure;
mod processes;
mod survey;
mod swap;
mod threaded;
mod tree;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use serde_json::json;

use crate::agree::Topic;
use crate::daemon::Daemon;
use crate::exposition::Exposition;
use crate::outcome::{During, Outcome, Step, Stop};
use crate::tree::{Group, Hierarchies};

/// What a scenario works with.
struct Guest {
    tree: Hierarchies,
    daemon: Option<Daemon>,
}

impl Guest {
    /// The server, started when it is first asked for and again after it ended.
    fn daemon(&mut self) -> Step<&mut Daemon> {
        if self.daemon.is_none() {
            self.daemon = Some(Daemon::start()?);
        }
        self.daemon.as_mut().ok_or_else(|| Stop::Failed("no daemon".into()))
    }

    /// Compares everything of these groups; see [`agree::agree`].
    fn agree(&mut self, groups: &[&Group]) -> Step<Exposition> {
        self.agree_on(groups, Topic::Usual)
    }

    /// Compares one topic of these groups.
    fn agree_on(&mut self, groups: &[&Group], topic: Topic) -> Step<Exposition> {
        self.daemon()?;
        let daemon = self.daemon.as_mut().ok_or_else(|| Stop::Failed("no daemon".into()))?;
        agree::agree(&self.tree, daemon, groups, topic)
    }
}

/// A scenario by name.
struct Scenario {
    name: &'static str,
    run: fn(&mut Guest) -> Outcome,
}

/// What the capture is called among the results; chosen alone, nothing else runs.
const CAPTURE: &str = "capture";

/// Every scenario, in the order they run.
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "memory", run: memory::anon_and_file },
    Scenario { name: "memory_high", run: memory::high_events },
    Scenario { name: "oom_kill", run: memory::oom_kill },
    Scenario { name: "swap", run: swap::swapped_out },
    Scenario { name: "cpu", run: cpu::usage },
    Scenario { name: "cpu_quota", run: cpu::throttled },
    Scenario { name: "cpu_burst", run: cpu::bursts },
    Scenario { name: "io", run: io::reads_and_writes },
    Scenario { name: "io_limits", run: io::limits },
    Scenario { name: "io_written_back", run: io::file_system },
    Scenario { name: "pressure_memory", run: pressure::memory },
    Scenario { name: "pressure_cpu", run: pressure::cpu },
    Scenario { name: "pressure_io", run: pressure::io },
    Scenario { name: "pressure_irq", run: pressure::irq },
    Scenario { name: "pressure_off", run: pressure::off },
    Scenario { name: "pids", run: pids::bounded_fork_bomb },
    Scenario { name: "hugetlb", run: hugetlb::given_and_refused },
    Scenario { name: "cpuset", run: cpuset::one_cpu },
    Scenario { name: "nested", run: nested::effective_limits },
    Scenario { name: "threaded", run: threaded::threads_in_two_groups },
    Scenario { name: "processes", run: processes::in_every_state },
    Scenario { name: "freeze", run: freeze::frozen_and_thawed },
    Scenario { name: "control_knobs", run: control::knobs },
    Scenario { name: "control_kill", run: control::frozen_and_killed },
    Scenario { name: "control_bombs", run: control::bombs },
    Scenario { name: "control_reclaim", run: control::reclaimed },
    Scenario { name: "controls", run: controls::seen_at_once },
    Scenario { name: "churn", run: churn::births_and_deaths },
    Scenario { name: "recreated", run: churn::recreated_path },
    Scenario { name: "names", run: names::hostile },
    Scenario { name: "enforce_memory_hog", run: enforcing_hogs::memory },
    Scenario { name: "enforce_cpu_hog", run: enforcing_hogs::cpu },
    Scenario { name: "enforce_fork_bomb", run: enforcing_hogs::fork_bomb },
    Scenario { name: "enforce_io_hog", run: enforcing_hogs::io },
    Scenario { name: "enforce_swarm", run: enforcing_hogs::five_thousand },
    Scenario { name: "enforce_dry_run", run: enforcing_guards::dry_run },
    Scenario { name: "enforce_everything", run: enforcing_guards::everything },
    Scenario { name: "enforce_second_writer", run: enforcing_guards::second_writer },
    Scenario { name: "enforce_recreated", run: enforcing_guards::recreated },
    Scenario { name: "enforce_by_hand", run: enforcing_guards::by_hand },
    Scenario { name: "enforce_pressure", run: enforcing_pressure::of_a_group },
    Scenario { name: "enforce_host_pressure", run: enforcing_pressure::of_the_host },
    Scenario { name: "enforce_crash", run: enforcing_crash::killed_at_any_moment },
    Scenario { name: "survey", run: survey::report },
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((first, rest)) if first == "hog" => load::hog(rest).map_err(|error| error.to_string()),
        Some((first, rest)) if first == "run" && fs::exists("/cell").unwrap_or(false) => run(rest),
        _ => Err("this runs in the guests that tests/vm/run boots; nothing was done here".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            // A closed standard error leaves the exit code to tell.
            let _ = writeln!(std::io::stderr(), "guest: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    let chosen: Vec<_> = option(words, "--scenario").collect();
    let known = |name: &str| name == CAPTURE || SCENARIOS.iter().any(|scenario| scenario.name == name);
    if let Some(unknown) = chosen.iter().find(|name| !known(name)) {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return say(&json!({"scenario": unknown, "outcome": "failed", "seconds": 0.0,
            "reason": format!("no such scenario; known are {}", known.join(", "))}))
        .and_then(|()| say(&json!({"end": true})));
    }
    // By the start of their names.
    let without: Vec<_> = option(words, "--without").collect();
    let tree = Hierarchies::discover().map_err(|stop| format!("{stop:?}"))?;
    say(&json!({"begin": begin(&tree)?}))?;
    let mut guest = Guest { tree, daemon: None };
    for scenario in SCENARIOS {
        let left_out = without.iter().any(|start| scenario.name.starts_with(start));
        if left_out || !chosen.is_empty() && !chosen.contains(&scenario.name) {
            continue;
        }
        let started = Instant::now();
        let (outcome, reason) = match (scenario.run)(&mut guest) {
            Ok(remark) => ("passed", remark),
            Err(Stop::Absent(reason)) => ("absent", reason),
            Err(Stop::Failed(reason)) => ("failed", reason),
        };
        say(&json!({"scenario": scenario.name, "outcome": outcome, "reason": reason,
            "seconds": started.elapsed().as_secs_f64()}))?;
    }
    drop(guest.daemon.take());
    if let Some(disk) = option(words, "--capture").next() {
        let started = Instant::now();
        let (outcome, reason) = match capture::capture(&guest.tree, disk) {
            Ok(remark) => ("passed", remark),
            Err(stop) => ("failed", format!("{stop:?}")),
        };
        say(&json!({"scenario": CAPTURE, "outcome": outcome, "reason": reason,
            "seconds": started.elapsed().as_secs_f64()}))?;
    }
    say(&json!({"end": true}))
}

/// The values of `--name=value`.
fn option<'a>(words: &'a [String], name: &'a str) -> impl Iterator<Item = &'a str> {
    words.iter().filter_map(move |word| word.strip_prefix(name)?.strip_prefix('='))
}

/// What the guest is: its kernel, and each hierarchy with its controllers.
fn begin(tree: &Hierarchies) -> Result<serde_json::Value, String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| error.to_string())?;
    let hierarchies: Vec<_> = tree
        .0
        .iter()
        .map(|one| {
            json!({"root": one.root, "unified": one.unified,
        "controllers": one.controllers})
        })
        .collect();
    Ok(json!({"kernel": kernel.trim(), "hierarchies": hierarchies}))
}

fn say(row: &serde_json::Value) -> Result<(), String> {
    let mut out = std::io::stdout();
    writeln!(out, "{row}").and_then(|()| out.flush()).map_err(|error| format!("write a result: {error}"))
}

/// Writes a file outside the cgroup tree.
fn set(path: &str, value: &str) -> Step {
    fs::write(path, value).during(format!("{value:?} > {path}"))
}
