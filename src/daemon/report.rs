//! What enforcement did, to those who want to know: metrics, the audit, the log, messages, and whoever waits for an answer.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::board::Board;
use super::surroundings::Surroundings;
use crate::enforce::apply::{Deadlines, Enforcer, Event, Settings, StartError};
use crate::enforce::audit::AuditLog;
use crate::enforce::drift::{DriftAnswer, DriftSeen, ForeignWriter};
use crate::enforce::journal::Recovery;
use crate::enforce::ledger::{Key, key_of};
use crate::enforce::notify::Notifier;
use crate::enforce::order::{Deed, Done, Outcome};
use crate::enforce::plan::BY_HAND;
use crate::enforce::safety::Safety;
use crate::enforce::stats::Stats;
use crate::kernel::freeze::SWITCH;
use crate::metrics::{Enforcement, Own};
use crate::model::{Identity, Knob, KnobChange, Writer};
use crate::policy::engine::{Engine, State};
use crate::policy::rule::{Action, Policy, Rules};
use crate::policy::standing::Standing;
use crate::sample::Written;

/// A rule and what came of its orders.
type Warned = (Arc<str>, Outcome);

/// Where everything that happened is told. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reporter {
    own: Arc<Own>,
    board: Arc<Board>,
    audit: AuditLog,
    stats: Arc<Stats>,
    notifier: Notifier,
    /// Which standing limits were warned of, and for what, since the configuration was read.
    warned: Arc<Mutex<HashSet<Warned>>>,
}

impl Reporter {
    /// Starts the threads that write the audit and send messages.
    pub fn new(own: Arc<Own>, board: Arc<Board>, safety: &Safety) -> io::Result<Self> {
        let stats = Arc::new(Stats::default());
        let audit = AuditLog::start(safety, Arc::clone(&stats))?;
        let told = audit.clone();
        let notifier = Notifier::start(Arc::clone(&stats), move |notified| {
            if let Err(why) = &notified.result {
                tracing::warn!(to = notified.to, why, "a message did not arrive");
            }
            told.notified(&notified);
        })?;
        Ok(Self { own, board, audit, stats, notifier, warned: Arc::default() })
    }

    /// Starts enforcement, and tells what a former program had left. `then` is called after everybody else was told.
    pub fn start(
        &self,
        safety: &Safety,
        surroundings: &mut Surroundings,
        then: impl Fn(&Event) + Send + 'static,
    ) -> Result<(Enforcer, Recovery), StartError> {
        let settings = Settings {
            journal: safety.journal.clone(),
            boot: surroundings.boot_id(),
            deadlines: Deadlines::default(),
        };
        let (notifier, told) = (self.notifier.clone(), self.clone());
        let (enforcer, recovery) = Enforcer::start(
            settings,
            surroundings.actuator(safety.writers) as Arc<_>,
            Arc::clone(&self.stats),
            move |order, notify| notifier.send(order, notify),
            move |event| {
                match &event {
                    Event::Done(done) => told.done(done),
                    Event::Drift(drift) => told.drift(drift),
                }
                then(&event);
            },
        )?;
        self.recovered(&recovery);
        Ok((enforcer, recovery))
    }

    /// Takes the rules of another configuration: their series begin at zero.
    pub fn configure(&self, rules: &Rules, safety: &Safety) {
        self.audit.replace(safety);
        self.board.configure(rules, safety);
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let limits = rules.limits.iter().map(|rule| Arc::clone(&rule.name));
        let policies = rules.policies.iter().map(|policy| Arc::clone(&policy.name));
        self.stats.configure(limits.chain(policies));
        for rule in &rules.limits {
            self.own.expect_decisions(&rule.name, "set");
            for (knob, _) in &rule.set {
                self.own.expect_drift(&rule.name, knob.file());
            }
        }
        for policy in &rules.policies {
            for step in &policy.steps {
                self.own.expect_decisions(&policy.name, step.action.name());
                match &step.action {
                    Action::Set(settings) => {
                        for setting in settings {
                            self.own.expect_drift(&policy.name, setting.knob.file());
                        }
                    }
                    Action::Freeze => self.own.expect_drift(&policy.name, SWITCH),
                    _ => {}
                }
            }
        }
    }

    /// The policies were judged, which took so long.
    pub fn evaluated(&self, took: Duration) {
        self.own.evaluated(took);
    }

    /// The policies were judged between two passes.
    pub fn woken(&self, cause: &'static str) {
        self.own.woken(cause);
    }

