//! PURE: what somebody wants done, before the guard rails.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Identity;
use crate::policy::decision::{Decision, Evidence, Verdict};
use crate::policy::rule::{Action, Amount, Kill, LimitRule, Mode, Notify, OnDrift, Setting};

/// What somebody wants done.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Tell somebody.
    Notify(Notify),
    /// Claim controls.
    Set {
        /// Which, and how much.
        settings: Vec<Setting>,
        /// What is done when somebody else writes them.
        on_drift: OnDrift,
        /// Whether they may loosen what they find: see [`Order::loosens`](super::order::Order::loosens).
        loosens: bool,
    },
    /// Have the kernel take memory back.
    Reclaim(Amount),
    /// Stop every task.
    Freeze,
    /// Let them run again.
    Thaw,
    /// End every process.
    Kill(Kill),
    /// Have systemd stop the unit and start it again.
    Restart,
    /// Have systemd stop the unit: it stays stopped.
    Stop,
    /// Take back what the rule did to the target.
    Undo,
}

impl Wish {
    /// Whether it only takes something back.
    pub(super) const fn takes_back(&self) -> bool {
        matches!(self, Self::Undo | Self::Thaw)
    }

    /// Whether it ends processes: those are counted, and bounded by the kill budgets.
    pub(super) const fn ends_processes(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::Restart | Self::Stop)
    }
}

/// A wish, before the guard rails.
#[derive(Clone, Debug)]
pub struct Request {
    /// The rule's name, [`BY_HAND`] for a person's.
    pub rule: Arc<str>,
    /// Whether a person ordered it: then only its own mode counts. A rule of that name is still a rule.
    pub by_hand: bool,
    /// The rule's own mode.
    pub mode: Option<Mode>,
    /// The policy's step, from 0, where it is one's.
    pub step: Option<usize>,
    /// Which cgroup.
    pub target: Arc<Identity>,
    /// What.
    pub wish: Wish,
    /// How long it stays.
    pub ttl: Option<Duration>,
    /// Whether a limit may be set below what is used now.
    pub allow_oom: bool,
    /// Until when the rule rests (monotonic), where it does.
    pub rests_until: Option<Duration>,
    /// When what led to it was noticed (monotonic).
    pub noticed: Duration,
    /// Why.
    pub evidence: Evidence,
}

/// The name that a person's own orders go by.
pub const BY_HAND: &str = "by hand";

impl Request {
    /// What a policy decided. A policy without the step that the decision names asks for nothing.
    ///
    /// A target that is [`Verdict::Gone`] becomes an undo as well: it closes what the journal holds of it.
    #[must_use]
    pub fn decided(decision: &Decision) -> Option<Self> {
        let policy = &decision.policy;
        let (step, rests_until) = match decision.verdict {
            Verdict::Act { step } => (Some(step), None),
            Verdict::Resting { step, until } => (Some(step), Some(until)),
            Verdict::Undo { .. } | Verdict::Gone => (None, None),
        };
        let (wish, ttl) = match step {
            None => (Wish::Undo, None),
            Some(step) => {
                let step = policy.steps.get(step)?;
                let wish = match &step.action {
                    Action::Notify(notify) => Wish::Notify(notify.clone()),
                    Action::Set(settings) => {
                        Wish::Set { settings: settings.clone(), on_drift: OnDrift::Yield, loosens: false }
                    }
                    Action::Reclaim(amount) => Wish::Reclaim(amount.clone()),
                    Action::Freeze => Wish::Freeze,
                    Action::Kill(kill) => Wish::Kill(*kill),
                    Action::Restart => Wish::Restart,
                    Action::Stop => Wish::Stop,
                };
                (wish, step.ttl)
            }
        };
        Some(Self {
            rule: Arc::clone(&policy.name),
            by_hand: false,
            mode: policy.mode,
            step,
            target: Arc::clone(&decision.target),
            wish,
            ttl,
            allow_oom: policy.allow_oom,
            rests_until,
            noticed: decision.at,
            evidence: decision.evidence.clone(),
        })
    }

    /// A standing limit that begins to hold for a cgroup, or whose values changed.
    #[must_use]
    pub fn standing(rule: &LimitRule, target: &Arc<Identity>, noticed: Duration) -> Self {
        let set = rule.set.iter().cloned();
        let settings =
            set.map(|(knob, value)| Setting { knob, amount: Amount::Fixed(value), at_least: None }).collect();
        let wish = Wish::Set { settings, on_drift: rule.on_drift, loosens: true };
        Self {
            rule: Arc::clone(&rule.name),
            by_hand: false,
            mode: rule.mode,
            allow_oom: rule.allow_oom,
            ..Self::by_hand(target, wish, noticed)
        }
    }

    /// A standing limit that no longer holds for a cgroup.
    #[must_use]
    pub fn withdrawn(rule: &Arc<str>, target: &Arc<Identity>, noticed: Duration) -> Self {
        Self { rule: Arc::clone(rule), by_hand: false, ..Self::by_hand(target, Wish::Undo, noticed) }
    }

    /// A person's own wish. `ttl` and `allow_oom` are to be filled in.
    #[must_use]
    pub fn by_hand(target: &Arc<Identity>, wish: Wish, noticed: Duration) -> Self {
        Self {
            rule: BY_HAND.into(),
            by_hand: true,
            mode: None,
            step: None,
            target: Arc::clone(target),
            wish,
            ttl: None,
            allow_oom: false,
            rests_until: None,
            noticed,
            evidence: Evidence::default(),
        }
    }
}
