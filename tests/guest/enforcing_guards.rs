//! What is left alone, and what others do: a dry run, a policy for everything, a second writer, orders by hand.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::Guest;
use crate::enforcer::Ground;
use crate::enforcing_hogs::{HOG, control, is_frozen, processes};
use crate::load::Load;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::tree::{Group, eventually};

/// Every control file of the groups that can be written and does not change by itself.
fn controls(groups: &[&Group]) -> Step<BTreeMap<PathBuf, String>> {
    /// Written to do something, or counting by themselves.
    const OTHER: &[&str] = &[
        "cgroup.procs",
        "cgroup.threads",
        "tasks",
        "release_agent",
        "cgroup.event_control",
        "cgroup.kill",
        "memory.force_empty",
        "memory.reclaim",
        "memory.peak",
        "memory.swap.peak",
        "memory.oom_control",
        "blkio.reset_stats",
        "cpuacct.usage",
    ];
    let mut found = BTreeMap::new();
    for door in groups.iter().flat_map(|group| group.doors()) {
        let directory = door.parent().ok_or_else(|| Stop::Failed("a door without a directory".into()))?;
        for entry in fs::read_dir(directory).during(directory.display())? {
            let path = entry.during(directory.display())?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let about = fs::metadata(&path).during(path.display())?;
            let counts = name.ends_with(".pressure")
                || name.contains("failcnt")
                || name.contains("max_usage_in_bytes");
            if about.is_file()
                && about.permissions().mode() & 0o200 != 0
                && !OTHER.contains(&&*name)
                && !counts
            {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| error.to_string());
                found.insert(path, text);
            }
        }
    }
    ensure(found.len() > 20, || format!("only {} control files", found.len()))?;
    Ok(found)
}

/// The same steps are decided, and not one control file is written.
pub(crate) fn dry_run(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    let ground = Ground::new(guest, "dry")?;
    let parent = Group::make(&guest.tree, "dry")?;
    let (hog, quiet) = (parent.child(&guest.tree, "hog")?, parent.child(&guest.tree, "quiet")?);
    let _loads = [Load::ready(&hog, &["anon", "48M"])?, Load::ready(&quiet, &["idle"])?];
    let limits = "limits: [{name: cap, match: {path: \"@/*\"}, set: {memory.max: 200MiB}}]\n";
    let path = parent.label();
    let safety = format!("  mode: dry_run\n  scope: [\"{path}/**\"]");
    ground.write("interval: 300ms", &safety, &format!("{limits}{HOG}").replace('@', &path))?;
    let groups = [&parent, &hog, &quiet];
    let before = controls(&groups)?;
    let mut daemon = ground.serve(None)?;
    for action in ["notify", "set", "freeze", "kill"] {
        daemon.decided("hog", action, "dry_run")?;
    }
    daemon.decided("cap", "set", "dry_run")?;
    let applied = daemon
        .scrape()?
        .0
        .into_iter()
        .find(|series| series.value > 0.0 && series.label("outcome") == Some("applied"));
    ensure(applied.is_none(), || format!("a dry run applied {applied:?}"))?;
    let compare = |when: &str| {
        let after = controls(&groups)?;
        let differ = after.iter().find(|(path, text)| before.get(*path) != Some(*text));
        ensure(differ.is_none() && after.len() == before.len(), || {
            format!("{when} the dry run {differ:?} was {:?}", differ.and_then(|(path, _)| before.get(path)))
        })
    };
    compare("during")?;
    ensure(processes(&hog)? == 1 && processes(&quiet)? == 1, || "a dry run killed".into())?;
    daemon.stop()?;
    compare("after")?;
    Ok(format!("{} control files", before.len()))
}

/// PID 1 in a group of its own, brought back to the root when dropped: nothing else may empty that group.
struct Init<'a>(&'a Guest);

impl<'a> Init<'a> {
    fn live_in(guest: &'a Guest, group: &Group) -> Step<Self> {
        let moved = Self(guest);
        for door in group.doors() {
            fs::write(&door, "1").during(format!("PID 1 into {}", door.display()))?;
        }
        Ok(moved)
    }
}

