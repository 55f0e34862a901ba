//! The loop that judges and acts: snapshots and news in, orders out. It runs on the sampler's thread and never writes to
//! a cgroup itself.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::attention::Attention;
use super::by_hand;
use super::explanation::About;
use super::report::Reporter;
use super::retries::Retries;
use super::socket::{Answer, Asked, Desk, What};
use super::steering::Steering;
use super::surroundings::Surroundings;
use super::triggers::Triggers;
use super::writes::Writes;
use crate::config::Config;
use crate::enforce::apply::Enforcer;
use crate::enforce::ledger::key_of;
use crate::enforce::plan::{BY_HAND, Facts, Guard, Planned, Request, Wish};
use crate::metrics::Enforcement as Told;
use crate::model::{Cgroup, Host, Identity, Snapshot};
use crate::policy::decision::Decision;
use crate::policy::engine::{Engine, View};
use crate::policy::rule::{Mode, Policy};
use crate::policy::standing::{Keep, Standing};
use crate::sample::{Attendant, News, Ready, Sampler, Written};

/// How many cgroups are read again when something between two passes wakes the policies.
const MOST_LOOKED_AT: usize = 256;
/// How long what is in force may take to be undone by order.
const UNDO_WITHIN: Duration = Duration::from_secs(60);

/// People who wait for the outcome of their orders, by the order's number.
pub(super) type Waiting = Arc<Mutex<HashMap<u64, SyncSender<Answer>>>>;

/// A configuration that waits to be put in force.
pub(super) struct Next {
    /// The configuration.
    pub config: Arc<Config>,
    /// What it needs and the one before did not.
    pub steering: Option<Steering>,
}

/// Where the next configuration is laid down.
pub(super) type Pending = Arc<Mutex<Option<Next>>>;

/// Sampling, and enforcement once there is anything to enforce.
pub(super) struct Enforcement<P> {
    publish: P,
    pending: Pending,
    last: Option<Arc<Snapshot>>,
    judge: Option<Judge>,
}

/// Policies, guard rails, and the way to the kernel.
struct Judge {
    config: Arc<Config>,
    engine: Engine,
    standing: Standing,
    guard: Guard,
    enforcer: Arc<Enforcer>,
    surroundings: Surroundings,
    triggers: Triggers,
    desk: Option<Desk>,
    waiting: Waiting,
    reporter: Reporter,
    /// When the policies were judged last (monotonic).
    judged: Duration,
    attention: Attention,
    retries: Retries,
    /// `safety:` is another one since the last pass.
    rails_moved: bool,
}

impl<P: FnMut(Arc<Snapshot>)> Enforcement<P> {
    /// `publish` takes each snapshot first.
    pub fn new(publish: P, config: Arc<Config>, steering: Option<Steering>, pending: Pending) -> Self {
        let judge = steering.map(|steering| Judge::new(config, steering));
        Self { publish, pending, last: None, judge }
    }

    /// Puts a configuration that waits in force.
    fn take_over(&mut self) {
        let next = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (next, &mut self.judge) {
            (None, _) => {}
            (Some(next), Some(judge)) => judge.replace(next.config),
            (Some(next), none) => *none = next.steering.map(|steering| Judge::new(next.config, steering)),
        }
    }
}

impl Judge {
    fn new(config: Arc<Config>, steering: Steering) -> Self {
        let Steering { enforcer, surroundings, desk, waiting, reporter, told, kills } = steering;
        reporter.configure(&config.rules, &config.safety);
        let mut guard = Guard::new(config.safety.clone());
        guard.remember(&kills, surroundings.now());
        Self {
            engine: Engine::new(&config.rules),
            standing: Standing::new(&config.rules),
            guard,
            triggers: Triggers::default(),
            config,
            enforcer,
            surroundings,
            desk,
            waiting,
            reporter,
            judged: Duration::ZERO,
            attention: Attention::default(),
            retries: Retries::new(told),
            rails_moved: false,
        }
    }

