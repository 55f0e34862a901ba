//! Loads: sub-commands of this same binary that put themselves into a group, do one thing, and say `ready`.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{fs, hint, thread};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;

use crate::outcome::{During, Step, Stop};
use crate::tree::Group;

/// The environment variable that names the files to join, one a line (the kernel allows no newline in a name).
const DOORS: &str = "STOCKADE_GUEST_DOORS";
const BLOCK: usize = 64 << 10;
/// What a swarm waits at.
const PIPE: &str = "/tmp/swarm.pipe";

/// A running load. It is killed when dropped.
pub(crate) struct Load {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Load {
    /// Starts a load in a group; it has joined before it does anything.
    pub(crate) fn start(group: &Group, words: &[&str]) -> Step<Self> {
        let doors: Vec<_> = group.doors().into_iter().map(PathBuf::into_os_string).collect();
        let mut child = Command::new("/proc/self/exe")
            .arg("hog")
            .args(words)
            .env(DOORS, doors.join(std::ffi::OsStr::new("\n")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .during(format!("hog {words:?}"))?;
        let said = child.stdout.take().ok_or_else(|| Stop::Failed("a load without a pipe".into()))?;
        Ok(Self { child, said: BufReader::new(said) })
    }

    /// Starts a load and waits until it says that it is done loading.
    pub(crate) fn ready(group: &Group, words: &[&str]) -> Step<Self> {
        let mut load = Self::start(group, words)?;
        load.await_ready()?;
        Ok(load)
    }

    /// Waits for the load's next line and gives what follows `ready`.
    pub(crate) fn await_ready(&mut self) -> Step<String> {
        let mut line = String::new();
        self.said.read_line(&mut line).during("a load's output")?;
        match line.trim_end().strip_prefix("ready") {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(Stop::Failed(format!("a load ended before it was ready: {:?}", self.child.wait()))),
        }
    }

    /// Waits until the load ended by itself (or was killed by the kernel); whether it was by a signal.
    pub(crate) fn await_end(&mut self) -> Step<bool> {
        use std::os::unix::process::ExitStatusExt as _;
        Ok(self.child.wait().during("a load's end")?.signal().is_some())
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a load: `guest hog KIND ARGUMENT…`.
pub(crate) fn hog(words: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    for door in env::var_os(DOORS).unwrap_or_default().as_encoded_bytes().split(|byte| *byte == b'\n') {
        use std::os::unix::ffi::OsStrExt as _;
        if !door.is_empty() {
            fs::write(std::ffi::OsStr::from_bytes(door), "0")?;
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["anon", bytes] => {
            let pages = touched(size(bytes)?);
            ready("")?;
            wait_for_end();
            drop(pages);
        }
        ["thrash", bytes] => {
            ready("")?;
            let mut pages = touched(size(bytes)?);
            loop {
                touch(&mut pages);
            }
        }
        ["file", bytes, path] => {
            let mut file = File::create(path)?;
            let block = vec![1u8; BLOCK];
            for _ in 0..size(bytes)? / BLOCK {
                file.write_all(&block)?;
                // Clean pages can be reclaimed; a limit full of dirty ones, on a slow disk, is an OOM kill.
                file.sync_data()?;
            }
            file.sync_all()?;
            ready("")?;
            wait_for_end();
        }
        ["cpu", threads] => {
            ready("")?;
            for _ in 1..threads.parse::<usize>()? {
                thread::spawn(|| {
                    loop {
                        hint::spin_loop();
                    }
                });
            }
            loop {
                hint::spin_loop();
            }
        }
        ["read", device, bytes] => {
            direct(device, size(bytes)?, false)?;
            ready("")?;
            wait_for_end();
        }
        ["write", device, bytes] => {
            direct(device, size(bytes)?, true)?;
            ready("")?;
            wait_for_end();
        }
        ["read-on", device, bytes] => {
            ready("")?;
            loop {
                direct(device, size(bytes)?, false)?;
            }
        }
        ["fork", number] => {
            let (mut made, mut refused) = (Vec::new(), 0);
            for _ in 0..number.parse::<usize>()? {
                match Command::new("/bin/busybox").args(["sleep", "3600"]).stdin(Stdio::null()).spawn() {
                    Ok(child) => made.push(child),
                    Err(_) => refused += 1,
                }
            }
            ready(&format!("{} {refused}", made.len()))?;
            wait_for_end();
        }
        ["swarm", number] => {
            // Each a copy of one shell that waits for a line: the smallest process there is here.
            let script = format!(
                "rm -f {PIPE}; mkfifo {PIPE}; exec 9<>{PIPE}; i=0; while [ $i -lt {number} ]; do \
                 read line <&9 & i=$((i+1)); done; echo ready; read line <&9"
            );
            return Err(Command::new("/bin/busybox").args(["sh", "-c", &script]).exec().into());
        }
        ["bomb"] => {
            ready("")?;
            let script = "bomb() { bomb | bomb & }; bomb; sleep 3600";
            return Err(Command::new("/bin/busybox").args(["sh", "-c", script]).exec().into());
        }
        ["threads", number] => {
            for _ in 0..number.parse::<usize>()? {
                thread::spawn(thread::park);
            }
            ready("")?;
            wait_for_end();
        }
        ["huge", bytes, path] => {
            let file = File::create(path)?;
            let refused = fallocate(&file, FallocateFlags::empty(), 0, i64::try_from(size(bytes)?)?).is_err();
            ready(if refused { "refused" } else { "given" })?;
            wait_for_end();
        }
        ["zombie"] => {
            let child = Command::new("/bin/busybox").arg("true").stdin(Stdio::null()).spawn()?;
            let stat = format!("/proc/{}/stat", child.id());
            while !fs::read_to_string(&stat)?.contains(") Z ") {
                thread::yield_now();
            }
            ready(&child.id().to_string())?;
            wait_for_end();
        }
        ["idle"] => {
            ready("")?;
            wait_for_end();
        }
        _ => return Err(format!("no such load: {words:?}").into()),
    }
    Ok(())
}

fn ready(rest: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ready {rest}")?;
    out.flush()
}

/// Blocks until the runner closes the pipe, or kills.
fn wait_for_end() {
    // The pipe gives nothing but its end.
    let _ = io::stdin().read(&mut [0]);
}

/// `64M`, `512K` or bytes.
fn size(text: &str) -> Result<usize, std::num::ParseIntError> {
    let shift = match text.as_bytes().last() {
        Some(b'K') => 10,
        Some(b'M') => 20,
        _ => return text.parse(),
    };
    Ok(text[..text.len() - 1].parse::<usize>()? << shift)
}

fn touched(bytes: usize) -> Vec<u8> {
    let mut pages = vec![0; bytes];
    touch(&mut pages);
    pages
}

/// Writes a number of its own into each page, so that no two are alike and each is really there.
fn touch(pages: &mut [u8]) {
    for (number, page) in (1u64..).zip(pages.chunks_mut(4096)) {
        if let Some(head) = page.first_chunk_mut::<8>() {
            *head = u64::from_ne_bytes(*head).wrapping_add(number).to_ne_bytes();
        }
    }
    hint::black_box(pages);
}

/// Moves bytes past the page cache, in blocks, from the device's start.
fn direct(device: &str, bytes: usize, write: bool) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(write).custom_flags(libc::O_DIRECT).open(device)?;
    // O_DIRECT wants memory aligned to the device's blocks; 4 KiB suits every device.
    let mut memory = vec![7u8; BLOCK + 4096];
    let start = memory.as_ptr().align_offset(4096);
    let block = &mut memory[start..start + BLOCK];
    for at in (0..bytes as u64).step_by(BLOCK) {
        if write {
            file.write_all_at(block, at)?;
        } else {
            file.read_exact_at(block, at)?;
        }
    }
    Ok(())
}
