//! What the files of container runtimes say of cgroups, read on a thread of its own.
//!
//! A cgroup is often older than the file that names it, and a disk may hang: the sampler asks at a cgroup's birth and
//! takes in answers when it passes again. Who stays unknown is looked for again a few times, ever later, and then left.

use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use nix::errno::Errno;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::sampler::now;
use crate::identify::places::{Place, home, places, wants};
use crate::identify::state::{Malformed, Told, parse, parse_names};
use crate::kernel::dir::ReadError;
use crate::model::{FaultKind, Identity, Owner, OwnerLabel};

/// A file longer than this is not read.
const LONGEST: u64 = 1 << 20;
/// How many names of a directory are looked at.
const MOST_NAMES: usize = 100_000;
/// How many may wait for their first look, and for another one.
const MOST_WAITING: usize = 16_384;
/// How many are looked for before the files are read anew.
const ROUND: usize = 1024;
/// When who is still unknown is looked for again.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// A cgroup whose owner may be known better.
#[derive(Debug)]
struct Question {
    /// Its rank, which stays when its kernel id changes.
    rank: u64,
    identity: Arc<Identity>,
    tries: usize,
}

/// What the thread found.
#[derive(Debug)]
pub enum Answer {
    /// A cgroup was looked for once.
    Looked {
        /// Its rank.
        rank: u64,
        /// The cgroup that was asked for.
        identity: Arc<Identity>,
        /// Its owner, perhaps with more in it.
        owner: Box<Owner>,
        /// Whether it was the first time.
        first: bool,
    },
    /// A file that exists could not be read, or is not what it should be.
    Fault {
        /// The file's name.
        source: &'static str,
        /// What went wrong.
        kind: FaultKind,
        /// The cgroup that was looked for.
        identity: Arc<Identity>,
        /// The whole path, and what was said.
        detail: String,
    },
}

/// Asks the thread. It is started by the first question, and ends with the asker.
#[derive(Debug)]
pub struct Enricher {
    root: PathBuf,
    line: Option<(SyncSender<Question>, Receiver<Answer>)>,
    /// How many were asked for and have not been looked for once.
    waiting: usize,
}

impl Enricher {
    /// Looks below this root of the host's.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, line: None, waiting: 0 }
    }

    /// Asks who a cgroup belongs to, unless there is nothing to ask. A false answer says that too many are waiting.
    pub fn ask(&mut self, rank: u64, identity: &Arc<Identity>) -> bool {
        if !wants(&identity.owner) {
            return true;
        }
        if self.line.is_none() {
            let (ask, questions) = sync_channel(MOST_WAITING);
            let (answer, answers) = channel();
            let root = self.root.clone();
            // Without a thread the line is dead, and who is unknown stays so.
            let thread = std::thread::Builder::new().name("identity".to_owned());
            if let Err(error) = thread.spawn(move || work(&root, &questions, &answer)) {
                tracing::warn!("no thread to read the names of containers: {error}");
            }
            self.line = Some((ask, answers));
        }
        let question = Question { rank, identity: Arc::clone(identity), tries: 0 };
        let sent = self.line.as_ref().map(|(ask, _)| ask.try_send(question));
        self.waiting += usize::from(matches!(sent, Some(Ok(()))));
        !matches!(sent, Some(Err(TrySendError::Full(_))))
    }

    /// Everything found since the last call; waits so long for the first answer to each question.
    pub fn answers(&mut self, patience: Duration) -> Vec<Answer> {
        let Some((_, answers)) = &self.line else { return Vec::new() };
        let until = now() + patience;
        let mut found = Vec::new();
        loop {
            let left = if self.waiting == 0 { Duration::ZERO } else { until.saturating_sub(now()) };
            let Ok(answer) = answers.recv_timeout(left) else { return found };
            if matches!(answer, Answer::Looked { first: true, .. }) {
                self.waiting = self.waiting.saturating_sub(1);
            }
            found.push(answer);
        }
    }
}

