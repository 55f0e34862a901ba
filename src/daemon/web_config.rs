//! The web configuration: loaded at the start, again when SIGHUP says so, and again when one of its files has changed.
//!
//! Certificates are renewed by programs that tell nobody. So the files are looked at once a second, by stat(2) alone,
//! and read when one is another one than before: what changed counts after two seconds at most. A configuration that
//! cannot be used leaves the one before in force. Two files, such as a certificate and its key, are never exchanged at
//! one instant, so that an error only counts when it is still there a second later.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;

use super::{DaemonError, system};
use crate::config::Problems;
use crate::config::web::{self as web_config, Loaded, WebConfig};
use crate::metrics::Own;
use crate::web::tls::HandshakeFailure;
use crate::web::{AuthFailure, Guard};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often a configuration may name other files than the one read just before, until what it names is known.
const ATTEMPTS: usize = 3;

/// Keeps what the server goes by in step with the files.
pub(super) struct WebFiles {
    file: PathBuf,
    guard: Arc<Guard>,
    own: Arc<Own>,
    state: Mutex<State>,
}

/// What was seen of the files.
#[derive(Default)]
struct State {
    /// Each file as it was before it was read last; `None` is one that is not there.
    seen: Vec<(PathBuf, Option<Stamp>)>,
    /// The newest look met an error, which the next one may not.
    in_doubt: bool,
    /// The error that was told last.
    told: Option<String>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// What a name leads to, symbolic links followed: Kubernetes exchanges a link above a secret's files.
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl WebFiles {
    /// Loads a web configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn start(file: PathBuf, own: Arc<Own>) -> Result<Self, DaemonError> {
        let mut state = State::default();
        let config = state.load(&file).map_err(DaemonError::WebConfig)?;
        tell(&config, &own);
        let guard = Guard::new(config.protection).map_err(system("make a key"))?;
        Ok(Self { file, guard: Arc::new(guard), own, state: Mutex::new(state) })
    }

    /// What the server goes by.
    pub(super) fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// Loads it again, and puts it in force. Reads files.
    ///
    /// # Errors
    /// What is wrong with it: the one before stays in force.
    pub(super) fn reload(&self) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_doubt = false;
        state.told = None;
        let loaded = self.take(&mut state);
        loaded.map_err(|problem| self.refuse(&mut state, problem))
    }

    /// Looks at the files once a second, for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let files = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || files.look()).await {
                tracing::error!(%error, "looking at the web configuration's files failed");
            }
        }
    }

    /// Loads it again if a file has changed.
    fn look(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let same = state.seen.iter().all(|(file, stamp)| Stamp::of(file) == *stamp);
        if same && !state.in_doubt {
            return;
        }
        match self.take(&mut state) {
            Ok(()) => {
                state.in_doubt = false;
                state.told = None;
            }
            Err(_) if !state.in_doubt => state.in_doubt = true,
            Err(problem) => {
                state.in_doubt = false;
                self.refuse(&mut state, problem);
            }
        }
    }

    fn take(&self, state: &mut State) -> Result<(), String> {
        let config = state.load(&self.file).map_err(|problems| problems.to_string())?;
        if config.protection.tls.is_some() != self.guard.speaks_tls() {
            return Err("whether TLS is spoken cannot change while the program runs: restart it".to_owned());
        }
        tell(&config, &self.own);
        self.guard.replace(config.protection);
        Ok(())
    }

    /// Says once what is wrong.
    fn refuse(&self, state: &mut State, problem: String) -> String {
        self.own.web_refused(SystemTime::now());
        if state.told.as_ref() != Some(&problem) {
            tracing::error!("the old web configuration stays in force, the new one is wrong:\n{problem}");
            state.told = Some(problem.clone());
        }
        problem
    }
}

impl State {
    /// Loads a web configuration, and notes how each of its files was before it was read.
    fn load(&mut self, file: &Path) -> Result<WebConfig, Problems> {
        let mut named: Vec<PathBuf> = self.seen.drain(..).map(|(file, _)| file).collect();
        if named.is_empty() {
            named.push(file.to_owned());
        }
        let mut attempt = 1;
        loop {
            let before: Vec<_> = named.iter().map(|file| (file.clone(), Stamp::of(file))).collect();
            let Loaded { files, config } = web_config::load(file);
            if attempt == ATTEMPTS || files.iter().all(|file| named.contains(file)) {
                self.seen = before.into_iter().filter(|(file, _)| files.contains(file)).collect();
                return config;
            }
            named = files;
            attempt += 1;
        }
    }
}

/// Says what is in force now.
fn tell(config: &WebConfig, own: &Own) {
    let (protection, now) = (&config.protection, SystemTime::now());
    own.web_reloaded(now, config.expires);
    if protection.tls.is_some() {
        own.expect_handshakes(HandshakeFailure::ALL.iter().map(|reason| reason.name()));
    }
    if !protection.users.is_empty() {
        own.expect_auths(AuthFailure::ALL.iter().map(|reason| reason.name()));
    }
    let tls = if protection.tls.is_some() { "on" } else { "off" };
    tracing::info!(tls, users = protection.users.len(), rate_limit = ?protection.rate_limit, "the web configuration is in force");
    for remark in &config.remarks {
        tracing::info!("web configuration: {remark}");
    }
    if config.expires.is_some_and(|expires| expires < now) {
        tracing::warn!("the server's certificate has run out: clients will refuse it; renew it");
    }
}
