//! What is sampled, and which labels series carry.

use std::time::Duration;

use crate::config::place::{Issues, Place};
use crate::config::raw::{RawCollect, RawLabels};
use crate::config::units;
use crate::model::{Collector, CollectorSet, OwnerLabel, PathFilter, PathGlob};

/// The shortest sampling clock: below it the program would be the load that it measures.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// The longest sampling clock: above it a rate tells nothing, and a typing error is likelier.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// What is sampled, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collect {
    /// The sampling clock.
    pub interval: Duration,
    /// The cgroups that are looked at.
    pub filter: PathFilter,
    /// How many cgroup series a scrape may have.
    pub max_series: usize,
    /// How long the last numbers of a cgroup that ended wait for a scrape.
    pub linger: Duration,
    /// The collectors that are on.
    pub collectors: CollectorSet,
    /// A collector's own clock, by [`Collector`] as an index; `None` follows [`Collect::interval`].
    pub intervals: [Option<Duration>; Collector::COUNT],
    /// Whether the kernel's pressure averages (`avg10`, `avg60`, `avg300`) are exported.
    pub averages: bool,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            filter: PathFilter::default(),
            max_series: 200_000,
            linger: Duration::from_secs(300),
            collectors: CollectorSet::default(),
            intervals: [None; Collector::COUNT],
            averages: false,
        }
    }
}

/// The identity labels to put on every series, in the order of [`OwnerLabel::ALL`].
pub(super) fn labels(raw: &RawLabels, at: &Place<'_>, issues: &mut Issues) -> Vec<OwnerLabel> {
    let at = at.key("attach");
    let mut labels = Vec::new();
    for (item, label) in raw.attach.iter().flatten().enumerate() {
        if labels.contains(&label.0) {
            let message = format!("`{}` is listed twice", label.0.name());
            issues.add(&at.index(item), message, "expected each label at most once");
        } else {
            labels.push(label.0);
        }
    }
    labels.sort_unstable();
    labels
}

/// Checks `collect:`.
pub(super) fn collect(raw: &RawCollect, at: &Place<'_>, issues: &mut Issues) -> Collect {
    let mut collect = Collect::default();
    let clock = at.key("interval");
    let mut clock_good = true;
    if let Some(interval) = raw.interval {
        clock_good = within_clock(interval.0, &clock, issues);
        if clock_good {
            collect.interval = interval.0;
        }
    }
    if let Some(linger) = raw.linger {
        collect.linger = linger.0;
    }
    if let Some(max_series) = raw.max_series {
        collect.max_series = max_series.0;
    }
    collect.averages = raw.averages.unwrap_or(collect.averages);
    collect.filter = filter(raw, at, issues).unwrap_or(collect.filter);

    let collectors = at.key("collectors");
    for (name, own) in raw.collectors.iter().flatten() {
        let Some(own) = own else { continue };
        let collector = name.0;
        if let Some(on) = own.enabled {
            collect.collectors.set(collector, on);
        }
        let at = collectors.key(collector.name());
        let at = at.key("interval");
        let Some(interval) = own.interval.map(|interval| interval.0) else { continue };
        if !within_clock(interval, &at, issues) {
            continue;
        }
        if clock_good && interval < collect.interval {
            let message = format!("`{}` is shorter than the sampling clock", units::show(interval));
            let expected =
                format!("expected `collect.interval`, which is {}, or longer", units::show(collect.interval));
            issues.add(&at, message, expected).against = Some(clock.written());
        } else {
            collect.intervals[collector as usize] = Some(interval);
        }
    }
    collect
}

fn within_clock(interval: Duration, at: &Place<'_>, issues: &mut Issues) -> bool {
    let good = (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval);
    if !good {
        let (shortest, longest) = (units::show(SHORTEST_INTERVAL), units::show(LONGEST_INTERVAL));
        let what = if interval < SHORTEST_INTERVAL { "short" } else { "long" };
        issues.add(
            at,
            format!("an interval of `{}` is too {what}", units::show(interval)),
            format!("expected between {shortest} and {longest}"),
        );
    }
    good
}

fn filter(raw: &RawCollect, at: &Place<'_>, issues: &mut Issues) -> Option<PathFilter> {
    let defaults = Collect::default().filter;
    let before = issues.len();
    let mut globs = |key: &'static str, texts: &Option<Vec<String>>, default: &[PathGlob]| {
        let Some(texts) = texts else { return default.to_vec() };
        let list = at.key(key);
        let mut parsed = Vec::with_capacity(texts.len());
        for (item, text) in texts.iter().enumerate() {
            let at = list.index(item);
            match PathGlob::parse(text) {
                Ok(glob) if key == "exclude" && glob.is_everything() => {
                    let expected = "expected a narrower glob, such as `/user.slice/**`";
                    issues.add(&at, "this excludes every cgroup", expected);
                }
                Ok(glob) => parsed.push(glob),
                Err(why) => {
                    issues.add(&at, format!("bad glob `{text}`"), why);
                }
            }
        }
        if key == "include" && texts.is_empty() {
            issues.add(&list, "this includes no cgroup", "expected at least one glob, such as `/**`");
        }
        parsed
    };
    let include = globs("include", &raw.include, defaults.include());
    let exclude = globs("exclude", &raw.exclude, defaults.exclude());
    let max_depth = raw.max_depth.map_or(defaults.max_depth(), |depth| depth.0);
    if issues.len() > before {
        return None;
    }
    PathFilter::new(include, exclude, max_depth)
        .map_err(|why| {
            issues.add(at, "the globs are too large", why);
        })
        .ok()
}
