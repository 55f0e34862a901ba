//! Captured trees of other kernels, set in motion: what this host's kernel or layout does not tell, they do. Counters
//! grow in place from one moment to the next; everything else stays as it was captured.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::support::daemon::Daemon;

/// A copy of `tests/fixtures/NAME` that moves on, and a Stockade that watches it.
pub struct Replay {
    place: tempfile::TempDir,
    moment: u64,
}

/// Keys whose counters grow, by how much in a moment, in whatever file they stand.
const GROWING: &[(&str, u64)] = &[
    ("high ", 4),
    ("max ", 1),
    ("usage_usec ", 150_000),
    ("user_usec ", 100_000),
    ("system_usec ", 50_000),
    ("nr_periods ", 5),
    ("nr_throttled ", 2),
    ("throttled_usec ", 60_000),
    ("workingset_refault_file ", 90),
    ("workingset_refault_anon ", 10),
    ("pgmajfault ", 12),
    ("pswpin ", 3),
    ("rbytes=", 9 << 20),
    ("wbytes=", 4 << 20),
    ("rios=", 90),
    ("wios=", 40),
    ("total=", 80_000),
];
/// Files that hold them.
const MOVING: [&str; 4] = ["memory.events", "cpu.stat", "memory.stat", "io.stat"];
/// v1 files that are one counter.
const COUNTERS: [&str; 1] = ["memory.failcnt"];

impl Replay {
    /// Copies a captured tree.
    pub fn of(fixture: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
        copy(&from, place.path());
        Self { place, moment: 0 }
    }

    /// Adds a file to a cgroup of the tree: what its kernel was not built with, or what a test wants to be wrong.
    pub fn add(&self, cgroup: &str, file: &str, text: &str) {
        fs::write(self.cgroups().join(cgroup).join(file), text).expect("a file");
    }

    fn cgroups(&self) -> PathBuf {
        self.place.path().join("sys/fs/cgroup")
    }

    /// A Stockade that takes it for the host.
    pub fn daemon(&self, collect: &str) -> Daemon {
        let config = self.place.path().join("stockade.yaml");
        fs::write(&config, format!("collect: {{interval: 500ms{collect}}}\n")).expect("a file");
        let flag = |name: &str, path: PathBuf| format!("--path.{name}={}", path.display());
        let flags = [
            flag("cgroupfs", self.cgroups()),
            flag("procfs", self.place.path().join("proc")),
            flag("sysfs", self.place.path().join("sys")),
            flag("rootfs", self.place.path().join("root")),
        ];
        Daemon::configured(&config, &flags.each_ref().map(String::as_str))
    }

    /// Moves every counter on by what a moment brings: more in the one, less in the other, never back.
    pub fn turn(&mut self) {
        self.moment += 1;
        let mut pending = vec![self.cgroups(), self.place.path().join("proc/pressure")];
        while let Some(directory) = pending.pop() {
            for path in
                fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry").path())
            {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                if path.is_dir() {
                    pending.push(path);
                } else if MOVING.contains(&name.as_str())
                    || name.ends_with(".pressure")
                    || directory.ends_with("proc/pressure")
                {
                    rewrite(&path, |line| self.moved(line));
                } else if COUNTERS.contains(&name.as_str()) {
                    rewrite(&path, |line| {
                        line.parse::<u64>().map_or(line.to_owned(), |n| (n + 2).to_string())
                    });
                }
            }
        }
    }

    fn moved(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (key, step) in GROWING {
            let starts = |at: usize| at == 0 || line.as_bytes()[at - 1] == b' ';
            let Some(at) = line.find(key).filter(|at| starts(*at)) else { continue };
            let digits = at + key.len();
            let end =
                line[digits..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |more| digits + more);
            let Ok(value) = line[digits..end].parse::<u64>() else { continue };
            // It swells and ebbs, so that a rate is no straight line.
            let step = step / 2 + step * (self.moment / 8 % 3) / 2;
            line.replace_range(digits..end, &(value + step).to_string());
        }
        line
    }
}

/// In place and in one write, since whoever holds the file open is to see it: a counter never gets shorter.
fn rewrite(path: &Path, line: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).expect("a captured file");
    let text: String = text.lines().map(|one| line(one) + "\n").collect();
    let file = File::options().write(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file of ours");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for path in fs::read_dir(from).expect("a fixture").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // Not with its mode: captured ones may not be written.
            fs::write(&target, fs::read(&path).expect("a captured file")).expect("a file");
        }
    }
}
