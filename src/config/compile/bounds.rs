//! Conditions that can never hold, and `clear` on the wrong side of its trigger.

use super::signals;
use crate::config::place::{Issues, Place};
use crate::policy::condition::{Compare, Condition, Of, Test, Threshold};
use crate::policy::signal::{Quantity, Resource, Signal, Stall};

/// A comparison, on which side the value must be, if that is said, and the comparison's place.
type Found<'c, 'p> = (&'c Test, Option<Compare>, &'p Place<'p>);

/// What must hold at the same time.
struct Bound<'c> {
    test: &'c Test,
    compare: Compare,
}

/// Refuses comparisons that can never hold, alone or together with those that must hold as well.
pub(super) fn refuse_impossible(condition: &Condition, at: &Place<'_>, issues: &mut Issues) {
    walk(condition, false, &mut Vec::new(), at, issues);
}

/// `negated` is whether the condition must not hold. `bounds` is what must hold together with it.
fn walk<'c>(
    condition: &'c Condition,
    negated: bool,
    bounds: &mut Vec<Bound<'c>>,
    at: &Place<'_>,
    issues: &mut Issues,
) {
    match condition {
        Condition::Test(test) => {
            bound(test, side(test, negated), bounds, at, issues);
        }
        Condition::Not(inner) => walk(inner, !negated, bounds, &at.key("not"), issues),
        Condition::All(inner) | Condition::Any(inner) => {
            let is_all = matches!(condition, Condition::All(_));
            let at = at.key(if is_all { "all" } else { "any" });
            // By De Morgan, `not any` is `all not`.
            let together = is_all != negated;
            let kept = bounds.len();
            // Comparisons first: what is nested is then held against all of them.
            let mut inner: Vec<(usize, &Condition)> = inner.iter().enumerate().collect();
            inner.sort_by_key(|(_, each)| !matches!(each, Condition::Test(_)));
            for (item, each) in inner {
                walk(each, negated, bounds, &at.index(item), issues);
                if !together {
                    bounds.truncate(kept);
                }
            }
        }
    }
}

/// On which side the value must be. That something has not been so for a time says nothing about what is now.
fn side(test: &Test, negated: bool) -> Option<Compare> {
    match negated {
        false => Some(test.compare),
        true if test.hold.is_zero() => Some(opposite(test.compare)),
        true => None,
    }
}

const fn opposite(compare: Compare) -> Compare {
    match compare {
        Compare::Above => Compare::Below,
        Compare::Below => Compare::Above,
    }
}

const fn key(compare: Compare) -> &'static str {
    match compare {
        Compare::Above => "above",
        Compare::Below => "below",
    }
}

fn bound<'c>(
    test: &'c Test,
    compare: Option<Compare>,
    bounds: &mut Vec<Bound<'c>>,
    at: &Place<'_>,
    issues: &mut Issues,
) {
    let at = at.key(key(test.compare));
    if let Some((message, expected)) = out_of_range(test) {
        issues.add(&at, message, expected);
        return;
    }
    let Some(compare) = compare else { return };
    for other in bounds.iter() {
        let apart = match (compare, other.compare) {
            (Compare::Above, Compare::Below) => of_the_same(test, other.test, |mine, its| mine >= its),
            (Compare::Below, Compare::Above) => of_the_same(test, other.test, |mine, its| mine <= its),
            _ => false,
        };
        if apart {
            let name = test.signal.name();
            let message = format!("this contradicts another comparison with {name}");
            issues.add(&at, message, "expected comparisons that can hold at the same time, or `any`");
            return;
        }
    }
    bounds.push(Bound { test, compare });
}

/// Whether both measure the same thing, and their thresholds stand so to each other.
fn of_the_same(a: &Test, b: &Test, stand: impl Fn(f64, f64) -> bool) -> bool {
    a.signal == b.signal
        && a.of == b.of
        && match (a.threshold, b.threshold) {
            (Threshold::Fixed(a), Threshold::Fixed(b)) | (Threshold::OfLimit(a), Threshold::OfLimit(b)) => {
                stand(a, b)
            }
            _ => false,
        }
}

