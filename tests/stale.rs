//! No number outlives what it was read from: events that were lost, groups that were renamed or made again, files that
//! come and go, clocks that are changed.

mod support;

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use stockade::model::{
    Collector, Control, Field, Limit, PathFilter, PathGlob, Snapshot, Version, WatchMethod,
};
use stockade::sample::{Sampler, Settings, carried};
use support::TestGroup;
use support::fake::FakeTree;

/// The test that takes every descriptor runs alone.
static DESCRIPTORS: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    DESCRIPTORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn sampler(settings: Settings) -> Sampler {
    Sampler::new(settings, carried()).expect("a hierarchy")
}

fn number(snapshot: &Snapshot, path: &str, field: Field) -> Option<u64> {
    snapshot.find(path.as_bytes()).and_then(|cgroup| cgroup.readings.get(field))
}

fn limit(snapshot: &Snapshot, path: &str, control: Control) -> Option<Limit> {
    snapshot.find(path.as_bytes()).and_then(|cgroup| cgroup.controls.get(control))
}

/// A sampler that watches in this way. Only fanotify may be refused: by kernels before 6.12.
fn watching(method: WatchMethod) -> Option<Sampler> {
    let sampler = Sampler::new(Settings { watch: Some(method), ..Settings::default() }, carried());
    assert!(sampler.is_ok() || method == WatchMethod::Fanotify, "{method:?}");
    sampler.ok()
}

/// A write to a limit that the full queue swallowed is found by the rescan.
#[test]
fn a_limit_that_was_written_while_events_were_lost_is_read_again() {
    let _alone = alone();
    let group = TestGroup::within("lost", |hierarchy| hierarchy.serves("pids"));
    let pids = group.directory("pids");
    for (method, queue) in [
        (WatchMethod::Fanotify, "fs/fanotify/max_queued_events"),
        (WatchMethod::Inotify, "fs/inotify/max_queued_events"),
    ] {
        fs::write(pids.join("pids.max"), "1000").expect("a limit");
        let Some(mut sampler) = watching(method) else { continue };
        assert_eq!(limit(&sampler.pass(), &group.path, Control::PidsMax), Some(Limit::Value(1000)));
        let queue = fs::read_to_string(Path::new("/proc/sys").join(queue)).expect("a bound");
        let queue: u32 = queue.trim().parse().expect("a number");
        // Each name is an event of its own; what comes and goes merges into one.
        for number in 0..queue + 100 {
            group.child(&format!("n{number}"));
            group.remove_child(&format!("n{number}"));
        }
        fs::write(pids.join("pids.max"), "77").expect("a limit");
        let mut snapshot = sampler.pass();
        // The queue is worked off for a while in each pass, the rescan comes with the word of the loss.
        for _ in 0..20 {
            if snapshot.report.rescans > 0 {
                break;
            }
            snapshot = sampler.pass();
        }
        assert_eq!(snapshot.report.rescans, 1, "{method:?}: the queue was full");
        assert_eq!(limit(&snapshot, &group.path, Control::PidsMax), Some(Limit::Value(77)), "{method:?}");
    }
}

/// Only v1 has a rename, which tells of the renamed directory alone and of nothing below it.
#[test]
fn a_renamed_cgroup_takes_its_descendants_along() {
    let _alone = alone();
    let v1 = support::layout().serving("pids").expect("a hierarchy").version == Version::V1;
    for &method in WatchMethod::ALL {
        let group = TestGroup::within("renamed", |hierarchy| hierarchy.serves("pids"));
        group.child("old");
        let below = group.child("old/below");
        let Some(mut sampler) = watching(method) else { continue };
        assert!(sampler.pass().find(below.as_bytes()).is_some());
        let directory = group.directory("pids");
        let renamed = fs::rename(directory.join("old"), directory.join("new"));
        assert_eq!(renamed.is_ok(), v1, "{renamed:?}");
        let snapshot = sampler.pass();
        let is = |path: &str| snapshot.find(format!("{}/{path}", group.path).as_bytes()).is_some();
        assert_eq!([is("old"), is("old/below")], [!v1; 2], "{method:?}: the old names are gone");
        assert_eq!([is("new"), is("new/below")], [v1; 2], "{method:?}: the new names are there");
        let last = if v1 { "new/below" } else { "old/below" };
        fs::write(directory.join(last).join("pids.max"), "55").expect("a limit");
        let heard = limit(&sampler.pass(), &format!("{}/{last}", group.path), Control::PidsMax);
        // Without a watch, limits are read on the slow clock.
        let expected = if method == WatchMethod::Walk { Limit::Max } else { Limit::Value(55) };
        assert_eq!(heard, Some(expected), "{method:?}: it is still listened to");
    }
}

