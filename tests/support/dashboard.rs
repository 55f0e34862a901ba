//! The dashboards, read for tests.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::path::Path;

use serde_json::Value;

/// One file of `dashboards/`.
pub struct Dashboard {
    /// Its file's name.
    pub name: String,
    /// All of it.
    pub json: Value,
    /// Its panels, rows left out.
    pub panels: Vec<Panel>,
}

/// One panel.
pub struct Panel {
    pub id: i64,
    pub title: String,
    pub description: String,
    pub unit: String,
    pub datasource: String,
    pub expressions: Vec<String>,
}

/// Every dashboard there is; a directory without any is a failure.
pub fn dashboards() -> Vec<Dashboard> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut found: Vec<Dashboard> = fs::read_dir(&directory)
        .expect("the directory of dashboards")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a file");
            let json: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let panels =
                json["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row");
            Dashboard { name, panels: panels.map(panel).collect(), json }
        })
        .collect();
    assert!(!found.is_empty(), "no dashboard in {}", directory.display());
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn panel(json: &Value) -> Panel {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Panel {
        id: json["id"].as_i64().unwrap_or_default(),
        title: text(&json["title"]),
        description: text(&json["description"]),
        unit: text(&json["fieldConfig"]["defaults"]["unit"]),
        datasource: text(&json["datasource"]["uid"]),
        expressions: json["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|target| text(&target["expr"]))
            .collect(),
    }
}
