//! Text to a checked configuration, with everything that is wrong found in one go.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::compile::{Config, RulePlace, compile};
use super::conceal::conceal;
use super::decode::Decoder;
use super::place::{Issue, Issues, Place, Written};
use super::problem::{MOST_PROBLEMS, Mark, Problem, Problems};
use super::raw::{RawConfig, RawDropIn};
use super::tree::{NodeId, Tree};
use super::users::Users;

/// A file that was read, or why it could not be.
pub(super) struct Source {
    /// Its name for messages.
    pub(super) file: PathBuf,
    /// Its text.
    pub(super) text: Result<String, Problem>,
}

/// Reads and checks the text of a configuration file of any host. `file` is its name for messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &Path, text: &str) -> Result<Config, Problems> {
    parse_all(&Source { file: file.to_owned(), text: Ok(text.to_owned()) }, &[], Users::Elsewhere)
}

/// Reads and checks a configuration file and its drop-ins.
///
/// # Errors
/// Everything that is wrong with any of them.
pub(super) fn parse_all(main: &Source, drop_ins: &[Source], users: Users) -> Result<Config, Problems> {
    let mut found = Vec::with_capacity(1 + drop_ins.len());
    let raw: RawConfig = Document::read(main, &mut found);
    let raw_drop_ins: Vec<RawDropIn> =
        drop_ins.iter().map(|source| Document::read(source, &mut found)).collect();
    let compiled = compile(&raw, &raw_drop_ins, users);
    for issue in compiled.issues {
        report(issue, &mut found);
    }
    let mut config = compiled.config;
    for (name, place) in compiled.names {
        let (document, mark) = (&found[place.document], locate(&place, &found));
        let file = document.source.file.clone();
        config.places.extend(mark.map(|Mark { line, column, .. }| (name, RulePlace { file, line, column })));
    }
    let mut problems = Problems::new(&main.file);
    for document in found {
        let text = document.source.text.as_deref().unwrap_or_default();
        problems.add(&document.source.file, text, document.problems);
    }
    if problems.list().is_empty() { Ok(config) } else { Err(problems) }
}

/// Reads and checks a document that stands alone and holds secrets: no message shows one.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn parse_secret<T: DeserializeOwned + Default, C>(
    source: &Source,
    check: impl FnOnce(&T, &Place<'_>, &mut Issues) -> C,
    secrets: impl FnOnce(&Tree) -> Vec<Mark>,
) -> Result<C, Problems> {
    let mut found = Vec::with_capacity(1);
    let raw: T = Document::read(source, &mut found);
    let mut issues = Issues::default();
    let checked = check(&raw, &Place::Document(0), &mut issues);
    for issue in issues.into_vec() {
        report(issue, &mut found);
    }
    let mut problems = Problems::new(&source.file);
    if let Some(mut document) = found.pop() {
        let text = document.source.text.as_deref().unwrap_or_default();
        let secrets = document.tree.as_ref().map(secrets);
        for problem in &mut document.problems {
            problem.conceal(secrets.as_deref());
        }
        problems.add(&document.source.file, &conceal(text, secrets.as_deref()), document.problems);
    }
    if problems.list().is_empty() { Ok(checked) } else { Err(problems) }
}

/// One file, as far as it was understood.
struct Document<'s> {
    source: &'s Source,
    tree: Option<Tree>,
    bad: HashSet<NodeId>,
    problems: Vec<Problem>,
}

impl<'s> Document<'s> {
    /// What is written in a file, as far as it is good. The file joins those that were found.
    fn read<T: DeserializeOwned + Default>(source: &'s Source, found: &mut Vec<Self>) -> T {
        let mut document = Self { source, tree: None, bad: HashSet::new(), problems: Vec::new() };
        let raw = document.fill().unwrap_or_else(|problem| {
            document.problems.push(problem);
            T::default()
        });
        found.push(document);
        raw
    }

    /// An error is where nothing more can be found.
    fn fill<T: DeserializeOwned + Default>(&mut self) -> Result<T, Problem> {
        let text = self.source.text.as_deref().map_err(Clone::clone)?;
        // The tree is read first because it is bounded, and because only it sees repeated keys of plain mappings.
        let Some(tree) = Tree::read(text, &mut self.problems)? else { return Ok(T::default()) };
        self.bad.clone_from(&tree.repeated);
        let raw = match primary(text) {
            Ok(raw) => raw,
            Err(err) => {
                let raw = recover(&tree, &mut self.bad, &mut self.problems);
                // The two parsers disagree: the first one's word is better than none.
                if self.problems.is_empty() {
                    self.problems.push(disagreement(&err));
                }
                raw
            }
        };
        self.tree = Some(tree);
        Ok(raw)
    }
}

