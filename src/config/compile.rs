//! From what is written to what is meant: defaults filled in, impossible values found.

use std::time::Duration;

use super::raw::{RawCollect, RawConfig};
use super::units;
use crate::model::{Collector, CollectorSet, OwnerLabel, PathFilter, PathGlob};

/// The shortest sampling clock: below it the program would be the load that it measures.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// The longest sampling clock: above it a rate tells nothing, and a typing error is likelier.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// A checked configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What is sampled, and when.
    pub collect: Collect,
    /// The identity labels to put on every series, in the order of [`OwnerLabel::ALL`].
    pub labels: Vec<OwnerLabel>,
}

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

/// One step of the way to a value in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value under a key.
    Key(&'static str),
    /// An item of a list.
    Index(usize),
}

/// A value that is well formed and cannot be meant.
#[derive(Debug)]
pub(super) struct Issue {
    /// Where it stands.
    pub(super) path: Vec<Step>,
    /// What is wrong.
    pub(super) message: String,
    /// What was expected, as a sentence.
    pub(super) expected: String,
    /// Another value that it was compared with: while that one is bad, nothing is wrong with this one.
    pub(super) against: Option<[Step; 2]>,
}

impl Issue {
    fn new(path: &[Step], message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: path.to_vec(), message: message.into(), expected: expected.into(), against: None }
    }
}

/// Checks a configuration, and finds everything that is wrong with it.
///
/// What is wrong keeps its default, so that the rest can be checked.
pub(super) fn compile(raw: &RawConfig) -> (Config, Vec<Issue>) {
    let mut issues = Vec::new();
    let collect = raw.collect.as_ref().map_or_else(Collect::default, |raw| collect(raw, &mut issues));
    let mut labels = Vec::new();
    for (at, label) in raw.labels.iter().flat_map(|labels| &labels.attach).flatten().enumerate() {
        if labels.contains(&label.0) {
            let path = [Step::Key("labels"), Step::Key("attach"), Step::Index(at)];
            issues.push(Issue::new(
                &path,
                format!("`{}` is listed twice", label.0.name()),
                "expected each label at most once",
            ));
        } else {
            labels.push(label.0);
        }
    }
    labels.sort_unstable();
    (Config { collect, labels }, issues)
}

fn collect(raw: &RawCollect, issues: &mut Vec<Issue>) -> Collect {
    const AT: Step = Step::Key("collect");
    let mut collect = Collect::default();
    let clock_path = [AT, Step::Key("interval")];
    let mut clock_good = true;
    if let Some(interval) = raw.interval {
        clock_good = within_clock(interval.0, &clock_path, issues);
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
    collect.filter = filter(raw, issues).unwrap_or(collect.filter);

    for (name, own) in raw.collectors.iter().flatten() {
        let Some(own) = own else { continue };
        let collector = name.0;
        if let Some(on) = own.enabled {
            collect.collectors.set(collector, on);
        }
        let path = [AT, Step::Key("collectors"), Step::Key(collector.name()), Step::Key("interval")];
        let Some(interval) = own.interval.map(|interval| interval.0) else { continue };
        if !within_clock(interval, &path, issues) {
            continue;
        }
        if clock_good && interval < collect.interval {
            let message = format!("`{}` is shorter than the sampling clock", units::show(interval));
            let expected =
                format!("expected `collect.interval`, which is {}, or longer", units::show(collect.interval));
            issues.push(Issue { against: Some(clock_path), ..Issue::new(&path, message, expected) });
        } else {
            collect.intervals[collector as usize] = Some(interval);
        }
    }
    collect
}

fn within_clock(interval: Duration, path: &[Step], issues: &mut Vec<Issue>) -> bool {
    let good = (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval);
    if !good {
        let (shortest, longest) = (units::show(SHORTEST_INTERVAL), units::show(LONGEST_INTERVAL));
        let what = if interval < SHORTEST_INTERVAL { "short" } else { "long" };
        issues.push(Issue::new(
            path,
            format!("an interval of `{}` is too {what}", units::show(interval)),
            format!("expected between {shortest} and {longest}"),
        ));
    }
    good
}

fn filter(raw: &RawCollect, issues: &mut Vec<Issue>) -> Option<PathFilter> {
    let defaults = Collect::default().filter;
    let before = issues.len();
    let mut globs = |key: &'static str, texts: &Option<Vec<String>>, default: &[PathGlob]| {
        let Some(texts) = texts else { return default.to_vec() };
        let mut parsed = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            let path = [Step::Key("collect"), Step::Key(key), Step::Index(at)];
            match PathGlob::parse(text) {
                Ok(glob) if key == "exclude" && glob.is_everything() => issues.push(Issue::new(
                    &path,
                    "this excludes every cgroup",
                    "expected a narrower glob, such as `/user.slice/**`",
                )),
                Ok(glob) => parsed.push(glob),
                Err(why) => issues.push(Issue::new(&path, format!("bad glob `{text}`"), why)),
            }
        }
        if key == "include" && texts.is_empty() {
            let path = [Step::Key("collect"), Step::Key(key)];
            issues.push(Issue::new(
                &path,
                "this includes no cgroup",
                "expected at least one glob, such as `/**`",
            ));
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
        .map_err(|why| issues.push(Issue::new(&[Step::Key("collect")], "the globs are too large", why)))
        .ok()
}
