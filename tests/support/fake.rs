//! A cgroup hierarchy of plain files, for output that must not depend on the host.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A unified hierarchy and a proc file system beside it, removed with the value.
pub struct FakeTree {
    directory: tempfile::TempDir,
}

impl FakeTree {
    /// A root with four controllers and nothing below it.
    pub fn new() -> Self {
        let tree = Self { directory: tempfile::tempdir().expect("tempdir") };
        fs::create_dir_all(tree.procfs()).expect("proc");
        tree.group("/", &[("cgroup.controllers", "cpu io memory pids\n"), ("cgroup.procs", "")]);
        tree
    }

    /// Where the hierarchy is.
    pub fn cgroupfs(&self) -> PathBuf {
        self.directory.path().join("cgroup")
    }

    /// Where the processes are.
    pub fn procfs(&self) -> PathBuf {
        self.directory.path().join("proc")
    }

    /// The directory of a cgroup.
    pub fn path(&self, group: impl AsRef<OsStr>) -> PathBuf {
        let bytes = group.as_ref().as_bytes();
        self.cgroupfs().join(OsStr::from_bytes(bytes.strip_prefix(b"/").unwrap_or(bytes)))
    }

    /// A cgroup with these files.
    pub fn group(&self, path: impl AsRef<OsStr>, files: &[(&str, &str)]) {
        let directory = self.path(path);
        fs::create_dir_all(&directory).expect("a group");
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("a file");
        }
    }

    /// A process that sleeps, owned by whoever runs the test.
    pub fn process(&self, pid: u32, command: &[u8], resident_pages: u64, cgroup: &str) {
        let directory = self.procfs().join(pid.to_string());
        fs::create_dir_all(&directory).expect("a process");
        let stat = format!(
            "{pid} (sleeper) S 1 {pid} {pid} 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 100 1000000 {resident_pages} \
             18446744073709551615 1 1 1 1 1 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        );
        for (name, bytes) in
            [("stat", stat.as_bytes()), ("cmdline", command), ("cgroup", format!("0::{cgroup}\n").as_bytes())]
        {
            fs::write(directory.join(name), bytes).expect("a file");
        }
    }

    /// The kernel id of a cgroup.
    pub fn id(&self, group: &str) -> u64 {
        fs::metadata(self.path(group)).expect("a group").ino()
    }

    /// The flags that make the program look here and nowhere else.
    pub fn flags(&self) -> [String; 3] {
        let flag = |name: &str, path: &Path| format!("--path.{name}={}", path.display());
        [
            flag("cgroupfs", &self.cgroupfs()),
            flag("procfs", &self.procfs()),
            flag("sysfs", &self.directory.path().join("sys")),
        ]
    }
}
