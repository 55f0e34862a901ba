//! PURE: whom a cgroup belongs to, as far as its path tells.

mod systemd;

use crate::model::{Identity, Owner, display_path};

/// The identity of the cgroup with this path and kernel id.
#[must_use]
pub fn identify(path: &[u8], id: u64) -> Identity {
    let display = display_path(path);
    Identity { owner: owner(&display), path: path.into(), display: display.into(), id }
}

fn owner(path: &str) -> Owner {
    let mut owner = Owner::default();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        systemd::component(name, &mut owner);
    }
    owner
}
