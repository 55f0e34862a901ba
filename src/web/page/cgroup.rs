//! The page of one cgroup: whose it is, what it uses, what limits it, what was decided about it.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, UNIX_EPOCH};

use super::html::{Escaped, Link, Percent, Span, facts, section, table};
use super::landing::bytes;
use super::{Frame, rules};
use crate::model::{
    Cgroup, Control, Field, IoLimit, IoRate, Knob, Limit, OwnerLabel, Snapshot, Unit, Value, rfc3339,
};
use crate::record::enforcement::{Decision, Overview};
use crate::record::names;
use crate::web::query;

/// How many cgroups below it are shown.
const CHILDREN: usize = 20;

/// The pressure of each resource: some and full, over 10 s, 60 s and 300 s.
const PRESSURE: [(&str, [Field; 3], [Field; 3]); 3] = {
    use Field as F;
    [
        (
            "CPU",
            [F::CpuSomeAvg10, F::CpuSomeAvg60, F::CpuSomeAvg300],
            [F::CpuFullAvg10, F::CpuFullAvg60, F::CpuFullAvg300],
        ),
        (
            "Memory",
            [F::MemorySomeAvg10, F::MemorySomeAvg60, F::MemorySomeAvg300],
            [F::MemoryFullAvg10, F::MemoryFullAvg60, F::MemoryFullAvg300],
        ),
        (
            "I/O",
            [F::IoSomeAvg10, F::IoSomeAvg60, F::IoSomeAvg300],
            [F::IoFullAvg10, F::IoFullAvg60, F::IoFullAvg300],
        ),
    ]
};

/// The page of one cgroup.
pub(in crate::web) struct One<'a> {
    /// The snapshot that it is in.
    pub snapshot: &'a Snapshot,
    /// Which.
    pub cgroup: &'a Cgroup,
    /// The rules.
    pub overview: Overview,
    /// The newest decisions.
    pub decisions: Vec<Decision>,
}

impl Display for One<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let identity = &self.cgroup.identity;
        let content = |f: &mut Formatter<'_>| {
            write!(
                f,
                "<header>\n<h1 class=\"path\"><bdi>{}</bdi></h1>\n<nav aria-label=\"Pages\">\n<ul>\n\
                 <li><a href=\"./\">Overview</a></li>\n",
                Escaped(&identity.display)
            )?;
            if let Some(parent) = self.snapshot.parent(self.cgroup) {
                writeln!(f, "<li class=\"in\">In {}</li>", Link(&parent.identity))?;
            }
            write!(
                f,
                "<li><a href=\"api/v1/cgroup?path={}\">As JSON</a></li>\n</ul>\n</nav>\n</header>\n<main>\n",
                Escaped(&query::encode(&identity.path))
            )?;
            section(f, "identity", "Whose it is", |f| facts(f, self.identity()))?;
            section(f, "use", "What it uses", |f| facts(f, self.readings()))?;
            self.pressure(f)?;
            section(f, "controls", "What limits it", |f| facts(f, self.controls()))?;
            self.rules(f)?;
            self.children(f)?;
            f.write_str("</main>\n")
        };
        Frame { title: &identity.display, refresh: None, content }.fmt(f)
    }
}

