//! systemd, asked and told over the system bus: which unit a cgroup is, its properties, freezing, signals, jobs.
//!
//! systemd is the single writer of the attributes of the cgroups that it made
//! (<https://systemd.io/CGROUP_DELEGATION/>): what somebody else writes there is undone by its next reload. What it is
//! told through `org.freedesktop.systemd1` stays, and is shown by `systemctl show`.
//!
//! - [`manager`]: the bus and its troubles: it is gone, it is slow, systemd executes itself anew.
//! - [`oom`]: what is done with units when memory runs out.
//! - [`mod@unit`]: one unit, and everything that is done to one.
//! - [`property`]: PURE: controls as a unit's properties.
//!
//! The bus' own socket is used, not systemd's private one (`/run/systemd/private`): the answers that come over that one
//! have no valid sender, and the D-Bus library gives up on such.

pub mod error;
pub mod manager;
pub mod oom;
pub mod property;
pub mod unit;

pub use error::BusError;
pub use manager::Manager;
pub use oom::{Afterwards, Managed};
pub use unit::{Kept, Unit};
