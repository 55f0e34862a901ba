//! The numbers that conditions look at: a row a cgroup, a column a measure, filled once a pass for all policies.

use std::time::Duration;

use super::measure::{Measure, Source, host_source, rate, source};
use super::program::Subject;
use super::signal::{Resource, Signal};
use crate::model::{Cgroup, Host, Reading};

/// How long a kill counts as recent.
const RECENT: Duration = Duration::from_secs(60);
/// A reading older than so many sampling intervals is no longer known: the cgroup could not be read meanwhile.
const STALE: u32 = 2;

/// Which resources a cgroup is short of by our own doing: a bit a [`Resource`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttles(u8);

impl Throttles {
    /// That resource alone.
    #[must_use]
    pub const fn of(resource: Resource) -> Self {
        Self(1 << resource as u8)
    }

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether that resource is among them.
    #[must_use]
    pub const fn has(self, resource: Resource) -> bool {
        self.0 & Self::of(resource).0 != 0
    }
}

/// The numbers of every cgroup. `NaN` is a number that is not known: it compares with nothing.
#[derive(Debug, Default)]
pub struct Table {
    measures: Vec<Measure>,
    /// Each row's cells, row by row.
    cells: Vec<f64>,
    rows: Vec<Row>,
    /// Each cell's counters at the last full pass.
    bases: Vec<[Reading; 2]>,
    host: Vec<f64>,
    host_bases: Vec<[Reading; 2]>,
    host_read: Duration,
    host_doubt: u128,
    /// When the last full pass was, and how long before it the one before was.
    last: Option<Duration>,
    interval: Duration,
    worst: Vec<f64>,
}

/// What belongs to a row besides its cells.
#[derive(Debug, Default)]
struct Row {
    /// The parent's row.
    parent: Option<u32>,
    /// When the counters of the last full pass were read; none before the first.
    base: Option<Duration>,
    /// The columns, a bit each, whose number may be larger for our own doing than it would be otherwise.
    doubt: u128,
    kills: Kills,
}

/// The out-of-memory kills of the last minute.
#[derive(Debug, Default)]
struct Kills {
    counter: Option<u64>,
    recent: Vec<(Duration, u64)>,
}

impl Kills {
    /// A cgroup that is `new` since the last pass began to count at zero; of an older one it is not known when what the
    /// counter says at first sight came.
    #[expect(clippy::cast_precision_loss, reason = "kills are few")]
    fn look(&mut self, reading: Reading, now: Duration, new: bool) -> f64 {
        let Some(counter) = reading.get() else { return f64::NAN };
        let before = self.counter.replace(counter).unwrap_or(if new { 0 } else { counter });
        if counter > before {
            self.recent.push((now, counter - before));
        }
        self.recent.retain(|&(at, _)| now.saturating_sub(at) < RECENT);
        self.recent.iter().map(|&(_, kills)| kills).sum::<u64>() as f64
    }
}

impl Table {
    /// A table with these columns and no rows.
    #[must_use]
    pub fn new(measures: &[Measure]) -> Self {
        let width = measures.len();
        Self {
            measures: measures.to_vec(),
            host: vec![f64::NAN; width],
            host_bases: vec![[Reading::ABSENT; 2]; width],
            ..Self::default()
        }
    }

    /// Takes on other columns; those that it had keep their numbers.
    pub fn reshape(&mut self, measures: &[Measure]) {
        let width = self.measures.len();
        let was: Vec<Option<usize>> =
            measures.iter().map(|new| self.measures.iter().position(|old| old == new)).collect();
        let cells = |old: &[f64]| was.iter().map(|at| at.map_or(f64::NAN, |at| old[at])).collect::<Vec<_>>();
        let bases = |old: &[[Reading; 2]]| {
            was.iter().map(|at| at.map_or([Reading::ABSENT; 2], |at| old[at])).collect::<Vec<_>>()
        };
        let rows = 0..self.rows.len();
        let new_cells =
            rows.clone().flat_map(|row| cells(&self.cells[row * width..(row + 1) * width])).collect();
        let new_bases = rows.flat_map(|row| bases(&self.bases[row * width..(row + 1) * width])).collect();
        (self.host, self.host_bases) = (cells(&self.host), bases(&self.host_bases));
        (self.cells, self.bases, self.measures) = (new_cells, new_bases, measures.to_vec());
    }

