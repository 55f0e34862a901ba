//! Text to a checked configuration, with everything that is wrong found in one go.

use std::path::Path;

use serde::Deserialize;

use super::compile::{Config, compile};
use super::decode::Decoder;
use super::problem::{Mark, Problem, Problems};
use super::raw::RawConfig;
use super::tree::Tree;

/// After so many problems the rest is not looked for.
const MOST_PROBLEMS: usize = 100;

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
    let raw = match primary(text) {
        Ok(raw) => raw,
        Err(err) => {
            let raw = recover(&tree, problems);
            // The two parsers disagree: the first one's word is better than none.
            if problems.is_empty() {
                problems.push(disagreement(&err));
            }
            raw
        }
    };
    let (config, issues) = compile(&raw);
    problems.extend(issues.into_iter().map(|issue| {
        Problem::at(tree.mark(tree.find(&issue.path)), issue.message, format!("expected {}", issue.expected))
    }));
    Ok(config)
}

/// The way that good documents take.
fn primary(text: &str) -> Result<RawConfig, serde_yaml::Error> {
    Ok(serde_yaml::from_str::<Option<RawConfig>>(text)?.unwrap_or_default())
}

/// Reads the tree again and again, each time without the values that were found bad before, until all is good.
fn recover(tree: &Tree, problems: &mut Vec<Problem>) -> RawConfig {
    let mut bad = tree.repeated.clone();
    while problems.len() < MOST_PROBLEMS {
        let err = match Option::<RawConfig>::deserialize(Decoder::new(tree, &bad)) {
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
