//! Copies the cgroup files of a loaded tree onto a disk, as a tar archive: fixtures for the parsers' tests.

use std::fs;
use std::path::Path;

use crate::io::mount_files;
use crate::load::Load;
use crate::outcome::{During, Outcome, Step};
use crate::swap::busybox;
use crate::tree::{Group, Hierarchies, eventually, read_if_there};

const STAGE: &str = "/tmp/capture";
/// A file longer than this is no fixture (`cgroup.procs` of a fork bomb, say).
const LONGEST: usize = 64 << 10;
const HOST: &[&str] = &[
    "proc/pressure/cpu",
    "proc/pressure/memory",
    "proc/pressure/io",
    "proc/pressure/irq",
    "proc/meminfo",
    "proc/self/mountinfo",
    "proc/cgroups",
    "proc/sys/kernel/osrelease",
    "proc/version",
    "sys/devices/system/cpu/online",
];

/// The groups of a fixture, and what loads them.
const LOADS: &str = "fixture-memory: 8 MiB anonymous, 4 MiB page cache, limit 64 MiB; \
    fixture-cpu: two burners under a quota of 0.2 CPUs; \
    fixture-io/leaf: 2 MiB written and 1 MiB read past the cache on vda, read limit set on its parent";

/// Loads a few groups and writes the archive to `disk`; the remark tells the load.
pub(crate) fn capture(tree: &Hierarchies, disk: &str) -> Outcome {
    let memory = Group::make(tree, "fixture-memory")?;
    let cpu = Group::make(tree, "fixture-cpu")?;
    let io = Group::make(tree, "fixture-io")?;
    let leaf = io.child(tree, "leaf")?;
    mount_files()?;
    // A controller that this cell lacks leaves its file out of the fixture, which is the fixture's point.
    for (group, controller, file, value) in [
        (&memory, "memory", "memory.max", "67108864".to_owned()),
        (&memory, "memory", "memory.limit_in_bytes", "67108864".to_owned()),
        (&cpu, "cpu", "cpu.max", "20000 100000".to_owned()),
        (&cpu, "cpu", "cpu.cfs_quota_us", "20000".to_owned()),
        (&io, "io", "io.max", "254:0 rbps=104857600".to_owned()),
        (&io, "blkio", "blkio.throttle.read_bps_device", "254:0 104857600".to_owned()),
    ] {
        if group.read(tree, controller, file)?.is_some() {
            group.write(tree, controller, file, &value.replace("254:0", &device()?))?;
        }
    }
    let _loads = [
        Load::ready(&memory, &["anon", "8M"])?,
        Load::ready(&memory, &["file", "4M", "/mnt/fixture"])?,
        Load::ready(&cpu, &["cpu", "2"])?,
        Load::ready(&leaf, &["write", "/dev/vda", "2M"])?,
        Load::ready(&leaf, &["read", "/dev/vda", "1M"])?,
    ];
    eventually("the burners have run into their quota", || {
        let stat = cpu.read(tree, "cpu", "cpu.stat")?;
        let throttled =
            |text: &str| text.lines().any(|line| line.starts_with("nr_throttled") && !line.ends_with(" 0"));
        Ok(stat.as_deref().is_none_or(throttled).then_some(()))
    })?;
    let stage = Path::new(STAGE);
    for hierarchy in &tree.0 {
        for label in [String::new(), memory.label(), cpu.label(), io.label(), leaf.label()] {
            let dir = format!("{}{label}", hierarchy.root.display());
            copy_files(Path::new(&dir), stage)?;
        }
    }
    for file in HOST {
        copy(&Path::new("/").join(file), stage)?;
    }
    busybox(&["tar", "-cf", disk, "-C", STAGE, "."])?;
    Ok(LOADS.to_owned())
}

fn device() -> Step<String> {
    crate::agree::device_number("vda").ok_or_else(|| crate::outcome::Stop::Failed("no device vda".into()))
}

/// Copies the plain files of one directory.
fn copy_files(dir: &Path, stage: &Path) -> Step {
    for entry in fs::read_dir(dir).during(dir.display())?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            copy(&entry.path(), stage)?;
        }
    }
    Ok(())
}

/// Copies one file below the stage; what cannot be read (write-only files, PSI that is off) is left out.
fn copy(file: &Path, stage: &Path) -> Step {
    let Ok(Some(text)) = read_if_there(file) else { return Ok(()) };
    if text.len() > LONGEST {
        return Ok(());
    }
    let target = stage.join(file.strip_prefix("/").unwrap_or(file));
    if let Some(dir) = target.parent() {
        fs::create_dir_all(dir).during(dir.display())?;
    }
    fs::write(&target, text).during(target.display())
}
