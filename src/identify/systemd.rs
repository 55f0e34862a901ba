//! systemd's names: slices, services, scopes, the slices of users, sessions, and the applications of a desktop.
//!
//! A unit's type is its suffix (systemd.unit(5)). The innermost unit counts: what a user's own manager starts stands
//! below `user@UID.service`. Applications are named as systemd's DESKTOP_ENVIRONMENTS.md asks:
//! `app[-LAUNCHER]-ID-RANDOM.scope`, `app[-LAUNCHER]-ID[@RANDOM].service`, `app-ID.slice`, each part escaped so that no
//! `-` is left in it.

use super::{is_number, unescape};
use crate::model::{Owner, OwnerLabel};

/// The units that may have a cgroup, slices aside.
const UNITS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// Takes in one component of a path, from the root down.
pub(super) fn component(name: &str, _above: &str, owner: &mut Owner) {
    if let Some(slice) = name.strip_suffix(".slice").filter(|prefix| !prefix.is_empty()) {
        owner.set(OwnerLabel::Slice, Some(name));
        // A unit above a slice is a user's manager; what is below it is no longer that unit itself.
        owner.set(OwnerLabel::Unit, None);
        if let Some(uid) = slice.strip_prefix("user-").filter(|uid| is_number(uid)) {
            owner.set(OwnerLabel::User, Some(uid));
        }
        app(slice, "slice", owner);
        return;
    }
    let Some((prefix, kind)) =
        UNITS.iter().find_map(|suffix| Some((name.strip_suffix(suffix)?, &suffix[1..])))
    else {
        return;
    };
    if prefix.is_empty() {
        return;
    }
    owner.set(OwnerLabel::Unit, Some(name));
    match kind {
        "scope" => {
            if let Some(session) = prefix.strip_prefix("session-").filter(|session| is_session(session)) {
                owner.set(OwnerLabel::Session, Some(session));
            }
        }
        "service" => {
            if let Some(uid) = prefix.strip_prefix("user@").filter(|uid| is_number(uid)) {
                owner.set(OwnerLabel::User, Some(uid));
            }
        }
        _ => {}
    }
    app(prefix, kind, owner);
}

/// logind counts sessions, or takes the number of the kernel's audit session; one without is `c` and a number.
fn is_session(name: &str) -> bool {
    is_number(name.strip_prefix('c').unwrap_or(name))
}

