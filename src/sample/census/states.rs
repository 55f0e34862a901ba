//! What processes and threads do, how old they are, what they have open.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

use super::{Census, MOST_NEW, Questions, Stopwatch, fault};
use crate::kernel::namespaces::Unread;
use crate::kernel::parse::TaskStat;
use crate::model::{Collector, Field, Reading, TaskState};
use crate::sample::reader::Reader;
use crate::sample::tree::Tree;

/// At most about so many threads are read in one pass; the processes whose turn it was besides wait.
const MOST_THREADS: usize = 5000;
/// The clock of the host may be set; a smaller change is taken for the noise of reading two clocks.
const NOISE: Duration = Duration::from_secs(1);

/// What is known of a process.
#[derive(Debug, Default)]
pub struct Activity {
    /// None while it waits to be read, or if it may not be.
    stat: Option<TaskStat>,
    /// It was tried at least.
    read: bool,
    /// Its threads by state.
    threads: Option<[u32; TaskState::COUNT]>,
    /// Its descriptors.
    open_files: Option<u64>,
}

/// What is kept from pass to pass.
#[derive(Debug, Default)]
pub struct Survey {
    /// Every process in turn, as a list that is filled anew when it is done.
    turns: Vec<u32>,
    /// When the host was started, since 1970.
    booted: Option<Duration>,
}

/// What the processes of one cgroup add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    processes: [u64; TaskState::COUNT],
    threads: [u64; TaskState::COUNT],
    open_files: u64,
    oldest: Option<u64>,
    /// Processes of which something is known, also those that have ended.
    known: u64,
    /// Some of its processes may not be asked: a sum of the others would say too little.
    threads_lack: bool,
    files_lack: bool,
}

impl Census {
    /// Reads the new, and some of the others.
    pub(super) fn scan_states(
        &mut self,
        asked: Questions,
        tree: &Tree,
        reader: &mut Reader,
        clock: &mut Stopwatch,
    ) {
        let Self { root: Some(root), residents, states: Survey { turns, .. }, .. } = self else { return };
        let new = residents.iter().filter(|(_, resident)| !resident.activity.read);
        let mut due: Vec<u32> = new.map(|(pid, _)| *pid).take(MOST_NEW).collect();
        if turns.is_empty() {
            turns.extend(residents.keys());
        }
        let share = residents.len().div_ceil(asked.rotation).min(turns.len());
        // Who is new has his turn as such.
        let read = |pid: &u32| residents.get(pid).is_some_and(|resident| resident.activity.read);
        due.extend(turns.drain(turns.len() - share..).filter(read));
        for &pid in &due {
            let Some(resident) = residents.get_mut(&pid) else { continue };
            let (activity, home) = (&mut resident.activity, tree.get(resident.home));
            reader.collectors[Collector::Processes as usize].reads += 1;
            match root.process(pid) {
                Ok(stat) => activity.stat = Some(stat),
                Err(why) => {
                    fault("/proc/PID/stat", Collector::Processes, why, home, reader);
                    activity.read |= matches!(why, Unread::Denied | Unread::Malformed);
                    activity.stat = activity.stat.filter(|_| why == Unread::Shortage);
                    continue;
                }
            }
            activity.read = true;
        }
        clock.charge(Collector::Processes, reader);
        if asked.threads {
            let mut read = 0;
            for (at, &pid) in due.iter().enumerate() {
                if read > MOST_THREADS {
                    // Their threads are as they were; they come first the next time.
                    turns.extend_from_slice(&due[at..]);
                    break;
                }
                let Some(resident) = residents.get_mut(&pid) else { continue };
                let (activity, home) = (&mut resident.activity, tree.get(resident.home));
                let Some(stat) = activity.stat else { continue };
                let mut threads = [0; TaskState::COUNT];
                if stat.threads == 1 {
                    threads[stat.state as usize] = 1;
                } else if let Err(why) = root.threads(pid, |thread| {
                    threads[thread.state as usize] += 1;
                    read += 1;
                }) {
                    fault("/proc/PID/task", Collector::ThreadStates, why, home, reader);
                    activity.threads = activity.threads.filter(|_| why == Unread::Shortage);
                    continue;
                }
                activity.threads = Some(threads);
            }
            reader.collectors[Collector::ThreadStates as usize].reads += read as u64;
            clock.charge(Collector::ThreadStates, reader);
        }
        if asked.open_files {
            for &pid in &due {
                let Some(resident) = residents.get_mut(&pid) else { continue };
                let (activity, home) = (&mut resident.activity, tree.get(resident.home));
                reader.collectors[Collector::OpenFiles as usize].reads += 1;
                match root.open_files(pid) {
                    Ok(count) => activity.open_files = Some(count),
                    Err(why) => {
                        fault("/proc/PID/fd", Collector::OpenFiles, why, home, reader);
                        activity.open_files = activity.open_files.filter(|_| why == Unread::Shortage);
                    }
                }
            }
            clock.charge(Collector::OpenFiles, reader);
        }
    }

