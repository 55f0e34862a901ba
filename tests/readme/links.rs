//! Every link of every page leads to a file of the tree, and to a heading where it names one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// Every page of the tree, but what is built or fetched.
fn pages() -> Vec<PathBuf> {
    fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("the tree is read").map(|entry| entry.expect("an entry"))
        {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().expect("a kind").is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    walk(&path, into);
                }
            } else if name.ends_with(".md") {
                into.push(path);
            }
        }
    }
    let mut pages = Vec::new();
    walk(&root(), &mut pages);
    pages.sort();
    pages
}

/// The text outside of blocks of code and code within lines, in which nothing is a link or a heading.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// Where the links of a page lead.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let without_code: String = prose.split('`').step_by(2).collect();
    let ends = without_code.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.map(|target| target.trim().to_owned()).filter(|target| !target.contains("://")).collect()
}

/// The anchors that GitHub gives the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(text).lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|&each| each.is_alphanumeric() || " -_".contains(each));
        let anchor: String = kept.map(|each| if each == ' ' { '-' } else { each }).collect();
        // A second heading of the same words has a number.
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

/// What is wrong with the links of a page.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for target in targets(text) {
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let file = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
        if !file.exists() {
            broken.push(format!("{target}: there is no such file"));
        } else if !anchor.is_empty() {
            let there = fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor));
            if !there {
                broken.push(format!("{target}: there is no such heading"));
            }
        }
    }
    broken
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() >= 8, "{pages:?}");
    let mut all = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).expect("UTF-8");
        let name = page.strip_prefix(root()).expect("below the root").display();
        all.extend(broken(page, &text).into_iter().map(|link| format!("{name}: {link}")));
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn broken_links_are_found() {
    let page = root().join("README.md");
    let of = |text: &str| broken(&page, text);
    assert_eq!(of("[a](config/README.md) [b](#licence) [c](https://example.org/#x)"), Vec::<String>::new());
    assert_eq!(of("[a](config/NOTHING.md)"), ["config/NOTHING.md: there is no such file"]);
    assert_eq!(of("[a](#two)"), ["#two: there is no such heading"]);
    assert_eq!(of("`[a](x)`\n```\n[a](x)\n```\n"), Vec::<String>::new());
    let anchors = anchors("# A `b.c`: d\n## A\n## A\n```\n# not\n```\n");
    assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["a", "a-1", "a-bc-d"]);
}
