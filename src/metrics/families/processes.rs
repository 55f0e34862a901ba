//! Processes: what they do, how old they are, what they have open.

use crate::metrics::family::{Family, From};
use crate::metrics::text::Scale;
use crate::model::{Collector, Field, TaskState};

pub(super) const FAMILIES: &[Family] = &[
    Family::gauge(
        Collector::Processes,
        "cgroup_processes_by_state",
        "/proc/PID/stat",
        From::Fields(&[
            ("running", Field::ProcessesRunning),
            ("sleeping", Field::ProcessesSleeping),
            ("disk_sleep", Field::ProcessesDiskSleep),
            ("stopped", Field::ProcessesStopped),
            ("traced", Field::ProcessesTraced),
            ("idle", Field::ProcessesIdle),
            ("zombie", Field::ProcessesZombie),
        ]),
        "Processes of the cgroup itself by the state of their first thread, in cgroups that have any; zombie where that collector runs.",
    )
    .labels(&["state"]),
    Family::gauge(
        Collector::ThreadStates,
        "cgroup_threads_by_state",
        "/proc/PID/task/TID/stat",
        From::Fields(&[
            ("running", Field::ThreadsRunning),
            ("sleeping", Field::ThreadsSleeping),
            ("disk_sleep", Field::ThreadsDiskSleep),
            ("stopped", Field::ThreadsStopped),
            ("traced", Field::ThreadsTraced),
            ("idle", Field::ThreadsIdle),
        ]),
        "Threads of the processes of the cgroup itself by state.",
    )
    .labels(&["state"]),
    Family::gauge(
        Collector::Processes,
        "cgroup_oldest_process_start_time_seconds",
        "/proc/PID/stat",
        From::Fields(&[("", Field::OldestProcessStart)]),
        "When the oldest process of the cgroup itself was started, in seconds since 1970.",
    ),
    Family::gauge(
        Collector::OpenFiles,
        "cgroup_open_files",
        "/proc/PID/fd",
        From::Fields(&[("", Field::OpenFiles)]),
        "Descriptors that processes of the cgroup itself have open; a file that several share counts for each.",
    ),
    Family::gauge(
        Collector::Processes,
        "host_processes",
        "/proc/PID/stat",
        From::Program(|program, series| {
            let states = program.snapshot.report.census.states;
            for state in TaskState::ALL {
                if let Some(count) = states[*state as usize].get() {
                    series.put(&[("state", state.name())], count, Scale::One);
                }
            }
        }),
        "Processes in all cgroups by state; zombies also of cgroups that are gone.",
    )
    .labels(&["state"]),
];
