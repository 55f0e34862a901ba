//! The sampler on this host's own kernel: what a snapshot says against what the kernel's files say.

mod support;

use std::fs;
use std::sync::Arc;

use stockade::model::{Cgroup, Control, Field, Limit, Snapshot, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};
use support::fake::FakeTree;
use support::{TestGroup, eventually, inode};

/// The tests of this file run side by side in one process: none may take all the descriptors, however many cgroups the
/// host has.
fn settings() -> Settings {
    Settings { descriptors: Some(1000), ..Settings::default() }
}

fn sampler() -> Sampler {
    Sampler::new(settings(), carried()).expect("a host with cgroups")
}

fn find<'a>(snapshot: &'a Snapshot, path: &str) -> &'a Cgroup {
    snapshot.find(path.as_bytes()).unwrap_or_else(|| panic!("{path} is not in the snapshot"))
}

fn file(group: &TestGroup, controller: &str, name: &str) -> String {
    let path = group.directory(controller).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_directory_of_every_hierarchy_is_found() {
    let group = TestGroup::everywhere("found");
    group.child("a");
    let snapshot = sampler().pass();
    for path in ["/".to_owned(), group.path.clone(), format!("{}/a", group.path)] {
        find(&snapshot, &path);
    }
    let child = find(&snapshot, &format!("{}/a", group.path));
    assert_eq!(snapshot.parent(child).map(|parent| &*parent.identity.display), Some(&*group.path));
    assert!(snapshot.cgroups.is_sorted_by(|a, b| a.identity.path < b.identity.path));
}

#[test]
fn memory_agrees_with_the_kernels_files() {
    let mut group = TestGroup::everywhere("memory");
    let pid = group.run("", "dd if=/dev/zero of=/dev/null bs=32M count=1 2>/dev/null; exec sleep 600");
    let mut sampler = sampler();
    let snapshot = eventually("the group has used its memory", || {
        let snapshot = sampler.pass();
        let readings = &find(&snapshot, &group.path).readings;
        // dd has ended as well, so that the number of processes is the last one.
        let done = readings.get(Field::MemoryPeak)? > 33_554_432 && readings.get(Field::Processes) == Some(1);
        done.then_some(snapshot)
    });
    let cgroup = find(&snapshot, &group.path);
    let peak = ["memory.peak", "memory.max_usage_in_bytes"]
        .iter()
        .find_map(|name| fs::read_to_string(group.directory("memory").join(name)).ok())
        .expect("a peak");
    assert!(cgroup.readings.get(Field::MemoryPeak) <= Some(peak.trim().parse().expect("a number")));
    assert_eq!(
        cgroup.readings.get(Field::Processes),
        Some(file(&group, "unified", "cgroup.procs").lines().count() as u64)
    );
    assert!(file(&group, "unified", "cgroup.procs").lines().any(|line| line == pid.to_string()));
    assert_eq!(cgroup.readings.get(Field::Populated), Some(1));
    assert!(cgroup.readings.memory_stat("anon").is_some());
}

#[test]
fn a_limit_is_told_and_bounds_its_descendants() {
    let group = TestGroup::everywhere("limit");
    group.child("below");
    let name = if group.directory("memory").join("memory.max").exists() {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    fs::write(group.directory("memory").join(name), "50000000").expect("a limit");
    let expected: u64 = file(&group, "memory", name).trim().parse().expect("a number");
    let snapshot = sampler().pass();
    let own = find(&snapshot, &group.path);
    assert_eq!(own.controls.get(Control::MemoryMax), Some(Limit::Value(expected)));
    let below = find(&snapshot, &format!("{}/below", group.path));
    assert_eq!(below.controls.get(Control::MemoryMax), Some(Limit::Max));
    assert_eq!(below.readings.get(Field::MemoryEffectiveMax), Some(expected));
    assert!(below.readings.get(Field::MemoryHeadroomMax) <= Some(expected));
}

#[test]
fn a_recreated_path_is_a_new_cgroup_and_the_dead_ones_numbers_stay() {
    let mut group = TestGroup::everywhere("again");
    let path = group.child("x");
    let carried = carried();
    let mut sampler = Sampler::new(settings(), carried.clone()).expect("a host with cgroups");
    let pid = group.run("x", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    assert_eq!(group.wait(pid), 0);
    let before = sampler.pass();
    let old = find(&before, &path);
    let (old_id, usage) = (old.identity.id, old.readings.get(Field::CpuUsage));
    assert!(usage > Some(0));

    group.remove_child("x");
    group.child("x");
    let after = sampler.pass();
    let new = find(&after, &path);
    assert_ne!(new.identity.id, old_id);
    assert_eq!(new.identity.id, inode(&group.directory("unified").join("x")));
    assert_eq!(new.readings.get(Field::CpuUsage), Some(0));
    let dead =
        |snapshot: &Snapshot| snapshot.dead.iter().find(|dead| *dead.identity.display == *path).cloned();
    let waiting = dead(&after).expect("its last numbers wait for a scrape");
    assert_eq!(waiting.readings.get(Field::CpuUsage), usage);

    carried.add(&[waiting.rank]);
    assert!(dead(&sampler.pass()).is_none());
}

/// Whoever makes a cgroup makes it in one hierarchy after the other, and what is below it may be seen there first.
#[test]
fn a_parent_that_comes_to_a_hierarchy_after_its_child_was_seen_there_ends_nobody() {
    let tree = FakeTree::legacy(&["memory", "pids"]);
    let usage = |path: &str, bytes| tree.write(path, "memory.usage_in_bytes", bytes);
    usage("memory", "1");
    let watched = Settings { watch: Some(WatchMethod::Inotify), ..tree.settings() };
    let mut sampler = Sampler::new(watched, carried()).expect("a tree");
    sampler.pass();
    tree.group("/pids/top", &[]);
    sampler.pass();

    // What is noticed: the child in pids, which is then found in memory too, and only then the parent in memory.
    tree.group("/pids/top/child", &[]);
    usage("memory/top", "2");
    usage("memory/top/child", "3");
    let born = sampler.pass();
    let child = find(&born, "/top/child");
    assert_eq!(child.identity.id, tree.id("/memory/top/child"));
    assert_eq!(child.readings.get(Field::MemoryCurrent), Some(3));
    assert!(born.dead.is_empty(), "{:?} did not end", born.dead[0].identity);
    assert_eq!((born.report.births, born.report.deaths), (3, 0));
    usage("memory/top/child", "4");
    assert_eq!(find(&sampler.pass(), "/top/child").readings.get(Field::MemoryCurrent), Some(4));
}

#[test]
fn a_snapshot_is_never_changed_once_it_is_out() {
    let group = TestGroup::everywhere("frozen-data");
    let mut sampler = sampler();
    let first = sampler.pass();
    let (sequence, cgroups) = (first.sequence, first.cgroups.len());
    group.child("late");
    let later: Vec<Arc<Snapshot>> = (0..4).map(|_| sampler.pass()).collect();
    assert_eq!((first.sequence, first.cgroups.len()), (sequence, cgroups));
    assert_eq!(
        later.iter().map(|s| s.sequence).collect::<Vec<_>>(),
        [sequence + 1, sequence + 2, sequence + 3, sequence + 4]
    );
}
