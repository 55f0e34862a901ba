//! What every policy makes of one cgroup, and what it would do next.

use std::sync::Arc;
use std::time::Duration;

use super::state::{State, relief_time};
use super::victims::barred;
use super::watched::Watched;
use super::{Engine, Sight, View, evidence, find};
use crate::policy::condition::Truth;
use crate::policy::decision::Finding;
use crate::policy::rule::Policy;

/// Whether a policy is about a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It is.
    Yes,
    /// It will be at that time (monotonic): the cgroup is younger than `min_age`.
    TooYoung {
        /// When.
        until: Duration,
    },
    /// Its `not` leaves the cgroup out.
    Excluded,
    /// Nothing in its `match` is about the cgroup.
    No,
}

/// What a policy does next with a cgroup, if nothing changes. Times are monotonic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, as long as its condition does not hold.
    Nothing,
    /// It takes a step.
    Step {
        /// The step's place, from 0.
        step: usize,
        /// What it does: `freeze`.
        action: &'static str,
        /// When: at once where that is past.
        at: Duration,
    },
    /// The condition holds, and another one is chosen, or the policy rests.
    Spared {
        /// Why, as a sentence.
        reason: String,
    },
    /// It has no further step.
    Exhausted {
        /// When.
        at: Duration,
    },
    /// It undoes what it did: when `clear` holds, and then at the latest; `None` where nothing ends by itself.
    Undo {
        /// When.
        at: Option<Duration>,
    },
    /// Its rest ends.
    Watching {
        /// When.
        at: Duration,
    },
}

/// What a policy makes of a cgroup.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Whether it is about the cgroup; where not, what follows is empty.
    pub matched: Matched,
    /// The state's name.
    pub state: &'static str,
    /// The last step taken, where it is not done with the cgroup.
    pub step: Option<usize>,
    /// How `when` comes out.
    pub when: Truth,
    /// Every comparison of `when`.
    pub findings: Vec<Finding>,
    /// How `clear` comes out; without a `clear`, whether `when` does not hold.
    pub clear: Truth,
    /// Every comparison of `clear`.
    pub clear_findings: Vec<Finding>,
    /// What comes next.
    pub next: Next,
}

impl Engine {
    /// What each policy makes of the cgroup at a path, as of the last evaluation. Empty where no cgroup is there.
    #[must_use]
    pub fn explain(&self, view: &View<'_>, path: &[u8]) -> Vec<Explanation> {
        let Some(place) = find(&self.places, path) else { return Vec::new() };
        let sight = Sight { table: &self.table, places: &self.places, paths: &self.paths, now: view.at };
        self.watched.iter().map(|watched| explain(watched, place, sight)).collect()
    }
}

fn explain(watched: &Watched, place: u32, sight: Sight<'_>) -> Explanation {
    let policy = Arc::clone(&watched.policy);
    let Some(at) = watched.at(place) else {
        let excluded = {
            let place = &sight.places[place as usize];
            watched.matching.excludes(&place.identity, &place.namespaces)
        };
        return Explanation {
            policy,
            matched: if excluded { Matched::Excluded } else { Matched::No },
            state: State::Watching.name(),
            step: None,
            when: Truth::Unknown,
            findings: Vec::new(),
            clear: Truth::Unknown,
            clear_findings: Vec::new(),
            next: Next::Nothing,
        };
    };
    let entry = &watched.entries[at];
    let ripe = sight.places[place as usize].born.saturating_add(policy.selector.min_age);
    let findings = evidence::findings(watched, at, false, sight);
    let when = watched.when.judge(&truths(&findings));
    let (clear, clear_findings) = match &watched.clear {
        Some(program) => {
            let findings = evidence::findings(watched, at, true, sight);
            (program.judge(&truths(&findings)), findings)
        }
        None => (when.negated(), Vec::new()),
    };
    Explanation {
        matched: if ripe > sight.now { Matched::TooYoung { until: ripe } } else { Matched::Yes },
        state: entry.state.name(),
        step: entry.state.episode().map(|episode| episode.step),
        when,
        next: next(watched, at, &findings, sight),
        findings,
        clear,
        clear_findings,
        policy,
    }
}

fn truths(findings: &[Finding]) -> Vec<Truth> {
    findings.iter().map(|finding| finding.truth).collect()
}

fn next(watched: &Watched, at: usize, findings: &[Finding], sight: Sight<'_>) -> Next {
    let policy = &watched.policy;
    let step = |step: usize, at: Duration| match policy.steps.get(step) {
        Some(taken) => Next::Step { step, action: taken.action.name(), at },
        None => Next::Exhausted { at },
    };
    match &watched.entries[at].state {
        State::Watching => match fires(watched, at, findings, sight) {
            Some(fires) if fires > sight.now => step(0, fires),
            Some(_) => match barred(watched, sight, at) {
                Some(reason) => Next::Spared { reason },
                None => step(0, sight.now),
            },
            None => Next::Nothing,
        },
        State::Acting(episode) => {
            step(episode.step + 1, episode.taken.saturating_add(relief_time(policy, episode)))
        }
        State::Exhausted(episode) => {
            let again = episode.since.saturating_add(policy.cooldown.target);
            match episode.ends {
                Some(ends) if ends <= again => Next::Undo { at: Some(ends) },
                _ => step(0, again),
            }
        }
        State::Relieved(episode) => Next::Undo { at: episode.ends.filter(|&ends| ends < Duration::MAX) },
        State::Cooldown { until } => Next::Watching { at: *until },
    }
}

/// When `when` comes to hold, if every comparison stays as it is.
fn fires(watched: &Watched, at: usize, findings: &[Finding], sight: Sight<'_>) -> Option<Duration> {
    let place = watched.entries[at].place;
    let raw: Vec<Truth> = watched.when.tests.iter().map(|test| sight.outcome(test, place).truth).collect();
    let now = watched.when.judge(&truths(findings));
    if now == Truth::True {
        return Some(sight.now);
    }
    let waits = findings.iter().zip(&raw).filter(|(_, raw)| **raw == Truth::True);
    let wait = waits.map(|(finding, _)| finding.hold.saturating_sub(finding.held)).max()?;
    (watched.when.judge(&raw) == Truth::True).then(|| sight.now.saturating_add(wait))
}
