//! Tables that are made of the program's own.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use stockade::metrics::{cadvisor_documentation, documentation};
use stockade::model::Collector;

use super::{first_column, page, root};

/// The text with what stands between `<!-- name -->` and `<!-- /name -->` replaced.
fn with_block(text: &str, name: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n"))?;
    let (_, after) = rest.split_once(&format!("<!-- /{name} -->"))?;
    Some(format!("{before}<!-- {name} -->\n{block}<!-- /{name} -->{after}"))
}

/// The pages, and the blocks of each that the program says.
fn said() -> [(&'static str, Vec<(&'static str, String)>); 2] {
    let metrics = vec![("metrics", documentation()), ("cadvisor", cadvisor_documentation())];
    [("dashboards/metrics.md", metrics), ("config/server.md", vec![("flags", flags())])]
}

/// Holds every block to what the program says now; one test, as it may write the files.
#[test]
fn the_tables_say_what_the_program_says() {
    for (name, blocks) in said() {
        let text = page(name);
        let mut expected = text.clone();
        for (mark, block) in blocks {
            expected =
                with_block(&expected, mark, &block).unwrap_or_else(|| panic!("{name} has no block {mark}"));
        }
        if std::env::var_os("STOCKADE_BLESS").is_some() {
            // The other tests read the file meanwhile: they see the old one or the new one.
            let new = root().join(format!("{name}.new"));
            fs::write(&new, &expected).unwrap();
            fs::rename(&new, root().join(name)).unwrap();
            continue;
        }
        for (at, (line, expected)) in text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(line, expected, "{name}:{}: write it anew with STOCKADE_BLESS=1", at + 1);
        }
        assert_eq!(text, expected, "{name} is longer or shorter: write it anew with STOCKADE_BLESS=1");
    }
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
    let yaml = page("config/stockade.yaml");
    let mut expected = keys(&yaml);
    for collector in Collector::ALL {
        let key = format!("collect.collectors.{}", collector.name());
        assert!(expected.remove(&key), "config/stockade.yaml does not name {key}");
    }
    expected
        .extend(["collect.collectors.NAME.enabled", "collect.collectors.NAME.interval"].map(str::to_owned));
    let said: BTreeSet<String> = first_column(&page("config/README.md"), "Keys").into_iter().collect();
    assert_eq!(said, expected);
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
    let table = first_column(&page("README.md"), "Commands");
    let said: BTreeSet<&str> = table.iter().filter_map(|row| row.split_whitespace().nth(1)).collect();
    assert_eq!(said, expected);
}

#[test]
fn every_metric_is_in_the_table_once() {
    let table = documentation();
    let names: Vec<&str> = table.lines().skip(2).filter_map(|row| row.split('`').nth(1)).collect();
    let once: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), once.len());
    for line in page("tests/fixtures/golden/host.prom").lines() {
        let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        assert!(once.contains(name), "{name} is on a page and not in the table");
    }
}
