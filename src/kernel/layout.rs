//! Which hierarchies are mounted where, and which of them serves which controller.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use procfs::FromRead as _;
use procfs::process::MountInfos;

use crate::model::{LayoutKind, Version};

/// Where the kernel's file systems are found. A container sees the host's under another prefix.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The proc file system, `/proc`.
    pub procfs: PathBuf,
    /// The sys file system, `/sys`.
    pub sysfs: PathBuf,
    /// Use only the cgroup mounts at or below this path; `None` takes those that mountinfo lists.
    pub cgroupfs: Option<PathBuf>,
    /// The host's root, `/`: below it the runtimes keep what they know of their containers.
    pub root: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { procfs: "/proc".into(), sysfs: "/sys".into(), cgroupfs: None, root: "/".into() }
    }
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// v1 or v2.
    pub version: Version,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The path inside the hierarchy that the mount shows, `/` for all of it.
    pub root: String,
    /// The controllers it serves, by the kernel's names; on v2 those of the root's `cgroup.controllers`.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Whether it serves a controller.
    #[must_use]
    pub fn serves(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// `unified`, or the v1 controllers joined by commas.
    #[must_use]
    pub fn name(&self) -> String {
        match self.version {
            Version::V2 => "unified".to_owned(),
            Version::V1 => self.controllers.join(","),
        }
    }
}

/// The host's hierarchies: v2 first, then v1 in the order in which they are asked for a cgroup's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Unified, hybrid or legacy.
    pub kind: LayoutKind,
    /// The hierarchies that are read.
    pub hierarchies: Vec<Hierarchy>,
}

/// Why no layout could be found.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// mountinfo could not be read.
    #[error("cannot read {path}: {reason}; give the host's proc file system with --path.procfs")]
    Mountinfo {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// mountinfo lists no cgroup hierarchy.
    #[error(
        "no cgroup hierarchy is mounted ({path} lists none of type cgroup or cgroup2); \
         mount one, usually on /sys/fs/cgroup, or name its place with --path.cgroupfs"
    )]
    NoMounts {
        /// The file that was read.
        path: PathBuf,
    },
    /// The path given holds no hierarchy.
    #[error(
        "{path}: no cgroup hierarchy there (expected a cgroup mount, or a directory with cgroup.controllers, or one \
         directory for each v1 controller); correct --path.cgroupfs"
    )]
    NotCgroupfs {
        /// The path that was given.
        path: PathBuf,
    },
}

/// v1 controllers that are read, the one whose directory gives a cgroup's identity first.
const V1_CONTROLLERS: [&str; 10] =
    ["memory", "pids", "cpu", "cpuacct", "blkio", "freezer", "cpuset", "hugetlb", "rdma", "misc"];
/// Read too, and never an identity where another exists.
const V1_LAST: [&str; 2] = ["net_cls", "name=systemd"];

fn v1_order(hierarchy: &Hierarchy) -> usize {
    V1_CONTROLLERS
        .iter()
        .chain(&V1_LAST)
        .position(|controller| hierarchy.serves(controller))
        .unwrap_or(usize::MAX)
}

impl Layout {
    /// Finds the layout from mountinfo or, for a tree of plain files under `--path.cgroupfs`, from what lies there.
    ///
    /// # Errors
    /// When mountinfo cannot be read or no hierarchy is found.
    pub fn detect(paths: &Paths) -> Result<Self, LayoutError> {
        let mountinfo = paths.procfs.join("self/mountinfo");
        let mounts = MountInfos::from_file(&mountinfo)
            .map_err(|error| LayoutError::Mountinfo { path: mountinfo.clone(), reason: error.to_string() });
        let mounts = match (mounts, &paths.cgroupfs) {
            (Ok(mounts), _) => mounts.0,
            (Err(_), Some(_)) => Vec::new(),
            (Err(error), None) => return Err(error),
        };
        let mut hierarchies = from_mounts(&mounts, paths.cgroupfs.as_deref());
        if hierarchies.is_empty() {
            match &paths.cgroupfs {
                None => return Err(LayoutError::NoMounts { path: mountinfo }),
                Some(path) => hierarchies = from_tree(path),
            }
        }
        Self::new(hierarchies).ok_or_else(|| match &paths.cgroupfs {
            None => LayoutError::NoMounts { path: mountinfo },
            Some(path) => LayoutError::NotCgroupfs { path: path.clone() },
        })
    }

    fn new(mut hierarchies: Vec<Hierarchy>) -> Option<Self> {
        let v2 = hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V2);
        // systemd's named hierarchy has no controller: where v2 is mounted, it only repeats the tree.
        hierarchies.retain(|hierarchy| {
            hierarchy.version == Version::V2
                || (v1_order(hierarchy) != usize::MAX && !(v2 && hierarchy.serves("name=systemd")))
        });
        hierarchies.sort_by_key(|hierarchy| match hierarchy.version {
            Version::V2 => 0,
            Version::V1 => v1_order(hierarchy).saturating_add(1),
        });
        let v1 = hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V1);
        let kind = match (v2, v1) {
            (true, false) => LayoutKind::Unified,
            (true, true) => LayoutKind::Hybrid,
            (false, true) => LayoutKind::Legacy,
            (false, false) => return None,
        };
        Some(Self { kind, hierarchies })
    }

    /// The hierarchy that serves a controller, by the v2 name of it (`io` is v1's `blkio`).
    #[must_use]
    pub fn serving(&self, controller: &str) -> Option<&Hierarchy> {
        let v1_name = if controller == "io" { "blkio" } else { controller };
        self.hierarchies.iter().find(|hierarchy| {
            hierarchy.serves(if hierarchy.version == Version::V2 { controller } else { v1_name })
        })
    }
}

