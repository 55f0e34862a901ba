//! Orders: every outcome, deadlines, expiry, drift, and that everything is undone.

use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stockade::enforce::actuator::Actuator as _;
use stockade::enforce::apply::{Deadlines, Enforcer, Event, SHUTDOWN, Settings};
use stockade::enforce::drift::{DriftAnswer, DriftSeen, ForeignWriter};
use stockade::enforce::journal::{Fate, Journal};
use stockade::enforce::order::{Change, Deed, Done, Order, Outcome};
use stockade::enforce::ownership::Ownership;
use stockade::enforce::plan::Planned;
use stockade::enforce::stats::{OTHER, Stats};
use stockade::model::{Identity, Knob, Value, Writer};
use stockade::policy::decision::Evidence;
use stockade::policy::rule::{Kill, Notify, OnDrift};

use crate::fake::{Group, Kernel, Mishap, identity, unset};

/// Far longer than anything takes, and reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const BOOT: &str = "this boot";

/// The clock that orders are on.
fn now() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap().into()
}

/// An enforcer at work, and what it says.
struct Bench {
    enforcer: Enforcer,
    events: Receiver<Event>,
    stats: Arc<Stats>,
}

impl Bench {
    fn new(kernel: &Kernel, journal: &Path) -> Self {
        Self::with(kernel, journal, PATIENCE)
    }

    /// With so much time for the kernel to answer.
    fn with(kernel: &Kernel, journal: &Path, write: Duration) -> Self {
        let deadlines =
            Deadlines { write, freeze: PATIENCE, kill: PATIENCE, reclaim: PATIENCE, job: PATIENCE };
        let settings = Settings { journal: journal.join("journal"), boot: BOOT.to_owned(), deadlines };
        let (sender, events) = mpsc::channel();
        let stats = Arc::new(Stats::default());
        stats.configure(["rule".into(), "other rule".into()]);
        let notify = |_: &Order, _: &Notify| Err("nobody listens".to_owned());
        let report = move |event| drop(sender.send(event));
        let actuator = Arc::new(kernel.clone());
        let (enforcer, recovery) =
            Enforcer::start(settings, actuator, Arc::clone(&stats), notify, report).unwrap();
        assert_eq!(recovery.claims, []);
        Self { enforcer, events, stats }
    }

    fn next(&self) -> Done {
        match self.events.recv_timeout(PATIENCE).expect("something is reported") {
            Event::Done(done) => done,
            Event::Drift(drift) => panic!("a drift, where an order's end was expected: {drift:?}"),
        }
    }

    fn drift(&self) -> DriftSeen {
        match self.events.recv_timeout(PATIENCE).expect("something is reported") {
            Event::Drift(drift) => drift,
            Event::Done(done) => panic!("an order's end, where a drift was expected: {done:?}"),
        }
    }

    fn carry_out(&self, order: Order) -> Done {
        self.enforcer.submit(order);
        self.next()
    }
}

fn order(rule: &str, target: &Arc<Identity>, deed: Deed) -> Order {
    Order {
        id: 1,
        rule: rule.into(),
        step: None,
        target: Arc::clone(target),
        owner: Ownership::Unowned,
        deed,
        expires: None,
        allow_oom: false,
        loosens: true,
        seen: Vec::new(),
        noticed: now(),
        evidence: Evidence::default(),
        dry_run: false,
    }
}

fn set(knob: Knob, value: u64) -> Deed {
    Deed::Set { values: vec![(knob, Value::of(value))], on_drift: OnDrift::Yield }
}

/// Somebody else writes a control.
fn put(group: &mut Group, knob: Knob, value: u64) {
    group.knobs.insert(knob, Value::of(value));
}

const KILL: Deed = Deed::Kill(Kill { signal: 15, grace: Duration::ZERO });

