//! Every query of every dashboard gives data: asked of a real Prometheus that scrapes a real Stockade on a loaded host,
//! and, for what this host's kernel or layout does not tell, others on captured trees of other kernels. From the answers
//! each dashboard is drawn.
//!
//! `STOCKADE_BLESS=1 cargo test --test panels` writes dashboards/renderings anew.

#[path = "../support/dashboard.rs"]
mod dashboard;
mod load;
#[path = "../support/prometheus.rs"]
mod prometheus;
mod rendering;
mod replay;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use dashboard::{Chosen, Dashboard, Panel, Target, dashboards};
use load::{IN_DEPTH, Load};
use prometheus::Prometheus;
use replay::Replay;

const JOB: &str = "stockade";
/// Four scrapes and more: on a busy machine one may come late.
const RATE_INTERVAL: &str = "10s";

/// Somewhere that a Stockade runs: its instance, and the cgroups to look at in depth.
struct Run {
    instance: &'static str,
    in_depth: Vec<String>,
}

/// One answer: labels, and samples with their times.
type Series = (Value, Vec<(f64, f64)>);

/// What was seen between two moments.
struct Seen<'a> {
    prometheus: &'a Prometheus,
    runs: &'a [Run],
    from: f64,
    to: f64,
    step: f64,
}

impl Seen<'_> {
    fn ask(&self, target: &Target, instance: &str, cgroup: &str) -> Vec<Series> {
        let range = format!("{:.0}s", (self.to - self.from).max(1.0));
        let chosen = Chosen { job: JOB, instance, cgroup, rate_interval: RATE_INTERVAL, range: &range };
        let query = chosen.fill(&target.expression);
        let found = if target.instant {
            let found = self.prometheus.query(&query);
            found.into_iter().map(|(labels, value)| (labels, vec![(self.to, value)])).collect()
        } else {
            self.prometheus.range(&query, (self.from, self.to), self.step)
        };
        for (labels, samples) in &found {
            assert!(samples.iter().all(|(_, value)| value.is_finite()), "{query}: {labels}: {samples:?}");
        }
        found
    }

    /// What a query gives in a run.
    fn of(&self, dashboard: &Dashboard, target: &Target, run: &Run) -> Vec<Series> {
        if dashboard.name != "cgroup" {
            return self.ask(target, run.instance, ".+");
        }
        let asked = run.in_depth.iter().map(|cgroup| self.ask(target, run.instance, cgroup));
        asked.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The first run in which it gives anything.
    fn first(&self, dashboard: &Dashboard, target: &Target) -> Option<&'static str> {
        let run = self.runs.iter().find(|run| !self.of(dashboard, target, run).is_empty())?;
        Some(run.instance)
    }

    /// What the page needs to draw a panel, from the run that has most to say of it.
    fn drawn(&self, dashboard: &Dashboard, panel: &Panel) -> Value {
        let all = self.runs.iter().map(|run| {
            let answers: Vec<_> =
                panel.targets.iter().map(|target| self.of(dashboard, target, run)).collect();
            (answers.iter().filter(|answer| !answer.is_empty()).count(), run.instance, answers)
        });
        // Of equals the first: `max_by_key` gives the last.
        let all: Vec<_> = all.collect();
        let (_, instance, answers) = all.into_iter().rev().max_by_key(|(count, ..)| *count).expect("a run");
        let mut json = panel.json.clone();
        json["from"] = instance.into();
        for (number, answer) in answers.into_iter().enumerate() {
            let series: Vec<Value> =
                answer.iter().map(|(labels, points)| json!({"labels": labels, "points": points})).collect();
            json["targets"][number]["series"] = series.into();
        }
        json
    }

    /// Everything that the page needs to draw a dashboard.
    fn page(&self, dashboard: &Dashboard) -> Value {
        let usual = &self.runs[0];
        let mut annotations = Vec::new();
        for ((_, target), json) in dashboard.annotations().iter().zip(annotations_of(dashboard)) {
            for (_, samples) in
                self.ask(target, usual.instance, ".+").iter().filter(|_| json["enable"] == true)
            {
                // One that stays for several steps is one.
                let mut before = f64::NEG_INFINITY;
                for (time, _) in samples {
                    if time - before > self.step * 1.5 {
                        annotations.push(json!({"time": time, "colour": json["iconColor"]}));
                    }
                    before = *time;
                }
            }
        }
        let rows = dashboard.json["panels"].as_array().expect("panels").iter();
        let rows: Vec<&Value> = rows.filter(|panel| panel["type"] == "row").collect();
        json!({
            "title": dashboard.title(),
            "note": "drawn by this project’s tests from the answers to the queries, not by Grafana",
            "usual": usual.instance,
            "from": self.from, "to": self.to, "step": self.step,
            "annotations": annotations,
            "rows": rows,
            "panels": dashboard.panels().iter().map(|panel| self.drawn(dashboard, panel)).collect::<Vec<_>>(),
        })
    }
}

