//! Which cgroups a rule is about, and whether there can be any.

use super::overlap::{Pattern, covers, disjoint};
use crate::config::place::{Issues, Place};
use crate::config::raw::{RawMatch, RawMatcher, RawSafety};
use crate::config::users::Users;
use crate::model::{NamespaceKind, OwnerLabel, PathGlob, Shared};
use crate::policy::selector::{LabelGlob, Matcher, Selector};

/// How many descriptions `any` and `not` may have.
const MOST: usize = 100;
/// What a `match` looks like.
const EXAMPLE: &str = "expected a key such as `path: \"/batch.slice/**\"` or `unit: nginx.service`";

/// Reads a glob over paths.
pub(super) fn path_glob(text: &str, at: &Place<'_>, issues: &mut Issues) -> Option<PathGlob> {
    let glob = PathGlob::parse(text);
    glob.map_err(|why| {
        issues.add(at, format!("bad glob `{text}`"), why);
    })
    .ok()
}

/// Reads one description of cgroups.
pub(super) fn matcher<'r>(
    says: impl Iterator<Item = (&'static str, &'r str)>,
    users: Users,
    at: &Place<'_>,
    issues: &mut Issues,
) -> Option<Matcher> {
    let before = issues.len();
    let mut matcher = Matcher::default();
    for (key, text) in says {
        let at = at.key(key);
        if key == "path" {
            matcher.path = path_glob(text, &at, issues);
            continue;
        }
        if let Some(kind) = key.strip_prefix("namespaces.").and_then(NamespaceKind::from_name) {
            let shared = Shared::ALL.iter().copied().find(|shared| shared.name() == text);
            matcher.namespaces.extend(shared.map(|shared| (kind, shared)));
            continue;
        }
        let Some(label) = OwnerLabel::ALL.iter().copied().find(|label| label.name() == key) else { continue };
        // Numbers are globs like the other labels.
        let is_name = label == OwnerLabel::User && text.contains(|c: char| c.is_ascii_alphabetic());
        let number = if is_name { users.number(text) } else { Ok(text.to_owned()) };
        let number = match number {
            Ok(number) => number,
            Err(message) => {
                issues.add(
                    &at,
                    message,
                    "expected the name of a user there, a number, or a glob of numbers such as `1*`",
                );
                continue;
            }
        };
        match LabelGlob::parse(&number) {
            Ok(glob) => matcher.labels.push((label, glob)),
            Err(why) => {
                issues.add(&at, format!("bad glob `{text}`"), why);
            }
        }
    }
    if issues.len() > before {
        return None;
    }
    if matcher.path.is_none() && matcher.labels.is_empty() && matcher.namespaces.is_empty() {
        issues.add(at, "this says nothing about the cgroups that it matches", EXAMPLE);
        return None;
    }
    Some(matcher)
}

/// What a selector is held against.
pub(super) struct Surroundings {
    protect: Vec<Vec<Pattern>>,
    scope: Option<Vec<Pattern>>,
    users: Users,
}

impl Surroundings {
    /// What `safety:` says, and how the names of users are understood.
    pub(super) fn new(safety: Option<&RawSafety>, users: Users) -> Self {
        let protect = safety.and_then(|safety| safety.protect.as_deref()).unwrap_or_default();
        let scope = safety.and_then(|safety| safety.scope.as_deref()).filter(|scope| !scope.is_empty());
        Self {
            protect: protect.iter().map(|raw| patterns(raw.says())).collect(),
            scope: scope.map(|scope| scope.iter().map(|glob| Pattern::new("path", glob)).collect()),
            users,
        }
    }
}

fn patterns<'r>(says: impl Iterator<Item = (&'static str, &'r str)>) -> Vec<Pattern> {
    says.map(|(key, text)| Pattern::new(key, text)).collect()
}

/// Reads `match:`.
pub(super) fn selector(
    raw: &RawMatch,
    around: &Surroundings,
    at: &Place<'_>,
    issues: &mut Issues,
) -> Option<Selector> {
    let before = issues.len();
    let own: Vec<_> = raw.says().collect();
    let mut selector =
        Selector { min_age: raw.min_age.map(|age| age.0).unwrap_or_default(), ..Selector::default() };
    match (&raw.any, own.first()) {
        (Some(_), Some((key, _))) => {
            let expected = format!("expected `{key}` in an item of `any`, or no `any`");
            issues.add(&at.name(key), format!("`{key}` stands beside `any`"), expected);
        }
        (Some(any), None) => {
            let at = at.key("any");
            if any.is_empty() {
                issues.add(&at, "this matches no cgroup", "expected at least one description");
            }
            selector.any = matchers(any, around.users, &at, issues);
        }
        (None, _) => selector.any.extend(matcher(own.iter().copied(), around.users, at, issues)),
    }
    if let Some(not) = &raw.not {
        selector.not = matchers(not, around.users, &at.key("not"), issues);
    }
    if issues.len() > before {
        return None;
    }
    if let Some((message, expected)) = nothing_left(raw, around) {
        issues.add(at, message, expected);
        return None;
    }
    Some(selector)
}

fn matchers(raw: &[RawMatcher], users: Users, at: &Place<'_>, issues: &mut Issues) -> Vec<Matcher> {
    if raw.len() > MOST {
        let message = format!("these are {} descriptions", raw.len());
        issues.add(at, message, format!("expected at most {MOST}; globs can hold many"));
        return Vec::new();
    }
    let read = |(item, raw): (usize, &RawMatcher)| matcher(raw.says(), users, &at.index(item), issues);
    raw.iter().enumerate().filter_map(read).collect()
}

/// Why no cgroup can be acted on, if that is sure: what is wrong, and what was expected.
fn nothing_left(raw: &RawMatch, around: &Surroundings) -> Option<(&'static str, &'static str)> {
    let several =
        |raw: &[RawMatcher]| -> Vec<Vec<Pattern>> { raw.iter().map(|raw| patterns(raw.says())).collect() };
    let any = raw.any.as_deref().map_or_else(|| vec![patterns(raw.says())], several);
    let not = several(raw.not.as_deref().unwrap_or_default());

    let is_left_out = |says: &[Pattern]| not.iter().any(|other| covers(other, says));
    let is_protected = |says: &[Pattern]| {
        says.iter().any(Pattern::is_root) || around.protect.iter().any(|other| covers(other, says))
    };
    let is_outside = |says: &[Pattern]| {
        let path = says.iter().find(|pattern| pattern.is_path());
        path.zip(around.scope.as_ref())
            .is_some_and(|(path, scope)| scope.iter().all(|glob| disjoint(glob, path)))
    };
    if any.iter().all(|says| is_left_out(says)) {
        return Some(("`not` leaves nothing of what this matches", "expected exceptions that are narrower"));
    }
    if any.iter().all(|says| is_left_out(says) || is_protected(says)) {
        let expected = "expected cgroups besides the root and those that `safety.protect` lists";
        return Some(("this can match only cgroups that are protected", expected));
    }
    if any.iter().all(|says| is_left_out(says) || is_protected(says) || is_outside(says)) {
        let expected = "expected a path within `safety.scope`, or a wider scope";
        return Some(("this can match only cgroups outside `safety.scope`", expected));
    }
    None
}
