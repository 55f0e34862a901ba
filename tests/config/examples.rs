//! The example files of `config/`.

use std::fs;
use std::path::{Path, PathBuf};

use stockade::cli::{CheckArgs, Exit, Format, PathArgs};
use stockade::config;
use stockade::policy::rule::{Action, Mode};

use super::example;

/// The examples of policies, and the actions that each is about.
const POLICIES: [(&str, &[&str]); 9] = [
    ("cpu-hogs", &["set"]),
    ("fork-bombs", &["freeze", "kill"]),
    ("host", &["set", "freeze", "kill"]),
    ("idle-batch", &["set", "freeze"]),
    ("io-hogs", &["set"]),
    ("login-node", &["set", "freeze", "kill"]),
    ("memory-pressure", &["set", "freeze", "kill"]),
    ("runaway-growth", &["set", "freeze", "kill"]),
    ("swap-thrash", &["set", "freeze", "kill"]),
];

#[test]
fn every_example_is_tested() {
    let mut names: Vec<String> = files().iter().map(|path| name(path)).collect();
    names.sort_unstable();
    let mut known: Vec<&str> =
        POLICIES.iter().map(|(name, _)| *name).chain(["minimal", "stockade"]).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}

/// The examples; what else lies there is for people.
pub fn files() -> Vec<PathBuf> {
    let all = fs::read_dir(example("")).expect("the examples").map(|entry| entry.expect("an entry").path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a file has a name").to_owned()
}

#[test]
fn every_example_of_a_policy_does_what_it_is_about_and_does_nothing_yet() {
    for (name, actions) in POLICIES {
        let config =
            config::load(Some(&example(&format!("{name}.yaml")))).unwrap_or_else(|err| panic!("{err}"));
        assert_eq!(config.safety.mode, Mode::DryRun, "{name}");
        assert!(config.safety.scope.is_some(), "{name} bounds what may be touched");
        assert!(!config.rules.policies.is_empty(), "{name}");
        for policy in &config.rules.policies {
            assert!(!policy.steps.is_empty(), "{name}: {}", policy.name);
            assert_eq!(policy.mode, None, "{name}: {} follows the general mode", policy.name);
        }
        let steps = config.rules.policies.iter().flat_map(|policy| &policy.steps);
        let done: Vec<&str> = steps.map(|step| step.action.name()).collect();
        for action in actions {
            assert!(done.contains(action), "{name} has no step that does {action}");
        }
        let undone = |action: &Action| matches!(action, Action::Set(_) | Action::Freeze);
        let steps = config.rules.policies.iter().flat_map(|policy| &policy.steps);
        assert!(steps.filter(|step| undone(&step.action)).all(|step| step.ttl.is_some()), "{name}");
    }
}

#[test]
fn check_finds_every_example_good() {
    let files = files();
    let paths =
        PathArgs { procfs: "/nowhere".into(), sysfs: "/nowhere".into(), cgroupfs: None, rootfs: "/".into() };
    let args = CheckArgs { files, web_config: None, host: false, no_host: true, paths, format: Format::Text };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(args.run(&mut out, &mut err).unwrap(), Exit::Done);
    assert_eq!(String::from_utf8(err).unwrap(), "");
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), POLICIES.len() + 2);
}
