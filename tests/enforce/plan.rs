//! The guard rails: each one refuses what it should, in its order, and no request gets around them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use stockade::enforce::order::{Deed, Order, Outcome};
use stockade::enforce::plan::{BY_HAND, Below, Facts, Guard, Ownership, Planned, Request, Residents, Wish};
use stockade::enforce::safety::{Budget, Safety, Writer};
use stockade::enforce::yielding::{Area, Charge, Guardian, Yielding};
use stockade::model::{
    Cgroup, CollectorSet, Control, Controls, Field, Host, Identity, Knob, LayoutKind, Limit, Owner,
    OwnerLabel, PathGlob, Readings, Report, Snapshot, Value, WatchMethod, display_path,
};
use stockade::policy::condition::Condition;
use stockade::policy::decision::{Decision, Evidence, UndoReason, Verdict};
use stockade::policy::rule::{
    Action, Amount, Cooldown, Kill, LimitRule, Mode, Notify, OnDrift, Policy, Setting, Step, Victim,
};
use stockade::policy::selector::{LabelGlob, Matcher, Selector};

const PATHS: [&str; 9] =
    ["/", "/a", "/a-b", "/a/b", "/a/b/c", "/home", "/home/own", "/init.scope", "/system.slice/x.service"];

/// A host with these cgroups, the first of id 1; each uses 1000 bytes and 10 processes.
fn snapshot() -> Snapshot {
    let cgroup = |(path, id): (&&str, u64)| {
        let mut owner = Owner::default();
        let unit = path.rsplit('/').next().filter(|name| name.ends_with(".service"));
        owner.set(OwnerLabel::Unit, unit);
        let identity = Identity {
            path: path.as_bytes().into(),
            display: display_path(path.as_bytes()).into(),
            id,
            owner,
        };
        let mut controls = Controls::default();
        controls.set(Control::MemoryMax, Some(Limit::Value(7000)));
        let mut readings = Readings::default();
        readings.set(Field::MemoryCurrent, Some(1000));
        readings.set(Field::PidsCurrent, Some(10));
        Cgroup {
            identity: Arc::new(identity),
            parent: None,
            hidden: false,
            rank: id,
            born: Duration::ZERO,
            sampled: Duration::ZERO,
            ended: None,
            readings,
            controls: Arc::new(controls),
            namespaces: Arc::default(),
        }
    };
    Snapshot {
        sequence: 1,
        at: Duration::from_secs(100),
        wall: SystemTime::UNIX_EPOCH,
        cgroups: PATHS.iter().zip(1..).map(cgroup).collect(),
        dead: Vec::new(),
        host: Host::default(),
        report: Report::new(LayoutKind::Unified, WatchMethod::Walk, CollectorSet::ALL),
    }
}

fn residents() -> Residents {
    Residents {
        own: vec![b"/home/own"[..].into(), b"/"[..].into()],
        init: vec![b"/init.scope"[..].into()],
        kernel_threads: vec![b"/"[..].into()],
        unknown: None,
    }
}

fn enforcing() -> Safety {
    Safety { mode: Mode::Enforce, ..Safety::default() }
}

const KILL: Wish = Wish::Kill(Kill { signal: 15, grace: Duration::ZERO });

fn set(knob: Knob, amount: Amount, at_least: Option<u64>) -> Wish {
    Wish::Set { settings: vec![Setting { knob, amount, at_least }], on_drift: OnDrift::Yield, loosens: false }
}

fn request(snapshot: &Snapshot, path: &str, wish: Wish) -> Request {
    let target = &snapshot.find(path.as_bytes()).unwrap().identity;
    Request { rule: "rule".into(), by_hand: false, ..Request::by_hand(target, wish, Duration::from_secs(99)) }
}

/// A host, and what is known of the targets there.
struct Stage {
    snapshot: Snapshot,
    residents: Residents,
    ownership: Ownership,
    unsupported: Option<&'static str>,
    below: Result<Vec<Below>, &'static str>,
    yielding: Yielding,
}