/// Where a value stands in its file.
fn locate(place: &Written, found: &[Document<'_>]) -> Option<Mark> {
    let document = &found[place.document];
    document.tree.as_ref().map(|tree| tree.mark(tree.find(&place.steps, &document.bad)))
}

/// Makes a problem of what cannot be meant, unless it only follows from another error.
fn report(issue: Issue, found: &mut [Document<'_>]) {
    let at = issue.place.document;
    let Document { tree: Some(tree), bad, .. } = &found[at] else { return };
    let node = tree.find(&issue.place.steps, bad);
    let against = issue.against.map(|place| tree.find(&place.steps, bad));
    if tree.holds(node, bad) || against.is_some_and(|node| bad.contains(&node)) {
        return;
    }
    let mut expected = issue.expected;
    if let Some(first) = &issue.first
        && let Some(mark) = locate(first, found)
    {
        expected.push_str("; it first stands ");
        if first.document != at {
            expected.push_str(&format!("in {} ", found[first.document].source.file.display()));
        }
        expected.push_str(&format!("on line {}", mark.line));
    }
    let problem = Problem::at(tree.mark(node), issue.message, expected);
    found[at].problems.push(problem);
}

/// The way that good documents take.
fn primary<T: DeserializeOwned + Default>(text: &str) -> Result<T, serde_yaml::Error> {
    Ok(serde_yaml::from_str::<Option<T>>(text)?.unwrap_or_default())
}

/// Reads the tree again and again, each time without the values that were found bad before, until all is good.
fn recover<T: DeserializeOwned + Default>(
    tree: &Tree,
    bad: &mut HashSet<NodeId>,
    problems: &mut Vec<Problem>,
) -> T {
    while problems.len() < MOST_PROBLEMS {
        let err = match Option::<T>::deserialize(Decoder::new(tree, bad)) {
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
    T::default()
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

    #[test]
    fn every_form_of_a_rule_is_read_alike() {
        let policy = |key: &str, value: &str| format!("policies:\n  - name: p\n    {key}: {value}\n");
        for (key, value, is_good) in [
            ("match", "{path: /a, user: 1000, unit: '*'}", true),
            ("match", "{any: [{unit: 0x10}, {user: 007}], not: , min_age: 5s}", true),
            ("match", "{unit: true}", false),
            ("match", "{unit: [a]}", false),
            ("when", "{signal: cpu.usage, above: 1.5}", true),
            ("when", "{signal: cpu.usage, above: 1e3, below: -1}", true),
            ("when", "{all: [{not: {signal: a}}, {any: }]}", true),
            ("when", "{above: ~}", true),
            ("when", "{above: {}}", false),
            ("steps", "[{notify: }, {freeze: }, {kill: ~}, {set: }]", true),
            ("steps", "[{reclaim: 256MiB}, {reclaim: 5}, {reclaim: {amount: 5}}, {reclaim: }]", true),
            ("steps", "[{reclaim: 1.5}]", false),
            ("steps", "[{reclaim: {mount: 5}}]", false),
            (
                "steps",
                "[{set: {io.max: {8:0: {rbps: max}, vda: {}, 5: {wiops: 1}}, cpuset.cpus: 0-3}}]",
                true,
            ),
            ("steps", "[{set: {io.max: {vda: }}}]", true),
            ("steps", "[{set: {io.max: {vda: ~}}}]", false),
            ("steps", "\n    - \n    - {}", true),
            ("steps", "[~]", false),
            ("when", "{all: [~]}", false),
            ("victim", "{at_least: {cpu.usage: }}", false),
            ("steps", "[{kill: {signal: KILL}}, {kill: {signal: 9}}]", false),
            ("victim", "{at_least: {memory.anon: 5, x: y, 5: 6}}", true),
        ] {
            let text = policy(key, value);
            let (first, second) = both(&text);
            assert_eq!(first.is_some(), is_good, "{text}");
            assert_eq!(first, second, "{text}");
        }
        for text in [
            "safety: {mode: enforce, scope: , kill_budget: {host: {max: 0}}}",
            "safety: {audit: {max_size: 5M}}",
        ] {
            let (first, second) = both(text);
            assert!(first.is_some() && first == second, "{text}: {first:?} {second:?}");
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

        #[test]
        fn both_ways_of_reading_rules_agree(
            name in entry("name", &["a", "5", "007", "~", "", "true", "[a]"]),
            selector in entry("match", &["{path: /a/*}", "{any: [{unit: a}, {user: 0x3}], min_age: 5s}", "{path: }", "{paths: /a}", "{not: }", "5", ""]),
            when in entry("when", &["{signal: age, above: 5s}", "{all: [{not: {signal: a, below: 1.5}}]}", "{any: [~]}", "{above: {}}", "{of_limit: yes}", "{for: 5}", ""]),
            steps in entry("steps", &["[{notify: }]", "[{set: {io.max: {8:0: {rbps: 5}}}}]", "[{reclaim: -5}]", "[{reclaim: {amount: 1e9}}]", "[{kill: {signal: 9}}]", "[]", "~", "[{freeze: 5}]"]),
            victim in entry("victim", &["{rank: [a, 5], at_least: {a: 5, 6: b}, max: 1}", "{max: 0}", "{rank: a}", "[]"]),
            rest in entry("cooldown", &["{target: 5s}", "5s", "{target: }", "~"]),
        ) {
            let text = format!("policies:\n- allow_oom: false\n{name}{selector}{when}{steps}{victim}{rest}");
            let (first, second) = both(&text);
            prop_assert_eq!(first, second, "{}", text);
        }
    }
}
