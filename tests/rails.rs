//! The daemon's guard rails, and what it cannot do, on this host's own kernel: in groups of the tests' own.

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::daemon::{BINARY, Daemon};
use support::eventually;
use support::ground::{Ground, decisions, said, stop};

const CAP: &str = "limits: [{name: cap, match: {path: \"@/*\"}, set: {pids.max: 500}}]\n";

#[test]
fn what_is_in_force_stays_only_as_long_as_the_guard_rails_let_it() {
    let mut ground = Ground::new("rails-moved");
    for child in ["a", "b"] {
        ground.group.child(child);
    }
    ground.sleeper("a");
    let freeze = "policies:
  - name: ice
    match: {path: \"@/*\"}
    when: {signal: age, above: 0s}
    victim: {rank: [age], max: 10}
    steps: [{freeze: {ttl: 60s}, relieved_within: 1h}]
";
    let rules = format!("{CAP}{freeze}");
    let daemon = Daemon::configured(&ground.rules("mode: enforce", &rules), &[]);
    let both = |a: &str, b: &str| {
        eventually("the limits are so", || (ground.pids("a") == a && ground.pids("b") == b).then_some(()));
    };
    both("500", "500");
    eventually("it is frozen", || ground.is_frozen("a").then_some(()));
    ground.rules("mode: enforce\n  protect: [{path: \"@/a\"}]", &rules);
    daemon.reload();
    both("max", "500");
    eventually("the protected is thawed", || (!ground.is_frozen("a")).then_some(()));
    ground.rules("mode: dry_run", &rules);
    daemon.reload();
    both("max", "max");
    ground.rules("mode: enforce", &rules);
    daemon.reload();
    both("500", "500");
    eventually("it is frozen again", || ground.is_frozen("a").then_some(()));
    stop(daemon);
    both("max", "max");
    assert!(!ground.is_frozen("a"));
}

#[test]
fn a_reload_that_is_wrong_or_moves_the_journal_changes_nothing() {
    let ground = Ground::new("rails-reload");
    ground.group.child("a");
    let file = ground.rules("mode: enforce", CAP);
    let daemon = Daemon::configured(&file, &[]);
    eventually("the limit holds", || (ground.pids("a") == "500").then_some(()));
    let good = fs::read_to_string(&file).expect("it was written");
    let elsewhere = good.replace("/journal\n", "/elsewhere\n");
    assert_ne!(good, elsewhere);
    for wrong in [elsewhere, good.replace("pids.max: 500", "pids.max: many")] {
        fs::write(&file, wrong).expect("a configuration");
        daemon.reload();
        assert_eq!(daemon.own().get("stockade_config_last_reload_successful"), Some(0.0));
        assert_eq!(ground.pids("a"), "500");
    }
    assert!(!ground.place.path().join("elsewhere").exists());
    fs::write(&file, good.replace("pids.max: 500", "pids.max: 400")).expect("a configuration");
    daemon.reload();
    eventually("a good one still counts", || (ground.pids("a") == "400").then_some(()));
    stop(daemon);
}

#[test]
fn kills_stop_at_the_budget_whoever_orders_them() {
    let mut ground = Ground::new("rails-budget");
    for child in ["loop", "other", "third"] {
        ground.group.child(child);
    }
    ground.sleeper("loop");
    let policy = "policies:
  - name: killer
    match: {path: \"@/loop\"}
    when: {signal: pids.current, above: 0}
    steps: [{kill: {signal: KILL}, relieved_within: 200ms}]
    cooldown: {target: 200ms, host: 0s}
";
    let budget = "mode: enforce\n  kill_budget: {host: {max: 2, per: 1h}, target: {max: 1, per: 1h}}";
    let daemon = Daemon::configured(&ground.rules(budget, policy), &[]);
    eventually("it is killed", || (!ground.is_populated("loop")).then_some(()));
    // A service manager would start it again, and again.
    ground.sleeper("loop");
    eventually("the target's budget trips", || {
        (decisions(&daemon, "killer", "kill", "budget") >= 1.0).then_some(())
    });
    assert_eq!(decisions(&daemon, "killer", "kill", "applied"), 1.0);
    for (child, code, word) in [("other", 0, "applied"), ("third", 3, "budget")] {
        ground.sleeper(child);
        let killed = ground.command("kill", child, &["--signal", "KILL"]);
        assert_eq!(killed.status.code(), Some(code), "{}", said(&killed));
        assert!(said(&killed).contains(word), "{}", said(&killed));
    }
    assert!(ground.is_populated("loop") && ground.is_populated("third") && !ground.is_populated("other"));
    stop(daemon);
}

#[test]
fn a_restart_forgets_no_kill() {
    let mut ground = Ground::new("rails-restart");
    ground.group.child("loop");
    ground.sleeper("loop");
    let policy = "policies:
  - name: killer
    match: {path: \"@/loop\"}
    when: {signal: pids.current, above: 0}
    steps: [{kill: {signal: KILL}, relieved_within: 200ms}]
    cooldown: {target: 200ms, host: 0s}
";
    let budget = "mode: enforce\n  kill_budget: {host: {max: 5, per: 1h}, target: {max: 1, per: 1h}}";
    let file = ground.rules(budget, policy);
    let mut crashed = Daemon::configured(&file, &[]);
    eventually("it is killed", || (decisions(&crashed, "killer", "kill", "applied") >= 1.0).then_some(()));
    crashed.signal(Signal::SIGKILL);
    crashed.wait();
    // As often as it is started again: the file that has the kills is written anew each time.
    for _ in 0..2 {
        ground.sleeper("loop");
        let daemon = Daemon::configured(&file, &[]);
        eventually("the budget trips", || {
            (decisions(&daemon, "killer", "kill", "budget") >= 1.0).then_some(())
        });
        assert_eq!(decisions(&daemon, "killer", "kill", "applied"), 0.0);
        assert!(ground.is_populated("loop"));
        stop(daemon);
        let alone = ground.command("kill", "loop", &["--signal", "KILL"]);
        assert_eq!(alone.status.code(), Some(3), "{}", said(&alone));
        assert!(said(&alone).contains("budget"), "{}", said(&alone));
    }
}

#[test]
fn the_others_cgroups_are_refused_also_from_above() {
    let mut ground = Ground::new("rails-owner");
    let container = format!("pods/docker-{}.scope", "0123456789abcdef".repeat(4));
    ground.group.child("pods");
    ground.group.child(&container);
    ground.sleeper(&container);
    let policies = "policies:
  - name: from-above
    match: {path: \"@/pods\"}
    when: {signal: age, above: 0s}
    steps: [{freeze: {ttl: 30s}, relieved_within: 1h}]
  - name: itself
    match: {path: \"@/pods/*\"}
    when: {signal: age, above: 0s}
    steps: [{notify: {}, relieved_within: 1h}]
limits:
  - {name: cap, match: {path: \"@/pods/*\"}, set: {pids.max: 500}}
";
    let daemon = Daemon::configured(&ground.rules("mode: enforce", policies), &[]);
    for (policy, action) in [("from-above", "freeze"), ("cap", "set")] {
        eventually("it is refused", || {
            (decisions(&daemon, policy, action, "not_owner") >= 1.0).then_some(())
        });
    }
    for (command, child) in [("freeze", "pods"), ("kill", "pods"), ("kill", &*container)] {
        let refused = ground.command(command, child, &[]);
        assert_eq!(refused.status.code(), Some(3), "{command} {child}: {}", said(&refused));
        assert!(
            said(&refused).contains("not owner") && said(&refused).contains("docker"),
            "{}",
            said(&refused)
        );
    }
    let told = ground.command("explain", "pods", &[]);
    assert!(said(&told).contains("guard rails") && said(&told).contains("docker manages"), "{}", said(&told));
    assert!(ground.is_populated(&container) && !ground.is_frozen("pods"));
    assert_eq!(ground.pids(&container), "max");
    stop(daemon);
    let alone = ground.command("kill", "pods", &[]);
    assert_eq!(alone.status.code(), Some(3), "no daemon, the same rails: {}", said(&alone));
    assert!(ground.is_populated(&container));
}

#[test]
fn protection_reaches_below_what_is_sampled() {
    let mut ground = Ground::new("rails-deep");
    for child in ["a", "a/b", "a/b/c"] {
        ground.group.child(child);
    }
    ground.sleeper("a/b/c");
    let file = ground.rules("mode: enforce\n  protect: [{path: \"@/a/b/c\"}]", CAP);
    let depth = ground.group.path.matches('/').count() + 1;
    let text = fs::read_to_string(&file).expect("it was written");
    fs::write(&file, text.replace("interval: 200ms", &format!("interval: 200ms, max_depth: {depth}")))
        .expect("a configuration");
    let daemon = Daemon::configured(&file, &[]);
    eventually("it is refused", || (decisions(&daemon, "cap", "set", "protected") >= 1.0).then_some(()));
    for command in ["freeze", "kill"] {
        let refused = ground.command(command, "a", &[]);
        assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    }
    assert!(ground.is_populated("a/b/c") && ground.pids("a") == "max");
    stop(daemon);
}

#[test]
fn a_limit_whose_control_comes_later_is_put_on_then() {
    let ground = Ground::new("rails-late");
    let daemon = Daemon::configured(&ground.rules("mode: enforce", CAP), &[]);
    // As any manager of a hybrid host does: one hierarchy after the other.
    fs::create_dir(ground.group.directory("unified").join("late")).expect("a cgroup");
    eventually("it came too early", || {
        (decisions(&daemon, "cap", "set", "unsupported") >= 1.0).then_some(())
    });
    fs::create_dir(ground.group.directory("pids").join("late")).expect("a cgroup");
    eventually("the limit holds", || (ground.pids("late") == "500").then_some(()));
    stop(daemon);
    assert_eq!(ground.pids("late"), "max");
}

#[test]
fn the_socket_and_the_journal_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let ground = Ground::new("rails-files");
    ground.group.child("a");
    let daemon = Daemon::configured(&ground.rules("mode: enforce", CAP), &[]);
    eventually("the limit holds", || (ground.pids("a") == "500").then_some(()));
    let mode = |path: &str| {
        let about =
            fs::metadata(ground.place.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        about.permissions().mode() & 0o777
    };
    assert_eq!(mode("journal"), 0o700);
    let audit = ground.place.path().join("audit.jsonl");
    eventually("the audit has something", || audit.exists().then_some(()));
    assert_eq!(mode("audit.jsonl"), 0o640, "a group of auditors may read it");
    for file in ["journal/journal", "journal/control.sock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    stop(daemon);
    assert!(!ground.place.path().join("journal/control.sock").exists());
}

/// A command of the program's that runs until it is told to end, on a cgroup of any name.
fn held(ground: &Ground, command: &str, child: &OsStr, more: &[&str]) -> Child {
    let mut target = OsString::from(format!("{}/", ground.group.path));
    target.push(child);
    Command::new(BINARY)
        .arg(command)
        .arg(target)
        .arg("--config")
        .arg(ground.place.path().join("stockade.yaml"))
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built with the tests")
}

#[test]
fn by_hand_without_a_daemon_it_stays_until_the_interrupt_and_whatever_the_name() {
    let ground = Ground::new("rails-alone");
    let odd = OsStr::from_bytes(b"n\xff\xfe;$(x) \x1b");
    for controller in ["pids", "unified"] {
        fs::create_dir(ground.group.directory(controller).join(odd)).expect("a cgroup");
    }
    let limit = ground.group.directory("pids").join(odd).join("pids.max");
    let read = || fs::read_to_string(&limit).expect("a limit").trim().to_owned();
    ground.rules("mode: dry_run", "");
    let holding = held(&ground, "set", odd, &["pids.max=77"]);
    eventually("it is set", || (read() == "77").then_some(()));
    // Somebody else who comes meanwhile is told who has the journal.
    let second = held(&ground, "freeze", odd, &["--ttl", "1s"]).wait_with_output().expect("it ends");
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains(&holding.id().to_string()), "{}", said(&second));
    kill(Pid::from_raw(holding.id().try_into().expect("a pid")), Signal::SIGINT).expect("our own child");
    let held_until = holding.wait_with_output().expect("it ends");
    assert_eq!(held_until.status.code(), Some(0), "{}", said(&held_until));
    assert_eq!(read(), "max");
    let over = held(&ground, "freeze", odd, &["--ttl", "100ms"]).wait_with_output().expect("it ends");
    assert_eq!(over.status.code(), Some(0), "{}", said(&over));
    let dry = held(&ground, "set", odd, &["pids.max=5", "-n", "-J"]).wait_with_output().expect("it ends");
    let answer: serde_json::Value = serde_json::from_slice(&dry.stdout).expect("one document");
    assert_eq!((dry.status.code(), &answer["outcome"]), (Some(0), &"dry_run".into()));
    assert_eq!(read(), "max");
    for (command, more, code) in [
        ("set", &["pids.max=many"][..], 2),
        ("set", &["io.max=nosuchdisk wbps=1MiB"], 1),
        ("reclaim", &["x"], 2),
    ] {
        let wrong = held(&ground, command, odd, more).wait_with_output().expect("it ends");
        assert_eq!(wrong.status.code(), Some(code), "{command}: {}", said(&wrong));
    }
    let nobody = held(&ground, "freeze", OsStr::new("nobody"), &[]).wait_with_output().expect("it ends");
    assert_eq!(nobody.status.code(), Some(1), "{}", said(&nobody));
}

#[test]
fn by_hand_through_the_daemon_several_at_once_and_the_end_undoes_it() {
    let mut ground = Ground::new("rails-desk");
    for child in ["a", "b", "c"] {
        ground.group.child(child);
    }
    ground.sleeper("a");
    let odd = OsStr::from_bytes(b"o\xff");
    for controller in ["pids", "unified"] {
        fs::create_dir(ground.group.directory(controller).join(odd)).expect("a cgroup");
    }
    // What a person orders is done also where rules only play.
    let daemon = Daemon::configured(&ground.rules("mode: dry_run", CAP), &[]);
    let asked: Vec<Child> = ["a", "b", "c"]
        .map(|child| held(&ground, "set", OsStr::new(child), &["pids.max=66", "--ttl", "1h"]))
        .into_iter()
        .chain([held(&ground, "set", odd, &["pids.max=66"]), held(&ground, "freeze", OsStr::new("a"), &[])])
        .collect();
    for child in asked {
        let told = child.wait_with_output().expect("it ends");
        assert_eq!(told.status.code(), Some(0), "{}", said(&told));
    }
    assert!(["a", "b", "c"].iter().all(|child| ground.pids(child) == "66") && ground.is_frozen("a"));
    let answered = ground.command("thaw", "a", &["-J"]);
    let answer: serde_json::Value = serde_json::from_slice(&answered.stdout).expect("one document");
    assert_eq!(answer["outcome"], "applied", "{answer}");
    assert!(!ground.is_frozen("a"));
    let one = ground.command("undo", "b", &[]);
    assert_eq!(one.status.code(), Some(0), "{}", said(&one));
    assert_eq!((&*ground.pids("a"), &*ground.pids("b"), &*ground.pids("c")), ("66", "max", "66"));
    stop(daemon);
    assert!(["a", "b", "c"].iter().all(|child| ground.pids(child) == "max"));
}
