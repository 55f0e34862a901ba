//! PURE: the guard rails. A request and the facts go in; an order, or a refusal with its reason, comes out.
//!
//! The rails stand in this order, and the first that does not let a request pass names the outcome:
//!
//! 1. mode: the stricter of the general one and the rule's own; `observe` plans nothing;
//! 2. identity: the target stands under its path, with its kernel id;
//! 3. protection, built in and configured, and [`Safety::scope`];
//! 4. ownership: who manages the target, and whether that owner may be written;
//! 5. what the host can do;
//! 6. cooldown;
//! 7. the kill budgets;
//! 8. minimum use: no limit below what is used now, unless the rule allows the OOM killer.
//!
//! What takes something back ([`Wish::Undo`], [`Wish::Thaw`]) passes them all, whatever the mode has become. What only
//! tells somebody ([`Wish::Notify`]) passes 3 to 5: it touches nothing.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Kills;
use super::order::{Deed, Done, Order, Outcome};
use super::protection::Protection;
use super::safety::{Safety, Writer};
use crate::model::{Cgroup, Field, Identity, Knob, Limit, Readings, Snapshot, Value};
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
        /// Whether they may loosen what they find: see [`Order::loosens`].
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
    /// Take back what the rule did to the target.
    Undo,
}

impl Wish {
    /// Whether it only takes something back.
    const fn takes_back(&self) -> bool {
        matches!(self, Self::Undo | Self::Thaw)
    }
}

/// A wish, before the guard rails.
#[derive(Clone, Debug)]
pub struct Request {
    /// The rule's name, `by hand` for a person's.
    pub rule: Arc<str>,
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
                };
                (wish, step.ttl)
            }
        };
        Some(Self {
            rule: Arc::clone(&policy.name),
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
            mode: rule.mode,
            allow_oom: rule.allow_oom,
            ..Self::by_hand(target, wish, noticed)
        }
    }

    /// A standing limit that no longer holds for a cgroup.
    #[must_use]
    pub fn withdrawn(rule: &Arc<str>, target: &Arc<Identity>, noticed: Duration) -> Self {
        Self { rule: Arc::clone(rule), ..Self::by_hand(target, Wish::Undo, noticed) }
    }

    /// A person's own wish. `ttl` and `allow_oom` are to be filled in.
    #[must_use]
    pub fn by_hand(target: &Arc<Identity>, wish: Wish, noticed: Duration) -> Self {
        Self {
            rule: BY_HAND.into(),
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

/// Who manages a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// systemd made it.
    Systemd,
    /// A container runtime of this name made it.
    Runtime(String),
    /// Nobody else.
    #[default]
    Unowned,
}

/// Where the processes live that nobody may stop: one path for each hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residents {
    /// This program.
    pub own: Vec<Box<[u8]>>,
    /// PID 1.
    pub init: Vec<Box<[u8]>>,
    /// Kernel threads.
    pub kernel_threads: Vec<Box<[u8]>>,
}

/// What a plan needs to know, found out by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The present (monotonic), never earlier than at the call before.
    pub now: Duration,
    /// The last full look at the host.
    pub snapshot: &'a Snapshot,
    /// Newer looks at some cgroups, sorted by path; some may be younger than the snapshot.
    pub fresh: &'a [Cgroup],
    /// Who lives where.
    pub residents: &'a Residents,
    /// Who manages the target.
    pub ownership: &'a Ownership,
    /// Whether that owner gave the target to whoever wants it: it lies inside a subtree marked as delegated.
    pub delegated: bool,
    /// Why this host cannot do what is wished, where it cannot.
    pub unsupported: Option<&'a str>,
}

/// What the guard rails made of a request.
#[derive(Clone, Debug)]
pub enum Planned {
    /// To be done.
    Go(Order),
    /// To be reported as if it were done.
    DryRun(Order),
    /// Not to be done.
    Refused {
        /// What was wished.
        order: Order,
        /// Which rail refused it.
        outcome: Outcome,
        /// Why, as a sentence.
        reason: String,
    },
    /// Not even reported: the mode is `observe`.
    Nothing,
}

impl Planned {
    /// A refusal as what came of the order.
    #[must_use]
    pub fn refusal(order: Order, outcome: Outcome, reason: String, now: Duration) -> Done {
        let reaction = now.saturating_sub(order.noticed);
        Done { order: Arc::new(order), outcome, detail: reason, changes: Vec::new(), reaction }
    }
}

/// The guard rails, and how many kills they let pass.
#[derive(Debug)]
pub struct Guard {
    safety: Safety,
    protection: Protection,
    kills: Kills,
    /// What a dry run would have killed: it then decides like the real run.
    shadow: Kills,
    next_id: u64,
}

