//! The encoder: families outside, cgroups inside, straight into the caller's buffer.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Cgroup, Collector, CollectorSet, Identity, Limit, OwnerLabel, Schema, Snapshot};

use super::budget::{self, Selection, Shown};
use super::container;
use super::families;
use super::family::{Dialect, Family, From, Tier, of_field};
use super::own::Own;
use super::program::{Program, Series};
use super::text::{self, Format, Scale};
use super::values::{self, Rows};

/// Which identity labels stand on every series of a cgroup, and not only on `cgroup_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attach([bool; OwnerLabel::COUNT]);

impl Attach {
    /// None of them.
    pub const NONE: Self = Self([false; OwnerLabel::COUNT]);
    /// All of them, as on `cgroup_info`.
    pub(crate) const ALL: Self = Self([true; OwnerLabel::COUNT]);

    /// These.
    #[must_use]
    pub fn of(labels: &[OwnerLabel]) -> Self {
        let mut attach = Self::default();
        labels.iter().for_each(|&label| attach.0[label as usize] = true);
        attach
    }
}

/// What a scrape asks for, and what the configuration says.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The text format.
    pub format: Format,
    /// The collectors whose families are wanted: `?collect[]=`, `?exclude[]=`.
    pub collectors: CollectorSet,
    /// How many series of cgroups there may be.
    pub max_series: usize,
    /// Identity labels on every series.
    pub attach: Attach,
    /// Whether the kernel's averages of pressure are shown.
    pub pressure_averages: bool,
    /// Whether everything is also told under cAdvisor's names.
    pub cadvisor: bool,
    /// How old the snapshot is.
    pub age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Text,
            collectors: CollectorSet::ALL,
            max_series: 200_000,
            attach: Attach::default(),
            pressure_averages: false,
            cadvisor: false,
            age: Duration::ZERO,
        }
    }
}

impl Options {
    fn wants(&self, family: &Family) -> bool {
        family.collector.is_none_or(|collector: Collector| self.collectors.has(collector))
            && (self.pressure_averages || family.tier != Tier::OptIn)
    }
}

/// What an exposition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Series of cgroups.
    pub series: u64,
    /// Series of cgroups that the budget kept out.
    pub dropped: u64,
    /// The dead cgroups whose last numbers are in it, by [`Cgroup::rank`]. One that got its essential series only counts
    /// as carried: waiting longer would not get it more. Where the scrape asked for some collectors only, the caller
    /// should let the dead wait on.
    pub carried: Vec<u64>,
}

/// Appends the exposition of a snapshot to `out`.
pub fn render(snapshot: &Snapshot, options: &Options, own: &Own, out: &mut Vec<u8>) -> Counts {
    let compatible = if options.cadvisor { families::CADVISOR } else { &[] };
    let families: Vec<&Family> =
        families::all().chain(compatible).filter(|family| options.wants(family)).collect();
    let of_cgroups: Vec<&Family> = families.iter().copied().filter(|family| family.of_cgroups()).collect();
    let Selection { shown, dropped } = budget::select(snapshot, &of_cgroups, options.max_series);
    let carried =
        shown.iter().filter(|shown| shown.cgroup.ended.is_some()).map(|shown| shown.cgroup.rank).collect();
    let mut counts = Counts { series: 0, dropped, carried };

    let own_blocks = Blocks::new(&shown, |out, identity| block(out, identity, options.attach));
    let named = if options.cadvisor { &shown[..] } else { &[] };
    let containers = Blocks::new(named, container::block);
    for family in of_cgroups {
        with_header(family, options.format, out, |out| {
            let blocks = match family.dialect {
                Dialect::Own => &own_blocks,
                Dialect::Cadvisor => &containers,
            };
            counts.series += cgroup_family(family, snapshot, blocks, out);
        });
    }
    let (reload, web, process) = own.told();
    let enforcement = own.enforcement();
    let program = Program {
        snapshot,
        age: options.age,
        series: counts.series,
        dropped,
        reload,
        web,
        process,
        enforcement,
    };
    for family in families.iter().filter(|family| !family.of_cgroups()) {
        with_header(family, options.format, out, |out| other_family(family, &program, out));
    }
    own.encode(options.format, out);
    if options.format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
    counts
}

