//! One task on one cgroup, carried out from beginning to end on a thread that may block.
//!
//! The desk ([`super::apply`]) gives out one task at a time for each cgroup, so nothing of a cgroup's claims changes
//! under a task's feet. The books are locked for bookkeeping and the journal's sync, never while the kernel is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::actuator::{Actuator, Fault, Held, Saved};
use super::amount::not_below_use;
use super::apply::Settings;
use super::drift::{DriftSeen, ForeignWriter};
use super::journal::{Intent, Journal, JournalError};
use super::ledger::{Claim, Ended, Ledger, Setting};
use super::order::{Change, Deed, Done, Order, Outcome, Through};
use super::plan::BY_HAND;
use super::stats::{Stats, lock};
use super::undo::{PutBack, ending_of_undo};
use crate::model::{Identity, Knob, Value};
use crate::policy::rule::OnDrift;

/// What every worker uses.
pub(super) struct Shared {
    pub actuator: Arc<dyn Actuator>,
    pub settings: Settings,
    pub books: Mutex<Books>,
    pub stats: Arc<Stats>,
}

/// Ledger and journal, always changed together.
pub(super) struct Books {
    pub ledger: Ledger,
    /// Opened at the first claim where there was none at the start.
    pub journal: Option<Journal>,
}

impl Books {
    pub fn journal(&mut self, settings: &Settings) -> Result<&mut Journal, JournalError> {
        if self.journal.is_none() {
            self.journal = Some(Journal::open(&settings.journal, &settings.boot)?);
        }
        Ok(self.journal.as_mut().expect("it was just opened"))
    }

    /// Notes something in the journal, which is there if anything was ever claimed.
    pub fn note(&mut self, note: impl FnOnce(&mut Journal)) {
        if let Some(journal) = &mut self.journal {
            note(journal);
        }
    }
}

/// Which claims an undo ends.
#[derive(Clone, Debug)]
pub(super) enum Which {
    Rule(Arc<str>),
    Entries(Vec<u64>),
    All,
}

impl Which {
    pub fn is_match(&self, claim: &Claim) -> bool {
        match self {
            Self::Rule(rule) => claim.rule == *rule,
            Self::Entries(entries) => entries.contains(&claim.entry),
            Self::All => true,
        }
    }
}

/// What a worker is to do.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// An order from outside.
    Carry(Arc<Order>),
    /// The end of claims.
    Undo { order: Arc<Order>, which: Which, why: &'static str },
    /// What could not be put back is tried again, this long after the last time.
    Retry { ended: Vec<Ended>, pause: Duration },
    /// Another one wrote a claimed control, or the freezer (`None`).
    Foreign { knob: Option<Knob>, writer: ForeignWriter },
}

/// What came of it.
#[derive(Default)]
pub(super) struct Finished {
    pub done: Option<Done>,
    pub drift: Option<DriftSeen>,
    /// What could not be put back.
    pub unfinished: Vec<Ended>,
}

impl Finished {
    /// What is said of work that came to no end because of a bug. What it had claimed ends when its time is over.
    pub fn broken(work: Work) -> Self {
        let ending = |order| {
            let why = "a bug: the thread that did it panicked, please report the message in the log";
            finished(order, Ending::new(Outcome::Failed, why))
        };
        match work {
            Work::Carry(order) | Work::Undo { order, .. } => ending(order),
            Work::Retry { ended, .. } => Self { unfinished: ended, ..Self::default() },
            Work::Foreign { .. } => Self::default(),
        }
    }
}

/// What an order came to, before it is told.
pub(super) struct Ending {
    pub outcome: Outcome,
    pub detail: String,
    pub changes: Vec<Change>,
    pub unfinished: Vec<Ended>,
    pub through: Option<Through>,
}

impl Ending {
    pub fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), changes: Vec::new(), unfinished: Vec::new(), through: None }
    }

    pub fn applied(detail: impl Into<String>) -> Self {
        Self::new(Outcome::Applied, detail)
    }
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Self::new(fault.outcome, fault.message)
    }
}

impl From<JournalError> for Ending {
    /// What cannot be undone for sure is not done.
    fn from(error: JournalError) -> Self {
        Self::new(Outcome::Failed, error.to_string())
    }
}

/// The present, on the clock that [`crate::model::Snapshot::at`] is of.
pub(super) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

impl Shared {
    /// Does it.
    pub fn work(&self, target: &Arc<Identity>, work: Work) -> Finished {
        match work {
            Work::Carry(order) => {
                let ending = self.carry(&order).unwrap_or_else(|ending| ending);
                finished(order, ending)
            }
            Work::Undo { order, which, why } => {
                let ending = self.undo(target, &which, why, order.dry_run);
                finished(order, ending)
            }
            Work::Retry { ended, .. } => {
                Finished { unfinished: self.retry(target, ended), ..Finished::default() }
            }
            Work::Foreign { knob, writer } => {
                Finished { drift: self.foreign(target, knob.as_ref(), writer), ..Finished::default() }
            }
        }
    }

