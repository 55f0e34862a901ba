//! When a policy fires, and when it is over.

use std::time::Duration;

use super::{bounds, signals};
use crate::config::place::{Issues, Place};
use crate::config::raw::{RawCondition, RawText};
use crate::config::units;
use crate::model::PathGlob;
use crate::policy::condition::{Compare, Condition, Of, Test, Threshold};
use crate::policy::signal::Signal;

/// How many comparisons one condition may have.
const MOST_TESTS: usize = 64;
/// How deeply conditions may be nested.
const DEEPEST: usize = 8;
/// The longest time that something may have to hold.
const LONGEST_HOLD: Duration = Duration::from_secs(86_400);
/// What a comparison looks like.
const EXAMPLE: &str = "`{signal: memory.current, above: 2GiB, for: 10s}`";

/// Reads a condition, and refuses one that can never hold.
pub(super) fn condition(raw: &RawCondition, at: &Place<'_>, issues: &mut Issues) -> Option<Condition> {
    let tests = number_of_tests(raw);
    if tests > MOST_TESTS {
        let message = format!("this condition has {tests} comparisons");
        issues.add(at, message, format!("expected at most {MOST_TESTS}"));
        return None;
    }
    let before = issues.len();
    let condition = read(raw, 1, at, issues)?;
    // What is not understood contradicts nothing.
    if issues.len() == before {
        bounds::refuse_impossible(&condition, at, issues);
    }
    (issues.len() == before).then_some(condition)
}

fn number_of_tests(raw: &RawCondition) -> usize {
    let inner = raw.all.iter().chain(&raw.any).flatten().chain(raw.not.as_deref());
    usize::from(raw.signal.is_some()) + inner.map(number_of_tests).sum::<usize>()
}

fn read(raw: &RawCondition, depth: usize, at: &Place<'_>, issues: &mut Issues) -> Option<Condition> {
    if depth > DEEPEST {
        let expected = format!("expected at most {DEEPEST} levels of `all`, `any` and `not`");
        issues.add(at, "conditions are nested too deeply here", expected);
        return None;
    }
    let keys = keys(raw);
    let Some(&(kind, is_test)) = keys.first() else {
        issues.add(at, "this compares nothing", format!("expected {EXAMPLE}, `all`, `any` or `not`"));
        return None;
    };
    if let Some((other, _)) = keys[1..].iter().find(|(_, other)| !(is_test && *other)) {
        let expected = "expected one of `all`, `any`, `not`, or one comparison; several go into a list";
        issues.add(&at.name(other), format!("`{other}` stands beside `{kind}`"), expected);
        return None;
    }
    let mut list = |raw: &[RawCondition]| -> Option<Vec<Condition>> {
        let at = at.key(kind);
        if raw.is_empty() {
            issues.add(&at, format!("`{kind}` of nothing says nothing"), "expected at least one condition");
            return None;
        }
        let read: Vec<Option<Condition>> =
            raw.iter().enumerate().map(|(item, raw)| read(raw, depth + 1, &at.index(item), issues)).collect();
        read.into_iter().collect()
    };
    match raw {
        RawCondition { all: Some(all), .. } => list(all).map(Condition::All),
        RawCondition { any: Some(any), .. } => list(any).map(Condition::Any),
        RawCondition { not: Some(not), .. } => {
            read(not, depth + 1, &at.key(kind), issues).map(|not| Condition::Not(Box::new(not)))
        }
        _ => test(raw, at, issues).map(Condition::Test),
    }
}

/// The keys that are written, and whether each is a comparison's.
fn keys(raw: &RawCondition) -> Vec<(&'static str, bool)> {
    [
        ("all", false, raw.all.is_some()),
        ("any", false, raw.any.is_some()),
        ("not", false, raw.not.is_some()),
        ("signal", true, raw.signal.is_some()),
        ("of", true, raw.of.is_some()),
        ("above", true, raw.above.is_some()),
        ("below", true, raw.below.is_some()),
        ("of_limit", true, raw.of_limit.is_some()),
        ("for", true, raw.hold.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_test, written)| written.then_some((key, is_test)))
    .collect()
}

