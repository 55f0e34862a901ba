//! Why systemd did not do, or did not tell, what it was asked for.

use std::time::Duration;

use super::manager::Call;

/// Why a call to systemd came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// There is nobody to ask.
    #[error(
        "the system bus {bus} cannot be reached: {reason}; start dbus, or set `safety.writers.systemd` to `cgroupfs` \
         or `refuse`"
    )]
    Unreachable {
        /// The bus' address.
        bus: String,
        /// What happened.
        reason: String,
    },
    /// No answer came. What was asked for may still be done.
    #[error("systemd did not answer {call} within {after:?}; is the bus or systemd stuck?")]
    TimedOut {
        /// The method, and what it was called for.
        call: String,
        /// How long was waited.
        after: Duration,
    },
    /// The bus or systemd lets only others do it.
    #[error(
        "systemd refuses {call} to this user: {reason}; run as root, or allow org.freedesktop.systemd1.manage-units \
         in polkit"
    )]
    Denied {
        /// The method, and what it was called for.
        call: String,
        /// What the bus said.
        reason: String,
    },
    /// No unit has this name, or no longer.
    #[error("systemd has no unit {0} any more")]
    NoSuchUnit(String),
    /// This version of systemd, or this kind of unit, has no such thing.
    #[error("systemd cannot do {call}: {reason}")]
    Unsupported {
        /// The method, and what it was called for.
        call: String,
        /// What systemd said.
        reason: String,
    },
    /// systemd said no for another reason.
    #[error("systemd refused {call}: {reason}")]
    Refused {
        /// The method, and what it was called for.
        call: String,
        /// What systemd said.
        reason: String,
    },
}

impl BusError {
    /// What an error of D-Bus means, by its name (`org.freedesktop.DBus.Error.AccessDenied`).
    pub(super) fn named(name: &str, called: &Call<'_>, reason: &str) -> Self {
        let (call, reason) = (called.named(), reason.to_owned());
        let short = name.rsplit('.').next().unwrap_or(name);
        match short {
            "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed" => {
                Self::Denied { call, reason }
            }
            "NoSuchUnit" | "UnknownObject" | "NoUnitForPID" | "LoadFailed" => {
                Self::NoSuchUnit(called.unit.to_owned())
            }
            "NotSupported" | "UnknownMethod" | "UnknownProperty" | "UnknownInterface"
            | "PropertyReadOnly" | "NoSuchProperty" => Self::Unsupported { call, reason },
            "Timeout" | "TimedOut" | "NoReply" => Self::TimedOut { call, after: called.deadline },
            _ if reason.contains("does not support freezing") => Self::Unsupported { call, reason },
            _ => Self::Refused { call, reason: format!("{reason} ({short})") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_bus_say_what_to_do() {
        let named = |name: &str| BusError::named(name, &Call::manager("FreezeUnit", "a.service"), "why");
        let denied = named("org.freedesktop.DBus.Error.AccessDenied");
        assert!(
            matches!(denied, BusError::Denied { .. }) && denied.to_string().contains("polkit"),
            "{denied}"
        );
        assert_eq!(
            named("org.freedesktop.systemd1.NoSuchUnit"),
            BusError::NoSuchUnit("a.service".to_owned())
        );
        assert!(matches!(named("org.freedesktop.DBus.Error.UnknownMethod"), BusError::Unsupported { .. }));
        let other = named("org.freedesktop.systemd1.OnlyByDependency");
        assert!(other.to_string().contains("OnlyByDependency"), "{other}");
    }
}