    /// Gives every cgroup that has processes of its own their sums.
    pub(super) fn tally(&mut self, asked: Questions, tree: &mut Tree) {
        let mut sums = vec![Sum::default(); tree.len()];
        let mut host = Sum::default();
        for resident in self.residents.values() {
            let Some(sum) = tree.place(resident.home).and_then(|place| sums.get_mut(place)) else { continue };
            sum.add(&resident.activity);
            host.add(&resident.activity);
        }
        for home in self.zombies.homes(tree) {
            for sum in [home.and_then(|place| sums.get_mut(place)), Some(&mut host)].into_iter().flatten() {
                sum.processes[TaskState::Zombie as usize] += 1;
                sum.known += 1;
            }
        }
        self.report.states =
            TaskState::ALL.iter().fold([Reading::ABSENT; TaskState::COUNT], |mut all, &state| {
                all[state as usize] = Reading::from(host.in_state(state, asked));
                all
            });
        let booted = self.states.booted();
        for (place, sum) in sums.iter().enumerate() {
            let id = tree.order()[place];
            let Some(node) = tree.get_mut(id) else { continue };
            let readings = &mut node.cgroup.readings;
            for &state in TaskState::ALL {
                readings.set(state.processes(), sum.in_state(state, asked));
                let threads = asked.threads && sum.known > 0 && !sum.threads_lack;
                if let Some(field) = state.threads() {
                    readings.set(field, threads.then_some(sum.threads[state as usize]));
                }
            }
            let start =
                sum.oldest.and_then(|ticks| u64::try_from((booted? + since_boot(ticks)).as_nanos()).ok());
            readings.set(Field::OldestProcessStart, start);
            let files = asked.open_files && sum.known > 0 && !sum.files_lack;
            readings.set(Field::OpenFiles, files.then_some(sum.open_files));
        }
    }
}

impl Sum {
    fn add(&mut self, activity: &Activity) {
        let Some(stat) = activity.stat else { return };
        self.known += 1;
        self.processes[stat.state as usize] += 1;
        self.oldest = Some(self.oldest.map_or(stat.start, |oldest| oldest.min(stat.start)));
        for (sum, one) in self.threads.iter_mut().zip(activity.threads.unwrap_or_default()) {
            *sum += u64::from(one);
        }
        self.threads_lack |= activity.threads.is_none();
        self.open_files = self.open_files.saturating_add(activity.open_files.unwrap_or(0));
        self.files_lack |= activity.open_files.is_none();
    }

    /// Who has ended is looked for only where that is asked.
    fn in_state(&self, state: TaskState, asked: Questions) -> Option<u64> {
        (self.known > 0 && (state != TaskState::Zombie || asked.zombies))
            .then_some(self.processes[state as usize])
    }
}

impl Survey {
    /// When the host was started: the same at each pass, unless somebody set the clock.
    fn booted(&mut self) -> Option<Duration> {
        let since = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).ok()?;
        let found = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.checked_sub(since)?;
        if self.booted.is_none_or(|known| known.abs_diff(found) > NOISE) {
            // Processes' starts are hundredths of a second.
            self.booted = Some(found - Duration::from_nanos(u64::from(found.subsec_nanos()) % 10_000_000));
        }
        self.booted
    }
}

/// A number of the kernel's clock ticks.
fn since_boot(ticks: u64) -> Duration {
    let each = procfs::ticks_per_second().max(1);
    Duration::from_secs(ticks / each) + Duration::from_nanos(ticks % each * 1_000_000_000 / each)
}
