//! The rules for Prometheus, without a load: their form, that every metric and label in them is one that Stockade has,
//! their cases in `tests/rules/`, and a page for each alert. `tests/alerting.rs` has one of them fire.

#[path = "support/promql.rs"]
mod promql;
#[path = "support/rules.rs"]
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use promql::Registry;
use rules::{Rule, alerts, rules, shipped};
use serde_yaml::Value;

const FILES: [&str; 2] = ["recording.yml", "alerts.yml"];

fn promtool(arguments: &[&str], files: &[PathBuf]) -> Output {
    Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("this test needs promtool (tests/run fetches it): {error}"))
}

/// What it printed, in either stream.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn cases() -> Vec<PathBuf> {
    let files = fs::read_dir(shipped("tests/rules")).expect("the directory of cases");
    let files: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty(), "no cases in tests/rules");
    files
}

#[test]
fn prometheus_takes_the_rules_without_a_lint() {
    let files = FILES.map(|file| shipped("dashboards/rules").join(file));
    let output = promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn every_case_comes_out_as_written() {
    let output = promtool(&["test", "rules"], &cases());
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not_and_every_recording_rule_a_value() {
    let (mut fire, mut rest, mut asked) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for file in cases() {
        let text = fs::read_to_string(&file).expect("a file");
        let cases: Value =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for group in cases["tests"].as_sequence().expect("tests") {
            for case in group["alert_rule_test"].as_sequence().into_iter().flatten() {
                let name = case["alertname"].as_str().expect("a name").to_owned();
                let none = case["exp_alerts"].as_sequence().expect("a list").is_empty();
                if none {
                    rest.insert(name)
                } else {
                    fire.insert(name)
                };
            }
            for query in group["promql_expr_test"].as_sequence().into_iter().flatten() {
                let _ = writeln!(asked, "{}", query["expr"].as_str().expect("a query"));
            }
        }
    }
    let names: BTreeSet<String> = alerts().into_keys().collect();
    assert_eq!(fire, names, "alerts that fire in a case");
    assert_eq!(rest, names, "alerts that do not fire in a case");
    for rule in FILES.iter().flat_map(|file| rules(file)) {
        if let Some(record) = rule.record {
            assert!(asked.lines().any(|query| query == record), "no case asks for {record}");
        }
    }
}

/// The cases notice when a threshold is another one: each alert's, made too high to reach and too low not to.
#[test]
fn a_threshold_that_is_changed_fails_a_case_of_its_alert() {
    let harder: Change = |op, _| if op.starts_with('<') { -1e9 } else { 1e9 };
    // Whether something equals a number is not a matter of more or less.
    let easier: Change = |op, bound| match op {
        "==" => 1.0 - bound,
        "<" => 1e9,
        _ => -1e9,
    };
    for (change, how) in [(harder, "harder"), (easier, "easier")] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        fs::create_dir_all(path.join("dashboards/rules")).expect("a directory");
        fs::create_dir_all(path.join("tests/rules")).expect("a directory");
        let mut text = fs::read_to_string(shipped("dashboards/rules/alerts.yml")).expect("the rules");
        let mut changed = BTreeSet::new();
        for (name, rule) in alerts() {
            let other = with_thresholds(&rule.expr, change);
            if other != rule.expr {
                changed.insert(name.clone());
                text = with_expression(&text, &name, &other);
            }
        }
        fs::write(path.join("dashboards/rules/alerts.yml"), text).expect("a file");
        let mut copies = Vec::new();
        for case in cases().into_iter().filter(|case| !case.ends_with("recording.yml")) {
            let copy = path.join("tests/rules").join(case.file_name().expect("a name"));
            fs::copy(&case, &copy).expect("a copy");
            copies.push(copy);
        }
        let said = said(&promtool(&["test", "rules"], &copies));
        let failed: BTreeSet<String> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("alertname: ")?.split(',').next().map(str::to_owned))
            .collect();
        let unnoticed: Vec<_> = changed.difference(&failed).collect();
        assert!(unnoticed.is_empty(), "{how} thresholds of {unnoticed:?} fail no case: {said}");
        let without: Vec<_> = alerts().into_keys().filter(|name| !changed.contains(name)).collect();
        assert_eq!(without, ["StockadeAbsent"], "every other alert compares with a number");
    }
}

/// What a number after a comparison becomes.
type Change = fn(&str, f64) -> f64;

