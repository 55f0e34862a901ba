//! PURE: the pages for people. Plain HTML without scripts; whoever may `mkdir` writes some of its text, so all text goes
//! through [`html::Escaped`].

mod cgroup;
mod html;
mod landing;
mod rules;

use std::fmt::{self, Display, Formatter};

use html::Escaped;

pub(super) use cgroup::One;
pub(super) use landing::Landing;

/// What a browser may do with a page: load its style sheet, nothing else.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The style sheet.
pub(super) const STYLE: &[u8] = include_bytes!("style.css");

/// Where the style sheet is: another version's does not come from a browser's cache.
const STYLE_PATH: &str = concat!("style.css?", env!("CARGO_PKG_VERSION"));

/// The frame of a page: what stands before and behind its content.
struct Frame<'a, C> {
    /// What is looked at.
    title: &'a str,
    /// After how many seconds it is loaded again.
    refresh: Option<u32>,
    content: C,
}

impl<C: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Frame<'_, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")?;
        f.write_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")?;
        f.write_str("<meta name=\"color-scheme\" content=\"light dark\">\n")?;
        if let Some(seconds) = self.refresh {
            writeln!(f, "<meta http-equiv=\"refresh\" content=\"{seconds}\">")?;
        }
        write!(
            f,
            "<title>{} · Stockade</title>\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n",
            Escaped(self.title)
        )?;
        (self.content)(f)?;
        f.write_str("</body>\n</html>\n")
    }
}

/// A page that says why there is no other.
pub(super) fn problem(why: &str) -> String {
    let content = |f: &mut Formatter<'_>| {
        writeln!(
            f,
            "<header>\n<h1>Stockade</h1>\n<nav aria-label=\"Pages\"><ul><li><a href=\"./\">Overview</a></li></ul></nav>\n\
             </header>\n<main>\n<p>{}</p>\n</main>",
            Escaped(why)
        )
    };
    Frame { title: "Not found", refresh: None, content }.to_string()
}
