//! What holds for every policy and every course of events.

use std::collections::{HashMap, HashSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use stockade::model::{Field, Knob, Snapshot, Value};
use stockade::policy::condition::{Compare, Condition, Of, Test, Threshold, Truth};
use stockade::policy::decision::{Decision, Finding, Verdict};
use stockade::policy::engine::{Engine, View};
use stockade::policy::rule::{Action, Amount, Cooldown, Mode, Policy, Setting, Step, Victim};
use stockade::policy::signal::{Resource, Signal, Stall, Window};

use crate::builder::{World, kill, notify, policy, rules, secs, step, test};

const PATHS: [&str; 7] = ["/b", "/b/a", "/b/a/x", "/b/a/y", "/b/c", "/d", "/d/e"];
const PRESSURE: Signal = Signal::Pressure(Resource::Memory, Stall::Full, Window::Avg10);

/// What happens to a cgroup before a look.
#[derive(Clone, Copy, Debug)]
enum Event {
    Memory(Option<u64>),
    Pids(Option<u64>),
    Pressure(Option<u64>),
    Died,
    Born,
}

/// One look: after so many seconds and these events; a full pass, or only at what happened.
#[derive(Clone, Debug)]
struct Frame {
    after: u64,
    events: Vec<(&'static str, Event)>,
    full: bool,
}

fn events() -> impl Strategy<Value = (&'static str, Event)> {
    let number = || proptest::option::weighted(0.9, 0u64..10);
    let event = prop_oneof![
        4 => number().prop_map(Event::Memory),
        2 => number().prop_map(Event::Pids),
        4 => number().prop_map(|tenths| Event::Pressure(tenths.map(|tenths| tenths * 1000))),
        1 => Just(Event::Died),
        1 => Just(Event::Born),
    ];
    (select(&PATHS[..]), event)
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = (1u64..20, vec(events(), 0..8), proptest::bool::weighted(0.7))
        .prop_map(|(after, events, full)| Frame { after, events, full });
    vec(frame, 1..60)
}

fn conditions() -> impl Strategy<Value = Condition> {
    let of = select(vec![Of::This, Of::This, Of::This, Of::Parent, Of::Host, Of::Path((*b"/b").into())]);
    let signal = select(vec![
        (Signal::MemoryCurrent, 10.0),
        (Signal::MemoryGrowth, 2.0),
        (Signal::PidsCurrent, 10.0),
        (PRESSURE, 1.0),
    ]);
    let compare = prop_oneof![3 => Just(Compare::Above), 1 => Just(Compare::Below)];
    let leaf = (signal, of, compare, 0.0..1.0f64, 0u64..15).prop_map(
        |((signal, most), of, compare, share, hold)| {
            Condition::Test(Test {
                of,
                threshold: Threshold::Fixed(share * most),
                ..test(signal, compare, 0.0, hold)
            })
        },
    );
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Condition::All),
            vec(inner.clone(), 1..3).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let set =
        |knob: Knob| Action::Set(vec![Setting { knob, amount: Amount::Fixed(Value::of(1)), at_least: None }]);
    let lasting = select(vec![set(Knob::MemoryHigh), set(Knob::CpuMax), Action::Freeze]);
    prop_oneof![
        1 => Just(notify()),
        1 => (0u64..20).prop_map(kill),
        3 => (lasting, 1u64..60, 0u64..20).prop_map(|(action, ttl, relief)| step(action, ttl, relief)),
    ]
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let rest = (0u64..40, 0u64..20);
    let shape =
        (conditions(), proptest::option::of(conditions()), vec(steps(), 1..4), rest, 1usize..3, 0u64..30);
    let policy = shape.prop_map(|(when, clear, steps, (target, host), max, min_age)| {
        let mut policy = policy("p", &["/b/**", "/d"], when);
        policy.selector.min_age = secs(min_age);
        let victim = Victim { rank: vec![Signal::MemoryCurrent], at_least: Vec::new(), max };
        let cooldown = Cooldown { target: secs(target), host: secs(host) };
        Policy { clear, steps, victim, cooldown, ..policy }
    });
    vec(policy, 1..4).prop_map(|mut policies| {
        for (number, policy) in policies.iter_mut().enumerate() {
            policy.name = format!("p{number}").into();
        }
        policies
    })
}

/// Plays the frames, and shows each look's decisions to `look`.
fn play(policies: &[Policy], frames: &[Frame], mut look: impl FnMut(&World, &Engine, &[Decision])) {
    let mut world = World::new(&PATHS);
    let mut engine = Engine::new(&rules(policies.to_vec()));
    let mut alive: HashSet<&str> = PATHS.into();
    let mut last: Option<Snapshot> = None;
    for frame in frames {
        let mut touched = Vec::new();
        for &(path, event) in &frame.events {
            match event {
                Event::Died => {
                    // As the kernel has it: children first.
                    let below: Vec<&str> =
                        alive.iter().copied().filter(|each| each.starts_with(path)).collect();
                    for path in below {
                        world.died(path);
                        alive.remove(path);
                    }
                    touched.retain(|path| alive.contains(path));
                    continue;
                }
                Event::Born => {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    if !alive.contains(path) && (parent.is_empty() || alive.contains(parent)) {
                        world.born(path);
                        alive.insert(path);
                    }
                    continue;
                }
                _ if !alive.contains(path) => continue,
                Event::Memory(value) => world.set(path, Field::MemoryCurrent, value),
                Event::Pids(value) => world.set(path, Field::PidsCurrent, value),
                Event::Pressure(value) => world.set(path, Field::MemoryFullAvg10, value),
            }
            if !touched.contains(&path) {
                touched.push(path);
            }
        }
        match &last {
            Some(snapshot) if !frame.full && !touched.is_empty() => {
                let fresh = world.fresh(frame.after, &touched);
                let view = View { snapshot, at: world.at, fresh: &fresh, host: None };
                let decisions = engine.evaluate(&view).to_vec();
                look(&world, &engine, &decisions);
            }
            _ => {
                let snapshot = world.pass(frame.after);
                let decisions = engine.evaluate(&View::pass(&snapshot)).to_vec();
                look(&world, &engine, &decisions);
                last = Some(snapshot);
            }
        }
    }
}

/// Everything decided, evidence included, but for how the policies themselves are written.
fn record(policies: &[Policy], frames: &[Frame]) -> Vec<String> {
    let mut record = Vec::new();
    play(policies, frames, |_, _, decisions| {
        record.extend(decisions.iter().map(|decision| {
            let Decision { at, policy, target, verdict, evidence } = decision;
            format!("{at:?} {} {target:?} {verdict:?} {evidence:?}", policy.name)
        }));
    });
    record
}

/// How a condition comes out, judged by the evidence alone.
fn judged(condition: &Condition, findings: &mut std::slice::Iter<'_, Finding>) -> Truth {
    match condition {
        Condition::All(all) => {
            let truths: Vec<Truth> = all.iter().map(|each| judged(each, findings)).collect();
            match () {
                () if truths.contains(&Truth::False) => Truth::False,
                () if truths.contains(&Truth::Unknown) => Truth::Unknown,
                () => Truth::True,
            }
        }
        Condition::Any(any) => {
            let truths: Vec<Truth> = any.iter().map(|each| judged(each, findings)).collect();
            match () {
                () if truths.contains(&Truth::True) => Truth::True,
                () if truths.contains(&Truth::Unknown) => Truth::Unknown,
                () => Truth::False,
            }
        }
        Condition::Not(not) => match judged(not, findings) {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        },
        Condition::Test(_) => {
            let finding = findings.next().expect("a finding for each comparison");
            let Some(margin) = finding.margin() else {
                assert_eq!(finding.truth, Truth::Unknown, "{finding:?}");
                return Truth::Unknown;
            };
            assert!(
                finding.truth != Truth::True || (margin > 0.0 && finding.held >= finding.hold),
                "{finding:?}"
            );
            finding.truth
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_sequence_gives_the_same_decisions(policies in policies(), frames in frames()) {
        let once = record(&policies, &frames);
        prop_assert_eq!(&once, &record(&policies, &frames));
        for mode in [Mode::DryRun, Mode::Enforce] {
            let other: Vec<Policy> =
                policies.iter().map(|policy| Policy { mode: Some(mode), ..policy.clone() }).collect();
            prop_assert_eq!(&once, &record(&other, &frames), "{:?}", mode);
        }
    }

    #[test]
    fn steps_are_only_taken_on_evidence_and_on_what_matches(policies in policies(), frames in frames()) {
        play(&policies, &frames, |_, engine, decisions| {
            for decision in decisions {
                let path = &*decision.target.display;
                assert!(path == "/d" || path.starts_with("/b/"), "{path} is not matched");
                if matches!(decision.verdict, Verdict::Act { .. }) {
                    let mut findings = decision.evidence.findings.iter();
                    assert_eq!(judged(&decision.policy.when, &mut findings), Truth::True, "{decision:?}");
                    assert_eq!(findings.len(), 0);
                }
            }
            let mut victims: HashMap<&str, Vec<&str>> = HashMap::new();
            for (policy, target, state) in engine.active() {
                let all = victims.entry(&policy.name).or_default();
                for other in &*all {
                    let inside = |a: &str, b: &str| a.starts_with(&format!("{b}/"));
                    assert!(!inside(&target.display, other) && !inside(other, &target.display));
                }
                if state.is_victim() {
                    all.push(&target.display);
                }
                assert!(all.len() <= policy.victim.max, "{all:?} of {}", policy.name);
            }
        });
    }

    #[test]
    fn whatever_lasts_is_undone(policies in policies(), frames in frames()) {
        let mut frames = frames;
        // In the end nothing is known any more: neither does anything clear.
        let blind = |path| [Event::Memory(None), Event::Pids(None), Event::Pressure(None)].map(|event| (path, event));
        frames.push(Frame { after: 5, events: PATHS.into_iter().flat_map(blind).collect(), full: true });
        frames.resize(frames.len() + 30, Frame { after: 20, events: Vec::new(), full: true });
        let mut open: HashMap<(String, u64), Verdict> = HashMap::new();
        play(&policies, &frames, |_, _, decisions| {
            for decision in decisions {
                let key = (decision.policy.name.to_string(), decision.target.id);
                match decision.verdict {
                    Verdict::Act { step } => {
                        if matches!(decision.policy.steps[step].action, Action::Set(_) | Action::Freeze) {
                            open.insert(key, decision.verdict);
                        }
                    }
                    Verdict::Undo { .. } | Verdict::Gone => drop(open.remove(&key)),
                    Verdict::Resting { .. } => {}
                }
            }
        });
        prop_assert!(open.is_empty(), "left as it was: {:?}", open);
    }

    #[test]
    fn what_is_unknown_never_fires(policies in policies(), frames in frames()) {
        let blind: Vec<Frame> = frames
            .into_iter()
            .map(|frame| {
                let lives = |(_, event): &(&str, Event)| matches!(event, Event::Born | Event::Died);
                Frame { events: frame.events.into_iter().filter(lives).collect(), ..frame }
            })
            .collect();
        prop_assert_eq!(record(&policies, &blind), Vec::<String>::new());
    }
}

/// What the properties say would be said of an engine that never decides anything.
#[test]
fn the_sequences_make_things_happen() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for _ in 0..200 {
        let (policies, frames) = (policies(), frames()).new_tree(&mut runner).expect("a sequence").current();
        play(&policies, &frames, |_, _, decisions| {
            for decision in decisions {
                let name = match decision.verdict {
                    Verdict::Act { step: 0 } => "first",
                    Verdict::Act { .. } => "next",
                    Verdict::Resting { .. } => "resting",
                    Verdict::Undo { why } => match why {
                        stockade::policy::decision::UndoReason::Cleared => "cleared",
                        stockade::policy::decision::UndoReason::Expired => "expired",
                        stockade::policy::decision::UndoReason::Withdrawn => "withdrawn",
                    },
                    Verdict::Gone => "gone",
                };
                *seen.entry(name).or_default() += 1;
            }
        });
    }
    for name in ["first", "next", "resting", "cleared", "expired", "gone"] {
        assert!(seen.get(name).is_some_and(|count| *count >= 10), "{name} is rare: {seen:?}");
    }
}
