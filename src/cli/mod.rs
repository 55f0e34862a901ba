//! The command line: one file a subcommand.

mod check;

use std::process::ExitCode;

pub use check::{CheckArgs, Format};

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
