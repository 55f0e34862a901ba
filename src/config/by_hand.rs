//! The same values on a command line: `memory.high=4GiB`, `io.max=vda wbps=50MiB`.

use std::path::Path;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::{Map, Value as Json, json};

use super::raw::RawSignal;
use super::{parse, units};
use crate::model::{Knob, Value};

/// Reads what a person wants to set. Each is held to the same rules as in a file.
///
/// # Errors
/// Says what is wrong and what was expected.
pub fn assignments(texts: &[String]) -> Result<Vec<(Knob, Value)>, String> {
    let mut set = Map::new();
    for text in texts {
        let Some((control, value)) = text.split_once('=') else {
            return Err(format!("`{text}` sets nothing: expected CONTROL=VALUE, such as memory.high=4GiB"));
        };
        let value = if control == "io.max" {
            let old = set.remove(control).unwrap_or_else(|| json!({}));
            io_max(value, old).ok_or_else(|| {
                format!("`{text}`: expected a device and rates, such as io.max='vda wbps=50MiB riops=1000'")
            })?
        } else {
            json!(value)
        };
        if set.insert(control.to_owned(), value).is_some() {
            return Err(format!("`{control}` is set twice"));
        }
    }
    // JSON is YAML: what stands in a file and what stands here is read by the same code.
    let document = json!({"limits": [{"name": "by-hand", "match": {"path": "/any"}, "set": set}]});
    let config = parse(Path::new("the command line"), &document.to_string()).map_err(|problems| {
        let problem = problems.list().first();
        problem.map_or_else(String::new, |problem| format!("{}; {}", problem.message(), problem.expected()))
    })?;
    Ok(config.rules.limits.first().map(|rule| rule.set.clone()).unwrap_or_default())
}

fn io_max(text: &str, mut devices: Json) -> Option<Json> {
    let (device, rates) = text.split_once(' ')?;
    // One device may be named several times, once for each of its rates.
    let set = devices.as_object_mut()?.entry(device).or_insert_with(|| json!({})).as_object_mut()?;
    for rate in rates.split_whitespace() {
        let (name, value) = rate.split_once('=')?;
        set.insert(name.to_owned(), json!(value));
    }
    Some(devices)
}

/// Reads an amount of memory, in bytes.
///
/// # Errors
/// Says what was expected.
pub fn size(text: &str) -> Result<u64, String> {
    units::size(text).filter(|size| *size > 0).ok_or_else(|| format!("expected {}, above zero", units::SIZE))
}

/// Reads a signal's name, with or without `SIG`; gives its number.
///
/// # Errors
/// Says which there are.
pub fn signal(name: &str) -> Result<i32, String> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let from: StrDeserializer<'_, ValueError> = bare.into_deserializer();
    RawSignal::deserialize(from).map(|signal| signal.0 as i32).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IoRate;

    fn read(texts: &[&str]) -> Result<Vec<(Knob, Value)>, String> {
        assignments(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_set_by_hand_is_read_as_in_a_file() {
        let set = read(&[
            "memory.high=4GiB",
            "cpu.max=150%",
            "io.max=vda wbps=50MiB riops=10",
            "io.max=8:0 rbps=1MiB",
        ]);
        let io = |device: &str, rate| Knob::IoMax { device: device.into(), rate };
        let mut expected = vec![
            (Knob::MemoryHigh, Value::of(4 << 30)),
            (Knob::CpuMax, Value::of(1_500_000)),
            (io("8:0", IoRate::ReadBytes), Value::of(1 << 20)),
            (io("vda", IoRate::WriteBytes), Value::of(50 << 20)),
            (io("vda", IoRate::Reads), Value::of(10)),
        ];
        let mut set = set.expect("good values");
        set.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(set, expected);
    }

    #[test]
    fn what_cannot_be_set_says_why() {
        for (texts, why) in [
            (&["memory.high"][..], "expected CONTROL=VALUE"),
            (&["memory.hihg=1GiB"], "memory.high"),
            (&["memory.high=lots"], "memory.high"),
            (&["pids.max=1", "pids.max=2"], "twice"),
            (&["io.max=vda"], "a device and rates"),
            (&["cpu.weight=0"], "1 to 10000"),
        ] {
            let said = read(texts).expect_err("bad values");
            assert!(said.contains(why), "{texts:?}: {said}");
        }
        assert_eq!(signal("SIGTERM"), signal("TERM"));
        assert!(signal("STOP").is_err() && size("0").is_err() && size("1GiB") == Ok(1 << 30));
    }
}
