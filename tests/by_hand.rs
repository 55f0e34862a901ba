//! The commands by hand, with a daemon and without one, on groups of the tests' own: `safety.scope` ends at them.

mod support;

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use support::daemon::{Daemon, run_to_end};
use support::{TestGroup, eventually};

/// A group with a child whose tasks are limited to 900, and a configuration that ends at it.
struct Ground {
    group: TestGroup,
    place: tempfile::TempDir,
}

impl Ground {
    fn new(name: &str) -> Self {
        let group = TestGroup::everywhere(name);
        group.child("one");
        let ground = Self { group, place: tempfile::tempdir().expect("a directory") };
        fs::write(ground.control(), "900").expect("a limit of ours");
        ground
    }

    fn control(&self) -> PathBuf {
        self.group.directory("pids").join("one/pids.max")
    }

    fn limit(&self) -> String {
        fs::read_to_string(self.control()).expect("it is there").trim().to_owned()
    }

    fn target(&self) -> String {
        format!("{}/one", self.group.path)
    }

    /// Writes the configuration, with these rules, in which `@` is the group's path.
    fn config(&self, rules: &str) -> PathBuf {
        let (scope, journal) = (&self.group.path, self.place.path().join("journal"));
        let text = format!(
            "collect: {{interval: 200ms}}\nsafety:\n  mode: enforce\n  scope: [\"{scope}/**\"]\n  journal: {}\n{}",
            journal.display(),
            rules.replace('@', scope)
        );
        let file = self.place.path().join("stockade.yaml");
        fs::write(&file, text).expect("a configuration");
        file
    }

    /// Runs a command, and gives its exit code and what it said.
    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let config = self.place.path().join("stockade.yaml");
        let flags = ["--config", config.to_str().expect("a path of ours")];
        let output = run_to_end(&[args, &flags].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

const POLICY: &str = "policies:
  - name: narrow
    match: {path: \"@/one\"}
    when: {signal: age, above: 0s}
    steps:
      - {set: {pids.max: 300}, ttl: 1h, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";

#[test]
fn an_undo_of_one_cgroup_takes_back_what_a_policy_did_and_a_dry_one_takes_back_nothing() {
    let ground = Ground::new("by-hand-undo");
    let mut daemon = Daemon::configured(&ground.config(POLICY), &[]);
    let target = ground.target();
    eventually("the policy acted", || (ground.limit() == "300").then_some(()));
    for dry in [vec!["undo", "-n"], vec!["undo", &target, "-n"]] {
        let (code, said) = ground.run(&dry);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said, format!("dry run: would undo pids.max of {target} (narrow)\n"));
        assert_eq!(ground.limit(), "300", "{dry:?}");
    }
    let (code, said) = ground.run(&["undo", &target]);
    assert_eq!((code, ground.limit().as_str()), (Some(0), "900"), "{said}");
    let (code, said) = ground.run(&["undo", "-n"]);
    assert_eq!((code, said.as_str()), (Some(0), "dry run: nothing is in force that could be undone\n"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}

#[test]
fn what_a_killed_daemon_left_is_told_by_a_dry_undo_and_undone_by_a_real_one() {
    let ground = Ground::new("by-hand-left");
    let mut daemon = Daemon::configured(&ground.config(POLICY), &[]);
    eventually("the policy acted", || (ground.limit() == "300").then_some(()));
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    for _ in 0..2 {
        let (code, said) = ground.run(&["undo", "-n"]);
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "dry run: would undo or close 1 change of a former program\n")
        );
        assert_eq!(ground.limit(), "300");
    }
    let (code, said) = ground.run(&["undo"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "done: 1 change was undone or closed, of a former program\n")
    );
    assert_eq!(ground.limit(), "900");
    let (code, said) = ground.run(&["undo", "-n"]);
    assert_eq!((code, said.as_str()), (Some(0), "dry run: nothing is left to undo\n"));
    let (code, said) = ground.run(&["audit"]);
    let told = format!("recovery  {}  pids.max, was 900, by narrow: restored\n", ground.target());
    assert!(code == Some(0) && said.contains(&told), "{said}");
}

#[test]
fn a_guard_rail_that_refuses_is_exit_code_3_and_a_control_that_is_none_is_2() {
    let ground = Ground::new("by-hand-refused");
    ground.config("");
    let (code, said) = ground.run(&["freeze", &ground.group.path]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("protected") && said.contains("outside `safety.scope`"), "{said}");
    assert_eq!(ground.run(&["set", &ground.target(), "pids.most=1"]).0, Some(2));
    assert_eq!(ground.run(&["set", &ground.target(), "pids.max=1", "-n"]).0, Some(0));
    assert_eq!(ground.limit(), "900");
}

#[test]
fn an_undo_of_nothing_needs_no_cgroups() {
    let ground = Ground::new("by-hand-nothing");
    ground.config("");
    let (code, said) = ground.run(&["undo", "--path.procfs", "/nowhere"]);
    assert_eq!((code, said.as_str()), (Some(0), "done: nothing was left to undo\n"));
}
