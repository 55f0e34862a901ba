//! PURE: whom a cgroup belongs to, as far as its path tells. No daemon is asked, no other file is read.
//!
//! The components of the path are looked at from the root down, so that the innermost owner counts: a container in a
//! pod, a unit in a container. A component that no rule knows changes nothing, so what is below a container still
//! belongs to it.

mod containers;
mod kubernetes;
mod slurm;
mod systemd;

use crate::model::{Identity, Owner, display_path};

/// What one component of a path tells, if a rule knows it: its name, and the name above it.
type Rule = fn(&str, &str, &mut Owner);

/// In this order, so that a rule may say more than one before it.
const RULES: [Rule; 4] = [systemd::component, kubernetes::component, containers::component, slurm::component];

/// The identity of the cgroup with this path and kernel id.
#[must_use]
pub fn identify(path: &[u8], id: u64) -> Identity {
    let display = display_path(path);
    Identity { owner: owner(&display), path: path.into(), display: display.into(), id }
}

fn owner(path: &str) -> Owner {
    let mut owner = Owner::default();
    let mut above = "";
    for name in path.split('/').filter(|name| !name.is_empty()) {
        RULES.iter().for_each(|rule| rule(name, above, &mut owner));
        above = name;
    }
    owner
}

#[cfg(test)]
mod tests {
    use super::owner;
    use crate::model::OwnerLabel;

    /// The parts of a path's owner that are known, as `label=value`.
    pub(super) fn told(path: &str) -> String {
        let owner = owner(path);
        let part = |&label: &OwnerLabel| Some(format!("{}={}", label.name(), owner.get(label)?));
        OwnerLabel::ALL.iter().filter_map(part).collect::<Vec<_>>().join(" ")
    }
}
