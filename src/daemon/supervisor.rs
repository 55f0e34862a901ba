//! What the service manager is told (sd_notify(3)): readiness, reloads, the end, a line for `systemctl status`, and signs of
//! life.
//!
//! A sign of life starts on the sampler's thread, once a pass and as often as the manager asks, and is passed on by the
//! async side: when either hangs none arrives, and the manager's watchdog starts the program anew.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as Blocking};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::PollFlags;
use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::model::Snapshot;
use crate::sample::{Attendant, News, Ready, Sampler, now};

/// How often the status line may change.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// Signs of life in the time after which the manager believes in none.
const BEATS: u32 = 4;
/// How long a manager that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service manager, where there is one.
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// How often a sign of life is due.
    beat: Option<Duration>,
}

impl Supervisor {
    /// Takes `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` from the environment.
    ///
    /// # Errors
    /// When there is an address and nobody can be reached there: who waits for readiness would wait in vain.
    pub fn from_environment() -> io::Result<Self> {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let socket = socket.map(|address| connect(&address)).transpose()?;
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        Ok(Self { socket, beat: watchdog.map(|time| time / BEATS) })
    }

    /// The sampler's side of the signs of life.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::new(Pulse { every: self.beat, ..Pulse::default() })
    }

    /// Tells readiness after the first pass; then passes on signs of life and keeps the status line true, for ever.
    pub async fn attend(&self, pulse: &Pulse, status: impl Fn() -> String) {
        pulse.passed.notified().await;
        let mut told = status();
        self.tell(&[NotifyState::Ready, NotifyState::Status(&told)]).await;
        let mut clock = interval(self.beat.map_or(STATUS_EVERY, |beat| beat.min(STATUS_EVERY)));
        // After a standstill one sign of life is as good as many.
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            if pulse.beaten.swap(false, Ordering::Relaxed) && self.beat.is_some() {
                self.tell(&[NotifyState::Watchdog]).await;
            }
            let line = status();
            if line != told {
                self.tell(&[NotifyState::Status(&line)]).await;
                told = line;
            }
        }
    }

    /// The configuration is about to be read again; [`Self::reloaded`] follows.
    pub async fn reloading(&self) {
        // systemd from 253 on asks when the reload began; older ones pass over it.
        match NotifyState::monotonic_usec_now() {
            Ok(since) => self.tell(&[NotifyState::Reloading, since]).await,
            Err(_) => self.tell(&[NotifyState::Reloading]).await,
        }
    }

    /// A configuration is in force again, the new one or the old.
    pub async fn reloaded(&self) {
        self.tell(&[NotifyState::Ready]).await;
    }

    /// The program ends.
    pub async fn stopping(&self) {
        let status = "ending: what is in force is undone";
        self.tell(&[NotifyState::Stopping, NotifyState::Status(status)]).await;
    }

    async fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        let sent = timeout(PATIENCE, socket.send(message.as_bytes()));
        let sent = sent.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = sent {
            tracing::warn!(%error, message = message.trim_end(), "the service manager was not told");
        }
    }
}

/// Connects to the manager's socket: a path, or with @ in front the name of an abstract socket, which containers' managers
/// give. `sd_notify::notify` knows paths only, and blocks.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let peer = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = Blocking::unbound()?;
    socket.connect_addr(&peer)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// A sign of life on its way from the sampler's thread.
#[derive(Default)]
pub(super) struct Pulse {
    every: Option<Duration>,
    /// The first pass is over.
    passed: Notify,
    /// The thread went round since this was looked at.
    beaten: AtomicBool,
}

/// An attendant that also gives signs of life.
pub(super) struct Heartbeat<A> {
    inner: A,
    pulse: Arc<Pulse>,
    /// When the next one is due (monotonic).
    due: Option<Duration>,
}

impl<A> Heartbeat<A> {
    /// Around an attendant.
    pub const fn new(inner: A, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse, due: None }
    }

    fn beat(&mut self) {
        self.due = self.pulse.every.map(|every| now() + every);
        self.pulse.beaten.store(true, Ordering::Relaxed);
    }
}

impl<A: Attendant> Attendant for Heartbeat<A> {
    fn passed(&mut self, snapshot: Arc<Snapshot>, news: Vec<News>, sampler: &mut Sampler) {
        self.inner.passed(snapshot, news, sampler);
        self.beat();
        self.pulse.passed.notify_one();
    }

    fn noticed(&mut self, news: Vec<News>, ready: &[Ready], sampler: &mut Sampler) {
        self.inner.noticed(news, ready, sampler);
        self.beat();
    }

    fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        self.inner.descriptors()
    }

    fn wants(&self) -> Option<Duration> {
        [self.inner.wants(), self.due].into_iter().flatten().min()
    }
}
