//! PURE: the query of a URL, in bytes, since a cgroup's path need not be UTF-8.

use crate::model::{Collector, CollectorSet};

/// The name and value pairs of a query, percent-decoded. `+` is a space, as browsers' forms write it.
pub(super) fn pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Percent-decodes; what is no escape stays as it is.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', &[high, low, ref after @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => byte,
        });
    }
    bytes
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Percent-encodes all but what a query may hold without a meaning of its own.
pub(super) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

/// After how many seconds a page is to be loaded again, if it is: `refresh=5`. The error is for the client.
pub(super) fn refresh(query: Option<&str>) -> Result<Option<u32>, String> {
    let pairs = pairs(query.unwrap_or_default());
    let Some((_, wanted)) = pairs.iter().find(|(name, _)| name == b"refresh") else { return Ok(None) };
    let seconds = std::str::from_utf8(wanted).ok().and_then(|text| text.parse().ok());
    let seconds = seconds.filter(|seconds| (1..=3600).contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        format!("refresh=\"{}\" is no number of seconds: expected 1 to 3600", wanted.escape_ascii())
    })
}

/// The collectors that a scrape asks for: `collect[]=NAME` these alone, `exclude[]=NAME` all but these, as in
/// node_exporter. The error is for the client.
pub(super) fn collectors(query: Option<&str>) -> Result<CollectorSet, String> {
    let (mut collect, mut exclude) = (CollectorSet::NONE, CollectorSet::NONE);
    for (name, value) in pairs(query.unwrap_or_default()) {
        let set = match name.as_slice() {
            b"collect[]" => &mut collect,
            b"exclude[]" => &mut exclude,
            _ => continue,
        };
        let collector = std::str::from_utf8(&value).ok().and_then(Collector::from_name).ok_or_else(|| {
            let known: Vec<&str> = Collector::ALL.iter().map(|collector| collector.name()).collect();
            format!("unknown collector \"{}\": expected one of {}", value.escape_ascii(), known.join(", "))
        })?;
        set.set(collector, true);
    }
    match (collect == CollectorSet::NONE, exclude == CollectorSet::NONE) {
        (true, true) => Ok(CollectorSet::ALL),
        (false, true) => Ok(collect),
        (true, false) => {
            let mut rest = CollectorSet::ALL;
            for &collector in Collector::ALL {
                rest.set(collector, !exclude.has(collector));
            }
            Ok(rest)
        }
        (false, false) => Err("collect[] and exclude[] were both given: use one of them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_stray_percent_signs_stay() {
        let found = pairs("path=%2Fa%ff+b&x&&y=%zz%4&=&a=b=c");
        let expected: [(&[u8], &[u8]); 5] =
            [(b"path", b"/a\xff b"), (b"x", b""), (b"y", b"%zz%4"), (b"", b""), (b"a", b"b=c")];
        assert_eq!(found.iter().map(|(n, v)| (&n[..], &v[..])).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = encode(&all);
        assert_eq!(decode(&text), all);
        assert!(!text.contains(['&', '+', '"', '<', '\'', '#', ' ']), "{text}");
    }

    #[test]
    fn refreshes_are_whole_seconds() {
        assert_eq!(refresh(None), Ok(None));
        assert_eq!(refresh(Some("x=1&refresh=10")), Ok(Some(10)));
        for wrong in
            ["refresh=0", "refresh=3601", "refresh=-1", "refresh=", "refresh=5;url=//x", "refresh=%ff"]
        {
            assert!(refresh(Some(wrong)).unwrap_err().contains("1 to 3600"), "{wrong}");
        }
    }

    #[test]
    fn filters() {
        assert_eq!(collectors(None), Ok(CollectorSet::ALL));
        assert_eq!(collectors(Some("x=y")), Ok(CollectorSet::ALL));
        let some = collectors(Some("collect[]=cpu&collect%5B%5D=io")).unwrap();
        assert!(some.has(Collector::Cpu) && some.has(Collector::Io) && !some.has(Collector::Memory));
        let rest = collectors(Some("exclude[]=cpu")).unwrap();
        assert!(!rest.has(Collector::Cpu) && rest.has(Collector::Io) && rest.has(Collector::Host));
        assert!(collectors(Some("collect[]=cpu&exclude[]=io")).unwrap_err().contains("both"));
        let unknown = collectors(Some("collect[]=%ff<b>")).unwrap_err();
        assert!(unknown.contains("\"\\xff<b>\"") && unknown.contains("memory_stat"), "{unknown}");
    }
}
