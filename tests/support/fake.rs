//! A directory of plain files laid out like a hierarchy, with whatever trouble a test puts there.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
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

    /// A place in the tree's own root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.root.path().join("root")
    }

    /// Where everything is.
    pub fn paths(&self) -> Paths {
        Paths {
            procfs: self.procfs(),
            sysfs: self.sysfs(),
            cgroupfs: Some(self.cgroups()),
            root: self.rootfs(),
        }
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

    /// The directory of the cgroup with this path.
    pub fn path(&self, cgroup: impl AsRef<OsStr>) -> PathBuf {
        let bytes = cgroup.as_ref().as_bytes();
        self.cgroups().join(OsStr::from_bytes(bytes.strip_prefix(b"/").unwrap_or(bytes)))
    }

    /// A cgroup with these files.
    pub fn group(&self, cgroup: impl AsRef<OsStr>, files: &[(&str, &str)]) {
        let directory = self.path(cgroup);
        fs::create_dir_all(&directory).expect("a directory");
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("a file");
        }
    }

    /// The kernel id of a cgroup.
    pub fn id(&self, cgroup: &str) -> u64 {
        fs::metadata(self.path(cgroup)).expect("a directory").ino()
    }

    /// A process that sleeps, owned by whoever runs the test.
    pub fn process(&self, pid: u32, command: &[u8], resident_pages: u64, cgroup: &str) {
        let directory = self.procfs().join(pid.to_string());
        fs::create_dir_all(&directory).expect("a directory");
        let stat = format!(
            "{pid} (sleeper) S 1 {pid} {pid} 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 100 1000000 {resident_pages} \
             18446744073709551615 1 1 1 1 1 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        );
        let cgroup = format!("0::{cgroup}\n");
        for (name, bytes) in [("stat", stat.as_bytes()), ("cmdline", command), ("cgroup", cgroup.as_bytes())]
        {
            fs::write(directory.join(name), bytes).expect("a file");
        }
    }

    /// The flags that make the program look here and nowhere else.
    pub fn flags(&self) -> [String; 4] {
        let flag = |name: &str, path: &Path| format!("--path.{name}={}", path.display());
        [
            flag("cgroupfs", &self.cgroups()),
            flag("procfs", &self.procfs()),
            flag("sysfs", &self.sysfs()),
            flag("rootfs", &self.rootfs()),
        ]
    }
}
