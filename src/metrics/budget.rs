//! Which cgroups a scrape shows, and how much of each.

use std::collections::HashSet;

use crate::model::{Cgroup, Control, Field, RowKind, Snapshot};

use super::family::{Dialect, Family, Tier};
use super::values;

/// A cgroup that may be shown.
struct Candidate<'a> {
    cgroup: &'a Cgroup,
    /// It is dead, and not shown in the stead of a living one of its path.
    last: bool,
}

/// A cgroup in an exposition.
pub(crate) struct Shown<'a> {
    /// The cgroup.
    pub(crate) cgroup: &'a Cgroup,
    /// Whether all its families are shown, or the essential ones only.
    pub(crate) full: bool,
}

/// What fits in the budget.
pub(crate) struct Selection<'a> {
    /// In the order of the exposition: the living by path, then the dead.
    pub(crate) shown: Vec<Shown<'a>>,
    /// Series that did not fit.
    pub(crate) dropped: u64,
}

/// How far the budget is used up. It never goes back, so a small cgroup does not slip in before an older, larger one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Full,
    Essential,
    Dropped,
}

/// Chooses what is shown. `families` are those of this scrape.
pub(crate) fn select<'a>(snapshot: &'a Snapshot, families: &[&Family], max_series: usize) -> Selection<'a> {
    let candidates = candidates(snapshot);
    let roomy = max_series - max_series / 4;
    // What cAdvisor's names say of a cgroup is less than what the own names say.
    let dialects = 1 + usize::from(families.iter().any(|family| family.dialect == Dialect::Cadvisor));
    if dialects * candidates.iter().map(|candidate| at_most(candidate.cgroup)).sum::<usize>() <= roomy {
        let shown =
            candidates.into_iter().map(|Candidate { cgroup, .. }| Shown { cgroup, full: true }).collect();
        return Selection { shown, dropped: 0 };
    }
    let counts = counts(snapshot, &candidates, families);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&at| (candidates[at].last, candidates[at].cgroup.rank));

    let mut stages = vec![Stage::Dropped; candidates.len()];
    let (mut stage, mut used, mut dropped) = (Stage::Full, 0, 0);
    for at in order {
        let (essential, full) = counts[at];
        if stage == Stage::Full && used + full > roomy {
            stage = Stage::Essential;
        }
        if stage == Stage::Essential && used + essential > max_series {
            stage = Stage::Dropped;
        }
        let given = match stage {
            Stage::Full => full,
            Stage::Essential => essential,
            Stage::Dropped => 0,
        };
        used += given;
        dropped += (full - given) as u64;
        stages[at] = stage;
    }
    let shown = candidates
        .into_iter()
        .zip(stages)
        .filter(|(_, stage)| *stage != Stage::Dropped)
        .map(|(Candidate { cgroup, .. }, stage)| Shown { cgroup, full: stage == Stage::Full })
        .collect();
    Selection { shown, dropped }
}

/// The cgroups that may be shown, each path once: the oldest dead one of a path goes before all others of it.
fn candidates(snapshot: &Snapshot) -> Vec<Candidate<'_>> {
    let living = |cgroup| Candidate { cgroup, last: false };
    if snapshot.dead.is_empty() {
        return snapshot.shown().map(living).collect();
    }
    let mut taken = HashSet::new();
    let dead: Vec<Candidate<'_>> = snapshot
        .dead
        .iter()
        .filter(|cgroup| !cgroup.hidden && taken.insert(&*cgroup.identity.path))
        .map(|cgroup| Candidate {
            cgroup,
            last: snapshot.find(&cgroup.identity.path).is_none_or(|living| living.hidden),
        })
        .collect();
    let alone = snapshot.shown().filter(|cgroup| !taken.contains(&*cgroup.identity.path));
    alone.map(living).chain(dead).collect()
}

/// More series than the cgroup can have in one dialect, cheaply.
fn at_most(cgroup: &Cgroup) -> usize {
    let rows: usize = RowKind::ALL.iter().map(|kind| cgroup.readings.rows(*kind).values().len()).sum();
    // One for who it is, one for the quota over its period, two for its namespaces; six limits a device, two a namespace.
    let (devices, namespaces) = (cgroup.controls.io.len(), cgroup.namespaces.list().len());
    4 + Field::COUNT + Control::COUNT + rows + 6 * devices + 2 * namespaces
}

/// The essential series and all series of each cgroup. Cgroups outside: their numbers are large and are fetched once.
fn counts(snapshot: &Snapshot, candidates: &[Candidate<'_>], families: &[&Family]) -> Vec<(usize, usize)> {
    let of = |candidate: &Candidate<'_>| {
        families.iter().fold((0, 0), |(essential, full), family| {
            let series = values::count(family, snapshot, candidate.cgroup);
            (if family.tier == Tier::Essential { essential + series } else { essential }, full + series)
        })
    };
    candidates.iter().map(of).collect()
}
