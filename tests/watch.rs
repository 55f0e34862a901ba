//! The watch on this host's real cgroup hierarchies, by each method. Needs root.
//!
//! Each test makes its own groups under a unique name and judges only events about them; the rest of the host goes on
//! as it likes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests; what this host lacks is named"
)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use stockade::kernel::watch::{AddDirError, Event, Watch, WatchTarget};
use stockade::model::WatchMethod;

/// How long an event may take on a loaded machine before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(20);
/// The number that the tests give to their hierarchy.
const HIERARCHY: u8 = 6;

/// A cgroup of our own, with whatever is made below it; removed at the end, also of a failed test.
struct Group(PathBuf);

impl Group {
    fn new(mount: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = mount.join(format!("stockade-test-watch-{}-{number}", std::process::id()));
        fs::create_dir(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: the tests need root", path.display()));
        Self(path)
    }

    fn inode(&self) -> u64 {
        inode(&self.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove_tree(&self.0);
    }
}

fn remove_tree(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // A process that was just killed may take a moment to leave: only then is the group busy.
    let start = Instant::now();
    while fs::remove_dir(path).is_err_and(|error| error.raw_os_error() == Some(16)) {
        assert!(start.elapsed() < PATIENCE, "{} stays busy", path.display());
        std::thread::yield_now();
    }
}

/// A child that is killed and reaped at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleeper() -> Process {
    Process(Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap())
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// The mounts of this host to test on: cgroup2, and the v1 hierarchies of memory and pids where there are such.
fn mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found = Vec::new();
    for line in table.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let point = PathBuf::from(mount.split(' ').nth(4).unwrap());
        let mut words = file_system.split(' ');
        let (kind, options) = (words.next().unwrap(), words.nth(1).unwrap_or_default());
        let wanted = options.split(',').any(|option| ["memory", "pids"].contains(&option));
        if kind == "cgroup2" || (kind == "cgroup" && wanted) {
            found.push(point);
        }
    }
    assert!(!found.is_empty(), "no cgroup hierarchy is mounted here");
    found
}

fn cgroup2() -> Option<PathBuf> {
    mounts().into_iter().find(|mount| mount.join("cgroup.controllers").exists())
}

fn v1() -> Option<PathBuf> {
    mounts().into_iter().find(|mount| !mount.join("cgroup.controllers").exists())
}

fn watch(mount: &Path, method: WatchMethod) -> Watch {
    let watch = Watch::new(&[WatchTarget { hierarchy: HIERARCHY, mount }], Some(method)).unwrap();
    assert_eq!(watch.method(), method);
    watch
}

/// Whether fanotify can be tested here; old kernels cannot, and then the automatic choice must say why.
fn fanotify_works() -> bool {
    let mount = mounts().remove(0);
    let target = [WatchTarget { hierarchy: HIERARCHY, mount: &mount }];
    match Watch::new(&target, Some(WatchMethod::Fanotify)) {
        Ok(_) => true,
        Err(error) => {
            let fallen = Watch::new(&target, None).unwrap();
            assert_eq!(fallen.method(), WatchMethod::Inotify);
            assert_eq!(fallen.why_not_better(), Some(error.reason.as_str()));
            eprintln!("not run with fanotify: {error}");
            false
        }
    }
}

fn methods() -> Vec<WatchMethod> {
    if fanotify_works() {
        vec![WatchMethod::Fanotify, WatchMethod::Inotify]
    } else {
        vec![WatchMethod::Inotify]
    }
}

/// What an event says, without its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Born(u64, String),
    Died(u64, String),
    Written(u64, String, Option<u32>),
    Notice(u64, String),
    Lost,
}