    fn replace(&mut self, config: Arc<Config>) {
        self.reporter.configure(&config.rules, &config.safety);
        let (old, new) = (&self.config.safety, &config.safety);
        if old.mode == new.mode {
            self.engine.replace(&config.rules);
        } else {
            // What was only played so far is no reason to go on with the next step in earnest.
            self.engine.begin_anew(&config.rules);
        }
        self.standing.replace(&config.rules);
        if old != new {
            self.standing.apply_again();
            self.rails_moved = true;
        }
        self.guard.replace(config.safety.clone());
        self.surroundings.keep_to(&config.safety);
        self.config = config;
    }

    /// Takes back what rules did and the guard rails no longer let pass: what is in force stays only as long as it may be
    /// done. What a person ordered stays for its time.
    fn hold_to_the_rails(&mut self, view: &View<'_>) {
        if !std::mem::take(&mut self.rails_moved) {
            return;
        }
        self.surroundings.refresh();
        let mode = self.config.safety.mode;
        let mut seen = HashSet::new();
        for claim in self.enforcer.active() {
            if &*claim.rule == BY_HAND || !seen.insert((Arc::clone(&claim.rule), key_of(&claim.target))) {
                continue;
            }
            let target = view.snapshot.find(&claim.target.path).map(|found| &found.identity);
            let target = target.filter(|found| **found == claim.target).unwrap_or(&claim.target);
            let stands = mode == Mode::Enforce
                && self.surroundings.with_facts(target, view, Ok(&[]), None, |facts| {
                    self.guard.refusal_of(target, facts).is_none()
                });
            if !stands {
                self.submit(&Request::withdrawn(&claim.rule, &claim.target, view.at), view);
            }
        }
    }

    /// Tries standing limits again that came to nothing.
    fn try_again(&mut self, view: &View<'_>) {
        for (rule, target) in self.retries.due(view.at) {
            match self.standing.keeps(&rule, &target).map(Arc::clone) {
                Some(rule) => self.submit(&Request::standing(&rule, &target, view.at), view),
                None => self.retries.forget(&rule, &target),
            }
        }
    }

    /// Judges everything that the view shows, and has done what follows.
    fn judge(&mut self, view: &View<'_>, noticed: Duration) {
        let began = Instant::now();
        self.engine.throttled_by_us(self.enforcer.throttles());
        self.surroundings.refresh();
        let untouchable = |policy: &Policy, target: &Identity| {
            let asked = |facts: &Facts<'_>| self.guard.is_untouchable(policy, target, facts);
            self.surroundings.with_facts(target, view, Ok(&[]), None, asked)
        };
        let decisions: Vec<Decision> = self.engine.evaluate_sparing(view, &untouchable).to_vec();
        let changes = self.standing.evaluate(view).to_vec();
        self.judged = view.at;
        self.reporter.evaluated(began.elapsed());
        self.reporter.lasting(self.engine.active());
        for decision in &decisions {
            if let Some(request) = Request::decided(decision) {
                self.submit(&Request { noticed, ..request }, view);
            }
        }
        for change in changes {
            let request = match change.keep {
                Keep::Apply => Request::standing(&change.rule, &change.target, noticed),
                // Who is gone has nothing to be put back: undoing closes what the journal holds of it.
                Keep::Withdraw | Keep::Gone => Request::withdrawn(&change.rule.name, &change.target, noticed),
            };
            self.submit(&request, view);
        }
    }

    /// What a person set ends with its cgroup: a unit that is started again has a new one, and its properties outlive the old.
    fn bury(&mut self, view: &View<'_>) {
        for target in self.enforcer.ordered_by_hand() {
            if self.surroundings.is_gone(&target) {
                self.submit(&Request::by_hand(&target, Wish::Undo, view.at), view);
            }
        }
    }

    fn submit(&mut self, request: &Request, view: &View<'_>) {
        let planned = self.plan(request, view);
        self.enforcer.carry_out(planned);
    }

