//! Standing limits: which rule is kept on which cgroup. Only changes are told.

use std::sync::Arc;
use std::time::Duration;

use super::engine::View;
use super::matching::Matching;
use super::rule::{LimitRule, Rules};
use crate::model::{Cgroup, Identity};

/// What becomes of a rule on a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// From now on the rule is kept there.
    Apply,
    /// The rule is gone, or is another one now: what it set is put back.
    Withdraw,
    /// The cgroup ended: nothing is left to put back.
    Gone,
}

/// A change of what is kept where.
#[derive(Clone, Debug)]
pub struct StandingChange {
    /// The rule.
    pub rule: Arc<LimitRule>,
    /// The cgroup.
    pub target: Arc<Identity>,
    /// What becomes of it there.
    pub keep: Keep,
}

#[derive(Debug)]
struct Kept {
    rule: Arc<LimitRule>,
    matching: Matching,
    /// Where it is kept, by path.
    on: Vec<Arc<Identity>>,
    /// What matches and is too young yet, with its birth.
    young: Vec<(Duration, Arc<Identity>)>,
}

/// The standing limits, and where each is kept.
#[derive(Debug, Default)]
pub struct Standing {
    rules: Vec<Kept>,
    /// The living, by path, those included that were born since the last pass.
    known: Vec<(Duration, Arc<Identity>)>,
    sequence: Option<u64>,
    changes: Vec<StandingChange>,
    withdrawn: Vec<StandingChange>,
}

