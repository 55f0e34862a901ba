//! PURE: the columns of `stockade ls`.

use super::humanize::Value;
use super::table::Align;
use crate::enforce::ownership::Ownership;
use crate::model::{Cgroup, Column as Table, Control, Controls, Field, Limit, Owner, OwnerLabel, Rates};

/// A cgroup in the list.
#[derive(Debug)]
pub struct Row<'a> {
    /// Which.
    pub cgroup: &'a Cgroup,
    /// How fast it uses things, where there are two samples.
    pub rates: Option<Rates>,
    /// Who manages it, where that was asked for.
    pub manager: Option<Ownership>,
}

/// What a column shows.
#[derive(Clone, Copy)]
pub enum Show {
    /// A number or a text.
    Value(fn(&Row<'_>) -> Option<Value>),
    /// The path, or the name in the tree.
    Name,
}

/// A column.
pub struct Column {
    /// What it is called for `-o`; its heading is the same in capitals, with the unit.
    pub key: &'static str,
    /// The heading.
    pub heading: &'static str,
    /// What it shows, for `--help`.
    pub about: &'static str,
    /// What it shows.
    pub show: Show,
    /// Where its text stands.
    pub align: Align,
}

macro_rules! number {
    ($key:literal, $heading:literal, $about:literal, $value:expr) => {
        Column { key: $key, heading: $heading, about: $about, show: Show::Value($value), align: Align::Right }
    };
}

macro_rules! field {
    ($key:literal, $heading:literal, $about:literal, $field:ident) => {
        number!($key, $heading, $about, |row| read(row, Field::$field))
    };
}

macro_rules! text {
    ($key:expr, $heading:literal, $about:literal, $value:expr) => {
        Column { key: $key, heading: $heading, about: $about, show: Show::Value($value), align: Align::Left }
    };
}

macro_rules! owner {
    ($key:literal, $heading:literal, $about:literal, $label:ident) => {
        text!($key, $heading, $about, |row| name(row.cgroup.identity.owner.get(OwnerLabel::$label)))
    };
}

/// The column for which systemd is asked.
const MANAGER: &str = "manager";

/// Every column.
pub const ALL: &[Column] = &[
    field!("memory", "MEMORY", "memory in use, descendants included", MemoryCurrent),
    number!("mem-max", "MEM-MAX", "the cgroup's own memory limit", |row| control(row, Control::MemoryMax)),
    number!("mem-high", "MEM-HIGH", "where reclaim begins to slow it down", |row| control(
        row,
        Control::MemoryHigh
    )),
    field!("mem-limit", "MEM-LIMIT", "the tightest memory limit of it and its ancestors", MemoryEffectiveMax),
    field!("headroom", "HEADROOM", "what is left to that limit", MemoryHeadroomMax),
    field!("mem-peak", "MEM-PEAK", "the most memory ever in use", MemoryPeak),
    field!("working-set", "WORKSET", "memory in use, less inactive file pages", MemoryWorkingSet),
    number!("anon", "ANON", "anonymous memory", |row| stat(row, "anon")),
    number!("file", "FILE", "page cache", |row| stat(row, "file")),
    field!("swap", "SWAP", "swap in use", MemorySwapCurrent),
    number!("mem-growth", "GROWTH/s", "growth of memory a second", |row| rate(row.rates?.memory_growth)),
    field!("oom-kills", "OOM-KILLS", "processes killed for want of memory", MemoryEventsOomKill),
    number!("cpu", "CPU%", "CPU in use, percent of one CPU", |row| percent(row.rates?.cpu_cores)),
    number!("cpu-max", "CPU-MAX%", "the cgroup's own CPU limit, percent of one CPU", cpu_max),
    field!("cpu-time", "CPU-TIME", "CPU time used since the cgroup was made", CpuUsage),
    number!("throttled", "THROTTLED%", "share of the periods in which its CPU limit held it up", |row| {
        percent(row.rates?.throttled)
    }),
    number!("read", "READ/s", "bytes read from devices a second", |row| rate(row.rates?.read_bytes)),
    number!("write", "WRITE/s", "bytes written to devices a second", |row| rate(row.rates?.write_bytes)),
    number!("read-total", "READ", "bytes read from devices", |row| io(row, Table::IoReadBytes)),
    number!("write-total", "WRITE", "bytes written to devices", |row| io(row, Table::IoWriteBytes)),
    field!("cpu-psi", "CPU-PSI", "percent of 10 s in which some task waited for a CPU", CpuSomeAvg10),
    field!("mem-psi", "MEM-PSI", "the same for memory", MemorySomeAvg10),
    field!("io-psi", "IO-PSI", "the same for I/O", IoSomeAvg10),
    field!("cpu-full", "CPU-FULL", "percent of 10 s in which all tasks waited for a CPU", CpuFullAvg10),
    field!("mem-full", "MEM-FULL", "the same for memory", MemoryFullAvg10),
    field!("io-full", "IO-FULL", "the same for I/O", IoFullAvg10),
    field!("pids", "PIDS", "tasks, descendants included", PidsCurrent),
    number!("pids-max", "PIDS-MAX", "the cgroup's own limit on tasks", |row| control(row, Control::PidsMax)),
    field!("procs", "PROCS", "processes in the cgroup itself", Processes),
    field!("threads", "THREADS", "threads in the cgroup itself", Threads),
    field!("populated", "POPULATED", "whether a process lives in it or below", Populated),
    field!("frozen", "FROZEN", "whether it is frozen", Frozen),
    number!("id", "ID", "the kernel's id of it", |row| Some(Value::Count(row.cgroup.identity.id))),
    text!(
        "owner",
        "OWNER",
        "the shortest that tells whose it is: pod and container, job, application, unit or user",
        |row| { short(&row.cgroup.identity.owner).map(Value::Text) }
    ),
    text!(MANAGER, "MANAGER", "who manages it, as systemd says: a unit, a runtime, nobody", |row| {
        row.manager.as_ref().map(|manager| Value::Text(manager.to_string()))
    }),
    owner!("slice", "SLICE", "the systemd slice that it is in", Slice),
    owner!("unit", "UNIT", "the systemd unit that it belongs to", Unit),
    owner!("user", "USER", "the id of the user that it belongs to", User),
    owner!("session", "SESSION", "the login session", Session),
    owner!("app", "APP", "the application", App),
    owner!("runtime", "RUNTIME", "what runs the container, or made the group", Runtime),
    owner!("container", "CONTAINER", "the container's or machine's name", Container),
    owner!("container-id", "CONTAINER-ID", "the container's id", ContainerId),
    owner!("image", "IMAGE", "the container's image", Image),
    owner!("pod", "POD", "the Kubernetes pod", Pod),
    owner!("namespace", "NAMESPACE", "the Kubernetes namespace of the pod", Namespace),
    owner!("qos", "QOS", "the pod's class", Qos),
    owner!("job", "JOB", "the Slurm job", Job),
    Column {
        key: "cgroup",
        heading: "CGROUP",
        about: "its path, or its name in the tree",
        show: Show::Name,
        align: Align::Left,
    },
];

/// What is shown when nothing is chosen.
#[must_use]
pub fn default(rates: bool, full: bool) -> Vec<&'static Column> {
    let usage = if rates { ["cpu", "read", "write"] } else { ["cpu-time", "read-total", "write-total"] };
    let pressure = if full { ["cpu-full", "mem-full", "io-full"] } else { ["cpu-psi", "mem-psi", "io-psi"] };
    ["memory", "mem-max"]
        .into_iter()
        .chain(usage)
        .chain(pressure)
        .chain(["pids", "cgroup"])
        .filter_map(|key| ALL.iter().find(|column| column.key == key))
        .collect()
}

/// The columns of `-o`: a list in place of the default, or with `+` before it, in front of the default's last one.
///
/// # Errors
/// Names the column that does not exist, and those that do.
pub fn chosen(list: &str, default: &[&'static Column]) -> Result<Vec<&'static Column>, String> {
    let (added, list) = list.strip_prefix('+').map_or((false, list), |list| (true, list));
    let mut columns = list.split(',').map(named).collect::<Result<Vec<_>, _>>()?;
    if let (true, Some((name, others))) = (added, default.split_last()) {
        columns.splice(0..0, others.iter().copied());
        columns.push(name);
    }
    Ok(columns)
}

fn named(name: &str) -> Result<&'static Column, String> {
    let name = name.trim();
    ALL.iter()
        .find(|column| column.key.eq_ignore_ascii_case(name) || column.heading.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let keys: Vec<&str> = ALL.iter().map(|column| column.key).collect();
            format!("there is no column `{}`: use {}", name.escape_debug(), keys.join(", "))
        })
}

/// Whether one of these columns shows what only systemd knows.
#[must_use]
pub fn ask_systemd(columns: &[&Column]) -> bool {
    columns.iter().any(|column| column.key == MANAGER)
}

/// The columns with what they show, for `--help`.
#[must_use]
pub fn help() -> String {
    let widest = ALL.iter().map(|column| column.key.len()).max().unwrap_or_default();
    ALL.iter().map(|column| format!("  {:widest$}  {}\n", column.key, column.about)).collect()
}

fn read(row: &Row<'_>, field: Field) -> Option<Value> {
    row.cgroup.readings.get(field).map(|value| Value::of(value, field.unit()))
}

fn stat(row: &Row<'_>, name: &str) -> Option<Value> {
    row.cgroup.readings.memory_stat(name).map(Value::Bytes)
}

fn io(row: &Row<'_>, column: Table) -> Option<Value> {
    row.cgroup.readings.io(column).map(Value::Bytes)
}

fn control(row: &Row<'_>, control: Control) -> Option<Value> {
    Some(match (row.cgroup.controls.get(control)?, control) {
        (Limit::Max, _) => Value::Max,
        (Limit::Value(value), Control::PidsMax) => Value::Count(value),
        (Limit::Value(value), _) => Value::Bytes(value),
    })
}

fn cpu_max(row: &Row<'_>) -> Option<Value> {
    match row.cgroup.controls.get(Control::CpuQuota)? {
        Limit::Max => Some(Value::Max),
        Limit::Value(_) => percent(cpu_limit(&row.cgroup.controls)),
    }
}

/// The CPU limit in cores, where one is set.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "quotas and periods are microseconds, far below 2^53")]
pub fn cpu_limit(controls: &Controls) -> Option<f64> {
    let period = controls.value(Control::CpuPeriod).filter(|&period| period > 0)?;
    Some(controls.value(Control::CpuQuota)? as f64 / period as f64)
}

fn percent(share: Option<f64>) -> Option<Value> {
    share.map(|share| Value::Percent(share * 100.0))
}

fn rate(rate: Option<f64>) -> Option<Value> {
    rate.map(Value::BytesPerSecond)
}

/// The shortest that tells people whose a cgroup is.
fn short(owner: &Owner) -> Option<String> {
    use OwnerLabel::{App, Container, ContainerId, Job, Pod, Step, Unit, User};
    let both = |first, second| Some(format!("{}/{}", owner.get(first)?, owner.get(second)?));
    let one = |label| owner.get(label).map(str::to_owned);
    let id = || owner.get(ContainerId).map(|id| id.chars().take(12).collect());
    both(Pod, Container)
        .or_else(|| one(Pod))
        .or_else(|| one(Container))
        .or_else(id)
        .or_else(|| both(Job, Step).map(|step| format!("job {step}")))
        .or_else(|| one(Job).map(|job| format!("job {job}")))
        .or_else(|| one(App))
        .or_else(|| one(Unit))
        .or_else(|| one(User).map(|user| format!("user {user}")))
}

fn name(name: Option<&str>) -> Option<Value> {
    name.map(|name| Value::Text(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_that_tells_whose_it_is() {
        use OwnerLabel::{App, Container, ContainerId, Image, Job, Namespace, Pod, Step, Unit, User};
        for (parts, expected) in [
            (&[(Pod, "web-0"), (Namespace, "shop"), (Container, "nginx")][..], Some("web-0/nginx")),
            (&[(Pod, "web-0"), (ContainerId, "0123456789abcdef")], Some("web-0")),
            (&[(Container, "db"), (ContainerId, "0123456789abcdef"), (Unit, "docker-0.scope")], Some("db")),
            (&[(ContainerId, "0123456789abcdef")], Some("0123456789ab")),
            (&[(Job, "42"), (Step, "batch"), (User, "7")], Some("job 42/batch")),
            (&[(Job, "42")], Some("job 42")),
            (&[(App, "org.gnome.Maps"), (Unit, "app-x.scope"), (User, "1000")], Some("org.gnome.Maps")),
            (&[(Unit, "nginx.service")], Some("nginx.service")),
            (&[(User, "1000")], Some("user 1000")),
            (&[(Image, "busybox")], None),
        ] {
            let mut owner = Owner::default();
            parts.iter().for_each(|(label, value)| owner.set(*label, Some(value)));
            assert_eq!(short(&owner).as_deref(), expected);
        }
    }

    #[test]
    fn columns_are_chosen_by_key_or_heading_and_added_before_the_name() {
        let keys = |columns: Vec<&Column>| columns.iter().map(|column| column.key).collect::<Vec<_>>();
        let default = default(true, false);
        assert_eq!(
            keys(default.clone()),
            ["memory", "mem-max", "cpu", "read", "write", "cpu-psi", "mem-psi", "io-psi", "pids", "cgroup"]
        );
        assert_eq!(keys(chosen("cgroup,CPU%, Anon", &default).expect("columns")), ["cgroup", "cpu", "anon"]);
        let added = keys(chosen("+id,unit", &default).expect("columns"));
        assert_eq!(added[added.len() - 4..], ["pids", "id", "unit", "cgroup"]);
        let error = chosen("memory,colour", &default).err().expect("no such column");
        assert!(error.contains("`colour`") && error.contains("working-set"), "{error}");
    }

    #[test]
    fn keys_and_headings_are_unique() {
        for (at, column) in ALL.iter().enumerate() {
            assert!(
                ALL[..at].iter().all(|other| other.key != column.key && other.heading != column.heading),
                "{}",
                column.key
            );
        }
    }
}
