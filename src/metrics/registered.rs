//! The families of the registry, as data.

use super::text::Kind;

/// A family of the registry, as data: the registry and the documentation are both made from it.
pub(crate) struct Registered {
    /// The name, with `_total` on counters.
    pub(crate) name: &'static str,
    /// Its type.
    pub(crate) kind: Kind,
    /// Its labels.
    pub(crate) labels: &'static [&'static str],
    /// What it says.
    pub(crate) help: &'static str,
}

pub(super) const SAMPLE_DURATION: Registered = Registered {
    name: "stockade_sample_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long a pass over the cgroups took.",
};
pub(super) const RENDER_DURATION: Registered = Registered {
    name: "stockade_render_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long it took to make an exposition, compression not counted.",
};
pub(super) const WEB_REQUESTS: Registered = Registered {
    name: "stockade_web_requests_total",
    kind: Kind::Counter,
    labels: &["path", "code"],
    help: "Requests answered, by route and status.",
};
pub(super) const HANDSHAKE_FAILURES: Registered = Registered {
    name: "stockade_web_tls_handshake_failures_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "TLS connections that did not come about, by reason.",
};
pub(super) const AUTH_FAILURES: Registered = Registered {
    name: "stockade_web_auth_failures_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Requests without a user and the right password, by reason.",
};
pub(super) const PASSWORDS_HASHED: Registered = Registered {
    name: "stockade_web_password_hashes_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Passwords held against a hash; those that are remembered cost nothing and are not counted.",
};

pub(super) const EVALUATION_DURATION: Registered = Registered {
    name: "stockade_evaluation_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long it took to judge every policy and standing limit on a snapshot, or on what woke it.",
};
pub(super) const REACTION: Registered = Registered {
    name: "stockade_reaction_seconds",
    kind: Kind::Histogram,
    labels: &["action"],
    help: "From the moment at which what led to an action was noticed to its effect in the kernel.",
};
pub(super) const DECISIONS: Registered = Registered {
    name: "stockade_decisions_total",
    kind: Kind::Counter,
    labels: &["policy", "action", "outcome"],
    help: "Decisions by rule, action and what came of them, those that were refused included.",
};
pub(super) const DRIFT: Registered = Registered {
    name: "stockade_drift_total",
    kind: Kind::Counter,
    labels: &["policy", "file", "answer"],
    help: "Writes by others to controls that a rule keeps, and whether the rule yielded or reasserted its value.",
};
pub(super) const WAKES: Registered = Registered {
    name: "stockade_wakes_total",
    kind: Kind::Counter,
    labels: &["cause"],
    help: "Times that policies were judged between two passes, by what woke them.",
};

/// Every family of the registry.
pub(crate) const REGISTERED: &[Registered] = &[
    SAMPLE_DURATION,
    RENDER_DURATION,
    WEB_REQUESTS,
    HANDSHAKE_FAILURES,
    AUTH_FAILURES,
    PASSWORDS_HASHED,
    EVALUATION_DURATION,
    REACTION,
    DECISIONS,
    DRIFT,
    WAKES,
];

/// Bucket bounds in seconds, from a few cgroups to hosts where a pass is too slow for its interval.
pub(super) const SAMPLE_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bucket bounds in seconds.
pub(super) const RENDER_BUCKETS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// Bucket bounds in seconds: an evaluation is microseconds a policy and cgroup.
pub(super) const EVALUATION_BUCKETS: &[f64] =
    &[0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
/// Bucket bounds in seconds, from a write that is done at once to a grace that was waited for.
pub(super) const REACTION_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
