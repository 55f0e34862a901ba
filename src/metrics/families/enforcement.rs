//! `stockade_…`: what the rules are about to do.

use std::sync::Arc;

use crate::metrics::family::{Family, From};
use crate::metrics::program::{Program, Series};
use crate::metrics::text::{Kind, Scale};

type Tell = fn(&Program<'_>, &mut Series<'_>);

const fn family(kind: Kind, name: &'static str, tell: Tell, help: &'static str) -> Family {
    Family::always(kind, name, "this program", From::Program(tell), help)
}

fn table(series: &mut Series<'_>, label: &'static str, rows: &[(Arc<str>, &'static str, u64)]) {
    for (policy, value, count) in rows {
        series.put(&[("policy", policy), (label, value)], *count, Scale::One);
    }
}

/// A number that only a program with rules has.
fn with_rules(program: &Program<'_>, series: &mut Series<'_>, value: u64) {
    if program.enforcement.mode.is_some() {
        series.count(value);
    }
}

pub(super) const FAMILIES: &[Family] = &[
    family(
        Kind::Gauge,
        "stockade_mode",
        |program, series| {
            if let Some(mode) = program.enforcement.mode {
                for known in ["observe", "dry_run", "enforce"] {
                    series.put(&[("mode", known)], u64::from(mode == known), Scale::One);
                }
            }
        },
        "What decisions lead to: the mode in force (1) and the others (0). Absent where there are no rules.",
    )
    .labels(&["mode"]),
    family(
        Kind::Gauge,
        "stockade_actions_active",
        |program, series| table(series, "action", &program.enforcement.active),
        "Cgroups on which an action of the rule is in force in the kernel and will be undone.",
    )
    .labels(&["policy", "action"]),
    family(
        Kind::Gauge,
        "stockade_policy_state",
        |program, series| table(series, "state", &program.enforcement.states),
        "Cgroups that the policy matches, by the state they are in.",
    )
    .labels(&["policy", "state"]),
    family(
        Kind::Gauge,
        "stockade_triggers_armed",
        |program, series| with_rules(program, series, program.enforcement.triggers),
        "Pressure triggers of the kernel that would wake the policies.",
    ),
    family(
        Kind::Gauge,
        "stockade_journal_open_entries",
        |program, series| with_rules(program, series, program.enforcement.journal_open),
        "Changes in the journal that are to be undone.",
    ),
    family(
        Kind::Counter,
        "stockade_journal_torn_bytes_total",
        |program, series| with_rules(program, series, program.enforcement.journal_torn_bytes),
        "Bytes of the journal that were torn or corrupt, and set aside.",
    ),
    family(
        Kind::Counter,
        "stockade_audit_faults_total",
        |program, series| with_rules(program, series, program.enforcement.audit_faults),
        "Audit lines that could not be written.",
    ),
    family(
        Kind::Counter,
        "stockade_notify_faults_total",
        |program, series| with_rules(program, series, program.enforcement.notify_faults),
        "Notifications that reached nobody: refused, timed out, or dropped because too many waited.",
    ),
];