    /// Orders the rows as `from` says: where each row was before, or that it is new.
    pub fn reorder(&mut self, from: &[Option<u32>]) {
        let width = self.measures.len();
        let mut cells = Vec::with_capacity(from.len() * width);
        let mut bases = Vec::with_capacity(from.len() * width);
        let mut rows = Vec::with_capacity(from.len());
        for &old in from {
            match old.and_then(|old| self.rows.get_mut(old as usize).map(|row| (old as usize, row))) {
                Some((old, row)) => {
                    cells.extend_from_slice(&self.cells[old * width..(old + 1) * width]);
                    bases.extend_from_slice(&self.bases[old * width..(old + 1) * width]);
                    rows.push(std::mem::take(row));
                }
                None => {
                    cells.resize(cells.len() + width, f64::NAN);
                    bases.resize(bases.len() + width, [Reading::ABSENT; 2]);
                    rows.push(Row::default());
                }
            }
        }
        (self.cells, self.bases, self.rows) = (cells, bases, rows);
    }

    /// A full pass: every row is filled, and its counters become the base of the rates to come.
    pub fn pass(&mut self, cgroups: &[Cgroup], host: &Host, at: Duration) {
        let since = self.last.map(|last| at.saturating_sub(last));
        let usual = since.is_none_or(|since| since >= self.interval / 2);
        if let Some(since) = since.filter(|_| usual) {
            self.interval = since;
        }
        self.fill_host(host, at, true);
        for (place, cgroup) in cgroups.iter().enumerate() {
            if let Some(row) = self.rows.get_mut(place) {
                row.parent = cgroup.parent;
            }
            self.fill(place, cgroup, host, at, true);
        }
        if usual {
            self.last = Some(at);
        }
    }

    /// A newer reading of one cgroup, between two passes.
    pub fn overlay(&mut self, place: usize, cgroup: &Cgroup, host: &Host, at: Duration) {
        self.fill(place, cgroup, host, at, false);
    }

    /// A newer reading of the host, between two passes.
    pub fn overlay_host(&mut self, host: &Host, at: Duration) {
        self.fill_host(host, at, false);
    }

    fn fill(&mut self, place: usize, cgroup: &Cgroup, host: &Host, at: Duration, pass: bool) {
        let width = self.measures.len();
        let Some(row) = self.rows.get_mut(place) else { return };
        let (before, cells) = self.cells.split_at_mut(place * width);
        let cells = &mut cells[..width];
        if !self.interval.is_zero() && at.saturating_sub(cgroup.sampled) > self.interval * STALE {
            cells.fill(f64::NAN);
            return;
        }
        let bases = &mut self.bases[place * width..(place + 1) * width];
        let elapsed = row.base.map(|base| cgroup.sampled.saturating_sub(base));
        let long_enough = elapsed.is_none_or(|elapsed| !elapsed.is_zero() && elapsed >= self.interval / 2);
        let age = at.saturating_sub(cgroup.born).as_secs_f64();
        let new = self.last.is_some_and(|last| cgroup.born > last);
        for (column, &measure) in self.measures.iter().enumerate() {
            let above = row.parent.and_then(|parent| before.get(parent as usize * width + column)).copied();
            let above = above.filter(|above| !above.is_nan());
            match source(measure, cgroup, age, above, host) {
                Source::Level(value) => cells[column] = value.unwrap_or(f64::NAN),
                Source::Kills(counter) => cells[column] = row.kills.look(counter, at, new),
                Source::Counters(counters) => {
                    if let (true, Measure::Signal(signal), Some(elapsed)) = (long_enough, measure, elapsed) {
                        let rate = rate(signal, bases[column], counters, elapsed.as_secs_f64());
                        cells[column] = rate.unwrap_or(f64::NAN);
                    } else if counters[0].get().is_none() {
                        cells[column] = f64::NAN;
                    }
                    if pass && long_enough {
                        bases[column] = counters;
                    }
                }
            }
        }
        if pass && long_enough {
            row.base = Some(cgroup.sampled);
        }
    }

    fn fill_host(&mut self, host: &Host, at: Duration, pass: bool) {
        let elapsed = at.saturating_sub(self.host_read);
        let long_enough = !elapsed.is_zero() && elapsed >= self.interval / 2;
        for (column, &measure) in self.measures.iter().enumerate() {
            match host_source(measure, host) {
                Source::Level(value) => self.host[column] = value.unwrap_or(f64::NAN),
                Source::Counters(counters) => {
                    if let (true, Measure::Signal(signal)) = (long_enough, measure) {
                        let rate = rate(signal, self.host_bases[column], counters, elapsed.as_secs_f64());
                        self.host[column] = rate.unwrap_or(f64::NAN);
                    }
                    if pass && long_enough {
                        self.host_bases[column] = counters;
                    }
                }
                Source::Kills(_) => {}
            }
        }
        if pass && long_enough {
            self.host_read = at;
        }
    }