impl Stage {
    fn new() -> Self {
        let (ownership, unsupported) = (Ownership::Unowned, None);
        let below = Ok(Vec::new());
        let yielding = Yielding::default();
        Self { snapshot: snapshot(), residents: residents(), ownership, unsupported, below, yielding }
    }

    fn facts(&self, now: u64) -> Facts<'_> {
        Facts {
            now: Duration::from_secs(now),
            snapshot: &self.snapshot,
            fresh: &[],
            residents: &self.residents,
            below: self.below.as_deref().map_err(|why| *why),
            ownership: &self.ownership,
            yielding: &self.yielding,
            unsupported: self.unsupported,
        }
    }

    fn plan(&self, guard: &mut Guard, path: &str, wish: Wish) -> Planned {
        guard.plan(&request(&self.snapshot, path, wish), &self.facts(100))
    }
}

fn go(planned: Planned) -> Order {
    match planned {
        Planned::Go(order) => order,
        other => panic!("it should have passed: {other:?}"),
    }
}

fn refused(planned: Planned) -> (Outcome, String) {
    match planned {
        Planned::Refused { outcome, reason, .. } => (outcome, reason),
        other => panic!("it should have been refused: {other:?}"),
    }
}

fn matcher(path: Option<&str>, label: Option<(OwnerLabel, &str)>) -> Matcher {
    let labels = label.map(|(label, glob)| (label, LabelGlob::parse(glob).unwrap()));
    Matcher {
        path: path.map(|path| PathGlob::parse(path).unwrap()),
        labels: labels.into_iter().collect(),
        namespaces: Vec::new(),
    }
}

#[test]
fn the_protected_are_never_touched_nor_are_their_ancestors() {
    let stage = Stage::new();
    let safety = Safety {
        protect: vec![matcher(Some("/a/b/*"), None), matcher(None, Some((OwnerLabel::Unit, "x.*")))],
        scope: Some(vec![PathGlob::parse("/**").unwrap()]),
        ..enforcing()
    };
    let mut guard = Guard::new(safety);
    for (path, why) in [
        ("/", "the whole host"),
        ("/home/own", "this program lives in /home/own"),
        ("/home", "this program lives in /home, or below it"),
        ("/init.scope", "PID 1"),
        ("/a/b/c", "`safety.protect` names /a/b/c"),
        ("/a/b", "names /a/b/c, which is below /a/b"),
        ("/a", "names /a/b/c, which is below /a"),
        ("/system.slice/x.service", "`safety.protect` names"),
    ] {
        for wish in [KILL, Wish::Freeze, set(Knob::PidsMax, Amount::Fixed(Value::of(99)), None)] {
            let (outcome, reason) = refused(stage.plan(&mut guard, path, wish));
            assert_eq!(outcome, Outcome::Protected, "{path}");
            assert!(reason.contains(why), "{path}: {reason}");
        }
        go(stage.plan(&mut guard, path, Wish::Notify(Notify::default())));
    }
    go(stage.plan(&mut guard, "/a-b", KILL));
}

