//! PURE: what oomd's configuration says that it looks after (<https://github.com/facebookincubator/oomd>,
//! docs/configuration.md and docs/core_plugins.md there).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::yielding::{Area, Charge, Guardian};
use crate::model::PathGlob;

/// A configuration, or a drop-in of one.
#[derive(Deserialize)]
struct Document {
    rulesets: Vec<Ruleset>,
}

#[derive(Deserialize)]
struct Ruleset {
    #[serde(default)]
    name: String,
    #[serde(default)]
    actions: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

/// The cgroups that the kill plugins of a configuration choose among. Patterns are those of a shell, below the root of the
/// hierarchy, with commas between them.
///
/// # Errors
/// Says what cannot be read: then nobody knows what it looks after.
pub fn charges(text: &str) -> Result<Vec<Charge>, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut charges = Vec::new();
    for ruleset in &document.rulesets {
        for plugin in ruleset.actions.iter().filter(|plugin| plugin.name.starts_with("kill_by_")) {
            let patterns = plugin.args.get("cgroup").and_then(Value::as_str).ok_or_else(|| {
                format!("{} of the ruleset {:?} has no text as `cgroup`", plugin.name, ruleset.name)
            })?;
            for pattern in patterns.split(',').map(str::trim) {
                let because = format!("{} of its ruleset {:?} has {pattern}", plugin.name, ruleset.name);
                charges.push(Charge { guardian: Guardian::Oomd, area: area(pattern)?, because });
            }
        }
    }
    Ok(charges)
}

fn area(pattern: &str) -> Result<Area, String> {
    let below = pattern.trim_matches('/');
    if below.is_empty() {
        return Ok(Area::At(b"/"[..].into()));
    }
    let glob =
        PathGlob::parse(&format!("/{below}")).map_err(|why| format!("its pattern {pattern}: {why}"))?;
    Ok(Area::Matching(glob.matcher()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::yielding::Yielding;

    const DESKTOP: &str = r#"{
      "rulesets": [
        {"name": "user session protection",
         "detectors": [["user pressure above 40", {"name": "pressure_above", "args": {"cgroup": "other.slice"}}]],
         "actions": [
           {"name": "kill_by_memory_size_or_growth", "args": {"cgroup": "user.slice/*,workload.slice/a.service"}},
           {"name": "senpai", "args": {"cgroup": "senpai.slice"}}]}
      ],
      "version": "1.0.0"
    }"#;

    #[test]
    fn the_kill_plugins_say_what_is_looked_after() {
        let yielding =
            Yielding { charges: charges(DESKTOP).expect("it is well formed"), ..Yielding::default() };
        let left = |path: &str| yielding.reason(path.as_bytes(), path);
        let reason = left("/user.slice/user-1.slice/x.scope").expect("it is below a match");
        assert!(reason.contains("oomd: kill_by_memory_size_or_growth") && reason.contains("user.slice/*"));
        assert!(left("/workload.slice/a.service").is_some());
        for others in ["/user.slice", "/other.slice/x", "/senpai.slice", "/workload.slice/ab.service"] {
            assert_eq!(left(others), None, "{others}");
        }
        let root =
            r#"{"rulesets": [{"actions": [{"name": "kill_by_swap_usage", "args": {"cgroup": "/"}}]}]}"#;
        let root = Yielding { charges: charges(root).expect("it is well formed"), ..Yielding::default() };
        assert!(root.reason(b"/a", "/a").is_some());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (text, why) in [
            ("", "EOF"),
            ("{}", "rulesets"),
            (
                r#"{"rulesets": [{"name": "r", "actions": [{"name": "kill_by_pressure"}]}]}"#,
                "no text as `cgroup`",
            ),
            (r#"{"rulesets": [{"actions": [{"name": "kill_by_x", "args": {"cgroup": "a/["}}]}]}"#, "a/["),
        ] {
            let error = charges(text).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
