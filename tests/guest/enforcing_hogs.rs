//! What runs away is throttled, frozen and killed by the real daemon, and its neighbours notice nothing.

use std::time::Instant;

use crate::Guest;
use crate::agree::device_number;
use crate::enforcer::Ground;
use crate::load::Load;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::tree::Group;

/// A control of a group under its name on cgroup2 or on v1, and what it says.
pub(crate) fn control(guest: &Guest, group: &Group, controller: &str, v2: &str, v1: &str) -> Step<String> {
    let file = if guest.tree.need(controller)?.unified { v2 } else { v1 };
    let text = group.read(&guest.tree, controller, file)?;
    text.map(|text| text.trim().to_owned()).ok_or_else(|| Stop::Absent(format!("no {file}")))
}

/// Whether either freezer has the group.
pub(crate) fn is_frozen(guest: &Guest, group: &Group) -> Step<bool> {
    let unified = group.read(&guest.tree, "", "cgroup.events")?.unwrap_or_default();
    let legacy = match guest.tree.of("freezer") {
        Some(hierarchy) if !hierarchy.unified => group.read(&guest.tree, "freezer", "freezer.state")?,
        _ => None,
    };
    Ok(unified.contains("frozen 1") || legacy.is_some_and(|text| text.trim() != "THAWED"))
}

/// How many processes are in the group, in whichever hierarchy has most.
pub(crate) fn processes(group: &Group) -> Step<usize> {
    let mut most = 0;
    for door in group.doors() {
        let text = std::fs::read_to_string(&door).during(door.display())?;
        most = most.max(text.lines().count());
    }
    Ok(most)
}

/// The kernel can stop a group here.
fn need_freezer(guest: &Guest) -> Step {
    if guest.tree.unified().is_some() { Ok(()) } else { guest.tree.need("freezer").map(drop) }
}

