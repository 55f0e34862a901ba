//! The rules: where they stand, what is in force, what was decided.

use std::fmt::{self, Formatter};

use super::html::{Badge, Column, Escaped, Link, Moment, Span, clipped, section, table};
use crate::record::enforcement::{
    Condition, Decision, FREEZER, InForce, Policy, Rules, StandingLimit, Target,
};

/// How many policies, and how many standing limits, a page shows.
const RULES: usize = 50;
/// How many cgroups that policies act on, and how many claims in force, a page shows.
const TARGETS: usize = 20;
/// How many decisions a page shows.
const DECISIONS: usize = 30;
/// How many of a decision's reasons are shown.
const REASONS: usize = 4;

/// What stands where there is nothing.
const ABSENT: &str = "–";

/// Policies and standing limits.
pub(super) fn standing(f: &mut Formatter<'_>, rules: &Rules) -> fmt::Result {
    section(f, "policies", "Policies", |f| {
        if rules.policies.is_empty() {
            return f.write_str("<p>The configuration has none.</p>\n");
        }
        let mut columns: Vec<Column> = vec![("Policy", false), ("Mode", false)];
        let states = rules.policies.first().map_or(&[][..], |policy| &policy.states);
        columns.extend(states.iter().map(|&(state, _)| (state, true)));
        let rows = rules.policies.iter().take(RULES);
        table(
            f,
            "Cgroups that each policy matches, by what it is doing with them",
            &columns,
            rows,
            |policy| {
                let mut cells = vec![name(&policy.name), Badge(policy.mode).to_string()];
                cells.extend(policy.states.iter().map(|&(state, count)| number(state, count)));
                cells
            },
        )?;
        more(f, rules.policies.len(), RULES)?;
        targets(f, &rules.policies)
    })?;
    if rules.limits.is_empty() {
        return Ok(());
    }
    section(f, "limits", "Standing limits", |f| {
        let columns =
            [("Limit", false), ("Mode", false), ("Sets", false), ("Cgroups", true), ("Controls held", true)];
        table(f, "What each limit keeps, and where", &columns, rules.limits.iter().take(RULES), |limit| {
            vec![
                name(&limit.name),
                Badge(limit.mode).to_string(),
                settings(limit),
                limit.cgroups.to_string(),
                limit.in_force.to_string(),
            ]
        })?;
        more(f, rules.limits.len(), RULES)
    })
}

fn targets(f: &mut Formatter<'_>, policies: &[Policy]) -> fmt::Result {
    let total: usize = policies.iter().map(|policy| policy.targets_total).sum();
    if total == 0 {
        return f.write_str("<p>No policy acts on a cgroup now.</p>\n");
    }
    let rows = policies.iter().flat_map(|policy| policy.targets.iter().map(move |target| (policy, target)));
    let columns = [
        ("Cgroup", false),
        ("Policy", false),
        ("State", false),
        ("Step", false),
        ("Next step in", true),
        ("Undone in", true),
    ];
    table(f, "Cgroups that a policy is not done with", &columns, rows.take(TARGETS), |(policy, target)| {
        let Target { cgroup, state, step, steps, action, next_step_in, undone_in } = target;
        let played = if policy.mode == "enforce" { String::new() } else { format!(" {}", Badge("dry_run")) };
        let left = |time: &Option<_>| time.map_or_else(|| ABSENT.to_owned(), |time| Span(time).to_string());
        vec![
            Link(cgroup).to_string(),
            name(&policy.name),
            format!("{}{played}", Badge(state)),
            format!("{step} of {steps}, {action}"),
            left(next_step_in),
            left(undone_in),
        ]
    })?;
    more(f, total, TARGETS)
}

