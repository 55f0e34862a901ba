//! Pressure wakes the policies between two passes.

use std::path::Path;

use crate::Guest;
use crate::enforcer::{Enforcer, Ground};
use crate::load::Load;
use crate::outcome::{Outcome, Step, Stop, ensure};
use crate::swap::Swap;
use crate::tree::{Group, eventually};

/// Passes are so far apart that a decision at the clock is told from one that a trigger woke.
const CLOCK: &str = "interval: 20s";

/// Waits for a pass, loads, and sees the decision before the next pass.
fn woken<'a>(daemon: &mut Enforcer<'_>, policy: &str, load: impl Fn() -> Step<Load> + 'a) -> Step<String> {
    // Armed after the pass that saw the group.
    let armed = daemon.passes()?;
    ensure(armed >= 1.0, || "no pass".into())?;
    let began = std::time::Instant::now();
    let _load = load()?;
    daemon.decided(policy, "notify", "applied")?;
    let seconds = began.elapsed().as_secs_f64();
    let passes = daemon.passes()?;
    let wakes = daemon.count("stockade_wakes_total", &[("cause", "pressure")])?;
    ensure(wakes >= 1.0, || format!("decided after {seconds:.1} s, and pressure woke nothing"))?;
    ensure(passes <= armed, || {
        format!("decided after {seconds:.1} s and {} passes: the clock may have done it", passes - armed)
    })?;
    Ok(format!("{seconds:.1} s after the load began"))
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
    when: {signal: memory.pressure.full.rate, above: 5%}
    steps: [{notify: {}, relieved_within: 1h}]
";
    let path = parent.label();
    let safety = format!("  mode: enforce\n  scope: [\"{path}/**\"]");
    ground.write(CLOCK, &safety, &rules.replace('@', &path))?;
    let mut daemon = ground.serve(None)?;
    let remark = woken(&mut daemon, "stalled", || Load::ready(&group, &["thrash", "16M"]))?;
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
    // The daemon's own start makes some pressure, too.
    let rules = "policies:
  - name: crowded
    match: {path: \"@/*\"}
    when: {signal: host.pressure.cpu.some.rate, above: 60%}
    steps: [{notify: {}, relieved_within: 1h}]
";
    let path = parent.label();
    let safety = format!("  mode: enforce\n  scope: [\"{path}/**\"]");
    ground.write(CLOCK, &safety, &rules.replace('@', &path))?;
    let mut daemon = ground.serve(None)?;
    eventually("nothing is decided before the load", || {
        Ok((daemon.decisions("crowded", "notify", "applied")? < 0.5).then_some(()))
    })?;
    let remark = woken(&mut daemon, "crowded", || Load::ready(&group, &["cpu", "8"]))?;
    daemon.stop()?;
    Ok(remark)
}
