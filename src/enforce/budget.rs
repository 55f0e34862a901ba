//! PURE: how many kills there may be: the circuit breaker.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::order::Outcome;
use super::safety::Budget;
use crate::model::Identity;

/// The kills that still count.
///
/// Targets are told apart by path alone: a service that is started again after each kill has a new kernel id and is
/// still the same victim. That it came back is what tells a kill loop from a kill that had to be repeated.
#[derive(Debug, Default)]
pub(super) struct Kills {
    host: VecDeque<Duration>,
    targets: HashMap<Box<[u8]>, Victim>,
}

/// The kills of one path.
#[derive(Debug, Default)]
struct Victim {
    times: VecDeque<Duration>,
    /// The kernel id of the cgroup that was killed last, where this program did it.
    last: Option<u64>,
}

impl Kills {
    /// Counts a kill of a former program, which was at that time. They come in the order of their times, before all others.
    pub fn remember(&mut self, path: &[u8], at: Duration) {
        self.host.push_back(at);
        self.targets.entry(path.into()).or_default().times.push_back(at);
    }

    /// Counts one more kill, or says which budget has no room for it, and with which outcome. Who is restarted `comes_back`
    /// because it was asked for, which is no loop.
    ///
    /// There are never more than `max` kills within any stretch of the length `per`. A reload that makes a stretch
    /// longer sees only the kills that the shorter one still knew.
    pub fn count(
        &mut self,
        target: &Identity,
        comes_back: bool,
        host: Budget,
        one: Budget,
        now: Duration,
    ) -> Result<(), (Outcome, String)> {
        let forget = |times: &mut VecDeque<Duration>, budget: Budget| {
            while times.front().is_some_and(|&time| time + budget.per <= now) {
                times.pop_front();
            }
        };
        forget(&mut self.host, host);
        self.targets.retain(|_, victim| {
            forget(&mut victim.times, one);
            !victim.times.is_empty()
        });
        let spent = |what: &str, times: usize, budget: Budget| {
            format!(
                "{times} kills {what} within {} s: no more than {} are allowed",
                budget.per.as_secs(),
                budget.max
            )
        };
        if self.host.len() >= host.max {
            return Err((Outcome::Budget, spent("on this host", self.host.len(), host)));
        }
        let what = &target.display;
        let victim = self.targets.get(&target.path);
        let times = victim.map_or(0, |victim| victim.times.len());
        if times >= one.max {
            let reason = spent(&format!("of {what}"), times, one);
            let before = victim.and_then(|victim| victim.last);
            return Err(match before.filter(|before| *before != target.id) {
                None => (Outcome::Budget, reason),
                Some(before) => (
                    Outcome::KillLoop,
                    format!(
                        "{what} was killed as cgroup {before} and is there again as {}: somebody starts it again \
                         (`Restart=` of a unit, a runtime's restart policy). Mend the service, or end it with the step \
                         `stop`; {reason}",
                        target.id
                    ),
                ),
            });
        }
        self.host.push_back(now);
        let victim = self.targets.entry(target.path.clone()).or_default();
        victim.times.push_back(now);
        victim.last = (!comes_back).then_some(target.id);
        Ok(())
    }
}