#[test]
fn every_deed_is_applied_and_counted() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    let done = bench.carry_out(order("rule", &a, set(Knob::MemoryHigh, 10_000)));
    assert_eq!(done.outcome, Outcome::Applied, "{done:?}");
    let change = Change { knob: Knob::MemoryHigh, before: unset(), after: Value::of(8192) };
    assert_eq!(done.changes, [change], "as the kernel rounded it");
    for (deed, detail) in [
        (Deed::Freeze, "every task stands"),
        (Deed::Thaw, "undone"),
        (Deed::Reclaim(100), "50 of 100 bytes reclaimed"),
        (KILL, "no process is left"),
        (Deed::Undo, "undone"),
        (Deed::Undo, "nothing of it was in force"),
    ] {
        let name = deed.name();
        let done = bench.carry_out(order("rule", &a, deed));
        assert_eq!((done.outcome, &*done.detail), (Outcome::Applied, detail), "{name}");
    }
    let numbers = bench.enforcer.numbers();
    assert_eq!(numbers.decisions[&("rule".into(), "undo", Outcome::Applied)], 2);
    assert_eq!(numbers.reactions.iter().sum::<u64>(), 7);
    assert_eq!((numbers.journal_entries, numbers.active.len()), (0, 0));
    assert_eq!(
        kernel.log(),
        ["write /a memory.high 8192", "freeze /a", "thaw /a", "kill /a", "restore /a memory.high max"]
    );
}

#[test]
fn the_kernel_s_faults_are_outcomes_and_leave_nothing_behind() {
    let both = || Deed::Set {
        values: vec![(Knob::PidsMax, Value::of(9)), (Knob::CpuWeight, Value::of(5))],
        on_drift: OnDrift::Yield,
    };
    let cases: [(&str, Mishap, Deed, Outcome); 8] = [
        ("open", Mishap::Vanishes, both(), Outcome::Vanished),
        ("save cpu.weight", Mishap::Fails(Outcome::Unsupported), both(), Outcome::Unsupported),
        ("write cpu.weight", Mishap::Fails(Outcome::Failed), both(), Outcome::Failed),
        // Between the decision and the write.
        ("write cpu.weight", Mishap::Vanishes, both(), Outcome::Vanished),
        ("freeze", Mishap::Fails(Outcome::TimedOut), Deed::Freeze, Outcome::TimedOut),
        ("freeze", Mishap::Vanishes, Deed::Freeze, Outcome::Vanished),
        ("kill", Mishap::Fails(Outcome::TimedOut), KILL, Outcome::TimedOut),
        ("reclaim", Mishap::Fails(Outcome::Unsupported), Deed::Reclaim(1), Outcome::Unsupported),
    ];
    for (call, mishap, deed, outcome) in cases {
        let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
        let bench = Bench::new(&kernel, dir.path());
        kernel.mishap(call, mishap.clone());
        let done = bench.carry_out(order("rule", &identity("/a", 1), deed));
        assert_eq!(done.outcome, outcome, "{call} {mishap:?}: {done:?}");
        assert_eq!(bench.enforcer.active(), [], "{call} {mishap:?}");
        if !matches!(mishap, Mishap::Vanishes) {
            let group = kernel.group("/a");
            assert!(
                !group.frozen && group.knobs.values().all(|value| *value == unset()),
                "{call}: {group:?}"
            );
        }
        assert_eq!(bench.enforcer.shutdown(PATIENCE), 0, "{call} {mishap:?}: no claim is open");
    }
}

#[test]
fn a_new_cgroup_under_an_old_path_is_left_alone() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    assert_eq!(bench.carry_out(order("rule", &a, set(Knob::PidsMax, 9))).outcome, Outcome::Applied);
    kernel.make("/a", 77);
    kernel.change("/a", |group| put(group, Knob::PidsMax, 9));
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Freeze)).outcome, Outcome::Vanished);
    let done = bench.carry_out(order("rule", &a, Deed::Undo));
    assert!(done.detail.contains("gone"), "{done:?}");
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(9), "the new one's own");
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
}

#[test]
fn what_outlives_a_cgroup_is_put_back_unless_the_next_one_has_it() {
    let outlived = "outlived pids.max max";
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let (old, new) = (identity("/a", 1), identity("/a", 77));
    for rule in ["rule", "other rule"] {
        bench.carry_out(order(rule, &old, set(Knob::PidsMax, 9)));
    }
    kernel.make("/a", 77);
    let done = bench.carry_out(order("rule", &old, Deed::Undo));
    assert_eq!(done.outcome, Outcome::Applied);
    assert_eq!(kernel.log().iter().filter(|line| *line == outlived).count(), 1, "{:?}", kernel.log());
    assert_eq!(bench.enforcer.active(), [], "the other rule's claim ended with the cgroup");

    bench.carry_out(order("rule", &new, set(Knob::PidsMax, 9)));
    kernel.make("/a", 78);
    bench.carry_out(order("rule", &identity("/a", 78), set(Knob::PidsMax, 9)));
    bench.carry_out(order("rule", &new, Deed::Undo));
    assert_eq!(kernel.log().iter().filter(|line| *line == outlived).count(), 1, "its heir has it");
    assert_eq!(bench.enforcer.active().len(), 1);
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
}