    fn plan(&mut self, request: &Request, view: &View<'_>) -> Planned {
        self.surroundings.refresh();
        let Self { surroundings, guard, .. } = self;
        surroundings.plan(guard, request, view)
    }

    fn written(&self, written: &Written) {
        let cgroup = &written.cgroup;
        let is_about = self.engine.is_about(&cgroup.path) || self.standing.keeping(cgroup).next().is_some();
        self.writes().heard(written, is_about);
    }

    fn writes(&self) -> Writes<'_> {
        let Self { enforcer, reporter, surroundings, .. } = self;
        Writes { enforcer, reporter, surroundings }
    }

    fn answer(&mut self, last: Option<&Arc<Snapshot>>, sampler: &mut Sampler) {
        while let Some(asked) = self.desk.as_ref().and_then(Desk::next) {
            self.answer_one(asked, last, sampler);
        }
    }

    fn answer_one(&mut self, asked: Asked, last: Option<&Arc<Snapshot>>, sampler: &mut Sampler) {
        let Asked { request, reply } = asked;
        let known = |snapshot: &Snapshot| match &request.target {
            None => true,
            Some(target) => snapshot.find(&target.path).is_some_and(|found| found.identity.id == target.id),
        };
        let snapshot = match last {
            Some(snapshot) if known(snapshot) => Arc::clone(snapshot),
            // It was born after the last pass.
            _ => sampler.pass(),
        };
        let target = match by_hand::target(&request, &snapshot) {
            Ok(target) => target,
            Err(answer) => {
                let _ = reply.send(answer);
                return;
            }
        };
        if request.dry_run
            && let Some(answer) = by_hand::would_take_back(&request.what, target.as_deref(), &self.enforcer)
        {
            let _ = reply.send(answer);
            return;
        }
        match (&request.what, target) {
            (What::Explain, Some(target)) => {
                let view = View::pass(&snapshot);
                let about = About {
                    target: &target,
                    now: self.surroundings.now(),
                    refused: self.surroundings.explain(&self.guard, &target, &view),
                    policies: self.engine.explain(&view, &target.path),
                    limits: self.standing.keeping(&target).map(Arc::clone).collect(),
                    holdings: self.enforcer.read_ledger(|ledger| ledger.holdings(&target)),
                    mode: self.config.safety.mode,
                };
                let _ = reply.send(about.answer());
            }
            (What::Undo, None) => {
                let enforcer = Arc::clone(&self.enforcer);
                let _ = std::thread::Builder::new().name("undo".to_owned()).spawn(move || {
                    let _ = reply.send(by_hand::undone(&enforcer, UNDO_WITHIN));
                });
            }
            (what, Some(target)) => match by_hand::request(what, &target, request.dry_run, snapshot.at) {
                Err(answer) => {
                    let _ = reply.send(answer);
                }
                Ok(wanted) => {
                    let planned = self.plan(&wanted, &View::pass(&snapshot));
                    match planned.order().map(|order| order.id) {
                        Some(id) => {
                            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, reply);
                        }
                        None => drop(reply.send(Answer::failed("`safety.mode` is `observe`".to_owned()))),
                    }
                    self.enforcer.carry_out(planned);
                }
            },
            (_, None) => drop(reply.send(Answer::failed("no cgroup was named".to_owned()))),
        }
    }

    /// Shows where everything stands.
    fn show(&self) {
        let mode = super::mode_name(&self.config);
        let numbers = self.enforcer.numbers();
        // It looks at every target of every policy: once for the metrics and for the page.
        let states: Vec<_> = self.engine.states().collect();
        let told = Told {
            mode,
            active: numbers
                .active
                .iter()
                .map(|((rule, action), &count)| (Arc::clone(rule), *action, count))
                .collect(),
            states: states
                .iter()
                .map(|&(policy, state, count)| (Arc::clone(&policy.name), state, count as u64))
                .collect(),
            triggers: self.triggers.armed() as u64,
            journal_open: numbers.journal_entries,
            journal_torn_bytes: numbers.torn_bytes,
            audit_faults: numbers.audit_lost,
            notify_faults: numbers.notify_failed + numbers.notify_dropped,
        };
        self.reporter.show(told, &states, &self.engine, &self.standing);
    }
}