impl One<'_> {
    fn identity(&self) -> Vec<(&'static str, String)> {
        let Cgroup { identity, born, ended, .. } = self.cgroup;
        let at = self.snapshot.at;
        let labels = OwnerLabel::ALL.iter().filter_map(|&label| {
            let value = identity.owner.get(label)?;
            Some((label.name(), format!("<bdi>{}</bdi>", Escaped(value))))
        });
        let mut rows: Vec<_> = labels.collect();
        rows.push(("kernel id", identity.id.to_string()));
        rows.push(("known for", Span(at.saturating_sub(*born)).to_string()));
        rows.extend(ended.map(|ended| ("ended", format!("{} ago", Span(at.saturating_sub(ended))))));
        rows
    }

    /// Every number but the pressure's, which has a table.
    fn readings(&self) -> Vec<(&'static str, String)> {
        let numbers = Field::ALL.iter().filter(|field| !names::field(**field).contains(".pressure."));
        numbers
            .filter_map(|&field| {
                Some((names::field(field), show(self.cgroup.readings.get(field)?, field.unit())))
            })
            .collect()
    }

    fn pressure(&self, f: &mut Formatter<'_>) -> fmt::Result {
        section(f, "pressure", "Pressure", |f| {
            let read = |field| self.cgroup.readings.get(field);
            if !PRESSURE.iter().any(|(_, some, _)| read(some[0]).is_some()) {
                return f.write_str("<p>The kernel does not tell it.</p>\n");
            }
            let columns = [("Waits for", false), ("10 s", true), ("60 s", true), ("300 s", true)];
            let caption = "The share of time in which some tasks, or all of them, waited";
            table(f, caption, &columns, &PRESSURE, |(resource, some, full)| {
                let share =
                    |field| read(field).map_or_else(|| "–".to_owned(), |share| Percent(share).to_string());
                let both = |at: usize| format!("{} / {}", share(some[at]), share(full[at]));
                vec![format!("{resource}, some / full"), both(0), both(1), both(2)]
            })
        })
    }

    fn controls(&self) -> Vec<(&str, String)> {
        let controls = &self.cgroup.controls;
        let mut rows: Vec<(&str, String)> = Control::ALL
            .iter()
            .filter_map(|&control| {
                Some((names::control(control), control_value(control, controls.get(control)?)))
            })
            .collect();
        rows.extend(controls.io.iter().map(|limit| (&*limit.device, io_limit(limit))));
        rows
    }

    fn rules(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let identity = &self.cgroup.identity;
        if let Some(rules) = &self.overview.rules {
            rules::in_force(f, &rules.in_force.iter().collect::<Vec<_>>(), rules.in_force_total)?;
        }
        let about: Vec<_> = self.decisions.iter().filter(|decision| decision.cgroup == *identity).collect();
        if self.overview.rules.is_none() && about.is_empty() {
            return Ok(());
        }
        rules::decisions(f, &about)
    }

    fn children(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_below = |child: &&Cgroup| {
            let parent = self.snapshot.parent(child).map(|parent| &parent.identity);
            parent.is_some_and(|parent| *parent == self.cgroup.identity)
        };
        let mut children: Vec<&Cgroup> = self.snapshot.shown().filter(is_below).collect();
        if children.is_empty() {
            return Ok(());
        }
        let used = |child: &Cgroup| child.readings.get(Field::MemoryCurrent);
        children.sort_by_key(|child| std::cmp::Reverse(used(child)));
        section(f, "below", "Below it", |f| {
            let columns = [("Cgroup", false), ("Memory", true), ("Tasks", true)];
            let rows = children.iter().take(CHILDREN);
            let caption = format!("The first {CHILDREN} by memory, of {}", children.len());
            let caption = if children.len() > CHILDREN { &caption } else { "By memory" };
            table(f, caption, &columns, rows, |child| {
                let tasks = child.readings.get(Field::PidsCurrent).or(child.readings.get(Field::Threads));
                let absent = || "–".to_owned();
                vec![
                    Link(&child.identity).to_string(),
                    used(child).map_or_else(absent, bytes),
                    tasks.map_or_else(absent, |tasks| tasks.to_string()),
                ]
            })
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
fn show(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::Count => value.to_string(),
        Unit::Nanoseconds => format!("{:.3}s", value as f64 / 1e9),
        Unit::Microseconds => format!("{}.{:03}ms", value / 1000, value % 1000),
        // A page without scripts knows no time zone of its reader's.
        Unit::Timestamp => {
            let moment = rfc3339(UNIX_EPOCH + Duration::from_nanos(value));
            format!("{} UTC", moment.get(..19).unwrap_or(&moment).replace('T', " "))
        }
        Unit::CentiPercent => Percent(value).to_string(),
        Unit::Flag => if value != 0 { "yes" } else { "no" }.to_owned(),
    }
}

fn control_value(control: Control, limit: Limit) -> String {
    limit.value().map_or_else(|| "max".to_owned(), |value| show(value, control.unit()))
}

/// What limits a device: `rbps 1.0MiB/s, weight 100`.
fn io_limit(limit: &IoLimit) -> String {
    let rates = [
        (IoRate::ReadBytes, limit.read_bytes),
        (IoRate::WriteBytes, limit.write_bytes),
        (IoRate::Reads, limit.reads),
        (IoRate::Writes, limit.writes),
    ];
    let mut said: Vec<String> = rates
        .into_iter()
        .filter_map(|(rate, limit)| {
            let knob = Knob::IoMax { device: "".into(), rate };
            Some(format!("{} {}", rate.name(), knob.show(&Value::Limit(limit?))))
        })
        .collect();
    let number = |limit: Limit| limit.value().map_or_else(|| "max".to_owned(), |value| value.to_string());
    said.extend(limit.latency_target.map(|target| format!("latency {}us", number(target))));
    said.extend(limit.weight.map(|weight| format!("weight {}", number(weight))));
    said.join(", ")
}
