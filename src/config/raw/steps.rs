//! What a rule sets, and the steps of a policy, as they are written.

use std::collections::BTreeMap;
use std::fmt;

use nix::sys::signal::Signal;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::scalars::{RawDuration, RawText};

/// `set:`, controls and their values.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{memory.high: 4GiB}`")]
pub(in crate::config) struct RawSet {
    #[serde(rename = "memory.min")]
    memory_min: Option<RawText>,
    #[serde(rename = "memory.low")]
    memory_low: Option<RawText>,
    #[serde(rename = "memory.high")]
    memory_high: Option<RawText>,
    #[serde(rename = "memory.max")]
    memory_max: Option<RawText>,
    #[serde(rename = "memory.swap.max")]
    memory_swap_max: Option<RawText>,
    #[serde(rename = "cpu.max")]
    cpu_max: Option<RawText>,
    #[serde(rename = "cpu.weight")]
    cpu_weight: Option<RawText>,
    #[serde(rename = "io.max")]
    pub(in crate::config) io_max: Option<BTreeMap<String, RawIoMax>>,
    #[serde(rename = "io.weight")]
    io_weight: Option<RawText>,
    #[serde(rename = "pids.max")]
    pids_max: Option<RawText>,
    #[serde(rename = "cpuset.cpus")]
    cpuset_cpus: Option<RawText>,
    #[serde(rename = "cpuset.mems")]
    cpuset_mems: Option<RawText>,
}

/// `io.max` of one device.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{wbps: 50MiB, riops: 1000}`")]
pub(in crate::config) struct RawIoMax {
    pub(in crate::config) rbps: Option<RawText>,
    pub(in crate::config) wbps: Option<RawText>,
    pub(in crate::config) riops: Option<RawText>,
    pub(in crate::config) wiops: Option<RawText>,
}

/// An item of `steps:`: one action, and what is said about it.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{freeze: {ttl: 30s}}`")]
pub(in crate::config) struct RawStep {
    #[serde(deserialize_with = "written")]
    pub(in crate::config) notify: Option<RawNotify>,
    pub(in crate::config) set: Option<RawSet>,
    pub(in crate::config) reclaim: Option<RawReclaim>,
    #[serde(deserialize_with = "written")]
    pub(in crate::config) freeze: Option<RawFreeze>,
    #[serde(deserialize_with = "written")]
    pub(in crate::config) kill: Option<RawKill>,
    #[serde(deserialize_with = "written")]
    pub(in crate::config) restart: Option<RawNothing>,
    #[serde(deserialize_with = "written")]
    pub(in crate::config) stop: Option<RawNothing>,
    pub(in crate::config) at_least: Option<RawText>,
    pub(in crate::config) ttl: Option<RawDuration>,
    pub(in crate::config) relieved_within: Option<RawDuration>,
}

/// `- notify:` names the action, although nothing follows.
fn written<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<Option<T>, D::Error> {
    Option::<T>::deserialize(from).map(|value| Some(value.unwrap_or_default()))
}

/// `restart:` and `stop:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{}`")]
pub(in crate::config) struct RawNothing {}

/// `notify:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `{webhook: \"http://127.0.0.1:9093/\"}` or `{}`"
)]
pub(in crate::config) struct RawNotify {
    pub(in crate::config) webhook: Option<String>,
    pub(in crate::config) ca_file: Option<String>,
    pub(in crate::config) hook: Option<RawHook>,
}

/// `notify.hook:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `{command: [/usr/bin/logger, -t, stockade]}`"
)]
pub(in crate::config) struct RawHook {
    pub(in crate::config) command: Option<Vec<String>>,
    pub(in crate::config) timeout: Option<RawDuration>,
}

/// `freeze:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{ttl: 30s}`")]
pub(in crate::config) struct RawFreeze {
    pub(in crate::config) ttl: Option<RawDuration>,
}

/// `kill:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{signal: TERM, grace: 5s}`")]
pub(in crate::config) struct RawKill {
    pub(in crate::config) signal: Option<RawSignal>,
    pub(in crate::config) grace: Option<RawDuration>,
}

/// `reclaim:`, an amount or a mapping with one.
#[derive(Debug, PartialEq)]
pub(in crate::config) enum RawReclaim {
    Short(RawText),
    Long(RawReclaimMap),
}

/// `reclaim: {…}`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{amount: 256MiB}`")]
pub(in crate::config) struct RawReclaimMap {
    pub(in crate::config) amount: Option<RawText>,
}

super::named! {
    /// A signal that ends a process, or asks it to end.
    RawSignal: Signal {
        "TERM" = Signal::SIGTERM,
        "INT" = Signal::SIGINT,
        "HUP" = Signal::SIGHUP,
        "QUIT" = Signal::SIGQUIT,
        "ABRT" = Signal::SIGABRT,
        "USR1" = Signal::SIGUSR1,
        "USR2" = Signal::SIGUSR2,
        "KILL" = Signal::SIGKILL,
    }
}

impl RawSet {
    /// The controls but for `io.max`: the file's name, and the value.
    pub(in crate::config) fn plain(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("memory.min", &self.memory_min),
            ("memory.low", &self.memory_low),
            ("memory.high", &self.memory_high),
            ("memory.max", &self.memory_max),
            ("memory.swap.max", &self.memory_swap_max),
            ("cpu.max", &self.cpu_max),
            ("cpu.weight", &self.cpu_weight),
            ("io.weight", &self.io_weight),
            ("pids.max", &self.pids_max),
            ("cpuset.cpus", &self.cpuset_cpus),
            ("cpuset.mems", &self.cpuset_mems),
        ]
        .into_iter()
        .filter_map(|(file, value)| value.as_ref().map(|value| (file, value.0.as_str())))
    }
}

impl<'de> Deserialize<'de> for RawReclaim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReclaimVisitor;
        impl<'de> Visitor<'de> for ReclaimVisitor {
            type Value = RawReclaim;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an amount such as `256MiB` or `10% of current`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawReclaim, E> {
                Ok(RawReclaim::Short(RawText(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawReclaim, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawReclaim, A::Error> {
                RawReclaimMap::deserialize(MapAccessDeserializer::new(map)).map(RawReclaim::Long)
            }
        }
        deserializer.deserialize_any(ReclaimVisitor)
    }
}
