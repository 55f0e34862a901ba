//! The dashboards, read for tests.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One file of `dashboards/`.
#[derive(Clone)]
pub struct Dashboard {
    /// Its file's name, without `.json`.
    pub name: String,
    /// All of it.
    pub json: Value,
}

/// One panel.
pub struct Panel {
    pub id: i64,
    pub kind: String,
    pub title: String,
    pub description: String,
    pub targets: Vec<Target>,
    pub json: Value,
}

/// One query of a panel.
pub struct Target {
    pub ref_id: String,
    pub expression: String,
    pub legend: String,
    pub instant: bool,
}

/// What the variables of a dashboard stand for.
pub struct Chosen<'a> {
    pub job: &'a str,
    pub instance: &'a str,
    pub cgroup: &'a str,
    pub rate_interval: &'a str,
    pub range: &'a str,
}

/// Where they are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// Every dashboard there is; a directory without any is a failure.
pub fn dashboards() -> Vec<Dashboard> {
    let directory = directory();
    let mut found: Vec<Dashboard> = fs::read_dir(&directory)
        .expect("the directory of dashboards")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a file");
            let json =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            Dashboard { name, json }
        })
        .collect();
    assert!(!found.is_empty(), "no dashboard in {}", directory.display());
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

impl Dashboard {
    /// Its title.
    pub fn title(&self) -> String {
        text(&self.json["title"])
    }

    /// Its panels, rows left out, and those within collapsed rows not.
    pub fn panels(&self) -> Vec<Panel> {
        let rows = |json: &Value| json["panels"].as_array().cloned().unwrap_or_default();
        let mut panels = Vec::new();
        for one in rows(&self.json) {
            if one["type"] == "row" {
                panels.extend(rows(&one));
            } else {
                panels.push(one);
            }
        }
        panels.into_iter().map(Panel::read).collect()
    }

    /// Its variables.
    pub fn variables(&self) -> Vec<Value> {
        self.json["templating"]["list"].as_array().cloned().unwrap_or_default()
    }

    /// The queries of its annotations, by name.
    pub fn annotations(&self) -> Vec<(String, Target)> {
        let list = self.json["annotations"]["list"].as_array().cloned().unwrap_or_default();
        list.iter().map(|one| (text(&one["name"]), Target::read(&one["target"]))).collect()
    }
}

impl Panel {
    fn read(json: Value) -> Self {
        let targets = json["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            id: json["id"].as_i64().unwrap_or_default(),
            kind: text(&json["type"]),
            title: text(&json["title"]),
            description: text(&json["description"]),
            targets: targets.iter().map(Target::read).collect(),
            json,
        }
    }
}

impl Target {
    fn read(json: &Value) -> Self {
        Self {
            ref_id: text(&json["refId"]),
            expression: text(&json["expr"]),
            legend: text(&json["legendFormat"]),
            instant: json["instant"] == true,
        }
    }
}

impl Chosen<'_> {
    /// An expression with the variables filled in.
    pub fn fill(&self, expression: &str) -> String {
        expression
            .replace("$__rate_interval", self.rate_interval)
            .replace("$__range", self.range)
            .replace("$job", &escaped(self.job))
            .replace("$instance", &escaped(self.instance))
            .replace("$cgroup", &escaped(self.cgroup))
    }
}

/// A value as Grafana puts that of a variable with several choices into a query: what has a meaning in a regular
/// expression is escaped, and the backslashes once more for the string. `.+` is the `allValue`, which is not.
fn escaped(value: &str) -> String {
    if value == ".+" {
        return value.to_owned();
    }
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '\\' => out.push_str(r"\\\\"),
            '$' | '^' | '*' | '{' | '}' | '[' | ']' | '\'' | '+' | '?' | '.' | '(' | ')' | '|' => {
                out.push_str(r"\\");
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// A JSON string's text; empty for anything else.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The labels of a legend such as `{{cgroup}} · {{instance}}`.
pub fn legend_labels(legend: &str) -> Vec<&str> {
    legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim())).collect()
}
