//! The rules of the house that no compiler checks: which module may use which, what a pure module may not touch, where
//! `unsafe` may be, how long a file may grow. The map in `src/lib.rs` says the same in words.

use std::fs;
use std::path::Path;

/// What each module may use, itself aside. A module that is not here is an error: put it on the map first.
const MAP: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("kernel", &["model"]),
    ("identify", &["model"]),
    ("sample", &["kernel", "identify", "model"]),
    ("policy", &["model"]),
    ("systemd", &["model"]),
    ("enforce", &["policy", "kernel", "systemd", "model"]),
    ("metrics", &["enforce", "policy", "model"]),
    ("config", &["enforce", "policy", "model", "web"]),
    ("record", &["model"]),
    ("web", &["metrics", "model", "record"]),
    ("daemon", EVERYTHING),
    ("cli", EVERYTHING),
];
const EVERYTHING: &[&str] = &[
    "cli", "config", "daemon", "enforce", "identify", "kernel", "metrics", "model", "policy", "record",
    "systemd", "sample", "web",
];

/// Files and directories that only compute.
const PURE: &[&str] = &[
    "model/",
    "kernel/parse/",
    "kernel/watch/wire.rs",
    "identify/",
    "enforce/amount.rs",
    "enforce/budget.rs",
    "enforce/ledger.rs",
    "enforce/order.rs",
    "enforce/plan.rs",
    "enforce/protection.rs",
    "enforce/request.rs",
    "enforce/safety.rs",
    "metrics/",
    "policy/",
    "record/",
    "sample/derive.rs",
];
/// The program's own metrics count what happens; everything else there is pure.
const PURE_BUT_FOR: &[&str] = &["metrics/own.rs"];
/// What a pure file may not name. `std::env::consts` is decided by the compiler, and allowed.
const IMPURE: &[&str] = &[
    "fs",
    "env",
    "net",
    "process",
    "thread",
    "Instant",
    "SystemTime::now",
    "tokio",
    "nix",
    "tracing",
    "procfs",
];

/// The only file that may have unsafe code, should the day come.
const UNSAFE_ALLOWED: &str = "kernel/sys.rs";
/// How long a file may be, its inline tests not counted.
const MAX_LINES: usize = 450;
/// Names that say nothing about what is inside.
const VAGUE: &[&str] = &["common", "helper", "helpers", "misc", "shared", "stuff", "util", "utils"];

/// A source file: its path below `src/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// A file that does not exist, for the tests of the rules themselves.
    fn example(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The text up to the inline tests, which may use more than the code they test.
    fn shipped(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
    }

    /// Whether the whole file is a test's.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }
}

/// Every source file of the crate.
fn sources() -> Vec<Source> {
    fn walk(root: &Path, directory: &Path, into: &mut Vec<Source>) {
        for entry in fs::read_dir(directory).expect("the tree has its sources") {
            let path = entry.expect("the directory is read").path();
            if path.is_dir() {
                walk(root, &path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("it is below");
                let name = name.to_str().expect("file names are ASCII").to_owned();
                into.push(Source { path: name, text: fs::read_to_string(&path).expect("sources are UTF-8") });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    walk(&root, &root, &mut all);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(all.len() > 50, "only {} source files found in {}", all.len(), root.display());
    all
}

/// The code without comments and without the contents of string and character literals.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest).or_else(|| quoted(rest)) {
            code.push_str("\"\"");
            length
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[skip..];
    }
    code
}

/// The length of a raw string at the start of this text.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r').or_else(|| text.strip_prefix("br"))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&close)? + close.len())
}

/// The length of a string or character literal at the start of this text. A lifetime is neither.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    if quote == '\'' && !text[1..].starts_with('\\') && text.chars().nth(2) != Some('\'') {
        return None;
    }
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, each)| {
        let end = each == quote && !escaped;
        escaped = each == '\\' && !escaped;
        end.then_some(at + 1)
    })
}

/// Every path in the code that starts with this name, a group spelled out: `crate::{a, b::{c, d}}` gives `crate::a`,
/// `crate::b::c` and `crate::b::d`.
fn paths_from(code: &str, root: &str) -> Vec<String> {
    let start = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&start) {
        let within_a_name = code[..at]
            .chars()
            .next_back()
            .is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | ':'));
        if !within_a_name {
            spell_out(root, &code[at + start.len()..], &mut found);
        }
    }
    found
}

