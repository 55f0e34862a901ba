//! Limits written and put back, cgroups frozen and killed, on the host's own kernel and in groups of the tests' own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stockade::kernel::control::{Control, ControlError, Target};
use stockade::kernel::layout::Paths;
use stockade::model::{Identity, IoRate, Knob, Limit, Owner, Value, Version, display_path};
use support::{TestGroup, eventually, inode, layout};

/// Longer than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(60);

fn control() -> Control {
    Control::new(&layout(), &Paths::default())
}

/// The identity of a cgroup as it stands now, as the sampler gives it.
fn identity(path: &str) -> Identity {
    let directory =
        layout().hierarchies.iter().map(|one| one.mount.join(&path[1..])).find(|path| path.is_dir());
    Identity {
        path: path.as_bytes().into(),
        display: display_path(path.as_bytes()).into(),
        id: inode(&directory.expect("the group is somewhere")),
        owner: Owner::default(),
    }
}

fn open(path: &str) -> Target {
    control().open(&identity(path)).expect("the group stands")
}

/// Starts a command in a group and waits until it has moved there.
fn run(group: &mut TestGroup, child: &str, script: &str) -> u32 {
    let pid = group.run(child, script);
    let path = if child.is_empty() { group.path.clone() } else { format!("{}/{child}", group.path) };
    let target = open(&path);
    let everywhere = || {
        let moved = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let here = target.processes().unwrap().contains(&i32::try_from(pid).unwrap());
        // A shell moves through the hierarchies one by one: it is done when its own command runs.
        let last = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let all = last.lines().filter(|line| line.ends_with(&path)).count();
        (here && !moved.is_empty() && all >= hierarchies(&path)).then_some(())
    };
    eventually("it has moved into the group", everywhere);
    pid
}

/// In how many hierarchies a cgroup is.
fn hierarchies(path: &str) -> usize {
    layout().hierarchies.iter().filter(|one| one.mount.join(&path[1..]).is_dir()).count()
}

/// Thaws a group when a test ends, however it ends: what is frozen cannot be removed.
struct Thawed(String);

impl Drop for Thawed {
    fn drop(&mut self) {
        if let Ok(id) = std::panic::catch_unwind(|| identity(&self.0)) {
            // A group that is gone is not frozen.
            let _ = control().open(&id).and_then(|target| target.thaw(LONG));
        }
    }
}

/// A whole disk of this host, by name and numbers.
fn disk() -> (String, String) {
    let disk = fs::read_dir("/sys/block").unwrap().flatten().find_map(|entry| {
        let numbers = fs::read_to_string(entry.path().join("dev")).ok()?;
        Some((entry.file_name().into_string().ok()?, numbers.trim().to_owned()))
    });
    disk.expect("the host has a block device")
}

/// The text of every file below a directory that can be read.
fn texts(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    // What moves by itself is not a control.
    let moving =
        ["stat", "usage", "current", "pressure", "procs", "tasks", "peak", "events", "io_serv", "failcnt"];
    let mut all: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .flatten()
        .filter(|entry| !moving.iter().any(|word| entry.file_name().to_string_lossy().contains(word)))
        .filter_map(|entry| Some((entry.path(), fs::read(entry.path()).ok()?)))
        .collect();
    all.sort();
    all
}

/// Sets a knob, sees it set, puts it back, and sees every file as it was.
fn set_and_restored(group: &TestGroup, controller: &str, knob: &Knob, value: &Value, becomes: &Value) {
    let target = open(&group.path);
    let directory = group.directory(controller);
    let before = texts(&directory);
    let saved = target.save(knob).unwrap_or_else(|error| panic!("{knob}: {error}"));
    target.write(knob, value).unwrap_or_else(|error| panic!("{knob}: {error}"));
    assert_eq!(target.read(knob).as_ref(), Ok(becomes), "{knob}");
    assert_ne!(texts(&directory), before, "{knob}: nothing was written");
    target.restore(&saved).unwrap_or_else(|error| panic!("{knob}: {error}"));
    assert_eq!(texts(&directory), before, "{knob} is not what it was");
}

