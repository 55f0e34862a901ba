//! `stockade check`: is this configuration good?

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use serde_json::{Value, json};

use super::{Exit, PathArgs, host};
use crate::config::{self, Config, RulePlace, Users};
use crate::kernel::capability::capabilities;
use crate::kernel::layout::{Layout, LayoutError};
use crate::kernel::survey::survey;
use crate::policy::capability::{Remark, Severity, judge};

/// Check configuration files, and report everything that is wrong with them; or report what this host can do.
///
/// Prints one line for each good file, and each error of a bad one with its line, column and what was expected. A file's
/// limits and policies are held against this host, too: what it cannot measure is an error, what it cannot set, or
/// does otherwise, a warning. Drop-ins (policies.d/*.yaml beside a file) belong to it.
/// With --host: the layout, where each controller comes from, what the kernel lacks and what that costs.
/// Exits with 0 when all files are good, with 1 when one is not, and with 2 when the command line is wrong.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(override_usage = "stockade check [OPTIONS] FILE…\n       stockade check [OPTIONS] --host [FILE…]")]
pub struct CheckArgs {
    /// The files to check.
    #[arg(required_unless_present = "host", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Report what this host's kernel and this user's rights allow.
    #[arg(long)]
    pub host: bool,
    /// Check the files alone, not whether this host can do what they say.
    #[arg(long, conflicts_with = "host")]
    pub no_host: bool,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
    /// How to print the result: text for people, or one JSON document a line for each file.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

const EXAMPLES: &str = "\
Examples:
  stockade check stockade.yaml                     every error, and what this host cannot do
  stockade check --no-host stockade.yaml           the file alone, for another host
  stockade check --host                            what the kernel and this user's rights allow
  stockade check --format json stockade.yaml       for programs";

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Good files on the standard output, errors with a snippet on the standard error.
    Text,
    /// A JSON document a line for each file, on the standard output.
    Json,
}

impl CheckArgs {
    /// Checks the files, all of them.
    ///
    /// # Errors
    /// When the result cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let mut exit = Exit::Done;
        if self.host {
            match survey(&self.paths.clone().into()) {
                Ok(survey) => host::write(&survey, self.format, out)?,
                Err(error) => {
                    writeln!(err, "stockade: {error}")?;
                    exit = Exit::Failed;
                }
            }
        }
        let users = if self.no_host { Users::Elsewhere } else { Users::Host };
        for file in &self.files {
            let good = match config::load_of(Some(file), users) {
                Ok(config) => self.good(file, &config, out, err)?,
                Err(problems) => {
                    match self.format {
                        Format::Text => write!(err, "{problems}")?,
                        Format::Json => writeln!(out, "{}", problems.to_json())?,
                    }
                    false
                }
            };
            if !good {
                exit = Exit::Failed;
            }
        }
        Ok(exit)
    }

    /// Holds what a good file says against this host, and tells whether that is good too.
    fn good(
        &self,
        file: &Path,
        config: &Config,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<bool> {
        let remarks = match self.remarks(config) {
            Ok(remarks) => remarks,
            Err(error) => {
                self.unseen(file, &error, out, err)?;
                return Ok(false);
            }
        };
        let errors = remarks.iter().filter(|remark| remark.severity == Severity::Error).count();
        match self.format {
            Format::Json => {
                let remarks: Vec<Value> = remarks.iter().map(|remark| document(remark, config)).collect();
                let file = file.to_string_lossy();
                let line = json!({"file": file, "ok": errors == 0, "problems": [], "remarks": remarks});
                writeln!(out, "{line}")?;
            }
            Format::Text => {
                for remark in &remarks {
                    writeln!(err, "{remark}")?;
                    if let Some(RulePlace { file, line, column }) = config.places.get(&remark.rule) {
                        writeln!(err, " --> {}:{line}:{column}", file.display())?;
                    }
                    writeln!(err)?;
                }
                match errors {
                    0 => writeln!(out, "{}: good", file.display())?,
                    1 => writeln!(err, "{}: 1 error on this host", file.display())?,
                    errors => writeln!(err, "{}: {errors} errors on this host", file.display())?,
                }
            }
        }
        Ok(errors == 0)
    }

    /// Tells that this host cannot be looked at.
    fn unseen(
        &self,
        file: &Path,
        error: &LayoutError,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        let expected = "--no-host checks the file alone";
        match self.format {
            Format::Text => writeln!(err, "stockade: {error}; {expected}"),
            Format::Json => {
                let file = file.to_string_lossy();
                let nowhere = Value::Null;
                let problem = json!({
                    "file": file,
                    "line": nowhere,
                    "column": nowhere,
                    "width": nowhere,
                    "message": error.to_string(),
                    "expected": expected,
                });
                writeln!(out, "{}", json!({"file": file, "ok": false, "problems": [problem], "remarks": []}))
            }
        }
    }

    fn remarks(&self, config: &Config) -> Result<Vec<Remark>, LayoutError> {
        // Who only watches asks nothing of the host.
        if self.no_host || (config.rules.limits.is_empty() && config.rules.policies.is_empty()) {
            return Ok(Vec::new());
        }
        let paths = self.paths.clone().into();
        let host = capabilities(&Layout::detect(&paths)?, &paths);
        Ok(judge(&config.rules, &host))
    }
}

fn document(remark: &Remark, config: &Config) -> Value {
    let place = config.places.get(&remark.rule);
    json!({
        "severity": remark.severity.name(),
        "rule": &*remark.rule,
        "message": remark.message,
        "file": place.map(|place| place.file.to_string_lossy()),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
    })
}
