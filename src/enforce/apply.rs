//! Enforcement as the rest of the program sees it: a handle that takes orders, and events that say what came of them.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::actuator::Actuator;
use super::desk::{Desk, Letter};
use super::drift::{DriftSeen, ForeignWriter};
use super::journal::{Journal, JournalError, Recovery};
use super::ledger::Ledger;
use super::order::{Done, Order};
use super::plan::{BY_HAND, Planned};
use super::stats::{Numbers, Stats, lock};
use super::worker::{Books, Shared, now};
use crate::model::{Identity, Knob};
use crate::policy::engine::starved;
use crate::policy::rule::Notify;
use crate::policy::signal::Resource;

/// How long the kernel may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a control to be written, and for one to be put back.
    pub write: Duration,
    /// For every task to stand.
    pub freeze: Duration,
    /// For every process to be gone, after the grace.
    pub kill: Duration,
    /// For memory to be reclaimed.
    pub reclaim: Duration,
    /// For a unit to be stopped, or stopped and started: systemd itself waits 90 s for each unless the unit says otherwise.
    pub job: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            write: seconds(5),
            freeze: seconds(3),
            kill: seconds(10),
            reclaim: seconds(10),
            job: seconds(100),
        }
    }
}

/// What enforcement is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The journal's directory.
    pub journal: PathBuf,
    /// The kernel's boot id.
    pub boot: String,
    /// How long the kernel may take.
    pub deadlines: Deadlines,
}

/// What enforcement tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// What came of an order, of the end of a claim, or of a refusal.
    Done(Done),
    /// Another one wrote a claimed control.
    Drift(DriftSeen),
}

/// One claim in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Whose.
    pub rule: Arc<str>,
    /// On which cgroup.
    pub target: Arc<Identity>,
    /// On which control; `None` is the freezer.
    pub knob: Option<Knob>,
    /// When it ends by itself (monotonic).
    pub expires: Option<Duration>,
}

/// Why enforcement did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be had.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No thread can be made.
    #[error("cannot start a thread for enforcement: {0}")]
    Thread(io::Error),
}

/// Enforcement, running on threads of its own. Dropped, it undoes everything as well, and does not wait for it.
pub struct Enforcer {
    letters: Sender<Letter>,
    shared: Arc<Shared>,
    desk: Option<JoinHandle<()>>,
}

impl Enforcer {
    /// Opens the journal where there is one, undoes what a former program left behind, and starts the threads.
    ///
    /// `notify` hands a message over and must not block; `report` is called on the desk's thread and must not either.
    ///
    /// # Errors
    /// When the journal cannot be had, or no thread can be made.
    pub fn start(
        settings: Settings,
        actuator: Arc<dyn Actuator>,
        stats: Arc<Stats>,
        notify: impl Fn(&Order, &Notify) -> Result<(), String> + Send + 'static,
        report: impl Fn(Event) + Send + 'static,
    ) -> Result<(Self, Recovery), StartError> {
        let mut journal = None;
        let mut recovery = Recovery::default();
        if settings.journal.exists() {
            let mut found = Journal::open(&settings.journal, &settings.boot)?;
            recovery = found.recover(&*actuator);
            stats.change(|numbers| {
                numbers.torn_bytes = recovery.damage.torn;
                numbers.corrupt_lines = recovery.damage.corrupt;
                numbers.recovered = recovery.claims.len() as u64;
            });
            journal = Some(found);
        }
        let books = Mutex::new(Books { ledger: Ledger::default(), journal });
        let shared = Arc::new(Shared { actuator, settings, books, stats });
        let (letters, inbox) = mpsc::channel();
        let desk =
            Desk::start(Arc::clone(&shared), letters.clone(), inbox, Box::new(notify), Box::new(report));
        let desk = desk.map_err(StartError::Thread)?;
        Ok((Self { letters, shared, desk: Some(desk) }, recovery))
    }

    /// Has an order carried out, or, in a dry run, only reported.
    pub fn submit(&self, order: Order) {
        self.tell(Letter::Submit(Box::new(order)));
    }