/// What is in force in the kernel.
pub(super) fn in_force(f: &mut Formatter<'_>, claims: &[&InForce], total: usize) -> fmt::Result {
    section(f, "in-force", "In force", |f| {
        if claims.is_empty() {
            return f.write_str("<p>Nothing that would have to be undone.</p>\n");
        }
        let columns = [
            ("Cgroup", false),
            ("Rule", false),
            ("Control", false),
            ("Set to", true),
            ("Was", true),
            ("Undone in", true),
        ];
        let rows = claims.iter().take(TARGETS);
        table(f, "What was changed in the kernel, and will be put back", &columns, rows, |claim| {
            let shown = |value: &Option<_>| match (&claim.control, value) {
                (Some(knob), Some(value)) => Escaped(&knob.show(value)).to_string(),
                _ => ABSENT.to_owned(),
            };
            let value = match (&claim.control, claim.holds) {
                (None, _) => "frozen".to_owned(),
                (_, true) => shown(&claim.value),
                (_, false) => format!("{} <small>a stricter value holds</small>", shown(&claim.value)),
            };
            let control = claim.control.as_ref().map_or_else(|| FREEZER.to_owned(), ToString::to_string);
            vec![
                Link(&claim.cgroup).to_string(),
                name(&claim.policy),
                Escaped(&control).to_string(),
                value,
                shown(&claim.before),
                claim
                    .undone_in
                    .map_or_else(|| "when its rule ends".to_owned(), |left| Span(left).to_string()),
            ]
        })?;
        more(f, total, TARGETS)
    })
}

/// What was decided last.
pub(super) fn decisions(f: &mut Formatter<'_>, decisions: &[&Decision]) -> fmt::Result {
    section(f, "decisions", "Last decisions", |f| {
        if decisions.is_empty() {
            return f
                .write_str("<p>None since the start; <code>stockade audit</code> has those before.</p>\n");
        }
        let columns = [
            ("Time (UTC)", false),
            ("Outcome", false),
            ("Action", false),
            ("Cgroup", false),
            ("Rule", false),
            ("Why and how", false),
        ];
        let rows = decisions.iter().take(DECISIONS);
        table(f, "The newest first; the audit log has all", &columns, rows, |decision| {
            let step = decision.step.map_or_else(String::new, |step| format!(", step {step}"));
            vec![
                Moment(&decision.time).to_string(),
                Badge(decision.outcome).to_string(),
                decision.action.to_owned(),
                Link(&decision.cgroup).to_string(),
                format!("{}{step}", name(&decision.policy)),
                why(decision),
            ]
        })
    })
}

/// What led to a decision, what it changed, and what was said of it.
fn why(decision: &Decision) -> String {
    let mut said: Vec<String> = decision.conditions.iter().take(REASONS).map(reason).collect();
    if decision.conditions.len() > REASONS {
        said.push(format!("and {} more", decision.conditions.len() - REASONS));
    }
    for change in &decision.changes {
        let (knob, before, after) = (&change.control, &change.before, &change.after);
        let text = format!("{knob} {} → {}", knob.show(before), knob.show(after));
        said.push(Escaped(&text).to_string());
    }
    if !decision.detail.is_empty() {
        said.push(Escaped(&clipped(&decision.detail)).to_string());
    }
    match said.is_empty() {
        true => ABSENT.to_owned(),
        false => format!("<span class=\"text\">{}</span>", said.join("<br>")),
    }
}

fn reason(condition: &Condition) -> String {
    let show = |value: Option<f64>| {
        value.map_or_else(|| "unknown".to_owned(), |value| condition.quantity.show(value))
    };
    let (value, threshold) = (show(condition.value), show(condition.threshold));
    let held = match condition.held_seconds.is_zero() {
        true => String::new(),
        false => format!(" for {}", Span(condition.held_seconds)),
    };
    // It is the rule's only because all of them together are: what does not hold is said to.
    let holds = if condition.truth == "true" { "" } else { "not: " };
    format!("{holds}{} {value} {} {threshold}{held}", Escaped(&condition.signal), condition.compare)
}

fn settings(limit: &StandingLimit) -> String {
    let set = limit.set.iter().map(|(knob, value)| format!("{knob} {}", knob.show(value)));
    Escaped(&set.collect::<Vec<_>>().join(", ")).to_string()
}

/// A number of cgroups; where something is done with them, it stands out.
fn number(state: &str, count: usize) -> String {
    match (state, count) {
        (_, 0) => "0".to_owned(),
        ("acting" | "exhausted", count) => format!("<strong>{count}</strong>"),
        (_, count) => count.to_string(),
    }
}

fn name(name: &str) -> String {
    format!("<bdi>{}</bdi>", Escaped(name))
}

fn more(f: &mut Formatter<'_>, total: usize, shown: usize) -> fmt::Result {
    match total.checked_sub(shown) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(f, "<p>And {more} more: <a href=\"api/v1/policies\">as JSON</a>.</p>"),
    }
}
