//! Text, names, numbers and times as they stand in a page.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use crate::model::Identity;
use crate::web::query;

/// Text that stays text in an element and in a quoted attribute.
pub(super) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// How many characters of one text a table shows.
const LONGEST: usize = 300;

/// A text that is no longer than a table can bear: a cgroup's path may have 4096 bytes. What is left out is in its middle.
pub(super) fn clipped(text: &str) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.into();
    }
    let (start, end) = (LONGEST * 2 / 3, LONGEST / 3);
    text.chars().take(start).chain(['…']).chain(text.chars().skip(length - end)).collect()
}

/// A cgroup's name, which leads to its page. It is set apart, so that its letters do not turn what stands around them.
pub(super) struct Link<'a>(pub &'a Identity);

impl Display for Link<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<a class=\"path\" href=\"cgroup?path={}\"><bdi>{}</bdi></a>",
            Escaped(&query::encode(&self.0.path)),
            Escaped(&clipped(&self.0.display))
        )
    }
}

/// A word that stands out: a state, a mode, an outcome. It is one of the program's own.
pub(super) struct Badge(pub &'static str);

impl Display for Badge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"badge {}\">{}</span>", self.0, self.0.replace('_', " "))
    }
}

/// Hundredths of a percent: `12.3 %`.
pub(super) struct Percent(pub u64);

impl Display for Percent {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}%", self.0 as f64 / 100.0)
    }
}

/// How long, with no more digits than it takes: `0.4s`, `45s`, `4m05s`, `2h03m`, `5d04h`.
pub(super) struct Span(pub Duration);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds / 60, seconds / 3600, seconds / 86_400) {
            (0, ..) if seconds < 10 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            (0, ..) => write!(f, "{seconds}s"),
            (minutes, 0, _) => write!(f, "{minutes}m{:02}s", seconds % 60),
            (minutes, hours, 0) => write!(f, "{hours}h{:02}m", minutes % 60),
            (_, hours, days) => write!(f, "{days}d{:02}h", hours % 24),
        }
    }
}

/// A moment, as the audit writes it; to the second for people.
pub(super) struct Moment<'a>(pub &'a str);

impl Display for Moment<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..19).unwrap_or(self.0).replace('T', " ");
        write!(f, "<time datetime=\"{}\">{}</time>", Escaped(self.0), Escaped(&shown))
    }
}

/// A heading with what stands below it: a part of the page that can be jumped to.
pub(super) fn section(
    f: &mut Formatter<'_>,
    id: &str,
    title: &str,
    content: impl FnOnce(&mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    writeln!(f, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>")?;
    content(f)?;
    f.write_str("</section>\n")
}

/// A column: its heading, and whether numbers stand in it.
pub(super) type Column = (&'static str, bool);

/// A table. On a narrow screen each cell says its column itself.
pub(super) fn table<R>(
    f: &mut Formatter<'_>,
    caption: &str,
    columns: &[Column],
    rows: impl IntoIterator<Item = R>,
    cells: impl Fn(&R) -> Vec<String>,
) -> fmt::Result {
    write!(f, "<table>\n<caption>{caption}</caption>\n<thead><tr>")?;
    for (heading, numbers) in columns {
        let class = if *numbers { " class=\"number\"" } else { "" };
        write!(f, "<th scope=\"col\"{class}>{heading}</th>")?;
    }
    f.write_str("</tr></thead>\n<tbody>\n")?;
    for row in rows {
        f.write_str("<tr>")?;
        for ((heading, numbers), cell) in columns.iter().zip(cells(&row)) {
            let class = if *numbers { " class=\"number\"" } else { "" };
            write!(f, "<td{class} data-label=\"{heading}\">{cell}</td>")?;
        }
        f.write_str("</tr>\n")?;
    }
    f.write_str("</tbody>\n</table>\n")
}

/// Names with what they stand for.
pub(super) fn facts<'a>(
    f: &mut Formatter<'_>,
    rows: impl IntoIterator<Item = (&'a str, String)>,
) -> fmt::Result {
    f.write_str("<dl>\n")?;
    for (name, value) in rows {
        writeln!(f, "<dt>{}</dt><dd>{value}</dd>", Escaped(name))?;
    }
    f.write_str("</dl>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let hostile = Escaped("/<script>alert('x')</script>\"&amp;").to_string();
        assert_eq!(hostile, "/&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;amp;");
    }

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(clipped("/a"), "/a");
        let long = clipped(&"ä".repeat(5000)).into_owned();
        assert_eq!((long.chars().count(), long.contains("ä…ä")), (LONGEST + 1, true));
    }

    #[test]
    fn times_have_few_digits() {
        for (milliseconds, shown) in [
            (0, "0.0s"),
            (430, "0.4s"),
            (45_000, "45s"),
            (245_000, "4m05s"),
            (7_380_000, "2h03m"),
            (446_400_000, "5d04h"),
        ] {
            assert_eq!(Span(Duration::from_millis(milliseconds)).to_string(), shown);
        }
        let moment = Moment("2026-02-28T23:59:59.000Z").to_string();
        assert_eq!(moment, "<time datetime=\"2026-02-28T23:59:59.000Z\">2026-02-28 23:59:59</time>");
    }
}
