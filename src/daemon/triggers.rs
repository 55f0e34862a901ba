//! The kernel's pressure triggers that would wake the policies.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::PollFlags;

use super::surroundings::Surroundings;
use crate::kernel::control::Control;
use crate::kernel::trigger::{self, Trigger, TriggerError};
use crate::model::Identity;
use crate::policy::engine::TriggerWant;
use crate::policy::signal::{Resource, Stall};

/// The shortest window that the kernel knows: without CAP_SYS_RESOURCE it comes to 2 s, with the same share of it.
const WINDOW: Duration = Duration::from_millis(500);
/// How many triggers are armed after one pass: each takes an open, a write and a descriptor.
const AT_A_TIME: usize = 64;

struct Armed {
    want: TriggerWant,
    trigger: Trigger,
}

/// Every trigger that is armed.
#[derive(Default)]
pub(super) struct Triggers {
    armed: Vec<Armed>,
    /// What the kernel refused: it is not asked for again.
    refused: Vec<TriggerWant>,
}

impl Triggers {
    /// Keeps armed what is wanted, and lets go of the rest.
    pub fn keep(&mut self, wants: &[TriggerWant], surroundings: &Surroundings) {
        self.armed.retain(|armed| wants.contains(&armed.want));
        self.refused.retain(|refused| wants.contains(refused));
        let new: Vec<&TriggerWant> = wants
            .iter()
            .filter(|want| {
                !self.refused.contains(want) && !self.armed.iter().any(|armed| armed.want == **want)
            })
            .take(AT_A_TIME)
            .collect();
        for want in new {
            match arm(want, surroundings.control()) {
                Some(Ok(trigger)) => self.armed.push(Armed { want: want.clone(), trigger }),
                // It is no longer wanted at the next pass.
                None => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "a pressure trigger could not be armed: the policy waits for the clock");
                    self.refused.push(want.clone());
                }
            }
        }
    }

    /// How many are armed.
    pub fn armed(&self) -> usize {
        self.armed.len()
    }

    /// What to wait for.
    pub fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.armed.iter().map(|armed| (armed.trigger.as_fd(), PollFlags::POLLPRI))
    }

    /// Whose pressure a trigger that is ready tells of: a cgroup's, or, inside, the host's. One whose cgroup is gone tells
    /// of nothing.
    #[expect(clippy::option_option, reason = "nothing is told, or something of the host, or of a cgroup")]
    pub fn fired(&self, place: usize, events: PollFlags) -> Option<Option<Arc<Identity>>> {
        let armed = self.armed.get(place)?;
        events.contains(PollFlags::POLLPRI).then(|| armed.want.target.clone())
    }

    /// Lets go of those whose cgroup is gone: they would be ready for ever.
    pub fn bury(&mut self, places: &[usize]) {
        let mut place = 0;
        self.armed.retain(|_| {
            place += 1;
            !places.contains(&(place - 1))
        });
    }
}

/// `None` where the cgroup is gone.
fn arm(want: &TriggerWant, control: &Control) -> Option<Result<Trigger, TriggerError>> {
    let resource = match want.resource {
        Resource::Cpu => trigger::Resource::Cpu,
        Resource::Memory => trigger::Resource::Memory,
        Resource::Io => trigger::Resource::Io,
    };
    let stall = match want.stall {
        Stall::Some => trigger::Stall::Some,
        Stall::Full => trigger::Stall::Full,
    };
    let target = match &want.target {
        None => None,
        Some(target) => Some(control.open(target).ok()?),
    };
    // The kernel wants some stall, however small a policy's share is.
    let least = WINDOW.mul_f64(want.share).max(Duration::from_millis(1));
    Some(control.arm(target.as_ref(), resource, stall, least, WINDOW))
}
