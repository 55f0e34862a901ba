//! The tables of every metric, for `dashboards/metrics.md`.

use std::fmt::Write as _;

use super::families;
use super::family::{Family, Tier};
use super::registered::REGISTERED;
use super::text::{Kind, unit_of};

/// Every metric as a Markdown table: name, type, unit, labels, collector, source and meaning.
///
/// The names of the collector column are those of `--collector.NAME`. A metric of cgroups also has the label `cgroup`.
#[must_use]
pub fn documentation() -> String {
    let mut table = heading();
    for family in families::all() {
        family_row(&mut table, family, "cgroup");
    }
    for family in REGISTERED {
        row(&mut table, (family.name, family.kind), family.labels, "always", "this program", family.help);
    }
    table
}

/// Every metric of cAdvisor's that is exported under its own name, as a Markdown table like [`documentation()`]'s.
///
/// A metric of cgroups has the label `id`, and that of a container `name`, `image`, `container`, `pod` and `namespace`.
#[must_use]
pub fn cadvisor() -> String {
    let mut table = heading();
    for family in families::CADVISOR {
        family_row(&mut table, family, "id");
    }
    table
}

fn heading() -> String {
    "| Metric | Type | Unit | Labels | Collector | Source | What it says |\n|---|---|---|---|---|---|---|\n"
        .to_owned()
}

fn family_row(table: &mut String, family: &Family, cgroup: &str) {
    let labels: Vec<&str> =
        family.of_cgroups().then_some(cgroup).into_iter().chain(family.labels.iter().copied()).collect();
    let collector = family.collector.map_or("always", |collector| collector.name());
    row(table, (family.name, family.kind), &labels, collector, family.source, &help(family));
}

fn help(family: &Family) -> String {
    let note = match family.tier {
        Tier::Essential => " Essential.",
        Tier::Detail => "",
        Tier::OptIn => " Opt-in.",
    };
    format!("{}{note}", family.help)
}

fn row(
    table: &mut String,
    (name, kind): (&str, Kind),
    labels: &[&str],
    collector: &str,
    source: &str,
    help: &str,
) {
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let unit = unit_of(name);
    let _ = writeln!(
        table,
        "| `{name}` | {} | {unit} | {} | {collector} | {source} | {help} |",
        kind.name(),
        labels.join(", ")
    );
}
