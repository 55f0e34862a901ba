//! The configuration as it is written: the only schema, for both ways of reading it.
//!
//! Every key is optional here, and a key without a value counts as not written; what must be written is looked for
//! when the values are checked, so that all that is missing is found at once.

mod collect;
mod rules;
mod safety;
mod scalars;
mod steps;

use serde::Deserialize;

pub(super) use collect::{RawCollect, RawLabels};
pub(super) use rules::{RawCondition, RawLimit, RawMatch, RawMatcher, RawPolicy, RawVictim};
pub(super) use safety::RawSafety;
pub(super) use scalars::{RawDuration, RawText};
pub(super) use steps::{
    RawFreeze, RawHook, RawIoMax, RawKill, RawNotify, RawReclaim, RawSet, RawSignal, RawStep,
};

/// The whole document.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with keys such as `collect` and `policies`")]
pub(super) struct RawConfig {
    pub(super) collect: Option<RawCollect>,
    pub(super) labels: Option<RawLabels>,
    pub(super) safety: Option<RawSafety>,
    pub(super) limits: Option<Vec<RawLimit>>,
    pub(super) policies: Option<Vec<RawPolicy>>,
}

/// A file of `policies.d`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with the keys `limits` and `policies`")]
pub(super) struct RawDropIn {
    pub(super) limits: Option<Vec<RawLimit>>,
    pub(super) policies: Option<Vec<RawPolicy>>,
}

/// A value that is one of a few names: `named!(RawMode: Mode { "observe" = Mode::Observe, … })`.
macro_rules! named {
    ($(#[$doc:meta])* $raw:ident: $value:ty { $($name:literal = $variant:expr,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::config) struct $raw(pub(in crate::config) $value);

        impl<'de> serde::Deserialize<'de> for $raw {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                match name.as_str() {
                    $($name => Ok(Self($variant)),)+
                    _ => Err(serde::de::Error::unknown_variant(&name, &[$($name),+])),
                }
            }
        }
    };
}
pub(super) use named;