#[test]
fn what_outlives_a_cgroup_and_cannot_be_put_back_is_tried_again() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    bench.carry_out(order("rule", &a, set(Knob::PidsMax, 9)));
    kernel.make("/a", 77);
    kernel.mishap("put_back_outlived", Mishap::Fails(Outcome::Failed));
    let done = bench.carry_out(order("rule", &a, Deed::Undo));
    assert!(done.outcome == Outcome::Failed && done.detail.contains("tried again"), "{done:?}");
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0, "the second time it went well");
    assert_eq!(kernel.log().last().map(String::as_str), Some("outlived pids.max max"));
}

#[test]
fn who_thaws_what_is_frozen_wins_and_it_is_said() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Freeze)).outcome, Outcome::Applied);
    kernel.change("/a", |group| group.frozen = false);
    let done = bench.carry_out(order("rule", &a, Deed::Undo));
    assert!(done.outcome == Outcome::Applied && done.detail.contains("somebody else"), "{done:?}");
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
}

#[test]
fn a_thaw_by_somebody_else_is_told_when_it_is_noticed() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    for rule in ["rule", "other rule"] {
        assert_eq!(bench.carry_out(order(rule, &a, Deed::Freeze)).outcome, Outcome::Applied);
    }
    // It stands still: whoever wrote there changed nothing, and the next that is told is the next order's end.
    bench.enforcer.foreign_write(Arc::clone(&a), None, somebody());
    assert_eq!(bench.carry_out(order("rule", &a, set(Knob::PidsMax, 9))).outcome, Outcome::Applied);
    assert_eq!(bench.enforcer.active().len(), 3);

    kernel.change("/a", |group| group.frozen = false);
    bench.enforcer.foreign_write(Arc::clone(&a), None, somebody());
    let drift = bench.drift();
    assert_eq!(
        (&*drift.control(), &drift.ours, &drift.theirs),
        ("cgroup.freeze", &Value::of(1), &Value::of(0))
    );
    let yielded = DriftAnswer::Yielded(vec!["other rule".into(), "rule".into()]);
    assert_eq!((drift.writer, drift.answer), (somebody(), yielded));
    let left: Vec<_> = bench.enforcer.active().into_iter().map(|active| active.knob).collect();
    assert_eq!(left, [Some(Knob::PidsMax)], "only the freezer is let go of");
    assert!(!kernel.group("/a").frozen);
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
}

#[test]
fn what_runs_again_so_that_it_can_end_was_thawed_by_nobody_else() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Freeze)).outcome, Outcome::Applied);
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Restart)).outcome, Outcome::Applied);
    assert_eq!(bench.enforcer.active(), []);
    let done = bench.carry_out(order("rule", &a, Deed::Undo));
    assert!(done.outcome == Outcome::Applied && !done.detail.contains("somebody else"), "{done:?}");
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
}

#[test]
fn restarts_and_stops_are_told_and_count_as_kills() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    for (deed, log) in [(Deed::Restart, "restart /a"), (Deed::Stop, "stop /a")] {
        let done = bench.carry_out(order("rule", &a, deed));
        assert_eq!(done.outcome, Outcome::Applied, "{done:?}");
        assert_eq!(kernel.log().last().map(String::as_str), Some(log));
    }
    kernel.mishap("stop", Mishap::Fails(Outcome::Unsupported));
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Stop)).outcome, Outcome::Unsupported);
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
    let mut journal = Journal::open(&dir.path().join("journal"), BOOT).unwrap();
    assert_eq!(journal.recover(&kernel).kills.len(), 3, "the next program knows of them");
}

