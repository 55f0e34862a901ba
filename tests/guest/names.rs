//! Names that whoever may mkdir can choose.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::Guest;
use crate::outcome::{Outcome, ensure};
use crate::tree::{Group, eventually};

/// Everything but newline and slash is allowed by the kernel.
const PLAIN: &[&str] = &[
    " leading and trailing ",
    "quo\"te",
    "back\\slash",
    "\\n",
    "{cgroup=\"x\"} 1",
    "#comment",
    "ünï-☃",
    "a,b=c",
    "'single'",
    "$(id)",
    "%s%n",
    "-",
    "*?[",
];
const RAW: &[&[u8]] = &[b"tab\there", b"\x01\x1b[31m", b"\xff\xfe", b"half\xc3", b"\x7f"];

/// Each has its series under its own name, the exposition stays readable, and the numbers are right.
pub(crate) fn hostile(guest: &mut Guest) -> Outcome {
    let long = "x".repeat(240);
    let mut groups = Vec::new();
    for name in PLAIN.iter().copied().chain([long.as_str()]) {
        groups.push(Group::make(&guest.tree, name)?);
    }
    let plain: Vec<_> = groups.iter().collect();
    guest.agree(&plain)?;
    let mut raw = Vec::new();
    for name in RAW {
        raw.push(Group::make(&guest.tree, OsStr::from_bytes(name))?);
    }
    let wanted = groups.len() + raw.len();
    let daemon = guest.daemon()?;
    let labels = eventually("every group is shown", || {
        let scrape = daemon.scrape_after_now()?;
        let info = scrape.0.iter().filter(|series| series.name == "cgroup_info");
        let labels: Vec<_> = info.filter_map(|series| series.label("cgroup").map(str::to_owned)).collect();
        let ours: Vec<_> = labels.into_iter().filter(|label| label.starts_with("/stockade-test-")).collect();
        Ok((ours.len() >= wanted).then_some(ours))
    })?;
    let distinct: BTreeSet<_> = labels.iter().collect();
    ensure(distinct.len() == wanted && labels.len() == wanted, || {
        format!("{wanted} groups are shown as {} series with {} names", labels.len(), distinct.len())
    })?;
    Ok(String::new())
}
