//! Memory: what is charged, limits met, a real OOM kill.

use crate::Guest;
use crate::load::Load;
use crate::outcome::{Outcome, Step, Stop, ensure};
use crate::tree::Group;

/// The control file of a memory limit on either version.
pub(crate) fn limit_memory(guest: &Guest, group: &Group, bytes: &str) -> Step {
    let unified = guest.tree.need("memory")?.unified;
    group.write(&guest.tree, "memory", if unified { "memory.max" } else { "memory.limit_in_bytes" }, bytes)
}

/// Anonymous memory, page cache on a real disk, the peak.
pub(crate) fn anon_and_file(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    let group = Group::make(&guest.tree, "memory")?;
    crate::io::mount_files()?;
    let _anon = Load::ready(&group, &["anon", "24M"])?;
    let _file = Load::ready(&group, &["file", "12M", "/mnt/memory"])?;
    let scrape = guest.agree(&[&group])?;
    let stat = |name| scrape.want("cgroup_memory_stat_bytes", &[("cgroup", &group.label()), ("stat", name)]);
    let (anon, file) = (stat("anon")?, stat("file")?);
    ensure(anon >= 24e6 && file >= 12e6, || {
        format!("24 MiB anon and 12 MiB file were loaded, shown {anon} {file}")
    })?;
    let current = scrape.want("cgroup_memory_current_bytes", &[("cgroup", &group.label())])?;
    ensure(current >= anon + file, || format!("current {current} is less than anon {anon} and file {file}"))?;
    Ok(String::new())
}

/// `memory.high` is exceeded and `memory.max` is met, both counted.
pub(crate) fn high_events(guest: &mut Guest) -> Outcome {
    if !guest.tree.need("memory")?.unified {
        return Err(Stop::Absent("v1 memory has no memory.high".into()));
    }
    let group = Group::make(&guest.tree, "high")?;
    crate::io::mount_files()?;
    group.write(&guest.tree, "memory", "memory.high", "8388608")?;
    // Page cache is reclaimed at the limit, so the load gets through, and each crossing is an event.
    let _file = Load::ready(&group, &["file", "16M", "/mnt/high"])?;
    group.write(&guest.tree, "memory", "memory.high", "max")?;
    group.write(&guest.tree, "memory", "memory.max", "12582912")?;
    let _more = Load::ready(&group, &["file", "24M", "/mnt/max"])?;
    let scrape = guest.agree(&[&group])?;
    for event in ["high", "max"] {
        let count =
            scrape.want("cgroup_memory_events_total", &[("cgroup", &group.label()), ("event", event)])?;
        ensure(count > 0.0, || format!("memory.{event} was met and its event is {count}"))?;
    }
    Ok(String::new())
}

/// The kernel kills at the limit, and the kill is counted once.
pub(crate) fn oom_kill(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    let group = Group::make(&guest.tree, "oom")?;
    limit_memory(guest, &group, "16777216")?;
    let mut load = Load::start(&group, &["anon", "64M"])?;
    ensure(load.await_end()?, || "64 MiB fitted into 16 MiB: nothing was killed".into())?;
    let scrape = guest.agree(&[&group])?;
    let kills =
        scrape.want("cgroup_memory_events_total", &[("cgroup", &group.label()), ("event", "oom_kill")])?;
    ensure((kills - 1.0).abs() < 0.5, || format!("one process was killed, {kills} are counted"))?;
    Ok(String::new())
}
