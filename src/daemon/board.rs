//! What is shown of enforcement on the landing page and in the API.
//!
//! The loop lays down where its policies stand after each pass, as far as it is shown; what is in force is looked up
//! in the ledger, and decisions are put into words, when somebody asks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::surroundings::now;
use crate::enforce::apply::Enforcer;
use crate::enforce::ledger::{Ledger, key_of};
use crate::enforce::order::Done;
use crate::enforce::safety::Safety;
use crate::model::{Identity, rfc3339};
use crate::policy::decision::Finding;
use crate::policy::engine::{Engine, State, relief_time};
use crate::policy::rule::{LimitRule, Mode, Policy, Rules};
use crate::policy::signal::{Quantity, Signal};
use crate::policy::standing::Standing;
use crate::record::enforcement as shown;

/// How many of a policy's targets are shown.
const TARGETS: usize = 20;
/// How many claims in force are shown.
const CLAIMS: usize = 100;
/// How many decisions are remembered.
const DECISIONS: usize = 100;
/// How many decisions of standing limits are remembered: a host that starts has one for each of its cgroups.
const LIMITS_SET: usize = 10;

/// What is laid down. Shared by the threads that tell, and those that ask.
#[derive(Debug, Default)]
pub(super) struct Board {
    configured: Mutex<Configured>,
    standing: Mutex<Position>,
    decisions: Mutex<Decisions>,
}

#[derive(Debug, Default)]
struct Configured {
    mode: Mode,
    since: Option<SystemTime>,
    limits: HashSet<Arc<str>>,
}

/// Where the rules stood after the last pass.
#[derive(Debug, Default)]
struct Position {
    policies: Vec<PolicyPosition>,
    limits: Vec<(Arc<LimitRule>, usize)>,
}

