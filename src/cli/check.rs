//! `stockade check`: is this configuration good?

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Exit, PathArgs, host};
use crate::config;
use crate::kernel::survey::survey;

/// Check configuration files, and report everything that is wrong with them; or report what this host can do.
///
/// Prints one line for each good file, and each error of a bad one with its line, column and what was expected.
/// With --host: the layout, where each controller comes from, what the kernel lacks and what that costs.
/// Exits with 0 when all files are good, with 1 when one is not, and with 2 when the command line is wrong.
#[derive(Debug, Args)]
#[command(override_usage = "stockade check [OPTIONS] FILE…\n       stockade check [OPTIONS] --host [FILE…]")]
pub struct CheckArgs {
    /// The files to check.
    #[arg(required_unless_present = "host", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Report what this host's kernel and this user's rights allow.
    #[arg(long)]
    pub host: bool,
    /// Where the kernel's file systems are.
    #[command(flatten)]
    pub paths: PathArgs,
    /// How to print the result: text for people, or one JSON document a line for each file.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

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
        for file in &self.files {
            let checked = config::load(Some(file));
            if checked.is_err() {
                exit = Exit::Failed;
            }
            match (checked, self.format) {
                (Ok(_), Format::Text) => writeln!(out, "{}: good", file.display())?,
                (Ok(_), Format::Json) => {
                    writeln!(out, "{}", json!({"file": file.to_string_lossy(), "ok": true, "problems": []}))?;
                }
                (Err(problems), Format::Text) => write!(err, "{problems}")?,
                (Err(problems), Format::Json) => writeln!(out, "{}", problems.to_json())?,
            }
        }
        Ok(exit)
    }
}
