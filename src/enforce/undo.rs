//! What claims leave to be written when they end, and who is in the way.

use std::sync::Arc;

use super::actuator::{Fault, Held};
use super::ledger::{Ended, Restore};
use super::order::{Change, Deed, Outcome};
use super::stats::lock;
use super::worker::{Ending, Shared, Which};
use crate::model::{Identity, Value};

impl Shared {
    pub fn undo(&self, target: &Arc<Identity>, which: &Which, why: &'static str, dry_run: bool) -> Ending {
        let ended = lock(&self.books).ledger.release(target, |_, claim| which.is_match(claim));
        if ended.is_empty() {
            let outcome = if dry_run { Outcome::DryRun } else { Outcome::Applied };
            return Ending::new(outcome, "nothing of it was in force");
        }
        match self.actuator.open(target) {
            Ok(held) => {
                let back = self.put_back(target, &*held, ended, why);
                Ending { through: held.through(&Deed::Undo), ..ending_of_undo(back) }
            }
            Err(fault) if fault.outcome == Outcome::Vanished => match self.close_vanished(target, ended) {
                left if left.is_empty() => {
                    Ending::applied("the cgroup is gone, and what was done to it with it")
                }
                unfinished => ending_of_undo(PutBack { unfinished, ..PutBack::default() }),
            },
            Err(fault) => Ending { unfinished: ended, ..fault.into() },
        }
    }

    /// Writes what ended claims leave to be written, in their order.
    pub fn put_back(
        &self,
        target: &Identity,
        held: &dyn Held,
        ended: Vec<Ended>,
        why: &'static str,
    ) -> PutBack {
        let mut back = PutBack::default();
        for each in ended {
            match self.put_back_one(target, held, &each) {
                Ok(Back::Done(change)) => {
                    back.changes.extend(change);
                    lock(&self.books).note(|journal| journal.undone(each.claim.entry, why));
                }
                Ok(Back::ChangedHands) => {
                    back.changed_hands = true;
                    lock(&self.books).note(|journal| journal.closed(each.claim.entry, "changed_hands"));
                }
                Err(fault) if fault.outcome == Outcome::Vanished => {
                    back.unfinished.extend(self.close_vanished(target, vec![each]));
                }
                Err(_) => back.unfinished.push(each),
            }
        }
        back
    }

    fn put_back_one(&self, target: &Identity, held: &dyn Held, ended: &Ended) -> Result<Back, Fault> {
        match (&ended.restore, &ended.knob) {
            (Restore::Thaw, _) => {
                // Where it cannot be told it is thawed all the same.
                let stands = held.is_frozen().unwrap_or(true);
                // Whoever froze for us has to know as well that it runs.
                held.thaw()?;
                Ok(if stands { Back::Done(None) } else { Back::ChangedHands })
            }
            (Restore::Original(saved), _) => {
                let before = held.read(&saved.knob)?;
                if before == saved.value {
                    return Ok(Back::Done(None));
                }
                if changed_hands(ended, &before) {
                    return Ok(Back::ChangedHands);
                }
                held.restore(saved)?;
                let after = held.read(&saved.knob)?;
                Ok(Back::Done(Some(Change { knob: saved.knob.clone(), before, after })))
            }
            (Restore::Next { entry, value }, Some(knob)) => {
                let before = held.read(knob)?;
                if changed_hands(ended, &before) {
                    return Ok(Back::ChangedHands);
                }
                // Without a line in the journal it is still right to loosen: the claim's own line says what was before.
                lock(&self.books).note(|journal| {
                    let _ = journal.intended(*entry);
                });
                self.put(target, held, *entry, knob, value, before).map(Back::Done)
            }
            (Restore::Next { .. }, None) | (Restore::Nothing, _) => Ok(Back::Done(None)),
        }
    }

    /// Closes what was claimed of a cgroup that is gone, by these claims and all others. Gives what outlives it and could not
    /// be put back.
    fn close_vanished(&self, target: &Identity, mut ended: Vec<Ended>) -> Vec<Ended> {
        ended.extend(lock(&self.books).ledger.release(target, |_, _| true));
        ended.retain(|each| {
            let put = match &each.restore {
                Restore::Original(saved) => {
                    let still = || !lock(&self.books).ledger.has_heir(target, &saved.knob);
                    self.actuator.put_back_outlived(saved, &still)
                }
                _ => Ok(()),
            };
            match &put {
                Ok(()) => lock(&self.books).note(|journal| journal.closed(each.claim.entry, "vanished")),
                Err(fault) => tracing::warn!(cgroup = &*target.display, "not put back yet: {fault}"),
            }
            put.is_err()
        });
        ended
    }

    /// Tries once more. A control that was claimed anew since gets its original back when that claim ends.
    pub fn retry(&self, target: &Arc<Identity>, ended: Vec<Ended>) -> Vec<Ended> {
        let mut again = Vec::new();
        for each in ended {
            let adopted = match &each.restore {
                Restore::Original(saved) => lock(&self.books).ledger.adopt(target, saved),
                Restore::Thaw => lock(&self.books).ledger.is_frozen(target),
                Restore::Next { .. } | Restore::Nothing => false,
            };
            if adopted {
                lock(&self.books).note(|journal| journal.undone(each.claim.entry, "claimed anew"));
            } else {
                again.push(each);
            }
        }
        if again.is_empty() {
            return again;
        }
        match self.actuator.open(target) {
            Ok(held) => self.put_back(target, &*held, again, "retried").unfinished,
            Err(fault) if fault.outcome == Outcome::Vanished => self.close_vanished(target, again),
            Err(_) => again,
        }
    }
}

/// Whether a control is no longer what was put there.
fn changed_hands(ended: &Ended, present: &Value) -> bool {
    ended.written.as_ref().is_some_and(|written| written != present)
}

/// What came of putting one thing back.
enum Back {
    Done(Option<Change>),
    /// Somebody else wrote it since: theirs stays.
    ChangedHands,
}

/// What came of putting things back.
#[derive(Default)]
pub(super) struct PutBack {
    /// What changed.
    pub changes: Vec<Change>,
    /// What could not be written.
    pub unfinished: Vec<Ended>,
    /// Whether somebody else had changed some of it meanwhile, so that theirs stays.
    pub changed_hands: bool,
}

pub(super) fn ending_of_undo(back: PutBack) -> Ending {
    let (outcome, detail) = match (back.unfinished.is_empty(), back.changed_hands) {
        (true, false) => (Outcome::Applied, "undone"),
        (true, true) => {
            (Outcome::Applied, "undone, but for what somebody else had changed or thawed meanwhile")
        }
        (false, _) => (Outcome::Failed, "some of it could not be put back yet: it is tried again"),
    };
    Ending { changes: back.changes, unfinished: back.unfinished, ..Ending::new(outcome, detail) }
}
