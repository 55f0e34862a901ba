//! When a policy fires and when it is over.

use std::time::Duration;

use super::signal::Signal;

/// Whose signal is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// The target's own.
    This,
    /// Its parent's.
    Parent,
    /// The whole host's.
    Host,
    /// That of the cgroup at this path.
    Path(Box<[u8]>),
}

/// Which side of the threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// More than the threshold.
    Above,
    /// Less than the threshold.
    Below,
}

/// What a signal is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A number in the signal's unit.
    Fixed(f64),
    /// A share of the limit that holds for the signal's subject: `of_limit: true`.
    OfLimit(f64),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is measured.
    pub signal: Signal,
    /// Whose.
    pub of: Of,
    /// Which side counts.
    pub compare: Compare,
    /// Compared with what.
    pub threshold: Threshold,
    /// How long it must have been so, without a break.
    pub hold: Duration,
}

/// Comparisons, joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every one.
    All(Vec<Condition>),
    /// At least one.
    Any(Vec<Condition>),
    /// Not that one.
    Not(Box<Condition>),
    /// One comparison.
    Test(Test),
}

/// Whether a condition holds. What is not known neither fires nor clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Something that it needs is absent.
    Unknown,
}

impl Truth {
    /// The name, in the audit and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }

    /// The opposite; what is not known stays unknown.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    /// Whether all hold: one that does not decides, however many are unknown. Of none, it is true.
    pub fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::True, |so_far, each| match (so_far, each) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        })
    }

    /// Whether at least one holds: one that does decides, however many are unknown. Of none, it is false.
    pub fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        Self::all(truths.into_iter().map(Self::negated)).negated()
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, False, True, Unknown};

    #[test]
    fn what_is_unknown_decides_only_where_nothing_else_does() {
        let cases: &[(&[Truth], Truth, Truth)] = &[
            (&[], True, False),
            (&[True, True], True, True),
            (&[True, Unknown], Unknown, True),
            (&[False, Unknown], False, Unknown),
            (&[Unknown], Unknown, Unknown),
            (&[False, True, Unknown], False, True),
        ];
        for (truths, all, any) in cases {
            assert_eq!(Truth::all(truths.iter().copied()), *all, "all of {truths:?}");
            assert_eq!(Truth::any(truths.iter().copied()), *any, "any of {truths:?}");
        }
        assert_eq!(Unknown.negated(), Unknown);
    }
}
