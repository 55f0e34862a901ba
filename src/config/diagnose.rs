//! Text to a checked configuration, with everything that is wrong found in one go.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use super::compile::{Config, compile};
use super::decode::Decoder;
use super::problem::{MOST_PROBLEMS, Mark, Problem, Problems};
use super::raw::RawConfig;
use super::tree::{NodeId, Tree};

/// Reads and checks the text of a configuration file. `file` is its name for messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &Path, text: &str) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    match check(text, &mut problems) {
        Ok(config) if problems.is_empty() => return Ok(config),
        Ok(_) => {}
        Err(problem) => problems.push(problem),
    }
    Err(Problems::new(file, text, problems))
}

/// The configuration as far as it is good, and what is not. An error is where nothing more can be found.
fn check(text: &str, problems: &mut Vec<Problem>) -> Result<Config, Problem> {
    // The tree is read first because it is bounded, and because only it sees repeated keys of plain mappings.
    let Some(tree) = Tree::read(text, problems)? else { return Ok(Config::default()) };
    let mut bad = tree.repeated.clone();
    let raw = match primary(text) {
        Ok(raw) => raw,
        Err(err) => {
            let raw = recover(&tree, &mut bad, problems);
            // The two parsers disagree: the first one's word is better than none.
            if problems.is_empty() {
                problems.push(disagreement(&err));
            }
            raw
        }
    };
    let (config, issues) = compile(&raw);
    for issue in issues {
        let node = tree.find(&issue.path);
        let against = issue.against.map(|path| tree.find(&path));
        // What only follows from another error is none of its own.
        if !tree.holds(node, &bad) && against.is_none_or(|node| !bad.contains(&node)) {
            problems.push(Problem::at(tree.mark(node), issue.message, issue.expected));
        }
    }
    Ok(config)
}

/// The way that good documents take.
fn primary(text: &str) -> Result<RawConfig, serde_yaml::Error> {
    Ok(serde_yaml::from_str::<Option<RawConfig>>(text)?.unwrap_or_default())
}

/// Reads the tree again and again, each time without the values that were found bad before, until all is good.
fn recover(tree: &Tree, bad: &mut HashSet<NodeId>, problems: &mut Vec<Problem>) -> RawConfig {
    while problems.len() < MOST_PROBLEMS {
        let err = match Option::<RawConfig>::deserialize(Decoder::new(tree, bad)) {
            Ok(raw) => return raw.unwrap_or_default(),
            Err(err) => err,
        };
        let node = err.node.unwrap_or(tree.root);
        problems.push(Problem::at(tree.mark(node), err.message, err.expected));
        // The document itself is no value that can be left out.
        if node == tree.root || !bad.insert(node) {
            break;
        }
    }
    RawConfig::default()
}

fn disagreement(err: &serde_yaml::Error) -> Problem {
    let message = "this cannot be read";
    match err.location() {
        Some(place) => Problem::at(
            Mark { line: place.line(), column: place.column(), width: 1 },
            message,
            err.to_string(),
        ),
        None => Problem::whole(message, err.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// What both ways of reading make of a text; a text that one refuses must be refused by the other.
    fn both(text: &str) -> (Option<RawConfig>, Option<RawConfig>) {
        let mut problems = Vec::new();
        let tree = Tree::read(text, &mut problems).unwrap().unwrap();
        let bad = HashSet::new();
        let second =
            Option::<RawConfig>::deserialize(Decoder::new(&tree, &bad)).ok().map(Option::unwrap_or_default);
        (primary(text).ok(), second)
    }

    /// One key with one of the values, or nothing.
    fn entry(key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
        option::of(proptest::sample::select(values))
            .prop_map(move |value| value.map(|value| format!("  {key}: {value}\n")).unwrap_or_default())
    }

    #[test]
    fn every_form_of_a_value_is_read_alike() {
        type Forms = &'static [&'static str];
        let table: &[(&str, Forms, Forms)] = &[
            (
                "interval",
                &["5s", "'1h30m'", "\"500ms\"", "", "~", "!!str 7s", "|-\n    5s"],
                &["5", "5x", "[5s]", "{}", "1.5"],
            ),
            (
                "max_depth",
                &["1", "+4", "0x1f", "0o17", "0b11", "NULL"],
                &[
                    "007",
                    "1.5",
                    "1e3",
                    "-1",
                    "0",
                    "'3'",
                    "99999999999999999999",
                    ".inf",
                    "-9223372036854775809",
                ],
            ),
            ("averages", &["true", "False", "TRUE", "null"], &["yes", "on", "'true'", "1"]),
            (
                "include",
                &["[]", "['/**', /a]", "\n    - /x\n    - '/dev-\\x2d'", "[5, true]", "[\"/\\x41\"]"],
                &["/a", "[[/a]]", "[{}]"],
            ),
            (
                "collectors",
                &["{}", "{cpu: , io: {enabled: true, interval: 1m}}"],
                &["[cpu]", "{nope: }", "{cpu: {on: true}}", "{cpu: true}"],
            ),
        ];
        for &(key, good, bad) in table {
            for (values, is_good) in [(good, true), (bad, false)] {
                for value in values {
                    let text = format!("collect:\n  {key}: {value}\n");
                    let (first, second) = both(&text);
                    assert_eq!(first.is_some(), is_good, "{text}");
                    assert_eq!(first, second, "{text}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_of_reading_agree(
            interval in entry("interval", &["5s", "'1h30m'", "\"500ms\"", "", "~", "!!str 7s", "5", "0x10", "5x", "[5s]"]),
            depth in entry("max_depth", &["1", "32", "+4", "0x1f", "0o17", "0b11", "007", "1.5", "1e3", "-1", "0", "'3'", "99999999999999999999"]),
            averages in entry("averages", &["true", "False", "TRUE", "yes", "'true'", "null"]),
            include in entry("include", &["[]", "['/**', /a]", "\n    - /x\n    - '/dev-\\x2d'", "[5, true, ~]", "/a", "[[/a]]"]),
            collectors in btree_map(proptest::sample::select(&["cpu", "io", "'host'", "nope"][..]), "(\\{\\}|~|\\{enabled: true\\}|\\{interval: 30s\\}|\\[\\])", 0..3),
            labels in vec(proptest::sample::select(&["unit", "slice", "user", "pod"][..]), 0..4),
        ) {
            let collectors: String = collectors.iter().map(|(name, value)| format!("    {name}: {value}\n")).collect();
            let text = format!(
                "collect:\n{interval}{depth}{averages}{include}  collectors:\n{collectors}labels: {{attach: [{}]}}\n",
                labels.join(", "),
            );
            let (first, second) = both(&text);
            prop_assert_eq!(first, second, "{}", text);
        }
    }
}
