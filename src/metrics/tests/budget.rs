//! The budget is hard, its order is stable, and no series is told twice.

use std::collections::BTreeMap;

use crate::model::{Cgroup, Column, Field, RowKind};

use super::{Options, cgroup, dead, fill, lines, parse, rendered, snapshot};

/// A cgroup with three essential series (`cgroup_info` among them) and five in all.
fn five(path: &str, rank: u64) -> Cgroup {
    let mut cgroup = cgroup(path.as_bytes(), rank);
    cgroup.readings.set(Field::MemoryCurrent, Some(1));
    cgroup.readings.set(Field::CpuUsage, Some(2));
    fill(
        &mut cgroup.readings,
        RowKind::MemoryStat,
        &[(Column::StatBytes, "anon", "", 3), (Column::StatEvents, "pgfault", "", 4)],
    );
    cgroup
}

/// How many series each cgroup has.
fn series(text: &str) -> BTreeMap<String, usize> {
    let mut series = BTreeMap::new();
    for sample in parse::exposition(text) {
        if let Some(path) = sample.labels.get("cgroup") {
            *series.entry(path.clone()).or_default() += 1;
        }
    }
    series
}

fn options(max_series: usize) -> Options {
    Options { max_series, ..Options::default() }
}

#[test]
fn the_oldest_get_all_those_that_follow_the_essentials_and_the_rest_nothing() {
    // The ranks run against the paths, so that the order of births and not that of names must decide.
    let all = snapshot((0..10).map(|n| five(&format!("/{}", 9 - n), n)).collect());
    let (text, counts) = rendered(&all, &options(40));
    let expected =
        [("/9", 5), ("/8", 5), ("/7", 5), ("/6", 5), ("/5", 5), ("/4", 5), ("/3", 3), ("/2", 3), ("/1", 3)];
    assert_eq!(series(&text), expected.map(|(path, n)| (path.to_owned(), n)).into());
    assert_eq!((counts.series, counts.dropped), (39, 11));
    assert_eq!(lines(&text, "stockade_series"), ["stockade_series 39", "stockade_series_dropped 11"]);
    assert_eq!(rendered(&all, &options(40)).0, text, "the same again");
}

#[test]
fn a_small_cgroup_does_not_slip_in_before_an_older_one() {
    let mut cgroups: Vec<Cgroup> = (0..3).map(|n| five(&format!("/{n}"), n)).collect();
    cgroups.push(cgroup(b"/small", 3));
    let (text, counts) = rendered(&snapshot(cgroups), &options(9));
    assert_eq!(series(&text), [("/0".to_owned(), 5), ("/1".to_owned(), 3)].into());
    assert_eq!(
        (counts.series, counts.dropped),
        (8, 8),
        "one more series would fit, and it is not the next one's"
    );
}

#[test]
fn a_budget_of_nothing_shows_the_host_and_the_program() {
    let (text, counts) = rendered(&snapshot(vec![five("/a", 0)]), &options(0));
    assert_eq!((counts.series, counts.dropped), (0, 5));
    assert!(lines(&text, "cgroup_").is_empty() && text.contains("stockade_build_info"));
}

#[test]
fn the_budget_holds_when_a_user_makes_a_hundred_thousand_cgroups() {
    let old: Vec<Cgroup> = (0..10).map(|n| five(&format!("/system.slice/{n}"), n)).collect();
    let flood = (10..100_010).map(|n| five(&format!("/a/{n:06}"), n));
    let (text, counts) = rendered(&snapshot(old.into_iter().chain(flood).collect()), &options(2000));
    let series = series(&text);
    assert_eq!(series.values().sum::<usize>() as u64, counts.series);
    assert!(counts.series <= 2000);
    assert_eq!(counts.series + counts.dropped, 5 * 100_010);
    assert!(
        (0..10).all(|n| series[&format!("/system.slice/{n}")] == 5),
        "what was there before the flood stays"
    );
}

