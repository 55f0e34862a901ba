//! `stockade audit`: what was decided, and why.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use serde_json::Value;

use super::ls::failed;
use super::{Exit, completions, configuration, whole_number};
use crate::config;
use crate::enforce::audit::{ReadError, path_of, read};
use crate::enforce::plan::BY_HAND;
use crate::model::{Knob, Quantity, rfc3339};
use crate::policy::signal::Signal;

/// Show the audit log: decisions with their reasons, and who else wrote limits.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AuditArgs {
    /// The configuration file (YAML), for where the log is.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "STOCKADE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The log itself, instead of the configured one.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "config")]
    pub log: Option<PathBuf>,
    /// Only the last so many lines; 0 is all.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = whole_number::<usize>)]
    pub lines: usize,
    /// Only what a rule of this name decided.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completions::rules))]
    pub policy: Option<String>,
    /// Only what is about this cgroup's path, or about one below it.
    #[arg(long, value_name = "PATH", add = ArgValueCompleter::new(completions::cgroups))]
    pub cgroup: Option<String>,
    /// Only lines with this outcome, such as applied or budget.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<String>,
    /// Only what is younger, such as 1h.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub since: Option<Duration>,
    /// The log's own JSON lines.
    #[arg(short = 'J', long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  stockade audit --outcome applied --since 1d    what was done since yesterday
  stockade audit --policy batch-runaway -n 0     everything that a policy decided
  stockade audit -J | jq .conditions             why, for programs";

