//! Real cgroups for tests: made under `stockade-test-…`, removed when the test ends however it ends.

#![allow(dead_code, reason = "every test file uses its own part")]

pub mod daemon;
pub mod fake;
pub mod ground;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use stockade::kernel::layout::{Hierarchy, Layout, Paths};
use stockade::model::Version;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The host's layout.
pub fn layout() -> Layout {
    Layout::detect(&Paths::default()).expect("tests run on a host with cgroups")
}

/// One test's own cgroup, in the hierarchies it asked for, and what is made below it.
pub struct TestGroup {
    /// `/stockade-test-…`
    pub path: String,
    mounts: Vec<PathBuf>,
    children: Vec<Child>,
}

impl TestGroup {
    /// A new group in every hierarchy of the host that may hold one.
    pub fn everywhere(name: &str) -> Self {
        Self::within(name, |_| true)
    }

    /// A new group in the hierarchies that serve one of these controllers; `unified` names the v2 one.
    pub fn within(name: &str, wanted: impl Fn(&Hierarchy) -> bool) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/stockade-test-{name}-{}-{number}", std::process::id());
        // A cpuset must be given CPUs before it takes processes: tests of it make their own.
        let mounts: Vec<PathBuf> = layout()
            .hierarchies
            .into_iter()
            .filter(|hierarchy| !hierarchy.serves("cpuset") || hierarchy.version == Version::V2)
            .filter(|hierarchy| wanted(hierarchy))
            .map(|hierarchy| hierarchy.mount)
            .collect();
        assert!(!mounts.is_empty(), "no hierarchy of this host fits the test {name}");
        let group = Self { path, mounts, children: Vec::new() };
        for mount in &group.mounts {
            fs::create_dir(group.below(mount, "")).expect("tests run as root");
        }
        group
    }

    fn below(&self, mount: &Path, child: &str) -> PathBuf {
        let mut path = mount.join(&self.path[1..]);
        if !child.is_empty() {
            path.push(child);
        }
        path
    }

    /// Its directory in the hierarchy that serves a controller (`unified` for v2's).
    pub fn directory(&self, controller: &str) -> PathBuf {
        self.mounts
            .iter()
            .map(|mount| self.below(mount, ""))
            .find(|directory| {
                let mount = directory.parent().expect("a mount");
                layout().hierarchies.iter().any(|hierarchy| {
                    hierarchy.mount == mount
                        && (hierarchy.serves(controller)
                            || (controller == "unified" && hierarchy.version == Version::V2))
                })
            })
            .unwrap_or_else(|| panic!("no hierarchy of this group serves {controller}"))
    }

    /// Its directory in every hierarchy that it is in.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.mounts.iter().map(|mount| self.below(mount, "")).collect()
    }

    /// Whether it has a directory in such a hierarchy.
    pub fn has(&self, controller: &str) -> bool {
        layout().serving(controller).is_some_and(|hierarchy| self.mounts.contains(&hierarchy.mount))
    }

    /// Makes a child in every hierarchy of the group and gives its path.
    pub fn child(&self, name: &str) -> String {
        for mount in &self.mounts {
            fs::create_dir(self.below(mount, name)).expect("a child cgroup");
        }
        format!("{}/{name}", self.path)
    }

    /// Removes a child everywhere.
    pub fn remove_child(&self, name: &str) {
        for mount in &self.mounts {
            fs::remove_dir(self.below(mount, name)).expect("an empty child cgroup");
        }
    }

    /// Starts a shell command that moves itself into the group (and its child, if one is named) first, and is killed with
    /// it. The command runs once the move is done.
    pub fn run(&mut self, child: &str, script: &str) -> u32 {
        let mut moves = String::new();
        for mount in &self.mounts {
            let procs = self.below(mount, child).join("cgroup.procs");
            moves.push_str(&format!("echo $$ > '{}' || exit 9; ", procs.display()));
        }
        let process = Command::new("/bin/sh")
            .args(["-c", &format!("{moves} {script}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell");
        let pid = process.id();
        self.children.push(process);
        pid
    }

    /// Waits for a command to end and tells its exit code.
    pub fn wait(&mut self, pid: u32) -> i32 {
        let at = self.children.iter().position(|child| child.id() == pid).expect("a command of this group");
        let mut child = self.children.remove(at);
        child.wait().expect("a child").code().unwrap_or(-1)
    }

    /// Whether a command has ended.
    pub fn ended(&mut self, pid: u32) -> bool {
        let child =
            self.children.iter_mut().find(|child| child.id() == pid).expect("a command of this group");
        child.try_wait().expect("a child").is_some()
    }

    /// Ends every command.
    pub fn kill(&mut self) {
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for TestGroup {
    fn drop(&mut self) {
        self.kill();
        for mount in &self.mounts {
            remove_tree(&self.below(mount, ""));
        }
    }
}

fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // What a test started may be a moment from its end: what still lives here is the test's own.
    for _ in 0..200 {
        for pid in fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Ok(pid) = pid.parse() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
        match fs::remove_dir(directory) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => std::thread::yield_now(),
            _ => return,
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The inode of a directory.
pub fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("a directory").ino()
}

/// Waits until something holds, or fails after two minutes with what was waited for.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited two minutes for: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
