//! Trouble: files that fail in every way, cgroups that vanish, descriptors that run out, a flood of cgroups, wrong paths.
//! One bad file is one counted fault, and every other number stays right.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use stockade::model::{
    Cgroup, Collector, Column, Control, FaultKind, Field, Limit, RowKind, Snapshot, Version, parent_path,
};
use stockade::sample::{Sampler, Settings, carried};
use support::daemon::{BINARY, Daemon, run_to_end};
use support::fake::FakeTree;
use support::{TestGroup, eventually};

fn sampler(settings: Settings) -> Sampler {
    Sampler::new(settings, carried()).expect("a hierarchy")
}

fn find<'a>(snapshot: &'a Snapshot, path: &str) -> &'a Cgroup {
    snapshot.find(path.as_bytes()).unwrap_or_else(|| panic!("{path} is not in the snapshot"))
}

/// The faults counted so far, by file and kind.
fn faults(snapshot: &Snapshot) -> BTreeMap<(&'static str, FaultKind), u64> {
    snapshot.report.faults.iter().map(|row| ((row.source, row.kind), row.count)).collect()
}

fn successful(snapshot: &Snapshot, collector: Collector) -> bool {
    snapshot.report.collectors[collector as usize].faults == 0
}

/// The files of the fake tree's cgroups, good ones.
const GOOD: &[(&str, &str)] = &[
    ("cgroup.procs", "1\n2\n3\n"),
    ("cgroup.threads", "1\n2\n3\n4\n"),
    ("cgroup.events", "populated 1\nfrozen 0\n"),
    ("memory.current", "4096\n"),
    ("memory.stat", "anon 1024\ninactive_file 96\npgfault 7\n"),
    ("memory.max", "8192\n"),
    ("pids.current", "3\n"),
    ("pids.max", "max\n"),
    ("cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\n"),
    ("cpu.max", "50000 100000\n"),
    (
        "cpu.pressure",
        "some avg10=1.00 avg60=0.50 avg300=0.00 total=11\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=6\n",
    ),
    ("io.stat", "259:0 rbytes=9 wbytes=8 rios=7 wios=6 dbytes=0 dios=0\n"),
];

fn good_tree() -> FakeTree {
    let tree = FakeTree::unified("cpu io memory pids");
    for cgroup in ["bad", "good"] {
        for (file, content) in GOOD {
            tree.write(cgroup, file, content);
        }
    }
    // The host's files are the fake tree's own, and good.
    fs::write(tree.procfs().join("meminfo"), "MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 60 kB\nBuffers: 0 kB\nCached: 0 kB\nSwapCached: 0 kB\nActive: 0 kB\nInactive: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nDirty: 0 kB\nWriteback: 0 kB\nMapped: 0 kB\nSlab: 0 kB\nCommitted_AS: 0 kB\nVmallocTotal: 0 kB\nVmallocUsed: 0 kB\nVmallocChunk: 0 kB\n").expect("a file");
    tree
}

/// Every number of a cgroup of the good tree, by file, so that a test can say which ones are gone.
fn numbers(cgroup: &Cgroup) -> BTreeMap<&'static str, Vec<Option<u64>>> {
    let (readings, controls) = (&cgroup.readings, &cgroup.controls);
    let fields = |fields: &[Field]| fields.iter().map(|&field| readings.get(field)).collect::<Vec<_>>();
    let limit = |control| vec![controls.get(control).map(|limit| limit.value().unwrap_or(u64::MAX))];
    BTreeMap::from([
        ("cgroup.procs", fields(&[Field::Processes])),
        ("cgroup.threads", fields(&[Field::Threads])),
        ("cgroup.events", fields(&[Field::Populated, Field::Frozen])),
        ("memory.current", fields(&[Field::MemoryCurrent])),
        ("memory.stat", vec![readings.memory_stat("anon"), readings.memory_stat("inactive_file")]),
        ("memory.max", limit(Control::MemoryMax)),
        ("pids.current", fields(&[Field::PidsCurrent])),
        ("pids.max", limit(Control::PidsMax)),
        ("cpu.stat", fields(&[Field::CpuUsage, Field::CpuUser, Field::CpuSystem])),
        ("cpu.max", [limit(Control::CpuQuota), limit(Control::CpuPeriod)].concat()),
        ("cpu.pressure", fields(&[Field::CpuSomeTotal, Field::CpuFullTotal])),
        ("io.stat", vec![readings.rows(RowKind::IoStat).sum(Column::IoReadBytes)]),
    ])
}