#[test]
fn every_knob_of_this_host_is_set_and_put_back_to_the_byte() {
    let group = TestGroup::everywhere("knobs");
    let (name, numbers) = disk();
    let mut knobs = vec![
        (Knob::MemoryHigh, Value::of(64 << 20)),
        (Knob::MemoryMax, Value::of(96 << 20)),
        (Knob::CpuMax, Value::of(1_500_000)),
        (Knob::CpuWeight, Value::of(37)),
        (Knob::PidsMax, Value::of(77)),
        (Knob::MemoryMin, Value::of(1 << 20)),
        (Knob::MemoryLow, Value::of(1 << 20)),
        (Knob::IoWeight, Value::of(210)),
    ];
    for device in [name, numbers] {
        for rate in IoRate::ALL {
            knobs.push((Knob::IoMax { device: device.as_str().into(), rate }, Value::of(12_345)));
        }
    }
    let mut set = 0;
    for (knob, value) in knobs {
        if control().supports(&knob).is_err() {
            let refused = open(&group.path).write(&knob, &value).expect_err("the host has no such knob");
            assert!(matches!(refused, ControlError::Unsupported(_)), "{knob}: {refused}");
            continue;
        }
        let file = knob.file();
        let controller = file.split('.').next().unwrap();
        let v1_io =
            controller == "io" && layout().serving("io").is_some_and(|one| one.version == Version::V1);
        set_and_restored(&group, if v1_io { "blkio" } else { controller }, &knob, &value, &value);
        set += 1;
    }
    assert!(set >= 1, "this host has no controller to write");
}

#[test]
fn memory_and_swap_are_raised_and_lowered_in_an_order_that_the_kernel_takes() {
    let group = TestGroup::everywhere("memsw");
    let target = open(&group.path);
    if control().supports(&Knob::MemorySwapMax).is_err() {
        assert!(target.save(&Knob::MemorySwapMax).is_err());
        return;
    }
    let saved = [target.save(&Knob::MemoryMax).unwrap(), target.save(&Knob::MemorySwapMax).unwrap()];
    let before = texts(&group.directory("memory"));
    for (memory, swap) in [(64, 32), (256, 0), (16, 512), (128, 1)] {
        for (knob, mib) in [(Knob::MemoryMax, memory), (Knob::MemorySwapMax, swap)] {
            target
                .write(&knob, &Value::of(mib << 20))
                .unwrap_or_else(|error| panic!("{knob} {mib}: {error}"));
        }
        assert_eq!(target.read(&Knob::MemoryMax), Ok(Value::of(memory << 20)));
        assert_eq!(target.read(&Knob::MemorySwapMax), Ok(Value::of(swap << 20)));
    }
    let unlimited = Value::Limit(Limit::Max);
    target.write(&Knob::MemoryMax, &unlimited).unwrap();
    assert_eq!(target.read(&Knob::MemoryMax), Ok(unlimited));
    target.write(&Knob::MemoryMax, &Value::of(8 << 20)).unwrap();
    for saved in saved.iter().rev() {
        target.restore(saved).unwrap();
    }
    assert_eq!(texts(&group.directory("memory")), before);
}

#[test]
fn what_is_in_use_is_told_in_the_unit_of_the_knob() {
    let mut group = TestGroup::everywhere("usage");
    let pid = run(&mut group, "", "sleep 1000 & exec sleep 1000");
    let target = open(&group.path);
    if control().supports(&Knob::PidsMax).is_ok() {
        eventually("two processes are counted", || (target.usage(&Knob::PidsMax) == Some(2)).then_some(()));
    }
    if control().supports(&Knob::MemoryMax).is_ok() {
        assert!(target.usage(&Knob::MemoryMax) > Some(0));
    }
    assert_eq!(target.usage(&Knob::CpuMax), None);
    assert!(target.processes().unwrap().contains(&i32::try_from(pid).unwrap()));
}

#[test]
fn a_cgroup_made_again_under_the_same_path_is_not_touched() {
    let group = TestGroup::everywhere("again");
    let path = group.child("inner");
    let (old, target) = (identity(&path), open(&path));
    let saved = target.save_freezers().unwrap();
    group.remove_child("inner");
    assert_eq!(control().open(&old).unwrap_err(), ControlError::Vanished, "nothing stands there");
    group.child("inner");
    assert_eq!(control().open(&old).unwrap_err(), ControlError::Vanished, "another one stands there");
    assert_eq!(target.freeze(LONG), Err(ControlError::Vanished));
    assert_eq!(target.restore(&saved), Err(ControlError::Vanished));
    assert_eq!(target.kill(9, Duration::ZERO, LONG), Err(ControlError::Vanished));
    if control().supports(&Knob::PidsMax).is_ok() {
        assert_eq!(target.write(&Knob::PidsMax, &Value::of(1)), Err(ControlError::Vanished));
        assert_eq!(target.read(&Knob::PidsMax), Err(ControlError::Vanished));
        assert_eq!(open(&path).read(&Knob::PidsMax), Ok(Value::Limit(Limit::Max)));
    }
    assert!(!open(&path).freezer_state().unwrap().itself);
    group.remove_child("inner");
}

