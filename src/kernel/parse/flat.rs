//! Flat-keyed files: `KEY VALUE` a line (`cgroup.events`, `cpu.stat`, `memory.events`).

use super::Malformed;
use super::value::number;

/// The lines of a flat-keyed file, see [`flat`].
pub struct Flat<'a> {
    rest: &'a [u8],
}

/// The keys and numbers of a flat-keyed file, line by line.
#[must_use]
pub fn flat(text: &[u8]) -> Flat<'_> {
    Flat { rest: text }
}

impl<'a> Iterator for Flat<'a> {
    type Item = Result<(&'a [u8], u64), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let pair = line
            .iter()
            .position(|&byte| byte == b' ')
            .and_then(|space| Some((&line[..space], number(&line[space + 1..])?)));
        Some(pair.ok_or_else(|| Malformed::new("`KEY NUMBER`", line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_pairs() {
        let pairs: Result<Vec<_>, _> = flat(b"populated 1\nfrozen 0\n").collect();
        assert_eq!(pairs, Ok(vec![(&b"populated"[..], 1), (&b"frozen"[..], 0)]));
        assert_eq!(flat(b"").count(), 0);
        let cut: Result<Vec<_>, _> = flat(b"populated 1\nfroz").collect();
        assert_eq!(cut, Err(Malformed::new("`KEY NUMBER`", b"froz")));
        assert!(
            flat(b"a  1\n").next().is_some_and(|line| line.is_err()),
            "two spaces are no format of the kernel's"
        );
    }
}
