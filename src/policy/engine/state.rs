//! What a policy is doing with one target, and what comes next.
//!
//! ```text
//! watching -> acting(step) -> next step ... -> exhausted
//!                |    ^                            |
//!                v    |                            v
//!             relieved ----------------------> cooldown -> watching
//! ```

use std::time::Duration;

use crate::model::Knob;
use crate::policy::condition::Truth;
use crate::policy::decision::{UndoReason, Verdict};
use crate::policy::rule::{Action, Policy};
use crate::policy::signal::Resource;
use crate::policy::table::Throttles;

/// What a policy did to a target, since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The last step taken.
    pub step: usize,
    /// When it was taken, or gone back to.
    pub taken: Duration,
    /// When the present state began.
    pub since: Duration,
    /// When what the last step did ends by itself; `None` where it left nothing that lasts.
    step_ends: Option<Duration>,
    /// When the last of what was done ends by itself; `None` where nothing is in force.
    pub ends: Option<Duration>,
    /// What the target is short of meanwhile.
    throttles: Throttles,
}

/// A state, as [`crate::policy`] and the metrics name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is done.
    #[default]
    Watching,
    /// A step was taken; the next one waits for whether it brings relief.
    Acting(Box<Episode>),
    /// Every step was taken, and the condition still holds.
    Exhausted(Box<Episode>),
    /// The condition no longer holds; what was done stays until `clear` holds or its time is up.
    Relieved(Box<Episode>),
    /// The policy was done with the target, and rests.
    Cooldown {
        /// Until when.
        until: Duration,
    },
}

impl State {
    /// The names of all states, in order.
    pub const NAMES: [&'static str; 5] = ["watching", "acting", "exhausted", "relieved", "cooldown"];

    /// Its place among [`Self::NAMES`].
    #[must_use]
    pub const fn number(&self) -> usize {
        match self {
            Self::Watching => 0,
            Self::Acting(_) => 1,
            Self::Exhausted(_) => 2,
            Self::Relieved(_) => 3,
            Self::Cooldown { .. } => 4,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.number()]
    }

    /// What was done, while the policy is not done with the target.
    #[must_use]
    pub fn episode(&self) -> Option<&Episode> {
        match self {
            Self::Acting(episode) | Self::Exhausted(episode) | Self::Relieved(episode) => Some(episode),
            Self::Watching | Self::Cooldown { .. } => None,
        }
    }

    /// Whether the target counts as a victim.
    #[must_use]
    pub const fn is_victim(&self) -> bool {
        matches!(self, Self::Acting(_) | Self::Exhausted(_))
    }

    /// What the target is short of because of what was done.
    #[must_use]
    pub fn throttles(&self) -> Throttles {
        self.episode()
            .filter(|episode| episode.ends.is_some())
            .map_or(Throttles::default(), |episode| episode.throttles)
    }
}

/// What the present moment looks like to one target.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Duration,
    /// Whether `when` holds.
    pub when: Truth,
    /// Whether `clear` holds; without a `clear`, whether `when` does not.
    pub clear: Truth,
    /// Whether there is room for one more victim.
    pub room: bool,
}

/// The policy begins on a target.
pub fn begin(policy: &Policy, now: Duration, say: &mut impl FnMut(Verdict)) -> State {
    let nothing = Episode {
        step: 0,
        taken: now,
        since: now,
        step_ends: None,
        ends: None,
        throttles: Throttles::default(),
    };
    again(policy, Box::new(nothing), now, say)
}

/// Takes the first step, and those that wait for no relief.
fn again(policy: &Policy, mut episode: Box<Episode>, now: Duration, say: &mut impl FnMut(Verdict)) -> State {
    episode.step = 0;
    episode.since = now;
    take(policy, &mut episode, now, say);
    climb(policy, episode, now, say)
}

/// The state that follows, and what is decided on the way.
pub fn advance(policy: &Policy, state: State, moment: Moment, say: &mut impl FnMut(Verdict)) -> State {
    let Moment { now, when, clear, room } = moment;
    match state {
        State::Watching => State::Watching,
        State::Cooldown { until } if now >= until => State::Watching,
        State::Cooldown { until } => State::Cooldown { until },
        State::Acting(mut episode) => match when {
            Truth::True => {
                // The next step comes when it is its time, whatever became of the last.
                if expired(&episode, now) {
                    say(Verdict::Undo { why: UndoReason::Expired });
                    (episode.ends, episode.step_ends) = (None, None);
                }
                climb(policy, episode, now, say)
            }
            Truth::False => relieve(policy, episode, now, clear, say),
            Truth::Unknown => {
                let patience = relief_time(policy, &episode) + policy.cooldown.target;
                match settle(policy, episode, now, clear, patience, say) {
                    Ok(state) => state,
                    Err(episode) => State::Acting(episode),
                }
            }
        },
        State::Exhausted(episode) => match when {
            Truth::False => relieve(policy, episode, now, clear, say),
            Truth::True if !expired(&episode, now) => {
                if now.saturating_sub(episode.since) >= policy.cooldown.target {
                    again(policy, episode, now, say)
                } else {
                    State::Exhausted(episode)
                }
            }
            // It is not its `clear` that ends it while `when` holds.
            Truth::True => settled(policy, now, UndoReason::Expired, say),
            Truth::Unknown => match settle(policy, episode, now, clear, policy.cooldown.target, say) {
                Ok(state) => state,
                Err(episode) => State::Exhausted(episode),
            },
        },
        State::Relieved(mut episode) => {
            if when == Truth::True && room && !expired(&episode, now) {
                (episode.since, episode.taken) = (now, now);
                if repeats(policy, &episode, now) {
                    take(policy, &mut episode, now, say);
                }
                return climb(policy, episode, now, say);
            }
            let clear = if when == Truth::True { Truth::False } else { clear };
            match settle(policy, episode, now, clear, policy.cooldown.target, say) {
                Ok(state) => state,
                Err(episode) => State::Relieved(episode),
            }
        }
    }
}

