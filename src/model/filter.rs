//! Which cgroups are looked at: globs over paths, and a depth.

use globset::{Candidate, Glob, GlobBuilder, GlobMatcher, GlobSet};

use super::path_depth;

/// How many bytes a glob may have: the kernel takes no longer path (`PATH_MAX`).
const LONGEST: usize = 4096;

/// A glob over cgroup paths.
///
/// - `*` and `?` stay within one name: `/system.slice/*` is the direct children of `/system.slice`.
/// - `**` crosses names: `/docker/**` is all below `/docker` but not `/docker` itself, `/**` is every cgroup, the root
///   included, and `/**/x.service` is every `x.service`, at whatever depth.
/// - `[abc]`, `[!abc]` and `{one,two}` as in a shell; a special character is meant literally inside brackets: `[*]`.
/// - A backslash is a backslash. systemd writes `\x2d` into names, and such a name can be pasted as it stands.
///
/// Globs match the bytes of a path, so `*` also matches names that are no UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGlob(Glob);

impl PathGlob {
    /// Reads a glob.
    ///
    /// # Errors
    /// Says what is wrong with it: it does not start at the root, ends in a slash, or a bracket or brace is not closed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(
                "a cgroup path starts with `/`: put `/**/` before it to match at any depth".to_owned()
            );
        }
        if text.len() > 1 && text.ends_with('/') {
            return Err("a cgroup path does not end in `/`: write `/**` for all that is below".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("a cgroup path has at most {LONGEST} bytes"));
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(false)
            .build()
            .map_err(|err| err.kind().to_string())?;
        // A glob can be well formed and yet, with braces in braces, too much to compile.
        GlobSet::new([&glob]).map_err(|err| err.kind().to_string())?;
        Ok(Self(glob))
    }

    /// Whether it matches every cgroup.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.glob() == "/**"
    }

    /// The glob, ready to match paths one at a time.
    #[must_use]
    pub fn matcher(&self) -> PathMatcher {
        let text = self.0.glob();
        let plain = text.find(['*', '?', '[', '{']).unwrap_or(text.len());
        // `/**/` also stands for a single slash, so the slash before it is all that is sure.
        let sure = if text[plain..].starts_with("**") { plain.saturating_sub(1) } else { plain };
        PathMatcher { start: text.as_bytes()[..sure].into(), matcher: self.0.compile_matcher() }
    }
}

/// A compiled [`PathGlob`].
#[derive(Clone, Debug)]
pub struct PathMatcher {
    /// What every path that matches begins with: most paths are told apart by it, at a tenth of a match's cost.
    start: Box<[u8]>,
    matcher: GlobMatcher,
}

impl PathMatcher {
    /// Whether a path matches.
    #[must_use]
    pub fn is_match(&self, path: &[u8]) -> bool {
        path.starts_with(&self.start) && self.matcher.is_match_candidate(&Candidate::from_bytes(path))
    }
}

/// Which cgroups are looked at.
#[derive(Clone, Debug)]
pub struct PathFilter {
    include: Vec<PathGlob>,
    exclude: Vec<PathGlob>,
    max_depth: usize,
    included: GlobSet,
    excluded: GlobSet,
}

impl PathFilter {
    /// Admits what an `include` glob matches, no `exclude` glob matches, and is at most `max_depth` directories deep
    /// (the root is 0 deep).
    ///
    /// # Errors
    /// When the globs together are too large to compile.
    pub fn new(include: Vec<PathGlob>, exclude: Vec<PathGlob>, max_depth: usize) -> Result<Self, String> {
        let compile = |globs: &[PathGlob]| {
            GlobSet::new(globs.iter().map(|glob| &glob.0)).map_err(|err| err.kind().to_string())
        };
        let included = compile(&include)?;
        let excluded = compile(&exclude)?;
        Ok(Self { include, exclude, max_depth, included, excluded })
    }

