//! An order by hand where no daemon runs: the same guard rails, journal and kernel layer, for one order.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::by_hand;
use super::explanation::About;
use super::report::Reporter;
use super::socket::{Answer, Request, Target, What};
use super::surroundings::Surroundings;
use crate::config::Config;
use crate::enforce::apply::{Enforcer, Event};
use crate::enforce::journal::Journal;
use crate::enforce::order::{Done, Outcome};
use crate::enforce::plan::{Guard, Planned};
use crate::kernel::layout::Paths;
use crate::metrics::Own;
use crate::model::{CollectorSet, Snapshot, WatchMethod};
use crate::policy::engine::{Engine, View};
use crate::policy::standing::Standing;
use crate::sample::{Sampler, Settings, carried};

/// How long an outcome may take: a kill's grace and a freeze's deadline are in it.
const PATIENCE: Duration = Duration::from_secs(150);
/// How long undoing may take.
const UNDO_WITHIN: Duration = Duration::from_secs(60);

/// Guard rails and the way to the kernel, in a process that ends soon.
pub struct Alone {
    guard: Guard,
    enforcer: Enforcer,
    surroundings: Surroundings,
    snapshot: Arc<Snapshot>,
    done: Receiver<Done>,
    recovered: usize,
    reporter: Reporter,
}

impl Alone {
    /// Takes the journal, and undoes what a former program left in it.
    ///
    /// # Errors
    /// Says why it cannot: there are no cgroups, or somebody holds the journal.
    pub fn new(config: &Config, paths: Paths) -> Result<Self, String> {
        let settings = Settings {
            paths: paths.clone(),
            collectors: CollectorSet::default(),
            watch: Some(WatchMethod::Walk),
            ..Settings::default()
        };
        let mut sampler = Sampler::new(settings, carried()).map_err(|error| error.to_string())?;
        let mut surroundings = Surroundings::new(sampler.layout(), paths);
        let snapshot = sampler.pass();
        let reporter = Reporter::new(Arc::new(Own::new()), Arc::default(), &config.safety)
            .map_err(|error| error.to_string())?;
        let (sender, done) = mpsc::channel();
        let tell = move |event: &Event| {
            if let Event::Done(done) = event {
                // Who asked may be gone by now, and then nobody wants to know.
                let _ = sender.send(done.clone());
            }
        };
        let (enforcer, recovery) =
            reporter.start(&config.safety, &mut surroundings, tell).map_err(|error| error.to_string())?;
        let recovered = recovery.claims.len();
        let mut guard = Guard::new(config.safety.clone());
        guard.remember(&recovery.kills, surroundings.now());
        Ok(Self { guard, enforcer, surroundings, snapshot, done, recovered, reporter })
    }

    /// Carries one order out, and waits for what comes of it.
    pub fn answer(&mut self, request: &Request) -> Answer {
        let target = match by_hand::target(request, &self.snapshot) {
            Ok(target) => target,
            Err(answer) => return answer,
        };
        let Some(target) = target else {
            // Whatever a former program left was undone when the journal was opened.
            let detail = match self.recovered {
                0 => "nothing was left to undo".to_owned(),
                count => format!("{} undone or closed, of a former program", by_hand::changes(count)),
            };
            return Answer {
                outcome: "done".to_owned(),
                detail,
                data: serde_json::json!({"undone": self.recovered}),
            };
        };
        if request.what == What::Undo {
            let count = by_hand::changes(self.recovered);
            let detail = format!("{count} undone or closed, of a former program");
            return Answer { outcome: "done".to_owned(), detail, data: serde_json::Value::Null };
        }
        if let (true, Some(answer)) =
            (request.dry_run, by_hand::would_take_back(&request.what, Some(&target), &self.enforcer))
        {
            return answer;
        }
        let wanted = match by_hand::request(&request.what, &target, request.dry_run, self.snapshot.at) {
            Ok(wanted) => wanted,
            Err(answer) => return answer,
        };
        self.surroundings.refresh();
        let planned = self.surroundings.plan(&mut self.guard, &wanted, &View::pass(&self.snapshot));
        if let Planned::Nothing = planned {
            return Answer::failed("nothing was planned".to_owned());
        }
        self.enforcer.carry_out(planned);
        match self.done.recv_timeout(PATIENCE) {
            Ok(done) => by_hand::answer(&done),
            Err(_) => Answer::failed(format!("nothing came of it within {PATIENCE:?}")),
        }
    }