/// Writes a family after its header, and takes the header back where no series follows.
fn with_header(family: &Family, format: Format, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    text::header(out, format, family.name, family.kind, family.help);
    let header = out.len();
    body(out);
    if out.len() == header {
        out.truncate(before);
    }
}

/// The label block of each cgroup shown, `{cgroup="/a.slice"` without the closing brace, made once for all families.
struct Blocks<'a> {
    shown: &'a [Shown<'a>],
    text: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl<'a> Blocks<'a> {
    fn new(shown: &'a [Shown<'a>], block: impl Fn(&mut Vec<u8>, &Identity)) -> Self {
        let mut text = Vec::with_capacity(shown.len() * 64);
        let mut ranges = Vec::with_capacity(shown.len());
        for Shown { cgroup, .. } in shown {
            let start = text.len();
            block(&mut text, &cgroup.identity);
            ranges.push(start..text.len());
        }
        Self { shown, text, ranges }
    }

    /// The cgroups that show a family of this tier, each with its block.
    fn of(&self, tier: Tier) -> impl Iterator<Item = (&'a Cgroup, &[u8])> {
        self.shown
            .iter()
            .zip(&self.ranges)
            .filter(move |(shown, _)| shown.full || tier == Tier::Essential)
            .map(|(shown, range)| (shown.cgroup, &self.text[range.clone()]))
    }
}

fn block(out: &mut Vec<u8>, identity: &Identity, attach: Attach) {
    out.extend_from_slice(b"{cgroup=\"");
    text::escape(out, &identity.display);
    out.push(b'"');
    for &label in OwnerLabel::ALL {
        if let (true, Some(value)) = (attach.0[label as usize], identity.owner.get(label)) {
            text::label(out, label.name(), value);
        }
    }
}

/// One line.
fn line<const N: usize>(out: &mut Vec<u8>, parts: [&[u8]; N], value: u64, scale: Scale) {
    for part in parts {
        out.extend_from_slice(part);
    }
    text::number(out, value, scale);
    out.push(b'\n');
}

/// What stands between a block and a value: the family's own labels and the closing brace.
fn suffix(labels: &[&str], values: &[&str]) -> Vec<u8> {
    let mut suffix = Vec::new();
    for (name, value) in labels.iter().zip(values) {
        text::label(&mut suffix, name, value);
    }
    suffix.extend_from_slice(b"} ");
    suffix
}

/// The suffixes of a column's rows, kept as long as the next cgroup's table has the same shape.
#[derive(Default)]
struct Suffixes {
    schema: Option<Arc<Schema>>,
    texts: Vec<Vec<u8>>,
}

impl Suffixes {
    fn of(&mut self, rows: &Rows<'_>, labels: &[&str]) -> &[Vec<u8>] {
        if !self.schema.as_ref().is_some_and(|schema| Arc::ptr_eq(schema, rows.schema)) {
            self.schema = Some(Arc::clone(rows.schema));
            self.texts.clear();
            let keys = rows.schema.keys();
            self.texts.extend(rows.rows.iter().map(|row| {
                let key = &keys[*row as usize];
                suffix(labels, &[&key.item, &key.detail])
            }));
        }
        &self.texts
    }
}