/// An expression with every number that follows a comparison changed.
fn with_thresholds(expression: &str, change: Change) -> String {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut changed = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        let op = at.checked_sub(1).map_or("", |before| words[before]);
        let number = word.trim_end_matches(')');
        match number.parse::<f64>() {
            Ok(bound) if ["<", ">", "==", ">="].contains(&op) => {
                changed.push(format!("{}{}", change(op, bound), &word[number.len()..]));
            }
            _ => changed.push((*word).to_owned()),
        }
    }
    changed.join(" ")
}

/// A file of rules in which one alert's expression is another.
fn with_expression(text: &str, alert: &str, expression: &str) -> String {
    let (before, rest) = text.split_once(&format!("- alert: {alert}\n")).expect("the alert");
    let end = rest.find("        labels:").into_iter().chain(rest.find("        for:")).min().expect("more");
    format!("{before}- alert: {alert}\n        expr: '{expression}'\n{}", &rest[end..])
}

#[test]
fn every_metric_and_label_exists_and_alerts_show_labels_that_they_have() {
    let mut registry = Registry::new();
    for file in FILES {
        for rule in rules(file) {
            let name = rule.record.as_ref().or(rule.alert.as_ref()).expect("a rule has a name");
            let labels =
                registry.judge(&rule.expr).unwrap_or_else(|wrong| panic!("{name}: {}", wrong.join("; ")));
            if let Some(record) = &rule.record {
                registry.record(record, labels);
                continue;
            }
            for text in rule.annotations.values() {
                for shown in text.split("$labels.").skip(1) {
                    let label: String =
                        shown.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    assert!(
                        labels.contains(&label),
                        "{name} shows the label {label}, and has none: {labels:?}"
                    );
                }
            }
            if name.starts_with("Cgroup") {
                for label in ["cluster", "job", "instance", "cgroup", "unit", "namespace", "pod", "container"]
                {
                    assert!(labels.contains(label), "{name} has no label {label}");
                }
            }
        }
    }
}

