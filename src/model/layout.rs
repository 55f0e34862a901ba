//! How this host mounts its control groups.

/// The version of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// A v1 hierarchy, one or a few controllers each.
    V1,
    /// The cgroup2 hierarchy.
    V2,
}

impl Version {
    /// `v1` or `v2`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// Which of the three layouts a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LayoutKind {
    /// One cgroup2 mount and nothing else.
    Unified,
    /// v1 hierarchies and a cgroup2 mount.
    Hybrid,
    /// v1 hierarchies alone.
    Legacy,
}

impl LayoutKind {
    /// The name in metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Hybrid => "hybrid",
            Self::Legacy => "legacy",
        }
    }
}
