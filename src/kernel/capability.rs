//! What this host can measure and set, found by looking: nothing is written, nothing is guessed from a version.

use std::fs;
use std::path::{Path, PathBuf};

use super::layout::{Hierarchy, Layout, Paths};
use super::owner::systemd_is_running;
use super::survey::sample_directory;
use crate::model::{Capabilities, Version};

/// Looks at one cgroup of each hierarchy. Where there is none below the root, what it would have counts as there.
#[must_use]
pub fn capabilities(layout: &Layout, paths: &Paths) -> Capabilities {
    let version = |controller: &str| layout.serving(controller).map(|hierarchy| hierarchy.version);
    let unified = layout.hierarchies.iter().find(|hierarchy| hierarchy.version == Version::V2);
    let any_group = unified.map(|unified| sample_directory(unified, ""));
    let core_file = |file: &str| any_group.as_ref().is_some_and(|group| has(group.as_deref(), file));
    let memory = layout.serving("memory").map(|hierarchy| (hierarchy, sample(hierarchy, "memory")));
    let memory_file = |v2: &str, v1: &str| {
        memory.as_ref().is_some_and(|(hierarchy, group)| match hierarchy.version {
            Version::V2 => has(group.as_deref(), v2),
            Version::V1 => has(Some(&hierarchy.mount), v1),
        })
    };
    let io_weight = layout.serving("io").is_some_and(|hierarchy| {
        let group = sample(hierarchy, "io");
        match hierarchy.version {
            Version::V2 => has(group.as_deref(), "io.weight") || has(group.as_deref(), "io.bfq.weight"),
            Version::V1 => has(group.as_deref(), "blkio.bfq.weight"),
        }
    });
    let host_pressure = fs::read(paths.procfs.join("pressure/memory")).is_ok();
    let pressure_file =
        any_group.as_ref().and_then(|group| group.as_ref().map(|group| group.join("cpu.pressure")));
    let pressure = match (&any_group, &pressure_file) {
        (None, _) => None,
        (Some(_), Some(file)) => fs::read_to_string(file).ok(),
        // No group to look at: groups have pressure where the host has.
        (Some(_), None) => fs::read_to_string(paths.procfs.join("pressure/cpu")).ok(),
    };
    Capabilities {
        memory: version("memory"),
        cpu: version("cpu"),
        cpu_usage: unified.is_some() || layout.serving("cpuacct").is_some(),
        io: version("io"),
        pids: version("pids"),
        cpuset: version("cpuset"),
        pressure: pressure.is_some(),
        cpu_full: pressure.is_some_and(|text| text.lines().any(|line| line.starts_with("full"))),
        host_pressure,
        memory_peak: memory_file("memory.peak", "memory.max_usage_in_bytes"),
        refaults: memory.as_ref().is_some_and(|(_, group)| {
            group.as_ref().is_none_or(|group| {
                fs::read_to_string(group.join("memory.stat"))
                    .is_ok_and(|text| text.contains("workingset_refault"))
            })
        }),
        swap: memory_file("memory.swap.max", "memory.memsw.limit_in_bytes"),
        reclaim: version("memory") == Some(Version::V2) && memory_file("memory.reclaim", ""),
        io_weight,
        freezer: if core_file("cgroup.freeze") {
            Some(Version::V2)
        } else {
            layout.serving("freezer").map(|hierarchy| hierarchy.version)
        },
        kill: core_file("cgroup.kill"),
        units: systemd_is_running(paths),
    }
}

/// A cgroup below the root that has the controller.
fn sample(hierarchy: &Hierarchy, controller: &str) -> Option<PathBuf> {
    // Every directory of a v1 hierarchy has its controllers.
    sample_directory(hierarchy, if hierarchy.version == Version::V2 { controller } else { "" })
}

/// Whether a cgroup has a file; a cgroup that is not there to be looked at has it.
fn has(group: Option<&Path>, file: &str) -> bool {
    group.is_none_or(|group| group.join(file).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A captured host.
    fn of(fixture: &str) -> Capabilities {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
        let paths = Paths {
            procfs: root.join("proc"),
            sysfs: root.join("sys"),
            cgroupfs: Some(root.join("sys/fs/cgroup")),
            root: "/".into(),
        };
        capabilities(&Layout::detect(&paths).unwrap(), &paths)
    }

    #[test]
    fn captured_hosts_can_what_their_kernels_can() {
        // Files that can only be written (cgroup.kill, memory.reclaim) are in no capture.
        let unified = of("6.12-unified");
        assert_eq!((unified.memory, unified.freezer), (Some(Version::V2), Some(Version::V2)));
        assert!(unified.pressure && unified.cpu_full && unified.swap && unified.memory_peak);
        assert!(!unified.kill && !unified.reclaim);

        let old = of("5.10-unified");
        assert!(old.pressure && !old.memory_peak && !old.cpu_full);

        let hybrid = of("6.1-hybrid");
        assert_eq!((hybrid.memory, hybrid.cpu), (Some(Version::V1), Some(Version::V1)));
        assert_eq!(hybrid.freezer, Some(Version::V2));
        assert!(hybrid.pressure && hybrid.memory_peak && !hybrid.reclaim);

        let legacy = of("6.1-legacy");
        assert_eq!((legacy.memory, legacy.freezer), (Some(Version::V1), Some(Version::V1)));
        assert!(!legacy.pressure && !legacy.kill && !legacy.cpu_full && legacy.cpu_usage);
    }
}