/// A trouble that a file can be in.
enum Trouble {
    Content(Vec<u8>),
    Link(PathBuf),
    Directory,
}

/// One file in trouble: one fault of this kind, this file's numbers gone, all others right, the collector's success 0
/// or 1; and all good again when the file is.
fn check(file: &'static str, trouble: Trouble, kind: FaultKind) {
    let what = format!("{file} {kind:?}");
    let tree = good_tree();
    let mut sampler = sampler(tree.settings());
    let before = sampler.pass();
    assert_eq!(faults(&before), BTreeMap::new(), "{what}: the good tree has no faults");
    let good = numbers(find(&before, "/good"));
    assert!(good.values().flatten().all(Option::is_some), "{good:?}");
    drop(sampler);

    let in_place = matches!(trouble, Trouble::Content(_));
    match trouble {
        Trouble::Content(content) => tree.write("bad", file, content),
        Trouble::Link(to) => tree.link("bad", file, &to),
        Trouble::Directory => {
            tree.remove("bad", file);
            fs::create_dir(tree.file("bad", file)).expect("a directory");
        }
    }
    let mut sampler = self::sampler(tree.settings());
    let troubled = sampler.pass();
    let found = faults(&troubled);
    assert_eq!(found.keys().collect::<Vec<_>>(), [&(file, kind)], "{what}");
    assert_eq!(numbers(find(&troubled, "/good")), good, "{what}: the other cgroup");
    for (other, values) in numbers(find(&troubled, "/bad")) {
        if other == file {
            assert!(values.iter().all(Option::is_none), "{what}: {values:?}");
        } else if file != "cgroup.events" || !["cgroup.procs", "cgroup.threads"].contains(&other) {
            assert_eq!(values, good[other], "{what}: {other} of the same cgroup");
        }
    }
    let collector = collector_of(file);
    let is_control = ["memory.max", "pids.max", "cpu.max"].contains(&file);
    if !is_control {
        // Counted at birth, and again in the pass; a file that the kernel does not serve is not asked again.
        let again = sampler.pass();
        let more = faults(&again)[&(file, kind)] - found[&(file, kind)];
        let failure = !matches!(kind, FaultKind::Vanished | FaultKind::Unsupported);
        assert_eq!(more > 0, failure, "{what}: counted in each pass");
        assert_eq!(successful(&again, collector), !failure, "{what}");
        for &other in Collector::ALL.iter().filter(|&&other| other != collector) {
            assert!(successful(&again, other), "{what}: {other:?} met no fault");
        }
    }

    if !in_place {
        tree.remove("bad", file);
    }
    let content = GOOD.iter().find(|(name, _)| *name == file).expect("a good file").1;
    tree.write("bad", file, content);
    if is_control || kind == FaultKind::Unsupported {
        // Looked at again by who starts anew, on the slow clock, and when somebody writes.
        sampler = self::sampler(tree.settings());
    }
    let healed = sampler.pass();
    assert_eq!(numbers(find(&healed, "/bad")), good, "{what}: healed");
    assert!(successful(&sampler.pass(), collector), "{what}: success again");
}

fn collector_of(file: &str) -> Collector {
    match file.split('.').next() {
        _ if file == "memory.stat" => Collector::MemoryStat,
        _ if file.ends_with(".pressure") => Collector::Pressure,
        Some("cgroup") => Collector::Core,
        Some("memory") => Collector::Memory,
        Some("cpu") => Collector::Cpu,
        Some("io") => Collector::Io,
        _ => Collector::Pids,
    }
}

#[test]
fn an_input_error_is_one_files_fault() {
    for (file, _) in GOOD {
        check(file, Trouble::Link("/proc/self/mem".into()), FaultKind::Io);
    }
}

#[test]
fn a_directory_in_a_files_place_is_its_fault() {
    check("memory.current", Trouble::Directory, FaultKind::Io);
    check("memory.stat", Trouble::Directory, FaultKind::Io);
}

