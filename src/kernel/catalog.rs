//! Which files are read from which hierarchy.
//!
//! A new kernel file is one row in its controller's table ([`super::v1`], [`super::v2`]), a field in the model and a
//! row in its metric family.

use super::layout::Layout;
use super::spec::{FileSpec, When};
use super::{v1, v2};
use crate::model::{CollectorSet, Version};

/// The files of each hierarchy of a layout, in the layout's order: of each controller the files that the layout takes
/// from there, the switched-off collectors left out.
#[must_use]
pub fn catalog(layout: &Layout, enabled: CollectorSet, huge_pages: &[&str]) -> Vec<Vec<FileSpec>> {
    let has_unified = layout.hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V2);
    layout
        .hierarchies
        .iter()
        .map(|hierarchy| {
            let mut files = match hierarchy.version {
                Version::V2 => v2::files(hierarchy, huge_pages),
                Version::V1 => v1::files(hierarchy, huge_pages),
            };
            files.retain(|file| enabled.has(file.collector));
            if !has_unified {
                files
                    .iter_mut()
                    .filter(|file| file.when == When::NoUnified)
                    .for_each(|file| file.when = When::Always);
            }
            // Core first, since what it finds decides about others; then by collector, so that each is timed as one.
            files.sort_by_key(|file| file.collector);
            files
        })
        .collect()
}

/// Control files that somebody writes and that hold nothing to be sampled.
const UNREAD: [&str; 22] = [
    "cgroup.clone_children",
    "cgroup.event_control",
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.pressure",
    "cgroup.subtree_control",
    "cgroup.type",
    "cpu.weight.nice",
    "cpuset.cpus",
    "cpuset.cpus.exclusive",
    "cpuset.cpus.partition",
    "cpuset.mems",
    "io.cost.model",
    "io.cost.qos",
    "memory.force_empty",
    "memory.move_charge_at_immigrate",
    "memory.reclaim",
    "memory.swappiness",
    "memory.use_hierarchy",
    "memory.zswap.writeback",
    "notify_on_release",
    "tasks",
];

/// The name of a written file for a label: one of the known names, so that their number is bounded, or `other`.
#[must_use]
pub fn control_name(catalog: &[Vec<FileSpec>], name: &[u8]) -> &'static str {
    catalog
        .iter()
        .flatten()
        .map(|file| file.name)
        .chain(UNREAD)
        .chain(["cgroup.procs", "cgroup.threads"])
        .find(|known| known.as_bytes() == name)
        .unwrap_or("other")
}
