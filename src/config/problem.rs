//! What is wrong with a configuration, shown as a compiler shows it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

/// How much of a line is shown.
const WIDEST: usize = 120;
/// How long a message may be: names and values from the document stand in it.
const LONGEST: usize = 400;
/// How many problems are reported; when there are so many, the rest is not looked for.
pub(super) const MOST_PROBLEMS: usize = 100;

/// A stretch of one line. Lines and columns count from 1, columns and widths in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) width: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: Arc<Path>,
    mark: Option<Mark>,
    /// The line that the mark is on.
    line: String,
    message: String,
    expected: String,
}

impl Problem {
    pub(super) fn at(mark: Mark, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { mark: Some(mark), ..Self::whole(message, expected) }
    }

    /// A problem with the file as a whole.
    pub(super) fn whole(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            file: Path::new("").into(),
            mark: None,
            line: String::new(),
            message: cut(message.into()),
            expected: cut(expected.into()),
        }
    }

    /// The file it is in.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line it is on, from 1; `None` when it is with the file as a whole.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.mark.map(|mark| mark.line)
    }

    /// The column where it starts, from 1, in characters.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.mark.map(|mark| mark.column)
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected instead.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Takes the value out of the message of what is wrong with a secret; of everything, where it is not known which
    /// values are.
    pub(super) fn conceal(&mut self, secrets: Option<&[Mark]>) {
        let is_secret = secrets.is_none_or(|secrets| self.mark.is_some_and(|mark| secrets.contains(&mark)));
        if let (true, Some(from), Some(to)) = (is_secret, self.message.find('`'), self.message.rfind('`')) {
            self.message.replace_range(from..=to, "(not shown)");
        }
    }

    /// Keeps the line that it is on, and keeps the mark within that line.
    fn locate(&mut self, lines: &[&str]) {
        let Some(mark) = &mut self.mark else { return };
        mark.line = mark.line.clamp(1, lines.len().max(1));
        let line = lines.get(mark.line - 1).copied().unwrap_or_default();
        let length = line.trim_end().chars().count();
        mark.column = mark.column.clamp(1, length + 1);
        mark.width = mark.width.min((length + 1).saturating_sub(mark.column)).max(1);
        // Each takes one column, so that the mark stays where it belongs.
        self.line = line.chars().map(|c| if misleads(c) { ' ' } else { c }).collect();
    }

    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = printable(&self.file.to_string_lossy());
        writeln!(formatter, "error: {}", printable(&self.message))?;
        let expected = printable(&self.expected);
        let Some(Mark { line, column, width }) = self.mark else {
            writeln!(formatter, "  --> {file}")?;
            return writeln!(formatter, "   = {expected}");
        };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // A long line is shown from a little before the mark.
        let skip = if column + width > WIDEST { column.saturating_sub(WIDEST / 4) } else { 0 };
        let text: String = self.line.chars().skip(skip).take(WIDEST).collect();
        let indent = " ".repeat(column - 1 - skip.min(column - 1));
        let carets = "^".repeat(width.min(WIDEST));
        writeln!(formatter, "{gutter} --> {file}:{line}:{column}")?;
        writeln!(formatter, " {gutter} |")?;
        writeln!(formatter, " {number} | {}", text.trim_end())?;
        writeln!(formatter, " {gutter} | {indent}{carets} {expected}")
    }
}

/// A message of bounded length.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether a character would steer the reader's terminal, or turn the order of the text around.
fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text from a document, safe to print.
fn printable(text: &str) -> String {
    text.chars().map(|c| if misleads(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Everything that is wrong with a configuration: file by file, each in the order of its lines. Never empty, and at
/// most 100 of each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The configuration file, whichever the problems are in.
    file: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    /// No problem yet.
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Adds those of one file.
    pub(super) fn add(&mut self, file: &Path, text: &str, mut list: Vec<Problem>) {
        let lines: Vec<&str> = text.lines().collect();
        let file: Arc<Path> = file.into();
        for problem in &mut list {
            problem.locate(&lines);
            problem.file = file.clone();
        }
        list.sort_by_key(|problem| problem.mark);
        list.dedup();
        list.truncate(MOST_PROBLEMS);
        self.list.extend(list);
    }

    /// Each of them.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// As JSON: `{"file", "ok": false, "problems": [{"file", "line", "column", "width", "message", "expected"}],
    /// "remarks": []}`, where a problem of a file as a whole has `null` as its place.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let problems: Vec<_> = self
            .list
            .iter()
            .map(|problem| {
                json!({
                    "file": problem.file.to_string_lossy(),
                    "line": problem.line(),
                    "column": problem.column(),
                    "width": problem.mark.map(|mark| mark.width),
                    "message": problem.message,
                    "expected": problem.expected,
                })
            })
            .collect();
        json!({"file": self.file.to_string_lossy(), "ok": false, "problems": problems, "remarks": []})
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for of_one_file in self.list.chunk_by(|a, b| a.file == b.file) {
            for problem in of_one_file {
                problem.show(formatter)?;
                writeln!(formatter)?;
            }
            let file = printable(&of_one_file[0].file.to_string_lossy());
            let errors = if of_one_file.len() == 1 { "error" } else { "errors" };
            let rest =
                if of_one_file.len() == MOST_PROBLEMS { ", and the rest was not looked for" } else { "" };
            writeln!(formatter, "{file}: {} {errors}{rest}", of_one_file.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
