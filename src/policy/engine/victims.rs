//! Whom a policy begins on: the worst of those for which its condition holds.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use super::state::{self, State};
use super::watched::Watched;
use super::{Sight, Untouchable, evidence};
use crate::policy::condition::Truth;
use crate::policy::decision::{Spared, Verdict};
use crate::policy::signal::Signal;

/// How many of the spared are named; a last line counts the others.
const NAMED: usize = 20;

/// The choice that is being made. Kept between choices for its memory.
#[derive(Debug, Default)]
pub struct Chosen {
    /// Those for which the condition holds, the worst first: places among the policy's targets.
    ranked: Vec<usize>,
    /// Those that are begun on.
    victims: Vec<usize>,
    /// Those that would be, if the policy did not rest, and until when it does.
    resting: Vec<(usize, Duration)>,
    /// The places of those that the policy is not done with.
    open: Vec<u32>,
}

/// Why a candidate is not begun on, its rank aside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bar {
    /// It has less of this than makes it worth an action.
    Unworthy(usize),
    /// The cgroup at that place, above it or below it, is acted on already.
    Related(u32),
    /// The policy rests from it.
    Cooldown(Duration),
    /// The policy rests from everybody but the one that it last began on.
    HostCooldown(Duration),
}

impl Chosen {
    /// Begins on the worst, as far as there is room, and says why each other one was spared.
    ///
    /// A policy that rests from a target rests from that target only: the next worst takes its place. Where that is not
    /// wanted, `cooldown.host` has the policy rest from all others as well.
    ///
    /// The first step on one that may not be touched is said once, so that the refusal is seen; the next worst takes its
    /// place, and a policy that matches the root as well is not kept busy with it.
    pub fn choose(
        &mut self,
        watched: &mut Watched,
        sight: Sight<'_>,
        untouchable: Untouchable<'_>,
        mut say: impl FnMut(&Watched, usize, Verdict, Vec<Spared>),
    ) {
        let entries = &watched.entries;
        let waits = |state: &State| matches!(state, State::Watching | State::Cooldown { .. });
        self.ranked.clear();
        self.ranked.extend(
            (0..entries.len()).filter(|&at| entries[at].when == Truth::True && waits(&entries[at].state)),
        );
        let mut room = watched.policy.victim.max.saturating_sub(watched.victims());
        if self.ranked.is_empty() || room == 0 {
            return;
        }
        self.ranked.sort_unstable_by(|&a, &b| rank(watched, sight, a, b).then(a.cmp(&b)));
        self.victims.clear();
        self.resting.clear();
        self.open.clear();
        self.open
            .extend(entries.iter().filter(|entry| entry.state.episode().is_some()).map(|entry| entry.place));
        for &at in &self.ranked {
            if room == 0 {
                break;
            }
            let barred = bar(watched, sight, &self.open, at);
            let worthy = !matches!(barred, Some(Bar::Unworthy(_) | Bar::Related(_)));
            // Between two passes most were not looked at anew, and what they were last found guilty of may since be
            // known to be of our own making.
            if barred.is_none() && !evidence::holds(watched, at, sight) {
                continue;
            }
            if worthy && untouchable(&watched.policy, sight.identity(watched.entries[at].place)) {
                if !std::mem::replace(&mut watched.entries[at].told, true) {
                    say(watched, at, Verdict::Act { step: 0 }, Vec::new());
                }
                continue;
            }
            match barred {
                None => {
                    room -= 1;
                    let place = watched.entries[at].place;
                    self.victims.push(at);
                    self.open.push(place);
                    watched.began = Some((sight.now, Arc::clone(sight.identity(place))));
                }
                Some(Bar::Unworthy(_) | Bar::Related(_)) => {}
                Some(Bar::Cooldown(until)) => self.resting.push((at, until)),
                Some(Bar::HostCooldown(until)) => {
                    room -= 1;
                    self.resting.push((at, until));
                }
            }
        }
        for &at in &self.victims {
            let policy = Arc::clone(&watched.policy);
            watched.entries[at].told = false;
            let mut spared = Some(self.spared(watched, sight, at));
            let state = state::begin(&policy, sight.now, &mut |verdict| {
                say(watched, at, verdict, spared.take().unwrap_or_default());
            });
            watched.entries[at].state = state;
        }
        for &(at, until) in &self.resting {
            // Once for each time that the condition came to hold.
            if !std::mem::replace(&mut watched.entries[at].told, true) {
                say(watched, at, Verdict::Resting { step: 0, until }, Vec::new());
            }
        }
    }

    /// Why each other candidate was spared when this one was chosen.
    fn spared(&self, watched: &Watched, sight: Sight<'_>, victim: usize) -> Vec<Spared> {
        let others = || self.ranked.iter().copied().filter(|at| !self.victims.contains(at));
        let mut spared: Vec<Spared> = others()
            .take(NAMED)
            .map(|at| Spared {
                cgroup: Arc::from(&*sight.identity(watched.entries[at].place).display),
                // The host's rest began with the victim: it is no reason for having chosen that one.
                reason: match bar(watched, sight, &self.open, at) {
                    Some(Bar::HostCooldown(_)) | None => compare(watched, sight, at, victim),
                    Some(bar) => explain(bar, watched, sight, at),
                },
            })
            .collect();
        let more = others().count() - spared.len();
        if more > 0 {
            spared.push(Spared { cgroup: Arc::from("…"), reason: format!("{more} more rank lower") });
        }
        spared
    }
}

