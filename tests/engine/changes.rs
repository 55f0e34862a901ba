//! What happens when the host, the rules, or what is known between two passes changes.

use std::sync::Arc;

use stockade::model::{Field, Knob, Namespace, NamespaceKind, Namespaces, OwnerLabel, Shared, Value};
use stockade::policy::condition::{Compare, Condition, Of, Test, Truth};
use stockade::policy::decision::{UndoReason, Verdict};
use stockade::policy::engine::{Engine, TriggerWant, View};
use stockade::policy::rule::{Action, Amount, LimitRule, Mode, Policy, Rules, Setting};
use stockade::policy::selector::{LabelGlob, Matcher, Selector};
use stockade::policy::signal::{Resource, Signal, Stall, Window};
use stockade::policy::standing::{Keep, Standing};

use crate::builder::{World, above, kill, policy, rules, secs, selector, step, test};

const PRESSURE: Signal = Signal::Pressure(Resource::Memory, Stall::Full, Window::Avg10);
const ACT: Verdict = Verdict::Act { step: 0 };

fn set(knob: Knob) -> Action {
    Action::Set(vec![Setting { knob, amount: Amount::Fixed(Value::of(10)), at_least: None }])
}

fn capped(name: &str) -> Policy {
    Policy {
        steps: vec![step(set(Knob::MemoryHigh), 100, 10), kill(10)],
        ..policy(name, &["/b/*"], above(Signal::MemoryCurrent, 100.0))
    }
}

fn verdicts(engine: &mut Engine, view: &View<'_>) -> Vec<(String, Verdict)> {
    let decisions = engine.evaluate(view).iter();
    decisions.map(|decision| (decision.target.display.to_string(), decision.verdict)).collect()
}

fn said(path: &str, verdict: Verdict) -> Vec<(String, Verdict)> {
    vec![(path.to_owned(), verdict)]
}

#[test]
fn a_new_cgroup_under_an_old_path_starts_anew() {
    let held = Condition::Test(test(Signal::MemoryCurrent, Compare::Above, 100.0, 10));
    let mut world = World::new(&["/b/a", "/b/z"]);
    let mut engine = Engine::new(&rules([Policy { when: held, ..capped("p") }]));
    world.set("/b/a", Field::MemoryCurrent, 500);
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), []);
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), []);
    world.born("/b/a");
    world.set("/b/a", Field::MemoryCurrent, 500);
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), [], "its hold began anew");
    // Others come and go around it.
    world.born("/a");
    world.died("/b/z");
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), []);
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), said("/b/a", ACT));
    world.born("/b/a");
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), said("/b/a", Verdict::Gone));
    world.died("/b/a");
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), [], "nothing was done to this one");
}

#[test]
fn holds_stay_with_their_cgroup_when_others_end() {
    let held = Condition::Test(test(Signal::MemoryCurrent, Compare::Above, 100.0, 10));
    let mut world = World::new(&["/b/0", "/b/a", "/b/z"]);
    world.set("/b/z", Field::MemoryCurrent, 500);
    let mut engine = Engine::new(&rules([Policy { when: held, ..capped("p") }]));
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), []);
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), []);
    world.died("/b/0");
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), said("/b/z", ACT));
}

#[test]
fn a_reload_keeps_what_is_unchanged_and_withdraws_the_rest() {
    let mut world = World::new(&["/b/a"]);
    world.set("/b/a", Field::MemoryCurrent, 500);
    let mut engine = Engine::new(&rules([capped("stays"), capped("changes"), capped("goes")]));
    assert_eq!(engine.evaluate(&View::pass(&world.pass(5))).len(), 3);
    let changed = Policy { when: above(Signal::PidsCurrent, 5.0), ..capped("changes") };
    engine.replace(&rules([capped("new"), changed, capped("stays")]));
    let snapshot = world.pass(5);
    let decisions: Vec<(String, Verdict)> = engine
        .evaluate(&View::pass(&snapshot))
        .iter()
        .map(|decision| (decision.policy.name.to_string(), decision.verdict))
        .collect();
    let withdrawn = Verdict::Undo { why: UndoReason::Withdrawn };
    assert_eq!(
        decisions,
        [("changes".to_owned(), withdrawn), ("goes".to_owned(), withdrawn), ("new".to_owned(), ACT)]
    );
    let snapshot = world.pass(5);
    let next: Vec<(String, Verdict)> = engine
        .evaluate(&View::pass(&snapshot))
        .iter()
        .map(|decision| (decision.policy.name.to_string(), decision.verdict))
        .collect();
    assert_eq!(next, [("stays".to_owned(), Verdict::Act { step: 1 })], "its time ran on");
}

