//! What the daemon says of what it enforces: `explain`, `audit`, and the outcomes on `/metrics`.

mod support;

use std::fs;

use support::daemon::{Daemon, run_to_end};
use support::eventually;
use support::ground::{Ground, decisions, said, stop};

/// Two limits on one control, and a policy that is looser than both.
const NESTED: &str = "limits:
  - {name: wide, match: {path: \"@/*\"}, set: {pids.max: 500}}
  - {name: tight, match: {path: \"@/a\"}, set: {pids.max: 300}}
  - {name: played, mode: dry_run, match: {path: \"@/a\"}, set: {memory.max: 3GiB}}
";

#[test]
fn explain_says_which_limit_holds_which_control_and_what_follows() {
    let ground = Ground::new("told-limits");
    for child in ["a", "b"] {
        ground.group.child(child);
    }
    let daemon = Daemon::configured(&ground.rules("mode: enforce", NESTED), &[]);
    eventually("the limits hold", || (ground.pids("a") == "300" && ground.pids("b") == "500").then_some(()));
    let told = eventually("both claims are there", || {
        let told = said(&ground.command("explain", "a", &[]));
        told.contains("500").then_some(told)
    });
    for line in [
        "limit wide (enforce): pids.max 500",
        "limit tight (enforce): pids.max 300",
        "limit played (dry_run): memory.max 3.0GiB",
        "pids.max is 300, by tight; then 500, by wide; then max, as before",
    ] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
    assert!(!said(&ground.command("explain", "b", &[])).contains("tight"));
    let json = ground.command("explain", "a", &["-J"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one document");
    let control = &json["data"]["controls"][0];
    assert_eq!((&control["control"], &control["before"]), (&"pids.max".into(), &"max".into()), "{json}");
    assert_eq!(
        (&control["claims"][1]["policy"], &control["claims"][1]["value"]),
        (&"wide".into(), &"500".into())
    );
    stop(daemon);
    // Without a daemon nothing is in force, and the limits are still the configuration's.
    let alone = said(&ground.command("explain", "a", &[]));
    assert!(alone.contains("limit tight") && !alone.contains("pids.max is"), "{alone}");
}

#[test]
fn the_audit_is_read_in_units_and_written_raw() {
    let mut ground = Ground::new("told-audit");
    ground.group.child("a");
    ground.sleeper("a");
    let rules = "policies:
  - name: half
    match: {path: \"@/a\"}
    when: {all: [{signal: pids.current, above: 0}, {signal: age, above: 10ms, for: 300ms}]}
    steps: [{set: {cpu.max: 50%, memory.max: 1536MiB}, ttl: 1m, relieved_within: 1h}]
";
    let daemon = Daemon::configured(&ground.rules("mode: enforce", rules), &[]);
    eventually("it is throttled", || (ground.quota("a") == Some(50)).then_some(()));
    let file = ground.file();
    let audit = |more: &[&str]| {
        said(&run_to_end(&[&["audit", "--config", file.to_str().expect("ours")], more].concat()))
    };
    let told = eventually("the audit has it", || Some(audit(&[])).filter(|told| told.contains("half")));
    for part in
        ["cpu.max max -> 0.50 cores", "memory.max max -> 1.5GiB", "is 1, above 0", "above 0s: true, for 0."]
    {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
    assert!(audit(&["-J"]).contains("\"after\":\"1610612736\""));
    stop(daemon);
}

#[test]
fn outcomes_of_what_rests_and_of_what_vanished_are_counted() {
    let ground = Ground::new("told-outcomes");
    for child in ["a", "b"] {
        ground.group.child(child);
    }
    let rules = "policies:
  - name: one-at-a-time
    match: {path: \"@/?\"}
    when: {signal: age, above: 0s}
    victim: {rank: [age], max: 5}
    steps: [{freeze: {ttl: 5s}, relieved_within: 1h}]
    cooldown: {target: 1h, host: 1h}
limits: [{name: brief, match: {path: \"@/brief-*\"}, set: {pids.max: 500}}]
";
    let daemon = Daemon::configured(&ground.rules("mode: enforce", rules), &[]);
    eventually("another one rests", || {
        ground.group.child("c");
        ground.group.remove_child("c");
        (decisions(&daemon, "one-at-a-time", "freeze", "cooldown") >= 1.0).then_some(())
    });
    let mut number = 0;
    eventually("a cgroup is gone before its limit comes", || {
        for _ in 0..20 {
            number += 1;
            let name = format!("brief-{number}");
            let directory = ground.group.directory("pids").join(&name);
            let unified = ground.group.directory("unified").join(&name);
            for directory in [&unified, &directory] {
                fs::create_dir(directory).expect("a cgroup");
            }
            for directory in [&unified, &directory] {
                fs::remove_dir(directory).expect("it is empty");
            }
        }
        (decisions(&daemon, "brief", "set", "vanished") >= 1.0).then_some(())
    });
    stop(daemon);
}

#[test]
fn the_audit_has_the_writes_of_others_where_rules_are_about_and_a_drift_once() {
    let ground = Ground::new("told-writes");
    for child in ["kept", "watched", "else"] {
        ground.group.child(child);
    }
    let rules = "limits: [{name: cap, match: {path: \"@/kept\"}, set: {pids.max: 500}}]
policies:
  - name: never
    match: {path: \"@/watched\"}
    when: {signal: pids.current, above: 1000}
    steps: [{notify: {}, relieved_within: 1h}]
";
    let daemon = Daemon::configured(&ground.rules("mode: enforce", rules), &[]);
    eventually("the limit holds", || (ground.pids("kept") == "500").then_some(()));
    let writes = |daemon: &Daemon| daemon.own().sum("stockade_control_writes_total", "file=\"pids.max\"");
    let before = writes(&daemon);
    for (child, value) in [("else", "77"), ("watched", "78"), ("kept", "79")] {
        fs::write(ground.group.directory("pids").join(child).join("pids.max"), value).expect("a limit");
    }
    eventually("all are counted", || (writes(&daemon) >= before + 3.0).then_some(()));
    eventually("the drift is audited", || {
        ground.audit().iter().any(|line| line["kind"] == "drift").then_some(())
    });
    eventually("the other's write is", || {
        ground.audit().iter().any(|line| line["kind"] == "foreign_write").then_some(())
    });
    stop(daemon);
    let mut told: Vec<(String, String)> = ground
        .audit()
        .iter()
        .filter(|line| line["kind"] == "drift" || line["kind"] == "foreign_write")
        .map(|line| {
            let path = line["target"]["cgroup"].as_str().expect("a path");
            (
                line["kind"].as_str().expect("a kind").to_owned(),
                path.rsplit('/').next().expect("a name").to_owned(),
            )
        })
        .collect();
    told.sort();
    let expected = [("drift", "kept"), ("foreign_write", "watched")];
    assert_eq!(told, expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
}

/// Whether the write is seen, or only at a pass that it runs again.
#[test]
fn who_thaws_what_a_policy_froze_wins_and_it_is_told_at_once() {
    let rules = "policies:
  - name: still
    match: {path: \"@/a\"}
    when: {signal: pids.current, above: 0}
    steps: [{freeze: {ttl: 1m}, relieved_within: 1h}]
";
    for method in ["auto", "walk"] {
        let mut ground = Ground::new("told-thawed");
        ground.group.child("a");
        ground.sleeper("a");
        let config = ground.rules("mode: enforce", rules);
        let daemon = Daemon::configured(&config, &["--watch.method", method]);
        eventually("it is frozen", || {
            (decisions(&daemon, "still", "freeze", "applied") == 1.0).then_some(())
        });
        assert!(ground.is_frozen("a"), "{method}: {}", daemon.log());
        let told = said(&ground.command("explain", "a", &[]));
        assert!(told.contains("it is frozen"), "{told}");
        let drifts = "stockade_drift_total{answer=\"yield\",file=\"cgroup.freeze\",policy=\"still\"}";
        assert_eq!(daemon.own().get(drifts), Some(0.0));
        ground.thaw("a");
        let drift = eventually("the thaw is told", || {
            ground.audit().into_iter().find(|line| line["kind"] == "drift")
        });
        assert_eq!(
            (&drift["control"], &drift["answer"]),
            (&"cgroup.freeze".into(), &"yield".into()),
            "{drift}"
        );
        assert_eq!((&drift["ours"], &drift["theirs"]), (&"1".into(), &"0".into()), "{drift}");
        assert_eq!(drift["rules"], serde_json::json!(["still"]), "{drift}");
        let seen =
            method == "auto" && daemon.own().get("stockade_watch_method{method=\"fanotify\"}") == Some(1.0);
        let pid = seen.then(std::process::id);
        assert_eq!(drift["writer"]["pid"].as_u64(), pid.map(u64::from), "{method}: {drift}");
        assert_eq!(daemon.own().get(drifts), Some(1.0));
        let told = said(&ground.command("explain", "a", &[]));
        assert!(!told.contains("it is frozen"), "{told}");
        stop(daemon);
        assert!(!ground.is_frozen("a"));
    }
}

#[test]
fn a_decision_is_on_the_next_scrape_and_waits_for_no_pass() {
    let ground = Ground::new("told-fresh");
    ground.group.child("a");
    let file = ground.rules("mode: enforce", NESTED);
    let text = fs::read_to_string(&file).expect("it was written");
    fs::write(&file, text.replace("interval: 200ms", "interval: 1h")).expect("a configuration");
    let daemon = Daemon::configured(&file, &[]);
    let series = "stockade_decisions_total{action=\"set\",outcome=\"applied\",policy=\"by hand\"}";
    assert_eq!(daemon.metrics().get(series), None);
    let set = ground.command("set", "a", &["pids.max=66"]);
    assert!(set.status.success(), "{}", said(&set));
    let now = daemon.metrics();
    assert_eq!(now.get(series), Some(1.0));
    assert_eq!(now.get("stockade_samples_total"), Some(1.0), "no pass has come in between");
    stop(daemon);
}
