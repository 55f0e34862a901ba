//! What a policy and a standing limit say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use super::selector::Selector;
use super::signal::Signal;
use crate::model::{Knob, Value};

/// What decisions lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing is planned; states and conditions are watched.
    Observe,
    /// Everything is decided and reported, nothing is done.
    #[default]
    DryRun,
    /// It is done.
    Enforce,
}

impl Mode {
    /// The name, in the configuration, on series and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::DryRun => "dry_run",
            Self::Enforce => "enforce",
        }
    }
}

/// Every rule, as the configuration has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Standing limits.
    pub limits: Vec<Arc<LimitRule>>,
    /// Reactive policies.
    pub policies: Vec<Arc<Policy>>,
}

impl Rules {
    /// Whether there is nothing to judge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.policies.is_empty()
    }
}

/// A standing limit: kept as written while matched, put back when the rule goes.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitRule {
    /// Its name, unique among all rules.
    pub name: Arc<str>,
    /// Its own mode, never freer than the general one.
    pub mode: Option<Mode>,
    /// Which cgroups.
    pub selector: Selector,
    /// What is set.
    pub set: Vec<(Knob, Value)>,
    /// Whether a limit may be set below what is used now.
    pub allow_oom: bool,
    /// What is done when somebody else writes the same control.
    pub on_drift: OnDrift,
}

/// What is done when somebody else writes a control that a rule keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// The other one's value stays, and the rule lets go of that control of that cgroup.
    #[default]
    Yield,
    /// The rule's value is written again, a bounded number of times.
    Reassert,
}

/// A reactive policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name, unique among all rules.
    pub name: Arc<str>,
    /// Its own mode, never freer than the general one.
    pub mode: Option<Mode>,
    /// Which cgroups.
    pub selector: Selector,
    /// When it fires.
    pub when: Condition,
    /// When what it did is undone before its time; without one, when `when` no longer holds.
    pub clear: Option<Condition>,
    /// Which of the matched cgroups are acted on.
    pub victim: Victim,
    /// What is done, in this order, until relieved.
    pub steps: Vec<Step>,
    /// How long it rests.
    pub cooldown: Cooldown,
    /// Whether a limit may be set below what is used now.
    pub allow_oom: bool,
    /// Signals that this host may lack: their tests are then unknown, and that is accepted.
    pub degrade: Vec<Signal>,
}

/// How victims are chosen among the matched cgroups for which `when` holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Victim {
    /// The signals they are ranked by, the most important first; more is worse. Ties break by path.
    pub rank: Vec<Signal>,
    /// What a cgroup must have at least to be worth an action, in each signal's unit.
    pub at_least: Vec<(Signal, f64)>,
    /// How many may be acted on at the same time.
    pub max: usize,
}

/// How long a policy rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// After it was done with a target, on that target.
    pub target: Duration,
    /// After it began to act on a target, on every other one.
    pub host: Duration,
}

/// One step of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// How long it stays, for what can be undone.
    pub ttl: Option<Duration>,
    /// How long it has to bring relief before the next step is taken.
    pub relieved_within: Duration,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Tells somebody.
    Notify(Notify),
    /// Sets controls.
    Set(Vec<Setting>),
    /// Has the kernel take memory back.
    Reclaim(Amount),
    /// Stops every task, until its ttl ends.
    Freeze,
    /// Ends every process.
    Kill(Kill),
    /// Has systemd stop the unit and start it again.
    Restart,
    /// Has systemd stop the unit: it stays stopped.
    Stop,
}

impl Action {
    /// The name, in the configuration, on series and in the audit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Notify(_) => "notify",
            Self::Set(_) => "set",
            Self::Reclaim(_) => "reclaim",
            Self::Freeze => "freeze",
            Self::Kill(_) => "kill",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }

    /// Whether it ends processes: those are counted, and bounded by the kill budgets.
    #[must_use]
    pub const fn ends_processes(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::Restart | Self::Stop)
    }
}

/// One control that a step sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Which control.
    pub knob: Knob,
    /// To what.
    pub amount: Amount,
    /// The least it may come to, in the knob's unit.
    pub at_least: Option<u64>,
}

/// How much.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// That much.
    Fixed(Value),
    /// A share of what is used now: `90% of current`.
    OfCurrent(f64),
}

/// Who is told, and how. The log and the audit always are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// Where to POST a message as Alertmanager sends them to a webhook receiver.
    pub webhook: Option<Webhook>,
    /// A command and its arguments; it gets the message as JSON on its standard input.
    pub hook: Option<Hook>,
}

/// A receiver of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its address, `http://` or `https://`.
    pub address: String,
    /// The authorities that may have signed its certificate (PEM); without it, those that the host trusts.
    pub ca_file: Option<PathBuf>,
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take; then it is killed.
    pub timeout: Duration,
}

/// How processes are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// What they are sent first: the signal's number; SIGKILL skips the grace.
    pub signal: i32,
    /// How long they have before SIGKILL.
    pub grace: Duration,
}
