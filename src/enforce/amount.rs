//! PURE: amounts in numbers: a share of what is used now, and never less than that where it would hurt.

use super::order::Deed;
use super::request::Wish;
use crate::model::{Control, Controls, Field, Knob, Limit, Readings, Value};
use crate::policy::rule::{Amount, Setting};

/// The deed of a wish, its amounts in numbers. What cannot be told in numbers is left out, and said.
pub(super) fn resolve(wish: &Wish, readings: Option<&Readings>) -> (Deed, Result<(), String>) {
    let mut resolved = Ok(());
    let deed = match wish {
        Wish::Notify(notify) => Deed::Notify(notify.clone()),
        Wish::Undo => Deed::Undo,
        Wish::Freeze => Deed::Freeze,
        Wish::Thaw => Deed::Thaw,
        Wish::Kill(kill) => Deed::Kill(*kill),
        Wish::Restart => Deed::Restart,
        Wish::Stop => Deed::Stop,
        Wish::Reclaim(amount) => {
            let used = readings.and_then(|readings| readings.get(Field::MemoryCurrent));
            let bytes = amount_of(amount, used).as_ref().and_then(Value::number);
            if bytes.is_none() {
                resolved = Err("how much to reclaim is not known: memory.current was not read".to_owned());
            }
            Deed::Reclaim(bytes.unwrap_or(0))
        }
        Wish::Set { settings, on_drift, .. } => {
            let mut values = Vec::with_capacity(settings.len());
            for Setting { knob, amount, at_least } in settings {
                let used = readings.and_then(|readings| used_now(knob, readings));
                match amount_of(amount, used) {
                    Some(Value::Limit(Limit::Value(number))) => {
                        values.push((knob.clone(), Value::of(number.max(at_least.unwrap_or(0)))));
                    }
                    Some(other) => values.push((knob.clone(), other)),
                    None => {
                        resolved = Err(format!("`% of current` of {knob}: what is used now is not known"))
                    }
                }
            }
            Deed::Set { values, on_drift: *on_drift }
        }
    };
    (deed, resolved)
}

/// An amount as a value; none where it depends on what is not known.
fn amount_of(amount: &Amount, used: Option<u64>) -> Option<Value> {
    match amount {
        Amount::Fixed(value) => Some(value.clone()),
        Amount::OfCurrent(share) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a share of a limit need not be exact to the byte"
            )]
            let number = used? as f64 * share;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "shares are checked to be positive, and a float cast stops at the ends"
            )]
            Some(Value::of(number as u64))
        }
    }
}

/// What a control's limit is measured against, where it is an amount that is used.
pub(super) fn used_now(knob: &Knob, readings: &Readings) -> Option<u64> {
    let field = match knob {
        Knob::MemoryMin | Knob::MemoryLow | Knob::MemoryHigh | Knob::MemoryMax => Field::MemoryCurrent,
        Knob::MemorySwapMax => Field::MemorySwapCurrent,
        Knob::PidsMax => Field::PidsCurrent,
        _ => return None,
    };
    readings.get(field)
}

/// What a control is set to, where one file on v1 and on v2 says it as it is.
pub(super) fn set_to(knob: &Knob, controls: &Controls) -> Option<Value> {
    let control = match knob {
        Knob::MemoryMin => Control::MemoryMin,
        Knob::MemoryLow => Control::MemoryLow,
        Knob::MemoryHigh => Control::MemoryHigh,
        Knob::MemoryMax => Control::MemoryMax,
        Knob::MemorySwapMax => Control::MemorySwapMax,
        Knob::PidsMax => Control::PidsMax,
        _ => return None,
    };
    controls.get(control).map(Value::Limit)
}

/// The value, raised to what is used now where less would have the kernel kill, or would fail forks and swapping
/// for what is there already: `memory.max`, `memory.swap.max` and `pids.max`.
///
/// `memory.high` is not raised: to stand below the use is how it throttles, and it kills nothing.
pub(super) fn not_below_use(knob: &Knob, value: &Value, used: Option<u64>, allow_oom: bool) -> Value {
    let guarded = matches!(knob, Knob::MemoryMax | Knob::MemorySwapMax | Knob::PidsMax);
    match (value.number(), used) {
        (Some(number), Some(used)) if guarded && !allow_oom && number < used => Value::of(used),
        _ => value.clone(),
    }
}
