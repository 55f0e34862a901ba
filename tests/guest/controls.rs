//! Writes to control files by another process: seen at once, and counted.

use crate::Guest;
use crate::outcome::{Outcome, Stop, ensure};
use crate::tree::Group;

/// A limit is shown two passes after it was written, not at the slow clock; and the write itself is a number.
pub(crate) fn seen_at_once(guest: &mut Guest) -> Outcome {
    guest.tree.need("pids")?;
    let group = Group::make(&guest.tree, "controls")?;
    let before = guest.agree(&[&group])?;
    let method = before.0.iter().find(|series| series.name == "stockade_watch_method" && series.value > 0.5);
    let method = method.and_then(|series| series.label("method")).unwrap_or_default().to_owned();
    if method == "walk" {
        return Err(Stop::Absent(
            "nothing watches control files here: they are read at the slow clock".into(),
        ));
    }
    for limit in ["100", "200"] {
        group.write(&guest.tree, "pids", "pids.max", limit)?;
        let scrape = guest.daemon()?.scrape_after_now()?;
        let shown = scrape.get("cgroup_pids_limit", &[("cgroup", &group.label())])?;
        ensure(shown.map(|shown| shown.to_string()).as_deref() == Some(limit), || {
            format!("{limit} was written to pids.max; two passes later {shown:?} is shown ({method})")
        })?;
    }
    let writes = |scrape: &crate::exposition::Exposition| -> f64 {
        let written = scrape.0.iter().filter(|series| {
            series.name == "stockade_control_writes_total" && series.label("file") == Some("pids.max")
        });
        written.map(|series| series.value).sum()
    };
    let after = guest.daemon()?.scrape_after_now()?;
    let counted = writes(&after) - writes(&before);
    // Writes of one process close together may be merged into one notice.
    ensure((1.0..=2.0).contains(&counted), || {
        format!("pids.max was written twice, {counted} writes are counted")
    })?;
    Ok(method)
}
