//! A YAML document as a tree that knows where each value stands, bounded in size and depth.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::place::Step;
use super::problem::{Mark, Problem};

/// How many values a document may hold.
const MOST_NODES: usize = 50_000;
/// How many values it may stand for when every alias is replaced by what it names.
const MOST_EXPANDED: usize = 100_000;
/// How deeply values may be nested, aliases included.
const DEEPEST: usize = 64;

/// A value's place in [`Tree::nodes`].
pub(super) type NodeId = usize;

/// One document.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The document's value.
    pub(super) root: NodeId,
    /// The keys that stand in their mapping for a second time.
    pub(super) repeated: HashSet<NodeId>,
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    mark: Mark,
    /// How many values it stands for, aliases expanded.
    size: usize,
    /// How many levels of nesting it has, aliases expanded.
    height: usize,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A scalar, and whether it was written so that its text tells its type (plain), or is a string in any case.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<NodeId>),
    /// A mapping.
    Map(Vec<(NodeId, NodeId)>),
    /// A repetition of an anchored value.
    Alias(NodeId),
}

impl Tree {
    /// Reads a text. `None` is a text without a document. What can be read past is added to `problems`.
    ///
    /// # Errors
    /// What cannot be read past: the syntax, and the bounds.
    pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Result<Option<Self>, Problem> {
        let mut builder = Builder::new(problems);
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|err| {
                let mark = Mark { line: err.marker().line(), column: err.marker().col() + 1, width: 1 };
                Problem::at(mark, "this is not YAML", err.info())
            })?;
            builder.event(event, span)?;
        }
        let Some(root) = builder.root else { return Ok(None) };
        Ok(Some(Self { nodes: builder.nodes, root, repeated: builder.repeated }))
    }

    /// What the value is, aliases followed.
    pub(super) fn kind(&self, node: NodeId) -> &Kind {
        match &self.nodes[node].kind {
            Kind::Alias(target) => &self.nodes[*target].kind,
            kind => kind,
        }
    }

    /// A scalar's text.
    pub(super) fn text(&self, node: NodeId) -> Option<&str> {
        match self.kind(node) {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Where the value stands.
    pub(super) fn mark(&self, node: NodeId) -> Mark {
        self.nodes[node].mark
    }

    /// The entries of the document, if it is a mapping: each key's text, and the value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, NodeId)> {
        let entries = match self.kind(self.root) {
            Kind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(|&(key, value)| match self.kind(key) {
            Kind::Scalar { text, .. } => Some((text.as_str(), value)),
            _ => None,
        })
    }

    /// The value and all values in it, aliases and what they name included.
    pub(super) fn within(&self, node: NodeId) -> Vec<NodeId> {
        let mut found = vec![node];
        let mut next = 0;
        while let Some(&node) = found.get(next) {
            next += 1;
            match &self.nodes[node].kind {
                Kind::Alias(target) => found.push(*target),
                Kind::List(items) => found.extend(items),
                Kind::Map(entries) => found.extend(entries.iter().map(|&(_, value)| value)),
                Kind::Scalar { .. } => {}
            }
        }
        found
    }

    /// Whether one of these is directly in the value.
    pub(super) fn holds(&self, node: NodeId, some: &HashSet<NodeId>) -> bool {
        match self.kind(node) {
            Kind::List(items) => items.iter().any(|item| some.contains(item)),
            Kind::Map(entries) => {
                entries.iter().any(|(key, value)| some.contains(key) || some.contains(value))
            }
            Kind::Scalar { .. } | Kind::Alias(_) => false,
        }
    }

    /// The value or key at the end of a path, or as far on the way to it as there is one. Items are counted without
    /// those that are `bad`, which nobody who counted them has seen.
    pub(super) fn find(&self, path: &[Step], bad: &HashSet<NodeId>) -> NodeId {
        let mut at = self.root;
        for step in path {
            let next = match (step, self.kind(at)) {
                (Step::Index(index), Kind::List(items)) => {
                    items.iter().filter(|item| !bad.contains(item)).nth(*index).copied()
                }
                (Step::Key(name), Kind::Map(entries)) => self.entry(entries, name).map(|(_, value)| value),
                (Step::Name(name), Kind::Map(entries)) => self.entry(entries, name).map(|(key, _)| key),
                _ => None,
            };
            let Some(next) = next else { break };
            at = next;
        }
        at
    }

    fn entry(&self, entries: &[(NodeId, NodeId)], name: &str) -> Option<(NodeId, NodeId)> {
        let named = |key| matches!(self.kind(key), Kind::Scalar { text, .. } if text == name);
        entries.iter().copied().find(|&(key, _)| named(key))
    }
}

/// A list or mapping that is being read.
struct Open {
    node: NodeId,
    anchor: usize,
    children: Vec<NodeId>,
}

struct Builder<'p> {
    problems: &'p mut Vec<Problem>,
    nodes: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    root: Option<NodeId>,
    repeated: HashSet<NodeId>,
}

