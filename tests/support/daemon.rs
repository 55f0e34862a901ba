//! The real binary as a test's own process: started on a port of the kernel's choice, killed by its pid at the end.

#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "every test file uses its own part; a failed test shows the log"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::eventually;

/// The binary that cargo built for these tests.
pub const BINARY: &str = env!("CARGO_BIN_EXE_stockade");

/// A `stockade serve` that runs.
pub struct Daemon {
    child: Child,
    /// Where it said that it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts `stockade serve` with these flags on a free port of the loopback, and waits until it is ready.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--web.listen-address", "127.0.0.1:0"]).args(flags);
        Self::from_command(command)
    }

    /// Starts a configured one: the file is read again at [`Daemon::reload`].
    pub fn configured(config: &Path, flags: &[&str]) -> Self {
        let config = config.to_str().expect("a path of ours");
        Self::start(&[&["--config", config], flags].concat())
    }

    /// Starts whatever ends in a `stockade serve` that announces itself on its standard output, and waits until it is
    /// ready.
    pub fn from_command(command: Command) -> Self {
        let daemon = Self::announced(command);
        eventually("the daemon is ready", || (daemon.get("/-/ready").status == 200).then_some(()));
        daemon
    }

    /// Starts one that may not answer everybody, and waits until it has announced itself.
    pub fn announced(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built with the tests");
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = kept.lock().expect("nobody panics with the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut announced = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut announced).expect("a line or the end");
        let address = announced
            .strip_prefix("stockade listens on ")
            .and_then(|rest| rest.split('/').nth(2))
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let code = child.wait();
            panic!("no address in {announced:?} ({code:?}): {}", log.lock().expect("a log"));
        };
        Self { child, address, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().expect("a pid")), signal).expect("our own child lives");
    }

    /// Sends SIGHUP and waits until the outcome is told and, if it is good, a pass has followed.
    pub fn reload(&self) {
        let told = |metrics: &Exposition| {
            (metrics.get("stockade_samples_total"), metrics.get("stockade_config_last_reload_successful"))
        };
        let (before, _) = told(&self.own());
        self.signal(Signal::SIGHUP);
        eventually("a pass after SIGHUP", || (told(&self.own()).0 > before).then_some(()));
    }

    /// The program's own metrics, by a scrape with a filter, which carries nothing.
    pub fn own(&self) -> Exposition {
        self.metrics_with("?collect[]=net_cls", &[])
    }

    /// An unfiltered scrape.
    pub fn metrics(&self) -> Exposition {
        self.metrics_with("", &[])
    }

    /// A scrape with a query and headers.
    pub fn metrics_with(&self, query: &str, headers: &[&str]) -> Exposition {
        let response = self.request("GET", &format!("/metrics{query}"), headers);
        assert_eq!(response.status, 200, "{}", response.text());
        Exposition::parse(&response.text())
    }

    /// A GET.
    pub fn get(&self, target: &str) -> Response {
        self.request("GET", target, &[])
    }

    /// A request on a connection of its own.
    pub fn request(&self, method: &str, target: &str, headers: &[&str]) -> Response {
        let mut stream = TcpStream::connect(self.address).expect("the daemon listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).expect("a request is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer within a minute");
        Response::parse(&answer)
    }

    /// Waits for its end and tells the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        eventually("the daemon ends", || self.child.try_wait().expect("our own child")).code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary until it ends by itself.
pub fn run_to_end(args: &[&str]) -> Output {
    Command::new(BINARY)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary was built with the tests")
}

/// An HTTP answer.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines, as they came.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP answer");
        let headers = String::from_utf8(answer[..end].to_vec()).expect("headers are text");
        let status = headers.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        Self { status, headers, body: answer[end + 4..].to_vec() }
    }

    /// One header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }
}

/// The series of an exposition: each line's text up to its value. A series that stands twice fails the test.
#[derive(Debug)]
pub struct Exposition(pub BTreeMap<String, f64>);

impl Exposition {
    /// Reads a text.
    pub fn parse(text: &str) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line:?}"));
            assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line:?}");
        }
        Self(series)
    }

    /// One series' value.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// One cgroup's value in a family without labels of its own.
    pub fn of(&self, family: &str, cgroup: &str) -> Option<f64> {
        self.get(&format!("{family}{{cgroup=\"{cgroup}\"}}"))
    }

    /// Whether any series is about the cgroup.
    pub fn shows(&self, cgroup: &str) -> bool {
        self.0.keys().any(|series| series.contains(&format!("{{cgroup=\"{cgroup}\"")))
    }

    /// The sum of the series of a family whose labels hold this text.
    pub fn sum(&self, family: &str, labels: &str) -> f64 {
        self.0
            .iter()
            .filter(|(series, _)| {
                series.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                    && series.contains(labels)
            })
            .map(|(_, value)| value)
            .sum()
    }
}
