//! What the binary tells a service manager: a real socket stands in for systemd's.

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::mkfifo;
use support::daemon::{BINARY, Daemon};
use support::eventually;
use support::fake::FakeTree;

/// A service manager: its socket, and what services are told of it.
struct Manager {
    socket: UnixDatagram,
    address: String,
    place: tempfile::TempDir,
}

impl Manager {
    /// One whose socket is a file.
    fn at_a_path() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        Self::new(socket, path.to_str().expect("a path of ours").to_owned(), place)
    }

    /// One whose socket has a name and no file.
    fn abstractly() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let name = format!("stockade-test{}", place.path().display());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        Self::new(UnixDatagram::bind_addr(&address).expect("a socket"), format!("@{name}"), place)
    }

    fn new(socket: UnixDatagram, address: String, place: tempfile::TempDir) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(120))).expect("a time limit");
        Self { socket, address, place }
    }

    /// A service of this manager's.
    fn service(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.env("NOTIFY_SOCKET", &self.address);
        command.args(["serve", "--web.listen-address", "127.0.0.1:0"]).args(flags);
        command
    }

    /// A configuration file.
    fn config(&self, text: &str) -> PathBuf {
        let path = self.place.path().join("stockade.yaml");
        fs::write(&path, text).expect("a file");
        path
    }

    /// What the service says next.
    fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("a message within two minutes");
        String::from_utf8(message[..length].to_vec()).expect("a message is text")
    }

    /// The next message that has this line or one that begins so; those before it are given too.
    fn until(&self, line: &str) -> (Vec<String>, String) {
        let mut before = Vec::new();
        loop {
            let message = self.next();
            if message.lines().any(|found| found.starts_with(line)) {
                return (before, message);
            }
            before.push(message);
        }
    }

    /// Everything that comes within a time.
    fn within(&self, time: Duration) -> Vec<String> {
        let until = Instant::now() + time;
        let mut heard = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left)).expect("a time limit");
            let mut message = [0; 4096];
            match self.socket.recv(&mut message) {
                Ok(length) => heard.push(String::from_utf8_lossy(&message[..length]).into_owned()),
                Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            }
        }
        self.socket.set_read_timeout(Some(Duration::from_secs(120))).expect("a time limit");
        heard
    }
}

fn monotonic() -> u128 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock")).as_micros()
}

fn microseconds(message: &str) -> u128 {
    let value = message.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no time in {message:?}"))
}

#[test]
fn readiness_reloads_and_the_end_are_told() {
    let manager = Manager::at_a_path();
    let config = manager.config("collect: {interval: 100ms}\n");
    let config = ["--config", config.to_str().expect("a path of ours")];
    let mut daemon = Daemon::from_command(manager.service(&config));
    let ready = manager.next();
    let status = ready.strip_prefix("READY=1\nSTATUS=watching ").expect("it is the first message");
    assert!(status.ends_with(" cgroups; nothing is enforced\n"), "{ready}");
    assert!(status.split(' ').next().and_then(|count| count.parse::<u32>().ok()) > Some(0), "{ready}");

    let before = monotonic();
    daemon.reload();
    let (_, reloading) = manager.until("RELOADING=1");
    assert!((before..=monotonic()).contains(&microseconds(&reloading)), "{before} {reloading}");
    manager.until("READY=1");

    // The old configuration is in force: it is as ready as before, and says why it is not the new one.
    manager.config("collect: {interval: soon}\n");
    daemon.reload();
    manager.until("RELOADING=1");
    manager.until("READY=1");
    let (_, status) = manager.until("STATUS=");
    assert!(status.contains("the new configuration is wrong (see the log)"), "{status}");

    let rule = "{name: cap, match: {path: /nowhere}, set: {pids.max: 10}}";
    let journal = manager.place.path().join("journal");
    manager.config(&format!("safety: {{journal: {}}}\nlimits: [{rule}]\n", journal.display()));
    daemon.reload();
    let (_, status) = manager.until("STATUS=dry_run: ");
    assert!(status.ends_with(" cgroups, 0 changes in force\n"), "{status}");

    daemon.signal(Signal::SIGTERM);
    manager.until("STOPPING=1");
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn an_abstract_socket_is_told_too() {
    let manager = Manager::abstractly();
    let mut daemon = Daemon::from_command(manager.service(&[]));
    manager.until("READY=1");
    daemon.signal(Signal::SIGTERM);
    manager.until("STOPPING=1");
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_manager_that_cannot_be_reached_is_an_error() {
    // It would wait for readiness in vain, and end the program then.
    let output = Manager::at_a_path().service(&[]).env("NOTIFY_SOCKET", "/nowhere/notify").output();
    let output = output.expect("the binary was built with the tests");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cannot reach the service manager at NOTIFY_SOCKET"), "{error}");
}

#[test]
fn signs_of_life_come_in_time_however_slow_the_clock_of_the_passes_is() {
    let manager = Manager::at_a_path();
    let config = manager.config("collect: {interval: 1h}\n");
    let mut command = manager.service(&["--config", config.to_str().expect("a path of ours")]);
    command.env("WATCHDOG_USEC", "2000000");
    let _daemon = Daemon::from_command(command);
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
}

#[test]
fn a_watchdog_that_watches_another_process_gets_no_signs_of_life() {
    let manager = Manager::at_a_path();
    let config = manager.config("collect: {interval: 100ms}\n");
    let mut command = manager.service(&["--config", config.to_str().expect("a path of ours")]);
    command.env("WATCHDOG_USEC", "400000").env("WATCHDOG_PID", std::process::id().to_string());
    let daemon = Daemon::from_command(command);
    eventually("ten passes", || (daemon.own().get("stockade_samples_total") > Some(10.0)).then_some(()));
    daemon.signal(Signal::SIGTERM);
    let (before, _) = manager.until("STOPPING=1");
    assert!(!before.iter().any(|message| message.contains("WATCHDOG")), "{before:?}");
}

#[test]
fn a_sampler_that_hangs_gives_no_signs_of_life() {
    const WATCHDOG: Duration = Duration::from_millis(800);
    let manager = Manager::at_a_path();
    let tree = FakeTree::unified("memory");
    tree.group("/good", &[("memory.current", "4096\n")]);
    let config = manager.config("collect: {interval: 100ms}\n");
    let mut command = manager.service(&["--config", config.to_str().expect("a path of ours")]);
    command.args(tree.flags()).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let daemon = Daemon::from_command(command);
    manager.until("WATCHDOG=1");

    // Opening a FIFO waits for a writer, as opening a file of a file system that hangs waits for the kernel.
    let born = manager.place.path().join("stuck");
    fs::create_dir(&born).expect("a directory");
    mkfifo(&born.join("memory.current"), Mode::S_IRWXU).expect("a FIFO");
    fs::rename(&born, tree.path("/stuck")).expect("a cgroup");
    let age = || daemon.own().get("stockade_sample_age_seconds");
    eventually("no pass is made", || (age() > Some(1.0)).then_some(()));
    manager.within(Duration::from_millis(1));
    let heard = manager.within(2 * WATCHDOG);
    assert!(!heard.iter().any(|message| message.contains("WATCHDOG")), "{heard:?}");
    assert_eq!(daemon.get("/-/healthy").status, 200, "the server itself lives");

    // With a writer it goes on, and so do the signs.
    let writer = fs::File::options().read(true).write(true).open(tree.file("stuck", "memory.current"));
    let _writer = writer.expect("the FIFO");
    manager.until("WATCHDOG=1");
}