/// Spells out the path, or the group of paths, at the start of this text, and returns what follows it.
fn spell_out<'a>(prefix: &str, text: &'a str, into: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let before = rest.len();
            rest = spell_out(prefix, rest, into).trim_start();
            // `x as y` and the comma.
            rest = rest.trim_start_matches(|each| !matches!(each, '}' | ','));
            rest = rest.strip_prefix(',').unwrap_or(rest);
            if rest.is_empty() || rest.len() == before {
                return rest;
            }
        }
    }
    let end = text.find(|each: char| !each.is_alphanumeric() && each != '_').unwrap_or(text.len());
    let path = format!("{prefix}::{}", &text[..end]);
    match text[end..].strip_prefix("::") {
        Some(rest) => spell_out(&path, rest, into),
        None => {
            into.push(path);
            &text[end..]
        }
    }
}

/// Uses of modules that the map does not allow.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let module = source.path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    if matches!(module, "lib" | "main") {
        return Vec::new();
    }
    let Some((_, allowed)) = MAP.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{}: the module `{module}` is not on the map", source.path)];
    };
    paths_from(&code(source.shipped()), "crate")
        .iter()
        .filter_map(|path| path.split("::").nth(1))
        .filter(|used| *used != module && !allowed.contains(used))
        .map(|used| format!("{}: `{module}` may not use `{used}`", source.path))
        .collect()
}

/// Clocks, files and the like in what must only compute.
fn impurities(source: &Source) -> Vec<String> {
    let pure = PURE.iter().any(|start| source.path.starts_with(start))
        && !PURE_BUT_FOR.contains(&source.path.as_str())
        && !source.is_test();
    if !pure {
        return Vec::new();
    }
    let code = code(source.shipped());
    let mut named = paths_from(&code, "std");
    named.extend(["tokio", "nix", "tracing", "procfs"].iter().flat_map(|root| paths_from(&code, root)));
    if code.contains("SystemTime::now") {
        named.push("std::time::SystemTime::now".to_owned());
    }
    named
        .iter()
        .filter(|path| !path.starts_with("std::env::consts::"))
        .filter(|path| IMPURE.iter().any(|word| format!("::{path}::").contains(&format!("::{word}::"))))
        .map(|path| format!("{}: it is pure, and names `{path}`", source.path))
        .collect()
}

/// Unsafe code outside the one file that may have it.
fn unsafety(source: &Source) -> Vec<String> {
    let code = code(&source.text);
    let unsafe_code =
        code.split(|each: char| !each.is_alphanumeric() && each != '_').any(|word| word == "unsafe");
    if unsafe_code && source.path != UNSAFE_ALLOWED {
        vec![format!("{}: `unsafe` is for {UNSAFE_ALLOWED} only", source.path)]
    } else {
        Vec::new()
    }
}

/// Files that are too long, or whose name says nothing.
fn shape(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = source.shipped().lines().count();
    if lines > MAX_LINES && !source.is_test() {
        wrong.push(format!("{}: {lines} lines, and {MAX_LINES} are allowed: split it by topic", source.path));
    }
    if source.path.split('/').any(|part| VAGUE.contains(&part.trim_end_matches(".rs"))) {
        wrong.push(format!("{}: name it after what is inside", source.path));
    }
    wrong
}

/// Holds every source file to a rule.
fn hold(rule: fn(&Source) -> Vec<String>) {
    let wrong: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn arrows_run_one_way() {
    hold(wrong_arrows);
}

#[test]
fn pure_modules_only_compute() {
    hold(impurities);
}

#[test]
fn unsafe_code_is_in_one_file() {
    hold(unsafety);
}

#[test]
fn files_are_short_and_named_after_their_content() {
    hold(shape);
}

#[test]
fn the_map_in_words_names_the_same_modules_and_arrows() {
    let lib = sources().into_iter().find(|source| source.path == "lib.rs").unwrap();
    for (module, allowed) in MAP {
        let row = format!("//! | [`{module}`] |");
        let line =
            lib.text.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        let said = line.split('|').nth(3).unwrap().trim();
        let said: Vec<&str> = match said {
            "nothing" => Vec::new(),
            "all" => EVERYTHING.to_vec(),
            list => list.split(", ").map(|name| name.trim_matches('`')).collect(),
        };
        assert_eq!(&said, allowed, "the row of `{module}` in lib.rs");
    }
    for line in lib.text.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        assert!(MAP.iter().any(|(name, _)| *name == module), "`{module}` is not on the map");
    }
}

