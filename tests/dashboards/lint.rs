//! The rules of grafana/dashboard-linter that are about dashboards of Prometheus, under its names, written anew from its
//! documentation. Those about Loki have nothing to say here.

use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};
use serde_json::{Value, json};

use crate::dashboard::{Chosen, Dashboard, Panel, Target, text};

/// A rule's name and what it finds in a dashboard.
type Rule = (&'static str, fn(&Dashboard) -> Vec<String>);

/// Every rule.
const RULES: &[Rule] = &[
    ("template-datasource-rule", |dashboard| {
        let wanted = json!({"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus"});
        has(dashboard, "datasource", &wanted)
    }),
    ("template-job-rule", |dashboard| has(dashboard, "job", &selecting("Job"))),
    ("template-instance-rule", |dashboard| has(dashboard, "instance", &selecting("Instance"))),
    ("template-label-promql-rule", |dashboard| {
        queried(dashboard)
            .iter()
            .filter_map(|variable| {
                let query = text(&variable["query"]["query"]);
                let series = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let series = series.and_then(|rest| rest.rsplit_once(", ")).map(|(series, _)| series);
                let good = series.is_some_and(|series| parser::parse(&sample(series)).is_ok());
                (!good).then(|| format!("variable {}: {query}", variable["name"]))
            })
            .collect()
    }),
    ("template-on-time-change-reload-rule", |dashboard| {
        let variables = queried(dashboard).into_iter().filter(|variable| variable["refresh"] != 2);
        variables.map(|variable| format!("variable {}", variable["name"])).collect()
    }),
    ("panel-datasource-rule", |dashboard| {
        panels(dashboard, |panel| {
            let of = |json: &Value| json["datasource"]["uid"] == "${datasource}";
            let targets = panel.json["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            of(&panel.json) && targets.iter().all(of)
        })
    }),
    ("panel-title-description-rule", |dashboard| {
        panels(dashboard, |panel| !panel.title.is_empty() && !panel.description.is_empty())
    }),
    ("panel-units-rule", |dashboard| {
        panels(dashboard, |panel| {
            let unit = text(&panel.json["fieldConfig"]["defaults"]["unit"]);
            let overrides = panel.json["fieldConfig"]["overrides"].as_array().cloned().unwrap_or_default();
            let mut units = vec![unit];
            for property in overrides.iter().filter_map(|one| one["properties"].as_array()).flatten() {
                if property["id"] == "unit" {
                    units.push(text(&property["value"]));
                }
            }
            units.iter().all(|unit| UNITS.contains(&unit.as_str()))
        })
    }),
    ("panel-no-targets-rule", |dashboard| panels(dashboard, |panel| !panel.targets.is_empty())),
    ("target-promql-rule", |dashboard| {
        targets(dashboard, |target| parser::parse(&sample(&target.expression)).is_ok())
    }),
    ("target-rate-interval-rule", |dashboard| {
        targets(dashboard, |target| {
            // `increase` may also be of the whole time shown.
            selectors(&target.expression).iter().all(|selector| match (selector.range, selector.function) {
                (None | Some(RATE_INTERVAL), _) | (Some(RANGE), Some("increase")) => true,
                (Some(_), _) => false,
            })
        })
    }),
    ("target-job-rule", |dashboard| targets(dashboard, |target| matched(target, "job", "JOB"))),
    ("target-instance-rule", |dashboard| {
        targets(dashboard, |target| matched(target, "instance", "INSTANCE"))
    }),
    ("target-counter-agg-rule", |dashboard| {
        targets(dashboard, |target| {
            selectors(&target.expression).iter().all(|selector| {
                let rated = matches!(selector.function, Some("rate" | "irate" | "increase"));
                !selector.metric.ends_with("_total") || rated
            })
        })
    }),
    ("uneditable-dashboard", |dashboard| {
        if dashboard.json["editable"] == false { vec![] } else { vec!["it is editable".to_owned()] }
    }),
];

/// What Grafana calls the units that are used here (packages/grafana-data/src/valueFormats/categories.ts).
const UNITS: &[&str] = &[
    "none",
    "short",
    "percent",
    "percentunit",
    "bytes",
    "Bps",
    "pps",
    "s",
    "cps",
    "ops",
    "reqps",
    "wps",
    "iops",
];

/// What every rule has to say of a dashboard.
pub fn lint(dashboard: &Dashboard) -> Vec<String> {
    let found =
        |(name, rule): &Rule| rule(dashboard).into_iter().map(|what| format!("{name}: {what}")).collect();
    RULES.iter().flat_map(|rule| -> Vec<String> { found(rule) }).collect()
}

fn selecting(label: &str) -> Value {
    json!({"type": "query", "label": label, "multi": true, "includeAll": true, "allValue": ".+",
           "datasource": {"type": "prometheus", "uid": "${datasource}"}})
}

/// Whether there is a variable of this name with these properties.
fn has(dashboard: &Dashboard, name: &str, wanted: &Value) -> Vec<String> {
    let variables = dashboard.variables();
    let Some(variable) = variables.iter().find(|variable| variable["name"] == name) else {
        return vec![format!("no variable {name}")];
    };
    let wanted = wanted.as_object().expect("an object");
    let differing = wanted.iter().filter(|(key, value)| &variable[key.as_str()] != *value);
    differing.map(|(key, value)| format!("variable {name}: {key} is not {value}")).collect()
}

fn queried(dashboard: &Dashboard) -> Vec<Value> {
    dashboard.variables().into_iter().filter(|variable| variable["type"] == "query").collect()
}

fn panels(dashboard: &Dashboard, good: impl Fn(&Panel) -> bool) -> Vec<String> {
    let panels = dashboard.panels().into_iter().filter(|panel| !good(panel));
    panels.map(|panel| format!("panel {:?}", panel.title)).collect()
}

fn targets(dashboard: &Dashboard, good: impl Fn(&Target) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for panel in dashboard.panels() {
        for target in panel.targets.iter().filter(|target| !good(target)) {
            wrong.push(format!("panel {:?}, {}: {}", panel.title, target.ref_id, target.expression));
        }
    }
    wrong
}

/// What stands for `$__rate_interval` and `$__range` while an expression is looked at: nobody writes these out.
const RATE_INTERVAL: Duration = Duration::from_secs(7 * 60);
const RANGE: Duration = Duration::from_secs(11 * 3600);

/// An expression with something in the place of the variables, to be parsed.
fn sample(expression: &str) -> String {
    let chosen = Chosen { job: "JOB", instance: "INSTANCE", cgroup: "/a", rate_interval: "7m", range: "11h" };
    chosen.fill(expression)
}

/// Whether every selector has a regular expression of this variable on this label.
fn matched(target: &Target, label: &str, variable: &str) -> bool {
    let selectors = selectors(&target.expression);
    let good = |matcher: &Matcher| {
        matcher.name == label && matches!(matcher.op, MatchOp::Re(_)) && matcher.value == variable
    };
    !selectors.is_empty() && selectors.iter().all(|selector| selector.matchers.iter().any(good))
}

/// A selector of an expression, and the function that is given it.
struct Selector {
    metric: String,
    matchers: Vec<Matcher>,
    range: Option<Duration>,
    function: Option<&'static str>,
}

/// Every selector; none of an expression that cannot be parsed, which is another rule's business.
fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    if let Ok(parsed) = parser::parse(&sample(expression)) {
        collect(&parsed, None, &mut found);
    }
    found
}

fn collect(expression: &Expr, function: Option<&'static str>, found: &mut Vec<Selector>) {
    let mut take = |selector: &VectorSelector, range| {
        let metric = selector.name.clone().unwrap_or_default();
        found.push(Selector { metric, matchers: selector.matchers.matchers.clone(), range, function });
    };
    match expression {
        Expr::VectorSelector(selector) => take(selector, None),
        Expr::MatrixSelector(matrix) => take(&matrix.vs, Some(matrix.range)),
        Expr::Call(call) => {
            call.args.args.iter().for_each(|argument| collect(argument, Some(call.func.name), found));
        }
        Expr::Aggregate(inner) => collect(&inner.expr, None, found),
        Expr::Binary(inner) => {
            [&inner.lhs, &inner.rhs].into_iter().for_each(|side| collect(side, None, found))
        }
        Expr::Unary(inner) => collect(&inner.expr, None, found),
        Expr::Paren(inner) => collect(&inner.expr, function, found),
        Expr::Subquery(inner) => collect(&inner.expr, None, found),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// A dashboard that no rule finds anything in.
fn good() -> Value {
    let uid = json!({"type": "prometheus", "uid": "${datasource}"});
    let variable = |name: &str, label: &str| {
        json!({"type": "query", "name": name, "label": label, "datasource": uid, "multi": true, "includeAll": true,
               "allValue": ".+", "refresh": 2,
               "query": {"query": format!("label_values(stockade_build_info, {name})"), "refId": name}})
    };
    json!({
        "title": "Good", "uid": "stockade-good", "editable": false,
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus"},
            variable("job", "Job"), variable("instance", "Instance"),
        ]},
        "panels": [{
            "id": 1, "type": "timeseries", "title": "CPU", "description": "Cores in use.", "datasource": uid,
            "fieldConfig": {"defaults": {"unit": "short"}, "overrides": [
                {"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "unit", "value": "s"}]},
            ]},
            "targets": [{"refId": "A", "datasource": uid, "expr":
                "rate(cgroup_cpu_usage_seconds_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval])"}],
        }],
    })
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let of = |json: Value| lint(&Dashboard { name: "good".to_owned(), json });
    assert_eq!(of(good()), Vec::<String>::new());
    let expression = |replaced: &'static str| {
        move |json: &mut Value| {
            json["panels"][0]["targets"][0]["expr"] = replaced.replace('@', SELECTED).into()
        }
    };
    const SELECTED: &str = "job=~\"$job\",instance=~\"$instance\"";
    let set = |pointer: &'static str, value: Value| {
        move |json: &mut Value| *json.pointer_mut(pointer).expect("a place") = value.clone()
    };
    type Break = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(&str, Break)> = vec![
        ("template-datasource-rule", Box::new(set("/templating/list/0/label", json!("Prometheus")))),
        ("template-job-rule", Box::new(set("/templating/list/1/allValue", json!(".*")))),
        ("template-job-rule", Box::new(set("/templating/list/1/name", json!("jobs")))),
        ("template-instance-rule", Box::new(set("/templating/list/2/multi", json!(false)))),
        (
            "template-label-promql-rule",
            Box::new(set("/templating/list/1/query/query", json!("label_values(a{, job)"))),
        ),
        (
            "template-label-promql-rule",
            Box::new(set("/templating/list/1/query/query", json!("labels(a, job)"))),
        ),
        ("template-on-time-change-reload-rule", Box::new(set("/templating/list/2/refresh", json!(1)))),
        ("panel-datasource-rule", Box::new(set("/panels/0/datasource/uid", json!("P1809F7CD0C75ACF3")))),
        ("panel-datasource-rule", Box::new(set("/panels/0/targets/0/datasource/uid", json!("other")))),
        ("panel-title-description-rule", Box::new(set("/panels/0/description", json!("")))),
        ("panel-units-rule", Box::new(set("/panels/0/fieldConfig/defaults/unit", json!("seconds")))),
        (
            "panel-units-rule",
            Box::new(set("/panels/0/fieldConfig/overrides/0/properties/0/value", json!("seconds"))),
        ),
        ("panel-no-targets-rule", Box::new(set("/panels/0/targets", json!([])))),
        ("target-promql-rule", Box::new(expression("sum(cgroup_pids_current{@}"))),
        ("target-rate-interval-rule", Box::new(expression("rate(cgroup_cpu_usage_seconds_total{@}[5m])"))),
        (
            "target-rate-interval-rule",
            Box::new(expression("rate(cgroup_cpu_usage_seconds_total{@}[$__range])")),
        ),
        (
            "target-rate-interval-rule",
            Box::new(expression("increase(cgroup_cpu_usage_seconds_total{@}[1h])")),
        ),
        ("target-job-rule", Box::new(expression("cgroup_pids_current{instance=~\"$instance\"}"))),
        (
            "target-instance-rule",
            Box::new(expression("cgroup_pids_current{@} / cgroup_pids_limit{job=~\"$job\"}")),
        ),
        ("target-instance-rule", Box::new(expression("cgroup_pids_current{@} / cgroup_pids_limit"))),
        ("target-counter-agg-rule", Box::new(expression("cgroup_cpu_usage_seconds_total{@}"))),
        (
            "target-counter-agg-rule",
            Box::new(expression("delta(cgroup_cpu_usage_seconds_total{@}[$__rate_interval])")),
        ),
        ("uneditable-dashboard", Box::new(set("/editable", json!(true)))),
    ];
    for (rule, _) in RULES {
        assert!(cases.iter().any(|(case, _)| case == rule), "no case for {rule}");
    }
    for (number, (rule, break_it)) in cases.iter().enumerate() {
        let mut json = good();
        break_it(&mut json);
        let found = of(json);
        assert!(found.iter().any(|what| what.starts_with(rule)), "case {number} of {rule} finds {found:?}");
    }
    // The whole time shown is right for a count.
    let mut json = good();
    expression("sum(increase(stockade_decisions_total{@}[$__range]))")(&mut json);
    assert_eq!(of(json), Vec::<String>::new());
}
