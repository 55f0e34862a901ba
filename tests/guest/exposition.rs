//! A scrape and its reader, written apart from the program's renderer: text format 0.0.4 over a plain TCP stream.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::outcome::{During, Step, Stop, ensure};

/// One line of a scrape.
#[derive(Debug, PartialEq)]
pub(crate) struct Series {
    /// The metric's name.
    pub(crate) name: String,
    /// Its labels, unescaped.
    pub(crate) labels: Vec<(String, String)>,
    /// Its value.
    pub(crate) value: f64,
}

impl Series {
    /// A label's value.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// A whole scrape.
#[derive(Debug)]
pub(crate) struct Exposition(pub(crate) Vec<Series>);

impl Exposition {
    /// Scrapes `/metrics`.
    pub(crate) fn scrape(address: SocketAddr) -> Step<Self> {
        let timeout = Duration::from_secs(20);
        let mut stream =
            TcpStream::connect_timeout(&address, timeout).during(format!("connect to {address}"))?;
        stream.set_read_timeout(Some(timeout)).during("set a timeout")?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).during("send a scrape")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).during("read a scrape")?;
        let answer = String::from_utf8(answer).during("a scrape is UTF-8")?;
        let (head, body) =
            answer.split_once("\r\n\r\n").ok_or_else(|| Stop::Failed("no HTTP body".into()))?;
        ensure(head.starts_with("HTTP/1.1 200"), || format!("the scrape was answered: {head}"))?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunk(body)? } else { body.to_owned() };
        Self::parse(&body)
    }

    /// Reads the text.
    pub(crate) fn parse(text: &str) -> Step<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                series(line).ok_or_else(|| Stop::Failed(format!("no line of the text format: {line:?}")))
            })
            .collect::<Step<_>>()
            .map(Self)
    }

    /// The one value of a name whose labels include all of these; two that fit are a failure.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Step<Option<f64>> {
        let mut fitting = self.0.iter().filter(|series| {
            series.name == name && labels.iter().all(|(label, value)| series.label(label) == Some(value))
        });
        let first = fitting.next().map(|series| series.value);
        ensure(fitting.next().is_none(), || format!("{name}{labels:?} has more than one series"))?;
        Ok(first)
    }

    /// The value of a name, which must be there.
    pub(crate) fn want(&self, name: &str, labels: &[(&str, &str)]) -> Step<f64> {
        self.get(name, labels)?.ok_or_else(|| Stop::Failed(format!("{name}{labels:?} is not exported")))
    }
}

fn unchunk(mut body: &str) -> Step<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) =
            body.split_once("\r\n").ok_or_else(|| Stop::Failed("a chunk without size".into()))?;
        let size = usize::from_str_radix(size.trim(), 16).during("a chunk's size")?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(rest.get(..size).ok_or_else(|| Stop::Failed("a chunk that is cut off".into()))?);
        body = rest.get(size + 2..).unwrap_or_default();
    }
}

fn series(line: &str) -> Option<Series> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            rest = after;
        }
        rest = &rest[1..];
    }
    let value = rest.trim().parse().ok()?;
    Some(Series { name: name.to_owned(), labels, value })
}

/// What stands before the closing quote, unescaped, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    loop {
        match letters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, letter) => value.push(letter),
        }
    }
}
