//! Every signal, from the numbers that a layout gives.

use stockade::model::{Column, Control, Field, HostField, RowKind};
use stockade::policy::condition::{Compare, Condition, Of, Test, Threshold, Truth};
use stockade::policy::engine::{Engine, View};
use stockade::policy::signal::{Resource, Signal, Stall, Window};

use crate::builder::{World, above, below, policy, rules, secs, test};

const PATH: &str = "/b/a";

/// Something that happens to the host.
type Change<'a> = &'a dyn Fn(&mut World);

/// What a condition of one comparison found last: its value, its threshold, and how it came out.
fn last(engine: &Engine, view: &View<'_>) -> (Option<f64>, Option<f64>, Truth) {
    let explained = engine.explain(view, PATH.as_bytes());
    let finding = &explained[0].findings[0];
    (finding.value, finding.threshold, explained[0].when)
}

/// What a signal comes to after passes 5 s apart, each preceded by a change.
fn measured(signal: Signal, changes: &[Change<'_>]) -> Option<f64> {
    let mut world = World::new(&["/b", PATH]);
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], above(signal, 0.0))]));
    let mut value = None;
    for change in changes {
        change(&mut world);
        let snapshot = world.pass(5);
        let view = View::pass(&snapshot);
        engine.evaluate(&view);
        value = last(&engine, &view).0;
    }
    value
}

fn field(field: Field, value: u64) -> impl Fn(&mut World) {
    move |world: &mut World| world.set(PATH, field, value)
}

fn row(kind: RowKind, column: Column, item: &'static str, value: u64) -> impl Fn(&mut World) {
    move |world: &mut World| world.row(PATH, kind, column, item, value)
}

fn host(field: HostField, value: u64) -> impl Fn(&mut World) {
    move |world: &mut World| world.host.set(field, Some(value))
}