#[test]
fn a_symbolic_link_or_a_step_upwards_is_no_cgroup() {
    for path in ["/..", "/stockade-test-none/../x", "/"] {
        let identity =
            Identity { path: path.as_bytes().into(), display: path.into(), id: 0, owner: Owner::default() };
        assert_eq!(control().open(&identity).unwrap_err(), ControlError::Vanished, "{path}");
    }
}

#[test]
fn a_limit_that_the_kernel_refuses_names_the_file_and_the_value() {
    let group = TestGroup::everywhere("refused");
    let target = open(&group.path);
    if control().supports(&Knob::PidsMax).is_ok() {
        let error = target.write(&Knob::PidsMax, &Value::of(u64::MAX)).expect_err("too many").to_string();
        assert!(error.contains("pids.max") && error.contains(&u64::MAX.to_string()), "{error}");
    }
    let error = target.write(&Knob::CpuWeight, &Value::of(0)).expect_err("no weight").to_string();
    assert!(error.contains("cpu.weight"), "{error}");
    let nowhere = Knob::IoMax { device: "nosuchdisk".into(), rate: IoRate::Reads };
    let error = target.write(&nowhere, &Value::of(9)).expect_err("no device").to_string();
    assert!(error.contains("nosuchdisk") || error.contains("io"), "{error}");
}

#[test]
fn every_task_stops_and_goes_on_again() {
    let mut group = TestGroup::everywhere("freeze");
    group.child("inner");
    run(&mut group, "", "while :; do :; done");
    run(&mut group, "inner", "sleep 1000 & wait");
    let _thawed = Thawed(group.path.clone());
    let target = open(&group.path);
    let saved = target.save_freezers().unwrap();
    target.freeze(LONG).unwrap();
    let state = target.freezer_state().unwrap();
    assert!(state.itself && state.frozen && !state.inherited, "{state:?}");
    let inner = open(&format!("{}/inner", group.path));
    let inherited = inner.freezer_state().unwrap();
    assert!(!inherited.itself && inherited.inherited && inherited.frozen, "{inherited:?}");
    inner.freeze(LONG).unwrap();
    inner.thaw(LONG).unwrap();
    assert!(inner.freezer_state().unwrap().frozen, "the one above is frozen");
    assert!(target.save_freezers().unwrap() != saved, "a switch that is set is not ours to clear");
    target.restore(&saved).unwrap();
    eventually("it goes on", || (!target.freezer_state().unwrap().frozen).then_some(()));
    target.freeze(LONG).unwrap();
    target.thaw(LONG).unwrap();
    assert!(!target.freezer_state().unwrap().itself);
    group.kill();
}

#[test]
fn an_empty_cgroup_is_frozen_too_and_a_foreign_freeze_stays() {
    let group = TestGroup::everywhere("empty");
    let _thawed = Thawed(group.path.clone());
    let target = open(&group.path);
    target.freeze(LONG).unwrap();
    let saved = target.save_freezers().unwrap();
    target.freeze(LONG).unwrap();
    target.restore(&saved).unwrap();
    assert!(target.freezer_state().unwrap().itself, "it was frozen before");
    target.thaw(LONG).unwrap();
    assert!(!target.freezer_state().unwrap().frozen);
}

#[test]
fn processes_that_are_only_in_the_v1_freezer_are_frozen_and_killed_there() {
    let v1 = layout().hierarchies.iter().any(|one| one.version == Version::V1 && one.serves("freezer"));
    if !v1 {
        // No such host can have them; the guests show it.
        return;
    }
    let mut group = TestGroup::within("v1", |one| one.serves("freezer") && one.version == Version::V1);
    let pid = run(&mut group, "", "trap '' TERM; while :; do :; done");
    let _thawed = Thawed(group.path.clone());
    let target = open(&group.path);
    target.freeze(LONG).unwrap();
    let state = fs::read_to_string(group.directory("freezer").join("freezer.state")).unwrap();
    assert_eq!(state.trim(), "FROZEN");
    let report = target.kill(9, Duration::ZERO, LONG).unwrap();
    assert_eq!(report.killed, 1);
    assert_eq!(group.wait(pid), -1, "killed by a signal");
    let state = fs::read_to_string(group.directory("freezer").join("freezer.state")).unwrap();
    assert_eq!(state.trim(), "THAWED");
}