#[test]
fn who_only_watches_decides_nothing() {
    let mut world = World::new(&["/b/a"]);
    world.set("/b/a", Field::MemoryCurrent, 500);
    let mut engine = Engine::new(&rules([Policy { mode: Some(Mode::Observe), ..capped("p") }]));
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), []);
    assert!(engine.states().any(|(_, state, count)| state == "acting" && count == 1));
}

#[test]
fn between_passes_only_what_was_read_is_looked_at() {
    let mut world = World::new(&["/b", "/b/a", "/c", "/c/a"]);
    let by_parent = Test { of: Of::Parent, ..test(PRESSURE, Compare::Above, 0.5, 0) };
    let both = Policy {
        victim: stockade::policy::rule::Victim { max: 9, ..capped("").victim },
        ..policy("p", &["/b/*", "/c/*"], Condition::Test(by_parent))
    };
    let mut engine = Engine::new(&rules([Policy { steps: vec![kill(10)], ..both }]));
    let snapshot = world.pass(5);
    assert_eq!(verdicts(&mut engine, &View::pass(&snapshot)), []);
    world.set("/b", Field::MemoryFullAvg10, 6000);
    world.set("/c", Field::MemoryFullAvg10, 6000);
    let fresh = world.fresh(1, &["/b"]);
    let view = View { snapshot: &snapshot, at: world.at, fresh: &fresh, host: None };
    assert_eq!(verdicts(&mut engine, &view), said("/b/a", ACT));
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(4))), said("/c/a", ACT));
}

/// How the policy comes out for `/b/x` with this pressure, in percent, of the parent, of the one that is held down, and of
/// `/b/x`, and of the host.
fn blamed(of: Of, compare: Compare, [parent, held, own, host]: [u64; 4]) -> Truth {
    let mut world = World::new(&["/b", "/b/held", "/b/x"]);
    for (path, percent) in [("/b", parent), ("/b/held", held), ("/b/x", own)] {
        world.set(path, Field::MemoryFullAvg10, percent * 100);
    }
    world.host.pressure.set(Field::MemoryFullAvg10, Some(host * 100));
    let when = Condition::Test(Test { of, ..test(PRESSURE, compare, 0.4, 0) });
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], when)]));
    let snapshot = world.pass(5);
    let identity = |path: &[u8]| Arc::clone(&snapshot.find(path).expect("it is there").identity);
    engine.throttled_by_us([(identity(b"/b/held"), Resource::Memory)]);
    let view = View::pass(&snapshot);
    engine.evaluate(&view);
    engine.explain(&view, b"/b/x")[0].when
}

#[test]
fn what_waits_because_of_us_is_not_guilty_again() {
    use Compare::{Above, Below};
    let cases = [
        ("the parent waits no more than the one we hold", Of::Parent, Above, [90, 90, 0, 0], Truth::Unknown),
        ("others wait too", Of::Parent, Above, [90, 50, 0, 0], Truth::True),
        ("it is low in spite of us", Of::Parent, Below, [30, 30, 0, 0], Truth::True),
        ("it is not high, whoever it is", Of::Parent, Above, [30, 30, 0, 0], Truth::False),
        ("it may be low without us", Of::Parent, Below, [90, 90, 0, 0], Truth::Unknown),
        ("its own", Of::This, Above, [90, 90, 90, 0], Truth::True),
        ("the host's, of our making", Of::Host, Above, [90, 90, 0, 80], Truth::Unknown),
        ("the host's, of others' making", Of::Host, Above, [40, 40, 0, 80], Truth::True),
        ("of the one we hold", Of::Path((*b"/b/held").into()), Above, [90, 90, 0, 0], Truth::Unknown),
    ];
    for (name, of, compare, pressure, expected) in cases {
        assert_eq!(blamed(of, compare, pressure), expected, "{name}");
    }
}

#[test]
fn a_policy_does_not_climb_on_the_pressure_that_it_makes() {
    let mut world = World::new(&["/b/a"]);
    world.set("/b/a", Field::MemoryFullAvg10, 9000);
    let mut engine = Engine::new(&rules([Policy { when: above(PRESSURE, 0.5), ..capped("p") }]));
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(5))), said("/b/a", ACT));
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(50))), [], "no kill for its own throttle");
    let expired = Verdict::Undo { why: UndoReason::Expired };
    assert_eq!(verdicts(&mut engine, &View::pass(&world.pass(50))), said("/b/a", expired));
}