#[test]
fn what_is_counted_is_what_is_shown() {
    // A budget too small by one makes the counting pass run; nearly everything still fits.
    let mut rich = five("/rich", 0);
    fill(
        &mut rich.readings,
        RowKind::IoStat,
        &[(Column::IoReads, "vda", "", 3), (Column::IoCostWait, "vda", "", 1)],
    );
    fill(&mut rich.readings, RowKind::BlkioBytes, &[(Column::IoReadBytes, "8:0", "", 3)]);
    fill(&mut rich.readings, RowKind::BlkioOps, &[(Column::IoReads, "8:0", "", 3)]);
    let all = snapshot(vec![rich, five("/a", 1)]);
    let (roomy, tight) = (rendered(&all, &options(100_000)), rendered(&all, &options(20)));
    assert_eq!(roomy.1.series, 13);
    assert_eq!(tight, roomy, "the table of the throttle files is shown only where io.stat tells nothing");
}

#[test]
fn no_path_is_shown_twice_and_the_oldest_dead_goes_first() {
    let mut all = snapshot(vec![five("/a", 5), five("/b", 6)]);
    all.dead = vec![dead(five("/a", 1)), dead(five("/a", 3)), dead(five("/gone", 2))];
    all.dead.iter_mut().for_each(|cgroup| {
        let mut changed = (**cgroup).clone();
        changed.readings.set(Field::MemoryCurrent, Some(100 + cgroup.rank));
        *cgroup = changed.into();
    });
    let (text, counts) = rendered(&all, &options(1000));
    assert_eq!(
        lines(&text, "cgroup_memory_current_bytes"),
        [
            "cgroup_memory_current_bytes{cgroup=\"/b\"} 1",
            "cgroup_memory_current_bytes{cgroup=\"/a\"} 101",
            "cgroup_memory_current_bytes{cgroup=\"/gone\"} 102",
        ]
    );
    assert_eq!(counts.carried, [1, 2], "the later dead one of the path waits");
    assert_eq!((counts.series, counts.dropped), (15, 0));
    parse::exposition(&text);

    all.dead.retain(|cgroup| !counts.carried.contains(&cgroup.rank));
    let (text, counts) = rendered(&all, &options(1000));
    assert!(text.contains("cgroup_memory_current_bytes{cgroup=\"/a\"} 103\n"), "its turn has come");
    assert_eq!(counts.carried, [3]);
}

#[test]
fn the_dead_stand_behind_the_living_in_the_budget_and_say_when_they_were_not_carried() {
    let mut all = snapshot(vec![five("/new", 9)]);
    all.dead = vec![dead(five("/gone", 1))];
    let (text, counts) = rendered(&all, &options(7));
    assert_eq!(series(&text), [("/new".to_owned(), 5)].into());
    assert_eq!(counts.carried, [0; 0]);
}

#[test]
fn a_dead_one_that_is_shown_in_a_living_ones_stead_has_its_place_in_the_budget() {
    let mut all = snapshot(vec![five("/new", 9), five("/restarted", 2)]);
    all.dead = vec![dead(five("/gone", 3)), dead(five("/restarted", 4))];
    let (text, counts) = rendered(&all, &options(14));
    let expected = [("/gone", 3), ("/new", 5), ("/restarted", 5)];
    assert_eq!(series(&text), expected.map(|(path, count)| (path.to_owned(), count)).into());
    assert_eq!(counts.carried, [3, 4]);
}

#[test]
fn hidden_cgroups_are_neither_shown_nor_counted() {
    let mut hidden = five("/a", 0);
    hidden.hidden = true;
    let mut all = snapshot(vec![hidden.clone(), five("/b", 1)]);
    all.dead = vec![dead(hidden)];
    let (text, counts) = rendered(&all, &options(1000));
    assert_eq!(series(&text), [("/b".to_owned(), 5)].into());
    assert_eq!((counts.series, counts.dropped, counts.carried), (5, 0, vec![]));
}
