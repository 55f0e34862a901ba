//! `stockade set|freeze|thaw|kill|restart|stop|reclaim|undo`: by hand, through the guard rails and the journal.
//!
//! Where a daemon holds the journal, it is asked. Otherwise this process does it itself and holds the journal as long as
//! what it did has to be undone.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use super::ls::failed;
use super::sampling::Samples;
use super::{Exit, PathArgs, completions, configuration, target, unasked};
use crate::config::{self, Config};
use crate::daemon::alone::{self, Alone, Signals};
use crate::daemon::socket::{self, Answer, Request, Target, What};
use crate::enforce::order::Outcome;
use crate::kernel::layout::Paths;
use crate::model::CollectorSet;

/// What every command of this kind is told.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// The configuration file (YAML), for its `safety:`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "STOCKADE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Say what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// A JSON document instead.
    #[arg(short = 'J', long)]
    pub json: bool,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
}

/// Set limits and weights of a cgroup: memory.high=4GiB, cpu.max=150%, pids.max=500, io.max="vda wbps=50MiB".
///
/// What was there before is put back when the time is over, at `stockade undo`, and when the daemon ends. Without a daemon
/// this command waits until the time is over, or until it is interrupted. Exits with 3 when a guard rail refuses.
#[derive(Debug, Args)]
#[command(after_help = SET)]
pub struct SetArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// What to set.
    #[arg(
        value_name = "CONTROL=VALUE",
        required = true,
        add = ArgValueCompleter::new(completions::controls)
    )]
    pub assignments: Vec<String>,
    /// How long it stays; without it, until `stockade undo` or the end of the daemon.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub ttl: Option<Duration>,
    /// Allow a memory limit below what is used now, which makes the kernel kill.
    #[arg(long)]
    pub allow_oom: bool,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const SET: &str = "\
Examples:
  stockade set /batch.slice memory.high=4GiB --ttl 1h               for an hour
  stockade set /batch.slice cpu.max=150% io.max=\"vda wbps=50MiB\"    several at once
  stockade set /batch.slice pids.max=500 -n                         only tell";

/// Stop every task of a cgroup, for a while.
///
/// Without a daemon this command waits until the time is over, or until it is interrupted, and thaws.
#[derive(Debug, Args)]
#[command(after_help = FREEZE)]
pub struct FreezeArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// For how long; `safety.freeze_max` is the most.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = config::duration)]
    pub ttl: Duration,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const FREEZE: &str = "\
Examples:
  stockade freeze /batch.slice/job-1 --ttl 10s    no task runs for ten seconds";

/// Let the tasks of a frozen cgroup run again.
#[derive(Debug, Args)]
#[command(after_help = THAW)]
pub struct ThawArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const THAW: &str = "\
Examples:
  stockade thaw /batch.slice/job-1    before its time is over";

/// End every process of a cgroup and of those below it: a signal, a grace, then SIGKILL.
#[derive(Debug, Args)]
#[command(after_help = KILL)]
pub struct KillArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// The first signal; KILL leaves no grace.
    #[arg(short, long, value_name = "NAME", default_value = "TERM", value_parser = config::signal)]
    pub signal: i32,
    /// How long they have before SIGKILL.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = config::duration)]
    pub grace: Duration,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const KILL: &str = "\
Examples:
  stockade kill /batch.slice/job-1            SIGTERM, after five seconds SIGKILL
  stockade kill /batch.slice/job-1 -s KILL    at once";

/// Have systemd stop a unit and start it again.
///
/// Bounded by the kill budgets, as a kill is. Waits until it runs, at most 100 seconds.
#[derive(Debug, Args)]
#[command(after_help = RESTART)]
pub struct RestartArgs {
    /// A unit's name such as ssh.service, or its cgroup.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const RESTART: &str = "\
Examples:
  stockade restart nginx.service    its memory is new; its configuration is read again";

/// Have systemd stop a unit.
///
/// Bounded by the kill budgets, as a kill is. It stays stopped until somebody starts it: this is never undone.
#[derive(Debug, Args)]
#[command(after_help = STOP)]
pub struct StopArgs {
    /// A unit's name such as ssh.service, or its cgroup.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const STOP: &str = "\
Examples:
  stockade stop batch-import.service    what depends on it is stopped as well";

/// Have the kernel take memory of a cgroup back.
#[derive(Debug, Args)]
#[command(after_help = RECLAIM)]
pub struct ReclaimArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// How much, such as 256MiB.
    #[arg(value_name = "AMOUNT", value_parser = config::size)]
    pub amount: u64,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const RECLAIM: &str = "\
Examples:
  stockade reclaim /batch.slice 256MiB    as much as can be had";

/// Undo everything in the journal: thaw what was frozen, put limits back, in reverse order.
///
/// Also for the unit's ExecStopPost: it does nothing where nothing is left.
#[derive(Debug, Args)]
#[command(after_help = UNDO)]
pub struct UndoArgs {
    /// Only what was done to this cgroup.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: Option<OsString>,
    /// The rest.
    #[command(flatten)]
    pub act: ActArgs,
}

const UNDO: &str = "\
Examples:
  stockade undo                       everything
  stockade undo /batch.slice/job-1    what was done to one cgroup
  stockade undo -n                    only tell";

impl SetArgs {
    /// Sets.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        // A typing error is found before anything is asked or looked for.
        if let Err(problem) = config::assignments(&self.assignments) {
            return failed(err, Exit::Usage, &problem);
        }
        let what =
            What::Set { assignments: self.assignments.clone(), ttl: self.ttl, allow_oom: self.allow_oom };
        self.act.run(Some(&self.target), what, self.ttl, out, err)
    }
}

impl FreezeArgs {
    /// Freezes.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        self.act.run(Some(&self.target), What::Freeze { ttl: self.ttl }, Some(self.ttl), out, err)
    }
}

