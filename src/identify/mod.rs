//! PURE: whom a cgroup belongs to, as far as its path tells, and what the files of its runtime add. No daemon is asked.
//!
//! The components of the path are looked at from the root down, so that the innermost owner counts: a container in a
//! pod, a unit in a container. A component that no rule knows changes nothing, so what is below a container still
//! belongs to it.
//!
//! Names are whatever their makers chose: two containers may claim one name, and a name is no proof of anything. A
//! container's id is in `container_id`, and stays when a name is found.

mod containers;
mod kubernetes;
mod nginx;
pub mod places;
mod slurm;
pub mod state;
mod systemd;

use crate::model::{Identity, Owner, OwnerLabel, display_path};

/// What one component of a path tells, if a rule knows it: its name, and the name above it.
type Rule = fn(&str, &str, &mut Owner);

/// In this order, so that a rule may say more than one before it.
const RULES: [Rule; 5] =
    [systemd::component, kubernetes::component, containers::component, slurm::component, nginx::component];

/// The identity of the cgroup with this path and kernel id.
#[must_use]
pub fn identify(path: &[u8], id: u64) -> Identity {
    let display = display_path(path);
    Identity { owner: owner(&display), path: path.into(), display: display.into(), id }
}

/// Takes in who owns the directory. The user that the path names counts more; and whoever owns the hierarchy's root makes
/// directories for others, so that nothing follows from that.
pub fn owned_by(uid: u32, of_root: u32, owner: &mut Owner) {
    if uid != of_root && owner.get(OwnerLabel::User).is_none() {
        owner.set(OwnerLabel::User, Some(&uid.to_string()));
    }
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

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Undoes systemd's `\\x2d` (systemd.unit(5), string escaping).
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.strip_prefix(b"x").and_then(|digits| digits.get(..2)).filter(|_| byte == b'\\');
        let value = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    // What an escape makes is as hostile as any other name.
    display_path(&bytes)
}

#[cfg(test)]
mod tests {
    use super::{identify, owned_by, owner, unescape};
    use crate::model::OwnerLabel;

    /// A container's id.
    pub(super) const ID: &str = "9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";

    /// The parts of a path's owner that are known, as `label=value`.
    pub(super) fn told(path: &str) -> String {
        let owner = owner(path);
        let part = |&label: &OwnerLabel| Some(format!("{}={}", label.name(), owner.get(label)?));
        OwnerLabel::ALL.iter().filter_map(part).collect::<Vec<_>>().join(" ")
    }

    /// Holds the owners of paths to what is expected of them.
    pub(super) fn agree(table: &[(&str, &str)]) {
        for (path, expected) in table {
            assert_eq!(told(path), *expected, "{path}");
        }
    }

    #[test]
    fn escapes_are_undone_and_cannot_be_used_to_hide() {
        assert_eq!(unescape("a\\x2db"), "a-b");
        assert_eq!(unescape("a\\x2"), "a\\x2");
        assert_eq!(unescape("a\\xzz\\"), "a\\xzz\\");
        assert_eq!(unescape("a\\x0a\\xff"), "a\u{fffd}0a\u{fffd}ff");
    }

    #[test]
    fn who_owns_the_directory_is_the_user_where_the_path_names_none() {
        for (path, uid, user) in [
            ("/srv/job", 1000, Some("1000")),
            ("/srv/job", 0, None),
            ("/user.slice/user-7.slice/x", 1000, Some("7")),
            ("/slurm/uid_9/job_1", 0, Some("9")),
        ] {
            let mut owner = identify(path.as_bytes(), 1).owner;
            owned_by(uid, 0, &mut owner);
            assert_eq!(owner.get(OwnerLabel::User), user, "{path} of {uid}");
        }
    }
}
