//! PURE data: what a host's control groups looked like at one moment.
//!
//! Nothing here reads a file, a clock or the environment. The kernel layer fills these types, the metrics,
//! the commands and the policies read them.

mod capabilities;
mod cgroup;
mod collector;
mod control;
mod field;
mod filter;
mod host;
mod identity;
mod knob;
mod layout;
mod namespaces;
mod process;
mod quantity;
mod rates;
mod reading;
mod report;
mod rows;
mod snapshot;
mod task;
mod timestamp;

pub use capabilities::Capabilities;
pub use cgroup::{Cgroup, Readings};
pub use collector::{Collector, CollectorSet};
pub use control::{Control, Controls, IoLimit, KnobChange, Limit};
pub use field::{Field, Unit};
pub use filter::{PathFilter, PathGlob, PathMatcher};
pub use host::{Host, HostField};
pub use identity::{Identity, Owner, OwnerLabel, display_path, parent_path, path_depth};
pub use knob::{IoRate, Knob, Value};
pub use layout::{LayoutKind, Version};
pub use namespaces::{CensusReport, Namespace, NamespaceKind, NamespaceSet, Namespaces, Shared};
pub use process::ProcessStats;
pub use quantity::Quantity;
pub use rates::{Rates, rates};
pub use reading::Reading;
pub use report::{CollectorReport, FaultKind, FaultRow, Report, WatchMethod, WriteRow, Writer};
pub use rows::{Column, Key, RowKind, Rows, Schema};
pub use snapshot::Snapshot;
pub use task::TaskState;
pub use timestamp::rfc3339;
