//! One line of the journal: eight hex digits of length, eight of CRC-32, and a record in JSON.
//!
//! ```text
//! 0000002a 1c291ca3 {"undone":{"entry":7,"why":"expired"}}
//! ```
//! JSON has no newline of its own, so a damaged line never hides the next one.

use serde::{Deserialize, Serialize};

use crate::enforce::actuator::Saved;
use crate::model::Knob;

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// A program begins to write.
    Begin {
        /// The kernel's boot id.
        boot: String,
        /// The program's process id.
        pid: u32,
        /// Seconds since 1970.
        wall: u64,
    },
    /// A cgroup is about to be killed.
    Killed {
        /// The path; see [`path_text`].
        path: String,
        /// Seconds since 1970.
        wall: u64,
    },
    /// The kernel is about to be written for a new claim.
    Claim(ClaimRecord),
    /// The kernel is about to be written again for a claim: the next tightest after another one ended, or a drift.
    Intended {
        /// The claim.
        entry: u64,
    },
    /// The kernel was written; what it said when read back (nothing for the freezer).
    Applied {
        /// The claim.
        entry: u64,
        /// The control's value.
        value: Option<String>,
    },
    /// A claim ended and what was there before is back, or a tighter claim stays in force.
    Undone {
        /// The claim.
        entry: u64,
        /// Why.
        why: String,
    },
    /// A claim ended, and nothing was put back.
    Closed {
        /// The claim.
        entry: u64,
        /// Why.
        why: String,
    },
}

/// A claim, with all that is needed to undo it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    pub entry: u64,
    pub order: u64,
    pub rule: String,
    /// The path; see [`path_text`].
    pub path: String,
    pub id: u64,
    /// The control; none is the freezer.
    pub control: Option<ControlRecord>,
    /// Seconds since 1970.
    pub wall: u64,
    /// When it ends by itself, seconds since 1970.
    pub expires: Option<u64>,
}

/// A claimed control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ControlRecord {
    /// As the configuration names it: `memory.max`, `io.max vda wbps`.
    pub knob: String,
    /// What it was.
    pub was: String,
    /// What is to be put back, word for word.
    pub raw: String,
    /// What the claim sets it to.
    pub value: String,
}

impl ControlRecord {
    /// The control and what it was; none where a later version of the program wrote it.
    pub fn saved(&self) -> Option<Saved> {
        let knob = Knob::from_name(&self.knob)?;
        let value = knob.value_of(&self.was)?;
        Some(Saved { knob, value, raw: self.raw.as_str().into() })
    }
}

/// The length of what stands before the JSON.
const HEADER: usize = 18;

/// A record as a line.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    let json = serde_json::to_vec(record).expect("records are plain data");
    let mut line = format!("{:08x} {:08x} ", json.len(), crc32(&json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    line
}

/// The record of a line without its newline; none where it is damaged.
pub(super) fn decode(line: &[u8]) -> Option<Record> {
    let (header, json) = line.split_at_checked(HEADER)?;
    let header = std::str::from_utf8(header).ok()?;
    let (length, sum) = header.strip_suffix(' ')?.split_once(' ')?;
    let hex = |text: &str| u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8);
    if usize::try_from(hex(length)?).ok()? != json.len() || hex(sum)? != crc32(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A path as text: what is printable ASCII as it stands, but for `%`; everything else as `%` and two hex digits.
pub(super) fn path_text(path: &[u8]) -> String {
    path.iter().fold(String::with_capacity(path.len()), |mut text, &byte| {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02x}"));
        }
        text
    })
}

/// The path that [`path_text`] wrote.
pub(super) fn path_of(text: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            path.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            path.push(byte);
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_and_damage_is_noticed() {
        let record = Record::Claim(ClaimRecord {
            entry: 7,
            order: 3,
            rule: "a \"rule\"\n".to_owned(),
            path: path_text(b"/a b/%\xff\n"),
            id: 42,
            control: Some(ControlRecord {
                knob: "memory.max".to_owned(),
                was: "max".to_owned(),
                raw: "max\n".to_owned(),
                value: "1024".to_owned(),
            }),
            wall: 1,
            expires: None,
        });
        let line = encode(&record);
        let (newline, body) = line.split_last().unwrap();
        assert_eq!(*newline, b'\n');
        assert!(!body.contains(&b'\n'));
        assert_eq!(decode(body), Some(record));
        for at in 0..body.len() {
            let mut damaged = body.to_vec();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "a flipped bit in byte {at}");
            assert_eq!(decode(&body[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn every_path_reads_back() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(path_of(&path_text(&every)), Some(every));
        assert_eq!(path_of("%0"), None);
    }
}
