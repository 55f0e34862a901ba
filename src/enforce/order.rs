//! PURE: what is to be done, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Identity, Knob, Value};
use crate::policy::decision::Evidence;
use crate::policy::rule::{Kill, Notify, OnDrift};

/// Something to be done to one cgroup, past every guard rail.
#[derive(Clone, Debug)]
pub struct Order {
    /// Numbers decisions, from 1; the audit and the journal name it.
    pub id: u64,
    /// The rule that it comes from: a policy's or a standing limit's name, `by hand` for a person's.
    pub rule: Arc<str>,
    /// The policy's step, from 0, where it is one's.
    pub step: Option<usize>,
    /// Which cgroup. Its kernel id is checked again right before the write.
    pub target: Arc<Identity>,
    /// What.
    pub deed: Deed,
    /// When it is undone by itself (monotonic); `None` stays until it is undone by order.
    pub expires: Option<Duration>,
    /// Whether a limit may be set below what is used now.
    pub allow_oom: bool,
    /// Whether it may loosen what it finds. A standing limit and a person may, a policy may not: where its value is
    /// looser than the one that is there, the one that is there stays.
    pub loosens: bool,
    /// What the controls were when it was decided, as far as that is known. Where one of them is something else when it
    /// is to be written, somebody else is at work there, and nothing is done. A rule that [may loosen](Self::loosens)
    /// does not ask.
    pub seen: Vec<(Knob, Value)>,
    /// When what led to it was noticed (monotonic), for the reaction time.
    pub noticed: Duration,
    /// Why.
    pub evidence: Evidence,
    /// Report it, and do nothing.
    pub dry_run: bool,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Tell somebody.
    Notify(Notify),
    /// Claim controls for the rule; the strictest claim on each is put in force.
    Set {
        /// Which, and to what.
        values: Vec<(Knob, Value)>,
        /// What is done when somebody else writes them.
        on_drift: OnDrift,
    },
    /// Give up the rule's claims on the target, in reverse order, and thaw what it froze.
    Undo,
    /// Have the kernel take this many bytes back.
    Reclaim(u64),
    /// Stop every task.
    Freeze,
    /// Let them run again.
    Thaw,
    /// End every process.
    Kill(Kill),
    /// Have systemd stop the unit and start it again.
    Restart,
    /// Have systemd stop the unit.
    Stop,
}

impl Deed {
    /// The name, on series and in the audit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Notify(_) => "notify",
            Self::Set { .. } => "set",
            Self::Undo => "undo",
            Self::Reclaim(_) => "reclaim",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Kill(_) => "kill",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What came of a decision.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Outcome { $($(#[$doc])* $variant,)+ }

        impl Outcome {
            /// Every outcome, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, on series and in the audit.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

outcomes! {
    /// It is done.
    Applied = "applied",
    /// It would have been done.
    DryRun = "dry_run",
    /// The target is protected, or outside the scope.
    Protected = "protected",
    /// The policy rests.
    Cooldown = "cooldown",
    /// The kill budget is used up.
    Budget = "budget",
    /// Somebody else manages the target.
    NotOwner = "not_owner",
    /// The target is gone, or another one stands under its path.
    Vanished = "vanished",
    /// This host cannot do it.
    Unsupported = "unsupported",
    /// The kernel refused.
    Failed = "failed",
    /// It did not come about in time.
    TimedOut = "timed_out",
}

/// What came of an order.
#[derive(Clone, Debug)]
pub struct Done {
    /// The order.
    pub order: Arc<Order>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the kernel or a guard rail said, for people.
    pub detail: String,
    /// The controls that were changed: which, before, after.
    pub changes: Vec<Change>,
    /// From [`Order::noticed`] to the effect in the kernel.
    pub reaction: Duration,
}

/// One control that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub knob: Knob,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}
