//! One policy and the cgroups that it is about.

use std::sync::Arc;
use std::time::Duration;

use super::state::{self, Moment, State};
use super::{Place, Sight, Touched};
use crate::model::Identity;
use crate::policy::condition::Truth;
use crate::policy::decision::Verdict;
use crate::policy::matching::Matching;
use crate::policy::program::{Hold, Names, Program, Subject};
use crate::policy::rule::{Mode, Policy};

/// One target of one policy.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The cgroup's place.
    pub place: u32,
    /// Whether `when` held at the last look.
    pub when: Truth,
    /// Whether it was said that the policy rests instead of beginning, since `when` last began to hold.
    pub told: bool,
    /// What the policy is doing with it.
    pub state: State,
}

/// A policy, compiled, with the state of each of its targets.
#[derive(Debug)]
pub struct Watched {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its selector.
    pub matching: Matching,
    /// Its `when`.
    pub when: Program,
    /// Its `clear`.
    pub clear: Option<Program>,
    /// The columns of its rank, then of what a victim must have at least.
    pub rank: Vec<usize>,
    /// See [`Self::rank`].
    pub at_least: Vec<usize>,
    /// Its targets, by place.
    pub entries: Vec<Entry>,
    /// Each entry's holds: those of `when`, then those of `clear`.
    pub holds: Vec<Hold>,
    /// When it last began, and on whom.
    pub began: Option<(Duration, Arc<Identity>)>,
    truths: Vec<Truth>,
}

impl Watched {
    /// Compiles a policy; it has no targets yet.
    #[must_use]
    pub fn new(policy: &Arc<Policy>, names: &mut Names) -> Self {
        let mut watched = Self {
            matching: Matching::new(&policy.selector),
            when: Program::new(&policy.when, names),
            clear: policy.clear.as_ref().map(|clear| Program::new(clear, names)),
            rank: Vec::new(),
            at_least: Vec::new(),
            entries: Vec::new(),
            holds: Vec::new(),
            began: None,
            truths: Vec::new(),
            policy: Arc::clone(policy),
        };
        watched.name(names);
        watched
    }

    /// Looks its columns up anew; states stay.
    pub fn rename(&mut self, names: &mut Names) {
        self.when = Program::new(&self.policy.when, names);
        self.clear = self.policy.clear.as_ref().map(|clear| Program::new(clear, names));
        self.name(names);
    }

    fn name(&mut self, names: &mut Names) {
        let victim = &self.policy.victim;
        self.rank = victim.rank.iter().map(|&signal| names.signal(signal)).collect();
        self.at_least = victim.at_least.iter().map(|&(signal, _)| names.signal(signal)).collect();
    }

