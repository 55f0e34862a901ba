//! What real processes do, by cgroup: beside what ps says, and with numbers that come to belong to others.

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stockade::model::{
    Cgroup, Collector, CollectorSet, Field, NamespaceKind, Snapshot, TaskState, Version, WatchMethod,
};
use stockade::sample::{Sampler, Settings, carried};
use support::fake::FakeTree;
use support::{TestGroup, eventually, layout};

const EVERYTHING: &[Collector] =
    &[Collector::Processes, Collector::ThreadStates, Collector::Zombies, Collector::OpenFiles];

/// A sampler that looks at every process in each pass.
fn sampler(collectors: &[Collector]) -> Sampler {
    let mut set = CollectorSet::NONE;
    collectors.iter().chain([&Collector::Core]).for_each(|&collector| set.set(collector, true));
    let mut settings = Settings { collectors: set, watch: Some(WatchMethod::Walk), ..Settings::default() };
    settings.intervals[Collector::Processes as usize] = Some(settings.interval);
    Sampler::new(settings, carried()).expect("a host with cgroups")
}

fn of<'a>(snapshot: &'a Snapshot, path: &str) -> &'a Cgroup {
    snapshot.find(path.as_bytes()).expect("it lives")
}

fn processes(cgroup: &Cgroup, state: TaskState) -> Option<u64> {
    cgroup.readings.get(state.processes())
}

/// How many processes there are in each state in which there are any.
fn states(cgroup: &Cgroup) -> BTreeMap<TaskState, u64> {
    let count = |state: &TaskState| Some((*state, processes(cgroup, *state).filter(|count| *count > 0)?));
    TaskState::ALL.iter().filter_map(count).collect()
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("our own child");
}

/// The state letter of a process and the paths of its cgroups, as ps tells them.
fn by_ps(pid: u32) -> (String, String) {
    let output = std::process::Command::new("ps")
        .args(["-ww", "-o", "state=,cgroup=", "-p", &pid.to_string()])
        .output()
        .expect("ps");
    let text = String::from_utf8(output.stdout).expect("text");
    let (state, cgroup) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    (state.to_owned(), cgroup.trim().to_owned())
}

fn await_letter(pid: u32, letter: &str) {
    eventually("a process in that state", || (by_ps(pid).0 == letter).then_some(()));
}

/// One that runs, one that sleeps, one that is stopped, one that waits for its child as vfork does, one that is traced,
/// one that has ended: each is counted where ps says it is, in the state that ps says.
#[test]
fn processes_are_in_the_states_that_ps_says() {
    let mut group = TestGroup::everywhere("states");
    let python = |script: &str| format!("exec python3 -c \"{script}\"");
    for name in ["running", "sleeping", "stopped", "disk_sleep", "traced", "zombie", "mixed"] {
        group.child(name);
    }
    let running = group.run("running", "while :; do :; done");
    let sleeping = group.run("sleeping", "exec sleep 86400");
    let stopped = group.run("stopped", "exec sleep 86400");
    // posix_spawn is a vfork: its parent waits until the child runs another program, which one that is stopped does not.
    let opens = "import os; os.mkfifo(FIFO); os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 1, FIFO, os.O_WRONLY, 0)])";
    let scratch = tempfile::tempdir().expect("a directory");
    let fifo = format!("'{}'", scratch.path().join("fifo").display());
    let waiting = group.run("disk_sleep", &python(&opens.replace("FIFO", &fifo)));
    let traced = group.run(
        "traced",
        &python("import ctypes, os; ctypes.CDLL(None).ptrace(0, 0, 0, 0); os.kill(os.getpid(), 19)"),
    );
    let parent = group.run("zombie", "sleep 0 & exec sleep 86400");
    group.run("mixed", "exec sleep 86400");
    let second = group.run("mixed", "exec sleep 86400");
    await_letter(stopped, "S");
    await_letter(second, "S");
    signal(stopped, Signal::SIGSTOP);
    signal(second, Signal::SIGSTOP);
    for (pid, letter) in [
        (running, "R"),
        (sleeping, "S"),
        (stopped, "T"),
        (waiting, "D"),
        (traced, "t"),
        (parent, "S"),
        (second, "T"),
    ] {
        await_letter(pid, letter);
    }
    let zombie: u32 = eventually("a child that has ended", || {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        let child = children.trim().parse().ok()?;
        (by_ps(child).0 == "Z").then_some(child)
    });
    let top = group.path.clone();
    let unified = layout().hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V2);
    if unified {
        assert!(by_ps(zombie).1.contains(&format!("{top}/zombie")), "{:?}", by_ps(zombie));
    }
    let mut sampler = sampler(EVERYTHING);
    let expected: &[(&str, &[(TaskState, u64)])] = &[
        ("running", &[(TaskState::Running, 1)]),
        ("sleeping", &[(TaskState::Sleeping, 1)]),
        ("stopped", &[(TaskState::Stopped, 1)]),
        // The one that was forked waits for somebody to read from the pipe.
        ("disk_sleep", &[(TaskState::Sleeping, 1), (TaskState::DiskSleep, 1)]),
        ("traced", &[(TaskState::Traced, 1)]),
        ("mixed", &[(TaskState::Sleeping, 1), (TaskState::Stopped, 1)]),
    ];
    let snapshot = eventually("everybody in his state", || {
        let snapshot = sampler.pass();
        let all = expected.iter().all(|(name, wanted)| {
            states(of(&snapshot, &format!("{top}/{name}"))) == wanted.iter().copied().collect()
        });
        all.then_some(snapshot)
    });
    for (name, _) in expected {
        let cgroup = of(&snapshot, &format!("{top}/{name}"));
        // Each of them has one thread, in the same state.
        for state in TaskState::ALL {
            if let Some(field) = state.threads() {
                assert_eq!(cgroup.readings.get(field), processes(cgroup, *state), "{name} {state:?}");
            }
        }
        assert_eq!(processes(cgroup, TaskState::Zombie), Some(0));
    }
    let with_zombie = of(&snapshot, &format!("{top}/zombie"));
    // v1 alone does not say where somebody was who had ended before this looked for the first time.
    assert_eq!(processes(with_zombie, TaskState::Zombie), Some(u64::from(unified)));
    assert_eq!(processes(with_zombie, TaskState::Sleeping), Some(1));
    assert!(snapshot.report.census.states[TaskState::Zombie as usize].get() >= Some(1));
    // A cgroup without processes of its own has no states.
    assert_eq!(states(of(&snapshot, &top)), BTreeMap::new());
    assert_eq!(processes(of(&snapshot, &top), TaskState::Running), None);
    // Who is let go runs on.
    signal(stopped, Signal::SIGCONT);
    await_letter(stopped, "S");
    let cgroup = format!("{top}/stopped");
    let snapshot = sampler.pass();
    assert_eq!(states(of(&snapshot, &cgroup)), BTreeMap::from([(TaskState::Sleeping, 1)]));
}

