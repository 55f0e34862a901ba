//! Whether this process may do what it is told to enforce. Found out before it is ready, instead of action by action.

use std::path::PathBuf;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

use crate::config::Config;
use crate::kernel::layout::Layout;
use crate::kernel::survey::missing_capabilities;
use crate::policy::rule::{Action, Mode};

/// A right that enforcement needs and this process has not.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The control files cannot be written by anybody.
    #[error(
        "`safety.mode` is `enforce`, and {} is mounted read-only: mount it read-write (a systemd unit: \
         ProtectControlGroups=no, as in stockade.service; a container: the volume without readOnly), \
         or set `safety.mode` to `dry_run`", mount.display()
    )]
    ReadOnly {
        /// Where the hierarchy is mounted.
        mount: PathBuf,
    },
    /// The kernel will refuse.
    #[error(
        "`safety.mode` is `enforce`, and this process lacks {name}: {cost}; add it (a systemd unit: \
         CapabilityBoundingSet=; a container: capabilities.add), or set `safety.mode` to `dry_run`"
    )]
    Capability {
        /// Its name.
        name: &'static str,
        /// What cannot be done without it.
        cost: &'static str,
    },
}

/// Holds the mode against what this process may do.
///
/// Whoever is not root and keeps to a scope enforces on what was delegated to them, which takes no capability.
///
/// # Errors
/// The first right that is missing. None is where nothing is enforced.
pub(super) fn check(config: &Config, layout: &Layout) -> Result<(), RightsError> {
    if config.safety.mode != Mode::Enforce {
        return Ok(());
    }
    // What cannot be asked is left to the first write.
    let read_only =
        |mount: &PathBuf| statvfs(mount).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
    if let Some(mount) = layout.hierarchies.iter().map(|found| &found.mount).find(|mount| read_only(mount)) {
        return Err(RightsError::ReadOnly { mount: mount.clone() });
    }
    if !geteuid().is_root() && config.safety.scope.is_some() {
        return Ok(());
    }
    let kills = config.rules.policies.iter().any(|policy| {
        policy.mode.unwrap_or(Mode::Enforce) == Mode::Enforce
            && policy.steps.iter().any(|step| matches!(step.action, Action::Kill(_)))
    });
    let needed = |name| name == "CAP_DAC_OVERRIDE" || (name == "CAP_KILL" && kills);
    match missing_capabilities().into_iter().find(|missing| needed(missing.name)) {
        Some(missing) => Err(RightsError::Capability { name: missing.name, cost: missing.cost }),
        None => Ok(()),
    }
}
