//! Death loses nothing: a cgroup is sampled at its end, and its last numbers stay until a scrape has carried them.
//!
//! The daemon's own clock is set to an hour, so that a pass happens only when a test asks for one (SIGHUP).

mod support;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::AT_FDCWD;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use nix::sys::signal::Signal;
use stockade::model::Version;
use stockade::sample::{Sampler, Settings, carried};
use support::daemon::{Daemon, Exposition};
use support::{TestGroup, eventually};

const USAGE: &str = "cgroup_cpu_usage_seconds_total";
/// A scrape with a filter: it shows the dead and carries nobody.
const FILTERED: &str = "?collect[]=cpu";

struct Scene {
    group: TestGroup,
    daemon: Daemon,
    directory: tempfile::TempDir,
}

impl Scene {
    fn new(name: &str, config: &str) -> Self {
        let group = TestGroup::everywhere(name);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("stockade.yaml");
        fs::write(&file, config).expect("a file");
        let daemon = Daemon::configured(&file, &[]);
        assert!(
            daemon.own().get("stockade_watch_method{method=\"walk\"}") == Some(0.0),
            "births are noticed"
        );
        Self { group, daemon, directory }
    }

    /// Hears of each reading of a child's `cpu.stat`, with the reader.
    fn ear(&self, child: &str) -> Fanotify {
        let ear = Fanotify::init(InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_NONBLOCK, EventFFlags::O_RDONLY)
            .expect("tests run as root");
        let file = self.group.directory("unified").join(child).join("cpu.stat");
        ear.mark(MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_ACCESS, AT_FDCWD, Some(&file)).expect("a mark");
        ear
    }

    /// Waits until the daemon has read that file. Others on this host may read it too: they are not waited for.
    fn until_heard(&self, ear: &Fanotify) {
        let daemon = i32::try_from(self.daemon.pid()).expect("a pid");
        eventually("the daemon reads what it was given notice of", || {
            let events = ear.read_events().unwrap_or_default();
            events.iter().any(|event| event.pid() == daemon).then_some(())
        });
    }

    /// A process lives, uses CPU and ends in the child; gives the CPU time that the kernel's file tells in the end.
    fn live_and_end(&mut self, child: &str, rounds: u32) -> f64 {
        let gate: PathBuf = self.directory.path().join(format!("gate-{child}"));
        let _ = fs::remove_file(&gate);
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        let burn = format!("i=0; while [ $i -lt {rounds} ]; do i=$((i+1)); done");
        let pid = self.group.run(child, &format!("{burn}; read word < '{}'", gate.display()));
        // Opens when the other side does: when the work is done.
        let mut release = fs::OpenOptions::new().write(true).open(&gate).expect("the fifo");
        let ear = self.ear(child);
        release.write_all(b"go\n").expect("the word");
        assert_eq!(self.group.wait(pid), 0);
        // The kernel's notice makes it read every file, not only the one that changed.
        self.until_heard(&ear);
        self.kernels_usage(child)
    }

    /// What the kernel's file says, in seconds.
    fn kernels_usage(&self, child: &str) -> f64 {
        let stat = self.group.directory("unified").join(child).join("cpu.stat");
        let text = fs::read_to_string(stat).expect("it is still there");
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).expect("a usage");
        usage.parse::<f64>().expect("a number") / 1e6
    }

    fn usage(&self, path: &str, query: &str) -> Option<f64> {
        self.daemon.metrics_with(query, &[]).of(USAGE, path)
    }
}

/// What a task uses after it has left its cgroup, on its way out, is charged after the notice.
fn is_final(shown: Option<f64>, used: f64) -> bool {
    shown.is_some_and(|shown| shown <= used + 1e-9 && shown > used - 0.02)
}