#[test]
fn what_the_snapshot_does_not_have_yet_is_protected_too() {
    let mut stage = Stage::new();
    let hidden = |path: &str, ownership: Ownership| {
        let identity = Identity {
            path: path.as_bytes().into(),
            display: display_path(path.as_bytes()).into(),
            id: 0,
            owner: Owner::default(),
        };
        Below { identity, ownership }
    };
    let protect = vec![matcher(Some("/a-b/deep/*"), None)];
    let mut guard = Guard::new(Safety { protect, ..enforcing() });
    let pids = || set(Knob::PidsMax, Amount::Fixed(Value::of(99)), None);
    go(stage.plan(&mut guard, "/a-b", pids()));
    stage.below =
        Ok(vec![hidden("/a-b/deep", Ownership::Unowned), hidden("/a-b/deep/x", Ownership::Unowned)]);
    for wish in [KILL, Wish::Freeze, pids()] {
        let (outcome, reason) = refused(stage.plan(&mut guard, "/a-b", wish));
        assert_eq!(outcome, Outcome::Protected);
        assert!(reason.contains("names /a-b/deep/x, which is below /a-b"), "{reason}");
    }
    // Nobody manages /kubepods itself where the kubelet makes its cgroups without systemd.
    stage.below = Ok(vec![hidden("/a-b/pod", Ownership::Runtime { runtime: "containerd".into() })]);
    for wish in [KILL, Wish::Freeze] {
        let (outcome, reason) = refused(stage.plan(&mut guard, "/a-b", wish));
        assert_eq!(outcome, Outcome::NotOwner);
        assert!(reason.contains("containerd manages /a-b/pod") && reason.contains("below /a-b"), "{reason}");
    }
    go(stage.plan(&mut guard, "/a-b", pids()));
    stage.below = Err("permission denied");
    refused(stage.plan(&mut guard, "/a-b", Wish::Freeze));
    stage.below = Ok(Vec::new());
    stage.residents.unknown = Some("no /proc".to_owned());
    let (outcome, reason) = refused(stage.plan(&mut guard, "/a-b", Wish::Freeze));
    assert!(outcome == Outcome::Protected && reason.contains("no /proc"), "{reason}");
}

#[test]
fn nothing_outside_the_scope_is_touched() {
    let stage = Stage::new();
    let scope = Some(vec![PathGlob::parse("/a/**").unwrap()]);
    let mut guard = Guard::new(Safety { scope, ..enforcing() });
    go(stage.plan(&mut guard, "/a/b", Wish::Freeze));
    for path in ["/a", "/a-b"] {
        let (outcome, reason) = refused(stage.plan(&mut guard, path, Wish::Freeze));
        assert!(outcome == Outcome::Protected && reason.contains("outside `safety.scope`"), "{reason}");
    }
    guard.replace(Safety { scope: Some(Vec::new()), ..enforcing() });
    refused(stage.plan(&mut guard, "/a/b", Wish::Freeze));
}

#[test]
fn an_owner_is_respected() {
    let mut stage = Stage::new();
    let mut guard = Guard::new(enforcing());
    let named = || Ownership::Named { unit: "a-b.service".into() };
    let runtime = || Ownership::Runtime { runtime: "docker".into() };
    let runtimes = Some("docker manages /a-b, and `safety.writers.runtimes` is `refuse`");
    for (ownership, why) in [
        (named(), None),
        (Ownership::Delegated, None),
        (runtime(), runtimes),
        (runtime().given_away(), runtimes),
        (Ownership::Unowned, None),
        (
            Ownership::Unknown { reason: "of the fog".into() },
            Some("who manages /a-b is unknown (of the fog)"),
        ),
    ] {
        stage.ownership = ownership;
        let planned = stage.plan(&mut guard, "/a-b", Wish::Freeze);
        match why {
            None => drop(go(planned)),
            Some(why) => {
                let (outcome, reason) = refused(planned);
                assert_eq!(outcome, Outcome::NotOwner);
                assert!(reason.contains(why), "{reason}");
            }
        }
    }
    let mut safety = enforcing();
    stage.ownership = named();
    safety.writers.systemd = Writer::Cgroupfs;
    go(stage.plan(&mut Guard::new(safety.clone()), "/a-b", Wish::Freeze));
    safety.writers.systemd = Writer::Refuse;
    let (outcome, reason) = refused(stage.plan(&mut Guard::new(safety), "/a-b", Wish::Freeze));
    assert_eq!(outcome, Outcome::NotOwner);
    assert!(reason.contains("systemd manages /a-b, and `safety.writers.systemd` is `refuse`"), "{reason}");
}

