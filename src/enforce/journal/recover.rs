//! What a program that ended without undoing left behind is undone by the next one.

use std::sync::Arc;
use std::time::Duration;

use super::record::{self, ClaimRecord};
use super::{Damage, Journal, place};
use crate::enforce::actuator::{Actuator, Fault, Held};
use crate::enforce::order::Outcome;
use crate::model::{Identity, Owner, display_path};

/// What became of an open claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What was before is back.
    Restored,
    /// It was back already: the kernel had not been written yet, or the undoing had only not been noted.
    WasBack,
    /// The cgroup is gone, with the claim.
    Vanished,
    /// Another boot: all cgroups are new.
    Rebooted,
    /// Somebody else wrote the control since: theirs stays.
    ChangedHands,
    /// The kernel refused; the claim stays open, and the next start tries again.
    Failed(String),
}

impl Fate {
    /// The name, in the audit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::WasBack => "was_back",
            Self::Vanished => "vanished",
            Self::Rebooted => "rebooted",
            Self::ChangedHands => "changed_hands",
            Self::Failed(_) => "failed",
        }
    }
}

/// One claim that was found open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The rule that made it.
    pub rule: Arc<str>,
    /// Which cgroup, as people see it.
    pub cgroup: String,
    /// Which control, `freeze` for the freezer.
    pub what: String,
    /// What it was before, where it is a control.
    pub was: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// What was found at the start, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// What was wrong with the file.
    pub damage: Damage,
    /// The claims that were open, in the order they were undone.
    pub claims: Vec<Recovered>,
    /// What former programs killed, with how long ago: the oldest first.
    pub kills: Vec<(Box<[u8]>, Duration)>,
}

impl Journal {
    /// Undoes every open claim, the newest first, and closes it. May be interrupted anywhere and begun again: what is
    /// back already is noticed.
    pub fn recover(&mut self, actuator: &dyn Actuator) -> Recovery {
        let open: Vec<(String, ClaimRecord)> = self.book.open.values().rev().cloned().collect();
        let claims = Vec::with_capacity(open.len());
        let mut recovery = Recovery { damage: self.damage().clone(), claims, kills: self.kills() };
        for (boot, claim) in open {
            let fate = if boot == self.boot { self.undo(&claim, actuator) } else { Fate::Rebooted };
            match &fate {
                Fate::Restored | Fate::WasBack => self.undone(claim.entry, "recovered"),
                Fate::Failed(_) => {}
                closed => self.closed(claim.entry, closed.name()),
            }
            let path = record::path_of(&claim.path).unwrap_or_default();
            recovery.claims.push(Recovered {
                rule: claim.rule.into(),
                cgroup: display_path(&path),
                what: claim
                    .control
                    .as_ref()
                    .map_or_else(|| "freeze".to_owned(), |control| control.knob.clone()),
                was: claim.control.map(|control| control.was),
                fate,
            });
        }
        recovery
    }

    fn undo(&mut self, claim: &ClaimRecord, actuator: &dyn Actuator) -> Fate {
        let Some(path) = record::path_of(&claim.path) else {
            return Fate::Failed("the journal's path is not one of this version".to_owned());
        };
        let target = Identity {
            display: display_path(&path).into(),
            path: path.into(),
            id: claim.id,
            owner: Owner::default(),
        };
        let undone = actuator.open(&target).and_then(|held| self.undo_held(claim, &*held));
        undone.unwrap_or_else(|fault| match fault.outcome {
            Outcome::Vanished => outlived(claim, actuator),
            _ => Fate::Failed(fault.message),
        })
    }

    fn undo_held(&self, claim: &ClaimRecord, held: &dyn Held) -> Result<Fate, Fault> {
        let Some(control) = &claim.control else {
            if !held.is_frozen()? {
                return Ok(Fate::WasBack);
            }
            return held.thaw().map(|()| Fate::Restored);
        };
        let Some(saved) = control.saved() else {
            return Ok(Fate::Failed("the journal's control is not one of this version".to_owned()));
        };
        let present = held.read(&saved.knob)?;
        if present == saved.value {
            return Ok(Fate::WasBack);
        }
        let write = self.book.writes.get(&place(claim)).cloned().unwrap_or_default();
        // Between what was intended and what was read back, the kernel may have rounded: then it is ours to restore.
        if !write.pending && write.read_back.as_ref() != Some(&present) {
            return Ok(Fate::ChangedHands);
        }
        held.restore(&saved).map(|()| Fate::Restored)
    }
}

/// What a claim left that outlives its cgroup, which is gone.
fn outlived(claim: &ClaimRecord, actuator: &dyn Actuator) -> Fate {
    let saved = claim.control.as_ref().and_then(|control| control.saved());
    let put = saved.map_or(Ok(()), |saved| actuator.put_back_outlived(&saved, &|| true));
    put.map_or_else(|fault| Fate::Failed(fault.message), |()| Fate::Vanished)
}
