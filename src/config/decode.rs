//! A serde deserializer over a [`Tree`], whose errors know the value that they are about.
//!
//! It reads scalars as the primary parser does, so that the same structs can be filled from both. Values that were
//! found bad before are passed over, as if they had not been written.

use std::collections::HashSet;
use std::fmt::{self, Display};

use serde::de::{self, DeserializeSeed, Deserializer, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::tree::{Kind, NodeId, Tree};

/// Why a value could not be read.
#[derive(Debug)]
pub(super) struct DecodeError {
    /// The value, once it is known.
    pub(super) node: Option<NodeId>,
    /// What is wrong.
    pub(super) message: String,
    /// What was expected.
    pub(super) expected: String,
}

/// A value to be read.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'t> {
    tree: &'t Tree,
    bad: &'t HashSet<NodeId>,
    node: NodeId,
}

impl<'t> Decoder<'t> {
    /// Reads the document, but for the keys and values that are `bad`.
    pub(super) const fn new(tree: &'t Tree, bad: &'t HashSet<NodeId>) -> Self {
        Self { tree, bad, node: tree.root }
    }

    const fn of(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    fn located<T>(self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|mut err| {
            err.node.get_or_insert(self.node);
            err
        })
    }
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.located(match self.tree.kind(self.node) {
            Kind::Scalar { text, plain: true } => visit_plain(text, visitor),
            Kind::Scalar { text, plain: false } => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { decoder: self, rest: items.iter() }),
            Kind::Map(entries) => {
                visitor.visit_map(Entries { decoder: self, rest: entries.iter(), value: None })
            }
            Kind::Alias(_) => Err(de::Error::custom("an alias of an alias")),
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.tree.kind(self.node) {
            Kind::Scalar { text, plain: true } if is_null(text) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.tree.kind(self.node) {
            Kind::Scalar { text, .. } => self.located(visitor.visit_str(text)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    /// A mapping, and not the list of its values that serde would take for a struct as well.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.tree.kind(self.node) {
            Kind::List(_) => self.located(Err(de::Error::invalid_type(Unexpected::Seq, &visitor))),
            // The primary parser takes nothing at all, though not `~`, for a mapping without entries.
            Kind::Scalar { text, plain: true } if text.is_empty() => {
                self.located(visitor.visit_map(Entries { decoder: self, rest: [].iter(), value: None }))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct enum ignored_any
    }
}

struct Items<'t> {
    decoder: Decoder<'t>,
    rest: std::slice::Iter<'t, NodeId>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let bad = self.decoder.bad;
        let Some(&node) = self.rest.find(|node| !bad.contains(node)) else { return Ok(None) };
        let decoder = self.decoder.of(node);
        decoder.located(seed.deserialize(decoder)).map(Some)
    }
}

struct Entries<'t> {
    decoder: Decoder<'t>,
    rest: std::slice::Iter<'t, (NodeId, NodeId)>,
    value: Option<NodeId>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let bad = self.decoder.bad;
        let good = |(key, value): &&(NodeId, NodeId)| !bad.contains(key) && !bad.contains(value);
        let Some(&(key, value)) = self.rest.find(good) else { return Ok(None) };
        self.value = Some(value);
        let decoder = self.decoder.of(key);
        decoder.located(seed.deserialize(decoder)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let value =
            self.value.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        let decoder = self.decoder.of(value);
        decoder.located(seed.deserialize(decoder))
    }
}

/// Whether a plain scalar is no value.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The type of a plain scalar follows from its text, as the YAML 1.2 core schema says.
fn visit_plain<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, DecodeError> {
    match text {
        _ if is_null(text) => return visitor.visit_unit(),
        "true" | "True" | "TRUE" => return visitor.visit_bool(true),
        "false" | "False" | "FALSE" => return visitor.visit_bool(false),
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits),
    };
    let is_digits = digits.chars().all(|c| c.is_digit(radix)) && !digits.is_empty();
    // `007` is a string: it is a date or a code, and older YAML read it as octal.
    if is_digits && radix == 10 && digits.len() > 1 && digits.starts_with('0') {
        return visitor.visit_str(text);
    }
    if is_digits {
        match (i128::from_str_radix(digits, radix), negative) {
            (Ok(number), false) if u64::try_from(number).is_ok() => {
                return visitor.visit_u64(u64::try_from(number).unwrap_or_default());
            }
            (Ok(number), true) if i64::try_from(-number).is_ok() => {
                return visitor.visit_i64(i64::try_from(-number).unwrap_or_default());
            }
            _ => {}
        }
    }
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && let Ok(number) = text.parse::<f64>()
    {
        return visitor.visit_f64(number);
    }
    visitor.visit_str(text)
}

// === errors ===

impl DecodeError {
    fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { node: None, message: message.into(), expected: expected.into() }
    }

    fn unknown(what: &str, name: &str, known: &[&str]) -> Self {
        let mut expected = match known {
            [] => "expected nothing here: `{}`".to_owned(),
            known => format!("expected one of: {}", known.join(", ")),
        };
        if let Some(meant) = nearest(name, known) {
            expected.push_str(&format!("; did you mean `{meant}`?"));
        }
        Self::new(format!("unknown {what} `{name}`"), expected)
    }
}

impl Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.message, self.expected)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string(), "expected another value")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("wrong type: found {}", show(found)), expectation(expected))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) => format!("`{text}`"),
            found => show(found),
        };
        Self::new(format!("bad value: found {found}"), expectation(expected))
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown("name", name, known)
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown("key", name, known)
    }
}

/// What was found, in YAML's words rather than serde's.
fn show(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("the boolean `{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value}`"),
        Unexpected::Str(text) => format!("the string `{text}`"),
        Unexpected::Unit => "no value".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// What was expected, in YAML's words rather than serde's.
fn expectation(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a sequence" => "expected a list, such as `[a, b]`".to_owned(),
        "a map" => "expected a mapping, such as `{name: value}`".to_owned(),
        "field identifier" => "expected a key that is one word".to_owned(),
        "a boolean" => "expected `true` or `false`".to_owned(),
        _ if text.contains("expected") => text,
        _ => format!("expected {text}"),
    }
}

/// The known name that was probably meant: the one that takes fewest changes, if those are few.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    let (distance, meant) = known.iter().map(|known| (distance(name, known), *known)).min()?;
    (distance <= allowed).then_some(meant)
}

/// How many characters must be put in, taken out, changed, or swapped with their neighbour to make one name of the
/// other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let change = row[j] + usize::from(from != to);
            let mut least = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && b[j - 1] == *from {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}
