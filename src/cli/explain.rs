//! `stockade explain`: what the rules make of a cgroup, now.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use serde_json::{Value, json};

use super::act::find;
use super::interval::IntervalArgs;
use super::ls::failed;
use super::managers::Managers;
use super::{Exit, PathArgs, completions, configuration, unasked};
use crate::daemon::alone;
use crate::daemon::socket::{self, Request, Target, What};
use crate::enforce::ownership::Ownership;
use crate::enforce::safety::Writers;
use crate::identify::identify;
use crate::kernel::layout::{Layout, Paths};
use crate::systemd::{Afterwards, BusError};

/// Show what the rules make of a cgroup: which control they hold at what, and each policy's conditions with value,
/// threshold and margin, and what comes next.
///
/// A daemon that runs with the configuration is asked, and knows how long conditions have held. Without one, two samples
/// are taken, and every condition has held for that long at most.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// A path such as /system.slice/ssh.service, a directory below /sys/fs/cgroup, or a unit's name.
    #[arg(value_name = "CGROUP", add = ArgValueCompleter::new(completions::cgroups))]
    pub target: OsString,
    /// The configuration file (YAML).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "STOCKADE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Show the policies that do not match as well.
    #[arg(short, long)]
    pub all: bool,
    /// A JSON document instead.
    #[arg(short = 'J', long)]
    pub json: bool,
    /// Between the samples, where no daemon runs.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
}

const EXAMPLES: &str = "\
Examples:
  stockade explain nginx --config stockade.yaml    a unit
  stockade explain /batch.slice/job-1 --all        a path, with the policies that do not match";

impl ExplainArgs {
    /// Asks, or samples, and shows. `pause` waits between the samples.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(
        &self,
        pause: &mut dyn FnMut(Duration),
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<Exit> {
        let config = match configuration(self.config.as_deref()) {
            Ok(config) => config,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        let paths: Paths = self.paths.clone().into();
        let target = match find(&paths, &self.target) {
            Ok(target) => target,
            Err(problem) => return failed(err, Exit::Failed, &problem),
        };
        let request = Request { target: Some(target.clone()), dry_run: false, what: What::Explain };
        let mut answer = match socket::ask(&config.safety.journal, &request) {
            Ok(Some(answer)) => answer,
            Ok(None) => match alone::explain(&config, paths.clone(), &target, self.interval.get(), pause) {
                Ok(answer) => answer,
                Err(problem) => return failed(err, Exit::Failed, &problem),
            },
            Err(error) => return failed(err, Exit::Failed, &unasked(&config.safety.journal, &error)),
        };
        if answer.outcome != "done" {
            return failed(err, Exit::Failed, &answer.detail);
        }
        let (manager, unit) = managed(&paths, &target, config.safety.writers);
        answer.data["manager"] = json!(manager);
        answer.data["writer"] =
            json!(manager.writer(&config.safety.writers).map(|(_, writer)| writer.name()));
        answer.data["unit"] = match &unit {
            Some(Ok(unit)) => json!(unit),
            Some(Err(error)) => json!({"problem": error.to_string()}),
            None => Value::Null,
        };
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&answer).map_err(io::Error::other)?)?;
        } else {
            writeln!(out, "{}", answer.detail)?;
            writeln!(out, "  managed by {}", manager.and_writer(&config.safety.writers))?;
            match unit {
                Some(Ok(unit)) => {
                    let settings: Vec<String> =
                        unit.named().map(|(name, value)| format!("{name}={value}")).collect();
                    writeln!(out, "  its unit has {}", settings.join(", "))?;
                }
                Some(Err(error)) => writeln!(out, "  its unit is not known: {error}")?,
                None => {}
            }
            self.text(&answer.data, out)?;
        }
        out.flush()?;
        Ok(Exit::Done)
    }

    fn text(&self, data: &Value, out: &mut dyn Write) -> io::Result<()> {
        let rows = |key: &str| data[key].as_array().map_or(&[][..], Vec::as_slice);
        for row in rows("controls").iter().chain(rows("limits")) {
            writeln!(out, "  {}", word(row, "text"))?;
        }
        let policies = rows("policies");
        if policies.is_empty() {
            return writeln!(out, "  the configuration has no policies");
        }
        let mut hidden = 0;
        for policy in policies {
            if policy["matched"] == "no" && !self.all {
                hidden += 1;
                continue;
            }
            writeln!(out, "\npolicy {}: {}", word(policy, "policy"), word(policy, "state"))?;
            if policy["matched"] != "yes" {
                writeln!(out, "  not matched: {}", word(policy, "why"))?;
                continue;
            }
            writeln!(out, "  when: {}", word(policy, "when"))?;
            findings(&policy["findings"], out)?;
            if policy["clear_findings"].as_array().is_some_and(|rows| !rows.is_empty()) {
                writeln!(out, "  clear: {}", word(policy, "clear"))?;
                findings(&policy["clear_findings"], out)?;
            }
            writeln!(out, "  next: {}", word(policy, "next"))?;
        }
        if hidden > 0 {
            let (policies, them) = if hidden == 1 { ("policy does", "it") } else { ("policies do", "them") };
            writeln!(out, "\n{hidden} more {policies} not match it; --all shows {them}")?;
        }
        Ok(())
    }
}

/// Who manages a cgroup, and what its unit says, if it is one's. The command asks, not the daemon: that one waits for nobody.
fn managed(
    paths: &Paths,
    target: &Target,
    writers: Writers,
) -> (Ownership, Option<Result<Afterwards, BusError>>) {
    let layout = match Layout::detect(paths) {
        Ok(layout) => layout,
        Err(error) => return (Ownership::Unknown { reason: error.to_string().into() }, None),
    };
    let mut managers = Managers::new(&layout, paths, writers);
    let owner = managers.of(&identify(&target.path, target.id));
    let unit = managers.afterwards(&owner);
    (owner, unit)
}

fn findings(rows: &Value, out: &mut dyn Write) -> io::Result<()> {
    for row in rows.as_array().into_iter().flatten() {
        writeln!(out, "    {}", word(row, "text"))?;
    }
    Ok(())
}

/// A text of the document; the daemon and this program are of one version, but may not be.
fn word<'a>(document: &'a Value, key: &str) -> &'a str {
    document[key].as_str().unwrap_or("-")
}
