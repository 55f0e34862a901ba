//! The desk: takes letters, gives tasks to workers, watches the clock.
//!
//! One thread decides nothing and waits for nothing but its letters. It keeps one queue for each cgroup, hands the first
//! task of each to a worker, reports what came of it, ends claims whose time is up, and says `timed_out` where a worker
//! is longer in the kernel than it should be. Such a cgroup's other tasks wait until that worker is back; every other
//! cgroup goes on, for there is always one more worker, up to [`WORKERS_MOST`].

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::apply::{Deadlines, Event};
use super::drift::ForeignWriter;
use super::ledger::{Ended, Key, key_of};
use super::order::{Deed, Done, Order, Outcome};
use super::ownership::Ownership;
use super::stats::lock;
use super::worker::{Finished, Shared, Which, Work, now};
use crate::model::{Identity, Knob};
use crate::policy::decision::Evidence;
use crate::policy::rule::Notify;

/// Workers that are there from the start: when threads can no longer be made, these go on.
const WORKERS_LEAST: usize = 4;
/// No more workers than this, the stuck ones included.
const WORKERS_MOST: usize = 32;
/// What is not put back is tried again after this long, then after twice as long, and so on.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// It is never longer until the next try.
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// How long the desk sleeps when nothing is to come.
const IDLE: Duration = Duration::from_secs(3600);

/// Hands a message over; must not block.
pub(super) type NotifyFn = Box<dyn Fn(&Order, &Notify) -> Result<(), String> + Send>;
/// Is told what happens; must not block.
pub(super) type ReportFn = Box<dyn Fn(Event) + Send>;

/// What the desk is told.
pub(super) enum Letter {
    Submit(Box<Order>),
    Refused(Box<Done>),
    Foreign { target: Arc<Identity>, knob: Option<Knob>, writer: ForeignWriter },
    Finished { target: Arc<Identity>, finished: Box<Finished> },
    UndoAll { rule: &'static str, close: bool, reply: Sender<()> },
}

/// A task on its way to a worker.
struct Task {
    target: Arc<Identity>,
    work: Work,
}

/// One cgroup's tasks.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Task>,
    running: Option<Running>,
}

/// A task that a worker has.
struct Running {
    work: Work,
    deadline: Duration,
    /// It was reported already.
    timed_out: bool,
}

/// What could not be put back.
struct Retry {
    at: Duration,
    pause: Duration,
    target: Arc<Identity>,
    ended: Vec<Ended>,
}

pub(super) struct Desk {
    shared: Arc<Shared>,
    lanes: HashMap<Key, Lane>,
    retries: Vec<Retry>,
    /// No claim ends before.
    next_expiry: Option<Duration>,
    tasks: Sender<Task>,
    queue: Arc<Mutex<Receiver<Task>>>,
    letters: Sender<Letter>,
    workers: usize,
    busy: usize,
    closing: bool,
    /// Told when nothing is under way any more.
    waiting: Vec<Sender<()>>,
    notify: NotifyFn,
    report: ReportFn,
}

impl Deadlines {
    /// How long a task may take in all. A freeze and a kill keep their own deadline, and have some time to give up.
    fn of(&self, work: &Work) -> Duration {
        match work {
            Work::Carry(order) => match &order.deed {
                Deed::Freeze => self.freeze + self.write,
                Deed::Kill(kill) => kill.grace + self.kill + self.write,
                Deed::Restart | Deed::Stop => self.job + self.write,
                Deed::Reclaim(_) => self.reclaim,
                Deed::Notify(_) | Deed::Set { .. } | Deed::Undo | Deed::Thaw => self.write,
            },
            Work::Undo { .. } | Work::Retry { .. } | Work::Foreign { .. } => self.write,
        }
    }
}

impl Desk {
    /// Makes the threads.
    pub fn start(
        shared: Arc<Shared>,
        letters: Sender<Letter>,
        inbox: Receiver<Letter>,
        notify: NotifyFn,
        report: ReportFn,
    ) -> io::Result<JoinHandle<()>> {
        let (tasks, queue) = mpsc::channel();
        let mut desk = Self {
            shared,
            lanes: HashMap::new(),
            retries: Vec::new(),
            next_expiry: None,
            tasks,
            queue: Arc::new(Mutex::new(queue)),
            letters,
            workers: 0,
            busy: 0,
            closing: false,
            waiting: Vec::new(),
            notify,
            report,
        };
        for _ in 0..WORKERS_LEAST {
            desk.hire()?;
        }
        thread::Builder::new().name("enforce".to_owned()).spawn(move || desk.run(&inbox))
    }

