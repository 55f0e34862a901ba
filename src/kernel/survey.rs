//! What this host's kernel can do, for a report: nothing is written to a cgroup, every answer is looked at, none is
//! guessed from a version.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Process;

use super::layout::{Hierarchy, Layout, LayoutError, Paths};
use super::watch::{Watch, WatchTarget};
use crate::model::{Version, WatchMethod};

/// Whether a host has a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// There is no cgroup below the root to look at.
    NotSeen,
}

/// One thing that a host has or has not.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked for.
    pub what: &'static str,
    /// Whether it is there.
    pub answer: Answer,
    /// Where it was found, or what its absence means.
    pub detail: String,
}

/// A capability that this process lacks.
#[derive(Clone, Copy, Debug)]
pub struct MissingCapability {
    /// Its name.
    pub name: &'static str,
    /// What it costs.
    pub cost: &'static str,
}

/// Where a controller is served.
#[derive(Clone, Debug)]
pub struct Controller {
    /// Its v2 name.
    pub name: &'static str,
    /// The version of the hierarchy that serves it; `None` if none does.
    pub version: Option<Version>,
    /// Where that hierarchy is mounted.
    pub mount: Option<PathBuf>,
}

/// Everything the report says.
#[derive(Clone, Debug)]
pub struct Survey {
    /// `uname -r`.
    pub kernel: String,
    /// The layout.
    pub layout: Layout,
    /// The controllers, in a fixed order.
    pub controllers: Vec<Controller>,
    /// Files that came with newer kernels, PSI and its triggers.
    pub findings: Vec<Finding>,
    /// How births, deaths and writes will be noticed.
    pub watch: WatchMethod,
    /// Why not better.
    pub watch_reason: Option<String>,
    /// The capabilities that would be of use and are missing.
    pub missing: Vec<MissingCapability>,
    /// The hard limit on open files.
    pub open_files: Option<u64>,
}

const CONTROLLERS: [&str; 8] = ["cpu", "memory", "io", "pids", "cpuset", "hugetlb", "rdma", "misc"];

/// Files of a cgroup below the root, the hierarchy's controller they belong to, and what is lost without them.
const FILES: [(&str, &str, &str); 12] = [
    ("cgroup.freeze", "", "freezing needs the v1 freezer"),
    ("cgroup.kill", "", "killing means to freeze, to signal each process, and to thaw"),
    ("cgroup.pressure", "", "pressure cannot be switched off for one cgroup"),
    ("cpu.pressure", "", "no cgroup has pressure"),
    ("irq.pressure", "", "no pressure by interrupts"),
    ("cpu.stat.local", "cpu", "throttling by an ancestor's quota is not told from the own"),
    ("memory.peak", "memory", "no peak of memory"),
    ("memory.reclaim", "memory", "reclaim has to be forced through memory.high"),
    ("memory.swap.peak", "memory", "no peak of swap"),
    ("memory.zswap.current", "memory", "no zswap numbers"),
    ("pids.peak", "pids", "no peak of processes"),
    ("pids.events.local", "pids", "refused forks are counted for the subtree only"),
];

/// Capabilities by their bit (capability.h), and what their absence costs.
const CAPABILITIES: [(u32, &str, &str); 6] = [
    (
        21,
        "CAP_SYS_ADMIN",
        "no fanotify: writers of control files stay unknown, each cgroup costs an inotify watch",
    ),
    (2, "CAP_DAC_READ_SEARCH", "files of delegated cgroups that their owner has closed cannot be read"),
    (19, "CAP_SYS_PTRACE", "namespaces of other users' processes cannot be read"),
    (
        24,
        "CAP_SYS_RESOURCE",
        "PSI triggers need windows that are multiples of 2 s, the hard limit on files stands",
    ),
    (5, "CAP_KILL", "processes of other users cannot be signalled"),
    (1, "CAP_DAC_OVERRIDE", "control files of delegated cgroups cannot be written"),
];

