//! Stopping every task of a cgroup, and letting them run again.
//!
//! cgroup2 freezes any cgroup; v1 needs the freezer hierarchy. On a hybrid host a cgroup can be in both, and its
//! processes in either: v2's is used, and v1's too where processes are in that one only. Freezing is asynchronous: the
//! switch is set, then the kernel is watched until every task has stopped. A freeze that does not come about in time is
//! taken back.
//!
//! A switch that somebody else has set is not ours: [`Target::save_freezers`] tells what to put back before anything is
//! frozen, and never a frozen state.

use std::os::fd::AsFd as _;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::control::knobs::{Saved, SavedFile};
use super::control::{ControlError, Place, Target, visit_below};
use crate::model::Version;

/// The freezer's file on v2, by which the freezer goes wherever a control is named.
pub const SWITCH: &str = "cgroup.freeze";
const EVENTS: &str = "cgroup.events";
const STATE: &str = "freezer.state";
const SELF: &str = "freezer.self_freezing";
const PARENT: &str = "freezer.parent_freezing";

/// Whether a control file is the freezer's, of v2 or v1.
#[must_use]
pub fn is_freezer(file: &str) -> bool {
    matches!(file, SWITCH | STATE)
}

/// What the freezers say of a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreezerState {
    /// A switch of its own is set.
    pub itself: bool,
    /// A switch of some cgroup above it is set.
    pub inherited: bool,
    /// Every task in it has stopped.
    pub frozen: bool,
}

impl Target {
    /// What the freezers say; where a hybrid host has two, what either does.
    ///
    /// # Errors
    /// [`ControlError::Unsupported`] where the cgroup is in no freezer.
    pub fn freezer_state(&self) -> Result<FreezerState, ControlError> {
        let freezers = self.freezers()?;
        let mut all = FreezerState::default();
        for place in freezers {
            let state = self.state_in(place)?;
            all.itself |= state.itself;
            all.inherited |= state.inherited;
            all.frozen |= state.frozen;
        }
        Ok(all)
    }

    /// What thaws the cgroup again, for the journal: the switches that are not set now. Those that are set were set by
    /// somebody else, and are left alone.
    ///
    /// # Errors
    /// [`ControlError::Unsupported`] where the cgroup is in no freezer.
    pub fn save_freezers(&self) -> Result<Saved, ControlError> {
        let mut files = Vec::new();
        for place in self.freezers()? {
            if !self.state_in(place)?.itself {
                files.push(match place.version {
                    Version::V2 => SavedFile::new("", SWITCH, "0"),
                    Version::V1 => SavedFile::new("freezer", STATE, "THAWED"),
                });
            }
        }
        Ok(Saved { files })
    }

    /// Stops every task in the cgroup and below it, and waits until they have. What this call set is taken back if that
    /// does not come about in time.
    ///
    /// # Errors
    /// [`ControlError::TimedOut`], [`ControlError::Unsupported`] where the cgroup is in no freezer or the program itself
    /// would stop, and what the kernel says.
    pub fn freeze(&self, deadline: Duration) -> Result<(), ControlError> {
        self.spare_the_program()?;
        let until = Instant::now() + deadline;
        let mut set = Vec::new();
        let frozen = self.freeze_until(until, &mut set);
        if frozen.is_err() {
            for place in set {
                // The first error tells more than one of the way back.
                let _ = switch(place, false);
            }
        }
        frozen
    }

