//! The daemon enforcing on this host's own kernel, in groups of the tests' own: `safety.scope` ends at them.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use support::daemon::{Daemon, run_to_end};
use support::eventually;
use support::ground::{Ground, decisions, lives, read, stop};

const ENFORCE: &str = "mode: enforce\n  kill_budget: {host: {max: 3, per: 10m}, target: {max: 1, per: 5m}}";
const DRY_RUN: &str = "mode: dry_run\n  kill_budget: {host: {max: 3, per: 10m}, target: {max: 1, per: 5m}}";

/// Takes 128 MiB and keeps a CPU busy with them.
const HOG: &str = "exec dd if=/dev/zero of=/dev/null bs=128M count=1000000 2>/dev/null";

const HOG_POLICY: &str = "policies:
  - name: hog
    match: {path: \"@/*\"}
    when: {signal: memory.anon, above: 64MiB, for: 400ms}
    victim: {rank: [memory.anon], at_least: {memory.anon: 32MiB}}
    steps:
      - {notify: {}, relieved_within: 100ms}
      - {set: {cpu.max: 20%}, ttl: 1m, relieved_within: 1s}
      - {freeze: {ttl: 20s}, relieved_within: 1s}
      - {kill: {signal: TERM, grace: 200ms}, relieved_within: 1s}
    cooldown: {target: 1h, host: 0s}
";

#[test]
fn a_memory_hog_is_throttled_then_frozen_then_killed_and_its_siblings_live() {
    let mut ground = Ground::new("enforce-hog");
    for child in ["hog", "quiet-a", "quiet-b"] {
        ground.group.child(child);
    }
    let quiet =
        [ground.group.run("quiet-a", "exec sleep 1000"), ground.group.run("quiet-b", "exec sleep 1000")];
    ground.group.run("hog", HOG);
    let daemon = Daemon::configured(&ground.rules(ENFORCE, HOG_POLICY), &[]);
    eventually("the hog is throttled", || (ground.quota("hog") == Some(20)).then_some(()));
    eventually("the hog is frozen", || ground.is_frozen("hog").then_some(()));
    assert_eq!(ground.quota("hog"), Some(20), "what is tighter is added, not exchanged");
    eventually("the hog is dead", || (!ground.is_populated("hog")).then_some(()));
    eventually("what was done to it is undone", || {
        (ground.quota("hog").is_none() && !ground.is_frozen("hog")).then_some(())
    });
    assert!(quiet.into_iter().all(lives), "siblings lost a process");
    for child in ["quiet-a", "quiet-b"] {
        assert!(ground.quota(child).is_none() && !ground.is_frozen(child), "{child} was touched");
    }
    for action in ["notify", "set", "freeze", "kill"] {
        assert_eq!(decisions(&daemon, "hog", action, "applied"), 1.0, "{action}: {}", daemon.log());
    }
    assert!(daemon.own().get("stockade_reaction_seconds_count{action=\"freeze\"}") >= Some(1.0));
    stop(daemon);
    let audit = ground.audit();
    let set = audit.iter().find(|line| line["action"] == "set").expect("a line for the throttling");
    assert_eq!((&set["policy"], &set["outcome"]), (&"hog".into(), &"applied".into()), "{set}");
    assert!(set.to_string().contains("memory.anon"), "it says why: {set}");
}

#[test]
fn a_dry_run_writes_nothing_and_decides_the_same() {
    let mut ground = Ground::new("enforce-dry");
    for child in ["hog", "quiet-a"] {
        ground.group.child(child);
    }
    ground.group.run("quiet-a", "exec sleep 1000");
    ground.group.run("hog", HOG);
    eventually("the hog is in its group", || ground.is_populated("hog").then_some(()));
    let limits = "limits:
  - name: cap
    match: {path: \"@/*\"}
    set: {pids.max: 500, cpu.weight: 50}
";
    let before = controls(&ground);
    let daemon = Daemon::configured(&ground.rules(DRY_RUN, &format!("{limits}{HOG_POLICY}")), &[]);
    for action in ["notify", "set", "freeze", "kill"] {
        eventually("the same steps are decided", || {
            (decisions(&daemon, "hog", action, "dry_run") == 1.0).then_some(())
        });
    }
    assert!(decisions(&daemon, "cap", "set", "dry_run") >= 2.0);
    assert_eq!(daemon.own().sum("stockade_decisions_total", "applied"), 0.0);
    assert_eq!(controls(&ground), before, "a dry run wrote to a control file");
    assert!(ground.is_populated("hog"));
    stop(daemon);
    assert_eq!(controls(&ground), before);
}

/// Every control file of the group and its children: what can be written and does not change by itself.
fn controls(ground: &Ground) -> BTreeMap<PathBuf, String> {
    /// Written to do something, or counting by themselves.
    const OTHER: &[&str] = &[
        "cgroup.procs",
        "cgroup.threads",
        "tasks",
        "notify_on_release",
        "release_agent",
        "cgroup.event_control",
        "cgroup.kill",
        "memory.force_empty",
        "memory.reclaim",
        "memory.peak",
        "memory.swap.peak",
        "memory.max_usage_in_bytes",
        "memory.memsw.max_usage_in_bytes",
        "memory.kmem.max_usage_in_bytes",
        "memory.kmem.tcp.max_usage_in_bytes",
        "blkio.reset_stats",
        "cpuacct.usage",
        "memory.oom_control",
    ];
    let mut found = BTreeMap::new();
    let mut directories: Vec<PathBuf> = ground.group.directories();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("our own group") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let writable = fs::metadata(&path).expect("it is there").permissions().mode() & 0o200 != 0;
            if writable
                && !OTHER.contains(&&*name)
                && !name.ends_with(".pressure")
                && !name.contains("failcnt")
            {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| error.to_string());
                found.insert(path, text);
            }
        }
    }
    assert!(found.len() > 20, "only {} control files", found.len());
    found
}

