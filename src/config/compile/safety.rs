//! What may be done at all, and to whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::selector;
use crate::config::place::{Issues, Place};
use crate::config::raw::RawSafety;
use crate::config::units;
use crate::config::users::Users;
use crate::enforce::safety::{Budget, Safety};
use crate::model::PathGlob;

/// How many globs `scope`, and how many descriptions `protect` may have.
const MOST: usize = 100;
/// The longest freeze that may be allowed: whoever waits for what is frozen has given up by then.
const LONGEST_FREEZE: Duration = Duration::from_secs(3600);
/// The smallest audit log that is worth rotating.
const SMALLEST_LOG: u64 = 64 << 10;

/// Checks `safety:`.
pub(super) fn safety(raw: Option<&RawSafety>, users: Users, at: &Place<'_>, issues: &mut Issues) -> Safety {
    let mut safety = Safety::default();
    let Some(raw) = raw else { return safety };
    if let Some(mode) = raw.mode {
        safety.mode = mode.0;
    }
    if let Some(texts) = &raw.scope {
        safety.scope = Some(scope(texts, &at.key("scope"), issues));
    }
    let protect = at.key("protect");
    few(raw.protect.as_ref().map_or(0, Vec::len), &protect, issues);
    for (item, raw) in raw.protect.iter().flatten().enumerate() {
        let at = protect.index(item);
        let matcher = selector::matcher(raw.says(), users, &at, issues);
        // What is never touched must not hang on what becomes known a moment after a birth.
        if matcher.as_ref().is_some_and(|matcher| !matcher.namespaces.is_empty()) {
            let expected = "expected `path` or a label such as `unit: sshd.service`";
            issues.add(&at.name("namespaces"), "namespaces cannot be protected by", expected);
            continue;
        }
        safety.protect.extend(matcher);
    }
    if let Some(raw) = &raw.kill_budget {
        let at = at.key("kill_budget");
        let budgets =
            [("host", &raw.host, &mut safety.kill_host), ("target", &raw.target, &mut safety.kill_target)];
        for (key, raw, budget) in budgets {
            let Some(raw) = raw else { continue };
            let per = raw.per.map_or(budget.per, |per| per.0);
            *budget = Budget { max: raw.max.map_or(budget.max, |max| max.0), per };
            if per.is_zero() {
                let at = at.key(key);
                issues.add(
                    &at.key("per"),
                    "a budget for no time bounds nothing",
                    "expected longer than 0s, such as `10m`",
                );
            }
        }
    }
    if let Some(raw) = &raw.writers {
        let writers = &mut safety.writers;
        writers.systemd = raw.systemd.map_or(writers.systemd, |writer| writer.0);
        writers.runtimes = raw.runtimes.map_or(writers.runtimes, |writer| writer.0);
        writers.unowned = raw.unowned.map_or(writers.unowned, |writer| writer.0);
    }
    for (item, guardian) in raw.yield_to.iter().flatten().enumerate() {
        if safety.yield_to.contains(&guardian.0) {
            let message = format!("`{}` stands here twice", guardian.0.name());
            issues.add(&at.key("yield_to").index(item), message, "expected each once");
            continue;
        }
        safety.yield_to.push(guardian.0);
    }
    if let Some(longest) = raw.freeze_max {
        safety.freeze_max = longest.0;
        if longest.0.is_zero() || longest.0 > LONGEST_FREEZE {
            let message = format!("`{}` is no bound for a freeze", units::show(longest.0));
            let expected = format!("expected longer than 0s, and at most {}", units::show(LONGEST_FREEZE));
            issues.add(&at.key("freeze_max"), message, expected);
        }
    }
    if let Some(journal) = &raw.journal {
        safety.journal = absolute(journal, "/var/lib/stockade/journal", &at.key("journal"), issues);
    }
    if let Some(raw) = &raw.audit {
        let at = at.key("audit");
        let audit = &mut safety.audit;
        if let Some(path) = &raw.path {
            audit.path = Some(absolute(path, "/var/log/stockade/audit.jsonl", &at.key("path"), issues));
        }
        if let Some(text) = &raw.max_size {
            match units::size(&text.0) {
                Some(size) if size >= SMALLEST_LOG => audit.max_size = size,
                _ => {
                    let expected = format!("expected {}, and at least 64KiB", units::SIZE);
                    issues.add(&at.key("max_size"), format!("bad size `{}`", text.0), expected);
                }
            }
        }
        audit.keep = raw.keep.map_or(audit.keep, |keep| keep.0);
    }
    safety
}

fn scope(texts: &[String], at: &Place<'_>, issues: &mut Issues) -> Vec<PathGlob> {
    few(texts.len(), at, issues);
    if texts.is_empty() {
        let expected = "expected at least one glob, such as `/batch.slice/**`; `mode: observe` does nothing";
        issues.add(at, "this scope holds no cgroup", expected);
    }
    let mut globs = Vec::with_capacity(texts.len());
    for (item, text) in texts.iter().enumerate() {
        globs.extend(selector::path_glob(text, &at.index(item), issues));
    }
    globs
}

fn few(number: usize, at: &Place<'_>, issues: &mut Issues) {
    if number > MOST {
        issues.add(
            at,
            format!("these are {number}"),
            format!("expected at most {MOST}; globs can hold many"),
        );
    }
}

fn absolute(text: &str, example: &str, at: &Place<'_>, issues: &mut Issues) -> PathBuf {
    let path = Path::new(text);
    if !path.is_absolute() || text.contains('\0') {
        issues.add(
            at,
            format!("`{text}` is no absolute path"),
            format!("expected a path such as `{example}`"),
        );
    }
    path.to_owned()
}