#[test]
fn the_stricter_mode_counts() {
    let stage = Stage::new();
    for (general, own, expected) in [
        (Mode::Enforce, None, Some(false)),
        (Mode::Enforce, Some(Mode::DryRun), Some(true)),
        (Mode::DryRun, Some(Mode::Enforce), Some(true)),
        (Mode::DryRun, None, Some(true)),
        (Mode::Observe, Some(Mode::Enforce), None),
        (Mode::Enforce, Some(Mode::Observe), None),
    ] {
        let mut guard = Guard::new(Safety { mode: general, ..Safety::default() });
        let wish = Request { mode: own, ..request(&stage.snapshot, "/a", Wish::Freeze) };
        let planned = guard.plan(&wish, &stage.facts(100));
        let dry_run = match planned {
            Planned::Nothing => None,
            Planned::Go(order) if !order.dry_run => Some(false),
            Planned::DryRun(order) if order.dry_run => Some(true),
            other => panic!("{general:?} {own:?}: {other:?}"),
        };
        assert_eq!(dry_run, expected, "{general:?} {own:?}");
    }
    // What a person orders is done, unless that person says otherwise; a rule is no person, whatever its name.
    let mut guard = Guard::new(Safety::default());
    let person = Request { by_hand: true, ..request(&stage.snapshot, "/a", Wish::Freeze) };
    assert!(!go(guard.plan(&person, &stage.facts(100))).dry_run);
    let careful = Request { mode: Some(Mode::DryRun), ..person };
    assert!(matches!(guard.plan(&careful, &stage.facts(100)), Planned::DryRun(_)));
    let rule = Request { rule: BY_HAND.into(), by_hand: false, mode: None, ..careful };
    assert!(matches!(guard.plan(&rule, &stage.facts(100)), Planned::DryRun(_)));
}

#[test]
fn another_cgroup_under_the_same_path_is_not_the_target() {
    let mut stage = Stage::new();
    let mut guard = Guard::new(enforcing());
    let mut old = request(&stage.snapshot, "/a", KILL);
    let other = Identity { id: 99, ..(*old.target).clone() };
    old.target = Arc::new(other);
    assert_eq!(refused(guard.plan(&old, &stage.facts(100))).0, Outcome::Vanished);
    stage.snapshot.cgroups[1].ended = Some(Duration::ZERO);
    assert_eq!(refused(stage.plan(&mut guard, "/a", KILL)).0, Outcome::Vanished);
    stage.snapshot.cgroups[1].ended = None;
    go(stage.plan(&mut guard, "/a", KILL));
}

#[test]
fn amounts_are_resolved_and_never_below_what_is_used() {
    let stage = Stage::new();
    let mut guard = Guard::new(enforcing());
    let fixed = |value| Amount::Fixed(Value::of(value));
    let none = Value::Limit(Limit::Max);
    for (knob, amount, at_least, allow_oom, expected) in [
        (Knob::MemoryHigh, Amount::OfCurrent(0.9), None, false, Value::of(900)),
        (Knob::MemoryHigh, Amount::OfCurrent(0.1), Some(128), false, Value::of(128)),
        (Knob::MemoryMax, Amount::OfCurrent(0.9), None, false, Value::of(1000)),
        (Knob::MemoryMax, Amount::OfCurrent(0.9), None, true, Value::of(900)),
        (Knob::MemoryMax, fixed(5000), None, false, Value::of(5000)),
        (Knob::MemoryMax, Amount::Fixed(none.clone()), Some(9), false, none),
        (Knob::PidsMax, fixed(3), None, false, Value::of(10)),
        (Knob::CpuWeight, fixed(3), None, false, Value::of(3)),
    ] {
        let wish = set(knob.clone(), amount.clone(), at_least);
        let wish = Request { allow_oom, ..request(&stage.snapshot, "/a", wish) };
        match go(guard.plan(&wish, &stage.facts(100))).deed {
            Deed::Set { values, .. } => assert_eq!(values, [(knob, expected)], "{amount:?}"),
            other => panic!("{other:?}"),
        }
    }
    let reclaim = go(stage.plan(&mut guard, "/a", Wish::Reclaim(Amount::OfCurrent(0.5))));
    assert!(matches!(reclaim.deed, Deed::Reclaim(500)), "{reclaim:?}");
    // No reading, no number: absent is not zero.
    for knob in [Knob::MemorySwapMax, Knob::CpuMax] {
        let planned = stage.plan(&mut guard, "/a", set(knob, Amount::OfCurrent(0.5), Some(1)));
        let (outcome, reason) = refused(planned);
        assert!(outcome == Outcome::Unsupported && reason.contains("not known"), "{reason}");
    }
    let stage = Stage { unsupported: Some("no freezer here"), ..stage };
    let expected = (Outcome::Unsupported, "no freezer here".to_owned());
    assert_eq!(refused(stage.plan(&mut guard, "/a", Wish::Freeze)), expected);
}