/// A cgroup that is made again in one hierarchy only stays the same cgroup, with none of the old directory's numbers.
#[test]
fn a_directory_made_again_in_one_hierarchy_leaves_no_numbers_behind() {
    let _alone = alone();
    let tree = FakeTree::legacy(&["memory", "cpuset"]);
    tree.write("memory/a", "memory.usage_in_bytes", "4096\n");
    tree.write("cpuset/a", "cpuset.effective_cpus", "0-3\n");
    tree.write("cpuset/a", "cpuset.effective_mems", "0\n");
    let mut sampler = sampler(tree.settings());
    assert_eq!(number(&sampler.pass(), "/a", Field::CpusetCpus), Some(4));
    // Another directory in its place, made first so that it cannot get the old one's inode.
    tree.write("cpuset/other", "cpuset.effective_cpus", "0\n");
    fs::remove_dir_all(tree.cgroups().join("cpuset/a")).expect("removed");
    fs::rename(tree.cgroups().join("cpuset/other"), tree.cgroups().join("cpuset/a")).expect("in its place");
    let snapshot = sampler.pass();
    assert_eq!(number(&snapshot, "/a", Field::CpusetCpus), Some(1));
    assert_eq!(number(&snapshot, "/a", Field::CpusetMems), None);
    assert_eq!(number(&snapshot, "/a", Field::MemoryCurrent), Some(4096));
}

/// The first hierarchy of the layout that has a cgroup gives its id, whichever it was found in first.
#[test]
fn a_cgroup_takes_its_id_from_the_first_hierarchy_that_has_it() {
    let _alone = alone();
    let tree = FakeTree::legacy(&["memory", "pids"]);
    let mut sampler = sampler(tree.settings());
    let mut id = || sampler.pass().find(b"/a").map(|cgroup| (cgroup.identity.id, cgroup.rank));
    tree.write("pids/a", "pids.current", "1\n");
    let (first, rank) = id().expect("a cgroup");
    assert_eq!(first, tree.id("pids/a"));
    tree.write("memory/a", "memory.usage_in_bytes", "1\n");
    assert_eq!(id(), Some((tree.id("memory/a"), rank)), "it is the same cgroup");
    fs::remove_dir_all(tree.cgroups().join("memory/a")).expect("removed");
    id();
    assert_eq!(id(), Some((first, rank)));
}

/// What two hierarchies can tell is told by the other one as soon as one is left, however slow the collector's clock.
#[test]
fn what_the_other_hierarchy_tells_outlives_the_one_that_is_left() {
    let _alone = alone();
    let tree = FakeTree::legacy(&["memory", "pids"]);
    tree.write("memory/a", "cgroup.procs", "1\n2\n");
    tree.write("pids/a", "cgroup.procs", "1\n2\n3\n");
    let mut settings = tree.settings();
    settings.intervals[Collector::Core as usize] = Some(Duration::from_secs(3600));
    let mut sampler = sampler(settings);
    assert_eq!(number(&sampler.pass(), "/a", Field::Processes), Some(2));
    fs::remove_dir_all(tree.cgroups().join("memory/a")).expect("removed");
    sampler.pass();
    assert_eq!(number(&sampler.pass(), "/a", Field::Processes), Some(3));
}

/// `cgroup.pressure` takes the pressure files away and gives them back, whatever the collector's own clock.
#[test]
fn numbers_go_and_come_with_their_files_whatever_the_clock() {
    let _alone = alone();
    let group = TestGroup::within("toggled", |hierarchy| hierarchy.version == Version::V2);
    let switch = group.directory("unified").join("cgroup.pressure");
    if !switch.exists() {
        // Linux 6.1 and newer have it. Without it nothing can be switched.
        assert!(fs::write(&switch, "0").is_err());
        return;
    }
    let mut settings = Settings::default();
    settings.intervals[Collector::Pressure as usize] = Some(Duration::from_secs(3600));
    let mut sampler = sampler(settings);
    let mut shown = || number(&sampler.pass(), &group.path, Field::CpuSomeTotal).is_some();
    let had = shown();
    assert_eq!(had, fs::read(group.directory("unified").join("cpu.pressure")).is_ok());
    fs::write(&switch, "0").expect("off");
    assert!(!shown(), "the files are gone");
    fs::write(&switch, "1").expect("on");
    assert_eq!(shown(), had, "the files are back");
}

/// With one descriptor left a directory can be opened but no file in it: the limits come when there are more.
#[test]
fn limits_that_no_descriptor_was_left_for_are_read_when_there_is_one() {
    let _alone = alone();
    let tree = FakeTree::unified("memory");
    let settings = Settings { descriptors: Some(0), ..tree.settings() };
    let mut sampler = sampler(settings);
    sampler.pass();
    tree.write("late", "memory.current", "4096\n");
    tree.write("late", "memory.max", "8192\n");
    let next = u64::try_from(fs::File::open("/dev/null").expect("a device").as_raw_fd()).expect("a number");
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    // Listing a directory takes one, a file in an open directory two.
    setrlimit(Resource::RLIMIT_NOFILE, next + 1, hard).expect("lowered");
    let snapshot = sampler.pass();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("raised");
    assert_eq!(number(&snapshot, "/late", Field::MemoryCurrent), None);
    assert!(snapshot.find(b"/late").is_some(), "it is known");
    let snapshot = sampler.pass();
    assert_eq!(number(&snapshot, "/late", Field::MemoryCurrent), Some(4096));
    assert_eq!(limit(&snapshot, "/late", Control::MemoryMax), Some(Limit::Value(8192)));
}

