//! Single values, as they are written.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::config::units;

/// A length of time, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct RawDuration(pub(in crate::config) Duration);

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct RawCount(pub(in crate::config) usize);

/// A number of things, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct RawAtMost(pub(in crate::config) usize);

/// A word, or a number with or without a unit, whose meaning depends on what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct RawText(pub(in crate::config) String);

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

impl<'de> Deserialize<'de> for RawAtMost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtMostVisitor;
        impl Visitor<'_> for AtMostVisitor {
            type Value = RawAtMost;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a whole number, 0 or more")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawAtMost, E> {
                let number = usize::try_from(number);
                number.map(RawAtMost).map_err(|_| E::custom("this number is too large"))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RawAtMost, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(AtMostVisitor)
    }
}

impl<'de> Deserialize<'de> for RawText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = RawText;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a word or a number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawText, E> {
                Ok(RawText(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawText, E> {
                Ok(RawText(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RawText, E> {
                Ok(RawText(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<RawText, E> {
                Ok(RawText(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}