    fn carry(&self, order: &Arc<Order>) -> Result<Ending, Ending> {
        match &order.deed {
            Deed::Undo => {
                // Who undoes by hand means whatever is in force there; a rule takes back what is its own.
                let which = match &*order.rule {
                    BY_HAND => Which::All,
                    _ => Which::Rule(Arc::clone(&order.rule)),
                };
                return Ok(self.undo(&order.target, &which, "ordered", order.dry_run));
            }
            Deed::Notify(_) => return Ok(Ending::applied("")),
            _ => {}
        }
        let held = self.actuator.open(&order.target)?;
        let ending = self.act(order, &*held).unwrap_or_else(|ending| ending);
        if matches!(order.deed, Deed::Kill(_) | Deed::Restart | Deed::Stop) {
            self.forget_freezes(&order.target, &*held);
        }
        Ok(Ending { through: held.through(&order.deed), ..ending })
    }

    fn act(&self, order: &Order, held: &dyn Held) -> Result<Ending, Ending> {
        let deadlines = &self.settings.deadlines;
        match &order.deed {
            Deed::Set { values, on_drift } => self.set(order, held, values, *on_drift),
            Deed::Freeze => self.freeze(order, held),
            Deed::Thaw => self.thaw(order, held),
            Deed::Restart => {
                self.count_kill(order);
                held.restart(deadlines.job)?;
                Ok(Ending::applied("systemd has stopped it and started it again"))
            }
            Deed::Stop => {
                self.count_kill(order);
                held.stop(deadlines.job)?;
                Ok(Ending::applied("systemd has stopped it"))
            }
            Deed::Kill(kill) => {
                self.count_kill(order);
                let freezes = held.kill_may_freeze();
                self.passing(order, freezes.then_some(None), || held.kill(*kill, deadlines.kill))?;
                Ok(Ending::applied("no process is left"))
            }
            Deed::Reclaim(bytes) => {
                let original = held.reclaim_writes()?.map(|knob| held.save(&knob)).transpose()?;
                let reclaimed = self.passing(order, original.map(Some), || held.reclaim(*bytes))?;
                Ok(Ending::applied(format!("{reclaimed} of {bytes} bytes reclaimed")))
            }
            Deed::Notify(_) | Deed::Undo => unreachable!("they need no cgroup, and are done above"),
        }
    }

    /// Writes down that processes are ended, for the budgets of the next program. A full disk is no reason to let a bomb live:
    /// the budget of this process counts it all the same.
    fn count_kill(&self, order: &Order) {
        let _ = lock(&self.books).journal(&self.settings).and_then(|journal| journal.killing(&order.target));
    }

    /// What stood still runs again where it had to, so that it could end: no freeze is in force any more.
    fn forget_freezes(&self, target: &Identity, held: &dyn Held) {
        if lock(&self.books).ledger.is_frozen(target) && held.is_frozen().is_ok_and(|frozen| !frozen) {
            let mut books = lock(&self.books);
            for ended in books.ledger.release(target, |knob, _| knob.is_none()) {
                books.note(|journal| journal.undone(ended.claim.entry, "thawed to end"));
            }
        }
    }

