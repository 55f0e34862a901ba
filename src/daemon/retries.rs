//! Standing limits that came to nothing are tried again.
//!
//! On a host with several hierarchies a cgroup is made in one after the other, and its birth is seen at the first: a limit
//! may come before its control does. What the kernel, or a full disk under the journal, refuses now may pass later, and what is
//! left to others may no longer be, or only not be known yet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::enforce::order::{Deed, Done, Outcome};
use crate::enforce::plan::BY_HAND;
use crate::model::Identity;

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(300);
/// How often what this host cannot do is tried: it may only not be able to do it yet.
const MOST_UNSUPPORTED: u32 = 5;
/// How many limits wait for another try at a time.
const MOST: usize = 4096;

/// What came of standing limits since the last pass, told from the thread that reports.
pub(super) type Told = Arc<Mutex<Vec<(Arc<str>, Arc<Identity>, Outcome)>>>;

/// Takes what came of an order, if it is a standing limit's.
pub(super) fn tell(told: &Told, done: &Done) {
    let order = &done.order;
    if order.step.is_none() && matches!(order.deed, Deed::Set { .. }) && &*order.rule != BY_HAND {
        let news = (Arc::clone(&order.rule), Arc::clone(&order.target), done.outcome);
        told.lock().unwrap_or_else(PoisonError::into_inner).push(news);
    }
}

struct Again {
    rule: Arc<str>,
    target: Arc<Identity>,
    tries: u32,
    /// When it is tried; none while it is under way.
    at: Option<Duration>,
}

/// The limits that wait for another try.
#[derive(Default)]
pub(super) struct Retries {
    told: Told,
    again: Vec<Again>,
}

impl Retries {
    /// With what came of standing limits.
    pub fn new(told: Told) -> Self {
        Self { told, again: Vec::new() }
    }

    /// Which limits are to be tried again now: the rule, the cgroup.
    pub fn due(&mut self, now: Duration) -> Vec<(Arc<str>, Arc<Identity>)> {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for (rule, target, outcome) in told {
            let known = self.again.iter().position(|each| each.rule == rule && each.target == target);
            let refused = matches!(
                outcome,
                Outcome::Failed | Outcome::TimedOut | Outcome::Unsupported | Outcome::Yielded
            );
            let tries = known.map_or(0, |at| self.again.swap_remove(at).tries + 1);
            let hopeless = outcome == Outcome::Unsupported && tries >= MOST_UNSUPPORTED;
            if refused && !hopeless && self.again.len() < MOST {
                let pause = Duration::from_millis(500).saturating_mul(1 << tries.min(16)).min(LONGEST);
                let at = if tries == 0 { now } else { now + pause };
                self.again.push(Again { rule, target, tries, at: Some(at) });
            }
        }
        let due = self.again.iter_mut().filter(|each| each.at.is_some_and(|at| at <= now));
        due.map(|each| {
            each.at = None;
            (Arc::clone(&each.rule), Arc::clone(&each.target))
        })
        .collect()
    }

    /// Lets go of a limit that is kept no longer.
    pub fn forget(&mut self, rule: &str, target: &Identity) {
        self.again.retain(|each| *each.rule != *rule || *each.target != *target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::identify;

    #[test]
    fn what_was_refused_is_tried_again_ever_more_rarely_and_the_impossible_not_for_ever() {
        let told = Told::default();
        let mut retries = Retries::new(Arc::clone(&told));
        let target = Arc::new(identify(b"/a", 7));
        let say = |outcome| told.lock().unwrap().push(("cap".into(), Arc::clone(&target), outcome));
        let at = Duration::from_millis;
        say(Outcome::Applied);
        assert_eq!(retries.due(at(0)), []);
        say(Outcome::Failed);
        let due = vec![(Arc::from("cap"), Arc::clone(&target))];
        assert_eq!(retries.due(at(100)), due, "at once");
        assert_eq!(retries.due(at(99_999)), [], "it is under way");
        say(Outcome::Failed);
        assert_eq!(retries.due(at(100_000)), []);
        assert_eq!(retries.due(at(101_000)), due);
        say(Outcome::Applied);
        assert_eq!(retries.due(at(102_000)), []);
        let mut tries = 0;
        let mut now = at(200_000);
        loop {
            say(Outcome::Unsupported);
            retries.due(now);
            now += LONGEST;
            if retries.again.is_empty() {
                break;
            }
            tries += 1;
            retries.due(now);
        }
        assert_eq!(tries, MOST_UNSUPPORTED);
    }
}
