//! Whom a policy begins on, and why the others are spared.

use std::time::Duration;

use stockade::model::Field;
use stockade::policy::decision::{Decision, Verdict};
use stockade::policy::engine::{Engine, Matched, Next, View};
use stockade::policy::rule::{Cooldown, Policy, Victim};
use stockade::policy::signal::Signal;

use crate::builder::{MIB, World, above, kill, policy, rules, secs};

fn hog(globs: &[&str]) -> Policy {
    Policy { steps: vec![kill(10)], ..policy("hog", globs, above(Signal::MemoryCurrent, 100.0)) }
}

fn targets(decisions: &[Decision]) -> Vec<(&str, Verdict)> {
    decisions.iter().map(|decision| (&*decision.target.display, decision.verdict)).collect()
}

fn world(memory: &[(&str, u64)]) -> World {
    let paths: Vec<&str> = memory.iter().map(|(path, _)| *path).collect();
    let mut world = World::new(&paths);
    for &(path, used) in memory {
        world.set(path, Field::MemoryCurrent, used);
    }
    world
}

const ACT: Verdict = Verdict::Act { step: 0 };

#[test]
fn the_worst_is_chosen_and_the_others_are_told_why_not() {
    let mut world =
        world(&[("/b", 0), ("/b/a", 200 * MIB), ("/b/b", 200 * MIB), ("/b/c", 12 * MIB), ("/b/d", 50)]);
    world.set("/b/c", Field::PidsCurrent, 4);
    world.set("/b/a", Field::PidsCurrent, 4);
    let victim = Victim {
        rank: vec![Signal::MemoryCurrent, Signal::Age],
        at_least: vec![(Signal::PidsCurrent, 2.0)],
        max: 1,
    };
    let mut engine = Engine::new(&rules([Policy { victim, ..hog(&["/b/*"]) }]));
    let snapshot = world.pass(5);
    let decisions = engine.evaluate(&View::pass(&snapshot));
    assert_eq!(targets(decisions), [("/b/a", ACT)]);
    let reasons: Vec<(&str, &str)> =
        decisions[0].evidence.spared.iter().map(|spared| (&*spared.cgroup, &*spared.reason)).collect();
    assert_eq!(
        reasons,
        [
            ("/b/b", "pids.current is not known, and must be at least 2"),
            ("/b/c", "memory.current 12.0MiB is less than 200.0MiB of the victim"),
        ]
    );
    let finding = &decisions[0].evidence.findings[0];
    assert_eq!((&*finding.signal, &*finding.of, finding.compare), ("memory.current", "/b/a", "above"));
    assert_eq!(finding.margin(), Some((200 * MIB) as f64 - 100.0));
}

#[test]
fn ties_break_by_path_and_only_so_many_are_named() {
    let paths: Vec<String> = (0..30).map(|number| format!("/b/{number:02}")).collect();
    let all: Vec<(&str, u64)> = paths.iter().map(|path| (&**path, 500)).collect();
    let mut world = world(&all);
    let mut engine = Engine::new(&rules([hog(&["/b/*"])]));
    let snapshot = world.pass(5);
    let decisions = engine.evaluate(&View::pass(&snapshot));
    assert_eq!(targets(decisions), [("/b/00", ACT)]);
    let spared = &decisions[0].evidence.spared;
    assert_eq!(spared.len(), 21);
    assert_eq!(spared[0].reason, "it is as bad as the victim, and its path comes later");
    assert_eq!((&*spared[20].cgroup, &*spared[20].reason), ("…", "9 more rank lower"));
}

#[test]
fn little_room_is_worse_than_much() {
    let mut world = world(&[("/b/a", 500), ("/b/b", 500)]);
    world.set("/b/a", Field::MemoryHeadroomMax, 2000);
    world.set("/b/b", Field::MemoryHeadroomMax, 1000);
    let victim = Victim { rank: vec![Signal::MemoryHeadroom], at_least: Vec::new(), max: 1 };
    let mut engine = Engine::new(&rules([Policy { victim, ..hog(&["/b/*"]) }]));
    let snapshot = world.pass(5);
    let decisions = engine.evaluate(&View::pass(&snapshot));
    assert_eq!(targets(decisions), [("/b/b", ACT)]);
    assert_eq!(
        decisions[0].evidence.spared[0].reason,
        "memory.headroom 2.0KiB is more than 1000B of the victim"
    );
}

#[test]
fn no_more_than_max_at_a_time_and_never_one_inside_the_other() {
    let mut world = world(&[("/b", 900), ("/b/a", 800), ("/b/a/x", 700), ("/b/c", 600), ("/d", 500)]);
    let victim = Victim { max: 2, ..hog(&[]).victim };
    let mut engine = Engine::new(&rules([Policy { victim, ..hog(&["/b", "/b/**", "/d"]) }]));
    let snapshot = world.pass(5);
    let decisions = engine.evaluate(&View::pass(&snapshot));
    assert_eq!(targets(decisions), [("/b", ACT), ("/d", ACT)]);
    let spared = &decisions[0].evidence.spared;
    assert_eq!((&*spared[0].cgroup, &*spared[0].reason), ("/b/a", "/b, which it is part of, is acted on"));
    world.set("/b", Field::MemoryCurrent, 0);
    world.set("/d", Field::MemoryCurrent, 0);
    let snapshot = world.pass(5);
    assert_eq!(targets(engine.evaluate(&View::pass(&snapshot))), [("/b/a", ACT), ("/b/c", ACT)], "next");
}

