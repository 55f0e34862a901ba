//! A recorded evening: a service that eats memory beside quiet ones, and the policy that the documentation shows.

use stockade::model::{Field, Knob};
use stockade::policy::condition::{Compare, Condition, Of, Test, Threshold};
use stockade::policy::decision::Verdict;
use stockade::policy::engine::{Engine, View};
use stockade::policy::rule::{Action, Amount, Cooldown, Policy, Setting, Victim};
use stockade::policy::signal::{Resource, Signal, Stall, Window};

use crate::builder::{MIB, World, below, kill, notify, policy, rules, secs, step, test};

const PRESSURE: Signal = Signal::Pressure(Resource::Memory, Stall::Full, Window::Avg10);

/// A look each 5 s: full pressure in percent of the slice and of the hog (`-` is not known), memory of the hog and of the
/// quiet one in MiB; what the policy says then. The hog's limit is 1000 MiB.
const RECORDING: &str = "
 0   0  200 100 |
45   0  600 100 |
50   0  850 100 |
 -   -  850 100 |
55   0  900 100 |
60   0  950 100 |
60   0  950 100 | hog.service act 0, hog.service act 1
70  65  855 100 |
70  70  855 100 |
72  72  855 100 |
80  60  855 100 | hog.service act 2
80  60  855 100 |
75  60  855 100 | hog.service act 3
10   0   10 100 |
10   0   10 100 |
10   0   10 100 |
10   0   10 100 |
10   0   10 100 |
10   0   10 100 |
10   0   10 100 | hog.service undo Cleared
50   0  900 100 |
50   0  900 100 |
50   0  900 100 |
50   0  900 100 | hog.service rests until 400s
50   0  900 100 |
";

fn runaway() -> Policy {
    let of_parent = |test: Test| Condition::Test(Test { of: Of::Parent, ..test });
    let share =
        Test { threshold: Threshold::OfLimit(0.8), ..test(Signal::MemoryCurrent, Compare::Above, 0.0, 0) };
    let growth = test(Signal::MemoryGrowth, Compare::Above, (64 * MIB) as f64, 10);
    let high = Setting { knob: Knob::MemoryHigh, amount: Amount::OfCurrent(0.9), at_least: Some(128 * MIB) };
    let when = Condition::All(vec![
        of_parent(test(PRESSURE, Compare::Above, 0.4, 15)),
        Condition::Any(vec![Condition::Test(growth), Condition::Test(share)]),
    ]);
    Policy {
        clear: Some(of_parent(test(PRESSURE, Compare::Below, 0.15, 30))),
        victim: Victim {
            rank: vec![Signal::MemoryCurrent, Signal::MemoryGrowth],
            at_least: vec![(Signal::MemoryCurrent, (256 * MIB) as f64)],
            max: 1,
        },
        steps: vec![notify(), step(Action::Set(vec![high]), 600, 20), step(Action::Freeze, 30, 10), kill(10)],
        cooldown: Cooldown { target: secs(300), host: secs(15) },
        ..policy("batch-runaway", &["/batch.slice/*.service"], when)
    }
}

fn play() -> Vec<(String, String)> {
    let (slice, hog, quiet) = ("/batch.slice", "/batch.slice/hog.service", "/batch.slice/quiet.service");
    let mut world = World::new(&[slice, hog, quiet]);
    for path in [hog, quiet] {
        world.set(path, Field::MemoryEffectiveMax, 1000 * MIB);
    }
    world.set(quiet, Field::MemoryFullAvg10, 0);
    let mut engine = Engine::new(&rules([runaway()]));
    let lines = RECORDING.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (numbers, expected) = line.split_once('|').expect("numbers and decisions");
            let numbers: Vec<Option<u64>> =
                numbers.split_whitespace().map(|number| number.parse().ok()).collect();
            world.set(slice, Field::MemoryFullAvg10, numbers[0].map(|percent| percent * 100));
            world.set(hog, Field::MemoryFullAvg10, numbers[1].map(|percent| percent * 100));
            world.set(hog, Field::MemoryCurrent, numbers[2].map(|mebibytes| mebibytes * MIB));
            world.set(quiet, Field::MemoryCurrent, numbers[3].map(|mebibytes| mebibytes * MIB));
            let snapshot = world.pass(5);
            let decisions = engine.evaluate(&View::pass(&snapshot)).iter().map(|decision| {
                let name = decision.target.display.rsplit('/').next().unwrap_or_default();
                match decision.verdict {
                    Verdict::Act { step } => format!("{name} act {step}"),
                    Verdict::Undo { why } => format!("{name} undo {why:?}"),
                    Verdict::Resting { until, .. } => format!("{name} rests until {until:?}"),
                    Verdict::Gone => format!("{name} gone"),
                }
            });
            let decided = decisions.collect::<Vec<_>>().join(", ");
            (format!("{:?}: {}", world.at, expected.trim()), format!("{:?}: {decided}", world.at))
        })
        .collect()
}

#[test]
fn a_recorded_evening_gives_what_it_gave() {
    let played = play();
    for (expected, decided) in &played {
        assert_eq!(decided, expected);
    }
    assert_eq!(played, play());
}

#[test]
fn relief_that_is_our_own_doing_is_still_relief() {
    // While the hog is held down, a slice that waits little has room again, whoever it was that waited.
    let mut world = World::new(&["/b/a"]);
    let mut engine = Engine::new(&rules([Policy {
        clear: Some(below(PRESSURE, 0.1)),
        steps: runaway().steps,
        ..policy("p", &["/b/*"], Condition::Test(test(PRESSURE, Compare::Above, 0.4, 0)))
    }]));
    let mut look = |percent: u64| -> usize {
        world.set("/b/a", Field::MemoryFullAvg10, percent * 100);
        let snapshot = world.pass(5);
        engine.evaluate(&View::pass(&snapshot)).len()
    };
    assert_eq!([look(90), look(90), look(5)], [2, 0, 1], "begun, waiting, undone");
}
