//! What the README says about metrics, flags and configuration keys is what the program says.
//!
//! `STOCKADE_BLESS=1 cargo test --test readme` writes the blocks anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use stockade::enforce::order::Outcome;
use stockade::metrics::{cadvisor_documentation, documentation};
use stockade::model::{Collector, Knob};
use stockade::policy::engine::State;
use stockade::policy::rule::{Action, Amount, Kill, Notify};
use stockade::policy::signal::Signal;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("README.md is there")
}

/// The text with what stands between `<!-- name -->` and `<!-- /name -->` replaced.
fn with_block(text: &str, name: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n"))?;
    let (_, after) = rest.split_once(&format!("<!-- /{name} -->"))?;
    Some(format!("{before}<!-- {name} -->\n{block}<!-- /{name} -->{after}"))
}

/// Holds every block to what the program says now; one test, as it may write the file.
#[test]
fn the_readme_says_what_the_program_says() {
    let text = readme();
    let mut expected = text.clone();
    let blocks = [("metrics", documentation()), ("cadvisor", cadvisor_documentation()), ("flags", flags())];
    for (name, block) in blocks {
        expected =
            with_block(&expected, name, &block).unwrap_or_else(|| panic!("README.md has no block {name}"));
    }
    if std::env::var_os("STOCKADE_BLESS").is_some() {
        // The other tests read the file meanwhile: they see the old one or the new one.
        let new = root().join("README.md.new");
        fs::write(&new, &expected).unwrap();
        fs::rename(&new, root().join("README.md")).unwrap();
        return;
    }
    for (at, (line, expected)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "README.md:{}: write it anew with STOCKADE_BLESS=1", at + 1);
    }
    assert_eq!(text, expected, "README.md is longer or shorter: write it anew with STOCKADE_BLESS=1");
}

/// What the program answers to these arguments, in lines of 100 columns.
fn answer(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_stockade"))
        .args(arguments)
        .env("COLUMNS", "100")
        .env_remove("STOCKADE_CONFIG")
        .output()
        .expect("cargo has built the program");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("help is text")
}

/// `stockade serve -h`, as a code block.
fn flags() -> String {
    let help = answer(&["serve", "-h"]);
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!("```\n{}\n```\n", help.join("\n").trim_end())
}

#[test]
fn a_block_is_replaced_and_a_missing_one_is_noticed() {
    let text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
    assert_eq!(with_block(text, "x", "new\n").unwrap(), "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n");
    assert_eq!(with_block(text, "y", "new\n"), None);
    assert_eq!(with_block("<!-- x -->\nno end", "x", "new\n"), None);
}

/// The keys of the annotated configuration, as `collect.interval`.
fn keys(yaml: &str) -> BTreeSet<String> {
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut keys = BTreeSet::new();
    for line in yaml.lines() {
        let trimmed = line.trim_start();
        let Some((key, value)) = trimmed.split_once(':') else { continue };
        if trimmed.starts_with('#') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        parents.retain(|(of_parent, _)| *of_parent < indent);
        let path: Vec<&str> = parents.iter().map(|(_, name)| name.as_str()).chain([key]).collect();
        let has_value = !value.split('#').next().unwrap_or_default().trim().is_empty();
        if has_value {
            keys.insert(path.join("."));
        } else {
            parents.push((indent, key.to_owned()));
        }
    }
    keys
}

#[test]
fn every_configuration_key_is_in_the_table() {
    let yaml = fs::read_to_string(root().join("config/stockade.yaml")).unwrap();
    let mut expected = keys(&yaml);
    for collector in Collector::ALL {
        let key = format!("collect.collectors.{}", collector.name());
        assert!(expected.remove(&key), "config/stockade.yaml does not name {key}");
    }
    expected
        .extend(["collect.collectors.NAME.enabled", "collect.collectors.NAME.interval"].map(str::to_owned));
    let said: BTreeSet<String> = first_column("Configuration").into_iter().collect();
    assert_eq!(said, expected);
}

/// The code in the first column of a table in a section of the README.
fn first_column(section: &str) -> Vec<String> {
    first_column_of(&readme(), section)
}

/// The code in the first column of a table in a section of a page.
fn first_column_of(page: &str, section: &str) -> Vec<String> {
    let title = format!("{section}\n");
    let section = page.split("\n## ").find(|text| text.starts_with(&title)).expect("the section is there");
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`').map(|(code, _)| code.to_owned()))
        .collect()
}

#[test]
fn every_command_is_in_the_table() {
    let help = answer(&["--help"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let mut expected: BTreeSet<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // Further lines of a description are indented more.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    expected.remove("help");
    let table = first_column("Commands");
    let said: BTreeSet<&str> = table.iter().filter_map(|row| row.split_whitespace().nth(1)).collect();
    assert_eq!(said, expected);
}

/// Every name that a pattern such as `{a,b}.c.{d,e}` stands for.
fn expanded(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (choices, after) = rest.split_once('}').expect("a brace is closed");
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

/// Signals, steps, states, outcomes and kinds of audit lines: the manual has a row for each, and no other.
#[test]
fn the_manual_names_everything_that_policies_know() {
    let manual = fs::read_to_string(root().join("config/README.md")).unwrap();
    let section = |title: &str| first_column_of(&manual, title);
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
    ];
    assert_eq!(section("What: steps"), steps.map(|step| step.name()));
    for knob in KNOBS {
        assert!(manual.contains(knob.file()), "the manual does not name {knob}");
    }
}

/// The controls whose file no other control has.
const KNOBS: [Knob; 11] = [
    Knob::MemoryMin,
    Knob::MemoryLow,
    Knob::MemoryHigh,
    Knob::MemoryMax,
    Knob::MemorySwapMax,
    Knob::CpuMax,
    Knob::CpuWeight,
    Knob::IoWeight,
    Knob::PidsMax,
    Knob::CpusetCpus,
    Knob::CpusetMems,
];

#[test]
fn every_link_to_a_file_leads_to_one() {
    for page in ["README.md", "CONTRIBUTING.md", "config/README.md"] {
        let page = root().join(page);
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let files = links.map(|link| link.split('#').next().unwrap_or_default());
        for link in files.filter(|link| !link.contains("://") && !link.is_empty()) {
            let there = page.with_file_name(link).exists();
            assert!(there, "{} links to {link}, which is not there", page.display());
        }
    }
}

#[test]
fn every_metric_is_in_the_table_once() {
    let table = documentation();
    let names: Vec<&str> = table.lines().skip(2).filter_map(|row| row.split('`').nth(1)).collect();
    let once: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), once.len());
    for line in fs::read_to_string(root().join("tests/fixtures/golden/host.prom")).unwrap().lines() {
        let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        assert!(once.contains(name), "{name} is on a page and not in the table");
    }
}