#[test]
fn a_dry_run_touches_nothing_and_refusals_are_told() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    for deed in [set(Knob::PidsMax, 9), Deed::Freeze, KILL, Deed::Reclaim(5), Deed::Undo] {
        let done = bench.carry_out(Order { dry_run: true, ..order("rule", &a, deed) });
        assert_eq!(done.outcome, Outcome::DryRun, "{done:?}");
    }
    assert_eq!(kernel.log(), [""; 0]);
    assert!(!dir.path().join("journal").exists(), "not even a journal is made");
    for outcome in [Outcome::Protected, Outcome::Cooldown, Outcome::Budget, Outcome::NotOwner] {
        let order = order("unknown", &a, KILL);
        bench.enforcer.carry_out(Planned::Refused { order, outcome, reason: "because".to_owned() });
        let done = bench.next();
        assert_eq!((done.outcome, &*done.detail), (outcome, "because"));
        assert_eq!(bench.stats.snapshot().decisions[&(OTHER.into(), "kill", outcome)], 1);
    }
    let done = bench.carry_out(order("rule", &a, Deed::Notify(Notify::default())));
    assert_eq!((done.outcome, &*done.detail), (Outcome::Failed, "nobody listens"));
}

#[test]
fn what_hangs_times_out_and_holds_up_nobody_else() {
    let (kernel, dir) = (Kernel::with(&["/a", "/b"]), tempfile::tempdir().unwrap());
    let bench = Bench::with(&kernel, dir.path(), Duration::from_millis(1));
    let (a, b) = (identity("/a", 1), identity("/b", 2));
    kernel.mishap("write memory.high", Mishap::Hangs);
    let done = bench.carry_out(order("rule", &a, set(Knob::MemoryHigh, 4096)));
    assert_eq!(done.outcome, Outcome::TimedOut);
    kernel.wait_until_hanging();
    assert_eq!(bench.stats.snapshot().stuck, 1);
    bench.enforcer.submit(order("rule", &a, Deed::Freeze));
    // Another cgroup goes on, the busy one's next order waits.
    assert_eq!(bench.carry_out(order("rule", &b, Deed::Freeze)).order.target.id, 2);
    assert!(kernel.group("/b").frozen && !kernel.group("/a").frozen);
    kernel.release();
    let done = bench.next();
    assert_eq!((done.order.target.id, done.order.deed.name(), done.outcome), (1, "freeze", Outcome::Applied));
    assert_eq!(bench.stats.snapshot().stuck, 0);
    assert_eq!(bench.enforcer.active().len(), 3, "what came late is claimed all the same");
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
    assert_eq!(kernel.value("/a", &Knob::MemoryHigh), unset());
    assert!(!kernel.group("/a").frozen && !kernel.group("/b").frozen);
}

#[test]
fn more_hanging_writes_than_workers_do_not_stop_the_rest() {
    let paths: Vec<String> = (0..9).map(|number| format!("/{number}")).collect();
    let (kernel, dir) = (Kernel::default(), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    for (number, path) in (1..).zip(&paths) {
        kernel.make(path, number);
    }
    for (number, path) in (1..).zip(&paths).take(8) {
        kernel.mishap("kill", Mishap::Hangs);
        bench.enforcer.submit(order("rule", &identity(path, number), KILL));
    }
    let done = bench.carry_out(order("rule", &identity("/8", 9), Deed::Freeze));
    assert_eq!((done.order.target.id, done.outcome), (9, Outcome::Applied));
    kernel.release();
    for _ in 0..8 {
        assert_eq!(bench.next().order.deed.name(), "kill");
    }
}

#[test]
fn the_time_being_up_undoes_in_reverse_order() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    let expires = Some(now() + Duration::from_millis(20));
    let deed = Deed::Set {
        values: vec![(Knob::PidsMax, Value::of(9)), (Knob::MemoryMax, Value::of(8))],
        on_drift: OnDrift::Yield,
    };
    bench.enforcer.submit(Order { expires, ..order("rule", &a, deed) });
    bench.enforcer.submit(Order { expires, ..order("rule", &a, Deed::Freeze) });
    bench.enforcer.submit(order("other rule", &a, set(Knob::CpuWeight, 7)));
    let mut undos = 0;
    while kernel.log().len() < 7 {
        undos += usize::from(bench.next().order.deed.name() == "undo");
    }
    assert!(undos <= 2);
    let log = kernel.log();
    let undone: Vec<&str> = log
        .iter()
        .filter(|line| line.starts_with("restore") || line.starts_with("thaw"))
        .map(|line| &**line)
        .collect();
    assert_eq!(undone, ["thaw /a", "restore /a memory.max max", "restore /a pids.max max"], "{log:?}");
    let active = bench.enforcer.active();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].knob, Some(Knob::CpuWeight), "what has no end stays");
}

