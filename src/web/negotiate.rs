//! PURE: what the client takes (`Accept`, `Accept-Encoding`) against what there is to give (RFC 9110, section 12.5).

use super::Format;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    /// Compressed by gzip.
    Gzip,
}

/// One element of a header: its lower-case name, its parameters but for `q`, and its `q` in thousandths.
struct Element {
    name: String,
    parameters: Vec<(String, String)>,
    quality: u16,
}

/// The format to render, from the values of all `Accept` headers.
///
/// The most specific range that fits a format gives its quality; the higher quality wins, then what the client named
/// first. A client that takes neither gets the text format, as one that says nothing.
pub(super) fn format<'a>(accept: impl IntoIterator<Item = &'a [u8]>) -> Format {
    let ranges = elements(accept);
    let text = judge(&ranges, "text", "plain", "0.0.4");
    let open_metrics = judge(&ranges, "application", "openmetrics-text", "1.0.0");
    match (open_metrics, text) {
        (Some(_), None) => Format::OpenMetrics,
        (Some((quality, at)), Some((text_quality, text_at)))
            if quality > text_quality || (quality == text_quality && at < text_at) =>
        {
            Format::OpenMetrics
        }
        _ => Format::Text,
    }
}

/// The encoding to send, from the values of all `Accept-Encoding` headers.
///
/// gzip where the client names it, or `*`, and does not like identity better. Without the header: identity.
pub(super) fn encoding<'a>(accept: impl IntoIterator<Item = &'a [u8]>) -> Encoding {
    let codings = elements(accept);
    let quality = |names: &[&str]| {
        codings.iter().find(|coding| names.contains(&coding.name.as_str())).map(|coding| coding.quality)
    };
    let any = quality(&["*"]);
    let gzip = quality(&["gzip", "x-gzip"]).or(any).unwrap_or(0);
    let identity = quality(&["identity"]).unwrap_or(0);
    if gzip > 0 && gzip >= identity { Encoding::Gzip } else { Encoding::Identity }
}

/// The quality of a media type and where the range stands that gave it; none where it is not taken.
fn judge(ranges: &[Element], kind: &str, subtype: &str, version: &str) -> Option<(u16, usize)> {
    let specificity = |range: &Element| {
        let (range_kind, range_subtype) = range.name.split_once('/')?;
        let asked =
            range.parameters.iter().find(|(name, _)| name == "version").map(|(_, value)| value.as_str());
        match (range_kind, range_subtype, asked) {
            ("*", "*", _) => Some(0),
            (kind_, "*", _) if kind_ == kind => Some(1),
            (kind_, subtype_, None) if kind_ == kind && subtype_ == subtype => Some(2),
            (kind_, subtype_, Some(asked)) if kind_ == kind && subtype_ == subtype && asked == version => {
                Some(3)
            }
            _ => None,
        }
    };
    let mut best: Option<(u8, u16, usize)> = None;
    for (at, range) in ranges.iter().enumerate() {
        if let Some(specific) = specificity(range)
            && best.is_none_or(|(other, ..)| specific > other)
        {
            best = Some((specific, range.quality, at));
        }
    }
    best.filter(|&(_, quality, _)| quality > 0).map(|(_, quality, at)| (quality, at))
}

/// The elements of a list header. An element whose quality is no number is left out: it says nothing sure.
fn elements<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<Element> {
    values
        .into_iter()
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| split_unquoted(value, ','))
        .filter_map(element)
        .collect()
}

fn element(text: &str) -> Option<Element> {
    let mut parts = split_unquoted(text, ';').into_iter().map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut found = Element { name, parameters: Vec::new(), quality: 1000 };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
        if name == "q" {
            found.quality = thousandths(value)?;
        } else {
            found.parameters.push((name, value.to_owned()));
        }
    }
    Some(found)
}

/// A quality value: `0`, `1` and up to three decimals. Prometheus writes `0.75`, others `.75`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u16 = if whole.is_empty() && !decimals.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u16 = format!("{decimals:0<3}").parse().ok()?;
    (whole <= 1).then(|| whole * 1000 + part).filter(|&quality| quality <= 1000)
}

/// Splits at a separator that stands in no quoted string.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMETHEUS_2_42: &str = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROMETHEUS_3_PROTOBUF: &str = "application/vnd.google.protobuf;\
        proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
        application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROMETHEUS_3_TEXT_ONLY: &str =
        "text/plain;version=0.0.4;q=0.6,text/plain;version=1.0.0;q=0.4,*/*;q=0.2";
    const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn formats() {
        for (accept, expected) in [
            (PROMETHEUS_2_42, Format::OpenMetrics),
            (PROMETHEUS_3, Format::OpenMetrics),
            (PROMETHEUS_3_PROTOBUF, Format::OpenMetrics),
            (PROMETHEUS_3_TEXT_ONLY, Format::Text),
            (FIREFOX, Format::Text),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/*", Format::Text),
            ("application/*", Format::OpenMetrics),
            ("application/json", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("text/plain,application/openmetrics-text", Format::Text),
            ("application/openmetrics-text,text/plain", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.8", Format::Text),
            ("application/openmetrics-text;q=0.5,*/*;q=0.8", Format::Text),
            ("application/openmetrics-text;q=0,*/*", Format::Text),
            ("text/plain;q=0,*/*;q=0.1", Format::OpenMetrics),
            ("application/openmetrics-text;q=banana,text/plain;q=0.1", Format::Text),
            ("x/y;a=\"b,application/openmetrics-text\"", Format::Text),
        ] {
            assert_eq!(format([accept.as_bytes()]), expected, "Accept: {accept}");
        }
        assert_eq!(format([]), Format::Text);
        let two_headers: [&[u8]; 2] = [b"text/plain;q=0.2", b"application/openmetrics-text"];
        assert_eq!(format(two_headers), Format::OpenMetrics);
    }

    #[test]
    fn encodings() {
        for (accept, expected) in [
            ("gzip", Encoding::Gzip),
            ("GZIP", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("gzip, deflate, br, zstd", Encoding::Gzip),
            ("zstd, gzip;q=.2", Encoding::Gzip),
            ("*", Encoding::Gzip),
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("gzip;q=0", Encoding::Identity),
            ("gzip;q=0, *", Encoding::Identity),
            ("gzip;q=0.5, identity", Encoding::Identity),
            ("gzip;q=0.5, identity;q=0.5", Encoding::Gzip),
            ("gzip;q=1.5", Encoding::Identity),
            ("br", Encoding::Identity),
        ] {
            assert_eq!(encoding([accept.as_bytes()]), expected, "Accept-Encoding: {accept}");
        }
        assert_eq!(encoding([]), Encoding::Identity);
    }

    #[test]
    fn qualities() {
        for (text, expected) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0.75", Some(750)),
            (".5", Some(500)),
            ("0", Some(0)),
            ("1.001", None),
            ("2", None),
            ("-1", None),
            ("", None),
            (".", None),
            ("0.1234", None),
            ("NaN", None),
        ] {
            assert_eq!(thousandths(text), expected, "q={text}");
        }
    }
}