/// What a rule says about a made-up file.
fn check(rule: fn(&Source) -> Vec<String>, path: &str, text: &str, expected: &[&str]) {
    let said = rule(&Source::example(path, text));
    assert_eq!(said.len(), expected.len(), "{path}: {text}: {said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
    }
}

#[test]
fn a_wrong_arrow_is_found() {
    let rule = wrong_arrows;
    check(rule, "model/x.rs", "use crate::kernel::dir;", &["`model` may not use `kernel`"]);
    check(
        rule,
        "kernel/x.rs",
        "use crate::{model::Limit, sample::{self, clock}};",
        &["`kernel` may not use `sample`", "`kernel` may not use `sample`"],
    );
    check(rule, "metrics/x.rs", "fn f() { let x = crate::config::load(None); }", &["may not use `config`"]);
    check(
        rule,
        "web/x.rs",
        "use crate::model::{\n    A as B,\n};\nuse crate::daemon;",
        &["may not use `daemon`"],
    );
    check(rule, "surprise.rs", "", &["not on the map"]);
    check(rule, "sample/x.rs", "use crate::{kernel::dir, model::Limit, sample::tree};", &[]);
    check(rule, "model/x.rs", "/// Like `crate::kernel::x`.\nconst A: &str = \"crate::kernel\";", &[]);
    check(
        rule,
        "model/x.rs",
        "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use crate::kernel::dir;\n}\n",
        &[],
    );
}

#[test]
fn an_impurity_is_found() {
    let rule = impurities;
    check(rule, "model/x.rs", "use std::{fs, io};", &["`std::fs`"]);
    check(
        rule,
        "identify/x.rs",
        "fn f() -> bool { std::env::var_os(\"X\").is_some() }",
        &["`std::env::var_os`"],
    );
    check(rule, "metrics/x.rs", "use std::time::{Duration, Instant};", &["`std::time::Instant`"]);
    check(
        rule,
        "metrics/x.rs",
        "use std::time::SystemTime;\nfn f() { SystemTime::now(); }",
        &["SystemTime::now"],
    );
    check(rule, "kernel/watch/wire.rs", "use nix::errno::Errno;", &["`nix::errno::Errno`"]);
    check(rule, "sample/derive.rs", "fn f() { tracing::info!(\"x\"); }", &["`tracing::info`"]);
    check(rule, "record/x.rs", "use tokio::net::TcpListener;", &["`tokio::net::TcpListener`"]);
    check(rule, "kernel/dir.rs", "use std::fs;", &[]);
    check(rule, "metrics/own.rs", "use std::time::Instant;", &[]);
    check(rule, "metrics/x.rs", "const A: &str = std::env::consts::ARCH;", &[]);
    check(rule, "model/x.rs", "use std::time::{Duration, SystemTime};", &[]);
}

#[test]
fn unsafe_code_is_found() {
    check(unsafety, "kernel/dir.rs", "fn f() { unsafe { g() } }", &["kernel/sys.rs only"]);
    check(unsafety, UNSAFE_ALLOWED, "fn f() { unsafe { g() } }", &[]);
    check(
        unsafety,
        "kernel/dir.rs",
        "#![deny(unsafe_code)] // unsafe\nconst A: &str = r#\"\"unsafe\"#;",
        &[],
    );
}

#[test]
fn long_and_vague_files_are_found() {
    check(shape, "model/x.rs", &"fn f() {}\n".repeat(MAX_LINES + 1), &["split it"]);
    let tested =
        format!("{}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(9), "\n".repeat(MAX_LINES));
    check(shape, "model/x.rs", &tested, &[]);
    check(shape, "model/utils.rs", "", &["name it after"]);
    check(shape, "common/mod.rs", "", &["name it after"]);
    check(shape, "kernel/v2/rdma_misc.rs", "", &[]);
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, expected) in [
        ("a // b\nc", "a \nc"),
        ("a /* b\n */ c", "a  c"),
        ("f(\"// \\\" x\", 'y', '\\'')", "f(\"\", \"\", \"\")"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("br##\"a\"# \"##;", "\"\";"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
}