    fn run(&mut self, inbox: &Receiver<Letter>) {
        loop {
            let wait = self.next_moment().map_or(IDLE, |at| at.saturating_sub(now()));
            match inbox.recv_timeout(wait) {
                Ok(letter) => self.read(letter),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.keep_time(now());
            if self.lanes.is_empty() && (self.closing || self.retries.is_empty()) {
                for reply in self.waiting.drain(..) {
                    let _ = reply.send(());
                }
                if self.closing {
                    return;
                }
            }
        }
    }

    /// When something is to be done without a letter.
    fn next_moment(&self) -> Option<Duration> {
        let running = self.lanes.values().filter_map(|lane| lane.running.as_ref());
        let deadlines = running.filter(|running| !running.timed_out).map(|running| running.deadline);
        deadlines.chain(self.retries.iter().map(|retry| retry.at)).chain(self.next_expiry).min()
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Submit(order) => self.accept(Arc::new(*order)),
            Letter::Refused(done) => self.tell(*done),
            Letter::Foreign { target, knob, writer } => {
                let claimed = {
                    let ledger = &lock(&self.shared.books).ledger;
                    match &knob {
                        Some(knob) => ledger.original(&target, knob).is_some(),
                        None => ledger.is_frozen(&target),
                    }
                };
                if claimed {
                    self.enqueue(&target, Work::Foreign { knob, writer });
                }
            }
            Letter::Finished { target, finished } => self.back(&target, *finished),
            Letter::UndoAll { rule, close, reply } => {
                self.closing |= close;
                self.waiting.push(reply);
                self.undo_all(rule);
            }
        }
    }

    fn accept(&mut self, order: Arc<Order>) {
        let takes_back = matches!(order.deed, Deed::Undo | Deed::Thaw);
        if self.closing && !takes_back {
            self.answer(order, Outcome::Failed, "the program is ending");
        } else if order.dry_run && !takes_back {
            let detail = would(&order.deed);
            self.answer(order, Outcome::DryRun, detail);
        } else if let Deed::Notify(notify) = &order.deed {
            let (outcome, detail) = match (self.notify)(&order, notify) {
                Ok(()) => (Outcome::Applied, "handed over".to_owned()),
                Err(reason) => (Outcome::Failed, reason),
            };
            self.answer(Arc::clone(&order), outcome, detail);
        } else {
            let target = Arc::clone(&order.target);
            self.enqueue(&target, Work::Carry(order));
        }
    }

    fn undo_all(&mut self, rule: &'static str) {
        let mut targets: Vec<Arc<Identity>> =
            lock(&self.shared.books).ledger.each().map(|(target, _)| Arc::clone(target)).collect();
        let mut dropped = Vec::new();
        for lane in self.lanes.values_mut() {
            // What is under way may claim something yet; what has not begun will not begin.
            if let Some(Running { work: Work::Carry(order), .. }) = &lane.running {
                targets.push(Arc::clone(&order.target));
            }
            lane.waiting.retain(|task| match &task.work {
                Work::Carry(order) if !matches!(order.deed, Deed::Undo | Deed::Thaw) => {
                    dropped.push(Arc::clone(order));
                    false
                }
                _ => true,
            });
        }
        for order in dropped {
            self.answer(order, Outcome::Failed, "everything is being undone");
        }
        targets.sort_by_key(|target| key_of(target));
        targets.dedup_by_key(|target| key_of(target));
        for target in targets {
            let order = undo_order(rule.into(), &target);
            self.enqueue(&target, Work::Undo { order, which: Which::All, why: rule });
        }
        for Retry { target, ended, pause, .. } in std::mem::take(&mut self.retries) {
            self.enqueue(&target, Work::Retry { ended, pause });
        }
    }

    fn enqueue(&mut self, target: &Arc<Identity>, work: Work) {
        let key = key_of(target);
        let task = Task { target: Arc::clone(target), work };
        self.lanes.entry(key.clone()).or_default().waiting.push_back(task);
        self.start_next(&key);
    }

