//! What other programs write: it is told, and answered where something is in force.

use std::sync::Arc;

use super::report::Reporter;
use super::surroundings::Surroundings;
use crate::enforce::apply::Enforcer;
use crate::enforce::drift::ForeignWriter;
use crate::kernel::freeze::is_freezer;
use crate::model::{Field, Identity, Knob, KnobChange, Snapshot, Writer};
use crate::sample::Written;

/// Who is told, and who answers.
pub(super) struct Writes<'a> {
    pub enforcer: &'a Enforcer,
    pub reporter: &'a Reporter,
    pub surroundings: &'a Surroundings,
}

impl Writes<'_> {
    /// Says who wrote which control, and has what is kept there looked at. `is_about` tells whether a rule is about the cgroup.
    pub fn heard(&self, written: &Written, is_about: bool) {
        let writer = ForeignWriter {
            kind: written.writer,
            pid: written.pid,
            command: written.pid.and_then(|pid| self.surroundings.command(pid)),
        };
        // What a rule holds is told as a drift; where no rule is about, the metric is enough.
        let (held, any) = self.enforcer.read_ledger(|ledger| {
            let holdings = ledger.holdings(&written.cgroup);
            let held: Vec<Knob> = holdings.iter().filter_map(|each| each.knob.clone()).collect();
            (held, !holdings.is_empty())
        });
        if any || is_about {
            let told = |change: &KnobChange| self.surroundings.told(&written.cgroup, change);
            self.reporter.written(written, &writer, |change| held.contains(&change.knob) || told(change));
        }
        let controls: Vec<Option<Knob>> = match &*written.file {
            "cpuset.cpus" => vec![Some(Knob::CpusetCpus)],
            "cpuset.mems" => vec![Some(Knob::CpusetMems)],
            file if is_freezer(file) => vec![None],
            _ => written.changes.iter().map(|change| Some(change.knob.clone())).collect(),
        };
        for control in controls {
            self.enforcer.foreign_write(Arc::clone(&written.cgroup), control, writer.clone());
        }
    }

    /// Has looked at who is to stand still, and by the numbers of a pass runs: a write may go unnoticed.
    pub fn look_for_thaws(&self, snapshot: &Snapshot) {
        let runs = |target: &Identity| {
            let found = snapshot.find(&target.path).filter(|found| found.identity.id == target.id);
            found.is_some_and(|found| found.readings.get(Field::Frozen) == Some(0))
        };
        let thawed: Vec<_> = self.enforcer.read_ledger(|ledger| {
            let each = ledger.each();
            let frozen = each.filter_map(|(target, mut claims)| {
                (claims.any(|(knob, _)| knob.is_none()) && runs(target)).then(|| Arc::clone(target))
            });
            frozen.collect()
        });
        for target in thawed {
            let writer = ForeignWriter { kind: Writer::Unknown, pid: None, command: None };
            self.enforcer.foreign_write(target, None, writer);
        }
    }
}
