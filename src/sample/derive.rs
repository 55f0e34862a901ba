//! PURE: what follows from other numbers.

use crate::model::{Cgroup, Control, Field, Reading};

/// The tightest limits on the way to the root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ceiling {
    max: Bound,
    high: Bound,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bound {
    limit: Reading,
    headroom: Reading,
}

impl Bound {
    /// Tightened by one cgroup's own limit and what it uses of it.
    fn below(self, limit: Option<u64>, used: Option<u64>) -> Self {
        let tighter = |bound: Reading, own: Option<u64>| match (bound.get(), own) {
            (Some(bound), Some(own)) => Reading::new(bound.min(own)),
            (None, own) => own.into(),
            (some, None) => some.into(),
        };
        Self {
            limit: tighter(self.limit, limit),
            headroom: tighter(self.headroom, limit.zip(used).map(|(limit, used)| limit.saturating_sub(used))),
        }
    }
}

/// Which files a cgroup's numbers come from, where v1 tells a thing in another file than v2.
#[derive(Clone, Copy, Debug)]
pub struct Sources {
    /// The memory controller is v1's: swap is a row of `memory.stat`.
    pub memory_v1: bool,
    /// The cgroup has a v2 directory: frozen is in `cgroup.events` too, else in `freezer.state` alone.
    pub unified: bool,
}

/// Fills what depends on the cgroup's own numbers alone.
pub fn own(cgroup: &mut Cgroup, sources: Sources) {
    let readings = &mut cgroup.readings;
    let used = readings.get(Field::MemoryCurrent);
    let working_set = used
        .zip(readings.memory_stat("inactive_file"))
        .map(|(used, inactive_file)| used.saturating_sub(inactive_file));
    readings.set(Field::MemoryWorkingSet, working_set);
    if sources.memory_v1 {
        readings.set(Field::MemorySwapCurrent, readings.memory_stat("swap"));
    }
    let freezer = readings.get(Field::FreezerFrozen);
    // On hybrid hosts either freezer stops the tasks, and v2 knows nothing of what v1's has frozen.
    let frozen = if sources.unified { readings.get(Field::Frozen).max(freezer) } else { freezer };
    readings.set(Field::Frozen, frozen);
}

/// Fills what depends on the ancestors' limits; gives the ceiling for the cgroup's children.
pub fn limits(cgroup: &mut Cgroup, above: Ceiling) -> Ceiling {
    let readings = &mut cgroup.readings;
    let used = readings.get(Field::MemoryCurrent);
    let ceiling = Ceiling {
        max: above.max.below(cgroup.controls.value(Control::MemoryMax), used),
        high: above.high.below(cgroup.controls.value(Control::MemoryHigh), used),
    };
    readings.set(Field::MemoryEffectiveMax, ceiling.max.limit.get());
    readings.set(Field::MemoryHeadroomMax, ceiling.max.headroom.get());
    readings.set(Field::MemoryEffectiveHigh, ceiling.high.limit.get());
    readings.set(Field::MemoryHeadroomHigh, ceiling.high.headroom.get());
    ceiling
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Controls, Identity, Limit, Owner};
    use crate::sample::tree::newborn;

    fn cgroup(used: Option<u64>, max: Option<Limit>) -> Cgroup {
        let identity =
            Identity { path: (*b"/a").into(), display: "/a".into(), id: 1, owner: Owner::default() };
        let mut cgroup = newborn(identity, false, 0, Duration::ZERO);
        cgroup.readings.set(Field::MemoryCurrent, used);
        let mut controls = Controls::default();
        controls.set(Control::MemoryMax, max);
        cgroup.controls = Arc::new(controls);
        cgroup
    }

    const V2: Sources = Sources { memory_v1: false, unified: true };

    #[test]
    fn the_tightest_limit_and_the_least_room_count() {
        let mut slice = cgroup(Some(900), Some(Limit::Value(1000)));
        let above = limits(&mut slice, Ceiling::default());
        assert_eq!(slice.readings.get(Field::MemoryHeadroomMax), Some(100));

        let mut roomy = cgroup(Some(300), Some(Limit::Value(5000)));
        limits(&mut roomy, above);
        assert_eq!(roomy.readings.get(Field::MemoryEffectiveMax), Some(1000), "the slice is tighter");
        assert_eq!(roomy.readings.get(Field::MemoryHeadroomMax), Some(100), "the slice is nearly full");

        let mut tight = cgroup(Some(450), Some(Limit::Value(400)));
        limits(&mut tight, above);
        assert_eq!(tight.readings.get(Field::MemoryEffectiveMax), Some(400));
        assert_eq!(tight.readings.get(Field::MemoryHeadroomMax), Some(0), "never below zero");
    }

    #[test]
    fn either_freezer_freezes() {
        let frozen = |v2: Option<u64>, v1: Option<u64>, unified| {
            let mut cgroup = cgroup(None, None);
            cgroup.readings.set(Field::Frozen, v2);
            cgroup.readings.set(Field::FreezerFrozen, v1);
            own(&mut cgroup, Sources { unified, ..V2 });
            cgroup.readings.get(Field::Frozen)
        };
        assert_eq!(frozen(Some(0), Some(1), true), Some(1), "v1's freezer, which v2 does not tell");
        assert_eq!(frozen(Some(1), Some(0), true), Some(1));
        assert_eq!(frozen(Some(0), Some(0), true), Some(0));
        assert_eq!(frozen(Some(0), None, true), Some(0));
        assert_eq!(frozen(Some(1), Some(0), false), Some(0), "an earlier pass does not count");
        assert_eq!(frozen(None, None, true), None);
    }

    #[test]
    fn no_limit_and_no_number_give_nothing() {
        let mut free = cgroup(Some(900), Some(Limit::Max));
        let above = limits(&mut free, Ceiling::default());
        assert_eq!(free.readings.get(Field::MemoryEffectiveMax), None);
        let mut unmeasured = cgroup(None, Some(Limit::Value(10)));
        limits(&mut unmeasured, above);
        own(&mut unmeasured, V2);
        assert_eq!(unmeasured.readings.get(Field::MemoryEffectiveMax), Some(10));
        assert_eq!(unmeasured.readings.get(Field::MemoryHeadroomMax), None);
        assert_eq!(unmeasured.readings.get(Field::MemoryWorkingSet), None);
    }
}
