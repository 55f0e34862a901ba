//! Swap on a zram device.

use std::process::Command;

use crate::load::Load;
use crate::memory::limit_memory;
use crate::outcome::{During, Outcome, Step, Stop, ensure};
use crate::tree::Group;
use crate::{Guest, set};

/// A zram swap device that is switched off when dropped.
pub(crate) struct Swap;

impl Swap {
    /// Makes it; a kernel without zram cannot.
    pub(crate) fn on() -> Step<Self> {
        if !std::path::Path::new("/sys/block/zram0").exists() {
            return Err(Stop::Absent("no zram device".into()));
        }
        set("/sys/block/zram0/reset", "1")?;
        set("/sys/block/zram0/disksize", "134217728")?;
        busybox(&["mkswap", "/dev/zram0"])?;
        busybox(&["swapon", "/dev/zram0"])?;
        Ok(Self)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // The guest ends soon; a device still in use only stays on.
        let _ = busybox(&["swapoff", "/dev/zram0"]);
    }
}

/// Runs a busybox applet.
pub(crate) fn busybox(words: &[&str]) -> Step {
    let done = Command::new("/bin/busybox").args(words).output().during(format!("busybox {words:?}"))?;
    ensure(done.status.success(), || format!("busybox {words:?}: {}", String::from_utf8_lossy(&done.stderr)))
}

/// Anonymous memory over the limit goes to swap instead of being killed for.
pub(crate) fn swapped_out(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    let _swap = Swap::on()?;
    let group = Group::make(&guest.tree, "swap")?;
    limit_memory(guest, &group, "16777216")?;
    let _load = Load::ready(&group, &["anon", "32M"])?;
    let scrape = guest.agree(&[&group])?;
    let swapped = scrape.want("cgroup_memory_swap_current_bytes", &[("cgroup", &group.label())])?;
    ensure(swapped > 8e6, || format!("32 MiB in a group of 16 MiB, and only {swapped} bytes are in swap"))?;
    Ok(String::new())
}
