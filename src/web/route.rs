//! The routes, by name.

use hyper::Method;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// The landing page.
    Landing,
    /// The landing page's style sheet.
    Style,
    /// The metrics.
    Metrics,
    /// `/-/healthy`.
    Healthy,
    /// `/-/ready`.
    Ready,
    /// `/-/reload`.
    Reload,
    /// `/api/v1/status`.
    Status,
    /// `/api/v1/cgroups`.
    Cgroups,
    /// `/api/v1/cgroup`.
    Cgroup,
    /// `/cgroup`: one cgroup as a page.
    CgroupPage,
    /// `/api/v1/policies`.
    Policies,
    /// `/api/v1/decisions`.
    Decisions,
    /// Any other path.
    Unknown,
}

impl Route {
    /// Every route, in order.
    pub const ALL: &'static [Self] = &[
        Self::Landing,
        Self::Style,
        Self::Metrics,
        Self::Healthy,
        Self::Ready,
        Self::Reload,
        Self::Status,
        Self::Cgroups,
        Self::Cgroup,
        Self::CgroupPage,
        Self::Policies,
        Self::Decisions,
        Self::Unknown,
    ];

    /// A short, fixed word: the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Landing => "landing",
            Self::Style => "style",
            Self::Metrics => "metrics",
            Self::Healthy => "healthy",
            Self::Ready => "ready",
            Self::Reload => "reload",
            Self::Status => "status",
            Self::Cgroups => "cgroups",
            Self::Cgroup => "cgroup",
            Self::CgroupPage => "cgroup_page",
            Self::Policies => "policies",
            Self::Decisions => "decisions",
            Self::Unknown => "unknown",
        }
    }

    /// The methods that it takes, as in an `Allow` header.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Self::Reload => "PUT, POST",
            _ => "GET, HEAD",
        }
    }

    pub(super) fn takes(self, method: &Method) -> bool {
        self.allow().split(", ").any(|taken| taken == method.as_str())
    }
}