impl Guard {
    /// Guard rails as configured.
    #[must_use]
    pub fn new(safety: Safety) -> Self {
        let protection = Protection::new(&safety);
        Self { safety, protection, kills: Kills::default(), shadow: Kills::default(), next_id: 1 }
    }

    /// Takes another configuration. The kills so far keep counting.
    pub fn replace(&mut self, safety: Safety) {
        self.protection = Protection::new(&safety);
        self.safety = safety;
    }

    /// The configuration in force.
    #[must_use]
    pub const fn safety(&self) -> &Safety {
        &self.safety
    }

    /// Holds a request to the rails. A kill that passes is counted.
    pub fn plan(&mut self, request: &Request, facts: &Facts<'_>) -> Planned {
        let mode = match (&*request.rule, request.mode) {
            // The mode is about what the program does by itself: who orders something by hand wants it done.
            (BY_HAND, own) => own.unwrap_or(Mode::Enforce),
            (_, Some(own)) => own.min(self.safety.mode),
            (_, None) => self.safety.mode,
        };
        if mode == Mode::Observe && !request.wish.takes_back() {
            return Planned::Nothing;
        }
        let fresh = facts.fresh.binary_search_by(|cgroup| cgroup.identity.path.cmp(&request.target.path));
        let fresh = fresh.ok().map(|at| &facts.fresh[at]);
        let target = fresh.or_else(|| facts.snapshot.find(&request.target.path));
        let target = target.filter(|found| found.identity.id == request.target.id && found.ended.is_none());
        let (deed, resolved) = resolve(&request.wish, target.map(|found| &found.readings));
        let mut order = self.order(request, deed, facts.now, mode);
        if request.wish.takes_back() {
            return Planned::Go(order);
        }
        if target.is_none() {
            let reason = format!("{} is gone, or another cgroup has its name now", request.target.display);
            return Planned::Refused { order, outcome: Outcome::Vanished, reason };
        }
        let passed = self
            .may_touch(request, facts)
            .and_then(|()| self.can_be_done(request, facts, resolved, order.dry_run));
        if let Err((outcome, reason)) = passed {
            return Planned::Refused { order, outcome, reason };
        }
        if let (Deed::Set { values, .. }, Some(target)) = (&mut order.deed, target) {
            for (knob, value) in values {
                let used = used_now(knob, &target.readings);
                *value = not_below_use(knob, value, used, request.allow_oom);
            }
        }
        if order.dry_run { Planned::DryRun(order) } else { Planned::Go(order) }
    }

    fn order(&mut self, request: &Request, deed: Deed, now: Duration, mode: Mode) -> Order {
        let id = self.next_id;
        self.next_id += 1;
        let ttl = match deed {
            Deed::Freeze => {
                Some(request.ttl.map_or(self.safety.freeze_max, |ttl| ttl.min(self.safety.freeze_max)))
            }
            Deed::Set { .. } => request.ttl,
            _ => None,
        };
        Order {
            id,
            rule: Arc::clone(&request.rule),
            step: request.step,
            target: Arc::clone(&request.target),
            deed,
            expires: ttl.map(|ttl| now + ttl),
            allow_oom: request.allow_oom,
            loosens: matches!(request.wish, Wish::Set { loosens: true, .. }),
            noticed: request.noticed,
            evidence: request.evidence.clone(),
            dry_run: mode != Mode::Enforce,
        }
    }

    /// Whether a policy's action on a cgroup would be refused for what the cgroup is.
    #[must_use]
    pub fn is_untouchable(&self, target: &Identity, facts: &Facts<'_>) -> bool {
        self.refusal_of(target, facts).is_some()
    }

    /// Protection, scope and ownership.
    fn may_touch(&self, request: &Request, facts: &Facts<'_>) -> Result<(), (Outcome, String)> {
        if matches!(request.wish, Wish::Notify(_)) {
            return Ok(());
        }
        self.refusal_of(&request.target, facts).map_or(Ok(()), Err)
    }

    fn refusal_of(&self, target: &Identity, facts: &Facts<'_>) -> Option<(Outcome, String)> {
        if let Some(reason) = self.protection.refuses(target, facts.residents, facts.snapshot) {
            return Some((Outcome::Protected, reason));
        }
        let writers = &self.safety.writers;
        let (owner, key, writer) = match facts.ownership {
            _ if facts.delegated => ("nobody else", "unowned", writers.unowned),
            Ownership::Unowned => ("nobody else", "unowned", writers.unowned),
            Ownership::Systemd => ("systemd", "systemd", writers.systemd),
            Ownership::Runtime(name) => (name.as_str(), "runtimes", writers.runtimes),
        };
        let what = &target.display;
        match writer {
            Writer::Cgroupfs => None,
            Writer::Refuse => Some((
                Outcome::NotOwner,
                format!("{owner} manages {what}, and `safety.writers.{key}` is `refuse`"),
            )),
            Writer::Dbus => Some((
                Outcome::NotOwner,
                format!(
                    "{owner} manages {what}, and this version cannot ask it over D-Bus (`safety.writers.{key}`): \
                     delegate the subtree (`Delegate=yes`), or set `safety.writers.{key}: cgroupfs`"
                ),
            )),
        }
    }