    fn freeze_until<'a>(&'a self, until: Instant, set: &mut Vec<&'a Place>) -> Result<(), ControlError> {
        let freezers = self.freezers()?;
        let mut covered = None;
        for place in freezers {
            if let Some(covered) = &covered {
                let here = self.processes_in(place)?;
                // Frozen tasks do not fork: what v2 holds is all there is, unless v1 has others.
                let others = |covered: &Vec<i32>| here.iter().any(|pid| covered.binary_search(pid).is_err());
                if here.is_empty() || !others(covered) {
                    continue;
                }
            }
            if !self.state_in(place)?.itself {
                set.push(place);
                switch(place, true)?;
            }
            match place.version {
                Version::V2 => await_tree(place, until)?,
                Version::V1 => await_v1(place, until)?,
            }
            let mut here = self.processes_in(place)?;
            here.sort_unstable();
            covered = Some(here);
        }
        Ok(())
    }

    /// Lets the tasks run again, whoever stopped them, and waits until they do. Below a frozen cgroup they stay stopped
    /// until that one is thawed.
    ///
    /// # Errors
    /// [`ControlError::TimedOut`], and what the kernel says.
    pub fn thaw(&self, deadline: Duration) -> Result<(), ControlError> {
        let until = Instant::now() + deadline;
        for place in self.freezers()? {
            if !self.state_in(place)?.itself {
                continue;
            }
            switch(place, false)?;
            // v1 thaws within the write; v2 does not wait for the tasks.
            if place.version == Version::V2 && !self.state_in(place)?.inherited {
                await_v2(place, false, until)?;
            }
        }
        Ok(())
    }

    /// The directories with a freezer, v2 first.
    pub(super) fn freezers(&self) -> Result<Vec<&Place>, ControlError> {
        let v2 = self.v2().filter(|place| place.has(SWITCH));
        let v1 = self.place("freezer").ok().filter(|place| place.version == Version::V1 && place.has(STATE));
        let found: Vec<_> = v2.into_iter().chain(v1).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        self.is_alive()?;
        Err(ControlError::Unsupported(format!(
            "{} cannot be frozen: it has neither {SWITCH} in cgroup2 nor {STATE} in the v1 freezer hierarchy",
            self.identity.display
        )))
    }

    fn state_in(&self, place: &Place) -> Result<FreezerState, ControlError> {
        let set = |name: &str| place.read(name).map(|text| text.trim() == "1");
        Ok(match place.version {
            Version::V2 => {
                let (itself, frozen) = (set(SWITCH)?, is_frozen(&place.read(EVENTS)?));
                FreezerState { itself, inherited: self.frozen_above(place), frozen }
            }
            Version::V1 => FreezerState {
                itself: set(SELF)?,
                inherited: set(PARENT)?,
                frozen: place.read(STATE)?.trim() == "FROZEN",
            },
        })
    }

    /// Whether a switch above a v2 cgroup is set. The root has none.
    fn frozen_above(&self, place: &Place) -> bool {
        let mut up = String::new();
        (1..self.identity.depth()).any(|_| {
            up.push_str("../");
            place.read(&format!("{up}{SWITCH}")).is_ok_and(|text| text.trim() == "1")
        })
    }

    /// Refuses where this program is in the cgroup or below it: it would stop, or end, itself.
    pub(super) fn spare_the_program(&self) -> Result<(), ControlError> {
        match super::owner::held_by(self) {
            None => Ok(()),
            Some(who) => Err(ControlError::Unsupported(format!(
                "{} holds {who}; it is neither frozen nor killed",
                self.identity.display
            ))),
        }
    }
}

/// Sets or clears a cgroup's own switch.
pub(super) fn switch(place: &Place, on: bool) -> Result<(), ControlError> {
    match (place.version, on) {
        (Version::V2, true) => place.write(SWITCH, "1"),
        (Version::V2, false) => place.write(SWITCH, "0"),
        (Version::V1, true) => place.write(STATE, "FROZEN"),
        (Version::V1, false) => place.write(STATE, "THAWED"),
    }
}

fn is_frozen(events: &str) -> bool {
    events.lines().any(|line| line == "frozen 1")
}

/// Waits for a cgroup and each one below it: one with tasks of its own says that it is frozen as soon as those are (seen
/// on 6.18), while tasks below it still run.
fn await_tree(place: &Place, until: Instant) -> Result<(), ControlError> {
    await_v2(place, true, until)?;
    visit_below(place, 0, &mut |child| match await_v2(child, true, until) {
        Err(ControlError::Vanished) => Ok(()),
        other => other,
    })
}

/// Waits until the kernel says that every task has stopped, or that they run.
fn await_v2(place: &Place, frozen: bool, until: Instant) -> Result<(), ControlError> {
    await_events(
        place,
        until,
        |events| is_frozen(events) == frozen,
        || {
            let done = if frozen { "stopped; it is thawed again" } else { "gone on" };
            format!("{}: in the time given not every task has {done}", place.file(EVENTS))
        },
    )
}

/// Waits until `cgroup.events` says something.
pub(super) fn await_events(
    place: &Place,
    until: Instant,
    mut holds: impl FnMut(&str) -> bool,
    what: impl FnOnce() -> String,
) -> Result<(), ControlError> {
    let events = place.open(EVENTS, OFlag::O_RDONLY)?;
    let mut text = [0; 256];
    // The kernel holds notices back for up to 10 ms: a look in between is cheaper than the wait.
    let mut pause = 1;
    loop {
        let length = nix::sys::uio::pread(events.as_fd(), &mut text, 0)
            .map_err(|errno| place.failure(EVENTS, "", errno))?;
        if holds(&String::from_utf8_lossy(&text[..length])) {
            return Ok(());
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ControlError::TimedOut { what: what() });
        }
        let longest = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).max(1);
        // An interrupted or failed wait only looks again.
        let _ = poll(
            &mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)],
            PollTimeout::from(longest.min(pause)),
        );
        pause = (pause * 2).min(50);
    }
}

/// Reading the state makes the kernel look at its tasks again. While processes keep appearing the freezer may never
/// finish; it is then let go for a moment and asked again, as container runtimes do.
fn await_v1(place: &Place, until: Instant) -> Result<(), ControlError> {
    let mut pause = Duration::from_micros(50);
    for round in 1u32.. {
        if place.read(STATE)?.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() >= until {
            break;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
        if round.is_multiple_of(50) {
            switch(place, false)?;
            thread::sleep(Duration::from_micros(10));
        }
        switch(place, true)?;
    }
    Err(ControlError::TimedOut {
        what: format!(
            "{}: in the time given not every task has stopped; it is thawed again",
            place.file(STATE)
        ),
    })
}
