//! One process: which cgroups it is in, and what this one uses.

use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Process;

use super::layout::Layout;
use crate::model::{ProcessStats, Version};

/// A process's place in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The controllers of the hierarchy; empty for v2.
    pub controllers: Vec<String>,
    /// The cgroup's path.
    pub path: String,
}

/// The cgroups of a process, one for each hierarchy, from `/proc/PID/cgroup`.
///
/// # Errors
/// Where there is no such process, or its file cannot be read.
pub fn memberships(procfs: &Path, pid: u32) -> Result<Vec<Membership>, String> {
    let path = procfs.join(pid.to_string());
    let groups =
        Process::new_with_root(path.clone()).and_then(|process| process.cgroups()).map_err(|error| {
            format!("cannot read {}/cgroup: {error}; is there a process {pid}?", path.display())
        })?;
    Ok(groups
        .0
        .into_iter()
        .map(|group| Membership {
            controllers: group.controllers.into_iter().filter(|name| !name.is_empty()).collect(),
            path: group.pathname,
        })
        .collect())
}

/// Reads `/proc/self`. The program's own proc file system is used even where `--path.procfs` names another one.
#[must_use]
pub fn own_use() -> ProcessStats {
    let Ok(myself) = Process::myself() else { return ProcessStats::default() };
    let stat = myself.stat().ok();
    let stat = stat.as_ref();
    let ticks = procfs::ticks_per_second().max(1);
    let started = stat.zip(procfs::boot_time_secs().ok()).map(|(stat, booted)| {
        let since_boot = Duration::from_millis(stat.starttime.saturating_mul(1000) / ticks);
        SystemTime::UNIX_EPOCH + Duration::from_secs(booted) + since_boot
    });
    ProcessStats {
        cpu: stat.map(|stat| Duration::from_millis((stat.utime + stat.stime).saturating_mul(1000) / ticks)),
        resident_bytes: stat.map(|stat| stat.rss.saturating_mul(procfs::page_size())),
        virtual_bytes: stat.map(|stat| stat.vsize),
        open_descriptors: open_descriptors(),
        max_descriptors: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
        threads: stat.and_then(|stat| u64::try_from(stat.num_threads).ok()),
        started,
    }
}

/// Since Linux 6.2 the directory's size tells it; before, its entries have to be counted.
fn open_descriptors() -> Option<u64> {
    let directory = Path::new("/proc/self/fd");
    match std::fs::metadata(directory).ok()?.len() {
        0 => std::fs::read_dir(directory).ok().map(|entries| entries.count() as u64),
        size => Some(size),
    }
}

/// The path of the cgroup that a process is said to live in: on a hybrid host, that of the first hierarchy in which it is
/// not in the root.
#[must_use]
pub fn home<'a>(layout: &Layout, groups: &'a [Membership]) -> Option<&'a str> {
    let own: Vec<&str> = layout
        .hierarchies
        .iter()
        .filter_map(|hierarchy| {
            groups
                .iter()
                .find(|group| match &group.controllers[..] {
                    [] => hierarchy.version == Version::V2,
                    controllers => controllers.iter().any(|name| hierarchy.serves(name)),
                })
                .map(|group| group.path.as_str())
        })
        .collect();
    own.iter().find(|path| **path != "/").or(own.first()).copied()
}
