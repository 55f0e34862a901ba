//! Whether one glob holds all that another one holds, or nothing of it. Only what is sure is answered with yes.

use crate::model::{PathFilter, PathGlob};
use crate::policy::selector::LabelGlob;

/// The characters that are not literal in a glob.
const SPECIAL: [char; 6] = ['*', '?', '[', ']', '{', '}'];

/// One thing that is said of cgroups: a key and its glob.
pub(super) struct Pattern {
    key: &'static str,
    text: String,
    matches: Matches,
}

enum Matches {
    Path(PathFilter),
    Label(LabelGlob),
    /// It is no glob, which is told elsewhere.
    Nothing,
}

impl Pattern {
    /// A glob for a key: `path`, or a label.
    pub(super) fn new(key: &'static str, text: &str) -> Self {
        let path = |glob| PathFilter::new(vec![glob], Vec::new(), usize::MAX);
        let matches = match key {
            "path" => PathGlob::parse(text).and_then(path).map(Matches::Path),
            _ => LabelGlob::parse(text).map(Matches::Label),
        };
        Self { key, text: text.to_owned(), matches: matches.unwrap_or(Matches::Nothing) }
    }

    /// Whether it is about the path.
    pub(super) fn is_path(&self) -> bool {
        self.key == "path"
    }

    /// Whether it means the root alone.
    pub(super) fn is_root(&self) -> bool {
        self.is_path() && self.text == "/"
    }

    fn is_literal(&self) -> bool {
        is_literal(&self.text)
    }

    fn is_match(&self, text: &str) -> bool {
        match &self.matches {
            Matches::Path(filter) => filter.admits(text.as_bytes()),
            Matches::Label(glob) => glob.is_match(text),
            Matches::Nothing => false,
        }
    }

    /// Whether it surely matches all that another one matches.
    fn covers(&self, narrow: &Self) -> bool {
        if self.text == narrow.text {
            return true;
        }
        if narrow.is_literal() {
            return self.is_match(&narrow.text);
        }
        // `/a/**` holds every glob that starts with `/a/` and a name.
        let above = self.text.strip_suffix("**").filter(|_| self.is_path());
        above.is_some_and(|above| {
            self.text == "/**" || (is_literal(above) && prefix(&narrow.text).starts_with(above))
        })
    }
}

/// Whether all that `inner` describes is described by `outer`.
pub(super) fn covers(outer: &[Pattern], inner: &[Pattern]) -> bool {
    outer.iter().all(|wide| inner.iter().any(|narrow| narrow.key == wide.key && wide.covers(narrow)))
}

/// Whether surely nothing matches both of these, which are about the same key.
pub(super) fn disjoint(a: &Pattern, b: &Pattern) -> bool {
    match (a.is_literal(), b.is_literal()) {
        (true, true) => a.text != b.text,
        (true, false) => !b.is_match(&a.text),
        (false, true) => !a.is_match(&b.text),
        (false, false) => {
            let (a, b) = (prefix(&a.text), prefix(&b.text));
            !a.starts_with(b) && !b.starts_with(a)
        }
    }
}

fn is_literal(glob: &str) -> bool {
    !glob.contains(SPECIAL)
}

/// The text up to the first character that is not literal.
fn prefix(glob: &str) -> &str {
    glob.split(SPECIAL).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Pattern {
        Pattern::new("path", text)
    }

    #[test]
    fn what_is_surely_within_and_surely_apart() {
        for (wide, narrow, within) in [
            ("/**", "/a/*", true),
            ("/a/**", "/a/b", true),
            ("/a/**", "/a/b/*.service", true),
            ("/a/**", "/a/*", true),
            ("/a/**", "/a", false),
            ("/a/**", "/a*", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/*", "/a/**", false),
            ("/a", "/a", true),
        ] {
            assert_eq!(path(wide).covers(&path(narrow)), within, "{wide} {narrow}");
        }
        for (a, b, apart) in [
            ("/a/**", "/b/**", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/*", false),
            ("/a*", "/a/b", true),
            ("/a*", "/ab*", false),
            ("/**/x", "/a/**", false),
            ("/a", "/b", true),
            ("/{a,b}", "/c", true),
        ] {
            assert_eq!(disjoint(&path(a), &path(b)), apart, "{a} {b}");
            assert_eq!(disjoint(&path(b), &path(a)), apart, "{b} {a}");
        }
    }

    #[test]
    fn a_description_with_more_keys_is_narrower() {
        let says = |all: &[(&'static str, &str)]| -> Vec<Pattern> {
            all.iter().map(|&(key, glob)| Pattern::new(key, glob)).collect()
        };
        let ssh = says(&[("unit", "sshd.service")]);
        let ssh_here = says(&[("path", "/system.slice/*"), ("unit", "sshd.service")]);
        assert!(covers(&ssh, &ssh_here) && !covers(&ssh_here, &ssh));
        assert!(covers(&says(&[("unit", "ssh*")]), &ssh));
        assert!(!covers(&ssh, &says(&[("unit", "ssh*")])));
    }
}
