//! Whether what is exported is what the kernel's files say: read the files, scrape a later pass, read the files again.

use std::path::Path;

use crate::checks::{Check, Key, Kind, table};
use crate::daemon::Daemon;
use crate::exposition::Exposition;
use crate::outcome::{Step, Stop, ensure};
use crate::tree::{Group, Hierarchies, eventually, read_if_there};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Topic {
    /// What is read each pass or when it is written.
    Usual,
    /// What is read at the slow clock; waiting for that takes up to half a minute.
    Seldom,
}

/// Compares every known file of the groups. Counters lie between what was read before and after; gauges must be what
/// was read both times, and are compared again while they are not (they can move and come back); controls may be late. What the kernel does not have must
/// not be exported. Gives the last scrape.
pub(crate) fn agree(
    tree: &Hierarchies,
    daemon: &mut Daemon,
    groups: &[&Group],
    topic: Topic,
) -> Step<Exposition> {
    // What the last round left open, said if there is no better round in time.
    let open = std::cell::RefCell::new(Vec::new());
    let scrape = eventually("every gauge stands still and every control is read again", || {
        let before = read(tree, groups, topic)?;
        let scrape = daemon.scrape_after_now()?;
        let after = read(tree, groups, topic)?;
        let mut open = open.borrow_mut();
        open.clear();
        // Births wait their turn where the machine has no time for them; what is shown must then be right at once.
        for group in groups {
            if scrape.get("cgroup_info", &[("cgroup", &group.label())])?.is_none() {
                open.push(format!("{} is not shown yet", group.label()));
                return Ok(None);
            }
        }
        let mut wrong = Vec::new();
        for ((label, check, low), (_, _, high)) in before.iter().zip(&after) {
            if check.kind != Kind::Counter && low != high {
                open.push(format!("{} still moves: {low:?}, {high:?}", check.metric));
                continue;
            }
            let mut labels = vec![("cgroup", label.as_str())];
            labels.extend_from_slice(check.labels);
            let value = scrape.get(check.metric, &labels)?;
            if !fits(value, *low, *high, check.per_unit) {
                let place = if check.kind == Kind::Counter { &mut wrong } else { &mut *open };
                place.push(format!(
                    "{}{labels:?} is {value:?}; {} says {low:?} before and {high:?} after (1 unit is {} of the file's)",
                    check.metric, check.file, check.per_unit
                ));
            }
        }
        ensure(wrong.is_empty(), || wrong.join("\n"))?;
        Ok(open.is_empty().then_some(scrape))
    });
    scrape.map_err(|stop| match stop {
        Stop::Failed(text) => Stop::Failed([vec![text], open.take()].concat().join("\n")),
        absent @ Stop::Absent(_) => absent,
    })
}

/// Whether an exported value lies between two readings, to a thousandth of the file's unit.
fn fits(value: Option<f64>, low: Option<f64>, high: Option<f64>, per_unit: f64) -> bool {
    match (value, low, high) {
        (None, None, _) | (None, _, None) => true,
        (Some(value), Some(low), Some(high)) => {
            let value = value * per_unit;
            let slack = 0.001_f64.max(value.abs() * 1e-12);
            low - slack <= value && value <= high + slack
        }
        // It came into being (a device's first I/O) or went while being looked at.
        (Some(_), None, Some(_)) => true,
        _ => false,
    }
}

type Reading = (String, &'static Check, Option<f64>);

fn read(tree: &Hierarchies, groups: &[&Group], topic: Topic) -> Step<Vec<Reading>> {
    let mut found = Vec::new();
    for group in groups {
        for check in table(tree).filter(|check| (check.kind == Kind::Seldom) == (topic == Topic::Seldom)) {
            let text = group.read(tree, check.controller, check.file)?;
            found.push((group.label(), check, text.and_then(|text| number(&text, check.key))));
        }
    }
    Ok(found)
}

/// One number out of a kernel file; `max` and what is missing are none.
pub(crate) fn number(text: &str, key: Key) -> Option<f64> {
    match key {
        Key::Single => text.trim().parse().ok(),
        Key::Limit => text.trim().parse().ok().filter(|value| *value < 9.2e18 && *value >= 0.0),
        Key::Flat(name) => {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        }
        Key::Pressure(kind) => {
            let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
            line.split_once("total=")?.1.trim().parse().ok()
        }
        Key::Device(device, name) => {
            let number = device_number(device)?;
            let line = text.lines().find_map(|line| line.strip_prefix(number.as_str())?.strip_prefix(' '))?;
            line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        }
        Key::Operation(device, name) => {
            let start = format!("{} {name} ", device_number(device)?);
            text.lines().find_map(|line| line.strip_prefix(start.as_str())?.parse().ok())
        }
        Key::Throttle(device) => {
            let start = format!("{} ", device_number(device)?);
            text.lines().find_map(|line| line.strip_prefix(start.as_str())?.parse().ok())
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of lines")]
        Key::Lines => Some(text.lines().count() as f64),
        Key::Word(word) => Some(f64::from(u8::from(text.trim() == word))),
        Key::Set => text.trim().split(',').map(width).sum(),
    }
}

/// How many numbers `3` or `0-3` is.
fn width(range: &str) -> Option<f64> {
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    Some(high.parse::<f64>().ok()? - low.parse::<f64>().ok()? + 1.0)
}

/// `MAJ:MIN` of a block device.
pub(crate) fn device_number(name: &str) -> Option<String> {
    let text = read_if_there(&Path::new("/sys/class/block").join(name).join("dev")).ok()??;
    Some(text.trim().to_owned())
}
