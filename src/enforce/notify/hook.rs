//! Runs a command for a message.
//!
//! It gets the document on its standard input (a file in memory, so a command that never reads it blocks nobody), no
//! environment but `PATH` and `STOCKADE_…`, `/` as its directory, and a process group of its own, which is killed with
//! it when the time is up.

use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::process::{PidfdFlags, pidfd_open};

use super::message::Message;
use crate::policy::rule::Hook;

/// Where a command finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of what it says is kept, bytes.
const KEPT: usize = 4096;

/// Runs it, and gives what it said.
pub(super) fn run(hook: &Hook, message: &Message) -> Result<String, String> {
    let program = hook.program.display();
    let mut said = Vec::new();
    let end = start(hook, message).and_then(|(child, output)| attend(child, output, hook.timeout, &mut said));
    let said = String::from_utf8_lossy(&said).trim_end().to_owned();
    let and_said = if said.is_empty() { String::new() } else { format!(": {said}") };
    match end {
        Ok(Some(0)) => Ok(said),
        Ok(Some(code)) => Err(format!("{program} ended with {code}{and_said}")),
        Ok(None) => {
            Err(format!("{program} was still running after {:?}, and was killed{and_said}", hook.timeout))
        }
        Err(error) => Err(format!("cannot run {program}: {error}")),
    }
}

fn start(hook: &Hook, message: &Message) -> io::Result<(Child, io::PipeReader)> {
    let document = memfd_create("stockade-message", MemfdFlags::CLOEXEC)?;
    let mut document = std::fs::File::from(document);
    document.write_all(message.json().to_string().as_bytes())?;
    document.rewind()?;
    let (output, said) = io::pipe()?;
    fcntl_setfl(&output, OFlags::NONBLOCK)?;
    let child = Command::new(&hook.program)
        .args(&hook.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("STOCKADE_POLICY", &*message.rule)
        .env("STOCKADE_CGROUP", &message.cgroup)
        .env("STOCKADE_STATUS", message.status.name())
        .current_dir("/")
        .process_group(0)
        .stdin(document)
        .stdout(said.try_clone()?)
        .stderr(Stdio::from(OwnedFd::from(said)))
        .spawn()?;
    Ok((child, output))
}

/// Waits for its end, listening. None when the time was up; a signal's number is negative.
fn attend(
    mut child: Child,
    mut output: io::PipeReader,
    timeout: Duration,
    said: &mut Vec<u8>,
) -> io::Result<Option<i32>> {
    let until = Instant::now() + timeout;
    let listened = listen(&child, &mut output, until, said);
    if !matches!(listened, Ok(true))
        && let Ok(group) = i32::try_from(child.id())
    {
        // It is not waited for yet, so its number, and its group's, are still its own.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let status = child.wait()?;
    let code = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
    listened.map(|ended| ended.then_some(code))
}

/// Whether it ended in time.
fn listen(
    child: &Child,
    output: &mut io::PipeReader,
    until: Instant,
    said: &mut Vec<u8>,
) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("it has no process id"))?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut open = true;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
        let mut waited = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        if open {
            waited.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut waited, timeout) {
            Ok(0) => return Ok(false),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
            Ok(_) => {}
        }
        let ended = waited[0].any().unwrap_or(true);
        open = hear(output, said);
        if ended {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// Takes what there is to hear; false when there will be no more.
fn hear(output: &mut io::PipeReader, said: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    // A command that talks faster than it is listened to must not keep us: the rest is heard the next time.
    for _ in 0..64 {
        match output.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                let room = KEPT.saturating_sub(said.len());
                said.extend_from_slice(&buffer[..length.min(room)]);
            }
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}
