//! Births and deaths as fast as this host gives them, while what lives long stays right.

mod support;

use std::collections::VecDeque;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use stockade::model::Version;
use support::daemon::{Daemon, Exposition};
use support::{TestGroup, eventually};

const LONG_LIVED: u32 = 20;
const LIVES: u32 = 6000;
/// How many of a maker's groups live at once.
const AT_ONCE: usize = 100;

/// CPU time in seconds, as the kernel's own file says.
fn kernels_usage(group: &TestGroup, child: &str) -> f64 {
    let stat = group.directory("unified").join(child).join("cpu.stat");
    let text = fs::read_to_string(stat).expect("a long-lived group");
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).expect("a usage");
    usage.parse::<f64>().expect("a number") / 1e6
}

/// Descriptors that are open for something else than a cgroup's file.
fn unheld(own: &Exposition) -> f64 {
    let told = |series| own.get(series).expect("it is always told");
    told("process_open_fds") - told("stockade_descriptors_held")
}

#[test]
fn births_and_deaths_leave_the_long_lived_right() {
    let mut group = TestGroup::everywhere("churn");
    for number in 1..=LONG_LIVED {
        let child = format!("steady-{number}");
        group.child(&child);
        let limit = group.directory("pids").join(&child).join("pids.max");
        fs::write(limit, (1000 + number).to_string()).expect("a limit");
        // One that works, the others rest.
        group.run(&child, if number == 1 { "while :; do :; done" } else { "exec sleep 600" });
    }
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("stockade.yaml");
    fs::write(&config, "collect: {interval: 500ms, linger: 0s}\n").expect("a file");
    let daemon = Daemon::configured(&config, &[]);
    let path = |number: u32| format!("{}/steady-{number}", group.path);
    eventually("the long-lived are there and at work", || {
        let metrics = daemon.metrics();
        (1..=LONG_LIVED)
            .all(|number| metrics.of("cgroup_pids_current", &path(number)) == Some(1.0))
            .then_some(())
    });
    let before = daemon.own();
    let births = |own: &Exposition| own.sum("stockade_cgroup_births_total", "");

    // In two controllers' hierarchies, as far as they are two: what comes in one alone is a birth too.
    let flood =
        TestGroup::within("brief", |hierarchy| hierarchy.version == Version::V2 || hierarchy.serves("pids"));
    let mut used = 0.0;
    let mut rounds = 0;
    let mut check = || {
        let metrics = daemon.metrics();
        for number in 1..=LONG_LIVED {
            let path = path(number);
            let limit = metrics.of("cgroup_pids_limit", &path);
            assert_eq!(limit, Some(f64::from(1000 + number)), "{path}");
            assert_eq!(metrics.of("cgroup_pids_current", &path), Some(1.0), "{path}");
            assert_eq!(metrics.of("cgroup_populated", &path), Some(1.0), "{path}");
            let usage = metrics.of("cgroup_cpu_usage_seconds_total", &path);
            let kernels = kernels_usage(&group, &format!("steady-{number}"));
            assert!(usage.is_some_and(|usage| usage <= kernels + 1e-9), "{path}: {usage:?} of {kernels}");
            if number == 1 {
                assert!(usage >= Some(used), "{path}: {usage:?} after {used}");
                used = usage.unwrap_or(used);
            }
        }
        rounds += 1;
        used
    };
    let began = Instant::now();
    let stop = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..2)
            .map(|maker| {
                let (flood, stop) = (&flood, &stop);
                scope.spawn(move || {
                    let mut alive = VecDeque::new();
                    for number in 0..LIVES / 2 {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let name = format!("{maker}-{number}");
                        flood.child(&name);
                        alive.push_back(name);
                        if alive.len() > AT_ONCE
                            && let Some(oldest) = alive.pop_front()
                        {
                            flood.remove_child(&oldest);
                        }
                    }
                    alive.iter().for_each(|name| flood.remove_child(name));
                })
            })
            .collect();
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while makers.iter().any(|maker| !maker.is_finished()) {
                check();
            }
        }));
        stop.store(true, Ordering::Relaxed);
        makers.into_iter().for_each(|maker| maker.join().expect("a maker"));
        let took = began.elapsed().as_secs_f64();
        checked.map_or_else(|panic| std::panic::resume_unwind(panic), |()| took)
    });
    let used_by_then = check();
    eventually("none of the brief is left", || {
        (!daemon.metrics().0.keys().any(|series| series.contains(&format!("\"{}/", flood.path))))
            .then_some(())
    });
    eventually("the working one is seen to go on", || {
        let now = daemon.metrics().of("cgroup_cpu_usage_seconds_total", &path(1));
        (now > Some(used_by_then)).then_some(())
    });
    check();
    eventually("no descriptor has leaked, and each that is held is counted", || {
        (unheld(&daemon.own()) <= unheld(&before)).then_some(())
    });
    let own = daemon.own();
    assert!(births(&own) > births(&before));
    assert_eq!(own.sum("stockade_read_faults_total", "kind=\"malformed\""), 0.0);
    println!(
        "{:.0} births and as many deaths a second, {:.0} of {LIVES} seen alive, {rounds} times looked at",
        f64::from(LIVES) / took,
        births(&own) - births(&before)
    );
}
