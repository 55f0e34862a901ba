//! CPU: usage, quotas, bursts.

use crate::Guest;
use crate::load::Load;
use crate::outcome::{Outcome, Step, Stop, ensure};
use crate::tree::{Group, eventually};

/// Sets a quota in microseconds of a 100 ms period.
pub(crate) fn quota(guest: &Guest, group: &Group, micros: &str) -> Step {
    if guest.tree.need("cpu")?.unified {
        return group.write(&guest.tree, "cpu", "cpu.max", &format!("{micros} 100000"));
    }
    group.write(&guest.tree, "cpu", "cpu.cfs_quota_us", micros)
}

/// Waits until a series of a group passes a value.
pub(crate) fn passes(guest: &mut Guest, group: &Group, metric: &str, above: f64) -> Step {
    let daemon = guest.daemon()?;
    eventually(&format!("{metric} of {} passes {above}", group.label()), || {
        let value = daemon.scrape()?.get(metric, &[("cgroup", &group.label())])?;
        Ok(value.filter(|value| *value > above).map(drop))
    })
}

/// The burner's time, and that user and system make it up.
pub(crate) fn usage(guest: &mut Guest) -> Outcome {
    if guest.tree.unified().is_none() {
        guest.tree.need("cpuacct")?;
    }
    let group = Group::make(&guest.tree, "cpu")?;
    let load = Load::ready(&group, &["cpu", "1"])?;
    passes(guest, &group, "cgroup_cpu_usage_seconds_total", 0.5)?;
    guest.agree(&[&group])?;
    drop(load);
    // Once nothing runs the numbers stand still, and the comparison is an equality.
    guest.agree(&[&group])?;
    Ok(String::new())
}

/// A quota of a tenth of a CPU throttles.
pub(crate) fn throttled(guest: &mut Guest) -> Outcome {
    guest.tree.need("cpu")?;
    let group = Group::make(&guest.tree, "quota")?;
    quota(guest, &group, "10000")?;
    let _load = Load::ready(&group, &["cpu", "2"])?;
    passes(guest, &group, "cgroup_cpu_throttled_seconds_total", 0.2)?;
    let scrape = guest.agree(&[&group])?;
    let cores = scrape.want("cgroup_cpu_limit_cores", &[("cgroup", &group.label())])?;
    ensure((cores - 0.1).abs() < 1e-9, || format!("10 ms of 100 ms is 0.1 cores, shown {cores}"))?;
    Ok(String::new())
}

/// Saved up quota is used, where the kernel can save.
pub(crate) fn bursts(guest: &mut Guest) -> Outcome {
    let unified = guest.tree.need("cpu")?.unified;
    let group = Group::make(&guest.tree, "burst")?;
    let file = if unified { "cpu.max.burst" } else { "cpu.cfs_burst_us" };
    if group.read(&guest.tree, "cpu", file)?.is_none() {
        return Err(Stop::Absent(format!("no {file}")));
    }
    quota(guest, &group, "50000")?;
    group.write(&guest.tree, "cpu", file, "50000")?;
    let limit =
        guest.agree(&[&group])?.get("cgroup_cpu_burst_limit_seconds", &[("cgroup", &group.label())])?;
    ensure(limit.is_some_and(|limit| (limit - 0.05).abs() < 1e-9), || {
        format!("a burst of 50 ms is shown as {limit:?}")
    })?;
    // Two burners want two CPUs: each start after idle periods spends what was saved.
    let daemon = guest.daemon()?;
    eventually("a burst is counted", || {
        let _load = Load::ready(&group, &["cpu", "2"])?;
        let scrape = daemon.scrape_after_now()?;
        let count = scrape.want("cgroup_cpu_bursts_total", &[("cgroup", &group.label())])?;
        Ok((count > 0.0).then_some(()))
    })?;
    guest.agree(&[&group])?;
    Ok(String::new())
}
