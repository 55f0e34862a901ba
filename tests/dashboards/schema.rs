//! Grafana's own types: `tsc` compiles each dashboard as a value of the type that `@grafana/schema` has for it, and each
//! panel's options as those of its kind. A misspelt option, a wrong type and an unknown choice are errors.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::dashboard::{Dashboard, dashboards};

const PACKAGES: [&str; 2] = ["@grafana/schema@13.2.3", "typescript@5.9.3"];

/// The types, said once: what is an enumeration in TypeScript is its values in JSON, and what Prometheus's data source
/// adds to a query is in no package.
const TYPES: &str = include_str!("schema.ts");

/// What `tsc` says of these dashboards; nothing if they fit.
fn check(dashboards: &[Dashboard]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fetched = Command::new(root.join("tests/tools/node")).args(PACKAGES).output().expect("bash");
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let tools = String::from_utf8(fetched.stdout).expect("a path");
    let tools = Path::new(tools.trim());
    // Below the packages, for that is where the compiler looks for them.
    let directory = tempfile::tempdir_in(tools).expect("a directory beside the packages");
    fs::write(directory.path().join("schema.ts"), TYPES).expect("a file");
    for Dashboard { name, json } in dashboards {
        let mut source = "import type { Dashboard, PanelOf } from './schema';\n".to_owned();
        let _ = writeln!(source, "export const dashboard: Dashboard = {json:#};");
        for (number, panel) in json["panels"].as_array().expect("panels").iter().flat_map(flat).enumerate() {
            let _ = writeln!(source, "export const panel{number}: PanelOf[{}] = {panel:#};", panel["type"]);
        }
        fs::write(directory.path().join(format!("{name}.ts")), source).expect("a file");
    }
    let options = json!({"compilerOptions": {
        "strict": true, "noEmit": true, "skipLibCheck": true, "target": "es2022", "module": "esnext",
        "moduleResolution": "bundler", "types": [],
    }});
    fs::write(directory.path().join("tsconfig.json"), options.to_string()).expect("a file");
    let said = Command::new(tools.join("bin/node"))
        .arg(tools.join("node_modules/typescript/bin/tsc"))
        .args(["--pretty", "false", "--project", "."])
        .current_dir(directory.path())
        .output()
        .expect("Node runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.success(), text.is_empty(), "{text}");
    text
}

/// A panel; of a row, what is in it.
fn flat(panel: &Value) -> Vec<Value> {
    match panel["panels"].as_array() {
        Some(within) => within.clone(),
        None => vec![panel.clone()],
    }
}

#[test]
fn grafanas_types_fit_every_dashboard_and_nothing_else() {
    let dashboards = dashboards();
    let overview = dashboards.iter().find(|dashboard| dashboard.name == "overview").expect("the overview");
    let breaks: [(&str, &str, Value); 8] = [
        ("time", "/refresh", json!(30)),
        ("tooltip", "/graphTooltip", json!(7)),
        ("variable", "/templating/list/1/type", json!("queries")),
        ("grid", "/panels/1/gridPos", json!({"x": 0, "y": 0, "w": 3})),
        ("mode", "/panels/1/options/colorMode", json!("rainbow")),
        ("legend", "/panels/10/options/legend/displayMode", json!("tables")),
        ("option", "/panels/10/options/legendd", json!({})),
        ("query", "/panels/10/targets/0/expresion", json!("up")),
    ];
    let mut all = dashboards.clone();
    for (name, place, value) in &breaks {
        let mut json = overview.json.clone();
        let (parent, key) = place.rsplit_once('/').expect("a place within");
        json.pointer_mut(parent).expect("there is one")[key] = value.clone();
        all.push(Dashboard { name: format!("broken-{name}"), json });
    }
    let said = check(&all);
    for (name, ..) in &breaks {
        assert!(said.contains(&format!("broken-{name}.ts(")), "{name} is not found: {said}");
    }
    let errors = said.lines().filter(|line| line.contains("error TS"));
    let wrong: Vec<&str> = errors.filter(|line| !line.starts_with("broken-")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