impl AuditArgs {
    /// Reads and shows.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let path = match &self.log {
            Some(log) => log.clone(),
            None => match configuration(self.config.as_deref()) {
                Ok(config) => path_of(&config.safety),
                Err(problem) => return failed(err, Exit::Failed, &problem),
            },
        };
        if path.try_exists().is_ok_and(|exists| !exists) {
            let hint = match (&self.log, &self.config) {
                (Some(_), _) => "expected the file that `safety.audit` names",
                (None, Some(_)) => "nothing was decided yet with this configuration",
                (None, None) => {
                    "nothing was decided yet, or a daemon has it elsewhere: give its --config, or --log"
                }
            };
            let problem = format!("there is no audit log {}: {hint}", path.display());
            return failed(err, Exit::Failed, &problem);
        }
        let mut exit = Exit::Done;
        let mut seen = 0_usize;
        let mut kept = std::collections::VecDeque::new();
        for line in read(&path) {
            seen += 1;
            match line {
                Ok(line) if self.wants(&line) => {
                    kept.push_back(line);
                    if self.lines > 0 && kept.len() > self.lines {
                        kept.pop_front();
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let denied = matches!(&error, ReadError::Io { error, .. }
                        if error.kind() == io::ErrorKind::PermissionDenied);
                    let hint = if denied { "; it is for root and its group: run as root" } else { "" };
                    exit = failed(err, Exit::Failed, &format!("{error}{hint}"))?;
                }
            }
        }
        if kept.is_empty() && exit == Exit::Done {
            writeln!(err, "stockade: none of the {seen} lines in {} is what was asked for", path.display())?;
        }
        for line in &kept {
            if self.json {
                writeln!(out, "{line}")?;
            } else {
                text(line, out)?;
            }
        }
        out.flush()?;
        Ok(exit)
    }

    fn wants(&self, line: &Value) -> bool {
        let is =
            |wanted: &Option<String>, key: &str| wanted.as_ref().is_none_or(|wanted| line[key] == **wanted);
        let cgroup = cgroup(line);
        let below = self.cgroup.as_ref().is_none_or(|wanted| {
            cgroup.strip_prefix(&**wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        // Times of one form and one zone stand in the order of their texts.
        let young = self.since.is_none_or(|since| {
            let from = rfc3339(SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH));
            line["time"].as_str().is_none_or(|time| time >= &*from)
        });
        below && young && is(&self.policy, "policy") && is(&self.outcome, "outcome")
    }
}

fn cgroup(line: &Value) -> &str {
    line["target"]["cgroup"].as_str().or_else(|| line["cgroup"].as_str()).unwrap_or_default()
}

/// By whom something was decided: by a rule, or by hand.
fn by(rule: &str) -> String {
    if rule == BY_HAND { rule.to_owned() } else { format!("by {rule}") }
}

/// A control's value in the control's unit, as far as both are known here.
fn shown(control: &str, value: Option<&str>) -> String {
    let Some(text) = value else { return "-".to_owned() };
    let knob = Knob::from_name(control);
    let value = knob.and_then(|knob| Some(knob.show(&knob.value_of(text)?)));
    value.unwrap_or_else(|| text.to_owned())
}

/// One line for people, and one more for each reason.
fn text(line: &Value, out: &mut dyn Write) -> io::Result<()> {
    let word = |key: &str| line[key].as_str().unwrap_or("-");
    let (time, cgroup) = (word("time"), cgroup(line));
    match line["kind"].as_str() {
        Some("decision") => {
            write!(
                out,
                "{time}  {:9}  {:7}  {cgroup}  {}",
                word("outcome"),
                word("action"),
                by(word("policy"))
            )?;
            for change in line["changes"].as_array().into_iter().flatten() {
                let control = change["control"].as_str().unwrap_or("-");
                let side = |key: &str| shown(control, change[key].as_str());
                write!(out, ", {control} {} -> {}", side("before"), side("after"))?;
            }
            if let Some(detail) = line["detail"].as_str().filter(|detail| !detail.is_empty()) {
                write!(out, ": {detail}")?;
            }
            writeln!(out)?;
            for reason in line["conditions"].as_array().into_iter().flatten() {
                let part = |key: &str| reason[key].as_str().unwrap_or("-");
                let quantity = Signal::from_name(part("signal")).map_or(Quantity::Count, Signal::quantity);
                let number = |key: &str| {
                    reason[key].as_f64().map_or_else(|| "unknown".to_owned(), |number| quantity.show(number))
                };
                writeln!(
                    out,
                    "    {} of {} is {}, {} {}: {}, for {:.1} s",
                    part("signal"),
                    part("of"),
                    number("value"),
                    part("compare"),
                    number("threshold"),
                    part("truth"),
                    reason["held_seconds"].as_f64().unwrap_or_default(),
                )?;
            }
            for spared in line["spared"].as_array().into_iter().flatten() {
                let part = |key: &str| spared[key].as_str().unwrap_or("-");
                writeln!(out, "    spared {}: {}", part("cgroup"), part("reason"))?;
            }
            Ok(())
        }
        Some(kind @ ("drift" | "foreign_write")) => {
            let (from, to) = if kind == "drift" { ("ours", "theirs") } else { ("before", "after") };
            let writer = &line["writer"];
            let who = writer["command"].as_str().or_else(|| writer["kind"].as_str()).unwrap_or("somebody");
            let pid = writer["pid"].as_u64().map_or_else(String::new, |pid| format!(" {pid}"));
            let answer =
                line["answer"].as_str().map_or_else(String::new, |answer| format!(", answer: {answer}"));
            let control = word("control");
            let (from, to) = (shown(control, line[from].as_str()), shown(control, line[to].as_str()));
            writeln!(out, "{time}  {kind}  {cgroup}  {control} {from} -> {to} by {who}{pid}{answer}")
        }
        Some("recovery") => {
            let shown = |was| shown(word("control"), Some(was));
            let was = line["was"].as_str().map_or_else(String::new, |was| format!(", was {}", shown(was)));
            let why = line["detail"].as_str().map_or_else(String::new, |why| format!(": {why}"));
            let (outcome, control, rule) = (word("outcome"), word("control"), by(word("policy")));
            writeln!(out, "{time}  recovery  {cgroup}  {control}{was}, {rule}: {outcome}{why}")
        }
        Some("notification") => {
            let sent = if line["sent"] == true { "sent" } else { "not sent" };
            let (status, to, rule, said) = (word("status"), word("to"), by(word("policy")), word("detail"));
            writeln!(out, "{time}  {sent}  {status}  {cgroup}  {rule}, to {to}: {said}")
        }
        Some("reload") => {
            let said = line["detail"].as_str().unwrap_or("the configuration was read again");
            writeln!(out, "{time}  reload  {said}")
        }
        Some("journal_damage") => {
            let kept = line["kept"].as_str().map_or_else(String::new, |kept| format!(", kept in {kept}"));
            let (torn, corrupt) = (&line["torn_bytes"], &line["corrupt_lines"]);
            writeln!(out, "{time}  journal damaged  {torn} bytes torn off{kept}, {corrupt} lines skipped")
        }
        _ => writeln!(out, "{line}"),
    }
}
