//! Enforcement's beginning and end, around the loop.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::board::Board;
use super::by_hand;
use super::enforcement::Waiting;
use super::report::Reporter;
use super::retries::{self, Told};
use super::socket::Desk;
use super::surroundings::Surroundings;
use crate::config::Config;
use crate::enforce::apply::{Enforcer, Event, StartError};
use crate::kernel::capability::capabilities;
use crate::kernel::layout::{Layout, Paths};
use crate::metrics::Own;
use crate::policy::capability::{Severity, judge};
use crate::policy::rule::Mode;

/// How long undoing may take at the end: a freeze to thaw and limits to write, each with its deadline.
const UNDO_WITHIN: Duration = Duration::from_secs(30);

/// Why enforcement cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SteeringError {
    /// The journal's directory cannot be made.
    #[error("cannot make the journal's directory {}: {error}; `safety.journal` names another one", path.display())]
    Directory {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// This host cannot do what the rules say.
    #[error("this host cannot do what the rules say; `stockade check` shows the places:\n{0}")]
    Host(String),
    /// The journal or the threads cannot be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A thread of the audit or of the messages.
    #[error("cannot start a thread for the audit: {0}")]
    Thread(io::Error),
}

/// What runs beside the loop once there are rules, or a journal.
pub(super) struct Steering {
    pub enforcer: Arc<Enforcer>,
    pub surroundings: Surroundings,
    pub desk: Option<Desk>,
    pub waiting: Waiting,
    pub reporter: Reporter,
    pub told: Told,
    /// What former programs killed, with how long ago.
    pub kills: Vec<(Box<[u8]>, Duration)>,
}

impl Steering {
    /// What [`end`] is given.
    pub fn ends(&self) -> (Arc<Enforcer>, Reporter) {
        (Arc::clone(&self.enforcer), self.reporter.clone())
    }

    /// Whether a configuration needs it: it has rules, or a former program left a journal.
    fn is_needed(config: &Config) -> bool {
        !config.rules.is_empty() || config.safety.journal.exists()
    }

    /// Holds the rules against this host. What it does otherwise is logged.
    ///
    /// # Errors
    /// What it cannot do and no rule says that this is accepted, a line each.
    pub fn judge_host(config: &Config, layout: &Layout, paths: &Paths) -> Result<(), String> {
        if config.rules.is_empty() {
            return Ok(());
        }
        let remarks = judge(&config.rules, &capabilities(layout, paths));
        for remark in remarks.iter().filter(|remark| remark.severity == Severity::Warning) {
            tracing::warn!(rule = &*remark.rule, "{}", remark.message);
        }
        let errors: Vec<String> = remarks
            .iter()
            .filter(|remark| remark.severity == Severity::Error)
            .map(|remark| format!("{}: {}", remark.rule, remark.message))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }

    /// Starts it where a configuration needs it. Who only watches does not fail for want of the journal: another program
    /// enforces here and holds it, or another user's is there.
    pub fn start_if_needed(
        config: &Config,
        layout: &Layout,
        paths: Paths,
        (own, board): (&Arc<Own>, &Arc<Board>),
    ) -> Result<Option<Self>, SteeringError> {
        if !Self::is_needed(config) {
            return Ok(None);
        }
        match Self::start(config, layout, paths, (own, board)) {
            Ok(steering) => Ok(Some(steering)),
            Err(error) if config.rules.is_empty() => {
                tracing::warn!(%error, "what a former program may have left is not looked at; nothing is enforced here");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the journal, undoes what a former program left in it, and opens the desk.
    fn start(
        config: &Config,
        layout: &Layout,
        paths: Paths,
        (own, board): (&Arc<Own>, &Arc<Board>),
    ) -> Result<Self, SteeringError> {
        let safety = &config.safety;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&safety.journal);
        if let Err(error) = made {
            let path = safety.journal.clone();
            if safety.mode == Mode::Enforce {
                return Err(SteeringError::Directory { path, error });
            }
            tracing::warn!(%error, journal = %path.display(), "no journal can be kept; nothing is enforced anyway");
        }
        let mut surroundings = Surroundings::new(layout, paths);
        let reporter =
            Reporter::new(Arc::clone(own), Arc::clone(board), safety).map_err(SteeringError::Thread)?;
        let waiting: Waiting = Arc::new(Mutex::new(HashMap::new()));
        let asked = Arc::clone(&waiting);
        let told = Told::default();
        let limits = Arc::clone(&told);
        let (enforcer, recovery) = reporter.start(safety, &mut surroundings, move |event| {
            if let Event::Done(done) = event {
                retries::tell(&limits, done);
                let reply = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&done.order.id);
                if let Some(reply) = reply {
                    // Who asked may have gone away, and then nobody wants to know.
                    let _ = reply.send(by_hand::answer(done));
                }
            }
        })?;
        // The journal is locked: a socket that is there is a dead one's.
        let desk = safety.journal.is_dir().then(|| Desk::open(&safety.journal)).and_then(|desk| {
            desk.inspect_err(|error| tracing::warn!(%error, "orders by hand cannot be taken")).ok()
        });
        let (enforcer, kills) = (Arc::new(enforcer), recovery.kills);
        Ok(Self { enforcer, surroundings, desk, waiting, reporter, told, kills })
    }
}

/// Undoes everything at the end. The loop has ended, so that nobody else has the enforcer.
pub(super) fn end(enforcer: Arc<Enforcer>, reporter: &Reporter) {
    let left = match Arc::try_unwrap(enforcer) {
        Ok(enforcer) => enforcer.shutdown(UNDO_WITHIN),
        // Somebody's `undo` is under way, and undoes everything as well.
        Err(enforcer) => usize::from(!enforcer.undo_all(UNDO_WITHIN)),
    };
    reporter.flush();
    if left > 0 {
        tracing::error!(left, "not everything was undone: `stockade undo`, or the next start, goes on");
    }
}
