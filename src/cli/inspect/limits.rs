//! PURE: which limit holds a cgroup in fact: the tightest on the way to the root, and whose it is.

use crate::cli::columns::cpu_limit;
use crate::cli::humanize::Value;
use crate::model::{Cgroup, Control, Field, Limit, Snapshot};
use crate::record::names;

/// The controls that bound a cgroup's descendants too, with what is used of each.
const INHERITED: &[(Control, Option<Field>)] = &[
    (Control::MemoryMax, Some(Field::MemoryCurrent)),
    (Control::MemoryHigh, Some(Field::MemoryCurrent)),
    (Control::MemorySwapMax, Some(Field::MemorySwapCurrent)),
    (Control::PidsMax, Some(Field::PidsCurrent)),
    (Control::CpuQuota, None),
];

/// One control of a cgroup.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The control's name.
    pub name: &'static str,
    /// What is set; nothing where the cgroup has no such file and only an ancestor does.
    pub value: Option<Value>,
    /// What holds, where it is a limit that ancestors have too.
    pub effective: Option<Value>,
    /// What is left until the cgroup or an ancestor reaches its limit.
    pub headroom: Option<Value>,
    /// The path of the ancestor whose limit is tighter than the cgroup's own.
    pub set_by: Option<String>,
}

/// Every control that a cgroup has or that an ancestor bounds it by, in order.
#[must_use]
pub fn rows(snapshot: &Snapshot, cgroup: &Cgroup) -> Vec<Row> {
    Control::ALL
        .iter()
        // The period is told with the quota.
        .filter(|&&control| control != Control::CpuPeriod)
        .filter_map(|&control| row(snapshot, cgroup, control))
        .collect()
}

fn row(snapshot: &Snapshot, cgroup: &Cgroup, control: Control) -> Option<Row> {
    let own = cgroup.controls.get(control);
    let value = match own {
        None => None,
        Some(Limit::Max) => Some(Value::Max),
        Some(Limit::Value(value)) => Some(shown(cgroup, control, value)?),
    };
    let name = if control == Control::CpuQuota { "cpu.max (cores)" } else { names::control(control) };
    let mut row = Row { name, value, effective: None, headroom: None, set_by: None };
    if let Some(&(_, used)) = INHERITED.iter().find(|(inherited, _)| *inherited == control) {
        let way = || std::iter::successors(Some(cgroup), |below| snapshot.parent(below));
        let tightest = way()
            .filter_map(|member| Some((number(member, control)?, member)))
            .reduce(|tightest, next| if next.0 < tightest.0 { next } else { tightest });
        row.effective = match tightest {
            Some((_, holder)) => shown(holder, control, holder.controls.value(control)?),
            None => own.map(|_| Value::Max),
        };
        row.set_by = tightest
            .filter(|(_, holder)| !std::ptr::eq(*holder, cgroup))
            .map(|(_, holder)| holder.identity.display.to_string());
        let headroom = way().filter_map(|member| room(member, control, used)).min();
        row.headroom = headroom.and_then(|left| shown(cgroup, control, left));
    }
    (row.value.is_some() || row.effective.is_some()).then_some(row)
}

/// A limit as something to compare, where one is set.
#[expect(clippy::cast_precision_loss, reason = "two limits that differ in the 54th bit are alike")]
fn number(cgroup: &Cgroup, control: Control) -> Option<f64> {
    if control == Control::CpuQuota {
        return cpu_limit(&cgroup.controls);
    }
    cgroup.controls.value(control).map(|limit| limit as f64)
}

fn room(cgroup: &Cgroup, control: Control, used: Option<Field>) -> Option<u64> {
    let limit = cgroup.controls.value(control)?;
    Some(limit.saturating_sub(cgroup.readings.get(used?)?))
}

/// A number of a control in its unit; a quota as the CPUs that it comes to.
fn shown(cgroup: &Cgroup, control: Control, value: u64) -> Option<Value> {
    match control {
        Control::CpuQuota => cpu_limit(&cgroup.controls).map(Value::Cores),
        _ => Some(Value::of(value, control.unit())),
    }
}
