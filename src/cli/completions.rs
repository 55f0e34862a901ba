//! `stockade completions`: what a shell must know to complete this program's command line.
//!
//! The shell asks the program itself, by the variable [`ASKED`], so subcommands, flags and their values are those of the
//! definitions that parse them, and cgroups and rules are this host's at that moment.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _};
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::{CompleteEnv, Shells};

use super::sampling::Samples;
use super::{Cli, Exit};
use crate::config;
use crate::kernel::layout::Paths;
use crate::model::CollectorSet;

/// The variable by which a shell's function asks. Not clap's own `COMPLETE`, which may mean something else to others.
const ASKED: &str = "STOCKADE_COMPLETE";
/// What `set` sets.
const CONTROLS: [&str; 12] = [
    "memory.min",
    "memory.low",
    "memory.high",
    "memory.max",
    "memory.swap.max",
    "cpu.max",
    "cpu.weight",
    "io.max",
    "io.weight",
    "pids.max",
    "cpuset.cpus",
    "cpuset.mems",
];
/// How many cgroups are proposed: nobody reads more, and somebody may have made 100,000.
const MOST: usize = 1_000;

/// Print what a shell needs to complete commands, flags, cgroups and rules.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_parser = PossibleValuesParser::new(Shells::builtins().names()))]
    pub shell: String,
}

const EXAMPLES: &str = "\
Examples:
  stockade completions bash > /usr/share/bash-completion/completions/stockade    for everybody, in bash
  stockade completions zsh > /usr/share/zsh/site-functions/_stockade             in zsh
  stockade completions fish > /usr/share/fish/vendor_completions.d/stockade.fish    in fish";

/// zsh reads the file when it first completes, as the function of its name: without this, that first time proposes nothing.
const FIRST_TIME: &str = r#"if [[ $funcstack[1] == _stockade ]]; then
    _clap_dynamic_completer_stockade "$@"
fi
"#;

impl CompletionsArgs {
    /// Prints.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn run(&self, out: &mut dyn Write) -> io::Result<Exit> {
        let shells = Shells::builtins();
        let shell = shells.completer(&self.shell).ok_or_else(|| io::Error::other("no such shell"))?;
        let mut script = Vec::new();
        shell.write_registration(ASKED, "stockade", "stockade", "stockade", &mut script)?;
        if self.shell == "zsh" {
            script.extend_from_slice(FIRST_TIME.as_bytes());
        }
        // zsh knows a script by the tag on its first line.
        out.write_all(script.trim_ascii_start())?;
        out.flush()?;
        Ok(Exit::Done)
    }
}

/// Answers a shell that asks how to go on; nothing where the command line is to be run.
///
/// # Errors
/// When the shell is not known, or the answer cannot be written.
pub fn answer() -> Result<Option<Exit>, clap::Error> {
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command)
        .var(ASKED)
        .try_complete(std::env::args_os(), here.as_deref())?;
    Ok(asked.then_some(Exit::Done))
}

/// The cgroups that begin as what was typed does: by path, or without a slash by name; else directories.
pub(super) fn cgroups(typed: &OsStr) -> Vec<CompletionCandidate> {
    let found = Samples::take(Paths::default(), CollectorSet::NONE, Duration::ZERO, &mut |_| {});
    let Some((typed_text, samples)) = typed.to_str().zip(found.ok()) else { return Vec::new() };
    let paths =
        samples.now.cgroups.iter().filter_map(|cgroup| std::str::from_utf8(&cgroup.identity.path).ok());
    let by_name = !typed_text.is_empty() && !typed_text.starts_with('/');
    let names = paths.filter_map(|path| if by_name { path.rsplit('/').next() } else { Some(path) });
    let matching = names.filter(|name| name.starts_with(typed_text) && is_plain(name));
    let found: Vec<CompletionCandidate> = matching.take(MOST).map(CompletionCandidate::new).collect();
    if found.is_empty() { PathCompleter::dir().complete(typed) } else { found }
}

/// Whether a shell takes a word as it is. What is proposed is put on the command line as it is, and whoever may make a
/// cgroup may call it `$(reboot)`.
fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-@%+,:".contains(&byte))
}

/// The names of the limits and policies in the configuration that the command line, or else the environment, names.
pub(super) fn rules(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(file) = configured(std::env::args_os()) else { return Vec::new() };
    let Ok(config) = config::load(Some(&file)) else { return Vec::new() };
    let limits = config.rules.limits.iter().map(|rule| &rule.name);
    let policies = config.rules.policies.iter().map(|rule| &rule.name);
    let matching =
        limits.chain(policies).filter(|name| typed.to_str().is_some_and(|typed| name.starts_with(typed)));
    matching.map(|name| CompletionCandidate::new(&**name)).collect()
}

/// The value of `--config` among these arguments, or of its variable.
fn configured(arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut arguments =
        arguments.skip_while(|argument| argument != "--config" && !is_config_with_value(argument));
    let named = arguments.next().and_then(|argument| {
        let inside = argument.to_str().and_then(|text| text.strip_prefix("--config=")).map(PathBuf::from);
        inside.or_else(|| arguments.next().map(PathBuf::from))
    });
    named.or_else(|| std::env::var_os("STOCKADE_CONFIG").map(PathBuf::from)).filter(|file| file.is_file())
}

fn is_config_with_value(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(b"--config=")
}

/// The controls that `set` takes, each with its equals sign.
pub(super) fn controls(typed: &OsStr) -> Vec<CompletionCandidate> {
    let matching = CONTROLS.iter().filter(|file| typed.to_str().is_some_and(|typed| file.starts_with(typed)));
    matching.map(|file| CompletionCandidate::new(format!("{file}="))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_shell_would_read_is_not_proposed() {
        for name in
            ["/a b", "/$(reboot)", "/`x`", "/a;b", "/a\\x2d", "/*", "/a'b", "/a\nb", "/a&", "/~", "/é"]
        {
            assert!(!is_plain(name), "{name}");
        }
        for name in ["/", "/system.slice/getty@tty1.service", "/docker/0a1b", "/a:b,c+d%e_f-g"] {
            assert!(is_plain(name), "{name}");
        }
    }

    #[test]
    fn the_controls_are_those_that_are_taken() {
        let refused = config::assignments(&["no.such=1".to_owned()]).unwrap_err();
        let sorted = |names: &mut Vec<&str>| names.sort_unstable();
        let (_, taken) = refused.split_once("expected one of: ").unwrap();
        let (mut taken, mut proposed) = (taken.split(", ").collect(), CONTROLS.to_vec());
        sorted(&mut taken);
        sorted(&mut proposed);
        assert_eq!(proposed, taken);
    }

    #[test]
    fn the_configuration_is_the_one_of_the_command_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let with = |words: &[&str]| configured(words.iter().map(OsString::from));
        assert_eq!(
            with(&["stockade", "audit", "--config", path, "--policy", ""]).as_deref(),
            Some(file.path())
        );
        assert_eq!(with(&["stockade", "audit", &format!("--config={path}")]).as_deref(), Some(file.path()));
        assert_eq!(with(&["stockade", "audit", "--config", "/nowhere/at/all"]), None);
        assert_eq!(with(&["stockade", "audit", "--config"]), None);
    }
}
