//! Signals by name, and values in their units.

use crate::config::decode::nearest;
use crate::config::place::{Issues, Place};
use crate::config::units;
use crate::policy::ceiling;
use crate::policy::signal::{Quantity, Signal};

/// Finds a signal by its name.
pub(super) fn signal(name: &str, at: &Place<'_>, issues: &mut Issues) -> Option<Signal> {
    let found = Signal::from_name(name);
    if found.is_none() {
        let names: Vec<String> = Signal::all().map(Signal::name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let expected = match nearest(name, &names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "expected a signal such as `memory.current`, `cpu.usage` or `memory.pressure.full.avg10`"
                .to_owned(),
        };
        issues.add(at, format!("unknown signal `{name}`"), expected);
    }
    found
}

/// Whether the signal is the whole host's.
pub(super) const fn is_host(signal: Signal) -> bool {
    matches!(signal, Signal::HostMemoryAvailable | Signal::HostSwapFree | Signal::HostPressure(..))
}

/// Whether there is a limit that the signal can be a share of.
pub(super) const fn has_limit(signal: Signal) -> bool {
    ceiling(signal).is_some()
}

/// Whether the signal can be negative.
pub(super) const fn is_signed(signal: Signal) -> bool {
    matches!(signal, Signal::MemoryGrowth | Signal::PidsGrowth)
}

/// Reads a value in the signal's unit.
pub(super) fn value(signal: Signal, text: &str, at: &Place<'_>, issues: &mut Issues) -> Option<f64> {
    let (text, sign) = match text.strip_prefix('-') {
        Some(rest) if is_signed(signal) => (rest, -1.0),
        _ => (text, 1.0),
    };
    // Above 2^53 a threshold may be off by less than it can be measured.
    #[allow(clippy::cast_precision_loss)]
    let whole = |number: Option<u64>| number.map(|number| number as f64);
    let quantity = signal.quantity();
    let (value, measure, example) = match quantity {
        Quantity::Bytes => (whole(units::size(text)), "bytes", units::SIZE),
        Quantity::BytesPerSecond => (whole(units::rate(text)), "bytes a second", units::RATE),
        Quantity::Count => (whole(units::count(text)), "whole numbers", units::COUNT),
        Quantity::CountPerSecond => (units::per_second(text), "things a second", "a rate such as `100/s`"),
        Quantity::Cores => (whole(units::cores(text)).map(|micro| micro / 1e6), "CPU cores", units::CORES),
        Quantity::Share => (units::share(text), "shares", units::SHARE),
        Quantity::Seconds => {
            (units::duration(text).ok().map(|time| time.as_secs_f64()), "time", units::DURATION)
        }
    };
    if value.is_none() {
        let name = signal.name();
        let mut expected = format!("{name} is measured in {measure}: expected {example}");
        if has_limit(signal) && quantity != Quantity::Cores && units::share(text).is_some() {
            expected.push_str(", or `of_limit: true` beside it");
        }
        issues.add(at, format!("`{text}` is no value of {name}"), expected);
    }
    value.map(|value| value * sign)
}