    /// Says of which targets the policies are not done: whoever was told of others is told that it is over.
    pub fn lasting<'a>(&self, open: impl Iterator<Item = (&'a Arc<Policy>, &'a Arc<Identity>, &'a State)>) {
        if self.notifier.is_awaited() {
            let open: HashSet<(&str, Key)> =
                open.map(|(policy, target, _)| (&*policy.name, key_of(target))).collect();
            self.notifier.resolved_but(|rule, key| open.contains(&(&**rule, key.clone())));
        }
    }

    /// A configuration was read again, or could not be.
    pub fn reloaded(&self, problem: Option<&str>) {
        self.audit.reload(problem.map_or(Ok(()), Err));
    }

    /// Somebody wrote a control. Those that are ours are told otherwise: as a drift, or as what was done.
    pub fn written(&self, written: &Written, writer: &ForeignWriter, ours: impl Fn(&KnobChange) -> bool) {
        if written.writer == Writer::Own {
            return;
        }
        // Nobody wrote a file that has come or gone: its controller was switched on or off for the cgroup. Of a device that
        // has no limit there is no line.
        let there = |change: &KnobChange| change.before.is_some() && change.after.is_some();
        let is_write = |change: &KnobChange| there(change) || matches!(change.knob, Knob::IoMax { .. });
        for change in written.changes.iter().filter(|change| is_write(change) && !ours(change)) {
            let (before, after) = (change.before.as_ref(), change.after.as_ref());
            self.audit.foreign_write(&written.cgroup, &change.knob, before, after, writer);
        }
    }

    /// Where everything stands.
    pub fn show(
        &self,
        told: Enforcement,
        states: &[(&Arc<Policy>, &'static str, usize)],
        engine: &Engine,
        standing: &Standing,
    ) {
        self.own.set_enforcement(told);
        self.board.lay_down(states, engine, standing);
    }

    /// Waits until the audit is on disk.
    pub fn flush(&self) {
        self.audit.flush(Duration::from_secs(5));
    }

    fn done(&self, done: &Done) {
        let (order, action) = (&done.order, done.order.deed.name());
        if done.outcome == Outcome::Applied {
            self.own.reacted(action, done.reaction);
            if matches!(order.deed, Deed::Undo) {
                self.notifier.resolved(order);
            }
        }
        // The last of its numbers: an exposition that is made from now on has all.
        self.own.decided(&order.rule, action, done.outcome);
        self.audit.done(done);
        self.board.decided(done);
        let (rule, cgroup, outcome) = (&*order.rule, &*order.target.display, done.outcome.name());
        let changes: Vec<String> = done
            .changes
            .iter()
            .map(|change| format!("{} {} -> {}", change.knob, change.before, change.after))
            .collect();
        let (changes, detail) = (changes.join(", "), &done.detail);
        // A standing limit is set on every cgroup that it matches: the audit has each.
        let told = order.step.is_some() || rule == BY_HAND;
        let first = || {
            let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
            warned.insert((Arc::clone(&order.rule), done.outcome))
        };
        match done.outcome {
            Outcome::Failed | Outcome::TimedOut | Outcome::Unsupported if !told => {
                // Ten thousand cgroups of a host that is mounted read-only are one problem.
                if first() {
                    let more = "a standing limit could not be set; the audit has every such cgroup, the log only the first";
                    tracing::warn!(rule, cgroup, outcome, detail, "{more}");
                }
            }
            Outcome::Failed | Outcome::TimedOut | Outcome::Unsupported => {
                tracing::warn!(rule, action, cgroup, outcome, changes, detail, "an action came to nothing");
            }
            _ if told => tracing::info!(rule, action, cgroup, outcome, changes, detail, "decided"),
            _ => tracing::debug!(rule, action, cgroup, outcome, changes, detail, "decided"),
        }
    }

    fn drift(&self, drift: &DriftSeen) {
        let file = drift.file();
        let (answer, rules) = match &drift.answer {
            DriftAnswer::Yielded(rules) => ("yield", rules.clone()),
            DriftAnswer::Reasserted(rule, _) => ("reassert", vec![Arc::clone(rule)]),
        };
        for rule in &rules {
            self.own.drifted(rule, file, answer);
        }
        self.audit.drift(drift);
        tracing::warn!(
            cgroup = &*drift.target.display,
            control = drift.control(),
            ours = %drift.ours,
            theirs = %drift.theirs,
            pid = drift.writer.pid,
            command = drift.writer.command,
            answer,
            "another program wrote a control that a rule keeps"
        );
    }

    fn recovered(&self, recovery: &Recovery) {
        self.audit.recovery(recovery);
        let damage = &recovery.damage;
        if damage.torn > 0 || damage.corrupt > 0 {
            tracing::error!(
                torn_bytes = damage.torn,
                corrupt_lines = damage.corrupt,
                kept = damage.kept.as_ref().map(|path| path.display().to_string()),
                "the journal was damaged; what was torn off is kept"
            );
        }
        if !recovery.claims.is_empty() {
            tracing::warn!(
                changes = recovery.claims.len(),
                "a former program ended without undoing what it did: it is undone now, the audit has each"
            );
        }
    }
}
