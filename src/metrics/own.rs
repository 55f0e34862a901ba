//! The program's own metrics that are counted as things happen, in a registry of the `prometheus` crate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus::core::Collector as Metric;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::registered::{
    AUTH_FAILURES, DECISIONS, DRIFT, EVALUATION_BUCKETS, EVALUATION_DURATION, HANDSHAKE_FAILURES,
    PASSWORDS_HASHED, REACTION, REACTION_BUCKETS, RENDER_BUCKETS, RENDER_DURATION, Registered,
    SAMPLE_BUCKETS, SAMPLE_DURATION, WAKES, WEB_REQUESTS,
};
use super::text::{self, Format, Kind};
use crate::enforce::order::Outcome;
use crate::model::ProcessStats;

/// What enforcement is about to do, as it stands now. Empty where there are no rules.
#[derive(Clone, Debug, Default)]
pub struct Enforcement {
    /// The mode in force; none where there are no rules.
    pub mode: Option<&'static str>,
    /// What is in force in the kernel: the rule, the action, on how many cgroups.
    pub active: Vec<(Arc<str>, &'static str, u64)>,
    /// Where the policies stand: the policy, the state, how many cgroups are in it.
    pub states: Vec<(Arc<str>, &'static str, u64)>,
    /// Kernel triggers that would wake the policies.
    pub triggers: u64,
    /// Changes in the journal that are to be undone.
    pub journal_open: u64,
    /// Bytes of torn or corrupt journal that were set aside.
    pub journal_torn_bytes: u64,
    /// Audit lines that could not be written.
    pub audit_faults: u64,
    /// Notifications that reached nobody.
    pub notify_faults: u64,
}

/// How loading the configuration went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reload {
    /// Whether the newest one was taken; none before the first.
    pub(crate) successful: Option<bool>,
    /// When the newest good one was taken.
    pub(crate) succeeded: Option<SystemTime>,
}

impl Reload {
    fn told(&mut self, successful: bool, at: SystemTime) {
        self.successful = Some(successful);
        if successful {
            self.succeeded = Some(at);
        }
    }
}

/// How loading the web configuration went, where there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WebReload {
    /// Whether the newest one was taken, and when the newest good one was.
    pub(crate) reload: Reload,
    /// When the server's certificate runs out.
    pub(crate) certificate_expiry: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    reload: Reload,
    web: WebReload,
    process: ProcessStats,
}

/// The program's own metrics. Shared by the threads that have something to tell.
#[derive(Debug)]
pub struct Own {
    registry: Registry,
    samples: Histogram,
    renders: Histogram,
    requests: IntCounterVec,
    handshake_failures: IntCounterVec,
    auth_failures: IntCounterVec,
    passwords_hashed: IntCounterVec,
    evaluations: Histogram,
    reactions: HistogramVec,
    decisions: IntCounterVec,
    drift: IntCounterVec,
    wakes: IntCounterVec,
    enforcement: Mutex<Enforcement>,
    state: Mutex<State>,
    /// How many decisions, drifts and reloads were told.
    generation: AtomicU64,
}

