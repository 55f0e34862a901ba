//! What a client writes: the query of a URL, and the headers that choose format and encoding.

#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../../src/web/negotiate.rs"]
mod negotiate;
#[allow(dead_code, reason = "the server uses the rest")]
#[path = "../../../src/web/query.rs"]
mod query;

use stockade::metrics::Format;

/// Checks that any query and any headers are answered, and that a path survives its way through a query.
pub fn check(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let _ = negotiate::format(lines.iter().copied());
    let _ = negotiate::encoding(lines.iter().copied());
    let text = String::from_utf8_lossy(data);
    assert!(query::pairs(&text).len() <= text.len());
    if let Err(said) = query::collectors(Some(&text)) {
        assert!(said.len() < 4096 + 8 * text.len() && !said.chars().any(|c| c.is_control() && c != '\n'));
    }
    let pairs = query::pairs(&format!("path={}", query::encode(data)));
    assert_eq!(pairs, [(b"path".to_vec(), data.to_vec())]);
}