impl<'p> Builder<'p> {
    fn new(problems: &'p mut Vec<Problem>) -> Self {
        Self {
            problems,
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            repeated: HashSet::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let mark = mark(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    return Err(Problem::at(
                        mark,
                        "a second document starts here",
                        "expected one document in a file",
                    ));
                }
            }
            Event::Alias(anchor) => {
                let Some(&target) = self.anchors.get(&anchor) else {
                    return Err(Problem::at(
                        mark,
                        "this value contains itself",
                        "expected an alias of a value that is complete",
                    ));
                };
                let (size, height) = (self.nodes[target].size, self.nodes[target].height);
                let node = self.add(Kind::Alias(target), mark)?;
                (self.nodes[node].size, self.nodes[node].height) = (size, height);
                self.complete(node, 0);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let string = self.tag(tag.as_deref(), mark);
                let plain = style == ScalarStyle::Plain && !string;
                let node = self.add(Kind::Scalar { text: text.into_owned(), plain }, mark)?;
                self.complete(node, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), mark);
                self.start(Kind::List(Vec::new()), anchor, mark)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), mark);
                self.start(Kind::Map(Vec::new()), anchor, mark)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
        }
        Ok(())
    }

    /// Checks a tag, and tells whether it makes a scalar a string.
    fn tag(&mut self, tag: Option<&Tag>, mark: Mark) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() => tag.suffix == "str",
            Some(tag) => {
                self.problems.push(Problem::at(
                    mark,
                    format!("unknown tag `{tag}`"),
                    "expected a value without a tag",
                ));
                false
            }
        }
    }

    fn add(&mut self, kind: Kind, mark: Mark) -> Result<NodeId, Problem> {
        if self.nodes.len() == MOST_NODES {
            return Err(Problem::at(
                mark,
                "the document is too large",
                format!("expected at most {MOST_NODES} values"),
            ));
        }
        self.nodes.push(Node { kind, mark, size: 1, height: 0 });
        Ok(self.nodes.len() - 1)
    }

    fn start(&mut self, kind: Kind, anchor: usize, mark: Mark) -> Result<(), Problem> {
        if self.open.len() == DEEPEST {
            return Err(too_deep(mark));
        }
        let node = self.add(kind, Mark { width: 1, ..mark })?;
        self.open.push(Open { node, anchor, children: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(Open { node, anchor, children }) = self.open.pop() else { return Ok(()) };
        let mark = self.nodes[node].mark;
        for &child in &children {
            let (size, height) = (self.nodes[child].size, self.nodes[child].height);
            let parent = &mut self.nodes[node];
            parent.size = parent.size.saturating_add(size);
            parent.height = parent.height.max(height + 1);
        }
        if self.nodes[node].height > DEEPEST {
            return Err(too_deep(mark));
        }
        if self.nodes[node].size > MOST_EXPANDED {
            return Err(Problem::at(
                mark,
                "the aliases in here expand to too much",
                format!("expected at most {MOST_EXPANDED} values"),
            ));
        }
        if matches!(self.nodes[node].kind, Kind::Map(_)) {
            let entries: Vec<_> = children.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            self.find_repeated(&entries);
            self.nodes[node].kind = Kind::Map(entries);
        } else {
            self.nodes[node].kind = Kind::List(children);
        }
        self.complete(node, anchor);
        Ok(())
    }

    fn complete(&mut self, node: NodeId, anchor: usize) {
        // The parser numbers anchors from 1; 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, node);
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }

    fn find_repeated(&mut self, entries: &[(NodeId, NodeId)]) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for &(key, _) in entries {
            let Kind::Scalar { text, .. } = &self.nodes[key].kind else { continue };
            let mark = self.nodes[key].mark;
            if let Some(line) = first.get(text.as_str()) {
                self.repeated.insert(key);
                self.problems.push(Problem::at(
                    mark,
                    format!("duplicate key `{text}`"),
                    format!("expected each key once; it first stands on line {line}"),
                ));
            } else {
                first.insert(text, mark.line);
            }
        }
    }
}

fn too_deep(mark: Mark) -> Problem {
    Problem::at(mark, "values are nested too deeply here", format!("expected at most {DEEPEST} levels"))
}

/// The part of a span on its first line, from column 1.
fn mark(span: Span) -> Mark {
    let (start, end) = (span.start, span.end);
    // What goes on to another line is underlined to the end of its first one.
    let width =
        if end.line() == start.line() { end.col().saturating_sub(start.col()).max(1) } else { usize::MAX };
    Mark { line: start.line(), column: start.col() + 1, width }
}