#[test]
fn the_strictest_value_is_in_force_and_the_original_comes_back_last() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    kernel.change("/a", |group| put(group, Knob::PidsMax, 100));
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    let pids = |value| assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(value));
    bench.carry_out(order("rule", &a, set(Knob::PidsMax, 50)));
    bench.carry_out(order("other rule", &a, set(Knob::PidsMax, 20)));
    pids(20);
    bench.carry_out(order("third", &a, set(Knob::PidsMax, 30)));
    pids(20);
    bench.carry_out(order("other rule", &a, Deed::Undo));
    pids(30);
    bench.carry_out(order("third", &a, Deed::Undo));
    pids(50);
    bench.carry_out(order("rule", &a, Deed::Undo));
    pids(100);
    // A policy never loosens what it finds.
    bench.carry_out(Order { loosens: false, ..order("rule", &a, set(Knob::PidsMax, 500)) });
    pids(100);
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
    pids(100);
}

#[test]
fn a_limit_never_goes_below_what_is_used_when_it_is_written() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    kernel.change("/a", |group| group.usage = [(Knob::MemoryMax, 700)].into());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    bench.carry_out(order("rule", &a, set(Knob::MemoryMax, 500)));
    assert_eq!(kernel.value("/a", &Knob::MemoryMax), Value::of(700));
    bench.carry_out(Order { allow_oom: true, ..order("rule", &a, set(Knob::MemoryMax, 500)) });
    assert_eq!(kernel.value("/a", &Knob::MemoryMax), Value::of(500));
}

#[test]
fn what_somebody_else_froze_is_theirs_to_thaw() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    kernel.change("/a", |group| group.frozen = true);
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    let done = bench.carry_out(order("rule", &a, Deed::Freeze));
    assert!(done.outcome == Outcome::Applied && done.detail.contains("somebody else"), "{done:?}");
    bench.carry_out(order("rule", &a, Deed::Undo));
    assert!(kernel.group("/a").frozen);
    bench.carry_out(order("by hand", &a, Deed::Thaw));
    assert!(!kernel.group("/a").frozen, "a person may");
}

#[test]
fn a_freeze_is_undone_when_the_last_of_its_rules_goes_and_tried_until_it_is() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    bench.carry_out(order("rule", &a, Deed::Freeze));
    bench.carry_out(order("other rule", &a, Deed::Freeze));
    bench.carry_out(order("rule", &a, Deed::Undo));
    assert!(kernel.group("/a").frozen);
    kernel.mishap("thaw", Mishap::Fails(Outcome::Failed));
    kernel.mishap("thaw", Mishap::Fails(Outcome::Failed));
    let done = bench.carry_out(order("other rule", &a, Deed::Undo));
    assert_eq!(done.outcome, Outcome::Failed, "{done:?}");
    assert_eq!(bench.enforcer.numbers().journal_entries, 1, "it is still open");
    assert!(bench.enforcer.undo_all(PATIENCE), "which waits for what is tried again");
    assert!(!kernel.group("/a").frozen);
    assert_eq!(bench.enforcer.numbers().journal_entries, 0);
}

fn somebody() -> ForeignWriter {
    ForeignWriter { kind: Writer::Systemd, pid: Some(1), command: Some("systemd".to_owned()) }
}

#[test]
fn another_writer_s_value_stays_where_the_rule_yields() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    bench.carry_out(order("rule", &a, set(Knob::PidsMax, 50)));
    bench.enforcer.foreign_write(Arc::clone(&a), Some(Knob::CpuWeight), somebody());
    bench.enforcer.foreign_write(Arc::clone(&a), Some(Knob::PidsMax), somebody());
    kernel.change("/a", |group| put(group, Knob::PidsMax, 60));
    bench.enforcer.foreign_write(Arc::clone(&a), Some(Knob::PidsMax), somebody());
    let drift = bench.drift();
    assert_eq!((drift.ours, drift.theirs), (Value::of(50), Value::of(60)));
    assert_eq!((drift.writer, drift.answer), (somebody(), DriftAnswer::Yielded(vec!["rule".into()])));
    bench.carry_out(order("rule", &a, Deed::Undo));
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(60));
}