/// sysfs refuses to open what is write-only even for root.
#[test]
fn a_refused_file_is_one_files_fault() {
    let write_only = ["/sys/bus/cpu/drivers_probe", "/sys/bus/platform/drivers_probe"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .expect("a bus in sysfs");
    let error = fs::read(&write_only).expect_err("a write-only file");
    assert_eq!(error.raw_os_error(), Some(nix::libc::EACCES), "{}", write_only.display());
    for file in ["memory.current", "cgroup.procs", "cpu.pressure", "memory.max"] {
        check(file, Trouble::Link(write_only.clone()), FaultKind::Denied);
    }
}

#[test]
fn a_file_without_an_end_is_given_up() {
    check("memory.stat", Trouble::Link("/dev/zero".into()), FaultKind::TooLong);
    check("cgroup.procs", Trouble::Link("/dev/zero".into()), FaultKind::TooLong);
}

#[test]
fn malformed_texts_are_their_files_fault() {
    let cases: &[(&'static str, &[u8])] = &[
        ("memory.current", b""),
        ("memory.current", b"\n"),
        ("memory.current", b"4096 4096\n"),
        ("memory.current", b"-1\n"),
        ("memory.current", b"99999999999999999999999\n"),
        ("memory.current", b"\xff\xfe\x00\n"),
        ("memory.current", b"max\n"),
        ("memory.stat", b"anon\n"),
        ("memory.stat", b"anon 10"),
        ("memory.stat", b"anon 1024\ninactive_fi"),
        ("memory.stat", b"anon 1024\ninactive_file \n"),
        ("memory.stat", b"anon one\n"),
        ("memory.stat", b"anon 1\n\xff\xfe\n"),
        ("memory.stat", b"anon 1 2\n"),
        ("cgroup.events", b"populated\n"),
        ("cgroup.events", b"populated yes\n"),
        ("cpu.stat", b"usage_usec \n"),
        ("cpu.stat", b"usage_usec 5\nuser_us"),
        ("cpu.pressure", b"some avg10=1.00 avg60=0.50 avg300=0.00 tot"),
        ("cpu.pressure", b"some\n"),
        ("cpu.pressure", b"\xff\n"),
        ("io.stat", b"259:0 rbytes=x\n"),
        ("io.stat", b"259:0 rbytes=18446744073709551616\n"),
        ("memory.max", b"maximum\n"),
        ("memory.max", b""),
        ("pids.max", b"\xff"),
        ("cpu.max", b"50000\n"),
        ("cpu.max", b"50000 \n"),
    ];
    for &(file, content) in cases {
        if (file, content) == ("memory.stat", b"anon 10") {
            // The last line of a text may lack its end: nothing says that digits are missing.
            continue;
        }
        eprintln!("{file} {:?}", String::from_utf8_lossy(content));
        check(file, Trouble::Content(content.to_vec()), FaultKind::Malformed);
    }
}

/// A real cgroup that is threaded: the kernel gives EOPNOTSUPP for its `cgroup.procs`.
#[test]
fn a_file_that_the_kernel_does_not_serve_is_absent_and_no_failure() {
    let mut group = TestGroup::within("threaded", |hierarchy| hierarchy.version == Version::V2);
    let child = group.child("threads");
    let pid = group.run("", "exec sleep 600");
    let directory = group.directory("unified").join("threads");
    eventually("the sleeper is in the group", || {
        let procs = fs::read_to_string(group.directory("unified").join("cgroup.procs")).ok()?;
        procs.lines().any(|line| line == pid.to_string()).then_some(())
    });
    fs::write(directory.join("cgroup.type"), "threaded").expect("a threaded cgroup");
    fs::write(directory.join("cgroup.threads"), pid.to_string()).expect("its thread moves");
    let error = fs::read(directory.join("cgroup.procs")).expect_err("not served");
    assert_eq!(error.raw_os_error(), Some(nix::libc::EOPNOTSUPP));

    let mut sampler = sampler(Settings::default());
    let snapshot = sampler.pass();
    let threaded = find(&snapshot, &child);
    assert_eq!(threaded.readings.get(Field::Processes), None);
    assert_eq!(threaded.readings.get(Field::Threads), Some(1));
    assert!(faults(&snapshot)[&("cgroup.procs", FaultKind::Unsupported)] >= 1);
    assert!(successful(&sampler.pass(), Collector::Core));
}

/// A held descriptor of a cgroup that was removed gives ENODEV.
#[test]
fn a_file_whose_cgroup_was_removed_has_vanished() {
    let group = TestGroup::within("enodev", |hierarchy| hierarchy.serves("pids"));
    group.child("x");
    let tree = good_tree();
    tree.link("bad", "pids.current", &group.directory("pids").join("x/pids.current"));
    let mut sampler = sampler(tree.settings());
    let before = sampler.pass();
    assert_eq!(find(&before, "/bad").readings.get(Field::PidsCurrent), Some(0));
    group.remove_child("x");
    let after = sampler.pass();
    assert_eq!(faults(&after), BTreeMap::from([(("pids.current", FaultKind::Vanished), 1)]));
    assert_eq!(find(&after, "/bad").readings.get(Field::PidsCurrent), None);
    assert_eq!(find(&after, "/bad").readings.get(Field::MemoryCurrent), Some(4096));
    assert!(successful(&after, Collector::Pids), "what ends is no failure");
}

#[test]
fn the_hosts_files_fail_one_by_one() {
    let tree = good_tree();
    let pressure = tree.procfs().join("pressure");
    fs::create_dir(&pressure).expect("a directory");
    let good = "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
    for (file, content) in [("cpu", good), ("memory", "some nonsense\n"), ("io", good)] {
        fs::write(pressure.join(file), content).expect("a file");
    }
    std::os::unix::fs::symlink("/proc/self/mem", pressure.join("irq")).expect("a link");
    fs::remove_file(tree.procfs().join("meminfo")).expect("the file");
    let mut sampler = sampler(tree.settings());
    let snapshot = sampler.pass();
    let host = &snapshot.host.pressure;
    assert_eq!((host.get(Field::CpuSomeTotal), host.get(Field::IoSomeTotal)), (Some(7000), Some(7000)));
    assert_eq!((host.get(Field::MemorySomeTotal), host.get(Field::IrqFullTotal)), (None, None));
    assert_eq!(
        faults(&snapshot),
        BTreeMap::from([
            (("meminfo", FaultKind::Vanished), 1),
            (("pressure/irq", FaultKind::Io), 1),
            (("pressure/memory", FaultKind::Malformed), 1),
        ])
    );
    assert_eq!(numbers(find(&snapshot, "/bad")), numbers(find(&snapshot, "/good")));
    assert!(!successful(&snapshot, Collector::Host) && successful(&snapshot, Collector::Pressure));
}

/// Groups come and go, in every hierarchy, while passes run: nothing panics, what lives long stays right, and what
/// goes is no fault but `vanished`.
#[test]
fn cgroups_that_vanish_in_the_middle_of_a_pass_disturb_nobody() {
    let mut group = TestGroup::everywhere("vanishing");
    let steady = group.child("steady");
    fs::write(group.directory("pids").join("steady/pids.max"), "4321").expect("a limit");
    group.run("steady", "exec sleep 600");
    let stop = AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        let (group, stop) = (&group, &stop);
        let makers: Vec<_> = (0..2)
            .map(|maker| {
                scope.spawn(move || {
                    let mut made = 0u64;
                    while !stop.load(Ordering::Relaxed) {
                        let name = format!("brief-{maker}-{}", made % 3);
                        group.child(&name);
                        group.child(&format!("{name}/below"));
                        group.remove_child(&format!("{name}/below"));
                        group.remove_child(&name);
                        made += 1;
                    }
                    made
                })
            })
            .collect();
        let passes = std::panic::catch_unwind(|| {
            for settings in [
                Settings::default(),
                // The openat mode, and the walk, are other ways through the same code.
                Settings { descriptors: Some(0), ..Settings::default() },
                Settings { watch: Some(stockade::model::WatchMethod::Walk), ..Settings::default() },
            ] {
                let mut sampler = sampler(settings);
                let mut born = 0;
                eventually("the cgroups that come and go are met", || {
                    let snapshot = sampler.pass();
                    // Each once, in order, under its parent: also in the snapshot of a pass that buried some.
                    assert!(snapshot.cgroups.is_sorted_by(|a, b| a.identity.path < b.identity.path));
                    for cgroup in &snapshot.cgroups {
                        let parent = snapshot.parent(cgroup).map(|parent| &*parent.identity.path);
                        if let Some(parent) = parent {
                            assert_eq!(Some(parent), parent_path(&cgroup.identity.path));
                        }
                    }
                    let found = find(&snapshot, &steady);
                    assert_eq!(found.controls.get(Control::PidsMax), Some(Limit::Value(4321)));
                    assert!(found.readings.get(Field::PidsCurrent).is_some());
                    assert!(found.readings.get(Field::CpuUsage).is_some());
                    let ours = |cgroup: &&Cgroup| cgroup.identity.display.contains("/brief-");
                    born += snapshot.cgroups.iter().filter(ours).count();
                    for row in &snapshot.report.faults {
                        let expected = [FaultKind::Vanished, FaultKind::Unsupported].contains(&row.kind);
                        assert!(expected, "{row:?}");
                    }
                    assert!(successful(&snapshot, Collector::Memory));
                    (born > 20 && snapshot.report.deaths > 20).then_some(())
                });
            }
        });
        stop.store(true, Ordering::Relaxed);
        let made: u64 = makers.into_iter().map(|maker| maker.join().expect("a maker")).sum();
        passes.map_or_else(|panic| std::panic::resume_unwind(panic), |()| made)
    });
    assert!(made > 0);
    let snapshot = sampler(Settings::default()).pass();
    let left = |cgroup: &&Cgroup| cgroup.identity.display.starts_with(&*group.path);
    assert_eq!(snapshot.cgroups.iter().filter(left).count(), 2, "the group and the steady one");
}

