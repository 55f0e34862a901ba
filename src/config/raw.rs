//! The configuration as it is written: the only schema, for both ways of reading it.
//!
//! Every key is optional, and a key without a value counts as not written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::units;
use crate::model::{Collector, OwnerLabel};

/// The whole document.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with the keys `collect` and `labels`")]
pub(super) struct RawConfig {
    pub(super) collect: Option<RawCollect>,
    pub(super) labels: Option<RawLabels>,
}

/// `collect:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{interval: 5s}`")]
pub(super) struct RawCollect {
    pub(super) interval: Option<RawDuration>,
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Option<Vec<String>>,
    pub(super) max_depth: Option<RawCount>,
    pub(super) max_series: Option<RawCount>,
    pub(super) linger: Option<RawDuration>,
    pub(super) averages: Option<bool>,
    pub(super) collectors: Option<BTreeMap<RawCollectorName, Option<RawCollector>>>,
}

/// One entry of `collect.collectors:`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{enabled: true, interval: 30s}`")]
pub(super) struct RawCollector {
    pub(super) enabled: Option<bool>,
    pub(super) interval: Option<RawDuration>,
}

/// `labels:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{attach: [unit]}`")]
pub(super) struct RawLabels {
    pub(super) attach: Option<Vec<RawLabel>>,
}

/// A collector's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RawCollectorName(pub(super) Collector);

/// An identity label's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawLabel(pub(super) OwnerLabel);

/// A length of time, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawDuration(pub(super) Duration);

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawCount(pub(super) usize);

impl<'de> Deserialize<'de> for RawCollectorName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: [&str; Collector::COUNT] = {
            let mut names = [""; Collector::COUNT];
            let mut at = 0;
            while at < Collector::COUNT {
                names[at] = Collector::ALL[at].name();
                at += 1;
            }
            names
        };
        let name = String::deserialize(deserializer)?;
        Collector::from_name(&name).map(Self).ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}

impl<'de> Deserialize<'de> for RawLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let label = OwnerLabel::ALL.iter().copied().find(|label| label.name() == name);
        label.map(Self).ok_or_else(|| D::Error::unknown_variant(&name, OwnerLabel::NAMES))
    }
}

impl<'de> Deserialize<'de> for RawDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = RawDuration;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str(units::DURATION)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawDuration, E> {
                units::duration(text)
                    .map(RawDuration)
                    .map_err(|why| E::invalid_value(Unexpected::Str(text), &why.as_str()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawDuration, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(DurationVisitor)
    }
}

impl<'de> Deserialize<'de> for RawCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = RawCount;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a whole number, 1 or more")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawCount, E> {
                match usize::try_from(number) {
                    Ok(count) if count > 0 => Ok(RawCount(count)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RawCount, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}
