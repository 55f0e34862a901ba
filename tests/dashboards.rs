//! The dashboards without a Prometheus: that they are what their source says, that Grafana's own types fit them, the
//! rules of its linter, and that every metric and label in them is one that Stockade has. `tests/panels` runs their
//! queries.

#[path = "support/dashboard.rs"]
mod dashboard;
#[path = "dashboards/lint.rs"]
mod lint;
#[path = "support/promql.rs"]
mod promql;
#[path = "dashboards/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::process::Command;

use dashboard::{Chosen, Dashboard, Panel, dashboards, legend_labels, text};
use promql::{Labels, Registry};

const CHOSEN: Chosen<'_> =
    Chosen { job: ".+", instance: ".+", cgroup: ".+", rate_interval: "5m", range: "1h" };

#[test]
fn the_files_are_what_their_source_says() {
    let generator = dashboard::directory().join("generate");
    let said =
        Command::new("python3").arg(generator).arg("--check").output().expect("these tests need Python 3");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn grafanas_linter_would_find_nothing() {
    for dashboard in dashboards() {
        let found = lint::lint(&dashboard);
        assert!(found.is_empty(), "{}:\n{}", dashboard.name, found.join("\n"));
    }
}

/// The names of a table's columns that are labels.
fn columns(panel: &Panel) -> Labels {
    let transformations = panel.json["transformations"].as_array().cloned().unwrap_or_default();
    let options = transformations.iter().map(|one| &one["options"]);
    let named = options.flat_map(|options| [&options["excludeByName"], &options["indexByName"]]);
    let names = named.filter_map(|names| names.as_object()).flat_map(|names| names.keys().cloned());
    names.filter(|name| !name.starts_with("Value") && name != "Time" && name != "__name__").collect()
}

#[test]
fn every_metric_and_label_exists_and_counters_are_rated() {
    let registry = Registry::new();
    let judge = |place: &str, expression: &str| {
        let filled = CHOSEN.fill(expression);
        registry.judge(&filled).unwrap_or_else(|wrong| panic!("{place}: {filled}: {}", wrong.join("; ")))
    };
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let mut given = Labels::new();
            for target in &panel.targets {
                let place = format!("{}: {}, {}", dashboard.name, panel.title, target.ref_id);
                let labels = judge(&place, &target.expression);
                for label in legend_labels(&target.legend) {
                    assert!(labels.contains(label), "{place}: the legend names {label}, of {labels:?}");
                }
                given.extend(labels);
            }
            let place = format!("{}: {}", dashboard.name, panel.title);
            let unknown: Vec<_> = columns(&panel).difference(&given).cloned().collect();
            assert!(unknown.is_empty(), "{place}: columns {unknown:?} of {given:?}");
            let links = panel.json["fieldConfig"].to_string().contains("var-cgroup");
            let whole = ["job", "instance", "cgroup"].iter().all(|label| given.contains(*label));
            assert!(!links || whole, "{place}: leads to a cgroup, and has {given:?}");
        }
        for (name, target) in dashboard.annotations() {
            let place = format!("{}: annotation {name}", dashboard.name);
            let labels = judge(&place, &target.expression);
            for label in legend_labels(&target.legend) {
                assert!(labels.contains(label), "{place}: the title names {label}, of {labels:?}");
            }
        }
        for variable in dashboard.variables().iter().filter(|variable| variable["type"] == "query") {
            let query = text(&variable["query"]["query"]);
            let asked = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (series, label) = asked.and_then(|asked| asked.rsplit_once(", ")).expect("label_values");
            assert!(judge(&query, series).contains(label), "{}: {query}", dashboard.name);
        }
    }
}

#[test]
fn what_is_shown_of_cgroups_has_a_bound() {
    for dashboard in dashboards().iter().filter(|dashboard| dashboard.name != "cgroup") {
        for panel in dashboard.panels() {
            for target in &panel.targets {
                let expression = &target.expression;
                let each = expression.contains("cgroup_")
                    && (target.legend.contains("{{cgroup}}") || panel.kind == "table");
                let bounded = ["topk(", "bottomk("].iter().any(|of| expression.contains(of));
                assert!(
                    !each || bounded,
                    "{}: {}: a series for every cgroup: {expression}",
                    dashboard.name,
                    panel.title
                );
            }
        }
    }
}

