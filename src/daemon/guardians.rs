//! What systemd-oomd and oomd look after, found out on a thread of its own: systemd may be slow to answer, and nothing
//! waits for it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::enforce::oomd;
use crate::enforce::yielding::{Area, Charge, Guardian, Yielding};
use crate::kernel::layout::Paths;
use crate::kernel::owner;
use crate::systemd::Manager;

/// How long what was found out stands before it is looked for again.
const BELIEVED: Duration = Duration::from_secs(10);
/// Nobody is asked more often, however many new units there are.
const PAUSE: Duration = Duration::from_secs(1);
/// What was found out so long ago is no longer known: whoever looks for it hangs.
const STALE: Duration = Duration::from_secs(40);
/// How many cgroups that are no units are remembered as such.
const MOST: usize = 4096;

/// A cgroup that wants to be known of.
type Wanted = Box<[u8]>;
/// What was found out, and when.
type Found = Arc<Mutex<(Arc<Yielding>, Instant)>>;

/// Whom cgroups are left to, and what those look after. Dropped, its thread ends.
pub(super) struct Guardians {
    to: Vec<Guardian>,
    found: Found,
    wanted: SyncSender<Wanted>,
}

/// Whoever finds it out.
struct Seeker {
    to: Vec<Guardian>,
    manager: Option<Manager>,
    /// The host's `/etc`.
    etc: PathBuf,
    /// Cgroups that were asked for, which are units or not.
    wanted: BTreeSet<Wanted>,
}

impl Guardians {
    /// Begins to look. Until the first answer nothing is known.
    pub fn start(to: &[Guardian], manager: Option<Manager>, paths: &Paths) -> std::io::Result<Self> {
        let begun = Arc::new(Yielding::unknown(to, "it is being found out"));
        let found: Found = Arc::new(Mutex::new((begun, Instant::now())));
        let (wanted, asked) = sync_channel(64);
        let mut seeker = Seeker::new(to, manager, paths);
        let shown = Arc::clone(&found);
        thread::Builder::new().name("guardians".to_owned()).spawn(move || seeker.run(&asked, &shown))?;
        Ok(Self { to: to.to_vec(), found, wanted })
    }

    /// Looks once, and waits for the answers.
    pub fn look(to: &[Guardian], manager: Option<Manager>, paths: &Paths) -> Yielding {
        Seeker::new(to, manager, paths).seek()
    }

    /// Whom cgroups are left to.
    pub fn to(&self) -> &[Guardian] {
        &self.to
    }

    /// What was found out last.
    pub fn yielding(&self) -> Arc<Yielding> {
        let (found, at) = &*self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let age = at.elapsed();
        if age < STALE {
            return Arc::clone(found);
        }
        let why = format!("nobody has answered for {} s", age.as_secs());
        Arc::new(Yielding::unknown(&self.to, &why))
    }

    /// Has it found out soon whether a cgroup is a unit's, and looked after.
    pub fn want(&self, cgroup: &[u8]) {
        // Who finds no room asks again with the next decision.
        let _ = self.wanted.try_send(cgroup.into());
    }
}

impl Seeker {
    fn new(to: &[Guardian], manager: Option<Manager>, paths: &Paths) -> Self {
        let etc = owner::run(paths).with_file_name("etc");
        Self { to: to.to_vec(), manager, etc, wanted: BTreeSet::new() }
    }

    fn run(&mut self, asked: &Receiver<Wanted>, shown: &Found) {
        loop {
            let found = Arc::new(self.seek());
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = (found, Instant::now());
            thread::sleep(PAUSE);
            match asked.recv_timeout(BELIEVED) {
                Ok(wanted) => {
                    if self.wanted.len() >= MOST {
                        self.wanted.clear();
                    }
                    self.wanted.insert(wanted);
                    self.wanted.extend(asked.try_iter());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn seek(&self) -> Yielding {
        let mut found = Yielding::default();
        for guardian in &self.to {
            let sought = match guardian {
                Guardian::SystemdOomd => self.systemd_oomd(&mut found),
                Guardian::Oomd => self.oomd(&mut found),
            };
            if let Err(why) = sought {
                found.unknown.push((*guardian, why));
            }
        }
        found
    }

    fn systemd_oomd(&self, found: &mut Yielding) -> Result<(), String> {
        // Without systemd there is no systemd-oomd.
        let Some(manager) = &self.manager else { return Ok(()) };
        let guardian = Guardian::SystemdOomd;
        if !manager.is_active(guardian.unit()).map_err(|error| error.to_string())? {
            return Ok(());
        }
        let managed = manager.managed_oom().map_err(|error| error.to_string())?;
        found.charges.extend(managed.kills.into_iter().map(|(cgroup, unit, property)| Charge {
            guardian,
            area: Area::At(cgroup.into_bytes().into()),
            because: format!("{unit} has {property}=kill"),
        }));
        let units = managed.cgroups.into_iter().map(|cgroup| cgroup.into_bytes().into());
        // systemd has named all its units: what was asked for and is none of them is none.
        found.asked = Some(units.chain(self.wanted.iter().cloned()).collect());
        Ok(())
    }

    fn oomd(&self, found: &mut Yielding) -> Result<(), String> {
        let mut files = Vec::new();
        for file in [self.etc.join("oomd.json"), self.etc.join("oomd/oomd.json")] {
            if let Some(text) = read(&file)? {
                files.push((file, text));
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        let guardian = Guardian::Oomd;
        let Some(manager) = &self.manager else {
            return Err(format!(
                "{} is there, and without systemd nobody says whether oomd runs",
                guardian.name()
            ));
        };
        if !manager.is_active(guardian.unit()).map_err(|error| error.to_string())? {
            return Ok(());
        }
        for (file, text) in files {
            let charges = oomd::charges(&text).map_err(|why| format!("{}: {why}", file.display()))?;
            found.charges.extend(charges);
        }
        Ok(())
    }
}

/// A file's text, if it is there.
fn read(file: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}