/// Takes the steps whose time has come.
fn climb(policy: &Policy, mut episode: Box<Episode>, now: Duration, say: &mut impl FnMut(Verdict)) -> State {
    while now.saturating_sub(episode.taken) >= relief_time(policy, &episode) {
        if episode.step + 1 >= policy.steps.len() {
            episode.since = now;
            return State::Exhausted(episode);
        }
        episode.step += 1;
        take(policy, &mut episode, now, say);
    }
    State::Acting(episode)
}

/// How long the step has to bring relief.
#[must_use]
pub fn relief_time(policy: &Policy, episode: &Episode) -> Duration {
    policy.steps.get(episode.step).map_or(Duration::ZERO, |step| step.relieved_within)
}

fn take(policy: &Policy, episode: &mut Episode, now: Duration, say: &mut impl FnMut(Verdict)) {
    let Some(step) = policy.steps.get(episode.step) else { return };
    say(Verdict::Act { step: episode.step });
    episode.taken = now;
    episode.step_ends = match &step.action {
        Action::Set(_) | Action::Freeze => {
            Some(step.ttl.map_or(Duration::MAX, |ttl| now.saturating_add(ttl)))
        }
        Action::Notify(_) | Action::Reclaim(_) | Action::Kill(_) | Action::Restart | Action::Stop => None,
    };
    if let (Some(_), None) = (episode.step_ends, episode.ends) {
        episode.throttles = Throttles::default();
    }
    episode.ends = episode.ends.max(episode.step_ends);
    if let Action::Set(settings) = &step.action {
        for resource in settings.iter().flat_map(|setting| starved(&setting.knob)) {
            episode.throttles = episode.throttles.and(Throttles::of(*resource));
        }
    }
}

/// Whether a step that is gone back to must be taken again: what lasts may still be in force, and nobody wants to be told
/// twice.
fn repeats(policy: &Policy, episode: &Episode, now: Duration) -> bool {
    match policy.steps.get(episode.step).map(|step| &step.action) {
        Some(Action::Set(_) | Action::Freeze) => episode.step_ends.is_none_or(|ends| ends <= now),
        Some(Action::Reclaim(_) | Action::Kill(_) | Action::Restart | Action::Stop) => true,
        Some(Action::Notify(_)) | None => false,
    }
}

/// Which resources a cgroup waits for when that knob holds it down. What waits for its own dropped pages to be read again
/// is counted by the kernel as waiting for memory and for I/O.
#[must_use]
pub const fn starved(knob: &Knob) -> &'static [Resource] {
    match knob {
        Knob::MemoryHigh | Knob::MemoryMax | Knob::MemorySwapMax => &[Resource::Memory, Resource::Io],
        Knob::CpuMax | Knob::CpuWeight | Knob::CpusetCpus => &[Resource::Cpu],
        Knob::IoMax { .. } | Knob::IoWeight => &[Resource::Io],
        Knob::MemoryMin | Knob::MemoryLow | Knob::PidsMax | Knob::CpusetMems => &[],
    }
}

/// Whether everything that was in force has come to its end.
fn expired(episode: &Episode, now: Duration) -> bool {
    episode.ends.is_some_and(|ends| ends <= now)
}

/// The condition no longer holds.
fn relieve(
    policy: &Policy,
    mut episode: Box<Episode>,
    now: Duration,
    clear: Truth,
    say: &mut impl FnMut(Verdict),
) -> State {
    episode.since = now;
    match settle(policy, episode, now, clear, policy.cooldown.target, say) {
        Ok(state) => state,
        Err(episode) => State::Relieved(episode),
    }
}

/// Ends the episode if it is over: it cleared, its time is up, or nothing is in force and `patience` is over without
/// anything becoming known.
fn settle(
    policy: &Policy,
    episode: Box<Episode>,
    now: Duration,
    clear: Truth,
    patience: Duration,
    say: &mut impl FnMut(Verdict),
) -> Result<State, Box<Episode>> {
    if clear == Truth::True {
        return Ok(match episode.ends {
            Some(_) => settled(policy, now, UndoReason::Cleared, say),
            None => rest(policy, now),
        });
    }
    if expired(&episode, now) {
        return Ok(settled(policy, now, UndoReason::Expired, say));
    }
    if episode.ends.is_none() && now.saturating_sub(episode.since.max(episode.taken)) >= patience {
        return Ok(rest(policy, now));
    }
    Err(episode)
}

fn settled(policy: &Policy, now: Duration, why: UndoReason, say: &mut impl FnMut(Verdict)) -> State {
    say(Verdict::Undo { why });
    rest(policy, now)
}

fn rest(policy: &Policy, now: Duration) -> State {
    State::Cooldown { until: now.saturating_add(policy.cooldown.target) }
}
