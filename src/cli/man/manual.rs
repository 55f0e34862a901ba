//! stockade.yaml(5): the manual of the configuration, `config/README.md` and `config/signals.md`, as roff.

use std::io;

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::notes;
use super::page::{list, see_also};

/// The manual itself: the page is what the tree's readers read.
const MANUAL: [&str; 2] =
    [include_str!("../../../config/README.md"), include_str!("../../../config/signals.md")];

/// The page, as roff.
pub(super) fn render() -> io::Result<String> {
    let mut page = Page::default();
    let foot = format!("Stockade {}", env!("CARGO_PKG_VERSION"));
    page.roff.control("TH", ["stockade.yaml", "5", super::NO_DATE, &*foot, super::MANUAL]);
    page.roff
        .control("SH", ["NAME"])
        .text([roman("stockade.yaml - what Stockade watches, limits and enforces")]);
    for document in MANUAL {
        for event in Parser::new_ext(document, Options::ENABLE_TABLES) {
            page.take(event);
        }
        page.is_further = true;
    }
    let mut out = Vec::new();
    page.roff.to_writer(&mut out)?;
    let text = String::from_utf8(out).map_err(io::Error::other)?;
    let others =
        ["stockade(1)", "stockade-serve(1)", "stockade-check(1)", "stockade-explain(1)", "cgroups(7)"];
    Ok(text
        + &list("FILES", notes::of_the_configuration())
        + &see_also(others.map(str::to_owned).into_iter()))
}

/// What was read so far, and where in the document the reader is.
#[derive(Default)]
struct Page {
    roff: Roff,
    line: Vec<Inline>,
    style: Vec<fn(String) -> Inline>,
    /// For each list that is open, the number of its next item; none where it has no numbers.
    lists: Vec<Option<u64>>,
    item_begins: bool,
    /// Whether nothing stands under the last heading yet: what follows it is a paragraph of its own anyway.
    fresh: bool,
    code: Option<String>,
    table: Table,
    /// Whether the first document, whose title is that of the page, is behind.
    is_further: bool,
}

/// A table becomes a list: the first cell is the term, the others follow it under their headings.
#[derive(Default)]
struct Table {
    headings: Vec<String>,
    cells: Vec<Vec<Inline>>,
    in_head: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.say(&text),
            },
            Event::Code(text) => self.line.push(bold(&*text)),
            Event::SoftBreak => self.say(" "),
            Event::HardBreak => self.line.push(Inline::LineBreak),
            // Marks for the tests that hold tables to the code.
            Event::Html(_) | Event::InlineHtml(_) => {}
            // Options that are off.
            Event::FootnoteReference(_)
            | Event::Rule
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
    }

    fn say(&mut self, text: &str) {
        let style = self.style.last().copied().unwrap_or(roman);
        self.line.push(style(text.to_owned()));
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Paragraph if self.lists.is_empty() => self.paragraph(),
            Tag::Emphasis => self.style.push(italic),
            Tag::Strong => self.style.push(bold),
            Tag::CodeBlock(_) => {
                self.flush();
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                self.flush();
                if !self.lists.is_empty() {
                    self.roff.control("RS", ["4"]);
                }
                self.lists.push(*first);
            }
            Tag::Item => self.item_begins = true,
            Tag::Table(_) => self.table = Table::default(),
            Tag::TableHead => self.table.in_head = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::Emphasis | TagEnd::Strong => _ = self.style.pop(),
            TagEnd::CodeBlock => self.example(),
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.roff.control("RE", []);
                }
            }
            TagEnd::TableCell if self.table.in_head => {
                let heading = std::mem::take(&mut self.line);
                self.table.headings.push(heading.into_iter().map(text_of).collect());
            }
            TagEnd::TableCell => self.table.cells.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => self.table.in_head = false,
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn paragraph(&mut self) {
        if !std::mem::take(&mut self.fresh) {
            self.roff.control("PP", []);
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let title: String = std::mem::take(&mut self.line).into_iter().map(text_of).collect();
        match level {
            // The first document's title is the page's name, and what follows it the description.
            HeadingLevel::H1 if !self.is_further => _ = self.roff.control("SH", ["DESCRIPTION"]),
            HeadingLevel::H1 | HeadingLevel::H2 => _ = self.roff.control("SH", [&*title.to_uppercase()]),
            _ => _ = self.roff.control("SS", [&*title]),
        }
        self.fresh = true;
    }

    /// Writes the text that is gathered, as an item's where one began.
    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return;
        }
        if std::mem::take(&mut self.item_begins) {
            match self.lists.last_mut() {
                Some(Some(number)) => {
                    self.roff.control("IP", [&*format!("{number}."), "4"]);
                    *number += 1;
                }
                _ => _ = self.roff.control("IP", ["\\(bu", "2"]),
            }
        }
        self.fresh = false;
        self.roff.text(line);
    }

    fn example(&mut self) {
        let code = self.code.take().unwrap_or_default();
        self.paragraph();
        self.roff.control("RS", ["4"]).control("EX", []);
        for line in code.lines() {
            self.roff.text([roman(line)]);
        }
        self.roff.control("EE", []).control("RE", []);
    }

    fn row(&mut self) {
        let mut cells = std::mem::take(&mut self.table.cells).into_iter();
        let Some(term) = cells.next() else { return };
        self.fresh = false;
        self.roff.control("TP", []).text(term);
        let rest: Vec<Vec<Inline>> = cells.collect();
        let alone = rest.len() == 1;
        let mut line = Vec::new();
        for (heading, cell) in
            self.table.headings.iter().skip(1).zip(rest).filter(|(_, cell)| !cell.is_empty())
        {
            if !line.is_empty() {
                line.push(Inline::LineBreak);
            }
            if !alone {
                line.extend([italic(format!("{heading}:")), roman(" ")]);
            }
            line.extend(cell);
        }
        self.roff.text(line);
    }
}

/// A heading's words without their style.
fn text_of(inline: Inline) -> String {
    match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text,
        Inline::LineBreak => " ".to_owned(),
    }
}
