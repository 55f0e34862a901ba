//! The ledger: the strictest claim is in force, and what was before comes back last.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use stockade::enforce::actuator::Saved;
use stockade::enforce::ledger::{
    Claim, Drift, Ledger, REASSERT_WITHIN, REASSERTS, Restore, Setting, stricter,
};
use stockade::model::{Knob, Limit, Value};
use stockade::policy::rule::OnDrift;

use crate::fake::{identity, unset};

fn claim(entry: u64, rule: u64) -> Claim {
    Claim { entry, rule: format!("rule {rule}").into(), order: entry, expires: None }
}

fn original(knob: &Knob, value: &Value) -> Saved {
    Saved { knob: knob.clone(), value: value.clone(), raw: value.to_string().into() }
}

#[test]
fn strictness_follows_the_control() {
    let (number, list) = (Value::of, |text: &str| Value::List(text.into()));
    for (knob, strict, loose) in [
        (Knob::MemoryMax, number(1), number(2)),
        (Knob::MemoryHigh, number(1), Value::Limit(Limit::Max)),
        (Knob::CpuWeight, number(50), number(100)),
        (Knob::MemoryLow, number(2), number(1)),
        (Knob::MemoryMin, Value::Limit(Limit::Max), number(1)),
        (Knob::CpusetCpus, list("7"), list("0-1")),
        (Knob::CpusetCpus, list("0,2"), list("0-3,8")),
        (Knob::CpusetMems, list("0"), list("")),
    ] {
        assert!(stricter(&knob, &strict, &loose), "{knob}: {strict} and {loose}");
        assert!(!stricter(&knob, &loose, &strict), "{knob}: {loose} and {strict}");
        assert!(!stricter(&knob, &strict, &strict), "{knob}: {strict}");
    }
}

#[test]
fn a_rule_that_keeps_its_value_does_so_a_bounded_number_of_times() {
    let (target, knob) = (identity("/a", 1), Knob::PidsMax);
    let mut ledger = Ledger::default();
    let setting =
        Setting { claim: claim(1, 1), value: Value::of(5), on_drift: OnDrift::Reassert, loosens: true };
    ledger.claim(&target, original(&knob, &unset()), setting);
    let mut now = Duration::from_secs(1000);
    let mut write = |now: Duration, value: u64| ledger.foreign_write(&target, &knob, &Value::of(value), now);
    assert_eq!(write(now, 5), Drift::None, "the value in force is nobody's drift");
    for _ in 0..2 {
        for _ in 0..REASSERTS {
            assert_eq!(
                write(now, 9),
                Drift::Reassert { rule: claim(1, 1).rule, entry: 1, value: Value::of(5) }
            );
        }
        now += REASSERT_WITHIN;
    }
    for _ in 0..REASSERTS {
        write(now, 9);
    }
    assert_eq!(write(now + REASSERT_WITHIN - Duration::from_nanos(1), 9), Drift::Yield(vec![claim(1, 1)]));
    assert_eq!(write(now, 9), Drift::None, "nobody claims it any more");
}

#[test]
fn freezes_end_with_the_last_claim_and_times_are_told_once() {
    let target = identity("/a", 1);
    let mut ledger = Ledger::default();
    let at = |seconds| Some(Duration::from_secs(seconds));
    ledger.claim_freeze(&target, Claim { expires: at(5), ..claim(1, 1) });
    ledger.claim_freeze(&target, Claim { expires: at(7), ..claim(2, 2) });
    assert_eq!(ledger.next_expiry(), at(5));
    assert!(ledger.take_due(Duration::from_secs(4)).is_empty());
    let due = ledger.take_due(Duration::from_secs(6));
    assert_eq!(due, [(Arc::clone(&target), "rule 1".into(), vec![1])]);
    assert!(ledger.take_due(Duration::from_secs(6)).is_empty());
    assert_eq!(ledger.next_expiry(), at(7));
    let ended = ledger.release(&target, |_, claim| claim.entry == 1);
    assert_eq!(ended[0].restore, Restore::Nothing);
    let ended = ledger.release(&target, |knob, _| knob.is_none());
    assert_eq!(ended[0].restore, Restore::Thaw);
    assert_eq!(ledger.each().count(), 0);
}

proptest! {
    /// However claims come, change and go: after each step the kernel has the strictest value of those that hold, and
    /// after the last one what was there before.
    #[test]
    fn the_strictest_is_in_force_and_the_original_is_last(
        steps in prop::collection::vec((0_u64..6, prop::option::weighted(0.6, 1_u64..20), any::<bool>()), 1..40),
        protection in any::<bool>(),
        before in 1_u64..20,
    ) {
        let knob = if protection { Knob::MemoryLow } else { Knob::MemoryMax };
        let (target, before) = (identity("/a", 1), Value::of(before));
        let mut ledger = Ledger::default();
        let mut kernel = before.clone();
        let mut held: std::collections::BTreeMap<u64, (u64, bool)> = Default::default();
        let leave: Vec<(u64, Option<u64>, bool)> = (0..6).map(|rule| (rule, None, false)).collect();
        for (entry, (rule, value, loosens)) in (1..).zip(steps.into_iter().chain(leave)) {
            match value {
                Some(value) => {
                    let saved = ledger.original(&target, &knob).cloned().unwrap_or_else(|| original(&knob, &kernel));
                    let setting = Setting {
                        claim: claim(entry, rule), value: Value::of(value), on_drift: OnDrift::Yield, loosens,
                    };
                    let older = ledger.claim(&target, saved, setting);
                    prop_assert_eq!(older.is_some(), held.insert(rule, (value, loosens)).is_some());
                    kernel = ledger.in_force(&target, &knob).unwrap().1;
                }
                None => {
                    let name = format!("rule {rule}");
                    let ended = ledger.release(&target, |_, claim| *claim.rule == *name);
                    prop_assert_eq!(ended.len(), usize::from(held.remove(&rule).is_some()));
                    for each in ended {
                        match each.restore {
                            Restore::Next { value, .. } => kernel = value,
                            Restore::Original(saved) => kernel = saved.value,
                            Restore::Nothing => {}
                            Restore::Thaw => prop_assert!(false, "nothing was frozen"),
                        }
                    }
                }
            }
            let pick = |a: u64, b: u64| if protection { a.max(b) } else { a.min(b) };
            let strictest = held.values().map(|&(value, _)| value).reduce(pick);
            let expected = match strictest {
                None => before.clone(),
                Some(value) if held.values().any(|&(_, loosens)| loosens) => Value::of(value),
                Some(value) => Value::of(pick(value, before.number().unwrap())),
            };
            prop_assert_eq!(&kernel, &expected);
        }
        prop_assert_eq!(kernel, before);
        prop_assert_eq!(ledger.each().count(), 0);
    }
}
