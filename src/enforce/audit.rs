//! The audit log: one line of JSON for each thing that was decided, done, refused, undone or seen.
//!
//! Lines are written by a thread of their own. A disk that is full or slow never holds up a decision: the queue has an
//! end, what does not fit is dropped, and [`Numbers::audit_lost`](super::stats::Numbers::audit_lost) counts it. At its
//! largest size `audit.jsonl` becomes `audit.jsonl.1`, that one `audit.jsonl.2`, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value as Json, json};

use super::drift::{DriftAnswer, DriftSeen, ForeignWriter};
use super::journal::{Fate, Recovery};
use super::notify::Notified;
use super::order::{Deed, Done};
use super::safety::{Audit, Safety};
use super::stats::Stats;
use crate::model::{Identity, Knob, OwnerLabel, Value, rfc3339};
use crate::policy::decision::Finding;

/// How many lines may wait.
const QUEUE: usize = 4096;

/// Where the audit log is.
#[must_use]
pub fn path_of(safety: &Safety) -> PathBuf {
    let beside = || safety.journal.parent().unwrap_or(&safety.journal).join("audit.jsonl");
    safety.audit.path.clone().unwrap_or_else(beside)
}

enum Letter {
    Line(Vec<u8>),
    Flush(mpsc::Sender<()>),
    Settings(PathBuf, Audit),
}

/// The audit log, open for writing.
#[derive(Clone, Debug)]
pub struct AuditLog {
    letters: SyncSender<Letter>,
    stats: Arc<Stats>,
}