/// Looks at everything.
///
/// # Errors
/// When the host has no cgroup hierarchy.
pub fn survey(paths: &Paths) -> Result<Survey, LayoutError> {
    let layout = Layout::detect(paths)?;
    let targets: Vec<WatchTarget<'_>> = (0u8..)
        .zip(&layout.hierarchies)
        .map(|(hierarchy, found)| WatchTarget { hierarchy, mount: &found.mount })
        .collect();
    let (watch, watch_reason) = match Watch::new(&targets, None) {
        Ok(watch) => (watch.method(), watch.why_not_better().map(str::to_owned)),
        Err(error) => (WatchMethod::Walk, Some(error.to_string())),
    };
    let mut findings = files(&layout);
    findings.extend(pressure(&paths.procfs));
    let controllers = CONTROLLERS
        .iter()
        .map(|name| {
            let serving = layout.serving(name);
            Controller {
                name,
                version: serving.map(|hierarchy| hierarchy.version),
                mount: serving.map(|hierarchy| hierarchy.mount.clone()),
            }
        })
        .collect();
    Ok(Survey {
        kernel: fs::read_to_string(paths.procfs.join("sys/kernel/osrelease"))
            .map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned()),
        controllers,
        findings,
        watch,
        watch_reason,
        missing: missing_capabilities(),
        open_files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard),
        layout,
    })
}

fn files(layout: &Layout) -> Vec<Finding> {
    let Some(unified) = layout.hierarchies.iter().find(|hierarchy| hierarchy.version == Version::V2) else {
        return vec![Finding {
            what: "cgroup2",
            answer: Answer::No,
            detail: "no cgroup has pressure, memory.high, cgroup.freeze or cgroup.kill".to_owned(),
        }];
    };
    FILES
        .iter()
        .filter(|(_, controller, _)| controller.is_empty() || unified.serves(controller))
        .map(|&(what, controller, without)| {
            let (answer, detail) = match sample_directory(unified, controller) {
                None if controller.is_empty() => {
                    (Answer::NotSeen, format!("no cgroup below {} to look at", unified.mount.display()))
                }
                None => {
                    (Answer::NotSeen, format!("no cgroup below the root has the {controller} controller"))
                }
                Some(directory) if directory.join(what).exists() => (Answer::Yes, String::new()),
                Some(_) => (Answer::No, without.to_owned()),
            };
            Finding { what, answer, detail }
        })
        .collect()
}

/// The first cgroup below the root with the controller.
pub(super) fn sample_directory(hierarchy: &Hierarchy, controller: &str) -> Option<PathBuf> {
    fs::read_dir(&hierarchy.mount)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .find(|directory| {
            controller.is_empty()
                || fs::read_to_string(directory.join("cgroup.controllers"))
                    .is_ok_and(|list| list.split_whitespace().any(|name| name == controller))
        })
}

/// PSI of the host, and whether the kernel takes triggers. A trigger lives as long as its descriptor: these end at once.
fn pressure(procfs: &Path) -> Vec<Finding> {
    let file = procfs.join("pressure/memory");
    let readable = fs::read(&file);
    let host = Finding {
        what: "host pressure",
        answer: if readable.is_ok() { Answer::Yes } else { Answer::No },
        detail: match &readable {
            Ok(_) => String::new(),
            Err(error) => {
                format!("{}: {error}; boot with psi=1 if the kernel has CONFIG_PSI", file.display())
            }
        },
    };
    let trigger = |what, microseconds: u64, without: &str| {
        let taken = trigger(&file, microseconds);
        Finding {
            what,
            answer: if taken.is_ok() { Answer::Yes } else { Answer::No },
            detail: taken.err().map_or(String::new(), |error| format!("{error}; {without}")),
        }
    };
    vec![
        host,
        trigger("PSI triggers of 2 s", 2_000_000, "pressure is seen at each pass only"),
        trigger("PSI triggers of 500 ms", 500_000, "windows must be multiples of 2 s"),
    ]
}

fn trigger(file: &Path, window: u64) -> std::io::Result<()> {
    let mut descriptor = OpenOptions::new().read(true).write(true).open(file)?;
    // The kernel takes the text with its closing NUL (Documentation/accounting/psi.rst).
    descriptor.write_all(format!("some {} {window}\0", window / 10).as_bytes())
}

/// The capabilities that would be of use and that this process lacks.
#[must_use]
pub fn missing_capabilities() -> Vec<MissingCapability> {
    let effective = Process::myself().and_then(|myself| myself.status()).map_or(0, |status| status.capeff);
    CAPABILITIES
        .iter()
        .filter(|(bit, ..)| effective & (1 << bit) == 0)
        .map(|&(_, name, cost)| MissingCapability { name, cost })
        .collect()
}