#[test]
fn a_short_life_between_two_passes_shows_its_last_numbers_until_they_are_carried() {
    let mut scene = Scene::new("short", "collect: {interval: 1h}\n");
    let path = scene.group.child("job");
    let used = scene.live_and_end("job", 200_000);
    assert!(used > 0.05, "it used the CPU: {used}");
    scene.group.remove_child("job");
    scene.daemon.reload();

    // Neither a filtered scrape nor a HEAD carries it, however many passes follow.
    for _ in 0..2 {
        let shown = scene.usage(&path, FILTERED);
        assert!(is_final(shown, used), "{shown:?} of {used}");
        assert_eq!(scene.daemon.request("HEAD", "/metrics", &[]).status, 200);
        scene.daemon.reload();
    }
    assert!(is_final(scene.usage(&path, ""), used), "the scrape that carries it");
    eventually("the pass after the scrape lets it go", || {
        scene.daemon.reload();
        scene.usage(&path, FILTERED).is_none().then_some(())
    });
    assert!(!scene.daemon.metrics().shows(&path));
}

/// Both notices of a very short life, populated and not, can merge into one before they are read.
#[test]
fn a_life_that_was_never_seen_populated_shows_its_last_numbers() {
    let mut scene = Scene::new("unseen", "collect: {interval: 1h}\n");
    let path = scene.group.child("job");
    scene.daemon.reload();
    assert_eq!(scene.usage(&path, FILTERED), Some(0.0), "it is known, and empty");
    scene.daemon.signal(Signal::SIGSTOP);
    eventually("the daemon is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", scene.daemon.pid())).ok()?;
        stat.contains(" T ").then_some(())
    });
    let pid = scene.group.run("job", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    assert_eq!(scene.group.wait(pid), 0);
    let ear = scene.ear("job");
    scene.daemon.signal(Signal::SIGCONT);
    scene.until_heard(&ear);
    let used = scene.kernels_usage("job");
    scene.group.remove_child("job");
    scene.daemon.reload();
    let shown = scene.usage(&path, "");
    assert!(used > 0.05 && is_final(shown, used), "{shown:?} of {used}");
}

#[test]
fn a_path_made_again_shows_each_life_in_turn_and_never_twice() {
    let mut scene = Scene::new("again", "collect: {interval: 1h}\n");
    let path = scene.group.child("x");
    let first = scene.live_and_end("x", 100_000);
    scene.group.remove_child("x");
    scene.group.child("x");
    let second = scene.live_and_end("x", 500_000);
    assert!(second > first + 0.05, "they can be told apart: {first} and {second}");
    scene.group.remove_child("x");
    scene.group.child("x");
    scene.daemon.reload();

    // `Exposition` refuses a series that stands twice.
    assert!(is_final(scene.usage(&path, ""), first), "the first life");
    let next = |scene: &Scene, what: &str, expected: &dyn Fn(f64) -> bool| {
        eventually(what, || {
            scene.daemon.reload();
            scene.usage(&path, FILTERED).filter(|&usage| expected(usage))
        });
        scene.daemon.metrics()
    };
    let shown = next(&scene, "the second life", &|usage| {
        !is_final(Some(usage), first) && is_final(Some(usage), second)
    });
    assert_eq!(shown.of("cgroup_populated", &path), Some(0.0));
    next(&scene, "the third, which has used nothing", &|usage| usage < 0.001);
}

#[test]
fn the_dead_wait_no_longer_than_the_linger_time() {
    let scene = Scene::new("linger", "collect: {interval: 200ms, linger: 1s}\n");
    let unscraped = |own: &Exposition| own.sum("stockade_cgroup_deaths_unscraped_total", "");
    let path = scene.group.child("x");
    eventually("it is born", || scene.daemon.own().shows(&path).then_some(()));
    let before = unscraped(&scene.daemon.own());
    scene.group.remove_child("x");
    eventually("nobody came for it", || {
        let own = scene.daemon.own();
        (!own.shows(&path) && unscraped(&own) > before).then_some(())
    });
}

#[test]
fn no_more_than_max_dead_wait() {
    let group = TestGroup::within("most", |hierarchy| hierarchy.version == Version::V2);
    let settings = Settings { max_dead: 5, linger: Duration::from_secs(3600), ..Settings::default() };
    let mut sampler = Sampler::new(settings, carried()).expect("a host with cgroups");
    (0..8).for_each(|number| drop(group.child(&number.to_string())));
    sampler.pass();
    (0..8).for_each(|number| group.remove_child(&number.to_string()));
    let snapshot = sampler.pass();
    assert_eq!(snapshot.dead.len(), 5);
    assert!(snapshot.report.deaths >= 8 && snapshot.report.deaths_unscraped >= 3);
}
