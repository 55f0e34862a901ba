//! The guest's cgroup hierarchies, and groups made in all of them at once.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::outcome::{During, Step, Stop};

/// One mounted hierarchy.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    pub(crate) root: PathBuf,
    /// Whether it is cgroup2.
    pub(crate) unified: bool,
    /// The controllers in it; none in a named v1 hierarchy.
    pub(crate) controllers: Vec<String>,
}

/// Every hierarchy of the guest.
#[derive(Debug)]
pub(crate) struct Hierarchies(pub(crate) Vec<Hierarchy>);

impl Hierarchies {
    /// Reads the mounts.
    pub(crate) fn discover() -> Step<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").during("/proc/self/mountinfo")?;
        let mut found = Vec::new();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let root = PathBuf::from(left.split(' ').nth(4).unwrap_or_default());
            let mut words = right.split(' ');
            let (kind, options) = (words.next(), words.nth(1).unwrap_or_default());
            let unified = match kind {
                Some("cgroup2") => true,
                Some("cgroup") => false,
                _ => continue,
            };
            let controllers = if unified {
                let file = root.join("cgroup.controllers");
                let text = fs::read_to_string(&file).during(file.display())?;
                text.split_whitespace().map(str::to_owned).collect()
            } else {
                let known = fs::read_to_string("/proc/cgroups").during("/proc/cgroups")?;
                let known: Vec<_> = known.lines().filter_map(|line| line.split('\t').next()).collect();
                options.split(',').filter(|option| known.contains(option)).map(str::to_owned).collect()
            };
            found.push(Hierarchy { root, unified, controllers });
        }
        Ok(Self(found))
    }

    /// The cgroup2 hierarchy, if one is mounted.
    pub(crate) fn unified(&self) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.unified)
    }

    /// The hierarchy that has a controller; `""` is whichever has the controller-free `cgroup.*` files of cgroup2.
    pub(crate) fn of(&self, controller: &str) -> Option<&Hierarchy> {
        if controller.is_empty() {
            return self.unified();
        }
        self.0.iter().find(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller))
    }

    /// The hierarchy of a controller; where there is none the scenario cannot exist.
    pub(crate) fn need(&self, controller: &str) -> Step<&Hierarchy> {
        self.of(controller).ok_or_else(|| {
            let what = if controller.is_empty() { "cgroup2 mount" } else { "controller" };
            Stop::Absent(format!("no {controller} {what}").replace("  ", " "))
        })
    }
}

/// A cgroup at the same path in every hierarchy, removed with all that lives in it when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    path: OsString,
    dirs: Vec<PathBuf>,
}

impl Group {
    /// Makes `/stockade-test-NAME`.
    pub(crate) fn make(tree: &Hierarchies, name: impl AsRef<OsStr>) -> Step<Self> {
        let mut path = OsString::from("/stockade-test-");
        path.push(name);
        Self::at(tree, path)
    }

    /// Makes a group below this one; on cgroup2 this one hands every controller down first.
    pub(crate) fn child(&self, tree: &Hierarchies, name: impl AsRef<OsStr>) -> Step<Self> {
        if let Some(dir) = self.unified_dir(tree) {
            let available = dir.join("cgroup.controllers");
            for controller in fs::read_to_string(&available).during(available.display())?.split_whitespace() {
                let file = dir.join("cgroup.subtree_control");
                fs::write(&file, format!("+{controller}"))
                    .during(format!("+{controller} > {}", file.display()))?;
            }
        }
        let mut path = self.path.clone();
        path.push("/");
        path.push(name);
        Self::at(tree, path)
    }

    fn at(tree: &Hierarchies, path: OsString) -> Step<Self> {
        let mut group = Self { path, dirs: Vec::new() };
        for hierarchy in &tree.0 {
            let mut dir = hierarchy.root.clone().into_os_string();
            dir.push(&group.path);
            let dir = PathBuf::from(dir);
            fs::create_dir(&dir).during(format!("mkdir {}", dir.display()))?;
            group.dirs.push(dir);
        }
        Ok(group)
    }

    /// The path, as the `cgroup` label has it where it is plain text.
    pub(crate) fn label(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    fn unified_dir(&self, tree: &Hierarchies) -> Option<&Path> {
        let at = tree.0.iter().position(|hierarchy| hierarchy.unified)?;
        self.dirs.get(at).map(PathBuf::as_path)
    }

    /// Where a controller has the group.
    pub(crate) fn dir(&self, tree: &Hierarchies, controller: &str) -> Step<&Path> {
        let root = &tree.need(controller)?.root;
        let found = self.dirs.iter().find(|dir| dir.starts_with(root) && is_below(dir, root, &self.path));
        found
            .map(PathBuf::as_path)
            .ok_or_else(|| Stop::Failed(format!("{:?} is not in {}", self.path, root.display())))
    }

    /// Writes a control file in one write: the truncation that `fs::write` begins with is a write to a watcher, too.
    pub(crate) fn write(&self, tree: &Hierarchies, controller: &str, file: &str, value: &str) -> Step {
        let file = self.dir(tree, controller)?.join(file);
        let written =
            OpenOptions::new().write(true).open(&file).and_then(|mut open| open.write_all(value.as_bytes()));
        written.during(format!("{value:?} > {}", file.display()))
    }

    /// Reads a file; `None` where the kernel has no such file.
    pub(crate) fn read(&self, tree: &Hierarchies, controller: &str, file: &str) -> Step<Option<String>> {
        let Some(hierarchy) = tree.of(controller) else { return Ok(None) };
        let mut path = hierarchy.root.clone().into_os_string();
        path.push(&self.path);
        read_if_there(&Path::new(&path).join(file))
    }

    /// The files that a process writes itself into to be in the group, in every hierarchy.
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        self.dirs.iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Kills what lives in the group (not below it) and waits until it is empty.
    pub(crate) fn empty(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let mut living = 0;
            for door in self.doors() {
                for pid in
                    fs::read_to_string(door).unwrap_or_default().lines().filter_map(|line| line.parse().ok())
                {
                    living += 1;
                    // A process that ended by itself in between is what is wanted anyway.
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            if living == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn is_below(dir: &Path, root: &Path, path: &OsStr) -> bool {
    dir.as_os_str().len() == root.as_os_str().len() + path.len()
        && dir.as_os_str().as_bytes().ends_with(path.as_bytes())
}

impl Drop for Group {
    fn drop(&mut self) {
        self.empty();
        for dir in &self.dirs {
            // A directory that a scenario removed itself is gone already.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// A kernel file's text; `None` where it does not exist or is not served (PSI that is off, threaded groups).
pub(crate) fn read_if_there(path: &Path) -> Step<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => match error.raw_os_error().map(nix::errno::Errno::from_raw) {
            Some(nix::errno::Errno::ENOENT | nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::ENODEV) => {
                Ok(None)
            }
            _ => Err(Stop::Failed(format!("{}: {error}", path.display()))),
        },
    }
}

/// Longer than the program's slow clock of 30 s, at which it reads controls that nothing watches.
const PATIENCE: Duration = Duration::from_secs(45);

/// Waits until something holds; the deadline is only for a broken kernel or program.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Step<Option<T>>) -> Step<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(Stop::Failed(format!("waited {} s in vain: {what}", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
