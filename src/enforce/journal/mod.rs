//! What was changed, written down and synced before it is changed, so that the next start can put it back.
//!
//! A directory (mode 0700) holds `journal`, `lock`, and a `torn-TIME` for each tail that was cut off. Whoever writes
//! holds an exclusive `flock` on `lock`, which names its process id: there is one writer. The kernel drops the lock
//! with the process, however that ends.
//!
//! A claim is open from its `Record::Claim` to its `Undone` or `Closed`. A damaged line in the middle is skipped and
//! counted; what stands after the last good line is cut off and kept beside.

mod kills;
mod lock;
mod record;
mod recover;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::actuator::Saved;
use super::ledger::Key;
use crate::model::{Identity, Knob, Value};
use kills::Kills;
use lock::take_lock;
use record::{ClaimRecord, ControlRecord, Record};
pub use recover::{Fate, Recovered, Recovery};

/// The file is written anew when so many bytes of it are of no more use.
const COMPACT_AT: u64 = 1 << 20;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another program writes it.
    #[error("the journal in {} is in use by process {pid}: stop that one first, or give this one another `safety.journal`", dir.display())]
    Locked {
        /// Its directory.
        dir: PathBuf,
        /// The other one's process id, `?` where it is not known.
        pid: String,
    },
    /// Others could write it, and through it any control file.
    #[error("{} belongs to user {owner} with mode {mode:03o}: a journal's directory must be the program's own, writable by nobody else", dir.display())]
    Exposed {
        /// Its directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}; `safety.journal` names another directory", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    move |source| JournalError::Io { action, path: path.to_owned(), source }
}

/// What was wrong with the file when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes after the last good line.
    pub torn: u64,
    /// Where they are kept.
    pub kept: Option<PathBuf>,
    /// Damaged lines before the last good one.
    pub corrupt: u64,
}

/// A claim that is about to be made.
#[derive(Clone, Debug)]
pub struct Intent<'a> {
    /// Its number, from [`Journal::next_entry`].
    pub entry: u64,
    /// The order that it comes from.
    pub order: u64,
    /// The rule.
    pub rule: &'a str,
    /// Which cgroup.
    pub target: &'a Identity,
    /// The control, what it was before the first claim, and what it is set to; none is the freezer.
    pub control: Option<(&'a Saved, &'a Value)>,
    /// How long it stays.
    pub ttl: Option<Duration>,
}

/// The open claims, as the file has them.
#[derive(Debug, Default)]
struct Book {
    /// By number, with the boot that they were made in.
    open: BTreeMap<u64, (String, ClaimRecord)>,
    /// By cgroup and control: what the kernel said after the last write, and whether one was about to be made since.
    writes: HashMap<(Key, Option<Knob>), Write>,
    kills: Kills,
    boot: String,
    last_entry: u64,
}

#[derive(Clone, Debug, Default)]
struct Write {
    /// Open claims on it.
    claims: usize,
    read_back: Option<Value>,
    pending: bool,
}

/// The journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: File,
    _lock: File,
    length: u64,
    /// Bytes of claims that ended.
    closed: u64,
    boot: String,
    book: Book,
    damage: Damage,
    /// The file may end in half a line: a write failed, and so did cutting it off.
    dirty: bool,
    faults: u64,
}