impl AuditLog {
    /// Starts its thread. The file is opened at the first line.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn start(safety: &Safety, stats: Arc<Stats>) -> io::Result<Self> {
        let (letters, inbox) = mpsc::sync_channel(QUEUE);
        let writer = Writer {
            path: path_of(safety),
            settings: safety.audit.clone(),
            file: None,
            length: 0,
            torn: false,
        };
        let counted = Arc::clone(&stats);
        thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&inbox, &counted))?;
        Ok(Self { letters, stats })
    }

    /// Takes another configuration.
    pub fn replace(&self, safety: &Safety) {
        self.tell(Letter::Settings(path_of(safety), safety.audit.clone()));
    }

    /// What came of a decision.
    pub fn done(&self, done: &Done) {
        let order = &done.order;
        let mut line = line("decision");
        line.insert("id".into(), order.id.into());
        line.insert("policy".into(), (*order.rule).into());
        line.insert("target".into(), target(&order.target));
        line.insert("owner".into(), json!(done.owner()));
        line.insert("writer".into(), done.through.as_ref().map(|through| through.writer.name()).into());
        line.insert("conditions".into(), order.evidence.findings.iter().map(finding).collect());
        let spared = order.evidence.spared.iter();
        let spared = spared.map(|each| json!({"cgroup": *each.cgroup, "reason": each.reason}));
        line.insert("spared".into(), spared.collect());
        line.insert("action".into(), order.deed.name().into());
        if let Deed::Set { values, .. } = &order.deed {
            let values = values.iter().map(|(knob, value)| (knob.to_string(), value.to_string().into()));
            line.insert("values".into(), Json::Object(values.collect()));
        }
        line.insert("step".into(), order.step.into());
        line.insert("mode".into(), if order.dry_run { "dry_run" } else { "enforce" }.into());
        line.insert("outcome".into(), done.outcome.name().into());
        line.insert("detail".into(), (*done.detail).into());
        let changes = done.changes.iter().map(|change| {
            json!({
                "control": change.knob.to_string(),
                "before": change.before.to_string(),
                "after": change.after.to_string(),
            })
        });
        line.insert("changes".into(), changes.collect());
        line.insert("reaction_seconds".into(), done.reaction.as_secs_f64().into());
        self.write(line);
    }

    /// Another one wrote a control that a rule keeps.
    pub fn drift(&self, drift: &DriftSeen) {
        let mut line = line("drift");
        control_write(&mut line, &drift.target, &drift.control(), &drift.writer);
        line.insert("ours".into(), drift.ours.to_string().into());
        line.insert("theirs".into(), drift.theirs.to_string().into());
        let (answer, detail) = match &drift.answer {
            DriftAnswer::Yielded(rules) => {
                ("yield", json!({"rules": rules.iter().map(|rule| &**rule).collect::<Vec<&str>>()}))
            }
            DriftAnswer::Reasserted(rule, Ok(())) => ("reassert", json!({"rules": [&**rule]})),
            DriftAnswer::Reasserted(rule, Err(message)) => {
                ("reassert", json!({"rules": [&**rule], "failed": message}))
            }
        };
        line.insert("answer".into(), answer.into());
        line.extend(detail.as_object().cloned().unwrap_or_default());
        self.write(line);
    }

    /// Somebody else wrote a control that no rule keeps.
    pub fn foreign_write(
        &self,
        target: &Identity,
        knob: &Knob,
        before: Option<&Value>,
        after: Option<&Value>,
        writer: &ForeignWriter,
    ) {
        let mut line = line("foreign_write");
        control_write(&mut line, target, &knob.to_string(), writer);
        line.insert("before".into(), before.map(ToString::to_string).into());
        line.insert("after".into(), after.map(ToString::to_string).into());
        self.write(line);
    }

    /// What the start found in the journal, a line for each claim, and one for damage.
    pub fn recovery(&self, recovery: &Recovery) {
        if recovery.damage.torn > 0 || recovery.damage.corrupt > 0 {
            let mut line = line("journal_damage");
            line.insert("torn_bytes".into(), recovery.damage.torn.into());
            line.insert("corrupt_lines".into(), recovery.damage.corrupt.into());
            let kept = recovery.damage.kept.as_ref().map(|path| path.display().to_string());
            line.insert("kept".into(), kept.into());
            self.write(line);
        }
        for claim in &recovery.claims {
            let mut line = line("recovery");
            line.insert("policy".into(), (*claim.rule).into());
            line.insert("cgroup".into(), (*claim.cgroup).into());
            line.insert("control".into(), (*claim.what).into());
            line.insert("was".into(), claim.was.clone().into());
            line.insert("outcome".into(), claim.fate.name().into());
            if let Fate::Failed(message) = &claim.fate {
                line.insert("detail".into(), (**message).into());
            }
            self.write(line);
        }
    }

    /// What came of a message.
    pub fn notified(&self, notified: &Notified) {
        let mut line = line("notification");
        line.insert("id".into(), notified.order.into());
        line.insert("policy".into(), (*notified.rule).into());
        line.insert("cgroup".into(), (*notified.cgroup).into());
        line.insert("to".into(), (*notified.to).into());
        line.insert("status".into(), notified.status.into());
        let (sent, detail) = match &notified.result {
            Ok(said) => (true, said),
            Err(reason) => (false, reason),
        };
        line.insert("sent".into(), sent.into());
        line.insert("detail".into(), (**detail).into());
        self.write(line);
    }

    /// The configuration was read again, or could not be.
    pub fn reload(&self, result: Result<(), &str>) {
        let mut line = line("reload");
        line.insert("applied".into(), result.is_ok().into());
        line.insert("detail".into(), result.err().into());
        self.write(line);
    }

    /// Waits until everything so far is written, or the time is over.
    pub fn flush(&self, within: Duration) {
        let (reply, answer) = mpsc::channel();
        if self.letters.try_send(Letter::Flush(reply)).is_ok() {
            let _ = answer.recv_timeout(within);
        }
    }

    fn write(&self, line: Map<String, Json>) {
        let mut bytes = Json::Object(line).to_string().into_bytes();
        bytes.push(b'\n');
        self.tell(Letter::Line(bytes));
    }

    fn tell(&self, letter: Letter) {
        if self.letters.try_send(letter).is_err() {
            self.stats.change(|numbers| numbers.audit_lost += 1);
        }
    }
}

