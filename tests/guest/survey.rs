//! What `stockade check --host` says here: the matrix makes the support table of deploy/kernels.md of it.

use std::process::Command;

use serde_json::{Value, json};

use crate::outcome::{During, Outcome, ensure};
use crate::tree::Group;
use crate::{Guest, say};

/// Takes the report while there is a cgroup below the root to look at, and holds its first facts against the guest.
pub(crate) fn report(guest: &mut Guest) -> Outcome {
    let _below = Group::make(&guest.tree, "survey")?;
    let ran = Command::new("/stockade")
        .args(["check", "--host", "--format", "json"])
        .output()
        .during("/stockade check --host")?;
    ensure(ran.status.success(), || format!("check --host: {}", String::from_utf8_lossy(&ran.stderr)))?;
    let survey: Value = serde_json::from_slice(&ran.stdout).during("the report")?;
    let unified = guest.tree.unified().is_some();
    ensure((survey["layout"] != "legacy") == unified, || format!("layout {} is told", survey["layout"]))?;
    for controller in survey["controllers"].as_array().into_iter().flatten() {
        let name = controller["name"].as_str().unwrap_or_default();
        let served =
            guest.tree.of(if name == "io" && controller["version"] == "v1" { "blkio" } else { name });
        ensure(served.is_some() != controller["version"].is_null(), || format!("{controller} is told"))?;
    }
    say(&json!({"survey": survey}))?;
    Ok(String::new())
}
