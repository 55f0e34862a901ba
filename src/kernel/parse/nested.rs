//! Nested-keyed files: `OUTER KEY=VALUE KEY=VALUE …` a line (`io.stat`, `io.max`, `rdma.current`, `memory.numa_stat`),
//! and v1's `DEVICE OPERATION VALUE`.

/// The outer key, the inner key and the value's text of one item.
pub type Triple<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The items of a nested-keyed file. Words without `=` name the outer key of what follows on their line.
///
/// Some kernels print a device that has no numbers without ending its line (`7:1 7:0 8:0 rbytes=…`), so that the last
/// such word counts.
pub fn nested(text: &[u8]) -> impl Iterator<Item = Triple<'_>> {
    text.split(|&byte| byte == b'\n').flat_map(|line| {
        let mut outer: &[u8] = b"";
        line.split(|&byte| byte == b' ').filter_map(move |word| {
            match word.iter().position(|&byte| byte == b'=') {
                Some(equals) => Some((outer, &word[..equals], &word[equals + 1..])),
                None => {
                    if !word.is_empty() {
                        outer = word;
                    }
                    None
                }
            }
        })
    })
}

/// The lines of three words of v1's blkio files: `8:0 Read 4096`. Other lines (`Total 4096`) are sums.
pub fn triples(text: &[u8]) -> impl Iterator<Item = Triple<'_>> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(device), Some(operation), Some(value), None) => Some((device, operation, value)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(triple: Triple<'_>) -> String {
        [triple.0, triple.1, triple.2].map(String::from_utf8_lossy).join("/")
    }

    #[test]
    fn io_stat_also_with_lines_that_were_not_ended() {
        let items: Vec<String> =
            nested(b"7:1 7:0 8:0 rbytes=4096 wbytes=0\n254:0 rbytes=1\n").map(text).collect();
        assert_eq!(items, ["8:0/rbytes/4096", "8:0/wbytes/0", "254:0/rbytes/1"]);
    }

    #[test]
    fn blkio_sums_are_left_out() {
        let items: Vec<String> = triples(b"8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n").map(text).collect();
        assert_eq!(items, ["8:0/Read/4096", "8:0/Total/4096"]);
    }
}
