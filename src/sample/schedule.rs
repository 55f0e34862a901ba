//! Which files are due in a pass.

use std::time::Duration;

use super::Settings;
use crate::kernel::spec::{Cadence, FileSpec};
use crate::model::{Collector, CollectorSet};

/// The files to read, by hierarchy, as places in the catalogue.
#[derive(Debug, Default)]
pub struct Due {
    /// Files of numbers.
    pub files: Vec<Vec<usize>>,
    /// The slow clock struck: what has no clock of its own is read, what was absent is looked for again.
    pub slow: bool,
    /// The host's own files.
    pub host: bool,
    /// The namespaces of processes. What processes do is read in turn, at each pass.
    pub namespaces: bool,
    /// What goes over the network.
    pub network: bool,
}

impl Due {
    /// Every file of numbers, for a cgroup that is new or about to end.
    #[must_use]
    pub fn everything(catalog: &[Vec<FileSpec>]) -> Self {
        let numbers = |files: &Vec<FileSpec>| {
            (0..files.len()).filter(|&file| !files[file].read.fills_controls()).collect()
        };
        Self {
            files: catalog.iter().map(numbers).collect(),
            slow: true,
            host: true,
            namespaces: true,
            network: true,
        }
    }
}

/// The clocks of the collectors.
#[derive(Debug)]
pub struct Schedule {
    next: [Duration; Collector::COUNT],
    next_slow: Duration,
    hurried: CollectorSet,
    due: Due,
}

impl Schedule {
    /// Everything is due in the first pass, but for what its birth has just read.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            next: [Duration::ZERO; Collector::COUNT],
            next_slow: now + Settings::SLOW,
            hurried: CollectorSet::NONE,
            due: Due::default(),
        }
    }

    /// Makes due what is due now, by the collectors' own intervals. A collector without one is always due.
    pub fn strike(&mut self, now: Duration, catalog: &[Vec<FileSpec>], settings: &Settings) {
        // The pass that is nearest to a clock's time is its pass: passes come a moment early or late.
        let early = settings.interval / 2;
        let strikes = |next: &mut Duration, interval: Duration| {
            let struck = now + early >= *next;
            if struck {
                *next = if *next + interval > now { *next + interval } else { now + interval };
            }
            struck
        };
        let mut collectors = [true; Collector::COUNT];
        for (collector, interval) in settings.intervals.iter().enumerate() {
            if let Some(interval) = *interval {
                collectors[collector] = strikes(&mut self.next[collector], interval);
            }
        }
        let slow = strikes(&mut self.next_slow, Settings::SLOW);
        let hurried = std::mem::replace(&mut self.hurried, CollectorSet::NONE);
        let due = &mut self.due;
        (due.slow, due.host) = (slow, collectors[Collector::Host as usize]);
        due.namespaces = collectors[Collector::Namespaces as usize];
        due.network = collectors[Collector::Network as usize];
        due.files.resize_with(catalog.len(), Vec::new);
        for (due, files) in due.files.iter_mut().zip(catalog) {
            due.clear();
            due.extend((0..files.len()).filter(|&file| match files[file].cadence {
                Cadence::Pass | Cadence::Notified => collectors[files[file].collector as usize],
                Cadence::Slow => slow || hurried.has(files[file].collector),
                Cadence::Control => false,
            }));
        }
    }

    /// Makes every collector due at the next stroke: other intervals count from then on.
    pub fn restart(&mut self) {
        self.next = [Duration::ZERO; Collector::COUNT];
    }

    /// Makes a collector's slow files due at the next stroke.
    pub fn hurry(&mut self, collector: Collector) {
        self.hurried.set(collector, true);
    }

    /// What the last stroke made due.
    #[must_use]
    pub fn due(&self) -> &Due {
        &self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::spec::Read;
    use crate::model::Field;

    #[test]
    fn a_collector_keeps_its_own_interval_and_slow_files_theirs() {
        let file = |name, collector| FileSpec::new(name, collector, Read::Value(Field::MemoryCurrent));
        let catalog = vec![vec![
            file("a", Collector::Memory),
            file("b", Collector::MemoryStat),
            file("c", Collector::Memory).slow(),
        ]];
        let mut settings = Settings::default();
        settings.intervals[Collector::MemoryStat as usize] = Some(Duration::from_secs(10));
        let mut schedule = Schedule::new(Duration::from_secs(100));
        let mut due = |at: u64| {
            schedule.strike(Duration::from_secs(at), &catalog, &settings);
            schedule.due().files[0].clone()
        };
        assert_eq!(due(100), [0, 1]);
        assert_eq!(due(105), [0]);
        assert_eq!(due(110), [0, 1]);
        assert_eq!(due(130), [0, 1, 2]);
        assert_eq!(due(135), [0]);
        schedule.hurry(Collector::Memory);
        schedule.strike(Duration::from_secs(136), &catalog, &settings);
        assert_eq!(schedule.due().files[0], [0, 2], "a write makes slow files due");
    }

    #[test]
    fn a_pass_that_comes_a_little_early_does_not_miss_a_collectors_turn() {
        let catalog = vec![vec![FileSpec::new("a", Collector::Memory, Read::Value(Field::MemoryCurrent))]];
        let mut settings = Settings::default();
        let mut turns = |interval: u64, passes: &[u64]| -> Vec<u64> {
            settings.intervals[Collector::Memory as usize] = Some(Duration::from_secs(interval));
            let mut schedule = Schedule::new(Duration::from_secs(100));
            let due = |&at: &u64| {
                schedule.strike(Duration::from_millis(at), &catalog, &settings);
                !schedule.due().files[0].is_empty()
            };
            let mut due = due;
            passes.iter().copied().filter(|at| due(at)).collect()
        };
        // The clock strikes each five seconds, and a moment later than it should.
        let passes = [100_004, 105_001, 110_003, 115_000, 120_002, 125_000, 130_001];
        assert_eq!(turns(5, &passes), passes);
        assert_eq!(turns(10, &passes), [100_004, 110_003, 120_002, 130_001]);
        assert_eq!(turns(15, &passes), [100_004, 115_000, 130_001]);
        // After a long pause the missed turns are not made up for.
        assert_eq!(turns(10, &[100_000, 200_000, 205_000, 210_000]), [100_000, 200_000, 210_000]);
    }
}