fn test(raw: &RawCondition, at: &Place<'_>, issues: &mut Issues) -> Option<Test> {
    let before = issues.len();
    let Some(name) = &raw.signal else {
        issues.add(at, "this comparison names no signal", format!("expected {EXAMPLE}"));
        return None;
    };
    let signal = signals::signal(&name.0, &at.key("signal"), issues);
    let side = match (&raw.above, &raw.below) {
        (Some(above), None) => Some((Compare::Above, "above", above)),
        (None, Some(below)) => Some((Compare::Below, "below", below)),
        (Some(_), Some(_)) => {
            let expected = "expected one; two comparisons joined by `all` make a range";
            issues.add(&at.name("below"), "`below` stands beside `above`", expected);
            None
        }
        (None, None) => {
            issues.add(at, "this comparison has no threshold", "expected `above` or `below`");
            None
        }
    };
    let hold = raw.hold.map(|hold| hold.0).unwrap_or_default();
    if hold > LONGEST_HOLD {
        let message = format!("`{}` is too long to wait for", units::show(hold));
        issues.add(&at.key("for"), message, format!("expected at most {}", units::show(LONGEST_HOLD)));
    }
    let (signal, (compare, key, text)) = (signal?, side?);
    let threshold = threshold(raw, signal, &text.0, &at.key(key), at, issues);
    let (signal, of) = subject(raw.of.as_ref(), signal, &at.key("of"), issues)?;
    let threshold = threshold?;
    (issues.len() == before).then_some(Test { signal, of, compare, threshold, hold })
}

fn threshold(
    raw: &RawCondition,
    signal: Signal,
    text: &str,
    at: &Place<'_>,
    test: &Place<'_>,
    issues: &mut Issues,
) -> Option<Threshold> {
    if !raw.of_limit.unwrap_or_default() {
        return signals::value(signal, text, at, issues).map(Threshold::Fixed);
    }
    if !signals::has_limit(signal) {
        let expected = "expected `of_limit` with memory, swap, CPU usage or a number of processes";
        issues.add(&test.key("of_limit"), format!("no limit bounds {}", signal.name()), expected);
        return None;
    }
    let share = units::share(text);
    if share.is_none() {
        let expected = format!("with `of_limit` it is a share of the limit: expected {}", units::SHARE);
        issues.add(at, format!("`{text}` is no share"), expected);
    }
    share.map(Threshold::OfLimit)
}

/// Whose signal is looked at; the host's pressure is a signal of its own.
fn subject(
    raw: Option<&RawText>,
    signal: Signal,
    at: &Place<'_>,
    issues: &mut Issues,
) -> Option<(Signal, Of)> {
    let Some(RawText(text)) = raw else {
        return Some((signal, if signals::is_host(signal) { Of::Host } else { Of::This }));
    };
    let (message, expected) = match text.as_str() {
        _ if signals::is_host(signal) => (
            format!("{} is the host's", signal.name()),
            "expected no `of` beside a signal of the host".to_owned(),
        ),
        "self" => return Some((signal, Of::This)),
        "parent" => return Some((signal, Of::Parent)),
        "host" => match signal {
            Signal::Pressure(resource, stall, window) => {
                return Some((Signal::HostPressure(resource, stall, window), Of::Host));
            }
            _ => (
                format!("the host has no {}", signal.name()),
                "expected pressure, a signal such as `host.memory.available`, or `of: /` for the root cgroup"
                    .to_owned(),
            ),
        },
        path if path.starts_with('/') => match PathGlob::parse(path) {
            Ok(_) if !path.contains(['*', '?', '{', '[']) => {
                return Some((signal, Of::Path(path.as_bytes().into())));
            }
            Ok(_) => (format!("`{path}` is a glob"), "expected the path of one cgroup".to_owned()),
            Err(why) => (format!("bad path `{path}`"), why),
        },
        other => (
            format!("`{other}` is nobody"),
            "expected `self`, `parent`, `host` or the path of a cgroup, such as `/batch.slice`".to_owned(),
        ),
    };
    issues.add(at, message, expected);
    None
}
