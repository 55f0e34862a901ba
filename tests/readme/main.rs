//! What the pages say is what the program says: their tables are made of its own, what they show of a terminal is done,
//! their examples are configurations, and their links lead somewhere.
//!
//! `STOCKADE_BLESS=1 cargo test --test readme` writes the tables anew.

#[path = "../support/mod.rs"]
mod support;

mod links;
mod manual;
mod tables;
mod walkthrough;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The text of a page of the tree.
fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The text of a section of a page, up to the next one of its level.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let title = format!("{title}\n");
    page.split("\n## ").find(|text| text.starts_with(&title)).unwrap_or_else(|| panic!("no section {title}"))
}

/// The code in the first column of a table in a section of a page.
fn first_column(page: &str, title: &str) -> Vec<String> {
    section(page, title)
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`').map(|(code, _)| code.to_owned()))
        .collect()
}

/// The blocks of code in this language, each with the line on which it begins.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let fence = format!("```{language}\n");
    let starts = page.match_indices(&fence).map(|(at, fence)| at + fence.len());
    starts
        .filter(|&start| page[..start - fence.len()].ends_with('\n'))
        .map(|start| {
            let end = page[start..].find("```").expect("a block ends");
            (1 + page[..start].lines().count(), &page[start..start + end])
        })
        .collect()
}
