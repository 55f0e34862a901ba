//! The configuration file: YAML to a checked [`Config`], with every error located.
//!
//! A good document is read by serde into the structs of `raw`, and `compile` checks what the values mean. When
//! anything is wrong, `diagnose` reads the same structs again from a tree that knows the line and column of each
//! value, leaving out what it found bad, until it has found everything. So there is one schema, and a file is mended
//! in one go. The keys are documented in `config/stockade.yaml`.
//!
//! Limits and policies may stand in files of their own too, `policies.d/*.yaml` beside the configuration file.

mod by_hand;
mod compile;
mod conceal;
mod decode;
mod diagnose;
mod place;
mod problem;
mod raw;
mod tree;
mod units;
mod users;
pub mod web;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use by_hand::{assignments, signal, size};
pub use compile::{Collect, Config, RulePlace};
pub use diagnose::parse;
pub use problem::{Problem, Problems};
pub use units::duration;
pub use users::Users;

use diagnose::Source;

/// How large a configuration file may be, in bytes.
const LARGEST: u64 = 1 << 20;
/// The directory of drop-ins, beside the configuration file.
const DROP_INS: &str = "policies.d";
/// How many drop-ins there may be.
const MOST_DROP_INS: usize = 100;

/// Reads this host's configuration from a file and the drop-ins beside it; without a file, the defaults.
///
/// # Errors
/// Everything that is wrong: with a file itself, or with what it says.
pub fn load(file: Option<&Path>) -> Result<Config, Problems> {
    load_of(file, Users::Host)
}

/// As [`load`], of this host or of another one.
///
/// # Errors
/// As those of [`load`].
pub fn load_of(file: Option<&Path>, users: Users) -> Result<Config, Problems> {
    let Some(file) = file else { return Ok(Config::default()) };
    let main = source(file.to_owned());
    let directory = file.with_file_name(DROP_INS);
    let drop_ins =
        drop_ins(&directory).unwrap_or_else(|problem| vec![Source { file: directory, text: Err(problem) }]);
    diagnose::parse_all(&main, &drop_ins, users)
}

/// The files of `policies.d`, sorted by name; none where there is no such directory.
fn drop_ins(directory: &Path) -> Result<Vec<Source>, Problem> {
    // A directory that is not there, and one beside a file that is not there.
    let absent = [std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory];
    let failed = |err: std::io::Error| {
        let message = format!("the drop-ins cannot be read: {err}");
        let expected = "expected a directory that this user may read, or none";
        Problem::whole(message, expected)
    };
    let entries = match std::fs::read_dir(directory) {
        Err(err) if absent.contains(&err.kind()) && !directory.is_file() => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "yaml") && !is_hidden {
            files.push(path);
        }
    }
    if files.len() > MOST_DROP_INS {
        let message = format!("there are {} drop-ins", files.len());
        return Err(Problem::whole(message, format!("expected at most {MOST_DROP_INS}")));
    }
    files.sort_unstable();
    Ok(files.into_iter().map(source).collect())
}

/// A file's text, without a byte order mark.
fn source(file: PathBuf) -> Source {
    let text = read(&file).and_then(|bytes| match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(err) => {
            let (at, bytes) = (err.utf8_error().valid_up_to(), err.as_bytes());
            let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
            let message = format!("byte {} on line {line} is not UTF-8", at + 1);
            Err(Problem::whole(message, "expected a YAML file, saved as UTF-8"))
        }
    });
    Source { file, text }
}

fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |err: std::io::Error| {
        Problem::whole(
            format!("the file cannot be read: {err}"),
            "expected a YAML file that this user may read",
        )
    };
    let open = File::open(file).map_err(failed)?;
    if open.metadata().map_err(failed)?.is_dir() {
        return Err(Problem::whole("this is a directory", "expected a YAML file"));
    }
    let mut bytes = Vec::new();
    open.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::whole("the file is too large", format!("expected at most {LARGEST} bytes")));
    }
    Ok(bytes)
}
