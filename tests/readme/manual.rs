//! The manual of the configuration names everything that rules know, and its examples are configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;
use stockade::config;
use stockade::enforce::order::Outcome;
use stockade::model::Knob;
use stockade::policy::engine::State;
use stockade::policy::rule::{Action, Amount, Kill, Notify};
use stockade::policy::signal::Signal;

use super::{blocks, first_column, page, section};

/// Every name that a pattern such as `{a,b}.c.{d,e}` stands for.
fn expanded(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (choices, after) = rest.split_once('}').expect("a brace is closed");
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

/// Signals, steps, states, outcomes and kinds of audit lines: the manual has a row for each, and no other.
#[test]
fn the_manual_names_everything_that_policies_know() {
    let manual = page("config/README.md");
    let section = |title: &str| first_column(&manual, title);
    let sorted = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
    let listed: Vec<String> =
        section("What can be measured: signals").iter().flat_map(|name| expanded(name)).collect();
    assert_eq!(listed.len(), Signal::all().count(), "a signal stands there twice, or is missing");
    assert_eq!(sorted(listed), Signal::all().map(Signal::name).collect());
    let outcomes: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
    assert_eq!(section("Guard rails and outcomes"), outcomes);
    assert_eq!(section("States"), State::NAMES);
    let nothing = Kill { signal: 0, grace: Duration::ZERO };
    let steps = [
        Action::Notify(Notify::default()),
        Action::Set(Vec::new()),
        Action::Reclaim(Amount::OfCurrent(0.0)),
        Action::Freeze,
        Action::Kill(nothing),
        Action::Restart,
        Action::Stop,
    ];
    assert_eq!(section("What: steps"), steps.map(|step| step.name()));
    for knob in Knob::PLAIN {
        assert!(manual.contains(knob.file()), "the manual does not name {knob}");
    }
}

/// The third-level sections below a second-level one: the code that is the title, and the text.
fn sections(title: &str) -> BTreeMap<String, String> {
    let page = page("config/signals.md");
    let parts = section(&page, title).split("\n### `").skip(1);
    let named = parts.map(|part| part.split_once("`\n").expect("a title is one name, as code"));
    named.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// What may stand there, by what the loader says of a key that may not.
fn keys(document: &str) -> BTreeSet<String> {
    let problems = config::parse(Path::new("keys.yaml"), document).expect_err("no such key");
    let problem = problems.list().first().expect("it is a problem");
    let (_, names) = problem.expected().split_once("one of: ").unwrap_or_else(|| panic!("{problems}"));
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_signal_has_a_section_whose_example_uses_it() {
    let sections = sections("Each signal");
    let named: Vec<String> = sections.keys().flat_map(|name| expanded(name)).collect();
    assert_eq!(named.len(), Signal::all().count(), "a signal has two sections, or none");
    let named: BTreeSet<String> = named.into_iter().collect();
    assert_eq!(named, Signal::all().map(Signal::name).collect());
    for (name, text) in &sections {
        let (_, example) =
            blocks(text, "yaml").first().copied().unwrap_or_else(|| panic!("{name} has no example"));
        let used = expanded(name).iter().any(|name| example.contains(name.as_str()));
        assert!(used, "the example of {name} does not use it");
    }
}

/// The last column of the table of signals has a limit where the loader takes one, and nothing where it refuses.
#[test]
fn of_limit_is_taken_where_the_table_says_so() {
    let manual = page("config/README.md");
    let rows =
        section(&manual, "What can be measured: signals").lines().filter(|line| line.starts_with("| `"));
    let mut with_limit = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let says = !cells[4].is_empty();
        for signal in expanded(cells[0].trim_matches('`')) {
            let when = format!("when: {{signal: {signal}, below: 5%, of_limit: true}}");
            let document = completed(&when).expect("YAML");
            assert_eq!(config::parse(Path::new("x"), &document).is_ok(), says, "{signal}");
        }
        with_limit += usize::from(says);
    }
    assert!(with_limit > 8, "only {with_limit}");
}

#[test]
fn every_key_of_a_condition_and_every_step_has_a_section_whose_example_uses_it() {
    let sections_of = |title: &str| sections(title);
    let conditions =
        keys("policies: [{name: a, match: {path: /a}, when: {nothing: 1}, steps: [{notify: {}}]}]");
    let steps = keys(
        "policies: [{name: a, match: {path: /a}, when: {signal: age, above: 1s}, steps: [{nothing: 1}]}]",
    );
    // What is said about a step, not a step.
    let said = ["at_least", "ttl", "relieved_within"].map(str::to_owned);
    let steps: BTreeSet<String> = steps.into_iter().filter(|key| !said.contains(key)).collect();
    for (title, expected) in [("Each key of a condition", conditions), ("Each step", steps)] {
        let sections = sections_of(title);
        assert_eq!(sections.keys().cloned().collect::<BTreeSet<_>>(), expected, "{title}");
        for (key, text) in &sections {
            let (_, example) =
                blocks(text, "yaml").first().copied().unwrap_or_else(|| panic!("{key} has no example"));
            assert!(example.contains(&format!("{key}: ")) || example.contains(&format!("{key}:\n")), "{key}");
        }
    }
}

/// Every example in YAML, on its own or put into a policy that has what it leaves out, is a good configuration.
#[test]
fn every_example_is_a_configuration() {
    let mut loaded = 0;
    for name in ["config/README.md", "config/signals.md", "README.md"] {
        for (line, block) in blocks(&page(name), "yaml") {
            if block.starts_with("scrape_configs:") {
                continue;
            }
            let document = completed(block).unwrap_or_else(|error| panic!("{name}:{line}: {error}"));
            if let Err(problems) = config::parse(Path::new(name), &document) {
                panic!("{name}:{line}: {problems}\n{document}");
            }
            loaded += 1;
        }
    }
    assert!(loaded > 40, "only {loaded} examples");
}

/// A document that holds this part of one.
fn completed(block: &str) -> Result<String, serde_yaml::Error> {
    let part: BTreeMap<String, Value> = serde_yaml::from_str(block)?;
    if part.keys().any(|key| ["collect", "labels", "safety", "limits", "policies"].contains(&key.as_str())) {
        return Ok(block.to_owned());
    }
    let rest =
        "name: example\nmatch: {path: /batch.slice/*}\nwhen: {signal: age, above: 1s}\nsteps: [{notify: {}}]";
    let mut policy: BTreeMap<String, Value> = serde_yaml::from_str(rest)?;
    policy.extend(part);
    serde_yaml::to_string(&BTreeMap::from([("policies", [policy])]))
}

#[test]
fn a_bad_example_is_found() {
    let document = completed("when: {signal: no.such, above: 1}").expect("YAML");
    assert!(config::parse(Path::new("x"), &document).is_err());
    assert!(completed("when: {").is_err());
}