#[test]
fn nobody_else_is_begun_on_while_the_policy_rests() {
    let mut world = world(&[("/b/a", 300), ("/b/b", 200), ("/b/c", 150)]);
    let policy = Policy {
        victim: Victim { max: 2, ..hog(&[]).victim },
        cooldown: Cooldown { target: secs(60), host: secs(15) },
        ..hog(&["/b/*"])
    };
    let mut engine = Engine::new(&rules([policy]));
    let mut look = |after: u64| -> Vec<(String, Verdict)> {
        let snapshot = world.pass(after);
        let decisions = engine.evaluate(&View::pass(&snapshot)).iter();
        decisions.map(|decision| (decision.target.display.to_string(), decision.verdict)).collect()
    };
    let resting = Verdict::Resting { step: 0, until: secs(20) };
    assert_eq!(look(5), [("/b/a".to_owned(), ACT), ("/b/b".to_owned(), resting)]);
    assert_eq!(look(5), [], "said once");
    assert_eq!(look(9), []);
    assert_eq!(look(1), [("/b/b".to_owned(), ACT)]);
}

#[test]
fn a_rest_is_told_once_for_each_time_that_the_condition_came_to_hold() {
    let mut world = world(&[("/b/a", 300)]);
    let mut engine = Engine::new(&rules([hog(&["/b/*"])]));
    let mut look = |used: u64| -> Vec<Verdict> {
        world.set("/b/a", Field::MemoryCurrent, used);
        let snapshot = world.pass(1);
        engine.evaluate(&View::pass(&snapshot)).iter().map(|decision| decision.verdict).collect()
    };
    let resting = Verdict::Resting { step: 0, until: secs(62) };
    assert_eq!([look(300), look(0)], [vec![ACT], vec![]]);
    assert_eq!([look(300), look(300), look(0)], [vec![resting], vec![], vec![]]);
    assert_eq!([look(300), look(300)], [vec![resting], vec![]]);
}

#[test]
fn one_that_was_relieved_comes_back_only_where_there_is_room() {
    let mut world = world(&[("/b/a", 300), ("/b/b", 200)]);
    let clear = Some(crate::builder::below(Signal::MemoryCurrent, 10.0));
    let mut engine = Engine::new(&rules([Policy { clear, ..hog(&["/b/*"]) }]));
    let mut look = |a: u64, b: u64| -> Vec<(String, Verdict)> {
        world.set("/b/a", Field::MemoryCurrent, a);
        world.set("/b/b", Field::MemoryCurrent, b);
        let snapshot = world.pass(1);
        let decisions = engine.evaluate(&View::pass(&snapshot)).iter();
        decisions.map(|decision| (decision.target.display.to_string(), decision.verdict)).collect()
    };
    assert_eq!(look(300, 50), [("/b/a".to_owned(), ACT)]);
    assert_eq!(look(50, 200), [("/b/b".to_owned(), ACT)]);
    assert_eq!(look(300, 200), [], "the other one is acted on");
    assert_eq!(look(300, 50), [], "it became free in this moment");
    assert_eq!(look(300, 50), [("/b/a".to_owned(), ACT)]);
}

#[test]
fn the_young_are_left_alone() {
    let mut policy = hog(&["/b/*"]);
    policy.selector.min_age = secs(30);
    let mut world = world(&[("/b/a", 300)]);
    let mut engine = Engine::new(&rules([policy]));
    let snapshot = world.pass(29);
    let view = View::pass(&snapshot);
    assert!(engine.evaluate(&view).is_empty());
    assert_eq!(engine.explain(&view, b"/b/a")[0].matched, Matched::TooYoung { until: secs(30) });
    let snapshot = world.pass(1);
    assert_eq!(targets(engine.evaluate(&View::pass(&snapshot))), [("/b/a", ACT)]);
}

#[test]
fn explanations_say_what_comes_next() {
    let mut policy = hog(&["/b/*"]);
    policy.when = stockade::policy::condition::Condition::Test(crate::builder::test(
        Signal::MemoryCurrent,
        stockade::policy::condition::Compare::Above,
        100.0,
        10,
    ));
    let mut world = world(&[("/b/a", 300), ("/b/b", 200), ("/b/c", 0), ("/d", 0)]);
    let mut engine = Engine::new(&rules([policy]));
    let mut look = |after: u64, path: &str| -> (Matched, &'static str, Next, Duration) {
        let snapshot = world.pass(after);
        let view = View::pass(&snapshot);
        engine.evaluate(&view);
        let explained = engine.explain(&view, path.as_bytes()).remove(0);
        let held = explained.findings.first().map_or(Duration::MAX, |finding| finding.held);
        (explained.matched, explained.state, explained.next, held)
    };
    let step = |step, seconds| Next::Step { step, action: "kill", at: secs(seconds) };
    assert_eq!(look(5, "/d"), (Matched::No, "watching", Next::Nothing, Duration::MAX));
    assert_eq!(look(0, "/b/c"), (Matched::Yes, "watching", Next::Nothing, secs(0)));
    assert_eq!(look(4, "/b/a"), (Matched::Yes, "watching", step(0, 15), secs(4)));
    assert_eq!(look(6, "/b/a"), (Matched::Yes, "acting", Next::Exhausted { at: secs(25) }, secs(10)));
    let reason = "/b/a is acted on, and no more than 1 may be at a time".to_owned();
    assert_eq!(look(0, "/b/b"), (Matched::Yes, "watching", Next::Spared { reason }, secs(10)));
    assert_eq!(look(10, "/b/a"), (Matched::Yes, "exhausted", step(0, 85), secs(20)));
    world.set("/b/a", Field::MemoryCurrent, 0);
    let snapshot = world.pass(5);
    let view = View::pass(&snapshot);
    engine.evaluate(&view);
    assert_eq!(engine.explain(&view, b"/b/a")[0].next, Next::Watching { at: secs(90) });
    assert!(engine.explain(&view, b"/nowhere").is_empty());
}