#[test]
fn a_rule_that_reasserts_gives_in_to_one_who_does_not_stop() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    let deed = Deed::Set { values: vec![(Knob::PidsMax, Value::of(50))], on_drift: OnDrift::Reassert };
    bench.carry_out(order("rule", &a, deed));
    for theirs in 1..=5 {
        kernel.change("/a", |group| put(group, Knob::PidsMax, theirs));
        bench.enforcer.foreign_write(Arc::clone(&a), Some(Knob::PidsMax), somebody());
        assert_eq!(bench.drift().answer, DriftAnswer::Reasserted("rule".into(), Ok(())));
        assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(50));
    }
    kernel.change("/a", |group| put(group, Knob::PidsMax, 6));
    bench.enforcer.foreign_write(Arc::clone(&a), Some(Knob::PidsMax), somebody());
    assert_eq!(bench.drift().answer, DriftAnswer::Yielded(vec!["rule".into()]));
    let numbers = bench.enforcer.numbers();
    assert_eq!((numbers.drift_reasserted, numbers.drift_yielded, numbers.journal_entries), (5, 1, 0));
}

#[test]
fn a_foreign_limit_between_decision_and_write_is_left_alone() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    let decided = |seen| {
        let seen = vec![(Knob::PidsMax, seen)];
        Order { loosens: false, seen, ..order("rule", &a, set(Knob::PidsMax, 50)) }
    };
    kernel.change("/a", |group| put(group, Knob::PidsMax, 70));
    let done = bench.carry_out(decided(unset()));
    assert_eq!(done.outcome, Outcome::NotOwner, "{done:?}");
    assert!(done.detail.contains("pids.max from max to 70"), "{done:?}");
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(70));
    // What is claimed already is no stranger's, and neither is what a claim left there that ended meanwhile.
    assert_eq!(bench.carry_out(decided(Value::of(70))).outcome, Outcome::Applied);
    assert_eq!(bench.carry_out(decided(Value::of(70))).outcome, Outcome::Applied);
    bench.carry_out(order("rule", &a, Deed::Undo));
    assert_eq!(bench.carry_out(decided(Value::of(50))).outcome, Outcome::Applied);
    bench.carry_out(order("rule", &a, Deed::Undo));
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(70));
}

#[test]
fn what_changed_hands_unseen_is_not_put_back() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    bench.carry_out(order("rule", &a, set(Knob::PidsMax, 50)));
    kernel.change("/a", |group| put(group, Knob::PidsMax, 60));
    bench.carry_out(order("rule", &a, Deed::Undo));
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(60));
    assert_eq!(bench.enforcer.numbers().journal_entries, 0);
    // The same where another rule's claim would be next.
    kernel.change("/a", |group| put(group, Knob::CpuWeight, 100));
    bench.carry_out(order("rule", &a, set(Knob::CpuWeight, 20)));
    bench.carry_out(order("other rule", &a, set(Knob::CpuWeight, 10)));
    kernel.change("/a", |group| put(group, Knob::CpuWeight, 60));
    for rule in ["other rule", "rule"] {
        bench.carry_out(order(rule, &a, Deed::Undo));
        assert_eq!(kernel.value("/a", &Knob::CpuWeight), Value::of(60), "{rule}");
    }
    assert_eq!(bench.enforcer.numbers().journal_entries, 0);
}

#[test]
fn the_end_undoes_everything_and_takes_no_more_orders() {
    let (kernel, dir) = (Kernel::with(&["/a", "/b"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let (a, b) = (identity("/a", 1), identity("/b", 2));
    kernel.mishap("freeze", Mishap::Hangs);
    bench.enforcer.submit(order("rule", &a, Deed::Freeze));
    kernel.wait_until_hanging();
    bench.enforcer.submit(order("rule", &a, set(Knob::PidsMax, 9)));
    bench.carry_out(order("rule", &b, set(Knob::PidsMax, 9)));
    let Bench { enforcer, events, .. } = bench;
    let end = std::thread::spawn(move || enforcer.shutdown(PATIENCE));
    // The order that had not begun is dropped, so the end has begun.
    let said = events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(&said, Event::Done(done) if done.detail == "everything is being undone"), "{said:?}");
    kernel.release();
    assert_eq!(end.join().unwrap(), 0);
    let undone =
        events.iter().filter(|event| matches!(event, Event::Done(done) if &*done.order.rule == SHUTDOWN));
    assert_eq!(undone.count(), 2);
    assert!(!kernel.group("/a").frozen);
    assert_eq!(kernel.value("/b", &Knob::PidsMax), unset());
    assert_eq!(kernel.log().iter().filter(|line| line.contains("/a pids")).count(), 0);
}

#[test]
fn an_end_that_cannot_wait_leaves_the_rest_to_the_next_start() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    bench.carry_out(order("rule", &identity("/a", 1), Deed::Freeze));
    kernel.mishap("thaw", Mishap::Fails(Outcome::Failed));
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 1);
    assert!(kernel.group("/a").frozen);
    let mut journal = Journal::open(&dir.path().join("journal"), BOOT).unwrap();
    let fates: Vec<Fate> = journal.recover(&kernel).claims.into_iter().map(|claim| claim.fate).collect();
    assert_eq!(fates, [Fate::Restored]);
    assert!(!kernel.group("/a").frozen);
}

