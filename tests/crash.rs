//! `kill -9` at random moments while the daemon limits, freezes and kills: whatever was half done is undone.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::daemon::{Daemon, run_to_end};
use support::{TestGroup, eventually};

/// How often the daemon is killed.
const ROUNDS: usize = 200;
/// The groups that it acts on, each by a policy of its own.
const CHILDREN: [&str; 3] = ["limited", "frozen", "killed"];
/// The controls that it turns, under v1's and under v2's names, and what they are before.
const CONTROLS: [(&str, &[&str], &str); 3] = [
    ("pids", &["pids.max"], "3001"),
    ("memory", &["memory.limit_in_bytes", "memory.max"], "536870912"),
    ("cpu", &["cpu.shares", "cpu.weight"], "512"),
];

/// The policies: they fire at once, act for about as long as a round lasts, and begin again without a rest.
fn config(scope: &str, journal: &Path) -> String {
    let journal = journal.display();
    format!(
        "collect: {{interval: 100ms, include: [\"{scope}/**\"]}}
safety:
  mode: enforce
  scope: [\"{scope}/**\"]
  journal: {journal}
  kill_budget: {{host: {{max: 1000000, per: 1s}}, target: {{max: 1000000, per: 1s}}}}
limits:
  - name: standing
    match: {{path: \"{scope}/*\"}}
    set: {{cpu.weight: 50}}
policies:
  - name: limit
    match: {{path: {scope}/limited}}
    when: {{signal: age, above: 0s}}
    steps:
      - {{set: {{pids.max: 2000, memory.max: 256MiB}}, ttl: 150ms, relieved_within: 1h}}
    cooldown: {{target: 10ms, host: 0s}}
  - name: freeze
    match: {{path: {scope}/frozen}}
    when: {{signal: age, above: 0s}}
    steps:
      - {{set: {{pids.max: 1000}}, ttl: 300ms, relieved_within: 20ms}}
      - {{freeze: {{ttl: 150ms}}, relieved_within: 1h}}
    cooldown: {{target: 10ms, host: 0s}}
  - name: kill
    match: {{path: {scope}/killed}}
    when: {{signal: pids.current, above: 0}}
    steps:
      - {{freeze: {{ttl: 100ms}}, relieved_within: 20ms}}
      - {{kill: {{signal: TERM, grace: 20ms}}, relieved_within: 50ms}}
    cooldown: {{target: 10ms, host: 0s}}
"
    )
}

/// A control's file of a child, in whichever hierarchy has it.
fn control(group: &TestGroup, child: &str, controller: &str, names: &[&str]) -> PathBuf {
    names
        .iter()
        .map(|name| group.directory(controller).join(child).join(name))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("{child} has none of {names:?}"))
}

/// Every control that can be turned, and both freezers.
fn state(group: &TestGroup) -> Vec<(String, String)> {
    let mut state = Vec::new();
    let mut add = |child: &str, file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_name().expect("a file").to_string_lossy();
        state.push((format!("{child} {name}"), text.trim().to_owned()));
    };
    for child in CHILDREN {
        for (controller, names, _) in CONTROLS {
            add(child, control(group, child, controller, names));
        }
        add(child, group.directory("unified").join(child).join("cgroup.freeze"));
        if group.has("freezer") {
            add(child, group.directory("freezer").join(child).join("freezer.state"));
        }
    }
    state
}

/// A sequence that is the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn whatever_a_killed_daemon_left_is_undone() {
    let mut group = TestGroup::everywhere("crash");
    for child in CHILDREN {
        group.child(child);
        for (controller, names, value) in CONTROLS {
            let file = control(&group, child, controller, names);
            fs::write(&file, value).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        group.run(child, "exec sleep 1000");
    }
    let populated = |group: &TestGroup, child: &str| {
        let events = group.directory("unified").join(child).join("cgroup.events");
        fs::read_to_string(events).expect("events").contains("populated 1")
    };
    eventually("the sleepers are in their groups", || {
        CHILDREN.iter().all(|child| populated(&group, child)).then_some(())
    });
    let original = state(&group);
    let place = tempfile::tempdir().expect("a directory");
    let (file, quiet) = (place.path().join("stockade.yaml"), place.path().join("quiet.yaml"));
    let journal = place.path().join("journal");
    fs::write(&file, config(&group.path, &journal)).expect("a configuration");
    let nothing = format!(
        "safety: {{mode: enforce, scope: [\"{}/**\"], journal: {}}}\n",
        group.path,
        journal.display()
    );
    fs::write(&quiet, nothing).expect("a configuration");

    let seed = u64::from(std::process::id()) | 1 << 40;
    let mut random = Random(seed);
    let (mut turned, mut frozen, mut killed) = (0, 0, 0);
    for round in 0..ROUNDS {
        let daemon = Daemon::configured(&file, &[]);
        // The moment is what is random here; nothing is waited for.
        std::thread::sleep(Duration::from_micros(random.below(450_000)));
        daemon.signal(Signal::SIGKILL);
        drop(daemon);
        let left = state(&group);
        let changed = |suffixes: &[&str]| {
            left.iter()
                .zip(&original)
                .any(|(now, then)| now != then && suffixes.iter().any(|suffix| now.0.ends_with(suffix)))
        };
        frozen += usize::from(changed(&["cgroup.freeze", "freezer.state"]));
        turned += usize::from(changed(&[
            "pids.max",
            "memory.limit_in_bytes",
            "memory.max",
            "cpu.shares",
            "cpu.weight",
        ]));
        // Each way to recover has its turn: the command, and the next start.
        if round % 4 == 0 {
            let mut next = Daemon::configured(&quiet, &[]);
            next.signal(Signal::SIGTERM);
            assert_eq!(next.wait(), Some(0), "{}", next.log());
        } else {
            let config = file.to_str().expect("a path of ours");
            let undone = run_to_end(&["undo", "--config", config]);
            let said = String::from_utf8_lossy(&undone.stdout).into_owned()
                + &String::from_utf8_lossy(&undone.stderr);
            assert_eq!(undone.status.code(), Some(0), "round {round}, seed {seed}: {said}");
        }
        assert_eq!(state(&group), original, "round {round}, seed {seed}");
        assert!(
            populated(&group, "limited") && populated(&group, "frozen"),
            "round {round}: a bystander died"
        );
        if !populated(&group, "killed") {
            killed += 1;
            group.run("killed", "exec sleep 1000");
            eventually("another sleeper is in its group", || populated(&group, "killed").then_some(()));
        }
    }
    // The moments were such that there was something to undo.
    assert!(turned > ROUNDS / 4, "limits were in force at {turned} of {ROUNDS} moments, seed {seed}");
    assert!(frozen > ROUNDS / 20, "something was frozen at {frozen} of {ROUNDS} moments, seed {seed}");
    assert!(killed > ROUNDS / 20, "something was killed in {killed} of {ROUNDS} rounds, seed {seed}");
}
