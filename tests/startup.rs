//! What keeps the binary from starting: one line with what to do, and an end before anybody is told of readiness.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::daemon::{BINARY, Daemon};
use support::eventually;
use support::fake::FakeTree;

/// Takes memory from one group of the fake tree, and ends it.
const RULES: &str = "
limits: [{name: cap, match: {path: /good}, set: {memory.max: 1GiB}}]
policies:
  - name: end
    match: {path: /good}
    when: {signal: memory.current, above: 1GiB}
    steps: [kill: {}]
";

/// A fake host, a configuration, a manager's socket.
struct Start {
    tree: FakeTree,
    place: tempfile::TempDir,
    manager: UnixDatagram,
}

impl Start {
    fn new() -> Self {
        let tree = FakeTree::unified("memory");
        tree.group("/good", &[("memory.current", "4096\n"), ("memory.max", "max\n"), ("cgroup.kill", "")]);
        let place = tempfile::tempdir().expect("a directory");
        let manager = UnixDatagram::bind(place.path().join("notify")).expect("a socket");
        manager.set_nonblocking(true).expect("a socket's flag");
        Self { tree, place, manager }
    }

    fn journal(&self) -> String {
        self.place.path().join("state/journal").display().to_string()
    }

    /// Writes the configuration.
    fn config(&self, mode: &str, journal: &str) {
        let text =
            format!("collect: {{interval: 100ms}}\nsafety: {{mode: {mode}, journal: {journal}}}\n{RULES}");
        fs::write(self.place.path().join("stockade.yaml"), text).expect("a file");
    }

    /// A command that starts it.
    fn command(&self, before: &[&str]) -> Command {
        let listen = ["serve", "--web.listen-address", "127.0.0.1:0", "--log.level", "error"];
        let mut words = before.iter().copied().chain([BINARY]).chain(listen);
        let mut command = Command::new(words.next().expect("the binary at least"));
        command
            .args(words)
            .args(self.tree.flags())
            .arg("--config")
            .arg(self.place.path().join("stockade.yaml"));
        command.env("NOTIFY_SOCKET", self.place.path().join("notify"));
        command
    }

    /// Starts it behind another command, and gives the one line that it ends with.
    fn refused(&self, before: &[&str]) -> String {
        // One that starts after all would never end.
        let output = self.command(&[&["timeout", "60"], before].concat()).output();
        let output = output.expect("the commands are there");
        let error = String::from_utf8(output.stderr).expect("a message is text");
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!((error.lines().count(), output.stdout.len()), (1, 0), "{error}");
        let told = self.manager.recv(&mut [0; 64]).expect_err("nobody was told of readiness");
        assert_eq!(told.kind(), ErrorKind::WouldBlock);
        error
    }
}

/// Runs a command where a directory is on a file system of its own that cannot be written.
fn read_only(directory: &Path) -> [String; 6] {
    let script = format!(
        "set -e; cp -a '{0}/.' /mnt; mount -t tmpfs none '{0}'; cp -a /mnt/. '{0}'; mount -o remount,ro '{0}'; \
         exec \"$@\"",
        directory.display()
    );
    // What is mounted is mounted for this process only.
    let own = "mount -t tmpfs none /mnt; ";
    ["unshare", "--mount", "sh", "-c"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("{own}{script}"), "sh".to_owned()])
        .collect::<Vec<_>>()
        .try_into()
        .expect("six words")
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn enforcement_needs_cgroups_that_can_be_written() {
    let start = Start::new();
    start.config("enforce", &start.journal());
    let cgroups = start.tree.cgroups();
    let line = start.refused(&words(&read_only(&cgroups)));
    assert!(line.contains(&format!("{} is mounted read-only", cgroups.display())), "{line}");
    assert!(line.contains("ProtectControlGroups=no") && line.contains("`dry_run`"), "{line}");
    assert!(!start.place.path().join("state").exists(), "it was found out before anything was made");
}

#[test]
fn enforcement_needs_its_capabilities() {
    let start = Start::new();
    start.config("enforce", &start.journal());
    for (capability, cost) in [
        ("kill", "processes of other users cannot be signalled"),
        ("dac_override", "control files of delegated cgroups cannot be written"),
    ] {
        let line = start.refused(&["setpriv", "--bounding-set", &format!("-{capability}")]);
        let name = format!("CAP_{}", capability.to_uppercase());
        assert!(line.contains(&format!("this process lacks {name}: {cost}")), "{line}");
        assert!(line.contains("CapabilityBoundingSet="), "{line}");
    }
}

#[test]
fn enforcement_needs_a_directory_for_its_journal() {
    let start = Start::new();
    start.config("enforce", "/proc/nowhere/journal");
    let line = start.refused(&[]);
    assert!(line.contains("cannot make the journal's directory /proc/nowhere/journal"), "{line}");
    assert!(line.contains("`safety.journal` names another one"), "{line}");

    // One that is there and cannot be written.
    start.config("enforce", &start.journal());
    let journal = start.place.path().join("state/journal");
    fs::create_dir_all(&journal).expect("a directory");
    let line = start.refused(&words(&read_only(&journal)));
    assert!(
        line.contains("Read-only file system") && line.contains("`safety.journal` names another"),
        "{line}"
    );
}

#[test]
fn what_is_only_tried_needs_none_of_it() {
    let start = Start::new();
    start.config("dry_run", &start.journal());
    let read_only = read_only(&start.tree.cgroups());
    let drop = ["setpriv", "--bounding-set", "-kill,-dac_override"];
    let mut daemon = Daemon::from_command(start.command(&[&words(&read_only)[..], &drop].concat()));
    assert_eq!(daemon.metrics().of("cgroup_memory_current_bytes", "/good"), Some(4096.0));

    // A reload does not get past what a start does not: the old mode stays.
    start.config("enforce", &start.journal());
    daemon.reload();
    eventually("the refusal is logged", || daemon.log().contains("is mounted read-only").then_some(()));
    assert_eq!(daemon.own().get("stockade_config_last_reload_successful"), Some(0.0));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), Some(0));
}