impl Judge {
    fn passed(&mut self, snapshot: &Arc<Snapshot>, news: &[News], sampler: &mut Sampler) {
        for news in news {
            if let News::Written(written) = news {
                self.written(written);
            }
        }
        self.writes().look_for_thaws(snapshot);
        let view = View::pass(snapshot);
        self.hold_to_the_rails(&view);
        self.attention.passed();
        self.judge(&view, snapshot.at);
        self.bury(&view);
        self.try_again(&view);
        self.triggers.keep(&self.engine.pressure_wants(snapshot), &self.surroundings);
        self.answer(Some(snapshot), sampler);
        self.show();
    }

    /// Something happened between two passes: whoever it concerns is looked at again, and judged.
    fn noticed(
        &mut self,
        last: Option<&Arc<Snapshot>>,
        news: &[News],
        ready: &[Ready],
        sampler: &mut Sampler,
    ) {
        let noticed = self.surroundings.now();
        let mut paths: Vec<Arc<Identity>> = Vec::new();
        let first = usize::from(self.desk.is_some());
        let mut gone = Vec::new();
        for each in ready {
            let Some(place) = each.place.checked_sub(first) else { continue };
            match self.triggers.fired(place, each.events) {
                Some(whose) => {
                    self.attention.pay(whose, noticed);
                    self.reporter.woken("pressure");
                }
                None => gone.push(place),
            }
        }
        self.triggers.bury(&gone);
        for news in news {
            match news {
                News::Written(written) => self.written(written),
                News::Born(cgroup) => {
                    self.reporter.woken("birth");
                    self.attention.hear(cgroup);
                }
                News::Announced(cgroup) => {
                    self.reporter.woken("event");
                    self.attention.hear(cgroup);
                }
            }
        }
        if self.engine.next_deadline(self.judged).is_some_and(|deadline| deadline <= noticed) {
            self.reporter.woken("deadline");
            paths.extend(self.engine.active().map(|(_, target, _)| Arc::clone(target)));
        }
        let host = self.attention.look(noticed, &mut paths);
        if let (Some(snapshot), true) = (last, host || !paths.is_empty()) {
            let fresh: Vec<Cgroup> = sampler.look(paths.iter().map(|cgroup| &*cgroup.path), MOST_LOOKED_AT);
            let host: Option<Host> = host.then(|| sampler.look_at_host().clone());
            let at = self.surroundings.now();
            self.judge(&View { snapshot, at, fresh: &fresh, host: host.as_ref() }, noticed);
            self.show();
            let now = self.surroundings.now();
            self.attention.rest(now, now.saturating_sub(noticed));
        }
        self.answer(last, sampler);
    }
}

impl<P: FnMut(Arc<Snapshot>)> Attendant for Enforcement<P> {
    fn passed(&mut self, snapshot: Arc<Snapshot>, news: Vec<News>, sampler: &mut Sampler) {
        (self.publish)(Arc::clone(&snapshot));
        self.take_over();
        if let Some(judge) = &mut self.judge {
            judge.passed(&snapshot, &news, sampler);
            self.last = Some(snapshot);
        }
    }

    fn noticed(&mut self, news: Vec<News>, ready: &[Ready], sampler: &mut Sampler) {
        if let Some(judge) = &mut self.judge {
            judge.noticed(self.last.as_ref(), &news, ready, sampler);
        }
    }

    fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let Some(judge) = &self.judge else { return Vec::new() };
        // The desk comes first, the triggers after it.
        let desk = judge.desk.as_ref().map(|desk| (desk.descriptor(), PollFlags::POLLIN));
        desk.into_iter().chain(judge.triggers.descriptors()).collect()
    }

    fn wants(&self) -> Option<Duration> {
        let judge = self.judge.as_ref()?;
        [judge.engine.next_deadline(judge.judged), judge.attention.next()].into_iter().flatten().min()
    }
}