#[test]
fn levels_are_read_as_they_stand() {
    use Field as F;
    let cases: &[(Signal, Change<'_>, f64)] = &[
        (Signal::MemoryCurrent, &field(F::MemoryCurrent, 7), 7.0),
        (Signal::MemoryPeak, &field(F::MemoryPeak, 7), 7.0),
        (Signal::MemoryAnon, &row(RowKind::MemoryStat, Column::StatBytes, "anon", 7), 7.0),
        (Signal::MemoryFile, &row(RowKind::MemoryStat, Column::StatBytes, "file", 7), 7.0),
        (Signal::MemorySwap, &field(F::MemorySwapCurrent, 7), 7.0),
        (Signal::MemoryWorkingSet, &field(F::MemoryWorkingSet, 7), 7.0),
        (Signal::MemoryHeadroom, &field(F::MemoryHeadroomMax, 7), 7.0),
        (Signal::MemoryHeadroom, &field(F::MemoryHeadroomHigh, 7), 7.0),
        (Signal::PidsCurrent, &field(F::PidsCurrent, 7), 7.0),
        (Signal::Age, &|_| {}, 5.0),
        (Signal::HostMemoryAvailable, &host(HostField::MemoryAvailable, 7), 7.0),
        (Signal::HostSwapFree, &host(HostField::SwapFree, 7), 7.0),
        (Signal::Pressure(Resource::Io, Stall::Full, Window::Avg60), &field(F::IoFullAvg60, 1234), 0.1234),
    ];
    for (signal, change, expected) in cases {
        assert_eq!(measured(*signal, &[*change]), Some(*expected), "{}", signal.name());
    }
    for signal in Signal::all().filter(|signal| *signal != Signal::Age) {
        assert_eq!(measured(signal, &[&|_| {}, &|_| {}]), None, "{}: nothing is read", signal.name());
    }
}

#[test]
fn a_host_without_swap_has_not_used_it_up() {
    let swap = |total: u64| {
        move |world: &mut World| {
            world.host.set(HostField::SwapTotal, Some(total));
            world.host.set(HostField::SwapFree, Some(0));
        }
    };
    assert_eq!(measured(Signal::HostSwapFree, &[&swap(4096)]), Some(0.0));
    assert_eq!(measured(Signal::HostSwapFree, &[&swap(0)]), None);
}

#[test]
fn pressure_of_the_host_is_the_hosts() {
    let signal = Signal::HostPressure(Resource::Memory, Stall::Some, Window::Avg10);
    let set = |world: &mut World| world.host.pressure.set(Field::MemorySomeAvg10, Some(2500));
    assert_eq!(measured(signal, &[&set]), Some(0.25));
    // Of 5 s, 1 s was waited.
    let signal = Signal::HostPressure(Resource::Memory, Stall::Some, Window::Rate);
    let total = |nanoseconds: u64| {
        move |world: &mut World| world.host.pressure.set(Field::MemorySomeTotal, Some(nanoseconds))
    };
    assert_eq!(measured(signal, &[&total(0), &total(1_000_000_000)]), Some(0.2));
}

#[test]
fn rates_are_over_measured_time() {
    use Field as F;
    let io = |kind, column, value| row(kind, column, "8:0", value);
    let stat = |item, value| row(RowKind::MemoryStat, Column::StatEvents, item, value);
    let cases: &[(Signal, Change<'_>, Change<'_>, Option<f64>)] = &[
        (Signal::MemoryGrowth, &field(F::MemoryCurrent, 100), &field(F::MemoryCurrent, 150), Some(10.0)),
        (Signal::MemoryGrowth, &field(F::MemoryCurrent, 150), &field(F::MemoryCurrent, 100), Some(-10.0)),
        (Signal::PidsGrowth, &field(F::PidsCurrent, 1), &field(F::PidsCurrent, 11), Some(2.0)),
        (Signal::CpuUsage, &field(F::CpuUsage, 0), &field(F::CpuUsage, 7_500_000_000), Some(1.5)),
        (Signal::CpuUsage, &field(F::CpuUsage, 10), &field(F::CpuUsage, 5), None),
        (
            Signal::IoRead,
            &io(RowKind::IoStat, Column::IoReadBytes, 0),
            &io(RowKind::IoStat, Column::IoReadBytes, 50),
            Some(10.0),
        ),
        (
            Signal::IoWrite,
            &io(RowKind::BlkioBytes, Column::IoWriteBytes, 0),
            &io(RowKind::BlkioBytes, Column::IoWriteBytes, 50),
            Some(10.0),
        ),
        (
            Signal::IoReadOps,
            &io(RowKind::BlkioOps, Column::IoReads, 0),
            &io(RowKind::BlkioOps, Column::IoReads, 50),
            Some(10.0),
        ),
        (
            Signal::IoWriteOps,
            &io(RowKind::IoStat, Column::IoWrites, 0),
            &io(RowKind::IoStat, Column::IoWrites, 50),
            Some(10.0),
        ),
        (Signal::MemoryRefaults, &stat("workingset_refault", 0), &stat("workingset_refault", 50), Some(10.0)),
        (
            Signal::Pressure(Resource::Cpu, Stall::Some, Window::Rate),
            &field(F::CpuSomeTotal, 0),
            &field(F::CpuSomeTotal, 2_500_000_000),
            Some(0.5),
        ),
    ];
    for (signal, before, after, expected) in cases {
        assert_eq!(measured(*signal, &[*before]), None, "{}: one reading is no rate", signal.name());
        assert_eq!(measured(*signal, &[*before, *after]), *expected, "{}", signal.name());
    }
}

#[test]
fn throttled_is_a_share_of_the_periods_that_ended() {
    let set = |throttled: u64, periods: u64| {
        move |world: &mut World| {
            world.set(PATH, Field::CpuThrottledPeriods, throttled);
            world.set(PATH, Field::CpuPeriods, periods);
        }
    };
    assert_eq!(measured(Signal::CpuThrottled, &[&set(0, 0), &set(25, 50)]), Some(0.5));
    assert_eq!(measured(Signal::CpuThrottled, &[&set(25, 50), &set(25, 50)]), Some(0.0), "it was idle");
}

#[test]
fn refaults_of_both_kinds_count() {
    let set = |anon: u64, file: u64| {
        move |world: &mut World| {
            for (item, value) in [("workingset_refault_anon", anon), ("workingset_refault_file", file)] {
                world.row(PATH, RowKind::MemoryStat, Column::StatEvents, item, value);
            }
        }
    };
    assert_eq!(measured(Signal::MemoryRefaults, &[&set(0, 10), &set(20, 40)]), Some(10.0));
}

#[test]
fn kills_count_for_a_minute() {
    let kills = |count: u64| field(Field::MemoryEventsOomKill, count);
    let (none, two) = (kills(5), kills(7));
    let same = |_: &mut World| {};
    let mut changes: Vec<Change<'_>> = vec![&none];
    assert_eq!(measured(Signal::MemoryOomKills, &changes), Some(0.0), "they came before it was watched");
    changes.push(&two);
    changes.extend([&same as Change<'_>; 11]);
    assert_eq!(measured(Signal::MemoryOomKills, &changes), Some(2.0), "55 s later");
    changes.push(&same);
    assert_eq!(measured(Signal::MemoryOomKills, &changes), Some(0.0), "60 s later");
}

#[test]
fn kills_of_a_cgroup_that_is_new_all_count() {
    let mut world = World::new(&["/b"]);
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], above(Signal::MemoryOomKills, 0.0))]));
    engine.evaluate(&View::pass(&world.pass(5)));
    world.at += secs(1);
    world.born(PATH);
    world.set(PATH, Field::MemoryEventsOomKill, 3);
    let snapshot = world.pass(4);
    engine.evaluate(&View::pass(&snapshot));
    assert_eq!(last(&engine, &View::pass(&snapshot)).0, Some(3.0));
}