#[test]
fn every_freeze_has_an_end() {
    let stage = Stage::new();
    let mut guard = Guard::new(Safety { freeze_max: Duration::from_secs(60), ..enforcing() });
    for (ttl, end) in [(None, 160), (Some(30), 130), (Some(90), 160)] {
        let ttl = ttl.map(Duration::from_secs);
        let wish = Request { ttl, ..request(&stage.snapshot, "/a", Wish::Freeze) };
        let order = go(guard.plan(&wish, &stage.facts(100)));
        assert_eq!(order.expires, Some(Duration::from_secs(end)), "{ttl:?}");
    }
}

#[test]
fn kills_stop_at_the_budget_and_a_dry_run_has_its_own() {
    let stage = Stage::new();
    let budget = |max, seconds| Budget { max, per: Duration::from_secs(seconds) };
    let mut guard =
        Guard::new(Safety { kill_host: budget(2, 100), kill_target: budget(1, 50), ..enforcing() });
    let mut kill = |path, now, own, wish| {
        let wish = Request { mode: own, ..request(&stage.snapshot, path, wish) };
        match guard.plan(&wish, &stage.facts(now)) {
            Planned::Refused { outcome, reason, .. } => {
                assert_eq!(outcome, Outcome::Budget);
                if reason.contains("on this host") { "host" } else { "target" }
            }
            Planned::Go(_) | Planned::DryRun(_) => "killed",
            Planned::Nothing => "nothing",
        }
    };
    for own in [None, Some(Mode::DryRun)] {
        assert_eq!(kill("/a", 1000, own, KILL), "killed", "{own:?}");
        assert_eq!(kill("/a", 1049, own, Wish::Restart), "target", "a restart ends processes as well");
        assert_eq!(kill("/a", 1050, own, Wish::Restart), "killed", "what was refused does not count");
        assert_eq!(kill("/a-b", 1099, own, KILL), "host");
        assert_eq!(kill("/a-b", 1100, own, Wish::Stop), "killed");
    }
}

#[test]
fn what_comes_back_after_each_kill_is_a_loop() {
    let mut stage = Stage::new();
    let mut guard = Guard::new(enforcing());
    go(stage.plan(&mut guard, "/a", KILL));
    let (outcome, _) = refused(stage.plan(&mut guard, "/a", KILL));
    assert_eq!(outcome, Outcome::Budget, "the same cgroup stands there: the kill did not end it");
    let place = stage.snapshot.cgroups.iter().position(|cgroup| &*cgroup.identity.path == b"/a").unwrap();
    let old = &stage.snapshot.cgroups[place].identity;
    let again = Identity { id: 77, ..(**old).clone() };
    stage.snapshot.cgroups[place].identity = Arc::new(again);
    for wish in [KILL, Wish::Restart, Wish::Stop] {
        let (outcome, reason) = refused(stage.plan(&mut guard, "/a", wish));
        assert_eq!(outcome, Outcome::KillLoop);
        assert!(reason.contains("killed as cgroup 2 and is there again as 77"), "{reason}");
        assert!(reason.contains("`Restart=`") && reason.contains("`stop`"), "{reason}");
    }
    // What was restarted comes back because it was asked for.
    let mut asked = Guard::new(enforcing());
    go(stage.plan(&mut asked, "/a", Wish::Restart));
    let back = Identity { id: 78, ..(*stage.snapshot.cgroups[place].identity).clone() };
    stage.snapshot.cgroups[place].identity = Arc::new(back);
    assert_eq!(refused(stage.plan(&mut asked, "/a", KILL)).0, Outcome::Budget);
    // What a former program killed has no number: the budget is what is known.
    let mut next = Guard::new(enforcing());
    next.remember(&[(b"/a"[..].into(), Duration::ZERO)], Duration::from_secs(100));
    assert_eq!(refused(stage.plan(&mut next, "/a", KILL)).0, Outcome::Budget);
}

