//! `explain`: what the rules make of a cgroup, and what they hold of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::socket::Answer;
use crate::enforce::ledger::Holding;
use crate::enforce::order::Outcome;
use crate::model::{Identity, Value};
use crate::policy::decision::Finding;
use crate::policy::engine::{Explanation, Matched, Next};
use crate::policy::rule::{LimitRule, Mode};
use crate::policy::signal::{Quantity, Signal};

/// What there is to say of a cgroup.
pub(super) struct About<'a> {
    /// Which.
    pub target: &'a Identity,
    /// Now (monotonic).
    pub now: Duration,
    /// What the guard rails would say to a freeze or a kill, where they would refuse it.
    pub refused: Option<(Outcome, String)>,
    /// What each policy makes of it.
    pub policies: Vec<Explanation>,
    /// The standing limits that are kept on it.
    pub limits: Vec<Arc<LimitRule>>,
    /// What is claimed of it in the kernel.
    pub holdings: Vec<Holding>,
    /// The general mode.
    pub mode: Mode,
}

impl About<'_> {
    /// For programs and for people.
    pub fn answer(&self) -> Answer {
        let refused = self.refused.as_ref().map(|(outcome, reason)| format!("{}: {reason}", outcome.name()));
        let mut detail = self.target.display.to_string();
        if let Some(refused) = &refused {
            detail.push_str(&format!("\n  guard rails: it is neither frozen nor killed: {refused}"));
        }
        let policies = self.policies.iter().map(|each| {
            let mut told = explanation(each, self.now);
            told["refused"] = json!(refused);
            told
        });
        let data = json!({
            "policies": policies.collect::<Vec<_>>(),
            "limits": self.limits.iter().map(|rule| limit(rule, self.mode)).collect::<Vec<_>>(),
            "controls": self.holdings.iter().map(|each| holding(each, self.now)).collect::<Vec<_>>(),
        });
        Answer { outcome: "done".to_owned(), detail, data }
    }
}

/// A standing limit that matches.
fn limit(rule: &LimitRule, general: Mode) -> serde_json::Value {
    let mode = rule.mode.map_or(general, |own| own.min(general)).name();
    let set: Vec<String> =
        rule.set.iter().map(|(knob, value)| format!("{knob} {}", knob.show(value))).collect();
    let raw: serde_json::Map<String, serde_json::Value> =
        rule.set.iter().map(|(knob, value)| (knob.to_string(), value.to_string().into())).collect();
    let text = format!("limit {} ({mode}): {}", rule.name, set.join(", "));
    json!({"text": text, "limit": &*rule.name, "mode": mode, "set": raw})
}

/// A control that rules hold: what is in force, who follows when its claim ends, and what was before.
fn holding(of: &Holding, now: Duration) -> serde_json::Value {
    let show = |value: &Value| of.knob.as_ref().map_or_else(|| value.to_string(), |knob| knob.show(value));
    let control = of.knob.as_ref().map_or_else(|| "freezer".to_owned(), ToString::to_string);
    let mut text = match &of.value {
        Some(value) => format!("{control} is {}", show(value)),
        None => "it is frozen".to_owned(),
    };
    for (place, (claim, value)) in of.claims.iter().enumerate() {
        let then = value
            .as_ref()
            .filter(|_| place > 0)
            .map_or_else(String::new, |value| format!("; then {}", show(value)));
        text.push_str(&format!("{then}, by {}", claim.rule));
        if let Some(expires) = claim.expires {
            text.push_str(&format!(" for another {}", left(expires, now)));
        }
    }
    if let Some(original) = &of.original {
        text.push_str(&format!("; then {}, as before", show(original)));
    }
    let claims = of.claims.iter().map(|(claim, value)| {
        json!({
            "policy": &*claim.rule,
            "value": value.as_ref().map(ToString::to_string),
            "undone_in_seconds": claim.expires.map(|at| at.saturating_sub(now).as_secs_f64()),
        })
    });
    json!({
        "text": text,
        "control": control,
        "value": of.value.as_ref().map(ToString::to_string),
        "before": of.original.as_ref().map(ToString::to_string),
        "claims": claims.collect::<Vec<_>>(),
    })
}

fn explanation(of: &Explanation, now: Duration) -> serde_json::Value {
    let (matched, why) = match of.matched {
        Matched::Yes => ("yes", String::new()),
        Matched::TooYoung { until } => {
            ("too_young", format!("it is younger than `min_age`, for another {}", left(until, now)))
        }
        Matched::Excluded => ("excluded", "its `not` leaves the cgroup out".to_owned()),
        Matched::No => ("no", "nothing in its `match` is about the cgroup".to_owned()),
    };
    let step = of.step.and_then(|step| of.policy.steps.get(step));
    json!({
        "policy": &*of.policy.name,
        "matched": matched,
        "why": why,
        "state": of.state,
        "step": step.map(|step| step.action.name()),
        "when": of.when.name(),
        "findings": of.findings.iter().map(finding).collect::<Vec<_>>(),
        "clear": of.clear.name(),
        "clear_findings": of.clear_findings.iter().map(finding).collect::<Vec<_>>(),
        "next": next(&of.next, now),
    })
}

fn left(until: Duration, now: Duration) -> String {
    format!("{:.1} s", until.saturating_sub(now).as_secs_f64())
}

fn next(next: &Next, now: Duration) -> String {
    match next {
        Next::Nothing => "nothing, as long as `when` does not hold".to_owned(),
        Next::Step { step, action, at } if *at <= now => format!("step {} ({action}), at once", step + 1),
        Next::Step { step, action, at } => format!("step {} ({action}) in {}", step + 1, left(*at, now)),
        Next::Spared { reason } => format!("nothing: {reason}"),
        Next::Exhausted { at } => {
            format!("no further step; the last one has {} left to help", left(*at, now))
        }
        Next::Undo { at: Some(at) } => {
            format!("what was done is undone when `clear` holds, in {} at the latest", left(*at, now))
        }
        Next::Undo { at: None } => "what was done is undone when `clear` holds".to_owned(),
        Next::Watching { at } => format!("it rests for another {}", left(*at, now)),
    }
}

/// One comparison, for programs and for people.
fn finding(of: &Finding) -> serde_json::Value {
    let quantity = Signal::from_name(&of.signal).map_or(Quantity::Count, Signal::quantity);
    let show = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| quantity.show(value));
    let margin = of.value.zip(of.threshold).map(|(value, threshold)| match of.compare {
        "below" => threshold - value,
        _ => value - threshold,
    });
    let mut text = format!(
        "{:7} {} of {} is {}, {} {}",
        of.truth.name(),
        of.signal,
        of.of,
        show(of.value),
        of.compare,
        show(of.threshold)
    );
    if let Some(margin) = margin {
        let side = if margin >= 0.0 { "past it by" } else { "short of it by" };
        text.push_str(&format!(" ({side} {})", quantity.show(margin.abs())));
    }
    if !of.hold.is_zero() {
        text.push_str(&format!(", for {:.1} s of {:.1} s", of.held.as_secs_f64(), of.hold.as_secs_f64()));
    }
    json!({
        "text": text,
        "signal": of.signal,
        "of": of.of,
        "value": of.value,
        "compare": of.compare,
        "threshold": of.threshold,
        "margin": margin,
        "held_seconds": of.held.as_secs_f64(),
        "hold_seconds": of.hold.as_secs_f64(),
        "truth": of.truth.name(),
    })
}