    /// What the host can do, cooldown and budget.
    fn can_be_done(
        &mut self,
        request: &Request,
        facts: &Facts<'_>,
        resolved: Result<(), String>,
        dry_run: bool,
    ) -> Result<(), (Outcome, String)> {
        let supported = facts.unsupported.map_or(Ok(()), |reason| Err(reason.to_owned()));
        supported.and(resolved).map_err(|reason| (Outcome::Unsupported, reason))?;
        if let Some(until) = request.rests_until {
            let left = until.saturating_sub(facts.now).as_secs_f64();
            return Err((Outcome::Cooldown, format!("the policy rests for another {left:.1} s")));
        }
        if matches!(request.wish, Wish::Kill(_)) {
            let kills = if dry_run { &mut self.shadow } else { &mut self.kills };
            let (host, one) = (self.safety.kill_host, self.safety.kill_target);
            kills.count(&request.target, host, one, facts.now).map_err(|reason| (Outcome::Budget, reason))?;
        }
        Ok(())
    }
}

/// The deed of a wish, its amounts in numbers. What cannot be told in numbers is left out, and said.
fn resolve(wish: &Wish, readings: Option<&Readings>) -> (Deed, Result<(), String>) {
    let mut resolved = Ok(());
    let deed = match wish {
        Wish::Notify(notify) => Deed::Notify(notify.clone()),
        Wish::Undo => Deed::Undo,
        Wish::Freeze => Deed::Freeze,
        Wish::Thaw => Deed::Thaw,
        Wish::Kill(kill) => Deed::Kill(*kill),
        Wish::Reclaim(amount) => {
            let used = readings.and_then(|readings| readings.get(Field::MemoryCurrent));
            let bytes = amount_of(amount, used).as_ref().and_then(Value::number);
            if bytes.is_none() {
                resolved = Err("how much to reclaim is not known: memory.current was not read".to_owned());
            }
            Deed::Reclaim(bytes.unwrap_or(0))
        }
        Wish::Set { settings, on_drift, .. } => {
            let mut values = Vec::with_capacity(settings.len());
            for Setting { knob, amount, at_least } in settings {
                let used = readings.and_then(|readings| used_now(knob, readings));
                match amount_of(amount, used) {
                    Some(Value::Limit(Limit::Value(number))) => {
                        values.push((knob.clone(), Value::of(number.max(at_least.unwrap_or(0)))));
                    }
                    Some(other) => values.push((knob.clone(), other)),
                    None => {
                        resolved = Err(format!("`% of current` of {knob}: what is used now is not known"))
                    }
                }
            }
            Deed::Set { values, on_drift: *on_drift }
        }
    };
    (deed, resolved)
}

/// An amount as a value; none where it depends on what is not known.
fn amount_of(amount: &Amount, used: Option<u64>) -> Option<Value> {
    match amount {
        Amount::Fixed(value) => Some(value.clone()),
        Amount::OfCurrent(share) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a share of a limit need not be exact to the byte"
            )]
            let number = used? as f64 * share;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "shares are checked to be positive, and a float cast stops at the ends"
            )]
            Some(Value::of(number as u64))
        }
    }
}

/// What a control's limit is measured against, where it is an amount that is used.
fn used_now(knob: &Knob, readings: &Readings) -> Option<u64> {
    let field = match knob {
        Knob::MemoryMin | Knob::MemoryLow | Knob::MemoryHigh | Knob::MemoryMax => Field::MemoryCurrent,
        Knob::MemorySwapMax => Field::MemorySwapCurrent,
        Knob::PidsMax => Field::PidsCurrent,
        _ => return None,
    };
    readings.get(field)
}

/// The value, raised to what is used now where less would have the kernel kill, or would fail forks and swapping
/// for what is there already: `memory.max`, `memory.swap.max` and `pids.max`.
///
/// `memory.high` is not raised: to stand below the use is how it throttles, and it kills nothing.
#[must_use]
pub fn not_below_use(knob: &Knob, value: &Value, used: Option<u64>, allow_oom: bool) -> Value {
    let guarded = matches!(knob, Knob::MemoryMax | Knob::MemorySwapMax | Knob::PidsMax);
    match (value.number(), used) {
        (Some(number), Some(used)) if guarded && !allow_oom && number < used => Value::of(used),
        _ => value.clone(),
    }
}