#[test]
fn what_others_look_after_is_left_to_them() {
    let mut stage = Stage::new();
    let mut guard = Guard::new(enforcing());
    let area = Area::At(b"/a/b"[..].into());
    let because = "b.slice has ManagedOOMSwap=kill".to_owned();
    stage.yielding.charges = vec![Charge { guardian: Guardian::SystemdOomd, area, because }];
    let set_to = |knob| set(knob, Amount::Fixed(Value::of(9000)), None);
    for wish in [
        KILL,
        Wish::Freeze,
        Wish::Restart,
        Wish::Stop,
        set_to(Knob::MemoryHigh),
        set_to(Knob::MemoryMax),
        set_to(Knob::MemorySwapMax),
    ] {
        let (outcome, reason) = refused(stage.plan(&mut guard, "/a/b/c", wish.clone()));
        assert_eq!(outcome, Outcome::Yielded, "{wish:?}");
        assert_eq!(
            reason,
            "`safety.yield_to` leaves /a/b/c to systemd-oomd: b.slice has ManagedOOMSwap=kill"
        );
    }
    for wish in [
        Wish::Notify(Notify::default()),
        Wish::Reclaim(Amount::Fixed(Value::of(5))),
        Wish::Thaw,
        Wish::Undo,
        set_to(Knob::MemoryLow),
        set_to(Knob::CpuWeight),
        set_to(Knob::PidsMax),
    ] {
        go(stage.plan(&mut guard, "/a/b/c", wish));
    }
    // A person means it.
    let by_hand = Request { by_hand: true, ..request(&stage.snapshot, "/a/b/c", Wish::Freeze) };
    go(guard.plan(&by_hand, &stage.facts(100)));
    // Who stops what is above stops them too; who limits it does not.
    let child = stage.snapshot.find(b"/a/b/c").unwrap();
    let identity = (*child.identity).clone();
    stage.below = Ok(vec![Below { identity, ownership: Ownership::Unowned }]);
    let (outcome, reason) = refused(stage.plan(&mut guard, "/a", Wish::Freeze));
    assert_eq!(outcome, Outcome::Yielded);
    assert!(reason.ends_with("; it is below /a"), "{reason}");
    go(stage.plan(&mut guard, "/a", set_to(Knob::MemoryMax)));
    stage.yielding = Yielding::unknown(&[Guardian::Oomd], "the bus is gone");
    let (outcome, reason) = refused(stage.plan(&mut guard, "/a-b", Wish::Freeze));
    assert_eq!(outcome, Outcome::Yielded, "what cannot be told is left alone");
    assert!(reason.contains("the bus is gone"), "{reason}");
}

