//! One or two samples of the host, for commands that look once.

use std::sync::Arc;
use std::time::Duration;

use crate::kernel::layout::{Layout, Paths};
use crate::model::{Cgroup, CollectorSet, Rates, Snapshot, WatchMethod, rates};
use crate::sample::{Sampler, Settings, SetupError, carried};

/// What was seen.
#[derive(Debug)]
pub struct Samples {
    /// Where cgroups are mounted.
    pub layout: Layout,
    /// The earlier of two samples.
    pub before: Option<Arc<Snapshot>>,
    /// The sample to show.
    pub now: Arc<Snapshot>,
}

impl Samples {
    /// Samples once; and once more after the interval, unless that is zero. `pause` waits so long.
    ///
    /// # Errors
    /// When there are no cgroups to be found.
    pub fn take(
        paths: Paths,
        collectors: CollectorSet,
        interval: Duration,
        pause: &mut dyn FnMut(Duration),
    ) -> Result<Self, SetupError> {
        // Nothing lives long enough here to be watched: each pass walks.
        let settings = Settings { paths, collectors, watch: Some(WatchMethod::Walk), ..Settings::default() };
        let mut sampler = Sampler::new(settings, carried())?;
        let layout = sampler.layout().clone();
        let first = sampler.pass();
        if interval.is_zero() {
            return Ok(Self { layout, before: None, now: first });
        }
        pause(interval);
        let now = sampler.pass();
        Ok(Self { layout, before: Some(first), now })
    }

    /// How fast a cgroup used things between the samples; nothing where there is only one.
    #[must_use]
    pub fn rates(&self, cgroup: &Cgroup) -> Option<Rates> {
        let before = self.before.as_ref()?;
        Some(before.find(&cgroup.identity.path).map_or_else(Rates::default, |old| rates(old, cgroup)))
    }

    /// The time that rates are over, in seconds.
    #[must_use]
    pub fn elapsed_seconds(&self) -> Option<f64> {
        self.before.as_ref().map(|before| self.now.at.saturating_sub(before.at).as_secs_f64())
    }

    /// What could not be read, in a sentence; nothing where everything could.
    #[must_use]
    pub fn faults(&self) -> Option<String> {
        let faults: Vec<String> = self
            .now
            .report
            .faults
            .iter()
            .filter(|row| crate::sample::is_failure(row.kind))
            .map(|row| format!("{} ({})", row.source, row.kind.name()))
            .collect();
        (!faults.is_empty()).then(|| {
            format!(
                "not everything could be read: {}; what is missing is shown as `-` (--log.level=warn names a cgroup of each)",
                faults.join(", ")
            )
        })
    }
}