/// The application in `app-…`, its launcher and what makes it unique left out.
fn app(prefix: &str, kind: &str, owner: &mut Owner) {
    let Some(rest) = prefix.strip_prefix("app-") else { return };
    let id = match kind {
        // The last part of a scope's name is there to make it unique.
        "scope" => rest.rsplit_once('-').map_or(rest, |(id, _)| id),
        "service" => match rest.split_once('@') {
            Some((id, _)) => id,
            // Launchers also make services in the form of scopes: app-rofi-foot-12775.service.
            None => rest.rsplit_once('-').filter(|(_, random)| is_number(random)).map_or(rest, |(id, _)| id),
        },
        _ => rest,
    };
    let id = id.rsplit_once('-').map_or(id, |(_, id)| id);
    let id = unescape(id);
    // An escaped D-Bus activation: `dbus-:1.37-org.a11y.atspi.Registry`.
    let id = id.strip_prefix("dbus-:").and_then(|bus| bus.split_once('-')).map_or(&*id, |(_, id)| id);
    if !id.is_empty() {
        owner.set(OwnerLabel::App, Some(id));
    }
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::agree;

    #[test]
    fn the_innermost_unit_slice_and_user_are_told() {
        agree(&[
            ("/", ""),
            // systemd 252 and 257, Debian 12 and 13, both layouts (v1: the name=systemd and memory hierarchies).
            ("/system.slice/nginx.service", "slice=system.slice unit=nginx.service"),
            ("/system.slice/nginx.service/worker", "slice=system.slice unit=nginx.service"),
            (
                "/system.slice/system-getty.slice/getty@tty1.service",
                "slice=system-getty.slice unit=getty@tty1.service",
            ),
            ("/init.scope", "unit=init.scope"),
            ("/dev-hugepages.mount", "unit=dev-hugepages.mount"),
            (
                "/system.slice/system-systemd\\x2dfsck.slice/systemd-fsck@dev-disk-by\\x2duuid.service",
                "slice=system-systemd\\x2dfsck.slice unit=systemd-fsck@dev-disk-by\\x2duuid.service",
            ),
            ("/user.slice/user-alice.slice", "slice=user-alice.slice"),
            ("/docker/0123", ""),
            ("/.service/.slice", ""),
        ]);
    }

    #[test]
    fn users_and_their_sessions() {
        agree(&[
            // systemd/systemd#8815: logind's scopes since 205; k0sproject/k0s#205: the same under v1.
            (
                "/user.slice/user-1000.slice/session-4711.scope",
                "slice=user-1000.slice unit=session-4711.scope user=1000 session=4711",
            ),
            (
                "/user.slice/user-0.slice/session-5275.scope",
                "slice=user-0.slice unit=session-5275.scope user=0 session=5275",
            ),
            // pam_systemd without an audit session, as in a container.
            (
                "/user.slice/user-1000.slice/session-c2.scope",
                "slice=user-1000.slice unit=session-c2.scope user=1000 session=c2",
            ),
            (
                "/user.slice/user-1000.slice/session-x.scope",
                "slice=user-1000.slice unit=session-x.scope user=1000",
            ),
            // systemd/systemd#15367: units of the user's manager before app.slice (245 and older).
            (
                "/user.slice/user-1000.slice/user@1000.service/run-r42e6ac3d03ec49989f380cd3116efdeb.scope",
                "slice=user-1000.slice unit=run-r42e6ac3d03ec49989f380cd3116efdeb.scope user=1000",
            ),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice", "slice=app.slice user=1000"),
            (
                "/user.slice/user-1000.slice/user@1000.service/init.scope",
                "slice=user-1000.slice unit=init.scope user=1000",
            ),
            (
                "/user.slice/user-1000.slice/user-runtime-dir@1000.service",
                "slice=user-1000.slice unit=user-runtime-dir@1000.service user=1000",
            ),
        ]);
    }

    #[test]
    fn applications_of_a_desktop() {
        const APPS: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/";
        for (name, app) in [
            // GNOME 40 and later (gnome-desktop, gnome-session): launcher "gnome".
            ("app-gnome-org.gnome.Evince-5087.scope", "org.gnome.Evince"),
            // pop-os/cosmic-app-library#242.
            ("app-cosmic-com.system76.CosmicAppList-4376.scope", "com.system76.CosmicAppList"),
            ("app-at\\x2dspi\\x2ddbus\\x2dbus@autostart.service", "at-spi-dbus-bus"),
            // flatpak/flatpak#4869 (the pid of flatpak) and #5962 (the instance, since 1.16).
            ("app-flatpak-org.mozilla.firefox-13579.scope", "org.mozilla.firefox"),
            ("app-flatpak-org.gnome.Maps-3141592653.scope", "org.gnome.Maps"),
            // KDE Plasma 5.21 (KIO), without a launcher.
            ("app-org.kde.konsole-1a2b3c4d.scope", "org.kde.konsole"),
            ("app-org.kde.dolphin@0123456789abcdef.service", "org.kde.dolphin"),
            // flatpak/xdg-desktop-portal-gtk#504: rofi's services under uwsm.
            (
                "app-rofi-signal\\x2ddesktop\\x20\\x2d\\x2dno\\x2dsandbox-12745.service",
                "signal-desktop --no-sandbox",
            ),
            ("app-firefox@1.service", "firefox"),
        ] {
            agree(&[(&format!("{APPS}{name}"), &format!("slice=app.slice unit={name} user=1000 app={app}"))]);
        }
        agree(&[
            // containers/podman#20910: GNOME Terminal's slice, each tab a scope of VTE's in it.
            (
                &format!(
                    "{APPS}app-org.gnome.Terminal.slice/vte-spawn-f22f14d2-3d44-4304-9879-3fdd0df7b08e.scope"
                ),
                "slice=app-org.gnome.Terminal.slice unit=vte-spawn-f22f14d2-3d44-4304-9879-3fdd0df7b08e.scope user=1000 app=org.gnome.Terminal",
            ),
            (
                &format!("{APPS}app-dbus\\x2d:1.37\\x2dorg.a11y.atspi.Registry.slice"),
                "slice=app-dbus\\x2d:1.37\\x2dorg.a11y.atspi.Registry.slice user=1000 app=org.a11y.atspi.Registry",
            ),
            (&format!("{APPS}dconf.service"), "slice=app.slice unit=dconf.service user=1000"),
        ]);
    }
}
