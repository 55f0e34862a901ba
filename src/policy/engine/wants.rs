//! Which of the kernel's pressure triggers would wake us in time.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::model::{Identity, Snapshot};
use crate::policy::condition::Compare;
use crate::policy::program::{Comparison, Subject};
use crate::policy::signal::{Resource, Signal, Stall, Window};

/// How many triggers there are at most: each is a descriptor, and a timer in the kernel.
const MOST: usize = 256;
/// The window: what the kernel grants to everybody (`Documentation/accounting/psi.rst`: without `CAP_SYS_RESOURCE`, a
/// multiple of 2 s).
const WINDOW: Duration = Duration::from_secs(2);

/// A trigger that is wanted: to be woken when tasks were stalled for `share` of some `window`.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerWant {
    /// The cgroup whose pressure it is; `None` is the host.
    pub target: Option<Arc<Identity>>,
    /// For what they wait.
    pub resource: Resource,
    /// Who waits.
    pub stall: Stall,
    /// The share of the window, above 0 and at most 1.
    pub share: f64,
    /// The window.
    pub window: Duration,
}

impl Engine {
    /// The triggers that the policies want on a snapshot, the most specific first: one for each cgroup, resource and kind of
    /// stall that a condition compares from above, at the lowest threshold.
    ///
    /// An average over 10 s cannot pass a share that no window of 2 s passed, so that share of a window is the trigger. The
    /// longer averages move too slowly for it to matter. The host's triggers come on top of the others' number: they are few.
    #[must_use]
    pub fn pressure_wants(&self, snapshot: &Snapshot) -> Vec<TriggerWant> {
        let mut wants: Vec<TriggerWant> = Vec::new();
        for watched in self.watched.iter().filter(|watched| watched.decides()) {
            for test in &watched.when.tests {
                let Some((resource, stall)) = triggers(test) else { continue };
                let mut want = |target: Option<Arc<Identity>>| {
                    wants.push(TriggerWant {
                        target,
                        resource,
                        stall,
                        share: test.threshold,
                        window: WINDOW,
                    });
                };
                match test.subject {
                    Subject::Host if !watched.entries.is_empty() => want(None),
                    Subject::Host => {}
                    subject => {
                        for entry in &watched.entries {
                            let row = match subject {
                                Subject::Parent => snapshot
                                    .cgroups
                                    .get(entry.place as usize)
                                    .and_then(|cgroup| cgroup.parent),
                                Subject::Path(path) => self.paths.get(path).copied().flatten(),
                                Subject::This | Subject::Host => Some(entry.place),
                            };
                            let identity = row.and_then(|row| self.places.get(row as usize));
                            if let Some(place) = identity {
                                want(Some(Arc::clone(&place.identity)));
                            }
                        }
                    }
                }
            }
        }
        wants.sort_by(|a, b| key(a).cmp(&key(b)).then(a.share.total_cmp(&b.share)));
        wants.dedup_by(|b, a| key(a) == key(b));
        let host = wants.partition_point(|want| want.target.is_some());
        wants.drain(host.min(MOST)..host);
        wants
    }
}

/// What tells wants apart, the deepest cgroup first and the host last.
fn key(want: &TriggerWant) -> (Reverse<Option<usize>>, Option<&[u8]>, Resource, Stall) {
    let target = want.target.as_deref();
    let path = target.map(|identity| &*identity.path);
    (Reverse(target.map(Identity::depth)), path, want.resource, want.stall)
}

/// What a trigger for this comparison would watch.
fn triggers(test: &Comparison) -> Option<(Resource, Stall)> {
    let (Signal::Pressure(resource, stall, window) | Signal::HostPressure(resource, stall, window)) =
        test.signal
    else {
        return None;
    };
    let soon = matches!(window, Window::Avg10 | Window::Rate);
    let threshold = test.threshold > 0.0 && test.threshold <= 1.0;
    (soon && threshold && test.compare == Compare::Above && test.limit.is_none()).then_some((resource, stall))
}