#[test]
fn each_dashboard_is_one_that_grafana_can_provision() {
    let mut uids = BTreeSet::new();
    for Dashboard { name, json } in dashboards() {
        let uid = text(&json["uid"]);
        let characters = uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        assert!((8..=40).contains(&uid.len()) && characters, "{name}: uid {uid:?}");
        assert!(uids.insert(uid), "{name}: its uid is taken");
        assert!(
            json.get("id").is_none() && json.get("__inputs").is_none(),
            "{name}: made for one installation"
        );
        let tags = |json: &serde_json::Value| {
            json["tags"].as_array().is_some_and(|tags| tags.contains(&"stockade".into()))
        };
        assert!(
            tags(&json) && tags(&json["links"][0]),
            "{name}: it is found by its tag, and links to those that have it"
        );
        let dashboard = Dashboard { name: name.clone(), json };
        let names: Vec<String> =
            dashboard.variables().iter().map(|variable| text(&variable["name"])).collect();
        assert_eq!(names[..3], ["datasource", "job", "instance"], "{name}");
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in dashboard.panels() {
            let place = format!("{name}: {}", panel.title);
            assert!(
                panel.description.len() > 20 && panel.description.ends_with('.'),
                "{place}: its description is a sentence"
            );
            assert!(ids.insert(panel.id), "{place}: its id is taken");
            let at = |side: &str| panel.json["gridPos"][side].as_u64().expect("a position");
            let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
            assert!(x + w <= 24, "{place}: wider than the page");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{place}: lies over another panel");
            }
            let names: BTreeSet<&str> = panel.targets.iter().map(|target| target.ref_id.as_str()).collect();
            assert_eq!(names.len(), panel.targets.len(), "{place}: every query has a name of its own");
        }
    }
}

#[test]
fn every_link_leads_to_a_dashboard() {
    let all = dashboards();
    let uids: BTreeSet<String> = all.iter().map(|dashboard| text(&dashboard.json["uid"])).collect();
    for Dashboard { name, json } in &all {
        let links = json.to_string();
        let mut linked = links.split("\"/d/").skip(1).filter_map(|rest| rest.split(['/', '?', '"']).next());
        assert!(linked.all(|uid| uids.contains(uid)), "{name}");
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

#[test]
fn what_is_wrong_is_told() {
    let registry = Registry::new();
    let on = "on (job, instance, cgroup)";
    for (bad, said) in [
        ("cgroup_memory_curent_bytes", "no metric"),
        ("rate(cgroup_pids_current[5m])", "goes up and down"),
        ("cgroup_cpu_usage_seconds_total", "not under rate"),
        ("max_over_time(cgroup_cpu_usage_seconds_total[5m])", "not under rate"),
        ("stockade_reaction_seconds", "no metric"),
        ("stockade_reaction_seconds_count", "not under rate"),
        ("cgroup_pids_current{device=\"vda\"}", "no label device"),
        ("sum by (unit) (cgroup_pids_current)", "no label unit"),
        ("topk by (unit) (3, cgroup_pids_current)", "no label unit"),
        ("sum without (unit) (cgroup_pids_current)", "no label unit"),
        ("cgroup_pids_current * cgroup_info", "never matches"),
        ("cgroup_pids_current and cgroup_info", "never matches"),
        (&format!("cgroup_pids_current * {on} group_left (device) cgroup_info"), "no label device"),
        (&format!("sum by (cgroup) (cgroup_pids_current) * {on} cgroup_populated"), "left of *"),
        ("cgroup_pids_current * ignoring (unit) cgroup_info", "ignoring"),
        ("histogram_quantile(0.9, sum by (action) (rate(stockade_reaction_seconds_bucket[5m])))", "no le"),
        ("sum(rate(cgroup_cpu_usage_seconds_total[5m])", "unclosed"),
    ] {
        let wrong = registry.judge(bad).expect_err(bad).join("; ");
        assert!(wrong.contains(said), "{bad}: {wrong}");
    }
    for (good, labels) in [
        ("time() - process_start_time_seconds", "cluster instance job"),
        (
            &format!("cgroup_pids_current * {on} group_left (unit) cgroup_info"),
            "cgroup cluster instance job unit",
        ),
        ("histogram_quantile(0.9, sum by (le) (rate(stockade_reaction_seconds_bucket[5m])))", ""),
        ("sum by (cgroup) (rate(cgroup_io_reads_total[5m])) / 2", "cgroup"),
        ("count(up == 0)", ""),
    ] {
        let found = registry.judge(good).unwrap_or_else(|wrong| panic!("{good}: {wrong:?}"));
        assert_eq!(found.into_iter().collect::<Vec<_>>().join(" "), labels, "{good}");
    }
}
