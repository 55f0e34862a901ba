//! PURE: the landing page. Plain HTML without scripts; whoever may `mkdir` writes some of its text, so all text goes
//! through [`Escaped`].

use std::fmt::{self, Display, Write as _};

use super::query;
use crate::model::{Cgroup, Field, Snapshot};

/// What a browser may do with the page: load its style sheet, nothing else.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How many cgroups a table shows.
const ROWS: usize = 10;

/// The averages that count as a cgroup's pressure: the worst of them.
const PRESSURE: [(Field, &str); 3] =
    [(Field::CpuSomeAvg10, "cpu"), (Field::MemorySomeAvg10, "memory"), (Field::IoSomeAvg10, "io")];

/// The landing page.
pub(super) fn landing(snapshot: Option<&Snapshot>, telemetry_path: &str) -> String {
    let mut page = String::with_capacity(8 * 1024);
    // Writing to a String cannot fail.
    let _ = write_landing(&mut page, snapshot, telemetry_path);
    page
}

fn write_landing(page: &mut String, snapshot: Option<&Snapshot>, telemetry_path: &str) -> fmt::Result {
    let telemetry = Escaped(telemetry_path.trim_start_matches('/'));
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Stockade</title>\n\
         <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n<h1>Stockade</h1>\n\
         <p class=\"lead\">Every control group of this host. Version {}.</p>\n<ul>\n\
         <li><a href=\"{telemetry}\">Metrics</a> for Prometheus</li>\n\
         <li><a href=\"api/v1/status\">Status</a>, <a href=\"api/v1/cgroups\">cgroups</a> as JSON</li>\n\
         <li><a href=\"-/healthy\">Health</a>, <a href=\"-/ready\">readiness</a></li>\n</ul>\n",
        env!("CARGO_PKG_VERSION"),
    )?;
    match snapshot {
        Some(snapshot) => write_snapshot(page, snapshot)?,
        None => page.push_str("<p>The first sample has not been taken yet.</p>\n"),
    }
    page.push_str("</body>\n</html>\n");
    Ok(())
}

fn write_snapshot(page: &mut String, snapshot: &Snapshot) -> fmt::Result {
    write!(
        page,
        "<dl>\n<dt>Cgroups</dt><dd>{}</dd>\n<dt>Layout</dt><dd>{}</dd>\n<dt>Watched by</dt><dd>{}</dd>\n\
         <dt>Samples taken</dt><dd>{}, the last in {:.1} ms</dd>\n</dl>\n",
        snapshot.shown().count(),
        snapshot.report.layout.name(),
        snapshot.report.watch.name(),
        snapshot.sequence,
        snapshot.report.took.as_secs_f64() * 1e3,
    )?;
    write_table(
        page,
        "Most memory",
        "Memory",
        top(snapshot, |cgroup| cgroup.readings.get(Field::MemoryCurrent)),
        |_, bytes| Bytes(bytes).to_string(),
    )?;
    write_table(
        page,
        "Most pressure",
        "Stalled, last 10 s",
        top(snapshot, |cgroup| worst_pressure(cgroup).map(|(value, _)| value).filter(|&value| value > 0)),
        |cgroup, centi| {
            let kind = worst_pressure(cgroup).map_or("", |(_, kind)| kind);
            format!("{}.{:02} % {kind}", centi / 100, centi % 100)
        },
    )
}

/// The worst average of a cgroup, in hundredths of a percent, and what it is of.
fn worst_pressure(cgroup: &Cgroup) -> Option<(u64, &'static str)> {
    PRESSURE
        .into_iter()
        .filter_map(|(field, kind)| Some((cgroup.readings.get(field)?, kind)))
        .max_by_key(|&(value, _)| value)
}

/// The cgroups with the largest values, largest first; ties by path.
fn top(snapshot: &Snapshot, value: impl Fn(&Cgroup) -> Option<u64>) -> Vec<(&Cgroup, u64)> {
    let mut ranked: Vec<(&Cgroup, u64)> =
        snapshot.shown().filter_map(|cgroup| Some((cgroup, value(cgroup)?))).collect();
    ranked.sort_by_key(|&(_, value)| std::cmp::Reverse(value));
    ranked.truncate(ROWS);
    ranked
}

fn write_table(
    page: &mut String,
    title: &str,
    column: &str,
    rows: Vec<(&Cgroup, u64)>,
    show: impl Fn(&Cgroup, u64) -> String,
) -> fmt::Result {
    writeln!(page, "<h2>{}</h2>", Escaped(title))?;
    if rows.is_empty() {
        page.push_str("<p>None.</p>\n");
        return Ok(());
    }
    write!(
        page,
        "<table>\n<thead><tr><th>Cgroup</th><th class=\"number\">{}</th></tr></thead>\n<tbody>\n",
        Escaped(column)
    )?;
    for (cgroup, value) in rows {
        writeln!(
            page,
            "<tr><td><a href=\"api/v1/cgroup?path={}\">{}</a></td><td class=\"number\">{}</td></tr>",
            Escaped(&query::encode(&cgroup.identity.path)),
            Escaped(&cgroup.identity.display),
            Escaped(&show(cgroup, value)),
        )?;
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}

/// Text that stays text in an element and in a quoted attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// An amount for people.
struct Bytes(u64);

impl Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut amount = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while amount >= 1024.0 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        write!(f, "{amount:.1} {}", UNITS[unit])
    }
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
    fn amounts() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536 << 20, "1.5 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), expected);
        }
    }

    #[test]
    fn the_page_says_so_while_there_is_no_sample() {
        let page = landing(None, "/m\"x");
        assert!(page.contains("has not been taken yet") && page.contains("href=\"m&quot;x\""), "{page}");
    }
}