/// Why a target for which the condition holds is not begun on, as a sentence.
#[must_use]
pub fn barred(watched: &Watched, sight: Sight<'_>, at: usize) -> Option<String> {
    let victims = || watched.entries.iter().filter(|entry| entry.state.is_victim());
    let open: Vec<u32> = watched
        .entries
        .iter()
        .filter(|entry| entry.state.episode().is_some())
        .map(|entry| entry.place)
        .collect();
    if let Some(bar) = bar(watched, sight, &open, at) {
        return Some(explain(bar, watched, sight, at));
    }
    let first = victims().next()?;
    (victims().count() >= watched.policy.victim.max).then(|| {
        format!(
            "{} is acted on, and no more than {} may be at a time",
            sight.identity(first.place).display,
            watched.policy.victim.max
        )
    })
}

/// The worse of two candidates comes first. What is not known is not held against anybody.
fn rank(watched: &Watched, sight: Sight<'_>, a: usize, b: usize) -> Ordering {
    let signals = watched.policy.victim.rank.iter().zip(&watched.rank);
    signals.fold(Ordering::Equal, |so_far, (&signal, &column)| {
        so_far.then_with(|| {
            badness(watched, sight, b, signal, column).total_cmp(&badness(watched, sight, a, signal, column))
        })
    })
}

fn badness(watched: &Watched, sight: Sight<'_>, at: usize, signal: Signal, column: usize) -> f64 {
    let value = sight.table.own(signal, column, watched.entries[at].place);
    match value {
        unknown if unknown.is_nan() => f64::NEG_INFINITY,
        less if signal.less_is_worse() => -less,
        more => more,
    }
}

fn bar(watched: &Watched, sight: Sight<'_>, open: &[u32], at: usize) -> Option<Bar> {
    let (policy, entry) = (&watched.policy, &watched.entries[at]);
    let least = policy.victim.at_least.iter().zip(&watched.at_least);
    let unworthy = least.enumerate().find(|(_, ((signal, least), column))| {
        let value = sight.table.own(*signal, **column, entry.place);
        value.is_nan() || value < *least
    });
    if let Some((which, _)) = unworthy {
        return Some(Bar::Unworthy(which));
    }
    let path = &sight.identity(entry.place).path;
    let related = |&&place: &&u32| {
        let other = &sight.identity(place).path;
        holds(other, path) || holds(path, other)
    };
    if let Some(&place) = open.iter().find(related) {
        return Some(Bar::Related(place));
    }
    if let State::Cooldown { until } = entry.state
        && sight.now < until
    {
        return Some(Bar::Cooldown(until));
    }
    let (began, on) = watched.began.as_ref()?;
    let until = began.saturating_add(policy.cooldown.host);
    let rests = sight.now < until && **on != **sight.identity(entry.place);
    rests.then_some(Bar::HostCooldown(until))
}

/// Whether a path is the other one, or above it.
fn holds(above: &[u8], path: &[u8]) -> bool {
    above == b"/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn explain(bar: Bar, watched: &Watched, sight: Sight<'_>, at: usize) -> String {
    let entry = &watched.entries[at];
    match bar {
        Bar::Unworthy(which) => {
            let (signal, least) = watched.policy.victim.at_least[which];
            let value = sight.table.own(signal, watched.at_least[which], entry.place);
            let (name, least) = (signal.name(), signal.quantity().show(least));
            if value.is_nan() {
                format!("{name} is not known, and must be at least {least}")
            } else {
                format!(
                    "{name} {} is less than the {least} that make it worth an action",
                    signal.quantity().show(value)
                )
            }
        }
        Bar::Related(place) => {
            let (own, other) = (sight.identity(entry.place), sight.identity(place));
            let which =
                if holds(&other.path, &own.path) { "which it is part of" } else { "which is part of it" };
            format!("{}, {which}, is acted on", other.display)
        }
        Bar::Cooldown(until) => format!("the policy rests from it for {}", seconds(until, sight.now)),
        Bar::HostCooldown(until) => format!("the policy rests for {}", seconds(until, sight.now)),
    }
}

fn seconds(until: Duration, now: Duration) -> String {
    format!("{:.0}s more", until.saturating_sub(now).as_secs_f64().ceil())
}

/// Where a candidate ranks below the victim.
fn compare(watched: &Watched, sight: Sight<'_>, at: usize, victim: usize) -> String {
    for (&signal, &column) in watched.policy.victim.rank.iter().zip(&watched.rank) {
        let value = |at: usize| sight.table.own(signal, column, watched.entries[at].place);
        let (own, worst) = (value(at), value(victim));
        if badness(watched, sight, at, signal, column) != badness(watched, sight, victim, signal, column) {
            let (name, quantity) = (signal.name(), signal.quantity());
            if own.is_nan() {
                return format!("{name} is not known");
            }
            let less = if own < worst { "less" } else { "more" };
            return format!(
                "{name} {} is {less} than {} of the victim",
                quantity.show(own),
                quantity.show(worst)
            );
        }
    }
    "it is as bad as the victim, and its path comes later".to_owned()
}