/// How a comparison with a share of a limit comes out, and the threshold.
fn of_limit(signal: Signal, of: Of, share: f64, set: impl Fn(&mut World)) -> (Truth, Option<f64>) {
    let mut world = World::new(&["/b", PATH]);
    set(&mut world);
    let threshold = Threshold::OfLimit(share);
    let test = Test { of, threshold, ..test(signal, Compare::Above, 0.0, 0) };
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], Condition::Test(test))]));
    let snapshot = world.pass(5);
    engine.evaluate(&View::pass(&snapshot));
    let (_, threshold, when) = last(&engine, &View::pass(&snapshot));
    (when, threshold)
}

#[test]
fn limits_are_the_tightest_on_the_way_up() {
    let memory = |world: &mut World| {
        world.set(PATH, Field::MemoryCurrent, 90);
        world.set(PATH, Field::MemoryEffectiveMax, 100);
    };
    assert_eq!(of_limit(Signal::MemoryCurrent, Of::This, 0.8, memory), (Truth::True, Some(80.0)));
    let unlimited = |world: &mut World| world.set(PATH, Field::MemoryCurrent, 90);
    assert_eq!(of_limit(Signal::MemoryCurrent, Of::This, 0.8, unlimited), (Truth::Unknown, None));
    let swap = |world: &mut World| {
        world.set(PATH, Field::MemorySwapCurrent, 90);
        world.control(PATH, Control::MemorySwapMax, 1000);
        world.control("/b", Control::MemorySwapMax, 100);
    };
    assert_eq!(of_limit(Signal::MemorySwap, Of::This, 0.5, swap), (Truth::True, Some(50.0)));
    let pids = |world: &mut World| {
        world.set(PATH, Field::PidsCurrent, 90);
        world.control(PATH, Control::PidsMax, 200);
        world.control("/b", Control::PidsMax, 1000);
    };
    assert_eq!(of_limit(Signal::PidsCurrent, Of::This, 0.5, pids), (Truth::False, Some(100.0)));
    let host = |world: &mut World| world.host.set(HostField::Cpus, Some(4));
    assert_eq!(of_limit(Signal::CpuUsage, Of::This, 0.5, host).1, Some(2.0), "the host's CPUs");
    let quota = |world: &mut World| {
        host(world);
        world.control("/b", Control::CpuQuota, 150_000);
        world.control("/b", Control::CpuPeriod, 100_000);
        world.control(PATH, Control::CpuQuota, 200_000);
        world.control(PATH, Control::CpuPeriod, 100_000);
    };
    assert_eq!(of_limit(Signal::CpuUsage, Of::This, 1.0, quota).1, Some(1.5), "the parent's quota");
    let available = |world: &mut World| {
        world.host.set(HostField::MemoryTotal, Some(1000));
        world.host.set(HostField::MemoryAvailable, Some(200));
    };
    assert_eq!(of_limit(Signal::HostMemoryAvailable, Of::Host, 0.1, available), (Truth::True, Some(100.0)));
    assert_eq!(of_limit(Signal::IoRead, Of::This, 0.5, |_| {}).0, Truth::Unknown, "a share of nothing");
}

