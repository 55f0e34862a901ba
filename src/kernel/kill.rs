//! Ending every process of a cgroup and of those below it.
//!
//! A signal that can be handled goes first, through pidfds, with a time to act on it. What is left is killed: by
//! `cgroup.kill`, which no fork escapes, where the kernel has it (5.14, and not in threaded cgroups). Elsewhere the cgroup
//! is frozen, so that nothing forks away, every process is sent SIGKILL, and it is thawed, since a process that v1 froze
//! does not die before that; again, until nothing is left. On a hybrid host a process may be in the cgroup in one
//! hierarchy only: all of them are ended.
//!
//! A crash between freezing and thawing would leave it frozen: the journal takes [`Target::save_freezers`] before a kill
//! as it does before a freeze.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::control::{ControlError, Place, Target};
use super::freeze::{await_events, switch};
use super::owner::{is_inside, is_kernel_thread};
use crate::model::Version;

/// So many processes are held by a descriptor at a time.
const BATCH: usize = 256;
/// So often the rest is killed: each round lets nothing fork away but what the freezer could not stop.
const ROUNDS: u32 = 100;
/// So long a round waits for the freezer, and for the killed to be gone.
const ROUND: Duration = Duration::from_millis(500);

/// What a kill did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KillReport {
    /// Processes that were sent the first signal.
    pub signalled: usize,
    /// Processes that were ended by SIGKILL, as far as they could be counted before.
    pub killed: usize,
}

impl Target {
    /// Whether [`Target::kill`] may freeze it for a moment, so that nothing forks away: a program that is killed itself in
    /// that moment would leave it so.
    #[must_use]
    pub fn kill_may_freeze(&self) -> bool {
        let freezer = self.place("freezer").is_ok();
        freezer || !self.v2().is_some_and(|place| place.has("cgroup.kill"))
    }

    /// Ends every process in the cgroup and below it: sends the signal, gives them `grace`, and kills what is left. With
    /// SIGKILL, or without a grace, it kills at once. A frozen cgroup is thawed where its processes could not act on the
    /// signal, or could not die.
    ///
    /// `deadline` is for all of it, `grace` included.
    ///
    /// # Errors
    /// [`ControlError::TimedOut`] when processes are left, [`ControlError::Unsupported`] where this program or PID 1 is
    /// among them, [`ControlError::Vanished`] where the cgroup was gone before anything was done.
    pub fn kill(&self, signal: i32, grace: Duration, deadline: Duration) -> Result<KillReport, ControlError> {
        self.kill_through(signal, grace, deadline, None)
    }

    /// [`Target::kill`], with the first signal sent by somebody else: the service manager that has it.
    ///
    /// # Errors
    /// As [`Target::kill`], and what `send` says.
    pub fn kill_through(
        &self,
        signal: i32,
        grace: Duration,
        deadline: Duration,
        send: Option<&dyn Fn(i32) -> Result<(), ControlError>>,
    ) -> Result<KillReport, ControlError> {
        self.spare_the_program()?;
        self.is_alive()?;
        let until = Instant::now() + deadline;
        let first = Signal::from_named_raw(signal).ok_or_else(|| {
            ControlError::Unsupported(format!("there is no signal {signal}: expected one from 1 to 31"))
        })?;
        let mut report = KillReport::default();
        let killed = self.kill_until(first, grace, until, send, &mut report);
        // Whatever happened, nothing stays frozen.
        let killed = match self.unfreeze() {
            Err(ControlError::Vanished) => killed,
            thawed => killed.and(thawed),
        };
        match killed {
            // Whoever owns it may remove it as soon as it is empty.
            Err(ControlError::Vanished) => Ok(report),
            other => other.map(|()| report),
        }
    }

    fn kill_until(
        &self,
        first: Signal,
        grace: Duration,
        until: Instant,
        send: Option<&dyn Fn(i32) -> Result<(), ControlError>>,
        report: &mut KillReport,
    ) -> Result<(), ControlError> {
        let processes = self.processes()?;
        self.spare_among(&processes)?;
        if first != Signal::KILL && !grace.is_zero() {
            report.signalled = match send {
                None => self.signal_all(&processes, first)?,
                Some(send) => {
                    send(first.as_raw())?;
                    processes.len()
                }
            };
            self.unfreeze()?;
            if self.await_empty(until.min(Instant::now() + grace))? {
                return Ok(());
            }
        }
        for _ in 0..ROUNDS {
            let left = self.processes()?;
            if left.is_empty() || Instant::now() >= until {
                break;
            }
            self.spare_among(&left)?;
            report.killed += self.kill_round(&left)?;
            self.await_deaths(left.len(), until)?;
        }
        match self.processes()?.len() {
            0 => Ok(()),
            left => Err(ControlError::TimedOut {
                what: format!(
                    "{}: {left} processes are left; they may wait for a device (state D), or a cgroup above may be \
                     frozen",
                    self.identity.display
                ),
            }),
        }
    }

