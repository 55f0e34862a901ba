//! PURE: who claims which control of which cgroup, what is in force, and what it was before.
//!
//! The ledger never writes: it answers what is to be written, and is told what was.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::actuator::Saved;
use crate::model::{Identity, Knob, Limit, Value};
use crate::policy::rule::OnDrift;

/// How often a control is written again in [`REASSERT_WITHIN`] before the other writer is let have it.
pub const REASSERTS: usize = 5;
/// See [`REASSERTS`].
pub const REASSERT_WITHIN: Duration = Duration::from_secs(60);

/// How many controls are remembered after the last claim on them ended.
const LEFT: usize = 256;

/// Which cgroup: its path and its kernel id.
pub type Key = (Box<[u8]>, u64);

/// The key of an identity.
#[must_use]
pub fn key_of(identity: &Identity) -> Key {
    (identity.path.clone(), identity.id)
}

/// One rule's claim on one control, or on the freezer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number in the journal, from 1: later claims have larger ones.
    pub entry: u64,
    /// The rule.
    pub rule: Arc<str>,
    /// The order that made it.
    pub order: u64,
    /// When it ends by itself (monotonic).
    pub expires: Option<Duration>,
}

/// A claim on a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whose.
    pub claim: Claim,
    /// To what.
    pub value: Value,
    /// What is done when somebody else writes the control.
    pub on_drift: OnDrift,
    /// Whether it may loosen what was there before the first claim.
    pub loosens: bool,
}

/// What is to be written when claims end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// Nothing: a tighter claim stays in force.
    Nothing,
    /// The next tightest claim's value, or the looser original that caps it. The entry is that claim's.
    Next {
        /// The claim that is now the tightest.
        entry: u64,
        /// What is to be written.
        value: Value,
    },
    /// What was there before the first claim.
    Original(Saved),
    /// Let the tasks run.
    Thaw,
}

/// One claim that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The claim.
    pub claim: Claim,
    /// On which control; `None` is the freezer.
    pub knob: Option<Knob>,
    /// What is to be written for it.
    pub restore: Restore,
    /// What was read back after the last write to the control.
    pub written: Option<Value>,
}

/// What another one's write to a control means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nobody claims the control, or the value is the one in force.
    None,
    /// The rules let go of it: the other one's value stays. Their claims have ended.
    Yield(Vec<Claim>),
    /// It is to be written again.
    Reassert {
        /// The rule whose claim is in force.
        rule: Arc<str>,
        /// The claim in force.
        entry: u64,
        /// What is to be written.
        value: Value,
    },
}

/// A claimed control of a cgroup, or its freezer, with every claim on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which control; `None` is the freezer.
    pub knob: Option<Knob>,
    /// What it was before the first claim; the freezer has none.
    pub original: Option<Value>,
    /// What is in force; the freezer has none.
    pub value: Option<Value>,
    /// The claims with what they set: the one in force first, then each as it would follow.
    pub claims: Vec<(Claim, Option<Value>)>,
}

/// Everything that is claimed.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<Key, Account>,
    /// What claims that ended had left in controls: a decision may be made on a look at the host that still had it.
    left: VecDeque<(Key, Knob, Value)>,
}

#[derive(Debug)]
struct Account {
    identity: Arc<Identity>,
    knobs: BTreeMap<Knob, Held>,
    freezes: Vec<Claim>,
}

/// One claimed control.
#[derive(Debug)]
struct Held {
    original: Saved,
    /// Never empty.
    settings: Vec<Setting>,
    /// What was read back after the last write.
    written: Option<Value>,
    reasserts: VecDeque<Duration>,
}

impl Held {
    /// The tightest claim, and the value that it puts in force.
    fn in_force(&self) -> (u64, Value) {
        let knob = &self.original.knob;
        let tightest = |a: &Setting, b: &Setting| stricter(knob, &b.value, &a.value);
        let mut claims = self.settings.iter();
        let first = claims.next().expect("a held control has a claim");
        let best = claims.fold(first, |best, each| if tightest(best, each) { each } else { best });
        let may_loosen = self.settings.iter().any(|setting| setting.loosens);
        let capped = !may_loosen && stricter(knob, &self.original.value, &best.value);
        (best.claim.entry, if capped { self.original.value.clone() } else { best.value.clone() })
    }

