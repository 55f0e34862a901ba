//! The command line: one file a subcommand.

mod act;
mod audit;
mod check;
mod columns;
mod completions;
mod explain;
mod host;
mod humanize;
mod inspect;
mod interval;
mod log;
mod ls;
mod man;
mod ns;
mod sampling;
mod serve;
mod table;
mod target;
mod terminal;
mod tree;

use std::io::{self, BufWriter};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::thread;

use clap::{Parser, Subcommand};

use crate::config::{self, Config};

pub use act::{FreezeArgs, KillArgs, ReclaimArgs, RestartArgs, SetArgs, StopArgs, ThawArgs, UndoArgs};
pub use audit::AuditArgs;
pub use check::{CheckArgs, Format};
pub use completions::{CompletionsArgs, answer};
pub use explain::ExplainArgs;
pub use inspect::InspectArgs;
pub use interval::IntervalArgs;
pub use log::{LogArgs, LogFormat, LogLevel};
pub use ls::{LsArgs, Sort};
pub use man::ManArgs;
pub use ns::NsArgs;
pub use serve::{CollectorArgs, PathArgs, ServeArgs};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: it did what it was asked.
    Done = 0,
    /// 1: it failed, or found what it looked for to be bad.
    Failed = 1,
    /// 2: the command line is wrong.
    Usage = 2,
    /// 3: it may not, by its own guard rails.
    Refused = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Watches every Linux control group, exports what it sees to Prometheus, and enforces limits and policies.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a guard rail.
#[derive(Debug, Parser)]
#[command(name = "stockade", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  stockade ls                                   what the host's control groups use
  stockade serve                                watch everything, for Prometheus; enforce nothing
  stockade check --host stockade.yaml           what this host can do, and what is wrong with a file
  stockade serve --config stockade.yaml         watch, and do what the file says";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<ServeArgs>),
    Check(CheckArgs),
    Ls(Box<LsArgs>),
    Inspect(Box<InspectArgs>),
    Explain(ExplainArgs),
    Audit(AuditArgs),
    Set(SetArgs),
    Freeze(FreezeArgs),
    Thaw(ThawArgs),
    Kill(KillArgs),
    Restart(RestartArgs),
    Stop(StopArgs),
    Reclaim(ReclaimArgs),
    Undo(UndoArgs),
    Ns(Box<NsArgs>),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl Cli {
    /// Does what the command line says.
    #[must_use]
    pub fn run(self) -> Exit {
        self.log.start(match self.command {
            Command::Serve(_) | Command::Check(_) => LogLevel::Info,
            // A person looks at their output, and they say themselves what is amiss.
            _ => LogLevel::Error,
        });
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        let outcome = match self.command {
            Command::Serve(args) => {
                drop((out, err));
                return match args.run() {
                    Ok(()) => Exit::Done,
                    // Who reads JSON lines reads why it ended there.
                    Err(error) if self.log.format == LogFormat::Json => {
                        tracing::error!("{error}");
                        Exit::Failed
                    }
                    Err(error) => fail(&error),
                };
            }
            Command::Check(args) => args.run(&mut out, &mut err),
            Command::Explain(args) => args.run(&mut thread::sleep, &mut out, &mut err),
            Command::Audit(args) => args.run(&mut BufWriter::new(out), &mut err),
            Command::Set(args) => args.run(&mut out, &mut err),
            Command::Freeze(args) => args.run(&mut out, &mut err),
            Command::Thaw(args) => args.run(&mut out, &mut err),
            Command::Kill(args) => args.run(&mut out, &mut err),
            Command::Restart(args) => args.run(&mut out, &mut err),
            Command::Stop(args) => args.run(&mut out, &mut err),
            Command::Reclaim(args) => args.run(&mut out, &mut err),
            Command::Undo(args) => args.run(&mut out, &mut err),
            Command::Ls(args) => {
                args.run(terminal::width(), &mut thread::sleep, &mut BufWriter::new(out), &mut err)
            }
            Command::Inspect(args) => {
                args.run(terminal::width(), &mut thread::sleep, &mut BufWriter::new(out), &mut err)
            }
            Command::Completions(args) => args.run(&mut out),
            Command::Man(args) => args.run(&mut out, &mut err),
            Command::Ns(args) => args.run(terminal::width(), &mut BufWriter::new(out), &mut err),
        };
        match outcome {
            Ok(exit) => exit,
            // `stockade ls | head` is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Err(error) => fail(&error),
        }
    }
}

/// The configuration, or why it cannot be used.
fn configuration(file: Option<&Path>) -> Result<Config, String> {
    config::load(file)
        .map_err(|problems| format!("the configuration cannot be used:\n{problems}").trim_end().to_owned())
}

/// Why the daemon that holds a journal does not answer.
fn unasked(journal: &Path, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => ": it answers its own user only; run as root",
        _ => "",
    };
    format!("the daemon of {} cannot be asked: {error}{hint}", journal.display())
}

fn whole_number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a whole number".to_owned())
}

/// Says on the standard error why a command failed.
#[expect(
    clippy::print_stderr,
    reason = "a command's own failure goes to the person who typed it, not to the log"
)]
fn fail(error: &dyn std::error::Error) -> Exit {
    eprintln!("stockade: {error}");
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_line_of_the_manual_is_taken() {
        for line in [
            "stockade serve",
            "stockade serve --config f --web.listen-address :9100 --no-collector.io --collector.memory_numa",
            "stockade --log.format json check f --format json",
            "stockade check --host",
            "stockade ls -l --sort memory -n 10 --no-rates /a",
            "stockade ls -J -i 5 --depth 2 --full --raw --ascii --no-headings",
            "stockade ls -o +anon,file nginx",
            "stockade explain nginx -J --config f",
            "stockade audit -n 20 --policy p --since 1h --config f",
            "stockade set /a memory.high=1GiB cpu.weight=50 --ttl 10m --allow-oom",
            "stockade freeze /a --ttl 1m -n",
            "stockade thaw /a",
            "stockade kill /a -s KILL",
            "stockade reclaim /a 256MiB -J",
            "stockade undo",
            "stockade inspect --all -J -b 41",
            "stockade ns -t net -p 41 -o NS,CGROUP -n",
            "stockade ns -J",
            "stockade ns --tree -t pid --ascii",
            "stockade completions zsh",
            "stockade man --dir /tmp",
        ] {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
        for line in [
            "stockade",
            "stockade check",
            "stockade inspect",
            "stockade ls -i 2h",
            "stockade set /a",
            "stockade kill /a -s STOP",
            "stockade reclaim /a 0",
            "stockade ns -t disk",
            "stockade completions cmd",
            "stockade serve --web.telemetry-path metrics",
            "stockade serve --web.telemetry-path /api/v1/status",
            "stockade serve --web.telemetry-path /metrics?all",
            "stockade serve --web.max-connections 0",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