    /// How many holds an entry has.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.when.tests.len() + self.clear.as_ref().map_or(0, |clear| clear.tests.len())
    }

    /// Whether anything that it decides is carried further.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.policy.mode != Some(Mode::Observe)
    }

    fn matches(&self, place: &Place) -> bool {
        self.matching.matches(&place.identity, &place.namespaces)
    }

    /// Follows its targets to their new places; gives each that ended to `gone`, and takes in what is new and matches.
    pub fn settle(
        &mut self,
        to: &[Option<u32>],
        new: &[u32],
        places: &[Place],
        mut gone: impl FnMut(usize, State),
    ) {
        let stride = self.stride();
        let mut kept = 0;
        for at in 0..self.entries.len() {
            let was = self.entries[at].place as usize;
            match to.get(was).copied().flatten() {
                Some(place) => {
                    self.entries.swap(kept, at);
                    self.entries[kept].place = place;
                    self.holds.copy_within(at * stride..(at + 1) * stride, kept * stride);
                    kept += 1;
                }
                None => gone(was, std::mem::take(&mut self.entries[at].state)),
            }
        }
        self.entries.truncate(kept);
        self.holds.truncate(kept * stride);
        self.take_in(new, places);
    }

    /// Asks again who of these places, in order, is one of its targets: more became known of whose they are. Gives those
    /// that are none any more to `left`.
    pub fn rematch(&mut self, learned: &[u32], places: &[Place], mut left: impl FnMut(u32, State)) {
        let stride = self.stride();
        for &place in learned {
            if let Some(at) = self.at(place)
                && !self.matches(&places[place as usize])
            {
                left(place, self.entries.remove(at).state);
                self.holds.drain(at * stride..(at + 1) * stride);
            }
        }
        let new: Vec<u32> = learned.iter().copied().filter(|&place| self.at(place).is_none()).collect();
        self.take_in(&new, places);
    }

    /// Takes in those of these places, in order, that match; they are not among its targets yet.
    pub fn take_in(&mut self, new: &[u32], places: &[Place]) {
        let stride = self.stride();
        let matching = &self.matching;
        let is_about = |&&place: &&u32| {
            let place = &places[place as usize];
            matching.matches(&place.identity, &place.namespaces)
        };
        let mut matched = new.iter().filter(is_about).copied().peekable();
        if matched.peek().is_none() {
            return;
        }
        let mut entries = Vec::with_capacity(self.entries.len() + new.len());
        let mut holds = Vec::with_capacity(self.holds.len() + new.len() * stride);
        let fresh = |place| Entry { place, when: Truth::False, told: false, state: State::Watching };
        for (at, entry) in self.entries.drain(..).enumerate() {
            while let Some(place) = matched.next_if(|&place| place < entry.place) {
                entries.push(fresh(place));
                holds.resize(holds.len() + stride, Hold::default());
            }
            entries.push(entry);
            holds.extend_from_slice(&self.holds[at * stride..(at + 1) * stride]);
        }
        for place in matched {
            entries.push(fresh(place));
            holds.resize(holds.len() + stride, Hold::default());
        }
        (self.entries, self.holds) = (entries, holds);
    }

    /// The entry of the cgroup at a place.
    #[must_use]
    pub fn at(&self, place: u32) -> Option<usize> {
        self.entries.binary_search_by_key(&place, |entry| entry.place).ok()
    }

    /// Whether what was read since the last pass can change how an entry comes out.
    fn touched(&self, entry: &Entry, touched: &Touched<'_>, sight: Sight<'_>) -> bool {
        let moved = |subject: Subject| match subject {
            Subject::Host => touched.host,
            other => sight.table.row_of(other, entry.place, sight.paths).is_some_and(|row| touched.has(row)),
        };
        moved(Subject::This)
            || self.when.looks_at(moved)
            || self.clear.as_ref().is_some_and(|clear| clear.looks_at(moved))
    }

    /// Looks at every target, or at those that were touched, and moves each to its next state. Nothing begins here; tells
    /// whether there is anybody to begin on.
    pub fn advance(
        &mut self,
        touched: Option<&Touched<'_>>,
        sight: Sight<'_>,
        mut say: impl FnMut(&Self, usize, Verdict),
    ) -> bool {
        let mut eager = false;
        let elsewhere = |program: &Program| program.looks_at(|subject| subject != Subject::This);
        match touched {
            Some(touched) if !elsewhere(&self.when) && !self.clear.as_ref().is_some_and(elsewhere) => {
                for place in touched.places {
                    if let Some(at) = self.at(*place) {
                        eager |= self.advance_one(at, sight, &mut say);
                    }
                }
            }
            _ => {
                for at in 0..self.entries.len() {
                    if touched.is_none_or(|touched| self.touched(&self.entries[at], touched, sight)) {
                        eager |= self.advance_one(at, sight, &mut say);
                    }
                }
            }
        }
        eager
    }

    /// Looks at one target; tells whether it could be begun on.
    fn advance_one(
        &mut self,
        at: usize,
        sight: Sight<'_>,
        say: &mut impl FnMut(&Self, usize, Verdict),
    ) -> bool {
        let now = sight.now;
        let born = sight.places[self.entries[at].place as usize].born;
        if now.saturating_sub(born) < self.policy.selector.min_age {
            return false;
        }
        let when = self.look(at, false, sight);
        let clear = match (&self.clear, self.entries[at].state.episode()) {
            (Some(_), Some(_)) => self.look(at, true, sight),
            (None, _) => when.negated(),
            (Some(_), None) => Truth::Unknown,
        };
        // Only one that was relieved asks whether there is room, and there are few of them.
        let relieved = matches!(self.entries[at].state, State::Relieved(_));
        let room = relieved && self.victims() < self.policy.victim.max;
        let entry = &mut self.entries[at];
        entry.when = when;
        entry.told &= when != Truth::False;
        if entry.state == State::Watching {
            return when == Truth::True;
        }
        let before = std::mem::take(&mut entry.state);
        let policy = Arc::clone(&self.policy);
        let after = state::advance(&policy, before, Moment { now, when, clear, room }, &mut |verdict| {
            if verdict == (Verdict::Act { step: 0 }) {
                self.began = Some((now, Arc::clone(sight.identity(self.entries[at].place))));
            }
            say(self, at, verdict);
        });
        let open = after.episode().is_some();
        if !open {
            let stride = self.stride();
            self.holds[at * stride + self.when.tests.len()..(at + 1) * stride].fill(Hold::default());
        }
        self.entries[at].state = after;
        !open && when == Truth::True
    }

    /// How many are acted on now.
    #[must_use]
    pub fn victims(&self) -> usize {
        self.entries.iter().filter(|entry| entry.state.is_victim()).count()
    }

    /// Looks at every comparison of `when`, or of `clear`, for one target.
    fn look(&mut self, at: usize, clear: bool, sight: Sight<'_>) -> Truth {
        let stride = self.stride();
        let (program, offset) = match &self.clear {
            Some(program) if clear => (program, self.when.tests.len()),
            _ => (&self.when, 0),
        };
        self.truths.clear();
        let place = self.entries[at].place;
        for (test, hold) in program.tests.iter().zip(&mut self.holds[at * stride + offset..]) {
            let outcome = sight.outcome(test, place);
            self.truths.push(hold.look(outcome.truth, sight.now, test.hold));
        }
        program.judge(&self.truths)
    }

    /// The holds of an entry's `when`, or of its `clear`.
    #[must_use]
    pub fn holds_of(&self, at: usize, clear: bool) -> &[Hold] {
        let stride = self.stride();
        let (when, clears) = self.holds[at * stride..(at + 1) * stride].split_at(self.when.tests.len());
        if clear { clears } else { when }
    }
}
