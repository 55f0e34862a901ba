//! Where a value stands in its document, and what is wrong with it.

/// One step of the way to a value in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value under a key.
    Key(Box<str>),
    /// The key itself.
    Name(Box<str>),
    /// An item of a list.
    Index(usize),
}

/// The way to a value, built while values are checked and written down only when something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A document: 0 is the configuration file, then its drop-ins.
    Document(usize),
    /// The value under a key.
    Key(&'a Place<'a>, &'a str),
    /// The key itself.
    Name(&'a Place<'a>, &'a str),
    /// An item of a list.
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// The value under a key of this one.
    pub(super) const fn key<'b>(&'b self, key: &'b str) -> Place<'b> {
        Place::Key(self, key)
    }

    /// A key of this one.
    pub(super) const fn name<'b>(&'b self, key: &'b str) -> Place<'b> {
        Place::Name(self, key)
    }

    /// An item of this one.
    pub(super) const fn index(&self, at: usize) -> Place<'_> {
        Place::Index(self, at)
    }

    /// The way, written down.
    pub(super) fn written(&self) -> Written {
        match self {
            Place::Document(document) => Written { document: *document, steps: Vec::new() },
            Place::Key(parent, key) => parent.written().then(Step::Key((*key).into())),
            Place::Name(parent, key) => parent.written().then(Step::Name((*key).into())),
            Place::Index(parent, at) => parent.written().then(Step::Index(*at)),
        }
    }
}

/// A way, written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Which document.
    pub(super) document: usize,
    /// The way in it.
    pub(super) steps: Vec<Step>,
}

impl Written {
    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// A value that is well formed and cannot be meant.
#[derive(Debug)]
pub(super) struct Issue {
    /// Where it stands.
    pub(super) place: Written,
    /// What is wrong.
    pub(super) message: String,
    /// What was expected, as a sentence.
    pub(super) expected: String,
    /// Another value that it was compared with: while that one is bad, nothing is wrong with this one.
    pub(super) against: Option<Written>,
    /// Another value that stands in its way; where that one is, is said after what was expected.
    pub(super) first: Option<Written>,
}

/// Everything that was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Issues(Vec<Issue>);

impl Issues {
    /// Adds one.
    pub(super) fn add(
        &mut self,
        place: &Place<'_>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> &mut Issue {
        self.0.push(Issue {
            place: place.written(),
            message: message.into(),
            expected: expected.into(),
            against: None,
            first: None,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(super) fn into_vec(self) -> Vec<Issue> {
        self.0
    }
}
