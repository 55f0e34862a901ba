//! Pressure wakes the policies between two passes.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::Guest;
use crate::enforcer::{Enforcer, Ground};
use crate::load::Load;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::swap::Swap;
use crate::tree::{Group, eventually};

/// Passes are so far apart that a decision at the clock is told from one that a trigger woke.
const CLOCK: &str = "interval: 15s";

/// Loads, and sees in the audit the decision before the next pass; metrics are as of a pass, so what they say comes after.
fn woken(ground: &Ground, daemon: &mut Enforcer<'_>, load: impl Fn() -> Step<Load>) -> Step<String> {
    let before = daemon.passes()?;
    let early = ground.audit().unwrap_or_default();
    ensure(early.is_empty(), || format!("decided before the load: {early:?}"))?;
    let began = Instant::now();
    let _load = load()?;
    daemon.sees("the audit has a decision", || {
        let lines = ground.audit().unwrap_or_default();
        Ok(lines.iter().any(|line| line["action"] == "notify" && line["outcome"] == "applied"))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let passes = daemon.passes()? - before;
    ensure(passes < 0.5, || format!("decided after {seconds:.1} s: the clock may have done it"))?;
    eventually("the next pass", || Ok((daemon.passes()? > before).then_some(())))?;
    let armed = daemon.count("stockade_triggers_armed", &[])?;
    let mut wakes = Vec::new();
    for cause in ["pressure", "event"] {
        wakes.push(daemon.count("stockade_wakes_total", &[("cause", cause)])?);
    }
    // A group at its limit also announces events, and either wake is in time; 5.10 was seen to give only those.
    ensure(armed >= 1.0 && wakes.iter().sum::<f64>() >= 1.0, || {
        format!("decided after {seconds:.1} s, {armed} triggers are armed, and nothing woke the policies")
    })?;
    let wakes = format!("{} wakes by pressure, {} by events", wakes[0], wakes[1]);
    Ok(format!("{seconds:.1} s after the load began, {wakes}"))
}

/// More memory in use than the group's limit, with swap to go to.
pub(crate) fn of_a_group(guest: &mut Guest) -> Outcome {
    guest.tree.need("")?;
    let ground = Ground::new(guest, "pressure")?;
    let parent = Group::make(&guest.tree, "stalls")?;
    let group = parent.child(&guest.tree, "one")?;
    if group.read(&guest.tree, "", "memory.pressure")?.is_none() {
        return Err(Stop::Absent("pressure stall information is off".into()));
    }
    let _swap = Swap::on()?;
    crate::memory::limit_memory(guest, &group, "8388608")?;
    let rules = "policies:
  - name: stalled
    match: {path: \"@/*\"}
    when: {signal: memory.pressure.full.avg10, above: 5%}
    steps: [{notify: {}, relieved_within: 1h}]
";
    let path = parent.label();
    let safety = format!("  mode: enforce\n  scope: [\"{path}/**\"]");
    ground.write(CLOCK, &safety, &rules.replace('@', &path))?;
    let mut daemon = ground.serve(None)?;
    let remark = woken(&ground, &mut daemon, || Load::ready(&group, &["thrash", "16M"]))?;
    daemon.stop()?;
    Ok(remark)
}

/// The host's own pressure, from /proc/pressure; it is there also where cgroups have none.
pub(crate) fn of_the_host(guest: &mut Guest) -> Outcome {
    if !Path::new("/proc/pressure/cpu").exists() {
        return Err(Stop::Absent("pressure stall information is off".into()));
    }
    let ground = Ground::new(guest, "host-pressure")?;
    let parent = Group::make(&guest.tree, "crowd")?;
    let group = parent.child(&guest.tree, "one")?;
    eventually("what ran before is over", || {
        let text = fs::read_to_string("/proc/pressure/cpu").during("/proc/pressure/cpu")?;
        let average =
            text.lines().next().and_then(|line| line.split("avg10=").nth(1)?.split(' ').next()?.parse().ok());
        Ok(average.filter(|average: &f64| *average < 20.0))
    })?;
    let rules = "policies:
  - name: crowded
    match: {path: \"@/*\"}
    when: {signal: host.pressure.cpu.some.avg10, above: 50%}
    steps: [{notify: {}, relieved_within: 1h}]
";
    let path = parent.label();
    let safety = format!("  mode: enforce\n  scope: [\"{path}/**\"]");
    ground.write(CLOCK, &safety, &rules.replace('@', &path))?;
    let mut daemon = ground.serve(None)?;
    let remark = woken(&ground, &mut daemon, || Load::ready(&group, &["cpu", "8"]))?;
    daemon.stop()?;
    Ok(remark)
}
