//! Births and deaths.

use std::time::Instant;

use crate::Guest;
use crate::load::Load;
use crate::outcome::{Outcome, ensure};
use crate::tree::{Group, eventually};

/// Groups born and removed as fast as the guest can, while the long-lived ones stay right.
pub(crate) fn births_and_deaths(guest: &mut Guest) -> Outcome {
    const LIVES: u32 = 2000;
    let lasting = [Group::make(&guest.tree, "lasting-1")?, Group::make(&guest.tree, "lasting-2")?];
    let _loads = [Load::ready(&lasting[0], &["anon", "4M"])?, Load::ready(&lasting[1], &["cpu", "1"])?];
    let lasting = [&lasting[0], &lasting[1]];
    let before = guest.agree(&lasting)?.want("stockade_cgroups", &[("state", "live")])?;
    let (mut lived, mut spent) = (0, 0.0);
    while lived < LIVES {
        let started = Instant::now();
        for number in 0..500 {
            drop(Group::make(&guest.tree, format!("brief-{number}"))?);
        }
        spent += started.elapsed().as_secs_f64();
        lived += 500;
        guest.agree(&lasting)?;
    }
    let daemon = guest.daemon()?;
    eventually("no brief group is counted any more", || {
        let now = daemon.scrape_after_now()?.want("stockade_cgroups", &[("state", "live")])?;
        Ok((now <= before).then_some(()))
    })?;
    Ok(format!("{:.0} births and deaths a second", f64::from(lived) / spent))
}

/// A path that is made again is a new group: its numbers are the kernel's new ones, not the old ones carried on.
pub(crate) fn recreated_path(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "again")?;
    {
        let _load = Load::ready(&group, &["cpu", "1"])?;
        let metric = "cgroup_cpu_usage_seconds_total";
        if guest.tree.unified().is_some() || guest.tree.of("cpuacct").is_some() {
            crate::cpu::passes(guest, &group, metric, 0.3)?;
        }
    }
    drop(group);
    let group = Group::make(&guest.tree, "again")?;
    let scrape = guest.agree(&[&group])?;
    let usage = scrape.get("cgroup_cpu_usage_seconds_total", &[("cgroup", &group.label())])?;
    ensure(usage.is_none_or(|usage| usage < 0.3), || {
        format!("a new group begins with the old one's {usage:?} s")
    })?;
    Ok(String::new())
}
