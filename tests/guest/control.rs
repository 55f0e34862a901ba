//! Stockade's own control of cgroups: every knob set and put back, frozen, killed, reclaimed from.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use stockade::kernel::control::{Control, Target};
use stockade::kernel::layout::{Layout, Paths};
use stockade::kernel::reclaim::ReclaimWay;
use stockade::model::{Identity, IoRate, Knob, Limit, Owner, Value};

use crate::Guest;
use crate::load::Load;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::tree::{Group, eventually};

const LONG: Duration = Duration::from_secs(60);

/// Control of this guest, and the group held open.
fn open(group: &Group) -> Step<(Control, Target)> {
    let layout = Layout::detect(&Paths::default()).during("the layout")?;
    let path = group.label();
    let directory =
        layout.hierarchies.iter().map(|one| one.mount.join(&path[1..])).find(|path| path.is_dir());
    let directory = directory.ok_or_else(|| Stop::Failed(format!("{path} is nowhere")))?;
    let id = fs::metadata(&directory).during(directory.display())?.ino();
    let control = Control::new(&layout, &Paths::default());
    let identity =
        Identity { path: path.as_bytes().into(), display: path.as_str().into(), id, owner: Owner::default() };
    let target = control.open(&identity).during("open the group")?;
    Ok((control, target))
}

/// Sets every knob that this kernel and layout have, and puts it back to the byte.
pub(crate) fn knobs(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "knobs")?;
    let (control, target) = open(&group)?;
    let mut knobs = vec![
        (Knob::MemoryMin, Value::of(1 << 20)),
        (Knob::MemoryLow, Value::of(2 << 20)),
        (Knob::MemoryHigh, Value::of(64 << 20)),
        (Knob::MemoryMax, Value::of(96 << 20)),
        (Knob::CpuMax, Value::of(500_000)),
        (Knob::CpuWeight, Value::of(37)),
        (Knob::IoWeight, Value::of(210)),
        (Knob::PidsMax, Value::of(77)),
        (Knob::CpusetCpus, Value::List("0".into())),
        (Knob::CpusetMems, Value::List("0".into())),
    ];
    knobs.extend(IoRate::ALL.map(|rate| (Knob::IoMax { device: "vda".into(), rate }, Value::of(1_234_567))));
    let mut set = 0;
    for (knob, value) in &knobs {
        if control.supports(knob).is_err() {
            ensure(target.write(knob, value).is_err(), || {
                format!("{knob} is not supported, and was written")
            })?;
            continue;
        }
        let before = target.save(knob).during(knob)?;
        target.write(knob, value).during(knob)?;
        let now = target.read(knob).during(knob)?;
        ensure(now == *value, || format!("{knob} was set to {value} and is {now}"))?;
        target.restore(&before).during(knob)?;
        let after = target.save(knob).during(knob)?;
        ensure(after == before, || format!("{knob} was {before:?} and is {after:?}"))?;
        set += 1;
    }
    // Swap needs a limit on memory beside it on v1.
    if control.supports(&Knob::MemorySwapMax).is_ok() {
        let before = target.save(&Knob::MemoryMax).during("memory.max")?;
        for (knob, value) in
            [(Knob::MemoryMax, 64u64 << 20), (Knob::MemorySwapMax, 8 << 20), (Knob::MemoryMax, 256 << 20)]
        {
            target.write(&knob, &Value::of(value)).during(&knob)?;
        }
        let swap = target.read(&Knob::MemorySwapMax).during("memory.swap.max")?;
        ensure(swap == Value::of(8 << 20), || format!("8 MiB of swap became {swap}"))?;
        target.write(&Knob::MemorySwapMax, &Value::Limit(Limit::Max)).during("memory.swap.max")?;
        target.restore(&before).during("memory.max")?;
    }
    Ok(format!("{set} of {} knobs", knobs.len()))
}

/// Freezes, thaws, and kills what is frozen.
pub(crate) fn frozen_and_killed(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "control")?;
    let mut load = Load::ready(&group, &["cpu", "2"])?;
    let (_, target) = open(&group)?;
    if target.freezer_state().is_err() {
        return Err(Stop::Absent("no freezer".into()));
    }
    let saved = target.save_freezers().during("freezers")?;
    target.freeze(LONG).during("freeze")?;
    ensure(target.freezer_state().during("state")?.frozen, || "it is not frozen".into())?;
    target.restore(&saved).during("thaw")?;
    eventually("it goes on", || Ok((!target.freezer_state().during("state")?.frozen).then_some(())))?;
    target.freeze(LONG).during("freeze")?;
    let report = target.kill(9, Duration::ZERO, LONG).during("kill")?;
    ensure(report.killed >= 1, || format!("{report:?}"))?;
    ensure(load.await_end()?, || "it ended by itself".into())?;
    let kernel =
        target.unified().is_some() && Path::new("/sys/fs/cgroup/stockade-test-control/cgroup.kill").exists();
    Ok(format!("cgroup.kill in the unified layout: {kernel}"))
}

/// A fork bomb dies.
pub(crate) fn bombs(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "bomb")?;
    let (_, target) = open(&group)?;
    target.write(&Knob::PidsMax, &Value::of(300)).during("pids.max")?;
    let doors: String = group.doors().iter().map(|door| format!("echo $$ > {}; ", door.display())).collect();
    let mut shell = std::process::Command::new("/bin/busybox")
        .args(["sh", "-c", &format!("{doors} f() {{ while :; do f & done; }}; f 2>/dev/null")])
        .spawn()
        .during("a bomb")?;
    eventually("it has grown", || Ok((target.usage(&Knob::PidsMax) >= Some(200)).then_some(())))?;
    target.kill(9, Duration::ZERO, LONG).during("kill the bomb")?;
    shell.wait().during("the shell")?;
    ensure(target.processes().during("processes")?.is_empty(), || "something is left".into())?;
    Ok(String::new())
}

/// The kernel takes page cache back.
pub(crate) fn reclaimed(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    let group = Group::make(&guest.tree, "reclaim")?;
    let (_, target) = open(&group)?;
    let way = match target.reclaim_way() {
        Ok(way) => way,
        Err(why) => return Err(Stop::Absent(why.to_string())),
    };
    crate::io::mount_files()?;
    let _file = Load::ready(&group, &["file", "16M", "/mnt/reclaim"])?;
    let high = target.save(&Knob::MemoryHigh).during("memory.high")?;
    let bytes = target.reclaim(8 << 20, LONG).during("reclaim")?;
    ensure(bytes >= 4 << 20, || format!("8 MiB of page cache were asked back, {bytes} bytes came"))?;
    ensure(target.save(&Knob::MemoryHigh).during("memory.high")? == high, || {
        "memory.high has changed".into()
    })?;
    Ok(if way == ReclaimWay::Reclaim { "memory.reclaim".into() } else { "memory.high".into() })
}
