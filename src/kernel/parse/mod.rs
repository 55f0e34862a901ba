//! PURE: kernel text to numbers.
//!
//! Parsers take bytes, never paths; they index nothing and allocate nothing but the message of an error. An unknown
//! key is passed over, a known one with a value that is no number is [`Malformed`].

mod flat;
mod nested;
mod pressure;
mod stat;
mod value;

pub use flat::{Flat, flat};
pub use nested::{Triple, nested, triples};
pub use pressure::{Average, Pressure, Stall, pressure};
pub use stat::{TaskStat, task_stat, unified_path};
pub use value::{centi_percent, count_lines, limit, list_count, number, signed_limit, trim, v1_limit, value};

/// Text that is not what its file's format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found `{found}`")]
pub struct Malformed {
    /// What should have stood there.
    pub expected: &'static str,
    /// What did, cut short.
    pub found: Box<str>,
}

impl Malformed {
    /// An error that quotes at most 40 characters of what was found.
    #[must_use]
    pub fn new(expected: &'static str, found: &[u8]) -> Self {
        let mut text = String::new();
        for chunk in found[..found.len().min(40)].utf8_chunks() {
            text.extend(chunk.valid().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
            if !chunk.invalid().is_empty() {
                text.push('\u{fffd}');
            }
        }
        Self { expected, found: text.into() }
    }
}
