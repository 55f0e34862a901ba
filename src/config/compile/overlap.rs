//! Whether one glob holds all that another one holds, or nothing of it. Only what is sure is answered with yes.

use crate::model::{PathFilter, PathGlob};
use crate::policy::selector::LabelGlob;

/// The characters that are not literal in a glob.
const SPECIAL: [char; 6] = ['*', '?', '[', ']', '{', '}'];

/// Whether all that `inner` describes is described by `outer`. Both are keys (`path`, a label) with their globs.
pub(super) fn covers(outer: &[(&str, String)], inner: &[(&str, String)]) -> bool {
    outer.iter().all(|(key, wide)| {
        let narrow = inner.iter().find(|(other, _)| other == key).map(|(_, glob)| glob);
        narrow.is_some_and(|narrow| match *key {
            "path" => path_covers(wide, narrow),
            _ => wide == narrow || (is_literal(narrow) && label_matches(wide, narrow)),
        })
    })
}

/// Whether no path matches both globs.
pub(super) fn disjoint(a: &str, b: &str) -> bool {
    match (is_literal(a), is_literal(b)) {
        (true, true) => a != b,
        (true, false) => !path_matches(b, a),
        (false, true) => !path_matches(a, b),
        (false, false) => {
            let (a, b) = (prefix(a), prefix(b));
            !a.starts_with(b) && !b.starts_with(a)
        }
    }
}

fn path_covers(wide: &str, narrow: &str) -> bool {
    if wide == narrow || wide == "/**" {
        return true;
    }
    if is_literal(narrow) {
        return path_matches(wide, narrow);
    }
    // `/a/**` holds every glob that starts with `/a/` and a name.
    wide.strip_suffix("**").is_some_and(|above| is_literal(above) && prefix(narrow).starts_with(above))
}

fn is_literal(glob: &str) -> bool {
    !glob.contains(SPECIAL)
}

/// The text up to the first character that is not literal.
fn prefix(glob: &str) -> &str {
    glob.split(SPECIAL).next().unwrap_or_default()
}

fn path_matches(glob: &str, path: &str) -> bool {
    let filter = PathGlob::parse(glob).and_then(|glob| PathFilter::new(vec![glob], Vec::new(), usize::MAX));
    filter.is_ok_and(|filter| filter.admits(path.as_bytes()))
}

fn label_matches(glob: &str, value: &str) -> bool {
    LabelGlob::parse(glob).is_ok_and(|glob| glob.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(path_covers(wide, narrow), within, "{wide} {narrow}");
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
            assert_eq!(disjoint(a, b), apart, "{a} {b}");
            assert_eq!(disjoint(b, a), apart, "{b} {a}");
        }
    }

    #[test]
    fn a_description_with_more_keys_is_narrower() {
        let says = |all: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            all.iter().map(|&(key, glob)| (key, glob.to_owned())).collect()
        };
        let ssh = says(&[("unit", "sshd.service")]);
        let ssh_here = says(&[("path", "/system.slice/*"), ("unit", "sshd.service")]);
        assert!(covers(&ssh, &ssh_here) && !covers(&ssh_here, &ssh));
        assert!(covers(&says(&[("unit", "ssh*")]), &ssh));
        assert!(!covers(&ssh, &says(&[("unit", "ssh*")])));
    }
}
