//! Standing limits: which rule is kept on which cgroup. Only changes are told.

use std::sync::Arc;
use std::time::Duration;

use super::engine::View;
use super::matching::Matching;
use super::rule::{LimitRule, Rules};
use crate::model::{Cgroup, Identity, Namespaces};

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

/// A living cgroup, and what decides on which rules match it.
#[derive(Clone, Debug)]
struct Known {
    identity: Arc<Identity>,
    namespaces: Arc<Namespaces>,
    born: Duration,
}

impl Known {
    fn of(cgroup: &Cgroup) -> Self {
        Self {
            identity: Arc::clone(&cgroup.identity),
            namespaces: Arc::clone(&cgroup.namespaces),
            born: cgroup.born,
        }
    }

    /// Whether it is that cgroup, and no more is known of it than before.
    fn is(&self, cgroup: &Cgroup) -> bool {
        let (mine, theirs) = (&self.identity, &cgroup.identity);
        let identity = Arc::ptr_eq(mine, theirs)
            || (mine.id == theirs.id && mine.path == theirs.path && mine.owner == theirs.owner);
        identity
            && (Arc::ptr_eq(&self.namespaces, &cgroup.namespaces) || self.namespaces == cgroup.namespaces)
    }

    fn young(&self) -> (Duration, Arc<Identity>) {
        (self.born, Arc::clone(&self.identity))
    }
}

/// The standing limits, and where each is kept.
#[derive(Debug, Default)]
pub struct Standing {
    rules: Vec<Kept>,
    /// The living, by path, those included that were born since the last pass.
    known: Vec<Known>,
    sequence: Option<u64>,
    changes: Vec<StandingChange>,
    waiting: Vec<StandingChange>,
}

impl Standing {
    /// Rules that are kept nowhere yet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let mut standing = Self::default();
        standing.replace(rules);
        standing
    }

    /// Takes other rules. One of the same name and content stays where it is; the others are waiting, and the new ones
    /// applied, in the next evaluation.
    pub fn replace(&mut self, rules: &Rules) {
        let mut old = std::mem::take(&mut self.rules);
        for rule in &rules.limits {
            let kept = match old.iter().position(|kept| *kept.rule == **rule) {
                Some(same) => old.remove(same),
                None => {
                    let matching = Matching::new(&rule.selector);
                    let known = self
                        .known
                        .iter()
                        .filter(|known| matching.matches(&known.identity, &known.namespaces));
                    let young = known.map(Known::young).collect();
                    Kept { rule: Arc::clone(rule), matching, on: Vec::new(), young }
                }
            };
            self.rules.push(kept);
        }
        for kept in old {
            self.waiting.extend(kept.on.into_iter().map(|target| StandingChange {
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
        self.changes.append(&mut self.waiting);
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

    /// Everything that is kept is to be applied again, in the next evaluation: the guard rails may let pass other things now.
    pub fn apply_again(&mut self) {
        for kept in &self.rules {
            self.waiting.extend(kept.on.iter().map(|target| StandingChange {
                rule: Arc::clone(&kept.rule),
                target: Arc::clone(target),
                keep: Keep::Apply,
            }));
        }
    }

    /// The rule of this name, where it is kept on that cgroup.
    #[must_use]
    pub fn keeps(&self, rule: &str, target: &Identity) -> Option<&Arc<LimitRule>> {
        let kept = self.rules.iter().find(|kept| *kept.rule.name == *rule)?;
        let at = kept.on.binary_search_by(|each| each.path.cmp(&target.path)).ok()?;
        (*kept.on[at] == *target).then_some(&kept.rule)
    }

    /// Where each rule is kept: the rule, the cgroup.
    pub fn kept(&self) -> impl Iterator<Item = (&Arc<LimitRule>, &Arc<Identity>)> {
        self.rules.iter().flat_map(|kept| kept.on.iter().map(move |target| (&kept.rule, target)))
    }

    /// The rules that are kept on a cgroup.
    pub fn keeping(&self, target: &Identity) -> impl Iterator<Item = &Arc<LimitRule>> {
        self.rules.iter().filter_map(|kept| self.keeps(&kept.rule.name, target))
    }

    /// On how many cgroups each rule is kept, in the configuration's order.
    pub fn counts(&self) -> impl Iterator<Item = (&Arc<LimitRule>, usize)> {
        self.rules.iter().map(|kept| (&kept.rule, kept.on.len()))
    }

    /// Follows births, and deaths where `all` are told. Both lists are sorted by path.
    fn settle(&mut self, cgroups: &[Cgroup], all: bool) {
        let unchanged = if all {
            self.known.len() == cgroups.len()
                && self.known.iter().zip(cgroups).all(|(known, cgroup)| known.is(cgroup))
        } else {
            let find = |cgroup: &Cgroup| {
                self.known.binary_search_by(|known| known.identity.path.cmp(&cgroup.identity.path))
            };
            cgroups.iter().all(|cgroup| find(cgroup).is_ok_and(|at| self.known[at].is(cgroup)))
        };
        if unchanged {
            return;
        }
        let mut living = Vec::with_capacity(self.known.len().max(cgroups.len()));
        let mut gone = Vec::new();
        let mut new = Vec::new();
        let mut learned = Vec::new();
        let mut old = std::mem::take(&mut self.known).into_iter().peekable();
        for cgroup in cgroups {
            while let Some(before) = old.next_if(|known| known.identity.path < cgroup.identity.path) {
                if all { gone.push(before.identity) } else { living.push(before) }
            }
            match old.next_if(|known| known.identity.path == cgroup.identity.path) {
                Some(before) if before.is(cgroup) => living.push(before),
                // More became known of whose it is, or where it lives.
                Some(before) if *before.identity == *cgroup.identity => {
                    let better = Known { born: before.born, ..Known::of(cgroup) };
                    living.push(better.clone());
                    learned.push(better);
                }
                replaced => {
                    gone.extend(replaced.map(|known| known.identity));
                    living.push(Known::of(cgroup));
                    new.push(Known::of(cgroup));
                }
            }
        }
        if all {
            gone.extend(old.map(|known| known.identity));
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
            let matches = |known: &&Known| matching.matches(&known.identity, &known.namespaces);
            young.extend(new.iter().filter(matches).map(Known::young));
            for known in &learned {
                let identity = &known.identity;
                let kept = on.binary_search_by(|each| each.path.cmp(&identity.path));
                let waits = young.iter().position(|(_, each)| each == identity);
                match (matches(&known), kept, waits) {
                    (true, Err(_), None) => young.push(known.young()),
                    (false, Ok(at), _) => self.changes.push(StandingChange {
                        rule: Arc::clone(rule),
                        target: on.remove(at),
                        keep: Keep::Withdraw,
                    }),
                    (false, Err(_), Some(at)) => drop(young.remove(at)),
                    _ => {}
                }
            }
        }
    }
}
