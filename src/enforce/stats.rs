//! What enforcement did since the start: the numbers behind its metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::order::{Done, Outcome};
use super::plan::BY_HAND;

/// The upper ends of the reaction times' buckets, in seconds. One more bucket has no end.
pub const REACTION_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What a rule that is not configured any more is counted under.
pub const OTHER: &str = "other";

/// Decisions of one kind.
pub type DecisionKey = (Arc<str>, &'static str, Outcome);

/// The numbers at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Decisions by rule, action and outcome. Only configured rules, [`BY_HAND`] and [`OTHER`] stand here.
    pub decisions: BTreeMap<DecisionKey, u64>,
    /// What is in force now, by rule and action: controls that are set, cgroups that are frozen.
    pub active: BTreeMap<(Arc<str>, &'static str), u64>,
    /// How many reactions fell into each bucket (not added up), the endless one last.
    pub reactions: [u64; REACTION_BUCKETS.len() + 1],
    /// All reaction times together.
    pub reaction_sum: Duration,
    /// Claims open in the journal.
    pub journal_entries: u64,
    /// Writes to the journal that failed.
    pub journal_faults: u64,
    /// Bytes that were cut off the journal at the start.
    pub torn_bytes: u64,
    /// Damaged lines that were skipped in the journal at the start.
    pub corrupt_lines: u64,
    /// Claims that the start undid for a program that had ended without undoing.
    pub recovered: u64,
    /// Times that another one's value stayed.
    pub drift_yielded: u64,
    /// Times that a control was written again after another one wrote it.
    pub drift_reasserted: u64,
    /// Messages sent to a webhook or a hook.
    pub notified: u64,
    /// Messages that could not be sent.
    pub notify_failed: u64,
    /// Messages dropped because too many waited.
    pub notify_dropped: u64,
    /// Audit lines that could not be written.
    pub audit_lost: u64,
    /// Threads that wait for the kernel longer than their deadline.
    pub stuck: u64,
}

/// Counts, from every thread.
#[derive(Debug, Default)]
pub struct Stats {
    numbers: Mutex<Numbers>,
    rules: Mutex<BTreeSet<Arc<str>>>,
}

impl Stats {
    /// Says which rules are configured: the others' decisions are counted together, so that the series stay bounded.
    pub fn configure(&self, rules: impl IntoIterator<Item = Arc<str>>) {
        *lock(&self.rules) = rules.into_iter().collect();
    }

    /// The numbers now.
    #[must_use]
    pub fn snapshot(&self) -> Numbers {
        lock(&self.numbers).clone()
    }

    /// Counts what came of a decision.
    pub(super) fn done(&self, done: &Done) {
        let rule = &done.order.rule;
        let known = &**rule == BY_HAND || lock(&self.rules).contains(rule);
        let rule = if known { Arc::clone(rule) } else { OTHER.into() };
        let mut numbers = lock(&self.numbers);
        *numbers.decisions.entry((rule, done.order.deed.name(), done.outcome)).or_default() += 1;
        if done.outcome == Outcome::Applied {
            let seconds = done.reaction.as_secs_f64();
            let bucket = REACTION_BUCKETS.partition_point(|&end| end < seconds);
            numbers.reactions[bucket] += 1;
            numbers.reaction_sum += done.reaction;
        }
    }

    /// Changes the numbers.
    pub(super) fn change(&self, change: impl FnOnce(&mut Numbers)) {
        change(&mut lock(&self.numbers));
    }
}

/// A panic of another thread leaves numbers as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
