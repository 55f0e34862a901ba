//! PURE: who manages a cgroup, and how that one wants it written.

use std::fmt;

use serde::Serialize;

use super::safety::{Writer, Writers};
use crate::model::{Identity, OwnerLabel};

/// Who manages a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ownership {
    /// systemd made it for this unit: systemd itself says so.
    Systemd {
        /// The unit's name: `nginx.service`.
        unit: Box<str>,
    },
    /// It looks like systemd's by its name alone. systemd is asked when something is to be done.
    Named {
        /// The unit or slice that its path names.
        unit: Box<str>,
    },
    /// It is inside of this unit, which systemd has given to nobody.
    Within {
        /// The unit's name.
        unit: Box<str>,
    },
    /// systemd gave it away: it lies below a unit with `Delegate=yes`.
    Delegated,
    /// A container runtime made it.
    Runtime {
        /// The runtime's name: `docker`.
        runtime: Box<str>,
    },
    /// Nobody else.
    #[default]
    Unowned,
    /// It cannot be told.
    Unknown {
        /// Why.
        reason: Box<str>,
    },
}

impl Ownership {
    /// Who manages a cgroup, as far as its names tell: a runtime's containers are known by their paths, and what has the
    /// name of a unit or slice is taken for systemd's where systemd is the host's service manager.
    #[must_use]
    pub fn named(identity: &Identity, systemd: bool) -> Self {
        let owner = &identity.owner;
        if let Some(runtime) = owner.get(OwnerLabel::Runtime) {
            return Self::Runtime { runtime: runtime.into() };
        }
        let unit = owner.get(OwnerLabel::Unit).or_else(|| owner.get(OwnerLabel::Slice));
        match unit.filter(|_| systemd) {
            Some(unit) => Self::Named { unit: unit.into() },
            None => Self::Unowned,
        }
    }

    /// The same for a cgroup that lies below a delegated one. A runtime's containers stay the runtime's: it is whom their
    /// subtree was delegated to.
    #[must_use]
    pub fn given_away(self) -> Self {
        match self {
            Self::Named { .. } => Self::Delegated,
            other => other,
        }
    }

    /// Whether systemd is the one to ask, as far as is known.
    #[must_use]
    pub const fn is_systemd(&self) -> bool {
        matches!(self, Self::Systemd { .. } | Self::Named { .. } | Self::Within { .. })
    }

    /// The key of `safety.writers` that is about it, and what it says. Nothing where the owner is not known.
    #[must_use]
    pub const fn writer(&self, writers: &Writers) -> Option<(&'static str, Writer)> {
        match self {
            Self::Systemd { .. } | Self::Named { .. } | Self::Within { .. } => {
                Some(("systemd", writers.systemd))
            }
            Self::Runtime { .. } => Some(("runtimes", writers.runtimes)),
            Self::Delegated | Self::Unowned => Some(("unowned", writers.unowned)),
            Self::Unknown { .. } => None,
        }
    }

    /// Who manages it, and how it would be written, as a line: `systemd: nginx.service, written over D-Bus`.
    #[must_use]
    pub fn and_writer(&self, writers: &Writers) -> String {
        let way = match (self, self.writer(writers)) {
            // Nobody but the unit itself writes there.
            (Self::Within { .. }, Some((_, Writer::Dbus))) => "not written",
            (_, Some((_, Writer::Dbus))) => "written over D-Bus",
            (_, Some((_, Writer::Cgroupfs))) => "written through cgroupfs",
            (_, Some((_, Writer::Refuse))) => "not written",
            (_, None) => return self.to_string(),
        };
        format!("{self}, {way}")
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Systemd { unit } => write!(f, "systemd: {unit}"),
            Self::Named { unit } => write!(f, "systemd by its name: {unit}"),
            Self::Within { unit } => write!(f, "inside of systemd's {unit}, which is not delegated"),
            Self::Delegated => f.write_str("delegated by systemd"),
            Self::Runtime { runtime } => f.write_str(runtime),
            Self::Unowned => f.write_str("nobody"),
            Self::Unknown { reason } => write!(f, "unknown ({reason})"),
        }
    }
}

/// Whether a cgroup of this path can be a unit's, or be inside of one: by systemd's own rules for names.
pub(super) fn may_be_units(path: &[u8]) -> bool {
    const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    let is_kind = |name: &[u8]| KINDS.iter().any(|kind| name.ends_with(kind.as_bytes()));
    path == b"/" || path.ends_with(b".slice") || path.split(|&byte| byte == b'/').any(is_kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::safety::Safety;
    use crate::model::Owner;

    fn identity(labels: &[(OwnerLabel, &str)]) -> Identity {
        let mut owner = Owner::default();
        labels.iter().for_each(|(label, value)| owner.set(*label, Some(value)));
        Identity { path: b"/x"[..].into(), display: "/x".into(), id: 1, owner }
    }

    #[test]
    fn names_are_no_more_than_names() {
        let unit = identity(&[(OwnerLabel::Unit, "a.service"), (OwnerLabel::Slice, "system.slice")]);
        assert_eq!(Ownership::named(&unit, true), Ownership::Named { unit: "a.service".into() });
        assert_eq!(Ownership::named(&unit, false), Ownership::Unowned, "systemd is not this host's manager");
        assert_eq!(Ownership::named(&unit, true).given_away(), Ownership::Delegated);
        let container = identity(&[(OwnerLabel::Unit, "docker-0.scope"), (OwnerLabel::Runtime, "docker")]);
        let docker = Ownership::Runtime { runtime: "docker".into() };
        assert_eq!(Ownership::named(&container, true), docker);
        assert_eq!(Ownership::named(&container, true).given_away(), docker, "it was given to the runtime");
    }

    #[test]
    fn each_owner_has_its_writer_and_its_words() {
        let writers = Safety::default().writers;
        let unit = || Box::from("a.service");
        for (owner, line, json) in [
            (
                Ownership::Systemd { unit: unit() },
                "systemd: a.service, written over D-Bus",
                r#"{"kind":"systemd","unit":"a.service"}"#,
            ),
            (
                Ownership::Within { unit: unit() },
                "inside of systemd's a.service, which is not delegated, not written",
                r#"{"kind":"within","unit":"a.service"}"#,
            ),
            (
                Ownership::Delegated,
                "delegated by systemd, written through cgroupfs",
                r#"{"kind":"delegated"}"#,
            ),
            (
                Ownership::Runtime { runtime: "docker".into() },
                "docker, not written",
                r#"{"kind":"runtime","runtime":"docker"}"#,
            ),
            (Ownership::Unowned, "nobody, written through cgroupfs", r#"{"kind":"unowned"}"#),
            (
                Ownership::Unknown { reason: "no bus".into() },
                "unknown (no bus)",
                r#"{"kind":"unknown","reason":"no bus"}"#,
            ),
        ] {
            assert_eq!(owner.and_writer(&writers), line);
            assert_eq!(serde_json::to_string(&owner).expect("it is plain"), json);
        }
    }

    #[test]
    fn units_are_asked_for_by_what_systemd_may_have_named() {
        let units: [&[u8]; 5] = [
            b"/",
            b"/system.slice",
            b"/system.slice/nginx.service",
            b"/system.slice/nginx.service/worker",
            b"/user.slice/user-1.slice/session-1.scope",
        ];
        assert!(units.iter().all(|path| may_be_units(path)));
        let others: [&[u8]; 3] = [b"/docker/abc", b"/batch/job.1", b"/a.servicex"];
        assert!(!others.iter().any(|path| may_be_units(path)));
    }
}
