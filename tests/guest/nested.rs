//! Groups in groups: sums, effective limits, headroom.

use crate::Guest;
use crate::load::Load;
use crate::memory::limit_memory;
use crate::outcome::{Outcome, ensure};
use crate::tree::Group;

/// The tightest limit above is the child's, and the parent counts the child's memory.
pub(crate) fn effective_limits(guest: &mut Guest) -> Outcome {
    guest.tree.need("memory")?;
    let top = Group::make(&guest.tree, "nested")?;
    let middle = top.child(&guest.tree, "middle")?;
    let leaf = middle.child(&guest.tree, "leaf")?;
    limit_memory(guest, &top, "67108864")?;
    limit_memory(guest, &leaf, "134217728")?;
    let _load = Load::ready(&leaf, &["anon", "8M"])?;
    let scrape = guest.agree(&[&top, &middle, &leaf])?;
    for group in [&top, &middle, &leaf] {
        let label = group.label();
        let labels = [("cgroup", label.as_str()), ("limit", "max")];
        let effective = scrape.want("cgroup_memory_effective_limit_bytes", &labels)?;
        ensure((effective - 67_108_864.0).abs() < 0.5, || {
            format!("{label} is limited to 64 MiB by the top, shown {effective}")
        })?;
        let headroom = scrape.want("cgroup_memory_headroom_bytes", &labels)?;
        let used = scrape.want("cgroup_memory_current_bytes", &[("cgroup", &top.label())])?;
        ensure((headroom - (effective - used)).abs() < 0.5, || {
            format!("{label}: {effective} less {used} is no headroom of {headroom}")
        })?;
        ensure(used >= 8e6, || format!("the top holds the leaf's 8 MiB, shown {used}"))?;
    }
    Ok(String::new())
}