    /// Every claim, in the order in which they come into force as the ones before end.
    fn strictest_first(&self) -> Vec<(Claim, Option<Value>)> {
        let knob = &self.original.knob;
        let mut settings: Vec<&Setting> = self.settings.iter().collect();
        settings.sort_by(|a, b| {
            match (stricter(knob, &a.value, &b.value), stricter(knob, &b.value, &a.value)) {
                (true, _) => Ordering::Less,
                (_, true) => Ordering::Greater,
                _ => Ordering::Equal,
            }
        });
        settings.iter().map(|each| (each.claim.clone(), Some(each.value.clone()))).collect()
    }
}

/// Whether a value is stricter than another one: more of a protection, less of everything else, fewer CPUs.
#[must_use]
pub fn stricter(knob: &Knob, a: &Value, b: &Value) -> bool {
    let size = |value: &Value| match value {
        Value::Limit(Limit::Max) => u64::MAX,
        Value::Limit(Limit::Value(number)) => *number,
        Value::List(list) if list.is_empty() => u64::MAX,
        Value::List(list) => list.split(',').map(members).fold(0, u64::saturating_add),
    };
    if knob.is_protection() { size(a) > size(b) } else { size(a) < size(b) }
}

/// How many a part of a list names: `0-3` is four.
fn members(range: &str) -> u64 {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match range.split_once('-') {
        Some((from, to)) => match (number(from), number(to)) {
            (Some(from), Some(to)) => to.saturating_sub(from).saturating_add(1),
            _ => 1,
        },
        None => 1,
    }
}

impl Ledger {
    /// Whether a control has an original on record; if not, the first claim must bring it.
    #[must_use]
    pub fn original(&self, target: &Identity, knob: &Knob) -> Option<&Saved> {
        self.accounts.get(&key_of(target))?.knobs.get(knob).map(|held| &held.original)
    }

    /// Claims a control. The rule's older claim on it is replaced, and returned.
    ///
    /// `original` is what was there before; it counts only for the first claim.
    pub fn claim(&mut self, target: &Arc<Identity>, original: Saved, setting: Setting) -> Option<Claim> {
        let account = self.account(target);
        let held = account.knobs.entry(original.knob.clone()).or_insert_with(|| Held {
            original,
            settings: Vec::new(),
            written: None,
            reasserts: VecDeque::new(),
        });
        let older = held.settings.iter().position(|each| each.claim.rule == setting.claim.rule);
        let older = older.map(|at| held.settings.remove(at).claim);
        held.settings.push(setting);
        older
    }

    /// What is to be in force for a claimed control, and by which claim.
    #[must_use]
    pub fn in_force(&self, target: &Identity, knob: &Knob) -> Option<(u64, Value)> {
        self.accounts.get(&key_of(target))?.knobs.get(knob).map(Held::in_force)
    }

    /// Notes what was read back after a write.
    pub fn written(&mut self, target: &Identity, knob: &Knob, value: Value) {
        if let Some(held) = self.accounts.get_mut(&key_of(target)).and_then(|each| each.knobs.get_mut(knob)) {
            held.written = Some(value);
        }
    }

    /// Whether somebody else wrote a control that nobody claims, between a look that saw `seen` and now, when it is
    /// `present`. What a claim that ended meanwhile had put there is nobody else's.
    #[must_use]
    pub fn is_foreign(&self, target: &Identity, knob: &Knob, seen: &Value, present: &Value) -> bool {
        let mine = || {
            let key = key_of(target);
            self.left.iter().any(|(of, which, value)| *of == key && which == knob && value == seen)
        };
        seen != present && self.original(target, knob).is_none() && !mine()
    }

