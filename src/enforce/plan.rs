//! PURE: the guard rails. A request and the facts go in; an order, or a refusal with its reason, comes out.
//!
//! The rails stand in this order, and the first that does not let a request pass names the outcome:
//!
//! 1. mode: the stricter of the general one and the rule's own; `observe` plans nothing;
//! 2. identity: the target stands under its path, with its kernel id;
//! 3. protection, built in and configured, and [`Safety::scope`];
//! 4. ownership: who manages the target, and whether that owner may be written;
//! 5. cooperation: what others look after who end processes for want of memory is left to them, but for a person's orders;
//! 6. what the host can do;
//! 7. cooldown;
//! 8. the kill budgets;
//! 9. minimum use: no limit below what is used now, unless the rule allows the OOM killer.
//!
//! What takes something back ([`Wish::Undo`], [`Wish::Thaw`]) passes them all, whatever the mode has become. What only
//! tells somebody ([`Wish::Notify`]) passes 3 to 6: it touches nothing.

use std::sync::Arc;
use std::time::Duration;

use super::amount::{not_below_use, resolve, set_to, used_now};
use super::budget::Kills;
use super::order::{Deed, Done, Order, Outcome};
pub use super::ownership::Ownership;
use super::protection::Protection;
pub use super::request::{BY_HAND, Request, Wish};
use super::safety::{Safety, Writer};
use super::yielding::Yielding;
use crate::model::{Cgroup, Identity, Snapshot};
use crate::policy::rule::{Action, Mode, Policy};

/// Where the processes live that nobody may stop: one path for each hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residents {
    /// This program.
    pub own: Vec<Box<[u8]>>,
    /// PID 1.
    pub init: Vec<Box<[u8]>>,
    /// Kernel threads.
    pub kernel_threads: Vec<Box<[u8]>>,
    /// Why that is not known, where it is not: then nobody is touched.
    pub unknown: Option<String>,
}

/// A cgroup below a target, as it stands there now: the snapshot may not have it yet, or be told not to look so deep.
#[derive(Clone, Debug)]
pub struct Below {
    /// Which.
    pub identity: Identity,
    /// Who manages it.
    pub ownership: Ownership,
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
    /// What is below the target, or why that cannot be told: then it is not touched.
    pub below: Result<&'a [Below], &'a str>,
    /// Who manages the target.
    pub ownership: &'a Ownership,
    /// What is left to others, as it was found out last.
    pub yielding: &'a Yielding,
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
    /// The order, done or not.
    #[must_use]
    pub const fn order(&self) -> Option<&Order> {
        match self {
            Self::Go(order) | Self::DryRun(order) | Self::Refused { order, .. } => Some(order),
            Self::Nothing => None,
        }
    }

