//! PURE: how many kills there may be: the circuit breaker.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::safety::Budget;
use crate::model::Identity;

/// The kills that still count.
///
/// Targets are told apart by path alone: a service that is started again after each kill has a new kernel id and is
/// still the same victim.
#[derive(Debug, Default)]
pub(super) struct Kills {
    host: VecDeque<Duration>,
    targets: HashMap<Box<[u8]>, VecDeque<Duration>>,
}

impl Kills {
    /// Counts a kill of a former program, which was at that time. They come in the order of their times, before all others.
    pub fn remember(&mut self, path: &[u8], at: Duration) {
        self.host.push_back(at);
        self.targets.entry(path.into()).or_default().push_back(at);
    }

    /// Counts one more kill, or says which budget has no room for it.
    ///
    /// There are never more than `max` kills within any stretch of the length `per`. A reload that makes a stretch
    /// longer sees only the kills that the shorter one still knew.
    pub fn count(
        &mut self,
        target: &Identity,
        host: Budget,
        one: Budget,
        now: Duration,
    ) -> Result<(), String> {
        let forget = |times: &mut VecDeque<Duration>, budget: Budget| {
            while times.front().is_some_and(|&time| time + budget.per <= now) {
                times.pop_front();
            }
        };
        forget(&mut self.host, host);
        self.targets.retain(|_, times| {
            forget(times, one);
            !times.is_empty()
        });
        let spent = |what: &str, times: usize, budget: Budget| {
            format!(
                "{times} kills {what} within {} s: no more than {} are allowed",
                budget.per.as_secs(),
                budget.max
            )
        };
        if self.host.len() >= host.max {
            return Err(spent("on this host", self.host.len(), host));
        }
        let times = self.targets.get(&target.path).map_or(0, VecDeque::len);
        if times >= one.max {
            return Err(spent(&format!("of {}", target.display), times, one));
        }
        self.host.push_back(now);
        self.targets.entry(target.path.clone()).or_default().push_back(now);
        Ok(())
    }
}