    /// Claims the freezer. The rule's older claim is replaced, and returned.
    pub fn claim_freeze(&mut self, target: &Arc<Identity>, claim: Claim) -> Option<Claim> {
        let account = self.account(target);
        let older = account.freezes.iter().position(|each| each.rule == claim.rule);
        let older = older.map(|at| account.freezes.remove(at));
        account.freezes.push(claim);
        older
    }

    /// What is claimed of a cgroup, the freezer last.
    #[must_use]
    pub fn holdings(&self, target: &Identity) -> Vec<Holding> {
        let Some(account) = self.accounts.get(&key_of(target)) else { return Vec::new() };
        let controls = account.knobs.iter().map(|(knob, held)| Holding {
            knob: Some(knob.clone()),
            original: Some(held.original.value.clone()),
            value: Some(held.in_force().1),
            claims: held.strictest_first(),
        });
        let freezer = (!account.freezes.is_empty()).then(|| Holding {
            knob: None,
            original: None,
            value: None,
            claims: account.freezes.iter().map(|claim| (claim.clone(), None)).collect(),
        });
        controls.chain(freezer).collect()
    }

    /// Whether somebody claims the target's freezer.
    #[must_use]
    pub fn is_frozen(&self, target: &Identity) -> bool {
        self.accounts.get(&key_of(target)).is_some_and(|account| !account.freezes.is_empty())
    }

    /// Ends the claims that `which` picks, the newest first. What each one leaves to be written is in its place.
    pub fn release(
        &mut self,
        target: &Identity,
        which: impl Fn(Option<&Knob>, &Claim) -> bool,
    ) -> Vec<Ended> {
        let Some(account) = self.accounts.get(&key_of(target)) else { return Vec::new() };
        let controls = account.knobs.iter().flat_map(|(knob, held)| {
            held.settings.iter().map(move |setting| (setting.claim.entry, Some(knob.clone())))
        });
        let freezes = account.freezes.iter().map(|claim| (claim.entry, None));
        let claims: BTreeMap<u64, Option<Knob>> = controls.chain(freezes).collect();
        let mut ended: Vec<Ended> = Vec::new();
        for (entry, knob) in claims.into_iter().rev() {
            let Some(mut next) = self.end(target, entry, knob, &which) else { continue };
            // What stands in between would be written only to be written over; and what was read back after the last
            // write is what all of them compare with.
            if let Some(first) = ended.iter_mut().find(|each| each.knob == next.knob)
                && next.restore != Restore::Nothing
            {
                first.restore = std::mem::replace(&mut next.restore, Restore::Nothing);
            }
            ended.push(next);
        }
        ended
    }

    fn end(
        &mut self,
        target: &Identity,
        entry: u64,
        knob: Option<Knob>,
        which: impl Fn(Option<&Knob>, &Claim) -> bool,
    ) -> Option<Ended> {
        let key = key_of(target);
        let account = self.accounts.get_mut(&key)?;
        let ended = match knob {
            None => {
                let at =
                    account.freezes.iter().position(|claim| claim.entry == entry && which(None, claim))?;
                let claim = account.freezes.remove(at);
                let restore = if account.freezes.is_empty() { Restore::Thaw } else { Restore::Nothing };
                Ended { claim, knob: None, restore, written: None }
            }
            Some(knob) => {
                let held = account.knobs.get_mut(&knob)?;
                let ours = |each: &Setting| each.claim.entry == entry && which(Some(&knob), &each.claim);
                let at = held.settings.iter().position(ours)?;
                let (_, before) = held.in_force();
                let written = held.written.clone();
                let claim = held.settings.remove(at).claim;
                let restore = if held.settings.is_empty() {
                    self.left.extend(held.written.take().map(|value| (key.clone(), knob.clone(), value)));
                    self.left.drain(..self.left.len().saturating_sub(LEFT));
                    account
                        .knobs
                        .remove(&knob)
                        .map_or(Restore::Nothing, |held| Restore::Original(held.original))
                } else {
                    let (entry, value) = held.in_force();
                    if value == before { Restore::Nothing } else { Restore::Next { entry, value } }
                };
                Ended { claim, knob: Some(knob), restore, written }
            }
        };
        self.accounts.retain(|_, account| !account.knobs.is_empty() || !account.freezes.is_empty());
        Some(ended)
    }