#[test]
fn triggers_are_wanted_where_pressure_is_compared() {
    let mut world = World::new(&["/b", "/b/a", "/b/c"]);
    let of = |of: Of, share: f64| Condition::Test(Test { of, ..test(PRESSURE, Compare::Above, share, 0) });
    let when = Condition::Any(vec![
        of(Of::This, 0.4),
        of(Of::This, 0.2),
        of(Of::Parent, 0.3),
        of(Of::Host, 0.1),
        Condition::Test(test(PRESSURE, Compare::Below, 0.1, 0)),
    ]);
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], when)]));
    let snapshot = world.pass(5);
    engine.evaluate(&View::pass(&snapshot));
    let wants: Vec<(String, f64)> = engine
        .pressure_wants(&snapshot)
        .iter()
        .map(|TriggerWant { target, share, .. }| {
            (target.as_ref().map_or("host".to_owned(), |target| target.display.to_string()), *share)
        })
        .collect();
    let expected = [("/b/a", 0.2), ("/b/c", 0.2), ("/b", 0.3), ("host", 0.1)];
    assert_eq!(wants, expected.map(|(path, share)| (path.to_owned(), share)));
    for number in 0..300 {
        world.born(&format!("/b/{number}"));
    }
    let snapshot = world.pass(5);
    engine.evaluate(&View::pass(&snapshot));
    let wants = engine.pressure_wants(&snapshot);
    assert_eq!((wants.len(), wants.last().map(|want| want.target.is_none())), (257, Some(true)));
}

fn cap(name: &str, globs: &[&str], min_age: u64) -> Arc<LimitRule> {
    let mut selector = selector(globs);
    selector.min_age = secs(min_age);
    Arc::new(LimitRule {
        name: name.into(),
        mode: None,
        selector,
        set: vec![(Knob::PidsMax, Value::of(5))],
        allow_oom: false,
        on_drift: stockade::policy::rule::OnDrift::Yield,
    })
}

fn told(standing: &mut Standing, view: &View<'_>) -> Vec<(String, String, Keep)> {
    let changes = standing.evaluate(view).iter();
    changes
        .map(|change| (change.rule.name.to_string(), change.target.display.to_string(), change.keep))
        .collect()
}

fn change(rule: &str, path: &str, keep: Keep) -> (String, String, Keep) {
    (rule.to_owned(), path.to_owned(), keep)
}

#[test]
fn standing_limits_are_told_once() {
    let mut world = World::new(&["/b/a", "/b/z", "/c"]);
    let with = |limits: Vec<Arc<LimitRule>>| Rules { limits, policies: Vec::new() };
    let mut standing = Standing::new(&with(vec![cap("now", &["/b/*"], 0), cap("later", &["/b/*"], 12)]));
    let snapshot = world.pass(5);
    assert_eq!(
        told(&mut standing, &View::pass(&snapshot)),
        [change("now", "/b/a", Keep::Apply), change("now", "/b/z", Keep::Apply)]
    );
    assert_eq!(told(&mut standing, &View::pass(&snapshot)), []);
    // Born between two passes: at once, and not again in the pass.
    world.at += secs(1);
    world.born("/b/m");
    world.born("/b/z");
    let fresh = world.fresh(0, &["/b/m"]);
    let view = View { snapshot: &snapshot, at: world.at, fresh: &fresh, host: None };
    assert_eq!(told(&mut standing, &view), [change("now", "/b/m", Keep::Apply)]);
    let snapshot = world.pass(4);
    assert_eq!(
        told(&mut standing, &View::pass(&snapshot)),
        [change("now", "/b/z", Keep::Gone), change("now", "/b/z", Keep::Apply)]
    );
    assert_eq!(standing.kept().count(), 3);
    let snapshot = world.pass(2);
    assert_eq!(told(&mut standing, &View::pass(&snapshot)), [change("later", "/b/a", Keep::Apply)]);
    standing.replace(&with(vec![cap("now", &["/b/*"], 0), cap("later", &["/c"], 0)]));
    let snapshot = world.pass(2);
    assert_eq!(
        told(&mut standing, &View::pass(&snapshot)),
        [change("later", "/b/a", Keep::Withdraw), change("later", "/c", Keep::Apply)]
    );
    world.died("/c");
    let snapshot = world.pass(2);
    assert_eq!(told(&mut standing, &View::pass(&snapshot)), [change("later", "/c", Keep::Gone)]);
}