impl ThawArgs {
    /// Thaws.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        self.act.run(Some(&self.target), What::Thaw, None, out, err)
    }
}

impl KillArgs {
    /// Kills.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let what = What::Kill { signal: self.signal, grace: self.grace };
        self.act.run(Some(&self.target), what, None, out, err)
    }
}

impl RestartArgs {
    /// Restarts.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        self.act.run(Some(&self.target), What::Restart, None, out, err)
    }
}

impl StopArgs {
    /// Stops.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        self.act.run(Some(&self.target), What::Stop, None, out, err)
    }
}

impl ReclaimArgs {
    /// Reclaims.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        self.act.run(Some(&self.target), What::Reclaim { bytes: self.amount }, None, out, err)
    }
}

impl UndoArgs {
    /// Undoes.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let problems = match configuration(self.act.config.as_deref()) {
            Ok(config) => return self.act.order(&config, self.target.as_ref(), What::Undo, None, out, err),
            Err(problems) => problems,
        };
        // A file that was broken since must not keep frozen what is frozen: most journals are where it is by default.
        let Ok(config) = config::load(None) else {
            return failed(err, Exit::Failed, &problems);
        };
        self.act.order(&config, self.target.as_ref(), What::Undo, None, out, err)?;
        let journal = config.safety.journal.display();
        let problem =
            format!("{problems}\nthis was the journal in {journal}; another one needs its configuration");
        failed(err, Exit::Failed, &problem)
    }
}

impl ActArgs {
    fn run(
        &self,
        name: Option<&OsString>,
        what: What,
        hold: Option<Duration>,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<Exit> {
        let config = match configuration(self.config.as_deref()) {
            Ok(config) => config,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        self.order(&config, name, what, hold, out, err)
    }

    fn order(
        &self,
        config: &Config,
        name: Option<&OsString>,
        what: What,
        hold: Option<Duration>,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<Exit> {
        let signals = Signals::keep_back()?;
        let paths: Paths = self.paths.clone().into();
        let target = match name.map(|name| find(&paths, name)).transpose() {
            Ok(target) => target,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        let request = Request { target, dry_run: self.dry_run, what };
        match signals.let_through(|| socket::ask(&config.safety.journal, &request)) {
            Ok(Some(answer)) => self.show(&answer, out, err),
            Ok(None) => self.alone(config, paths, &request, (&signals, hold), out, err),
            Err(error) => failed(err, Exit::Failed, &unasked(&config.safety.journal, &error)),
        }
    }

    /// No daemon runs: this process is the one that holds the journal.
    fn alone(
        &self,
        config: &Config,
        paths: Paths,
        request: &Request,
        (signals, hold): (&Signals, Option<Duration>),
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<Exit> {
        if request.what == What::Undo {
            match alone::left_behind(config, request.dry_run) {
                Ok(None) => {}
                Ok(Some(answer)) => return self.show(&answer, out, err),
                Err(problem) => return failed(err, Exit::Failed, &problem),
            }
        }
        let mut alone = match Alone::new(config, paths) {
            Ok(alone) => alone,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        let answer = alone.answer(request);
        let exit = self.show(&answer, out, err)?;
        if answer.outcome == Outcome::Applied.name()
            && matches!(request.what, What::Set { .. } | What::Freeze { .. })
        {
            if !self.json {
                let when = hold.map_or_else(String::new, |hold| format!("in {hold:?}, or "));
                writeln!(out, "no daemon runs: it is undone {when}when this command is interrupted")?;
                out.flush()?;
            }
            signals.hold(hold)?;
        }
        match alone.undo() {
            Ok(()) => Ok(exit),
            Err(problem) => failed(err, Exit::Failed, &problem),
        }
    }

    fn show(&self, answer: &Answer, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let outcome = Outcome::ALL.iter().find(|outcome| outcome.name() == answer.outcome);
        let exit = match outcome {
            Some(Outcome::Applied | Outcome::DryRun) => Exit::Done,
            Some(Outcome::Protected | Outcome::Cooldown | Outcome::Budget | Outcome::NotOwner) => {
                Exit::Refused
            }
            None if answer.outcome == "done" => Exit::Done,
            _ => Exit::Failed,
        };
        if self.json {
            writeln!(out, "{}", serde_json::to_string(answer).map_err(io::Error::other)?)?;
        } else if exit == Exit::Done {
            writeln!(out, "{}: {}", answer.outcome.replace('_', " "), answer.detail)?;
        } else {
            writeln!(err, "stockade: {}: {}", answer.outcome.replace('_', " "), answer.detail)?;
        }
        out.flush()?;
        Ok(exit)
    }
}

/// The living cgroup of that name.
pub(super) fn find(paths: &Paths, name: &OsString) -> Result<Target, String> {
    let samples = Samples::take(paths.clone(), CollectorSet::NONE, Duration::ZERO, &mut |_| {})
        .map_err(|error| error.to_string())?;
    let cgroup = target::find(&samples.now, &samples.layout, name)?;
    Ok(Target { path: cgroup.identity.path.to_vec(), id: cgroup.identity.id })
}
