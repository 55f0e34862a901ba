//! What processes and threads do, and what they have open: beside `/proc` of the same kernel.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Guest;
use crate::exposition::Exposition;
use crate::load::Load;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::tree::{Group, eventually};

/// The states of proc(5) by their letters.
const STATES: &[(char, &str)] = &[
    ('R', "running"),
    ('S', "sleeping"),
    ('D', "disk_sleep"),
    ('T', "stopped"),
    ('t', "traced"),
    ('I', "idle"),
    ('Z', "zombie"),
];

/// How many there are in each state in which there is anybody.
type Counts = BTreeMap<&'static str, u32>;

/// One that runs, one that sleeps in four threads, one that is stopped, one whose child has ended: each group shows what
/// `/proc` says of its processes, also when it is frozen.
pub(crate) fn in_every_state(guest: &mut Guest) -> Outcome {
    let top = Group::make(&guest.tree, "processes")?;
    let group = |name: &str| top.child(&guest.tree, name);
    let groups = [group("running")?, group("sleeping")?, group("stopped")?, group("reaper")?];
    let loads = [
        Load::ready(&groups[0], &["cpu", "2"])?,
        Load::ready(&groups[1], &["threads", "3"])?,
        Load::ready(&groups[2], &["idle"])?,
    ];
    let mut reaper = Load::start(&groups[3], &["zombie"])?;
    let dead: u32 = reaper.await_ready()?.parse().during("the number of a child")?;
    signal(loads[2].pid(), Signal::SIGSTOP)?;
    for (at, load) in loads.iter().enumerate() {
        agrees(guest, &groups[at], &[load.pid()], &[])?;
    }
    let scrape = agrees(guest, &groups[3], &[reaper.pid()], &[dead])?;
    let zombies = scrape.want("host_processes", &[("state", "zombie")])?;
    ensure(zombies >= 1.0, || format!("{dead} has ended, and the host has {zombies} zombies"))?;
    let frozen = frozen(guest, &groups[1], loads[1].pid())?;
    // Stopped tasks are not ended by what ends a load.
    signal(loads[2].pid(), Signal::SIGCONT)?;
    Ok(frozen)
}

/// What a frozen process is shown as: v1's freezer lets it wait, v2's sleep.
fn frozen(guest: &mut Guest, group: &Group, pid: u32) -> Step<String> {
    let (controller, file, freeze, thaw) = match guest.tree.of("freezer").is_some() {
        true => ("freezer", "freezer.state", "FROZEN", "THAWED"),
        false => ("", "cgroup.freeze", "1", "0"),
    };
    if group.read(&guest.tree, controller, file)?.is_none() {
        return Ok(format!("no {file}"));
    }
    group.write(&guest.tree, controller, file, freeze)?;
    let agreed = agrees(guest, group, &[pid], &[]);
    let state = letters(pid).map(|threads| threads.into_keys().collect::<Vec<_>>().join(" and "));
    group.write(&guest.tree, controller, file, thaw)?;
    agreed?;
    agrees(guest, group, &[pid], &[])?;
    Ok(format!("frozen threads are {}", state?))
}

/// Waits until a group shows what `/proc` says of these processes, and of those that have ended there.
fn agrees(guest: &mut Guest, group: &Group, living: &[u32], dead: &[u32]) -> Step<Exposition> {
    let label = group.label();
    let mut last = String::new();
    let by_path = guest.tree.unified().is_some();
    let daemon = guest.daemon()?;
    eventually("a group's processes are shown in their states", || {
        let told = |scrape: &Exposition| -> Step<(Counts, Counts, Option<f64>, Option<f64>)> {
            let shown = |metric: &'static str| -> Step<Counts> {
                let mut counts = Counts::new();
                for (_, state) in STATES {
                    let count = scrape.get(metric, &[("cgroup", &label), ("state", state)])?.unwrap_or(0.0);
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "small numbers"
                    )]
                    counts.insert(state, count as u32);
                }
                Ok(some(counts))
            };
            let one = |metric| scrape.get(metric, &[("cgroup", &label)]);
            Ok((
                shown("cgroup_processes_by_state")?,
                shown("cgroup_threads_by_state")?,
                one("cgroup_open_files")?,
                one("cgroup_oldest_process_start_time_seconds")?,
            ))
        };
        let scrape = daemon.scrape_after_now()?;
        let (processes, threads, files, start) = told(&scrape)?;
        let (mut expected, mut all_threads, mut all_files) = (Counts::new(), Counts::new(), 0.0);
        for &pid in living.iter().chain(dead) {
            *expected.entry(state(&format!("/proc/{pid}/stat"))?).or_default() += 1;
        }
        for &pid in living {
            for (state, count) in letters(pid)? {
                *all_threads.entry(state).or_default() += count;
            }
            let directory = format!("/proc/{pid}/fd");
            all_files += fs::read_dir(&directory).during(&directory)?.map(|_| 1.0).sum::<f64>();
        }
        // A v1 hierarchy does not say where somebody was who has ended: one who was not seen to live is the host's alone.
        let mut without = expected.clone();
        without.remove("zombie");
        let same = (processes == expected || !by_path && processes == without)
            && threads == all_threads
            && files == Some(all_files);
        last =
            format!("{processes:?} {threads:?} {files:?}, and not {expected:?} {all_threads:?} {all_files}");
        ensure(start.is_none_or(|start| start > 0.0), || format!("{label} began at {start:?}"))?;
        Ok((same && start.is_some()).then_some(scrape))
    })
    .map_err(|stop| match stop {
        Stop::Failed(reason) => Stop::Failed(format!("{reason}; {label} shows {last}")),
        absent => absent,
    })
}

fn some(mut counts: Counts) -> Counts {
    counts.retain(|_, count| *count > 0);
    counts
}

/// The states of a process's threads.
fn letters(pid: u32) -> Step<Counts> {
    let mut counts = Counts::new();
    let directory = format!("/proc/{pid}/task");
    for thread in fs::read_dir(&directory).during(&directory)? {
        let path = thread.during(&directory)?.path().join("stat");
        *counts.entry(state(&path.to_string_lossy())?).or_default() += 1;
    }
    Ok(counts)
}

fn state(path: &str) -> Step<&'static str> {
    let text = fs::read_to_string(path).during(path)?;
    let letter = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    let known = STATES.iter().find(|(known, _)| Some(*known) == letter);
    known.map(|(_, name)| *name).ok_or_else(|| Stop::Failed(format!("{path} has the state {letter:?}")))
}

fn signal(pid: u32, signal: Signal) -> Step {
    let pid = i32::try_from(pid).during("a pid")?;
    kill(Pid::from_raw(pid), signal).during("a signal")
}