fn line(kind: &str) -> Map<String, Json> {
    let mut line = Map::new();
    line.insert("time".into(), rfc3339(SystemTime::now()).into());
    line.insert("kind".into(), kind.into());
    line
}

fn target(identity: &Identity) -> Json {
    let labels = OwnerLabel::ALL.iter();
    let owner =
        labels.filter_map(|&label| Some((label.name().to_owned(), identity.owner.get(label)?.into())));
    json!({"cgroup": *identity.display, "id": identity.id, "owner": Json::Object(owner.collect())})
}

fn finding(finding: &Finding) -> Json {
    json!({
        "signal": finding.signal,
        "of": finding.of,
        "value": finding.value,
        "compare": finding.compare,
        "threshold": finding.threshold,
        "held_seconds": finding.held.as_secs_f64(),
        "for_seconds": finding.hold.as_secs_f64(),
        "truth": finding.truth.name(),
    })
}

fn control_write(line: &mut Map<String, Json>, identity: &Identity, control: &str, writer: &ForeignWriter) {
    line.insert("target".into(), target(identity));
    line.insert("control".into(), control.into());
    let writer = json!({"kind": writer.kind.name(), "pid": writer.pid, "command": writer.command});
    line.insert("writer".into(), writer);
}

/// The thread's own.
struct Writer {
    path: PathBuf,
    settings: Audit,
    file: Option<File>,
    length: u64,
    /// A write failed half way.
    torn: bool,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Letter>, stats: &Stats) {
        for letter in inbox {
            match letter {
                Letter::Line(line) => {
                    if self.write(&line).is_err() {
                        stats.change(|numbers| numbers.audit_lost += 1);
                    }
                }
                Letter::Flush(reply) => {
                    let _ = reply.send(());
                }
                Letter::Settings(path, settings) => {
                    if path != self.path {
                        self.file = None;
                    }
                    (self.path, self.settings) = (path, settings);
                }
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let size = line.len() as u64;
        self.open()?;
        if self.length > 0 && self.length + size > self.settings.max_size {
            self.rotate()?;
            self.open()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.torn {
            file.set_len(self.length)?;
            self.torn = false;
        }
        let written = file.write_all(line);
        self.torn = written.is_err();
        self.length += if self.torn { 0 } else { size };
        written
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            if let Some(parent) = self.path.parent() {
                fs::create_dir_all(parent)?;
            }
            let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
            self.length = file.metadata()?.len();
            self.file = Some(file);
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        if self.settings.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.settings.keep).rev() {
            let (from, to) = (rotated(&self.path, number), rotated(&self.path, number + 1));
            match fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, rotated(&self.path, 1))
    }
}

fn rotated(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Why a line of the audit log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error("{} cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is there, and no line of an audit log.
    #[error("{}, line {line} is no line of an audit log: {error}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// Every line of an audit log, the oldest first, through the rotated files. A damaged line is an error, and the next one
/// follows; a file that cannot be read on is one error.
pub fn read(path: &Path) -> impl Iterator<Item = Result<Json, ReadError>> {
    let older = (1..).map(|number| rotated(path, number)).take_while(|path| path.exists());
    let mut files: Vec<PathBuf> = older.collect();
    files.reverse();
    files.push(path.to_owned());
    files.into_iter().flat_map(|path| {
        let (lines, unreadable) = match File::open(&path) {
            Ok(file) => (Some(BufReader::new(file).split(b'\n')), None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(error) => (None, Some(Err(ReadError::Io { path: path.clone(), error }))),
        };
        let mut broken = false;
        let lines = lines.into_iter().flatten().take_while(move |line| {
            // A directory answers every reading with the same error.
            let goes_on = !broken;
            broken = line.is_err();
            goes_on
        });
        let lines = lines.enumerate().map(move |(at, line)| {
            let line = line.map_err(|error| ReadError::Io { path: path.clone(), error })?;
            serde_json::from_slice(&line).map_err(|error| ReadError::Damaged {
                path: path.clone(),
                line: at + 1,
                error,
            })
        });
        unreadable.into_iter().chain(lines)
    })
}
