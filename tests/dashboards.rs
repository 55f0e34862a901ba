//! The dashboards without a Prometheus: their form, and that every metric and label in them is one that Stockade has.
//! `tests/prometheus.rs` runs their queries.

#[path = "support/dashboard.rs"]
mod dashboard;

use std::collections::{BTreeMap, BTreeSet};

use dashboard::{Dashboard, dashboards};
use serde_json::Value;

/// Every metric of the README's table, with its labels and its type.
fn metrics() -> BTreeMap<String, (BTreeSet<String>, String)> {
    let mut metrics = BTreeMap::new();
    for row in stockade::metrics::documentation().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let words = |cell: &str| {
            cell.split(['`', ' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        metrics.insert(cells[0].trim_matches('`').to_owned(), (words(cells[3]), cells[1].to_owned()));
    }
    assert!(metrics.len() > 80, "the table's form has changed: {} metrics found", metrics.len());
    metrics
}

/// What is wrong with a query.
fn judge(expression: &str, metrics: &BTreeMap<String, (BTreeSet<String>, String)>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let before = &expression[..expression.len() - rest.len()];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if !["cgroup_", "host_", "stockade_", "process_"].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let histogram =
            ["_sum", "_count", "_bucket"].iter().find_map(|suffix| metrics.get(name.strip_suffix(suffix)?));
        let Some((labels, kind)) = metrics.get(name).or(histogram) else {
            wrong.push(format!("no metric {name}"));
            continue;
        };
        let counter = kind == "counter" || histogram.is_some();
        let rated = ["rate(", "increase("].iter().any(|function| before.ends_with(function));
        if counter != rated {
            wrong.push(format!(
                "{name} is a {kind}, and is {} rate or increase",
                if rated { "under" } else { "not under" }
            ));
        }
        if let Some((selector, behind)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            for matcher in selector.split(',') {
                let label = matcher.split(['=', '!']).next().unwrap_or_default();
                if !labels.contains(label) && !["job", "instance"].contains(&label) {
                    wrong.push(format!("{name} has no label {label}"));
                }
            }
            rest = behind;
        } else {
            wrong.push(format!("{name} is not limited to the chosen job and instance"));
        }
    }
    wrong
}

#[test]
fn every_metric_and_label_exists_and_counters_are_rated() {
    let metrics = metrics();
    for Dashboard { name, panels, .. } in dashboards() {
        for panel in panels {
            for expression in &panel.expressions {
                let wrong = judge(expression, &metrics);
                assert!(wrong.is_empty(), "{name}: {}: {expression}: {}", panel.title, wrong.join("; "));
            }
        }
    }
    for bad in [
        "cgroup_memory_curent_bytes{job=~\"$job\"}",
        "rate(cgroup_pids_current{job=~\"$job\"}[5m])",
        "cgroup_cpu_usage_seconds_total{job=~\"$job\"}",
        "cgroup_pids_current{device=\"vda\"}",
        "cgroup_pids_current",
    ] {
        assert!(!judge(bad, &metrics).is_empty(), "{bad}");
    }
}

#[test]
fn each_dashboard_is_one_that_grafana_can_provision() {
    for Dashboard { name, json, panels } in dashboards() {
        let uid = json["uid"].as_str().unwrap_or_default();
        assert!((8..=40).contains(&uid.len()), "{name}: uid {uid:?}");
        assert!(
            json.get("id").is_none() && json.get("__inputs").is_none(),
            "{name}: made for one installation"
        );
        assert_eq!(json["editable"], Value::Bool(false), "{name}");
        let variables: Vec<&str> = json["templating"]["list"]
            .as_array()
            .expect("variables")
            .iter()
            .filter_map(|v| v["name"].as_str())
            .collect();
        assert_eq!(variables[..3], ["datasource", "job", "instance"], "{name}");
        assert!(!panels.is_empty(), "{name}");
        let mut ids = BTreeSet::new();
        for panel in panels {
            let place = format!("{name}: {}", panel.title);
            assert!(
                !panel.title.is_empty() && panel.description.len() > 20,
                "{place}: title and description"
            );
            assert!(!panel.unit.is_empty(), "{place}: unit");
            assert!(ids.insert(panel.id), "{place}: its id is taken");
            assert_eq!(panel.datasource, "${datasource}", "{place}");
            for expression in panel.expressions {
                let fixed = expression.contains('[') && !expression.contains("[$__r");
                assert!(!fixed, "{place}: a fixed range in {expression}");
            }
        }
    }
}

#[test]
fn the_prometheus_configuration_is_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/prometheus.yml");
    let said = std::process::Command::new("promtool")
        .args(["check", "config", file])
        .output()
        .unwrap_or_else(|error| panic!("this test needs promtool (apt-get install prometheus): {error}"));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
