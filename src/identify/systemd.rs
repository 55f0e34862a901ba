//! systemd's names: slices, services, scopes, and the slices of users.
//!
//! A unit's type is its suffix (systemd.unit(5)). The innermost unit counts: what a user's own manager starts stands
//! below `user@UID.service`.

use crate::model::{Owner, OwnerLabel};

/// Takes in one component of a path, from the root down.
pub(super) fn component(name: &str, _above: &str, owner: &mut Owner) {
    if let Some(slice) = name.strip_suffix(".slice").filter(|prefix| !prefix.is_empty()) {
        owner.set(OwnerLabel::Slice, Some(name));
        // A unit above a slice is a user's manager; what is below it is no longer that unit itself.
        owner.set(OwnerLabel::Unit, None);
        if let Some(uid) =
            slice.strip_prefix("user-").filter(|uid| uid.bytes().all(|byte| byte.is_ascii_digit()))
        {
            owner.set(OwnerLabel::User, Some(uid));
        }
    } else if [".service", ".scope", ".socket", ".mount", ".swap"]
        .iter()
        .any(|suffix| name.strip_suffix(suffix).is_some_and(|prefix| !prefix.is_empty()))
    {
        owner.set(OwnerLabel::Unit, Some(name));
    }
}

#[cfg(test)]
mod tests {
    use crate::identify::identify;
    use crate::model::OwnerLabel;

    #[test]
    fn the_innermost_unit_slice_and_user_are_told() {
        for (path, slice, unit, user) in [
            ("/", None, None, None),
            ("/system.slice/nginx.service", Some("system.slice"), Some("nginx.service"), None),
            ("/system.slice/nginx.service/worker", Some("system.slice"), Some("nginx.service"), None),
            (
                "/user.slice/user-1000.slice/session-2.scope",
                Some("user-1000.slice"),
                Some("session-2.scope"),
                Some("1000"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox@1.service",
                Some("app.slice"),
                Some("app-firefox@1.service"),
                Some("1000"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice",
                Some("app.slice"),
                None,
                Some("1000"),
            ),
            ("/user.slice/user-alice.slice", Some("user-alice.slice"), None, None),
            ("/docker/0123", None, None, None),
            ("/.service/.slice", None, None, None),
        ] {
            let owner = identify(path.as_bytes(), 1).owner;
            let part = |label| owner.get(label);
            assert_eq!(
                (part(OwnerLabel::Slice), part(OwnerLabel::Unit), part(OwnerLabel::User)),
                (slice, unit, user),
                "{path}"
            );
        }
    }
}