#[test]
fn what_acts_on_the_signal_is_not_killed() {
    let mut group = TestGroup::everywhere("term");
    let ready = tempfile::tempdir().unwrap();
    let file = ready.path().join("ready");
    let pid = run(
        &mut group,
        "",
        &format!("trap 'exit 7' TERM; : > {}; while :; do sleep 0.01; done", file.display()),
    );
    eventually("the trap is set", || file.exists().then_some(()));
    let report = open(&group.path).kill(15, LONG, LONG * 2).unwrap();
    assert!(report.signalled >= 1 && report.killed == 0, "{report:?}");
    assert_eq!(group.wait(pid), 7);
}

#[test]
fn what_ignores_the_signal_and_what_is_frozen_is_killed() {
    let mut group = TestGroup::everywhere("ignore");
    group.child("inner");
    let ready = tempfile::tempdir().unwrap();
    let script = |name: &str| {
        format!("trap '' TERM; : > {}/{name}; while :; do sleep 0.01; done", ready.path().display())
    };
    let pids = [run(&mut group, "", &script("a")), run(&mut group, "inner", &script("b"))];
    eventually("the traps are set", || {
        (ready.path().join("a").exists() && ready.path().join("b").exists()).then_some(())
    });
    let _thawed = Thawed(group.path.clone());
    let target = open(&group.path);
    target.freeze(LONG).unwrap();
    let report = target.kill(15, Duration::from_millis(100), LONG).unwrap();
    assert!(report.signalled >= 2 && report.killed >= 2, "{report:?}");
    for pid in pids {
        assert_eq!(group.wait(pid), -1, "killed by a signal");
    }
    assert!(target.processes().unwrap().is_empty());
    assert!(!target.freezer_state().unwrap().itself, "nothing stays frozen");
}

#[test]
fn a_fork_bomb_dies() {
    let mut group = TestGroup::everywhere("bomb");
    let target = open(&group.path);
    if control().supports(&Knob::PidsMax).is_err() {
        return;
    }
    target.write(&Knob::PidsMax, &Value::of(60)).unwrap();
    // The first shell may end at the limit: it is not waited for.
    group.run("", "f() { while :; do f & done; }; f 2>/dev/null");
    eventually("it has grown", || (target.usage(&Knob::PidsMax) >= Some(50)).then_some(()));
    target.kill(9, Duration::ZERO, LONG).unwrap();
    assert!(target.processes().unwrap().is_empty());
    group.kill();
    eventually("they are reaped", || (target.usage(&Knob::PidsMax) == Some(0)).then_some(()));
}

#[test]
fn five_hundred_processes_are_signalled_and_killed() {
    let mut group = TestGroup::everywhere("many");
    run(
        &mut group,
        "",
        "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i+1)); done; trap '' TERM; wait; wait",
    );
    let target = open(&group.path);
    eventually("they are there", || (target.processes().unwrap().len() >= 501).then_some(()));
    let report = target.kill(15, Duration::from_millis(200), LONG).unwrap();
    assert!(report.signalled >= 501, "{report:?}");
    assert!(target.processes().unwrap().is_empty());
}

#[test]
fn a_trigger_fires_on_a_stall_and_fails_when_the_cgroup_goes() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    use stockade::kernel::trigger::{Resource, Stall};

    let group = TestGroup::everywhere("trigger");
    let path = group.child("inner");
    let target = open(&path);
    let control = control();
    let (stall, window) = (Duration::from_millis(50), Duration::from_millis(500));
    let armed = control.arm(Some(&target), Resource::Cpu, Stall::Some, stall, window);
    if target.unified().is_none() || !Path::new("/proc/pressure/cpu").exists() {
        assert!(armed.is_err(), "there is no pressure here");
        return;
    }
    let trigger = armed.unwrap();
    assert!(trigger.stall * 10 == trigger.window, "the share of the window stays: {trigger:?}");
    let mut group = group;
    // More than there are CPUs: some wait.
    let busy = std::thread::available_parallelism().unwrap().get() * 2;
    run(
        &mut group,
        "inner",
        &format!("i=0; while [ $i -lt {busy} ]; do (while :; do :; done) & i=$((i+1)); done; wait"),
    );
    let fired = |wanted: PollFlags| {
        let mut polled = [PollFd::new(trigger.as_fd(), PollFlags::POLLPRI)];
        poll(&mut polled, PollTimeout::from(60_000u16)).unwrap();
        assert!(polled[0].revents().unwrap().intersects(wanted), "{polled:?}");
    };
    fired(PollFlags::POLLPRI);
    target.kill(9, Duration::ZERO, LONG).unwrap();
    group.kill();
    group.remove_child("inner");
    fired(PollFlags::POLLERR);
}