/// With hardly any descriptors nothing is held, and everything is still read; when even those run out, it is counted,
/// and all is well again afterwards.
#[test]
fn a_full_descriptor_table_is_lived_through() {
    let group = TestGroup::everywhere("descriptors");
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("stockade.yaml");
    fs::write(&config, "collect: {interval: 200ms}\n").expect("a file");
    // util-linux's prlimit sets the limit on itself and becomes the program.
    let mut command = Command::new("prlimit");
    command
        .args(["--nofile=64:64", BINARY, "serve", "--web.listen-address", "127.0.0.1:0", "--config"])
        .arg(&config);
    let daemon = Daemon::from_command(command);
    let own = daemon.own();
    assert_eq!(own.get("stockade_descriptors_budget"), Some(0.0));
    assert_eq!(own.get("stockade_descriptors_held"), Some(0.0));
    assert_eq!(own.get("process_max_fds"), Some(64.0));
    assert!(daemon.metrics().of("cgroup_pids_current", &group.path).is_some());

    // Clients take every descriptor that is left.
    let clients: Vec<TcpStream> = (0..100).map_while(|_| TcpStream::connect(daemon.address).ok()).collect();
    eventually("the table is full", || {
        (fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("our child").count() >= 64).then_some(())
    });
    let late = group.child("late");
    // A few passes go by in which nothing can be opened. Nobody can ask the daemon now, so its log tells.
    eventually("the fault is logged", || daemon.log().contains("kind=\"descriptors\"").then_some(()));
    drop(clients);
    eventually("what was born meanwhile is found", || {
        daemon.metrics().of("cgroup_pids_current", &late).map(drop)
    });
    let metrics = daemon.metrics();
    assert!(metrics.sum("stockade_read_faults_total", "kind=\"descriptors\"") > 0.0);
    assert!(metrics.of("cgroup_pids_current", &group.path).is_some());
    eventually("every collector succeeds again", || {
        let own = daemon.own();
        let failed = own
            .0
            .iter()
            .any(|(series, &value)| series.starts_with("stockade_collector_success") && value == 0.0);
        (!failed).then_some(())
    });
}

