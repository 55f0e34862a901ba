//! Messages of a policy that leaves nothing to undo, through a hook command: that it begins, and that it is over.

mod support;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::daemon::Daemon;
use support::{TestGroup, eventually};

#[test]
fn who_was_told_that_it_began_is_told_that_it_is_over_although_nothing_was_in_force() {
    let mut group = TestGroup::everywhere("messages");
    group.child("one");
    group.run("one", "exec sleep 1000");
    let place = tempfile::tempdir().expect("a directory");
    let (told, scope) = (place.path().join("told"), &group.path);
    let (said, journal) = (told.display(), place.path().join("journal"));
    let text = format!(
        "collect: {{interval: 200ms}}
safety:
  mode: enforce
  scope: [\"{scope}/**\"]
  journal: {}
policies:
  - name: somebody
    match: {{path: \"{scope}/one\"}}
    when: {{signal: pids.current, above: 0}}
    steps:
      - notify: {{hook: {{command: [/bin/sh, -c, \"cat >> {said}; echo $STOCKADE_STATUS $STOCKADE_CGROUP >> {said}.env\"]}}}}
",
        journal.display()
    );
    let file = place.path().join("stockade.yaml");
    fs::write(&file, text).expect("a configuration");
    let mut daemon = Daemon::configured(&file, &[]);
    let environment = || fs::read_to_string(place.path().join("told.env")).unwrap_or_default();
    let began = format!("firing {scope}/one\n");
    eventually("it is told", || (environment() == began).then_some(()));
    group.kill();
    let both = format!("{began}resolved {}/one\n", group.path);
    eventually("it is over", || (environment() == both).then_some(()));
    let messages = fs::read_to_string(&told).expect("it was written");
    let messages: Vec<Value> =
        serde_json::Deserializer::from_str(&messages).into_iter().map(|each| each.expect("JSON")).collect();
    let statuses: Vec<&Value> = messages.iter().map(|message| &message["status"]).collect();
    assert_eq!(statuses, ["firing", "resolved"]);
    assert_eq!(messages[0]["alerts"][0]["fingerprint"], messages[1]["alerts"][0]["fingerprint"]);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}