fn annotations_of(dashboard: &Dashboard) -> Vec<Value> {
    dashboard.json["annotations"]["list"].as_array().cloned().unwrap_or_default()
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// A query, and where it stands.
type Asked = (usize, String, Target);

#[test]
fn every_query_of_every_dashboard_gives_data_and_every_dashboard_is_drawn() {
    let blessing = std::env::var_os("STOCKADE_BLESS").is_some();
    let mut load = Load::start();
    let (mut unified, mut legacy) = (Replay::of("7.3-unified"), Replay::of("6.1-legacy"));
    let memory = "stockade-test-fixture-memory";
    // The kernels at hand are built without accounting for interrupts.
    unified.add(memory, "irq.pressure", "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000\n");
    unified.add(
        "stockade-test-fixture-io",
        "io.max",
        "254:0 rbps=104857600 wbps=52428800 riops=max wiops=max\n",
    );
    unified.add("stockade-test-fixture-cpu", "pids.current", "many\n");
    let daemons = [
        ("this-host", load.daemon()),
        ("replay-7.3-v2", unified.daemon("")),
        ("replay-6.1-v1", legacy.daemon("")),
        ("few-series", legacy.daemon(", max_series: 60")),
    ];
    // What is told of a reload is told once there was one.
    daemons[1].1.reload();
    let begun = now();
    let targets: Vec<_> =
        daemons.iter().map(|(instance, daemon)| (JOB, (*instance).to_owned(), daemon.address)).collect();
    let prometheus = Prometheus::named(&targets);
    let replayed = vec![format!("/{memory}"), "/stockade-test-fixture-io".to_owned(), "/".to_owned()];
    let runs: Vec<Run> = daemons
        .iter()
        .map(|(instance, _)| match *instance {
            "this-host" => {
                Run { instance, in_depth: IN_DEPTH.map(|below| format!("{}{below}", load.path())).into() }
            }
            _ => Run { instance, in_depth: replayed.clone() },
        })
        .collect();
    let seen = |step| Seen { prometheus: &prometheus, runs: &runs, from: begun, to: now(), step };

    let dashboards = dashboards();
    let mut pending: Vec<Asked> = Vec::new();
    for (number, dashboard) in dashboards.iter().enumerate() {
        for panel in dashboard.panels() {
            let place = format!("{}: {}", dashboard.name, panel.title);
            pending.extend(panel.targets.into_iter().map(|target| (number, place.clone(), target)));
        }
        for (name, target) in
            dashboard.annotations().into_iter().filter(|(name, _)| !name.starts_with("Starts"))
        {
            pending.push((number, format!("{}: annotation {name}", dashboard.name), target));
        }
    }
    let count = pending.len();
    let mut given: BTreeMap<&str, usize> = BTreeMap::new();
    // A picture needs a stretch of time; a test ends as soon as every query has given something.
    let least = Instant::now() + Duration::from_secs(if blessing { 100 } else { 15 });
    let last = Instant::now() + Duration::from_secs(200);
    let mut asked = Instant::now();
    while !pending.is_empty() || Instant::now() < least {
        load.turn();
        unified.turn();
        legacy.turn();
        std::thread::sleep(Duration::from_millis(500));
        if asked.elapsed() > Duration::from_secs(5) {
            let seen = seen(2.0);
            pending.retain(|(number, _, target)| match seen.first(&dashboards[*number], target) {
                Some(instance) => {
                    *given.entry(instance).or_default() += 1;
                    false
                }
                None => true,
            });
            asked = Instant::now();
        }
        let missing: Vec<String> =
            pending.iter().map(|(_, place, target)| format!("{place}: {}", target.expression)).collect();
        assert!(Instant::now() < last, "of {count} queries these give nothing:\n{}", missing.join("\n"));
    }
    assert_eq!(given.values().sum::<usize>(), count, "{given:?}");
    assert!(given["this-host"] > count / 2, "what a loaded host can show, it shows: {given:?}");

    let seen = seen(if blessing { 2.0 } else { 1.0 });
    every_value_exists(&seen, &dashboards);
    let pages: Vec<Value> = dashboards
        .iter()
        .map(|dashboard| {
            // The names are those that a reader would have: without the group that the test put them in.
            let page = seen.page(dashboard).to_string();
            let page = page.replace(&format!("{}/", load.path()), "/").replace(load.path(), "/test");
            serde_json::from_str(&page).expect("it was JSON before")
        })
        .collect();
    drop((load, daemons, prometheus));

    let scratch = tempfile::tempdir().expect("a directory");
    let directory =
        if blessing { dashboard::directory().join("renderings") } else { scratch.path().to_owned() };
    std::fs::create_dir_all(&directory).expect("a directory");
    for (dashboard, page) in dashboards.iter().zip(&pages) {
        rendering::draw(page, &directory.join(format!("{}.png", dashboard.name)));
    }
    every_dashboard_has_a_picture(&dashboards);
}

/// What is matched with a label is one of its values, also where it is excluded: a misspelt one would match everything, or
/// nothing, and show no error. In a regular expression of alternatives that is asked of all of them together.
fn every_value_exists(seen: &Seen<'_>, dashboards: &[Dashboard]) {
    let mut matched = BTreeSet::new();
    for target in dashboards.iter().flat_map(Dashboard::panels).flat_map(|panel| panel.targets) {
        // A selector's braces hold no others, and no value has a comma.
        for (before, rest) in
            target.expression.match_indices('{').map(|(at, _)| target.expression.split_at(at))
        {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let metric = before.rsplit(|c| !word(c)).next().expect("a name");
            let (matchers, _) = rest[1..].split_once('}').expect("the braces are closed");
            for matcher in matchers.split(',').map(str::trim) {
                let (label, value) = matcher.split_once(['=', '!']).expect("a matcher");
                let value = value.trim_start_matches(['=', '~']).trim_matches('"');
                // Which cgroups there are is the host's business.
                if label != "cgroup" && !value.is_empty() && !value.contains('$') {
                    matched.insert(format!("{metric}{{{label}=~\"{value}\"}}"));
                }
            }
        }
    }
    assert!(matched.len() > 20, "{matched:?}");
    let without: Vec<_> = matched.iter().filter(|query| seen.prometheus.query(query).is_empty()).collect();
    assert!(without.is_empty(), "nothing has these values: {without:#?}");
}

/// Those in the tree, which the README shows, are of the dashboards that there are.
fn every_dashboard_has_a_picture(dashboards: &[Dashboard]) {
    let directory: &Path = &dashboard::directory().join("renderings");
    let entries = std::fs::read_dir(directory).expect("pictures: STOCKADE_BLESS=1 cargo test --test panels");
    let mut pictures: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    pictures.sort();
    let wanted: Vec<String> = dashboards.iter().map(|dashboard| format!("{}.png", dashboard.name)).collect();
    assert_eq!(pictures, wanted, "{}", directory.display());
}