#[test]
fn nothing_is_done_that_cannot_be_written_down() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    // Where the directory should be made, a file stands.
    std::fs::write(dir.path().join("journal"), "").unwrap();
    let a = identity("/a", 1);
    let done = bench.carry_out(order("rule", &a, set(Knob::PidsMax, 9)));
    assert_eq!(done.outcome, Outcome::Failed);
    assert!(done.detail.contains("journal"), "{}", done.detail);
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Freeze)).outcome, Outcome::Failed);
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Reclaim(4096))).outcome, Outcome::Failed);
    assert_eq!(kernel.log(), [""; 0]);
    // What cannot be undone needs no journal.
    assert_eq!(bench.carry_out(order("rule", &a, KILL)).outcome, Outcome::Applied);
}

#[test]
fn orders_and_undoings_from_many_threads_end_with_what_was() {
    let (kernel, dir) = (Kernel::with(&["/a", "/b", "/c"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let enforcer = Arc::new(Mutex::new(bench.enforcer));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let enforcer = &enforcer;
            scope.spawn(move || {
                for round in 0..20_u64 {
                    let target = identity(["/a", "/b", "/c"][(round % 3) as usize], round % 3 + 1);
                    let rule = format!("rule {thread}");
                    let expires = (round % 2 == 0).then(|| now() + Duration::from_millis(round % 5));
                    let deed = match round % 4 {
                        0 => Deed::Freeze,
                        3 => Deed::Undo,
                        _ => set(Knob::PidsMax, 10 + thread * 7 + round),
                    };
                    enforcer.lock().unwrap().submit(Order { expires, ..order(&rule, &target, deed) });
                }
            });
        }
    });
    let enforcer = Arc::into_inner(enforcer).unwrap().into_inner().unwrap();
    assert_eq!(enforcer.shutdown(PATIENCE), 0);
    for (path, id) in [("/a", 1), ("/b", 2), ("/c", 3)] {
        let held = kernel.open(&identity(path, id)).unwrap();
        assert_eq!(held.read(&Knob::PidsMax).unwrap(), unset());
        assert!(!held.is_frozen().unwrap());
    }
}

#[test]
fn two_rules_that_end_at_once_leave_what_was_before_either() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    kernel.change("/a", |group| put(group, Knob::PidsMax, 900));
    bench.carry_out(order("loose", &a, set(Knob::PidsMax, 500)));
    bench.carry_out(order("tight", &a, set(Knob::PidsMax, 300)));
    assert_eq!(kernel.value("/a", &Knob::PidsMax), Value::of(300));
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
    assert_eq!(
        kernel.value("/a", &Knob::PidsMax),
        Value::of(900),
        "and nothing in between passes for another's"
    );
}

#[test]
fn a_bug_on_a_worker_is_told_and_neither_the_cgroup_nor_its_freeze_is_left_waiting() {
    let (kernel, dir) = (Kernel::with(&["/a"]), tempfile::tempdir().unwrap());
    let bench = Bench::new(&kernel, dir.path());
    let a = identity("/a", 1);
    // More often than there are workers from the start.
    for _ in 0..6 {
        kernel.mishap("kill", Mishap::Panics);
        let done = bench.carry_out(order("rule", &a, KILL));
        assert_eq!(done.outcome, Outcome::Failed);
        assert!(done.detail.contains("bug"), "{}", done.detail);
    }
    assert_eq!(bench.carry_out(order("rule", &a, Deed::Freeze)).outcome, Outcome::Applied);
    kernel.mishap("freeze", Mishap::Panics);
    assert_eq!(bench.carry_out(order("other rule", &a, Deed::Freeze)).outcome, Outcome::Failed);
    assert_eq!(bench.enforcer.shutdown(PATIENCE), 0);
    assert!(!kernel.group("/a").frozen, "{:?}", kernel.log());
}