/// The thread.
fn work(root: &Path, questions: &Receiver<Question>, answers: &Sender<Answer>) {
    let mut later: VecDeque<(Duration, Question)> = VecDeque::new();
    loop {
        let due = later.iter().map(|(due, _)| *due).min();
        let next = match due {
            Some(due) => questions.recv_timeout(due.saturating_sub(now())),
            None => questions.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut round: Vec<Question> = match next {
            Ok(question) => std::iter::once(question).chain(questions.try_iter()).take(ROUND).collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let at = now();
        let mut waiting = VecDeque::with_capacity(later.len());
        for (due, question) in later {
            if due <= at && round.len() < ROUND {
                round.push(question);
            } else {
                waiting.push_back((due, question));
            }
        }
        later = waiting;
        let mut files = Files::new(root, answers);
        for question in round {
            let owner = files.owner(&question.identity);
            let again = AGAIN.get(question.tries).filter(|_| wants(&owner) && later.len() < MOST_WAITING);
            let Question { rank, identity, tries } = question;
            let looked = Answer::Looked {
                rank,
                identity: Arc::clone(&identity),
                owner: Box::new(owner),
                first: tries == 0,
            };
            if answers.send(looked).is_err() {
                return;
            }
            if let Some(pause) = again {
                later.push_back((now() + *pause, Question { rank, identity, tries: tries + 1 }));
            }
        }
    }
}

/// The files of one round: each is read once.
struct Files<'a> {
    root: Result<OwnedFd, Errno>,
    /// The root is this program's own, so that nothing leads out of it.
    own_root: bool,
    answers: &'a Sender<Answer>,
    known: HashMap<String, Option<Told>>,
    passwd: Option<String>,
}

impl<'a> Files<'a> {
    fn new(root: &Path, answers: &'a Sender<Answer>) -> Self {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let own_root = root == Path::new("/");
        let root = rustix::fs::open(root, flags, Mode::empty()).map_err(errno);
        Self { root, own_root, answers, known: HashMap::new(), passwd: None }
    }

    fn owner(&mut self, identity: &Arc<Identity>) -> Owner {
        let mut owner = identity.owner.clone();
        let home = owner.get(OwnerLabel::User).and_then(|uid| self.home(uid));
        let id = owner.get(OwnerLabel::ContainerId).unwrap_or_default().to_owned();
        for place in places(&owner, home.as_deref()) {
            if !wants(&owner) {
                break;
            }
            if !self.known.contains_key(&place.path) {
                let told = self.told(&place, &id, identity);
                self.known.insert(place.path.clone(), told);
            }
            if let Some(Some(told)) = self.known.get(&place.path) {
                told.tell(place.runtime, &mut owner);
            }
        }
        owner
    }

    fn told(&self, place: &Place, id: &str, identity: &Arc<Identity>) -> Option<Told> {
        let found = if place.format.is_directory() {
            self.names(&place.path).map(|names| parse_names(place.format, names.iter().map(String::as_str)))
        } else {
            self.text(&place.path).and_then(|text| Ok(parse(place.format, id, &text)?))
        };
        let trouble = match found {
            Ok(told) => return Some(told),
            // Runtimes that are not installed keep no files, and a container's go with it.
            Err(Trouble::Read(ReadError::Os(Errno::ENOENT | Errno::ENOTDIR))) => return None,
            Err(trouble) => trouble,
        };
        let (kind, said) = match &trouble {
            Trouble::Read(error) => (error.kind(), format!("{error:?}")),
            Trouble::NoFile => (FaultKind::Malformed, "it is not a regular file".to_owned()),
            Trouble::Text(malformed) => (FaultKind::Malformed, malformed.to_string()),
        };
        let detail = format!("{}: {said}", place.path);
        let fault =
            Answer::Fault { source: place.format.source(), kind, identity: Arc::clone(identity), detail };
        // Nobody listens any more: the thread is about to end.
        let _ = self.answers.send(fault);
        None
    }

    /// The home of a user of the host's.
    fn home(&mut self, uid: &str) -> Option<String> {
        if self.passwd.is_none() {
            let text = self.text("/etc/passwd").unwrap_or_default();
            self.passwd = Some(String::from_utf8_lossy(&text).into_owned());
        }
        home(self.passwd.as_deref()?, uid)
    }

    /// Opens what is below the root, links included: they are the host's, and lead nowhere else.
    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Trouble> {
        let root = self.root.as_ref().map_err(|errno| Trouble::Read(ReadError::Os(*errno)))?;
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(root, path, flags, Mode::empty(), resolve) {
            // systemd's RestrictSUIDSGID=, which DynamicUser= brings, takes this call away.
            Err(rustix::io::Errno::NOSYS) if self.own_root => Ok(openat(root, path, flags, Mode::empty())?),
            opened => Ok(opened?),
        }
    }

    fn text(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        let file = self.open(path, OFlags::empty())?;
        let stat = fstat(&file)?;
        // A pipe or a device in its place would never end.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Trouble::NoFile);
        }
        let mut text = Vec::new();
        let read = std::fs::File::from(file).take(LONGEST + 1).read_to_end(&mut text);
        read.map_err(|error| {
            Trouble::Read(ReadError::Os(Errno::from_raw(error.raw_os_error().unwrap_or(0))))
        })?;
        if text.len() as u64 > LONGEST {
            return Err(Trouble::Read(ReadError::TooLong));
        }
        Ok(text)
    }

    /// What is in a directory; what is no UTF-8 is no name of a pod's.
    fn names(&self, path: &str) -> Result<Vec<String>, Trouble> {
        let directory = Dir::new(self.open(path, OFlags::DIRECTORY)?)?;
        let mut names = Vec::new();
        for entry in directory.take(MOST_NAMES) {
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }
}

/// Why a file told nothing.
enum Trouble {
    Read(ReadError),
    NoFile,
    Text(Malformed),
}

impl From<rustix::io::Errno> for Trouble {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Read(ReadError::Os(errno(error)))
    }
}

impl From<Malformed> for Trouble {
    fn from(malformed: Malformed) -> Self {
        Self::Text(malformed)
    }
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