fn seen(event: Event<'_>) -> Seen {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let (hierarchy, seen) = match event {
        Event::Born { hierarchy, parent, name } => (hierarchy, Seen::Born(parent, text(name))),
        Event::Died { hierarchy, parent, name } => (hierarchy, Seen::Died(parent, text(name))),
        Event::Written { hierarchy, dir, name, pid } => (hierarchy, Seen::Written(dir, text(name), pid)),
        Event::Notice { hierarchy, dir, name } => (hierarchy, Seen::Notice(dir, text(name))),
        Event::Lost { hierarchy } => (hierarchy, Seen::Lost),
    };
    assert_eq!(hierarchy, HIERARCHY);
    seen
}

/// Everything up to the event that is waited for; fails when that does not come.
fn until(watch: &mut Watch, wanted: &Seen) -> Vec<Seen> {
    let start = Instant::now();
    let mut all = Vec::new();
    while !all.contains(wanted) {
        assert!(start.elapsed() < PATIENCE, "{wanted:?} did not come, but {all:?}");
        let descriptors = watch.poll_fds();
        let mut polled: Vec<_> = descriptors.iter().map(|&fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        poll(&mut polled, PollTimeout::from(500_u16)).unwrap();
        drop(polled);
        drop(descriptors);
        watch.drain(|event| all.push(seen(event)));
    }
    all
}

fn born(parent: u64, name: &str) -> Seen {
    Seen::Born(parent, name.to_owned())
}

fn died(parent: u64, name: &str) -> Seen {
    Seen::Died(parent, name.to_owned())
}

fn notice(dir: u64, name: &str) -> Seen {
    Seen::Notice(dir, name.to_owned())
}

#[test]
fn births_and_deaths_are_told_under_the_parent_s_inode_in_every_hierarchy() {
    for mount in mounts() {
        for method in methods() {
            let mut watch = watch(&mount, method);
            watch.add_dir(HIERARCHY, inode(&mount), &mount).unwrap();
            let group = Group::new(&mount);
            let name = group.0.file_name().unwrap().to_str().unwrap().to_owned();
            until(&mut watch, &born(inode(&mount), &name));
            watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
            fs::create_dir(group.0.join("child \"quoted\"")).unwrap();
            until(&mut watch, &born(group.inode(), "child \"quoted\""));
            fs::remove_dir(group.0.join("child \"quoted\"")).unwrap();
            until(&mut watch, &died(group.inode(), "child \"quoted\""));
            drop(group);
            until(&mut watch, &died(inode(&mount), &name));
        }
    }
}

/// mkdir, rmdir, mkdir before anybody reads: fanotify gives one event, and the birth must still come after the death.
#[test]
fn a_name_that_is_made_again_ends_with_a_birth() {
    for method in methods() {
        let mount = mounts().remove(0);
        let group = Group::new(&mount);
        let mut watch = watch(&mount, method);
        watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
        let child = group.0.join("again");
        fs::create_dir(&child).unwrap();
        fs::remove_dir(&child).unwrap();
        fs::create_dir(&child).unwrap();
        fs::create_dir(group.0.join("end")).unwrap();
        let all = until(&mut watch, &born(group.inode(), "end"));
        let about: Vec<_> = all
            .iter()
            .filter(|event| {
                matches!(event, Seen::Born(parent, name) | Seen::Died(parent, name)
                    if *parent == group.inode() && name == "again")
            })
            .collect();
        assert!(about.contains(&&died(group.inode(), "again")), "{method:?}: {all:?}");
        assert_eq!(about.last(), Some(&&born(group.inode(), "again")), "{method:?}: {all:?}");
    }
}

#[test]
fn a_v1_rename_is_a_death_and_a_birth() {
    let Some(mount) = v1() else { return eprintln!("not run: no v1 hierarchy here") };
    for method in methods() {
        let group = Group::new(&mount);
        let (from, to) = (group.0.join("from"), group.0.join("to"));
        fs::create_dir(&from).unwrap();
        let before = inode(&from);
        let mut watch = watch(&mount, method);
        watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
        fs::rename(&from, &to).unwrap();
        let all = until(&mut watch, &born(group.inode(), "to"));
        assert!(all.contains(&died(group.inode(), "from")), "{method:?}: {all:?}");
        assert_eq!(inode(&to), before, "a rename keeps the inode");
    }
}

#[test]
fn a_control_write_is_told_with_the_pid_of_who_did_it() {
    for mount in mounts() {
        for method in methods() {
            let group = Group::new(&mount);
            let mut watch = watch(&mount, method);
            watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
            let file = if mount.join("cgroup.controllers").exists() {
                "cgroup.max.depth"
            } else {
                "notify_on_release"
            };
            let script = format!("echo 1 > '{}'", group.0.join(file).display());
            let mut child = Command::new("sh").arg("-c").arg(script).spawn().unwrap();
            let pid = (method == WatchMethod::Fanotify).then_some(child.id());
            assert!(child.wait().unwrap().success());
            until(&mut watch, &Seen::Written(group.inode(), file.to_owned(), pid));
        }
    }
}

/// The kernel tells of `cgroup.events` only while somebody holds the file: the directory's watch is enough then.
#[test]
fn populated_and_frozen_are_told_for_a_held_file() {
    let Some(mount) = cgroup2() else { return eprintln!("not run: no cgroup2 hierarchy here") };
    for method in methods() {
        let group = Group::new(&mount);
        let [busy, cold] = ["busy", "cold"].map(|name| group.0.join(name));
        let held = [&busy, &cold].map(|dir| {
            fs::create_dir(dir).unwrap();
            fs::File::open(dir.join("cgroup.events")).unwrap()
        });
        let mut watch = watch(&mount, method);
        for dir in [&busy, &cold] {
            watch.add_dir(HIERARCHY, inode(dir), dir).unwrap();
        }
        let process = sleeper();
        fs::write(busy.join("cgroup.procs"), process.0.id().to_string()).unwrap();
        until(&mut watch, &notice(inode(&busy), "cgroup.events"));
        fs::write(cold.join("cgroup.freeze"), "1").unwrap();
        until(&mut watch, &notice(inode(&cold), "cgroup.events"));
        assert!(fs::read_to_string(cold.join("cgroup.events")).unwrap().contains("frozen 1"));
        fs::write(cold.join("cgroup.freeze"), "0").unwrap();
        drop(process);
        drop(held);
    }
}

/// More distinct events than the queue holds, and nobody reads.
#[test]
fn a_full_queue_is_a_loss_and_the_watch_works_on() {
    let mount = v1().unwrap_or_else(|| mounts().remove(0));
    for method in methods() {
        let limit = match method {
            WatchMethod::Fanotify => "/proc/sys/fs/fanotify/max_queued_events",
            _ => "/proc/sys/fs/inotify/max_queued_events",
        };
        let limit = fs::read_to_string(limit).map_or(16_384, |text| text.trim().parse().unwrap());
        let group = Group::new(&mount);
        let mut watch = watch(&mount, method);
        watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
        for number in 0..=limit {
            let child = group.0.join(number.to_string());
            fs::create_dir(&child).unwrap();
            fs::remove_dir(&child).unwrap();
        }
        until(&mut watch, &Seen::Lost);
        while watch.drain(|_| ()) {}
        fs::create_dir(group.0.join("after")).unwrap();
        until(&mut watch, &born(group.inode(), "after"));
    }
}

#[test]
fn a_removed_directory_s_watch_is_given_back_and_tells_no_more() {
    let mount = mounts().remove(0);
    let group = Group::new(&mount);
    let mut watch = watch(&mount, WatchMethod::Inotify);
    watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
    let child = group.0.join("child");
    fs::create_dir(&child).unwrap();
    watch.add_dir(HIERARCHY, inode(&child), &child).unwrap();
    assert_eq!(kernel_watches(&watch), 2);
    let gone = inode(&child);
    fs::remove_dir(&child).unwrap();
    assert_eq!(kernel_watches(&watch), 2, "the kernel keeps the watch of a removed cgroup");
    watch.remove_dir(HIERARCHY, gone);
    assert_eq!(kernel_watches(&watch), 1);
    assert!(matches!(watch.add_dir(HIERARCHY, gone, &child), Err(AddDirError::Vanished { .. })));
    assert_eq!(watch.method(), WatchMethod::Inotify, "a cgroup that went away is no reason to give up");
}

fn kernel_watches(watch: &Watch) -> usize {
    use std::os::fd::AsRawFd;
    let descriptor = watch.poll_fds()[0].as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
    info.lines().filter(|line| line.starts_with("inotify ")).count()
}

/// Where watches run out the rest must be walked, and the report must say so once.
#[test]
fn a_directory_that_cannot_be_watched_makes_the_method_the_walk() {
    let mount = mounts().remove(0);
    let group = Group::new(&mount);
    let mut watch = watch(&mount, WatchMethod::Inotify);
    watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
    let too_long = group.0.join("x/".repeat(3000));
    for _ in 0..2 {
        assert!(matches!(watch.add_dir(HIERARCHY, 99, &too_long), Err(AddDirError::Refused { .. })));
    }
    assert_eq!(watch.method(), WatchMethod::Walk);
    assert_eq!(watch.why_not_better().unwrap().matches("does not cover everything").count(), 1);
    fs::create_dir(group.0.join("child")).unwrap();
    until(&mut watch, &born(group.inode(), "child"));
}

/// Files that the kernel itself makes and removes in a cgroup are no births and no deaths.
#[test]
fn control_files_that_appear_are_no_births() {
    let Some(mount) = cgroup2() else { return eprintln!("not run: no cgroup2 hierarchy here") };
    for method in methods() {
        let group = Group::new(&mount);
        if !group.0.join("cgroup.pressure").exists() {
            return eprintln!("not run: no cgroup.pressure here (Linux 6.1 and newer, with PSI)");
        }
        let mut watch = watch(&mount, method);
        watch.add_dir(HIERARCHY, group.inode(), &group.0).unwrap();
        for value in ["0", "1"] {
            fs::write(group.0.join("cgroup.pressure"), value).unwrap();
            assert_eq!(group.0.join("cpu.pressure").exists(), value == "1");
        }
        fs::create_dir(group.0.join("end")).unwrap();
        let all = until(&mut watch, &born(group.inode(), "end"));
        let ours = |event: &&Seen| matches!(event, Seen::Born(parent, _) | Seen::Died(parent, _) if *parent == group.inode());
        assert_eq!(all.iter().filter(ours).count(), 1, "{method:?}: {all:?}");
    }
}

#[test]
fn the_walk_has_no_descriptors_and_says_that_it_was_asked_for() {
    let mount = mounts().remove(0);
    let mut watch = watch(&mount, WatchMethod::Walk);
    assert!(watch.poll_fds().is_empty());
    assert_eq!(watch.why_not_better(), Some("walk was asked for"));
    watch.add_dir(HIERARCHY, 1, &mount).unwrap();
    assert!(!watch.drain(|event| panic!("{event:?}")));
}

#[test]
fn a_method_that_cannot_be_had_is_an_error_when_asked_for_and_a_reason_when_not() {
    let nowhere = [WatchTarget { hierarchy: HIERARCHY, mount: Path::new("/nowhere/at/all") }];
    let error = Watch::new(&nowhere, Some(WatchMethod::Fanotify)).unwrap_err().to_string();
    assert!(error.contains("fanotify") && error.contains("use auto"), "{error}");
    let fallen = Watch::new(&nowhere, None).unwrap();
    assert_eq!(fallen.method(), WatchMethod::Inotify);
    assert!(fallen.why_not_better().unwrap().starts_with("fanotify is not in use: "));
}
