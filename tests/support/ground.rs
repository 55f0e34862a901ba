//! A group of the test's own with a configuration that enforces in it and nowhere else.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::daemon::{Daemon, run_to_end};
use super::{TestGroup, eventually};

/// A group, a configuration and a journal.
pub struct Ground {
    pub group: TestGroup,
    pub place: tempfile::TempDir,
}

impl Ground {
    /// A group in every hierarchy, and an empty directory.
    pub fn new(name: &str) -> Self {
        Self { group: TestGroup::everywhere(name), place: tempfile::tempdir().expect("a directory") }
    }

    /// Writes the configuration: lines of `safety:` on top of what keeps it in the group, and these rules. `@` is the
    /// group's path.
    pub fn rules(&self, safety: &str, rules: &str) -> PathBuf {
        let text = format!(
            "collect: {{interval: 200ms}}\nsafety:\n  scope: [\"@/**\"]\n  journal: {}\n  {safety}\n{rules}",
            self.place.path().join("journal").display(),
        );
        fs::write(self.file(), text.replace('@', &self.group.path)).expect("a configuration");
        self.file()
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.place.path().join("stockade.yaml")
    }

    /// Runs a command of the program's on a cgroup of the group, with its configuration.
    pub fn command(&self, command: &str, child: &str, more: &[&str]) -> Output {
        let target = format!("{}/{child}", self.group.path);
        let file = self.file();
        let config = ["--config", file.to_str().expect("ours")];
        run_to_end(&[&[command, &*target][..], &config, more].concat())
    }

    /// The lines of the audit.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let file = self.place.path().join("audit.jsonl");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// A control's file of a child (`""` is the group itself), under v1's or v2's name.
    pub fn control(&self, child: &str, controller: &str, names: &[&str]) -> PathBuf {
        names
            .iter()
            .map(|name| self.group.directory(controller).join(child).join(name))
            .find(|file| file.exists())
            .unwrap_or_else(|| panic!("{child} has none of {names:?}"))
    }

    /// The CPU time a second that a child is allowed, in percent of a core; none without a quota.
    pub fn quota(&self, child: &str) -> Option<u64> {
        let directory = self.group.directory("cpu").join(child);
        if let Ok(text) = fs::read_to_string(directory.join("cpu.max")) {
            let (quota, period) = text.trim().split_once(' ')?;
            return Some(100 * quota.parse::<u64>().ok()? / period.parse::<u64>().ok()?);
        }
        let quota: i64 = read(&directory.join("cpu.cfs_quota_us")).parse().ok()?;
        let period: u64 = read(&directory.join("cpu.cfs_period_us")).parse().ok()?;
        u64::try_from(quota).ok().map(|quota| 100 * quota / period)
    }

    /// A child's `pids.max`.
    pub fn pids(&self, child: &str) -> String {
        read(&self.group.directory("pids").join(child).join("pids.max"))
    }

    /// Whether a child is frozen, by either freezer.
    pub fn is_frozen(&self, child: &str) -> bool {
        let unified = self.group.directory("unified").join(child);
        if read(&unified.join("cgroup.events")).contains("frozen 1") {
            return true;
        }
        self.group.has("freezer")
            && read(&self.group.directory("freezer").join(child).join("freezer.state")) != "THAWED"
    }

    /// Lets a child run, by both freezers, as an administrator would.
    pub fn thaw(&self, child: &str) {
        for (controller, file, text) in
            [("unified", "cgroup.freeze", "0"), ("freezer", "freezer.state", "THAWED")]
        {
            if controller == "unified" || self.group.has(controller) {
                let file = self.group.directory(controller).join(child).join(file);
                fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            }
        }
    }

    /// Whether a process lives in a child.
    pub fn is_populated(&self, child: &str) -> bool {
        read(&self.group.directory("unified").join(child).join("cgroup.events")).contains("populated 1")
    }

    /// A sleeper in a child.
    pub fn sleeper(&mut self, child: &str) {
        self.group.run(child, "exec sleep 1000");
        eventually("the sleeper is in its group", || self.is_populated(child).then_some(()));
    }
}

/// A file's text.
pub fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).trim().to_owned()
}

/// Whether a process is there.
pub fn lives(pid: u32) -> bool {
    kill(Pid::from_raw(pid.try_into().expect("a pid")), None).is_ok()
}

/// How many decisions came to an outcome.
pub fn decisions(daemon: &Daemon, policy: &str, action: &str, outcome: &str) -> f64 {
    let series =
        format!("stockade_decisions_total{{action=\"{action}\",outcome=\"{outcome}\",policy=\"{policy}\"}}");
    daemon.own().get(&series).unwrap_or(0.0)
}

/// Ends a daemon as systemd would.
pub fn stop(mut daemon: Daemon) {
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}

/// What a command said.
pub fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].iter().map(|text| String::from_utf8_lossy(text)).collect()
}