    /// Whether a control of another cgroup under the same path is claimed: one that has come after this one.
    #[must_use]
    pub fn has_heir(&self, target: &Identity, knob: &Knob) -> bool {
        self.accounts.values().any(|account| {
            let (path, id) = (&account.identity.path, account.identity.id);
            *path == target.path && id != target.id && account.knobs.contains_key(knob)
        })
    }

    /// What it means that somebody else wrote a control, and now it is `value`.
    pub fn foreign_write(&mut self, target: &Identity, knob: &Knob, value: &Value, now: Duration) -> Drift {
        let Some(account) = self.accounts.get_mut(&key_of(target)) else { return Drift::None };
        let Some(held) = account.knobs.get_mut(knob) else { return Drift::None };
        let (entry, in_force) = held.in_force();
        if *value == in_force || held.written.as_ref() == Some(value) {
            return Drift::None;
        }
        while held.reasserts.front().is_some_and(|&time| time + REASSERT_WITHIN <= now) {
            held.reasserts.pop_front();
        }
        let keeper = held
            .settings
            .iter()
            .find(|setting| setting.claim.entry == entry && setting.on_drift == OnDrift::Reassert);
        if let Some(keeper) = keeper
            && held.reasserts.len() < REASSERTS
        {
            held.reasserts.push_back(now);
            return Drift::Reassert { rule: Arc::clone(&keeper.claim.rule), entry, value: in_force };
        }
        let settings = account.knobs.remove(knob).map_or_else(Vec::new, |held| held.settings);
        self.accounts.retain(|_, account| !account.knobs.is_empty() || !account.freezes.is_empty());
        Drift::Yield(settings.into_iter().map(|setting| setting.claim).collect())
    }

    /// Puts another original on record for a claimed control; false where nobody claims it.
    pub fn adopt(&mut self, target: &Identity, original: &Saved) -> bool {
        let account = self.accounts.get_mut(&key_of(target));
        let held = account.and_then(|account| account.knobs.get_mut(&original.knob));
        held.map(|held| held.original.clone_from(original)).is_some()
    }

    /// The claims that are over: cgroup, rule, entries. They are returned once.
    pub fn take_due(&mut self, now: Duration) -> Vec<(Arc<Identity>, Arc<str>, Vec<u64>)> {
        let mut due = Vec::new();
        for account in self.accounts.values_mut() {
            let mut over: BTreeMap<Arc<str>, Vec<u64>> = BTreeMap::new();
            let settings = account.knobs.values_mut().flat_map(|held| &mut held.settings);
            for claim in settings.map(|setting| &mut setting.claim).chain(&mut account.freezes) {
                if claim.expires.is_some_and(|at| at <= now) {
                    claim.expires = None;
                    over.entry(Arc::clone(&claim.rule)).or_default().push(claim.entry);
                }
            }
            due.extend(
                over.into_iter().map(|(rule, entries)| (Arc::clone(&account.identity), rule, entries)),
            );
        }
        due
    }

    /// When the next claim is over.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.each().flat_map(|(_, claims)| claims).filter_map(|(_, claim)| claim.expires).min()
    }

    /// Every cgroup with what is claimed of it; `None` is the freezer.
    pub fn each(
        &self,
    ) -> impl Iterator<Item = (&Arc<Identity>, impl Iterator<Item = (Option<&Knob>, &Claim)>)> {
        self.accounts.values().map(|account| {
            let settings = account
                .knobs
                .iter()
                .flat_map(|(knob, held)| held.settings.iter().map(move |each| (Some(knob), &each.claim)));
            (&account.identity, settings.chain(account.freezes.iter().map(|claim| (None, claim))))
        })
    }

    fn account(&mut self, target: &Arc<Identity>) -> &mut Account {
        self.accounts.entry(key_of(target)).or_insert_with(|| Account {
            identity: Arc::clone(target),
            knobs: BTreeMap::new(),
            freezes: Vec::new(),
        })
    }
}