/// Who dies under our eyes and is not waited for is a zombie of the cgroup that it lived in, whatever `/proc` says; and
/// the host keeps counting it when that cgroup is gone.
/// cgroup v1 makes its list of processes when it is opened, and gives an open file the same list again as long as it is
/// read once a second: who comes later must be seen all the same.
#[test]
fn who_comes_between_two_quick_passes_is_counted() {
    // On the v1 side alone where there is one: else cgroup2's list would be asked.
    let v1 = layout().hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V1);
    let mut group = TestGroup::within("quick", |hierarchy| !v1 || hierarchy.version == Version::V1);
    let mut sampler = sampler(&[Collector::Processes]);
    for number in 1..=3 {
        group.run("", "exec sleep 600");
        eventually("the newest process is counted", || {
            let snapshot = sampler.pass();
            let cgroup = of(&snapshot, &group.path);
            let counted = processes(cgroup, TaskState::Sleeping) == Some(number);
            (counted && cgroup.readings.get(Field::Processes) == Some(number)).then_some(())
        });
    }
}

#[test]
fn who_was_seen_to_live_is_a_zombie_where_it_lived() {
    // In a v1 hierarchy alone, which says nothing of who has ended.
    let mut group = TestGroup::within("reaper", |hierarchy| hierarchy.serves("memory"));
    group.child("home");
    let child = group.run("home", "exec sleep 86400");
    await_letter(child, "S");
    let mut sampler = sampler(&[Collector::Processes, Collector::Zombies]);
    let home = format!("{}/home", group.path);
    let snapshot = sampler.pass();
    assert_eq!(states(of(&snapshot, &home)), BTreeMap::from([(TaskState::Sleeping, 1)]));
    let before = snapshot.report.census.states[TaskState::Zombie as usize].get();
    assert!(before.is_some());
    signal(child, Signal::SIGKILL);
    await_letter(child, "Z");
    let snapshot = sampler.pass();
    assert_eq!(states(of(&snapshot, &home)), BTreeMap::from([(TaskState::Zombie, 1)]));
    let snapshot = sampler.pass();
    assert_eq!(states(of(&snapshot, &home)), BTreeMap::from([(TaskState::Zombie, 1)]));
    // Another cgroup may stand at the place of one that is gone.
    group.remove_child("home");
    group.child("heir");
    let snapshot = sampler.pass();
    assert_eq!(states(of(&snapshot, &format!("{}/heir", group.path))), BTreeMap::new());
    assert!(snapshot.report.census.states[TaskState::Zombie as usize].get() >= Some(1));
    group.wait(child);
}