/// A shorter interval counts from the reload on, not from when the longer one would have been over.
#[test]
fn a_shortened_interval_is_in_force_at_once() {
    let _alone = alone();
    let tree = FakeTree::unified("memory");
    tree.write("a", "memory.current", "1\n");
    let with = |seconds| {
        let mut settings = tree.settings();
        settings.intervals[Collector::Memory as usize] = Some(Duration::from_secs(seconds));
        settings
    };
    let mut sampler = sampler(with(3600));
    sampler.pass();
    tree.write("a", "memory.current", "2\n");
    assert_eq!(number(&sampler.pass(), "/a", Field::MemoryCurrent), Some(1), "the hour is not over");
    sampler.apply(with(10));
    assert_eq!(number(&sampler.pass(), "/a", Field::MemoryCurrent), Some(2));
}

/// A reload looks at everything anew, but no event was lost.
#[test]
fn a_reload_is_no_loss_of_events() {
    let _alone = alone();
    let mut sampler = sampler(Settings { watch: Some(WatchMethod::Inotify), ..Settings::default() });
    sampler.pass();
    let mut settings = Settings::default();
    settings.collectors.set(Collector::Rdma, false);
    sampler.apply(settings);
    assert_eq!(sampler.pass().report.rescans, 0);
}

/// A cgroup is removed from one hierarchy after the other, and a pass may come in between: its end has all its numbers.
#[test]
fn a_death_that_a_pass_interrupts_loses_nothing() {
    let _alone = alone();
    let tree = FakeTree::legacy(&["memory", "pids"]);
    tree.write("memory/a", "memory.usage_in_bytes", "4096\n");
    tree.write("pids/a", "pids.current", "3\n");
    let mut sampler = sampler(tree.settings());
    sampler.pass();
    fs::remove_dir_all(tree.cgroups().join("memory/a")).expect("removed");
    assert_eq!(number(&sampler.pass(), "/a", Field::PidsCurrent), Some(3));
    fs::remove_dir_all(tree.cgroups().join("pids/a")).expect("removed");
    let snapshot = sampler.pass();
    let dead = snapshot.dead.first().expect("it waits for a scrape");
    let last = [Field::MemoryCurrent, Field::PidsCurrent].map(|field| dead.readings.get(field));
    assert_eq!(last, [Some(4096), Some(3)]);
}

/// What a reload hides is hidden, also if it is dead and waits for a scrape.
#[test]
fn a_reload_hides_the_dead_too() {
    let _alone = alone();
    let tree = FakeTree::unified("memory");
    tree.write("a", "memory.current", "1\n");
    let mut sampler = sampler(tree.settings());
    sampler.pass();
    fs::remove_dir_all(tree.path("/a")).expect("removed");
    assert_eq!(sampler.pass().dead.len(), 1);
    let glob = |text| vec![PathGlob::parse(text).expect("a glob")];
    let filter = PathFilter::new(glob("/**"), glob("/a"), 32).expect("a filter");
    sampler.apply(Settings { filter, ..tree.settings() });
    let snapshot = sampler.pass();
    assert_eq!((snapshot.dead.len(), snapshot.report.deaths_unscraped), (0, 0));
}

/// A cgroup that ends just before a reload has its last numbers, although everything is read anew.
#[test]
fn a_death_just_before_a_reload_loses_nothing() {
    let _alone = alone();
    let tree = FakeTree::unified("memory pids");
    tree.write("a", "memory.current", "4096\n");
    tree.write("a", "memory.max", "8192\n");
    let mut sampler = sampler(tree.settings());
    sampler.pass();
    fs::remove_dir_all(tree.path("/a")).expect("removed");
    let mut settings = tree.settings();
    settings.collectors.set(Collector::Pids, false);
    sampler.apply(settings);
    let snapshot = sampler.pass();
    let dead = snapshot.dead.first().expect("it waits for a scrape");
    assert_eq!(dead.readings.get(Field::MemoryCurrent), Some(4096));
    assert_eq!(dead.controls.get(Control::MemoryMax), Some(Limit::Value(8192)));
}

/// A fault that is met while a notice is looked at is the next pass's, as any other.
#[test]
fn a_fault_between_two_passes_is_no_success() {
    let _alone = alone();
    let tree = FakeTree::unified("memory");
    for (method, name) in [(WatchMethod::Walk, "/walk"), (WatchMethod::Inotify, "/inotify")] {
        let mut sampler = sampler(Settings { watch: Some(method), ..tree.settings() });
        sampler.pass();
        // Filled elsewhere and then moved to where it is looked for: it is born with its bad file.
        let outside = tree.procfs().join("outside");
        fs::create_dir(&outside).expect("a directory");
        fs::write(outside.join("memory.max"), "a lot\n").expect("a file");
        fs::rename(&outside, tree.path(name)).expect("moved");
        let report = &sampler.pass().report;
        assert_eq!(report.collectors[Collector::Memory as usize].faults, 1, "{method:?}");
        assert_eq!(sampler.pass().report.collectors[Collector::Memory as usize].faults, 0, "{method:?}");
    }
}
