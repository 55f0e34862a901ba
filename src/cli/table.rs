//! PURE: text in columns.

use std::io::{self, Write};

/// Where the text stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// Rows of text under headings. The last column has no width: it ends where its text ends.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// No rows yet.
    #[must_use]
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(heading, align)| (heading.to_owned(), align)).collect();
        Self { columns, rows: Vec::new(), indent: 0 }
    }

    /// Spaces before each line.
    #[must_use]
    pub fn indented(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// One more row, with a text for each column.
    pub fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes it. The last column is cut in its middle so that lines fit the width, if there is one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, out: &mut dyn Write, headings: bool, width: Option<usize>) -> io::Result<()> {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (heading, _))| {
                let heading = if headings { length(heading) } else { 0 };
                self.rows.iter().map(|row| length(&row[at])).fold(heading, usize::max)
            })
            .collect();
        let titles: Vec<String> = self.columns.iter().map(|(heading, _)| heading.clone()).collect();
        for row in headings.then_some(&titles).into_iter().chain(&self.rows) {
            self.write_row(out, row, &widths, width)?;
        }
        Ok(())
    }

    fn write_row(
        &self,
        out: &mut dyn Write,
        row: &[String],
        widths: &[usize],
        width: Option<usize>,
    ) -> io::Result<()> {
        let mut line = " ".repeat(self.indent);
        for (at, (text, (_, align))) in row.iter().zip(&self.columns).enumerate() {
            let last = at + 1 == row.len();
            let gap = " ".repeat(widths[at].saturating_sub(length(text)));
            if at > 0 {
                line.push_str("  ");
            }
            match align {
                Align::Right => {
                    line.push_str(&gap);
                    line.push_str(text);
                }
                Align::Left if last => {
                    let room = width.map(|width| width.saturating_sub(length(&line)));
                    line.push_str(&shortened(text, room));
                }
                Align::Left => {
                    line.push_str(text);
                    line.push_str(&gap);
                }
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// How many characters a text has; every one is taken to be one column wide.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// The fewest characters that a cut name keeps: less tells nothing.
const SHORTEST: usize = 16;

/// A text with its middle left out where it is longer than the room.
fn shortened(text: &str, room: Option<usize>) -> String {
    let (length, Some(room)) = (length(text), room.map(|room| room.max(SHORTEST))) else {
        return text.to_owned();
    };
    if length <= room {
        return text.to_owned();
    }
    let tail = (room - 1) / 3;
    let head = room - 1 - tail;
    let mut short: String = text.chars().take(head).collect();
    short.push('…');
    short.extend(text.chars().skip(length - tail));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(table: &Table, headings: bool, width: Option<usize>) -> String {
        let mut out = Vec::new();
        table.write(&mut out, headings, width).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers_stand_right_and_only_the_last_name_is_cut() {
        let mut table = Table::new([("N", Align::Right), ("NAME", Align::Left)]);
        table.add(vec!["1".into(), "short".into()]);
        table.add(vec!["12345".into(), "0123456789abcdefghijklmnopqrst".into()]);
        assert_eq!(
            written(&table, true, None),
            "    N  NAME\n    1  short\n12345  0123456789abcdefghijklmnopqrst\n"
        );
        assert_eq!(written(&table, false, Some(27)), "    1  short\n12345  0123456789abc…opqrst\n");
        assert_eq!(written(&table, false, Some(3)), "    1  short\n12345  0123456789…pqrst\n");
    }
}
