//! CPU sets.

use crate::Guest;
use crate::agree::Topic;
use crate::outcome::{Outcome, ensure};
use crate::tree::Group;

/// A group on one of two CPUs, and a child that inherits it.
pub(crate) fn one_cpu(guest: &mut Guest) -> Outcome {
    guest.tree.need("cpuset")?;
    let group = Group::make(&guest.tree, "cpuset")?;
    let cpus = |guest: &mut Guest, group: &Group| {
        guest
            .agree_on(&[group], Topic::Seldom)?
            .want("cgroup_cpuset_effective_cpus", &[("cgroup", &group.label())])
    };
    let both = cpus(guest, &group)?;
    group.write(&guest.tree, "cpuset", "cpuset.cpus", "1")?;
    let one = cpus(guest, &group)?;
    let child = group.child(&guest.tree, "inside")?;
    let inherited = cpus(guest, &child)?;
    ensure([both, one, inherited] == [2.0, 1.0, 1.0], || {
        format!("2, 1 and 1 CPUs are shown as {both}, {one}, {inherited}")
    })?;
    Ok(String::new())
}
