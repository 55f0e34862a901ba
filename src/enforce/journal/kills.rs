//! Which cgroups were killed lately: the kill budgets of the next start begin with them.

use std::collections::VecDeque;
use std::time::Duration;

use super::record::{self, Record};
use super::{Journal, JournalError, wall};
use crate::model::Identity;

/// How many kills are remembered.
const MOST: usize = 1024;
/// How long they are, in seconds: no budget is sensibly longer.
const LONGEST: u64 = 7 * 24 * 3600;

/// The kills that are remembered, the oldest first: the path, as the journal writes it, and the seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Kills(VecDeque<(String, u64)>);

impl Kills {
    /// One more.
    pub fn learn(&mut self, path: String, wall: u64) {
        self.0.push_back((path, wall));
        self.0.drain(..self.0.len().saturating_sub(MOST));
    }

    /// What a file that is written anew keeps of them.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let now = wall().as_secs();
        let young = self.0.iter().filter(move |(_, wall)| now.saturating_sub(*wall) < LONGEST);
        young.map(|(path, wall)| Record::Killed { path: path.clone(), wall: *wall })
    }
}

impl Journal {
    /// Writes down, synced, that a cgroup is about to be killed.
    ///
    /// # Errors
    /// When the file system refuses: the next start then does not know of it.
    pub fn killing(&mut self, target: &Identity) -> Result<(), JournalError> {
        let path = record::path_text(&target.path);
        self.append(&[Record::Killed { path, wall: wall().as_secs() }], true)
    }

    /// The cgroups that were killed, by this program and by former ones, with how long ago: the oldest first.
    #[must_use]
    pub fn kills(&self) -> Vec<(Box<[u8]>, Duration)> {
        let now = wall().as_secs();
        let kills = self.book.kills.0.iter().filter_map(|(path, wall)| {
            let ago = Duration::from_secs(now.saturating_sub(*wall));
            Some((record::path_of(path)?.into_boxed_slice(), ago))
        });
        kills.collect()
    }
}
