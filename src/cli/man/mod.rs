//! `stockade man`: the manual pages, from the same definitions that parse the command line and from the manual of the
//! configuration.

mod manual;
mod notes;
mod page;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _, ValueHint};

use super::ls::failed;
use super::{Cli, Exit};

/// Print the manual page stockade(1), or write every page into a directory.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Write stockade.1, a page for each command, and stockade.yaml.5 into this directory, which is made if need be.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  stockade man | man -l -        read it
  stockade man --dir pages       every page of section 1, and stockade.yaml.5";

/// What the pages are named after, in each one's foot.
const MANUAL: &str = "Stockade";
/// In place of a date: a page is as old as its version, which is in its foot. Quotes, for an empty word is none in roff.
const NO_DATE: &str = "\"\"";

impl ManArgs {
    /// Prints, or writes.
    ///
    /// # Errors
    /// When the standard output cannot be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let program = built();
        let Some(directory) = &self.dir else {
            out.write_all(page::render(&program, &program)?.as_bytes())?;
            out.flush()?;
            return Ok(Exit::Done);
        };
        let mut pages = vec![("stockade.1".to_owned(), page::render(&program, &program)?)];
        for command in page::commands(&program) {
            pages.push((format!("stockade-{}.1", command.get_name()), page::render(&program, command)?));
        }
        pages.push(("stockade.yaml.5".to_owned(), manual::render()?));
        let written = fs::create_dir_all(directory)
            .and_then(|()| pages.iter().try_for_each(|(name, text)| fs::write(directory.join(name), text)));
        match written {
            Ok(()) => Ok(Exit::Done),
            Err(error) => {
                let place = directory.display();
                failed(err, Exit::Failed, &format!("the pages cannot be written into {place}: {error}"))
            }
        }
    }
}

/// The definitions, with what clap adds to them.
fn built() -> Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}