impl Journal {
    /// Opens the journal in a directory, which is made where there is none. `boot` is the kernel's boot id.
    ///
    /// # Errors
    /// When another program has it, others could write it, or the file system refuses.
    pub fn open(dir: &Path, boot: &str) -> Result<Self, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io_error("make the journal's directory", dir))?;
        let about = fs::metadata(dir).map_err(io_error("look at", dir))?;
        let (owner, mode) = (about.uid(), about.mode() & 0o7777);
        if owner != nix::unistd::geteuid().as_raw() || mode & 0o022 != 0 {
            return Err(JournalError::Exposed { dir: dir.to_owned(), owner, mode });
        }
        let lock = take_lock(dir)?;
        let path = dir.join("journal");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error("read", &path))?;
        let (book, good, corrupt) = replay(&bytes);
        let mut damage = Damage { torn: (bytes.len() - good) as u64, kept: None, corrupt };
        if damage.torn > 0 {
            let kept = dir.join(format!("torn-{}", wall().as_nanos()));
            // A full disk is what tears tails: then it cannot be kept.
            let written = fs::write(&kept, &bytes[good..]).inspect_err(|_| drop(fs::remove_file(&kept)));
            file.set_len(good as u64).map_err(io_error("cut the torn tail off", &path))?;
            damage.kept = written.is_ok().then_some(kept);
        }
        let boot = boot.to_owned();
        let length = good as u64;
        let mut journal = Self {
            dir: dir.to_owned(),
            file,
            _lock: lock,
            length,
            closed: 0,
            boot,
            book,
            damage,
            dirty: false,
            faults: 0,
        };
        // What is closed is of no more use: an old file starts short. On a full disk it goes on as it is: what stands in it
        // must be undone all the same.
        journal.faults += u64::from(journal.compact().is_err());
        Ok(journal)
    }

    /// What was wrong with the file when it was opened.
    #[must_use]
    pub const fn damage(&self) -> &Damage {
        &self.damage
    }

    /// How many claims are open.
    #[must_use]
    pub fn open_claims(&self) -> usize {
        self.book.open.len()
    }

    /// How many writes to the file failed.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.faults
    }

    /// The number of the next claim.
    pub const fn next_entry(&mut self) -> u64 {
        self.book.last_entry += 1;
        self.book.last_entry
    }

    /// Writes claims down and syncs them, once for all. Only then may the kernel be written.
    ///
    /// # Errors
    /// When the file system refuses: then nothing may be done.
    pub fn claim(&mut self, intents: &[Intent<'_>]) -> Result<(), JournalError> {
        let now = wall().as_secs();
        let record = |intent: &Intent<'_>| {
            Record::Claim(ClaimRecord {
                entry: intent.entry,
                order: intent.order,
                rule: intent.rule.to_owned(),
                path: record::path_text(&intent.target.path),
                id: intent.target.id,
                control: intent.control.map(|(saved, value)| ControlRecord {
                    knob: saved.knob.to_string(),
                    was: saved.value.to_string(),
                    raw: saved.raw.to_string(),
                    value: value.to_string(),
                }),
                wall: now,
                expires: intent.ttl.map(|ttl| now + ttl.as_secs()),
            })
        };
        let records: Vec<Record> = intents.iter().map(record).collect();
        self.append(&records, true)
    }

    /// Writes down, synced, that a claim's control is about to be written again.
    ///
    /// # Errors
    /// When the file system refuses: then the kernel must not be written.
    pub fn intended(&mut self, entry: u64) -> Result<(), JournalError> {
        self.append(&[Record::Intended { entry }], true)
    }

    /// Notes that a claim is in force, and what its control was read back as.
    pub fn applied(&mut self, entry: u64, value: Option<&Value>) {
        self.note(Record::Applied { entry, value: value.map(ToString::to_string) });
    }

    /// Notes that a claim ended, and that what it did is undone.
    pub fn undone(&mut self, entry: u64, why: &str) {
        self.note(Record::Undone { entry, why: why.to_owned() });
    }

    /// Notes that a claim ended, and that nothing was put back.
    pub fn closed(&mut self, entry: u64, why: &str) {
        self.note(Record::Closed { entry, why: why.to_owned() });
    }

    /// Writes something down that is true already. Should the write fail, the next start finds it out by itself: it
    /// looks at what the control is.
    fn note(&mut self, record: Record) {
        if self.append(std::slice::from_ref(&record), false).is_err() {
            self.book.learn(record);
        }
        if self.closed > COMPACT_AT && self.compact().is_err() {
            self.faults += 1;
        }
    }

    fn append(&mut self, records: &[Record], sync: bool) -> Result<(), JournalError> {
        // A file that could not be written anew still stands in the boot of who wrote it.
        let begin = (self.book.boot != self.boot).then(|| begin(&self.boot));
        let bytes: Vec<u8> = begin.iter().chain(records).flat_map(record::encode).collect();
        let path = self.dir.join("journal");
        let written = self.clean().and_then(|()| self.file.write_all(&bytes));
        let written = written.and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        if let Err(source) = written {
            self.faults += 1;
            self.dirty = self.file.set_len(self.length).is_err();
            return Err(JournalError::Io { action: "write", path, source });
        }
        self.length += bytes.len() as u64;
        for record in begin.iter().chain(records) {
            let ends =
                matches!(record, Record::Undone { .. } | Record::Closed { .. } | Record::Killed { .. });
            // A claim that ended leaves about as much behind as a claim is long.
            self.closed += if ends { 512 } else { 0 };
            self.book.learn(record.clone());
        }
        Ok(())
    }

    /// Cuts off what a failed write left behind.
    fn clean(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.length)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Writes the open claims, and nothing else, into a new file that takes the old one's place.
    fn compact(&mut self) -> Result<(), JournalError> {
        let new = self.dir.join("journal.new");
        // Half a file takes the room that the old one needs.
        self.rewrite(&new).inspect_err(|_| drop(fs::remove_file(&new)))
    }

    fn rewrite(&mut self, new: &Path) -> Result<(), JournalError> {
        let path = self.dir.join("journal");
        let mut bytes: Vec<u8> = self.book.kills.records().flat_map(|kill| record::encode(&kill)).collect();
        let mut boot = String::new();
        for (of, claim) in self.book.open.values() {
            if *of != boot {
                boot.clone_from(of);
                bytes.extend(record::encode(&begin(&boot)));
            }
            bytes.extend(record::encode(&Record::Claim(claim.clone())));
            let write = self.book.writes.get(&place(claim));
            let applied = write.filter(|write| !write.pending);
            if let Some(write) = applied {
                let value = write.read_back.as_ref().map(ToString::to_string);
                bytes.extend(record::encode(&Record::Applied { entry: claim.entry, value }));
            }
        }
        bytes.extend(record::encode(&begin(&self.boot)));
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(new)
            .map_err(io_error("open", new))?;
        file.set_len(0)
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.sync_all())
            .map_err(io_error("write", new))?;
        fs::rename(new, &path).map_err(io_error("put the new journal in place of", &path))?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", &self.dir))?;
        self.file = file;
        self.length = bytes.len() as u64;
        self.closed = 0;
        self.dirty = false;
        self.book.boot.clone_from(&self.boot);
        Ok(())
    }
}