    /// Takes what the guard rails made of a request: an order is carried out, a refusal reported.
    pub fn carry_out(&self, planned: Planned) {
        match planned {
            Planned::Go(order) | Planned::DryRun(order) => self.submit(order),
            Planned::Refused { order, outcome, reason } => {
                self.tell(Letter::Refused(Box::new(Planned::refusal(order, outcome, reason, now()))));
            }
            Planned::Nothing => {}
        }
    }

    /// Says that somebody else may have written a control, or the freezer (`None`). Only what a rule claims leads to anything.
    pub fn foreign_write(&self, target: Arc<Identity>, knob: Option<Knob>, writer: ForeignWriter) {
        self.tell(Letter::Foreign { target, knob, writer });
    }

    /// Undoes everything, newest first, and goes on. Waits no longer than `within`; true when all was tried by then.
    #[must_use]
    pub fn undo_all(&self, within: Duration) -> bool {
        self.end_all(BY_HAND, false, within)
    }

    /// Undoes everything, takes no more orders, and ends. Waits no longer than `within`, and says how many claims are
    /// then still open: the next start undoes those.
    #[must_use]
    pub fn shutdown(mut self, within: Duration) -> usize {
        let ended = self.end_all(SHUTDOWN, true, within);
        if ended && let Some(desk) = self.desk.take() {
            let _ = desk.join();
        }
        let mut books = lock(&self.shared.books);
        let open = books.journal.as_ref().map_or(0, Journal::open_claims);
        if ended {
            // Nobody writes it any more; a worker that has yet to end must not keep it locked.
            books.journal = None;
        }
        open
    }

    /// Looks at the ledger. Workers wait meanwhile.
    pub fn read_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&lock(&self.shared.books).ledger)
    }

    /// The claims in force.
    #[must_use]
    pub fn active(&self) -> Vec<Active> {
        let books = lock(&self.shared.books);
        let active = books.ledger.each().flat_map(|(target, claims)| {
            claims.map(|(knob, claim)| Active {
                rule: Arc::clone(&claim.rule),
                target: Arc::clone(target),
                knob: knob.cloned(),
                expires: claim.expires,
            })
        });
        active.collect()
    }

    /// The cgroups on which a person's own orders are in force.
    #[must_use]
    pub fn ordered_by_hand(&self) -> Vec<Arc<Identity>> {
        let books = lock(&self.shared.books);
        let by_hand = books.ledger.each().filter_map(|(target, mut claims)| {
            claims.any(|(_, claim)| &*claim.rule == BY_HAND).then(|| Arc::clone(target))
        });
        by_hand.collect()
    }

    /// Which cgroups are held back by a limit of ours, and in what: the stall that follows is not their guilt.
    #[must_use]
    pub fn throttles(&self) -> Vec<(Arc<Identity>, Resource)> {
        let active = self.active();
        let claims = active.iter().flat_map(|claim| {
            let resources = claim.knob.as_ref().map_or(&[][..], starved);
            resources.iter().map(|&resource| (Arc::clone(&claim.target), resource))
        });
        claims.collect()
    }

    /// The numbers behind the metrics, with what is in force now.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let mut numbers = self.shared.stats.snapshot();
        let books = lock(&self.shared.books);
        for (_, claims) in books.ledger.each() {
            for (knob, claim) in claims {
                let action = if knob.is_some() { "set" } else { "freeze" };
                *numbers.active.entry((Arc::clone(&claim.rule), action)).or_default() += 1;
            }
        }
        numbers.journal_entries = books.journal.as_ref().map_or(0, |journal| journal.open_claims() as u64);
        numbers.journal_faults = books.journal.as_ref().map_or(0, Journal::faults);
        numbers
    }

    fn end_all(&self, rule: &'static str, close: bool, within: Duration) -> bool {
        let (reply, answer) = mpsc::channel();
        self.tell(Letter::UndoAll { rule, close, reply });
        answer.recv_timeout(within).is_ok()
    }

    fn tell(&self, letter: Letter) {
        // The desk ends only after a shutdown, and then nothing is to be done any more.
        let _ = self.letters.send(letter);
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        if self.desk.is_some() {
            let (reply, _) = mpsc::channel();
            self.tell(Letter::UndoAll { rule: SHUTDOWN, close: true, reply });
        }
    }
}

/// The name that the undoing at the end goes by.
pub const SHUTDOWN: &str = "shutdown";