impl Standing {
    /// Rules that are kept nowhere yet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let mut standing = Self::default();
        standing.replace(rules);
        standing
    }

    /// Takes other rules. One of the same name and content stays where it is; the others are withdrawn, and the new ones
    /// applied, in the next evaluation.
    pub fn replace(&mut self, rules: &Rules) {
        let mut old = std::mem::take(&mut self.rules);
        for rule in &rules.limits {
            let kept = match old.iter().position(|kept| *kept.rule == **rule) {
                Some(same) => old.remove(same),
                None => {
                    let matching = Matching::new(&rule.selector);
                    let known = self.known.iter().filter(|(_, identity)| matching.matches(identity));
                    let young = known.cloned().collect();
                    Kept { rule: Arc::clone(rule), matching, on: Vec::new(), young }
                }
            };
            self.rules.push(kept);
        }
        for kept in old {
            self.withdrawn.extend(kept.on.into_iter().map(|target| StandingChange {
                rule: Arc::clone(&kept.rule),
                target,
                keep: Keep::Withdraw,
            }));
        }
    }

    /// What changed since the last call: what is given up comes first.
    ///
    /// Births among [`View::fresh`] count at once.
    pub fn evaluate(&mut self, view: &View<'_>) -> &[StandingChange] {
        self.changes.clear();
        self.changes.append(&mut self.withdrawn);
        if self.sequence != Some(view.snapshot.sequence) {
            self.sequence = Some(view.snapshot.sequence);
            self.settle(&view.snapshot.cgroups, true);
        }
        self.settle(view.fresh, false);
        for kept in &mut self.rules {
            let Kept { rule, on, young, .. } = kept;
            let before = on.len();
            young.retain(|(born, target)| {
                let ripe = view.at.saturating_sub(*born) >= rule.selector.min_age;
                if ripe {
                    on.push(Arc::clone(target));
                    let (rule, target) = (Arc::clone(rule), Arc::clone(target));
                    self.changes.push(StandingChange { rule, target, keep: Keep::Apply });
                }
                !ripe
            });
            if on.len() > before {
                on.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            }
        }
        &self.changes
    }

    /// Where each rule is kept: the rule, the cgroup.
    pub fn kept(&self) -> impl Iterator<Item = (&Arc<LimitRule>, &Arc<Identity>)> {
        self.rules.iter().flat_map(|kept| kept.on.iter().map(move |target| (&kept.rule, target)))
    }

    /// Follows births, and deaths where `all` are told. Both lists are sorted by path.
    fn settle(&mut self, cgroups: &[Cgroup], all: bool) {
        let same = |known: &Arc<Identity>, cgroup: &Cgroup| {
            Arc::ptr_eq(known, &cgroup.identity)
                || (known.id == cgroup.identity.id && known.path == cgroup.identity.path)
        };
        // What is known of an owner may grow after the birth: a container's name stands in a file that comes later.
        let renamed = |known: &Arc<Identity>, cgroup: &Cgroup| {
            !Arc::ptr_eq(known, &cgroup.identity) && known.owner != cgroup.identity.owner
        };
        let as_before =
            |known: &Arc<Identity>, cgroup: &Cgroup| same(known, cgroup) && !renamed(known, cgroup);
        let unchanged = if all {
            self.known.len() == cgroups.len()
                && self.known.iter().zip(cgroups).all(|((_, known), cgroup)| as_before(known, cgroup))
        } else {
            let find = |cgroup: &Cgroup| {
                self.known.binary_search_by(|(_, known)| known.path.cmp(&cgroup.identity.path))
            };
            cgroups.iter().all(|cgroup| find(cgroup).is_ok_and(|at| as_before(&self.known[at].1, cgroup)))
        };
        if unchanged {
            return;
        }
        let mut living = Vec::with_capacity(self.known.len().max(cgroups.len()));
        let mut gone = Vec::new();
        let mut new = Vec::new();
        let mut known_better: Vec<(Duration, Arc<Identity>)> = Vec::new();
        let mut old = std::mem::take(&mut self.known).into_iter().peekable();
        for cgroup in cgroups {
            while let Some(before) = old.next_if(|(_, known)| known.path < cgroup.identity.path) {
                if all { gone.push(before.1) } else { living.push(before) }
            }
            match old.next_if(|(_, known)| known.path == cgroup.identity.path) {
                Some(before) if as_before(&before.1, cgroup) => living.push(before),
                Some(before) if same(&before.1, cgroup) => {
                    let better = (before.0, Arc::clone(&cgroup.identity));
                    living.push(better.clone());
                    known_better.push(better);
                }
                replaced => {
                    gone.extend(replaced.map(|(_, identity)| identity));
                    let born = (cgroup.born, Arc::clone(&cgroup.identity));
                    living.push(born.clone());
                    new.push(born);
                }
            }
        }
        if all {
            gone.extend(old.map(|(_, identity)| identity));
        } else {
            living.extend(old);
        }
        self.known = living;
        for kept in &mut self.rules {
            let Kept { rule, matching, on, young } = kept;
            let ended = |target: &Arc<Identity>| {
                gone.binary_search_by(|each| each.path.cmp(&target.path))
                    .is_ok_and(|at| gone[at].id == target.id)
            };
            if !gone.is_empty() {
                young.retain(|(_, target)| !ended(target));
                on.retain(|target| {
                    let ended = ended(target);
                    if ended {
                        let (rule, target) = (Arc::clone(rule), Arc::clone(target));
                        self.changes.push(StandingChange { rule, target, keep: Keep::Gone });
                    }
                    !ended
                });
            }
            for (born, identity) in &known_better {
                let is = |target: &Arc<Identity>| target.path == identity.path;
                let (kept, waits) = (on.iter().position(is), young.iter().position(|(_, target)| is(target)));
                match (matching.matches(identity), kept, waits) {
                    (true, None, None) => young.push((*born, Arc::clone(identity))),
                    (false, Some(at), _) => {
                        let (rule, target) = (Arc::clone(rule), on.remove(at));
                        self.changes.push(StandingChange { rule, target, keep: Keep::Withdraw });
                    }
                    (false, None, Some(at)) => drop(young.remove(at)),
                    _ => {}
                }
            }
            young.extend(new.iter().filter(|(_, identity)| matching.matches(identity)).cloned());
        }
    }
}