#[test]
fn a_query_that_names_what_is_not_there_is_noticed() {
    let registry = Registry::new();
    for bad in [
        "cgroup_memory_curent_bytes",
        "rate(cgroup_pids_current[5m])",
        "cgroup_cpu_usage_seconds_total",
        "deriv(cgroup_cpu_usage_seconds_total[5m])",
        "cgroup_pids_current{device=\"vda\"}",
        "sum by (pod) (cgroup_pids_current)",
        "cgroup_pids_current * on (cgroup) group_left (podd) cgroup_info",
        "cgroup_pids_current / on (unit) cgroup_pids_limit",
        "sum by (unit) (cgroup_pids_current / on (cgroup) cgroup_pids_limit)",
        "rate(stockade_sample_duration_seconds[5m])",
        "cgroup_pids_current >",
    ] {
        assert!(registry.judge(bad).is_err(), "{bad}");
    }
    for good in [
        "sum by (pod) (cgroup_pids_current * on (instance, cgroup) group_left (pod) cgroup_info{unit=\"\"})",
        "histogram_quantile(0.9, sum by (le) (rate(stockade_sample_duration_seconds_bucket[5m])))",
        "topk by (instance) (3, rate(cgroup_io_read_bytes_total{device!=\"\"}[5m]))",
    ] {
        assert_eq!(registry.judge(good).err(), None, "{good}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() {
    for (name, Rule { labels, annotations, .. }) in alerts() {
        let severity = labels.get("severity").map_or("", String::as_str);
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: severity {severity:?}");
        let keys: Vec<&str> = annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, ["description", "runbook_url", "summary"], "{name}");
        let page =
            format!("{{{{ with $externalLabels.stockade_runbooks }}}}{{{{ . }}}}/{{{{ end }}}}{name}.md");
        assert_eq!(annotations["runbook_url"], page, "{name}");
        for text in annotations.values() {
            assert!(
                text.split("$value").skip(1).all(|rest| rest.starts_with(" |")),
                "{name}: a bare number: {text}"
            );
        }
    }
}

/// What a page says: its sections by their headings, the first without one.
fn page(alert: &str) -> BTreeMap<String, String> {
    let path = shipped("dashboards/runbooks").join(format!("{alert}.md"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text =
        text.strip_prefix(&format!("# {alert}\n")).unwrap_or_else(|| panic!("{alert}.md: its first line"));
    let mut sections = text.split("\n## ");
    let first = sections.next().unwrap_or_default().to_owned();
    let mut page: BTreeMap<String, String> = sections
        .filter_map(|section| section.split_once('\n'))
        .map(|(heading, body)| (heading.to_owned(), body.to_owned()))
        .collect();
    page.insert(String::new(), first);
    page
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let registry = {
        let mut registry = Registry::new();
        for rule in FILES.iter().flat_map(|file| rules(file)) {
            if let Some(record) = rule.record {
                let labels = registry.judge(&rule.expr).expect("judged elsewhere");
                registry.record(&record, labels);
            }
        }
        registry
    };
    let help = Command::new(env!("CARGO_BIN_EXE_stockade")).arg("--help").output().expect("the program");
    let help = String::from_utf8(help.stdout).expect("help is text");
    for (name, rule) in alerts() {
        let page = page(&name);
        let sections: Vec<&str> = page.keys().map(String::as_str).collect();
        assert_eq!(
            sections,
            ["", "False alarms and silence", "Look", "What it means", "What to do"],
            "{name}.md"
        );
        let severity = format!("**{}**", rule.labels["severity"]);
        assert!(page[""].contains(&severity), "{name}.md does not say {severity}");
        assert!(fires_when(&name).is_some(), "{name}.md has no line that begins with Fires when");
        let look = &page["Look"];
        let blocks = |language: &str| -> Vec<String> {
            let fence = format!("```{language}\n");
            let blocks = look.split(&fence).skip(1);
            blocks.filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
        };
        let queries: Vec<String> = blocks("promql")
            .iter()
            .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert!(!queries.is_empty(), "{name}.md has nothing to ask Prometheus");
        for query in queries {
            let wrong = registry.judge(&query).err().unwrap_or_default().join("; ");
            assert!(wrong.is_empty(), "{name}.md: {query}: {wrong}");
        }
        let commands = blocks("console").concat();
        assert!(commands.contains("# "), "{name}.md has no command to run");
        for command in commands.lines().filter_map(|line| line.strip_prefix("# stockade ")) {
            let subcommand = command.split(' ').next().unwrap_or_default();
            assert!(
                help.contains(&format!("\n  {subcommand} ")),
                "{name}.md: no command stockade {subcommand}"
            );
        }
    }
    let files = fs::read_dir(shipped("dashboards/runbooks")).expect("the directory of runbooks");
    let pages: BTreeSet<String> = files
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|file| file != "README.md")
        .collect();
    let expected: BTreeSet<String> = alerts().into_keys().map(|name| format!("{name}.md")).collect();
    assert_eq!(pages, expected);
}

/// The sentence of a page that tells the threshold.
fn fires_when(alert: &str) -> Option<String> {
    let first = page(alert).remove("")?;
    let paragraph = first.split("\n\n").find_map(|paragraph| paragraph.trim().strip_prefix("Fires when "))?;
    Some(paragraph.replace('\n', " ").trim_end_matches('.').to_owned())
}

/// `STOCKADE_BLESS=1` writes the table anew.
#[test]
fn the_index_of_the_pages_is_that_of_the_alerts() {
    let mut table = "| Alert | Severity | For | Fires when |\n|---|---|---|---|\n".to_owned();
    for file in [rules("alerts.yml")] {
        for rule in file {
            let Some(name) = rule.alert else { continue };
            let (severity, pending) =
                (&rule.labels["severity"], rule.pending.as_deref().unwrap_or("at once"));
            let when = fires_when(&name).unwrap_or_default();
            let _ = writeln!(table, "| [{name}]({name}.md) | {severity} | {pending} | {when} |");
        }
    }
    let path = shipped("dashboards/runbooks/README.md");
    let text = fs::read_to_string(&path).expect("the index");
    let (before, rest) = text.split_once("<!-- alerts -->\n").expect("a table of alerts");
    let (_, after) = rest.split_once("<!-- /alerts -->").expect("which ends");
    let expected = format!("{before}<!-- alerts -->\n{table}<!-- /alerts -->{after}");
    if std::env::var_os("STOCKADE_BLESS").is_some() {
        fs::write(&path, expected).expect("the index is written");
        return;
    }
    assert_eq!(text, expected, "write it anew with STOCKADE_BLESS=1");
}
