//! Which cgroups a rule is about.

use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher, GlobSet};

use crate::model::{NamespaceKind, OwnerLabel, PathGlob, Shared};

/// How many bytes a label's glob may have.
const LONGEST: usize = 1024;

/// One description of cgroups: everything that it says must be true of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// A glob over the path.
    pub path: Option<PathGlob>,
    /// Globs over parts of the identity, `*` and `?` as in a shell.
    pub labels: Vec<(OwnerLabel, LabelGlob)>,
    /// With whom its namespaces of these kinds are shared.
    pub namespaces: Vec<(NamespaceKind, Shared)>,
}

/// A glob over one label's value.
///
/// A slash is a character like others here.
#[derive(Clone, Debug)]
pub struct LabelGlob(GlobMatcher);

impl LabelGlob {
    /// Reads a glob.
    ///
    /// # Errors
    /// Says what is wrong with it: a bracket or brace is not closed, or it is too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(format!("expected 1 to {LONGEST} bytes"));
        }
        let glob = GlobBuilder::new(text).backslash_escape(false).build();
        let glob = glob.map_err(|err| err.kind().to_string())?;
        // A glob can be well formed and yet, with braces in braces, too much to compile.
        GlobSet::new([&glob]).map_err(|err| err.kind().to_string())?;
        Ok(Self(glob.compile_matcher()))
    }

    /// Whether a value matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.0.is_match(value)
    }

    /// The glob as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

/// Equal when written equally.
impl PartialEq for LabelGlob {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for LabelGlob {}

/// Which cgroups a rule is about: at least one of `any`, none of `not`, and old enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// One of them must match.
    pub any: Vec<Matcher>,
    /// None of them may match.
    pub not: Vec<Matcher>,
    /// How long it must have been seen.
    pub min_age: Duration,
}
