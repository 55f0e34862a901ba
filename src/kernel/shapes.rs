//! Tables whose row names only the kernel knows, filled without allocating once their shape is known.
//!
//! `memory.stat` has some fifty rows with the same names for every cgroup. The names are compared where they stand and
//! the numbers written to the row; only a text with other names than any before makes a new [`Schema`].

use std::collections::HashSet;
use std::sync::Arc;

use super::devices::Devices;
use super::parse::{self, Malformed, Triple};
use crate::model::{Key, Reading, Readings, RowKind, Rows, Schema};

/// How a table's text is laid out.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// `NAME NUMBER` a line; the outer key is empty.
    Flat,
    /// `OUTER NAME=VALUE …` a line.
    Nested,
    /// `OUTER NAME VALUE` a line (v1 blkio).
    Triples,
    /// `NAME VALUE` a line, where the value may be `max` (misc); the outer key is empty.
    Pairs,
    /// `NAME NODE=VALUE …` a line (v1 also `NAME=TOTAL NODE=VALUE …`), told apart by node.
    Numa,
}

/// What the row under an outer and an inner key is, and the factor to its unit; `None` for one that is not kept.
pub type Classify = fn(&[u8], &[u8], &mut Devices) -> Option<(Key, u64)>;

/// How a file becomes rows.
#[derive(Debug)]
pub struct Table {
    /// Which rows of the readings it fills.
    pub kind: RowKind,
    /// How the text is laid out.
    pub format: Format,
    /// What each row is.
    pub classify: Classify,
}

/// More shapes than this of one table are not remembered: devices come and go.
const REMEMBERED: usize = 64;

struct RawKey {
    outer: Box<[u8]>,
    name: Box<[u8]>,
    row: Option<usize>,
    scale: u64,
}

struct Shape {
    raw: Box<[RawKey]>,
    schema: Arc<Schema>,
}

/// The shapes seen so far, and the device names that some of them hold.
pub struct Shapes {
    known: [Vec<Shape>; RowKind::COUNT],
    /// Device names.
    pub devices: Devices,
    /// The shape of the huge page table, which the host's page sizes decide.
    pub huge_pages: Arc<Schema>,
}

impl Shapes {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(devices: Devices, huge_pages: Schema) -> Self {
        Self { known: std::array::from_fn(|_| Vec::new()), devices, huge_pages: Arc::new(huge_pages) }
    }

    /// Fills a table from its file's text; no text makes its numbers absent.
    ///
    /// # Errors
    /// A kept row whose value is neither a number nor `max`; lines that are not in the table's form.
    pub fn fill(
        &mut self,
        table: &Table,
        text: Option<&[u8]>,
        readings: &mut Readings,
    ) -> Result<(), Malformed> {
        let rows = readings.rows_mut(table.kind);
        let Some(text) = text else {
            rows.clear();
            return Ok(());
        };
        let known = &self.known[table.kind as usize];
        let own =
            rows.schema().and_then(|own| known.iter().position(|shape| Arc::ptr_eq(&shape.schema, own)));
        if let Some(own) = own
            && fill_known(&known[own], table.format, text, rows)?
        {
            return Ok(());
        }
        for shape in known {
            rows.reshape(Arc::clone(&shape.schema));
            if fill_known(shape, table.format, text, rows)? {
                return Ok(());
            }
        }
        let shape = learn(table, text, &mut self.devices);
        rows.reshape(Arc::clone(&shape.schema));
        if !fill_known(&shape, table.format, text, rows)? {
            return Err(Malformed::new("`NAME NUMBER` lines", text));
        }
        let known = &mut self.known[table.kind as usize];
        if known.len() == REMEMBERED {
            known.remove(0);
        }
        known.push(shape);
        Ok(())
    }

    /// Looks the device names up again, and learns anew the tables that hold them if one has changed. Tells whether one
    /// has: limits of devices are then to be read again.
    pub fn refresh_devices(&mut self) -> bool {
        let changed = self.devices.refresh();
        if changed {
            for known in &mut self.known {
                known.clear();
            }
        }
        changed
    }
}

