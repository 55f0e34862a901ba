//! Controls, and what they are set to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::place::{Issues, Place};
use crate::config::raw::{RawIoMax, RawSet};
use crate::config::units;
use crate::model::{IoRate, Knob, Limit, Value};
use crate::policy::rule::Amount;

/// How a knob's value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bytes,
    Cores,
    Weight,
    BytesPerSecond,
    PerSecond,
    Processes,
    List,
}

const PLAIN: [(Knob, Form); 11] = [
    (Knob::MemoryMin, Form::Bytes),
    (Knob::MemoryLow, Form::Bytes),
    (Knob::MemoryHigh, Form::Bytes),
    (Knob::MemoryMax, Form::Bytes),
    (Knob::MemorySwapMax, Form::Bytes),
    (Knob::CpuMax, Form::Cores),
    (Knob::CpuWeight, Form::Weight),
    (Knob::IoWeight, Form::Weight),
    (Knob::PidsMax, Form::Processes),
    (Knob::CpusetCpus, Form::List),
    (Knob::CpusetMems, Form::List),
];

/// The least quota that the kernel takes, microseconds a second: 1 ms in each period of 100 ms.
const LEAST_QUOTA: u64 = 10_000;
/// The range of a weight.
const WEIGHTS: std::ops::RangeInclusive<u64> = 1..=10_000;
/// The highest number of a CPU or node that a list may name.
const LARGEST_NUMBER: u64 = 65_535;

/// One control, what it is set to, and where that is written.
pub(super) type Set = Vec<(Knob, Amount)>;

/// Reads `set:`.
pub(super) fn set(raw: &RawSet, at: &Place<'_>, issues: &mut Issues) -> Option<Set> {
    let before = issues.len();
    let mut set = Set::new();
    for (file, text) in raw.plain() {
        let Some((knob, form)) = PLAIN.iter().find(|(knob, _)| knob.file() == file) else { continue };
        set.extend(amount(*form, file, text, &at.key(file), issues).map(|amount| (knob.clone(), amount)));
    }
    if let Some(devices) = &raw.io_max {
        set.extend(io_max(devices, &at.key("io.max"), issues));
    }
    if issues.len() > before {
        return None;
    }
    if set.is_empty() {
        let expected = "expected at least one control, such as `memory.high: 4GiB`";
        issues.add(at, "this sets nothing", expected);
        return None;
    }
    let bytes = |knob: &Knob| {
        set.iter().find(|(other, _)| other == knob).and_then(|(_, amount)| match amount {
            Amount::Fixed(value) => value.number(),
            Amount::OfCurrent(_) => None,
        })
    };
    if let (Some(high), Some(max)) = (bytes(&Knob::MemoryHigh), bytes(&Knob::MemoryMax))
        && high > max
    {
        let expected = "expected at most `memory.max`, which would be reached first";
        issues.add(&at.key("memory.high"), "memory.high is above memory.max", expected);
        return None;
    }
    Some(set)
}

fn io_max(devices: &BTreeMap<String, RawIoMax>, at: &Place<'_>, issues: &mut Issues) -> Set {
    let mut set = Set::new();
    if devices.is_empty() {
        let expected = "expected a device and a rate, such as `{vda: {wbps: 50MiB}}`";
        issues.add(at, "`io.max` names no device", expected);
    }
    for (device, rates) in devices {
        if !is_device(device) {
            let expected = "expected a name such as `vda`, or a number such as `8:0`";
            issues.add(&at.name(device), format!("`{device}` is no device"), expected);
            continue;
        }
        let at = at.key(device);
        let name: Arc<str> = device.as_str().into();
        let texts = [&rates.rbps, &rates.wbps, &rates.riops, &rates.wiops];
        if texts.iter().all(|text| text.is_none()) {
            let expected = "expected `rbps`, `wbps`, `riops` or `wiops`";
            issues.add(&at, format!("`io.max` of {device} limits nothing"), expected);
        }
        for (rate, text) in IoRate::ALL.into_iter().zip(texts) {
            let Some(text) = text else { continue };
            let form = match rate {
                IoRate::ReadBytes | IoRate::WriteBytes => Form::BytesPerSecond,
                IoRate::Reads | IoRate::Writes => Form::PerSecond,
            };
            let knob = Knob::IoMax { device: name.clone(), rate };
            let amount = amount(form, rate.name(), &text.0, &at.key(rate.name()), issues);
            set.extend(amount.map(|amount| (knob, amount)));
        }
    }
    set
}

/// A device's name, without its directory, or its number.
fn is_device(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once(':') {
        Some((major, minor)) => is_number(major) && is_number(minor),
        None => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '!');
            !text.is_empty() && text.len() <= 32 && text.chars().all(allowed) && !is_number(text)
        }
    }
}

