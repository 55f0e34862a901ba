//! `safety:` as it is written.

use serde::Deserialize;

use super::rules::RawMatcher;
use super::scalars::{RawAtMost, RawCount, RawDuration, RawText};
use crate::enforce::safety::Writer;
use crate::enforce::yielding::Guardian;
use crate::policy::rule::Mode;

/// `safety:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{mode: dry_run}`")]
pub(in crate::config) struct RawSafety {
    pub(in crate::config) mode: Option<RawMode>,
    pub(in crate::config) scope: Option<Vec<String>>,
    pub(in crate::config) protect: Option<Vec<RawMatcher>>,
    pub(in crate::config) kill_budget: Option<RawKillBudget>,
    pub(in crate::config) writers: Option<RawWriters>,
    pub(in crate::config) yield_to: Option<Vec<RawGuardian>>,
    pub(in crate::config) freeze_max: Option<RawDuration>,
    pub(in crate::config) journal: Option<String>,
    pub(in crate::config) audit: Option<RawAudit>,
}

/// `safety.kill_budget:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{host: {max: 3, per: 10m}}`")]
pub(in crate::config) struct RawKillBudget {
    pub(in crate::config) host: Option<RawBudget>,
    pub(in crate::config) target: Option<RawBudget>,
}

/// One of the budgets.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{max: 3, per: 10m}`")]
pub(in crate::config) struct RawBudget {
    pub(in crate::config) max: Option<RawAtMost>,
    pub(in crate::config) per: Option<RawDuration>,
}

/// `safety.writers:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{systemd: dbus}`")]
pub(in crate::config) struct RawWriters {
    pub(in crate::config) systemd: Option<RawManagerWriter>,
    pub(in crate::config) runtimes: Option<RawPlainWriter>,
    pub(in crate::config) unowned: Option<RawPlainWriter>,
}

/// `safety.audit:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{max_size: 16MiB, keep: 4}`")]
pub(in crate::config) struct RawAudit {
    pub(in crate::config) path: Option<String>,
    pub(in crate::config) max_size: Option<RawText>,
    pub(in crate::config) keep: Option<RawCount>,
}

super::named! {
    /// What decisions lead to.
    RawMode: Mode {
        "observe" = Mode::Observe,
        "dry_run" = Mode::DryRun,
        "enforce" = Mode::Enforce,
    }
}

super::named! {
    /// How cgroups are written whose manager can be spoken to.
    RawManagerWriter: Writer {
        "dbus" = Writer::Dbus,
        "cgroupfs" = Writer::Cgroupfs,
        "refuse" = Writer::Refuse,
    }
}

super::named! {
    /// How other cgroups are written.
    RawPlainWriter: Writer {
        "cgroupfs" = Writer::Cgroupfs,
        "refuse" = Writer::Refuse,
    }
}

super::named! {
    /// Who else looks after memory.
    RawGuardian: Guardian {
        "systemd-oomd" = Guardian::SystemdOomd,
        "oomd" = Guardian::Oomd,
    }
}