/// Why a comparison can never hold, or always does, if that is so.
fn out_of_range(test: &Test) -> Option<(String, String)> {
    let name = test.signal.name();
    match (test.threshold, test.compare) {
        (_, Compare::Above) if matches!(test.signal, Signal::HostPressure(Resource::Cpu, Stall::Full, _)) => {
            // Documentation/accounting/psi.rst: it has no meaning for the whole host, and is zero.
            Some((
                format!("{name} is always zero"),
                "expected `some`: a host never stalls as a whole".to_owned(),
            ))
        }
        (Threshold::Fixed(value) | Threshold::OfLimit(value), Compare::Below)
            if value <= 0.0 && !signals::is_signed(test.signal) =>
        {
            Some((format!("{name} is never below zero"), "expected a threshold above zero".to_owned()))
        }
        (Threshold::Fixed(value), Compare::Above)
            if value >= 1.0 && test.signal.quantity() == Quantity::Share =>
        {
            Some((format!("{name} is never above 100%"), "expected a threshold below 100%".to_owned()))
        }
        (Threshold::Fixed(value), Compare::Below)
            if value > 1.0 && test.signal.quantity() == Quantity::Share =>
        {
            Some((format!("{name} is always below this"), "expected a threshold of at most 100%".to_owned()))
        }
        _ => None,
    }
}

/// Refuses a `clear` that holds while the trigger does: between the two there must be a distance, or a policy acts and
/// undoes in turn.
pub(super) fn refuse_wrong_side(when: &Condition, clear: &Condition, at: &Place<'_>, issues: &mut Issues) {
    let mut triggers = Vec::new();
    each_test(when, false, &Place::Document(0), &mut |(test, side, _)| {
        triggers.extend(side.map(|side| (test, side)));
    });
    each_test(clear, false, at, &mut |(test, compare, at)| {
        let Some(compare) = compare else { return };
        let wrong = triggers.iter().find(|(trigger, side)| match (side, compare) {
            (Compare::Above, Compare::Below) => of_the_same(test, trigger, |clear, trigger| clear >= trigger),
            (Compare::Below, Compare::Above) => of_the_same(test, trigger, |clear, trigger| clear <= trigger),
            _ => of_the_same(test, trigger, |_, _| true),
        });
        let Some((_, side)) = wrong else { return };
        let name = test.signal.name();
        let expected = key(opposite(*side));
        let message = if *side == compare {
            format!("{name} clears on the side where it fires")
        } else {
            format!("{name} clears {} its trigger", key(*side))
        };
        let expected = format!("expected `{expected}` with a threshold {expected} that of `when`");
        issues.add(&at.key(key(test.compare)), message, expected);
    });
}

fn each_test<'c>(
    condition: &'c Condition,
    negated: bool,
    at: &Place<'_>,
    visit: &mut impl FnMut(Found<'c, '_>),
) {
    match condition {
        Condition::Test(test) => {
            visit((test, side(test, negated), at));
        }
        Condition::Not(inner) => each_test(inner, !negated, &at.key("not"), visit),
        Condition::All(inner) | Condition::Any(inner) => {
            let at = at.key(if matches!(condition, Condition::All(_)) { "all" } else { "any" });
            for (item, each) in inner.iter().enumerate() {
                each_test(each, negated, &at.index(item), visit);
            }
        }
    }
}

/// Every signal that a condition looks at, and whose.
pub(super) fn signals_of(condition: &Condition) -> Vec<(Signal, &Of)> {
    let mut found = Vec::new();
    each_test(condition, false, &Place::Document(0), &mut |(test, ..)| found.push((test.signal, &test.of)));
    found
}