impl Own {
    /// A registry in which nothing was counted yet.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let reactions = HistogramVec::new(
            HistogramOpts::new(REACTION.name, REACTION.help).buckets(REACTION_BUCKETS.to_vec()),
            REACTION.labels,
        )
        .expect("the name, the labels and the rising buckets of a constant are valid");
        register(&registry, reactions.clone());
        Self {
            evaluations: histogram(&registry, &EVALUATION_DURATION, EVALUATION_BUCKETS),
            reactions,
            decisions: counters(&registry, &DECISIONS),
            drift: counters(&registry, &DRIFT),
            wakes: counters(&registry, &WAKES),
            enforcement: Mutex::default(),
            generation: AtomicU64::new(0),
            samples: histogram(&registry, &SAMPLE_DURATION, SAMPLE_BUCKETS),
            renders: histogram(&registry, &RENDER_DURATION, RENDER_BUCKETS),
            requests: counters(&registry, &WEB_REQUESTS),
            handshake_failures: counters(&registry, &HANDSHAKE_FAILURES),
            auth_failures: counters(&registry, &AUTH_FAILURES),
            passwords_hashed: counters(&registry, &PASSWORDS_HASHED),
            registry,
            state: Mutex::default(),
        }
    }

    /// A pass over the cgroups took so long.
    pub fn sampled(&self, took: Duration) {
        self.samples.observe(took.as_secs_f64());
    }

    /// An exposition took so long to make.
    pub fn rendered(&self, took: Duration) {
        self.renders.observe(took.as_secs_f64());
    }

    /// A request was answered. `path` is the route, never the client's own text: each one is a series for ever.
    pub fn answered(&self, path: &'static str, code: u16) {
        self.requests.with_label_values(&[path, itoa::Buffer::new().format(code)]).inc();
    }

    /// A TLS connection did not come about, for one of a few reasons.
    pub fn handshake_failed(&self, reason: &'static str) {
        self.handshake_failures.with_label_values(&[reason]).inc();
    }

    /// Makes the series of handshakes that may fail, at zero: an increase from nothing is seen by no alert.
    pub fn expect_handshakes(&self, reasons: impl Iterator<Item = &'static str>) {
        for reason in reasons {
            let _ = self.handshake_failures.with_label_values(&[reason]);
        }
    }

    /// Makes the series of requests that may not be let in, at zero.
    pub fn expect_auths(&self, reasons: impl Iterator<Item = &'static str>) {
        for reason in reasons {
            let _ = self.auth_failures.with_label_values(&[reason]);
        }
        let _ = self.passwords_hashed.with_label_values::<&str>(&[]);
    }

    /// A request was not let in, for one of a few reasons.
    pub fn auth_failed(&self, reason: &'static str) {
        self.auth_failures.with_label_values(&[reason]).inc();
    }

    /// A password was held against a hash.
    pub fn password_hashed(&self) {
        self.passwords_hashed.with_label_values::<&str>(&[]).inc();
    }

    /// Every rule was judged, which took so long.
    pub fn evaluated(&self, took: Duration) {
        self.evaluations.observe(took.as_secs_f64());
    }

    /// The policies were judged between two passes.
    pub fn woken(&self, cause: &'static str) {
        self.wakes.with_label_values(&[cause]).inc();
    }

    /// A decision was made, and this came of it. A rule's name is one of the configuration's, so that the series are
    /// bounded.
    pub fn decided(&self, rule: &str, action: &'static str, outcome: Outcome) {
        self.decisions.with_label_values(&[rule, action, outcome.name()]).inc();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Makes the series of a rule's action, at zero: an increase from nothing is seen by no alert.
    pub fn expect_decisions(&self, rule: &str, action: &'static str) {
        for outcome in Outcome::ALL {
            let _ = self.decisions.with_label_values(&[rule, action, outcome.name()]);
        }
    }

    /// Makes the series of a control that a rule keeps, at zero, for the same reason.
    pub fn expect_drift(&self, rule: &str, file: &str) {
        for answer in ["yield", "reassert"] {
            let _ = self.drift.with_label_values(&[rule, file, answer]);
        }
    }

    /// An action took effect, so long after what led to it was noticed.
    pub fn reacted(&self, action: &'static str, after: Duration) {
        self.reactions.with_label_values(&[action]).observe(after.as_secs_f64());
    }

    /// Somebody else wrote a control that a rule keeps.
    pub fn drifted(&self, rule: &str, file: &str, answer: &'static str) {
        self.drift.with_label_values(&[rule, file, answer]).inc();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Takes what enforcement is about to do, as it stands now.
    pub fn set_enforcement(&self, enforcement: Enforcement) {
        *self.enforcement.lock().unwrap_or_else(PoisonError::into_inner) = enforcement;
    }

    pub(crate) fn enforcement(&self) -> Enforcement {
        self.enforcement.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A configuration was loaded and taken, or was refused.
    pub fn reloaded(&self, successful: bool, at: SystemTime) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reload.told(successful, at);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A web configuration was loaded and is in force, with a certificate that runs out then.
    pub fn web_reloaded(&self, at: SystemTime, certificate_expiry: Option<SystemTime>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.web.reload.told(true, at);
        state.web.certificate_expiry = certificate_expiry;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A web configuration was refused, and the one before stays in force.
    pub fn web_refused(&self, at: SystemTime) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).web.reload.told(false, at);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Another number after each decision, drift and reload.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Takes what `process_…` shows from now on.
    pub fn set_process(&self, process: ProcessStats) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).process = process;
    }

    pub(crate) fn told(&self) -> (Reload, WebReload, ProcessStats) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.reload, state.web, state.process)
    }

    /// Appends the registry's families.
    pub(crate) fn encode(&self, format: Format, out: &mut Vec<u8>) {
        for family in self.registry.gather() {
            encode_family(&family, format, out);
        }
    }
}

impl Default for Own {
    fn default() -> Self {
        Self::new()
    }
}

fn histogram(registry: &Registry, family: &Registered, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    let histogram =
        Histogram::with_opts(options).expect("the name and the rising buckets of a constant are valid");
    register(registry, histogram.clone());
    histogram
}

fn counters(registry: &Registry, family: &Registered) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(family.name, family.help), family.labels)
        .expect("the name and the labels of a constant are valid");
    register(registry, counters.clone());
    counters
}

fn register(registry: &Registry, metric: impl Metric + 'static) {
    registry.register(Box::new(metric)).expect("the families of the registry have names of their own");
}

fn encode_family(family: &MetricFamily, format: Format, out: &mut Vec<u8>) {
    let name = family.name();
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::HISTOGRAM => Kind::Histogram,
        // The registry holds what `Own` makes: no summaries and nothing untyped.
        _ => Kind::Gauge,
    };
    text::header(out, format, name, kind, family.help());
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match kind {
            Kind::Histogram => {
                let histogram = metric.get_histogram();
                for bucket in histogram.get_bucket() {
                    sample(out, name, "_bucket", labels, Some(bucket.upper_bound()), |out| {
                        whole(out, bucket.cumulative_count());
                    });
                }
                let count = histogram.get_sample_count();
                sample(out, name, "_bucket", labels, Some(f64::INFINITY), |out| whole(out, count));
                sample(out, name, "_sum", labels, None, |out| text::float(out, histogram.get_sample_sum()));
                sample(out, name, "_count", labels, None, |out| whole(out, count));
            }
            Kind::Counter => {
                sample(out, name, "", labels, None, |out| text::float(out, metric.get_counter().get_value()))
            }
            Kind::Gauge | Kind::Info => {
                sample(out, name, "", labels, None, |out| text::float(out, metric.get_gauge().get_value()));
            }
        }
    }
}

fn whole(out: &mut Vec<u8>, value: u64) {
    text::number(out, value, text::Scale::One);
}

fn sample(
    out: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    bound: Option<f64>,
    value: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    let start = out.len();
    for pair in labels {
        text::label(out, pair.name(), pair.value());
    }
    if let Some(bound) = bound {
        out.extend_from_slice(b",le=\"");
        text::bound(out, bound);
        out.push(b'"');
    }
    if let Some(first) = out.get_mut(start) {
        *first = b'{';
        out.push(b'}');
    }
    out.push(b' ');
    value(out);
    out.push(b'\n');
}