#[test]
fn the_oldest_process_and_what_is_open_are_told() {
    let mut group = TestGroup::everywhere("oldest");
    let before = SystemTime::now();
    let first = group.run("", "exec 7</dev/null 8</dev/null 9</dev/null; exec sleep 86400");
    await_letter(first, "S");
    let threads = "exec python3 -c \"import threading, time; [threading.Thread(target=time.sleep, args=(86400,)).start() for _ in range(3)]\"";
    let second = group.run("", threads);
    let files = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count) as u64;
    let mut sampler = sampler(EVERYTHING);
    let path = group.path.clone();
    let snapshot = eventually("both with all of their threads", || {
        let snapshot = sampler.pass();
        let readings = &snapshot.find(path.as_bytes())?.readings;
        let settled = readings.get(Field::ThreadsSleeping) == Some(5)
            && readings.get(Field::ProcessesSleeping) == Some(2)
            && readings.get(Field::OpenFiles) == Some(files(first) + files(second));
        settled.then_some(snapshot)
    });
    assert!(files(first) >= 6);
    let oldest = of(&snapshot, &path).readings.get(Field::OldestProcessStart).expect("a time");
    let oldest = SystemTime::UNIX_EPOCH + Duration::from_nanos(oldest);
    let off = oldest.duration_since(before).unwrap_or_else(|error| error.duration());
    assert!(off < Duration::from_secs(60), "{oldest:?} {before:?}");
    // As ps says, in whole seconds.
    let ps = std::process::Command::new("ps")
        .args(["-o", "etimes=", "-p", &first.to_string()])
        .output()
        .expect("ps");
    let age: u64 = String::from_utf8_lossy(&ps.stdout).trim().parse().expect("seconds");
    let ours = SystemTime::now().duration_since(oldest).expect("it is past").as_secs();
    assert!(ours.abs_diff(age) <= 2, "{ours} {age}");
    // It does not change from pass to pass, and goes on with the next when it ends.
    let told = |snapshot: &Snapshot| of(snapshot, &path).readings.get(Field::OldestProcessStart);
    let same = told(&snapshot);
    assert_eq!(told(&sampler.pass()), same);
    signal(first, Signal::SIGKILL);
    group.wait(first);
    let later = told(&sampler.pass());
    assert!(later > same, "{later:?} {same:?}");
}

/// A process's directory of a made tree, with a network namespace and a state of its own.
fn process(tree: &FakeTree, pid: u32, network: u64, state: char) {
    tree.process(pid, b"x", 1, "/a");
    let directory = tree.procfs().join(pid.to_string());
    let stat = std::fs::read_to_string(directory.join("stat")).expect("a line");
    std::fs::write(directory.join("stat"), stat.replace(") S", &format!(") {state}"))).expect("a line");
    std::fs::create_dir(directory.join("ns")).expect("a directory");
    symlink(format!("net:[{network}]"), directory.join("ns/net")).expect("a link");
}

#[test]
fn a_number_that_another_process_has_by_now_inherits_nothing() {
    let tree = FakeTree::unified("");
    tree.group("/a", &[("cgroup.procs", "7\n"), ("cgroup.threads", "7\n")]);
    process(&tree, 1, 1, 'S');
    process(&tree, 7, 2, 'T');
    let networks = |snapshot: &Snapshot| -> Vec<u64> {
        of(snapshot, "/a").namespaces.of(NamespaceKind::Net).map(|one| one.inode).collect()
    };
    let mut sampler = Sampler::new(tree.settings(), carried()).expect("a tree");
    // Beyond its youth it is hardly ever read.
    for _ in 0..8 {
        let snapshot = sampler.pass();
        assert_eq!(
            (networks(&snapshot), processes(of(&snapshot, "/a"), TaskState::Stopped)),
            (vec![2], Some(1))
        );
    }
    // Somebody else has its number, between two passes: the kernel gives it another directory.
    std::fs::rename(tree.procfs().join("7"), tree.procfs().join("gone")).expect("renamed");
    process(&tree, 7, 3, 'R');
    let snapshot = sampler.pass();
    assert_eq!(networks(&snapshot), [3]);
    assert_eq!(states(of(&snapshot, "/a")), BTreeMap::from([(TaskState::Running, 1)]));
    // And somebody who may not be looked at: nothing is known, least of all what was known of the one before.
    std::fs::rename(tree.procfs().join("7"), tree.procfs().join("gone, too")).expect("renamed");
    std::fs::create_dir(tree.procfs().join("7")).expect("a directory");
    let snapshot = sampler.pass();
    assert_eq!((networks(&snapshot), states(of(&snapshot, "/a"))), (vec![], BTreeMap::new()));
    assert_eq!(processes(of(&snapshot, "/a"), TaskState::Running), None);
}