#[test]
fn a_policy_passes_over_what_it_would_leave_to_others() {
    let mut stage = Stage::new();
    let guard = Guard::new(enforcing());
    stage.yielding = Yielding::unknown(&[Guardian::Oomd], "the bus is gone");
    let target = Arc::clone(&stage.snapshot.find(b"/a").unwrap().identity);
    let step = |action| Step { action, ttl: None, relieved_within: Duration::ZERO };
    let cpu = Setting { knob: Knob::CpuWeight, amount: Amount::Fixed(Value::of(9)), at_least: None };
    let notify = || step(Action::Notify(Notify::default()));
    for (steps, passed_over) in [
        (vec![notify(), step(Action::Freeze), step(Action::Stop)], true),
        (vec![step(Action::Set(vec![cpu])), step(Action::Freeze)], false),
        (vec![notify()], false),
    ] {
        assert_eq!(guard.is_untouchable(&policy(steps), &target, &stage.facts(100)), passed_over);
    }
}

fn policy(steps: Vec<Step>) -> Arc<Policy> {
    Arc::new(Policy {
        name: "policy".into(),
        mode: None,
        selector: Selector::default(),
        when: Condition::All(Vec::new()),
        clear: None,
        victim: Victim { rank: Vec::new(), at_least: Vec::new(), max: 1 },
        steps,
        cooldown: Cooldown { target: Duration::ZERO, host: Duration::ZERO },
        allow_oom: true,
        degrade: Vec::new(),
    })
}

#[test]
fn decisions_and_limits_become_requests() {
    let stage = Stage::new();
    let mut guard = Guard::new(enforcing());
    let target = Arc::clone(&stage.snapshot.cgroups[1].identity);
    let ttl = Some(Duration::from_secs(30));
    let steps = vec![Step { action: Action::Freeze, ttl, relieved_within: Duration::ZERO }];
    let decision = |verdict| Decision {
        at: Duration::from_secs(99),
        policy: policy(steps.clone()),
        target: Arc::clone(&target),
        verdict,
        evidence: Evidence::default(),
    };
    let decided = |verdict| Request::decided(&decision(verdict));
    let order = go(guard.plan(&decided(Verdict::Act { step: 0 }).unwrap(), &stage.facts(100)));
    assert_eq!((order.id, &*order.rule, order.step, order.noticed.as_secs()), (1, "policy", Some(0), 99));
    assert_eq!(order.expires, Some(Duration::from_secs(130)));
    assert!(matches!(order.deed, Deed::Freeze) && order.allow_oom && !order.loosens);
    assert!(decided(Verdict::Act { step: 1 }).is_none(), "there is no such step");
    let resting = Verdict::Resting { step: 0, until: Duration::from_secs(107) };
    let (outcome, reason) = refused(guard.plan(&decided(resting).unwrap(), &stage.facts(100)));
    assert!(outcome == Outcome::Cooldown && reason.contains("7.0 s"), "{reason}");
    for verdict in [Verdict::Undo { why: UndoReason::Cleared }, Verdict::Gone] {
        let order = go(guard.plan(&decided(verdict).unwrap(), &stage.facts(100)));
        assert!(matches!(order.deed, Deed::Undo));
    }
    let wish = set(Knob::MemoryMax, Amount::OfCurrent(2.0), None);
    let order = go(stage.plan(&mut guard, "/a", wish));
    assert_eq!(order.seen, [(Knob::MemoryMax, Value::of(7000))]);
    let rule = LimitRule {
        name: "limit".into(),
        mode: None,
        selector: Selector::default(),
        set: vec![(Knob::CpuWeight, Value::of(50))],
        allow_oom: false,
        on_drift: OnDrift::Reassert,
    };
    let order = go(guard.plan(&Request::standing(&rule, &target, Duration::ZERO), &stage.facts(100)));
    assert!(order.loosens && order.expires.is_none() && &*order.rule == "limit", "{order:?}");
    assert!(matches!(order.deed, Deed::Set { on_drift: OnDrift::Reassert, .. }));
    let order = go(guard.plan(&Request::withdrawn(&rule.name, &target, Duration::ZERO), &stage.facts(100)));
    assert!(matches!(order.deed, Deed::Undo) && &*order.rule == "limit");
}

