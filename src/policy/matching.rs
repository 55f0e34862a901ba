//! Selectors made ready to be asked about one cgroup after the other.

use super::selector::{LabelGlob, Matcher, Selector};
use crate::model::{Identity, NamespaceKind, Namespaces, OwnerLabel, PathMatcher, Shared};

/// A compiled [`Selector`]. Age is not its business: who a cgroup is changes only when more becomes known of it.
#[derive(Clone, Debug)]
pub struct Matching {
    any: Vec<Piece>,
    not: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    path: Option<PathMatcher>,
    labels: Vec<(OwnerLabel, LabelGlob)>,
    namespaces: Vec<(NamespaceKind, Shared)>,
}

impl Matching {
    /// Compiles a selector.
    #[must_use]
    pub fn new(selector: &Selector) -> Self {
        let pieces = |matchers: &[Matcher]| matchers.iter().map(Piece::new).collect();
        Self { any: pieces(&selector.any), not: pieces(&selector.not) }
    }

    /// Whether it is about that cgroup.
    #[must_use]
    pub fn matches(&self, identity: &Identity, namespaces: &Namespaces) -> bool {
        self.any.iter().any(|piece| piece.matches(identity, namespaces))
            && !self.excludes(identity, namespaces)
    }

    /// Whether one of its `not` matches that cgroup.
    #[must_use]
    pub fn excludes(&self, identity: &Identity, namespaces: &Namespaces) -> bool {
        self.not.iter().any(|piece| piece.matches(identity, namespaces))
    }
}

impl Piece {
    fn new(matcher: &Matcher) -> Self {
        Self {
            path: matcher.path.as_ref().map(|glob| glob.matcher()),
            labels: matcher.labels.clone(),
            namespaces: matcher.namespaces.clone(),
        }
    }

    /// A label that the cgroup does not have is matched by no glob, and a namespace that is not known is nobody's.
    fn matches(&self, identity: &Identity, namespaces: &Namespaces) -> bool {
        self.path.as_ref().is_none_or(|path| path.is_match(&identity.path))
            && self
                .labels
                .iter()
                .all(|(label, glob)| identity.owner.get(*label).is_some_and(|value| glob.is_match(value)))
            && self.namespaces.iter().all(|&(kind, shared)| namespaces.shared(kind) == Some(shared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Owner, PathGlob};

    fn identity(path: &str, labels: &[(OwnerLabel, &str)]) -> Identity {
        let mut owner = Owner::default();
        for &(label, value) in labels {
            owner.set(label, Some(value));
        }
        Identity { path: path.as_bytes().into(), display: path.into(), id: 1, owner }
    }

    fn matcher(path: Option<&str>, labels: &[(OwnerLabel, &str)]) -> Matcher {
        Matcher {
            path: path.map(|glob| PathGlob::parse(glob).unwrap()),
            labels: labels.iter().map(|&(label, glob)| (label, LabelGlob::parse(glob).unwrap())).collect(),
            namespaces: Vec::new(),
        }
    }

    #[test]
    fn one_of_any_and_none_of_not() {
        use OwnerLabel::{Container, Runtime, User};
        let matching = Matching::new(&Selector {
            any: vec![
                matcher(Some("/batch.slice/*.service"), &[]),
                matcher(None, &[(Runtime, "docker"), (Container, "job-*")]),
            ],
            not: vec![matcher(None, &[(User, "34")])],
            ..Selector::default()
        });
        type Labels<'a> = &'a [(OwnerLabel, &'a str)];
        let cases: &[(&str, Labels<'_>, bool)] = &[
            ("/batch.slice/a.service", &[], true),
            ("/batch.slice/a.scope", &[], false),
            ("/batch.slice/a.service", &[(User, "34")], false),
            ("/batch.slice/a.service", &[(User, "35")], true),
            ("/docker/1", &[(Runtime, "docker"), (Container, "job-1")], true),
            ("/docker/1", &[(Runtime, "docker")], false),
            ("/docker/1", &[(Runtime, "podman"), (Container, "job-1")], false),
        ];
        for &(path, labels, expected) in cases {
            assert_eq!(
                matching.matches(&identity(path, labels), &Namespaces::default()),
                expected,
                "{path} {labels:?}"
            );
        }
    }

    #[test]
    fn a_selector_that_says_nothing_is_about_nothing() {
        assert!(!Matching::new(&Selector::default()).matches(&identity("/a", &[]), &Namespaces::default()));
    }
}