/// Writes the numbers of a text that has this shape; `false` where it has another one.
fn fill_known(shape: &Shape, format: Format, text: &[u8], rows: &mut Rows) -> Result<bool, Malformed> {
    match format {
        Format::Flat => fill_flat(shape, text, rows.values_mut()),
        Format::Nested => fill_triples(shape, parse::nested(text), rows),
        Format::Triples => fill_triples(shape, parse::triples(text), rows),
        Format::Pairs => fill_triples(shape, pairs(text), rows),
        Format::Numa => fill_triples(shape, numa(text), rows),
    }
}

/// `NAME VALUE` lines as items without an outer key.
fn pairs(text: &[u8]) -> impl Iterator<Item = Triple<'_>> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let space = line.iter().position(|&byte| byte == b' ')?;
        Some((&b""[..], &line[..space], &line[space + 1..]))
    })
}

/// `memory.numa_stat`: v2 `anon N0=1 N1=2`, v1 `total=3 N0=1 N1=2` where the name is the first pair's key.
fn numa(text: &[u8]) -> impl Iterator<Item = Triple<'_>> {
    text.split(|&byte| byte == b'\n').flat_map(|line| {
        let mut words = line.split(|&byte| byte == b' ');
        let first = words.next().unwrap_or_default();
        let name = first.split(|&byte| byte == b'=').next().unwrap_or_default();
        words.filter_map(move |word| {
            let equals = word.iter().position(|&byte| byte == b'=')?;
            Some((name, &word[..equals], &word[equals + 1..]))
        })
    })
}

/// The hot path: names are compared in place, digits read right behind them.
fn fill_flat(shape: &Shape, mut text: &[u8], values: &mut [Reading]) -> Result<bool, Malformed> {
    for key in &shape.raw {
        let Some(rest) = text.strip_prefix(&*key.name).and_then(|rest| rest.strip_prefix(b" ")) else {
            return Ok(false);
        };
        let Some(row) = key.row else {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            text = rest.get(end + 1..).unwrap_or_default();
            continue;
        };
        let mut number = 0u64;
        let mut digits = 0usize;
        for &byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        }
        // Nineteen digits always fit.
        if digits == 0 || digits > 19 || !matches!(rest.get(digits), None | Some(b'\n')) {
            return Err(Malformed::new("`NAME NUMBER`", text));
        }
        values[row] = Reading::new(number.saturating_mul(key.scale));
        text = rest.get(digits + 1..).unwrap_or_default();
    }
    Ok(text.is_empty())
}

