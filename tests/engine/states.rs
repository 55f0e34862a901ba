//! What a policy does with one target, moment by moment.

use stockade::model::{Field, Knob, Value};
use stockade::policy::decision::{UndoReason, Verdict};
use stockade::policy::engine::{Engine, View};
use stockade::policy::rule::{Action, Amount, Policy, Setting};
use stockade::policy::signal::Signal;

use crate::builder::{World, above, below, kill, notify, policy, rules, secs, step};

const PATH: &str = "/b/a";

/// What is seen at a moment: the seconds since the last, the memory used (none: not known), what is decided, the state.
type Row<'a> = (u64, Option<u64>, &'a [Verdict], &'a str);

const fn act(step: usize) -> Verdict {
    Verdict::Act { step }
}

const fn undo(why: UndoReason) -> Verdict {
    Verdict::Undo { why }
}

fn state_of(engine: &Engine) -> &'static str {
    let mut states = engine.states().filter(|(.., count)| *count > 0);
    let (_, name, count) = states.next().expect("one target");
    assert_eq!((count, states.next().is_none()), (1, true), "one target");
    name
}

fn check(name: &str, policy: &Policy, rows: &[Row<'_>]) {
    let mut world = World::new(&["/b", PATH]);
    let mut engine = Engine::new(&rules([policy.clone()]));
    for (at, &(after, memory, expected, state)) in rows.iter().enumerate() {
        world.set(PATH, Field::MemoryCurrent, memory);
        let snapshot = world.pass(after);
        let decided: Vec<Verdict> =
            engine.evaluate(&View::pass(&snapshot)).iter().map(|decision| decision.verdict).collect();
        assert_eq!(decided, expected, "{name}, row {at}, {:?}", world.at);
        assert_eq!(state_of(&engine), state, "{name}, row {at}, {:?}", world.at);
    }
}

fn limit(ttl: u64, relieved_within: u64) -> stockade::policy::rule::Step {
    let setting = Setting { knob: Knob::PidsMax, amount: Amount::Fixed(Value::of(10)), at_least: None };
    step(Action::Set(vec![setting]), ttl, relieved_within)
}

fn freeze(ttl: u64, relieved_within: u64) -> stockade::policy::rule::Step {
    step(Action::Freeze, ttl, relieved_within)
}

/// Memory above 100, notify, limit for 100 s, kill; clear below 50.
fn stepwise() -> Policy {
    Policy {
        clear: Some(below(Signal::MemoryCurrent, 50.0)),
        steps: vec![notify(), limit(100, 20), kill(10)],
        ..policy("stepwise", &["/b/*"], above(Signal::MemoryCurrent, 100.0))
    }
}

#[test]
fn steps_follow_each_other_while_nothing_brings_relief() {
    check(
        "escalation",
        &stepwise(),
        &[
            (1, Some(0), &[], "watching"),
            (5, Some(200), &[act(0), act(1)], "acting"),
            (15, Some(200), &[], "acting"),
            (5, Some(200), &[act(2)], "acting"),
            (10, Some(200), &[], "exhausted"),
            // It begins again: the limit is still in force, and is set anew.
            (60, Some(200), &[act(0), act(1)], "acting"),
            (5, Some(40), &[undo(UndoReason::Cleared)], "cooldown"),
        ],
    );
}

#[test]
fn exhausted_begins_again_after_its_cooldown() {
    let policy = Policy { steps: vec![kill(10)], ..stepwise() };
    check(
        "again",
        &policy,
        &[
            (1, Some(200), &[act(0)], "acting"),
            (10, Some(200), &[], "exhausted"),
            (59, Some(200), &[], "exhausted"),
            (1, Some(200), &[act(0)], "acting"),
            (10, Some(200), &[], "exhausted"),
            (5, Some(80), &[], "relieved"),
            (5, Some(40), &[], "cooldown"),
        ],
    );
}

#[test]
fn relief_stops_the_steps_and_clear_undoes_them() {
    check(
        "relief",
        &stepwise(),
        &[
            (1, Some(200), &[act(0), act(1)], "acting"),
            (5, Some(80), &[], "relieved"),
            (50, Some(80), &[], "relieved"),
            (5, Some(40), &[undo(UndoReason::Cleared)], "cooldown"),
            (59, Some(200), &[Verdict::Resting { step: 0, until: secs(121) }], "cooldown"),
            (0, Some(200), &[], "cooldown"),
            (1, Some(200), &[act(0), act(1)], "acting"),
        ],
    );
}

#[test]
fn time_is_up_even_without_clear() {
    check(
        "ttl",
        &stepwise(),
        &[
            (1, Some(200), &[act(0), act(1)], "acting"),
            (5, Some(80), &[], "relieved"),
            (94, Some(80), &[], "relieved"),
            (1, Some(80), &[undo(UndoReason::Expired)], "cooldown"),
            (60, Some(80), &[], "watching"),
        ],
    );
}

#[test]
fn true_again_while_relieved_goes_back_to_the_same_step() {
    check(
        "back",
        &stepwise(),
        &[
            (1, Some(200), &[act(0), act(1)], "acting"),
            (5, Some(80), &[], "relieved"),
            // The limit is still in force: it is not set again, but gets its time again.
            (5, Some(200), &[], "acting"),
            (19, Some(200), &[], "acting"),
            (1, Some(200), &[act(2)], "acting"),
            (5, Some(80), &[], "relieved"),
            // A kill leaves nothing behind that could still work: it is repeated.
            (5, Some(200), &[act(2)], "acting"),
        ],
    );
}

#[test]
fn a_short_freeze_ends_and_the_next_step_still_comes() {
    let policy = Policy { steps: vec![freeze(5, 20), kill(10)], ..stepwise() };
    check(
        "freeze",
        &policy,
        &[
            (1, Some(200), &[act(0)], "acting"),
            (5, Some(200), &[undo(UndoReason::Expired)], "acting"),
            (14, Some(200), &[], "acting"),
            (1, Some(200), &[act(1)], "acting"),
        ],
    );
}

#[test]
fn unknown_neither_fires_nor_escalates_nor_clears() {
    check(
        "unknown",
        &stepwise(),
        &[
            (1, None, &[], "watching"),
            (5, Some(200), &[act(0), act(1)], "acting"),
            (50, None, &[], "acting"),
            (49, None, &[], "acting"),
            (1, None, &[undo(UndoReason::Expired)], "cooldown"),
        ],
    );
    let kills = Policy { steps: vec![kill(10)], ..stepwise() };
    check(
        "nothing in force: it lets go after a while",
        &kills,
        &[
            (1, Some(200), &[act(0)], "acting"),
            (69, None, &[], "acting"),
            (1, None, &[], "cooldown"),
            (60, Some(200), &[act(0)], "acting"),
        ],
    );
}

#[test]
fn without_clear_it_is_over_when_the_condition_is() {
    let policy = Policy { clear: None, ..stepwise() };
    check(
        "no clear",
        &policy,
        &[
            (1, Some(200), &[act(0), act(1)], "acting"),
            (5, Some(80), &[undo(UndoReason::Cleared)], "cooldown"),
        ],
    );
}

#[test]
fn exhausted_with_its_time_up_rests_and_begins_again() {
    let policy = Policy { steps: vec![limit(30, 10)], ..stepwise() };
    check(
        "exhausted",
        &policy,
        &[
            (1, Some(200), &[act(0)], "acting"),
            (10, Some(200), &[], "exhausted"),
            (
                20,
                Some(200),
                &[undo(UndoReason::Expired), Verdict::Resting { step: 0, until: secs(91) }],
                "cooldown",
            ),
            (59, Some(200), &[], "cooldown"),
            (1, Some(200), &[act(0)], "acting"),
        ],
    );
}