#[test]
fn a_cpu_hog_is_throttled_and_restored_when_its_time_is_over() {
    let mut ground = Ground::new("enforce-cpu");
    ground.group.child("hog");
    ground.group.run("hog", "while :; do :; done");
    let rules = "policies:
  - name: cpu-hog
    match: {path: \"@/hog\"}
    when: {signal: cpu.usage, above: 20%, for: 300ms}
    steps:
      - {set: {cpu.max: 10%}, ttl: 1s, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";
    let daemon = Daemon::configured(&ground.rules(ENFORCE, rules), &[]);
    eventually("it is throttled", || (ground.quota("hog") == Some(10)).then_some(()));
    eventually("it is let go", || ground.quota("hog").is_none().then_some(()));
    assert_eq!(decisions(&daemon, "cpu-hog", "set", "applied"), 1.0, "{}", daemon.log());
    assert!(ground.is_populated("hog"));
    eventually("it rests", || {
        (daemon.own().get("stockade_policy_state{policy=\"cpu-hog\",state=\"cooldown\"}") == Some(1.0))
            .then_some(())
    });
    stop(daemon);
    assert_eq!(ground.quota("hog"), None);
}

#[test]
fn a_fork_bomb_is_stopped() {
    let mut ground = Ground::new("enforce-bomb");
    // However the test goes, the bomb stays in bounds.
    fs::write(ground.control("", "pids", &["pids.max"]), "400").expect("a limit of ours");
    ground.group.child("bomb");
    let rules = "policies:
  - name: bomb
    match: {path: \"@/bomb\"}
    when: {signal: pids.current, above: 200}
    steps:
      - {kill: {signal: KILL}, relieved_within: 1s}
";
    let daemon = Daemon::configured(&ground.rules(ENFORCE, rules), &[]);
    ground.group.run("bomb", "f() { f | f & }; f; sleep 1000");
    eventually("it has begun", || ground.is_populated("bomb").then_some(()));
    eventually("it is dead", || (!ground.is_populated("bomb")).then_some(()));
    eventually("it is told", || (decisions(&daemon, "bomb", "kill", "applied") == 1.0).then_some(()));
    assert!(!ground.is_frozen("bomb"));
    stop(daemon);
}

#[test]
fn standing_limits_hold_for_the_living_and_the_newborn_and_are_put_back() {
    let ground = Ground::new("enforce-standing");
    ground.group.child("old");
    let pids = |child: &str| read(&ground.control(child, "pids", &["pids.max"]));
    fs::write(ground.control("old", "pids", &["pids.max"]), "900").expect("a limit of ours");
    let limits = "limits:
  - name: cap
    match: {path: \"@/*\"}
    set: {pids.max: 500}
  - name: tighter
    match: {path: \"@/*\"}
    set: {pids.max: 300}
";
    let file = ground.rules(ENFORCE, limits);
    let daemon = Daemon::configured(&file, &[]);
    eventually("the strictest holds", || (pids("old") == "300").then_some(()));
    ground.group.child("new");
    eventually("also for who comes later", || (pids("new") == "300").then_some(()));
    ground.rules(ENFORCE, &limits[..limits.find("  - name: tighter").expect("it is there")]);
    daemon.reload();
    eventually("the next tightest holds", || (pids("old") == "500" && pids("new") == "500").then_some(()));
    ground.rules(ENFORCE, "");
    daemon.reload();
    eventually("what was there is back", || (pids("old") == "900" && pids("new") == "max").then_some(()));
    ground.rules(ENFORCE, limits);
    daemon.reload();
    eventually("it holds again", || (pids("old") == "300").then_some(()));
    stop(daemon);
    assert_eq!(
        (pids("old"), pids("new")),
        ("900".to_owned(), "max".to_owned()),
        "the end puts back what was"
    );
}

#[test]
fn a_reload_into_enforce_does_what_was_only_decided_and_back_into_dry_run_undoes_it() {
    let mut ground = Ground::new("enforce-reload");
    ground.group.child("hog");
    ground.group.run("hog", "while :; do :; done");
    let rules = "limits:
  - name: cap
    match: {path: \"@/hog\"}
    set: {pids.max: 500}
policies:
  - name: cpu-hog
    match: {path: \"@/hog\"}
    when: {signal: cpu.usage, above: 10%, for: 300ms}
    steps:
      - {set: {cpu.max: 10%}, ttl: 1h, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";
    let daemon = Daemon::configured(&ground.rules(DRY_RUN, rules), &[]);
    let told = |rule: &str| (decisions(&daemon, rule, "set", "dry_run") == 1.0).then_some(());
    eventually("the limit is decided", || told("cap"));
    eventually("the throttle is decided", || told("cpu-hog"));
    let state = |ground: &Ground| (read(&ground.control("hog", "pids", &["pids.max"])), ground.quota("hog"));
    assert_eq!(state(&ground), ("max".to_owned(), None));
    ground.rules(ENFORCE, rules);
    daemon.reload();
    eventually("both are done", || (state(&ground) == ("500".to_owned(), Some(10))).then_some(()));
    ground.rules(DRY_RUN, rules);
    daemon.reload();
    eventually("both are undone", || (state(&ground) == ("max".to_owned(), None)).then_some(()));
    stop(daemon);
}

#[test]
fn another_writer_is_let_have_it_or_written_over_as_configured_and_is_told_of() {
    let ground = Ground::new("enforce-drift");
    for child in ["yields", "reasserts"] {
        ground.group.child(child);
    }
    let file = |child: &str| ground.control(child, "pids", &["pids.max"]);
    let limits = "limits:
  - {name: yielding, match: {path: \"@/yields\"}, set: {pids.max: 500}}
  - {name: reasserting, match: {path: \"@/reasserts\"}, set: {pids.max: 500}, on_drift: reassert}
";
    let daemon = Daemon::configured(&ground.rules(ENFORCE, limits), &[]);
    let drift = |policy: &str, answer: &str| {
        let series =
            format!("stockade_drift_total{{answer=\"{answer}\",file=\"pids.max\",policy=\"{policy}\"}}");
        daemon.own().get(&series)
    };
    // From nothing to one is an increase that no alert sees.
    assert_eq!(drift("yielding", "yield"), Some(0.0));
    for child in ["yields", "reasserts"] {
        eventually("the limit holds", || (read(&file(child)) == "500").then_some(()));
        fs::write(file(child), "444").expect("a limit of ours");
    }
    eventually("both are told", || {
        (drift("yielding", "yield") == Some(1.0) && drift("reasserting", "reassert") == Some(1.0))
            .then_some(())
    });
    eventually("the one is written over", || (read(&file("reasserts")) == "500").then_some(()));
    assert_eq!(read(&file("yields")), "444");
    stop(daemon);
    assert_eq!(read(&file("yields")), "444", "who changed hands is not put back");
    assert_eq!(read(&file("reasserts")), "max");
    let told = ground
        .audit()
        .into_iter()
        .find(|line| line.to_string().contains("444"))
        .expect("a line of the drift");
    assert!(told.to_string().contains("500"), "with the old value and the new one: {told}");
}

#[test]
fn a_policy_that_matches_everything_touches_nothing_outside_the_scope() {
    let mut ground = Ground::new("enforce-all");
    ground.group.child("a");
    ground.group.run("a", "exec sleep 1000");
    eventually("the sleeper is in its group", || ground.is_populated("a").then_some(()));
    let rules = "policies:
  - name: all
    match: {path: \"/**\"}
    when: {signal: age, above: 0s}
    victim: {rank: [age], max: 100000}
    steps:
      - {freeze: {ttl: 60s}, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";
    let daemon = Daemon::configured(&ground.rules(ENFORCE, rules), &[]);
    eventually("what is in the scope is frozen", || ground.is_frozen("a").then_some(()));
    eventually("the others are refused", || {
        (decisions(&daemon, "all", "freeze", "protected") >= 1.0).then_some(())
    });
    assert_eq!(decisions(&daemon, "all", "freeze", "applied"), 1.0, "{}", daemon.log());
    stop(daemon);
    assert!(!ground.is_frozen("a"), "the end thaws");
}

#[test]
fn two_cannot_hold_one_journal() {
    let ground = Ground::new("enforce-two");
    let file = ground.rules(ENFORCE, "limits: [{name: cap, match: {path: \"@/*\"}, set: {pids.max: 500}}]\n");
    let daemon = Daemon::configured(&file, &[]);
    let second = run_to_end(&[
        "serve",
        "--web.listen-address",
        "127.0.0.1:0",
        "--config",
        file.to_str().expect("ours"),
    ]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(
        said.contains("journal") && said.contains(&daemon.pid().to_string()),
        "it names the holder: {said}"
    );
    // Who only watches needs no journal: it starts beside the one that enforces, and leaves what that one did alone.
    let journal = ground.place.path().join("journal");
    let watching = ground.place.path().join("watching.yaml");
    fs::write(&watching, format!("safety: {{journal: {}}}\n", journal.display())).expect("a configuration");
    stop(Daemon::configured(&watching, &[]));
    stop(daemon);
}
