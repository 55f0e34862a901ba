//! The last numbers of the dead, until a scrape has carried them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Cgroup;

/// Where the server says which dead cgroups a scrape has carried, by [`Cgroup::rank`].
#[derive(Clone, Debug, Default)]
pub struct Carried(Arc<Mutex<Vec<u64>>>);

/// A place for the server to tell the sampler.
#[must_use]
pub fn carried() -> Carried {
    Carried::default()
}

impl Carried {
    /// A scrape has carried the last numbers of these.
    pub fn add(&self, ranks: &[u64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(ranks);
    }

    /// Sorted, since there may be thousands and each of the dead is looked for among them.
    fn take(&self) -> Vec<u64> {
        let mut ranks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        ranks.sort_unstable();
        ranks
    }
}

/// The dead that wait, oldest first.
#[derive(Debug)]
pub struct Linger {
    waiting: VecDeque<Arc<Cgroup>>,
    /// Some have been added since the last look for those that are superseded.
    added: bool,
    /// When it was last settled who waits on. Who ended before has been in a snapshot.
    settled: Duration,
    carried: Carried,
    /// How many were dropped before any scrape carried them.
    pub unscraped: u64,
}

impl Linger {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(carried: Carried) -> Self {
        Self { waiting: VecDeque::new(), added: false, settled: Duration::ZERO, carried, unscraped: 0 }
    }

    /// Takes in one that has ended. At most `max` wait.
    pub fn add(&mut self, cgroup: Cgroup, max: usize) {
        self.waiting.push_back(Arc::new(cgroup));
        self.added = true;
        while self.waiting.len() > max {
            self.waiting.pop_front();
            self.unscraped += 1;
        }
    }

    /// Lets go of those that are not to be shown any more.
    pub fn hide(&mut self, hidden: impl Fn(&[u8]) -> bool) {
        self.waiting.retain(|cgroup| !hidden(&cgroup.identity.path));
    }

    /// Lets go of those that a scrape has carried, and of those that have waited too long. The others are in the next
    /// snapshot, and so is whoever has been in none, however long ago it ended, unless nobody is to wait at all.
    pub fn settle(&mut self, now: Duration, linger: Duration) {
        let carried = self.carried.take();
        if !carried.is_empty() {
            self.waiting.retain(|cgroup| carried.binary_search(&cgroup.rank).is_err());
        }
        self.supersede();
        let published = std::mem::replace(&mut self.settled, now);
        while let Some(oldest) = self.waiting.front() {
            let ended = oldest.ended.unwrap_or(now);
            let unseen = ended > published && !linger.is_zero();
            if unseen || now.saturating_sub(ended) < linger {
                break;
            }
            self.waiting.pop_front();
            self.unscraped += 1;
        }
    }

    /// Of those that died at one path the oldest and the newest wait. A scrape carries one of a path, so that one that
    /// dies again and again, faster than it is scraped, would else be shown as it was ever longer ago.
    fn supersede(&mut self) {
        if !std::mem::take(&mut self.added) {
            return;
        }
        let mut newest: HashMap<&[u8], u64> = HashMap::new();
        newest.extend(self.waiting.iter().map(|cgroup| (&*cgroup.identity.path, cgroup.rank)));
        if newest.len() == self.waiting.len() {
            return;
        }
        let mut seen = HashSet::new();
        let superseded: HashSet<u64> = self
            .waiting
            .iter()
            .filter(|cgroup| {
                let path = &*cgroup.identity.path;
                !seen.insert(path) && newest.get(path) != Some(&cgroup.rank)
            })
            .map(|cgroup| cgroup.rank)
            .collect();
        self.waiting.retain(|cgroup| !superseded.contains(&cgroup.rank));
        self.unscraped += superseded.len() as u64;
    }

    /// Those that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<Cgroup>> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Identity, Owner};
    use crate::sample::tree::newborn;

    fn dead(rank: u64, ended: u64) -> Cgroup {
        let identity =
            Identity { path: (*b"/a").into(), display: "/a".into(), id: rank, owner: Owner::default() };
        let mut cgroup = newborn(identity, false, rank, Duration::ZERO);
        cgroup.ended = Some(Duration::from_secs(ended));
        cgroup
    }

    #[test]
    fn the_dead_wait_until_they_are_carried_or_too_old_or_too_many() {
        let carried = carried();
        let mut linger = Linger::new(carried.clone());
        (1..=4).for_each(|rank| linger.add(dead(rank, rank), 3));
        let ranks = |linger: &Linger| linger.waiting().map(|cgroup| cgroup.rank).collect::<Vec<_>>();
        assert_eq!((ranks(&linger), linger.unscraped), (vec![2, 3, 4], 1), "over the bound");
        carried.add(&[9, 3, 1]);
        linger.settle(Duration::from_secs(5), Duration::from_secs(300));
        assert_eq!((ranks(&linger), linger.unscraped), (vec![2, 4], 1), "carried ones are no loss");
        linger.settle(Duration::from_secs(302), Duration::from_secs(300));
        assert_eq!((ranks(&linger), linger.unscraped), (vec![4], 2), "waited too long");
    }

    #[test]
    fn a_path_that_dies_again_and_again_keeps_its_oldest_and_its_newest_waiting() {
        let mut linger = Linger::new(carried());
        (1..=5).for_each(|rank| linger.add(dead(rank, rank), 100));
        linger.settle(Duration::from_secs(6), Duration::from_secs(300));
        let ranks = |linger: &Linger| linger.waiting().map(|cgroup| cgroup.rank).collect::<Vec<_>>();
        assert_eq!((ranks(&linger), linger.unscraped), (vec![1, 5], 3));
        linger.add(dead(6, 6), 100);
        linger.settle(Duration::from_secs(7), Duration::from_secs(300));
        assert_eq!((ranks(&linger), linger.unscraped), (vec![1, 6], 4));
    }

    #[test]
    fn nobody_is_let_go_before_a_snapshot_has_shown_it() {
        let mut linger = Linger::new(carried());
        linger.settle(Duration::from_secs(1), Duration::from_secs(300));
        linger.add(dead(1, 10), 100);
        // The next pass comes later than the linger time.
        linger.settle(Duration::from_secs(601), Duration::from_secs(300));
        assert_eq!((linger.waiting().count(), linger.unscraped), (1, 0));
        linger.settle(Duration::from_secs(1201), Duration::from_secs(300));
        assert_eq!((linger.waiting().count(), linger.unscraped), (0, 1));
    }
}
