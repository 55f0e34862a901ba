//! The `stockade` command: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use stockade::cli::{Cli, answer};

fn main() -> ExitCode {
    match answer() {
        Ok(Some(exit)) => exit.into(),
        Ok(None) => Cli::parse().run().into(),
        Err(error) => error.exit(),
    }
}
