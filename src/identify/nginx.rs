//! NGINX Unit's isolated applications.
//!
//! `isolation.cgroup.path` of an application is taken below the cgroup of Unit's main process (nxt_cgroup.c), which is
//! its service's. A path that the configuration gives from the root carries no mark of Unit.

use crate::model::{Owner, OwnerLabel};

/// The services of the packages: nginx.org's and Debian's is `unit.service`.
const SERVICES: [&str; 3] = ["unit.service", "unitd.service", "nginx-unit.service"];

/// Takes in one component of a path. The application may have several: `app/python`.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    if SERVICES.contains(&above) {
        owner.set(OwnerLabel::Runtime, Some("nginx-unit"));
        owner.set(OwnerLabel::App, Some(name));
    } else if owner.get(OwnerLabel::Runtime) == Some("nginx-unit") {
        let app = owner.get(OwnerLabel::App).map(|app| format!("{app}/{name}"));
        owner.set(OwnerLabel::App, app.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::agree;

    #[test]
    fn applications_stand_below_the_service() {
        // nginx/unit, src/nxt_cgroup.c: 1.28 and later, of v2 or the v2 side of a hybrid host.
        agree(&[
            ("/system.slice/unit.service", "slice=system.slice unit=unit.service"),
            (
                "/system.slice/unit.service/shop",
                "slice=system.slice unit=unit.service app=shop runtime=nginx-unit",
            ),
            (
                "/system.slice/unit.service/app/python",
                "slice=system.slice unit=unit.service app=app/python runtime=nginx-unit",
            ),
            (
                "/system.slice/nginx-unit.service/blog",
                "slice=system.slice unit=nginx-unit.service app=blog runtime=nginx-unit",
            ),
            ("/system.slice/nginx.service/blog", "slice=system.slice unit=nginx.service"),
        ]);
    }
}
