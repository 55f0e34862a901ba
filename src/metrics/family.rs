//! What a metric family is: a line of a table.

use crate::model::{
    Cgroup, Collector, Column, Control, Field, HostField, IoLimit, Limit, Namespaces, RowKind, Snapshot, Unit,
};

use super::program::{Program, Series};
use super::text::{Kind, Scale};

/// Which series go first when the budget is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Kept for cgroups beyond three quarters of the budget.
    Essential,
    /// Shown while there is room.
    Detail,
    /// Shown where the configuration asks for it.
    OptIn,
}

/// In whose words a family speaks: its names, and the labels that tell one cgroup from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `cgroup_…{cgroup}`, and what is about the host and the program.
    Own,
    /// `container_…{id,name,image,container,pod,namespace}` and `machine_…`, as cAdvisor and kubelet say them.
    Cadvisor,
}

/// Takes the values of a family's labels, and a number.
pub(crate) type Put<'a> = dyn FnMut(&[&str], u64) + 'a;

/// Where a family's series come from. A pair of text and source is a series with that value of the family's label;
/// the text is empty where the family has no label of its own.
#[derive(Clone, Copy)]
pub(crate) enum From {
    /// Who a cgroup is.
    Identity,
    /// Numbers of a cgroup.
    Fields(&'static [(&'static str, Field)]),
    /// Controls of a cgroup, where they are set to a number.
    Controls(&'static [(&'static str, Control)]),
    /// The CPU quota over its period.
    CpuLimit,
    /// A limit of each device.
    IoLimits(Scale, fn(&IoLimit) -> Option<Limit>),
    /// Rows of the first of these tables that has any.
    Column(Column, &'static [RowKind]),
    /// What a function finds in a cgroup, at this scale.
    Told(Scale, fn(&Snapshot, &Cgroup, &mut Put<'_>)),
    /// How many namespaces of each kind are shared with whom.
    NamespaceCounts,
    /// Each namespace with its inode.
    NamespaceList,
    /// A number that belongs to a cgroup's namespaces.
    Namespaces(fn(&Namespaces) -> Option<u64>),
    /// A number of the host.
    Host(HostField),
    /// Pressure of the host.
    HostPressure(&'static [(&'static str, Field)]),
    /// What the program tells about itself.
    Program(fn(&Program<'_>, &mut Series<'_>)),
}

/// A metric family.
pub(crate) struct Family {
    /// The name of its samples: with `_total` on counters, with `_info` on infos.
    pub(crate) name: &'static str,
    /// What it says, a sentence without quotes, backslashes and line ends.
    pub(crate) help: &'static str,
    /// Its type.
    pub(crate) kind: Kind,
    /// The kernel's files it is read from, for the documentation.
    pub(crate) source: &'static str,
    /// The collector it belongs to; none for what every scrape shows.
    pub(crate) collector: Option<Collector>,
    /// What happens to it when the budget is short.
    pub(crate) tier: Tier,
    /// Whose names and labels it has.
    pub(crate) dialect: Dialect,
    /// The labels on top of the cgroup's own.
    pub(crate) labels: &'static [&'static str],
    /// Where its series come from.
    pub(crate) from: From,
}

impl Family {
    const fn new(
        kind: Kind,
        collector: Option<Collector>,
        name: &'static str,
        source: &'static str,
        from: From,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            help,
            kind,
            source,
            collector,
            tier: Tier::Detail,
            dialect: Dialect::Own,
            labels: &[],
            from,
        }
    }

    /// A gauge.
    pub(crate) const fn gauge(
        collector: Collector,
        name: &'static str,
        source: &'static str,
        from: From,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Gauge, Some(collector), name, source, from, help)
    }

    /// An info: labels that say something, and a 1.
    pub(crate) const fn info(
        collector: Collector,
        name: &'static str,
        source: &'static str,
        from: From,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Info, Some(collector), name, source, from, help)
    }

    /// A counter.
    pub(crate) const fn counter(
        collector: Collector,
        name: &'static str,
        source: &'static str,
        from: From,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Counter, Some(collector), name, source, from, help)
    }

    /// A family that belongs to no collector, and that every scrape shows.
    pub(crate) const fn always(
        kind: Kind,
        name: &'static str,
        source: &'static str,
        from: From,
        help: &'static str,
    ) -> Self {
        Self::new(kind, None, name, source, from, help)
    }

    /// The same with labels of its own.
    pub(crate) const fn labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// The same, kept when the budget is short.
    pub(crate) const fn essential(self) -> Self {
        Self { tier: Tier::Essential, ..self }
    }

    /// The same, shown only where the configuration asks for it.
    pub(crate) const fn opt_in(self) -> Self {
        Self { tier: Tier::OptIn, ..self }
    }

    /// The same in cAdvisor's words.
    pub(crate) const fn cadvisor(self) -> Self {
        Self { dialect: Dialect::Cadvisor, ..self }
    }

    /// Whether its series are those of cgroups, and so count towards the budget.
    pub(crate) const fn of_cgroups(&self) -> bool {
        !matches!(self.from, From::Host(_) | From::HostPressure(_) | From::Program(_))
    }

    /// How its integers are to be shown.
    pub(crate) fn scale(&self) -> Scale {
        match self.from {
            From::Fields(list) | From::HostPressure(list) => {
                list.first().map_or(Scale::One, |(_, field)| of_field(*field))
            }
            From::Controls(list) => list.first().map_or(Scale::One, |(_, control)| of_control(*control)),
            From::CpuLimit => Scale::Nano,
            From::IoLimits(scale, _) | From::Told(scale, _) => scale,
            From::Column(column, _) => of_column(column),
            From::NamespaceCounts | From::NamespaceList | From::Namespaces(_) => Scale::One,
            From::Identity | From::Host(_) | From::Program(_) => Scale::One,
        }
    }
}

/// The scale of a field.
pub(crate) const fn of_field(field: Field) -> Scale {
    of_unit(field.unit())
}

/// The scale of a control.
pub(crate) const fn of_control(control: Control) -> Scale {
    of_unit(control.unit())
}

const fn of_unit(unit: Unit) -> Scale {
    match unit {
        Unit::Bytes | Unit::Count | Unit::Flag => Scale::One,
        Unit::Nanoseconds | Unit::Timestamp => Scale::Nano,
        Unit::Microseconds => Scale::Micro,
        Unit::CentiPercent => Scale::CentiPercent,
    }
}

/// The scale of a column.
pub(crate) const fn of_column(column: Column) -> Scale {
    of_unit(column.unit())
}
