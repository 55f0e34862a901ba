//! The freezer, of either version.

use crate::Guest;
use crate::load::Load;
use crate::outcome::{Outcome, Stop, ensure};
use crate::tree::{Group, eventually};

/// Frozen is shown while it is, and not after.
pub(crate) fn frozen_and_thawed(guest: &mut Guest) -> Outcome {
    let unified = guest.tree.unified().is_some();
    let controller = if unified { "" } else { "freezer" };
    guest.tree.need(controller)?;
    let (file, freeze, thaw) =
        if unified { ("cgroup.freeze", "1", "0") } else { ("freezer.state", "FROZEN", "THAWED") };
    let group = Group::make(&guest.tree, "freeze")?;
    if group.read(&guest.tree, controller, file)?.is_none() {
        return Err(Stop::Absent(format!("no {file}")));
    }
    let _load = Load::ready(&group, &["cpu", "1"])?;
    for (word, expected) in [(freeze, 1.0), (thaw, 0.0)] {
        group.write(&guest.tree, controller, file, word)?;
        eventually("the kernel froze or thawed", || {
            let (state, now) = if unified {
                let text = group.read(&guest.tree, "", "cgroup.events")?.unwrap_or_default();
                (text.contains("frozen 1"), expected > 0.5)
            } else {
                let text = group.read(&guest.tree, "freezer", "freezer.state")?.unwrap_or_default();
                (text.trim() == "FROZEN", expected > 0.5)
            };
            Ok((state == now).then_some(()))
        })?;
        let shown = guest.agree(&[&group])?.want("cgroup_frozen", &[("cgroup", &group.label())])?;
        ensure((shown - expected).abs() < 0.5, || {
            format!("{word} was written to {file}, frozen is {shown}")
        })?;
    }
    Ok(String::new())
}