    /// Does what turns a control or freezes for a moment and puts it back itself: the journal has it meanwhile, for the case
    /// that nobody lives to put it back. `turned` is the freezer (`Some(None)`), a control, or nothing at all.
    #[expect(clippy::option_option, reason = "nothing, the freezer, or a control")]
    fn passing<T>(
        &self,
        order: &Order,
        turned: Option<Option<Saved>>,
        act: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Ending> {
        let Some(control) = turned else { return Ok(act()?) };
        let entry = {
            let mut books = lock(&self.books);
            let journal = books.journal(&self.settings)?;
            let entry = journal.next_entry();
            let control = control.as_ref().map(|original| (original, &original.value));
            let (rule, target) = (&*order.rule, &*order.target);
            journal.claim(&[Intent { entry, order: order.id, rule, target, control, ttl: None }])?;
            entry
        };
        let done = act();
        lock(&self.books).note(|journal| journal.undone(entry, "put back"));
        Ok(done?)
    }

    /// Claims the controls, all or none.
    fn set(
        &self,
        order: &Order,
        held: &dyn Held,
        values: &[(Knob, Value)],
        on_drift: OnDrift,
    ) -> Result<Ending, Ending> {
        let mut wanted: Vec<(Saved, Value, Value)> = Vec::with_capacity(values.len());
        for (knob, value) in values {
            let before = held.read(knob)?;
            let seen = order.seen.iter().find(|(which, _)| which == knob).map(|(_, seen)| seen);
            let known = {
                let ledger = &lock(&self.books).ledger;
                if let Some(seen) = seen.filter(|seen| ledger.is_foreign(&order.target, knob, seen, &before))
                {
                    let detail = format!(
                        "somebody else changed {knob} from {seen} to {before} since this was decided: left alone"
                    );
                    return Err(Ending::new(Outcome::NotOwner, detail));
                }
                ledger.original(&order.target, knob).cloned()
            };
            let original = match known {
                Some(original) => original,
                None => held.save(knob)?,
            };
            let value = not_below_use(knob, value, held.usage(knob), order.allow_oom);
            wanted.push((original, value, before));
        }
        let entries = self.claim(order, &wanted, on_drift)?;
        let mut changes = Vec::with_capacity(wanted.len());
        for (original, _, before) in wanted {
            let knob = &original.knob;
            let Some((entry, value)) = lock(&self.books).ledger.in_force(&order.target, knob) else {
                continue;
            };
            match self.put(&order.target, held, entry, knob, &value, before) {
                Ok(change) => changes.extend(change),
                Err(fault) => {
                    let ours = |_: Option<&Knob>, claim: &Claim| entries.contains(&claim.entry);
                    let ended = lock(&self.books).ledger.release(&order.target, ours);
                    let PutBack { unfinished, .. } = self.put_back(&order.target, held, ended, "failed");
                    return Err(Ending { unfinished, ..fault.into() });
                }
            }
        }
        Ok(Ending { changes, ..Ending::applied("") })
    }

    /// Writes the claims down, and into the ledger.
    fn claim(
        &self,
        order: &Order,
        wanted: &[(Saved, Value, Value)],
        on_drift: OnDrift,
    ) -> Result<Vec<u64>, JournalError> {
        let mut books = lock(&self.books);
        let journal = books.journal(&self.settings)?;
        let ttl = order.expires.map(|at| at.saturating_sub(now()));
        let intents: Vec<Intent<'_>> = wanted
            .iter()
            .map(|(original, value, _)| Intent {
                entry: journal.next_entry(),
                order: order.id,
                rule: &order.rule,
                target: &order.target,
                control: Some((original, value)),
                ttl,
            })
            .collect();
        journal.claim(&intents)?;
        let entries: Vec<u64> = intents.iter().map(|intent| intent.entry).collect();
        for (&entry, (original, value, _)) in entries.iter().zip(wanted) {
            let setting = Setting {
                claim: new_claim(entry, order),
                value: value.clone(),
                on_drift,
                loosens: order.loosens,
            };
            let older = books.ledger.claim(&order.target, original.clone(), setting);
            if let Some(older) = older {
                books.note(|journal| journal.undone(older.entry, "replaced"));
            }
        }
        Ok(entries)
    }

    /// Puts a value in force, and says what changed.
    pub fn put(
        &self,
        target: &Identity,
        held: &dyn Held,
        entry: u64,
        knob: &Knob,
        value: &Value,
        before: Value,
    ) -> Result<Option<Change>, Fault> {
        held.write(knob, value)?;
        let after = held.read(knob)?;
        let mut books = lock(&self.books);
        books.ledger.written(target, knob, after.clone());
        books.note(|journal| journal.applied(entry, Some(&after)));
        Ok((before != after).then(|| Change { knob: knob.clone(), before, after }))
    }

    fn freeze(&self, order: &Order, held: &dyn Held) -> Result<Ending, Ending> {
        let entry = {
            let ours = lock(&self.books).ledger.is_frozen(&order.target);
            if !ours && held.is_frozen()? {
                return Ok(Ending::applied("somebody else froze it before: it is theirs to thaw"));
            }
            let mut books = lock(&self.books);
            let journal = books.journal(&self.settings)?;
            let entry = journal.next_entry();
            let ttl = order.expires.map(|at| at.saturating_sub(now()));
            let (rule, target) = (&*order.rule, &*order.target);
            journal.claim(&[Intent { entry, order: order.id, rule, target, control: None, ttl }])?;
            if let Some(older) = books.ledger.claim_freeze(&order.target, new_claim(entry, order)) {
                books.note(|journal| journal.undone(older.entry, "replaced"));
            }
            entry
        };
        if let Err(fault) = held.freeze(self.settings.deadlines.freeze) {
            let ended = lock(&self.books).ledger.release(&order.target, |_, claim| claim.entry == entry);
            let PutBack { unfinished, .. } = self.put_back(&order.target, held, ended, "failed");
            return Err(Ending { unfinished, ..fault.into() });
        }
        lock(&self.books).note(|journal| journal.applied(entry, None));
        Ok(Ending::applied("every task stands"))
    }

    /// Ends every rule's claim on the freezer. A person may also thaw what somebody else froze.
    fn thaw(&self, order: &Order, held: &dyn Held) -> Result<Ending, Ending> {
        let ended = lock(&self.books).ledger.release(&order.target, |knob, _| knob.is_none());
        if ended.is_empty() {
            held.thaw()?;
            return Ok(Ending::applied("it was not frozen by this program"));
        }
        let back = self.put_back(&order.target, held, ended, "thawed");
        Ok(ending_of_undo(back))
    }
}

fn new_claim(entry: u64, order: &Order) -> Claim {
    Claim { entry, rule: Arc::clone(&order.rule), order: order.id, expires: order.expires }
}

fn finished(order: Arc<Order>, ending: Ending) -> Finished {
    let reaction = now().saturating_sub(order.noticed);
    let Ending { outcome, detail, changes, unfinished, through } = ending;
    Finished {
        done: Some(Done { order, outcome, detail, changes, reaction, through }),
        drift: None,
        unfinished,
    }
}