    /// Marks which numbers may be of our own making.
    ///
    /// A limit makes its cgroup wait: that is how it works, and no new guilt. So while we hold a cgroup down:
    ///
    /// - its own pressure on that resource, and that of all below it, may be larger than it would be without us;
    /// - and so may the pressure of everything above it, and of the host, as long as it is not larger than the cgroup's
    ///   own: nobody but the cgroup needs to be waiting. Where it is larger, others wait too, and it counts.
    ///
    /// Such a number is only trusted where it is low: it can show relief, never guilt.
    pub fn attribute(&mut self, throttled: &[Throttles]) {
        let width = self.measures.len();
        self.host_doubt = 0;
        for row in &mut self.rows {
            row.doubt = 0;
        }
        if throttled.iter().all(|&throttles| throttles == Throttles::default()) {
            return;
        }
        for column in 0..width {
            let Measure::Signal(signal) = self.measures[column] else { continue };
            let (resource, inherited) = match signal {
                Signal::Pressure(resource, ..) => (resource, true),
                Signal::CpuThrottled => (Resource::Cpu, false),
                _ => continue,
            };
            let bit = 1 << column;
            for place in 0..self.rows.len() {
                let above = self.rows[place].parent.map_or(0, |parent| self.rows[parent as usize].doubt);
                let own = throttled.get(place).is_some_and(|throttles| throttles.has(resource));
                if own || (inherited && above & bit != 0) {
                    self.rows[place].doubt |= bit;
                }
            }
            if let Signal::Pressure(resource, stall, window) = signal {
                let worst = self.blame_above(column, bit);
                let of_host = Measure::Signal(Signal::HostPressure(resource, stall, window));
                if let Some(column) = self.measures.iter().position(|&measure| measure == of_host)
                    && self.host[column] <= worst
                {
                    self.host_doubt |= 1 << column;
                }
            }
        }
    }

    /// Marks the ancestors whose pressure is not larger than that of some doubted cgroup below; gives the largest of all
    /// doubted ones. Children stand after their parents, so the last come first.
    fn blame_above(&mut self, column: usize, bit: u128) -> f64 {
        let width = self.measures.len();
        let mut all = f64::NEG_INFINITY;
        self.worst.clear();
        self.worst.resize(self.rows.len(), f64::NEG_INFINITY);
        for place in (0..self.rows.len()).rev() {
            let value = self.cells[place * width + column];
            if self.rows[place].doubt & bit != 0 {
                // `max` leaves out what is not known: it takes the blame for nothing.
                self.worst[place] = self.worst[place].max(value);
            } else if value <= self.worst[place] {
                self.rows[place].doubt |= bit;
            }
            all = all.max(self.worst[place]);
            if let Some(parent) = self.rows[place].parent {
                let parent = parent as usize;
                self.worst[parent] = self.worst[parent].max(self.worst[place]);
            }
        }
        all
    }

    /// The row of a subject, seen from a target's row: `None` where there is no such cgroup, or it is the host.
    #[must_use]
    pub fn row_of(&self, subject: Subject, target: u32, paths: &[Option<u32>]) -> Option<u32> {
        match subject {
            Subject::This => Some(target),
            Subject::Parent => self.rows.get(target as usize)?.parent,
            Subject::Host => None,
            Subject::Path(path) => paths.get(path).copied().flatten(),
        }
    }

    /// A number, and whether it may be larger for our own doing.
    #[must_use]
    pub fn look(&self, subject: Subject, target: u32, paths: &[Option<u32>], column: usize) -> (f64, bool) {
        if subject == Subject::Host {
            return (self.host[column], self.host_doubt & (1 << column) != 0);
        }
        self.row_of(subject, target, paths).map_or((f64::NAN, false), |place| {
            let place = place as usize;
            (self.cells[place * self.measures.len() + column], self.rows[place].doubt & (1 << column) != 0)
        })
    }

    /// A target's own number; the host's, for the host's signals.
    #[must_use]
    pub fn own(&self, signal: Signal, column: usize, target: u32) -> f64 {
        let subject = match signal {
            Signal::HostMemoryAvailable | Signal::HostSwapFree | Signal::HostPressure(..) => Subject::Host,
            _ => Subject::This,
        };
        self.look(subject, target, &[], column).0
    }
}