#[test]
fn states_that_no_kernel_writes_are_faults_and_not_numbers() {
    let tree = FakeTree::unified("");
    tree.group("/a", &[("cgroup.procs", "7\n8\n9\n10\n"), ("cgroup.threads", "7\n8\n9\n10\n")]);
    for (pid, state) in [(1, 'S'), (7, 'S'), (8, '?'), (9, 'I')] {
        process(&tree, pid, 1, state);
    }
    // 10 has ended since; 11 is listed by nobody and has ended, 12 is listed by nobody and lives.
    process(&tree, 11, 1, 'Z');
    process(&tree, 12, 1, 'R');
    std::fs::create_dir_all(tree.procfs().join("7/fd/0")).expect("a descriptor");
    let mut sampler = Sampler::new(tree.settings(), carried()).expect("a tree");
    let snapshot = sampler.pass();
    let cgroup = of(&snapshot, "/a");
    let expected = BTreeMap::from([(TaskState::Sleeping, 1), (TaskState::Idle, 1), (TaskState::Zombie, 1)]);
    assert_eq!(states(cgroup), expected);
    assert_eq!(cgroup.readings.get(Field::Processes), Some(4));
    // 9 has no list of descriptors: the sum of the others is not the cgroup's.
    assert_eq!(cgroup.readings.get(Field::OpenFiles), None);
    let faults = snapshot.report.faults.iter().filter(|row| row.source.starts_with("/proc"));
    let faults: Vec<_> = faults.map(|row| (row.source, row.kind.name())).collect();
    assert_eq!(faults, [("/proc/PID/stat", "malformed")]);
    assert_eq!(snapshot.report.collectors[Collector::Processes as usize].faults, 1);
    // What was found to be nonsense is not asked again at each pass.
    let snapshot = sampler.pass();
    assert!(snapshot.report.collectors[Collector::Processes as usize].reads < 4);
}

#[test]
fn nothing_is_told_that_nobody_asked_for() {
    let mut group = TestGroup::everywhere("unasked");
    let pid = group.run("", "exec sleep 86400");
    await_letter(pid, "S");
    let snapshot = sampler(&[Collector::Processes]).pass();
    let readings = &of(&snapshot, &group.path).readings;
    assert_eq!(readings.get(Field::ProcessesSleeping), Some(1));
    assert_eq!(readings.get(Field::ProcessesStopped), Some(0));
    for absent in [Field::ProcessesZombie, Field::ThreadsSleeping, Field::OpenFiles] {
        assert_eq!(readings.get(absent), None, "{absent:?}");
    }
    let namespaces = &of(&snapshot, &group.path).namespaces;
    assert_eq!((namespaces.list().len(), snapshot.report.census.scanned), (0, 0));
    let snapshot = sampler(&[Collector::Namespaces, Collector::Zombies]).pass();
    assert_eq!(of(&snapshot, &group.path).readings.get(Field::ProcessesSleeping), None);
    assert!(!of(&snapshot, &group.path).namespaces.list().is_empty());
}

#[test]
fn many_processes_are_read_some_at_a_time() {
    const MANY: u32 = 11_000;
    let tree = FakeTree::unified("");
    let list: String = (2..MANY + 2).map(|pid| format!("{pid}\n")).collect();
    tree.group("/a", &[("cgroup.procs", &list)]);
    for pid in 2..MANY + 2 {
        tree.process(pid, b"x", 1, "/a");
    }
    let mut collectors = CollectorSet::NONE;
    [Collector::Core, Collector::Processes].iter().for_each(|&collector| collectors.set(collector, true));
    let mut sampler = Sampler::new(Settings { collectors, ..tree.settings() }, carried()).expect("a tree");
    let mut pass = || {
        let snapshot = sampler.pass();
        let reads = snapshot.report.collectors[Collector::Processes as usize].reads;
        (processes(of(&snapshot, "/a"), TaskState::Sleeping), reads)
    };
    assert_eq!(pass(), (Some(5000), 5000));
    let (known, reads) = pass();
    assert!(known == Some(10_000) && reads < 7000, "{known:?} {reads}");
    assert_eq!(pass().0, Some(u64::from(MANY)));
    // In the thirty seconds of six passes each has had its turn.
    let turns: u64 = (0..6).map(|_| pass().1).sum();
    assert!((u64::from(MANY)..u64::from(MANY) + 12).contains(&turns), "{turns}");
}
