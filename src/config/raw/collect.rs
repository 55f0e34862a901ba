//! `collect:` and `labels:` as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::scalars::{RawCount, RawDuration};
use crate::model::{Collector, OwnerLabel};

/// `collect:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{interval: 5s}`")]
pub(in crate::config) struct RawCollect {
    pub(in crate::config) interval: Option<RawDuration>,
    pub(in crate::config) include: Option<Vec<String>>,
    pub(in crate::config) exclude: Option<Vec<String>>,
    pub(in crate::config) max_depth: Option<RawCount>,
    pub(in crate::config) max_series: Option<RawCount>,
    pub(in crate::config) linger: Option<RawDuration>,
    pub(in crate::config) averages: Option<bool>,
    pub(in crate::config) collectors: Option<BTreeMap<RawCollectorName, Option<RawCollector>>>,
}

/// One entry of `collect.collectors:`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{enabled: true, interval: 30s}`")]
pub(in crate::config) struct RawCollector {
    pub(in crate::config) enabled: Option<bool>,
    pub(in crate::config) interval: Option<RawDuration>,
}

/// `labels:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{attach: [unit]}`")]
pub(in crate::config) struct RawLabels {
    pub(in crate::config) attach: Option<Vec<RawLabel>>,
}

/// A collector's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct RawCollectorName(pub(in crate::config) Collector);

/// An identity label's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct RawLabel(pub(in crate::config) OwnerLabel);

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