fn fill_triples<'a>(
    shape: &Shape,
    mut items: impl Iterator<Item = Triple<'a>>,
    rows: &mut Rows,
) -> Result<bool, Malformed> {
    for key in &shape.raw {
        match items.next() {
            Some((outer, name, value)) if *outer == *key.outer && *name == *key.name => {
                if let Some(row) = key.row {
                    let value = parse::limit(value)?.value();
                    rows.values_mut()[row] = value.map(|value| value.saturating_mul(key.scale)).into();
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(items.next().is_none())
}

fn learn(table: &Table, text: &[u8], devices: &mut Devices) -> Shape {
    let mut raw = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    let mut seen: HashSet<Key> = HashSet::new();
    let mut add = |outer: &[u8], name: &[u8]| {
        // A row that is there twice would be a series that is there twice: the first one is kept.
        let kept = (table.classify)(outer, name, devices).filter(|(key, _)| seen.insert(key.clone()));
        let (row, scale) = kept.map_or((None, 1), |(key, scale)| {
            keys.push(key);
            (Some(keys.len() - 1), scale)
        });
        raw.push(RawKey { outer: outer.into(), name: name.into(), row, scale });
    };
    match table.format {
        Format::Flat => {
            for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                add(b"", line.split(|&byte| byte == b' ').next().unwrap_or_default());
            }
        }
        Format::Nested => parse::nested(text).for_each(|(outer, name, _)| add(outer, name)),
        Format::Triples => parse::triples(text).for_each(|(outer, name, _)| add(outer, name)),
        Format::Pairs => pairs(text).for_each(|(outer, name, _)| add(outer, name)),
        Format::Numa => numa(text).for_each(|(outer, name, _)| add(outer, name)),
    }
    Shape { raw: raw.into(), schema: Arc::new(Schema::new(keys)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Column;

    const STAT: Table = Table {
        kind: RowKind::MemoryStat,
        format: Format::Flat,
        classify: |_, name, _| {
            let name = std::str::from_utf8(name).ok().filter(|name| *name != "skipped")?;
            Some((Key::new(Column::StatBytes, name), 1))
        },
    };

    fn shapes() -> Shapes {
        Shapes::new(Devices::new(std::path::Path::new("/nonexistent")), Schema::new(Vec::new()))
    }

    fn fill(shapes: &mut Shapes, readings: &mut Readings, text: &str) -> Result<(), Malformed> {
        shapes.fill(&STAT, Some(text.as_bytes()), readings)
    }

    #[test]
    fn one_shape_serves_all_and_a_new_one_is_learnt() {
        let (mut shapes, mut first, mut second) = (shapes(), Readings::default(), Readings::default());
        fill(&mut shapes, &mut first, "anon 1\nskipped 2\nfile 3\n").expect("a table");
        fill(&mut shapes, &mut second, "anon 4\nskipped 5\nfile 6\n").expect("a table");
        let schema =
            |readings: &Readings| readings.rows(RowKind::MemoryStat).schema().cloned().expect("a schema");
        assert!(Arc::ptr_eq(&schema(&first), &schema(&second)));
        assert_eq!((first.memory_stat("file"), second.memory_stat("file")), (Some(3), Some(6)));
        assert_eq!(first.memory_stat("skipped"), None);

        fill(&mut shapes, &mut first, "anon 1\nfile 3\nshmem 9\n").expect("a table");
        assert_eq!(first.memory_stat("shmem"), Some(9));
        assert!(!Arc::ptr_eq(&schema(&first), &schema(&second)));
        fill(&mut shapes, &mut first, "anon 7\n").expect("a shorter table");
        assert_eq!((first.memory_stat("anon"), first.memory_stat("file")), (Some(7), None));

        shapes.fill(&STAT, None, &mut first).expect("no text");
        assert_eq!(first.memory_stat("anon"), None, "absent is absent");
    }

    #[test]
    fn a_bad_number_is_malformed_in_a_known_and_in_a_new_shape() {
        let (mut shapes, mut readings) = (shapes(), Readings::default());
        assert!(fill(&mut shapes, &mut readings, "anon x\n").is_err());
        fill(&mut shapes, &mut readings, "anon 1\n").expect("a table");
        for text in
            ["anon \n", "anon 1x\n", "anon 99999999999999999999\n", "anon 1\nfil", "anon 1\n\n", "anon"]
        {
            assert!(fill(&mut shapes, &mut readings, text).is_err(), "{text:?}");
        }
        fill(&mut shapes, &mut readings, "skipped one two\nanon 2\n").expect("nobody asked for that row");
        assert_eq!(readings.memory_stat("anon"), Some(2));
    }

    #[test]
    fn a_row_that_stands_twice_is_kept_once() {
        let (mut shapes, mut readings) = (shapes(), Readings::default());
        fill(&mut shapes, &mut readings, "anon 1\nanon 2\n").expect("a table");
        assert_eq!(readings.rows(RowKind::MemoryStat).iter().count(), 1);
    }

    #[test]
    fn numa_rows_of_both_versions() {
        let texts = |text: &[u8]| -> Vec<String> {
            numa(text).map(|(a, b, c)| [a, b, c].map(String::from_utf8_lossy).join("/")).collect()
        };
        assert_eq!(texts(b"anon N0=1 N1=2\n"), ["anon/N0/1", "anon/N1/2"]);
        assert_eq!(texts(b"total=3 N0=1 N1=2\n"), ["total/N0/1", "total/N1/2"]);
    }
}