    /// Whether the cgroup at that path is looked at.
    #[must_use]
    pub fn admits(&self, path: &[u8]) -> bool {
        if path_depth(path) > self.max_depth {
            return false;
        }
        let candidate = Candidate::from_bytes(path);
        self.included.is_match_candidate(&candidate) && !self.excluded.is_match_candidate(&candidate)
    }

    /// The globs of which one must match.
    #[must_use]
    pub fn include(&self) -> &[PathGlob] {
        &self.include
    }

    /// The globs of which none may match.
    #[must_use]
    pub fn exclude(&self) -> &[PathGlob] {
        &self.exclude
    }

    /// How many directories deep a cgroup may be.
    #[must_use]
    pub const fn max_depth(&self) -> usize {
        self.max_depth
    }
}

impl Default for PathFilter {
    /// Admits every cgroup down to 32 directories deep.
    fn default() -> Self {
        let everything = PathGlob::parse("/**").expect("`/**` is a glob");
        Self::new(vec![everything], Vec::new(), 32).expect("one short glob is small enough")
    }
}

/// Equal when written equally: the compiled sets follow from the globs.
impl PartialEq for PathFilter {
    fn eq(&self, other: &Self) -> bool {
        self.include == other.include && self.exclude == other.exclude && self.max_depth == other.max_depth
    }
}

impl Eq for PathFilter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_paths() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("/**", b"/", true),
            ("/**", b"/a/b/c", true),
            ("/", b"/", true),
            ("/", b"/a", false),
            ("/*", b"/a", true),
            ("/*", b"/a/b", false),
            ("/docker/**", b"/docker", false),
            ("/docker/**", b"/docker/x", true),
            ("/docker/**", b"/docker/x/y", true),
            ("/docker/**", b"/dockerx", false),
            ("/**/x.service", b"/x.service", true),
            ("/**/x.service", b"/a/b/x.service", true),
            ("/a/**/b", b"/a/b", true),
            ("/a/**/b", b"/a/x/y/b", true),
            ("/{a,b}.slice", b"/b.slice", true),
            ("/[!a]", b"/a", false),
            ("/[*]", b"/*", true),
            ("/[*]", b"/a", false),
            ("/dev-\\x2d.mount", b"/dev-\\x2d.mount", true),
            ("/dev-\\x2d.mount", b"/dev-x2d.mount", false),
            ("/a*", b"/a\xff\xfe", true),
            ("/a?", b"/a\xff", true),
            ("/A", b"/a", false),
        ];
        for &(glob, path, expected) in cases {
            let parsed = PathGlob::parse(glob).unwrap();
            let shown = String::from_utf8_lossy(path);
            assert_eq!(parsed.matcher().is_match(path), expected, "{glob} against {shown}, alone");
            let filter = PathFilter::new(vec![parsed], Vec::new(), 32).unwrap();
            assert_eq!(filter.admits(path), expected, "{glob} against {shown}");
        }
    }

    #[test]
    fn bad_globs_say_why() {
        for (glob, why) in [
            ("", "starts with `/`"),
            ("a", "starts with `/`"),
            ("/a/", "does not end in `/`"),
            ("/[a", "unclosed"),
            ("/{a", "unclosed"),
            (&format!("/{}a{}", "{".repeat(2000), "}".repeat(2000)), "nest"),
            (&"/a".repeat(2049), "at most 4096 bytes"),
        ] {
            let err = PathGlob::parse(glob).unwrap_err();
            assert!(err.contains(why), "{glob}: {err}");
        }
    }

    #[test]
    fn exclusion_and_depth_win_over_inclusion() {
        let globs =
            |texts: &[&str]| texts.iter().map(|text| PathGlob::parse(text).unwrap()).collect::<Vec<_>>();
        let filter = PathFilter::new(globs(&["/a/**", "/b"]), globs(&["/a/x"]), 2).unwrap();
        for (path, expected) in
            [("/", false), ("/b", true), ("/c", false), ("/a/y", true), ("/a/x", false), ("/a/y/z", false)]
        {
            assert_eq!(filter.admits(path.as_bytes()), expected, "{path}");
        }
    }
}