impl Drop for Init<'_> {
    fn drop(&mut self) {
        for hierarchy in &self.0.tree.0 {
            // Where this fails, the group's own end says so.
            let _ = fs::write(hierarchy.root.join("cgroup.procs"), "1");
        }
    }
}

/// No scope, every group matched, itself included: what is protected is not touched, the guest lives.
pub(crate) fn everything(guest: &mut Guest) -> Outcome {
    let pids = guest.tree.of("pids").is_some();
    let ground = Ground::new(guest, "everything")?;
    let guest = &*guest;
    let victims = [Group::make(&guest.tree, "victim-a")?, Group::make(&guest.tree, "victim-b")?];
    let (home, init) = (Group::make(&guest.tree, "home")?, Group::make(&guest.tree, "init")?);
    let _moved = Init::live_in(guest, &init)?;
    let _loads = [Load::ready(&victims[0], &["idle"])?, Load::ready(&victims[1], &["idle"])?];
    let limits = "limits: [{name: cap, match: {path: \"/**\"}, set: {pids.max: 5000}}]\n";
    let policy = "policies:
  - name: all
    match: {path: \"/**\"}
    when: {signal: age, above: 0s}
    victim: {rank: [age], max: 100000}
    steps:
      - {freeze: {ttl: 60s}, relieved_within: 300ms}
      - {kill: {signal: KILL}, relieved_within: 1h}
    cooldown: {target: 1h, host: 0s}
";
    ground.write("interval: 300ms", "  mode: enforce", &format!("{limits}{policy}"))?;
    let mut daemon = ground.serve(Some(&home))?;
    daemon.decided("all", "kill", "applied")?;
    daemon.sees("both victims are dead", || Ok(processes(&victims[0])? + processes(&victims[1])? == 0))?;
    daemon.decided("all", "freeze", "protected")?;
    ensure(processes(&home)? >= 1 && processes(&init)? == 1, || "a protected process is gone".into())?;
    for group in [&home, &init] {
        ensure(!is_frozen(guest, group)?, || format!("{} is frozen", group.label()))?;
    }
    if pids {
        daemon.decided("cap", "set", "protected")?;
        let limit = |group: &Group| control(guest, group, "pids", "pids.max", "pids.max");
        daemon.sees("the limit holds for the victims", || Ok(limit(&victims[0])? == "5000"))?;
        for group in [&home, &init] {
            ensure(limit(group)? == "max", || format!("{} was limited", group.label()))?;
        }
    }
    daemon.stop()?;
    let touched = ground.audit()?.into_iter().find(|line| {
        line["outcome"] == "applied" && !line["target"].to_string().contains("/stockade-test-victim")
    });
    ensure(touched.is_none(), || format!("somebody else was touched: {touched:?}"))?;
    Ok(String::new())
}

/// Two that write over ours in a loop: the one is let have it, the other written over, but not for ever.
pub(crate) fn second_writer(guest: &mut Guest) -> Outcome {
    const OURS: &str = "134217728";
    let unified = guest.tree.need("memory")?.unified;
    let (knob, file) =
        if unified { ("memory.high", "memory.high") } else { ("memory.max", "memory.limit_in_bytes") };
    let ground = Ground::new(guest, "second-writer")?;
    let parent = Group::make(&guest.tree, "fought")?;
    let (yields, reasserts) = (parent.child(&guest.tree, "yields")?, parent.child(&guest.tree, "reasserts")?);
    let rules = format!(
        "limits:
  - {{name: yielding, match: {{path: \"@/yields\"}}, set: {{{knob}: 128MiB}}}}
  - {{name: reasserting, match: {{path: \"@/reasserts\"}}, set: {{{knob}: 128MiB}}, on_drift: reassert}}
"
    );
    ground.enforce_below(&parent, &rules)?;
    let mut daemon = ground.serve(None)?;
    let value = |group: &Group| control(guest, group, "memory", file, file);
    for group in [&yields, &reasserts] {
        daemon.sees("the limit holds", || Ok(value(group)? == OURS))?;
    }
    let announced = daemon.count("stockade_watch_method", &[("method", "fanotify")])? > 0.5;
    // The other writer insists: whenever ours is back, its own is written, each time another one.
    let (mut fights, mut theirs) = (0_u64, String::new());
    yields.write(&guest.tree, "memory", file, "268435456")?;
    let until = Instant::now() + Duration::from_secs(5);
    let mut quiet = Instant::now();
    while fights == 0 || announced && (Instant::now() < until || quiet.elapsed() < Duration::from_secs(2)) {
        if value(&reasserts)? == OURS {
            theirs = (268_435_456 + fights * 4096).to_string();
            reasserts.write(&guest.tree, "memory", file, &theirs)?;
            fights += 1;
            quiet = Instant::now();
        }
        thread::sleep(Duration::from_millis(20));
    }
    daemon.sees("both tell of it", || {
        let audit = ground.audit()?;
        let tells = |answer| audit.iter().any(|line| line["answer"] == answer);
        Ok(tells("yield") && tells("reassert"))
    })?;
    if !announced {
        daemon.sees("it is written over", || Ok(value(&reasserts)? == OURS))?;
    }
    let pass = daemon.passes()?;
    eventually("metrics of a later pass", || Ok((daemon.passes()? >= pass + 2.0).then_some(())))?;
    let labels = |policy, answer| [("policy", policy), ("answer", answer)];
    let reasserted = daemon.count("stockade_drift_total", &labels("reasserting", "reassert"))?;
    ensure((1.0..=6.0).contains(&reasserted), || {
        format!("written over {reasserted} times against {fights} writes")
    })?;
    ensure(value(&yields)? == "268435456", || "the yielding rule did not yield".into())?;
    ensure(daemon.count("stockade_drift_total", &labels("yielding", "yield"))? >= 1.0, || {
        "the yielding rule told of no other writer".into()
    })?;
    ensure(!announced || value(&reasserts)? == theirs, || "it is still fought over".into())?;
    daemon.stop()?;
    ensure(value(&yields)? == "268435456", || "who changed hands was put back".into())?;
    let audit = ground.audit()?;
    let told = audit.iter().find(|line| line["ours"] == OURS && line["theirs"] == "268435456");
    ensure(told.is_some(), || format!("no line with our value and theirs: {audit:?}"))?;
    let how = if announced { "announced" } else { "without fanotify" };
    Ok(format!("{fights} writes, {reasserted} reasserted, {how}"))
}

/// A target that ends and is made again under its name, before the policy's time is over, is another one.
pub(crate) fn recreated(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    need_some_freezer(guest)?;
    let ground = Ground::new(guest, "recreated")?;
    let parent = Group::make(&guest.tree, "again")?;
    let hog = parent.child(&guest.tree, "hog")?;
    let first = parent.child(&guest.tree, "same")?;
    let _hog = Load::ready(&hog, &["anon", "32M"])?;
    let load = Load::ready(&first, &["anon", "32M"])?;
    let rules = "policies:
  - name: old
    match: {path: \"@/*\"}
    when: {signal: memory.anon, above: 16MiB, for: 3s}
    victim: {rank: [memory.anon], max: 10}
    steps: [{kill: {signal: KILL}, relieved_within: 1h}]
";
    ground.enforce_below(&parent, rules)?;
    let mut daemon = ground.serve(None)?;
    let pass = daemon.passes()?;
    daemon.sees("both are seen", || Ok(processes(&hog)? + processes(&first)? == 2))?;
    eventually("a pass", || Ok((daemon.passes()? > pass).then_some(())))?;
    drop(load);
    drop(first);
    let second = parent.child(&guest.tree, "same")?;
    let _second = Load::ready(&second, &["idle"])?;
    daemon.decided("old", "kill", "applied")?;
    daemon.sees("the one that lasted is dead", || Ok(processes(&hog)? == 0))?;
    let pass = daemon.passes()?;
    eventually("two more passes", || Ok((daemon.passes()? >= pass + 2.0).then_some(())))?;
    ensure(processes(&second)? == 1, || "the new one was killed for what the old one did".into())?;
    let times = daemon.decisions("old", "kill", "applied")?;
    ensure((times - 1.0).abs() < 0.5, || format!("{times} kills"))?;
    daemon.stop()?;
    Ok(String::new())
}

fn need_some_freezer(guest: &Guest) -> Step {
    if guest.tree.unified().is_some() { Ok(()) } else { guest.tree.need("freezer").map(drop) }
}

/// Each order by hand, through a daemon that runs.
pub(crate) fn by_hand(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    need_some_freezer(guest)?;
    let memory = guest.tree.need("memory")?.unified;
    let ground = Ground::new(guest, "by-hand")?;
    let parent = Group::make(&guest.tree, "hand")?;
    let group = parent.child(&guest.tree, "one")?;
    let path = group.label();
    crate::io::mount_files()?;
    // Clean page cache: what there is to take back.
    let _load = Load::ready(&group, &["file", "12M", "/mnt/by-hand"])?;
    // A daemon without rules leaves the journal to the commands.
    ground.enforce_below(
        &parent,
        "limits: [{name: other, match: {path: \"@/other\"}, set: {memory.max: 1GiB}}]\n",
    )?;
    let daemon = ground.serve(None)?;
    ground.told(&["freeze", &path, "--ttl", "60s"])?;
    ensure(is_frozen(guest, &group)?, || "freeze did not freeze".into())?;
    ground.told(&["thaw", &path])?;
    ensure(!is_frozen(guest, &group)?, || "thaw did not thaw".into())?;
    let limit = |guest: &Guest| control(guest, &group, "memory", "memory.max", "memory.limit_in_bytes");
    let before = limit(guest)?;
    ground.told(&["set", &path, "memory.max=256MiB"])?;
    ensure(limit(guest)? == "268435456", || "set did not set".into())?;
    ground.told(&["undo", &path])?;
    ensure(limit(guest)? == before, || "undo did not put back".into())?;
    let refused = ground.stockade(&["freeze", "/"])?;
    ensure(refused.status.code() == Some(3), || format!("the root was not refused: {refused:?}"))?;
    let usage = |guest: &Guest| control(guest, &group, "memory", "memory.current", "memory.usage_in_bytes");
    let held: f64 = usage(guest)?.parse().during("usage")?;
    let mut remark = String::new();
    if memory {
        ground.told(&["reclaim", &path, "8MiB"])?;
        let left: f64 = usage(guest)?.parse().during("usage")?;
        ensure(held - left > 4e6, || format!("reclaim of 8 MiB: {held} before, {left} after"))?;
        let high = control(guest, &group, "memory", "memory.high", "")?;
        ensure(high == "max", || format!("reclaim left memory.high at {high}"))?;
        let direct = group.dir(&guest.tree, "memory")?.join("memory.reclaim").exists();
        remark = if direct { "memory.reclaim".into() } else { "through memory.high".into() };
    } else {
        let refused = ground.stockade(&["reclaim", &path, "8MiB"])?;
        ensure(!refused.status.success(), || format!("v1 has no way to reclaim, and yet {refused:?}"))?;
    }
    let explained = ground.told(&["explain", &path])?;
    ensure(!explained.contains("panic"), || explained)?;
    ground.told(&["kill", &path, "--grace", "500ms"])?;
    ensure(processes(&group)? == 0, || "kill did not kill".into())?;
    daemon.stop()?;
    let audit = ground.audit()?;
    for action in ["freeze", "thaw", "set", "kill"] {
        ensure(audit.iter().any(|line| line["action"] == action && line["outcome"] == "applied"), || {
            format!("no line for {action}: {audit:?}")
        })?;
    }
    Ok(remark)
}