/// Reads what a control is set to: a value in its form, `max`, or a share of what is used now.
fn amount(form: Form, file: &str, text: &str, at: &Place<'_>, issues: &mut Issues) -> Option<Amount> {
    if let Some(share) = text.strip_suffix(" of current") {
        return of_current(form, file, share, at, issues);
    }
    if form == Form::List {
        if !is_list(text) {
            let expected = "expected numbers and ranges in rising order, such as `0-3,8`";
            issues.add(at, format!("`{text}` is no list for {file}"), expected);
            return None;
        }
        return Some(Amount::Fixed(Value::List(text.into())));
    }
    if text == "max" && form != Form::Weight {
        return Some(Amount::Fixed(Value::Limit(Limit::Max)));
    }
    let number = number(form, text);
    if number.is_none() {
        let expected = match form {
            Form::Bytes => format!("expected {}, or `max`", units::SIZE),
            Form::Cores => format!("expected {}, at least 1%, or `max`", units::CORES),
            Form::Weight => "expected a whole number from 1 to 10000".to_owned(),
            Form::BytesPerSecond => format!("expected {}, above zero, or `max`", units::RATE),
            Form::PerSecond => "expected a rate such as `1000/s`, above zero, or `max`".to_owned(),
            Form::Processes | Form::List => format!("expected {}, or `max`", units::COUNT),
        };
        issues.add(at, format!("`{text}` is no value of {file}"), expected);
    }
    number.map(|number| Amount::Fixed(Value::of(number)))
}

/// A number in a knob's own unit.
fn number(form: Form, text: &str) -> Option<u64> {
    // What a limit of I/O counts goes without saying.
    let a_second = text.strip_suffix("/s").unwrap_or(text);
    match form {
        Form::Bytes => units::size(text),
        Form::Cores => units::cores(text).filter(|micro| *micro >= LEAST_QUOTA),
        Form::Weight => units::count(text).filter(|weight| WEIGHTS.contains(weight)),
        Form::BytesPerSecond => units::size(a_second).filter(|rate| *rate > 0),
        Form::PerSecond => units::count(a_second).filter(|rate| *rate > 0),
        Form::Processes => units::count(text),
        Form::List => None,
    }
}

fn of_current(form: Form, file: &str, share: &str, at: &Place<'_>, issues: &mut Issues) -> Option<Amount> {
    if matches!(form, Form::Weight | Form::List) {
        let expected = if form == Form::List {
            "expected a list such as `0-3`"
        } else {
            "expected a whole number from 1 to 10000"
        };
        issues.add(at, format!("{file} measures no use that a share could be taken of"), expected);
        return None;
    }
    let share = units::share(share).filter(|share| *share > 0.0);
    if share.is_none() {
        issues.add(at, "this is no share of what is used", "expected a share such as `90% of current`");
    }
    share.map(Amount::OfCurrent)
}

/// Reads an amount of memory to be taken back.
pub(super) fn reclaim(text: &str, at: &Place<'_>, issues: &mut Issues) -> Option<Amount> {
    let amount = match text.strip_suffix(" of current") {
        Some(share) => {
            units::share(share).filter(|share| *share > 0.0 && *share <= 1.0).map(Amount::OfCurrent)
        }
        None => units::size(text).filter(|size| *size > 0).map(|size| Amount::Fixed(Value::of(size))),
    };
    if amount.is_none() {
        let expected = "expected an amount such as `256MiB` or `10% of current`, above zero";
        issues.add(at, format!("`{text}` is no amount to reclaim"), expected);
    }
    amount
}

/// Reads the least that a control may come to, in its own unit.
pub(super) fn at_least(knob: &Knob, text: &str) -> Option<u64> {
    let form = match knob {
        Knob::IoMax { rate: IoRate::ReadBytes | IoRate::WriteBytes, .. } => Form::BytesPerSecond,
        Knob::IoMax { .. } => Form::PerSecond,
        plain => PLAIN.iter().find(|(other, _)| other == plain).map(|&(_, form)| form)?,
    };
    number(form, text)
}

/// Whether it is numbers and ranges in rising order, as the kernel prints them.
fn is_list(text: &str) -> bool {
    let mut next = 0;
    !text.is_empty()
        && text.split(',').all(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (units::count(first), units::count(last)) else { return false };
            let good = next <= first && first <= last && last <= LARGEST_NUMBER;
            next = last.saturating_add(1);
            good
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_what_the_kernel_prints() {
        for (text, good) in [
            ("0", true),
            ("0-3,8", true),
            ("0-0,2-4", true),
            ("", false),
            ("3-0", false),
            ("0-3,2", false),
            ("0,,1", false),
            ("0-", false),
            ("0 1", false),
            ("a", false),
            ("99999", false),
            ("all", false),
        ] {
            assert_eq!(is_list(text), good, "{text}");
        }
    }

    #[test]
    fn devices_have_names_or_numbers() {
        for (text, good) in [
            ("vda", true),
            ("8:0", true),
            ("dm-0", true),
            ("cciss!c0d0", true),
            ("/dev/vda", false),
            ("8", false),
            ("8:", false),
            ("", false),
        ] {
            assert_eq!(is_device(text), good, "{text}");
        }
    }
}