    /// Undoes what is in force.
    ///
    /// # Errors
    /// Says how much is left: the next `stockade undo` goes on.
    pub fn undo(self) -> Result<(), String> {
        let left = self.enforcer.shutdown(UNDO_WITHIN);
        self.reporter.flush();
        match left {
            0 => Ok(()),
            left => Err(format!("{left} changes could not be undone; try `stockade undo`")),
        }
    }
}

/// What an undo comes to where it needs no cgroup: a dry one says what the journal has, and where that is nothing a real one
/// is done, also where no cgroups are to be seen: a package is removed in a chroot, too.
///
/// # Errors
/// When the journal cannot be had.
pub fn left_behind(config: &Config, dry_run: bool) -> Result<Option<Answer>, String> {
    let journal = &config.safety.journal;
    let left = match journal.exists() {
        // Whichever boot it is, what is open is open.
        true => Journal::open(journal, "").map_err(|error| error.to_string())?.open_claims(),
        false => 0,
    };
    let (outcome, detail) = match left {
        0 if !dry_run => ("done", "nothing was left to undo".to_owned()),
        _ if !dry_run => return Ok(None),
        0 => (Outcome::DryRun.name(), "nothing is left to undo".to_owned()),
        1 => (Outcome::DryRun.name(), "would undo or close 1 change of a former program".to_owned()),
        left => (Outcome::DryRun.name(), format!("would undo or close {left} changes of a former program")),
    };
    let data = match dry_run {
        true => serde_json::json!({"left": left}),
        false => serde_json::json!({"undone": 0}),
    };
    Ok(Some(Answer { outcome: outcome.to_owned(), detail, data }))
}

/// What the policies of a configuration make of a cgroup, from two samples.
///
/// # Errors
/// When there are no cgroups to be found.
pub fn explain(
    config: &Config,
    paths: Paths,
    target: &Target,
    interval: Duration,
    pause: &mut dyn FnMut(Duration),
) -> Result<Answer, String> {
    let settings = Settings { paths: paths.clone(), watch: Some(WatchMethod::Walk), ..Settings::default() };
    let mut sampler = Sampler::new(settings, carried()).map_err(|error| error.to_string())?;
    let mut surroundings = Surroundings::new(sampler.layout(), paths);
    let guard = Guard::new(config.safety.clone());
    let (mut engine, mut standing) = (Engine::new(&config.rules), Standing::new(&config.rules));
    engine.evaluate(&View::pass(&sampler.pass()));
    pause(interval);
    let snapshot = sampler.pass();
    engine.evaluate(&View::pass(&snapshot));
    let request = Request { target: Some(target.clone()), dry_run: true, what: What::Explain };
    Ok(match by_hand::target(&request, &snapshot) {
        Ok(Some(found)) => {
            let view = View::pass(&snapshot);
            standing.evaluate(&view);
            let about = About {
                target: &found,
                now: snapshot.at,
                refused: surroundings.explain(&guard, &found, &view),
                policies: engine.explain(&view, &found.path),
                limits: standing.keeping(&found).map(Arc::clone).collect(),
                // Who is not there holds nothing.
                holdings: Vec::new(),
                mode: config.safety.mode,
            };
            about.answer()
        }
        Ok(None) => Answer::failed("no cgroup was named".to_owned()),
        Err(answer) => answer,
    })
}

/// SIGINT, SIGTERM and SIGHUP, kept back from the beginning: an interrupt between the kernel's write and the waiting for it
/// must not leave anything frozen.
#[derive(Debug)]
pub struct Signals {
    kept: SigSet,
    file: SignalFd,
}

impl Signals {
    /// Keeps them back from this thread and from those that it starts.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn keep_back() -> io::Result<Self> {
        let kept = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>();
        kept.thread_block()?;
        let file = SignalFd::with_flags(&kept, SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { kept, file })
    }

    /// Lets them end the program while it does this.
    pub fn let_through<T>(&self, act: impl FnOnce() -> T) -> T {
        // These calls fail for a bad set only, and this one was good before.
        let _ = self.kept.thread_unblock();
        let done = act();
        let _ = self.kept.thread_block();
        done
    }

    /// Waits until the time is over, or for one of them; without a time, only for those.
    ///
    /// # Errors
    /// When they cannot be waited for.
    pub fn hold(&self, time: Option<Duration>) -> io::Result<()> {
        let until = time.map(|time| Instant::now() + time);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
            });
            let mut waiting = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, timeout) {
                Ok(0) if until.is_some_and(|until| Instant::now() >= until) => return Ok(()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
