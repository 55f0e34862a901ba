//! `--log.level` and `--log.format`.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;

/// What is logged, and how.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    // The ids keep these global flags apart from a subcommand's own `--format`.
    /// The least important messages to log [default: info; error for commands that look once].
    #[arg(id = "log.level", long = "log.level", value_enum, global = true)]
    level: Option<LogLevel>,
    /// How a message is written on the standard error.
    #[arg(id = "log.format", long = "log.format", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub(super) format: LogFormat,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// What may need one.
    Warn,
    /// What the program does.
    Info,
    /// How it does it.
    Debug,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON document a line.
    Json,
}

impl LogArgs {
    /// Begins to log to the standard error, at the command's own level unless one was asked for.
    pub fn start(&self, default: LogLevel) {
        let level = match self.level.unwrap_or(default) {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        let builder =
            tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
        match self.format {
            LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
    }
}
