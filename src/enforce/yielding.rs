//! PURE: which cgroups are left to other programs that end processes for want of memory: `safety.yield_to`.

use std::collections::BTreeSet;

use crate::model::PathMatcher;

/// Kinds of units that systemd-oomd may be told to look after.
const KINDS: [&[u8]; 3] = [b".slice", b".service", b".scope"];

/// Another program that ends processes for want of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guardian {
    /// `systemd-oomd.service(8)`: units with `ManagedOOMSwap=kill` or `ManagedOOMMemoryPressure=kill`.
    SystemdOomd,
    /// `oomd(8)`: what the `cgroup` patterns of its kill plugins match.
    Oomd,
}

impl Guardian {
    /// The name, as the configuration has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SystemdOomd => "systemd-oomd",
            Self::Oomd => "oomd",
        }
    }

    /// The unit that runs it.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::SystemdOomd => "systemd-oomd.service",
            Self::Oomd => "oomd.service",
        }
    }
}

/// What one of them looks after.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Who.
    pub guardian: Guardian,
    /// Which cgroups; those below them are meant as well.
    pub area: Area,
    /// By what that is so: `ManagedOOMSwap=kill of user.slice`.
    pub because: String,
}

/// Cgroups and all that is below them.
#[derive(Clone, Debug)]
pub enum Area {
    /// The cgroup at this path.
    At(Box<[u8]>),
    /// Those whose path matches.
    Matching(PathMatcher),
}

impl Area {
    /// Whether a cgroup is one of them, or below one.
    fn holds(&self, path: &[u8]) -> bool {
        upwards(path).any(|above| match self {
            Self::At(top) => **top == *above,
            Self::Matching(pattern) => pattern.is_match(above),
        })
    }
}

/// What is left to others, as it was found out last.
#[derive(Clone, Debug, Default)]
pub struct Yielding {
    /// What they look after.
    pub charges: Vec<Charge>,
    /// The cgroups of all units that systemd had then, where it matters which of them have a setting of their own.
    pub asked: Option<BTreeSet<Box<[u8]>>>,
    /// What could not be found out, and why.
    pub unknown: Vec<(Guardian, String)>,
}

impl Yielding {
    /// Nothing is known of these.
    #[must_use]
    pub fn unknown(guardians: &[Guardian], why: &str) -> Self {
        let unknown = guardians.iter().map(|guardian| (*guardian, why.to_owned())).collect();
        Self { unknown, ..Self::default() }
    }

    /// The cgroup of a unit, the one at this path or above it, that systemd did not have yet when it was asked.
    #[must_use]
    pub fn not_asked<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let asked = self.asked.as_ref()?;
        let mut way: Vec<&[u8]> = upwards(path).filter(|above| *above != b"/").collect();
        way.reverse();
        for above in way {
            if KINDS.iter().any(|kind| above.ends_with(kind)) && !asked.contains(above) {
                return Some(above);
            }
            // What is below a service or a scope is no unit of this systemd, whatever it is called.
            if !above.ends_with(b".slice") {
                break;
            }
        }
        None
    }

    /// Why a cgroup is left to somebody else, where it is. What is not known is left alone.
    #[must_use]
    pub fn reason(&self, path: &[u8], display: &str) -> Option<String> {
        if let Some(charge) = self.charges.iter().find(|charge| charge.area.holds(path)) {
            return Some(format!(
                "`safety.yield_to` leaves {display} to {}: {}",
                charge.guardian.name(),
                charge.because
            ));
        }
        let not_known = |guardian: Guardian, why: &str| {
            format!(
                "`safety.yield_to` names {}, and whether it looks after {display} is not known: {why}",
                guardian.name()
            )
        };
        if let Some((guardian, why)) = self.unknown.first() {
            return Some(not_known(*guardian, why));
        }
        let new = self.not_asked(path)?;
        let new = String::from_utf8_lossy(new);
        Some(not_known(Guardian::SystemdOomd, &format!("{new} is new, and systemd is asked about it")))
    }
}

/// A path, and those above it up to the root.
fn upwards(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| {
        let slash = path.iter().rposition(|&byte| byte == b'/')?;
        match (slash, path.len()) {
            (0, 1) => None,
            (0, _) => Some(&path[..1]),
            _ => Some(&path[..slash]),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &[u8], guardian: Guardian, because: &str) -> Charge {
        Charge { guardian, area: Area::At(path.into()), because: because.to_owned() }
    }

    #[test]
    fn who_looks_after_a_cgroup_looks_after_all_below_it() {
        let charges = vec![at(b"/user.slice", Guardian::SystemdOomd, "ManagedOOMSwap=kill of user.slice")];
        let yielding = Yielding { charges, ..Yielding::default() };
        for path in ["/user.slice", "/user.slice/user-1.slice/session-2.scope"] {
            let reason = yielding.reason(path.as_bytes(), path).expect("it is left to systemd-oomd");
            assert!(reason.ends_with("to systemd-oomd: ManagedOOMSwap=kill of user.slice"), "{reason}");
        }
        for path in ["/", "/user.slice2", "/system.slice/user.slice"] {
            assert_eq!(yielding.reason(path.as_bytes(), path), None);
        }
        let root = Yielding { charges: vec![at(b"/", Guardian::Oomd, "x")], ..Yielding::default() };
        assert!(root.reason(b"/a/b", "/a/b").is_some() && root.reason(b"/", "/").is_some());
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        let none = Yielding::unknown(&[Guardian::Oomd], "no bus");
        let reason = none.reason(b"/a", "/a").expect("nobody knows");
        assert!(reason.contains("names oomd") && reason.ends_with("is not known: no bus"), "{reason}");
        let asked = ["/system.slice", "/system.slice/a.service", "/user.slice/user@1.service", "/user.slice"];
        let asked = asked.iter().map(|path| path.as_bytes().into()).collect();
        let yielding = Yielding { asked: Some(asked), ..Yielding::default() };
        for known in
            ["/", "/system.slice/a.service/x.scope", "/user.slice/user@1.service/app.slice/b.service"]
        {
            assert_eq!(yielding.reason(known.as_bytes(), known), None);
        }
        assert_eq!(yielding.not_asked(b"/system.slice/new.scope/x"), Some(&b"/system.slice/new.scope"[..]));
        let reason = yielding.reason(b"/new.slice/a", "/new.slice/a").expect("it is new");
        assert!(reason.contains("/new.slice is new"), "{reason}");
    }
}
