//! What another program does to what is claimed: who lets go, and what is written again.

use std::sync::Arc;

use super::actuator::{Fault, Held};
use super::ledger::Drift;
use super::order::Outcome;
use super::stats::lock;
use super::worker::{Shared, now};
use crate::kernel::freeze::SWITCH;
use crate::model::{Identity, Knob, Value, Writer};

/// Who wrote a control, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignWriter {
    /// What kind of program.
    pub kind: Writer,
    /// Its process id.
    pub pid: Option<u32>,
    /// Its name.
    pub command: Option<String>,
}

/// Another one's write to a control that a rule keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftSeen {
    /// Which cgroup.
    pub target: Arc<Identity>,
    /// Which control; `None` is the freezer.
    pub knob: Option<Knob>,
    /// What this program had put there. The freezer's values are those of `cgroup.freeze`, on v1 too.
    pub ours: Value,
    /// What the other one put there.
    pub theirs: Value,
    /// Who.
    pub writer: ForeignWriter,
    /// What was done about it.
    pub answer: DriftAnswer,
}

impl DriftSeen {
    /// The control's file; the freezer's is v2's, on v1 too.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.knob.as_ref().map_or(SWITCH, Knob::file)
    }

    /// The control, with its device where it has one.
    #[must_use]
    pub fn control(&self) -> String {
        self.knob.as_ref().map_or_else(|| SWITCH.to_owned(), Knob::to_string)
    }
}

/// What was done about another one's write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriftAnswer {
    /// These rules let go of the control.
    Yielded(Vec<Arc<str>>),
    /// It was written again for this rule, or the kernel said why not.
    Reasserted(Arc<str>, Result<(), String>),
}

impl Shared {
    /// Looks at a control, or the freezer (`None`), that somebody else may have written, and answers.
    pub fn foreign(
        &self,
        target: &Arc<Identity>,
        knob: Option<&Knob>,
        writer: ForeignWriter,
    ) -> Option<DriftSeen> {
        let held = self.actuator.open(target).ok()?;
        let (ours, theirs, answer) = match knob {
            Some(knob) => self.rewritten(target, &*held, knob)?,
            None => self.thawed(target, &*held)?,
        };
        Some(DriftSeen { target: Arc::clone(target), knob: knob.cloned(), ours, theirs, writer, answer })
    }

    /// A control: it is let go of or written again, as its rule says.
    fn rewritten(
        &self,
        target: &Arc<Identity>,
        held: &dyn Held,
        knob: &Knob,
    ) -> Option<(Value, Value, DriftAnswer)> {
        let theirs = held.read(knob).ok()?;
        let (drift, ours) = {
            let mut books = lock(&self.books);
            let (_, ours) = books.ledger.in_force(target, knob)?;
            (books.ledger.foreign_write(target, knob, &theirs, now()), ours)
        };
        let answer = match drift {
            Drift::None => return None,
            Drift::Yield(claims) => self.yielded(claims.into_iter().map(|claim| (claim.entry, claim.rule))),
            Drift::Reassert { rule, entry, value } => {
                let intended = {
                    let mut books = lock(&self.books);
                    books.journal(&self.settings).and_then(|journal| journal.intended(entry))
                };
                let put = intended
                    .map_err(|error| Fault::new(Outcome::Failed, error.to_string()))
                    .and_then(|()| self.put(target, held, entry, knob, &value, theirs.clone()));
                self.stats.change(|numbers| numbers.drift_reasserted += 1);
                DriftAnswer::Reasserted(rule, put.map(|_| ()).map_err(|fault| fault.message))
            }
        };
        Some((ours, theirs, answer))
    }

    /// The freezer: whoever thaws what is frozen here has it so, and no rule freezes it again for that.
    fn thawed(&self, target: &Identity, held: &dyn Held) -> Option<(Value, Value, DriftAnswer)> {
        if held.is_frozen().ok()? {
            return None;
        }
        let ended = lock(&self.books).ledger.release(target, |knob, _| knob.is_none());
        if ended.is_empty() {
            return None;
        }
        // Whoever froze for us has to know as well that it runs; if that cannot be said now, it runs all the same.
        if let Err(fault) = held.thaw() {
            tracing::debug!(cgroup = &*target.display, "{fault}");
        }
        let claims = ended.into_iter().map(|each| (each.claim.entry, each.claim.rule));
        Some((Value::of(1), Value::of(0), self.yielded(claims)))
    }

    fn yielded(&self, claims: impl Iterator<Item = (u64, Arc<str>)>) -> DriftAnswer {
        let mut rules = Vec::new();
        let mut books = lock(&self.books);
        for (entry, rule) in claims {
            books.note(|journal| journal.closed(entry, "yielded"));
            rules.push(rule);
        }
        self.stats.change(|numbers| numbers.drift_yielded += 1);
        DriftAnswer::Yielded(rules)
    }
}
