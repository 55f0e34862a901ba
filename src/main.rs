//! The `stockade` command: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    stockade::cli::Cli::parse().run().into()
}
