//! Orders by hand to a daemon that runs: a socket beside its journal, for whoever may write there.
//!
//! Only one process may hold a journal, so `stockade freeze` and its like go through the daemon where one runs, and come
//! under its guard rails, its budgets and its journal. HTTP stays read-only. One JSON line is asked, one is answered.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::{Deserialize, Serialize};

/// The socket's name in the journal's directory.
const NAME: &str = "control.sock";
/// No request is longer.
const LONGEST: u64 = 64 << 10;
/// How many people are answered at a time.
const MOST: usize = 16;
/// How long an answer may take: a kill's grace, and a freeze's deadline, are in it.
const PATIENCE: Duration = Duration::from_secs(150);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Which cgroup; none for [`What::Undo`] of everything.
    pub target: Option<Target>,
    /// Report what would be done, and do nothing.
    pub dry_run: bool,
    /// What.
    pub what: What,
}

/// A cgroup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its path, any bytes.
    pub path: Vec<u8>,
    /// Its kernel id: another one under the same path is not meant.
    pub id: u64,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Set controls, as `memory.high=4GiB`, checked by whoever asks.
    Set {
        /// Which, and to what.
        assignments: Vec<String>,
        /// How long it stays; for ever (until `undo`) without.
        ttl: Option<Duration>,
        /// Whether a limit may be set below what is used now.
        allow_oom: bool,
    },
    /// Stop every task.
    Freeze {
        /// For how long.
        ttl: Duration,
    },
    /// Let them run again.
    Thaw,
    /// End every process.
    Kill {
        /// The first signal.
        signal: i32,
        /// How long they have before SIGKILL.
        grace: Duration,
    },
    /// Have systemd stop the unit and start it again.
    Restart,
    /// Have systemd stop the unit.
    Stop,
    /// Have the kernel take memory back.
    Reclaim {
        /// How much.
        bytes: u64,
    },
    /// Undo everything, or what was done to the target.
    Undo,
    /// Tell what the policies think of the target.
    Explain,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The outcome's name, `done` for what is no action.
    pub outcome: String,
    /// What the kernel or a guard rail said, or what was asked for, for people.
    pub detail: String,
    /// What was asked for, for programs.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub reply: SyncSender<Answer>,
}

/// The daemon's end of the socket.
#[derive(Debug)]
pub struct Desk {
    asked: Mutex<Receiver<Asked>>,
    wake: Arc<EventFd>,
    path: PathBuf,
}

impl Desk {
    /// Opens the socket in this directory, and takes requests on a thread of its own. Whoever calls holds the journal's
    /// lock, so that a socket found there is a dead one's.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let wake =
            Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (sender, asked) = mpsc::sync_channel(MOST);
        let waker = Arc::clone(&wake);
        std::thread::Builder::new()
            .name("operator".to_owned())
            .spawn(move || accept(&listener, &sender, &waker))?;
        Ok(Self { asked: Mutex::new(asked), wake, path })
    }

    /// Readable while somebody waits.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// The next request, if there is one.
    pub fn next(&self) -> Option<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.try_recv().ok().or_else(|| {
            let _ = self.wake.read();
            // What came between the two was announced by what was just read.
            asked.try_recv().ok()
        })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, sender: &SyncSender<Asked>, wake: &Arc<EventFd>) {
    let busy = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // No descriptor left: there will be one.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if busy.load(Ordering::Relaxed) >= MOST {
            continue;
        }
        busy.fetch_add(1, Ordering::Relaxed);
        let (sender, wake, busy) = (sender.clone(), Arc::clone(wake), Arc::clone(&busy));
        let _ = std::thread::Builder::new().name("operator-one".to_owned()).spawn(move || {
            if let Err(error) = converse(&stream, &sender, &wake) {
                tracing::debug!(%error, "an order by hand broke off");
            }
            busy.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn converse(mut stream: &UnixStream, sender: &SyncSender<Asked>, wake: &EventFd) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    let answer = match serde_json::from_str(&line) {
        Err(error) => Answer::failed(format!("the request is not understood: {error}")),
        Ok(request) => {
            let (reply, answer) = mpsc::sync_channel(1);
            let queued = sender.try_send(Asked { request, reply });
            let _ = wake.write(1);
            match queued {
                Err(_) => Answer::failed("too many orders wait".to_owned()),
                Ok(()) => answer
                    .recv_timeout(PATIENCE)
                    .unwrap_or_else(|_| Answer::failed(format!("no answer within {PATIENCE:?}"))),
            }
        }
    };
    let mut text = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    text.push(b'\n');
    stream.write_all(&text)
}

impl Answer {
    /// Nothing came of it.
    #[must_use]
    pub fn failed(detail: String) -> Self {
        Self { outcome: "failed".to_owned(), detail, data: serde_json::Value::Null }
    }
}

/// Asks the daemon whose journal is in this directory. `None` where none runs.
///
/// # Errors
/// When it is there and cannot be talked to.
pub fn ask(directory: &Path, request: &Request) -> io::Result<Option<Answer>> {
    let path = directory.join(NAME);
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
                || error.raw_os_error() == Some(Errno::ENOTDIR as i32) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(10)))?;
    let mut text = serde_json::to_vec(request).map_err(io::Error::other)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::other("the daemon closed the connection without an answer"));
    }
    serde_json::from_str(&line).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn thaw() -> Request {
        Request { target: Some(Target { path: b"/a\xff".to_vec(), id: 7 }), dry_run: true, what: What::Thaw }
    }

    #[test]
    fn what_is_asked_arrives_whole_and_the_answer_comes_back() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(ask(directory.path(), &thaw()).expect("nobody is no error"), None);
        let desk = Desk::open(directory.path()).expect("a socket");
        let mode = fs::metadata(directory.path().join(NAME)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let place = directory.path().to_owned();
        let asking = std::thread::spawn(move || ask(&place, &thaw()));
        let waiting = desk.descriptor();
        let mut ready = [PollFd::new(waiting, PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE).expect("somebody asks");
        let asked = desk.next().expect("the request");
        assert_eq!(asked.request, thaw());
        let answer = Answer { outcome: "applied".into(), detail: "it runs".into(), data: 4.into() };
        asked.reply.send(answer.clone()).expect("somebody waits");
        assert_eq!(asking.join().expect("no panic").expect("an answer"), Some(answer));
        assert!(desk.next().is_none());
        drop(desk);
        assert_eq!(ask(directory.path(), &thaw()).expect("gone again"), None);
    }

    #[test]
    fn nonsense_is_answered_and_asks_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let desk = Desk::open(directory.path()).expect("a socket");
        let mut stream = UnixStream::connect(directory.path().join(NAME)).expect("a connection");
        stream.write_all(b"{\"target\":1}\n").expect("it takes text");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("an answer");
        assert!(line.contains("not understood"), "{line}");
        assert!(desk.next().is_none());
    }
}