fn from_mounts(mounts: &[procfs::process::MountInfo], below: Option<&Path>) -> Vec<Hierarchy> {
    // One hierarchy can be mounted many times; the mount that shows all of it, at the shortest path, is used.
    let mut best: BTreeMap<String, Hierarchy> = BTreeMap::new();
    for mount in mounts {
        let version = match mount.fs_type.as_str() {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        if below.is_some_and(|below| !mount.mount_point.starts_with(below)) {
            continue;
        }
        let controllers = match version {
            Version::V2 => v2_controllers(&mount.mount_point),
            Version::V1 => {
                v1_controllers(mount.super_options.iter().map(|(k, v)| (k.as_str(), v.as_deref())))
            }
        };
        let found =
            Hierarchy { version, mount: mount.mount_point.clone(), root: mount.root.clone(), controllers };
        let rank = |h: &Hierarchy| (h.root != "/", h.mount.as_os_str().len());
        match best.get(&mount.majmin) {
            Some(known) if rank(known) <= rank(&found) => {}
            _ => {
                best.insert(mount.majmin.clone(), found);
            }
        }
    }
    best.into_values().collect()
}

/// The controllers among a v1 mount's options, in a fixed order.
fn v1_controllers<'a>(options: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Vec<String> {
    let mut names: Vec<String> = options
        .filter_map(|(key, value)| match (key, value) {
            ("name", Some(name)) => Some(format!("name={name}")),
            (key, None) if V1_CONTROLLERS.contains(&key) || V1_LAST.contains(&key) => Some(key.to_owned()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names
}

/// `cgroup.controllers` of the root; empty where it cannot be read, which is what a hybrid host shows too.
fn v2_controllers(mount: &Path) -> Vec<String> {
    std::fs::read_to_string(mount.join("cgroup.controllers"))
        .map(|text| text.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Plain directories that look like hierarchies: a captured or a made tree.
fn from_tree(path: &Path) -> Vec<Hierarchy> {
    let unified = |mount: &Path| Hierarchy {
        version: Version::V2,
        mount: mount.to_owned(),
        root: "/".to_owned(),
        controllers: v2_controllers(mount),
    };
    if path.join("cgroup.controllers").exists() {
        return vec![unified(path)];
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let mount = entry.path();
            if mount.join("cgroup.controllers").exists() {
                return Some(unified(&mount));
            }
            let name = entry.file_name().into_string().ok()?;
            let name = if name == "systemd" { "name=systemd".to_owned() } else { name };
            let controllers = v1_controllers(name.split(',').map(|part| match part.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (part, None),
            }));
            (!controllers.is_empty()).then(|| Hierarchy {
                version: Version::V1,
                mount,
                root: "/".to_owned(),
                controllers,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn layout(mountinfo: &str) -> Option<Layout> {
        let mounts = MountInfos::from_read(Cursor::new(mountinfo)).expect("mountinfo");
        Layout::new(from_mounts(&mounts.0, None))
    }

    #[test]
    fn hybrid_takes_each_controller_from_the_hierarchy_that_has_it() {
        let layout = layout(
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
             32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        )
        .expect("hierarchies");
        assert_eq!(layout.kind, LayoutKind::Hybrid);
        let names: Vec<String> = layout.hierarchies.iter().map(Hierarchy::name).collect();
        assert_eq!(names, ["unified", "memory", "cpu,cpuacct"], "devices and systemd's tree are not read");
        assert_eq!(layout.serving("cpu").map(|h| h.version), Some(Version::V1));
        assert_eq!(layout.serving("io"), None);
    }

    #[test]
    fn legacy_keeps_the_named_hierarchy_last() {
        let layout = layout(
            "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
             35 31 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n",
        )
        .expect("hierarchies");
        assert_eq!(layout.kind, LayoutKind::Legacy);
        assert_eq!(layout.hierarchies[1].controllers, ["name=systemd"]);
        assert_eq!(layout.serving("io").map(Hierarchy::name).as_deref(), Some("blkio"));
    }

    #[test]
    fn of_several_mounts_the_whole_one_is_used() {
        let layout = layout(
            "50 31 0:38 /docker/abc /mnt rw - cgroup2 cgroup2 rw\n\
             41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
             42 31 0:38 / /srv/other/long/path rw - cgroup2 cgroup2 rw\n",
        )
        .expect("hierarchies");
        assert_eq!(layout.kind, LayoutKind::Unified);
        assert_eq!(layout.hierarchies[0].mount, Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn a_wrong_path_says_what_was_expected() {
        let dir = tempfile::tempdir().expect("tempdir");
        let paths = Paths { cgroupfs: Some(dir.path().to_owned()), ..Paths::default() };
        let error = Layout::detect(&paths).expect_err("an empty directory is no cgroupfs").to_string();
        assert!(error.contains("--path.cgroupfs") && error.contains("cgroup.controllers"), "{error}");
        let paths = Paths { procfs: dir.path().to_owned(), ..Paths::default() };
        let error = Layout::detect(&paths).expect_err("no mountinfo").to_string();
        assert!(error.contains("--path.procfs"), "{error}");
    }
}