#[test]
fn wrong_paths_are_errors_that_say_what_to_do() {
    let empty = tempfile::tempdir().expect("a directory");
    let empty = empty.path().to_str().expect("a path of ours");
    for (flag, value) in [
        ("--path.cgroupfs", "/nowhere/at/all"),
        ("--path.cgroupfs", empty),
        ("--path.cgroupfs", "/etc/passwd"),
        ("--path.procfs", "/nowhere/at/all"),
        ("--path.procfs", empty),
    ] {
        let output = run_to_end(&["serve", "--web.listen-address", "127.0.0.1:0", flag, value]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flag} {value}: {error}");
        assert!(error.contains(flag) && error.contains(value), "{flag} {value}: {error}");
    }
}

/// What the daemon says it holds in memory, in MiB.
fn resident(daemon: &Daemon) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("our child");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// How many live cgroups the newest pass found: cheap to ask, however many there are.
fn live(daemon: &Daemon) -> usize {
    let status: serde_json::Value = serde_json::from_slice(&daemon.get("/api/v1/status").body).expect("JSON");
    status["sample"]["cgroups"].as_u64().and_then(|count| count.try_into().ok()).expect("a count")
}

/// One user makes 20,000 cgroups at once, most of them nested.
#[test]
fn twenty_thousand_cgroups_at_once_are_lived_through() {
    const PARENTS: usize = 200;
    const EACH: usize = 99;
    const SERIES: f64 = 20_000.0;
    let mut long_lived = TestGroup::everywhere("elder");
    long_lived.run("", "exec sleep 600");
    fs::write(long_lived.directory("pids").join("pids.max"), "99").expect("a limit");
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("stockade.yaml");
    fs::write(&config, format!("collect: {{interval: 1s, max_series: {SERIES}, linger: 0s}}\n"))
        .expect("a file");
    let daemon = Daemon::configured(&config, &["--no-collector.pressure"]);
    let (memory_before, live_before) = (resident(&daemon), live(&daemon));

    let flood = TestGroup::within("flood", |hierarchy| hierarchy.version == Version::V2);
    let root = flood.directory("unified");
    for parent in 0..PARENTS {
        let parent = root.join(format!("p{parent}"));
        fs::create_dir(&parent).expect("a cgroup");
        (0..EACH).for_each(|child| fs::create_dir(parent.join(format!("c{child}"))).expect("a cgroup"));
    }
    let made = PARENTS * (EACH + 1);
    let elder_is_right = || {
        let metrics = daemon.metrics();
        assert_eq!(metrics.of("cgroup_pids_limit", &long_lived.path), Some(99.0));
        assert_eq!(metrics.of("cgroup_pids_current", &long_lived.path), Some(1.0));
        let series = metrics.0.keys().filter(|series| series.starts_with("cgroup_")).count();
        assert_eq!(metrics.get("stockade_series"), Some(series as f64));
        assert!(series as f64 <= SERIES, "{series}");
        metrics
    };
    // In the middle of it, and when all of it is there.
    elder_is_right();
    eventually("the flood is seen", || (live(&daemon) >= made).then_some(()));
    let metrics = elder_is_right();
    assert!(metrics.get("stockade_series_dropped") > Some(0.0));
    let flooded = resident(&daemon);
    assert!(flooded < 512.0, "{flooded} MiB");

    drop(flood);
    elder_is_right();
    // Other tests make and remove some of their own meanwhile.
    eventually("all of it is gone", || (live(&daemon) < live_before + 1000).then_some(()));
    let metrics = elder_is_right();
    assert_eq!(metrics.get("stockade_series_dropped"), Some(0.0));
    assert_eq!(metrics.sum("stockade_read_faults_total", "kind=\"malformed\""), 0.0);
    println!(
        "resident memory: {memory_before:.0} MiB before, {flooded:.0} MiB with {made} cgroups more, {:.0} MiB after",
        resident(&daemon)
    );
}

#[test]
fn a_fake_tree_is_served_by_the_binary_too() {
    let tree = good_tree();
    let cgroups = tree.cgroups();
    let procfs = tree.procfs();
    let text = |path: &Path| path.to_str().expect("a path of ours").to_owned();
    let daemon = Daemon::start(&["--path.cgroupfs", &text(&cgroups), "--path.procfs", &text(&procfs)]);
    let metrics = daemon.metrics();
    // A fanotify mark there would tell of everything on the disk.
    assert_eq!(metrics.get("stockade_watch_method{method=\"fanotify\"}"), Some(0.0));
    assert_eq!(metrics.of("cgroup_memory_current_bytes", "/good"), Some(4096.0));
    assert_eq!(metrics.get("host_memory_available_bytes"), Some(61_440.0));
    assert_eq!(metrics.of("cgroup_pids_limit", "/good"), None, "max is no series");
}