    /// Gives a worker the cgroup's next task, if none is under way.
    fn start_next(&mut self, key: &Key) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.running.is_some() {
            return;
        }
        let Some(task) = lane.waiting.pop_front() else {
            self.lanes.remove(key);
            return;
        };
        let deadline = now() + self.shared.settings.deadlines.of(&task.work);
        lane.running = Some(Running { work: task.work.clone(), deadline, timed_out: false });
        self.busy += 1;
        if self.busy > self.workers && self.workers < WORKERS_MOST {
            // Should there be no thread to be had, the task waits for one that comes back.
            let _ = self.hire();
        }
        let _ = self.tasks.send(task);
    }

    /// One more worker.
    fn hire(&mut self) -> io::Result<()> {
        let (queue, letters, shared) =
            (Arc::clone(&self.queue), self.letters.clone(), Arc::clone(&self.shared));
        let work = move || {
            loop {
                let Ok(Task { target, work }) = lock(&queue).recv() else { return };
                // A bug must not leave the cgroup waiting for ever, and what was done to it in force.
                let worked = AssertUnwindSafe(|| shared.work(&target, work.clone()));
                let finished = Box::new(catch_unwind(worked).unwrap_or_else(|_| Finished::broken(work)));
                if letters.send(Letter::Finished { target, finished }).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("enforce-write".to_owned()).spawn(work)?;
        self.workers += 1;
        Ok(())
    }

    /// A worker is back.
    fn back(&mut self, target: &Arc<Identity>, finished: Finished) {
        let key = key_of(target);
        self.busy -= 1;
        let running = self.lanes.get_mut(&key).and_then(|lane| lane.running.take());
        let timed_out = running.as_ref().is_some_and(|running| running.timed_out);
        if timed_out {
            self.shared.stats.change(|numbers| numbers.stuck -= 1);
        }
        if !finished.unfinished.is_empty() && !self.closing {
            let pause = match running.as_ref().map(|running| &running.work) {
                Some(Work::Retry { pause, .. }) => (*pause * 2).min(RETRY_LONGEST),
                _ => RETRY_FIRST,
            };
            let (at, target) = (now() + pause, Arc::clone(target));
            self.retries.push(Retry { at, pause, target, ended: finished.unfinished });
        }
        if let Some(Work::Carry(order)) = running.map(|running| running.work)
            && let Some(expires) = order.expires
        {
            self.next_expiry = Some(self.next_expiry.map_or(expires, |next| next.min(expires)));
        }
        if let Some(done) = finished.done
            && !timed_out
        {
            self.tell(done);
        }
        if let Some(drift) = finished.drift {
            (self.report)(Event::Drift(drift));
        }
        self.start_next(&key);
    }

    /// Ends what is over, tries again what is due, and says who is too late.
    fn keep_time(&mut self, now: Duration) {
        let mut late = Vec::new();
        for running in self.lanes.values_mut().filter_map(|lane| lane.running.as_mut()) {
            if !running.timed_out && running.deadline <= now {
                running.timed_out = true;
                self.shared.stats.change(|numbers| numbers.stuck += 1);
                if let Work::Carry(order) | Work::Undo { order, .. } = &running.work {
                    late.push(Arc::clone(order));
                }
            }
        }
        for order in late {
            self.answer(order, Outcome::TimedOut, "the kernel has not answered yet: the cgroup waits for it");
        }
        if self.next_expiry.is_some_and(|at| at <= now) {
            let due = {
                let ledger = &mut lock(&self.shared.books).ledger;
                let due = ledger.take_due(now);
                self.next_expiry = ledger.next_expiry();
                due
            };
            for (target, rule, entries) in due {
                let order = undo_order(rule, &target);
                self.enqueue(&target, Work::Undo { order, which: Which::Entries(entries), why: "expired" });
            }
        }
        let (due, later) = std::mem::take(&mut self.retries).into_iter().partition(|retry| retry.at <= now);
        self.retries = later;
        for Retry { target, ended, pause, .. } in due {
            self.enqueue(&target, Work::Retry { ended, pause });
        }
    }

    /// Reports an order that no worker had.
    fn answer(&self, order: Arc<Order>, outcome: Outcome, detail: impl Into<String>) {
        let reaction = now().saturating_sub(order.noticed);
        self.tell(Done {
            order,
            outcome,
            detail: detail.into(),
            changes: Vec::new(),
            reaction,
            through: None,
        });
    }

    fn tell(&self, done: Done) {
        self.shared.stats.done(&done);
        (self.report)(Event::Done(done));
    }
}

/// An order of the desk's own: it has no number.
fn undo_order(rule: Arc<str>, target: &Arc<Identity>) -> Arc<Order> {
    Arc::new(Order {
        id: 0,
        rule,
        step: None,
        target: Arc::clone(target),
        owner: Ownership::Unknown { reason: "it was not asked for".into() },
        deed: Deed::Undo,
        expires: None,
        allow_oom: false,
        loosens: false,
        seen: Vec::new(),
        noticed: now(),
        evidence: Evidence::default(),
        dry_run: false,
    })
}

/// What a dry run would have done.
fn would(deed: &Deed) -> String {
    match deed {
        Deed::Set { values, .. } => {
            let values: Vec<String> =
                values.iter().map(|(knob, value)| format!("{knob} to {value}")).collect();
            format!("would set {}", values.join(", "))
        }
        Deed::Reclaim(bytes) => format!("would reclaim {bytes} bytes"),
        Deed::Kill(kill) => format!("would kill: signal {}, {:?} of grace", kill.signal, kill.grace),
        other => format!("would {}", other.name()),
    }
}
