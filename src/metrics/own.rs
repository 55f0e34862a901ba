//! The program's own metrics that are counted as things happen, in a registry of the `prometheus` crate.

use crate::model::ProcessStats;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus::core::Collector as Metric;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use super::text::{self, Format, Kind};

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

const SAMPLE_DURATION: Registered = Registered {
    name: "stockade_sample_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long a pass over the cgroups took.",
};
const RENDER_DURATION: Registered = Registered {
    name: "stockade_render_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long it took to make an exposition, compression not counted.",
};
const WEB_REQUESTS: Registered = Registered {
    name: "stockade_web_requests_total",
    kind: Kind::Counter,
    labels: &["path", "code"],
    help: "Requests answered, by route and status.",
};

/// Every family of the registry.
pub(crate) const REGISTERED: &[Registered] = &[SAMPLE_DURATION, RENDER_DURATION, WEB_REQUESTS];

/// Bucket bounds in seconds, from a few cgroups to hosts where a pass is too slow for its interval.
const SAMPLE_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bucket bounds in seconds.
const RENDER_BUCKETS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// How loading the configuration went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reload {
    /// Whether the newest one was taken; none before the first.
    pub(crate) successful: Option<bool>,
    /// When the newest good one was taken.
    pub(crate) succeeded: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    reload: Reload,
    process: ProcessStats,
}

/// The program's own metrics. Shared by the threads that have something to tell.
#[derive(Debug)]
pub struct Own {
    registry: Registry,
    samples: Histogram,
    renders: Histogram,
    requests: IntCounterVec,
    state: Mutex<State>,
}

impl Own {
    /// A registry in which nothing was counted yet.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let requests =
            IntCounterVec::new(Opts::new(WEB_REQUESTS.name, WEB_REQUESTS.help), WEB_REQUESTS.labels)
                .expect("the name and the labels of a constant are valid");
        register(&registry, requests.clone());
        Self {
            samples: histogram(&registry, &SAMPLE_DURATION, SAMPLE_BUCKETS),
            renders: histogram(&registry, &RENDER_DURATION, RENDER_BUCKETS),
            requests,
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

    /// A configuration was loaded and taken, or was refused.
    pub fn reloaded(&self, successful: bool, at: SystemTime) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reload.successful = Some(successful);
        if successful {
            state.reload.succeeded = Some(at);
        }
    }

    /// Takes what `process_…` shows from now on.
    pub fn set_process(&self, process: ProcessStats) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).process = process;
    }

    pub(crate) fn told(&self) -> (Reload, ProcessStats) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.reload, state.process)
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