#[test]
fn whose_signal_it_is() {
    let value = |of: Of| {
        let mut world = World::new(&["/b", PATH, "/c"]);
        for (path, used) in [("/", 1), ("/b", 2), (PATH, 3), ("/c", 4)] {
            world.set(path, Field::MemoryCurrent, used);
        }
        let test = Test { of, ..test(Signal::MemoryCurrent, Compare::Above, 0.0, 0) };
        let mut engine = Engine::new(&rules([policy("p", &["/b/*"], Condition::Test(test))]));
        let snapshot = world.pass(5);
        engine.evaluate(&View::pass(&snapshot));
        last(&engine, &View::pass(&snapshot)).0
    };
    assert_eq!(value(Of::This), Some(3.0));
    assert_eq!(value(Of::Parent), Some(2.0));
    assert_eq!(value(Of::Host), Some(1.0), "the root's");
    assert_eq!(value(Of::Path((*b"/c").into())), Some(4.0));
    assert_eq!(value(Of::Path((*b"/d").into())), None, "there is no such cgroup");
}

#[test]
fn what_could_not_be_read_for_long_is_unknown() {
    let mut world = World::new(&["/b", PATH]);
    world.set(PATH, Field::MemoryCurrent, 7);
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], below(Signal::MemoryCurrent, 0.0))]));
    for (at, expected) in [(5, Some(7.0)), (10, Some(7.0)), (15, Some(7.0)), (20, None)] {
        let mut snapshot = world.pass(5);
        snapshot.cgroups[2].sampled = secs(5);
        engine.evaluate(&View::pass(&snapshot));
        assert_eq!(last(&engine, &View::pass(&snapshot)).0, expected, "at {at} s");
    }
}

#[test]
fn an_event_is_measured_against_the_last_pass_and_not_over_a_moment() {
    let mut world = World::new(&["/b", PATH]);
    let mut engine = Engine::new(&rules([policy("p", &["/b/*"], above(Signal::MemoryGrowth, 1e9))]));
    let mut look = |world: &mut World,
                    after: u64,
                    used: u64,
                    full: bool,
                    snapshot: Option<&stockade::model::Snapshot>| {
        world.set(PATH, Field::MemoryCurrent, used);
        match snapshot {
            Some(snapshot) if !full => {
                let fresh = world.fresh(after, &[PATH]);
                let view = View { snapshot, at: world.at, fresh: &fresh, host: None };
                engine.evaluate(&view);
                (last(&engine, &view).0, None)
            }
            _ => {
                let snapshot = world.pass(after);
                engine.evaluate(&View::pass(&snapshot));
                (last(&engine, &View::pass(&snapshot)).0, Some(snapshot))
            }
        }
    };
    look(&mut world, 5, 0, true, None);
    let (value, snapshot) = look(&mut world, 5, 100, true, None);
    assert_eq!(value, Some(20.0));
    let snapshot = snapshot.as_ref();
    assert_eq!(look(&mut world, 1, 900, false, snapshot).0, Some(20.0), "too soon: the last rate stands");
    assert_eq!(look(&mut world, 2, 400, false, snapshot).0, Some(100.0), "3 s after the pass");
    assert_eq!(look(&mut world, 2, 600, true, None).0, Some(100.0), "5 s after the pass, not 2 s");
}