/// The policy of the hog: every step, until it is dead.
pub(crate) const HOG: &str = "policies:
  - name: hog
    match: {path: \"@/*\"}
    when: {signal: memory.anon, above: 32MiB, for: 300ms}
    victim: {rank: [memory.anon], at_least: {memory.anon: 16MiB}}
    steps:
      - {notify: {}, relieved_within: 100ms}
      - {set: {memory.high: 90% of current}, ttl: 1m, relieved_within: 1s}
      - {freeze: {ttl: 20s}, relieved_within: 1s}
      - {kill: {signal: TERM, grace: 200ms}, relieved_within: 1s}
    cooldown: {target: 1h, host: 0s}
";

/// Told, throttled, frozen, killed; what was set is put back, and the quiet ones live and are untouched.
pub(crate) fn memory(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    need_freezer(guest)?;
    let ground = Ground::new(guest, "hog")?;
    let parent = Group::make(&guest.tree, "hogs")?;
    let hog = parent.child(&guest.tree, "hog")?;
    let quiet = [parent.child(&guest.tree, "quiet-a")?, parent.child(&guest.tree, "quiet-b")?];
    let _quiet = [Load::ready(&quiet[0], &["idle"])?, Load::ready(&quiet[1], &["anon", "4M"])?];
    let high = |guest: &Guest, group: &Group| {
        control(guest, group, "memory", "memory.high", "memory.soft_limit_in_bytes")
    };
    let before = high(guest, &hog)?;
    let _load = Load::ready(&hog, &["anon", "64M"])?;
    ground.enforce_below(&parent, HOG)?;
    let mut daemon = ground.serve(None)?;
    daemon.sees("the hog is throttled", || Ok(high(guest, &hog)? != before))?;
    daemon.sees("the hog is frozen", || is_frozen(guest, &hog))?;
    ensure(high(guest, &hog)? != before, || "what is tighter is added, not exchanged".into())?;
    daemon.sees("the hog is dead", || Ok(processes(&hog)? == 0))?;
    for action in ["notify", "set", "freeze", "kill"] {
        daemon.decided("hog", action, "applied")?;
    }
    daemon.sees("what was done to it is undone", || {
        Ok(high(guest, &hog)? == before && !is_frozen(guest, &hog)?)
    })?;
    for group in &quiet {
        ensure(processes(group)? == 1 && !is_frozen(guest, group)? && high(guest, group)? == before, || {
            format!("{} was touched", group.label())
        })?;
    }
    daemon.stop()?;
    let audit = ground.audit()?;
    let set = audit.iter().find(|line| line["action"] == "set" && line["outcome"] == "applied");
    ensure(set.is_some_and(|line| line.to_string().contains("memory.anon")), || {
        format!("no line says why it was throttled: {audit:?}")
    })?;
    Ok(String::new())
}

/// A quota while it lasts, and none when its time is over.
pub(crate) fn cpu(guest: &mut Guest) -> Outcome {
    guest.tree.need("cpu")?;
    let ground = Ground::new(guest, "cpu-hog")?;
    let parent = Group::make(&guest.tree, "burners")?;
    let hog = parent.child(&guest.tree, "hog")?;
    let quota = |guest: &Guest| control(guest, &hog, "cpu", "cpu.max", "cpu.cfs_quota_us");
    let before = quota(guest)?;
    let _load = Load::ready(&hog, &["cpu", "1"])?;
    let rules = "policies:
  - name: cpu-hog
    match: {path: \"@/hog\"}
    when: {signal: cpu.usage, above: 20%, for: 300ms}
    clear: {signal: cpu.usage, below: 1%, for: 1h}
    steps:
      - {set: {cpu.max: 10%}, ttl: 2s, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";
    ground.enforce_below(&parent, rules)?;
    let mut daemon = ground.serve(None)?;
    daemon.sees("it is throttled", || Ok(quota(guest)? != before))?;
    let unified = guest.tree.need("cpu")?.unified;
    let during = quota(guest)?;
    let share = if unified {
        let (quota, period) = during.split_once(' ').unwrap_or((&during, "1"));
        100.0 * quota.parse::<f64>().during(&during)? / period.parse::<f64>().during(&during)?
    } else {
        let period = control(guest, &hog, "cpu", "", "cpu.cfs_period_us")?;
        100.0 * during.parse::<f64>().during(&during)? / period.parse::<f64>().during(&period)?
    };
    ensure((share - 10.0).abs() < 0.01, || format!("10% became {during}, which is {share}%"))?;
    daemon.sees("it is let go", || Ok(quota(guest)? == before))?;
    ensure(processes(&hog)? == 1, || "the hog was only to be slowed down".into())?;
    let times = daemon.decisions("cpu-hog", "set", "applied")?;
    ensure((times - 1.0).abs() < 0.5, || format!("throttled {times} times within its cooldown"))?;
    daemon.stop()?;
    ensure(quota(guest)? == before, || "the end left a quota".into())?;
    Ok(String::new())
}

/// A bomb that forks as fast as it can is dead, all of it.
pub(crate) fn fork_bomb(guest: &mut Guest) -> Outcome {
    guest.tree.need("pids")?;
    need_freezer(guest)?;
    let ground = Ground::new(guest, "bomb")?;
    let parent = Group::make(&guest.tree, "bombs")?;
    // However it goes, the guest lives.
    parent.write(&guest.tree, "pids", "pids.max", "300")?;
    let (bomb, quiet) = (parent.child(&guest.tree, "bomb")?, parent.child(&guest.tree, "quiet")?);
    let _quiet = Load::ready(&quiet, &["idle"])?;
    let rules = "policies:
  - name: bomb
    match: {path: \"@/bomb\"}
    when: {signal: pids.current, above: 100}
    steps:
      - {kill: {signal: KILL}, relieved_within: 1s}
";
    ground.enforce_below(&parent, rules)?;
    let mut daemon = ground.serve(None)?;
    let _load = Load::ready(&bomb, &["bomb"])?;
    daemon.decided("bomb", "kill", "applied")?;
    daemon.sees("the bomb is dead", || Ok(processes(&bomb)? == 0))?;
    ensure(!is_frozen(guest, &bomb)?, || "the dead are frozen".into())?;
    ensure(processes(&quiet)? == 1, || "a bystander died".into())?;
    daemon.stop()?;
    Ok(String::new())
}

/// A reader past the cache is held to a rate on the real disk, and let go when the time is over.
pub(crate) fn io(guest: &mut Guest) -> Outcome {
    let controller = if guest.tree.of("blkio").is_some() { "blkio" } else { "io" };
    let unified = guest.tree.need(controller)?.unified;
    let ground = Ground::new(guest, "io-hog")?;
    let parent = Group::make(&guest.tree, "readers")?;
    let hog = parent.child(&guest.tree, "hog")?;
    let device = device_number("vda").ok_or_else(|| Stop::Failed("no device vda".into()))?;
    if !unified {
        // v1 counts, on newer kernels, only what passes a throttle rule: one that is never reached.
        let limit = format!("{device} 1073741824");
        hog.write(&guest.tree, controller, "blkio.throttle.read_bps_device", &limit)?;
    }
    let limit = |guest: &Guest| control(guest, &hog, controller, "io.max", "blkio.throttle.read_bps_device");
    let read = |guest: &Guest| -> Step<f64> {
        let text = control(guest, &hog, controller, "io.stat", "blkio.throttle.io_service_bytes")?;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{device} ")) && (unified || line.contains(" Read ")));
        let mut words = line.unwrap_or_default().split(' ');
        let number =
            if unified { words.find_map(|word| word.strip_prefix("rbytes=")) } else { words.next_back() };
        number.unwrap_or("0").parse().during(format!("bytes read: {text:?}"))
    };
    let before = limit(guest)?;
    let _load = Load::ready(&hog, &["read-on", "/dev/vda", "1M"])?;
    let rules = "policies:
  - name: io-hog
    match: {path: \"@/hog\"}
    when: {signal: io.read, above: 1MiB/s, for: 300ms}
    clear: {signal: io.read, below: 1KiB/s, for: 1h}
    steps:
      - {set: {io.max: {vda: {rbps: 256KiB}}}, ttl: 4s, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";
    ground.enforce_below(&parent, rules)?;
    let mut daemon = ground.serve(None)?;
    daemon.sees("it is limited", || Ok(limit(guest)? != before))?;
    let (started, first) = (Instant::now(), read(guest)?);
    let during = limit(guest)?;
    ensure(during.contains("262144"), || format!("256 KiB became {during:?}"))?;
    let mut rate = 0.0;
    daemon.sees("it is let go", || {
        let (bytes, seconds) = (read(guest)? - first, started.elapsed().as_secs_f64());
        let over = limit(guest)? == before;
        // Only what was read while the limit held, and once a burst no longer counts.
        if !over && seconds > 1.0 {
            rate = bytes / seconds;
        }
        Ok(over)
    })?;
    // It was above 1 MiB/s, or the policy had not fired.
    ensure(rate < 600e3, || format!("held to 256 KiB/s and read {rate:.0} bytes a second"))?;
    daemon.stop()?;
    ensure(limit(guest)? == before, || "the end left a limit".into())?;
    Ok(format!("{:.0} KiB/s under 256 KiB/s", rate / 1024.0))
}

/// A group with 5,000 processes is emptied by one kill.
pub(crate) fn five_thousand(guest: &mut Guest) -> Outcome {
    guest.tree.need("pids")?;
    need_freezer(guest)?;
    let ground = Ground::new(guest, "swarm")?;
    let parent = Group::make(&guest.tree, "swarms")?;
    let swarm = parent.child(&guest.tree, "swarm")?;
    let mut load = Load::start(&swarm, &["swarm", "5000"])?;
    load.await_ready()?;
    let many = processes(&swarm)?;
    ensure(many >= 5000, || format!("only {many} processes"))?;
    let rules = "policies:
  - name: swarm
    match: {path: \"@/swarm\"}
    when: {signal: pids.current, above: 4000}
    steps:
      - {kill: {signal: KILL}, relieved_within: 1h}
";
    ground.enforce_below(&parent, rules)?;
    let started = Instant::now();
    let mut daemon = ground.serve(None)?;
    // Where each must be signalled an emulated machine may take longer than the deadline, and that is told; they die.
    daemon.sees("the swarm is dead", || Ok(processes(&swarm)? == 0))?;
    let seconds = started.elapsed().as_secs_f64();
    let mut outcome = "";
    daemon.sees("the kill is told", || {
        // The first line makes the file, and this kill's is the first.
        let Ok(audit) = ground.audit() else { return Ok(false) };
        for name in ["applied", "timed_out"] {
            if audit.iter().any(|line| line["action"] == "kill" && line["outcome"] == name) {
                outcome = name;
            }
        }
        Ok(!outcome.is_empty())
    })?;
    ensure(!is_frozen(guest, &swarm)?, || "the dead are frozen".into())?;
    daemon.stop()?;
    Ok(format!("{many} processes, {outcome}, {seconds:.1} s from the daemon's start"))
}
