//! I/O on virtio disks: vda is raw, vdb carries a file system.

use std::fs;

use crate::Guest;
use crate::agree::device_number;
use crate::load::Load;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::swap::busybox;
use crate::tree::Group;

/// The I/O controller's name here.
fn controller(guest: &Guest) -> Step<&'static str> {
    let name = if guest.tree.of("blkio").is_some() { "blkio" } else { "io" };
    guest.tree.need(name).map(|_| name)
}

/// Mounts the file system on vdb at /mnt, made when first asked for.
pub(crate) fn mount_files() -> Step {
    let mounts = fs::read_to_string("/proc/mounts").during("/proc/mounts")?;
    if mounts.lines().any(|line| line.starts_with("/dev/vdb ")) {
        return Ok(());
    }
    busybox(&["mke2fs", "-F", "/dev/vdb"])?;
    busybox(&["mount", "-t", "ext2", "/dev/vdb", "/mnt"])
        .or_else(|_| busybox(&["mount", "-t", "ext4", "/dev/vdb", "/mnt"]))
}

/// Bytes and operations of a device, to the byte.
pub(crate) fn reads_and_writes(guest: &mut Guest) -> Outcome {
    let controller = controller(guest)?;
    let group = Group::make(&guest.tree, "io")?;
    if controller == "blkio" {
        // Newer kernels count in v1 only what passes a throttle rule (seen on 6.1 and 6.18): one that is never reached.
        let device = device_number("vda").ok_or_else(|| Stop::Failed("no device vda".into()))?;
        for file in ["blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"] {
            group.write(&guest.tree, controller, file, &format!("{device} 1073741824"))?;
        }
    }
    let _write = Load::ready(&group, &["write", "/dev/vda", "4M"])?;
    let _read = Load::ready(&group, &["read", "/dev/vda", "2M"])?;
    let scrape = guest.agree(&[&group])?;
    for (metric, bytes) in [("cgroup_io_write_bytes_total", 4 << 20), ("cgroup_io_read_bytes_total", 2 << 20)]
    {
        let shown = scrape.want(metric, &[("cgroup", &group.label()), ("device", "vda")])?;
        ensure((shown - f64::from(bytes)).abs() < 0.5, || {
            format!("{bytes} bytes went past the cache, {metric} is {shown}")
        })?;
    }
    Ok(String::new())
}

/// Limits are shown by the device's name, and go when they are lifted.
pub(crate) fn limits(guest: &mut Guest) -> Outcome {
    let controller = controller(guest)?;
    let group = Group::make(&guest.tree, "iomax")?;
    let device = device_number("vda").ok_or_else(|| Stop::Failed("no device vda".into()))?;
    let set = |guest: &Guest, on: bool| {
        if controller == "io" {
            let limit = if on { "rbps=1048576 wiops=50" } else { "rbps=max wiops=max" };
            return group.write(&guest.tree, controller, "io.max", &format!("{device} {limit}"));
        }
        let limit = if on { "1048576" } else { "0" };
        group.write(&guest.tree, controller, "blkio.throttle.read_bps_device", &format!("{device} {limit}"))
    };
    let labels =
        [("cgroup", &*group.label()), ("device", "vda")].map(|(name, value)| (name, value.to_owned()));
    let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if group
        .read(
            &guest.tree,
            controller,
            if controller == "io" { "io.max" } else { "blkio.throttle.read_bps_device" },
        )?
        .is_none()
    {
        return Err(Stop::Absent("no I/O throttling".into()));
    }
    set(guest, true)?;
    let shown = guest.agree(&[&group])?.want("cgroup_io_read_limit_bytes_per_second", &labels)?;
    ensure((shown - 1_048_576.0).abs() < 0.5, || format!("1 MiB/s is shown as {shown}"))?;
    set(guest, false)?;
    let shown = guest.agree(&[&group])?.get("cgroup_io_read_limit_bytes_per_second", &labels)?;
    ensure(shown.is_none(), || format!("a limit that was lifted is still shown: {shown:?}"))?;
    Ok(String::new())
}

/// Written-back page cache is counted for the group that dirtied it, where the hierarchies know each other.
pub(crate) fn file_system(guest: &mut Guest) -> Outcome {
    let controller = controller(guest)?;
    if controller != "io" || guest.tree.of("memory").is_none_or(|hierarchy| !hierarchy.unified) {
        return Err(Stop::Absent("write-back is charged to the root where memory and io are v1".into()));
    }
    let group = Group::make(&guest.tree, "writeback")?;
    mount_files()?;
    let _file = Load::ready(&group, &["file", "8M", "/mnt/writeback"])?;
    let scrape = guest.agree(&[&group])?;
    let shown =
        scrape.want("cgroup_io_write_bytes_total", &[("cgroup", &group.label()), ("device", "vdb")])?;
    ensure(shown >= 8e6, || format!("8 MiB were synced to vdb, shown {shown}"))?;
    Ok(String::new())
}
