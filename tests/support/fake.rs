//! A directory of plain files laid out like a hierarchy, with whatever trouble a test puts there.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use stockade::kernel::layout::Paths;
use stockade::model::{CollectorSet, WatchMethod};
use stockade::sample::Settings;

/// A made tree: cgroups, a proc and a sys file system, all empty at first.
pub struct FakeTree {
    root: tempfile::TempDir,
}

impl FakeTree {
    /// A cgroup2 hierarchy whose root offers these controllers.
    pub fn unified(controllers: &str) -> Self {
        let tree = Self::empty();
        fs::create_dir(tree.cgroups()).expect("a directory");
        tree.write("", "cgroup.controllers", controllers);
        tree
    }

    /// v1 hierarchies, a directory each.
    pub fn legacy(hierarchies: &[&str]) -> Self {
        let tree = Self::empty();
        for hierarchy in hierarchies {
            fs::create_dir_all(tree.cgroups().join(hierarchy)).expect("a directory");
        }
        tree
    }

    fn empty() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for directory in ["proc/self", "sys"] {
            fs::create_dir_all(root.path().join(directory)).expect("a directory");
        }
        fs::write(root.path().join("proc/self/mountinfo"), "").expect("a file");
        Self { root }
    }

    /// Where the hierarchies are: `--path.cgroupfs`.
    pub fn cgroups(&self) -> PathBuf {
        self.root.path().join("cgroups")
    }

    /// A place in the tree's own proc file system.
    pub fn procfs(&self) -> PathBuf {
        self.root.path().join("proc")
    }

    /// A place in the tree's own sys file system.
    pub fn sysfs(&self) -> PathBuf {
        self.root.path().join("sys")
    }

    /// Where everything is.
    pub fn paths(&self) -> Paths {
        Paths { procfs: self.procfs(), sysfs: self.sysfs(), cgroupfs: Some(self.cgroups()) }
    }

    /// Settings that sample this tree alone, with every collector.
    pub fn settings(&self) -> Settings {
        Settings {
            paths: self.paths(),
            collectors: CollectorSet::ALL,
            watch: Some(WatchMethod::Walk),
            ..Settings::default()
        }
    }

    /// The path of a file of a cgroup (`hierarchy/a/b` on v1).
    pub fn file(&self, cgroup: &str, file: &str) -> PathBuf {
        self.cgroups().join(cgroup).join(file)
    }

    /// Writes a file of a cgroup, in place if it is there, making the cgroup if it is not.
    pub fn write(&self, cgroup: &str, file: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.cgroups().join(cgroup)).expect("a directory");
        fs::write(self.file(cgroup, file), content).expect("a file");
    }

    /// Takes away whatever stands at a file's place.
    pub fn remove(&self, cgroup: &str, file: &str) {
        let path = self.file(cgroup, file);
        if path.is_dir() {
            fs::remove_dir(path).expect("an empty directory");
        } else {
            fs::remove_file(path).expect("a file");
        }
    }

    /// Puts another file in the file's place, so that reading it gives what that one gives.
    pub fn link(&self, cgroup: &str, file: &str, to: &Path) {
        let path = self.file(cgroup, file);
        if path.symlink_metadata().is_ok() {
            self.remove(cgroup, file);
        }
        symlink(to, path).expect("a link");
    }
}
