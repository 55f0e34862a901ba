//! How many requests are let through.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bound on requests, over all clients: one in each interval, and some more at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How long it takes until one more is let through; not zero.
    pub interval: Duration,
    /// How many are let through at once after a rest; not zero.
    pub burst: u32,
}

/// A token bucket, as the time at which it will be full again.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Option<Instant>>);

impl Bucket {
    /// Takes one token, if there is one.
    pub(super) fn take(&self, limit: RateLimit, now: Instant) -> bool {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full.map_or(now, |full| full.max(now)) + limit.interval;
        let granted = next.duration_since(now) <= limit.interval.saturating_mul(limit.burst);
        if granted {
            *full = Some(next);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_in_each_interval() {
        let (bucket, start) = (Bucket::default(), Instant::now());
        let limit = RateLimit { interval: Duration::from_secs(1), burst: 3 };
        let at = |millis| start + Duration::from_millis(millis);
        let taken: Vec<bool> = [0, 0, 0, 0, 999, 1000, 1000, 2500, 3000, 60_000, 60_000, 60_000, 60_000]
            .map(|millis| bucket.take(limit, at(millis)))
            .into();
        let expected = [true, true, true, false, false, true, false, true, true, true, true, true, false];
        assert_eq!(taken, expected);
    }

    #[test]
    fn another_limit_counts_at_once() {
        let (bucket, now) = (Bucket::default(), Instant::now());
        let slow = RateLimit { interval: Duration::from_secs(60), burst: 1 };
        assert!(bucket.take(slow, now) && !bucket.take(slow, now));
        assert!(bucket.take(RateLimit { interval: Duration::from_secs(60), burst: 2 }, now));
    }
}
