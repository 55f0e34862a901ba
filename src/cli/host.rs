//! `stockade check --host`: the report of what a host can do.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Format;
use crate::kernel::survey::{Answer, Survey};

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub(super) fn write(survey: &Survey, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text(survey, out),
        Format::Json => writeln!(out, "{}", document(survey)),
    }
}

fn text(survey: &Survey, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "kernel      {}", survey.kernel)?;
    writeln!(out, "layout      {}", survey.layout.kind.name())?;
    for hierarchy in &survey.layout.hierarchies {
        writeln!(out, "            {} at {}", hierarchy.name(), hierarchy.mount.display())?;
    }
    writeln!(out, "watch       {}", survey.watch.name())?;
    if let Some(reason) = &survey.watch_reason {
        writeln!(out, "            {reason}")?;
    }
    if let Some(files) = survey.open_files {
        writeln!(out, "open files  {files} at most")?;
    }
    writeln!(out, "\ncontrollers")?;
    for controller in &survey.controllers {
        match (&controller.version, &controller.mount) {
            (Some(version), Some(mount)) => {
                writeln!(out, "  {:<24} {:<4} {}", controller.name, version.name(), mount.display())?;
            }
            _ => writeln!(out, "  {:<24} no   its metrics are absent", controller.name)?,
        }
    }
    writeln!(out, "\nkernel features")?;
    for finding in &survey.findings {
        let line = format!("  {:<24} {:<4} {}", finding.what, answer(finding.answer), finding.detail);
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "\ncapabilities")?;
    if survey.missing.is_empty() {
        writeln!(out, "  none is missing")?;
    }
    for missing in &survey.missing {
        writeln!(out, "  {:<24} no   {}", missing.name, missing.cost)?;
    }
    Ok(())
}

const fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::NotSeen => "?",
    }
}

fn document(survey: &Survey) -> Value {
    let hierarchies: Vec<Value> = survey
        .layout
        .hierarchies
        .iter()
        .map(|hierarchy| {
            json!({
                "version": hierarchy.version.name(),
                "mount": hierarchy.mount,
                "controllers": hierarchy.controllers,
            })
        })
        .collect();
    let controllers: Vec<Value> = survey
        .controllers
        .iter()
        .map(|controller| {
            json!({
                "name": controller.name,
                "version": controller.version.map(|version| version.name()),
                "mount": controller.mount,
            })
        })
        .collect();
    let features: Vec<Value> = survey
        .findings
        .iter()
        .map(|finding| json!({"name": finding.what, "present": present(finding.answer), "detail": finding.detail}))
        .collect();
    let missing: Vec<Value> =
        survey.missing.iter().map(|missing| json!({"name": missing.name, "cost": missing.cost})).collect();
    json!({
        "version": 1,
        "kernel": survey.kernel,
        "layout": survey.layout.kind.name(),
        "hierarchies": hierarchies,
        "watch": {"method": survey.watch.name(), "reason": survey.watch_reason},
        "open_files": survey.open_files,
        "controllers": controllers,
        "features": features,
        "missing_capabilities": missing,
    })
}

/// JSON has a word for "not known".
const fn present(answer: Answer) -> Option<bool> {
    match answer {
        Answer::Yes => Some(true),
        Answer::No => Some(false),
        Answer::NotSeen => None,
    }
}