#[test]
fn whose_it_is_may_become_known_later_than_that_it_is_there() {
    let user = |glob: &str| Matcher {
        labels: vec![(OwnerLabel::User, LabelGlob::parse(glob).unwrap())],
        ..Matcher::default()
    };
    let backup = |world: &mut World| {
        let group = world.group("/b/a");
        let mut identity = (*group.identity).clone();
        identity.owner.set(OwnerLabel::User, Some("34"));
        group.identity = Arc::new(identity);
    };
    let mut world = World::new(&["/b/a", "/b/z"]);
    let mut spared = capped("spared");
    spared.selector.not = vec![user("34")];
    let meant =
        Policy { selector: Selector { any: vec![user("34")], ..Selector::default() }, ..capped("meant") };
    let mut engine = Engine::new(&rules([spared, meant]));
    let limits = |rule: LimitRule| Rules { limits: vec![Arc::new(rule)], policies: Vec::new() };
    let not = LimitRule {
        selector: Selector { not: vec![user("34")], ..selector(&["/b/*"]) },
        ..LimitRule::clone(&cap("not", &[], 0))
    };
    let only = LimitRule {
        selector: Selector { any: vec![user("34")], ..Selector::default() },
        ..LimitRule::clone(&cap("only", &[], 0))
    };
    let (mut not, mut only) = (Standing::new(&limits(not)), Standing::new(&limits(only)));
    world.set("/b/a", Field::MemoryCurrent, 500);
    let snapshot = world.pass(5);
    let by = |engine: &mut Engine, view: &View<'_>| -> Vec<(String, Verdict)> {
        let decisions = engine.evaluate(view).iter();
        decisions.map(|decision| (decision.policy.name.to_string(), decision.verdict)).collect()
    };
    assert_eq!(by(&mut engine, &View::pass(&snapshot)), said("spared", ACT));
    assert_eq!(told(&mut not, &View::pass(&snapshot)).len(), 2);
    assert_eq!(told(&mut only, &View::pass(&snapshot)), []);
    backup(&mut world);
    let snapshot = world.pass(5);
    let withdrawn = Verdict::Undo { why: UndoReason::Withdrawn };
    let decided = by(&mut engine, &View::pass(&snapshot));
    assert_eq!(decided, [said("spared", withdrawn), said("meant", ACT)].concat());
    assert_eq!(told(&mut not, &View::pass(&snapshot)), [change("not", "/b/a", Keep::Withdraw)]);
    assert_eq!(told(&mut only, &View::pass(&snapshot)), [change("only", "/b/a", Keep::Apply)]);
    let snapshot = world.pass(5);
    assert_eq!(by(&mut engine, &View::pass(&snapshot)), []);
    assert_eq!(told(&mut not, &View::pass(&snapshot)), []);
    assert_eq!(told(&mut only, &View::pass(&snapshot)), []);
}

#[test]
fn who_shares_the_hosts_network_is_known_when_its_processes_were_seen() {
    let on_the_host = Matcher { namespaces: vec![(NamespaceKind::Net, Shared::Host)], ..Matcher::default() };
    let selector = Selector { any: vec![on_the_host], ..Selector::default() };
    let mut world = World::new(&["/b/a"]);
    world.set("/b/a", Field::MemoryCurrent, 500);
    let mut engine = Engine::new(&rules([Policy { selector: selector.clone(), ..capped("p") }]));
    let limit = LimitRule { selector, ..LimitRule::clone(&cap("limit", &[], 0)) };
    let mut standing = Standing::new(&Rules { limits: vec![Arc::new(limit)], policies: Vec::new() });
    let snapshot = world.pass(5);
    assert_eq!(verdicts(&mut engine, &View::pass(&snapshot)), [], "what is not known matches nothing");
    assert_eq!(told(&mut standing, &View::pass(&snapshot)), []);
    let shares =
        |shared| Arc::new(Namespaces::new(vec![Namespace { kind: NamespaceKind::Net, inode: 7, shared }]));
    world.group("/b/a").namespaces = shares(Shared::Host);
    let snapshot = world.pass(5);
    assert_eq!(verdicts(&mut engine, &View::pass(&snapshot)), said("/b/a", ACT));
    assert_eq!(told(&mut standing, &View::pass(&snapshot)), [change("limit", "/b/a", Keep::Apply)]);
    world.group("/b/a").namespaces = shares(Shared::Own);
    let snapshot = world.pass(5);
    let withdrawn = Verdict::Undo { why: UndoReason::Withdrawn };
    assert_eq!(verdicts(&mut engine, &View::pass(&snapshot)), said("/b/a", withdrawn));
    assert_eq!(told(&mut standing, &View::pass(&snapshot)), [change("limit", "/b/a", Keep::Withdraw)]);
}
