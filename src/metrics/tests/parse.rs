//! A small, strict reader of the text formats, to check what the encoder wrote.

use std::collections::{BTreeMap, HashSet};

/// One series: the name of the sample, its labels, its value as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: String,
}

/// Reads a whole exposition. Fails on a line that is not well formed, on a series told twice, on a family told twice
/// and on a sample that stands under no header.
pub(super) fn exposition(text: &str) -> Vec<Sample> {
    let (mut samples, mut seen, mut families, mut family) = (Vec::new(), HashSet::new(), HashSet::new(), "");
    for line in text.split_terminator('\n') {
        if line == "# EOF" {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# ") {
            let (what, rest) = rest.split_once(' ').expect("a header");
            let (name, _) = rest.split_once(' ').expect("a header's family");
            if what == "HELP" {
                assert!(families.insert(name), "the family {name} is told twice");
                family = name;
            }
            assert!(["HELP", "TYPE", "UNIT"].contains(&what) && name == family, "{line}");
            continue;
        }
        let sample = sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}"));
        assert!(sample.name.starts_with(family), "{line} stands under {family}");
        assert!(seen.insert(line.rsplit_once(' ').expect("a value").0), "the series is told twice: {line}");
        samples.push(sample);
    }
    samples
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if label.is_empty() || !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return None;
            }
            if labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            if let Some(more) = after.strip_prefix(',') {
                rest = more;
            } else {
                rest = after.strip_prefix('}')?;
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    value.parse::<f64>().ok()?;
    Some(Sample { name: name.to_owned(), labels, value: value.to_owned() })
}

/// The text up to the closing quote, without its escapes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\n' => return None,
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[test]
fn the_reader_refuses_what_is_not_well_formed() {
    for bad in
        ["a{b=\"c} 1", "a{b=\"c\"}1", "a{b=\"c\",} 1", "a{b=\"c\",b=\"d\"} 1", "a one", "a{b=\"\\x\"} 1"]
    {
        assert_eq!(sample(bad), None, "{bad}");
    }
    assert_eq!(sample("a{b=\"c\\\"\"} 1.5").unwrap().labels["b"], "c\"");
}
