//! The landing page: what this program is, what it does, and what happens on the host.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::html::{Badge, Escaped, Link, Moment, Percent, facts, section, table};
use super::{Frame, rules};
use crate::model::{Cgroup, Field, Quantity, Snapshot};
use crate::record::enforcement::{Decision, Overview};

/// How many cgroups a table shows.
const ROWS: usize = 10;

/// The pressure of each resource: its name, whether some wait, whether all do.
pub(super) const PRESSURE: [(&str, Field, Field); 3] = [
    ("CPU", Field::CpuSomeAvg10, Field::CpuFullAvg10),
    ("memory", Field::MemorySomeAvg10, Field::MemoryFullAvg10),
    ("I/O", Field::IoSomeAvg10, Field::IoFullAvg10),
];

/// The landing page.
pub(in crate::web) struct Landing {
    /// The newest snapshot; none before the first pass.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The host and the rules.
    pub overview: Overview,
    /// The newest decisions.
    pub decisions: Vec<Decision>,
    /// Where the metrics are.
    pub telemetry_path: String,
    /// After how many seconds it is loaded again.
    pub refresh: Option<u32>,
}

impl Display for Landing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let title = self.overview.host.as_deref().unwrap_or("this host");
        let content = |f: &mut Formatter<'_>| {
            self.head(f, title)?;
            f.write_str("<main>\n")?;
            self.facts(f)?;
            if let Some(snapshot) = &self.snapshot {
                pressure(f, snapshot)?;
            }
            if let Some(rules) = &self.overview.rules {
                rules::standing(f, rules)?;
                // What standing limits hold is counted above, and would be most of it.
                let of_limits = |policy: &str| rules.limits.iter().any(|limit| &*limit.name == policy);
                let claims: Vec<_> =
                    rules.in_force.iter().filter(|claim| !of_limits(&claim.policy)).collect();
                let held: usize = rules.limits.iter().map(|limit| limit.in_force).sum();
                rules::in_force(f, &claims, rules.in_force_total.saturating_sub(held))?;
            }
            if self.overview.rules.is_some() || !self.decisions.is_empty() {
                rules::decisions(f, &self.decisions.iter().collect::<Vec<_>>())?;
            }
            if let Some(snapshot) = &self.snapshot {
                memory(f, snapshot)?;
            }
            f.write_str("</main>\n")
        };
        Frame { title, refresh: self.refresh, content }.fmt(f)
    }
}

impl Landing {
    fn head(&self, f: &mut Formatter<'_>, host: &str) -> fmt::Result {
        let telemetry = Escaped(self.telemetry_path.trim_start_matches('/'));
        let refresh = match self.refresh {
            Some(seconds) => format!("<a href=\"./\">Stop loading it every {seconds} s</a>"),
            None => "<a href=\"./?refresh=10\">Load it every 10 s</a>".to_owned(),
        };
        write!(
            f,
            "<header>\n<h1>Stockade</h1>\n<p><bdi>{}</bdi> · version {}</p>\n<nav aria-label=\"Pages\">\n<ul>\n\
             <li><a href=\"{telemetry}\">Metrics</a></li>\n\
             <li>JSON: <a href=\"api/v1/cgroups\">cgroups</a>, <a href=\"api/v1/policies\">policies</a>, \
             <a href=\"api/v1/decisions\">decisions</a>, <a href=\"api/v1/status\">status</a></li>\n\
             <li><a href=\"-/healthy\">Health</a></li>\n<li><a href=\"-/ready\">Readiness</a></li>\n\
             <li>{refresh}</li>\n</ul>\n</nav>\n</header>\n",
            Escaped(host),
            env!("CARGO_PKG_VERSION"),
        )
    }

    fn facts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let known = |text: Option<&str>, else_: &str| match text {
            Some(text) => format!("<bdi>{}</bdi>", Escaped(text)),
            None => else_.to_owned(),
        };
        let mode = match &self.overview.rules {
            Some(rules) => format!("{} since {}", Badge(rules.mode), Moment(&rules.mode_since)),
            None => "nothing is enforced: there are no limits and no policies".to_owned(),
        };
        let mut rows = vec![
            ("Mode", mode),
            ("Configuration", known(self.overview.config.as_deref(), "the built-in defaults")),
            ("Kernel", known(self.overview.kernel.as_deref(), "unknown")),
        ];
        match &self.snapshot {
            None => rows.push(("Sample", "The first sample has not been taken yet.".to_owned())),
            Some(snapshot) => {
                let report = &snapshot.report;
                let layout = format!("{}, watched by {}", report.layout.name(), report.watch.name());
                let took = report.took.as_secs_f64() * 1e3;
                rows.push(("Cgroups", snapshot.shown().count().to_string()));
                rows.push(("Layout", layout));
                rows.push(("Sample", format!("number {}, taken in {took:.1} ms", snapshot.sequence)));
            }
        }
        let telemetry = format!("<code>{}</code>", Escaped(&self.telemetry_path));
        rows.push(("Telemetry path", telemetry));
        section(f, "state", "This program", |f| facts(f, rows))
    }
}