/// Writes the series of a family in every cgroup, and tells how many there are.
fn cgroup_family(family: &Family, snapshot: &Snapshot, blocks: &Blocks<'_>, out: &mut Vec<u8>) -> u64 {
    let (name, scale) = (family.name.as_bytes(), family.scale());
    let plain = suffix(&[], &[]);
    let mut series = 0;
    let mut put = |block: &[u8], suffix: &[u8], value: u64| {
        line(out, [name, block, suffix], value, scale);
        series += 1;
    };
    match family.from {
        From::Identity => {
            for (cgroup, _) in blocks.of(family.tier) {
                let mut all = Vec::new();
                block(&mut all, &cgroup.identity, Attach::ALL);
                put(&all, &plain, 1);
            }
        }
        From::Fields(list) => {
            let list: Vec<_> =
                list.iter().map(|(value, field)| (suffix(family.labels, &[value]), *field)).collect();
            for (cgroup, block) in blocks.of(family.tier) {
                for (suffix, field) in &list {
                    if let Some(value) = cgroup.readings.get(*field) {
                        put(block, suffix, value);
                    }
                }
            }
        }
        From::Controls(list) => {
            let list: Vec<_> =
                list.iter().map(|(value, control)| (suffix(family.labels, &[value]), *control)).collect();
            for (cgroup, block) in blocks.of(family.tier) {
                for (suffix, control) in &list {
                    if let Some(value) = cgroup.controls.value(*control) {
                        put(block, suffix, value);
                    }
                }
            }
        }
        From::CpuLimit => {
            for (cgroup, block) in blocks.of(family.tier) {
                if let Some(value) = values::cpu_limit(cgroup) {
                    put(block, &plain, value);
                }
            }
        }
        From::IoLimits(_, get) => {
            for (cgroup, block) in blocks.of(family.tier) {
                for limit in &cgroup.controls.io {
                    if let Some(value) = get(limit).and_then(Limit::value) {
                        put(block, &suffix(family.labels, &[&limit.device]), value);
                    }
                }
            }
        }
        From::Column(column, kinds) => {
            let (mut suffixes, mut start) = (Suffixes::default(), Vec::new());
            for (cgroup, block) in blocks.of(family.tier) {
                if let Some(rows) = Rows::of(cgroup, column, kinds) {
                    // These families have dozens of series in each cgroup, all of which begin alike.
                    start.clear();
                    start.extend_from_slice(name);
                    start.extend_from_slice(block);
                    let texts = suffixes.of(&rows, family.labels);
                    for (at, value) in rows.present() {
                        line(out, [&start, &texts[at]], value, scale);
                        series += 1;
                    }
                }
            }
        }
        From::Told(_, tell) => {
            for (cgroup, block) in blocks.of(family.tier) {
                tell(snapshot, cgroup, &mut |values, number| match values {
                    [] => put(block, &plain, number),
                    values => put(block, &suffix(family.labels, values), number),
                });
            }
        }
        From::NamespaceCounts => {
            for (cgroup, block) in blocks.of(family.tier) {
                for (kind, shared, count) in cgroup.namespaces.counts() {
                    put(block, &suffix(family.labels, &[kind.name(), shared.name()]), count);
                }
            }
        }
        From::NamespaceList => {
            for (cgroup, block) in blocks.of(family.tier) {
                for one in cgroup.namespaces.list() {
                    let labels = [one.kind.name(), &one.inode.to_string(), one.shared.name()];
                    put(block, &suffix(family.labels, &labels), 1);
                }
            }
        }
        From::Namespaces(get) => {
            for (cgroup, block) in blocks.of(family.tier) {
                if let Some(value) = get(&cgroup.namespaces) {
                    put(block, &plain, value);
                }
            }
        }
        From::Host(_) | From::HostPressure(_) | From::Program(_) => {}
    }
    series
}

/// Writes a family of the host or of the program.
fn other_family(family: &Family, program: &Program<'_>, out: &mut Vec<u8>) {
    let mut series = Series::new(out, family.name);
    let host = &program.snapshot.host;
    match family.from {
        From::Host(field) => {
            if let Some(value) = host.get(field) {
                series.count(value);
            }
        }
        From::HostPressure(list) => {
            let label = family.labels.first().copied().unwrap_or("");
            for (text, field) in list {
                if let Some(value) = host.pressure.get(*field) {
                    series.put(&[(label, text)], value, of_field(*field));
                }
            }
        }
        From::Program(tell) => tell(program, &mut series),
        _ => {}
    }
}