    /// A refusal as what came of the order.
    #[must_use]
    pub fn refusal(order: Order, outcome: Outcome, reason: String, now: Duration) -> Done {
        let reaction = now.saturating_sub(order.noticed);
        Done { order: Arc::new(order), outcome, detail: reason, changes: Vec::new(), reaction, through: None }
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

    /// Counts what former programs killed, with how long ago, the oldest first: a restart is no new budget.
    pub fn remember(&mut self, kills: &[(Box<[u8]>, Duration)], now: Duration) {
        let longest = self.safety.kill_host.per.max(self.safety.kill_target.per);
        for (path, ago) in kills.iter().filter(|(_, ago)| *ago < longest) {
            // The clock begins with the boot: what was before is taken for that moment.
            self.kills.remember(path, now.saturating_sub(*ago));
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn safety(&self) -> &Safety {
        &self.safety
    }

    /// Holds a request to the rails. A kill that passes is counted.
    pub fn plan(&mut self, request: &Request, facts: &Facts<'_>) -> Planned {
        let mode = match (request.by_hand, request.mode) {
            // The mode is about what the program does by itself: who orders something by hand wants it done.
            (true, own) => own.unwrap_or(Mode::Enforce),
            (false, Some(own)) => own.min(self.safety.mode),
            (false, None) => self.safety.mode,
        };
        if mode == Mode::Observe && !request.wish.takes_back() {
            return Planned::Nothing;
        }
        let fresh = facts.fresh.binary_search_by(|cgroup| cgroup.identity.path.cmp(&request.target.path));
        let fresh = fresh.ok().map(|at| &facts.fresh[at]);
        let target = fresh.or_else(|| facts.snapshot.find(&request.target.path));
        let target = target.filter(|found| found.identity.id == request.target.id && found.ended.is_none());
        let (deed, resolved) = resolve(&request.wish, target.map(|found| &found.readings));
        let mut order = self.order(request, deed, facts, mode);
        if request.wish.takes_back() {
            return Planned::Go(order);
        }
        if target.is_none() {
            let reason = format!("{} is gone, or another cgroup has its name now", request.target.display);
            return Planned::Refused { order, outcome: Outcome::Vanished, reason };
        }
        // Whose it is may have become known since the request was made.
        let newest = target.map_or(&*request.target, |found| &*found.identity);
        let passed = self
            .may_touch(newest, &request.wish, facts)
            .and_then(
                |()| if request.by_hand { Ok(()) } else { left_to_others(newest, &request.wish, facts) },
            )
            .and_then(|()| self.can_be_done(request, facts, resolved, order.dry_run));
        if let Err((outcome, reason)) = passed {
            return Planned::Refused { order, outcome, reason };
        }
        if let (Deed::Set { values, .. }, Some(target)) = (&mut order.deed, target) {
            let seen = values.iter().filter(|_| !order.loosens);
            order.seen =
                seen.filter_map(|(knob, _)| Some((knob.clone(), set_to(knob, &target.controls)?))).collect();
            for (knob, value) in values {
                let used = used_now(knob, &target.readings);
                *value = not_below_use(knob, value, used, request.allow_oom);
            }
        }
        if order.dry_run { Planned::DryRun(order) } else { Planned::Go(order) }
    }

    fn order(&mut self, request: &Request, deed: Deed, facts: &Facts<'_>, mode: Mode) -> Order {
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
            owner: facts.ownership.clone(),
            deed,
            expires: ttl.map(|ttl| facts.now + ttl),
            allow_oom: request.allow_oom,
            loosens: matches!(request.wish, Wish::Set { loosens: true, .. }),
            seen: Vec::new(),
            noticed: request.noticed,
            evidence: request.evidence.clone(),
            dry_run: mode != Mode::Enforce,
        }
    }

    /// Whether a policy's action on a cgroup would be refused for what the cgroup is.
    #[must_use]
    pub fn is_untouchable(&self, policy: &Policy, target: &Identity, facts: &Facts<'_>) -> bool {
        let mut acts =
            policy.steps.iter().filter(|step| !matches!(step.action, Action::Notify(_))).peekable();
        let is_left = acts.peek().is_some()
            && acts.all(|step| Wish::of(&step.action).is_guardians_work())
            && facts.yielding.reason(&target.path, &target.display).is_some();
        is_left || self.refusal_of(target, facts).is_some()
    }

    /// Why no process of a cgroup would be stopped or ended, where that is so: the outcome, and the reason.
    #[must_use]
    pub fn explain(&self, target: &Identity, facts: &Facts<'_>) -> Option<(Outcome, String)> {
        self.may_touch(target, &Wish::Freeze, facts)
            .and_then(|()| left_to_others(target, &Wish::Freeze, facts))
            .err()
    }

    /// Protection, scope and ownership.
    fn may_touch(&self, target: &Identity, wish: &Wish, facts: &Facts<'_>) -> Result<(), (Outcome, String)> {
        if matches!(wish, Wish::Notify(_)) {
            return Ok(());
        }
        let found = self.refusal_of(target, facts);
        // What stops or ends processes does so with all below. A limit is the target's own: its owner alone counts.
        let stopped = stopped_below(wish, facts);
        let found = found.or_else(|| {
            stopped.iter().find_map(|below| {
                let ownership = match facts.ownership {
                    Ownership::Delegated => &below.ownership.clone().given_away(),
                    _ => &below.ownership,
                };
                let (outcome, reason) = self.not_owner(&below.identity, ownership)?;
                Some((outcome, format!("{reason}; it is below {}", target.display)))
            })
        });
        found.map_or(Ok(()), Err)
    }

    /// Why a cgroup is not touched for what it is, where it is not: protection, scope, ownership.
    #[must_use]
    pub fn refusal_of(&self, target: &Identity, facts: &Facts<'_>) -> Option<(Outcome, String)> {
        if let Some(reason) = self.protection.refuses(target, facts) {
            return Some((Outcome::Protected, reason));
        }
        self.not_owner(target, facts.ownership)
    }

    fn not_owner(&self, target: &Identity, ownership: &Ownership) -> Option<(Outcome, String)> {
        let what = &target.display;
        match ownership.writer(&self.safety.writers) {
            None => Some((Outcome::NotOwner, format!("who manages {what} is {ownership}"))),
            // What systemd says of its owner counts, and it is asked when the order is carried out.
            Some((_, Writer::Cgroupfs | Writer::Dbus)) => None,
            Some((key, Writer::Refuse)) => {
                let owner = match ownership {
                    Ownership::Runtime { runtime } => runtime,
                    owner if owner.is_systemd() => "systemd",
                    _ => "nobody else",
                };
                let reason = format!("{owner} manages {what}, and `safety.writers.{key}` is `refuse`");
                Some((Outcome::NotOwner, reason))
            }
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
        if request.wish.ends_processes() {
            let kills = if dry_run { &mut self.shadow } else { &mut self.kills };
            let (host, one) = (self.safety.kill_host, self.safety.kill_target);
            let comes_back = matches!(request.wish, Wish::Restart);
            kills.count(&request.target, comes_back, host, one, facts.now)?;
        }
        Ok(())
    }
}

/// What is below a target and stopped or ended with it.
fn stopped_below<'a>(wish: &Wish, facts: &Facts<'a>) -> &'a [Below] {
    let stops = matches!(wish, Wish::Freeze) || wish.ends_processes();
    if stops { facts.below.unwrap_or_default() } else { &[] }
}

/// Whether a wish is for somebody else to fulfil who looks after the target, or after something that would be stopped with it.
fn left_to_others(target: &Identity, wish: &Wish, facts: &Facts<'_>) -> Result<(), (Outcome, String)> {
    if !wish.is_guardians_work() {
        return Ok(());
    }
    let below = stopped_below(wish, facts).iter().map(|below| &below.identity);
    let reason = std::iter::once(target).chain(below).find_map(|each| {
        let reason = facts.yielding.reason(&each.path, &each.display)?;
        let whose = if *each.path == *target.path {
            String::new()
        } else {
            format!("; it is below {}", target.display)
        };
        Some(format!("{reason}{whose}"))
    });
    reason.map_or(Ok(()), |reason| Err((Outcome::Yielded, reason)))
}