#[derive(Debug)]
struct PolicyPosition {
    policy: Arc<Policy>,
    states: [(&'static str, usize); State::NAMES.len()],
    targets: Vec<(Arc<Identity>, State)>,
    total: usize,
}

/// The newest decisions, the newest last.
#[derive(Debug, Default)]
struct Decisions {
    /// Of policies and of people.
    acts: VecDeque<(SystemTime, Done)>,
    /// Of standing limits.
    limits: VecDeque<(SystemTime, Done)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// Rules were put in force.
    pub fn configure(&self, rules: &Rules, safety: &Safety) {
        let mut configured = lock(&self.configured);
        if configured.since.is_none() || configured.mode != safety.mode {
            configured.since = Some(SystemTime::now());
        }
        configured.mode = safety.mode;
        configured.limits = rules.limits.iter().map(|rule| Arc::clone(&rule.name)).collect();
    }

    /// Lays down where the rules stand: how many targets of each policy are in each state, and which are not done with.
    pub fn lay_down(
        &self,
        states: &[(&Arc<Policy>, &'static str, usize)],
        engine: &Engine,
        standing: &Standing,
    ) {
        let mut policies: Vec<PolicyPosition> = Vec::new();
        for &(policy, name, count) in states {
            match policies.last_mut().filter(|last| Arc::ptr_eq(&last.policy, policy)) {
                Some(last) => {
                    if let Some(state) = last.states.iter_mut().find(|(state, _)| *state == name) {
                        state.1 = count;
                    }
                }
                None => {
                    let mut states = State::NAMES.map(|name| (name, 0));
                    states[0].1 = count;
                    policies.push(PolicyPosition {
                        policy: Arc::clone(policy),
                        states,
                        targets: Vec::new(),
                        total: 0,
                    });
                }
            }
        }
        let mut at = 0;
        for (policy, target, state) in engine.active() {
            // Both go through the policies in one order.
            while policies.get(at).is_some_and(|each| !Arc::ptr_eq(&each.policy, policy)) {
                at += 1;
            }
            let Some(position) = policies.get_mut(at) else { break };
            position.total += 1;
            if position.targets.len() < TARGETS {
                position.targets.push((Arc::clone(target), state.clone()));
            }
        }
        let limits = standing.counts().map(|(rule, count)| (Arc::clone(rule), count)).collect();
        *lock(&self.standing) = Position { policies, limits };
    }

    /// Remembers what came of a decision.
    pub fn decided(&self, done: &Done) {
        let of_a_limit = lock(&self.configured).limits.contains(&done.order.rule);
        let decisions = &mut *lock(&self.decisions);
        let (list, most) = match of_a_limit {
            true => (&mut decisions.limits, LIMITS_SET),
            false => (&mut decisions.acts, DECISIONS),
        };
        if list.len() >= most {
            list.pop_front();
        }
        list.push_back((SystemTime::now(), done.clone()));
    }

    /// The decisions that are remembered, the newest first.
    pub fn decisions(&self) -> Vec<shown::Decision> {
        let mut all: Vec<(SystemTime, Done)> = {
            let decisions = lock(&self.decisions);
            decisions.acts.iter().chain(&decisions.limits).cloned().collect()
        };
        all.sort_by(|(one, _), (other, _)| other.cmp(one));
        all.iter().map(|(at, done)| decision(*at, done)).collect()
    }

    /// Where the rules stand now, and what is in force: of one cgroup, or of all.
    pub fn rules(&self, enforcer: Option<&Enforcer>, about: Option<&Identity>) -> shown::Rules {
        let now = now();
        let (mode, since, limits) = {
            let configured = lock(&self.configured);
            (configured.mode, configured.since.unwrap_or(SystemTime::UNIX_EPOCH), configured.limits.clone())
        };
        let held = enforcer.map(|enforcer| enforcer.read_ledger(|ledger| held(ledger, about, &limits, now)));
        let Held { shown: in_force, total: in_force_total, of } = held.unwrap_or_default();
        let position = lock(&self.standing);
        shown::Rules {
            mode: mode.name(),
            mode_since: rfc3339(since),
            policies: position.policies.iter().map(|position| policy(position, mode, now)).collect(),
            limits: position
                .limits
                .iter()
                .map(|(rule, cgroups)| shown::StandingLimit {
                    name: Arc::clone(&rule.name),
                    mode: in_effect(rule.mode, mode).name(),
                    set: rule.set.clone(),
                    cgroups: *cgroups,
                    in_force: of.get(&rule.name).copied().unwrap_or_default(),
                })
                .collect(),
            in_force,
            in_force_total,
        }
    }
}

/// A rule's own mode is never freer than the general one.
fn in_effect(own: Option<Mode>, general: Mode) -> Mode {
    own.map_or(general, |own| own.min(general))
}

fn policy(position: &PolicyPosition, mode: Mode, now: Duration) -> shown::Policy {
    let policy = &position.policy;
    shown::Policy {
        name: Arc::clone(&policy.name),
        mode: in_effect(policy.mode, mode).name(),
        states: position.states.to_vec(),
        targets: position
            .targets
            .iter()
            .filter_map(|(cgroup, state)| target(policy, cgroup, state, now))
            .collect(),
        targets_total: position.total,
    }
}

fn target(policy: &Policy, cgroup: &Arc<Identity>, state: &State, now: Duration) -> Option<shown::Target> {
    let episode = state.episode()?;
    let next = episode.taken.saturating_add(relief_time(policy, episode));
    let waits = matches!(state, State::Acting(_)) && episode.step + 1 < policy.steps.len();
    let lasts = episode.ends.filter(|&ends| ends < Duration::MAX);
    Some(shown::Target {
        cgroup: Arc::clone(cgroup),
        state: state.name(),
        step: episode.step + 1,
        steps: policy.steps.len(),
        action: policy.steps.get(episode.step).map_or("", |step| step.action.name()),
        next_step_in: waits.then(|| next.saturating_sub(now)),
        undone_in: lasts.map(|ends| ends.saturating_sub(now)),
    })
}

/// What the ledger holds, as far as it is shown.
#[derive(Default)]
struct Held {
    shown: Vec<shown::InForce>,
    total: usize,
    /// How many claims each rule has.
    of: HashMap<Arc<str>, usize>,
}

fn held(ledger: &Ledger, about: Option<&Identity>, limits: &HashSet<Arc<str>>, now: Duration) -> Held {
    let mut of: HashMap<Arc<str>, usize> = HashMap::new();
    let mut total = 0;
    // What stays as long as its rule does is the least news.
    let mut first: Vec<(bool, Duration, &Arc<Identity>)> = Vec::new();
    for (target, claims) in ledger.each() {
        let meant = about.is_none_or(|about| **target == *about);
        let mut soonest: Option<(bool, Duration)> = None;
        for (_, claim) in claims {
            total += usize::from(meant);
            *of.entry(Arc::clone(&claim.rule)).or_default() += 1;
            let place = (limits.contains(&claim.rule), claim.expires.unwrap_or(Duration::MAX));
            soonest = Some(soonest.map_or(place, |known| known.min(place)));
        }
        first.extend(soonest.filter(|_| meant).map(|(lasting, ends)| (lasting, ends, target)));
    }
    if first.len() > CLAIMS {
        first.select_nth_unstable_by_key(CLAIMS, |(lasting, ends, _)| (*lasting, *ends));
        first.truncate(CLAIMS);
    }
    let mut shown: Vec<shown::InForce> =
        first.iter().flat_map(|(_, _, target)| in_force(ledger, target, now)).collect();
    shown.sort_by_key(|each| {
        (limits.contains(&each.policy), each.undone_in.unwrap_or(Duration::MAX), key_of(&each.cgroup))
    });
    shown.truncate(CLAIMS);
    Held { shown, total, of }
}

/// What is claimed of one cgroup.
fn in_force(ledger: &Ledger, target: &Arc<Identity>, now: Duration) -> Vec<shown::InForce> {
    let mut all = Vec::new();
    for holding in ledger.holdings(target) {
        for (place, (claim, value)) in holding.claims.into_iter().enumerate() {
            all.push(shown::InForce {
                policy: claim.rule,
                cgroup: Arc::clone(target),
                control: holding.knob.clone(),
                holds: place == 0 && value == holding.value,
                value,
                before: holding.original.clone(),
                undone_in: claim.expires.map(|at| at.saturating_sub(now)),
            });
        }
    }
    all
}

fn decision(at: SystemTime, done: &Done) -> shown::Decision {
    let order = &done.order;
    let change = |change: &crate::enforce::order::Change| shown::Change {
        control: change.knob.clone(),
        before: change.before.clone(),
        after: change.after.clone(),
    };
    shown::Decision {
        time: rfc3339(at),
        id: order.id,
        policy: Arc::clone(&order.rule),
        cgroup: Arc::clone(&order.target),
        action: order.deed.name(),
        step: order.step.map(|step| step + 1),
        dry_run: order.dry_run,
        outcome: done.outcome.name(),
        detail: done.detail.clone(),
        changes: done.changes.iter().map(change).collect(),
        conditions: order.evidence.findings.iter().map(condition).collect(),
        reaction_seconds: done.reaction,
    }
}

fn condition(finding: &Finding) -> shown::Condition {
    shown::Condition {
        signal: finding.signal.clone(),
        quantity: Signal::from_name(&finding.signal).map_or(Quantity::Count, Signal::quantity),
        of: finding.of.clone(),
        value: finding.value,
        compare: finding.compare,
        threshold: finding.threshold,
        held_seconds: finding.held,
        truth: finding.truth.name(),
    }
}