    /// Kills these, and what they have forked meanwhile where the kernel or a freezer allows it. Tells how many.
    fn kill_round(&self, processes: &BTreeSet<i32>) -> Result<usize, ControlError> {
        let mut left = processes.clone();
        if let Some(v2) = self.v2() {
            let inside = self.processes_in(v2)?;
            match v2.write("cgroup.kill", "1") {
                Ok(()) => inside.iter().for_each(|pid| {
                    left.remove(pid);
                }),
                // It is threaded, or the kernel is older than 5.14.
                Err(ControlError::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let by_the_kernel = processes.len() - left.len();
        if left.is_empty() {
            // A process that the other version froze dies only when that one lets it go.
            self.unfreeze()?;
            return Ok(by_the_kernel);
        }
        let freezers = self.freezers().unwrap_or_default();
        for place in &freezers {
            switch(place, true)?;
        }
        // It only helps: a process that cannot be stopped is killed all the same, and the next round is for its children.
        let _ = self.await_frozen(&freezers, Instant::now() + ROUND);
        let killed = self.processes().and_then(|now| self.signal_all(&now, Signal::KILL));
        // What v1 stopped dies only when it is let go. What cgroup2 stopped dies as it stands, and those that were born too
        // late for this round stay where they are until the next: a bomb does not outrun it.
        let v1 = freezers.iter().filter(|place| place.version == Version::V1);
        let thawed = v1.into_iter().try_for_each(|place| switch(place, false));
        thawed.and(killed).map(|killed| killed.max(by_the_kernel))
    }

    fn await_frozen(&self, freezers: &[&Place], until: Instant) -> Result<(), ControlError> {
        while !freezers.is_empty() && !self.freezer_state()?.frozen && Instant::now() < until {
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Clears every switch of the cgroup's own: what is frozen can neither act on a signal nor, on v1, die.
    fn unfreeze(&self) -> Result<(), ControlError> {
        self.freezers().unwrap_or_default().into_iter().try_for_each(|place| switch(place, false))
    }

    /// Sends a signal to those that are still in the cgroup, but for kernel threads. Tells to how many.
    fn signal_all(&self, processes: &BTreeSet<i32>, signal: Signal) -> Result<usize, ControlError> {
        let mut signalled = 0;
        let all: Vec<i32> = processes.iter().copied().collect();
        for batch in all.chunks(BATCH) {
            let held: Vec<(i32, OwnedFd)> = batch
                .iter()
                .filter_map(|&pid| Some((pid, pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?)))
                .collect();
            // A number may have passed to another process before it was held: only one that is a member now, while it
            // is held, is the one that was meant. Each tells it itself, in one small file; the lists of every hierarchy are
            // read again only for those that do not, or thousands of processes would take as many readings of all.
            let inside = |pid: i32| {
                is_inside(&self.host.layout, &self.host.procfs, &pid.to_string(), &self.identity.path)
            };
            let (mut members, unsure): (BTreeSet<i32>, BTreeSet<i32>) =
                held.iter().map(|(pid, _)| *pid).partition(|&pid| inside(pid));
            if !unsure.is_empty() {
                let listed = self.processes()?;
                members.extend(unsure.intersection(&listed));
            }
            for (pid, process) in held.iter().filter(|(pid, _)| members.contains(pid)) {
                if is_kernel_thread(&self.host.procfs, &pid.to_string()) {
                    continue;
                }
                match pidfd_send_signal(process, signal) {
                    Ok(()) => signalled += 1,
                    // It has ended by itself.
                    Err(Errno::SRCH) => {}
                    Err(errno) => {
                        return Err(ControlError::Os {
                            file: format!("process {pid} of {}", self.identity.display),
                            value: format!("signal {}", signal.as_raw()),
                            errno: nix::errno::Errno::from_raw(errno.raw_os_error()),
                        });
                    }
                }
            }
        }
        Ok(signalled)
    }

    /// Refuses where this program or PID 1 is among the processes.
    fn spare_among(&self, processes: &BTreeSet<i32>) -> Result<(), ControlError> {
        let own = i32::try_from(std::process::id()).unwrap_or(1);
        match processes.iter().find(|&&pid| pid == 1 || pid == own) {
            None => Ok(()),
            Some(pid) => Err(ControlError::Unsupported(format!(
                "{} holds process {pid}, which is never killed",
                self.identity.display
            ))),
        }
    }

    /// Waits as long as they get fewer. Thousands take their time to die, and another round would stop them at it.
    fn await_deaths(&self, mut left: usize, until: Instant) -> Result<(), ControlError> {
        while !self.await_empty(until.min(Instant::now() + ROUND))? && Instant::now() < until {
            let now = self.processes()?.len();
            if now >= left {
                break;
            }
            left = now;
        }
        Ok(())
    }

    /// Waits until nothing is left, and tells whether that is so.
    fn await_empty(&self, until: Instant) -> Result<bool, ControlError> {
        if let Some(v2) = self.v2() {
            let empty =
                await_events(v2, until, |text| text.lines().any(|line| line == "populated 0"), String::new);
            match empty {
                Err(ControlError::TimedOut { .. }) => return Ok(false),
                other => other?,
            }
        }
        let mut pause = Duration::from_micros(200);
        loop {
            let began = Instant::now();
            if self.processes()?.is_empty() {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            // Long lists take long to read: the time is for who is dying.
            thread::sleep(pause.max(began.elapsed()));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}