/// Any wish.
fn wishes() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => Just(KILL),
        1 => Just(Wish::Restart),
        1 => Just(Wish::Stop),
        1 => Just(Wish::Freeze),
        1 => Just(Wish::Thaw),
        1 => Just(Wish::Undo),
        1 => Just(Wish::Reclaim(Amount::OfCurrent(0.5))),
        1 => (1_u64..5000).prop_map(|value| set(Knob::MemoryMax, Amount::Fixed(Value::of(value)), None)),
    ]
}

fn modes() -> impl Strategy<Value = Option<Mode>> {
    prop::sample::select(vec![None, Some(Mode::Observe), Some(Mode::DryRun), Some(Mode::Enforce)])
}

proptest! {
    /// Whatever is asked, whenever: what passes is in scope and not protected, budgets hold in every window, limits stay
    /// above what is used, and what takes back always passes.
    #[test]
    fn no_request_gets_around_the_rails(
        asked in prop::collection::vec((0..PATHS.len(), wishes(), modes(), 0_u64..30), 1..60),
        general in modes(),
        scope in prop::sample::select(vec![None, Some("/a/**"), Some("/{a,home}"), Some("/**")]),
        protect in prop::sample::select(vec![None, Some("/a/b"), Some("/**/*.service")]),
        host in 0_usize..4,
        one in 0_usize..3,
    ) {
        let stage = Stage::new();
        let per = Duration::from_secs(60);
        let safety = Safety {
            mode: general.unwrap_or_default(),
            scope: scope.map(|glob| vec![PathGlob::parse(glob).unwrap()]),
            protect: protect.map(|glob| matcher(Some(glob), None)).into_iter().collect(),
            kill_host: Budget { max: host, per },
            kill_target: Budget { max: one, per: per / 2 },
            ..Safety::default()
        };
        let mut guard = Guard::new(safety);
        let in_scope = |path: &str| match scope {
            Some("/a/**") => path.starts_with("/a/"),
            Some("/{a,home}") => path == "/a" || path == "/home",
            _ => true,
        };
        let untouchable = |path: &str| {
            let named = match protect {
                Some("/a/b") => path == "/a" || path == "/a/b",
                Some("/**/*.service") => path.ends_with(".service"),
                _ => false,
            };
            named || ["/", "/home", "/home/own", "/init.scope"].contains(&path)
        };
        let mut kills: HashMap<bool, Vec<(u64, &str)>> = HashMap::new();
        let mut now = 100;
        for (at, wish, own, later) in asked {
            now += later;
            let path = PATHS[at];
            let asked = Request { mode: own, ..request(&stage.snapshot, path, wish.clone()) };
            let planned = guard.plan(&asked, &stage.facts(now));
            if matches!(wish, Wish::Undo | Wish::Thaw) {
                prop_assert!(matches!(planned, Planned::Go(_)), "{:?}", planned);
                continue;
            }
            let (order, really) = match planned {
                Planned::Go(order) => (order, true),
                Planned::DryRun(order) => (order, false),
                Planned::Refused { .. } | Planned::Nothing => continue,
            };
            let mode = own.unwrap_or(Mode::Enforce).min(general.unwrap_or_default());
            prop_assert_eq!(mode, if really { Mode::Enforce } else { Mode::DryRun });
            prop_assert_eq!(order.dry_run, !really);
            prop_assert!(in_scope(path) && !untouchable(path), "{} passed", path);
            match order.deed {
                Deed::Kill(_) | Deed::Restart | Deed::Stop => kills.entry(really).or_default().push((now, path)),
                Deed::Freeze => prop_assert!(order.expires.is_some()),
                Deed::Set { values, .. } => prop_assert!(values[0].1.number() >= Some(1000)),
                _ => {}
            }
        }
        for kills in kills.values() {
            for &(start, target) in kills {
                let within = |length: u64| kills.iter().filter(move |(time, _)| (start..start + length).contains(time));
                prop_assert!(within(60).count() <= host);
                prop_assert!(within(30).filter(|(_, path)| *path == target).count() <= one);
            }
        }
    }
}