/// The line before what is written in a boot.
fn begin(boot: &str) -> Record {
    Record::Begin { boot: boot.to_owned(), pid: std::process::id(), wall: wall().as_secs() }
}

/// Reads a file: what is open, how many bytes are good, how many lines before the last good one are not.
fn replay(bytes: &[u8]) -> (Book, usize, u64) {
    let mut book = Book::default();
    let (mut at, mut good, mut bad, mut corrupt) = (0, 0, 0, 0);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        match line.strip_suffix(b"\n").and_then(record::decode) {
            Some(record) => {
                book.learn(record);
                good = at;
                corrupt += std::mem::take(&mut bad);
            }
            None => bad += 1,
        }
    }
    (book, good, corrupt)
}

/// What a claim is about.
fn place(claim: &ClaimRecord) -> (Key, Option<Knob>) {
    let path = record::path_of(&claim.path).unwrap_or_default().into_boxed_slice();
    ((path, claim.id), claim.control.as_ref().and_then(|control| Knob::from_name(&control.knob)))
}

impl Book {
    fn learn(&mut self, record: Record) {
        match record {
            Record::Begin { boot, .. } => self.boot = boot,
            Record::Killed { path, wall } => self.kills.learn(path, wall),
            Record::Claim(claim) => {
                self.last_entry = self.last_entry.max(claim.entry);
                let write = self.writes.entry(place(&claim)).or_default();
                write.pending = true;
                write.claims += 1;
                self.open.insert(claim.entry, (self.boot.clone(), claim));
            }
            Record::Intended { entry } => {
                if let Some((_, claim)) = self.open.get(&entry) {
                    self.writes.entry(place(claim)).or_default().pending = true;
                }
            }
            Record::Applied { entry, value } => {
                if let Some((_, claim)) = self.open.get(&entry) {
                    let place = place(claim);
                    let read_back = place.1.as_ref().zip(value).and_then(|(knob, text)| knob.value_of(&text));
                    let write = self.writes.entry(place).or_default();
                    write.pending = false;
                    write.read_back = read_back;
                }
            }
            Record::Undone { entry, .. } | Record::Closed { entry, .. } => {
                let Some((_, claim)) = self.open.remove(&entry) else { return };
                if let Entry::Occupied(mut write) = self.writes.entry(place(&claim)) {
                    write.get_mut().claims -= 1;
                    if write.get().claims == 0 {
                        write.remove();
                    }
                }
            }
        }
    }
}

/// The time since 1970, for people.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