/// The cgroups that wait most.
fn pressure(f: &mut Formatter<'_>, snapshot: &Snapshot) -> fmt::Result {
    section(f, "pressure", "Most pressure", |f| {
        if !snapshot.shown().any(|cgroup| worst(cgroup).is_some()) {
            return f.write_str(
                "<p>No cgroup tells its pressure: the kernel has no PSI for cgroups, or it is off \
                 (<code>psi=1</code> turns it on), or the collector <code>pressure</code> is.</p>\n",
            );
        }
        let rows = top(snapshot, |cgroup| worst(cgroup).filter(|worst| worst.some > 0 || worst.full > 0));
        if rows.is_empty() {
            return f.write_str("<p>No cgroup has waited in the last 10 s.</p>\n");
        }
        let columns = [
            ("Cgroup", false),
            ("Worst", false),
            ("CPU some / full", true),
            ("Memory some / full", true),
            ("I/O some / full", true),
        ];
        let caption =
            "The share of the last 10 s in which some tasks, or all of them, waited; what is below counts in";
        table(f, caption, &columns, rows, |(cgroup, worst)| {
            let mut cells = vec![Link(&cgroup.identity).to_string(), worst.meter()];
            cells.extend(PRESSURE.iter().map(|&(_, some, full)| {
                let share = |field| {
                    cgroup
                        .readings
                        .get(field)
                        .map_or_else(|| "–".to_owned(), |value| Percent(value).to_string())
                };
                format!("{} / {}", share(some), share(full))
            }));
            cells
        })
    })
}

/// The resource that a cgroup waits for most; compared by how much some wait, then all.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Worst {
    some: u64,
    full: u64,
    resource: &'static str,
}

impl Worst {
    fn meter(&self) -> String {
        let share = self.some / 100;
        format!(
            "<meter min=\"0\" max=\"100\" low=\"10\" high=\"40\" optimum=\"0\" value=\"{share}\">{share}%</meter> {}",
            self.resource
        )
    }
}

fn worst(cgroup: &Cgroup) -> Option<Worst> {
    let share = |field| cgroup.readings.get(field);
    let each = PRESSURE.iter().filter_map(|&(resource, some, full)| {
        Some(Worst { some: share(some)?, full: share(full).unwrap_or_default(), resource })
    });
    each.max()
}

/// The cgroups that use most memory.
fn memory(f: &mut Formatter<'_>, snapshot: &Snapshot) -> fmt::Result {
    section(f, "memory", "Most memory", |f| {
        let rows = top(snapshot, |cgroup| cgroup.readings.get(Field::MemoryCurrent));
        if rows.is_empty() {
            return f.write_str("<p>No cgroup tells how much it uses.</p>\n");
        }
        let columns = [("Cgroup", false), ("Used", true), ("Tightest limit", true), ("Left", true)];
        table(f, "Memory in use, and how much more there may be", &columns, rows, |(cgroup, used)| {
            let read = |field, absent: &str| {
                let amount: Option<u64> = cgroup.readings.get(field);
                amount.map_or_else(|| absent.to_owned(), bytes)
            };
            vec![
                Link(&cgroup.identity).to_string(),
                bytes(*used),
                read(Field::MemoryEffectiveMax, "none"),
                read(Field::MemoryHeadroomMax, "–"),
            ]
        })
    })
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn bytes(amount: u64) -> String {
    Quantity::Bytes.show(amount as f64)
}

/// The cgroups with the largest values, largest first; ties by path.
pub(super) fn top<V: Ord>(snapshot: &Snapshot, value: impl Fn(&Cgroup) -> Option<V>) -> Vec<(&Cgroup, V)> {
    let mut ranked: Vec<(&Cgroup, V)> =
        snapshot.shown().filter_map(|cgroup| Some((cgroup, value(cgroup)?))).collect();
    let order = |one: &(&Cgroup, V), other: &(&Cgroup, V)| {
        other.1.cmp(&one.1).then_with(|| one.0.identity.path.cmp(&other.0.identity.path))
    };
    if ranked.len() > ROWS {
        ranked.select_nth_unstable_by(ROWS, order);
        ranked.truncate(ROWS);
    }
    ranked.sort_by(order);
    ranked
}
